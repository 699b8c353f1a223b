//! The same pages, the same block: what we make of them and what Prometheus 3 makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleetpush::sample::Batch;
use serde_json::{Value, json};

use super::site::{Answer, Site};
use super::{Labels, Relay, series};
use crate::servers::{Prometheus, Suite, eventually};

/// A page, and the keys of the job that scrapes it. `SITE` in a key is the site's address.
struct Case {
    name: &'static str,
    answer: Answer,
    keys: Value,
    /// How often we scrape; more than once where it is about what is remembered.
    scrapes: usize,
}

fn case(name: &'static str, answer: Answer, keys: Value) -> Case {
    Case { name, answer, keys, scrapes: 2 }
}

fn page(name: &'static str, body: &str, keys: Value) -> Case {
    case(name, Answer::text(body), keys)
}

const TYPES: &str = "\
# HELP requests_total Requests so far.
# TYPE requests_total counter
requests_total{code=\"200\",path=\"/\"} 5
requests_total{code=\"500\",path=\"/\"} 1
# TYPE wait_seconds histogram
wait_seconds_bucket{le=\"0.5\"} 1
wait_seconds_bucket{le=\"1\"} 2
wait_seconds_bucket{le=\"+Inf\"} 3
wait_seconds_sum 4.5
wait_seconds_count 3
# TYPE size summary
size{quantile=\"0.5\"} 2
size_sum 9
size_count 4
untyped 3
odd_value NaN
far_value +Inf
escaped{a=\"q\\\"b\\\\s\\nn\"} 1
{\"name.with.dots\",\"label.with.dots\"=\"x\"} 2
";

const CLASH: &str = "\
a{job=\"page\",instance=\"page:1\"} 1
b{job=\"page\",exported_job=\"other\"} 2
c{job=\"\",instance=\"\",x=\"1\"} 3
d{exported_instance=\"only\"} 4
e{env=\"page\",exported_env=\"p2\",exported_exported_env=\"p3\"} 5
f{exported_job=\"x\",job=\"y\",exported_exported_job=\"z\"} 6
";

const OPEN: &str = "\
# HELP tasks Tasks so far
# TYPE tasks counter
tasks_total{kind=\"a\"} 7 # {trace_id=\"abc\"} 1
tasks_created{kind=\"a\"} 1600000000
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
wait_seconds_bucket{le=\"1.0\"} 2
wait_seconds_bucket{le=\"+Inf\"} 3 # {trace_id=\"def\"} 2.5 1600000001
wait_seconds_count 3
wait_seconds_sum 4
wait_seconds_created 1600000000
# TYPE build info
build_info{version=\"1\"} 1
# TYPE state stateset
state{state=\"on\"} 1
state{state=\"off\"} 0
# EOF
";

const MANY: &str = "a{l=\"1\"} 1\na{l=\"2\"} 2\na{l=\"3\"} 3\nb{l=\"1\"} 4\nc 5\n";

fn cases(now_ms: i64) -> Vec<Case> {
    let times = format!("own_time 1 {}\nno_time 2\n", now_ms - 5_000);
    let relabel = |rules: Value| json!({ "metric_relabel_configs": rules });
    let target = |rules: Value| json!({ "relabel_configs": rules });
    vec![
        page("types", TYPES, json!({})),
        page("an_empty_page", "", json!({})),
        page("clash", CLASH, json!({"static_configs": [{"targets": ["SITE"], "labels": {"env": "prod"}}]})),
        page(
            "clash_with_exported",
            CLASH,
            json!({"static_configs": [{"targets": ["SITE"], "labels": {"env": "prod", "exported_env": "x", "exported_job": "j"}}]}),
        ),
        page(
            "honored",
            CLASH,
            json!({"honor_labels": true, "static_configs": [{"targets": ["SITE"], "labels": {"env": "prod"}}]}),
        ),
        page(
            "labels_of_the_target",
            "a 1\n",
            json!({"static_configs": [{"targets": ["SITE"], "labels": {"job": "another", "instance": "named", "empty": "", "__tmp": "x"}}]}),
        ),
        case("open_metrics", Answer::open_metrics(OPEN), json!({})),
        case("open_metrics_honored", Answer::open_metrics(OPEN), json!({"honor_labels": true})),
        case("compressed", Answer::text(TYPES).compressed(), json!({})),
        case("uncompressed", Answer::text(TYPES), json!({"enable_compression": false})),
        page("samples_at_the_limit", MANY, json!({"sample_limit": 5})),
        page("samples_beyond_the_limit", MANY, json!({"sample_limit": 4})),
        page(
            "samples_within_the_limit_by_rules",
            MANY,
            json!({"sample_limit": 4, "metric_relabel_configs": [{"source_labels": ["__name__"], "regex": "c", "action": "drop"}]}),
        ),
        page("repeated_samples_and_the_limit", "a 1\na 2\nb 1\n", json!({"sample_limit": 2})),
        page("labels_at_the_limit", "a{b=\"1\"} 1\n", json!({"label_limit": 4})),
        page("labels_beyond_the_limit", "x 1\na{b=\"1\",c=\"1\"} 1\ny 1\n", json!({"label_limit": 4})),
        page("label_name_at_the_limit", "a{abcdefgh=\"1\"} 1\n", json!({"label_name_length_limit": 8})),
        page("label_name_beyond_the_limit", "a{abcdefghi=\"1\"} 1\n", json!({"label_name_length_limit": 8})),
        page(
            "label_value_beyond_the_limit",
            "a{b=\"éééééééééééééééééééééééééééééé\"} 1\n",
            json!({"label_value_length_limit": 59}),
        ),
        page(
            "label_value_at_the_limit",
            "a{b=\"éééééééééééééééééééééééééééééé\"} 1\n",
            json!({"label_value_length_limit": 60}),
        ),
        page("body_below_the_limit", "a 1\n", json!({"body_size_limit": "5B"})),
        page("body_at_the_limit", "a 10\n", json!({"body_size_limit": "5B"})),
        case(
            "body_beyond_the_limit_after_decompression",
            Answer::text(&"# a comment that says nothing at all\n".repeat(500)).compressed(),
            json!({"body_size_limit": "1KB"}),
        ),
        page("times_honored", &times, json!({})),
        page("times_not_honored", &times, json!({"honor_timestamps": false})),
        page("the_same_text_twice", "a 1\nb{x=\"1\"} 2\na 3\nb{x=\"1\"} 4\n", json!({})),
        page(
            "the_same_series_twice",
            "a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\na{y=\"2\",x=\"1\",} 3\n",
            json!({}),
        ),
        page("a_mistake_in_the_middle", "a 1\nb 2\nc is not a number\nd 4\n", json!({})),
        page("a_label_twice", "a 1\nb{x=\"1\",x=\"2\"} 2\n", json!({})),
        page("no_end_of_the_last_line", "a 1\nb 2", json!({})),
        case("no_eof", Answer::open_metrics("a 1\n"), json!({})),
        case("not_found", Answer::text("a 1\n").with_status(404), json!({})),
        case("created", Answer::text("a 1\n").with_status(201), json!({})),
        case(
            "a_redirect_that_is_not_followed",
            Answer::text("a 1\n").with_status(302).with("Location", "/types"),
            json!({"follow_redirects": false}),
        ),
        case("html", Answer::page("text/html; charset=utf-8", "a 1\n"), json!({})),
        case("no_content_type", Answer::page("", "a 1\n"), json!({})),
        case(
            "html_with_a_fallback",
            Answer::page("text/html", "a 1\n"),
            json!({"fallback_scrape_protocol": "PrometheusText0.0.4"}),
        ),
        case(
            "no_content_type_with_a_fallback",
            Answer::page("", "a 1\n# EOF\n"),
            json!({"fallback_scrape_protocol": "OpenMetricsText1.0.0"}),
        ),
        page("says_up_itself", "up 7\nup{x=\"1\"} 8\nscrape_samples_scraped 9\n", json!({})),
        page(
            "dropped_series",
            MANY,
            relabel(json!([{"source_labels": ["l"], "regex": "2|3", "action": "drop"}])),
        ),
        page(
            "kept_series",
            MANY,
            relabel(json!([{"source_labels": ["__name__"], "regex": "b|c", "action": "keep"}])),
        ),
        page(
            "all_dropped",
            MANY,
            relabel(json!([{"source_labels": ["job"], "regex": ".+", "action": "drop"}])),
        ),
        page(
            "renamed_series",
            MANY,
            relabel(
                json!([{"source_labels": ["__name__"], "regex": "(.*)", "target_label": "__name__", "replacement": "site_$1"}]),
            ),
        ),
        page("series_that_become_one", MANY, relabel(json!([{"regex": "l", "action": "labeldrop"}]))),
        page(
            "names_that_become_one",
            MANY,
            relabel(
                json!([{"target_label": "__name__", "replacement": "one"}, {"source_labels": ["l"], "target_label": "m"}]),
            ),
        ),
        page("a_name_that_goes", "a 1\n", relabel(json!([{"regex": "__name__", "action": "labeldrop"}]))),
        page(
            "a_label_of_the_target_that_goes",
            MANY,
            relabel(
                json!([{"regex": "instance|job", "action": "labeldrop"}, {"target_label": "__tmp_x", "replacement": "y"}, {"target_label": "only", "replacement": "here"}]),
            ),
        ),
        page(
            "labels_that_are_mapped",
            "a{b_x=\"1\",b_y=\"2\"} 1\n",
            relabel(json!([{"regex": "b_(.*)", "action": "labelmap", "replacement": "c_$1"}])),
        ),
        page(
            "a_target_that_is_dropped",
            "a 1\n",
            target(json!([{"action": "drop", "source_labels": ["job"], "regex": ".*"}])),
        ),
        page(
            "a_target_with_more_labels",
            "a 1\n",
            target(json!([
                {"source_labels": ["__address__"], "regex": "(.*):.*", "target_label": "host"},
                {"source_labels": ["__scheme__", "__metrics_path__"], "target_label": "way"},
                {"source_labels": ["__scrape_interval__", "__scrape_timeout__"], "target_label": "how_often"},
                {"target_label": "__tmp", "replacement": "x"},
                {"target_label": "__meta_x", "replacement": "x"}
            ])),
        ),
        page(
            "an_instance_by_rules",
            "a 1\n",
            target(
                json!([{"source_labels": ["__address__"], "regex": "(.*):.*", "target_label": "instance"}]),
            ),
        ),
        page(
            "a_path_by_rules",
            "a 1\n",
            target(json!([{"target_label": "__metrics_path__", "replacement": "/types"}])),
        ),
        page(
            "a_scheme_that_is_none",
            "a 1\n",
            target(json!([{"target_label": "__scheme__", "replacement": "gopher"}])),
        ),
        page("no_address", "a 1\n", target(json!([{"target_label": "__address__", "replacement": ""}]))),
        page(
            "an_address_that_does_not_listen",
            "a 1\n",
            target(json!([{"target_label": "__address__", "replacement": "127.0.0.1:1"}])),
        ),
        page(
            "a_port_that_is_none",
            "a 1\n",
            target(json!([{"target_label": "__address__", "replacement": "127.0.0.1:99999"}])),
        ),
        page(
            "a_timeout_longer_than_the_interval_by_rules",
            "a 1\n",
            target(json!([{"target_label": "__scrape_timeout__", "replacement": "2h"}])),
        ),
        page(
            "another_interval_by_rules",
            "a 1\n",
            target(
                json!([{"target_label": "__scrape_interval__", "replacement": "1s500ms"}, {"source_labels": ["__scrape_interval__"], "target_label": "every"}]),
            ),
        ),
        page(
            "the_same_target_twice",
            "a 1\n",
            json!({"static_configs": [{"targets": ["SITE", "SITE"]}, {"targets": ["SITE"]}]}),
        ),
        page(
            "two_targets_with_the_same_instance",
            "a 1\n",
            json!({"static_configs": [
                {"targets": ["SITE"], "labels": {"instance": "one", "zone": "a"}},
                {"targets": ["SITE"], "labels": {"instance": "one", "zone": "b"}}
            ]}),
        ),
        page(
            "parameters",
            "a 1\n",
            json!({
                "params": {"module": ["one", "two"], "x y": ["a&b=c"], "target": []},
                "relabel_configs": [
                    {"source_labels": ["__param_module"], "target_label": "module"},
                    {"target_label": "__param_module", "replacement": "changed"},
                    {"target_label": "__param_new", "replacement": "n w"}
                ]
            }),
        ),
        page("users", "a 1\n", json!({"basic_auth": {"username": "me", "password": "secret"}})),
        page("tokens", "a 1\n", json!({"authorization": {"credentials": "token"}})),
    ]
}

fn block(case: &Case, site: &Site) -> Value {
    let mut block = json!({
        "job_name": case.name,
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "metrics_path": format!("/{}", case.name),
        "static_configs": [{"targets": ["SITE"]}],
    });
    block.as_object_mut().unwrap().extend(case.keys.as_object().unwrap().clone());
    let text = block.to_string().replace("SITE", &site.address());
    serde_json::from_str(&text).unwrap()
}

/// Without what no two scrapes have alike.
fn comparable(all: impl IntoIterator<Item = (Labels, f64)>) -> BTreeMap<Labels, String> {
    const OF_TIME: [&str; 2] = ["scrape_duration_seconds", "scrape_series_added"];
    all.into_iter()
        .filter(|(labels, _)| labels.get("__name__").is_none_or(|name| !OF_TIME.contains(&name.as_str())))
        .map(|(labels, value)| (labels, value.to_string()))
        .collect()
}

#[tokio::test]
async fn the_series_of_every_case_are_those_that_prometheus_scrapes() {
    let site = Site::start();
    let now = fleetpush::clock::Clock::SYSTEM.now().0;
    let cases = cases(now);
    for case in &cases {
        site.set(&format!("/{}", case.name), case.answer.clone());
    }
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    let blocks: Vec<Value> = cases.iter().map(|case| block(case, &site)).collect();
    let mut relay = Relay::new(&json!(blocks)).await;
    let mut ours: BTreeMap<String, Batch> = BTreeMap::new();
    for _ in 0..cases.iter().map(|case| case.scrapes).max().unwrap() {
        ours = relay.scrape().await.batches;
    }
    // What names a request must be the same as well.
    let requests = |heads: &[String]| -> BTreeSet<String> {
        let line = |head: &String| {
            let kept = ["authorization: ", "accept: ", "x-prometheus-scrape-timeout-seconds: "];
            let lines = head.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
            let mut lines: Vec<&str> = lines.collect();
            lines.sort_unstable();
            [head.lines().next().unwrap_or_default()].into_iter().chain(lines).collect::<Vec<_>>().join(" | ")
        };
        heads.iter().map(line).collect()
    };
    let before = site.heads().len();
    let our_requests = requests(&site.heads());
    let config = json!({ "scrape_configs": blocks }).to_string();
    let prometheus = Prometheus::start(Suite::New, &config).await;
    let expected = comparable(ours.values().flat_map(series));
    let mut theirs = BTreeMap::new();
    let same = eventually_or("the same series", Duration::from_secs(20), async || {
        theirs = comparable(prometheus.query("{__name__=~\".+\"}").await);
        theirs == expected
    })
    .await;
    if !same {
        let mut text = String::new();
        for (labels, value) in &expected {
            if theirs.get(labels) != Some(value) {
                text.push_str(&format!("ours:   {labels:?} {value}, theirs {:?}\n", theirs.get(labels)));
            }
        }
        for (labels, value) in theirs.iter().filter(|(labels, _)| !expected.contains_key(*labels)) {
            text.push_str(&format!("theirs: {labels:?} {value}\n"));
        }
        panic!("{text}");
    }
    assert!(expected.len() > 200, "{}", expected.len());
    eventually("the same requests", Duration::from_secs(20), async || {
        (requests(&site.heads()[before..]) == our_requests).then_some(())
    })
    .await;
}

#[tokio::test]
async fn targets_of_files_come_and_go_as_they_do_at_prometheus() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    site.set("/metrics", Answer::text("a 1\n"));
    let address = site.address();
    let path = |name: &str| folder.path().join(name);
    // Prometheus watches: a file must come whole.
    let write = |name: &str, text: &str| {
        std::fs::write(path("new.part"), text.replace("SITE", &address)).unwrap();
        std::fs::rename(path("new.part"), path(name)).unwrap();
    };
    let blocks = json!([{
        "job_name": "files",
        "scrape_interval": "300ms",
        "scrape_timeout": "300ms",
        "file_sd_configs": [
            {"files": [path("*.yml").display().to_string(), path("one.json").display().to_string()], "refresh_interval": "1s"}
        ],
        "relabel_configs": [
            {"source_labels": ["__meta_filepath"], "regex": ".*/(.*)", "target_label": "file"},
            {"source_labels": ["path"], "regex": "(.+)", "target_label": "__metrics_path__"},
            {"source_labels": ["drop"], "regex": "yes", "action": "drop"},
        ],
    }]);
    write("a.yml", "- targets: [SITE]\n  labels: {zone: a, number: 5, empty: ''}\n");
    let prometheus = Prometheus::start(Suite::New, &json!({ "scrape_configs": blocks }).to_string()).await;
    let mut relay = Relay::new(&blocks).await;
    // Prometheus takes changes five seconds apart, so several come at once.
    let one_json = r#"[{"targets": ["SITE"], "labels": {"zone": "j"}}, {"targets": ["SITE"]}]"#;
    let changes: [(&str, &dyn Fn(), usize); 4] = [
        ("a file", &|| {}, 1),
        (
            "more files",
            &|| {
                write("one.json", one_json);
                write("b.yml", "- targets: [SITE, SITE]\n  labels: {job: own, instance: b}\n");
            },
            4,
        ),
        (
            "another label, and a mistake in json",
            &|| {
                write("a.yml", "- {targets: [SITE], labels: {zone: c, path: /gone}}\n");
                write("one.json", r#"[{"targets": ["SITE"], "labels": {"zone": 5}}]"#);
            },
            4,
        ),
        (
            "a mistake, a target that is dropped, and an empty file",
            &|| {
                write("a.yml", "- {targets: [SITE], lables: {zone: d}}\n");
                write("b.yml", "- {targets: [SITE], labels: {drop: 'yes'}}\n");
                write("one.json", "[]");
            },
            1,
        ),
    ];
    for (what, change, count) in changes {
        change();
        let batches = relay.scrape().await.batches;
        let up = |all: BTreeMap<Labels, String>| -> BTreeMap<Labels, String> {
            all.into_iter().filter(|(labels, _)| labels["__name__"] == "up").collect()
        };
        let ours = up(comparable(batches.values().flat_map(series)));
        assert_eq!(ours.len(), count, "{what}: {ours:?}");
        let mut theirs = BTreeMap::new();
        let same = eventually_or(what, Duration::from_secs(20), async || {
            theirs = up(comparable(prometheus.query("up").await));
            theirs == ours
        })
        .await;
        assert!(same, "{what}: ours {ours:?}, theirs {theirs:?}");
    }
}

/// Whether something came true in time.
async fn eventually_or(_: &str, within: Duration, mut is_true: impl AsyncFnMut() -> bool) -> bool {
    let end = std::time::Instant::now() + within;
    loop {
        if is_true().await {
            return true;
        }
        if std::time::Instant::now() > end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
