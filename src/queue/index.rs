//! What the store holds, mirrored in memory: heads of records, cursors, what each source last said. A wish
//! goes in, a [`Change`] comes out; once it is committed it is applied. Pure: no disk, no clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Duration;

use super::{Bound, Dropped, Entry, Position, Record, Scope, Start, Waiting};

/// So many records tell the rate.
const RECENT: usize = 128;

/// What is known of a record without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) samples: u64,
    pub(super) oldest_ms: i64,
    /// Its encoded length.
    pub(super) bytes: u64,
}

impl Head {
    pub(super) fn of(record: &Record) -> Self {
        Head { samples: record.samples as u64, oldest_ms: record.oldest_ms, bytes: record.bytes.len() as u64 }
    }

    /// What it takes in the file: a value has pages of its own, as many as the next power of two.
    pub(super) fn cost(self) -> u64 {
        const PAGE: u64 = 4096;
        (self.bytes + 64).div_ceil(PAGE).next_power_of_two() * PAGE
    }
}

/// The records of a source from which its present series can be read: they stay until newer ones do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// The last ones that spoke for all of its series.
    pub(super) whole: Range<u64>,
    /// The last ones after these that spoke for some.
    pub(super) also: Range<u64>,
}

impl Kept {
    fn has(&self, number: u64) -> bool {
        self.whole.contains(&number) || self.also.contains(&number)
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        self.whole.clone().chain(self.also.clone())
    }
}

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
}

/// The mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// From `first` on without a gap, each with the number of samples before it.
    heads: VecDeque<(u64, Head)>,
    /// How many samples `heads` and all before them had.
    samples: u64,
    first: u64,
    /// Records before `first` that are there since a source last spoke in them.
    held: BTreeMap<u64, Head>,
    cursors: BTreeMap<String, Position>,
    kept: BTreeMap<String, Kept>,
    newest_ms: Option<i64>,
    cost: u64,
    /// The last records that were appended, for the rate.
    recent: VecDeque<Head>,
}

impl Index {
    /// As a store says it; nothing where the heads have a gap, which no transaction leaves.
    pub(super) fn load(
        heads: impl Iterator<Item = (u64, Head)>,
        first: u64,
        cursors: BTreeMap<String, Position>,
        kept: BTreeMap<String, Kept>,
    ) -> Option<Self> {
        let mut index = Index { first, cursors, kept, ..Index::default() };
        for (number, head) in heads {
            index.cost += head.cost();
            index.newest_ms = index.newest_ms.max(Some(head.oldest_ms));
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

    pub(super) fn cost(&self) -> u64 {
        self.cost
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

    pub(super) fn head(&self, number: u64) -> Option<Head> {
        match number.checked_sub(self.first) {
            Some(place) => self.heads.get(usize::try_from(place).ok()?).map(|(_, head)| *head),
            None => self.held.get(&number).copied(),
        }
    }

    /// Records that some endpoint still needs, and the oldest sample in them.
    pub(super) fn needed(&self) -> (usize, Option<i64>) {
        (self.heads.len(), self.heads.front().map(|(_, head)| head.oldest_ms))
    }

    /// How long there is room for at the rate of the last records, if nothing is delivered.
    pub(super) fn full_in(&self, bounds: Bounds) -> Option<Duration> {
        let (begin, end) = (self.recent.front()?, self.recent.back()?);
        let took_ms = u64::try_from(end.oldest_ms.checked_sub(begin.oldest_ms)?).ok().filter(|ms| *ms > 0)?;
        // The first one was there when the time began.
        let cost: u64 = self.recent.iter().skip(1).map(|head| head.cost()).sum();
        let room = bounds.cost.saturating_sub(self.cost);
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
            oldest_ms: next.map(|(_, head)| head.oldest_ms),
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
        self.moved(endpoint, Position { record: self.end(), sample: 0 })
    }

    /// Every record that is there.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.held.keys().copied().chain(self.first..self.end())
    }

    /// Without an endpoint.
    pub(super) fn remove(&self, endpoint: &str) -> Change {
        let mut change = Change { removed: vec![endpoint.to_owned()], ..Change::default() };
        let others = self.cursors.iter().filter(|(name, _)| *name != endpoint);
        change.first = others.map(|(_, at)| at.record).min().unwrap_or(self.end());
        change.freed = self.freed(change.first, None);
        change
    }

    /// An endpoint has done `samples` samples from `from` on; nothing where it no longer stands there.
    pub(super) fn acknowledge(&self, endpoint: &str, from: Position, samples: usize) -> Option<Change> {
        // The record may have been dropped by a bound while its request was in flight.
        let at = self.cursor(endpoint).filter(|at| *at == from)?;
        let whole = self.head(at.record).map_or(0, |head| head.samples);
        let sample = at.sample + samples;
        let moved = if sample as u64 >= whole {
            Position { record: at.record + 1, sample: 0 }
        } else {
            Position { sample, ..at }
        };
        Some(self.moved(endpoint, moved))
    }

    fn moved(&self, endpoint: &str, to: Position) -> Change {
        let others = self.cursors.iter().filter(|(name, _)| *name != endpoint);
        let first = others.map(|(_, at)| at.record).chain([to.record]).min().unwrap_or(self.end());
        Change {
            cursors: BTreeMap::from([(endpoint.to_owned(), to)]),
            first,
            freed: self.freed(first, None),
            ..Change::default()
        }
    }

    /// New records at the end; what the bounds do not allow goes, the oldest first.
    pub(super) fn append(&self, entry: &Entry, bounds: Bounds) -> Change {
        let end = self.end() + entry.records.len() as u64;
        let new = self.end()..end;
        let old = self.kept.get(&entry.source).cloned().unwrap_or_default();
        let kept = match entry.scope {
            Scope::Whole => Kept { whole: new, also: 0..0 },
            Scope::Part => Kept { whole: old.whole, also: new },
        };
        let heads: Vec<Head> = entry.records.iter().map(Head::of).collect();
        let head = |number: u64| {
            let place = number.checked_sub(self.end()).and_then(|place| usize::try_from(place).ok());
            place.map_or_else(|| self.head(number), |place| heads.get(place).copied())
        };
        let newest = heads.iter().map(|head| head.oldest_ms).max().max(self.newest_ms);
        let mut cursors = self.cursors.clone();
        let needed =
            |cursors: &BTreeMap<String, Position>| cursors.values().map(|at| at.record).min().unwrap_or(end);
        let mut cost = self.cost + heads.iter().map(|head| head.cost()).sum::<u64>();
        // What is freed without any bound is no cost to anyone.
        let still_kept = |number: u64| self.is_kept(number, Some((&entry.source, &kept)));
        cost -=
            self.superseded(&entry.source, &kept).filter_map(|n| self.head(n)).map(Head::cost).sum::<u64>();
        let mut first = self.first;
        let mut dropped = Vec::new();
        loop {
            while first < needed(&cursors) {
                cost -= head(first).filter(|_| !still_kept(first)).map_or(0, Head::cost);
                first += 1;
            }
            let Some(oldest) = head(first).filter(|_| first < end) else { break };
            let age = newest.map_or(0, |newest| newest.saturating_sub(oldest.oldest_ms));
            let bound = if cost > bounds.cost {
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
        let mut freed = self.freed(first, Some((&entry.source, &kept)));
        freed.extend((self.end()..first).filter(|number| !kept.has(*number)));
        Change {
            new: entry.records.clone(),
            freed,
            cursors,
            removed: Vec::new(),
            kept: Some((entry.source.clone(), kept)),
            first,
            dropped,
        }
    }

    /// Takes over what was committed.
    pub(super) fn apply(&mut self, change: Change) {
        for record in &change.new {
            let head = Head::of(record);
            self.cost += head.cost();
            self.newest_ms = self.newest_ms.max(Some(head.oldest_ms));
            self.push(head);
        }
        while self.first < change.first {
            let Some((_, head)) = self.heads.pop_front() else { break };
            self.held.insert(self.first, head);
            self.first += 1;
        }
        for number in change.freed {
            self.cost -= self.held.remove(&number).map_or(0, Head::cost);
        }
        self.cursors.extend(change.cursors);
        for endpoint in change.removed {
            self.cursors.remove(&endpoint);
        }
        if let Some((source, kept)) = change.kept {
            self.kept.insert(source, kept);
        }
    }

    /// The records before `first` that go, where one source's kept ones become others.
    fn freed(&self, first: u64, new: Option<(&str, &Kept)>) -> Vec<u64> {
        let passed = (self.first..first.min(self.end())).filter(|number| !self.is_kept(*number, new));
        let superseded = new.into_iter().flat_map(|(source, kept)| self.superseded(source, kept));
        passed.chain(superseded).collect()
    }

    /// Held records that only this source needed, and no longer does.
    fn superseded<'a>(&'a self, source: &'a str, new: &'a Kept) -> impl Iterator<Item = u64> + 'a {
        let old: BTreeSet<u64> = self.kept.get(source).into_iter().flat_map(Kept::numbers).collect();
        old.into_iter()
            .filter(move |number| *number < self.first && !self.is_kept(*number, Some((source, new))))
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
