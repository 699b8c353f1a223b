//! Relayed batches through queue, worker and encoder into real receivers: types, times, starts, exemplars and names
//! of any UTF-8 arrive, in 2.0 and in 1.0.

use std::collections::BTreeMap;

use fleetpush::config::{ProtobufMessage, SendExemplars};
use fleetpush::encode::record::{Cutter, Identity};
use fleetpush::queue;
use fleetpush::sample::{Batch, Kind, Millis, Own, Series};
use rstest::rstest;
use serde_json::Value;

use crate::program::LIMIT;
use crate::relay_batch::{batch, exemplar, family, part, series, target, with};
use crate::remote_rig::{Rig, now};
use crate::servers::{Found, Prometheus, Suite, VictoriaMetrics, eventually};

const NO_TARGET: &str = "global: {scrape_interval: 1h}";
const STORAGE: &str = "--enable-feature=exemplar-storage";

/// A page with everything that remote write can carry, at `at`.
fn page(at: i64, count: f64) -> Vec<Batch> {
    let trace = |id: &str, at| Own {
        start: Some(Millis(at - 60_000)),
        exemplars: vec![exemplar(&[("trace_id", id)], 0.125, Some(at - 5))],
        at: None,
    };
    let bucket = |bound: &str, value, own: Option<Own>| {
        let plain = series(&[("le", bound)], value);
        own.map_or(plain.clone(), |own| with(plain, own))
    };
    let started = |one: Series| with(one, Own { start: Some(Millis(at - 60_000)), ..Own::default() });
    let id = format!("{count}");
    let app = vec![
        part(
            "http_seconds",
            "_bucket",
            Kind::Histogram,
            vec![bucket("0.25", count, Some(trace(&id, at))), bucket("+Inf", count + 1.0, None)],
        ),
        part("http_seconds", "_sum", Kind::Histogram, vec![started(series(&[], 0.5))]),
        part("http_seconds", "_count", Kind::Histogram, vec![started(series(&[], count + 1.0))]),
        part(
            "requests",
            "_total",
            Kind::Counter,
            vec![with(series(&[("Zone", "Z"), ("_a", "1")], count), trace(&id, at))],
        ),
        family(
            "old",
            Kind::Gauge,
            vec![with(series(&[], 3.0), Own { at: Some(Millis(at - 30_000)), ..Own::default() })],
        ),
        family("größe in m", Kind::Gauge, vec![series(&[("a.b", "ü")], 7.0)]),
    ];
    let node = vec![family("node_load1", Kind::Gauge, vec![series(&[], count)])];
    vec![batch(&target("app", "b:80"), at, app), batch(&target("node", "a:9100"), at, node)]
}

/// Cuts a tick of these batches and puts it into the rig's queue.
fn tick(rig: &Rig, cutter: &mut Cutter, at: i64, batches: &[Batch]) -> usize {
    let identity = Identity { job: "balena".into(), instance: "site".into() };
    let all: Vec<&Batch> = batches.iter().collect();
    let cut = cutter.cut_all(Millis(at), &all, &identity, 2_000);
    let records = cut
        .records
        .into_iter()
        .map(|record| queue::Record::new(record.bytes(), record.samples, record.at_ms));
    let records: Vec<_> = records.collect();
    let samples = records.iter().map(|record| record.samples).sum();
    assert_eq!(records.len(), 1, "the targets of a tick share requests");
    rig.append_records(records);
    samples
}

async fn exemplars(prometheus: &Prometheus, query: &str, at: i64) -> Vec<(String, String, f64, f64)> {
    let (start, end) = (format!("{}", at / 1000 - 300), format!("{}", at / 1000 + 300));
    let url = reqwest::Url::parse_with_params(
        &format!("{}/api/v1/query_exemplars", prometheus.url()),
        [("query", query), ("start", &start), ("end", &end)],
    );
    let answer: Value = serde_json::from_str(&crate::program::get(url.unwrap().as_str()).await).unwrap();
    assert_eq!(answer["status"], "success", "{answer}");
    let mut all = Vec::new();
    for series in answer["data"].as_array().unwrap() {
        for one in series["exemplars"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let value = text(&one["value"]).parse().unwrap();
            all.push((
                text(&series["seriesLabels"]["instance"]),
                text(&one["labels"]["trace_id"]),
                value,
                one["timestamp"].as_f64().unwrap(),
            ));
        }
    }
    all
}

#[rstest]
#[case::two(ProtobufMessage::V2, SendExemplars::InTwo, true)]
#[case::two_without(ProtobufMessage::V2, SendExemplars::Never, false)]
#[case::one(ProtobufMessage::V1, SendExemplars::Always, true)]
#[case::one_without(ProtobufMessage::V1, SendExemplars::InTwo, false)]
#[tokio::test]
async fn prometheus_takes_a_tick_of_relayed_targets_with_its_exemplars(
    #[case] message: ProtobufMessage,
    #[case] send: SendExemplars,
    #[case] arrive: bool,
) {
    let prometheus = Prometheus::start_with(Suite::New, NO_TARGET, &[STORAGE]).await;
    let rig = Rig::new(&prometheus.write_url()).message(message).exemplars(send);
    let (mut cutter, begun) = (Cutter::default(), now() - 20_000);
    let mut sent = 0;
    for (number, count) in (0..).zip([1.0, 2.0, 3.0]) {
        let at = begun + 10_000 * number;
        // The page shows the second tick's exemplars again in the third.
        let mut batches = page(at, count);
        if number == 2 {
            let before = page(begun + 10_000, 2.0);
            batches[0] = batch(&target("app", "b:80"), at, before[0].families().to_vec());
        }
        sent += tick(&rig, &mut cutter, at, &batches);
    }
    let drained = rig.drain().await;
    assert_eq!(
        (drained.delivered_samples, drained.refused_samples),
        (sent as u64, 0),
        "{:?}",
        drained.last_error
    );

    let end = begun + 20_000;
    let stored: BTreeMap<String, Vec<(i64, f64)>> = prometheus
        .stored(r#"{instance=~"b:80|a:9100"}[5m]"#, end)
        .await
        .into_iter()
        .map(|(labels, points)| {
            (labels["__name__"].clone() + labels.get("le").map_or("", String::as_str), points)
        })
        .collect();
    let at = |number: i64| begun + 10_000 * number;
    assert_eq!(stored["node_load1"], [(at(0), 1.0), (at(1), 2.0), (at(2), 3.0)]);
    assert_eq!(stored["requests_total"], [(at(0), 1.0), (at(1), 2.0), (at(2), 2.0)]);
    assert_eq!(stored["http_seconds_bucket+Inf"], [(at(0), 2.0), (at(1), 3.0), (at(2), 3.0)]);
    // Of the third tick its time is that of the second, and is not said again.
    assert_eq!(stored["old"], [(at(0) - 30_000, 3.0), (at(1) - 30_000, 3.0)]);
    assert_eq!(stored["größe in m"].len(), 3);
    let labels = prometheus.series(r#"{"größe in m"}"#).await;
    assert_eq!(labels[0]["a.b"], "ü");

    for query in ["requests_total", "http_seconds_bucket"] {
        let found = exemplars(&prometheus, query, end).await;
        let seen = |number: i64, id: &str| {
            ("b:80".to_owned(), id.to_owned(), 0.125, (at(number) - 5) as f64 / 1000.0)
        };
        let expected = if arrive { vec![seen(0, "1"), seen(1, "2")] } else { Vec::new() };
        assert_eq!(found, expected, "{query}");
    }
}

/// Prometheus reads them where they are since 2.0-rc.4 from 3.8 on; the one here must not mind them, also where it
/// looks for starts.
#[tokio::test]
async fn start_timestamps_are_taken() {
    let flags = ["--enable-feature=created-timestamp-zero-ingestion"];
    let prometheus = Prometheus::start_with(Suite::New, NO_TARGET, &flags).await;
    let rig = Rig::new(&prometheus.write_url()).message(ProtobufMessage::V2);
    let at = now() - 1_000;
    let sent = tick(&rig, &mut Cutter::default(), at, &page(at, 4.0));
    let drained = rig.drain().await;
    assert_eq!((drained.delivered_samples, drained.refused_samples), (sent as u64, 0), "{drained:?}");
    assert_eq!(rig.metric("fleetpush_remote_write_not_written_samples_total", &[]), 0.0);
    let stored = prometheus.stored("requests_total[5m]", at).await;
    assert_eq!(stored[0].1.last(), Some(&(at, 4.0)), "{}", prometheus.log());
}

#[tokio::test]
async fn an_ended_target_goes_stale_at_a_receiver_and_the_others_stay() {
    let prometheus = Prometheus::receiver(Suite::New).await;
    let rig = Rig::new(&prometheus.write_url());
    let (mut cutter, at) = (Cutter::default(), now() - 20_000);
    tick(&rig, &mut cutter, at, &page(at, 1.0));
    let mut second = page(at + 10_000, 2.0);
    second[0] = crate::relay_batch::gone(&target("app", "b:80"), at + 10_000);
    tick(&rig, &mut cutter, at + 10_000, &second);
    assert_eq!(rig.drain().await.waiting_samples, 0);
    let names = |found: Vec<(BTreeMap<String, String>, f64)>| {
        let mut all: Vec<String> = found.into_iter().map(|(labels, _)| labels["__name__"].clone()).collect();
        all.sort();
        all
    };
    // What tells its own time has no stale marker, as Prometheus' own scrapes have none.
    let found = prometheus.query_at(r#"{instance=~"b:80|a:9100"}"#, at + 10_001).await;
    assert_eq!(names(found), ["node_load1", "old"]);
}

#[tokio::test]
async fn types_and_helps_of_a_whole_histogram_are_told_once_in_1_0() {
    let server = VictoriaMetrics::start(Suite::New, &["-enableMetadata"]).await;
    let rig = Rig::new(&server.write_url()).message(ProtobufMessage::V1);
    let at = now() - 1_000;
    let sent = tick(&rig, &mut Cutter::default(), at, &page(at, 4.0));
    assert_eq!(rig.drain().await.delivered_samples, sent as u64);
    // http_seconds, requests, old, größe in m, node_load1.
    assert_eq!(rig.metric("prometheus_remote_storage_metadata_total", &[]), 5.0);
    let url = format!("{}/api/v1/metadata", server.url());
    let found = eventually("the metadata is shown", LIMIT, async || {
        let answer: Value = serde_json::from_str(&crate::program::get(&url).await).ok()?;
        let data = answer["data"].clone();
        data.get("http_seconds").is_some().then_some(data)
    })
    .await;
    let of = |name: &str| (found[name][0]["type"].as_str(), found[name][0]["help"].as_str());
    assert_eq!(of("http_seconds"), (Some("histogram"), Some("What http_seconds means")), "{found}");
    assert_eq!(of("requests"), (Some("counter"), Some("What requests means")), "{found}");
    assert!(found.get("http_seconds_bucket").is_none(), "{found}");
}

/// 400 KB of which nearly all is copied from elsewhere in it, also from more than 64 KiB away.
fn devices(at: i64) -> (Batch, BTreeMap<String, f64>) {
    let uuid = |n: u128| format!("{:032x}", (n + 1).wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645));
    let (mut all, mut expected) = (Vec::new(), BTreeMap::new());
    for number in 0..1_900_u32 {
        let (name, fleet) = (format!("device-{number}"), format!("lobby-{}", number / 50));
        let (uuid, value) = (uuid(number.into()), f64::from(number % 7));
        all.push(series(&[("device_name", &name), ("device_uuid", &uuid), ("fleet_name", &fleet)], value));
        expected.insert(format!("{fleet} {name} {uuid}"), value);
    }
    (batch(&target("devices", "c:9100"), at, vec![family("device_online", Kind::Gauge, all)]), expected)
}

#[rstest]
#[case::two(Suite::New, ProtobufMessage::V2)]
#[case::one(Suite::New, ProtobufMessage::V1)]
#[case::one_at_an_old_one(Suite::Stock, ProtobufMessage::V1)]
#[tokio::test]
async fn long_bodies_are_read(#[case] suite: Suite, #[case] message: ProtobufMessage) {
    let found = |found: Vec<Found>| -> BTreeMap<String, f64> {
        let named = |(labels, points): Found| {
            let [fleet, name, uuid] = ["fleet_name", "device_name", "device_uuid"].map(|name| &labels[name]);
            (format!("{fleet} {name} {uuid}"), points[0].1)
        };
        found.into_iter().map(named).collect()
    };
    let at = now() - 1_000;
    let (page, expected) = devices(at);
    let prometheus = Prometheus::receiver(suite).await;
    let victoria = VictoriaMetrics::start(suite, &[]).await;
    for url in [prometheus.write_url(), victoria.write_url()] {
        // VictoriaMetrics knows 1.0 alone.
        let message = if url == victoria.write_url() { ProtobufMessage::V1 } else { message };
        let rig = Rig::new(&url).message(message);
        let sent = tick(&rig, &mut Cutter::default(), at, std::slice::from_ref(&page));
        assert_eq!((sent, rig.drain().await.delivered_samples), (1_900, 1_900));
    }
    assert_eq!(found(prometheus.stored("device_online[5m]", at).await), expected);
    let stored = eventually("all devices are stored", LIMIT, async || {
        let stored = victoria.stored("device_online").await;
        (stored.len() == expected.len()).then_some(stored)
    })
    .await;
    assert_eq!(found(stored), expected);
}
