//! The queue's door: what a source said becomes records, or is kept out.
//!
//! In goes a batch and `now`; out come records with rising timestamps and the stale markers of what has
//! ended. Never: I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::encode::record::{self, Identity};
use crate::queue::Record;
use crate::sample::{Batch, ClockTrust, Millis, SeriesSet, Source};

/// A clock that is further behind than this is not believed.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

/// What the door lets in.
#[derive(Debug, PartialEq)]
pub(super) enum Entry {
    /// These records.
    Records(Vec<Record>),
    /// Nothing: our clock is off by this many seconds (negative: behind what was committed).
    ClockSkewed(f64),
    /// Nothing: the API's clock and ours differ, as the collector has said.
    Distrusted,
}

/// What each source had, and when.
#[derive(Debug, Default)]
pub(super) struct Door {
    sources: BTreeMap<Source, Known>,
    newest: Option<Millis>,
    distrusted: bool,
}

#[derive(Debug, Default)]
struct Known {
    series: SeriesSet,
    last: Option<Millis>,
}

impl Door {
    /// Turns a batch into records of at most `max_samples` samples.
    pub(super) fn enter(
        &mut self,
        batch: &Batch,
        now: Millis,
        identity: &Identity,
        max_samples: usize,
    ) -> Entry {
        match batch.source() {
            Source::Own if self.distrusted => return Entry::Distrusted,
            Source::Own => {}
            Source::Account(_) => self.distrusted = batch.clock() == ClockTrust::Skewed,
        }
        if self.distrusted {
            return Entry::Distrusted;
        }
        if let Some(newest) = self.newest
            && now + CLOCK_TOLERANCE < newest
        {
            return Entry::ClockSkewed(now.as_seconds() - newest.as_seconds());
        }
        let known = self.sources.entry(batch.source().clone()).or_default();
        let earliest = known.last.map_or(batch.at(), |last| Millis(last.0 + 1));
        let batch = batch.clone().at_time(batch.at().max(earliest));
        known.last = Some(batch.at());
        self.newest = self.newest.max(Some(batch.at()));
        let ended = known.series.advance(&batch);
        let records = record::cut(&batch, &ended, identity, max_samples);
        Entry::Records(
            records
                .into_iter()
                .map(|r| Record { bytes: r.bytes.into(), samples: r.samples, oldest_ms: r.oldest_ms })
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Family, Kind, LabelName, Labels, MetricName, Role, Scope, Series, Value};

    fn identity(instance: &str) -> Identity {
        Identity { job: "balena".into(), instance: instance.into() }
    }

    fn batch(at: i64, fleets: &[&str]) -> Batch {
        let label = || LabelName::new("fleet_name").unwrap();
        let series = fleets.iter().map(|name| Series {
            labels: Labels::new([(label(), (*name).into())]).unwrap(),
            value: Value::from(1.0),
        });
        let family = Family {
            name: MetricName::new("balena_devices_online").unwrap(),
            kind: Kind::Gauge,
            help: "x".into(),
            role: Role::Fleet,
            series: series.collect(),
        };
        Batch::new(Source::Account("a".into()), Millis(at), Scope::Whole, vec![family]).unwrap()
    }

    /// Each sample as (fleet, time, whether it is a stale marker).
    fn samples(entry: Entry) -> Vec<(String, i64, bool)> {
        let Entry::Records(records) = entry else { panic!("{entry:?}") };
        let mut all = Vec::new();
        for record in records {
            let record = record::decode(&record.bytes).unwrap();
            let text = |reference: u32| record.symbols[reference as usize].clone();
            for series in &record.series {
                let pairs = series.label_refs.chunks(2).map(|pair| (text(pair[0]), text(pair[1])));
                let fleet = pairs.into_iter().find(|(name, _)| name == "fleet_name").unwrap().1;
                all.push((fleet, series.timestamp, series.value_bits == Value::STALE.bits()));
            }
        }
        all.sort();
        all
    }

    #[test]
    fn what_is_gone_gets_a_stale_marker_in_the_same_cycle_and_only_once() {
        let mut door = Door::default();
        let me = identity("x");
        door.enter(&batch(1_000, &["a", "b"]), Millis(1_000), &me, 10);
        let second = samples(door.enter(&batch(2_000, &["b"]), Millis(2_000), &me, 10));
        assert_eq!(second, [("a".into(), 2_000, true), ("b".into(), 2_000, false)]);
        let third = samples(door.enter(&batch(3_000, &["b"]), Millis(3_000), &me, 10));
        assert_eq!(third, [("b".into(), 3_000, false)]);
    }

    #[test]
    fn times_rise_even_where_the_clock_stands_or_steps_back_a_little() {
        let mut door = Door::default();
        let me = identity("x");
        for (at, expected) in [(1_000, 1_000), (1_000, 1_001), (400, 1_002), (5_000, 5_000)] {
            let entered = samples(door.enter(&batch(at, &["a"]), Millis(at), &me, 10));
            assert_eq!(entered, [("a".into(), expected, false)]);
        }
    }

    #[test]
    fn a_clock_far_behind_what_was_queued_lets_nothing_in() {
        let mut door = Door::default();
        let me = identity("x");
        door.enter(&batch(1_000_000, &["a"]), Millis(1_000_000), &me, 10);
        let behind = door.enter(&batch(699_999, &["a"]), Millis(699_999), &me, 10);
        assert_eq!(behind, Entry::ClockSkewed(-300.001));
        let near = samples(door.enter(&batch(700_000, &["a"]), Millis(700_000), &me, 10));
        assert_eq!(near, [("a".into(), 1_000_001, false)]);
    }

    #[test]
    fn a_distrusted_clock_lets_nothing_in_not_even_the_programs_own() {
        let mut door = Door::default();
        let me = identity("x");
        let skewed = batch(1_000, &["a"]).with_clock(ClockTrust::Skewed);
        assert_eq!(door.enter(&skewed, Millis(1_000), &me, 10), Entry::Distrusted);
        let own = Batch::new(Source::Own, Millis(1_000), Scope::Whole, Vec::new()).unwrap();
        assert_eq!(door.enter(&own, Millis(1_000), &me, 10), Entry::Distrusted);
        door.enter(&batch(2_000, &["a"]), Millis(2_000), &me, 10);
        assert_eq!(door.enter(&own, Millis(2_000), &me, 10), Entry::Records(Vec::new()));
    }
}
