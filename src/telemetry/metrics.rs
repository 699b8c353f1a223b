//! Every self-metric, declared once with its help.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::SinkName;
use crate::sample::{Family, Kind, LabelName, Labels, MetricName, Role, Series, Text, Value};

/// Label values and their number.
pub(super) type Counted = (Vec<Text>, f64);

/// One metric with its labels' values.
#[derive(Debug)]
pub(super) struct Vector {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    labels: &'static [&'static str],
    values: Mutex<BTreeMap<Vec<Text>, f64>>,
}

impl Vector {
    pub(super) fn add(&self, labels: Vec<Text>, by: f64) {
        *self.lock().entry(labels).or_insert(0.0) += by;
    }

    pub(super) fn set(&self, labels: Vec<Text>, to: f64) {
        self.lock().insert(labels, to);
    }

    /// Sets it where nothing is known yet.
    pub(super) fn begin(&self, labels: Vec<Text>, with: f64) {
        self.lock().entry(labels).or_insert(with);
    }

    fn forget_sink(&self, sink: &SinkName) {
        self.lock().retain(|values, _| !self.is_of(values, sink));
    }

    fn is_of(&self, values: &[Text], sink: &SinkName) -> bool {
        match self.labels {
            ["sink", ..] => values.starts_with(&sink.sink()),
            ["remote_name", ..] => values.starts_with(&sink.remote()),
            _ => false,
        }
    }

    /// Whether the next process goes on from it.
    fn outlives(&self) -> bool {
        self.kind == Kind::Counter || LAST_REQUEST.contains(&self.name)
    }

    /// Goes on from a number that an earlier process has kept, unless it speaks of none of these sinks.
    fn resume(&self, values: Vec<Text>, number: f64, sinks: &[SinkName]) {
        let of_a_sink = matches!(self.labels, ["sink" | "remote_name", ..]);
        let wanted = !of_a_sink || sinks.iter().any(|sink| self.is_of(&values, sink));
        if !self.outlives() || values.len() != self.labels.len() || number < 0.0 || !wanted {
            return;
        }
        match self.kind {
            Kind::Counter => self.add(values, number),
            _ => self.set(values, number),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Vec<Text>, f64>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn family(&self) -> Option<Family> {
        let values = self.lock();
        let series: Vec<Series> = values.iter().filter_map(|(v, value)| self.series(v, *value)).collect();
        let name = MetricName::new(self.name).ok()?;
        (!series.is_empty()).then(|| Family {
            name,
            kind: self.kind,
            help: self.help.into(),
            role: Role::State,
            series,
            of: None,
            unit: "".into(),
        })
    }

    fn series(&self, values: &[Text], value: f64) -> Option<Series> {
        let pairs = self.labels.iter().zip(values);
        let named: Result<Vec<_>, _> =
            pairs.map(|(name, value)| LabelName::new(name).map(|name| (name, value.clone()))).collect();
        Some(Series { labels: Labels::new(named.ok()?).ok()?, value: Value::from(value), own: None })
    }
}

/// What the last request to a sink has shown. A job that ends after each cycle says it in its next cycle: its own
/// requests come only after its metrics are on their way.
const LAST_REQUEST: [&str; 4] = [
    "fleetpush_sink_up",
    "fleetpush_sink_parked",
    "fleetpush_sink_last_success_timestamp_seconds",
    "prometheus_remote_storage_queue_highest_sent_timestamp_seconds",
];

macro_rules! metrics {
    ($($field:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        /// Every self-metric.
        #[derive(Debug)]
        pub struct Metrics { $(pub(super) $field: Vector,)* }

        impl Metrics {
            pub(super) fn new() -> Self {
                Metrics { $($field: Vector {
                    name: $name, kind: Kind::$kind, help: $help, labels: &[$($label),*],
                    values: Mutex::default(),
                },)* }
            }

            /// The metrics that have a value, in the order of their declaration.
            pub(super) fn families(&self) -> Vec<Family> {
                [$(self.$field.family(),)*].into_iter().flatten().collect()
            }

            fn all(&self) -> impl Iterator<Item = &Vector> {
                [$(&self.$field,)*].into_iter()
            }

            /// Removes every series of a sink; one of another kind may have the same name.
            pub(super) fn forget_sink(&self, sink: &SinkName) {
                $(self.$field.forget_sink(sink);)*
            }
        }

        /// Name, type, labels and help of every self-metric, for the documentation.
        pub const DECLARED: &[(&str, Kind, &[&str], &str)] =
            &[$(($name, Kind::$kind, &[$($label),*], $help),)*];
    };
}

impl Metrics {
    /// What the next process goes on from: names, label values and numbers.
    pub(super) fn kept(&self) -> BTreeMap<&'static str, Vec<Counted>> {
        let kept = self.all().filter(|vector| vector.outlives());
        let values = |vector: &Vector| vector.lock().iter().map(|(v, number)| (v.clone(), *number)).collect();
        kept.map(|vector| (vector.name, values(vector))).collect()
    }

    /// Goes on from a number that an earlier process has kept.
    pub(super) fn resume(&self, name: &str, values: Vec<Text>, number: f64, sinks: &[SinkName]) {
        if let Some(vector) = self.all().find(|vector| vector.name == name) {
            vector.resume(values, number, sinks);
        }
    }
}

metrics! {
    build_info: Gauge "fleetpush_build_info" ["version", "arch"] "The version of this program, always 1";
    collects: Counter "fleetpush_collects_total" ["source", "result"] "Cycles of a source by how they ended";
    ticks_missed: Counter "fleetpush_ticks_missed_total" ["source"] "Ticks left out since the cycle before them took too long";
    api_responses: Counter "fleetpush_api_responses_total" ["source", "code"] "Answers of the balena API by status code";
    scrapes: Counter "fleetpush_scrapes_total" ["scrape_job", "result"] "Scrapes of a job's targets by how they ended";
    scrape_repeated: Counter "fleetpush_scrape_repeated_samples_total" ["scrape_job"] "Samples left out since their page has said the same series before";
    relay_left_out: Counter "fleetpush_relay_dropped_samples_total" ["reason"] "Samples of relayed series that are not sent for their times, or since another target says them";
    target_files: Counter "fleetpush_target_file_errors_total" [] "Times that a file with targets could not be used";
    sink_up: Gauge "fleetpush_sink_up" ["sink", "kind"] "Whether the last request to a sink was taken";
    sink_parked: Gauge "fleetpush_sink_parked" ["sink", "kind"] "Whether a sink refuses us as a whole and is only asked slowly";
    sink_last_success: Gauge "fleetpush_sink_last_success_timestamp_seconds" ["sink", "kind"] "When a sink last took a request";
    sink_dropped: Counter "fleetpush_sink_dropped_samples_total" ["sink", "kind", "reason"] "Samples that a sink refused or that found no room";
    sink_left_out: Counter "fleetpush_sink_left_out_samples_total" ["sink", "kind", "reason"] "Samples of relayed pages that a Pushgateway does not take, in each push";
    queue_up: Gauge "fleetpush_queue_up" [] "Whether the store of the queue can be used";
    queue_bytes: Gauge "fleetpush_queue_bytes" [] "Bytes that the queue takes on the disk, or in memory where it is there";
    queue_records: Gauge "fleetpush_queue_records" [] "Records in the queue";
    queue_oldest: Gauge "fleetpush_queue_oldest_timestamp_seconds" [] "Time of the oldest sample in the queue, 0 when it is empty";
    queue_full: Gauge "fleetpush_queue_full_seconds" [] "How long the queue has room for at the present rate if nothing is delivered";
    clock_skew: Gauge "fleetpush_clock_skew_seconds" [] "How far our clock is ahead of the balena API";
    web_config_reads: Counter "fleetpush_web_config_reads_total" ["result"] "Times that the file of --web.config.file, or one that it names, was read again after a change";
    reload_successful: Gauge "fleetpush_config_last_reload_successful" [] "Whether the last reload of the configuration was taken";
    rw_samples: Counter "prometheus_remote_storage_samples_total" ["remote_name", "url"] "Samples taken by a remote-write endpoint";
    rw_failed: Counter "prometheus_remote_storage_samples_failed_total" ["remote_name", "url"] "Samples refused by a remote-write endpoint or dropped before it";
    rw_retried: Counter "prometheus_remote_storage_samples_retried_total" ["remote_name", "url"] "Samples sent again after a failure that may pass";
    rw_dropped: Counter "prometheus_remote_storage_samples_dropped_total" ["remote_name", "url", "reason"] "Samples not delivered, by reason";
    rw_not_written: Counter "fleetpush_remote_write_not_written_samples_total" ["remote_name", "url"] "Samples of accepted 2.0 requests that the receiver did not write";
    rw_deduplicated: Counter "fleetpush_remote_write_deduplicated_samples_total" ["remote_name", "url"] "Samples that a receiver left to another replica (202, Mimir's HA tracker)";
    rw_bytes: Counter "prometheus_remote_storage_bytes_total" ["remote_name", "url"] "Bytes of the bodies taken by a remote-write endpoint, compressed";
    rw_metadata: Counter "prometheus_remote_storage_metadata_total" ["remote_name", "url"] "Metadata entries taken by a remote-write endpoint (1.0)";
    rw_pending: Gauge "prometheus_remote_storage_samples_pending" ["remote_name", "url"] "Samples that wait for a remote-write endpoint";
    rw_shards: Gauge "prometheus_remote_storage_shards" ["remote_name", "url"] "Requests to a remote-write endpoint that may be in flight at once";
    rw_highest_all: Gauge "prometheus_remote_storage_highest_timestamp_in_seconds" [] "Time of the newest cycle put into the queue";
    rw_highest: Gauge "prometheus_remote_storage_queue_highest_timestamp_seconds" ["remote_name", "url"] "Time of the newest cycle put into the queue for an endpoint";
    rw_highest_sent: Gauge "prometheus_remote_storage_queue_highest_sent_timestamp_seconds" ["remote_name", "url"] "Time of the newest cycle taken by a remote-write endpoint";
}

#[cfg(test)]
mod tests {
    use super::super::SinkKind;
    use super::*;

    #[test]
    fn every_declared_name_and_label_is_one_that_receivers_take() {
        for (name, kind, labels, help) in DECLARED {
            assert!(MetricName::new(name).is_ok(), "{name}");
            // Whoever speaks stands there: the scraper, the grouping key, the record's identity.
            assert!(labels.iter().all(|label| !matches!(*label, "job" | "instance")), "{name}");
            assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
            assert!(labels.iter().all(|label| LabelName::new(label).is_ok()), "{name}");
            assert!(!help.is_empty() && !help.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn a_removed_sink_leaves_no_series_and_its_namesake_of_another_kind_all() {
        let metrics = Metrics::new();
        let sink = |kind| SinkName { name: "env".into(), kind, url: "http://a".into() };
        let (gateway, remote) = (sink(SinkKind::Pushgateway), sink(SinkKind::RemoteWrite));
        metrics.sink_parked.set(gateway.sink(), 1.0);
        metrics.sink_parked.set(remote.sink(), 1.0);
        metrics.rw_pending.set(remote.remote(), 1.0);
        metrics.rw_dropped.add(remote.remote_with("limit"), 1.0);
        metrics.forget_sink(&remote);
        let left: Vec<_> = metrics.families().into_iter().flat_map(|family| family.series).collect();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].labels.get("kind"), Some("pushgateway"));
    }
}
