//! The real binary with rules, and a real Prometheus that takes what leaves.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use fleetpush::demo::balena::{self, Device, Fleet, Simulation};
use fleetpush::demo::receiver;
use rstest::rstest;

use crate::program::{LIMIT, Program, get};
use crate::servers::{Prometheus, Suite, eventually};

async fn api(fleets: &[&str]) -> balena::Server {
    let simulation = Simulation::new();
    for (number, name) in (1..).zip(fleets) {
        simulation.add(Fleet::new("acme", name).devices(number, &Device::operational()));
    }
    balena::Server::start(simulation, balena::Options::default()).await.expect("a free port")
}

/// A configuration file in a folder that keeps the queue as well.
fn write(folder: &Path, text: &str) {
    std::fs::write(folder.join("fleetpush.yml"), text).expect("a file in our own folder");
}

fn start(api: &balena::Server, folder: &Path) -> Program {
    let file = folder.join("fleetpush.yml");
    let environment = [
        ("FLEETPUSH_CONFIG_FILE", file.to_str().expect("a path of ours")),
        ("FLEETPUSH_QUEUE_DIR", folder.to_str().expect("a path of ours")),
        ("CRAWL_INTERVAL", ""),
    ];
    Program::service(api, &environment)
}

/// The value of a series on a page; 0 where it is not there.
fn on_page(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}

#[rstest]
#[case::one_at_2(Suite::Stock, "1.0")]
#[case::one_at_3(Suite::New, "1.0")]
#[case::two_at_3(Suite::New, "2.0")]
#[tokio::test]
async fn series_are_dropped_renamed_and_made_equal_on_their_way(#[case] suite: Suite, #[case] message: &str) {
    let api = api(&["north", "south", "west"]).await;
    let prometheus = Prometheus::receiver(suite).await;
    let folder = tempfile::tempdir().expect("a folder");
    let url = prometheus.write_url();
    write(
        folder.path(),
        &format!(
            "interval: 1s
external_labels: {{site: harbour}}
remote_write:
  - name: it
    url: {url}
    protobuf_message: '{message}'
    write_relabel_configs:
      - {{source_labels: [__name__], regex: 'balena_devices(_online)?', action: keep}}
      - {{source_labels: [fleet_name, site], regex: 'west;harbour', action: drop}}
      - {{source_labels: [__name__], regex: balena_devices, target_label: __name__, replacement: site_devices}}
      - {{source_labels: [__name__], regex: balena_devices_online, target_label: fleet_name, replacement: ''}}
      - {{regex: fleet_slug|job, action: labeldrop}}
"
        ),
    );
    let program = start(&api, folder.path());
    let page = format!("{}/metrics", program.page().await);
    let held = r#"fleetpush_sink_dropped_samples_total{kind="remote_write",reason="equal_series",sink="it"}"#;
    eventually("some cycles", LIMIT, async || (on_page(&get(&page).await, held) >= 3.0).then_some(())).await;

    let mut found: Vec<(String, f64)> = Vec::new();
    for (labels, value) in prometheus.query(r#"{__name__=~".+"}"#).await {
        let labels: Vec<String> = labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
        found.push((labels.join(" "), value));
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [
        ("__name__=balena_devices_online site=harbour", 1.0),
        ("__name__=site_devices fleet_name=north site=harbour", 1.0),
        ("__name__=site_devices fleet_name=south site=harbour", 2.0),
    ];
    assert_eq!(found, expected.map(|(labels, value)| (labels.to_owned(), value)));
    let log = program.stderr();
    let named = r#"balena_devices_online{site=\"harbour\"}"#;
    assert_eq!(log.matches(named).count(), 1, "{log}");
    let failed = r#"fleetpush_sink_up{kind="remote_write",sink="it"}"#;
    assert_eq!(on_page(&get(&page).await, failed), 1.0);
}

/// Two endpoints: `it` with rules, and one that hears everything as it is.
fn two(it: &str, other: &str, site: &str, generation: &str) -> String {
    format!(
        "interval: 1s
external_labels: {{site: {site}}}
remote_write:
  - name: it
    url: {it}
    queue_config: {{min_backoff: 20ms, max_backoff: 100ms, max_samples_per_send: 20}}
    write_relabel_configs:
      - {{regex: site, action: labeldrop}}
      - {{source_labels: [__name__], regex: balena_devices, target_label: generation, replacement: {generation}}}
  - {{name: other, url: {other}}}
"
    )
}

/// Times of a fleet's series at the Prometheus, by generation.
async fn times(prometheus: &Prometheus, generation: &str) -> Vec<i64> {
    let selector = format!(r#"balena_devices{{generation="{generation}",fleet_name="north"}}[1h]"#);
    let now = fleetpush::clock::Clock::SYSTEM.now().0;
    let found = prometheus.stored(&selector, now + 5_000).await;
    found.into_iter().flat_map(|(_, points)| points).map(|(at, _)| at).collect()
}

async fn committed(program: &Program, more: f64) {
    let page = format!("{}/metrics", program.page().await);
    let newest = async || {
        let text = get(&page).await;
        let name = "prometheus_remote_storage_highest_timestamp_in_seconds";
        Some(on_page(&text, name)).filter(|at| *at > 0.0)
    };
    let begin = eventually("a committed cycle", LIMIT, newest).await;
    eventually("more cycles", LIMIT, async || (newest().await? >= begin + more).then_some(())).await;
}

#[tokio::test]
async fn a_reload_while_a_backlog_waits_keeps_old_labels_for_old_samples_also_over_a_kill() {
    let api = api(&["north", "south"]).await;
    let mut prometheus = Prometheus::receiver(Suite::New).await;
    let other = receiver::Server::start(receiver::Options::default()).await.expect("a free port");
    let folder = tempfile::tempdir().expect("a folder");
    let (it, other_url) = (prometheus.write_url(), other.write_url());
    write(folder.path(), &two(&it, &other_url, "harbour", "one"));
    let mut program = start(&api, folder.path());
    eventually("the first samples", LIMIT, async || {
        (!times(&prometheus, "one").await.is_empty()).then_some(())
    })
    .await;

    // Nobody takes anything any more, and the rules change twice, once by a reload and once over a kill.
    prometheus.stop().await;
    committed(&program, 2.0).await;
    write(folder.path(), &two(&it, &other_url, "harbour", "two"));
    program.signal("HUP");
    program.logged("configuration reloaded").await;
    committed(&program, 2.0).await;
    program.kill();
    write(folder.path(), &two(&it, &other_url, "harbour", "three"));
    let program = start(&api, folder.path());
    committed(&program, 1.0).await;
    prometheus.restart().await;
    eventually("samples under the last labels", LIMIT, async || {
        (times(&prometheus, "three").await.len() >= 2).then_some(())
    })
    .await;
    let mut program = program;
    program.signal("TERM");
    assert_eq!(program.code().await, 0, "{}", program.stderr());

    let [one, two, three] =
        [times(&prometheus, "one").await, times(&prometheus, "two").await, times(&prometheus, "three").await];
    assert!(one.len() >= 2 && two.len() >= 2, "{one:?} {two:?} {three:?}");
    assert!(one.last() < two.first() && two.last() < three.first(), "{one:?} {two:?} {three:?}");
    // All of them, and none that was not.
    let heard: Vec<i64> = other
        .samples()
        .iter()
        .filter(|(labels, _)| labels["__name__"] == "balena_devices" && labels["fleet_name"] == "north")
        .inspect(|(labels, samples)| {
            assert_eq!(labels["site"], "harbour");
            assert!(samples.iter().all(|sample| !sample.is_stale_marker()), "its labels never changed");
        })
        .flat_map(|(_, samples)| samples.iter().map(|sample| sample.timestamp))
        .collect();
    // What was on its way at the end is left out.
    let all: BTreeSet<i64> = one.iter().chain(&two).chain(&three).copied().collect();
    let end = all.last().copied().min(heard.iter().max().copied());
    let until = |at: &&i64| Some(**at) <= end;
    let [all, heard] = [all.iter().filter(until).collect::<Vec<_>>(), heard.iter().filter(until).collect()];
    assert_eq!(all, heard, "nothing is lost, nothing comes twice or out of order");

    // Each generation ended with the next: without its end a sample would stand for five minutes.
    for (generation, last, next) in [("one", one.last(), two.first()), ("two", two.last(), three.first())] {
        let (last, next) = (*last.unwrap(), *next.unwrap());
        let query = format!(r#"balena_devices{{generation="{generation}"}}"#);
        assert_eq!(prometheus.query_at(&query, last).await.len(), 2);
        assert_eq!(prometheus.query_at(&query, next).await, [], "{generation} has not ended");
    }
    // What is the same under all of them goes on.
    let selector = r#"balena_devices_online{fleet_name="north"}[1h]"#;
    let [(_, points)] = &prometheus.stored(selector, three.last().unwrap() + 1).await[..] else {
        panic!("one series")
    };
    assert_eq!(points.len(), one.len() + two.len() + three.len());
}

#[tokio::test]
async fn changed_external_labels_end_the_series_under_the_old_ones() {
    let api = api(&["north", "south"]).await;
    let prometheus = Prometheus::receiver(Suite::New).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = |site: &str| {
        let url = prometheus.write_url();
        format!(
            "interval: 1s\nexternal_labels: {{site: {site}}}\nremote_write: [{{name: it, url: '{url}'}}]\n"
        )
    };
    write(folder.path(), &file("old"));
    let program = start(&api, folder.path());
    let count = async |site: &str| {
        let found = prometheus.query(&format!(r#"count({{site="{site}"}})"#)).await;
        found.first().map(|(_, count)| *count)
    };
    eventually("series of the old site", LIMIT, async || count("old").await).await;
    write(folder.path(), &file("new"));
    program.signal("HUP");
    eventually("series of the new site", LIMIT, async || count("new").await).await;
    eventually("none of the old one", Duration::from_secs(10), async || {
        count("old").await.is_none().then_some(())
    })
    .await;
}
