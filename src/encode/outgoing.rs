//! Records under the labels with which they leave for an endpoint. What becomes of a layout is found once, and
//! kept with it. Of two series that have become equal the first one leaves: it owns the labels until it ends.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cache::{Cache, Whose};
use super::record::{Flat, Layout, LayoutBytes, Renamed, hash, rewritten};
use super::{EncodeError, Labelling};
use crate::sample::{METRIC_NAME, Text, Value};

/// A series that was not said for one to two of these has given up its labels: it ended without a marker.
const AGE_MS: i64 = 300_000;

/// Why a series does not leave that no rule drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// Another one has its labels.
    Equal,
    /// It has no name any more.
    Nameless,
}

/// A series that does not leave, though no rule drops it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    at: u32,
    /// Why.
    pub why: Unsent,
    /// Its labels as they would be.
    pub series: String,
}

/// A record as it leaves.
#[derive(Clone, Debug)]
pub struct Outgoing {
    record: Arc<Flat>,
    plan: Option<Arc<Plan>>,
}

impl Outgoing {
    /// What leaves.
    pub fn record(&self) -> &Arc<Flat> {
        &self.record
    }

    /// Where the samples of the queue's record in `range` stand in what leaves.
    pub fn range(&self, range: &Range<usize>) -> Range<usize> {
        let Some(plan) = &self.plan else { return range.clone() };
        let place = |sample: usize| plan.kept.partition_point(|at| (*at as usize) < sample);
        place(range.start)..place(range.end)
    }

    /// What of `range` does not leave, though no rule drops it.
    pub fn held(&self, range: &Range<usize>) -> &[Held] {
        let Some(plan) = &self.plan else { return &[] };
        let place = |sample: usize| plan.held.partition_point(|held| (held.at as usize) < sample);
        plan.held.get(place(range.start)..place(range.end)).unwrap_or_default()
    }
}

/// What becomes of a layout's series.
#[derive(Debug)]
pub(super) struct Plan {
    layout: Arc<Layout>,
    /// Which of them leave.
    kept: Box<[u32]>,
    claims: Box<[Claim]>,
    held: Box<[Held]>,
    /// It holds as long as nobody has given up labels since then.
    epoch: AtomicU64,
}

/// A series that wants to leave.
#[derive(Clone, Copy, Debug)]
struct Claim {
    at: u32,
    /// Of its labels before.
    origin: u64,
    /// Of its labels after.
    labels: u64,
}

impl Plan {
    /// About how much memory it takes beside its layout, which is counted as one.
    pub(super) fn size(&self) -> usize {
        let held = self.held.iter().map(|held| size_of::<Held>() + held.series.len()).sum::<usize>();
        size_of::<Plan>() + size_of_val(&*self.kept) + size_of_val(&*self.claims) + held
    }
}

/// Puts records under their new labels.
#[derive(Debug)]
pub(super) struct Relabeller {
    labelling: Labelling,
    /// Whose labels these are, by their hash.
    owners: HashMap<u64, Owner>,
    /// The present one, by the newest record.
    age: i64,
    /// Rises when labels may have become free.
    epoch: u64,
    /// The labels of series that have ended at this time. Samples of the same time may be on their way at once.
    ended: (i64, Vec<u64>),
}

#[derive(Clone, Copy, Debug)]
struct Owner {
    /// Hash of the labels before.
    origin: u64,
    /// In which age it was said last.
    age: i64,
}

impl Relabeller {
    pub(super) fn new(labelling: Labelling) -> Relabeller {
        Relabeller { labelling, owners: HashMap::new(), age: 0, epoch: 0, ended: (0, Vec::new()) }
    }

    pub(super) fn outgoing(&mut self, cache: &mut Cache, record: &Flat) -> Result<Outgoing, EncodeError> {
        self.release(record.common_timestamp());
        let known = cache.plan(record.layout());
        let plan = match known.filter(|plan| self.still_holds(plan)) {
            Some(plan) => plan,
            None => {
                let plan = Arc::new(self.plan(record)?);
                cache.keep_plan(record.layout(), &plan);
                plan
            }
        };
        // Its requests are kept with it.
        if cache.layout(&LayoutBytes::Apart(plan.layout.shared())).is_none() {
            cache.admit(plan.layout.clone(), Whose::Own);
        }
        let outgoing = record.under(plan.layout.clone(), &plan.kept);
        self.note_ended(&plan, record, &outgoing);
        Ok(Outgoing { record: Arc::new(outgoing), plan: Some(plan) })
    }

    /// The series that have ended at another time than this have given up their labels.
    fn release(&mut self, now: i64) {
        let (at, ended) = &mut self.ended;
        if *at != now && !ended.is_empty() {
            for labels in ended.drain(..) {
                self.owners.remove(&labels);
            }
            self.epoch += 1;
        }
        let age = now / AGE_MS;
        if age > self.age {
            self.age = age;
            self.owners.retain(|_, owner| owner.age + 1 >= age);
            self.epoch += 1;
        }
    }

    fn note_ended(&mut self, plan: &Plan, record: &Flat, outgoing: &Flat) {
        let stale = Value::STALE.bits().to_le_bytes();
        let values = outgoing.values(0..outgoing.series_count());
        if !values.contains(&stale) {
            return;
        }
        let gone: Vec<u32> =
            values.iter().zip(&plan.kept).filter(|(value, _)| **value == stale).map(|(_, at)| *at).collect();
        let labels = plan.claims.iter().filter(|claim| gone.binary_search(&claim.at).is_ok());
        self.ended.0 = record.common_timestamp();
        self.ended.1.extend(labels.map(|claim| claim.labels));
    }

    /// Whether the same series of a layout leave as when it was looked at last.
    fn still_holds(&mut self, plan: &Plan) -> bool {
        if plan.epoch.load(Ordering::Relaxed) == self.epoch {
            return true;
        }
        // All of them, so that every one has its labels.
        let leave: Vec<u32> =
            plan.claims.iter().filter(|claim| self.owns(claim)).map(|claim| claim.at).collect();
        let holds = *leave == *plan.kept;
        if holds {
            plan.epoch.store(self.epoch, Ordering::Relaxed);
        }
        holds
    }

    /// Whether a series has its labels now: they are free, or were its own.
    fn owns(&mut self, claim: &Claim) -> bool {
        let age = self.age;
        let owner = self.owners.entry(claim.labels).or_insert(Owner { origin: claim.origin, age });
        let is_it = owner.origin == claim.origin;
        owner.age = if is_it { age } else { owner.age };
        is_it
    }

    fn plan(&mut self, record: &Flat) -> Result<Plan, EncodeError> {
        let texts: Vec<Text> = record.symbols().map(|text| String::from_utf8_lossy(text).into()).collect();
        let (mut leave, mut claims, mut held) = (Vec::new(), Vec::new(), Vec::new());
        let (mut refs, mut mixed) = (Vec::new(), Vec::new());
        for at in 0..super::record::count(record.series_count()) {
            record.refs(at as usize, &mut refs);
            let text = |reference: u32| texts.get(reference as usize).cloned().unwrap_or_else(|| "".into());
            let (pairs, _) = refs.as_chunks::<2>();
            let before: Vec<_> = pairs.iter().map(|[name, value]| (text(*name), text(*value))).collect();
            let origin = hash_of(&before, &mut mixed);
            let Some(labels) = self.labelling.apply(before) else { continue };
            if !labels.iter().any(|(name, _)| **name == *METRIC_NAME) {
                held.push(Held { at, why: Unsent::Nameless, series: shown(&labels) });
                continue;
            }
            let claim = Claim { at, origin, labels: hash_of(&labels, &mut mixed) };
            claims.push(claim);
            if self.owns(&claim) {
                leave.push(Renamed { at, labels });
            } else {
                held.push(Held { at, why: Unsent::Equal, series: shown(&labels) });
            }
        }
        Ok(Plan {
            layout: Arc::new(rewritten(record, &leave)?),
            kept: leave.iter().map(|one| one.at).collect(),
            claims: claims.into(),
            held: held.into(),
            epoch: AtomicU64::new(self.epoch),
        })
    }
}

impl Outgoing {
    /// A record whose labels are its own.
    pub(super) fn unchanged(record: Arc<Flat>) -> Outgoing {
        Outgoing { record, plan: None }
    }
}

/// No text has these bytes.
const END: u8 = 0xff;

fn hash_of(labels: &[(Text, Text)], mixed: &mut Vec<u8>) -> u64 {
    mixed.clear();
    for (name, value) in labels {
        for text in [name, value] {
            mixed.extend_from_slice(text.as_bytes());
            mixed.push(END);
        }
    }
    hash(mixed)
}

/// A series as PromQL writes it.
fn shown(labels: &[(Text, Text)]) -> String {
    let name = labels.iter().find(|(name, _)| **name == *METRIC_NAME).map_or("", |(_, value)| value);
    let others = labels.iter().filter(|(name, _)| **name != *METRIC_NAME);
    let others: Vec<String> = others.map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{name}{{{}}}", others.join(","))
}
