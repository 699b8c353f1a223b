//! What the store holds, mirrored in memory: heads of records, cursors, what each source last said. A wish
//! goes in, a [`Change`] comes out; once it is committed it is applied. Pure: no disk, no clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::head::{Head, Kept};
use super::parts::{Ledger, Parts, Plan};
use super::terms::{Terms, Turned};
use super::{Bound, Dropped, Entry, Position, Record, Scope, Start, Turn, Waiting};

/// So many records tell the rate.
const RECENT: usize = 128;
/// So many records that nobody needs any more are freed at once: one by one each acknowledgement would write
/// the trees of the records anew, and not only that of the cursors.
const FREED_AT_ONCE: usize = 32;

/// The bounds of the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Of all records together, in the file's pages.
    pub(super) cost: u64,
    /// Between the oldest record and the newest.
    pub(super) age: Duration,
}

/// What one transaction changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// New records, numbered from the end on.
    pub(super) new: Vec<Record>,
    /// What new records share, and what nobody shares any more.
    pub(super) parts: Plan,
    /// Records that nobody needs any more.
    pub(super) freed: Vec<u64>,
    /// Cursors that move, or come.
    pub(super) cursors: BTreeMap<String, Position>,
    /// Cursors that go.
    pub(super) removed: Vec<String>,
    /// What a source last said.
    pub(super) kept: Option<(String, Kept)>,
    /// The first record that an endpoint may still need.
    pub(super) first: u64,
    /// What the bounds have cost.
    pub(super) dropped: Vec<Dropped>,
    /// Terms that come and go.
    pub(super) terms: Turned,
}

/// The mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// From `first` on without a gap, each with the number of samples before it.
    heads: VecDeque<(u64, Head)>,
    /// How many samples `heads` and all before them had.
    samples: u64,
    first: u64,
    /// Records before `first` that are there since a source last spoke in them, or since they are not freed
    /// yet.
    held: BTreeMap<u64, Head>,
    parts: Parts,
    cursors: BTreeMap<String, Position>,
    kept: BTreeMap<String, Kept>,
    terms: Terms,
    newest_ms: Option<i64>,
    /// What records take, without their parts.
    cost: u64,
    /// The last records that were appended, for the rate.
    recent: VecDeque<Head>,
}

impl Index {
    /// As a store says it; nothing where the heads have a gap, which no transaction leaves. Acknowledgements
    /// move cursors and leave `first` where it was.
    pub(super) fn load(
        heads: &[(u64, Head)],
        lengths: &BTreeMap<u64, u64>,
        first: u64,
        cursors: BTreeMap<String, Position>,
        kept: BTreeMap<String, Kept>,
        terms: Terms,
    ) -> Option<Self> {
        let first = cursors.values().map(|at| at.record).min().map_or(first, |needed| needed.max(first));
        let parts = Parts::load(lengths, heads.iter().filter_map(|(_, head)| head.part));
        let mut index = Index { first, cursors, kept, parts, terms, ..Index::default() };
        for (number, head) in heads.iter().copied() {
            index.cost += head.cost();
            index.newest_ms = index.newest_ms.max(Some(head.at_ms));
            if number < first {
                index.held.insert(number, head);
            } else if number == index.end() {
                index.push(head);
            } else {
                return None;
            }
        }
        Some(index)
    }

    fn push(&mut self, head: Head) {
        self.recent.push_back(head);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        self.heads.push_back((self.samples, head));
        self.samples += head.samples;
    }

    /// The number of the next record.
    pub(super) fn end(&self) -> u64 {
        self.first + self.heads.len() as u64
    }

    /// The first record that an endpoint may still need.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// What everything takes in the store's pages.
    pub(super) fn cost(&self) -> u64 {
        self.cost + self.parts.cost()
    }

    /// The bytes of a part that are still in memory.
    pub(super) fn live(&self, part: u64) -> Option<Arc<[u8]>> {
        self.parts.live(part)
    }

    /// Records before `first` that no source has last spoken in.
    fn unneeded<'a>(&'a self, new: Option<(&'a str, &'a Kept)>) -> impl Iterator<Item = (u64, Head)> + 'a {
        let held = self.held.iter().map(|(number, head)| (*number, *head));
        held.filter(move |(number, _)| !self.is_kept(*number, new))
    }

    pub(super) fn cursor(&self, endpoint: &str) -> Option<Position> {
        self.cursors.get(endpoint).copied()
    }

    pub(super) fn endpoints(&self) -> impl Iterator<Item = &String> {
        self.cursors.keys()
    }

    pub(super) fn kept(&self) -> &BTreeMap<String, Kept> {
        &self.kept
    }

    /// The terms of a record.
    pub(super) fn terms(&self, endpoint: &str, record: u64) -> Option<Arc<[u8]>> {
        self.terms.at(endpoint, record).cloned()
    }

    /// The last terms of each endpoint.
    pub(super) fn last_terms(&self) -> BTreeMap<String, Arc<[u8]>> {
        self.terms.last()
    }

    /// Without the terms that an endpoint has passed where it stands after a change.
    pub(super) fn without_passed(&self, endpoint: &str, change: Change) -> Change {
        let needed = change.cursors.get(endpoint).or(self.cursors.get(endpoint)).map_or(0, |at| at.record);
        Change { terms: self.terms.passed(endpoint, needed), ..change }
    }

    pub(super) fn head(&self, number: u64) -> Option<Head> {
        match number.checked_sub(self.first) {
            Some(place) => self.heads.get(usize::try_from(place).ok()?).map(|(_, head)| *head),
            None => self.held.get(&number).copied(),
        }
    }

    /// Records that some endpoint still needs, and the oldest sample in them.
    pub(super) fn needed(&self) -> (usize, Option<i64>) {
        (self.heads.len(), self.heads.front().map(|(_, head)| head.at_ms))
    }

    /// How long there is room for at the rate of the last records, if nothing is delivered.
    pub(super) fn full_in(&self, bounds: Bounds) -> Option<Duration> {
        let (begin, end) = (self.recent.front()?, self.recent.back()?);
        let took_ms = u64::try_from(end.at_ms.checked_sub(begin.at_ms)?).ok().filter(|ms| *ms > 0)?;
        // The first one was there when the time began.
        let cost: u64 = self.recent.iter().skip(1).map(|head| self.parts.share(*head)).sum();
        let unneeded: u64 = self.unneeded(None).map(|(_, head)| head.cost()).sum();
        let room = bounds.cost.saturating_sub(self.cost() - unneeded);
        Duration::try_from_secs_f64(room as f64 / cost as f64 * took_ms as f64 / 1000.0).ok()
    }

    pub(super) fn waiting(&self, endpoint: &str) -> Waiting {
        let Some(cursor) = self.cursor(endpoint) else { return Waiting::default() };
        let skip = usize::try_from(cursor.record.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let next = self.heads.get(skip);
        let before = next.map_or(self.samples, |(before, _)| *before);
        Waiting {
            records: self.heads.len().saturating_sub(skip),
            samples: (self.samples - before).saturating_sub(cursor.sample as u64),
            oldest_ms: next.map(|(_, head)| head.at_ms),
            newest_ms: self.newest_ms,
        }
    }

    /// A change of nothing that is mirrored here.
    pub(super) fn unchanged(&self) -> Change {
        Change { first: self.first, ..Change::default() }
    }

    /// A cursor for an endpoint that has none.
    pub(super) fn register(&self, endpoint: &str, start: Start) -> Option<Change> {
        if self.cursors.contains_key(endpoint) {
            return None;
        }
        let record = match start {
            Start::Now => self.end(),
            Start::Oldest => self.first,
        };
        let at = Position { record, sample: 0 };
        Some(Change { cursors: BTreeMap::from([(endpoint.to_owned(), at)]), ..self.unchanged() })
    }

    /// An endpoint's cursor goes to the end, past everything that waits for it.
    pub(super) fn skip(&self, endpoint: &str) -> Change {
        let change = self.moved(endpoint, Position { record: self.end(), sample: 0 });
        self.free(change)
    }

    /// Every record that is needed.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        let kept = self.held.keys().copied().filter(|number| self.is_kept(*number, None));
        kept.chain(self.first..self.end())
    }

    /// Without an endpoint.
    pub(super) fn remove(&self, endpoint: &str) -> Change {
        let mut change = Change { removed: vec![endpoint.to_owned()], ..Change::default() };
        let others = self.cursors.iter().filter(|(name, _)| *name != endpoint);
        change.first = others.map(|(_, at)| at.record).min().unwrap_or(self.end());
        change.terms = self.terms.without(endpoint);
        self.free(change)
    }

    /// An endpoint has done everything between two positions; nothing where it no longer stands at the first.
    pub(super) fn acknowledge(&self, endpoint: &str, from: Position, to: Position) -> Option<Change> {
        // The record may have been dropped by a bound while its request was in flight.
        self.cursor(endpoint).filter(|at| *at == from)?;
        let whole = self.head(to.record).map_or(0, |head| head.samples);
        let is_done = to.sample as u64 >= whole;
        let to = if is_done { Position { record: (to.record + 1).min(self.end()), sample: 0 } } else { to };
        let change = self.moved(endpoint, to);
        let enough = self.freed(change.first, None).nth(FREED_AT_ONCE - 1).is_some();
        Some(if enough { self.free(change) } else { change })
    }

    /// A change with everything freed that nobody needs after it.
    fn free(&self, change: Change) -> Change {
        let freed: Vec<u64> = self.freed(change.first, None).collect();
        let nothing = Plan::default();
        let mut ledger = Ledger::new(&self.parts, &nothing, self.cost());
        freed.iter().filter_map(|number| self.head(*number)).for_each(|head| ledger.free(head));
        let parts = Plan { gone: ledger.gone(), ..Plan::default() };
        Change { freed, parts, ..change }
    }

    /// Without freeing anything.
    fn moved(&self, endpoint: &str, to: Position) -> Change {
        let others = self.cursors.iter().filter(|(name, _)| *name != endpoint);
        let first = others.map(|(_, at)| at.record).chain([to.record]).min().unwrap_or(self.end());
        Change { cursors: BTreeMap::from([(endpoint.to_owned(), to)]), first, ..Change::default() }
    }

    /// The record where an endpoint stands and those behind it that are of the same tick, at most so many.
    pub(super) fn ahead(&self, endpoint: &str, most: usize) -> impl Iterator<Item = (Position, Head)> {
        let at = self.cursor(endpoint).and_then(|at| Some((at, self.head(at.record)?)));
        let tick = at.map(|(_, head)| head.tick);
        let next = move |before: &(Position, Head)| {
            let at = Position { record: before.0.record + 1, sample: 0 };
            self.head(at.record).filter(|head| Some(head.tick) == tick).map(|head| (at, head))
        };
        std::iter::successors(at, next).take(most.max(1))
    }

    /// New records at the end; what the bounds do not allow goes, the oldest first.
    pub(super) fn append(&self, entry: &Entry, turns: &[Turn], bounds: Bounds) -> Change {
        let end = self.end() + entry.records.len() as u64;
        let new = self.end()..end;
        let old = self.kept.get(&entry.source).cloned().unwrap_or_default();
        let kept = match entry.scope {
            Scope::Whole => Some(Kept { whole: new, also: 0..0 }),
            Scope::Part => Some(Kept { whole: old.whole, also: new }),
            Scope::None => None,
        };
        let said = kept.as_ref().map(|kept| (&*entry.source, kept));
        let mut parts = self.parts.plan(self.end(), &entry.records);
        let heads: Vec<Head> = entry
            .records
            .iter()
            .zip(&parts.uses)
            .map(|(record, part)| Head::of(record, self.end(), *part))
            .collect();
        let head = |number: u64| {
            let place = number.checked_sub(self.end()).and_then(|place| usize::try_from(place).ok());
            place.map_or_else(|| self.head(number), |place| heads.get(place).copied())
        };
        let newest = heads.iter().map(|head| head.at_ms).max().max(self.newest_ms);
        let mut cursors = self.cursors.clone();
        let needed =
            |cursors: &BTreeMap<String, Position>| cursors.values().map(|at| at.record).min().unwrap_or(end);
        let cost = self.cost() + heads.iter().map(|head| head.cost()).sum::<u64>();
        let mut left = Ledger::new(&self.parts, &parts, cost);
        // What is freed without any bound is no cost to anyone.
        let still_kept = |number: u64| self.is_kept(number, said);
        self.unneeded(said).for_each(|(_, head)| left.free(head));
        let mut first = self.first;
        let mut dropped = Vec::new();
        loop {
            while first < needed(&cursors) {
                if let Some(head) = head(first).filter(|_| !still_kept(first)) {
                    left.free(head);
                }
                first += 1;
            }
            let Some(oldest) = head(first).filter(|_| first < end) else { break };
            let age = newest.map_or(0, |newest| newest.saturating_sub(oldest.at_ms));
            let bound = if left.cost > bounds.cost {
                Bound::Size
            } else if u128::try_from(age).is_ok_and(|age| age > bounds.age.as_millis()) {
                Bound::Age
            } else {
                break;
            };
            for (endpoint, at) in cursors.iter_mut().filter(|(_, at)| at.record == first) {
                let samples = oldest.samples.saturating_sub(at.sample as u64);
                *at = Position { record: first + 1, sample: 0 };
                count(&mut dropped, endpoint, usize::try_from(samples).unwrap_or(usize::MAX), bound);
            }
        }
        cursors.retain(|name, at| self.cursors.get(name) != Some(at));
        let of_entry = (self.end()..first).filter(|number| !said.is_some_and(|(_, kept)| kept.has(*number)));
        let freed = self.freed(first, said).chain(of_entry).collect();
        parts.gone = left.gone();
        Change {
            new: entry.records.clone(),
            parts,
            freed,
            cursors,
            removed: Vec::new(),
            kept: kept.map(|kept| (entry.source.clone(), kept)),
            first,
            dropped,
            terms: Terms::turned(turns, self.end()),
        }
    }

    /// Takes over what was committed.
    pub(super) fn apply(&mut self, change: Change) {
        let tick = self.end();
        for (record, part) in change.new.iter().zip(&change.parts.uses) {
            let head = Head::of(record, tick, *part);
            self.cost += head.cost();
            self.newest_ms = self.newest_ms.max(Some(head.at_ms));
            self.push(head);
        }
        while self.first < change.first {
            let Some((_, head)) = self.heads.pop_front() else { break };
            self.held.insert(self.first, head);
            self.first += 1;
        }
        let freed: Vec<Head> = change.freed.iter().filter_map(|number| self.held.remove(number)).collect();
        self.cost -= freed.iter().map(|head| head.cost()).sum::<u64>();
        self.parts.apply(change.parts, freed.iter().filter_map(|head| head.part));
        self.cursors.extend(change.cursors);
        for endpoint in change.removed {
            self.cursors.remove(&endpoint);
        }
        if let Some((source, kept)) = change.kept {
            self.kept.insert(source, kept);
        }
        self.terms.apply(change.terms);
    }

    /// The records before `first` that go, where one source's kept ones become others.
    fn freed<'a>(&'a self, first: u64, new: Option<(&'a str, &'a Kept)>) -> impl Iterator<Item = u64> + 'a {
        let passed = (self.first..first.min(self.end())).filter(move |number| !self.is_kept(*number, new));
        self.unneeded(new).map(|(number, _)| number).chain(passed)
    }

    fn is_kept(&self, number: u64, new: Option<(&str, &Kept)>) -> bool {
        let replaced = |source: &str| new.is_some_and(|(other, _)| other == source);
        new.is_some_and(|(_, kept)| kept.has(number))
            || self.kept.iter().any(|(source, kept)| !replaced(source) && kept.has(number))
    }
}

fn count(dropped: &mut Vec<Dropped>, endpoint: &str, samples: usize, bound: Bound) {
    match dropped.iter_mut().find(|known| known.endpoint == endpoint && known.bound == bound) {
        Some(known) => known.samples += samples,
        None => dropped.push(Dropped { endpoint: endpoint.to_owned(), samples, bound }),
    }
}
