//! What is in a push: names, types, times, and the wire's form.

use std::collections::BTreeSet;

use fleetpush::demo::balena::{self, Fleet, Simulation};
use fleetpush::demo::receiver;
use fleetpush::encode::family as wire;
use fleetpush::pb::metric_family::{Gauge, Metric, MetricFamily, MetricType};
use fleetpush::sample::{BatchError, LabelError};
use prost::Message;
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::end_to_end::HOSTILE;
use crate::program::Program;
use crate::servers::{Suite, promtool_check_metrics};

/// A PUT with a Content-Type, by a client of its own.
async fn raw_typed(
    gateway: &Pushgateway,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.put(format!("{}{path}", gateway.url())).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

const PROTOBUF: (&str, &str) = ("content-type", wire::CONTENT_TYPE);

#[rstest]
#[tokio::test]
async fn protobuf_under_any_but_the_exact_content_type_is_read_as_text(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let body = wire::body([&state(1.0)]);
    for other in ["application/vnd.google.protobuf", "application/x-protobuf", "application/json"] {
        let (status, _) =
            raw_typed(&gateway, "/metrics/job/j", &[("content-type", other)], body.clone()).await;
        assert_eq!(status, 400, "{other}");
    }
    assert_eq!(gateway.groups().await.len(), 0);
    let undelimited = MetricFamily { name: Some("x".into()), ..MetricFamily::default() }.encode_to_vec();
    assert_eq!(raw_typed(&gateway, "/metrics/job/j", &[PROTOBUF], undelimited).await.0, 400);
    assert_eq!(raw_typed(&gateway, "/metrics/job/j", &[PROTOBUF], body).await.0, 200);

    let receiver = receiver::Server::start(receiver::Options::default()).await.unwrap();
    let rig = Rig::new(&receiver.base_url());
    rig.push(counted(&[("a", 1.0)])).await.unwrap();
    let exact =
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    assert_eq!(receiver.requests()[0].header("content-type"), Some(exact));
}

#[rstest]
#[tokio::test]
async fn an_encoding_that_one_of_the_gateways_cannot_read_is_never_used(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let body = wire::body([&state(1.0)]);
    let packed = snap::raw::Encoder::new().compress_vec(&body).unwrap();
    let headers = [PROTOBUF, ("content-encoding", "snappy")];
    assert_eq!(raw_typed(&gateway, "/metrics/job/j", &headers, packed).await.0, 400);

    let receiver = receiver::Server::start(receiver::Options::default()).await.unwrap();
    let rig = Rig::new(&receiver.base_url());
    rig.push(counted(&[("a", 1.0)])).await.unwrap();
    rig.pusher().unwrap().delete(&[Source::Own]).await.unwrap();
    let requests = receiver.requests();
    let methods: Vec<_> = requests.iter().map(|request| request.method.as_str()).collect();
    assert_eq!(methods, ["PUT", "DELETE"]);
    assert!(requests.iter().all(|request| request.header("content-encoding").is_none()), "{requests:?}");
    rig_takes(&gateway).await;
}

async fn rig_takes(gateway: &Pushgateway) {
    Rig::new(gateway.url()).push(counted(&[("a", 1.0)])).await.expect("taken");
    arrives(gateway, &json!({"job": "balena", "instance": "site"}), "a", 1.0).await;
}

#[rstest]
#[tokio::test]
async fn a_timestamp_is_refused_and_no_body_of_ours_has_one(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let (status, text) = raw_put(&gateway, "/metrics/job/j", "x 1 1700000000000\n").await;
    assert!(status == 400 && text.contains("must not have timestamps"), "{status} {text}");
    assert_eq!(raw_delete(&gateway, "/metrics/job/j").await, 202);
    // The batch itself has a time, 1 ms after the epoch, at which no Prometheus would take it.
    rig_takes(&gateway).await;
    let page = gateway.metrics().await;
    let lines: Vec<&str> = page.lines().filter(|line| line.starts_with("balena_")).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line.ends_with("} 1")), "{lines:?}");
}

#[rstest]
#[tokio::test]
async fn an_unchecked_gateway_takes_and_drops_a_timestamp_and_keeps_our_push(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &["--push.disable-consistency-check"]).await;
    assert_eq!(raw_put(&gateway, "/metrics/job/j", "x 1 1700000000000\n").await.0, 202);
    let dropped = eventually("the group of a dropped push", LIMIT, async || {
        group(&gateway, &json!({"job": "j"})).await
    })
    .await;
    assert_eq!(dropped["last_push_successful"], false, "{dropped}");
    rig_takes(&gateway).await;
    let said = Rig::new(gateway.url()).pusher().unwrap().check().await.unwrap();
    assert!(said.contains("--push.disable-consistency-check"), "{said}");
}

#[rstest]
#[tokio::test]
async fn a_counter_arrives_as_one_and_not_as_the_untyped_series_of_openmetrics(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let openmetrics = "# TYPE x counter\nx_total 1\n# EOF\n";
    assert_eq!(raw_put(&gateway, "/metrics/job/j", openmetrics).await.0, 200);
    assert_eq!(group(&gateway, &json!({"job": "j"})).await.unwrap()["x_total"]["type"], "UNTYPED");
    let counter =
        Family { kind: Kind::Counter, ..family("x_seen_total", Role::State, vec![series(&[], 3.0)]) };
    let batch = Batch::new(Source::Own, Millis(1), Scope::Whole, vec![counter]).unwrap();
    Rig::new(gateway.url()).push(batch).await.expect("taken");
    let key = json!({"job": "balena", "instance": "site", "component": "fleetpush"});
    let family = group(&gateway, &key).await.unwrap()["x_seen_total"].clone();
    assert_eq!((&family["type"], &family["metrics"][0]["value"]), (&json!("COUNTER"), &json!("3")));
    assert_eq!(family["help"], "Registered devices");
}

#[rstest]
#[tokio::test]
async fn names_that_a_gateway_keeps_for_itself_are_refused_before_anything_is_sent(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let body = "push_time_seconds 5\npush_failure_time_seconds 5\n";
    let mut times = BTreeSet::new();
    for _ in 0..2 {
        assert_eq!(raw_put(&gateway, "/metrics/job/j", body).await.0, 200);
        let group = group(&gateway, &json!({"job": "j"})).await.unwrap();
        times.insert(group["push_failure_time_seconds"]["metrics"][0]["value"].to_string());
    }
    assert!(times.contains("\"5\""), "a pushed failure time stands from the second push on: {times:?}");

    for name in [
        "push_time_seconds",
        "push_failure_time_seconds",
        "pushgateway_build_info",
        "go_goroutines",
        "process_start_time_seconds",
        "promhttp_metric_handler_requests_total",
    ] {
        let batch = account(vec![family(name, Role::State, vec![series(&[], 1.0)])]);
        let error = Rig::new(gateway.url()).push(batch).await.expect_err(name);
        assert!(matches!(&error, PushError::ReservedName(said) if said == name), "{error}");
    }
    assert_eq!(gateway.groups().await.len(), 1, "nothing of it was sent");
}

#[rstest]
#[tokio::test]
async fn two_families_of_one_name_lose_the_first_and_ours_cannot_be_made(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let twins = || [state(1.0), family("balena_up", Role::State, vec![series(&[("x", "y")], 2.0)])];
    let (status, _) = raw_typed(&gateway, "/metrics/job/j", &[PROTOBUF], wire::body(&twins())).await;
    let stored = group(&gateway, &json!({"job": "j"})).await.unwrap();
    assert_eq!((status, stored["balena_up"]["metrics"].as_array().unwrap().len()), (200, 1));
    let error = Batch::new(Source::Own, Millis(1), Scope::Whole, twins().to_vec()).unwrap_err();
    assert!(matches!(error, BatchError::FamilyTwice(_)), "{error}");

    let twice = family("d", Role::State, vec![series(&[], 1.0), series(&[("x", "")], 2.0)]);
    let (status, _) = raw_typed(&gateway, "/metrics/job/j", &[PROTOBUF], wire::body([&twice])).await;
    assert_eq!(status, 400);
    let error = Batch::new(Source::Own, Millis(1), Scope::Whole, vec![twice]).unwrap_err();
    assert!(matches!(error, BatchError::Duplicate(_)), "{error}");
}

#[rstest]
#[tokio::test]
async fn a_dotted_name_is_taken_by_every_gateway_and_cannot_be_one_of_ours(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let metric = Metric { gauge: Some(Gauge { value: Some(1.0) }), ..Metric::default() };
    let dotted = MetricFamily {
        name: Some("my.metric".into()),
        r#type: Some(MetricType::Gauge.into()),
        metric: vec![metric],
        ..MetricFamily::default()
    };
    let body = dotted.encode_length_delimited_to_vec();
    assert_eq!(raw_typed(&gateway, "/metrics/job/j", &[PROTOBUF], body).await.0, 200);
    for name in ["my.metric", "my-metric", "9a", "", "é"] {
        assert!(MetricName::new(name).is_err() && LabelName::new(name).is_err(), "{name}");
    }
}

#[rstest]
#[tokio::test]
async fn labels_that_a_gateway_refuses_in_a_body_are_none_of_ours(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    for (body, reason) in
        [("x{a=\"1\",a=\"2\"} 1\n", "duplicate label name"), ("x{__a=\"1\"} 1\n", "invalid name")]
    {
        let (status, text) = raw_put(&gateway, "/metrics/job/j", body).await;
        assert!(status == 400 && text.contains(reason), "{body}: {status} {text}");
    }
    assert_eq!(raw_delete(&gateway, "/metrics/job/j").await, 202);
    let twice = ["1", "2"].map(|value| (name_of("a"), Text::from(value)));
    assert!(matches!(Labels::new(twice), Err(LabelError::Twice(_))));
    let (_simulation, _api, _program) = hostile_service(&gateway).await;
    let mut names = BTreeSet::new();
    for group in gateway.groups().await {
        let families = group.as_object().unwrap().values();
        let metrics = families.filter_map(|family| family["metrics"].as_array()).flatten();
        names.extend(metrics.flat_map(|one| one["labels"].as_object().unwrap().keys().cloned()));
    }
    assert!(names.contains("fleet_name") && names.contains("sink"), "{names:?}");
    assert!(names.iter().all(|name| !name.starts_with("__")), "{names:?}");
}

async fn hostile_service(gateway: &Pushgateway) -> (Simulation, balena::Server, Program) {
    let simulation = Simulation::new();
    for (number, name) in HOSTILE.iter().enumerate() {
        simulation.add(Fleet::new("acme", name).devices(number, &balena::Device::operational()));
    }
    let api = balena::Server::start(simulation.clone(), balena::Options::default()).await.unwrap();
    let program = Program::service(&api, &[("PUSHGATEWAY_URL", gateway.url())]);
    eventually("both groups", LIMIT, async || (keys_of(gateway).await == our_keys()).then_some(())).await;
    (simulation, api, program)
}

#[rstest]
#[tokio::test]
async fn hostile_fleet_names_stand_unchanged_in_the_gateways_api(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let (simulation, _api, _program) = hostile_service(&gateway).await;
    let group = group(&gateway, &our_keys()[1]).await.unwrap();
    let fleets = simulation.fleets();
    let expected: BTreeMap<String, f64> =
        fleets.iter().map(|fleet| (fleet.app_name.clone(), fleet.online() as f64)).collect();
    assert_eq!(expected.len(), HOSTILE.len());
    assert_eq!(fleets_of(&group, "balena_devices_online"), expected);
    let slugs: BTreeSet<&str> = group["balena_devices"]["metrics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|metric| metric["labels"]["fleet_slug"].as_str().unwrap())
        .collect();
    assert_eq!(slugs, fleets.iter().map(|fleet| fleet.slug.as_str()).collect());
}

#[rstest]
#[tokio::test]
async fn our_families_on_the_gateways_page_are_clean_and_no_two_types_meet(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let (_simulation, _api, _program) = hostile_service(&gateway).await;
    let page = gateway.metrics().await;
    let ours = |line: &&str| {
        let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
        ["balena_", "fleetpush_", "prometheus_remote_storage_"].iter().any(|prefix| name.starts_with(prefix))
    };
    let lines: Vec<&str> = page.lines().filter(ours).collect();
    let types: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let names: BTreeSet<&str> = types.iter().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.len() > 10 && names.len() == types.len(), "{types:?}");
    for (line, name) in types.iter().zip(types.iter().filter_map(|line| line.split(' ').next())) {
        assert_eq!(line.ends_with(" counter"), name.ends_with("_total"), "{line}");
        assert!(line.ends_with(" counter") || line.ends_with(" gauge"), "{line}");
    }
    let ours = format!("{}\n", lines.join("\n"));
    promtool_check_metrics(suite, &ours).unwrap_or_else(|said| panic!("promtool says:\n{said}"));
    is_sound(&gateway).await;
}

#[rstest]
#[tokio::test]
async fn five_thousand_fleets_are_one_push_of_one_group(#[values(Suite::Stock, Suite::New)] suite: Suite) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let names: Vec<String> = (0..5_000).map(|number| format!("fleet {number}")).collect();
    let fleets: Vec<(&str, f64)> =
        names.iter().enumerate().map(|(number, name)| (name.as_str(), number as f64)).collect();
    let rig = Rig::new(gateway.url());
    rig.push(counted(&fleets)).await.expect("taken");
    assert_eq!(keys_of(&gateway).await.len(), 1);
    let stored = group(&gateway, &json!({"job": "balena", "instance": "site"})).await.unwrap();
    let expected = fleets.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    assert!(fleets_of(&stored, "balena_devices") == expected, "every fleet with its value");
    rig.push(counted(&fleets[..10])).await.expect("taken");
    let stored = group(&gateway, &json!({"job": "balena", "instance": "site"})).await.unwrap();
    assert_eq!(fleets_of(&stored, "balena_devices").len(), 10);
}
