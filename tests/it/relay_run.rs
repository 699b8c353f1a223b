//! The real binary relays: a site of ours is scraped, and receivers of ours get what it says. What a target that
//! is slow, gone or moved does to itself and to others, across reloads, restarts and kills.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use fleetpush::demo::receiver::{Delivered, Options, Sample, Series, Server};
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{LIMIT, Program, get};
use crate::relay_scrape::site::{Answer, Site};
use crate::servers::eventually;

mod once;
mod times;

/// A site, a receiver of both kinds and a folder for file and queue.
struct World {
    site: Site,
    receiver: Server,
    folder: TempDir,
}

impl World {
    async fn new() -> Self {
        World {
            site: Site::start(),
            receiver: Server::start(Options::default()).await.unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Writes the file: these jobs each second, remote write and a gateway.
    fn config(&self, jobs: &Value) -> String {
        let base = self.receiver.base_url();
        let config = json!({
            "interval": "1s",
            "remote_write": [{
                "url": self.receiver.write_url(),
                "queue_config": {"min_backoff": "50ms", "max_backoff": "200ms"},
            }],
            "pushgateways": [{"name": "gate", "url": base}],
            "queue": {"dir": self.folder.path().join("queue")},
            "web": {"listen_address": "127.0.0.1:0"},
            "scrape_configs": jobs,
        });
        self.write("config.yml", &config.to_string())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        // A reader sees the old file or the new one.
        let new = path.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &path).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Targets by the paths of their pages, which stand in the label `page`.
    fn job(&self, name: &str, pages: &[&str]) -> Value {
        let group = |page: &&str| json!({"targets": [self.site.address()], "labels": {"page": page}});
        json!({
            "job_name": name,
            "relabel_configs": [
                {"source_labels": ["page"], "target_label": "__metrics_path__", "replacement": "/$1"},
                {"source_labels": ["page"], "target_label": "instance"},
            ],
            "static_configs": pages.iter().map(group).collect::<Vec<_>>(),
        })
    }

    fn start(&self, config: &str) -> Program {
        Program::start(&["--config.file", config], &[])
    }

    /// The samples of a series of a target.
    fn samples(&self, name: &str, instance: &str) -> Vec<Sample> {
        let is_it = |labels: &BTreeMap<String, String>| {
            let has = |label: &str, value: &str| labels.get(label).is_some_and(|known| known == value);
            has("__name__", name) && has("instance", instance)
        };
        let all = self.receiver.samples();
        all.into_iter().filter(|(labels, _)| is_it(labels)).flat_map(|(_, samples)| samples).collect()
    }

    async fn arrives(&self, name: &str, instance: &str, wanted: impl Fn(&[Sample]) -> bool) {
        eventually(&format!("{name} of {instance}"), LIMIT, async || {
            wanted(&self.samples(name, instance)).then_some(())
        })
        .await;
    }

    /// Deliveries with series of these targets.
    fn deliveries(&self, name: &str) -> Vec<Arc<Delivered>> {
        let all = self.receiver.deliveries().into_iter();
        all.filter(|one| one.series.iter().any(|series| series.name() == name)).collect()
    }

    fn has_group(&self, instance: &str) -> bool {
        self.receiver.groups().keys().any(|key| key.get("instance").is_some_and(|known| known == instance))
    }
}

fn in_order(samples: &[Sample]) -> bool {
    samples.is_sorted_by(|one, other| one.timestamp < other.timestamp)
}

fn ended(samples: &[Sample]) -> bool {
    samples.last().is_some_and(Sample::is_stale_marker)
}

fn alive(samples: &[Sample]) -> bool {
    samples.last().is_some_and(|last| !last.is_stale_marker())
}

#[tokio::test]
async fn targets_of_a_tick_share_a_request_and_a_slow_one_holds_up_nobody() {
    let world = World::new().await;
    let pages: Vec<String> = (0..20).map(|number| format!("p{number}")).collect();
    for page in &pages {
        world.site.set(&format!("/{page}"), Answer::text("quick 1\n"));
    }
    world.site.set("/slow", Answer::silent());
    let mut names: Vec<&str> = pages.iter().map(String::as_str).collect();
    names.push("slow");
    let program = world.start(&world.config(&json!([world.job("site", &names)])));
    world.arrives("quick", "p0", |samples| samples.len() >= 5).await;
    world.arrives("up", "slow", |samples| samples.len() >= 2).await;
    // With a silent target for the whole interval each tick the others are there at nearly every one.
    let quick = world.samples("quick", "p0");
    assert!(in_order(&quick) && in_order(&world.samples("up", "slow")), "{quick:?}");
    let slow = world.samples("up", "slow");
    assert!(slow.iter().all(|sample| sample.value() == 0.0), "{slow:?}");
    assert!(quick.len() > slow.len(), "{} of the others, {} of the slow one", quick.len(), slow.len());
    for delivered in world.deliveries("quick") {
        let count = delivered.series.iter().filter(|series| series.name() == "quick").count();
        assert_eq!(count, 20, "each tick is one request");
    }
    for delivered in world.receiver.deliveries() {
        let ours = |series: &&Series| series.name().starts_with("fleetpush_");
        let (ours, all) = (delivered.series.iter().filter(ours).count(), &delivered.series);
        let relayed = all.iter().filter(|series| ["quick", "up"].contains(&series.name())).count();
        assert!(ours == 0 || relayed == 0, "our own series share a request with relayed ones");
    }
    let page = get(&format!("{}/metrics", program.page().await)).await;
    assert!(page.contains("fleetpush_scrapes_total{") && !page.contains("quick"), "{page}");
    assert_eq!(get(&format!("{}/-/ready", program.page().await)).await.trim(), "fleetpush is ready");
}

#[tokio::test]
async fn an_account_and_targets_share_no_request_and_the_page_is_the_accounts() {
    let (world, api) = (World::new().await, crate::webtls::api().await);
    world.site.set("/p", Answer::text("quick 1\n"));
    let config = world.config(&json!([world.job("site", &["p"])]));
    let program = Program::command(&["--config.file", &config], &api, &[]);
    world.arrives("quick", "p", |samples| samples.len() >= 3).await;
    let has = |delivered: &Delivered, name: &str| delivered.series.iter().any(|series| series.name() == name);
    eventually("the fleets' counts", LIMIT, async || {
        let all = world.receiver.deliveries();
        (all.iter().filter(|one| has(one, "balena_devices_online")).count() >= 3).then_some(())
    })
    .await;
    for delivered in world.receiver.deliveries() {
        assert!(!(has(&delivered, "quick") && has(&delivered, "balena_devices_online")), "{delivered:?}");
    }
    let page = get(&format!("{}/metrics", program.page().await)).await;
    assert!(page.contains("balena_devices_online{") && !page.contains("quick"), "{page}");
}

#[tokio::test]
async fn what_goes_away_gets_its_stale_marker_and_its_group_is_deleted() {
    let world = World::new().await;
    for page in ["a", "b"] {
        world.site.set(&format!("/{page}"), Answer::text("here 1\nmore 2\n"));
    }
    let file = |pages: &[&str]| {
        let group = |page: &&str| json!({"targets": [world.site.address()], "labels": {"page": page}});
        let groups: Vec<_> = pages.iter().map(group).collect();
        world.write("targets.json", &json!(groups).to_string())
    };
    let path = file(&["a", "b"]);
    let mut job = world.job("site", &[]);
    job["file_sd_configs"] = json!([{"files": [path]}]);
    let program = world.start(&world.config(&json!([job])));
    for page in ["a", "b"] {
        world.arrives("here", page, |samples| samples.len() >= 2).await;
    }
    eventually("both groups", LIMIT, async || (world.has_group("a") && world.has_group("b")).then_some(()))
        .await;
    // A series goes.
    world.site.set("/a", Answer::text("here 1\n"));
    world.arrives("more", "a", ended).await;
    // The page goes: what it said ends, `up` goes on.
    world.site.set("/a", Answer::text("gone").with_status(404));
    world.arrives("here", "a", ended).await;
    world.arrives("up", "a", |samples| samples.last().is_some_and(|last| last.value() == 0.0)).await;
    // The target goes.
    file(&["b"]);
    world.arrives("up", "a", ended).await;
    eventually("its group is gone", LIMIT, async || (!world.has_group("a")).then_some(())).await;
    assert!(alive(&world.samples("here", "b")) && alive(&world.samples("up", "b")));
    assert!(world.has_group("b"));
    for name in ["here", "more", "up"] {
        let markers = world.samples(name, "a").iter().filter(|sample| sample.is_stale_marker()).count();
        assert_eq!(markers, 1, "{name} ends once");
        assert!(in_order(&world.samples(name, "a")));
    }
    drop(program);
}

#[rstest]
#[case::to_nothing(json!([]))]
#[case::to_another_interval(Value::Null)]
#[tokio::test]
async fn a_reload_ends_what_is_asked_for_no_longer(#[case] new: Value) {
    let world = World::new().await;
    for page in ["a", "b"] {
        world.site.set(&format!("/{page}"), Answer::text("here 1\n"));
    }
    let keeps = world.job("keeps", &["b"]);
    let config = world.config(&json!([world.job("goes", &["a"]), keeps]));
    let program = world.start(&config);
    for page in ["a", "b"] {
        world.arrives("here", page, |samples| samples.len() >= 2).await;
    }
    let moved = new.is_null();
    let mut jobs = vec![keeps];
    if moved {
        let mut slower = world.job("goes", &["a"]);
        slower["scrape_interval"] = json!("2s");
        jobs.push(slower);
    }
    world.config(&json!(jobs));
    program.signal("HUP");
    if moved {
        let before = world.samples("here", "a").len();
        world.arrives("here", "a", |samples| samples.len() >= before + 3 && alive(samples)).await;
        assert!(world.has_group("a"));
    } else {
        world.arrives("here", "a", ended).await;
        world.arrives("up", "a", ended).await;
        eventually("its group is gone", LIMIT, async || (!world.has_group("a")).then_some(())).await;
    }
    assert!(alive(&world.samples("here", "b")));
    assert!(in_order(&world.samples("here", "a")) && in_order(&world.samples("here", "b")));
    let log = program.stderr();
    assert!(!log.contains("refused or dropped"), "{log}");
}

#[rstest]
#[case::stopped("TERM")]
#[case::killed("KILL")]
#[tokio::test]
async fn what_went_while_nobody_looked_ends_after_the_restart(#[case] signal: &str) {
    let world = World::new().await;
    for page in ["a", "b"] {
        world.site.set(&format!("/{page}"), Answer::text("here 1\nmore 2\n"));
    }
    let config = world.config(&json!([world.job("site", &["a", "b"])]));
    let mut program = world.start(&config);
    for page in ["a", "b"] {
        world.arrives("more", page, |samples| samples.len() >= 2).await;
    }
    program.signal(signal);
    program.ended().await;
    world.site.set("/a", Answer::text("here 1\n"));
    let config = world.config(&json!([world.job("site", &["a"])]));
    let program = world.start(&config);
    world.arrives("more", "a", ended).await;
    world.arrives("here", "b", ended).await;
    world.arrives("up", "b", ended).await;
    let before = world.samples("here", "a").len();
    world.arrives("here", "a", |samples| samples.len() >= before + 2 && alive(samples)).await;
    let here = world.samples("here", "a");
    assert!(in_order(&here) && !here.iter().any(Sample::is_stale_marker), "it never went: {here:?}");
    let log = program.stderr();
    assert!(!log.contains("refused or dropped"), "{log}");
}

#[tokio::test]
async fn a_backlog_of_relayed_samples_arrives_whole_and_in_order() {
    let world = World::new().await;
    world.site.set("/a", Answer::text("here 1\n"));
    let config = world.config(&json!([world.job("site", &["a"])]));
    world.receiver.set_outage(true);
    let committed = |program: &Program| program.stderr().matches("message=committed source=relay/").count();
    let debug = [("FLEETPUSH_LOG_LEVEL", "debug")];
    let mut program = Program::start(&["--config.file", &config], &debug);
    eventually("a backlog", LIMIT, async || (committed(&program) >= 3).then_some(())).await;
    program.kill();
    let first = committed(&program);
    let program = Program::start(&["--config.file", &config], &debug);
    eventually("more of it", LIMIT, async || (committed(&program) >= 2).then_some(())).await;
    world.receiver.set_outage(false);
    world.arrives("here", "a", |samples| samples.len() >= first + 2).await;
    assert!(in_order(&world.samples("here", "a")));
    assert!(world.samples("here", "a").len() >= first + committed(&program) - 1);
}
