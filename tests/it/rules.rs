//! The alerts and recording rules in `deploy/prometheus`: promtool's checks, their cases, and the runbook.

pub mod yaml;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rstest::rstest;
use serde_json::Value;

use crate::servers::{Suite, promtool};

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub fn text(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every rule of a file.
pub fn rules(path: &str) -> Vec<Value> {
    let groups = yaml::read(&text(path));
    let groups = groups["groups"].as_array().expect("groups");
    groups.iter().flat_map(|group| group["rules"].as_array().expect("rules")).cloned().collect()
}

pub const ALERTS: &str = "deploy/prometheus/alerts.yaml";
pub const RECORDING: &str = "deploy/prometheus/recording.yaml";
const RUNBOOK: &str = "docs/runbook.md";

fn alerts() -> Vec<Value> {
    rules(ALERTS)
}

/// What a key of a rule says.
pub fn said<'a>(rule: &'a Value, key: &str) -> &'a str {
    rule[key].as_str().unwrap_or_else(|| panic!("no {key} in {rule}"))
}

/// The names of metrics in an expression: words that begin like one of ours, recorded ones among them.
pub fn metrics(expr: &str) -> BTreeSet<&str> {
    let words = expr.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_:".contains(letter)));
    let ours = ["balena_", "fleetpush_", "prometheus_", "kube_"];
    let recorded = |word: &str| {
        word.trim_end_matches(':').contains(':')
            && word.starts_with(|letter: char| letter.is_ascii_lowercase())
    };
    words.filter(|word| recorded(word) || ours.iter().any(|begin| word.starts_with(begin))).collect()
}

/// The files with cases.
fn cases() -> Vec<PathBuf> {
    let folder = fs::read_dir(repository("deploy/prometheus/tests")).expect("a folder of cases");
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(files.len() >= 3, "{files:?}");
    files
}

#[rstest]
#[case::old(Suite::Stock)]
#[case::new(Suite::New)]
fn promtool_finds_nothing_wrong_with_the_rules(#[case] suite: Suite) {
    for file in [ALERTS, RECORDING] {
        let path = repository(file);
        promtool(suite, &["check", "rules", "--lint=all", "--lint-fatal", path.to_str().unwrap()])
            .unwrap_or_else(|said| panic!("{file}: {said}"));
    }
}

#[rstest]
#[case::old(Suite::Stock)]
#[case::new(Suite::New)]
fn every_case_ends_as_it_says(#[case] suite: Suite) {
    let files = cases();
    let mut arguments = vec!["test", "rules"];
    arguments.extend(files.iter().map(|file| file.to_str().unwrap()));
    promtool(suite, &arguments).unwrap_or_else(|said| panic!("{said}"));
}

/// What each of these changes would cost is a near miss, or a failed cycle, that a case has.
#[rstest]
#[case::a_lower_threshold("fleets", "ratio > 0.3", "ratio >= 0.3")]
#[case::a_shorter_for("fleets", "for: 20m", "for: 14m")]
#[case::the_usual_lookback("delivery", "last_over_time(fleetpush_queue_up[15m])", "fleetpush_queue_up")]
#[case::a_shorter_window("collecting", "absent_over_time(balena_up[15m])", "absent_over_time(balena_up[5m])")]
#[case::somebody_elses_targets("relay", "and on (job) group by (job) (", "or on (job) group by (job) (")]
#[case::the_last_scrape_alone("relay", "max_over_time(up[15m])", "max_over_time(up[5m])")]
#[case::growth_not_asked_for("delivery", "and delta(prometheus_remote_storage_samples_pending[30m]) > 0", "")]
#[case::a_failed_collect_takes_fleets_away(
    "fleets",
    "and on (job, account) min by (job, account) (max_over_time(balena_up[15m])) == 1",
    ""
)]
fn a_rule_that_is_changed_fails_its_cases(#[case] cases: &str, #[case] from: &str, #[case] to: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("tests")).unwrap();
    let original = text(ALERTS);
    let changed = original.replace(from, to);
    assert_ne!(changed, original, "{from:?} stands in {ALERTS}");
    fs::write(folder.path().join("alerts.yaml"), changed).unwrap();
    fs::copy(repository(RECORDING), folder.path().join("recording.yaml")).unwrap();
    let copy = folder.path().join("tests").join(cases);
    fs::copy(repository(&format!("deploy/prometheus/tests/{cases}.yaml")), &copy).unwrap();
    let said = promtool(Suite::New, &["test", "rules", copy.to_str().unwrap()]).expect_err("a case sees it");
    assert!(said.contains("FAILED"), "{said}");
}

/// The steps of a series at which something is said, and whether it is the end of a series.
fn steps(values: &str) -> Vec<usize> {
    let mut at = 0;
    let mut steps = Vec::new();
    for word in values.split_whitespace() {
        match word.strip_prefix('_') {
            Some("") => at += 1,
            Some(more) => at += more.strip_prefix('x').unwrap().parse::<usize>().unwrap(),
            None => {
                steps.push(at);
                at += 1;
            }
        }
    }
    steps
}

#[test]
fn every_alert_has_a_case_that_fires_and_a_silent_one_each_at_an_irregular_five_minutes() {
    let known: BTreeSet<String> = alerts().iter().map(|alert| said(alert, "alert").to_owned()).collect();
    let (mut fires, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for file in cases() {
        let cases = yaml::read(&fs::read_to_string(&file).unwrap());
        for case in cases["tests"].as_array().unwrap() {
            let name = said(case, "name");
            assert_eq!(case["interval"], "30s", "{name}");
            let mut irregular = 0;
            for series in case["input_series"].as_array().unwrap() {
                let steps = steps(said(series, "values"));
                assert!(!steps.is_empty(), "{name}: {series}");
                let gaps: Vec<usize> = steps.windows(2).map(|pair| pair[1] - pair[0]).collect();
                // 4 to 6 minutes, or twice that where a cycle did not run.
                assert!(gaps.iter().all(|gap| (8..=25).contains(gap)), "{name}: {series}");
                irregular += usize::from(gaps.iter().collect::<BTreeSet<_>>().len() > 1);
            }
            assert!(irregular > 0, "{name}");
            let asked = case["alert_rule_test"].as_array().unwrap();
            assert!(asked.len() > 1 || name.ends_with("fires"), "{name}");
            let alert = said(&asked[0], "alertname");
            assert!(known.contains(alert), "{name}: no alert {alert}");
            let kind = name.strip_prefix(alert).unwrap_or_else(|| panic!("{name} names {alert}"));
            let found: Vec<bool> = asked
                .iter()
                .map(|ask| {
                    assert_eq!(said(ask, "alertname"), alert, "{name}");
                    !ask["exp_alerts"].as_array().unwrap().is_empty()
                })
                .collect();
            if kind == " fires" {
                assert!(found.contains(&true), "{name}");
                fires.insert(alert.to_owned());
            } else {
                assert!(kind.starts_with(" is silent") && !found.contains(&true), "{name}");
                silent.insert(alert.to_owned());
            }
        }
    }
    assert_eq!(fires, known);
    assert_eq!(silent, known);
}

#[test]
fn every_alert_has_its_section_of_the_runbook_and_the_other_way_round() {
    let runbook = text(RUNBOOK);
    let sections: Vec<&str> = runbook.split("\n## ").skip(1).collect();
    let of_alerts = |section: &&str| section.contains("**Meaning.**");
    let names: Vec<&str> =
        sections.iter().copied().filter(of_alerts).map(|section| section.lines().next().unwrap()).collect();
    let alerts = alerts();
    let alerts: Vec<&str> = alerts.iter().map(|alert| said(alert, "alert")).collect();
    assert_eq!(names, alerts, "in one order");
    for section in sections.iter().copied().filter(of_alerts) {
        let parts: Vec<&str> = section
            .lines()
            .filter_map(|line| line.strip_prefix("**")?.split_once("**"))
            .map(|p| p.0)
            .collect();
        assert_eq!(parts, ["Meaning.", "Impact.", "Look at.", "Do."], "{section}");
    }
}

#[test]
fn every_alert_says_what_a_person_needs() {
    let alerts = alerts();
    assert_eq!(said(&alerts[0], "alert"), "FleetpushAbsent", "the dead man comes first");
    for alert in &alerts {
        let name = said(alert, "alert");
        let annotations = &alert["annotations"];
        let (summary, description) = (said(annotations, "summary"), said(annotations, "description"));
        assert!(matches!(said(&alert["labels"], "severity"), "critical" | "warning"), "{name}");
        assert!(summary.ends_with('.') && !summary.contains("{{"), "{name}: {summary}");
        // Of what is absent nothing is known.
        assert!(description.ends_with('.'), "{name}: {description}");
        assert_eq!(description.contains("{{"), name != "FleetpushAbsent", "{name}: {description}");
        let anchor = format!("{RUNBOOK}#{}", name.to_lowercase());
        assert_eq!(said(annotations, "runbook_url"), anchor, "{name}");
        assert!(name == "FleetpushSamplesDropped" || alert["for"].is_string(), "{name}");
    }
}

#[test]
fn what_is_recorded_is_used_and_what_is_used_is_recorded_or_said() {
    let recording = rules(RECORDING);
    let recorded: BTreeSet<&str> = recording.iter().map(|rule| said(rule, "record")).collect();
    assert_eq!(recorded.len(), recording.len());
    for name in &recorded {
        assert_eq!(name.split(':').count(), 3, "{name} is level:metric:operation");
    }
    let alerts = alerts();
    let used: BTreeSet<&str> =
        alerts.iter().chain(&recording).flat_map(|rule| metrics(said(rule, "expr"))).collect();
    let (of_rules, of_metrics): (BTreeSet<&str>, BTreeSet<&str>) =
        used.into_iter().partition(|name| name.contains(':'));
    assert_eq!(of_rules, recorded);
    let documented = text("docs/metrics.md");
    for name in of_metrics.into_iter().filter(|name| !name.starts_with("kube_")) {
        assert!(documented.contains(&format!("\n| `{name}` |")), "{name} is not in docs/metrics.md");
    }
}

#[test]
fn the_page_about_dashboards_names_what_there_is() {
    let page = text("docs/dashboards.md");
    for path in [ALERTS, RECORDING, "deploy/grafana/fleets.json", "deploy/grafana/sender.json"] {
        assert!(page.contains(&format!("](../{path})")) && repository(path).is_file(), "{path}");
    }
    assert!(page.contains(&format!("{} alerts", alerts().len())));
    for rule in rules(RECORDING) {
        assert!(page.contains(&format!("| `{}` |", said(&rule, "record"))), "{rule}");
    }
    // An alert's name that either page speaks of is one that there is.
    let known: BTreeSet<String> = alerts().iter().map(|alert| said(alert, "alert").to_owned()).collect();
    let spoken: BTreeSet<String> = [page, text(RUNBOOK)]
        .iter()
        .flat_map(|page| page.split(|letter: char| !letter.is_ascii_alphanumeric()))
        .filter(|word| {
            ["Fleetpush", "Balena"].iter().any(|begin| word.len() > begin.len() && word.starts_with(begin))
        })
        .map(str::to_owned)
        .collect();
    assert_eq!(spoken, known);
}

#[test]
fn the_steps_of_a_series_are_read_as_promtool_reads_them() {
    assert_eq!(steps("1 _x9 2 _ stale 3"), [0, 10, 12, 13]);
    let found = metrics("1 - fleet:balena_devices:last15m / balena_up{job=\"x\"} + time()");
    assert_eq!(found, BTreeSet::from(["balena_up", "fleet:balena_devices:last15m"]));
}
