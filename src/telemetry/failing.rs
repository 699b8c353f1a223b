//! Which failures of a sink were logged lately, so that an outage does not flood the log.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::SinkKind;
use crate::sample::Text;

/// How often equal failures make a line.
const LINE_EVERY: Duration = Duration::from_secs(60);

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
        // What follows is details, such as a request's number. A URL's colons are none of these.
        let kind = why.split("; ").next().and_then(|first| first.split(": ").next()).unwrap_or_default();
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
        assert!(failing.failed(&a, "http://a:1/x answered 503: request 4", at(59)));
        assert!(failing.failed(&a, "http://a:1/x was not reached: refused", at(59)));
        assert!(failing.failed(&b, "answered 503", at(59)));
        assert!(failing.failed(&a, "answered 503: request 3", at(60)));
        assert_eq!((failing.recovered(&a), failing.recovered(&a)), (Some(6), None));
        assert!(failing.failed(&a, "answered 503", at(61)));
    }
}
