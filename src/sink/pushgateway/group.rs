//! A group's key as a path. In go labels, out comes a URL that every gateway reads as exactly these labels.
//! Pure.

use url::Url;

use crate::sample::{LabelName, Source, Text};

/// Label names by which our own series are told apart: as a grouping label one would overwrite them all and
/// make them equal, which the gateway refuses.
const OUR_LABELS: &[&str] = &[
    "account",
    "arch",
    "code",
    "device_type",
    "fleet_id",
    "fleet_name",
    "fleet_slug",
    "kind",
    "organization",
    "reason",
    "remote_name",
    "result",
    "scrape_job",
    "sink",
    "source",
    "state",
    "status",
    "url",
    "version",
];
/// The program's own metrics have this grouping label besides, so that they never share a group with counts.
const COMPONENT: (&str, &str) = ("component", "fleetpush");
/// A gateway has metrics of its own under these names.
const RESERVED: &[&str] = &["push_", "pushgateway_", "go_", "process_", "promhttp_"];

/// The labels of one source's group.
pub(super) struct Group<'a> {
    pub(super) job: &'a str,
    pub(super) instance: &'a str,
    pub(super) source: &'a Source,
    pub(super) grouping: &'a [(LabelName, Text)],
}

impl Group<'_> {
    /// Its labels, `job` first. A target's are its own `job` and `instance`.
    pub(super) fn labels(&self) -> Vec<(&str, &str)> {
        let (job, instance) = match self.source {
            Source::Target { job, instance } => (&**job, &**instance),
            Source::Account(_) | Source::Own => (self.job, self.instance),
        };
        let own = matches!(self.source, Source::Own).then_some(COMPONENT);
        // An explicit empty `instance` collides with its absence and stops every push to the gateway.
        let instance = (!instance.is_empty()).then_some(("instance", instance));
        let configured = self.grouping.iter().map(|(name, value)| (name.as_str(), &**value));
        [("job", job)].into_iter().chain(instance).chain(configured).chain(own).collect()
    }

    /// Whether it is a target's, and the one in which the program's accounts are.
    pub(super) fn is_taken(&self) -> bool {
        match self.source {
            Source::Target { job, instance } => (&**job, &**instance) == (self.job, self.instance),
            Source::Account(_) | Source::Own => false,
        }
    }

    /// The address of the group at a gateway.
    pub(super) fn url(&self, gateway: &Url) -> Url {
        let segments = self.labels().into_iter().map(|(name, value)| segment(name, value));
        below(gateway, &format!("/metrics{}", segments.collect::<String>()))
    }
}

/// A path below a gateway's base URL, which may have a path itself.
pub(super) fn below(gateway: &Url, path: &str) -> Url {
    let mut url = gateway.clone();
    url.set_path(&format!("{}{path}", gateway.path().trim_end_matches('/')));
    url
}

/// `/name/value`, or `/name@base64/…` for every value that a path may change on its way: slashes, dots, `+`,
/// whatever is no ASCII, and the empty one.
fn segment(name: &str, value: &str) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '~' | '-');
    if value.is_empty() {
        format!("/{name}@base64/=")
    } else if value.chars().all(plain) && value != "." && value != ".." {
        format!("/{name}/{value}")
    } else {
        format!("/{name}@base64/{}", URL_SAFE_NO_PAD.encode(value))
    }
}

/// Whether a grouping label of this name would make our series, or our groups, equal.
pub(super) fn is_ours(label: &str) -> bool {
    OUR_LABELS.contains(&label) || label == COMPONENT.0
}

/// Whether a metric's name is one that the gateway keeps for itself.
pub(super) fn is_reserved(metric: &str) -> bool {
    RESERVED.iter().any(|prefix| metric.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::DECLARED;

    fn path(base: &str, instance: &str, source: &Source, grouping: &[(&str, &str)]) -> String {
        let grouping: Vec<_> = grouping
            .iter()
            .map(|(name, value)| (LabelName::new(name).unwrap(), Text::from(*value)))
            .collect();
        let group = Group { job: "balena", instance, source, grouping: &grouping };
        group.url(&Url::parse(base).unwrap()).to_string()
    }

    #[test]
    fn a_group_is_named_by_job_instance_and_the_configured_labels() {
        let account = Source::Account("acme".into());
        assert_eq!(
            path("http://g:9091", "site-7", &account, &[("site", "north")]),
            "http://g:9091/metrics/job/balena/instance/site-7/site/north"
        );
        assert_eq!(
            path("http://g:9091/pgw/", "site-7", &Source::Own, &[]),
            "http://g:9091/pgw/metrics/job/balena/instance/site-7/component/fleetpush"
        );
    }

    #[test]
    fn a_target_has_a_group_of_its_own_beside_the_configured_labels() {
        let target =
            |job: &str, instance: &str| Source::Target { job: job.into(), instance: instance.into() };
        assert_eq!(
            path("http://g:9091", "site-7", &target("node", "[::1]:9100"), &[("site", "north")]),
            "http://g:9091/metrics/job/node/instance@base64/Wzo6MV06OTEwMA/site/north"
        );
        assert_eq!(path("http://g", "site-7", &target("node", ""), &[]), "http://g/metrics/job/node");
        let taken =
            |source: &Source| Group { job: "balena", instance: "site-7", source, grouping: &[] }.is_taken();
        assert!(taken(&target("balena", "site-7")) && !taken(&target("balena", "a")) && !taken(&Source::Own));
    }

    #[test]
    fn an_empty_instance_is_left_out() {
        assert_eq!(path("http://g", "", &Source::Account("a".into()), &[]), "http://g/metrics/job/balena");
    }

    #[test]
    fn values_that_a_path_would_change_are_base64() {
        for (value, expected) in [
            ("a/b", "YS9i"),
            ("", "="),
            (".", "Lg"),
            ("..", "Li4"),
            ("a b", "YSBi"),
            ("a+b", "YSti"),
            ("é", "w6k"),
            ("%2F", "JTJG"),
            (">>>?", "Pj4-Pw"),
        ] {
            let path = path("http://g", "i", &Source::Account("a".into()), &[("x", value)]);
            assert_eq!(
                path,
                format!("http://g/metrics/job/balena/instance/i/x@base64/{expected}"),
                "{value}"
            );
        }
    }

    #[test]
    fn every_label_of_our_own_metrics_is_known_to_be_ours() {
        for (name, _, labels, _) in DECLARED {
            assert!(labels.iter().all(|label| is_ours(label)), "{name}");
            assert!(!is_reserved(name), "{name}");
        }
    }
}
