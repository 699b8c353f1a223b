//! Scrape after scrape: what is remembered, what is said beside a page, what is told of a failure, and targets that
//! come and go.

use std::fs;
use std::time::Duration;

use fleetpush::sample::{Batch, Kind, Labels, Millis, SeriesSet};
use serde_json::json;

use super::site::{Answer, Site};
use super::{Relay, page_series, series, value};

/// One target, whose page is `/metrics`.
async fn one(site: &Site, keys: serde_json::Value) -> Relay {
    let mut job = json!({"job_name": "test", "static_configs": [{"targets": [site.address()]}]});
    job.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    Relay::new(&json!([job])).await
}

async fn after(relay: &mut Relay, site: &Site, page: &str) -> Batch {
    site.set("/metrics", Answer::text(page));
    relay.scrape_one().await
}

/// The labels of each series of a family.
fn labels_of(batch: &Batch, name: &str) -> Vec<Labels> {
    let family = batch.families().iter().find(|family| family.name.as_str() == name).unwrap();
    family.series.iter().map(|series| series.labels.clone()).collect()
}

#[tokio::test]
async fn a_page_with_the_series_of_the_last_one_is_the_same_with_the_very_same_labels() {
    let site = Site::start();
    let mut relay = one(&site, json!({})).await;
    let mut set = SeriesSet::default();
    let first = after(&mut relay, &site, "a{x=\"1\"} 1\na{x=\"2\"} 2\nb 3\n").await;
    set.advance(&first);
    let second = after(&mut relay, &site, "a{x=\"1\"} 5\na{x=\"2\"} 6\nb 7\n").await;
    assert!(set.advance(&second).same);
    assert_eq!(page_series(&second), ["a{x=1}", "a{x=2}", "b{}"]);
    assert_eq!(value(&second, "b"), 7.0);
    for (old, new) in labels_of(&first, "a").iter().zip(&labels_of(&second, "a")) {
        assert!(old.is_very(new), "{old:?} was made again");
    }
    assert_eq!((value(&first, "scrape_series_added"), value(&second, "scrape_series_added")), (3.0, 0.0));
}

#[tokio::test]
async fn series_in_another_order_keep_their_labels_and_values_and_none_has_ended() {
    let site = Site::start();
    let mut relay = one(&site, json!({})).await;
    let mut set = SeriesSet::default();
    let first = after(&mut relay, &site, "a{x=\"1\"} 1\na{x=\"2\"} 2\na{x=\"3\"} 3\nb 4\n").await;
    set.advance(&first);
    for page in [
        "b 40\na{x=\"3\"} 30\na{x=\"1\"} 10\na{x=\"2\"} 20\n",
        "a{x=\"2\"} 20\nb 40\na{x=\"1\"} 10\na{x=\"3\"} 30\n",
        "a{x=\"2\"} 20\nb 40\na{x=\"1\"} 10\na{x=\"3\"} 30\n",
    ] {
        let batch = after(&mut relay, &site, page).await;
        assert_eq!(set.advance(&batch).ended, [], "{page}");
        assert_eq!(page_series(&batch), ["a{x=1}", "a{x=2}", "a{x=3}", "b{}"]);
        for (labels, value) in series(&batch) {
            if let Some(x) = labels.get("x") {
                assert_eq!(value, x.parse::<f64>().unwrap() * 10.0, "{page}");
            }
        }
        assert_eq!(value(&batch, "scrape_series_added"), 0.0, "{page}");
        let old = labels_of(&first, "a");
        assert!(labels_of(&batch, "a").iter().all(|new| old.iter().any(|old| old.is_very(new))), "{page}");
    }
}

#[tokio::test]
async fn series_and_families_come_and_go() {
    let site = Site::start();
    let mut relay = one(&site, json!({})).await;
    let mut set = SeriesSet::default();
    let pages: [(&str, &[&str], f64); 8] = [
        ("a{x=\"1\"} 1\nb 2\nc 3\n", &["a{x=1}", "b{}", "c{}"], 3.0),
        ("a{x=\"1\"} 1\nc 3\n", &["a{x=1}", "c{}"], 0.0),
        ("a{x=\"1\"} 1\na{x=\"2\"} 1\nc 3\nd 4\n", &["a{x=1}", "a{x=2}", "c{}", "d{}"], 2.0),
        ("d 4\n", &["d{}"], 0.0),
        ("b 2\nd 4\na{x=\"1\"} 1\n", &["a{x=1}", "b{}", "d{}"], 2.0),
        ("", &[], 0.0),
        ("a{x=\"1\"} 1\nb 2\n", &["a{x=1}", "b{}"], 2.0),
        ("z 1\na{x=\"1\"} 1\nb 2\n", &["a{x=1}", "b{}", "z{}"], 1.0),
    ];
    let mut before: Vec<String> = Vec::new();
    for (page, expected, added) in pages {
        let batch = after(&mut relay, &site, page).await;
        assert_eq!(page_series(&batch), expected, "{page:?}");
        assert_eq!(value(&batch, "scrape_series_added"), added, "{page:?}");
        let ended = set.advance(&batch).ended.len();
        let gone = before.iter().filter(|series| !expected.contains(&series.as_str())).count();
        assert_eq!(ended, gone, "{page:?}");
        before = expected.iter().map(|series| (*series).to_owned()).collect();
    }
}

#[tokio::test]
async fn a_repeated_series_counts_once_in_every_scrape_and_comes_back_when_the_first_is_gone() {
    let site = Site::start();
    let mut relay = one(&site, json!({})).await;
    for (page, expected) in [
        ("a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\n", 1.0),
        ("a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\n", 1.0),
        ("a{y=\"2\",x=\"1\"} 2\n", 2.0),
        ("a{y=\"2\",x=\"1\"} 2\na{x=\"1\",y=\"2\"} 1\n", 2.0),
        ("a{x=\"1\",y=\"2\"} 1\nb 1\na{y=\"2\",x=\"1\"} 2\na{x=\"1\",y=\"2\"} 3\n", 1.0),
    ] {
        let batch = after(&mut relay, &site, page).await;
        assert_eq!(value(&batch, "a"), expected, "{page}");
    }
    assert_eq!(relay.own("fleetpush_scrape_repeated_samples_total", &["test"]), 5.0);
}

#[tokio::test]
async fn a_failed_scrape_says_that_it_is_down_and_nothing_of_the_page_and_forgets_nothing() {
    let site = Site::start();
    let mut relay = one(&site, json!({})).await;
    let good = "a{x=\"1\"} 1\nb 2\n";
    let first = after(&mut relay, &site, good).await;
    let failures = [
        (Answer::text("a{x=\"1\"} 1\nb is wrong\n"), "page", 1.0),
        (Answer::text(good).with_status(500), "status", 0.0),
        (Answer::page("text/html", good), "content_type", 0.0),
        (Answer::text(good).with("Content-Encoding", "gzip"), "network", 0.0),
    ];
    for (answer, result, scraped) in failures {
        site.set("/metrics", answer);
        let batch = relay.scrape_one().await;
        assert_eq!(page_series(&batch), Vec::<String>::new(), "{result}");
        assert_eq!(
            (value(&batch, "up"), value(&batch, "scrape_samples_scraped")),
            (0.0, scraped),
            "{result}"
        );
        assert_eq!(batch.families().len(), 5, "{result}");
        assert_eq!(relay.own("fleetpush_scrapes_total", &[result, "test"]), 1.0, "{result}");
    }
    let again = after(&mut relay, &site, good).await;
    assert_eq!(value(&again, "up"), 1.0);
    assert!(labels_of(&again, "a")[0].is_very(&labels_of(&first, "a")[0]));
    assert_eq!(relay.own("fleetpush_scrapes_total", &["ok", "test"]), 2.0);
}

#[tokio::test]
async fn a_target_that_does_not_answer_fails_at_its_timeout_and_holds_up_no_other() {
    let site = Site::start();
    site.set("/metrics", Answer::silent());
    site.set("/good", Answer::text("a 1\n"));
    let job = |name: &str, path: &str| {
        json!({
            "job_name": name, "scrape_timeout": "300ms", "metrics_path": path,
            "static_configs": [{"targets": [site.address()]}],
        })
    };
    let mut relay = Relay::new(&json!([job("silent", "/metrics"), job("good", "/good")])).await;
    let batches = relay.scrape().await.batches;
    let up = |job: &str| value(&batches[&format!("{job}/{}", site.address())], "up");
    assert_eq!((up("silent"), up("good")), (0.0, 1.0));
    assert_eq!(relay.own("fleetpush_scrapes_total", &["timeout", "silent"]), 1.0);
    assert!(site.heads().iter().any(|head| head.contains("x-prometheus-scrape-timeout-seconds: 0.3\r\n")));
}

#[tokio::test]
async fn types_helps_and_units_are_those_of_the_families_of_both_formats() {
    let site = Site::start();
    let mut relay = one(&site, json!({})).await;
    let words = |batch: &Batch, name: &str| {
        let family = batch.families().iter().find(|family| family.name.as_str() == name).unwrap();
        let of = family.of.as_ref().map(ToString::to_string).unwrap_or_default();
        (of, family.kind, family.help.to_string(), family.unit.to_string())
    };
    let text = "# HELP r_total All r\n# TYPE r_total counter\nr_total 1\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\n\
                h_sum 1\nh_count 1\n# TYPE s summary\ns{quantile=\"1\"} 1\ns_sum 1\nu 1\n# HELP u Later\n";
    let batch = after(&mut relay, &site, text).await;
    assert_eq!(words(&batch, "r_total"), (String::new(), Kind::Counter, "All r".into(), String::new()));
    assert_eq!(words(&batch, "h_bucket"), ("h".into(), Kind::Histogram, String::new(), String::new()));
    assert_eq!(words(&batch, "h_count").1, Kind::Histogram);
    assert_eq!(words(&batch, "s"), (String::new(), Kind::Summary, String::new(), String::new()));
    assert_eq!(words(&batch, "s_sum").0, "s");
    assert_eq!(words(&batch, "u"), (String::new(), Kind::Unknown, "Later".into(), String::new()));
    assert_eq!(words(&batch, "up").1, Kind::Gauge);
    let open = "# TYPE r counter\n# HELP r All r\nr_total 1\n# TYPE t_seconds gauge\n# UNIT t_seconds seconds\n\
                t_seconds 1\n# TYPE i info\ni_info{v=\"1\"} 1\n# TYPE st stateset\nst{st=\"a\"} 1\n\
                # TYPE g gaugehistogram\ng_bucket{le=\"+Inf\"} 1\ng_gcount 1\ng_gsum 1\n# EOF\n";
    site.set("/metrics", Answer::open_metrics(open));
    let batch = relay.scrape_one().await;
    assert_eq!(words(&batch, "r_total"), ("r".into(), Kind::Counter, "All r".into(), String::new()));
    assert_eq!(words(&batch, "t_seconds"), (String::new(), Kind::Gauge, String::new(), "seconds".into()));
    assert_eq!(words(&batch, "i_info"), ("i".into(), Kind::Info, String::new(), String::new()));
    assert_eq!(words(&batch, "st").1, Kind::StateSet);
    assert_eq!(words(&batch, "g_gsum"), ("g".into(), Kind::GaugeHistogram, String::new(), String::new()));
}

#[tokio::test]
async fn exemplars_and_the_begin_of_counting_come_with_their_samples() {
    let site = Site::start();
    let mut relay = one(&site, json!({})).await;
    let page = "# TYPE r counter\nr_total{a=\"1\"} 7 # {trace_id=\"abc\"} 0.5 1600000002.5\nr_created{a=\"1\"} 1600000000.25\n\
                r_total{a=\"2\"} 8\nr_total{a=\"3\"} 9\nr_created{a=\"3\"} 1600000001\n\
                # TYPE h histogram\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 2 # {trace_id=\"def\"} 3\nh_count 2\nh_sum 4\n\
                h_created 1600000003\n# TYPE late counter\nlate_total 1\nlate_created 1900000000\n\
                # TYPE g gauge\ng_created 1600000004\n# EOF\n";
    site.set("/metrics", Answer::open_metrics(page));
    for scrape in 1..=2 {
        let batch = relay.scrape_one().await;
        let own = |name: &str| {
            let family = batch.families().iter().find(|family| family.name.as_str() == name).unwrap();
            family.series.iter().map(|series| series.own.clone().unwrap_or_default()).collect::<Vec<_>>()
        };
        let starts = |name: &str| own(name).iter().map(|own| own.start.map(|at| at.0)).collect::<Vec<_>>();
        assert_eq!(starts("r_total"), [Some(1_600_000_000_250), None, Some(1_600_000_001_000)], "{scrape}");
        assert_eq!(starts("h_bucket"), [Some(1_600_000_003_000); 2], "{scrape}");
        assert_eq!(
            (starts("h_sum"), starts("h_count")),
            (starts("h_bucket")[..1].into(), starts("h_bucket")[..1].into())
        );
        assert_eq!(starts("late_total"), [None], "what is later than the scrape says nothing");
        let exemplars = own("r_total")[0].exemplars.clone();
        assert_eq!(exemplars.len(), 1);
        assert_eq!(exemplars[0].labels.get("trace_id"), Some("abc"));
        assert_eq!((exemplars[0].value.get(), exemplars[0].at), (0.5, Some(Millis(1_600_000_002_500))));
        assert_eq!(own("h_bucket")[1].exemplars[0].at, None);
        assert_eq!(value(&batch, "h_created"), 1_600_000_003.0, "it stays a series");
    }
}

#[tokio::test]
async fn a_begin_of_counting_whose_series_is_dropped_still_counts() {
    let site = Site::start();
    let rules = json!({"metric_relabel_configs": [{"source_labels": ["__name__"], "regex": ".*_created", "action": "drop"}]});
    let mut relay = one(&site, rules).await;
    site.set(
        "/metrics",
        Answer::open_metrics("# TYPE r counter\nr_total{a=\"1\"} 7\nr_created{a=\"1\"} 1600000000\nr_total{a=\"2\"} 7\n# EOF\n"),
    );
    for _ in 0..2 {
        let batch = relay.scrape_one().await;
        assert_eq!(page_series(&batch), ["r_total{a=1}", "r_total{a=2}"]);
        let starts: Vec<_> = batch.families()[0].series.iter().map(|s| s.own.as_ref()?.start).collect();
        assert_eq!(starts, [Some(Millis(1_600_000_000_000)), None]);
    }
}

#[tokio::test]
async fn targets_of_files_come_change_and_go_and_a_broken_file_changes_nothing() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    site.set("/metrics", Answer::text("a 1\n"));
    let address = site.address();
    let path = |name: &str| folder.path().join(name);
    let yaml = |zone: &str| format!("- targets: [\"{address}\"]\n  labels: {{zone: {zone}}}\n");
    fs::write(path("a.yml"), yaml("a")).unwrap();
    let mut relay = Relay::new(&json!([{
        "job_name": "test",
        "file_sd_configs": [{"files": [path("*.yml").display().to_string(), path("more.json").display().to_string()]}],
        "relabel_configs": [
            {"source_labels": ["__meta_filepath"], "regex": ".*/(.*)", "target_label": "file"},
            {"source_labels": ["zone"], "target_label": "instance"},
        ],
    }]))
    .await;
    let mut zones = async || {
        let scraped = relay.scrape().await;
        let zone = |batch: &Batch| {
            let up = &labels_of(batch, "up")[0];
            format!("{} of {}", up.get("zone").unwrap(), up.get("file").unwrap())
        };
        let all: Vec<String> = scraped.batches.values().map(zone).collect();
        (all, scraped.gone.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let none: Vec<String> = Vec::new();
    assert_eq!(zones().await, (vec!["a of a.yml".to_owned()], none.clone()));
    fs::write(
        path("more.json"),
        format!("[{{\"targets\": [\"{address}\"], \"labels\": {{\"zone\": \"js\\u006fn\"}}}}]"),
    )
    .unwrap();
    assert_eq!(zones().await, (vec!["a of a.yml".to_owned(), "json of more.json".to_owned()], none.clone()));
    fs::write(path("a.yml"), "- targets: [oh\n").unwrap();
    assert_eq!(zones().await.0, ["a of a.yml", "json of more.json"]);
    fs::write(path("a.yml"), format!("{}- targets: [\"{address}\"]\n  labels: {{zone: c}}\n", yaml("b")))
        .unwrap();
    let changed = ["b of a.yml", "c of a.yml", "json of more.json"].map(str::to_owned);
    assert_eq!(zones().await, (changed.into(), vec!["test/a".to_owned()]));
    fs::remove_file(path("a.yml")).unwrap();
    assert_eq!(
        zones().await,
        (vec!["json of more.json".to_owned()], vec!["test/b".to_owned(), "test/c".to_owned()])
    );
    assert_eq!(relay.own("fleetpush_target_file_errors_total", &[]), 1.0);
}

#[tokio::test]
async fn each_interval_has_a_group_and_one_that_a_target_brings_comes_with_its_round() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    site.set("/metrics", Answer::text("a 1\n"));
    let file = folder.path().join("targets.yml");
    fs::write(&file, format!("- targets: [\"{}\"]\n", site.address())).unwrap();
    let mut relay = Relay::new(&json!([
        {"job_name": "a", "scrape_interval": "15s", "static_configs": [{"targets": [site.address()]}]},
        {"job_name": "b", "scrape_interval": "30s", "file_sd_configs": [{"files": [file.display().to_string()]}]},
        {"job_name": "c", "scrape_interval": "15s", "static_configs": [{"targets": [site.address()]}]},
    ]))
    .await;
    let seconds = |relay: &Relay| relay.intervals().iter().map(Duration::as_secs).collect::<Vec<_>>();
    assert_eq!(seconds(&relay), [15, 30]);
    let (a, b, c) =
        (format!("a/{}", site.address()), format!("b/{}", site.address()), format!("c/{}", site.address()));
    assert_eq!(relay.sources().await, [a.clone(), b.clone(), c.clone()]);
    assert_eq!(relay.scrape().await.batches.len(), 3);
    let slower = format!("- targets: [\"{}\"]\n  labels: {{__scrape_interval__: 1m}}\n", site.address());
    fs::write(&file, slower).unwrap();
    let scraped = relay.scrape().await;
    assert_eq!(scraped.batches.keys().collect::<Vec<_>>(), [&a, &b, &c]);
    assert_eq!(scraped.gone, [], "it is still there, in another group");
    assert_eq!(seconds(&relay), [15, 30, 60]);
}

#[tokio::test]
async fn two_targets_of_one_instance_have_sources_of_their_own_and_equal_ones_are_refused() {
    let site = Site::start();
    site.set("/metrics", Answer::text("a 1\n"));
    site.set("/other", Answer::text("a 1\n"));
    let group =
        |zone: &str| json!({"targets": [site.address()], "labels": {"instance": "one", "zone": zone}});
    let mut relay = Relay::new(&json!([
        {"job_name": "test", "static_configs": [group("a"), group("b")]},
        {"job_name": "more", "static_configs": [group("a")], "relabel_configs": [{"target_label": "job", "replacement": "test"}]},
    ]))
    .await;
    let batches = relay.scrape().await.batches;
    assert_eq!(batches.keys().collect::<Vec<_>>(), ["test/one", "test/one{zone=\"b\"}"]);
}
