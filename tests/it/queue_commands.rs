//! The queue as its operator meets it: the real binary, its store in a folder, the commands that ask it.

mod folder;
mod once;
mod restart;
mod retry;
mod status;
mod work;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use fleetpush::demo::balena::{self, Device, Fleet, Simulation};
use fleetpush::demo::receiver;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{LIMIT, Program, TOKEN};
use crate::servers::eventually;

/// An account, a folder for the queue, and a configuration with some endpoints.
struct Site {
    simulation: Simulation,
    api: balena::Server,
    folder: TempDir,
}

/// How a command has ended.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Site {
    async fn new() -> Self {
        let simulation = Simulation::new();
        for (number, name) in ["north", "south"].iter().enumerate() {
            simulation.add(Fleet::new("acme", name).devices(number + 1, &Device::operational()));
        }
        let api = balena::Server::start(simulation.clone(), balena::Options::default()).await.unwrap();
        Site { simulation, api, folder: tempfile::tempdir().unwrap() }
    }

    /// The queue's folder.
    fn queue(&self) -> PathBuf {
        self.folder.path().join("queue")
    }

    /// Lets the configuration name these endpoints.
    fn endpoints(&self, endpoints: &[(&str, &str)]) {
        let quick = json!({"min_backoff": "10ms", "max_backoff": "50ms"});
        let endpoint =
            |(name, url): &(&str, &str)| json!({"name": name, "url": url, "queue_config": quick.clone()});
        self.write(json!(endpoints.iter().map(endpoint).collect::<Vec<_>>()));
    }

    fn write(&self, endpoints: Value) {
        let settings = json!({
            "interval": "1s",
            "instance": "test",
            "balena": {"token": TOKEN, "url": self.api.base_url()},
            "remote_write": endpoints,
            "queue": {"dir": self.queue()},
            "web": {"listen_address": "127.0.0.1:0"},
        });
        fs::write(self.folder.path().join("fleetpush.yml"), settings.to_string()).unwrap();
    }

    fn start(&self, arguments: &[&str]) -> Program {
        let file = self.folder.path().join("fleetpush.yml");
        let arguments = [&["--config.file", file.to_str().unwrap()], arguments].concat();
        Program::start(&arguments, &[])
    }

    /// Runs a command to its end.
    async fn command(&self, arguments: &[&str]) -> Said {
        let mut program = self.start(arguments);
        let code = program.code().await;
        Said { code, out: program.stdout(), err: program.stderr() }
    }

    /// `queue …`, which is to end well.
    async fn ask(&self, arguments: &[&str]) -> String {
        let said = self.command(&[&["queue"], arguments].concat()).await;
        assert_eq!(said.code, 0, "{arguments:?}: {}{}", said.out, said.err);
        said.out
    }

    /// `queue status --json` of one endpoint.
    async fn endpoint(&self, name: &str) -> Value {
        let report: Value = serde_json::from_str(&self.ask(&["status", "--json"]).await).unwrap();
        let found = report["endpoints"].as_array().unwrap().iter().find(|one| one["name"] == name).cloned();
        found.unwrap_or_else(|| panic!("no {name} in {report}"))
    }
}

async fn receiver() -> receiver::Server {
    receiver::Server::start(receiver::Options::default()).await.unwrap()
}

/// The times of a receiver's samples of `balena_up`, in the order of arrival.
fn cycles(remote: &receiver::Server) -> Vec<i64> {
    let all = remote.samples();
    let ups = all.iter().filter(|(labels, _)| labels["__name__"] == "balena_up");
    ups.flat_map(|(_, samples)| samples).map(|sample| sample.timestamp).collect()
}

/// Waits until a receiver has so many cycles.
async fn arrived(remote: &receiver::Server, count: usize) {
    eventually("cycles at the receiver", LIMIT, async || (cycles(remote).len() >= count).then_some(())).await;
}

/// Waits for so many collects more.
async fn collected(program: &Program, more: usize) {
    let lines = || program.stderr().matches("message=collected").count();
    let wanted = lines() + more;
    eventually("collects", LIMIT, async || (lines() >= wanted).then_some(())).await;
}

/// Ends a program at once, as kill -9 does.
async fn kill(mut program: Program) {
    program.signal("KILL");
    program.ended().await;
}

/// Ends a program in good order.
async fn stop(mut program: Program) -> String {
    program.signal("TERM");
    assert_eq!(program.code().await, 0, "{}", program.stderr());
    program.stderr()
}

/// The last value of each of a receiver's series of a metric.
fn last(remote: &receiver::Server, metric: &str) -> BTreeMap<receiver::Labels, f64> {
    let all = remote.samples();
    let ours = all.into_iter().filter(|(labels, _)| labels["__name__"] == metric);
    ours.filter_map(|(labels, samples)| Some((labels, samples.last()?.value()))).collect()
}
