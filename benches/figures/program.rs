//! The release binary as a child process: its size, `once`, and a service at work.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::peer::{Peer, TOKEN};
use super::{Row, cpu};

const FLEETS: usize = 100;
const RUNS: u32 = 50;
const SERVED: Duration = Duration::from_secs(10);

/// What the binary costs, as it is installed.
pub fn rows(binary: &Path) -> Vec<Row> {
    let size = fs::metadata(binary).expect("the release binary was built before").len();
    let api = Peer::api(FLEETS, 20, Duration::ZERO);
    let receiver = Peer::receiver();
    let mut rows =
        vec![Row::new("binary, stripped", format!("{:.2} MiB", size as f64 / 1_048_576.0), "≤ 8 MiB")];
    rows.extend(once(binary, &api, &receiver));
    rows.push(service(binary, &api, &receiver));
    rows
}

fn command(binary: &Path, api: &Peer, receiver: &Peer) -> Command {
    let mut command = Command::new(binary);
    command
        .env_clear()
        .env("BALENA_TOKEN", TOKEN)
        .env("BALENA_API_URL", &api.url)
        .env("REMOTE_WRITE_URL", &receiver.url)
        .env("FLEETPUSH_QUEUE_DIR", "memory")
        .env("FLEETPUSH_LISTEN_ADDRESS", "127.0.0.1:0")
        .env("CRAWL_INTERVAL", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn once(binary: &Path, api: &Peer, receiver: &Peer) -> Vec<Row> {
    let mut walls = Vec::new();
    let before = cpu::children();
    for _ in 0..RUNS {
        let started = Instant::now();
        let status = command(binary, api, receiver).arg("once").status().expect("it starts");
        assert!(status.success(), "once: {status}");
        walls.push(started.elapsed());
    }
    let used = (cpu::children() - before).as_secs_f64() * 1e3 / f64::from(RUNS);
    walls.sort();
    let wall = walls[walls.len() / 2].as_secs_f64() * 1e3;
    vec![
        Row::new(format!("`once`, {FLEETS} fleets to remote write, CPU"), format!("{used:.1} ms"), "≤ 10 ms"),
        Row::new(format!("`once`, {FLEETS} fleets, median wall time"), format!("{wall:.0} ms"), "≤ 30 ms"),
    ]
}

fn service(binary: &Path, api: &Peer, receiver: &Peer) -> Row {
    let mut child = command(binary, api, receiver).spawn().expect("it starts");
    sleep(SERVED);
    let peak = cpu::peak_mib(child.id());
    child.kill().expect("it still runs");
    child.wait().expect("it ends");
    Row::new(
        format!("peak memory, {FLEETS} fleets collected each second and sent, {} s", SERVED.as_secs()),
        format!("{peak:.1} MiB"),
        "≤ 12 MiB",
    )
}
