//! The dashboards in `deploy/grafana`: held against Grafana's own types and against rules of ours, and every query
//! of them, and of the rules, asked of a real Prometheus.

mod board;
mod schema;
mod spaced;
mod ways;

use std::collections::{BTreeMap, BTreeSet};

use rstest::rstest;
use serde_json::Value;

use crate::rules::{metrics, text};
use board::{Board, Panel, board};

#[rstest]
#[case::fleets("fleets")]
#[case::sender("sender")]
fn a_dashboard_can_be_provisioned_and_imported(#[case] name: &str) {
    let board = board(name);
    let json = &board.json;
    assert_eq!(json["uid"], format!("fleetpush-{name}"));
    assert!(json["id"].is_null() && json["editable"] == true);
    assert!(json.get("__inputs").is_none(), "works through the import's dialog alone");
    assert_eq!(json["tags"], serde_json::json!(["balena", "fleetpush"]));
    assert!(!said(json, "title").is_empty() && said(json, "description").ends_with('.'));
    let sources = board.find("datasource", |value| Some(value.clone()));
    assert!(sources.len() > 20);
    for source in sources {
        assert_eq!(source, serde_json::json!({"type": "prometheus", "uid": "${datasource}"}));
    }
    let variables = json["templating"]["list"].as_array().unwrap();
    assert_eq!((said(&variables[0], "name"), said(&variables[0], "type")), ("datasource", "datasource"));
    for variable in variables {
        let name = said(variable, "name");
        assert!(!said(variable, "label").is_empty() && !said(variable, "description").is_empty(), "{name}");
        if variable["type"] == "query" {
            assert!(variable["includeAll"] == true && variable["multi"] == true, "{name}");
            assert_eq!(variable["current"]["value"], serde_json::json!(["$__all"]), "{name}");
            assert_eq!(variable["definition"], variable["query"]["query"], "{name}");
        }
    }
    // With All as whatever there is, Prometheus' own remote write would be taken for ours.
    assert!(variables.iter().find(|one| one["name"] == "job").unwrap().get("allValue").is_none());
}

#[rstest]
#[case::fleets("fleets")]
#[case::sender("sender")]
fn panels_lie_beside_each_other_without_a_hole(#[case] name: &str) {
    let board = board(name);
    let mut taken = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for panel in &board.panels {
        let title = &panel.title;
        assert!(ids.insert(panel.json["id"].as_u64().unwrap()), "{title}: its id stands twice");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel.json["gridPos"][key].as_u64().unwrap());
        assert!(w > 0 && h > 0 && x + w <= 24, "{title}");
        for cell in (y..y + h).flat_map(|y| (x..x + w).map(move |x| (y, x))) {
            let before = taken.insert(cell, title.clone());
            assert_eq!(before, None, "{title} lies on it");
        }
    }
    let bottom = taken.keys().map(|(y, _)| y + 1).max().unwrap();
    assert_eq!(taken.len() as u64, bottom * 24, "a hole");
    let order: Vec<(u64, u64)> = board.panels.iter().map(Panel::place).collect();
    assert!(order.is_sorted(), "the file's order is that of the page");
}

#[rstest]
#[case::fleets("fleets")]
#[case::sender("sender")]
fn every_panel_says_what_it_shows(#[case] name: &str) {
    let board = board(name);
    let known = ["short", "percentunit", "s", "bytes", "Bps", "cps"];
    let units = board.find("unit", |value| value.as_str().map(str::to_owned));
    assert!(units.iter().all(|unit| known.contains(&unit.as_str())), "{units:?}");
    let mut titles = BTreeSet::new();
    for panel in &board.panels {
        let title = &panel.title;
        assert!(!title.is_empty() && titles.insert(title.clone()), "{title} stands twice");
        if panel.kind == "row" {
            continue;
        }
        assert!(said(&panel.json, "description").ends_with('.'), "{title}");
        assert!(!panel.queries.is_empty(), "{title}");
        let refs: BTreeSet<&str> = panel.queries.iter().map(|query| query.reference.as_str()).collect();
        assert_eq!(refs.len(), panel.queries.len(), "{title}: a query's name stands twice");
        let defaults = &panel.json["fieldConfig"]["defaults"];
        assert!(!said(defaults, "noValue").is_empty(), "{title}");
        for query in panel.queries.iter().filter(|query| query.range) {
            let labels = query.legend.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap());
            let labels: Vec<&str> = labels.collect();
            assert!(!labels.is_empty(), "{title}: a legend");
            for label in labels {
                let kept = |end: &str| query.expr.contains(&format!(", {label}{end}"));
                assert!(kept(",") || kept(")"), "{title}: {label} is not kept by {}", query.expr);
            }
        }
    }
}

/// A column that an override or a sort names is one that the panel makes.
#[rstest]
#[case::fleets("fleets")]
#[case::sender("sender")]
fn a_table_speaks_of_columns_that_it_has(#[case] name: &str) {
    let words = [
        "operational",
        "disconnected",
        "reduced-functionality",
        "updating",
        "configuring",
        "post-provisioning",
        "inactive",
        "online",
        "offline",
        "timeout",
        "unknown",
    ];
    let mut tables = 0;
    for panel in board(name).panels.iter().filter(|panel| panel.kind == "table") {
        tables += 1;
        let transformations = panel.json["transformations"].as_array().unwrap();
        let last = transformations.last().unwrap();
        assert_eq!(last["id"], "organize", "{}", panel.title);
        let renamed = last["options"]["renameByName"].as_object().unwrap();
        let mut columns: BTreeSet<&str> = renamed.values().map(|value| value.as_str().unwrap()).collect();
        if transformations.iter().any(|one| one["id"] == "groupingToMatrix") {
            columns.extend(words);
        }
        for (from, _) in renamed.iter().filter(|(from, _)| from.contains('#')) {
            let reference = from.split('#').nth(1).unwrap();
            assert!(panel.queries.iter().any(|query| query.reference == reference), "{from}");
        }
        for over in panel.json["fieldConfig"]["overrides"].as_array().unwrap() {
            let column = said(&over["matcher"], "options");
            assert!(columns.contains(column), "{}: {column}", panel.title);
        }
        for sort in panel.json["options"]["sortBy"].as_array().unwrap() {
            assert!(columns.contains(said(sort, "displayName")), "{}: {sort}", panel.title);
        }
    }
    assert!(tables > 0);
}

#[rstest]
#[case::fleets("fleets")]
#[case::sender("sender")]
fn queries_ask_for_documented_metrics_by_variables_that_there_are(#[case] name: &str) {
    let board = board(name);
    let documented = text("docs/metrics.md");
    let mut used = BTreeSet::new();
    for query in board.panels.iter().flat_map(|panel| &panel.queries) {
        let metrics = metrics(&query.expr);
        assert!(!metrics.is_empty(), "{}", query.expr);
        for metric in metrics {
            assert!(documented.contains(&format!("\n| `{metric}` |")), "{metric} is not in docs/metrics.md");
        }
        // Who sees only a dashboard has no rules; who has counts every 5 minutes has holes without a window.
        assert!(query.expr.contains("[15m]") || query.expr.contains("[$window]"), "{}", query.expr);
        assert!(query.expr.contains("job=~\"$job\""), "{}", query.expr);
        let words = query.expr.split('$').skip(1);
        let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        used.extend(words.map(name).filter(|word: &String| !word.is_empty() && word != "1"));
    }
    used.retain(|name| name != "__range" && name != "__interval");
    let there: BTreeSet<String> = board.variables().filter(|name| name != "datasource").collect();
    assert_eq!(used, there);
}

#[test]
fn the_dashboards_link_to_each_other() {
    let boards = ["fleets", "sender"].map(board);
    for (one, other) in [(0, 1), (1, 0)] {
        let links = boards[one].json["links"].as_array().unwrap();
        assert_eq!(said(&links[0], "url"), format!("/d/{}", said(&boards[other].json, "uid")));
    }
}

fn said<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

#[test]
fn a_board_that_is_not_there_fails() {
    assert!(std::panic::catch_unwind(|| Board::read("{}")).is_err());
}
