//! What lies in a queue's folder, read from a copy of its file with redb itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fleetpush::demo::receiver::{Labels, Sample};
use fleetpush::encode::record;
use redb::{Builder, ReadableDatabase, ReadableTable, TableDefinition};

const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
const USES: TableDefinition<'_, u64, (u64, u64)> = TableDefinition::new("uses");
const PARTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("parts");
const CURSORS: TableDefinition<'_, &str, (u64, u64)> = TableDefinition::new("cursors");
const REFUSED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("refused");

/// A store as a process has left it.
#[derive(Debug, Default)]
pub struct Found {
    /// Records by number: a checksum, then the bytes, with those that it shares with others in their place.
    pub records: BTreeMap<u64, Vec<u8>>,
    /// Where the endpoint `env` stands: record, sample.
    pub cursor: Option<(u64, u64)>,
    /// How many records were set aside.
    pub refused: usize,
}

/// Reads a copy of the store in `folder`, which no process has open.
pub fn read(folder: &Path) -> Found {
    let copy = tempfile::tempdir().expect("a temporary folder");
    let file = copy.path().join("queue.redb");
    fs::copy(folder.join("queue.redb"), &file).expect("the store is there");
    let db = Builder::new().open(&file).expect("a store that was killed opens");
    let txn = db.begin_read().expect("it can be read");
    let mut found = Found::default();
    // A process that was killed before its first commit has left no tables.
    let Ok(records) = txn.open_table(RECORDS) else { return found };
    for row in records.iter().expect("a table") {
        let (number, bytes) = row.expect("a row");
        found.records.insert(number.value(), bytes.value().to_vec());
    }
    let parts = txn.open_table(PARTS).expect("all tables are made at once");
    for row in txn.open_table(USES).expect("a table").iter().expect("a table") {
        let (number, used) = row.expect("a row");
        let (part, at) = used.value();
        let part = parts.get(part).expect("a row").expect("a part that is used is there");
        let bytes = found.records.get_mut(&number.value()).expect("a part is used by a record that is there");
        let at = 4 + usize::try_from(at).expect("a small number");
        bytes.splice(at..at, part.value()[4..].iter().copied());
    }
    let cursors = txn.open_table(CURSORS).expect("all tables are made at once");
    found.cursor = cursors.get("env").expect("a row").map(|at| at.value());
    found.refused = txn.open_table(REFUSED).expect("a table").iter().expect("a table").count();
    found
}

/// Everything that was ever seen in a store.
#[derive(Debug, Default)]
pub struct Seen {
    records: BTreeMap<u64, Vec<u8>>,
    cursor: (u64, u64),
    /// Of each series, the bits at each time.
    pub samples: BTreeMap<Labels, BTreeMap<i64, u64>>,
}

impl Seen {
    /// Adds what a store holds; says how many samples of it still wait. A record never changes, a cursor
    /// never goes back.
    pub fn add(&mut self, found: &Found) -> usize {
        for (number, bytes) in &found.records {
            match self.records.get(number) {
                Some(before) => assert!(before == bytes, "record {number} has changed"),
                None => {
                    self.decode(&bytes[4..]);
                    self.records.insert(*number, bytes.clone());
                }
            }
        }
        let Some(cursor) = found.cursor else { return 0 };
        assert!(cursor >= self.cursor, "the cursor went back from {:?} to {cursor:?}", self.cursor);
        self.cursor = cursor;
        let waiting = found.records.range(cursor.0..).map(|(_, bytes)| samples(&bytes[4..]).len());
        waiting.sum::<usize>() - usize::try_from(cursor.1).expect("a small number")
    }

    fn decode(&mut self, bytes: &[u8]) {
        for (labels, sample) in samples(bytes) {
            let known = self.samples.entry(labels.clone()).or_default().insert(sample.timestamp, sample.bits);
            assert_eq!(known, None, "{labels:?} was queued twice for {}", sample.timestamp);
        }
    }

    /// How many of them a receiver does not hold, bit for bit, and one of them.
    pub fn missing(&self, stored: &BTreeMap<Labels, Vec<Sample>>) -> (usize, Option<(Labels, i64)>) {
        let mut missing = self.samples.iter().flat_map(|(labels, wanted)| {
            let held: BTreeMap<i64, u64> = stored
                .get(labels)
                .into_iter()
                .flatten()
                .map(|sample| (sample.timestamp, sample.bits))
                .collect();
            let lost = wanted.iter().filter(move |(at, bits)| held.get(at) != Some(bits));
            lost.map(|(at, _)| (labels.clone(), *at)).collect::<Vec<_>>()
        });
        let one = missing.next();
        (missing.count() + usize::from(one.is_some()), one)
    }
}

/// The samples of a record.
pub fn samples(bytes: &[u8]) -> Vec<(Labels, Sample)> {
    let record = record::decode(bytes).expect("a record of ours");
    let text = |reference: u32| record.symbols[reference as usize].clone();
    let one = |series: &record::Sample| {
        let labels = series.label_refs.chunks_exact(2).map(|pair| (text(pair[0]), text(pair[1]))).collect();
        let timestamp = series.timestamp;
        (labels, Sample { timestamp, bits: series.value_bits, start_timestamp: series.start_timestamp })
    };
    record.series.iter().map(one).collect()
}
