//! docs/status.md against the JSON: neither may drift.

use std::collections::BTreeSet;

use fleetpush::demo::balena::{Device, Fault, Fleet, Simulation, Times};
use serde_json::{Value, json};

use super::{Site, until};

const DOCUMENT: &str = include_str!("../../../docs/status.md");

/// The path of every field, `[]` for each element of a list.
fn fields(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                found.insert(path.clone());
                fields(value, &path, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| fields(value, &format!("{path}[]"), found)),
        _ => {}
    }
}

/// The first cell of each row of the table of fields, a path in backticks.
fn documented() -> Vec<String> {
    let (_, table) = DOCUMENT.split_once("## As JSON").expect("the section");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split_once('`').expect("a closed path").0.to_owned()).collect()
}

#[tokio::test]
async fn every_field_of_the_json_is_documented_and_every_documented_one_is_there() {
    let simulation = Simulation::new().with(Fleet::new("acme", "lobby").devices(3, &Device::operational()));
    let mut site = Site::new(&simulation).await;
    site.receiver().await;
    site.receiver().await.inject(Fault::status(503), Times::Always);
    site.receiver().await.inject(Fault::status(401), Times::Always);
    let target =
        |n: &str| json!({"targets": ["127.0.0.1:1"], "labels": {"instance": "same", "__param_n": n}});
    let relay = json!({"scrape_configs": [{
        "job_name": "node", "scrape_interval": "1s", "scrape_timeout": "1s",
        "static_configs": [target("1"), target("2")],
    }]});
    let program = site.start(&["good", "bad"], relay);
    let page = program.page().await;
    let so = |status: &Value| {
        let state = |index: usize| status["sinks"][index]["state"].as_str().unwrap_or_default().to_owned();
        [state(0), state(1), state(2)] == ["parked", "waiting", "sending"]
            && status["queue"].is_object()
            && status["relay"]["down"] == 1
            && status["sources"][0]["counts"] == "current"
    };
    let status = until(&page, "each state of a sink", so).await;
    let mut found = BTreeSet::new();
    fields(&status, "", &mut found);
    let documented = documented();
    let known: BTreeSet<String> = documented.iter().cloned().collect();
    assert_eq!(known.len(), documented.len(), "a field is documented twice");
    assert!(found.len() > 50, "{found:?}");
    assert_eq!(found.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "not documented");
    assert_eq!(
        known.difference(&found).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "documented and not there"
    );
}
