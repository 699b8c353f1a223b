//! Batches through the real worker to a receiver: what a sample costs all in, from the batch to the
//! acknowledged request. The receiver decodes every request in a process of its own.

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
pub fn rows(shape: &str, batch: &Batch, limits: [f64; 2]) -> Vec<Row> {
    let versions = [("1.0", ProtobufMessage::V1), ("2.0", ProtobufMessage::V2)];
    let rows = versions.into_iter().zip(limits).map(|((name, message), limit)| {
        let mut runs = [(); RUNS].map(|()| deliver(batch, message));
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
fn deliver(batch: &Batch, message: ProtobufMessage) -> (f64, f64) {
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
    let mut worker =
        Worker::new(endpoint, shapes::external(), queue.clone(), Clock::SYSTEM, Telemetry::new())
            .expect("usable settings");
    let rounds = (SAMPLES / batch.series_count()).max(1);
    let runtime = runtime();
    runtime.block_on(queue.register("bench")).expect("the store is open");
    let mut known = Cutter::default();
    let mut round = |number: usize| {
        let entry = enqueue::entry(batch, &mut known, number as i64);
        let drained = runtime.block_on(async {
            assert_eq!(queue.append(entry).await, Appended::default(), "the queue has room");
            worker.drain(Instant::now() + Duration::from_secs(60), &CancellationToken::new()).await
        });
        assert_eq!(drained.waiting_samples + drained.refused_samples, 0, "{:?}", drained.last_error);
    };
    // Connection, client and table sizes are not what is measured.
    round(0);
    let before = receiver.taken();
    let used = cpu::of(|| (1..=rounds).for_each(&mut round));
    let after = receiver.taken();
    let samples = after.samples - before.samples;
    assert_eq!(samples, (rounds * batch.series_count()) as u64, "every sample arrived once");
    (used.as_secs_f64() * 1e6 / samples as f64, (after.bytes - before.bytes) as f64 / samples as f64)
}
