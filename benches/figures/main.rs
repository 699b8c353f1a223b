//! The project's figures, each over real HTTP on loopback with the other side in a process of its own.
//! In: the release binary's path and a commit. Out: a Markdown page on standard output.
//!
//! Machines are noisy, so CPU time and instructions are given, and ratios of what ran in turns; wall time
//! only where waiting is what is measured.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures belong on the terminal")]
#![allow(clippy::unwrap_used, reason = "a bench that meets an error has failed")]

mod backlog;
mod collect;
mod cpu;
mod deliver;
mod encode;
mod enqueue;
mod instructions;
mod peer;
mod program;
mod relay;
mod shapes;

use std::path::Path;

use fleetpush::clock::Clock;

/// One figure.
struct Row {
    what: String,
    figure: String,
    limit: String,
    missed: bool,
}

impl Row {
    fn new(what: impl Into<String>, figure: impl Into<String>, limit: impl Into<String>) -> Self {
        let row = Row { what: what.into(), figure: figure.into(), limit: limit.into(), missed: false };
        eprintln!("{}: {}", row.what, row.figure);
        row
    }

    /// The same, held to its limit.
    fn within(self, value: f64, limit: f64) -> Self {
        Row { missed: value > limit, ..self }
    }
}

fn main() {
    // Cargo adds a flag of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        Some(("api", rest)) => peer::serve_api(rest),
        Some(("receiver", _)) => peer::serve_receiver(),
        Some(("page", rest)) => peer::serve_page(rest),
        Some(("work", rest)) => instructions::work(rest),
        Some(("fill", rest)) => backlog::fill(rest),
        Some((binary, [commit])) => page(&all(Path::new(binary)), commit),
        Some((part, [])) => drop(some(part)),
        _ => panic!(
            "usage: figures <release binary> <commit>, or figures <part> (see benches/figures/main.rs)"
        ),
    }
}

fn all(binary: &Path) -> Vec<Row> {
    let parts = ["collect", "encode", "enqueue", "deliver", "instructions"];
    let mut rows: Vec<Row> = parts.iter().flat_map(|part| some(part)).collect();
    rows.extend(program::rows(binary));
    rows.extend(backlog::rows(binary));
    rows.extend(relay::rows(binary));
    rows
}

/// One part alone, for work on it.
fn some(part: &str) -> Vec<Row> {
    let (fleets, devices) = ("fleet-shaped", "uuid-shaped");
    match part {
        "collect" => [100, 1_000].into_iter().flat_map(collect::rows).collect(),
        "enqueue" => enqueue::rows(),
        "encode" => [
            encode::rows(fleets, &shapes::cycles(&shapes::fleets(1_000)), ["", "≤ 0.7 × 1.0"]),
            encode::rows(devices, &[0, 1].map(|tick| shapes::devices_at(10_000, tick)), ["", ""]),
            encode::byte_rows(
                "uuids that count up",
                &shapes::counted_devices(10_000),
                ["Prometheus 24.8", "Prometheus 28.6"],
            ),
        ]
        .into_iter()
        .flatten()
        .collect(),
        "deliver" => [
            deliver::rows(fleets, &shapes::fleets(1_000), [0.25, 0.2]),
            deliver::rows(devices, &shapes::devices(10_000), [0.4, 0.4]),
        ]
        .into_iter()
        .flatten()
        .collect(),
        "instructions" => instructions::rows(),
        other => match other.split_once(':') {
            Some(("backlog", binary)) => backlog::rows(Path::new(binary)),
            Some(("relay", binary)) => relay::rows(Path::new(binary)),
            _ => program::rows(Path::new(other)),
        },
    }
}

fn page(rows: &[Row], commit: &str) {
    let now = jiff::Timestamp::from_millisecond(Clock::SYSTEM.now().0).expect("a time of this era");
    println!("# Figures\n");
    println!("Written by `make bench`; the numbers below are of one run.\n");
    println!("- command: `make bench`, load before it {}", cpu::load());
    println!("- commit: {commit}");
    println!("- date: {}", now.strftime("%Y-%m-%d"));
    println!("- machine: {}", cpu::machine());
    println!("- of what is sent and drained one value in fifty is not that of the first cycle\n");
    println!("| what | figure | limit |\n|---|---|---|");
    for Row { what, figure, limit, missed } in rows {
        let missed = if *missed { ", missed" } else { "" };
        println!("| {what} | {figure}{missed} | {limit} |");
    }
    let missed = rows.iter().filter(|row| row.missed).count();
    println!("\nLimits are meant for an idle machine of two processors. In this run {missed} were missed.");
}

/// A runtime as the program has it.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}
