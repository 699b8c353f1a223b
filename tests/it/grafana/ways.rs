//! A real Prometheus 3 that a run of the program fills in each of the three ways, with everything going on that
//! panels and alerts are about; and each query of dashboards and rules, asked of it. Whatever comes back must carry
//! the labels of the fleets, endpoints or program that are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use fleetpush::demo::balena::{self, Device, Fleet, Simulation};
use fleetpush::demo::receiver;
use fleetpush::demo::receiver::{Fault, Times};
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::board::{Chosen, board};
use crate::program::{LIMIT, Program, TOKEN, get};
use crate::rules::{ALERTS, RECORDING, rules, said, text};
use crate::servers::{Labels, Prometheus, Pushgateway, Suite, eventually, scrapes};

/// How the metrics come into Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Scrape,
    Pushgateway,
    RemoteWrite,
}

/// Their names are hard on whoever writes a regular expression.
const FLEETS: [&str; 4] = ["lobby", "attic", "a.b (c)+[d]", "moved"];
/// Endpoints, each of which fails in a way of its own.
const ENDPOINTS: [&str; 5] = ["conflict", "parked", "busy", "short", "replica"];

/// A running program, all that it speaks to, and what it is called.
pub struct Site {
    pub simulation: Simulation,
    pub api: balena::Server,
    pub program: Program,
    receivers: Vec<receiver::Server>,
    folder: TempDir,
}

impl Site {
    /// Starts the program with the endpoints that fail and these sinks.
    pub async fn start(endpoint: Option<&str>, gateway: Option<&str>) -> Self {
        let simulation = Simulation::new();
        for (number, name) in FLEETS.iter().enumerate() {
            let fleet = Fleet::new("acme", name).devices(4, &Device::operational());
            simulation.add(fleet.devices(number + 2, &Device::disconnected()));
        }
        let api = balena::Server::start(simulation.clone(), balena::Options::default()).await.unwrap();
        let faults = [
            Fault::status_with(409, "a duplicate"),
            Fault::status_with(401, "who are you"),
            Fault::status(503),
            Fault::status(204).header("X-Prometheus-Remote-Write-Samples-Written", "1"),
            Fault::status(202),
        ];
        let (mut receivers, mut endpoints) = (Vec::new(), Vec::new());
        let quick = json!({"min_backoff": "10ms", "max_backoff": "100ms"});
        for (name, fault) in ENDPOINTS.iter().zip(faults) {
            let receiver = receiver::Server::start(receiver::Options::default()).await.unwrap();
            receiver.inject(fault, Times::Always);
            endpoints.push(json!({"name": name, "url": receiver.write_url(), "queue_config": quick}));
            receivers.push(receiver);
        }
        endpoints.extend(endpoint.map(|url| json!({"name": "main", "url": url, "queue_config": quick})));
        let gateways: Vec<Value> = gateway.iter().map(|url| json!({"name": "gate", "url": url})).collect();
        let settings = json!({
            "interval": "300ms",
            "instance": "test",
            "balena": {"token": TOKEN, "url": api.base_url()},
            "remote_write": endpoints,
            "pushgateways": gateways,
            "queue": {"dir": "memory"},
            "web": {"listen_address": "127.0.0.1:0"},
        });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fleetpush.yml");
        fs::write(&file, settings.to_string()).unwrap();
        let program = Program::start(&["--config.file", file.to_str().unwrap()], &[]);
        program.logged("message=collected").await;
        // One tick is missed, and one token refused.
        api.inject(Fault::Hang(Duration::from_millis(900)), Times::Next(1));
        api.inject(Fault::status(401), Times::Next(1));
        program.logged("result=unauthorized").await;
        Site { simulation, api, program, receivers, folder }
    }

    /// Lets the attic go dark.
    pub fn darken(&self) {
        let fleets = self.simulation.fleets();
        let attic = fleets.iter().find(|fleet| fleet.app_name == "attic").unwrap();
        assert!(self.simulation.set_devices(attic.id, vec![Device::disconnected(); 5]));
    }

    /// Everything chosen, as a dashboard opens.
    pub fn chosen() -> Chosen {
        Chosen { job: vec!["balena".into()], fleet: None, instance: None }
    }
}

/// Whose labels a series carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Fleet,
    Endpoint,
    Program,
    /// No more than the job is left.
    Job,
}

/// Whose labels these are; none: nobody's who is there.
pub fn whose(labels: &Labels, instance: &str) -> Option<Whose> {
    let is =
        |label: &str, known: &[&str]| labels.get(label).is_some_and(|value| known.contains(&value.as_str()));
    let slugs = FLEETS.map(|name| format!("acme/{name}"));
    let ours = labels.get("job").is_none_or(|job| job == "balena")
        && labels.get("instance").is_none_or(|it| it == instance);
    let sinks = [&ENDPOINTS[..], &["main", "gate"]].concat();
    if !ours {
        None
    } else if is("fleet_name", &FLEETS) || is("fleet", &slugs.each_ref().map(String::as_str)) {
        Some(Whose::Fleet)
    } else if is("sink", &sinks) || is("remote_name", &sinks) {
        Some(Whose::Endpoint)
    } else if labels.contains_key("instance") && labels.contains_key("job") {
        Some(Whose::Program)
    } else {
        labels.contains_key("job").then_some(Whose::Job)
    }
}

/// Whose labels the queries of a panel must carry.
fn expected(dashboard: &str, row: &str, title: &str) -> Whose {
    match (dashboard, row, title) {
        ("fleets", "", "Age of the counts") | ("fleets", "Collecting", _) => Whose::Program,
        ("fleets", "" | "Status and heartbeat", _) => Whose::Fleet,
        ("fleets", "Delivery by remote write", _) => Whose::Endpoint,
        ("sender", "", "Programs" | "Queues on the disk" | "Room left") => Whose::Program,
        ("sender", "" | "Remote write", _) => Whose::Endpoint,
        ("sender", "Queue" | "Collecting and the program", _) => Whose::Program,
        other => panic!("whose is {other:?}?"),
    }
}

struct World {
    site: Site,
    prometheus: Prometheus,
    instance: String,
    _gateway: Option<Pushgateway>,
}

/// The rules as they are, but asked every second.
fn quick_rules(folder: &Path) -> Vec<String> {
    let copy = |path: &str| {
        let original = text(path);
        let quick = original.replace("    interval: 1m\n", "    interval: 1s\n");
        assert_ne!(quick, original, "{path}");
        let file = folder.join(Path::new(path).file_name().unwrap());
        fs::write(&file, quick).unwrap();
        file.to_str().unwrap().to_owned()
    };
    [RECORDING, ALERTS].map(copy).into()
}

async fn world(way: Way, folder: &Path) -> World {
    let rules = quick_rules(folder);
    let config = |scrapes: Vec<Value>| json!({"rule_files": rules, "scrape_configs": scrapes}).to_string();
    match way {
        Way::Scrape => {
            let site = Site::start(None, None).await;
            let page = format!("{}/metrics", site.program.page().await);
            let scrapes = scrapes(&[("balena", &page)], &json!({}));
            let prometheus = Prometheus::start(Suite::New, &config(scrapes)).await;
            let instance = page.trim_start_matches("http://").trim_end_matches("/metrics").to_owned();
            World { site, prometheus, instance, _gateway: None }
        }
        Way::Pushgateway => {
            let gateway = Pushgateway::start(Suite::New, &[]).await;
            let site = Site::start(None, Some(gateway.url())).await;
            let page = format!("{}/metrics", gateway.url());
            let scrapes = scrapes(&[("gateway", &page)], &json!({"honor_labels": true}));
            let prometheus = Prometheus::start(Suite::New, &config(scrapes)).await;
            World { site, prometheus, instance: "test".into(), _gateway: Some(gateway) }
        }
        Way::RemoteWrite => {
            let prometheus = Prometheus::start(Suite::New, &config(Vec::new())).await;
            let site = Site::start(Some(&prometheus.write_url()), None).await;
            World { site, prometheus, instance: "test".into(), _gateway: None }
        }
    }
}

impl World {
    async fn now(&self) -> i64 {
        (self.prometheus.query("time() * 1000").await[0].1) as i64
    }

    /// Asks until something comes back, all of which must be of the kind.
    async fn finds(&self, what: &str, expr: &str, whose: Whose, range: bool) -> Vec<Labels> {
        let started = Instant::now();
        loop {
            let now = self.now().await;
            let found: Vec<Labels> = if range {
                let found = self.prometheus.query_range(expr, now - 20_000, now, 1_000).await;
                found.into_iter().map(|(labels, _)| labels).collect()
            } else {
                self.prometheus.query(expr).await.into_iter().map(|(labels, _)| labels).collect()
            };
            self.are_of(what, expr, &found, whose);
            if !found.is_empty() {
                return found;
            }
            assert!(started.elapsed() < LIMIT, "{what}: nothing for {expr}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn are_of(&self, what: &str, expr: &str, found: &[Labels], whose: Whose) {
        for labels in found {
            assert_eq!(self::whose(labels, &self.instance), Some(whose), "{what}: {labels:?} by {expr}");
        }
    }

    /// Lets a fleet go dark once it was seen online for longer than a step of the dashboards' queries.
    async fn goes_dark(&self) {
        eventually("two seconds of the attic online", LIMIT, async || {
            let now = self.now().await;
            let found = self.prometheus.stored("balena_devices_online{fleet_name=\"attic\"}[1m]", now).await;
            let (_, points) = found.first()?;
            (points.last()?.0 > points.first()?.0 + 2_000).then_some(())
        })
        .await;
        self.site.darken();
        let dark = r#"balena_devices_online{fleet_name="attic"} == 0"#;
        eventually("it is dark", LIMIT, async || {
            (!self.prometheus.query(dark).await.is_empty()).then_some(())
        })
        .await;
    }

    async fn dashboards(&self) {
        let every = Site::chosen();
        let some = Chosen {
            fleet: Some(vec!["a.b (c)+[d]".into(), "attic".into()]),
            instance: Some(vec![self.instance.clone()]),
            ..every.clone()
        };
        for name in ["fleets", "sender"] {
            let board = board(name);
            for (selector, label) in board.label_queries() {
                eventually(&selector, LIMIT, async || {
                    let found = self.prometheus.series(&every.fill(&selector)).await;
                    found.iter().any(|labels| labels.contains_key(&label)).then_some(())
                })
                .await;
            }
            for panel in &board.panels {
                for query in &panel.queries {
                    let what = format!("{name}: {} {}", panel.title, query.reference);
                    let whose = expected(name, &panel.row, &panel.title);
                    let all = self.finds(&what, &every.fill(&query.expr), whose, query.range).await;
                    let fewer = self.finds(&what, &some.fill(&query.expr), whose, query.range).await;
                    let chosen = |labels: &Labels| {
                        ["fleet_name", "fleet"]
                            .iter()
                            .filter_map(|label| labels.get(*label))
                            .all(|name| ["attic", "a.b (c)+[d]"].contains(&name.trim_start_matches("acme/")))
                    };
                    assert!(fewer.iter().all(chosen) && fewer.len() <= all.len(), "{what}: {fewer:?}");
                }
            }
        }
    }

    async fn rules_are_loaded(&self) {
        let url = format!("{}/api/v1/rules", self.prometheus.url());
        let healthy = async || {
            let answer: Value = serde_json::from_str(&get(&url).await).unwrap();
            let groups = answer["data"]["groups"].as_array().unwrap();
            let all: Vec<&Value> =
                groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
            assert_eq!(all.len(), rules(ALERTS).len() + rules(RECORDING).len());
            for rule in &all {
                assert_ne!(rule["health"], "err", "{rule}");
            }
            all.iter().all(|rule| rule["health"] == "ok").then_some(())
        };
        eventually("every rule was evaluated", LIMIT, healthy).await;
        for rule in rules(RECORDING) {
            let name = said(&rule, "record");
            let whose = if name.starts_with("fleet:") { Whose::Fleet } else { Whose::Endpoint };
            self.finds(name, name, whose, false).await;
        }
    }

    /// Takes a fleet away; the time from which nothing of it is there, while all else goes on.
    async fn moved_away(&self) -> i64 {
        let fleets = self.site.simulation.fleets();
        let moved = fleets.iter().find(|fleet| fleet.app_name == "moved").unwrap();
        assert!(self.site.simulation.remove(moved.id));
        eventually("three cycles without it", LIMIT, async || {
            let now = self.now().await;
            let newest = async |fleet: &str| {
                let selector = format!("balena_devices{{fleet_name=\"{fleet}\"}}[5m]");
                let found = self.prometheus.stored(&selector, now).await;
                found.iter().flat_map(|(_, points)| points).map(|(at, _)| *at).max().unwrap()
            };
            let last = newest("moved").await;
            (newest("lobby").await > last + 1_000).then_some(last)
        })
        .await
    }

    /// Lets the API refuse the token; the time of the last collect that went well.
    async fn refused(&self) -> i64 {
        self.site.api.inject(Fault::status(401), Times::Always);
        eventually("three refusals", LIMIT, async || {
            let now = self.now().await;
            let up = self.prometheus.stored("balena_up[5m]", now).await;
            let (_, points) = &up[0];
            let last = points.iter().filter(|(_, value)| *value == 1.0).map(|(at, _)| *at).max().unwrap();
            (points.last().unwrap().0 > last + 1_000).then_some(last)
        })
        .await
    }

    async fn alerts(&self) {
        const QUARTER: i64 = 15 * 60_000;
        let alerts = rules(ALERTS);
        let mut asked = BTreeSet::new();
        let expr = |name: &str| {
            let alert =
                alerts.iter().find(|alert| alert["alert"] == name).unwrap_or_else(|| panic!("{name}"));
            said(alert, "expr").to_owned()
        };
        let mut changed = |name: &'static str, from: &str, to: &str| {
            asked.insert(name);
            let expr = expr(name);
            assert!(expr.contains(from), "{name}: {from}");
            expr.replace(from, to)
        };
        // What is true now, and, where it is not, the expression with its comparison turned round.
        let now = [
            (changed("BalenaFleetDark", "", ""), Whose::Fleet),
            (changed("BalenaFleetOfflineShareHigh", "", ""), Whose::Fleet),
            (changed("BalenaNoFleets", "unless on", "and on"), Whose::Job),
            (changed("FleetpushEndpointParked", "", ""), Whose::Endpoint),
            (changed("FleetpushDeliveryFailing", "", ""), Whose::Endpoint),
            (changed("FleetpushQueueGrowing", "> 900", ">= 0"), Whose::Endpoint),
            (changed("FleetpushSamplesDropped", "", ""), Whose::Endpoint),
            (changed("FleetpushQueueUnusable", "== 0", "== 1"), Whose::Program),
            (changed("FleetpushClockWrong", "> 300", ">= 0"), Whose::Program),
            (changed("FleetpushReloadFailed", "== 0", "== 1"), Whose::Program),
        ];
        for (expr, whose) in &now {
            self.finds("an alert", expr, *whose, false).await;
        }
        // What will be true: Prometheus can be asked about a time to come.
        let gone = changed("BalenaFleetDisappeared", "", "");
        let last = self.moved_away().await;
        let found = self.prometheus.query_at(&gone, last + QUARTER + 1).await;
        let names: Vec<&str> = found.iter().map(|(labels, _)| labels["fleet_name"].as_str()).collect();
        assert_eq!(names, ["moved"], "{gone}");
        assert_eq!(self.prometheus.query(&gone).await, [], "not before");

        let (stale, absent) = (changed("FleetpushDataStale", "", ""), changed("FleetpushAbsent", "", ""));
        let later = self.now().await + QUARTER + 60_000;
        assert_eq!(self.prometheus.query(&stale).await, []);
        assert_eq!(self.prometheus.query(&absent).await, []);
        let found: Vec<Labels> =
            self.prometheus.query_at(&stale, later).await.into_iter().map(|(labels, _)| labels).collect();
        assert_eq!(found.len(), 1);
        self.are_of("FleetpushDataStale", &stale, &found, Whose::Program);
        assert_eq!(self.prometheus.query_at(&absent, later).await, [(Labels::new(), 1.0)]);

        let failing =
            [changed("FleetpushCollectingFailing", "", ""), changed("FleetpushTokenRefused", "", "")];
        for expr in &failing {
            assert_eq!(self.prometheus.query(expr).await, [], "{expr}");
        }
        let last = self.refused().await;
        for expr in &failing {
            let found = self.prometheus.query_at(expr, last + QUARTER + 1).await;
            let found: Vec<Labels> = found.into_iter().map(|(labels, _)| labels).collect();
            assert_eq!(found.len(), 1, "{expr}: {found:?}");
            self.are_of("an alert", expr, &found, Whose::Program);
        }
        // kube-state-metrics speaks of it, and not the program: its cases have to do.
        asked.insert("FleetpushCronJobNotSucceeding");
        // It is about relayed pages, and this site relays none: its cases have to do as well.
        asked.insert("FleetpushTargetDown");
        let every: BTreeSet<&str> = alerts.iter().map(|alert| said(alert, "alert")).collect();
        assert_eq!(asked, every);
    }
}

#[rstest]
#[case::scraped(Way::Scrape)]
#[case::pushed(Way::Pushgateway)]
#[case::written(Way::RemoteWrite)]
#[tokio::test]
async fn every_query_of_dashboards_and_rules_finds_what_is_there(#[case] way: Way) {
    let folder = tempfile::tempdir().unwrap();
    let world = world(way, folder.path()).await;
    world.goes_dark().await;
    world.dashboards().await;
    world.rules_are_loaded().await;
    world.alerts().await;
    assert!(world.site.receivers.iter().all(|receiver| receiver.request_count() > 0));
    drop(world.site.folder);
}

#[test]
fn a_series_of_somebody_else_is_nobodys() {
    let of = |pairs: &[(&str, &str)]| {
        let labels: Labels = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        whose(&labels, "test")
    };
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[("job", "prometheus"), ("fleet_name", "lobby")]), None);
    assert_eq!(of(&[("job", "balena"), ("instance", "other"), ("sink", "busy")]), None);
    assert_eq!(of(&[("job", "balena"), ("fleet_name", "lobby")]), Some(Whose::Fleet));
    assert_eq!(of(&[("job", "balena"), ("instance", "test")]), Some(Whose::Program));
}
