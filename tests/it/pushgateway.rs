//! Every known trap of a Pushgateway, a test for each, against the real 1.5 and 1.11: first, where a server shows
//! it, what befalls a client that knows nothing of it, then that ours does not step into it.
//!
//! `keys`, `labels`: what names a group. `bodies`, `cut`: what is in a push, whole or not. `answers`: what we do about
//! each answer. `life`, `leaving`: how groups come, change and go. `secured`: users, TLS, client certificates.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fleetpush::clock::Clock;
use fleetpush::config::{self, Auth, Config, Gateway, HttpSettings, Overrides, Proxy, TlsSettings};
use fleetpush::http::chain;
use fleetpush::sample::{
    Batch, Family, Kind, LabelName, Labels, Latest, MetricName, Millis, Role, Scope, Series, Source, Text,
    Value as Sample,
};
use fleetpush::sink::pushgateway::{PushError, Pusher};
use fleetpush::telemetry::status::SinkStatus;
use fleetpush::telemetry::{SinkKind, Telemetry};
use reqwest::{Body, Method};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::program::LIMIT;
use crate::servers::{Pushgateway, eventually};

mod answers;
mod bodies;
mod cut;
mod keys;
mod labels;
mod leaving;
mod life;
mod secured;
mod site;

/// A gateway without anything besides its URL.
pub fn gateway(url: &str) -> Gateway {
    let http = HttpSettings {
        auth: Auth::None,
        tls: TlsSettings::default(),
        proxy: Proxy::Direct,
        headers: Vec::new(),
        timeout: Duration::from_secs(10),
    };
    let url = url.parse().expect("a URL");
    Gateway { name: "test".into(), url, grouping: Vec::new(), delete_on_exit: false, http }
}

/// A gateway's settings and the labels that its groups begin with.
struct Rig {
    gateway: Gateway,
    job: Text,
    instance: Text,
    telemetry: Telemetry,
}

impl Rig {
    fn new(url: &str) -> Self {
        let gateway = gateway(url);
        Rig { gateway, job: "balena".into(), instance: "site".into(), telemetry: Telemetry::new() }
    }

    fn named(mut self, job: &str, instance: &str) -> Self {
        (self.job, self.instance) = (job.into(), instance.into());
        self
    }

    fn grouping(mut self, pairs: &[(&str, &str)]) -> Self {
        self.gateway.grouping =
            pairs.iter().map(|(name, value)| (name_of(name), Text::from(*value))).collect();
        self
    }

    fn timeout(mut self, timeout: Duration) -> Self {
        self.gateway.http.timeout = timeout;
        self
    }

    fn pusher(&self) -> Result<Pusher, PushError> {
        let (job, instance, telemetry) = (self.job.clone(), self.instance.clone(), self.telemetry.clone());
        Pusher::new(self.gateway.clone(), job, instance, Clock::SYSTEM, telemetry)
    }

    /// One push of one batch.
    async fn push(&self, batch: Batch) -> Result<(), PushError> {
        self.push_within(batch, LIMIT).await
    }

    async fn push_within(&self, batch: Batch, limit: Duration) -> Result<(), PushError> {
        let pusher = self.pusher().expect("usable settings");
        let mut outcomes = pusher.push_all(&latest([batch]), Instant::now() + limit).await;
        outcomes.pop().expect("an outcome for the one batch").1
    }

    /// The loop of a running service.
    fn keep(&self) -> Keeping {
        let (batches, seen) = watch::channel(Latest::default());
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let running = self.pusher().expect("usable settings").run(seen, stop.clone(), abort.clone());
        Keeping { batches, stop, abort, task: tokio::spawn(running) }
    }

    /// What page and commands show of it.
    fn status(&self) -> Option<SinkStatus> {
        self.telemetry.status().borrow().sink(SinkKind::Pushgateway, "test").cloned()
    }
}

/// A loop at work; ended when it goes out of scope.
struct Keeping {
    batches: watch::Sender<Latest>,
    stop: CancellationToken,
    abort: CancellationToken,
    task: JoinHandle<()>,
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.abort.cancel();
    }
}

impl Keeping {
    fn show(&self, batch: Batch) {
        self.batches.send_modify(|all| {
            let mut new = BTreeMap::clone(all);
            new.insert(batch.source().clone(), Arc::new(batch));
            *all = Arc::new(new);
        });
    }

    async fn ended(mut self) {
        self.stop.cancel();
        tokio::time::timeout(LIMIT, &mut self.task).await.expect("it ends").expect("without a panic");
    }
}

fn latest<const N: usize>(batches: [Batch; N]) -> Latest {
    Arc::new(batches.into_iter().map(|batch| (batch.source().clone(), Arc::new(batch))).collect())
}

fn name_of(label: &str) -> LabelName {
    LabelName::new(label).expect("a label's name")
}

fn family(name: &str, role: Role, series: Vec<Series>) -> Family {
    let name = MetricName::new(name).expect("a metric's name");
    Family {
        name,
        kind: Kind::Gauge,
        help: "Registered devices".into(),
        role,
        series,
        of: None,
        unit: "".into(),
    }
}

fn series(labels: &[(&str, &str)], value: f64) -> Series {
    let labels = labels.iter().map(|(name, value)| (name_of(name), Text::from(*value)));
    Series { labels: Labels::new(labels).expect("no twins"), value: Sample::from(value), own: None }
}

fn state(up: f64) -> Family {
    family("balena_up", Role::State, vec![series(&[], up)])
}

/// An account's batch: devices of each fleet, and that it could be counted.
fn counted(fleets: &[(&str, f64)]) -> Batch {
    let fleets = fleets.iter().map(|(fleet, devices)| series(&[("fleet_name", fleet)], *devices)).collect();
    account(vec![family("balena_devices", Role::Fleet, fleets), state(1.0)])
}

fn account(families: Vec<Family>) -> Batch {
    Batch::new(Source::Account("balena".into()), Millis(1), Scope::Whole, families).expect("no twins")
}

/// The program's own batch.
fn own(value: f64) -> Batch {
    let families = vec![family("fleetpush_queue_bytes", Role::State, vec![series(&[], value)])];
    Batch::new(Source::Own, Millis(1), Scope::Whole, families).expect("no twins")
}

/// A request by a client that knows nothing: the status, and the body in which a gateway explains itself.
async fn raw(method: Method, url: &str, body: impl Into<Body>) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let client = client.timeout(LIMIT).build().expect("a client");
    let answer = client.request(method, url).body(body).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

async fn raw_put(gateway: &Pushgateway, path: &str, body: impl Into<Body>) -> (u16, String) {
    raw(Method::PUT, &format!("{}{path}", gateway.url()), body).await
}

async fn raw_delete(gateway: &Pushgateway, path: &str) -> u16 {
    raw(Method::DELETE, &format!("{}{path}", gateway.url()), "").await.0
}

/// The group with exactly these labels.
async fn group(gateway: &Pushgateway, labels: &Value) -> Option<Value> {
    gateway.groups().await.into_iter().find(|group| group["labels"] == *labels)
}

/// The labels of every group, sorted by their text.
async fn keys_of(gateway: &Pushgateway) -> Vec<Value> {
    let mut all: Vec<Value> = gateway.groups().await.iter().map(|group| group["labels"].clone()).collect();
    all.sort_by_key(Value::to_string);
    all
}

/// A family of a group: the value of each series by its fleet.
fn fleets_of(group: &Value, family: &str) -> BTreeMap<String, f64> {
    let metrics = group[family]["metrics"].as_array().map(Vec::as_slice).unwrap_or_default();
    let fleet = |one: &Value| {
        let name = one["labels"]["fleet_name"].as_str().unwrap_or_default().to_owned();
        (name, one["value"].as_str().and_then(|text| text.parse().ok()).expect("a value in text"))
    };
    metrics.iter().map(fleet).collect()
}

fn one(fleet: &str, value: f64) -> BTreeMap<String, f64> {
    BTreeMap::from([(fleet.to_owned(), value)])
}

/// Waits until a group has just this value for a fleet.
async fn arrives(gateway: &Pushgateway, labels: &Value, fleet: &str, value: f64) -> Value {
    eventually(&format!("{fleet:?} {value} in {labels}"), LIMIT, async || {
        let group = group(gateway, labels).await?;
        (fleets_of(&group, "balena_devices").get(fleet) == Some(&value)).then_some(group)
    })
    .await
}

/// That nothing of a gateway is broken for anyone: it is scraped, and no group has ever had a refused push.
async fn is_sound(gateway: &Pushgateway) {
    assert!(gateway.metrics().await.contains("push_time_seconds"));
    for group in gateway.groups().await {
        assert_eq!(group["last_push_successful"], true, "{group}");
        assert_eq!(group["push_failure_time_seconds"]["metrics"][0]["value"], "0", "{group}");
    }
}

/// What the configuration says to these variables.
fn configured(variables: &[(&str, &str)]) -> Result<Config, String> {
    let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let loaded = config::load(&environment.collect(), &Overrides::default(), "host");
    loaded.map_err(|error| chain(&error))
}

/// What the configuration says to a file.
fn file(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleetpush.yml");
    std::fs::write(&path, text).unwrap();
    configured(&[("FLEETPUSH_CONFIG_FILE", path.to_str().unwrap())])
}

/// What the program's two groups are named by default in these tests.
fn our_keys() -> [Value; 2] {
    let own = json!({"component": "fleetpush", "instance": "test", "job": "balena"});
    [own, json!({"instance": "test", "job": "balena"})]
}
