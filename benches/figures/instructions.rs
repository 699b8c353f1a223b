//! Instructions that the encoders and one cycle execute, counted by callgrind: the figure that does not
//! depend on the neighbours. Two runs that differ in their rounds alone are subtracted, which leaves out
//! start and setup.

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::encode::{decoded, one, two};
use super::peer::Peer;
use super::{Row, shapes};

const DEVICES: usize = 10_000;
const ROUNDS: usize = 3;

/// The figures; valgrind must be there.
pub fn rows() -> Vec<Row> {
    let api = Peer::api(250, 20, Duration::ZERO);
    let figures = [
        ("cut", "cut 10,000 device series into records"),
        ("one", "encode them to 1.0 and snappy"),
        ("two", "encode them to 2.0 and snappy"),
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
        "cut" => {
            let batch = shapes::devices(DEVICES);
            (0..rounds).for_each(|_| drop(black_box(shapes::cut(&batch))));
        }
        version => {
            let records: Vec<_> =
                shapes::cut(&shapes::devices(DEVICES)).iter().map(|record| decoded(&record.bytes)).collect();
            let encode = if version == "one" { one } else { two };
            let external = shapes::external();
            for _ in 0..rounds {
                records.iter().for_each(|record| drop(black_box(encode(record, &external))));
            }
        }
    }
}
