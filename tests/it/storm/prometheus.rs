//! Real Prometheus servers that stop, are killed and come back while two senders write to them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use fleetpush::demo::balena::{self, Device, Fleet, Simulation};
use fleetpush::queue::Queue;
use rstest::rstest;

use super::log::Life;
use crate::program::{LIMIT, Program};
use crate::remote_rig::Rig;
use crate::servers::{Prometheus, Suite, eventually};

/// A sender, its account and its queue.
struct Sender {
    job: &'static str,
    program: Program,
    queue: tempfile::TempDir,
    _api: balena::Server,
}

impl Sender {
    async fn start(job: &'static str, url: &str) -> Self {
        let simulation = Simulation::new();
        for fleet in ["north", "south"] {
            simulation.add(Fleet::new("acme", fleet).devices(3, &Device::operational()));
        }
        let api = balena::Server::start(simulation, balena::Options::default()).await.expect("a free port");
        let queue = tempfile::tempdir().expect("a temporary folder");
        let environment = [
            ("REMOTE_WRITE_URL", url),
            ("FLEETPUSH_QUEUE_DIR", queue.path().to_str().expect("a path of ours")),
            ("FLEETPUSH_JOB", job),
            ("CRAWL_INTERVAL", "100ms"),
            ("FLEETPUSH_LOG_LEVEL", "trace"),
        ];
        let program = Program::service(&api, &environment);
        Self { job, program, queue, _api: api }
    }

    fn life(&self) -> Life {
        Life::of(&self.program.stderr())
    }

    /// Waits until `more` of something that its log counts.
    async fn more(&self, what: &str, more: usize, count: fn(&Life) -> usize) {
        let before = count(&self.life());
        let enough = async || (count(&self.life()) >= before + more).then_some(());
        eventually(&format!("{more} more {what} by {}", self.job), LIMIT, enough).await;
    }

    /// Ends it; what still waits is delivered from its queue. Says what it has committed.
    async fn ended(mut self, url: &str) -> Life {
        self.program.signal("TERM");
        assert_eq!(self.program.code().await, 0, "{}", self.program.stderr());
        let log = self.program.stderr();
        assert!(!log.contains("samples refused or dropped"), "{log}");
        drain(self.queue.path(), url).await;
        let life = self.life();
        assert_eq!(life.committed, life.said.len());
        life
    }
}

async fn drain(folder: &Path, url: &str) {
    let mut rig = Rig::new(url);
    rig.endpoint.name = "env".into();
    rig.queue = Queue::open(folder.to_owned(), 1 << 30, Duration::from_secs(86_400)).expect("it is free");
    let drained = rig.drain().await;
    assert_eq!((drained.waiting_samples, drained.refused_samples), (0, 0), "{drained:?}");
}

#[rstest]
#[case::an_old_one(Suite::Stock)]
#[case::a_new_one(Suite::New)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prometheus_that_stops_and_is_killed_holds_every_cycle_of_two_senders(#[case] suite: Suite) {
    let mut prometheus = Prometheus::receiver(suite).await;
    let url = prometheus.write_url();
    let senders = [Sender::start("one", &url).await, Sender::start("two", &url).await];
    for sender in &senders {
        sender.more("acknowledged samples", 300, |life| life.acknowledged).await;
    }
    prometheus.stop().await;
    for sender in &senders {
        sender.more("cycles", 8, Life::cycles).await;
    }
    prometheus.restart().await;
    for sender in &senders {
        sender.more("acknowledged samples", 500, |life| life.acknowledged).await;
    }
    prometheus.kill();
    for sender in &senders {
        sender.more("cycles", 8, Life::cycles).await;
    }
    prometheus.restart().await;
    for sender in &senders {
        sender.more("acknowledged samples", 500, |life| life.acknowledged).await;
    }
    for sender in senders {
        let job = sender.job;
        let life = sender.ended(&url).await;
        // A function forgets the metric's name, so each name is asked for alone.
        let series = prometheus.series(&format!(r#"{{job="{job}"}}"#)).await;
        let names: BTreeSet<String> =
            series.into_iter().filter_map(|mut one| one.remove("__name__")).collect();
        let (mut samples, mut of_the_account) = (0.0, 0);
        for name in names {
            for (labels, count) in
                prometheus.query(&format!(r#"count_over_time({name}{{job="{job}"}}[1h])"#)).await
            {
                samples += count;
                if name.starts_with("balena_") {
                    assert_eq!(count, life.cycles() as f64, "{job}: {name} {labels:?}");
                    of_the_account += 1;
                }
            }
        }
        assert_eq!(samples, life.samples() as f64, "{job}: samples of all series together");
        // Two fleets, each with one for each status and heartbeat, and the state of collecting.
        assert!(of_the_account > 25, "{of_the_account} series");
    }
}
