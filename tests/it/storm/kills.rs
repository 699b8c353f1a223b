//! The storm: the real binary is killed again and again while its receiver misbehaves.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use fleetpush::demo::balena;
use fleetpush::demo::receiver::{self, Cut, Fault, Times};

use super::door::Door;
use super::log::{Life, Phase};
use super::odometer::Odometer;
use super::store::{self, Seen};
use super::{report, strictly_rising};
use crate::program::{LIMIT, Program};
use crate::servers::eventually;

/// So many kills in a hundred must hit each phase.
const IN_A_HUNDRED: usize = 5;
/// So many samples make a record; a cycle has several times as many.
const A_REQUEST: usize = 6;
/// A phase that does not come in so long a time is not waited for.
const PATIENCE: Duration = Duration::from_millis(1_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn whatever_was_committed_arrives_in_order_however_often_it_is_killed() {
    let kills = usize::try_from(report::setting("STORM_KILLS", 20)).expect("a small number");
    let seed = report::setting("STORM_SEED", fastrand::u64(..));
    report::say(&format!("STORM_SEED={seed} STORM_KILLS={kills}"));
    let mut random = fastrand::Rng::with_seed(seed);
    let begun = Instant::now();
    let odometer = Odometer::start();
    let options = balena::Options { latency: Duration::from_millis(12), ..balena::Options::default() };
    let api = balena::Server::start(odometer.simulation.clone(), options).await.expect("a free port");
    let remote = receiver::Server::start(receiver::Options::default()).await.expect("a free port");
    let door = Door::before(remote.address()).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut storm = Storm::default();
    for kill in 0..kills {
        remote.clear_faults();
        for _ in 0..random.usize(10..60) {
            let (fault, times) = trouble(&mut random);
            remote.inject(fault, Times::Next(times));
        }
        // One start in eight meets a receiver that refuses connections, for a part of its life.
        let refuses = random.u8(..8) == 0;
        door.set_open(!refuses);
        let mut program = start(&api, &door, folder.path(), "50ms");
        let aim = Phase::ALL.into_iter().min_by_key(|phase| storm.of(*phase)).expect("four of them");
        let (wait, after) = (random.u64(60..600), random.u64(..150));
        tokio::time::sleep(Duration::from_millis(wait / 2)).await;
        door.set_open(true);
        tokio::time::sleep(Duration::from_millis(wait / 2)).await;
        tokio::task::block_in_place(|| {
            await_phase(&program.folder().join("stderr"), aim);
            std::thread::sleep(Duration::from_micros(after));
            program.kill();
        });
        storm.killed(kill, aim, &program.stderr(), folder.path());
    }
    let stormed = begun.elapsed();

    // Peace.
    remote.clear_faults();
    let mut last = start(&api, &door, folder.path(), "1h");
    let waiting = storm.waiting;
    eventually("everything is acknowledged", LIMIT * 4, async || {
        let life = Life::of(&last.stderr());
        (life.committed == 2 && life.acknowledged == waiting + life.samples()).then_some(())
    })
    .await;
    eventually("everything of the store has arrived", LIMIT * 4, async || {
        (storm.seen.missing(&remote.samples()).0 == 0).then_some(())
    })
    .await;
    last.signal("TERM");
    assert_eq!(last.code().await, 0, "{}", last.stderr());
    storm.ended(&last.stderr(), folder.path());

    let stored = remote.samples();
    let (missing, one) = storm.seen.missing(&stored);
    assert_eq!(missing, 0, "such as {one:?}");
    let repeated = strictly_rising(&remote);
    storm.compare(&stored);
    let cycles = odometer.compare(&stored);
    let samples: usize = stored.values().map(Vec::len).sum();
    assert!(cycles >= kills, "only {cycles} cycles were committed");
    let mut lines = vec![
        format!(
            "Seed {seed}: `STORM_SEED={seed} STORM_KILLS={kills}` plays the same faults at the same pace again."
        ),
        String::new(),
        "| phase | kills that hit it |".to_owned(),
        "|---|---|".to_owned(),
    ];
    lines.extend(Phase::ALL.iter().map(|phase| format!("| {phase} | {} |", storm.of(*phase))));
    lines.push(format!("| between two of them | {} |", kills - storm.phases.values().sum::<usize>()));
    lines.push(String::new());
    lines.push(format!(
        "{kills} kills in {:.0} s; {cycles} cycles, {samples} samples: none lost, none out of order, none refused; \
         {repeated} requests came twice, with the same samples; {waiting} samples waited at the last kill.",
        stormed.as_secs_f64()
    ));
    report::section("Storm of kills", &lines);
    let least = kills * IN_A_HUNDRED / 100;
    for phase in Phase::ALL {
        assert!(storm.of(phase) >= least, "{phase} was hit {} times, not {least}", storm.of(phase));
    }
}

fn start(api: &balena::Server, door: &Door, folder: &Path, every: &str) -> Program {
    let file = folder.join("fleetpush.yml");
    let backoff = "{min_backoff: 5ms, max_backoff: 50ms}";
    // Small records, so that a cycle makes several requests, which go at once.
    let queue = format!("queue: {{max_samples_per_send: {A_REQUEST}}}");
    let text = format!(
        "remote_write: [{{name: env, url: \"{}\", queue_config: {backoff}}}]\n{queue}\n",
        door.write_url()
    );
    std::fs::write(&file, text).expect("a file in our own folder");
    let environment = [
        ("FLEETPUSH_CONFIG_FILE", file.to_str().expect("a path of ours")),
        ("FLEETPUSH_QUEUE_DIR", folder.to_str().expect("a path of ours")),
        ("CRAWL_INTERVAL", every),
        ("FLEETPUSH_LOG_LEVEL", "trace"),
    ];
    Program::service(api, &environment)
}

/// What the receiver does next, and how often.
fn trouble(random: &mut fastrand::Rng) -> (Fault, usize) {
    let ms = Duration::from_millis;
    match random.u8(..16) {
        0 => (Fault::Cut(Cut::BeforeWork), 1),
        1 => (Fault::Cut(Cut::AfterWork), 1),
        2 | 3 => (Fault::status([500, 502, 503, 504][random.usize(..4)]), random.usize(1..3)),
        4 => (Fault::RateLimit("0".to_owned()), 1),
        5 => (Fault::Stall { time: ms(random.u64(..80)), code: 503 }, 1),
        6 => (Fault::Hang(ms(random.u64(100..800))), 1),
        7 | 8 => (Fault::Hang(ms(random.u64(..40))), random.usize(1..6)),
        // As if nothing were wrong.
        _ => (Fault::Hang(Duration::ZERO), random.usize(1..8)),
    }
}

/// Returns as soon as a new line of the log says that a phase begins.
fn await_phase(log: &Path, phase: Phase) {
    let mut file = File::open(log).expect("its log");
    let mut text = String::new();
    file.read_to_string(&mut text).expect("text");
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        text.clear();
        file.read_to_string(&mut text).expect("text");
        if text.lines().next_back().is_some_and(|line| phase.begins(line)) {
            return;
        }
        std::thread::sleep(Duration::from_micros(50));
    }
}

#[derive(Default)]
struct Storm {
    seen: Seen,
    lives: Vec<Life>,
    phases: BTreeMap<Phase, usize>,
    /// Samples in the store that the receiver had not taken at the last kill.
    waiting: usize,
}

impl Storm {
    fn killed(&mut self, kill: usize, aim: Phase, log: &str, folder: &Path) {
        self.waiting = self.note(log, folder);
        let hit = &self.lives.last().expect("noted above").phases;
        // One kill counts once: for what was aimed at, else for the rarest.
        let counted = hit.iter().find(|phase| **phase == aim).or_else(|| hit.iter().min()).copied();
        let words: Vec<String> = hit.iter().map(ToString::to_string).collect();
        let words = if words.is_empty() { "between two phases".to_owned() } else { words.join(" and ") };
        report::say(&format!("kill {kill}: {words}; {} samples wait", self.waiting));
        if let Some(phase) = counted {
            *self.phases.entry(phase).or_default() += 1;
        }
    }

    fn ended(&mut self, log: &str, folder: &Path) {
        let waiting = self.note(log, folder);
        assert_eq!(waiting, 0, "acknowledged is what the store says");
    }

    fn note(&mut self, log: &str, folder: &Path) -> usize {
        for word in ["level=error", "panicked", "damaged"] {
            let line = log.lines().find(|line| line.contains(word));
            assert_eq!(line, None);
        }
        let found = store::read(folder);
        assert_eq!(found.refused, 0, "nothing of it was to be refused");
        self.lives.push(Life::of(log));
        self.seen.add(&found)
    }

    fn of(&self, phase: Phase) -> usize {
        self.phases.get(&phase).copied().unwrap_or(0)
    }

    /// Holds what has arrived against what the logs say: a commit that was confirmed is there as a whole, one
    /// that was not as a whole or not at all, and there is nothing else.
    fn compare(&self, stored: &BTreeMap<receiver::Labels, Vec<receiver::Sample>>) {
        let mut arrived = BTreeMap::<i64, usize>::new();
        for sample in stored.values().flatten() {
            *arrived.entry(sample.timestamp).or_default() += 1;
        }
        let (mut sure, mut doubtful) = (BTreeMap::<i64, usize>::new(), BTreeMap::<i64, usize>::new());
        for life in &self.lives {
            let (committed, open) = life.said.split_at(life.committed);
            assert!(open.len() <= 1, "{open:?}");
            for (all, into) in [(committed, &mut sure), (open, &mut doubtful)] {
                for said in all {
                    *into.entry(said.at.expect("each has samples")).or_default() += said.samples;
                }
            }
        }
        for (at, samples) in &sure {
            let came = arrived.get(at).copied().unwrap_or(0);
            let more = doubtful.get(at).copied().unwrap_or(0);
            assert!(
                came == *samples || came == samples + more,
                "{came} of {samples} samples of {at} have arrived"
            );
        }
        for (at, came) in arrived.iter().filter(|(at, _)| !sure.contains_key(at)) {
            assert_eq!(doubtful.get(at), Some(came), "samples of {at} that nobody has queued");
        }
    }
}
