//! The real binary as an operator meets it: signals, reloads, exit codes, what it prints and logs.

mod changed_files;
mod clock;
mod commands;
mod demo;
mod logs;
mod once;
mod reload;
mod replica;
mod stop;
mod waits;

use fleetpush::demo::balena::{self, Device, Fleet, Simulation};
use fleetpush::demo::receiver;

/// An account of three fleets.
fn account() -> Simulation {
    let simulation = Simulation::new();
    for (number, name) in ["north", "south", "west"].iter().enumerate() {
        simulation.add(
            Fleet::new("acme", name)
                .devices(number + 1, &Device::operational())
                .devices(2, &Device::disconnected()),
        );
    }
    simulation
}

async fn api_of(simulation: Simulation) -> balena::Server {
    balena::Server::start(simulation, balena::Options::default()).await.expect("a free port")
}

async fn api() -> balena::Server {
    api_of(account()).await
}

async fn receiver() -> receiver::Server {
    receiver::Server::start(receiver::Options::default()).await.expect("a free port")
}

/// The value of a series on a page of metrics, as it is written there.
pub fn value(page: &str, series: &str) -> Option<f64> {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    line.split(' ').next()?.parse().ok()
}

/// How many of a receiver's samples of one metric there are.
fn samples_of(remote: &receiver::Server, metric: &str) -> usize {
    let all = remote.samples();
    all.iter().filter(|(labels, _)| labels["__name__"] == metric).map(|(_, samples)| samples.len()).sum()
}
