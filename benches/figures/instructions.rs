//! Instructions that the encoders and one cycle execute, counted by callgrind: the figure that does not
//! depend on the neighbours. Two runs that differ in their rounds alone are subtracted, which leaves out
//! start and setup.

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::Duration;

use fleetpush::encode::record::Cutter;

use super::peer::Peer;
use super::{Row, encode, shapes};

const DEVICES: usize = 10_000;
const ROUNDS: usize = 3;

/// The figures; valgrind must be there.
pub fn rows() -> Vec<Row> {
    let api = Peer::api(250, 20, Duration::ZERO);
    let figures = [
        ("cut", "cut 10,000 device series into records"),
        ("one", "read them and encode to 1.0 and snappy"),
        ("two", "read them and encode to 2.0 and snappy"),
        ("first-cut", "cut them for the first time"),
        ("first-one", "read them and encode to 1.0 for the first time"),
        ("first-two", "read them and encode to 2.0 for the first time"),
        ("cycle", "a cycle of 250 fleets × 20 devices: request, gunzip, parse, count"),
    ];
    figures
        .map(|(work, what)| {
            let once = count(work, 1, &api.url);
            let more = count(work, 1 + ROUNDS, &api.url);
            let each = (more - once) as f64 / ROUNDS as f64;
            Row::new(format!("instructions: {what}"), format!("{:.2} million", each / 1e6), "")
        })
        .into()
}

fn count(work: &str, rounds: usize, url: &str) -> u64 {
    let this = std::env::current_exe().expect("the path of this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .args(["work", work, &rounds.to_string(), url])
        .stdin(Stdio::null())
        .output()
        .expect("valgrind is missing; on Debian and Ubuntu: apt-get install valgrind");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let line =
        said.lines().find_map(|line| line.split_once("Collected : ")).expect("what callgrind collected");
    line.1.trim().parse().expect("a number of instructions")
}

/// What runs under callgrind.
pub fn work(arguments: &[String]) {
    let rounds: usize = arguments[1].parse().expect("a number");
    match &*arguments[0] {
        "cycle" => {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let mut collector = shapes::collector(&arguments[2]);
            for _ in 0..rounds {
                let (_, report) = runtime.block_on(collector.cycle());
                assert_eq!(report.fleets, Some(250), "{:?}", report.error);
            }
        }
        work => {
            let ticks = [0, 1].map(|tick| shapes::devices_at(DEVICES, tick));
            let (mut known, mut encoder) = (Cutter::default(), encode::encoder());
            let records = ticks.each_ref().map(|tick| shapes::cut_again(tick, &mut known));
            // The first round knows nothing yet, and is subtracted.
            for tick in (0..rounds).map(|round| round % 2) {
                match work {
                    "cut" => drop(black_box(shapes::cut_again(&ticks[tick], &mut known))),
                    "one" => encode::all(&records[tick], &mut encoder, encode::one),
                    "two" => encode::all(&records[tick], &mut encoder, encode::two),
                    "first-cut" => drop(black_box(shapes::cut(&ticks[tick]))),
                    "first-one" => encode::all(&records[tick], &mut encode::encoder(), encode::one),
                    "first-two" => encode::all(&records[tick], &mut encode::encoder(), encode::two),
                    other => panic!("{other} is no work"),
                }
            }
        }
    }
}
