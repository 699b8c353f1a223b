//! The simulated receivers answer as the real ones were measured to answer.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetpush::demo::receiver::{Cut, Fault, Options, Personality, Server, Times, Version};
use fleetpush::pb::{metric_family as mf, remote_write_v1 as v1, remote_write_v2 as v2};
use prost::Message;
use rstest::rstest;
use tokio::time::timeout;

use crate::remote_rig::now;
use crate::wire::{TYPE_1, TYPE_2, body_1, client, one, pack, post, post_1};

use Personality::{Cortex, Prometheus3, Prometheus242, Thanos, VictoriaMetrics};

const BOUND: Duration = Duration::from_secs(20);
const STALE: u64 = 0x7ff0_0000_0000_0002;

async fn start(personality: Personality) -> Server {
    Server::start(Options { personality, ..Options::default() }).await.expect("a free port")
}

async fn send(server: &Server, content_type: &str, version: &str, body: Vec<u8>) -> reqwest::Response {
    let headers = [
        ("content-type", content_type),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", version),
    ];
    post(&server.write_url(), &headers, body).await
}

async fn send_1(server: &Server, series: Vec<v1::TimeSeries>) -> u16 {
    post_1(&server.write_url(), series).await.status().as_u16()
}

/// Two series of version 2.0, the second with a repeated label when asked.
fn two(timestamp: i64, bad: bool) -> Vec<u8> {
    let symbols = ["", "__name__", "devices", "fleet", "acme/a", "acme/b", "How many.", "x"];
    let metadata = v2::Metadata { r#type: 2, help_ref: 6, unit_ref: 0 };
    let series = |fleet: u32, value: f64| v2::TimeSeries {
        labels_refs: vec![1, 2, 3, fleet],
        samples: vec![v2::Sample { value, timestamp, start_timestamp: 0 }],
        exemplars: Vec::new(),
        metadata: Some(metadata),
    };
    let mut second = series(5, f64::from_bits(STALE));
    if bad {
        second.labels_refs = vec![1, 2, 3, 4, 3, 5];
    }
    let symbols = symbols.map(str::to_owned).to_vec();
    pack(&v2::Request { symbols, timeseries: vec![series(4, 3.0), second] }.encode_to_vec())
}

fn stored(server: &Server) -> usize {
    server.samples().values().map(Vec::len).sum()
}

#[rstest]
#[case(Prometheus242, 204)]
#[case(Prometheus3, 204)]
#[case(VictoriaMetrics, 204)]
#[case(Cortex, 200)]
#[case(Thanos, 200)]
#[tokio::test]
async fn version_one_is_decoded_and_stored(#[case] personality: Personality, #[case] status: u16) {
    let server = start(personality).await;
    let mut events = server.subscribe();
    let now = now();
    let request = v1::WriteRequest {
        timeseries: vec![one(
            &[("__name__", "devices"), ("fleet", "acme/a")],
            &[(now, f64::from_bits(STALE))],
        )],
        metadata: vec![v1::MetricMetadata {
            r#type: 2,
            metric_family_name: "devices".to_owned(),
            help: "How many.".to_owned(),
            unit: String::new(),
        }],
    };
    let body = pack(&request.encode_to_vec());
    let length = body.len();
    let reply = send(&server, TYPE_1, "0.1.0", body).await;
    assert_eq!(reply.status().as_u16(), status);
    assert!(reply.headers().get("x-prometheus-remote-write-samples-written").is_none());

    let delivered = server.deliveries().remove(0);
    assert_eq!((delivered.version, delivered.body_len, delivered.written), (Version::One, length, 1));
    assert_eq!(delivered.header("x-prometheus-remote-write-version"), Some("0.1.0"));
    assert_eq!(delivered.metadata[0].help, "How many.");
    let labels = BTreeMap::from(
        [("__name__", "devices"), ("fleet", "acme/a")].map(|(n, v)| (n.to_owned(), v.to_owned())),
    );
    let sample = server.samples()[&labels][0];
    assert_eq!((sample.timestamp, sample.bits), (now, STALE));
    assert!(sample.is_stale_marker());
    let event = timeout(BOUND, events.recv()).await.expect("published").expect("received");
    assert_eq!(
        event.to_string(),
        format!(
            "remote write 1.0: 1 samples, {length} bytes of snappy and protobuf (1 of them stale markers), \
             answered {status}"
        )
    );
}

#[rstest]
#[case(Prometheus3, 204)]
#[case(Cortex, 204)]
#[tokio::test]
async fn version_two_is_decoded_and_counted(#[case] personality: Personality, #[case] status: u16) {
    let server = start(personality).await;
    let reply = send(&server, TYPE_2, "2.0.0", two(now(), false)).await;
    assert_eq!(reply.status().as_u16(), status);
    assert_eq!(reply.headers()["x-prometheus-remote-write-samples-written"], "2");
    assert_eq!(reply.headers()["x-prometheus-remote-write-histograms-written"], "0");
    assert_eq!(reply.headers()["x-prometheus-remote-write-exemplars-written"], "0");
    let delivered = server.deliveries().remove(0);
    assert_eq!(delivered.version, Version::Two);
    let series = &delivered.series[0];
    assert_eq!((series.name(), series.kind, series.help.as_str()), ("devices", 2, "How many."));
    assert_eq!(series.samples[0].value(), 3.0);
    assert!(delivered.series[1].samples[0].is_stale_marker());
}

#[rstest]
#[case(Prometheus242, 204)]
#[case(VictoriaMetrics, 204)]
#[case(Thanos, 200)]
#[tokio::test]
async fn version_two_is_lost_in_silence_by_receivers_of_one(
    #[case] personality: Personality,
    #[case] status: u16,
) {
    let server = start(personality).await;
    let reply = send(&server, TYPE_2, "2.0.0", two(now(), false)).await;
    assert_eq!(reply.status().as_u16(), status);
    assert!(reply.headers().get("x-prometheus-remote-write-samples-written").is_none());
    assert!(server.deliveries()[0].series.is_empty() && server.samples().is_empty());
}

/// Statuses to: same again, other value, older, far future, unsorted, repeated label, no name, empty value,
/// [newer, older] in one series.
#[rstest]
#[case(Prometheus242, [204, 400, 400, 204, 204, 500, 204, 204, 204])]
#[case(Prometheus3, [204, 400, 400, 400, 204, 204, 204, 204, 204])]
#[case(VictoriaMetrics, [204, 204, 204, 204, 204, 204, 204, 204, 204])]
#[case(Cortex, [200, 400, 400, 400, 200, 400, 400, 200, 200])]
#[case(Thanos, [200, 409, 409, 200, 409, 409, 200, 409, 200])]
#[tokio::test]
async fn conflicts_are_answered_as_measured(#[case] personality: Personality, #[case] expected: [u16; 9]) {
    let server = start(personality).await;
    let now = now();
    let series = |samples: &[(i64, f64)]| vec![one(&[("__name__", "m")], samples)];
    assert!(send_1(&server, series(&[(now, 1.0)])).await < 300);
    let future = [(now + 900_000, 1.0)];
    let requests = [
        series(&[(now, 1.0)]),
        series(&[(now, 2.0)]),
        series(&[(now - 1_000, 1.0)]),
        vec![one(&[("__name__", "future")], &future)],
        vec![one(&[("a", "1"), ("__name__", "m")], &[(now, 1.0)])],
        vec![one(&[("__name__", "m"), ("a", "1"), ("a", "2")], &[(now, 1.0)])],
        vec![one(&[("a", "1")], &[(now, 1.0)])],
        vec![one(&[("__name__", "m"), ("b", "")], &[(now, 1.0)])],
        vec![one(&[("__name__", "n")], &[(now, 1.0), (now - 1_000, 1.0)])],
    ];
    let mut answers = Vec::new();
    for request in requests {
        answers.push(send_1(&server, request).await);
    }
    assert_eq!(answers, expected);
}

#[rstest]
#[case(Prometheus242, 400, 1)]
#[case(Prometheus3, 400, 1)]
#[case(VictoriaMetrics, 204, 3)]
#[case(Cortex, 400, 2)]
#[case(Thanos, 409, 2)]
#[tokio::test]
async fn one_stale_sample_spoils_the_request_only_where_it_is_rolled_back(
    #[case] personality: Personality,
    #[case] status: u16,
    #[case] left: usize,
) {
    let server = start(personality).await;
    let now = now();
    assert!(send_1(&server, vec![one(&[("__name__", "m")], &[(now, 1.0)])]).await < 300);
    let good = one(&[("__name__", "good")], &[(now, 1.0)]);
    let older = one(&[("__name__", "m")], &[(now - 1, 1.0)]);
    assert_eq!(send_1(&server, vec![good, older]).await, status);
    assert_eq!(stored(&server), left);
}

#[rstest]
#[case(Prometheus3)]
#[case(Cortex)]
#[tokio::test]
async fn partial_write_of_version_two_is_counted(#[case] personality: Personality) {
    let server = start(personality).await;
    let reply = send(&server, TYPE_2, "2.0.0", two(now(), true)).await;
    assert_eq!(reply.status().as_u16(), 400);
    assert_eq!(reply.headers()["x-prometheus-remote-write-samples-written"], "1");
    assert_eq!(stored(&server), 1);
}

#[rstest]
#[case(Prometheus242, 400, 204)]
#[case(Prometheus3, 400, 415)]
#[case(Thanos, 400, 200)]
#[case(Cortex, 400, 415)]
#[tokio::test]
async fn bodies_and_types_that_are_wrong(
    #[case] personality: Personality,
    #[case] not_snappy: u16,
    #[case] text_type: u16,
) {
    let server = start(personality).await;
    let reply = send(&server, TYPE_1, "0.1.0", b"not snappy".to_vec()).await;
    assert_eq!(reply.status().as_u16(), not_snappy);
    let reply = send(&server, "text/plain", "0.1.0", pack(b"")).await;
    assert_eq!(reply.status().as_u16(), text_type);
}

#[tokio::test]
async fn tenant_outage_and_cuts() {
    let options = Options { personality: Cortex, needs_tenant: true, ..Options::default() };
    let server = Server::start(options).await.expect("a free port");
    assert_eq!(send_1(&server, Vec::new()).await, 401);

    let server = start(Prometheus3).await;
    server.set_outage(true);
    let series = vec![one(&[("__name__", "m")], &[(now(), 1.0)])];
    assert_eq!(send_1(&server, series.clone()).await, 503);
    server.set_outage(false);
    assert!(server.deliveries().is_empty());

    let client = client();
    let body = pack(&body_1(series));
    for (cut, delivered) in [(Cut::BeforeWork, 0), (Cut::AfterWork, 1)] {
        server.inject(Fault::Cut(cut), Times::Next(1));
        assert!(client.post(server.write_url()).body(body.clone()).send().await.is_err());
        assert_eq!(server.deliveries().len(), delivered);
    }
}

mod pushgateway {
    use super::*;

    const DELIMITED: &str =
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

    fn gauge(name: &str, value: f64) -> Vec<u8> {
        let label = mf::LabelPair { name: Some("fleet".to_owned()), value: Some("acme/a".to_owned()) };
        let gauge = Some(mf::Gauge { value: Some(value) });
        let metric = mf::Metric { label: vec![label], gauge, ..mf::Metric::default() };
        let family = mf::MetricFamily {
            name: Some(name.to_owned()),
            help: Some("Help.".to_owned()),
            r#type: Some(1),
            metric: vec![metric],
            ..mf::MetricFamily::default()
        };
        family.encode_length_delimited_to_vec()
    }

    async fn push(server: &Server, method: &str, path: &str, kind: &str, body: Vec<u8>) -> (u16, String) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let url = format!("{}{path}", server.base_url());
        let reply = client()
            .request(method, url)
            .header("content-type", kind)
            .body(body)
            .send()
            .await
            .expect("an answer");
        (reply.status().as_u16(), reply.text().await.expect("text"))
    }

    fn names(server: &Server) -> Vec<String> {
        server.groups().into_values().flat_map(|group| group.families.into_keys()).collect()
    }

    #[tokio::test]
    async fn put_replaces_post_adds_delete_removes() {
        let server = start(Prometheus3).await;
        let path = "/metrics/job/balena/site@base64/YS9i";
        let both = [gauge("a", 1.0), gauge("b", 2.0)].concat();
        assert_eq!(push(&server, "PUT", path, DELIMITED, both).await.0, 200);
        assert_eq!(names(&server), ["a", "b"]);
        let key = server.groups().into_keys().next().expect("a group");
        assert_eq!((key["job"].as_str(), key["site"].as_str()), ("balena", "a/b"));
        let group = &server.groups()[&key];
        assert_eq!(group.families["a"].points[0].labels["site"], "a/b");
        assert_eq!(group.families["b"].points[0].value, 2.0);

        assert_eq!(push(&server, "POST", path, DELIMITED, gauge("c", 3.0)).await.0, 200);
        assert_eq!(names(&server), ["a", "b", "c"]);
        assert_eq!(push(&server, "PUT", path, DELIMITED, gauge("a", 5.0)).await.0, 200);
        assert_eq!(names(&server), ["a"]);
        let page = push(&server, "GET", "/metrics", "", Vec::new()).await.1;
        assert!(page.contains("a{fleet=\"acme/a\",instance=\"\",job=\"balena\",site=\"a/b\"} 5\n"), "{page}");
        assert_eq!(push(&server, "DELETE", path, "", Vec::new()).await.0, 202);
        assert!(server.groups().is_empty());
    }

    #[rstest]
    #[case("PUT", "/metrics", 405)]
    #[case("GET", "/metrics/job/j", 405)]
    #[case("PUT", "/metrics/job", 404)]
    #[case("PUT", "/metrics/instance/x/job/y", 404)]
    #[case("PUT", "/metrics/job/j/", 200)]
    #[case("PUT", "/metrics/job/j/instance", 400)]
    #[case("PUT", "/metrics/job/j/path/a%2Fb", 400)]
    #[case("PUT", "/metrics/job/j/a//b", 301)]
    #[case("PUT", "/metrics/job/j/bad-name/x", 400)]
    #[case("PUT", "/metrics/job@base64/=", 400)]
    #[case("GET", "/-/ready", 200)]
    #[tokio::test]
    async fn paths_are_read_as_measured(#[case] method: &str, #[case] path: &str, #[case] status: u16) {
        let server = start(Prometheus3).await;
        assert_eq!(push(&server, method, path, "", Vec::new()).await.0, status);
    }

    #[rstest]
    #[case("a 1\n", 200, "")]
    #[case("# HELP a Text.\n# TYPE a gauge\na{x=\"1,\\\"2\"} +Inf\n", 200, "")]
    #[case("a 1", 400, "unexpected end of input stream")]
    #[case("a 1 1700000000000\n", 400, "must not have timestamps")]
    #[case("a 1\na 2\n", 400, "was collected before with the same name and label values")]
    #[case("a{x=\"1\",x=\"2\"} 1\n", 400, "duplicate label names")]
    #[case("# TYPE taken counter\ntaken 1\n", 400, "is not a GAUGE")]
    #[tokio::test]
    async fn texts_are_checked(#[case] body: &str, #[case] status: u16, #[case] part: &str) {
        let server = start(Prometheus3).await;
        assert_eq!(push(&server, "PUT", "/metrics/job/other", DELIMITED, gauge("taken", 1.0)).await.0, 200);
        let (answered, text) = push(&server, "PUT", "/metrics/job/j", "text/plain", body.into()).await;
        assert_eq!(answered, status, "{text}");
        assert!(text.contains(part), "{text}");
    }

    #[tokio::test]
    async fn cut_protobuf_and_timestamps_are_refused() {
        let server = start(Prometheus3).await;
        let mut cut = gauge("a", 1.0);
        cut.pop();
        assert_eq!(push(&server, "PUT", "/metrics/job/j", DELIMITED, cut).await.0, 400);
        // Family "a", gauge, one metric of gauge 1.0 with field 6, the timestamp.
        let metric = [&[0x12, 9, 9][..], &1f64.to_le_bytes(), &[0x30, 1]].concat();
        let mut family = vec![0x0a, 1, b'a', 0x18, 1, 0x22, u8::try_from(metric.len()).expect("short")];
        family.extend(metric);
        family.insert(0, u8::try_from(family.len()).expect("short"));
        let (status, text) = push(&server, "PUT", "/metrics/job/j", DELIMITED, family).await;
        assert_eq!(status, 400);
        assert!(text.contains("must not have timestamps"), "{text}");
    }
}
