//! Ten days without a receiver, and then the release binary with it: how fast the backlog goes, what it
//! costs, and that memory does not grow with it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use fleetpush::encode::record::Cutter;
use fleetpush::queue::{Appended, Queue};

use super::peer::{Peer, TOKEN};
use super::{Row, cpu, enqueue, runtime, shapes};

/// A cycle each minute for ten days of a thousand series, which make a request each, and for one day of ten
/// thousand, of whose requests several go at once. Cycles and fleets.
const SHAPES: [(usize, usize); 2] = [(14_400, 72), (1_440, 720)];
const SIZE: u64 = 4 << 30;
const AGE: Duration = Duration::from_secs(30 * 86_400);

/// What draining the backlogs takes.
pub fn rows(binary: &Path) -> Vec<Row> {
    SHAPES.into_iter().flat_map(|(cycles, fleets)| drained(binary, cycles, fleets)).collect()
}

fn drained(binary: &Path, cycles: usize, fleets: usize) -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let this = std::env::current_exe().expect("the path of this program");
    let mut fill = Command::new(this);
    fill.arg("fill").arg(folder.path()).args([cycles.to_string(), fleets.to_string()]);
    let status = fill.stdin(Stdio::null()).status();
    assert!(status.expect("this program starts again").success());
    let (api, mut receiver) = (Peer::api(1, 1, Duration::ZERO), Peer::receiver());
    let before = cpu::children();
    let started = Instant::now();
    let mut child = Command::new(binary)
        .args(["once", "--once.deadline", "10m"])
        .env_clear()
        .env("BALENA_TOKEN", TOKEN)
        .env("BALENA_API_URL", &api.url)
        .env("REMOTE_WRITE_URL", &receiver.url)
        .env("FLEETPUSH_QUEUE_DIR", folder.path())
        .env("FLEETPUSH_QUEUE_MAX_SIZE", "4GiB")
        .env("FLEETPUSH_QUEUE_MAX_AGE", "30d")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the release binary was built before");
    let mut peak = 0.0_f64;
    let status = loop {
        if let Some(status) = child.try_wait().expect("it is ours") {
            break status;
        }
        peak = peak.max(cpu::peak_mib(child.id()).unwrap_or(0.0));
        sleep(Duration::from_millis(50));
    };
    assert!(status.success(), "once: {status}");
    let (took, used) = (started.elapsed(), cpu::children() - before);
    let samples = receiver.taken().samples as f64;
    let series = fleets * shapes::SERIES_A_FLEET;
    assert!(samples >= (cycles * series) as f64, "{samples} samples arrived");
    let what = format!("drain {:.1} million samples, {cycles} cycles of {series} series", samples / 1e6);
    vec![
        Row::new(format!("{what}, samples a second"), format!("{:.0}", samples / took.as_secs_f64()), ""),
        Row::new(
            format!("{what}, CPU a million samples"),
            format!("{:.3} s", used.as_secs_f64() * 1e6 / samples),
            "",
        ),
        Row::new(format!("{what}, peak memory"), format!("{peak:.1} MiB"), "≤ 40 MiB").within(peak, 40.0),
    ]
}

/// Fills the queue in a folder, for the endpoint that the variables name: the folder, cycles, fleets.
pub fn fill(arguments: &[String]) {
    let number = |position: usize| arguments[position].parse::<usize>().expect("a number");
    let (cycles, said) = (number(1), shapes::cycles(&shapes::fleets(number(2))));
    let queue = Queue::open(arguments[0].clone().into(), SIZE, AGE).expect("an empty folder can be used");
    let runtime = runtime();
    runtime.block_on(queue.register("env")).expect("the store is open");
    // The last one lies a minute in the past.
    let start = -60 * cycles as i64;
    let mut known = Cutter::default();
    for number in 0..cycles {
        let entry = enqueue::entry(&said[number % said.len()], &mut known, start + 60 * number as i64);
        assert_eq!(runtime.block_on(queue.append(entry)), Appended::default(), "the queue has room");
    }
}
