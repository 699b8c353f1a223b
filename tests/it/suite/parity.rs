//! The pages of real servers, kept as they were once, relayed by the binary into a Prometheus 3 beside a Prometheus 3
//! that scrapes them itself: the same series with the same values, and the same types, helps and units.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use rstest::rstest;
use serde_json::json;
use tokio::net::TcpListener;

use super::decode::Metadata;
use super::site::{Got, Page, Reply, Site};
use crate::program::Program;
use crate::servers::{Labels, NodeExporter, Prometheus, Pushgateway, Suite, VictoriaMetrics, eventually};

const LIMIT: Duration = Duration::from_secs(60);
/// What depends on when it was scraped: how long that took, and what was not there the time before.
const OWN: [&str; 2] = ["scrape_duration_seconds", "scrape_series_added"];
const TYPES: [&str; 8] =
    ["unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"];

/// A page with its Content-Type, by the job that it is scraped as.
type Kept = BTreeMap<String, (String, String)>;

/// The pages of all four servers, each in every form that it has.
async fn kept(suite: Suite) -> Kept {
    let prometheus = Prometheus::scraping(suite, &[], json!({})).await;
    let gateway = Pushgateway::start(suite, &[]).await;
    push(&gateway).await;
    let victoria = VictoriaMetrics::start(suite, &[]).await;
    let node = NodeExporter::start(suite).await;
    // Each has done something that it can tell of.
    prometheus.query("up").await;
    victoria.query("up").await;
    let mut kept = Kept::new();
    let servers = [
        ("prometheus", prometheus.url()),
        ("pushgateway", gateway.url()),
        ("victoriametrics", victoria.url()),
        ("node", node.url()),
    ];
    for (name, url) in servers {
        for accept in ["text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0"] {
            let client = reqwest::Client::builder().no_proxy().build().expect("a client");
            let answer = client.get(format!("{url}/metrics")).header("accept", accept).send().await;
            let answer = answer.expect("an answer");
            let kind = answer.headers()["content-type"].to_str().expect("text").to_owned();
            let form = if kind.starts_with("application/openmetrics-text") { "open" } else { "text" };
            kept.insert(format!("{name}_{form}"), (kind, answer.text().await.expect("text")));
        }
    }
    kept
}

/// A group with all that a page can say.
async fn push(gateway: &Pushgateway) {
    let page = "# HELP jobs Jobs \\\\ with\\na line\n# TYPE jobs counter\njobs{kind=\"a \\\"b\\\"\",path=\"C:\\\\\"} 5\n\
        # TYPE heat gauge\nheat NaN\nheat{place=\"ключ\"} -Inf\n# TYPE took histogram\ntook_bucket{le=\"1\"} 1\n\
        took_bucket{le=\"2.5\"} 2\ntook_bucket{le=\"+Inf\"} 3\ntook_sum 7.25\ntook_count 3\n\
        # TYPE size summary\nsize{quantile=\"0.5\"} 10\nsize{quantile=\"1\"} 20\nsize_sum 30\nsize_count 2\nplain 1e-300\n";
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let url = format!("{}/metrics/job/pushed/instance/site-7", gateway.url());
    let answer = client.put(url).body(page).send().await.expect("an answer");
    assert!(answer.status().is_success(), "{answer:?}");
}

async fn serve(kept: Kept) -> String {
    let page = async |State(kept): State<Arc<Kept>>, Path(job): Path<String>| {
        let response = Response::builder();
        let response = match kept.get(&job) {
            Some((kind, body)) => response.header(header::CONTENT_TYPE, kind).body(Body::from(body.clone())),
            None => response.status(StatusCode::NOT_FOUND).body(Body::empty()),
        };
        response.expect("a response of ours")
    };
    let router = Router::new().route("/{job}", get(page)).with_state(Arc::new(kept));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address.to_string()
}

/// What is stored of a job: values as bits, all NaN alike, since the API says no more of them.
async fn stored(prometheus: &Prometheus, job: &str) -> BTreeMap<Labels, u64> {
    let found = prometheus.query(&format!("{{job=\"{job}\"}}")).await;
    let own = |labels: &Labels| labels.get("__name__").is_some_and(|name| OWN.contains(&name.as_str()));
    found
        .into_iter()
        .filter(|(labels, _)| !own(labels))
        .map(|(labels, value)| (labels, value.to_bits()))
        .collect()
}

/// Type, help and unit by job and family, as the scraping Prometheus has read them.
async fn told(prometheus: &Prometheus) -> BTreeMap<(String, String), Metadata> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let entry = |entry: serde_json::Value| {
        let kind = text(&entry["type"]);
        let kind = TYPES.iter().position(|have| *have == kind).unwrap_or_else(|| panic!("no type {kind}"));
        let metadata = Metadata { kind: kind as u64, help: text(&entry["help"]), unit: text(&entry["unit"]) };
        ((text(&entry["target"]["job"]), text(&entry["metric"])), metadata)
    };
    prometheus.metadata().await.into_iter().map(entry).collect()
}

/// Type, help and unit by job and series, as they were sent with 2.0.
fn sent(requests: &[Got]) -> BTreeMap<(String, String), Metadata> {
    let all = requests.iter().flat_map(|got| &got.request().series);
    // What the program tells of itself is no page's.
    let all = all.filter(|series| series.label("job") != Some("balena"));
    let key = |series: &super::decode::Series| {
        (series.label("job").unwrap_or_default().to_owned(), series.name().to_owned())
    };
    all.map(|series| (key(series), series.metadata.clone())).collect()
}

/// What is told of the family that a series belongs to.
fn of_family<'a>(
    told: &'a BTreeMap<(String, String), Metadata>,
    (job, name): &(String, String),
) -> Option<&'a Metadata> {
    let family = |name: &str| told.get(&(job.clone(), name.to_owned()));
    let suffixes = ["_bucket", "_sum", "_count", "_total", "_created", "_info"];
    family(name).or_else(|| suffixes.iter().find_map(|suffix| family(name.strip_suffix(suffix)?)))
}

#[rstest]
#[case::old_ones(Suite::Stock)]
#[case::new_ones(Suite::New)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_real_servers_come_to_what_prometheus_scrapes_itself(#[case] suite: Suite) {
    let kept = kept(suite).await;
    let jobs: Vec<String> = kept.keys().cloned().collect();
    assert!(jobs.len() >= 4, "four servers: {jobs:?}");
    let target = serve(kept).await;
    let scrapes: Vec<_> = jobs
        .iter()
        .map(|job| {
            json!({
                "job_name": job,
                "metrics_path": format!("/{job}"),
                "scrape_interval": "1s",
                "static_configs": [{"targets": [target]}],
            })
        })
        .collect();
    let scraper = Prometheus::start(Suite::New, &json!({"scrape_configs": scrapes}).to_string()).await;
    let receiver = Prometheus::receiver(Suite::New).await;
    let site = Site::start(Arc::new(|_| Page::of("")), Arc::new(|_, got| Reply::of(204, got))).await;
    let config = json!({
        "web": {"listen_address": "off"},
        "queue": {"dir": "memory"},
        "scrape_configs": scrapes,
        "remote_write": [
            {"name": "prometheus", "url": receiver.write_url()},
            {"name": "site", "url": site.push_url(), "protobuf_message": "2.0"},
        ],
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("fleetpush.yml");
    std::fs::write(&file, config.to_string()).expect("our own folder is writable");
    let mut program = Program::start(&["--config.file", file.to_str().expect("a path of ours")], &[]);

    for job in &jobs {
        let up = format!("up{{job=\"{job}\"}} == 1");
        for (who, prometheus) in [("Prometheus itself", &scraper), ("the relay", &receiver)] {
            // What a scrape adds comes with a whole one, so that no half of it is looked at.
            eventually(&format!("{job} is scraped by {who}"), LIMIT, async || {
                let log = program.stderr();
                assert!(!log.contains("level=error"), "{log}");
                (!prometheus.query(&up).await.is_empty()).then_some(())
            })
            .await;
        }
        let (expected, found) = (stored(&scraper, job).await, stored(&receiver, job).await);
        assert!(expected.len() > 30, "{job}: {} series", expected.len());
        let differ = |of: &BTreeMap<Labels, u64>, from: &BTreeMap<Labels, u64>| {
            let more = of.iter().filter(|(labels, value)| from.get(*labels) != Some(value));
            more.map(|(labels, value)| (labels.clone(), f64::from_bits(*value))).take(5).collect::<Vec<_>>()
        };
        let (missing, extra) = (differ(&expected, &found), differ(&found, &expected));
        assert!(missing.is_empty() && extra.is_empty(), "{job}: not {missing:#?}, but {extra:#?}");
    }

    let (told, sent) = (told(&scraper).await, sent(&site.got()));
    let names: BTreeSet<&String> = sent.keys().map(|(job, _)| job).collect();
    assert_eq!(names.len(), jobs.len());
    let mut described = 0;
    for (series, metadata) in &sent {
        if ["up", "scrape_"].iter().any(|own| series.1.starts_with(own)) {
            continue;
        }
        assert_eq!(metadata, of_family(&told, series).unwrap_or(&Metadata::default()), "{series:?}");
        described += usize::from(!metadata.help.is_empty());
    }
    assert!(described > 100, "{described} series with a help");
    program.signal("TERM");
    assert_eq!(program.code().await, 0, "{}", program.stderr());
}
