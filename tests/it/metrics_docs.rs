//! docs/metrics.md against the program: neither may drift.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleetpush::clock::Clock;
use fleetpush::collect::Collector;
use fleetpush::config::FleetLabels;
use fleetpush::demo::balena::{Device, Fleet, Options, Server, Simulation};
use fleetpush::encode::record::{Identity, cut, decode};
use fleetpush::sample::{Batch, Kind};
use fleetpush::telemetry::metrics::DECLARED;

use crate::collect::account;
use crate::program::{LIMIT, Program};
use crate::servers::eventually;
use crate::strict::exposition::{self, Form};

const DOCUMENT: &str = include_str!("../../docs/metrics.md");

/// Type, labels (sorted) and help.
#[derive(Clone, Debug, PartialEq)]
struct Facts {
    kind: String,
    labels: Vec<String>,
    help: String,
}

type Metrics = BTreeMap<String, Facts>;

/// Every row of a table whose first cell is a name in backticks, with its unit.
fn rows(document: &str) -> Vec<(String, Facts, String)> {
    let mut all = Vec::new();
    for line in document.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, help, unit] = cells.as_slice() else { panic!("five cells: {line}") };
        let bare = |text: &str| {
            let inside = text.strip_prefix('`').and_then(|text| text.strip_suffix('`'));
            inside.unwrap_or_else(|| panic!("{text} stands in backticks")).to_owned()
        };
        let labels = if *labels == "–" { Vec::new() } else { labels.split(", ").map(bare).collect() };
        let facts = Facts { kind: (*kind).to_owned(), labels, help: (*help).to_owned() };
        all.push((bare(name), facts, (*unit).to_owned()));
    }
    all
}

fn documented(of_balena: bool) -> Metrics {
    let rows = rows(DOCUMENT);
    let count = rows.len();
    let all: Metrics = rows.into_iter().map(|(name, facts, _)| (name, facts)).collect();
    assert_eq!(all.len(), count, "a metric stands twice");
    all.into_iter().filter(|(name, _)| name.starts_with("balena_") == of_balena).collect()
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Info => "info",
        other => panic!("{other:?} is no type of ours"),
    }
}

/// An account whose fleets have every label.
fn simulation() -> Simulation {
    Simulation::new()
        .with(Fleet::new("acme", "lobby").devices(3, &Device::operational()))
        .with(Fleet::new("acme", "attic").device(&Device::disconnected()))
}

async fn batch(labels: FleetLabels) -> Batch {
    let server = Server::start(simulation(), Options::default()).await.unwrap();
    let mut account = account(&server.base_url());
    let token = Options::default().token;
    account.http.auth = fleetpush::config::Auth::Header {
        scheme: "Bearer".into(),
        credentials: fleetpush::config::Secret::Value(token.into()),
    };
    let mut collector = Collector::new(&account, labels, Duration::from_secs(300), Clock::SYSTEM).unwrap();
    let (batch, report) = collector.cycle().await;
    assert!(report.error.is_none(), "{:?}", report.error);
    batch
}

fn said_by(batch: &Batch) -> Metrics {
    let facts = batch.families().iter().map(|family| {
        let names = family.series.iter().flat_map(|series| series.labels.iter());
        let labels: BTreeSet<String> = names.map(|label| label.name.to_string()).collect();
        let facts = Facts {
            kind: word(family.kind).to_owned(),
            labels: labels.into_iter().collect(),
            help: family.help.to_string(),
        };
        (family.name.to_string(), facts)
    });
    facts.collect()
}

#[tokio::test]
async fn every_metric_of_a_collect_is_documented_as_it_is_and_no_other() {
    assert_eq!(documented(true), said_by(&batch(FleetLabels::NameAndSlug).await));
}

#[tokio::test]
async fn with_fleet_name_alone_only_the_slug_is_missing() {
    let mut expected = documented(true);
    for facts in expected.values_mut() {
        facts.labels.retain(|label| label != "fleet_slug");
    }
    assert_eq!(said_by(&batch(FleetLabels::Name).await), expected);
    assert_eq!(expected["balena_devices_online"].labels, ["fleet_name"]);
}

#[test]
fn every_declared_self_metric_is_documented_as_it_is_and_no_other() {
    let declared = DECLARED.iter().map(|(name, kind, labels, help)| {
        let labels: BTreeSet<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let facts = Facts {
            kind: word(*kind).to_owned(),
            labels: labels.into_iter().collect(),
            help: (*help).to_owned(),
        };
        ((*name).to_owned(), facts)
    });
    assert_eq!(documented(false), declared.collect());
}

#[test]
fn no_metric_takes_a_label_that_says_who_is_speaking() {
    for (name, facts) in documented(false).into_iter().chain(documented(true)) {
        let taken =
            facts.labels.iter().filter(|label| ["job", "instance", "shard"].contains(&label.as_str()));
        assert_eq!(taken.count(), 0, "{name}");
    }
}

#[test]
fn a_unit_is_what_the_name_says() {
    let rows = rows(DOCUMENT);
    assert!(rows.len() > 30);
    for (name, _, unit) in rows {
        let stem = name.strip_suffix("_total").unwrap_or(&name);
        let by_name = [
            ("_timestamp_seconds", "seconds since the epoch"),
            ("_timestamp_in_seconds", "seconds since the epoch"),
            ("_seconds", "seconds"),
            ("_bytes", "bytes"),
            ("_samples", "samples"),
            ("_info", "–"),
        ];
        let expected = by_name.iter().find(|(end, _)| stem.ends_with(end)).map(|(_, unit)| *unit);
        assert!(!unit.is_empty() && expected.is_none_or(|expected| expected == unit), "{name}: {unit}");
    }
}

#[tokio::test]
async fn the_page_of_a_running_service_has_documented_families_only() {
    let api = Server::start(simulation(), Options::default()).await.unwrap();
    let program = Program::service(&api, &[]);
    let url = format!("{}/metrics", program.page().await);
    let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
    let families = eventually("the first cycle on the page", LIMIT, async || {
        let request = client.get(&url).header("accept", "application/openmetrics-text;version=1.0.0");
        let page = request.send().await.unwrap().text().await.unwrap();
        page.contains("balena_up 1").then(|| exposition::read(&page, Form::OpenMetrics).unwrap())
    })
    .await;
    let mut documented = documented(true);
    let of_balena = documented.len();
    documented.extend(self::documented(false));
    let mut found = 0;
    for family in families {
        let name = family.samples.first().expect("a family with a sample").name.clone();
        let labels =
            family.samples.iter().flat_map(|sample| sample.labels.iter().map(|(name, _)| name.clone()));
        let labels: BTreeSet<String> = labels.collect();
        let said = Facts { kind: family.kind, labels: labels.into_iter().collect(), help: family.help };
        assert_eq!(documented.get(&name), Some(&said), "{name}");
        found += usize::from(name.starts_with("balena_"));
    }
    assert_eq!(found, of_balena);
}

#[tokio::test]
async fn remote_write_adds_the_labels_that_the_last_table_names() {
    let added = |ways: &str| -> Vec<String> {
        let row = DOCUMENT.lines().find(|line| line.starts_with("| remote write |")).unwrap();
        let cell = row.trim_matches('|').split('|').nth(usize::from(ways == "state") + 1).unwrap();
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let batch = batch(FleetLabels::NameAndSlug).await;
    let identity = Identity { job: "a-job".into(), instance: "an-instance".into() };
    let said = said_by(&batch);
    let mut seen = BTreeSet::new();
    for record in cut(&batch, &[], &identity, 1_000) {
        let record = decode(record.bytes()).unwrap();
        let symbol = |at: u32| record.symbols[at as usize].as_str();
        for series in &record.series {
            let name = symbol(record.families[series.family as usize].name_ref);
            let names: BTreeSet<&str> = series.label_refs.chunks(2).map(|pair| symbol(pair[0])).collect();
            let role = if said[name].labels.is_empty() { "state" } else { "fleets" };
            let more = added(role);
            let own = said[name].labels.iter().chain(&more).map(String::as_str);
            assert_eq!(names, own.chain(["__name__"]).collect(), "{name}");
            seen.insert(role);
        }
    }
    assert_eq!(seen, BTreeSet::from(["fleets", "state"]));
}

#[test]
fn a_row_that_differs_in_any_cell_is_seen() {
    let row = "| `a` | gauge | `b`, `c` | Help | s |";
    let good = rows(row);
    for (from, to) in [("`a`", "`x`"), ("gauge", "info"), ("`c`", "`d`"), ("`b`, `c`", "–"), ("Help", "help")]
    {
        assert_ne!(rows(&row.replace(from, to)), good, "{from}");
    }
    assert_eq!(good[0].1.labels, ["b", "c"]);
}
