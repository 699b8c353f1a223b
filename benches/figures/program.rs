//! The release binary as a child process: its size, `once`, and a service at work.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::peer::{Peer, TOKEN};
use super::{Row, cpu, shapes};

const FLEETS: usize = 100;
const RUNS: u32 = 50;
const SERVED: Duration = Duration::from_secs(10);
const MANY: usize = 100_000;
const LONGEST: Duration = Duration::from_secs(120);

/// What the binary costs, as it is installed.
pub fn rows(binary: &Path) -> Vec<Row> {
    let size = fs::metadata(binary).expect("the release binary was built before").len();
    let api = Peer::api(FLEETS, 20, Duration::ZERO);
    let mut receiver = Peer::receiver();
    let size = size as f64 / 1_048_576.0;
    let mut rows = vec![Row::new("binary, stripped", format!("{size:.2} MiB"), "≤ 8 MiB").within(size, 8.0)];
    rows.extend(once(binary, &api, &receiver));
    let serve = |sinks: Sinks, api: &Peer, receiver: &mut Peer, samples: u64| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = command(binary, api);
        match sinks {
            Sinks::Page => {}
            Sinks::RemoteWrite => {
                command.env("REMOTE_WRITE_URL", &receiver.url);
                command.env("FLEETPUSH_QUEUE_DIR", folder.path());
            }
        }
        service(&mut command, receiver, samples)
    };
    let what = format!("peak memory, {FLEETS} fleets collected each second");
    for (how, sinks) in [("served on the page", Sinks::Page), ("served and sent", Sinks::RemoteWrite)] {
        let peak = serve(sinks, &api, &mut receiver, 0);
        let row = Row::new(format!("{what}, {how}, {SERVED:?}"), format!("{peak:.1} MiB"), "≤ 12 MiB");
        rows.push(row.within(peak, 12.0));
    }
    let many = Peer::api(MANY.div_ceil(shapes::SERIES_A_FLEET), 20, Duration::ZERO);
    let peak = serve(Sinks::RemoteWrite, &many, &mut receiver, 3 * MANY as u64);
    let what = format!("peak memory, {MANY} series collected and sent, three cycles");
    rows.push(Row::new(what, format!("{peak:.1} MiB"), "≤ 60 MiB").within(peak, 60.0));
    rows
}

/// Where a service's series go.
#[derive(Clone, Copy)]
enum Sinks {
    Page,
    RemoteWrite,
}

fn command(binary: &Path, api: &Peer) -> Command {
    let mut command = Command::new(binary);
    command
        .env_clear()
        .env("BALENA_TOKEN", TOKEN)
        .env("BALENA_API_URL", &api.url)
        .env("FLEETPUSH_LISTEN_ADDRESS", "127.0.0.1:0")
        .env("CRAWL_INTERVAL", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn once(binary: &Path, api: &Peer, receiver: &Peer) -> Vec<Row> {
    let what = format!("`once`, {FLEETS} fleets to remote write");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (used, wall) = runs(binary, api, receiver, Path::new("memory"));
    let (used_disk, wall_disk) = runs(binary, api, receiver, folder.path());
    vec![
        Row::new(format!("{what}, queue in memory, CPU"), format!("{used:.1} ms"), "≤ 10 ms")
            .within(used, 10.0),
        Row::new(format!("{what}, queue in memory, median wall time"), format!("{wall:.0} ms"), "≤ 30 ms")
            .within(wall, 30.0),
        Row::new(format!("{what}, queue on disk, CPU"), format!("{used_disk:.1} ms"), ""),
        Row::new(format!("{what}, queue on disk, median wall time"), format!("{wall_disk:.0} ms"), ""),
    ]
}

/// CPU and median wall time of a run in milliseconds.
fn runs(binary: &Path, api: &Peer, receiver: &Peer, queue: &Path) -> (f64, f64) {
    let mut walls = Vec::new();
    let before = cpu::children();
    for _ in 0..RUNS {
        let mut command = command(binary, api);
        command.env("REMOTE_WRITE_URL", &receiver.url).env("FLEETPUSH_QUEUE_DIR", queue).arg("once");
        let started = Instant::now();
        let status = command.status().expect("it starts");
        assert!(status.success(), "once: {status}");
        walls.push(started.elapsed());
    }
    let used = (cpu::children() - before).as_secs_f64() * 1e3 / f64::from(RUNS);
    walls.sort();
    (used, walls[walls.len() / 2].as_secs_f64() * 1e3)
}

/// The peak memory of a service that has run for some time and sent so many samples.
fn service(command: &mut Command, receiver: &mut Peer, samples: u64) -> f64 {
    let before = receiver.taken().samples;
    let mut child = command.spawn().expect("it starts");
    let started = Instant::now();
    while started.elapsed() < SERVED || receiver.taken().samples - before < samples {
        assert!(started.elapsed() < LONGEST, "{samples} samples do not arrive");
        sleep(Duration::from_millis(100));
    }
    let peak = cpu::peak_mib(child.id()).expect("it still runs");
    child.kill().expect("it still runs");
    child.wait().expect("it ends");
    peak
}
