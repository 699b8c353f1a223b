//! What was committed arrives: the real binary is killed, its receiver is down for a day, its disk is full,
//! real servers die under it. What it should have delivered is read from its store and from its log.
//! `make soak` runs the same tests for longer and alone; their figures go to `docs/soak.md`.

mod answers;
pub mod disk;
mod door;
mod kills;
mod log;
mod odometer;
mod outage;
mod prometheus;
mod read_only;
pub mod report;
mod store;

use std::collections::BTreeMap;

use fleetpush::demo::receiver::{self, Labels, Sample};

/// Holds every request that was taken, in the order of arrival, against the rule: for each series a later
/// time, or the samples of the request before once more. Says how many requests were repeated.
pub fn strictly_rising(remote: &receiver::Server) -> usize {
    let mut last = BTreeMap::<Labels, Sample>::new();
    let mut repeated = 0;
    for delivery in remote.deliveries().iter().filter(|delivery| (200..300).contains(&delivery.status)) {
        let (mut new, mut again) = (0, 0);
        for series in &delivery.series {
            let [sample] = series.samples[..] else {
                panic!("{:?} stands twice in one request", series.labels)
            };
            match last.get(&series.labels) {
                Some(before) if before.timestamp == sample.timestamp => {
                    assert_eq!(
                        before.bits, sample.bits,
                        "another value for the same time of {:?}",
                        series.labels
                    );
                    again += 1;
                    continue;
                }
                Some(before) => {
                    assert!(
                        before.timestamp < sample.timestamp,
                        "{:?}: {} after {}",
                        series.labels,
                        sample.timestamp,
                        before.timestamp
                    );
                    new += 1;
                }
                None => new += 1,
            }
            last.insert(series.labels.clone(), sample);
        }
        assert!(new == 0 || again == 0, "a request with {new} new samples repeats {again} others");
        repeated += usize::from(again > 0);
    }
    repeated
}
