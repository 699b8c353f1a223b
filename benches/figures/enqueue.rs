//! From a cycle's batch to its records on disk: what stands between collecting and "nothing is lost".

use std::time::Duration;

use fleetpush::app::kept;
use fleetpush::encode::record::Cutter;
use fleetpush::queue::{self, Appended, Entry, Queue};
use fleetpush::sample::{Batch, Millis};

use super::{Row, cpu, runtime, shapes};

const ROUNDS: u32 = 60;
const SERIES: usize = 10_000;

/// CPU of 10,000 series of either shape.
pub fn rows() -> Vec<Row> {
    let fleets = shapes::fleets(SERIES / shapes::SERIES_A_FLEET);
    [("fleet-shaped", &fleets), ("uuid-shaped", &shapes::devices(SERIES))]
        .map(|(shape, batch)| {
            let (count, used) = (batch.series_count(), enqueue(batch).as_secs_f64() * 1e3);
            Row::new(
                format!("enqueue {count} {shape} series durably, CPU"),
                format!("{used:.1} ms"),
                "≤ 10 ms",
            )
            .within(used, 10.0)
        })
        .into()
}

fn enqueue(batch: &Batch) -> Duration {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let queue = Queue::open(folder.path().to_owned(), 4 << 30, Duration::from_secs(86_400));
    let queue = queue.expect("an empty folder can be used");
    let runtime = runtime();
    runtime.block_on(queue.register("bench")).expect("the store is open");
    let mut known = Cutter::default();
    let mut round = |number: u32| {
        let entry = entry(batch, &mut known, i64::from(number));
        assert_eq!(runtime.block_on(queue.append(entry)), Appended::default(), "the queue has room");
    };
    round(0);
    cpu::of(|| (1..=ROUNDS).for_each(round)) / ROUNDS
}

/// What the queue's door makes of a batch, so many seconds later.
pub fn entry(batch: &Batch, known: &mut Cutter, seconds: i64) -> Entry {
    let batch = batch.clone().at_time(Millis(batch.at().0 + seconds * 1_000));
    let records = known.cut(&batch, &shapes::identity(), shapes::REQUEST).into_iter();
    Entry { source: "bench".into(), scope: queue::Scope::Whole, records: records.map(kept).collect() }
}
