//! Requests of one tick that go at once: how many, what waits for what, and what an answer in their midst leads
//! to for those before and behind it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use fleetpush::config::ProtobufMessage;
use fleetpush::pb::{remote_write_v1 as v1, remote_write_v2 as v2};
use prost::Message;
use rstest::rstest;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::remote_rig::{LIMIT, Rig, now};
use crate::servers::eventually;

/// A request with samples as it came.
#[derive(Clone, Debug)]
struct Came {
    /// The value of its first series, which is the number of its fleet.
    first: usize,
    series: usize,
    at: i64,
    /// How many were in flight, itself among them.
    in_flight: usize,
    metadata: usize,
}

/// An answer to 2.0 that says nothing of what was written: nothing was.
const SILENT: u16 = 299;

/// What the receiver is told to do, by the number of a request's first fleet; once each.
type Answers = BTreeMap<usize, u16>;

#[derive(Debug)]
struct Receiver {
    came: Mutex<Vec<Came>>,
    in_flight: Mutex<usize>,
    answers: Mutex<Answers>,
    /// A request is answered with one of these.
    permits: Semaphore,
    url: String,
}

impl Receiver {
    /// Answers at once, but for those that `answers` tells otherwise.
    async fn answering(answers: &[(usize, u16)]) -> Arc<Self> {
        Self::start(answers, Semaphore::MAX_PERMITS).await
    }

    /// Answers nothing before it is allowed to.
    async fn holding() -> Arc<Self> {
        Self::start(&[], 0).await
    }

    async fn start(answers: &[(usize, u16)], permits: usize) -> Arc<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let receiver = Arc::new(Receiver {
            came: Mutex::default(),
            in_flight: Mutex::default(),
            answers: Mutex::new(answers.iter().copied().collect()),
            permits: Semaphore::new(permits),
            url: format!("http://{}/write", listener.local_addr().expect("it is bound")),
        });
        let router = Router::new().fallback(write).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    /// How often each request came.
    fn times(&self) -> BTreeMap<(usize, usize), usize> {
        let mut times = BTreeMap::new();
        for came in self.came() {
            *times.entry((came.first, came.series)).or_default() += 1;
        }
        times
    }

    async fn until_in_flight(&self, wanted: usize) {
        eventually("so many are in flight", LIMIT, async || {
            (*self.in_flight.lock().unwrap() == wanted).then_some(())
        })
        .await;
    }
}

async fn write(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> Response {
    let is_two = headers["content-type"].as_bytes().ends_with(b"v2.Request");
    let plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    let (samples, metadata): (Vec<(f64, i64)>, usize) = if is_two {
        let request = v2::Request::decode(&*plain).unwrap();
        let samples = request.timeseries.iter().flat_map(|s| &s.samples);
        (samples.map(|s| (s.value, s.timestamp)).collect(), 0)
    } else {
        let request = v1::WriteRequest::decode(&*plain).unwrap();
        let samples = request.timeseries.iter().flat_map(|s| &s.samples);
        (samples.map(|s| (s.value, s.timestamp)).collect(), request.metadata.len())
    };
    let mut status = 204;
    if let Some((value, at)) = samples.first() {
        let first = *value as usize;
        let in_flight = {
            let mut in_flight = receiver.in_flight.lock().unwrap();
            *in_flight += 1;
            *in_flight
        };
        let came = Came { first, series: samples.len(), at: *at, in_flight, metadata };
        receiver.came.lock().unwrap().push(came);
        receiver.permits.acquire().await.unwrap().forget();
        *receiver.in_flight.lock().unwrap() -= 1;
        status = receiver.answers.lock().unwrap().remove(&first).unwrap_or(204);
    }
    let status = StatusCode::from_u16(status).unwrap();
    if !is_two || !status.is_success() || status.as_u16() == SILENT {
        return status.into_response();
    }
    let written = [
        ("x-prometheus-remote-write-samples-written", samples.len().to_string()),
        ("x-prometheus-remote-write-histograms-written", "0".to_owned()),
        ("x-prometheus-remote-write-exemplars-written", "0".to_owned()),
    ];
    (status, written).into_response()
}

/// Two samples a request.
fn rig(receiver: &Receiver, shards: usize) -> Rig {
    let mut rig = Rig::new(&receiver.url);
    rig.max_samples = 2;
    rig.endpoint.max_shards = shards;
    rig
}

#[rstest]
#[case::two(2, 4)]
#[case::four(4, 8)]
#[tokio::test]
async fn requests_of_a_tick_go_at_once_and_the_next_tick_waits_for_all(
    #[case] shards: usize,
    #[case] series: usize,
) {
    let receiver = Receiver::holding().await;
    let rig = rig(&receiver, shards);
    let at = now();
    rig.append_many(at, series);
    rig.append_many(at + 1, series);
    let running = rig.spawn();
    for round in 1..=2 {
        receiver.until_in_flight(shards).await;
        // All but one: whatever comes next waits for the last one.
        receiver.permits.add_permits(shards - 1);
        receiver.until_in_flight(1).await;
        assert_eq!(receiver.came().len(), round * shards);
        receiver.permits.add_permits(1);
    }
    rig.nothing_waits().await;
    let came = receiver.came();
    let (first, second) = came.split_at(shards);
    assert!(first.iter().all(|came| came.at == at), "{came:?}");
    assert!(second.iter().all(|came| came.at == at + 1), "{came:?}");
    drop(running);
}

#[tokio::test]
async fn a_tick_of_more_requests_than_shards_goes_in_rounds() {
    let receiver = Receiver::answering(&[]).await;
    let rig = rig(&receiver, 3);
    rig.append_many(now(), 21);
    assert_eq!(rig.drain().await.delivered_samples, 21);
    let came = receiver.came();
    assert_eq!(came.len(), 11);
    assert!(came.iter().all(|came| came.in_flight <= 3), "{came:?}");
}

#[tokio::test]
async fn parts_of_one_record_go_at_once_as_well() {
    let receiver = Receiver::holding().await;
    let mut rig = rig(&receiver, 4);
    rig.max_samples = 2_000;
    rig.endpoint.max_samples_per_send = 2;
    rig.append_many(now(), 8);
    let running = rig.spawn();
    receiver.until_in_flight(4).await;
    receiver.permits.add_permits(4);
    rig.nothing_waits().await;
    assert_eq!(receiver.times(), BTreeMap::from([((0, 2), 1), ((2, 2), 1), ((4, 2), 1), ((6, 2), 1)]));
    drop(running);
}

#[rstest]
#[case::tried_again(503, &[((0, 2), 1), ((2, 2), 2), ((4, 2), 1), ((6, 2), 1)], 0)]
#[case::cut_in_two(413, &[((0, 2), 1), ((2, 1), 1), ((2, 2), 1), ((3, 1), 1), ((4, 2), 1), ((6, 2), 1)], 0)]
#[case::refused(400, &[((0, 2), 1), ((2, 2), 1), ((4, 2), 1), ((6, 2), 1)], 2)]
#[case::parked(403, &[((0, 2), 1), ((2, 2), 2), ((4, 2), 1), ((6, 2), 1)], 0)]
#[tokio::test]
async fn what_was_taken_behind_a_no_is_not_sent_again(
    #[case] answer: u16,
    #[case] times: &[((usize, usize), usize)],
    #[case] refused: usize,
) {
    let receiver = Receiver::answering(&[(2, answer)]).await;
    let rig = rig(&receiver, 4);
    let at = now();
    rig.append_many(at, 8);
    rig.append_many(at + 1, 2);
    let running = rig.spawn();
    rig.nothing_waits().await;
    let mut expected: BTreeMap<_, _> = times.iter().copied().collect();
    // The next tick's only request.
    *expected.entry((0, 2)).or_default() += 1;
    assert_eq!(receiver.times(), expected);
    let last = receiver.came().pop().unwrap();
    assert_eq!((last.first, last.at), (0, at + 1), "the next tick waits for what was tried again");
    let shelf = rig.refused();
    assert_eq!(shelf.iter().map(|refused| refused.samples).sum::<usize>(), refused);
    let taken = 10.0 - refused as f64;
    assert_eq!(rig.metric("prometheus_remote_storage_samples_total", &["test"]), taken, "each counts once");
    drop(running);
}

#[tokio::test]
async fn several_noes_are_dealt_with_in_the_queues_order() {
    let receiver = Receiver::answering(&[(0, 503), (2, 400), (6, 413)]).await;
    let rig = rig(&receiver, 4);
    rig.append_many(now(), 8);
    let running = rig.spawn();
    rig.nothing_waits().await;
    let times = receiver.times();
    assert_eq!((times[&(0, 2)], times[&(4, 2)]), (2, 1), "{times:?}");
    // A no behind the first one is forgotten, and its request goes again in its turn.
    assert_eq!((times[&(2, 2)], times[&(6, 2)]), (2, 2), "{times:?}");
    assert_eq!(rig.refused().len(), 0, "each no was said once");
    drop(running);
}

#[tokio::test]
async fn a_yes_that_was_none_is_not_taken_for_one_after_the_version_has_changed() {
    // Behind one address there may be receivers of two releases.
    let receiver = Receiver::answering(&[(0, 415), (2, SILENT), (4, SILENT)]).await;
    let rig = rig(&receiver, 4);
    rig.append_many(now(), 8);
    let running = rig.spawn();
    rig.nothing_waits().await;
    let expected = BTreeMap::from([((0, 2), 2), ((2, 2), 2), ((4, 2), 2), ((6, 2), 1)]);
    assert_eq!(receiver.times(), expected, "what says nothing of what was written goes again as 1.0");
    drop(running);
}

#[tokio::test]
async fn an_abort_repeats_what_was_in_flight_and_nothing_more() {
    let receiver = Receiver::holding().await;
    let rig = rig(&receiver, 4);
    let at = now();
    rig.append_many(at, 8);
    rig.append_many(at + 1, 8);
    let running = rig.spawn();
    receiver.until_in_flight(4).await;
    receiver.permits.add_permits(4);
    receiver.until_in_flight(4).await;
    eventually("the first tick is written down", LIMIT, async || (rig.waiting() == 8).then_some(())).await;
    receiver.permits.add_permits(2);
    receiver.until_in_flight(2).await;
    drop(running);
    receiver.permits.add_permits(1_000);
    let running = rig.spawn();
    rig.nothing_waits().await;
    let came = receiver.came();
    let of = |tick: i64| came.iter().filter(|came| came.at == tick).count();
    assert_eq!((of(at), of(at + 1)), (4, 8));
    drop(running);
}

#[rstest]
#[case::one_after_another(1, 4)]
#[case::at_once(4, 1)]
#[tokio::test]
async fn an_enqueue_is_one_commit_and_so_are_requests_that_were_answered_together(
    #[case] shards: usize,
    #[case] commits_a_tick: u64,
) {
    const TICKS: u64 = 5;
    let receiver = Receiver::answering(&[]).await;
    let rig = rig(&receiver, shards);
    let before = rig.queue.view().commits;
    let at = now();
    for tick in 0..TICKS {
        rig.append_many(at + tick as i64, 8);
    }
    assert_eq!(rig.queue.view().commits - before, TICKS, "one for each enqueue");
    assert_eq!(rig.drain().await.delivered_samples, 8 * TICKS);
    assert_eq!(receiver.came().len() as u64, 4 * TICKS);
    assert_eq!(rig.queue.view().commits - before, TICKS + commits_a_tick * TICKS);
}

#[tokio::test]
async fn a_receiver_that_has_taken_nothing_yet_gets_one_request_alone() {
    let receiver = Receiver::holding().await;
    let rig = rig(&receiver, 4).message(ProtobufMessage::V1);
    rig.append_many(now(), 10);
    let running = rig.spawn();
    receiver.until_in_flight(1).await;
    let more = timeout(Duration::from_millis(100), receiver.until_in_flight(2)).await;
    assert!(more.is_err(), "nothing joins the first one");
    receiver.permits.add_permits(1);
    receiver.until_in_flight(4).await;
    receiver.permits.add_permits(4);
    rig.nothing_waits().await;
    let metadata: Vec<usize> = receiver.came().iter().map(|came| came.metadata).collect();
    assert_eq!(metadata, [1, 0, 0, 0, 0], "the family is described once");
    drop(running);
}

#[tokio::test]
async fn while_a_receiver_fails_one_request_at_a_time_is_tried() {
    let receiver = Receiver::answering(&[(0, 503), (2, 503), (4, 503), (6, 503)]).await;
    let rig = rig(&receiver, 4);
    rig.append_many(now(), 8);
    let running = rig.spawn();
    rig.nothing_waits().await;
    let came = receiver.came();
    // Four at once, the first of them alone, then the others together.
    assert_eq!(came.len(), 8, "{came:?}");
    assert_eq!((came[4].first, came[4].in_flight), (0, 1), "{came:?}");
    drop(running);
}
