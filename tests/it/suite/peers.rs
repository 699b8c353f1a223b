//! The harness tried with senders whose scores in the official suites are known: Prometheus 2.42 passes all 19 cases of
//! the older one, Prometheus 3 all but Histogram, since it writes `le="1.0"` where the page says `le="1"`. A few of the
//! cases here, all of them with `make soak`.

use std::sync::Mutex;

use rstest::rstest;

use super::old;
use super::sender::Sender;
use crate::servers::Suite;
use crate::storm::report::setting;

/// So many at once: a case is mostly waiting.
const AT_ONCE: usize = 6;
const FEW: [&str; 4] = ["counter", "histogram", "retries400", "staleness"];

#[rstest]
#[case::prometheus_2(Suite::Stock, &[])]
#[case::prometheus_3(Suite::New, &["histogram"])]
fn the_older_suite_scores_prometheus_as_it_is_known(#[case] suite: Suite, #[case] known: &[&str]) {
    let mut cases = old::all(Sender::Prometheus(suite));
    let count = cases.len();
    if setting("SUITE_PEERS", 0) == 0 {
        cases.retain(|(name, _)| FEW.contains(name));
    }
    assert!(cases.len() == FEW.len() || cases.len() == count);
    let rest = Mutex::new(cases);
    let next = || rest.lock().expect("nobody panics with it").pop();
    let work = || {
        let mut failed = Vec::new();
        while let Some((name, case)) = next() {
            // A case that fails has panicked, and said why.
            if std::thread::spawn(case).join().is_err() {
                failed.push(name);
            }
        }
        failed
    };
    let mut failed: Vec<&str> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("a case panics on its own thread"))
            .collect()
    });
    failed.sort_unstable();
    assert_eq!(failed, known);
}
