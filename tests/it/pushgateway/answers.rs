//! What we do about each answer.

use fleetpush::demo::balena;
use fleetpush::demo::http::{Fault, Times};
use fleetpush::demo::receiver::{Event, Options, Server};
use fleetpush::telemetry::status::SinkState;
use rstest::rstest;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::program::Program;
use crate::servers::Suite;

async fn simulated() -> Server {
    Server::start(Options::default()).await.expect("a free port")
}

/// So many requests have come, and not one more.
async fn requests(server: &Server, count: u64) {
    let received = tokio::time::timeout(LIMIT, server.received(count)).await;
    received.unwrap_or_else(|_| panic!("{count} requests"));
    assert_eq!(server.request_count(), count);
}

#[rstest]
#[tokio::test]
async fn a_redirect_is_not_followed_and_says_where_to_look(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
    #[values(301, 302, 307, 308)] status: u16,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let before = simulated().await;
    let target = format!("{}/metrics/job/balena", gateway.url());
    before.inject(Fault::status(status).header("location", &target), Times::Always);
    let error = Rig::new(&before.base_url()).push(counted(&[("a", 1.0)])).await.expect_err("a redirect");
    assert!(matches!(error, PushError::Parked { status: s, .. } if s == status), "{error}");
    assert!(error.explained().contains("not followed: set url"), "{error}");
    assert_eq!(gateway.groups().await.len(), 0);
    assert_eq!(before.request_count(), 1);
}

#[rstest]
#[tokio::test]
async fn a_metric_that_another_group_has_with_another_type_is_named_with_the_way_out(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let rig = Rig::new(gateway.url());
    let key = json!({"job": "balena", "instance": "site"});
    rig.push(counted(&[("a", 1.0)])).await.expect("taken");
    assert_eq!(raw_delete(&gateway, "/metrics/job/balena/instance/site").await, 202);
    eventually("the group is gone", LIMIT, async || gateway.groups().await.is_empty().then_some(())).await;
    for text in ["# TYPE balena_devices counter\nbalena_devices 1\n", "balena_devices 1\n"] {
        assert_eq!(raw_put(&gateway, "/metrics/job/other", text).await.0, 200);
        let error = rig.push(counted(&[("a", 2.0)])).await.expect_err("a conflict");
        let said = error.explained();
        assert!(matches!(error, PushError::Refused { status: 400, .. }), "{said}");
        assert!(said.contains("balena_devices") && said.contains("delete that group or rename"), "{said}");
    }
    // A refused push shows at the gateway, unlike any of ours elsewhere.
    let refused = group(&gateway, &key).await.unwrap();
    assert_eq!(refused["last_push_successful"], false, "{refused}");
    assert_ne!(refused["push_failure_time_seconds"]["metrics"][0]["value"], "0");
    assert_eq!(raw_delete(&gateway, "/metrics/job/other").await, 202);
    eventually("our push is taken", LIMIT, async || rig.push(counted(&[("a", 3.0)])).await.ok()).await;
    assert_eq!(arrives(&gateway, &key, "a", 3.0).await["last_push_successful"], true);
}

#[rstest]
#[case(400, "look at the gateway's own log")]
#[case(413, "raise its limit")]
#[case(431, "shorten them")]
#[tokio::test]
async fn a_refused_push_is_not_sent_again_and_the_next_batch_is(#[case] status: u16, #[case] step: &str) {
    let server = simulated().await;
    server.inject(Fault::status_with(status, "no, not this"), Times::Next(2));
    let rig = Rig::new(&server.base_url());
    let keeping = rig.keep();
    for number in 1..=2 {
        keeping.show(counted(&[("a", number as f64)]));
        requests(&server, number).await;
    }
    eventually("the refusal in words", LIMIT, async || {
        let error = rig.status()?.last_error?;
        (error.contains("no, not this") && error.contains(step)).then_some(())
    })
    .await;
    keeping.show(counted(&[("a", 3.0)]));
    requests(&server, 3).await;
    keeping.ended().await;
    assert_eq!(server.request_count(), 3);
    assert_eq!(server.groups().values().next().unwrap().families["balena_devices"].points[0].value, 3.0);
}

#[rstest]
#[case(401, "basic_auth")]
#[case(403, "use others")]
#[case(404, "--web.route-prefix")]
#[case(405, "takes no pushes")]
#[case(407, "proxy_url")]
#[tokio::test]
async fn a_gateway_that_refuses_us_is_asked_once_a_batch_and_the_next_step_is_told(
    #[case] status: u16,
    #[case] step: &str,
) {
    let server = simulated().await;
    server.inject(Fault::status(status), Times::Always);
    let rig = Rig::new(&server.base_url());
    let keeping = rig.keep();
    for number in 1..=4 {
        keeping.show(counted(&[("a", number as f64)]));
        requests(&server, number).await;
    }
    let parked = eventually("a parked sink", LIMIT, async || {
        rig.status().filter(|status| matches!(status.state, SinkState::Parked { .. }))
    })
    .await;
    assert!(parked.last_error.unwrap().contains(step));
    server.clear_faults();
    keeping.show(counted(&[("a", 5.0)]));
    requests(&server, 5).await;
    keeping.ended().await;
    assert_eq!(server.groups().len(), 1);
    assert!(matches!(rig.status().unwrap().state, SinkState::Delivering));
}

#[tokio::test]
async fn a_refusal_whose_body_breaks_off_is_known_by_its_status() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        let answer = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 100\r\n\r\nUnauth";
        socket.write_all(answer).await.unwrap();
    });
    let error = Rig::new(&url).push(counted(&[("a", 1.0)])).await.expect_err("a refusal");
    assert!(matches!(error, PushError::Parked { status: 401, .. }), "{error:?}");
    server.await.unwrap();
}

#[rstest]
#[tokio::test]
async fn what_may_pass_is_tried_again_with_the_same_batch(
    #[values(408, 429, 500, 502, 503, 504)] status: u16,
) {
    let server = simulated().await;
    server.inject(Fault::status(status), Times::Next(1));
    let rig = Rig::new(&server.base_url());
    let keeping = rig.keep();
    keeping.show(counted(&[("a", 7.0)]));
    eventually("the batch after one refusal", LIMIT, async || server.groups().into_values().next()).await;
    requests(&server, 2).await;
    keeping.ended().await;
}

#[tokio::test]
async fn a_gateway_that_stays_away_makes_a_line_for_each_way_it_does_so() {
    let server = simulated().await;
    let api = balena::Server::start(balena::Simulation::new(), balena::Options::default()).await.unwrap();
    server.inject(Fault::status(401), Times::Always);
    let variables = [("PUSHGATEWAY_URL", server.base_url()), ("CRAWL_INTERVAL", "200ms".into())];
    let program = Program::service(&api, &variables.each_ref().map(|(name, value)| (*name, value.as_str())));
    tokio::time::timeout(LIMIT, server.received(10)).await.expect("ten tries");
    let log = program.stderr();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("answered 401")).collect();
    assert_eq!(lines.len(), 2, "one for each group: {log}");
    assert!(lines.iter().all(|line| line.contains("next_step=") && line.contains("basic_auth")), "{lines:?}");
    for status in [503, 500] {
        server.clear_faults();
        server.inject(Fault::status(status), Times::Always);
        program.logged(&format!("answered {status}")).await;
    }
}

#[tokio::test]
async fn pushes_share_a_connection() {
    let server = simulated().await;
    let rig = Rig::new(&server.base_url());
    let keeping = rig.keep();
    for number in 1..=5 {
        keeping.show(counted(&[("a", number as f64)]));
        requests(&server, number).await;
        eventually("its answer", LIMIT, async || {
            let stored = server.groups().into_values().next()?;
            (stored.families["balena_devices"].points[0].value == number as f64).then_some(())
        })
        .await;
    }
    keeping.ended().await;
    let connections: Vec<u64> = server.requests().iter().map(|request| request.connection).collect();
    assert!(connections.len() == 5 && connections.iter().max() <= Some(&2), "{connections:?}");
}

#[rstest]
#[case(Suite::Stock, "1.5")]
#[case(Suite::New, "1.11")]
#[tokio::test]
async fn a_check_stores_nothing_and_names_the_release(#[case] suite: Suite, #[case] release: &str) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let said = Rig::new(gateway.url()).pusher().unwrap().check().await.unwrap();
    assert!(said.starts_with(&format!("ready, Pushgateway {release}.")), "{said}");
    assert_eq!(gateway.groups().await.len(), 0);
}

#[tokio::test]
async fn after_an_outage_the_newest_batch_arrives_and_none_of_the_older_ones() {
    let server = simulated().await;
    let mut events = server.subscribe();
    server.set_outage(true);
    let rig = Rig::new(&server.base_url());
    let keeping = rig.keep();
    for number in 1..=5 {
        keeping.show(counted(&[("a", number as f64)]));
        tokio::time::timeout(LIMIT, server.received(number)).await.expect("each batch is tried");
    }
    server.set_outage(false);
    let stored = eventually("a group", LIMIT, async || server.groups().into_values().next()).await;
    assert_eq!(stored.families["balena_devices"].points[0].value, 5.0);
    keeping.ended().await;
    let mut pushes = 0;
    while let Ok(event) = events.try_recv() {
        pushes += usize::from(matches!(event, Event::Push { .. }));
    }
    assert_eq!(pushes, 1, "no queue of older batches");
}

#[tokio::test]
async fn a_retry_after_holds_back_newer_batches_of_the_same_group_and_no_others() {
    let server = simulated().await;
    server.inject(Fault::RateLimit("3600".into()), Times::Next(1));
    let rig = Rig::new(&server.base_url());
    let keeping = rig.keep();
    keeping.show(counted(&[("a", 1.0)]));
    requests(&server, 1).await;
    let hour = Duration::from_secs(3600);
    eventually("the delay that was asked for", LIMIT, async || {
        let state = rig.status()?.state;
        matches!(state, SinkState::Retrying { delay } if delay == hour).then_some(())
    })
    .await;
    for number in 2..=6 {
        keeping.show(counted(&[("a", number as f64)]));
        keeping.show(own(number as f64));
        requests(&server, number).await;
    }
    let targets: Vec<String> = server.requests().into_iter().skip(1).map(|request| request.target).collect();
    assert!(targets.iter().all(|target| target.ends_with("/component/fleetpush")), "{targets:?}");
    // A stop gives what was held back its last try.
    keeping.ended().await;
    let stored = server.groups().into_values().find(|group| group.families.contains_key("balena_devices"));
    assert_eq!(stored.expect("the last try").families["balena_devices"].points[0].value, 6.0);
}

#[tokio::test]
async fn a_retry_after_of_a_second_is_over_after_it() {
    let server = simulated().await;
    server.inject(Fault::RateLimit("1".into()), Times::Next(1));
    let rig = Rig::new(&server.base_url());
    let keeping = rig.keep();
    keeping.show(counted(&[("a", 1.0)]));
    requests(&server, 1).await;
    keeping.show(counted(&[("a", 2.0)]));
    let stored = eventually("a group", LIMIT, async || server.groups().into_values().next()).await;
    assert_eq!(stored.families["balena_devices"].points[0].value, 2.0);
    requests(&server, 2).await;
    keeping.ended().await;
}

#[tokio::test]
async fn the_failure_of_one_group_is_not_tried_again_at_the_batch_of_another() {
    let server = simulated().await;
    server.inject_on("/component/fleetpush", Fault::status(401), Times::Always);
    let rig = Rig::new(&server.base_url());
    let keeping = rig.keep();
    keeping.show(own(1.0));
    requests(&server, 1).await;
    for number in 2..=6 {
        keeping.show(counted(&[("a", number as f64)]));
        requests(&server, number).await;
    }
    keeping.abort.cancel();
    let refused = server.requests().iter().filter(|one| one.target.contains("component")).count();
    assert_eq!(refused, 1);
    assert!(rig.status().unwrap().last_error.is_some(), "it is not up while one of its groups is refused");
}
