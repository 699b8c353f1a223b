//! The worker with receivers that fail: nothing is lost, nothing changes its order, and what is refused is
//! counted and set aside.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fleetpush::clock::Clock;
use fleetpush::config::{ProtobufMessage, Secret};
use fleetpush::demo::receiver::{Cut, Fault, Options, Server, Times, Version};
use fleetpush::queue::Position;
use fleetpush::retry::http_date;
use fleetpush::sample::Millis;
use fleetpush::telemetry::status::SinkState;
use rstest::rstest;
use tokio::net::TcpListener;

use crate::remote_rig::{LIMIT, Rig, data, now, simulated, stored};
use crate::servers::eventually;

use Version::{One, Two};
use fleetpush::demo::receiver::Personality::{Prometheus3, Prometheus242, VictoriaMetrics};

/// So many cycles of one fleet, a millisecond apart, and what is to be stored of it.
fn cycles(rig: &Rig, count: i32) -> Vec<(i64, f64)> {
    let at = now();
    let points: Vec<_> = (0..count).map(|n| (at + i64::from(n), f64::from(n))).collect();
    for (at, value) in &points {
        rig.append(*at, &[("a", *value)]);
    }
    points
}

#[tokio::test]
async fn after_an_outage_everything_arrives_in_order() {
    let server = simulated(Prometheus3).await;
    server.set_outage(true);
    let rig = Rig::new(&server.write_url());
    let running = rig.spawn();
    let points = cycles(&rig, 20);
    tokio::time::timeout(LIMIT, server.received(8)).await.expect("it keeps trying");
    assert_eq!((rig.waiting(), server.deliveries().len()), (20, 0));
    assert!(matches!(rig.status().expect("it is at work").state, SinkState::Retrying { .. }));
    server.set_outage(false);
    rig.nothing_waits().await;
    assert_eq!(stored(&server, "a"), points);
    assert!(rig.metric("prometheus_remote_storage_samples_retried_total", &["test"]) >= 1.0);
    assert_eq!(rig.metric("fleetpush_sink_up", &["test"]), 1.0);
    running.stop.cancel();
    running.ended().await;
}

#[tokio::test]
async fn a_receiver_that_comes_back_on_its_port_gets_what_it_has_missed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let rig = Rig::new(&format!("http://{address}/api/v1/write"));
    let points = cycles(&rig, 5);
    let _running = rig.spawn();
    eventually("the failure is shown", LIMIT, async || {
        let error = rig.status()?.last_error.clone()?;
        error.contains("check the port").then_some(())
    })
    .await;
    let listener = TcpListener::bind(address).await.expect("the port again");
    let server = Server::start_on(listener, Options::default()).expect("a server");
    rig.nothing_waits().await;
    assert_eq!(stored(&server, "a"), points);
}

#[rstest]
#[case(Cut::BeforeWork)]
#[case(Cut::AfterWork)]
#[tokio::test]
async fn a_lost_connection_repeats_one_request_and_stores_nothing_twice(#[case] cut: Cut) {
    let server = simulated(VictoriaMetrics).await;
    let rig = Rig::new(&server.write_url()).message(ProtobufMessage::V1);
    server.inject(Fault::Cut(cut), Times::Next(1));
    let points = cycles(&rig, 2);
    assert_eq!(rig.drain().await.waiting_samples, 0);
    let mut found = stored(&server, "a");
    // VictoriaMetrics keeps both of two equal samples; others take the second as nothing new.
    found.dedup();
    assert_eq!(found, points);
    assert_eq!(server.request_count(), 3);
}

#[rstest]
#[case(429)]
#[case(503)]
#[tokio::test]
async fn retry_after_in_seconds_is_waited_for_even_beyond_the_longest_delay(#[case] status: u16) {
    let server = simulated(Prometheus3).await;
    server.inject(Fault::status(status).header("retry-after", "1"), Times::Next(1));
    let rig = Rig::new(&server.write_url()).message(ProtobufMessage::V2);
    cycles(&rig, 1);
    let started = Instant::now();
    assert_eq!(rig.drain().await.delivered_samples, 1);
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn retry_after_as_a_date_is_waited_for() {
    let server = simulated(Prometheus3).await;
    let date = "Sat, 06 Nov 2094 08:49:37 GMT";
    let mut rig = Rig::new(&server.write_url()).message(ProtobufMessage::V2);
    rig.clock = Clock::manual(Millis(http_date(date).expect("a date").0 - 700));
    server.inject(Fault::status(503).header("retry-after", date), Times::Next(1));
    cycles(&rig, 1);
    let started = Instant::now();
    assert_eq!(rig.drain().await.delivered_samples, 1);
    assert!(started.elapsed() >= Duration::from_millis(700));
}

#[tokio::test]
async fn tries_after_the_first_say_so_and_the_next_request_starts_anew() {
    let server = simulated(Prometheus3).await;
    server.inject(Fault::status(500), Times::Next(2));
    let rig = Rig::new(&server.write_url()).message(ProtobufMessage::V2);
    cycles(&rig, 2);
    rig.drain().await;
    let requests = server.requests();
    let attempts: Vec<_> = requests.iter().map(|request| request.header("retry-attempt")).collect();
    assert_eq!(attempts, [None, Some("1"), Some("2"), None]);
}

#[tokio::test]
async fn a_413_halves_the_same_way_each_time_and_everything_arrives() {
    let server = simulated(Prometheus3).await;
    let rig = Rig::new(&server.write_url()).message(ProtobufMessage::V2);
    for cycle in 0..2 {
        server.inject(Fault::status(413), Times::Next(2));
        rig.append_many(now() + cycle, 9);
        assert_eq!(rig.drain().await.delivered_samples, 9);
    }
    let sizes: Vec<_> = data(&server).iter().map(|(_, samples, _)| *samples).collect();
    assert_eq!(sizes, [3, 2, 4, 3, 2, 4]);
}

#[tokio::test]
async fn a_single_sample_that_is_too_large_is_refused_and_the_next_ones_are_tried() {
    let server = simulated(Prometheus3).await;
    server.inject(Fault::status(413), Times::Next(3));
    let rig = Rig::new(&server.write_url()).message(ProtobufMessage::V2);
    rig.append_many(now(), 4);
    let drained = rig.drain().await;
    assert_eq!((drained.delivered_samples, drained.refused_samples), (3, 1));
    assert_eq!(rig.metric("fleetpush_sink_dropped_samples_total", &["too_large"]), 1.0);
    assert_eq!(rig.refused()[0].position, Position { record: 0, sample: 0 });
}

#[tokio::test]
async fn one_bad_sample_among_many_costs_itself_alone_and_few_requests() {
    let server = simulated(Prometheus242).await;
    let rig = Rig::new(&server.write_url()).message(ProtobufMessage::V1);
    let at = now();
    rig.append(at + 5, &[("f137", 0.0)]);
    rig.append_many(at, 500);
    rig.append(at + 6, &[("f137", 1.0)]);
    let drained = rig.drain().await;
    assert_eq!((drained.delivered_samples, drained.refused_samples, drained.waiting_samples), (501, 1, 0));
    assert!(server.request_count() <= 2 + 32, "{}", server.request_count());
    let refused = rig.refused();
    assert_eq!((refused.len(), refused[0].samples), (1, 1));
    assert_eq!(refused[0].position, Position { record: 1, sample: 137 });
    assert_eq!(stored(&server, "f138"), [(at, 138.0)]);
    assert_eq!(stored(&server, "f137"), [(at + 5, 0.0), (at + 6, 1.0)]);
}

#[tokio::test]
async fn many_bad_samples_cost_at_most_32_requests() {
    let server = simulated(Prometheus242).await;
    let rig = Rig::new(&server.write_url()).message(ProtobufMessage::V1);
    let at = now();
    rig.append_many(at + 5, 200);
    rig.append_many(at, 400);
    let drained = rig.drain().await;
    assert!(server.request_count() <= 1 + 32, "{}", server.request_count());
    assert_eq!(drained.waiting_samples, 0);
    assert_eq!(drained.delivered_samples + drained.refused_samples, 600);
    assert_eq!(stored(&server, "f399"), [(at, 399.0)], "the good half arrives");
}

#[tokio::test]
async fn a_400_before_1_0_was_ever_taken_is_refused_as_a_whole() {
    let server = simulated(Prometheus3).await;
    server.inject(Fault::status_with(400, "bad"), Times::Next(1));
    let rig = Rig::new(&server.write_url()).message(ProtobufMessage::V1);
    rig.append_many(now(), 4);
    assert_eq!(rig.drain().await.refused_samples, 4);
    assert_eq!(server.request_count(), 1);
}

#[rstest]
#[case(401)]
#[case(402)]
#[case(403)]
#[case(404)]
#[case(405)]
#[case(407)]
#[case(410)]
#[case(501)]
#[case(302)]
#[tokio::test]
async fn a_parked_endpoint_drops_nothing_and_goes_on_by_itself(#[case] status: u16) {
    let server = simulated(Prometheus3).await;
    server.inject(Fault::status(status), Times::Always);
    let rig = Rig::new(&server.write_url());
    let _running = rig.spawn();
    let points = cycles(&rig, 3);
    // The question, and at least two slow probes.
    tokio::time::timeout(LIMIT, server.received(3)).await.expect("it keeps asking");
    assert_eq!(rig.waiting(), 3);
    assert_eq!(rig.metric("fleetpush_sink_parked", &["test"]), 1.0);
    assert!(matches!(rig.status().expect("it is at work").state, SinkState::Parked { .. }));
    server.clear_faults();
    rig.nothing_waits().await;
    assert_eq!(stored(&server, "a"), points);
    assert_eq!(rig.metric("fleetpush_sink_parked", &["test"]), 0.0);
    assert_eq!(rig.metric("fleetpush_sink_dropped_samples_total", &[]), 0.0);
}

#[tokio::test]
async fn a_parked_endpoint_is_asked_slowly() {
    let server = simulated(Prometheus3).await;
    server.inject(Fault::status(401), Times::Always);
    let mut rig = Rig::new(&server.write_url()).message(ProtobufMessage::V2);
    rig.pace = fleetpush::sink::worker::Pace::default();
    cycles(&rig, 1);
    let _running = rig.spawn();
    let delay = eventually("it is parked", LIMIT, async || match rig.status()?.state {
        SinkState::Parked { delay } => Some(delay),
        _ => None,
    })
    .await;
    assert!((27..=33).contains(&delay.as_secs()), "{delay:?}");
    assert_eq!(server.request_count(), 1);
}

#[tokio::test]
async fn a_changed_credentials_file_ends_the_parking() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "old-token\n").expect("written");
    let server = simulated(Prometheus3).await;
    server.inject(Fault::status(401), Times::Always);
    let rig = Rig::new(&server.write_url()).bearer(Secret::File(file.path().into()));
    cycles(&rig, 1);
    let _running = rig.spawn();
    tokio::time::timeout(LIMIT, server.received(2)).await.expect("it asks");
    std::fs::write(file.path(), "new-token\n").expect("written");
    let seen = server.request_count();
    tokio::time::timeout(LIMIT, server.received(seen + 2)).await.expect("it asks again");
    let last = server.requests().pop().expect("a request");
    assert_eq!(last.header("authorization"), Some("Bearer new-token"));
    server.clear_faults();
    rig.nothing_waits().await;
}

#[tokio::test]
async fn a_pinned_2_0_at_a_receiver_of_1_0_is_parked_and_loses_nothing() {
    let server = simulated(VictoriaMetrics).await;
    let mut rig = Rig::new(&server.write_url()).message(ProtobufMessage::V2);
    cycles(&rig, 2);
    let drained = rig.drain().await;
    assert!(drained.parked && drained.waiting_samples == 2);
    assert!(drained.last_error.expect("why").contains("leave protobuf_message out"));
    rig.message_now(ProtobufMessage::Auto);
    assert_eq!(rig.drain().await.delivered_samples, 2);
}

#[rstest]
#[case(400)]
#[case(406)]
#[case(415)]
#[case(422)]
#[tokio::test]
async fn a_2_0_that_is_refused_before_it_was_confirmed_is_sent_again_as_1_0(#[case] status: u16) {
    let server = simulated(Prometheus3).await;
    server.inject(Fault::status(status), Times::Next(if status == 415 { 1 } else { 2 }));
    let rig = Rig::new(&server.write_url());
    let points = cycles(&rig, 2);
    assert_eq!(rig.drain().await.delivered_samples, 2);
    assert_eq!(data(&server), [(One, 1, 204), (One, 1, 204)]);
    assert_eq!(stored(&server, "a"), points);
}

#[tokio::test]
async fn a_confirmed_2_0_is_left_when_the_receiver_swallows_it_later() {
    let server = simulated(Prometheus3).await;
    let rig = Rig::new(&server.write_url());
    let mut worker = rig.worker();
    let never = tokio_util::sync::CancellationToken::new();
    let first = cycles(&rig, 1);
    worker.drain(tokio::time::Instant::now() + LIMIT, &never).await;
    server.inject(Fault::status(204), Times::Next(1));
    rig.append(first[0].0 + 1, &[("a", 9.0)]);
    assert_eq!(worker.drain(tokio::time::Instant::now() + LIMIT, &never).await.delivered_samples, 1);
    assert_eq!(data(&server), [(Two, 1, 204), (One, 1, 204)]);
}

#[rstest]
#[case(4, One, 6)]
#[case(5, Two, 7)]
#[tokio::test]
async fn three_5xx_to_a_2_0_that_was_never_confirmed_try_1_0_once(
    #[case] failures: usize,
    #[case] version: Version,
    #[case] requests: u64,
) {
    let server = simulated(Prometheus3).await;
    // The first failure meets the question.
    server.inject(Fault::status(500), Times::Next(failures));
    let rig = Rig::new(&server.write_url());
    cycles(&rig, 2);
    assert_eq!(rig.drain().await.delivered_samples, 2);
    assert_eq!(data(&server), [(version, 1, 204); 2]);
    assert_eq!(server.request_count(), requests);
}

#[tokio::test]
async fn fewer_written_than_sent_is_counted_and_not_sent_again() {
    let server = simulated(Prometheus3).await;
    let written = "x-prometheus-remote-write-samples-written";
    server.inject(Fault::status(200).header(written, "1"), Times::Next(1));
    let rig = Rig::new(&server.write_url()).message(ProtobufMessage::V2);
    rig.append_many(now(), 3);
    assert_eq!(rig.drain().await.waiting_samples, 0);
    assert_eq!(rig.metric("fleetpush_remote_write_not_written_samples_total", &["test"]), 2.0);
    assert_eq!(server.request_count(), 1);
}

#[tokio::test]
async fn a_202_is_delivered_and_counted_as_deduplicated() {
    let server = simulated(Prometheus3).await;
    let written = "x-prometheus-remote-write-samples-written";
    server.inject(Fault::status(202).header(written, "0"), Times::Next(1));
    let rig = Rig::new(&server.write_url()).message(ProtobufMessage::V2);
    rig.append_many(now(), 3);
    assert_eq!(rig.drain().await.delivered_samples, 3);
    assert_eq!(rig.metric("fleetpush_remote_write_deduplicated_samples_total", &["test"]), 3.0);
    assert_eq!(rig.metric("fleetpush_remote_write_not_written_samples_total", &["test"]), 0.0);
}

#[tokio::test]
async fn a_partial_write_of_2_0_counts_what_was_lost_and_is_not_sent_again() {
    let server = simulated(Prometheus3).await;
    let written = "x-prometheus-remote-write-samples-written";
    let fault = Fault::status_with(400, "out of order sample").header(written, "2");
    server.inject(fault, Times::Next(1));
    let rig = Rig::new(&server.write_url()).message(ProtobufMessage::V2);
    rig.append_many(now(), 3);
    let drained = rig.drain().await;
    assert_eq!((drained.delivered_samples, drained.refused_samples, drained.waiting_samples), (2, 1, 0));
    assert_eq!(rig.metric("fleetpush_sink_dropped_samples_total", &["out_of_order"]), 1.0);
    assert_eq!(server.request_count(), 1);
}

#[tokio::test]
async fn a_receiver_that_repeats_our_secret_does_not_bring_it_into_an_error() {
    let server = simulated(Prometheus3).await;
    let echo = format!("you sent Bearer hunter2 and a long text {}", "é".repeat(2_000));
    server.inject(Fault::status_with(400, echo), Times::Next(1));
    let rig = Rig::new(&server.write_url()).message(ProtobufMessage::V1).token("hunter2");
    cycles(&rig, 1);
    let error = rig.drain().await.last_error.expect("why");
    assert!(error.contains("Bearer <secret>") && !error.contains("hunter2"), "{error}");
    assert!(error.chars().count() < 1_200, "its first 1,024 characters are enough");
}

#[tokio::test]
async fn an_endpoint_that_fails_does_not_hold_up_another() {
    let (bad, good) = (simulated(Prometheus3).await, simulated(Prometheus242).await);
    bad.set_outage(true);
    let first = Rig::new(&bad.write_url());
    let mut second = Rig::new(&good.write_url());
    second.queue = first.queue.clone();
    second.endpoint.name = "other".into();
    first.queue.register("other").await.unwrap();
    let _running = [first.spawn(), second.spawn()];
    let points = cycles(&first, 5);
    eventually("the good one has all", LIMIT, async || {
        (first.queue.waiting("other").samples == 0).then_some(())
    })
    .await;
    assert_eq!(stored(&good, "a"), points);
    assert_eq!(first.waiting(), 5);
    bad.set_outage(false);
    first.nothing_waits().await;
    assert_eq!(stored(&bad, "a"), points);
}

/// Collects what is logged on this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_outage_makes_one_line_and_its_end_another() {
    let lines = Lines::default();
    let writer = lines.clone();
    // With one subscriber alone, what another thread logs first is off everywhere.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = simulated(Prometheus3).await;
    server.inject(Fault::status_with(503, "hunter2 is not welcome"), Times::Next(8));
    let rig = Rig::new(&server.write_url()).message(ProtobufMessage::V2).token("hunter2");
    cycles(&rig, 3);
    rig.drain().await;
    let text = String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("UTF-8");
    let count = |part: &str| text.lines().filter(|line| line.contains(part)).count();
    assert_eq!(count("delivery failed, trying again"), 1, "{text}");
    assert_eq!(count("delivering again"), 1, "{text}");
    assert!(text.contains("tries=8 waiting_samples=3"), "{text}");
    assert_eq!(count("first delivery"), 1, "{text}");
    assert!(text.contains("503: <secret> is not welcome") && !text.contains("hunter2"), "{text}");
}
