//! A hundred targets every 10 s, an hour of which nobody has taken, and a receiver 100 ms away: everything arrives in
//! order while the targets go on. On the test's clock, on which a tick comes whenever the receiver has answered a
//! hundred requests, as many as 10 s have room for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fleetpush::app::kept;
use fleetpush::clock::Clock;
use fleetpush::config::ProtobufMessage;
use fleetpush::demo::receiver::{Options, Server};
use fleetpush::encode::record::{Cutter, Identity};
use fleetpush::sample::{
    Batch, Family, Kind, Labels, MetricName, Millis, Role, Scope, Series, Source, Text, Value,
};
use serde_json::json;

use super::site::{self as suite, Page, Reply};
use crate::program::Program;
use crate::remote_rig::{Rig, labels, now};
use crate::servers::eventually;
use crate::storm::report::setting;
use crate::storm::strictly_rising;

const EVERY: Duration = Duration::from_secs(10);
const HOUR: usize = 360;
const TARGETS: usize = 100;
const SERIES: usize = 5;
/// The largest request: two for a tick.
const MOST: usize = 250;
/// Requests that follow one another in a tick's time, 100 ms each.
const A_TICK: u64 = 100;
const LIMIT: Duration = Duration::from_secs(300);

/// The series of a target; each tick has its number as their value.
struct Target {
    source: Source,
    name: MetricName,
    labels: Vec<Labels>,
}

impl Target {
    fn new(number: usize) -> Self {
        let instance = format!("10.0.0.{number}:9100");
        let of = |series: usize| {
            labels(&[("instance", &instance), ("job", "site"), ("series", &format!("{series:02}"))])
        };
        Target {
            source: Source::Target { job: "site".into(), instance: Text::from(instance.as_str()) },
            name: MetricName::relayed(&"test_metric".into()).expect("a name"),
            labels: (0..SERIES).map(of).collect(),
        }
    }

    fn batch(&self, at: Millis, value: f64) -> Batch {
        let series =
            |labels: &Labels| Series { labels: labels.clone(), value: Value::from(value), own: None };
        let family = Family {
            name: self.name.clone(),
            of: None,
            kind: Kind::Gauge,
            help: "A value".into(),
            unit: "".into(),
            role: Role::Relayed,
            series: self.labels.iter().map(series).collect(),
        };
        Batch::new(self.source.clone(), at, Scope::Whole, vec![family]).expect("no twins")
    }
}

/// The targets, their clock and how often they were asked.
struct Site {
    targets: Vec<Target>,
    cutter: Cutter,
    identity: Identity,
    clock: Clock,
    ticks: usize,
}

impl Site {
    fn new(clock: Clock) -> Self {
        let identity = Identity { job: "balena".into(), instance: "site".into() };
        let targets = (0..TARGETS).map(Target::new).collect();
        Site { targets, cutter: Cutter::default(), identity, clock, ticks: 0 }
    }

    /// Ten seconds pass, all targets are asked, and what they say is queued.
    fn tick(&mut self, rig: &Rig) {
        self.clock.advance(EVERY);
        let at = self.clock.now();
        let batches: Vec<Batch> =
            self.targets.iter().map(|target| target.batch(at, self.ticks as f64)).collect();
        let batches: Vec<&Batch> = batches.iter().collect();
        let cut = self.cutter.cut_all(at, &batches, &self.identity, MOST);
        assert_eq!(cut.left_out, Default::default());
        rig.append_records(cut.records.into_iter().map(kept).collect());
        self.ticks += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_targets_catch_up_after_an_hour_while_they_go_on() {
    // Ten times faster than life, and the receiver as much nearer; `make soak` takes its time.
    let latency = Duration::from_millis(setting("CATCH_UP_LATENCY_MS", 10));
    let server = Server::start(Options { latency, ..Options::default() }).await.expect("a free port");
    server.set_outage(true);
    // All of it has been: the receiver has a clock of its own, and takes nothing of the future.
    let clock = Clock::manual(Millis(now() - EVERY.as_millis() as i64 * 2 * HOUR as i64));
    let mut rig = Rig::new(&server.write_url()).message(ProtobufMessage::V2);
    rig.clock = clock.clone();
    let mut site = Site::new(clock);
    let worker = rig.spawn();
    for _ in 0..HOUR {
        site.tick(&rig);
    }
    let outage = (HOUR * TARGETS * SERIES) as u64;
    assert_eq!(rig.waiting(), outage, "nothing was taken, and nothing is lost");

    server.set_outage(false);
    let mut due = server.deliveries().len() as u64 + A_TICK;
    eventually("everything is delivered while the targets go on", LIMIT, async || {
        if server.deliveries().len() as u64 >= due {
            site.tick(&rig);
            due += A_TICK;
        }
        (rig.waiting() == 0).then_some(())
    })
    .await;
    worker.stop.cancel();
    worker.ended().await;

    // Several targets share a request, and none holds two ticks: two requests a tick.
    let deliveries = server.deliveries();
    let taken = deliveries.iter().filter(|delivery| delivery.status < 300).count();
    assert_eq!(taken, site.ticks * (TARGETS * SERIES).div_ceil(MOST));
    assert!(site.ticks > HOUR, "they went on meanwhile");
    assert!(site.ticks <= HOUR + HOUR / 10, "{} ticks until it had caught up", site.ticks);
    assert_eq!(strictly_rising(&server), 0, "in order, and nothing twice");
    let mut counts = BTreeMap::<usize, usize>::new();
    for (labels, samples) in server.samples() {
        let expected: Vec<f64> = (0..site.ticks).map(|tick| tick as f64).collect();
        let values: Vec<f64> = samples.iter().map(|sample| sample.value()).collect();
        assert_eq!(values, expected, "{labels:?}");
        *counts.entry(values.len()).or_default() += 1;
    }
    assert_eq!(counts, BTreeMap::from([(site.ticks, TARGETS * SERIES)]));
}

#[tokio::test]
async fn a_hundred_targets_of_one_tick_share_a_request_and_no_two_ticks_do() {
    let pages = Arc::new(|_| Page::of("test_metric 42\n"));
    let site = suite::Site::start(pages, Arc::new(|_, got| Reply::of(204, got))).await;
    // One server for all of them, each under a name of its own.
    let target =
        |number| json!({"targets": [site.address()], "labels": {"instance": format!("site-{number}")}});
    let config = json!({
        "web": {"listen_address": "off"},
        "queue": {"dir": "memory"},
        "scrape_configs": [{
            "job_name": "test",
            "scrape_interval": "2s",
            "static_configs": (0..TARGETS).map(target).collect::<Vec<_>>(),
        }],
        "remote_write": [{"url": site.push_url(), "protobuf_message": "2.0"}],
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("fleetpush.yml");
    std::fs::write(&file, config.to_string()).expect("our own folder is writable");
    let mut program = Program::start(&["--config.file", file.to_str().expect("a path of ours")], &[]);
    eventually("a request has all targets", LIMIT, async || {
        site.look(|got| got.iter().any(|got| got.request().all("test_metric").len() == TARGETS)).then_some(())
    })
    .await;
    program.signal("TERM");
    assert_eq!(program.code().await, 0, "{}", program.stderr());
    for got in site.got() {
        let request = got.request();
        let at = request.series[0].sample().at;
        assert!(request.series.iter().all(|series| series.sample().at == at), "a request of two ticks");
    }
}
