//! A day of cycles while the receiver is down, and what it costs to deliver them.

use std::time::{Duration, Instant};

use fleetpush::clock::Clock;
use fleetpush::demo::balena::{self, Simulation};
use fleetpush::queue::Queue;
use fleetpush::sample::Millis;

use super::log::Life;
use super::report;
use crate::program::Program;
use crate::remote_rig::{Rig, now};
use crate::servers::{Prometheus, Suite, eventually};

const SERIES: usize = 1_000;
const EVERY: Duration = Duration::from_secs(60);
/// How long the delivery may take; the figures are for the report, not for a verdict.
const DELIVERY: Duration = Duration::from_secs(300);

/// On the test's clock: 1,000 series every 60 s, each cycle with the cycle's number as its value.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_outage_loses_nothing_and_ends_in_order() {
    let cycles = usize::try_from(report::setting("OUTAGE_CYCLES", 120)).expect("a small number");
    let mut prometheus = Prometheus::receiver(Suite::New).await;
    let url = prometheus.write_url();
    prometheus.stop().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let end = now();
    let begin = end - EVERY.as_millis() as i64 * cycles as i64;
    let appended = fill(folder.path(), &url, begin, cycles).await;
    prometheus.restart().await;

    let simulation = Simulation::generate(1, 1, 1);
    let api = balena::Server::start(simulation, balena::Options::default()).await.expect("a free port");
    let started = Instant::now();
    let environment = [
        ("REMOTE_WRITE_URL", &*url),
        ("FLEETPUSH_QUEUE_DIR", folder.path().to_str().expect("a path of ours")),
        ("CRAWL_INTERVAL", "1h"),
        ("FLEETPUSH_LOG_LEVEL", "trace"),
    ];
    let mut program = Program::service(&api, &environment);
    eventually("everything is acknowledged", DELIVERY, async || {
        let life = Life::of(&program.stderr());
        (life.committed == 2 && life.acknowledged == cycles * SERIES + life.samples()).then_some(())
    })
    .await;
    let took = started.elapsed();
    let (cpu, memory) = (cpu_seconds(program.id()), peak_kib(program.id()));
    program.signal("TERM");
    assert_eq!(program.code().await, 0, "{}", program.stderr());
    assert!(!program.stderr().contains("level=error"), "{}", program.stderr());

    let window = format!("[{}s]", (now() - begin) / 1000 + 60);
    let name = r#"balena_devices{job="balena",fleet_name=~"f[0-9]+"}"#;
    let last = (cycles - 1) as f64;
    for (function, expected) in [
        ("count_over_time", cycles as f64),
        ("sum_over_time", last * cycles as f64 / 2.0),
        // The values are the cycles' numbers: in order of time each one is larger than the one before.
        ("changes", last),
        ("resets", 0.0),
    ] {
        let found = prometheus.query(&format!("{function}({name}{window})")).await;
        assert_eq!(found.len(), SERIES, "{function}");
        for (labels, value) in found {
            assert_eq!(value, expected, "{function} of {labels:?}");
        }
    }
    let samples = (cycles * SERIES) as f64;
    let hours = (EVERY * u32::try_from(cycles).expect("a small number")).as_secs_f64() / 3600.0;
    report::section(
        "Outage",
        &[
            format!(
                "{hours:.0} h without a receiver: {cycles} cycles of {SERIES} series, {samples} samples, one every 60 s on the test's clock."
            ),
            "Then a real Prometheus 3 (remote write 2.0) comes back and everything arrives, in order."
                .to_owned(),
            String::new(),
            "| | |".to_owned(),
            "|---|---|".to_owned(),
            format!(
                "| committed during the outage, cycles a second | {:.0} |",
                cycles as f64 / appended.as_secs_f64()
            ),
            format!(
                "| delivered, samples a second, start of the process included | {:.0} |",
                samples / took.as_secs_f64()
            ),
            format!(
                "| CPU s for a million samples, reading the queue and acknowledging included | {:.2} |",
                cpu / samples * 1e6
            ),
            format!("| peak memory, MiB | {:.1} |", memory as f64 / 1024.0),
        ],
    );
}

/// Cycles from `begin` on while the receiver is down and a worker tries all the time.
async fn fill(folder: &std::path::Path, url: &str, begin: i64, cycles: usize) -> Duration {
    let clock = Clock::manual(Millis(begin));
    let mut rig = Rig::new(url);
    rig.endpoint.name = "env".into();
    rig.clock = clock.clone();
    rig.queue =
        Queue::open(folder.to_owned(), 1 << 30, Duration::from_secs(8 * 86_400)).expect("a new folder");
    rig.queue.register("env").await.expect("it is open");
    let worker = rig.spawn();
    let names: Vec<String> = (0..SERIES).map(|number| format!("f{number:03}")).collect();
    let started = Instant::now();
    for cycle in 0..cycles {
        clock.advance(EVERY);
        let fleets: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), cycle as f64)).collect();
        rig.append(clock.now().0, &fleets);
    }
    let took = started.elapsed();
    assert_eq!(rig.queue.waiting("env").samples, (cycles * SERIES) as u64);
    worker.stop.cancel();
    worker.ended().await;
    took
}

fn cpu_seconds(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    // User and system time in ticks, of which Linux counts 100 a second.
    let ticks = |place: usize| fields[place].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / 100.0
}

fn peak_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says so");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
