//! The section about relayed targets.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use fleetpush::clock::Clock;
use fleetpush::demo::balena::{Device, Fleet, Simulation};
use fleetpush::page::{Latest, PageState, serve};
use fleetpush::sample::{Millis, Source};
use fleetpush::telemetry::{Scraped, Telemetry};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Site, html, json_of, texts, until};
use crate::program::{Program, get};
use crate::relay_scrape::site::{Answer, Site as Pages};

const NOW: Millis = Millis(1_768_443_450_000);

/// A page with targets that were scraped as is given.
pub struct Scene {
    pub url: String,
    pub telemetry: Telemetry,
    stop: CancellationToken,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Scene {
    pub async fn start() -> Self {
        let (telemetry, stop) = (Telemetry::new(), CancellationToken::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = PageState {
            latest: watch::channel(Latest::default()).1,
            telemetry: telemetry.clone(),
            clock: Clock::manual(NOW),
            telemetry_path: "/metrics".into(),
            lifecycle: None,
        };
        tokio::spawn(serve(listener, state, stop.clone()));
        telemetry.group_registered(Duration::from_secs(10));
        Scene { url, telemetry, stop }
    }

    /// Scrapes of a target, so many seconds ago, with a failure or a number of samples.
    pub fn target(&self, job: &str, instance: &str, scrapes: &[(i64, Result<usize, &'static str>)]) {
        self.telemetry.target_found(&source(job, instance));
        for (before, outcome) in scrapes {
            let error = outcome.err();
            self.telemetry.scraped(&Scraped {
                job,
                instance,
                result: if error.is_some() { "network" } else { "ok" },
                error: error.as_ref().map(|error| error as _),
                at: Millis(NOW.0 - before * 1_000),
                format: outcome.is_ok().then_some("text"),
                took: Duration::from_millis(12),
                samples: outcome.unwrap_or(0),
                repeated: 0,
                first_repeated: None,
            });
        }
    }

    pub fn asked(&self) {
        self.telemetry.group_asked(Duration::from_secs(10));
    }

    /// Three hundred targets of three jobs, of which these many are down, and one that is not scraped.
    pub async fn of_many(down: usize) -> Self {
        let scene = Scene::start().await;
        for number in 0..300 {
            let job = ["cadvisor", "node", "windows"][number % 3];
            let outcome = if number < down {
                Err("no connection: refused; check the port in the URL")
            } else {
                Ok(1_200)
            };
            scene.target(
                job,
                &format!("device-{number:03}.site.example.org:9100"),
                &[(65, Ok(1_200)), (5, outcome)],
            );
        }
        scene.telemetry.target_refused("node", "a/b", &"\"a/b\" is no address: it holds a /");
        scene.asked();
        scene
    }
}

fn source(job: &str, instance: &str) -> Source {
    Source::Target { job: job.into(), instance: instance.into() }
}

#[tokio::test]
async fn a_target_is_told_with_how_it_is_since_when_and_why() {
    let scene = Scene::start().await;
    scene.target("node", "new:9100", &[]);
    let first = json_of(&scene.url, "").await;
    assert_eq!(
        (&first["state"], &first["headline"]),
        (&json!("starting"), &json!("the first scrape is waited for"))
    );
    assert_eq!(first["relay"]["summary"], "1 target, 1 is still to be scraped first");
    scene.target("node", "good:9100", &[(15, Ok(7)), (5, Ok(142))]);
    scene.target(
        "app",
        "<b>bad</b>:9100",
        &[(135, Ok(8)), (125, Err("it is away; look at it")), (5, Err("again; look"))],
    );
    scene.target("app", "never:9100", &[(5, Err("it never was; start it"))]);
    scene.asked();
    let status = json_of(&scene.url, "").await;
    assert_eq!(
        (&status["state"], &status["headline"]),
        (&json!("trouble"), &json!("2 of 4 targets are down"))
    );
    let relay = &status["relay"];
    assert_eq!(relay["summary"], "4 targets, 2 are down, 1 is still to be scraped first");
    let states = relay["targets"].as_array().unwrap().iter().map(|one| (&one["instance"], &one["state"]));
    let states: Vec<String> =
        states.map(|(one, state)| format!("{} {}", one.as_str().unwrap(), state.as_str().unwrap())).collect();
    assert_eq!(states, ["<b>bad</b>:9100 down", "never:9100 down", "new:9100 starting", "good:9100 up"]);
    let words = |number: usize| texts(&relay["targets"][number]["words"]);
    assert_eq!(
        words(0),
        ["down for 2 min 5 s: again; look", "8 samples on its last page, 2 min 15 s ago; meanwhile up is 0"]
    );
    assert_eq!(words(1)[1], "never up since the start; meanwhile up is 0");
    assert_eq!(words(3), ["142 samples, scraped 5 s ago, which took 12 ms"]);
    assert_eq!(relay["jobs"][0]["job"], "app");
    let text = html(&scene.url).await;
    for part in [
        "<bdi>&lt;b&gt;bad&lt;/b&gt;:9100</bdi> <bdi class=\"note\">app</bdi> <b>Down</b>",
        "<dt>Targets up</dt><dd>1 <small>of 4</small></dd>",
        "data-refresh=\"10\"",
        "href=\"#relay\">Skip to the targets",
        "<section hidden aria-labelledby=\"h-fleets\">",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("<b>bad</b>") && !text.contains("id=\"collecting\""), "{text}");
    // What has ended is told no more.
    scene.telemetry.target_ended(&source("app", "never:9100"));
    let stay = BTreeSet::from([source("node", "good:9100")]);
    assert_eq!(json_of(&scene.url, "").await["relay"]["targets"].as_array().unwrap().len(), 3);
    scene.telemetry.targets_are(&stay, &BTreeSet::from([Duration::from_secs(10)]));
    let status = json_of(&scene.url, "").await;
    assert_eq!(
        (&status["headline"], &status["relay"]["summary"]),
        (&json!("relaying works"), &json!("1 target, which is up"))
    );
    scene.telemetry.targets_are(&BTreeSet::new(), &BTreeSet::new());
    assert_eq!(json_of(&scene.url, "").await["relay"], Value::Null);
}

#[tokio::test]
async fn of_hundreds_of_targets_those_that_are_down_come_first_and_the_page_stays_small() {
    let well = Scene::of_many(0).await;
    let text = html(&well.url).await;
    assert!(text.contains("<bdi>node</bdi> <span class=\"note\">job</span> <b>Up</b>"), "{text}");
    assert!(
        text.contains("100 of 100 targets up, 120\u{202f}000 samples") && !text.contains("device-0"),
        "{text}"
    );
    assert!(text.contains("target node/a/b") && text.contains("is no address"), "{text}");
    let ill = Scene::of_many(100).await;
    let (text, all) = (html(&ill.url).await, json_of(&ill.url, "").await);
    assert_eq!(text.matches("<b>Down</b>").count(), 20, "{text}");
    assert!(text.contains("and 80 more that are down, in JSON"), "{text}");
    assert!(text.contains("<b>In part</b>"), "{text}");
    assert!(text.len() < 40_000, "{} bytes", text.len());
    assert_eq!(all["relay"]["targets"].as_array().unwrap().len(), 300);
    assert_eq!(all["headline"], "100 of 300 targets are down; target node/a/b is not scraped");
}

#[tokio::test]
async fn a_file_with_targets_is_told_until_it_can_be_read_or_is_gone() {
    let scene = Scene::start().await;
    let (one, other) = (PathBuf::from("/a.yml"), PathBuf::from("/b.yml"));
    for path in [&one, &other] {
        scene.telemetry.targets_unreadable(path, &"no list");
    }
    let what = async || {
        let status = json_of(&scene.url, "").await;
        let all = status["relay"]["not_scraped"].as_array().unwrap().clone();
        all.iter().map(|one| one["what"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(what().await, ["file /a.yml", "file /b.yml"]);
    scene.telemetry.targets_read(&one);
    assert_eq!(what().await, ["file /b.yml"]);
    scene.telemetry.target_files_are(&BTreeSet::from([one]));
    assert_eq!(what().await, Vec::<String>::new());
}

#[tokio::test]
async fn who_only_relays_sees_its_targets_and_neither_metrics_nor_fleets_have_them() {
    let pages = Pages::start();
    pages.set("/metrics", Answer::text("relayed_load 1\n"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleetpush.yml");
    let settings = |targets: &[String]| {
        let settings = json!({
            "scrape_configs": [{
                "job_name": "node", "scrape_interval": "1s", "scrape_timeout": "1s",
                "static_configs": [{"targets": targets}],
            }],
            "web": {"listen_address": "127.0.0.1:0", "enable_lifecycle": true},
        });
        std::fs::write(&path, settings.to_string()).unwrap();
    };
    settings(&[pages.address(), "127.0.0.1:1".to_owned()]);
    let program = Program::start(&["--config.file", path.to_str().unwrap()], &[]);
    let page = program.page().await;
    let so = |status: &Value| status["relay"]["up"] == 1 && status["relay"]["down"] == 1;
    let status = until(&page, "a target that is up and one that is down", so).await;
    assert_eq!(
        (&status["headline"], &status["totals"]["fleets"]),
        (&json!("1 of 2 targets is down"), &json!(0))
    );
    let since = status["relay"]["targets"][0]["down_since"].clone();
    assert!(texts(&status["relay"]["targets"][0]["words"])[0].contains("check the port"), "{status}");
    let metrics = get(&format!("{page}/metrics")).await;
    assert!(!metrics.contains("relayed_load") && !metrics.contains("\nup"), "{metrics}");
    // A reload keeps since when, and forgets whom it does not name.
    settings(&["127.0.0.1:1".to_owned()]);
    program.signal("HUP");
    let status = until(&page, "one target", |status| {
        status["relay"]["up"] == 0 && status["relay"]["targets"].as_array().is_some_and(|all| all.len() == 1)
    })
    .await;
    assert_eq!(status["relay"]["targets"][0]["down_since"], since);
    let again = |status: &Value| status["headline"] == "the target is down";
    let status = until(&page, "another scrape", again).await;
    assert_eq!(status["relay"]["targets"][0]["down_since"], since);
    std::fs::write(
        &path,
        json!({"scrape_configs": [], "balena": {"token": "x", "url": "http://127.0.0.1:1"}}).to_string(),
    )
    .unwrap();
    program.signal("HUP");
    until(&page, "no word of targets", |status| status["relay"].is_null()).await;
}

#[tokio::test]
async fn where_nothing_is_relayed_nothing_is_said_of_it() {
    let simulation = Simulation::new().with(Fleet::new("acme", "lobby").devices(3, &Device::operational()));
    let site = Site::new(&simulation).await;
    let program = site.start(&[], json!({}));
    let page = program.page().await;
    let status = until(&page, "a count", |status| status["state"] == "ok").await;
    assert_eq!(status["relay"], Value::Null);
    let text = html(&page).await;
    assert!(
        !text.contains("Relayed") && !text.contains("Targets up") && !text.contains("id=\"relay\""),
        "{text}"
    );
}
