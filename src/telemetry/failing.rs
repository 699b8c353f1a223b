//! Which failures and refusals of a sink were logged lately, so that an outage does not flood the log.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::SinkKind;
use crate::sample::Text;

/// How often equal failures make a line.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// What was not seen for so long has ended: most targets are asked more often.
const QUIET: Duration = Duration::from_secs(600);

/// A sink's key in the status.
type Key = (SinkKind, Text);

/// The failures of each sink since it last took something.
#[derive(Debug, Default)]
pub(super) struct Failing(Mutex<BTreeMap<Key, Streak>>);

#[derive(Debug, Default)]
struct Streak {
    tries: u64,
    /// When each kind of failure last made a line.
    lines: BTreeMap<String, Instant>,
}

impl Failing {
    /// Counts a failure; whether it is to make a line.
    pub(super) fn failed(&self, sink: &Key, why: &str, now: Instant) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let streak = all.entry(sink.clone()).or_default();
        streak.tries += 1;
        let kind = kind(why);
        let lately = streak.lines.get(kind).is_some_and(|at| now.duration_since(*at) < LINE_EVERY);
        if !lately {
            streak.lines.insert(kind.to_owned(), now);
        }
        !lately
    }

    /// Forgets a sink's failures and says how many there were; none where there were none.
    pub(super) fn recovered(&self, sink: &Key) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(sink).map(|streak| streak.tries)
    }
}

/// Refusals of one kind that follow each other: after an outage there are as many as there were cycles.
#[derive(Debug, Default)]
pub(super) struct Runs(Mutex<BTreeMap<(Key, String), Instant>>);

impl Runs {
    /// Whether a refusal is the first of its run, which lasts until none has come for a while.
    pub(super) fn begins(&self, sink: &Key, why: &str, now: Instant) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.insert((sink.clone(), kind(why).to_owned()), now);
        before.is_none_or(|before| now.duration_since(before) >= LINE_EVERY)
    }
}

/// Something that is told when it begins and when it has ended. Only some of what is looked at shows it, so it ends
/// when it was not seen for a while.
#[derive(Debug, Default)]
pub(super) struct Spell(Mutex<Option<Instant>>);

/// What is to be told of a [`Spell`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Begins,
    Ends,
}

impl Spell {
    /// Whether this was seen now.
    pub(super) fn seen(&self, is_so: bool, now: Instant) -> Option<Turn> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_ended = last.is_none_or(|last| now.duration_since(last) >= QUIET);
        if is_so {
            *last = Some(now);
            return has_ended.then_some(Turn::Begins);
        }
        last.take_if(|_| has_ended).map(|_| Turn::Ends)
    }
}

/// What follows is details, such as a request's number.
fn kind(why: &str) -> &str {
    let kind = why.split_once(": ").map_or(why, |(kind, _)| kind);
    kind.split_once("; ").map_or(kind, |(kind, _)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_failures_make_a_line_a_minute_and_another_one_at_once() {
        let (failing, start) = (Failing::default(), Instant::now());
        let sink = |kind| (kind, Text::from("env"));
        let (a, b) = (sink(SinkKind::RemoteWrite), sink(SinkKind::Pushgateway));
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(failing.failed(&a, "answered 503: request 1", at(0)));
        assert!(!failing.failed(&a, "answered 503: request 2", at(59)));
        assert!(failing.failed(&a, "no connection: refused", at(59)));
        assert!(failing.failed(&b, "http://g:9091/a answered 503: request 4", at(59)));
        assert!(!failing.failed(&b, "http://g:9091/a answered 503; wait", at(59)));
        assert!(failing.failed(&b, "http://g:9091/a answered 500", at(59)));
        assert!(failing.failed(&a, "answered 503: request 3", at(60)));
        assert_eq!((failing.recovered(&a), failing.recovered(&a)), (Some(4), None));
        assert!(failing.failed(&a, "answered 503", at(61)));
    }

    #[test]
    fn a_spell_is_told_at_its_begin_and_once_it_was_not_seen_for_a_while() {
        let (spell, start) = (Spell::default(), Instant::now());
        let seen = |is_so, seconds| spell.seen(is_so, start + Duration::from_secs(seconds));
        assert_eq!(
            [seen(false, 0), seen(true, 1), seen(false, 1), seen(true, 61)],
            [None, Some(Turn::Begins), None, None]
        );
        assert_eq!([seen(false, 660), seen(false, 661), seen(false, 662)], [None, Some(Turn::Ends), None]);
        assert_eq!([seen(true, 700), seen(true, 1_300)], [Some(Turn::Begins); 2]);
    }

    #[test]
    fn a_run_of_refusals_is_told_once_and_another_one_or_a_later_one_again() {
        let (runs, start) = (Runs::default(), Instant::now());
        let sink = (SinkKind::RemoteWrite, Text::from("env"));
        let at = |seconds| start + Duration::from_secs(seconds);
        let begins: Vec<bool> = [(0, "answered 400: a"), (59, "answered 400: b"), (118, "answered 400: c")]
            .map(|(seconds, why)| runs.begins(&sink, why, at(seconds)))
            .into();
        assert_eq!(begins, [true, false, false]);
        assert!(runs.begins(&sink, "older than queue.max_age: x", at(118)));
        assert!(runs.begins(&sink, "answered 400: d", at(178)));
    }
}
