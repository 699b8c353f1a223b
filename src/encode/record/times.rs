//! When each series was last said of those that tell their own times: a receiver refuses what is not newer, and
//! with it, in 1.0, the whole request.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::tick::Before;
use crate::sample::{Labels, MetricName, Millis, Series, SeriesId};

/// A sample that is further ahead of its tick would block every other sender at some receivers.
const AHEAD: Duration = Duration::from_secs(300);
/// So many series more than there are now are remembered.
const SPARE: usize = 1_000;

/// What becomes of a sample for its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Newer,
    Repeated,
    Older,
    Future,
}

/// The last own time of each series of one source that has ever told one.
#[derive(Debug, Default)]
pub(super) struct Times(HashMap<SeriesId, Told>);

#[derive(Debug)]
struct Told {
    time: Millis,
    /// The last tick that had it.
    tick: Millis,
}

impl Times {
    pub(super) fn of(known: impl IntoIterator<Item = (SeriesId, Millis)>) -> Times {
        Times(known.into_iter().map(|(id, time)| (id, Told { time, tick: Millis(0) })).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Judges the samples of a tick at `at`.
    pub(super) fn begin<'a>(&'a mut self, at: Millis, before: &'a Before<'a>) -> Judge<'a> {
        Judge { times: self, at, before, without: None, now: 0 }
    }
}

/// A tick of one source.
pub(super) struct Judge<'a> {
    times: &'a mut Times,
    at: Millis,
    before: &'a Before<'a>,
    /// The series that had no time of their own when the source last spoke, where that was asked.
    without: Option<HashSet<(&'a MetricName, &'a Labels)>>,
    /// How many series tell their own times.
    now: usize,
}

impl Judge<'_> {
    /// A sample of this series, with its own time or the tick's.
    pub(super) fn judge(&mut self, name: &MetricName, labels: &Labels, own: Option<Millis>) -> Fate {
        if own.is_none() && self.times.is_empty() {
            return Fate::Newer;
        }
        let id = SeriesId { name: name.clone(), labels: labels.clone() };
        let Some(own) = own else {
            let fate = self.times.0.get(&id).map_or(Fate::Newer, |last| later(self.at, last.time));
            if fate == Fate::Newer {
                self.times.0.remove(&id);
            }
            return fate;
        };
        self.now += 1;
        if own > self.at + AHEAD {
            return Fate::Future;
        }
        // A record writes by how much a time differs from the tick's.
        if own.0.checked_sub(self.at.0).is_none() {
            return Fate::Older;
        }
        if let Some(told) = self.times.0.get_mut(&id) {
            told.tick = self.at;
            let fate = later(own, told.time);
            told.time = told.time.max(own);
            return fate;
        }
        let fate = self.last_without(name, labels).map_or(Fate::Newer, |last| later(own, last));
        if fate == Fate::Newer {
            self.times.0.insert(id, Told { time: own, tick: self.at });
        }
        fate
    }

    /// When the series was last said without a time of its own.
    fn last_without(&mut self, name: &MetricName, labels: &Labels) -> Option<Millis> {
        let before = self.before;
        let without = self.without.get_or_insert_with(|| {
            let all = before.families.iter().flat_map(|family| {
                let plain = |one: &&Series| one.own.as_ref().is_none_or(|own| own.at.is_none());
                family.series.iter().filter(plain).map(|series| (&family.name, &series.labels))
            });
            all.collect()
        });
        before.at.filter(|_| without.contains(&(name, labels)))
    }

    /// Forgets series that are no longer said, where they are many.
    pub(super) fn end(self) {
        let Judge { times, at, now, .. } = self;
        if times.0.len() > 2 * now + SPARE {
            times.0.retain(|_, told| told.tick == at);
        }
    }
}

fn later(time: Millis, last: Millis) -> Fate {
    match time.cmp(&last) {
        std::cmp::Ordering::Less => Fate::Older,
        std::cmp::Ordering::Equal => Fate::Repeated,
        std::cmp::Ordering::Greater => Fate::Newer,
    }
}
