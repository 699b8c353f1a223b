//! The queue's door: what sources said becomes records, or is kept out.
//!
//! In go batches and `now`; out comes an entry for the queue: records with rising timestamps, and the stale
//! markers of what has ended. After a restart it goes on from what the queue has kept. Never: I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::line::{Line, Share};
use crate::encode::record::{self, Cut, Cutter, Identity, LeftOut, Told};
use crate::queue::{self, Record};
use crate::sample::{
    Batch, ClockTrust, Ended, LabelName, Labels, METRIC_NAME, MetricName, Millis, Role, Scope, SeriesId,
    Source, Text, Value,
};

/// A clock that is further behind than this is not believed.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);
/// What the door lets in.
#[derive(Debug, PartialEq)]
pub(super) enum Entry {
    /// These records, without those samples.
    Queued(queue::Entry, LeftOut),
    /// Nothing: our clock is off by this many seconds (negative: behind what was committed).
    ClockSkewed(f64),
    /// Nothing: the API's clock and ours differ, as the collector has said.
    Distrusted,
}

/// What each line had, and when.
#[derive(Debug, Default)]
pub(super) struct Door {
    lines: BTreeMap<Line, Known>,
    newest: Option<Millis>,
    distrusted: bool,
}

#[derive(Debug, Default)]
struct Known {
    cutter: Cutter,
    last: Option<Millis>,
    /// Targets that have said something.
    sources: BTreeSet<Source>,
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
        if let Source::Account(_) = batch.source() {
            self.distrusted = batch.clock() == ClockTrust::Skewed;
        }
        let scope = match batch.scope() {
            Scope::Whole => queue::Scope::Whole,
            Scope::StateOnly => queue::Scope::Part,
        };
        let line = Line::of(batch.source());
        self.cut(&line, &[batch], now, identity, max_samples).map_or_else(
            |nothing| nothing,
            |(records, left)| queued(line.key(Share::Most), scope, records, left),
        )
    }

    /// Turns what targets said at one tick into records that they share. Sources that are no more end with it by
    /// batches without a series.
    pub(super) fn enter_tick(
        &mut self,
        (line, share): (&Line, Share),
        batches: &[Batch],
        now: Millis,
        identity: &Identity,
        max_samples: usize,
    ) -> Entry {
        let batches: Vec<&Batch> = batches.iter().collect();
        let (records, left_out) = match self.cut(line, &batches, now, identity, max_samples) {
            Ok(cut) => cut,
            Err(nothing) => return nothing,
        };
        let sources = &mut self.lines.entry(line.clone()).or_default().sources;
        for batch in batches {
            match batch.series_count() {
                0 => sources.remove(batch.source()),
                _ => sources.insert(batch.source().clone()),
            };
        }
        queued(line.key(share), queue::Scope::Whole, records, left_out)
    }

    /// What of a line has to end: the targets that are not among these, as batches without a series.
    pub(super) fn ends(&self, line: &Line, stay: &BTreeSet<Source>, at: Millis) -> Vec<Batch> {
        let known = self.lines.get(line).into_iter().flat_map(|known| &known.sources);
        let gone = known.filter(|source| !stay.contains(source)).cloned();
        gone.map(|source| Batch::nothing(source, at)).collect()
    }

    /// What ends with new jobs: in each line the targets that are not among those that stay in it. The flag says
    /// whether nobody is asked in that line any more.
    pub(super) fn closing(
        &self,
        stay: &BTreeMap<Line, BTreeSet<Source>>,
        at: Millis,
    ) -> Vec<(Line, Vec<Batch>, bool)> {
        let ends = self.lines.keys().filter(|line| line.is_relay()).map(|line| {
            let nobody = BTreeSet::new();
            let mut ends = self.ends(line, stay.get(line).unwrap_or(&nobody), at);
            let is_over = !stay.contains_key(line);
            if is_over {
                // Whoever said what the queue has kept of it from before a restart.
                let unknown = Source::Target { job: "".into(), instance: "".into() };
                ends.push(Batch::nothing(unknown, at));
            }
            (line.clone(), ends, is_over)
        });
        ends.filter(|(_, ends, _)| !ends.is_empty()).collect()
    }

    /// A line of targets that has ended is known no more.
    pub(super) fn close(&mut self, line: &Line) {
        self.lines.remove(line);
    }

    fn cut(
        &mut self,
        line: &Line,
        batches: &[&Batch],
        now: Millis,
        identity: &Identity,
        max_samples: usize,
    ) -> Result<(Vec<Record>, LeftOut), Entry> {
        if self.distrusted {
            return Err(Entry::Distrusted);
        }
        if let Some(newest) = self.newest
            && now + CLOCK_TOLERANCE < newest
        {
            return Err(Entry::ClockSkewed(now.as_seconds() - newest.as_seconds()));
        }
        // What was said in another line may go on in a new one.
        let newest = self.newest;
        let known = self.lines.entry(line.clone()).or_default();
        let earliest = known.last.or(newest.filter(|_| line.is_relay())).map(|last| Millis(last.0 + 1));
        let said = batches.iter().map(|batch| batch.at()).max();
        let at = said.max(earliest).unwrap_or(now);
        known.last = Some(at);
        self.newest = self.newest.max(Some(at));
        let Cut { records, left_out } = known.cutter.cut_all(at, batches, identity, max_samples);
        Ok((records.into_iter().map(kept).collect(), left_out))
    }

    /// Every series that is said now, as it would end, and when: what a line says next comes later.
    pub(super) fn alive(&mut self, now: Millis) -> (Millis, Vec<Ended>) {
        let last = self.lines.values().filter_map(|known| known.last).max();
        let earliest = last.map(|last| Millis(last.0 + 1));
        // A clock that is not believed must put nothing into the future.
        let at =
            if self.distrusted { earliest.unwrap_or(now) } else { earliest.max(Some(now)).unwrap_or(now) };
        let mut alive = Vec::new();
        for known in self.lines.values_mut() {
            known.last = Some(at);
            alive.extend(known.cutter.alive());
        }
        (at, alive)
    }

    /// Goes on from the records in which the queue's sources last spoke, for each those for all of its series
    /// first. What is of another version of this program counts for nothing.
    pub(super) fn resume(
        &mut self,
        last_said: impl IntoIterator<Item = (String, Vec<Record>)>,
        identity: &Identity,
    ) {
        let mut told: BTreeMap<Line, Vec<Told>> = BTreeMap::new();
        for (key, records) in last_said {
            let Some(line) = Line::of_key(&key) else { continue };
            let told = told.entry(line.clone()).or_default();
            let known = self.lines.entry(line.clone()).or_default();
            for record in records {
                // A record that cannot be read costs stale markers, nothing else.
                let Ok(record) = record::decode(record.bytes()) else { continue };
                // The tick's own time: a page's times may be ahead of it.
                known.last = known.last.max(Some(Millis(record.timestamp)));
                let alive = record.series.iter().filter(|series| series.value_bits != Value::STALE.bits());
                told.extend(alive.filter_map(|series| id(&record, series, identity, &line)));
            }
            self.newest = self.newest.max(known.last);
        }
        for (line, told) in told {
            if let Some(known) = self.lines.get_mut(&line) {
                known.cutter = Cutter::of_told(told);
            }
        }
    }
}

fn queued(source: String, scope: queue::Scope, records: Vec<Record>, left_out: LeftOut) -> Entry {
    Entry::Queued(queue::Entry { source, scope, records }, left_out)
}

/// A record as the queue keeps it: layouts once. For benches and tests, which fill a queue as the program does.
#[doc(hidden)]
pub fn kept(record: record::Record) -> Record {
    let record::Record { pieces: record::Pieces { own, layout }, samples, at_ms } = record;
    let shared = layout.map(|gap| queue::Shared { at: gap.at, bytes: gap.bytes });
    Record { own, shared, samples, at_ms }
}

/// A series of a record as batches name it: without the labels that `identity` adds. One that was said under
/// another identity keeps them, so that its stale marker goes to where it was.
fn id(record: &record::Decoded, series: &record::Sample, identity: &Identity, line: &Line) -> Option<Told> {
    let text = |reference: &u32| record.symbols.get(*reference as usize).map(String::as_str);
    let (mut name, mut labels): (Option<Text>, Vec<(&str, &str)>) = (None, Vec::new());
    for pair in series.label_refs.chunks_exact(2) {
        let (label, value) = (text(&pair[0])?, text(&pair[1])?);
        if label == METRIC_NAME {
            name = Some(value.into());
        } else {
            labels.push((label, value));
        }
    }
    let own = (series.timestamp != record.timestamp).then_some(Millis(series.timestamp));
    let role = if line.is_foreign() { Role::Relayed } else { ours(&mut labels, identity) };
    let pair = |(label, value): (&str, &str)| Some((LabelName::relayed(&label.into()).ok()?, value.into()));
    let pairs: Option<Vec<_>> = labels.into_iter().map(pair).collect();
    let id = SeriesId { name: MetricName::relayed(&name?).ok()?, labels: Labels::new(pairs?).ok()? };
    Some((id, role, own))
}

/// Whose statement a series of ours is; the labels of this identity are taken out.
fn ours(labels: &mut Vec<(&str, &str)>, identity: &Identity) -> Role {
    let value = |wanted: &str| labels.iter().find(|(label, _)| *label == wanted).map(|(_, value)| *value);
    let (job, instance) = (value("job"), value("instance"));
    let role = if instance.is_some() { Role::State } else { Role::Fleet };
    if job == Some(&*identity.job) && instance.is_none_or(|instance| instance == &*identity.instance) {
        labels.retain(|(label, _)| !matches!(*label, "job" | "instance"));
    }
    role
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Family, Kind, LabelName, Labels, MetricName, Own, Role, Scope, Series, Value};

    fn identity(instance: &str) -> Identity {
        Identity { job: "balena".into(), instance: instance.into() }
    }

    fn batch(at: i64, fleets: &[&str]) -> Batch {
        said(at, family(fleets))
    }

    fn said(at: i64, family: Family) -> Batch {
        Batch::new(Source::Account("a".into()), Millis(at), Scope::Whole, vec![family]).unwrap()
    }

    fn family(fleets: &[&str]) -> Family {
        let label = || LabelName::new("fleet_name").unwrap();
        let series = fleets.iter().map(|name| Series {
            labels: Labels::new([(label(), (*name).into())]).unwrap(),
            value: Value::from(1.0),
            own: None,
        });
        Family {
            name: MetricName::new("balena_devices_online").unwrap(),
            kind: Kind::Gauge,
            help: "x".into(),
            role: Role::Fleet,
            series: series.collect(),
            of: None,
            unit: "".into(),
        }
    }

    /// Each sample as (fleet, time, whether it is a stale marker).
    fn samples(entry: Entry) -> Vec<(String, i64, bool)> {
        let Entry::Queued(entry, _) = entry else { panic!("{entry:?}") };
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
        assert_eq!(door.enter(&own, Millis(2_000), &me, 10), Entry::Queued(nothing, LeftOut::default()));
    }

    fn queued(entry: Entry) -> Vec<Record> {
        let Entry::Queued(entry, _) = entry else { panic!("{entry:?}") };
        entry.records
    }

    #[test]
    fn after_a_restart_what_is_gone_gets_its_stale_marker_and_times_go_on_rising() {
        let me = identity("x");
        let mut door = Door::default();
        let whole = queued(door.enter(&batch(5_000, &["a", "b"]), Millis(5_000), &me, 1));
        let mut next = Door::default();
        next.resume([("account/a".to_owned(), whole)], &me);
        let entered = samples(next.enter(&batch(4_000, &["b"]), Millis(4_000), &me, 10));
        assert_eq!(entered, [("a".into(), 5_001, true), ("b".into(), 5_001, false)]);
        let set_back = next.enter(&batch(1_000, &["b"]), Millis(1_000 - 300_000), &me, 10);
        assert!(matches!(set_back, Entry::ClockSkewed(_)), "{set_back:?}");
    }

    #[test]
    fn after_a_restart_a_time_of_a_page_that_is_ahead_moves_no_tick() {
        let me = identity("x");
        let mut ahead = family(&["a", "b"]);
        ahead.role = Role::Relayed;
        ahead.series[0].own = Some(Own { at: Some(Millis(200_000)), ..Own::default() }.into());
        let entry = Door::default().enter(&said(5_000, ahead), Millis(5_000), &me, 10);
        let mut next = Door::default();
        next.resume([("account/a".to_owned(), queued(entry))], &me);
        let entered = samples(next.enter(&batch(6_000, &["b"]), Millis(6_000), &me, 10));
        assert_eq!(entered, [("b".into(), 6_000, false)]);
    }

    #[test]
    fn series_of_another_identity_end_under_their_own_labels() {
        let mut door = Door::default();
        let (old, new) = (Identity { job: "old".into(), instance: "x".into() }, identity("x"));
        let said = queued(door.enter(&batch(1_000, &["a"]), Millis(1_000), &old, 10));
        let mut next = Door::default();
        next.resume([("account/a".to_owned(), said)], &new);
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
