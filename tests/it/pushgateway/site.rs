//! A service at work on a simulated account.

use fleetpush::demo::balena::{self, Fleet, Simulation};
use fleetpush::demo::http::{Fault, Times};
use tempfile::TempDir;

use super::*;
use crate::program::Program;

/// A simulated account of two fleets that is counted five times a second.
pub(super) struct Site {
    pub(super) simulation: Simulation,
    pub(super) api: balena::Server,
    folder: TempDir,
}

impl Site {
    pub(super) async fn new() -> Self {
        let simulation = Simulation::new();
        for name in ["a", "b"] {
            simulation.add(Fleet::new("acme", name));
        }
        let api = balena::Server::start(simulation.clone(), balena::Options::default()).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        Site { simulation, api: api.expect("a free port"), folder }
    }

    pub(super) fn service(&self, more: &[(&str, &str)]) -> Program {
        let quick = [("CRAWL_INTERVAL", "200ms")];
        Program::service(&self.api, &[&quick, more].concat())
    }

    /// A service with a file, whose text is given.
    pub(super) fn service_with(&self, file: &str) -> Program {
        let path = self.folder.path().join("fleetpush.yml");
        std::fs::write(&path, file).expect("a file in our own folder");
        self.service(&[("FLEETPUSH_CONFIG_FILE", path.to_str().expect("a path in UTF-8"))])
    }

    pub(super) fn set_devices(&self, fleet: &str, count: usize) {
        let all = self.simulation.fleets();
        let id = all.iter().find(|one| one.app_name == fleet).expect("a fleet of ours").id;
        self.simulation.set_devices(id, vec![balena::Device::operational(); count]);
    }

    /// From now on the account cannot be counted, which each cycle learns at once.
    pub(super) fn refuse(&self) {
        self.api.inject(Fault::status(401), Times::Always);
    }
}

pub(super) fn up(group: &Value) -> Option<f64> {
    fleets_of(group, "balena_up").get("").copied()
}

pub(super) async fn until(what: &str, gateway: &Pushgateway, such: impl Fn(&Value) -> bool) -> Value {
    let key = &our_keys()[1];
    eventually(what, LIMIT, async || group(gateway, key).await.filter(|group| such(group))).await
}

pub(super) async fn both_groups(gateway: &Pushgateway) {
    eventually("both groups", LIMIT, async || (keys_of(gateway).await == our_keys()).then_some(())).await;
}
