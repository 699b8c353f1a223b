//! Batches through the real worker to a receiver: what a sample costs all in, from the batch to the
//! acknowledged request. The receiver decodes every request in a process of its own.

use std::ops::Range;
use std::time::Duration;

use fleetpush::clock::Clock;
use fleetpush::config::{Endpoint, MetadataSettings, ProtobufMessage, Retry, SendExemplars, Start};
use fleetpush::encode::record::Cutter;
use fleetpush::queue::{Appended, Queue};
use fleetpush::sample::Batch;
use fleetpush::sink::worker::Worker;
use fleetpush::telemetry::Telemetry;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::peer::Peer;
use super::{Row, cpu, enqueue, runtime, shapes};

const SAMPLES: usize = 1_500_000;
/// A shared machine makes single runs differ by a third.
const RUNS: usize = 5;

/// CPU of both versions for a shape.
pub fn rows(shape: &str, first: &Batch, limits: [f64; 2]) -> Vec<Row> {
    let cycles = shapes::cycles(first);
    let versions = [("1.0", ProtobufMessage::V1), ("2.0", ProtobufMessage::V2)];
    let rows = versions.into_iter().zip(limits).map(|((name, message), limit)| {
        let mut runs = [(); RUNS].map(|()| deliver(&cycles, message));
        runs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (used, bytes) = runs[RUNS / 2];
        Row::new(
            format!(
                "{shape}, sent as {name}, queue on disk included, CPU a million samples, median of {RUNS}"
            ),
            format!("{used:.3} s ({bytes:.1} bytes a sample)"),
            format!("≤ {limit} s"),
        )
        .within(used, limit)
    });
    rows.collect()
}

/// CPU seconds a million samples, and bytes a sample.
fn deliver(cycles: &[Batch], message: ProtobufMessage) -> (f64, f64) {
    let mut receiver = Peer::receiver();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let queue = Queue::open(folder.path().to_owned(), 64 << 20, Duration::from_secs(3_600));
    let queue = queue.expect("an empty folder can be used");
    let endpoint = Endpoint {
        name: "bench".into(),
        url: receiver.url.parse().expect("a URL"),
        start: Start::Now,
        protobuf_message: message,
        max_samples_per_send: shapes::REQUEST,
        max_shards: 4,
        retry: Retry { min: Duration::from_millis(30), max: Duration::from_secs(5) },
        metadata: MetadataSettings { send: true, every: Duration::from_secs(60) },
        write_relabel: fleetpush::relabel::Rules::default(),
        exemplars: SendExemplars::InTwo,
        http: shapes::http(),
    };
    let worker = Worker::new(endpoint, shapes::external(), queue.clone(), Clock::SYSTEM, Telemetry::new())
        .expect("usable settings");
    let series = cycles[0].series_count();
    let rounds = (SAMPLES / series).max(1);
    let runtime = runtime();
    runtime.block_on(queue.register("bench")).expect("the store is open");
    let site = Site { cycles: cycles.to_vec(), known: Cutter::default(), queue, worker };
    let delivered = |site: Site, rounds: Range<usize>| {
        let done = runtime.block_on(async { tokio::spawn(site.delivered(rounds)).await });
        done.expect("every round ends well")
    };
    // Connection, client and table sizes are not what is measured.
    let site = delivered(site, 0..1);
    let before = receiver.taken();
    let used = cpu::of(|| drop(delivered(site, 1..rounds + 1)));
    let after = receiver.taken();
    let samples = after.samples - before.samples;
    assert_eq!(samples, (rounds * series) as u64, "every sample arrived once");
    (used.as_secs_f64() * 1e6 / samples as f64, (after.bytes - before.bytes) as f64 / samples as f64)
}

/// From the batch to the answer, as the program does it.
struct Site {
    cycles: Vec<Batch>,
    known: Cutter,
    queue: Queue,
    worker: Worker,
}

impl Site {
    /// Delivers one cycle after the other. A task of its own, as the program's workers are.
    async fn delivered(mut self, rounds: Range<usize>) -> Site {
        for round in rounds {
            let batch = &self.cycles[round % self.cycles.len()];
            let entry = enqueue::entry(batch, &mut self.known, round as i64);
            assert_eq!(self.queue.append(entry).await, Appended::default(), "the queue has room");
            let deadline = Instant::now() + Duration::from_secs(60);
            let drained = self.worker.drain(deadline, &CancellationToken::new()).await;
            assert_eq!(drained.waiting_samples + drained.refused_samples, 0, "{:?}", drained.last_error);
        }
        self
    }
}
