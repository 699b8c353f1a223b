//! The worker's loop: order, cuts, metadata, stop and abort, the drain of a one-shot, the check.

use std::time::Duration;

use fleetpush::clock::Clock;
use fleetpush::config::ProtobufMessage;
use fleetpush::demo::receiver::{Delivered, Fault, Personality, Times, Version};
use fleetpush::queue::{Done, Position, Record};
use fleetpush::sample::Millis;
use rstest::rstest;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::remote_rig::{LIMIT, Rig, data, now, simulated, stored};
use crate::servers::eventually;

use Personality::{Cortex, Prometheus3, Prometheus242, Thanos, VictoriaMetrics};

#[tokio::test]
async fn cycles_arrive_in_order_while_more_are_put_in() {
    let server = simulated(Prometheus3).await;
    let rig = Rig::new(&server.write_url());
    let running = rig.spawn();
    let at = now();
    for cycle in 0..30_i32 {
        rig.append(at + i64::from(cycle), &[("a", f64::from(cycle))]);
        tokio::task::yield_now().await;
    }
    rig.nothing_waits().await;
    let expected: Vec<_> = (0..30_i32).map(|cycle| (at + i64::from(cycle), f64::from(cycle))).collect();
    assert_eq!(stored(&server, "a"), expected);
    assert_eq!(data(&server).len(), 30, "a request never joins two cycles");
    assert_eq!(rig.metric("prometheus_remote_storage_samples_total", &["test"]), 30.0);
    // The worker tells of the queue once it is on with what comes next.
    let none = || {
        let pending = rig.metric("prometheus_remote_storage_samples_pending", &["test"]);
        pending == 0.0 && rig.metric("fleetpush_queue_records", &[]) == 0.0
    };
    eventually("the metrics say so", LIMIT, async || none().then_some(())).await;
    running.stop.cancel();
    running.ended().await;
}

#[tokio::test]
async fn a_new_worker_leaves_no_trace_before_it_runs() {
    let rig = Rig::new("http://me:hunter2@127.0.0.1:9/push?key=hunter2");
    let worker = rig.worker();
    assert!(rig.telemetry.status().borrow().sinks.is_empty());
    drop(worker);
    let sink = fleetpush::sink::worker::sink_name(&rig.endpoint);
    assert_eq!((&*sink.name, &*sink.url), ("test", "http://127.0.0.1:9/push"));
}

#[tokio::test]
async fn a_smaller_limit_of_the_endpoint_cuts_a_record_at_its_multiples() {
    let server = simulated(Prometheus3).await;
    let mut rig = Rig::new(&server.write_url());
    rig.endpoint.max_samples_per_send = 3;
    rig.append_many(now(), 8);
    // A start in the middle, as after a crash, changes no later cut.
    let done = Done { to: Position { record: 0, sample: 1 }, ..Done::default() };
    rig.queue.acknowledge("test", Position::default(), done, 1).await.unwrap();
    assert_eq!(rig.drain().await.delivered_samples, 7);
    assert_eq!(data(&server).iter().map(|(_, samples, _)| *samples).collect::<Vec<_>>(), [2, 3, 2]);
}

#[tokio::test]
async fn version_headers_and_configured_ones_go_with_every_request() {
    let server = simulated(Cortex).await;
    let mut rig = Rig::new(&server.write_url()).token("hunter2");
    rig.endpoint.http.headers.push(("X-Scope-OrgID".into(), "tenant-1".into()));
    rig.append(now(), &[("a", 1.0)]);
    rig.drain().await;
    rig.message_now(ProtobufMessage::V1);
    rig.append(now() + 1, &[("a", 1.0)]);
    rig.drain().await;
    let requests = server.requests();
    let two = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let expected = [("2.0.0", two), ("2.0.0", two), ("0.1.0", "application/x-protobuf")];
    assert_eq!(requests.len(), expected.len());
    for (request, (version, content_type)) in requests.iter().zip(expected) {
        assert_eq!(request.method, "POST");
        assert_eq!(request.header("x-prometheus-remote-write-version"), Some(version));
        assert_eq!(request.header("content-type"), Some(content_type));
        assert_eq!(request.header("content-encoding"), Some("snappy"));
        assert_eq!(request.header("x-scope-orgid"), Some("tenant-1"));
        assert_eq!(request.header("authorization"), Some("Bearer hunter2"));
        assert!(request.header("user-agent").is_some_and(|agent| agent.starts_with("fleetpush/")));
        assert_eq!(request.header("retry-attempt"), None);
    }
}

#[rstest]
#[case(ProtobufMessage::V1, Version::One)]
#[case(ProtobufMessage::V2, Version::Two)]
#[tokio::test]
async fn a_pinned_version_sends_no_question(#[case] message: ProtobufMessage, #[case] version: Version) {
    let server = simulated(Prometheus3).await;
    let rig = Rig::new(&server.write_url()).message(message);
    rig.append(now(), &[("a", 1.0)]);
    rig.drain().await;
    assert_eq!((server.request_count(), data(&server)[0].0), (1, version));
}

#[tokio::test]
async fn a_receiver_is_asked_for_2_0_again_after_a_day() {
    let server = simulated(Prometheus3).await;
    server.inject(Fault::status(415), Times::Next(1));
    let mut rig = Rig::new(&server.write_url());
    rig.clock = Clock::manual(Millis(now()));
    let mut worker = rig.worker();
    let never = CancellationToken::new();
    for (cycle, wait) in [(0, 86_399), (1, 1), (2, 0)] {
        rig.append(now() + cycle, &[("a", 1.0)]);
        worker.drain(tokio::time::Instant::now() + LIMIT, &never).await;
        rig.clock.advance(Duration::from_secs(wait));
    }
    let versions: Vec<_> = data(&server).iter().map(|(version, ..)| *version).collect();
    assert_eq!(versions, [Version::One, Version::One, Version::Two]);
    assert_eq!(server.request_count(), 5);
}

#[tokio::test]
async fn metadata_of_1_0_rides_at_first_and_then_at_its_interval() {
    let server = simulated(Prometheus242).await;
    let mut rig = Rig::new(&server.write_url()).message(ProtobufMessage::V1);
    rig.clock = Clock::manual(Millis(now()));
    let mut worker = rig.worker();
    let never = CancellationToken::new();
    let at = now();
    for (cycle, wait) in [(0, 59), (1, 1), (2, 0)] {
        rig.append(at + cycle, &[("a", 1.0)]);
        worker.drain(tokio::time::Instant::now() + LIMIT, &never).await;
        rig.clock.advance(Duration::from_secs(wait));
    }
    // A family that was not described yet does not wait for the interval.
    rig.append_family("balena_devices_online", at + 3, &[("a", 1.0)]);
    worker.drain(tokio::time::Instant::now() + LIMIT, &never).await;
    let described = |delivered: &Delivered| {
        delivered.metadata.iter().map(|m| (m.family.clone(), m.kind, m.help.clone())).collect::<Vec<_>>()
    };
    let all: Vec<_> = server.deliveries().iter().map(|delivered| described(delivered)).collect();
    let of = |family: &str| vec![(family.to_owned(), 2, "Registered devices".to_owned())];
    assert_eq!(all, [of("balena_devices"), vec![], of("balena_devices"), of("balena_devices_online")]);
    assert_eq!(rig.metric("prometheus_remote_storage_metadata_total", &["test"]), 3.0);

    rig.endpoint.metadata.send = false;
    rig.append(at + 4, &[("a", 1.0)]);
    rig.drain().await;
    assert!(server.deliveries()[4].metadata.is_empty());
}

#[tokio::test]
async fn a_stop_lets_the_request_in_flight_end_and_acknowledges_it() {
    let server = simulated(Prometheus3).await;
    server.inject(Fault::Hang(Duration::from_millis(300)), Times::Next(1));
    let rig = Rig::new(&server.write_url()).message(ProtobufMessage::V2);
    rig.append(now(), &[("a", 1.0)]);
    rig.append(now() + 1, &[("a", 2.0)]);
    let running = rig.spawn();
    timeout(LIMIT, server.received(1)).await.expect("a request");
    running.stop.cancel();
    running.ended().await;
    assert_eq!((rig.waiting(), data(&server).len()), (1, 1));
}

#[tokio::test]
async fn a_stop_ends_a_long_wait_at_once() {
    let server = simulated(Prometheus3).await;
    server.inject(Fault::status(503).header("retry-after", "3000"), Times::Always);
    let rig = Rig::new(&server.write_url()).message(ProtobufMessage::V2);
    rig.append(now(), &[("a", 1.0)]);
    let running = rig.spawn();
    timeout(LIMIT, server.received(1)).await.expect("a request");
    running.stop.cancel();
    running.ended().await;
    assert_eq!(rig.waiting(), 1);
}

#[tokio::test]
async fn an_abort_ends_at_once_and_costs_at_most_the_request_in_flight_again() {
    let server = simulated(Prometheus3).await;
    server.inject(Fault::Hang(Duration::from_secs(600)), Times::Next(1));
    let rig = Rig::new(&server.write_url()).message(ProtobufMessage::V2);
    let at = now();
    rig.append(at, &[("a", 1.0)]);
    rig.append(at + 1, &[("a", 2.0)]);
    let running = rig.spawn();
    timeout(LIMIT, server.received(1)).await.expect("a request");
    running.abort.cancel();
    running.ended().await;
    assert_eq!(rig.waiting(), 2);
    assert_eq!(rig.drain().await.delivered_samples, 2);
    assert_eq!(stored(&server, "a"), [(at, 1.0), (at + 1, 2.0)]);
}

#[tokio::test]
async fn a_damaged_record_is_set_aside_and_the_next_one_arrives() {
    let server = simulated(Prometheus3).await;
    let rig = Rig::new(&server.write_url());
    let bytes = b"no record".to_vec().into();
    rig.append_records(vec![Record::new(bytes, 3, now())]);
    rig.append(now(), &[("a", 1.0)]);
    let drained = rig.drain().await;
    assert_eq!((drained.delivered_samples, drained.refused_samples, drained.waiting_samples), (1, 3, 0));
    assert_eq!(rig.metric("fleetpush_sink_dropped_samples_total", &["damaged"]), 3.0);
    assert_eq!(rig.refused().len(), 1);
}

#[tokio::test]
async fn a_drain_ends_at_its_deadline_with_what_waits_and_why() {
    let server = simulated(Prometheus3).await;
    server.inject(Fault::status_with(503, "starting up"), Times::Always);
    let rig = Rig::new(&server.write_url());
    rig.append(now(), &[("a", 1.0), ("b", 1.0)]);
    let deadline = tokio::time::Instant::now() + Duration::from_millis(1_500);
    let drained = rig.worker().drain(deadline, &CancellationToken::new()).await;
    assert_eq!((drained.waiting_samples, drained.delivered_samples, drained.parked), (2, 0, false));
    insta::assert_snapshot!(
        drained.last_error.expect("why"),
        @"the receiver answered 503: starting up; the receiver, or a proxy before it, is not well: look at its log"
    );
    assert!(server.request_count() > 2, "it has tried again");
}

#[tokio::test]
async fn a_drain_does_not_outwait_its_deadline_nor_its_stop() {
    let server = simulated(Prometheus3).await;
    server.inject(Fault::status(429).header("retry-after", "3000"), Times::Next(2));
    let rig = Rig::new(&server.write_url());
    rig.append(now(), &[("a", 1.0)]);
    assert_eq!(rig.drain().await.waiting_samples, 1);
    server.clear_faults();
    let stop = CancellationToken::new();
    stop.cancel();
    let drained = rig.worker().drain(tokio::time::Instant::now() + LIMIT, &stop).await;
    assert_eq!(drained.waiting_samples, 1);
    server.inject(Fault::Hang(Duration::from_secs(600)), Times::Always);
    let deadline = tokio::time::Instant::now() + Duration::from_millis(50);
    let drained = rig.worker().drain(deadline, &CancellationToken::new()).await;
    assert_eq!(drained.last_error.as_deref(), Some("the deadline passed before an answer came"));
}

#[rstest]
#[case(Prometheus3, "speaks remote write 2.0 (204)")]
#[case(Cortex, "speaks remote write 2.0 (204)")]
#[case(Prometheus242, "answers 204 without Written headers: 1.0 will be used")]
#[case(VictoriaMetrics, "answers 204 without Written headers: 1.0 will be used")]
#[case(Thanos, "answers 200 without Written headers: 1.0 will be used")]
#[tokio::test]
async fn a_check_says_what_a_receiver_speaks_and_stores_nothing(
    #[case] personality: Personality,
    #[case] text: &str,
) {
    let server = simulated(personality).await;
    let rig = Rig::new(&server.write_url());
    rig.append(now(), &[("a", 1.0)]);
    assert_eq!(rig.worker().check().await.as_deref(), Ok(text));
    let pinned = Rig::new(&server.write_url()).message(ProtobufMessage::V1).worker().check().await;
    assert!(pinned.expect("taken").starts_with("takes remote write 1.0 (20"));
    assert!(server.samples().is_empty() && rig.waiting() == 1);
    assert!(rig.telemetry.status().borrow().sinks.is_empty());
}

#[rstest]
#[case(Fault::status(415), "does not know remote write 2.0 (415): 1.0 will be used")]
#[case(Fault::status(400), "answers 400 to remote write 2.0, takes remote write 1.0 (204)")]
#[tokio::test]
async fn a_check_tells_what_auto_will_do(#[case] fault: Fault, #[case] text: &str) {
    let server = simulated(Prometheus3).await;
    server.inject(fault, Times::Next(1));
    assert_eq!(Rig::new(&server.write_url()).worker().check().await.as_deref(), Ok(text));
}

#[rstest]
#[case(401, "the receiver answered 401: sorry: check the credentials")]
#[case(403, "the receiver answered 403: sorry: the credentials are known but may not write")]
#[case(404, "/api/v1/push for Mimir")]
#[case(404, "--web.enable-remote-write-receiver")]
#[case(404, "/api/v1/receive for Thanos")]
#[case(429, "busy")]
#[case(501, "switched off")]
#[case(503, "look at its log")]
#[tokio::test]
async fn a_check_names_the_next_step(#[case] status: u16, #[case] text: &str) {
    let server = simulated(Prometheus3).await;
    server.inject(Fault::status_with(status, "sorry"), Times::Always);
    for message in [ProtobufMessage::Auto, ProtobufMessage::V1, ProtobufMessage::V2] {
        let error = Rig::new(&server.write_url()).message(message).worker().check().await.unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[tokio::test]
async fn a_check_of_a_pinned_2_0_at_a_receiver_of_1_0_fails() {
    let server = simulated(VictoriaMetrics).await;
    let error = Rig::new(&server.write_url()).message(ProtobufMessage::V2).worker().check().await;
    insta::assert_snapshot!(
        error.unwrap_err(),
        @"the receiver answered 204 without Written headers: the receiver does not know remote write 2.0: leave protobuf_message out, or set it to prometheus.WriteRequest"
    );
}

#[tokio::test]
async fn a_check_tells_failures_of_the_connection_apart() {
    let server = simulated(Prometheus3).await;
    let (plain, secure) = (server.write_url(), server.write_url().replace("http:", "https:"));
    let error = Rig::new(&secure).worker().check().await.unwrap_err();
    assert!(error.next_step.contains("http://"), "{error}");
    server.stop().await;
    let error = Rig::new(&plain).worker().check().await.unwrap_err();
    assert!(error.why.starts_with("no connection: ") && error.next_step.contains("port"), "{error}");
    let error = Rig::new("http://no-such-host.invalid/push").worker().check().await.unwrap_err();
    assert!(error.next_step.contains("DNS"), "{error}");
}
