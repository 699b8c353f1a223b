//! Collecting fleets from an API that answers after 50 ms: ours, and one request a fleet beside it.

use std::time::{Duration, Instant};

use super::peer::{Peer, TOKEN};
use super::{Row, cpu, runtime, shapes};

const LATENCY: Duration = Duration::from_millis(50);
const CYCLES: u32 = 20;

/// What a collect costs.
pub fn rows(fleets: usize) -> Vec<Row> {
    let mut api = Peer::api(fleets, 20, LATENCY);
    let mut rows = ours(&mut api, fleets);
    rows.push(one_request_for_each(&mut api, fleets));
    rows
}

fn ours(api: &mut Peer, fleets: usize) -> Vec<Row> {
    let runtime = runtime();
    let mut collector = shapes::collector(&api.url);
    let cycle = |collector: &mut fleetpush::collect::Collector| {
        let started = Instant::now();
        let (_, report) = runtime.block_on(collector.cycle());
        assert_eq!(report.fleets, Some(fleets), "{:?}", report.error);
        started.elapsed()
    };
    let first = cycle(&mut collector);
    let before = api.requests();
    let mut walls: Vec<Duration> = Vec::new();
    let used = cpu::of(|| walls.extend((0..CYCLES).map(|_| cycle(&mut collector))));
    let used = used.as_secs_f64() * 1e3 / f64::from(CYCLES);
    let requests = (api.requests() - before) / u64::from(CYCLES);
    walls.sort();
    let middle = walls[walls.len() / 2];
    let beyond =
        |wall: Duration| format!("50 ms + {:.0} ms", (wall.saturating_sub(LATENCY)).as_secs_f64() * 1e3);
    vec![
        Row::new(format!("collect {fleets} fleets × 20 devices, first cycle"), beyond(first), ""),
        Row::new(
            format!(
                "collect {fleets} fleets × 20 devices, median of {CYCLES} cycles, {requests} request each"
            ),
            beyond(middle),
            "≤ 50 ms + 50 ms",
        )
        .within(middle.as_secs_f64(), 0.1),
        Row::new(
            format!("collect {fleets} fleets × 20 devices, CPU of a cycle"),
            format!("{used:.1} ms"),
            "≤ 20 ms",
        )
        .within(used, 20.0),
    ]
}

/// As the reference exporter asks: all columns of all fleets, then one count for each, a new connection for
/// every request.
fn one_request_for_each(api: &mut Peer, fleets: usize) -> Row {
    let client = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .build()
        .expect("a client of nothing but defaults");
    let get = async |path: &str| {
        let request = client.get(format!("{}/v7/{path}", api.url)).bearer_auth(TOKEN);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        let body = answer.bytes().await.expect("a body");
        serde_json::from_slice::<serde_json::Value>(&body).expect("JSON")
    };
    let crawl = async || {
        let list = "application?$filter=is_directly_accessible_by__user/any(dau:1%20eq%201)";
        let list = get(list).await;
        let ids: Vec<i64> =
            list["d"].as_array().expect("a list").iter().filter_map(|f| f["id"].as_i64()).collect();
        assert_eq!(ids.len(), fleets);
        for id in ids {
            let count = format!(
                "application({id})?$select=app_name&$expand=owns__device/$count($filter=is_online%20eq%20true)"
            );
            assert!(get(&count).await["d"][0]["owns__device"].is_u64());
        }
    };
    let started = Instant::now();
    let used = cpu::of(|| runtime().block_on(crawl()));
    Row::new(
        format!(
            "one request for each of {fleets} fleets, one after the other (as the reference exporter asks, in Rust)"
        ),
        format!(
            "{:.1} s, {:.2} s CPU, {} requests",
            started.elapsed().as_secs_f64(),
            used.as_secs_f64(),
            fleets + 1
        ),
        if fleets == 1_000 { "the exporter itself: 54.3 s, 2.0 s CPU" } else { "" },
    )
}
