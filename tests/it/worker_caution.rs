//! The worker before a receiver that refuses everything from the start: a backlog is not put aside as a whole before
//! anybody has looked.

use std::time::Duration;

use fleetpush::config::{ProtobufMessage, Retry};
use fleetpush::demo::receiver::{Fault, Times};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::remote_rig::{Rig, now, simulated};
use fleetpush::demo::receiver::Personality::Prometheus242;

/// Twenty cycles of 1.0 before an endpoint whose pauses are longer than any test.
fn rig(url: &str) -> Rig {
    let mut rig = Rig::new(url).message(ProtobufMessage::V1);
    rig.endpoint.retry = Retry { min: Duration::from_secs(3600), max: Duration::from_secs(3600) };
    let at = now();
    for cycle in 0..20 {
        rig.append(at + cycle, &[("a", cycle as f64)]);
    }
    rig
}

/// Drains; a pause that goes beyond the deadline ends it at once.
async fn drained(rig: &Rig) -> (u64, u64, u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let drained = rig.worker().drain(deadline, &CancellationToken::new()).await;
    (drained.delivered_samples, drained.refused_samples, drained.waiting_samples)
}

#[tokio::test]
async fn after_a_first_no_that_says_nothing_of_the_samples_the_rest_waits() {
    let server = simulated(Prometheus242).await;
    server.inject(Fault::status_with(400, "bad request"), Times::Always);
    let rig = rig(&server.write_url());
    assert_eq!(drained(&rig).await, (0, 1, 19));
    assert_eq!(server.request_count(), 1);
}

#[tokio::test]
async fn once_something_was_taken_a_no_holds_nothing_back() {
    let server = simulated(Prometheus242).await;
    let rig = rig(&server.write_url());
    // The first one is answered as it would be, only through the list of faults.
    server.inject(Fault::Hang(Duration::ZERO), Times::Next(1));
    server.inject(Fault::status_with(400, "bad request"), Times::Next(3));
    assert_eq!(drained(&rig).await, (17, 3, 0));
}

#[tokio::test]
async fn a_backlog_that_is_too_old_is_soon_behind() {
    let server = simulated(Prometheus242).await;
    server.inject(Fault::status_with(400, "out of bounds"), Times::Next(19));
    let rig = rig(&server.write_url());
    assert_eq!(drained(&rig).await, (1, 19, 0));
}
