//! Bytes that many records have alike and that the store keeps once: which there are, and how many records
//! still need each. Pure: a wish goes in, a [`Plan`] comes out; once it is committed it is applied.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::Record;
use super::head::{Head, pages};

/// Fewer bytes are not worth a row of their own.
const SHORTEST: usize = 512;
/// Damage to a part costs every record that it belongs to, so after so many it is written anew.
pub(super) const MOST_USES: u64 = 16;

/// Where in a record a part belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Use {
    /// The number of the record that brought it.
    pub(super) part: u64,
    /// How many of the record's own bytes come before it.
    pub(super) at: u64,
}

/// The parts that are there.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    all: BTreeMap<u64, Part>,
    /// Those that may be given to further records, by where their bytes stand in memory.
    by_place: HashMap<usize, u64>,
    /// What all of them take in the store's pages.
    cost: u64,
}

#[derive(Clone, Debug)]
struct Part {
    length: u64,
    /// How many records that are there need it.
    uses: u64,
    /// How many records it was given to.
    given: u64,
    /// Its bytes, as long as a further record may come with the very same.
    live: Option<Arc<[u8]>>,
}

/// What it means for the store is compared, not what is remembered besides.
impl PartialEq for Parts {
    fn eq(&self, other: &Self) -> bool {
        let plain = |parts: &Parts| -> Vec<(u64, u64, u64)> {
            parts.all.iter().map(|(number, part)| (*number, part.length, part.uses)).collect()
        };
        plain(self) == plain(other)
    }
}

impl Eq for Parts {}

/// What new records need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// For each of them its part; none where all its bytes are its own.
    pub(super) uses: Vec<Option<Use>>,
    /// The parts that are not there yet.
    pub(super) new: BTreeMap<u64, Arc<[u8]>>,
    /// The parts that nobody needs after this.
    pub(super) gone: Vec<u64>,
}

impl Parts {
    /// As a store says it: the lengths of all parts, and the records that need them.
    pub(super) fn load(lengths: &BTreeMap<u64, u64>, uses: impl Iterator<Item = Use>) -> Self {
        let part = |length: &u64| Part { length: *length, uses: 0, given: MOST_USES, live: None };
        let mut all: BTreeMap<u64, Part> =
            lengths.iter().map(|(number, length)| (*number, part(length))).collect();
        for one in uses {
            if let Some(part) = all.get_mut(&one.part) {
                part.uses += 1;
            }
        }
        let cost = lengths.values().copied().map(pages).sum();
        Parts { all, by_place: HashMap::new(), cost }
    }

    /// What records need that are numbered from `first` on.
    pub(super) fn plan(&self, first: u64, records: &[Record]) -> Plan {
        let mut plan = Plan::default();
        for (number, record) in (first..).zip(records) {
            let shared = record.shared.as_ref().filter(|shared| shared.bytes.len() >= SHORTEST);
            plan.uses.push(shared.map(|shared| {
                let known = self.by_place.get(&place(&shared.bytes)).copied();
                let part = known.filter(|part| self.has_room(*part)).unwrap_or_else(|| {
                    plan.new.insert(number, shared.bytes.clone());
                    number
                });
                Use { part, at: shared.at as u64 }
            }));
        }
        plan
    }

    fn has_room(&self, part: u64) -> bool {
        self.all.get(&part).is_some_and(|part| part.given < MOST_USES)
    }

    /// What all parts take in the store's pages.
    pub(super) fn cost(&self) -> u64 {
        self.cost
    }

    /// What a record takes, its share of what it has alike with others included.
    pub(super) fn share(&self, head: Head) -> u64 {
        let part = head.part.and_then(|one| self.all.get(&one.part));
        head.cost() + part.map_or(0, |part| pages(part.length) / MOST_USES)
    }

    /// The bytes of a part that is still in memory.
    pub(super) fn live(&self, part: u64) -> Option<Arc<[u8]>> {
        self.all.get(&part)?.live.clone()
    }

    /// Takes over what was committed: new records with their parts, and the parts of records that went.
    pub(super) fn apply(&mut self, plan: Plan, freed: impl Iterator<Item = Use>) {
        for (number, bytes) in plan.new {
            let length = bytes.len() as u64;
            if let Some(before) = self.by_place.insert(place(&bytes), number)
                && let Some(before) = self.all.get_mut(&before)
            {
                before.live = None;
            }
            self.cost += pages(length);
            self.all.insert(number, Part { length, uses: 0, given: 0, live: Some(bytes) });
        }
        for one in plan.uses.into_iter().flatten() {
            if let Some(part) = self.all.get_mut(&one.part) {
                part.uses += 1;
                part.given += 1;
            }
        }
        for one in freed {
            if let Some(part) = self.all.get_mut(&one.part) {
                part.uses = part.uses.saturating_sub(1);
            }
        }
        for number in plan.gone {
            self.forget(number);
        }
        self.let_go();
    }

    fn forget(&mut self, number: u64) {
        let Some(part) = self.all.remove(&number) else { return };
        self.cost -= pages(part.length);
        if let Some(bytes) = part.live {
            self.by_place.remove(&place(&bytes));
        }
    }

    /// Bytes that nobody else holds come with no further record.
    fn let_go(&mut self) {
        let Parts { all, by_place, .. } = self;
        by_place.retain(|_, number| {
            let Some(part) = all.get_mut(number) else { return false };
            let is_held = part.live.as_ref().is_some_and(|bytes| Arc::strong_count(bytes) > 1);
            if !is_held {
                part.live = None;
            }
            is_held
        });
    }
}

/// Reckons what is left while records go one by one.
#[derive(Debug)]
pub(super) struct Ledger<'a> {
    parts: &'a Parts,
    /// How often each part is needed, where that has changed.
    left: BTreeMap<u64, u64>,
    new: &'a BTreeMap<u64, Arc<[u8]>>,
    /// What everything takes that is left, in the store's pages.
    pub(super) cost: u64,
}

impl<'a> Ledger<'a> {
    /// Of what takes `cost` together with what a plan brings besides its records.
    pub(super) fn new(parts: &'a Parts, plan: &'a Plan, cost: u64) -> Self {
        let mut left: BTreeMap<u64, u64> = BTreeMap::new();
        for one in plan.uses.iter().flatten() {
            let known = || parts.all.get(&one.part).map_or(0, |part| part.uses);
            *left.entry(one.part).or_insert_with(known) += 1;
        }
        let brought: u64 = plan.new.values().map(|bytes| pages(bytes.len() as u64)).sum();
        Ledger { parts, left, new: &plan.new, cost: cost + brought }
    }

    /// A record goes.
    pub(super) fn free(&mut self, head: Head) {
        self.cost = self.cost.saturating_sub(head.cost());
        let Some(Use { part, .. }) = head.part else { return };
        let known = || self.parts.all.get(&part).map_or(0, |part| part.uses);
        let left = self.left.entry(part).or_insert_with(known);
        *left = left.saturating_sub(1);
        if *left == 0 {
            let old = self.parts.all.get(&part).map(|part| part.length);
            let length = old.or_else(|| self.new.get(&part).map(|bytes| bytes.len() as u64));
            self.cost = self.cost.saturating_sub(length.map_or(0, pages));
        }
    }

    /// The parts that nobody needs any more.
    pub(super) fn gone(&self) -> Vec<u64> {
        self.left.iter().filter(|(_, left)| **left == 0).map(|(part, _)| *part).collect()
    }
}

/// What a record takes in the store's pages, and its share of what it has alike with others.
pub(super) fn lasting_cost(record: &Record) -> u64 {
    let shared = record.shared.as_ref().map_or(0, |shared| shared.bytes.len());
    if shared < SHORTEST {
        return pages(record.length() as u64);
    }
    pages(record.own.len() as u64) + pages(shared as u64) / MOST_USES
}

/// Parts that were read last, up to so many bytes.
#[derive(Debug, Default)]
pub(super) struct Recent {
    all: VecDeque<(u64, Arc<[u8]>)>,
    bytes: usize,
}

/// As many as a tick of some ten thousand series has.
const MOST_RECENT: usize = 1 << 20;

impl Recent {
    pub(super) fn get(&mut self, number: u64) -> Option<Arc<[u8]>> {
        let place = self.all.iter().position(|(known, _)| *known == number)?;
        let found = self.all.remove(place)?;
        self.all.push_back(found.clone());
        Some(found.1)
    }

    pub(super) fn put(&mut self, number: u64, bytes: &Arc<[u8]>) {
        self.bytes += bytes.len();
        self.all.push_back((number, bytes.clone()));
        while self.bytes > MOST_RECENT {
            let Some((_, gone)) = self.all.pop_front() else { break };
            self.bytes -= gone.len();
        }
    }
}

fn place(bytes: &Arc<[u8]>) -> usize {
    Arc::as_ptr(bytes).cast::<u8>().addr()
}

#[cfg(test)]
mod tests {
    use super::super::Shared;
    use super::*;

    fn record(shared: &Arc<[u8]>) -> Record {
        let shared = Some(Shared { at: 1, bytes: shared.clone() });
        Record { own: Arc::from([1, 2, 3].as_slice()), shared, samples: 1, at_ms: 0 }
    }

    fn uses(plan: &Plan) -> Vec<Option<u64>> {
        plan.uses.iter().map(|one| one.map(|one| one.part)).collect()
    }

    #[test]
    fn the_very_same_bytes_are_kept_once_and_written_anew_after_many_uses() {
        let (layout, other): (Arc<[u8]>, Arc<[u8]>) = (vec![7; 600].into(), vec![7; 600].into());
        let mut parts = Parts::default();
        for number in 0..2 * MOST_USES {
            let plan = parts.plan(number, &[record(&layout)]);
            assert_eq!(uses(&plan), [Some(number / MOST_USES * MOST_USES)]);
            assert_eq!(plan.new.len(), usize::from(number % MOST_USES == 0));
            parts.apply(plan, std::iter::empty());
        }
        assert_eq!(uses(&parts.plan(500, &[record(&other)])), [Some(500)], "equal, but not known to be");
        assert_eq!(uses(&parts.plan(500, &[record(&vec![7; SHORTEST - 1].into())])), [None]);
    }

    #[test]
    fn bytes_that_nobody_holds_any_more_are_let_go() {
        let layout: Arc<[u8]> = vec![7; 600].into();
        let mut parts = Parts::default();
        let plan = parts.plan(0, &[record(&layout)]);
        parts.apply(plan, std::iter::empty());
        assert!(parts.live(0).is_some());
        drop(layout);
        parts.apply(Plan::default(), std::iter::empty());
        assert!(parts.live(0).is_none() && parts.by_place.is_empty());
        assert_eq!(parts.cost(), pages(600));
    }
}
