//! Numbers that go on where an earlier process has stopped: a job that ends after each cycle would else count 1
//! for ever, and never say that a sink is parked.

use std::collections::BTreeMap;

use super::{SinkName, Telemetry};
use crate::sample::Text;

/// Each metric's name with its label values and numbers.
type Kept = BTreeMap<String, Vec<(Vec<String>, f64)>>;

impl Telemetry {
    /// Every counter, and how the last request to each sink has ended, for [`Telemetry::resume_counters`].
    pub fn counters(&self) -> Vec<u8> {
        let mut all = Kept::new();
        for (name, values) in self.0.metrics.kept() {
            let text = |values: Vec<Text>| values.iter().map(ToString::to_string).collect();
            all.insert(name.to_owned(), values.into_iter().map(|(v, number)| (text(v), number)).collect());
        }
        // A map with names as keys and finite numbers is always JSON.
        serde_json::to_vec(&all).unwrap_or_default()
    }

    /// Goes on from what an earlier process has kept. What is said there of sinks that are no more is
    /// left out, and so is what cannot be read.
    pub fn resume_counters(&self, kept: &[u8], sinks: &[SinkName]) {
        let Ok(all) = serde_json::from_slice::<Kept>(kept) else { return };
        for (name, values) in all {
            for (labels, number) in values {
                let labels = labels.iter().map(|text| Text::from(text.as_str())).collect();
                self.0.metrics.resume(&name, labels, number, sinks);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::SinkKind;
    use super::*;
    use crate::sample::Millis;
    use crate::telemetry::status::Delivery;

    fn sink(name: &str) -> SinkName {
        SinkName { name: name.into(), kind: SinkKind::RemoteWrite, url: "http://a".into() }
    }

    fn deliver(telemetry: &Telemetry, sink: &SinkName) {
        telemetry.sink_registered(sink);
        let (at, newest) = (Millis(1), None);
        telemetry.delivered(
            sink,
            &Delivery { samples: 5, bytes: 7, protocol: "x", code: 204, at, newest, written: None },
        );
    }

    fn total(telemetry: &Telemetry, name: &str) -> Vec<f64> {
        let families = telemetry.families();
        let family = families.into_iter().find(|family| family.name.as_str() == name);
        family.into_iter().flat_map(|family| family.series).map(|series| series.value.get()).collect()
    }

    #[test]
    fn counters_go_on_gauges_do_not_and_a_sink_that_is_gone_is_left_out() {
        let first = Telemetry::new();
        deliver(&first, &sink("a"));
        deliver(&first, &sink("gone"));
        first.ticks_missed("balena", 3);
        let next = Telemetry::new();
        next.resume_counters(&first.counters(), &[sink("a")]);
        deliver(&next, &sink("a"));
        assert_eq!(total(&next, "prometheus_remote_storage_samples_total"), [10.0]);
        assert_eq!(total(&next, "fleetpush_ticks_missed_total"), [3.0]);
        assert_eq!(total(&next, "fleetpush_sink_up"), [1.0]);
    }

    #[test]
    fn how_the_last_request_has_ended_is_still_known_when_a_sink_is_registered_again() {
        let first = Telemetry::new();
        deliver(&first, &sink("a"));
        first.sink_registered(&sink("b"));
        first.parked(&sink("b"), &"401", "look at the token", std::time::Duration::from_secs(30));
        first.delivered(
            &sink("a"),
            &Delivery {
                samples: 5,
                bytes: 7,
                protocol: "x",
                code: 204,
                at: Millis(2_000),
                newest: Some(Millis(1_000)),
                written: None,
            },
        );
        let next = Telemetry::new();
        next.resume_counters(&first.counters(), &[sink("a"), sink("b")]);
        let before = next.families();
        next.sink_registered(&sink("a"));
        next.sink_registered(&sink("b"));
        for told in [&before, &next.families()] {
            let of = |name: &str| -> Vec<f64> {
                let family = told.iter().find(|family| family.name.as_str() == name);
                family
                    .into_iter()
                    .flat_map(|family| &family.series)
                    .map(|series| series.value.get())
                    .collect()
            };
            assert_eq!(of("fleetpush_sink_up"), [1.0, 0.0]);
            assert_eq!(of("fleetpush_sink_parked"), [0.0, 1.0]);
            assert_eq!(of("fleetpush_sink_last_success_timestamp_seconds"), [2.0]);
            assert_eq!(of("prometheus_remote_storage_queue_highest_sent_timestamp_seconds"), [1.0]);
        }
        assert_eq!(total(&next, "prometheus_remote_storage_samples_pending"), [0.0, 0.0], "not kept");
    }

    #[test]
    fn what_cannot_be_read_counts_nothing() {
        let telemetry = Telemetry::new();
        let odd = [
            "",
            "null",
            "[]",
            r#"{"fleetpush_ticks_missed_total": 3}"#,
            r#"{"fleetpush_ticks_missed_total": [[["a", "b"], 1.0]], "unknown_total": [[[], 1.0]]}"#,
            r#"{"fleetpush_ticks_missed_total": [[["a"], -1.0]], "fleetpush_sink_up": [[["a", "b"], 9.0]]}"#,
        ];
        let before = telemetry.families();
        for kept in odd {
            telemetry.resume_counters(kept.as_bytes(), &[sink("a")]);
        }
        assert_eq!(telemetry.families(), before);
    }
}
