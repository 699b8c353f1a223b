//! The queue's door: what a source said becomes records, or is kept out.
//!
//! In goes a batch and `now`; out comes an entry for the queue: records with rising timestamps, and the stale
//! markers of what has ended. After a restart it goes on from what the queue has kept. Never: I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::encode::record::{self, Cutter, Identity};
use crate::queue::{self, Record};
use crate::sample::{
    Batch, ClockTrust, LabelName, Labels, METRIC_NAME, MetricName, Millis, Role, Scope, SeriesId, Source,
    Value,
};

/// A clock that is further behind than this is not believed.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

/// What the door lets in.
#[derive(Debug, PartialEq)]
pub(super) enum Entry {
    /// These records.
    Queued(queue::Entry),
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
    cutter: Cutter,
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
            Source::Own | Source::Target { .. } => {}
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
        let records = known.cutter.cut(&batch, identity, max_samples);
        let scope = match batch.scope() {
            Scope::Whole => queue::Scope::Whole,
            Scope::StateOnly => queue::Scope::Part,
        };
        let records = records.into_iter().map(kept).collect();
        Entry::Queued(queue::Entry { source: key(batch.source()), scope, records })
    }

    /// Goes on from the records in which a source last spoke, those for all of its series first.
    pub(super) fn resume(&mut self, source: Source, records: &[Record], identity: &Identity) {
        let known = self.sources.entry(source).or_default();
        let mut ids = Vec::new();
        for record in records {
            // A record that cannot be read costs stale markers, nothing else.
            let Ok(record) = record::decode(record.bytes()) else { continue };
            let last = record.series.iter().map(|series| Millis(series.timestamp)).max();
            known.last = known.last.max(last);
            let alive = record.series.iter().filter(|series| series.value_bits != Value::STALE.bits());
            ids.extend(alive.filter_map(|series| id(&record, series, identity)));
        }
        known.cutter = Cutter::of_ids(ids);
        self.newest = self.newest.max(known.last);
    }
}

/// A record as the queue keeps it: layouts once.
fn kept(record: record::Record) -> Record {
    let record::Record { pieces: record::Pieces { own, layout }, samples, oldest_ms } = record;
    let shared = layout.map(|gap| queue::Shared { at: gap.at, bytes: gap.bytes });
    Record { own, shared, samples, oldest_ms }
}

/// A source in the queue.
pub(super) fn key(source: &Source) -> String {
    match source {
        Source::Own => "own".to_owned(),
        Source::Account(name) => format!("account/{name}"),
        Source::Target { .. } => "relay".to_owned(),
    }
}

/// Back again; nothing for the source of another version of this program.
pub(super) fn source(key: &str) -> Option<Source> {
    match key.strip_prefix("account/") {
        Some(name) => Some(Source::Account(name.into())),
        None => (key == "own").then_some(Source::Own),
    }
}

/// A series of a record as batches name it: without the labels that `identity` adds. One that was said under
/// another identity keeps them, so that its stale marker goes to where it was.
fn id(record: &record::Decoded, series: &record::Sample, identity: &Identity) -> Option<(SeriesId, Role)> {
    let text = |reference: &u32| record.symbols.get(*reference as usize).map(String::as_str);
    let mut name = None;
    let mut labels = Vec::new();
    for pair in series.label_refs.chunks_exact(2) {
        let (label, value) = (text(&pair[0])?, text(&pair[1])?);
        if label == METRIC_NAME {
            name = MetricName::new(value).ok();
        } else {
            labels.push((label, value));
        }
    }
    let value = |wanted: &str| labels.iter().find(|(label, _)| *label == wanted).map(|(_, value)| *value);
    let (job, instance) = (value("job"), value("instance"));
    let role = if instance.is_some() { Role::State } else { Role::Fleet };
    let ours = job == Some(&*identity.job) && instance.is_none_or(|instance| instance == &*identity.instance);
    if ours {
        labels.retain(|(label, _)| !matches!(*label, "job" | "instance"));
    }
    let pairs: Option<Vec<_>> =
        labels.into_iter().map(|(label, value)| Some((LabelName::new(label).ok()?, value.into()))).collect();
    Some((SeriesId { name: name?, labels: Labels::new(pairs?).ok()? }, role))
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
            own: None,
        });
        let family = Family {
            name: MetricName::new("balena_devices_online").unwrap(),
            kind: Kind::Gauge,
            help: "x".into(),
            role: Role::Fleet,
            series: series.collect(),
            of: None,
            unit: "".into(),
        };
        Batch::new(Source::Account("a".into()), Millis(at), Scope::Whole, vec![family]).unwrap()
    }

    /// Each sample as (fleet, time, whether it is a stale marker).
    fn samples(entry: Entry) -> Vec<(String, i64, bool)> {
        let Entry::Queued(entry) = entry else { panic!("{entry:?}") };
        let mut all = Vec::new();
        for record in entry.records {
            let record = record::decode(record.bytes()).unwrap();
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
        let nothing = queue::Entry { source: "own".into(), scope: queue::Scope::Whole, records: Vec::new() };
        assert_eq!(door.enter(&own, Millis(2_000), &me, 10), Entry::Queued(nothing));
    }

    fn queued(entry: Entry) -> Vec<Record> {
        let Entry::Queued(entry) = entry else { panic!("{entry:?}") };
        entry.records
    }

    #[test]
    fn after_a_restart_what_is_gone_gets_its_stale_marker_and_times_go_on_rising() {
        let me = identity("x");
        let mut door = Door::default();
        let whole = queued(door.enter(&batch(5_000, &["a", "b"]), Millis(5_000), &me, 1));
        let mut next = Door::default();
        next.resume(Source::Account("a".into()), &whole, &me);
        let entered = samples(next.enter(&batch(4_000, &["b"]), Millis(4_000), &me, 10));
        assert_eq!(entered, [("a".into(), 5_001, true), ("b".into(), 5_001, false)]);
        let set_back = next.enter(&batch(1_000, &["b"]), Millis(1_000 - 300_000), &me, 10);
        assert!(matches!(set_back, Entry::ClockSkewed(_)), "{set_back:?}");
    }

    #[test]
    fn series_of_another_identity_end_under_their_own_labels() {
        let mut door = Door::default();
        let (old, new) = (Identity { job: "old".into(), instance: "x".into() }, identity("x"));
        let said = queued(door.enter(&batch(1_000, &["a"]), Millis(1_000), &old, 10));
        let mut next = Door::default();
        next.resume(Source::Account("a".into()), &said, &new);
        let records = queued(next.enter(&batch(2_000, &["a"]), Millis(2_000), &new, 10));
        let record = record::decode(records[0].bytes()).unwrap();
        let mut jobs: Vec<(&str, bool)> = Vec::new();
        for series in &record.series {
            let text = |reference: u32| record.symbols[reference as usize].as_str();
            let pairs = series.label_refs.chunks(2).map(|pair| (text(pair[0]), text(pair[1])));
            let job = pairs.into_iter().find(|(name, _)| *name == "job").unwrap().1;
            jobs.push((job, series.value_bits == Value::STALE.bits()));
        }
        assert_eq!(jobs, [("balena", false), ("old", true)]);
    }
}
