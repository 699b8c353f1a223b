//! What the sources of one tick bring into its records: which samples, and what is said of some of them beside
//! their values. What a receiver would refuse for its time, and a series that two sources say, is left out and
//! counted.

use std::collections::{HashMap, HashSet};

use super::times::{Fate, Times};
use crate::sample::{
    Batch, Ended, Exemplar, Family, Kind, Labels, MetricName, Millis, Role, Series, SeriesId, Source,
};

/// A series as it is told apart from others of its tick.
type Key<'a> = (&'a MetricName, &'a Labels);

/// Samples that are in none of a tick's records, by why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// With a time of their own that is the last one of their series: a page that has not counted anew. No loss.
    pub repeated: usize,
    /// With a time before the last one of their series.
    pub older: usize,
    /// With a time over five minutes after the tick's.
    pub future: usize,
    /// Of series that a source before them in the order of sources says in the same tick.
    pub twice: usize,
    /// One of the older, future or twice ones.
    pub example: Option<String>,
}

/// What is said of a sample beside its value.
#[derive(Debug)]
pub(super) struct Extra<'a> {
    pub(super) at: i64,
    /// 0: not known.
    pub(super) start: i64,
    pub(super) exemplars: Vec<&'a Exemplar>,
}

/// What one source brings.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) batch: &'a Batch,
    /// By the positions of their series in the batch.
    pub(super) extras: Vec<(usize, Extra<'a>)>,
    /// Positions in the batch, sorted.
    pub(super) left_out: Vec<usize>,
    pub(super) ended: Vec<Ended>,
}

/// What a source has said the last time.
#[derive(Debug, Default)]
pub(super) struct Before<'a> {
    pub(super) families: &'a [Family],
    pub(super) at: Option<Millis>,
}

impl<'a> Part<'a> {
    /// What `batch` brings to the tick at `at`.
    pub(super) fn of(
        batch: &'a Batch,
        at: Millis,
        ended: Vec<Ended>,
        before: &Before<'_>,
        times: &mut Times,
        left: &mut LeftOut,
    ) -> Part<'a> {
        let mut part = Part { batch, extras: Vec::new(), left_out: Vec::new(), ended };
        let relayed = batch.families().iter().filter(|family| family.role == Role::Relayed);
        if times.is_empty() && !relayed.clone().any(|family| family.series.iter().any(|s| s.own.is_some())) {
            return part;
        }
        let (mut told, mut known) = (None, times.begin(at, before));
        for (position, (family, series)) in each(batch).enumerate() {
            let own = series.own.as_deref();
            let time = own.and_then(|own| own.at);
            match known.judge(&family.name, &series.labels, time) {
                Fate::Newer => {}
                fate => {
                    left.count(fate, family, series);
                    part.left_out.push(position);
                    continue;
                }
            }
            let Some(own) = own else { continue };
            let time = time.unwrap_or(at).0;
            let exemplars = if own.exemplars.is_empty() {
                Vec::new()
            } else {
                let told: &HashMap<Key<'_>, &[Exemplar]> = told.get_or_insert_with(|| exemplars(before));
                let told = told.get(&(&family.name, &series.labels)).copied().unwrap_or_default();
                let new = own.exemplars.iter().filter(|one| !told.contains(one) && fits(one, time));
                new.collect()
            };
            let start = own.start.filter(|start| counts(family.kind) && (1..time).contains(&start.0));
            let extra = Extra { at: time, start: start.map_or(0, |start| start.0), exemplars };
            part.extras.push((position, extra));
        }
        known.end();
        part
    }

    /// Walks over the batch's samples.
    pub(super) fn samples(&'a self) -> Samples<'a> {
        Samples { position: 0, extras: &self.extras, left_out: &self.left_out }
    }
}

/// A batch's samples one after the other.
pub(super) struct Samples<'a> {
    position: usize,
    extras: &'a [(usize, Extra<'a>)],
    left_out: &'a [usize],
}

impl<'a> Samples<'a> {
    /// Of the next sample what is said beside its value; nothing where it is left out.
    pub(super) fn next_one(&mut self) -> Option<Option<&'a Extra<'a>>> {
        let position = self.position;
        self.position += 1;
        let extra = match self.extras.split_first() {
            Some(((at, extra), rest)) if *at == position => {
                self.extras = rest;
                Some(extra)
            }
            _ => None,
        };
        match self.left_out.split_first() {
            Some((at, rest)) if *at == position => {
                self.left_out = rest;
                None
            }
            _ => Some(extra),
        }
    }
}

/// Leaves out what two sources say, and the ends of what another source goes on saying: a request holds each
/// series once. Whether anything was left out.
///
/// Series mostly carry the `job` and `instance` of their source. Only those that do not can be another's too.
pub(super) fn untangle(parts: &mut [Part<'_>], left: &mut LeftOut) -> bool {
    let mut foreign: HashSet<Key<'_>> = HashSet::new();
    let mut gone: HashSet<SeriesId> = HashSet::new();
    for part in parts.iter() {
        let all = each(part.batch).map(|(family, series)| (&family.name, &series.labels));
        foreign.extend(all.filter(|(_, labels)| !is_of(labels, part.batch.source())));
    }
    // The ends are taken out, so that what follows may change them.
    let ended: Vec<Vec<Ended>> = parts.iter_mut().map(|part| std::mem::take(&mut part.ended)).collect();
    for (part, ended) in parts.iter().zip(&ended) {
        let all = ended.iter().map(|one| &one.id);
        gone.extend(all.filter(|id| !is_of(&id.labels, part.batch.source())).cloned());
    }
    if foreign.is_empty() && gone.is_empty() {
        parts.iter_mut().zip(ended).for_each(|(part, ended)| part.ended = ended);
        return false;
    }
    let (mut said, mut found) = (HashSet::new(), false);
    for part in parts.iter_mut() {
        let mut twins = Vec::new();
        for (position, (family, series)) in each(part.batch).enumerate() {
            let key = (&family.name, &series.labels);
            let asked = foreign.contains(&key) || gone.contains(&id(family, series));
            if asked && part.left_out.binary_search(&position).is_err() && !said.insert(key) {
                left.twice += 1;
                left.show(family, series);
                twins.push(position);
            }
        }
        found |= !twins.is_empty();
        part.left_out.append(&mut twins);
        part.left_out.sort_unstable();
    }
    let mut told: HashSet<SeriesId> = HashSet::new();
    for (part, ended) in parts.iter_mut().zip(ended) {
        let is_over =
            |one: &Ended| !said.contains(&(&one.id.name, &one.id.labels)) && told.insert(one.id.clone());
        part.ended = ended.into_iter().filter(is_over).collect();
    }
    found
}

/// Every series of a batch, in its order.
pub(super) fn each(batch: &Batch) -> impl Iterator<Item = (&Family, &Series)> {
    batch.families().iter().flat_map(|family| family.series.iter().map(move |series| (family, series)))
}

fn id(family: &Family, series: &Series) -> SeriesId {
    SeriesId { name: family.name.clone(), labels: series.labels.clone() }
}

/// Whether a series carries the labels by which its source is known.
fn is_of(labels: &Labels, source: &Source) -> bool {
    match source {
        Source::Target { job, instance } => {
            labels.get("job") == Some(&**job) && labels.get("instance") == Some(&**instance)
        }
        // Another one's batch stands alone.
        Source::Account(_) | Source::Own => true,
    }
}

/// The exemplars that were told the last time: a page shows one until there is a newer one.
fn exemplars<'a>(before: &Before<'a>) -> HashMap<Key<'a>, &'a [Exemplar]> {
    let all = before.families.iter().flat_map(|family| {
        family.series.iter().filter_map(move |series| Some((family, series, series.own.as_deref()?)))
    });
    all.filter(|(.., own)| !own.exemplars.is_empty())
        .map(|(family, series, own)| ((&family.name, &series.labels), &own.exemplars[..]))
        .collect()
}

/// Whether an exemplar's time can be written as one that is later or earlier than its sample's.
fn fits(exemplar: &Exemplar, time: i64) -> bool {
    exemplar.at.is_none_or(|at| at.0.checked_sub(time).is_some())
}

/// Whether values of this type began at some time.
fn counts(kind: Kind) -> bool {
    matches!(kind, Kind::Counter | Kind::Histogram | Kind::Summary)
}

impl LeftOut {
    fn count(&mut self, fate: Fate, family: &Family, series: &Series) {
        match fate {
            Fate::Newer => return,
            Fate::Repeated => {
                self.repeated += 1;
                return;
            }
            Fate::Older => self.older += 1,
            Fate::Future => self.future += 1,
        }
        self.show(family, series);
    }

    fn show(&mut self, family: &Family, series: &Series) {
        self.example.get_or_insert_with(|| id(family, series).to_string());
    }
}
