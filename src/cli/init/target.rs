//! What is known of each place where the counts can go.

use clap::ValueEnum;
use url::Url;

use crate::cli::args::Target;

impl Target {
    /// As it is typed.
    pub(super) fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// As people name it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Target::GrafanaCloud => "Grafana Cloud",
            Target::Prometheus => "Prometheus",
            Target::Mimir => "Mimir",
            Target::Thanos => "Thanos Receive",
            Target::Victoriametrics => "VictoriaMetrics",
            Target::Pushgateway => "the Pushgateway",
            Target::Page => "the page",
        }
    }

    /// The path at which it takes what is sent.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Target::GrafanaCloud => "/api/prom/push",
            Target::Mimir => "/api/v1/push",
            Target::Prometheus | Target::Victoriametrics => "/api/v1/write",
            Target::Thanos => "/api/v1/receive",
            Target::Pushgateway | Target::Page => "",
        }
    }

    /// What its URL looks like, and whether it may be taken as it is.
    pub(super) const fn usual_url(self) -> (&'static str, bool) {
        match self {
            Target::GrafanaCloud => ("https://prometheus-prod-….grafana.net/api/prom/push", false),
            Target::Prometheus => ("http://localhost:9090/api/v1/write", true),
            Target::Mimir => ("http://localhost:9009/api/v1/push", true),
            Target::Thanos => ("http://localhost:19291/api/v1/receive", true),
            Target::Victoriametrics => ("http://localhost:8428/api/v1/write", true),
            Target::Pushgateway => ("http://localhost:9091", true),
            Target::Page => ("", true),
        }
    }

    /// The header in which it takes a tenant's name.
    pub(super) const fn tenant_header(self) -> Option<&'static str> {
        match self {
            Target::Mimir => Some("X-Scope-OrgID"),
            Target::Thanos => Some("THANOS-TENANT"),
            _ => None,
        }
    }

    /// Whether what goes there waits in a queue.
    pub(super) const fn has_queue(self) -> bool {
        !matches!(self, Target::Pushgateway | Target::Page)
    }

    /// The name of the file for its token, where nobody has named one.
    pub(super) const fn token_name(self) -> &'static str {
        match self {
            Target::GrafanaCloud => "grafana-token",
            Target::Pushgateway => "pushgateway-token",
            _ => "receiver-token",
        }
    }

    /// The URL that was meant: with the product's path where there is none.
    pub(super) fn url(self, typed: &str) -> Result<String, String> {
        let typed = typed.trim();
        let example = self.usual_url().0;
        let wrong = |what: &str| format!("{what}; write it like {example}");
        let Ok(url) = Url::parse(typed) else { return Err(wrong("this is no URL with http:// or https://")) };
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(wrong("it does not begin with http:// or https:// and a host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "it holds a user name or password: take them out, they have flags and files of their own"
                    .into(),
            );
        }
        let bare = typed.trim_end_matches('/');
        Ok(match (self, url.path().trim_end_matches('/')) {
            // What the stack's page shows for queries.
            (Target::GrafanaCloud, "/api/prom") => format!("{bare}/push"),
            (Target::Pushgateway, path) if path.ends_with("/metrics") => {
                bare.strip_suffix("/metrics").unwrap_or(bare).to_owned()
            }
            (_, "") if url.query().is_none() && url.fragment().is_none() => format!("{bare}{}", self.path()),
            _ => bare.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gets_the_path_that_its_product_takes_and_keeps_one_that_it_has() {
        for (target, typed, meant) in [
            (Target::GrafanaCloud, "https://p.grafana.net/api/prom", "https://p.grafana.net/api/prom/push"),
            (Target::GrafanaCloud, "https://p.grafana.net", "https://p.grafana.net/api/prom/push"),
            (Target::Prometheus, "http://localhost:9090/", "http://localhost:9090/api/v1/write"),
            (Target::Thanos, "http://t:19291", "http://t:19291/api/v1/receive"),
            (Target::Mimir, "http://m/mimir/api/v1/push", "http://m/mimir/api/v1/push"),
            (
                Target::Victoriametrics,
                "http://v/insert/0/prometheus/api/v1/write",
                "http://v/insert/0/prometheus/api/v1/write",
            ),
            (Target::Pushgateway, "http://g:9091/metrics", "http://g:9091"),
            (Target::Pushgateway, "https://h/pgw/", "https://h/pgw"),
        ] {
            assert_eq!(target.url(typed).as_deref(), Ok(meant));
        }
    }

    #[test]
    fn what_is_no_url_or_holds_credentials_is_told() {
        for typed in ["", "localhost:9091", "ftp://h/", "http://", "http://me:hunter2@h/"] {
            let said = Target::Prometheus.url(typed).expect_err(typed);
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
