//! The store on redb: each change is one transaction, durable once it is committed.
//!
//! | table | key | value |
//! |---|---|---|
//! | `records` | number | CRC-32 of number, head and bytes (4, little endian), then the bytes |
//! | `heads` | number | samples, oldest millisecond, length |
//! | `cursors` | endpoint | record, sample |
//! | `kept` | source | two ranges of record numbers: see [`Kept`] |
//! | `states` | endpoint | what its worker wants to find again; opaque here |
//! | `refused` | number | CRC-32, then a [`Refused`] |
//! | `meta` | `format`, `first` | 1; the first record that an endpoint may need |

use std::collections::BTreeMap;
use std::time::Duration;

use redb::{Builder, Database, Durability, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};

use super::error::StoreError;
use super::index::{Bounds, Change, Head, Index, Kept};
use super::refused::{self, Shelf};
use super::{Dropped, Entry, Position, Record, Refused};

pub(super) const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
pub(super) const HEADS: TableDefinition<'_, u64, (u64, i64, u64)> = TableDefinition::new("heads");
pub(super) const CURSORS: TableDefinition<'_, &str, (u64, u64)> = TableDefinition::new("cursors");
pub(super) const KEPT: TableDefinition<'_, &str, (u64, u64, u64, u64)> = TableDefinition::new("kept");
pub(super) const STATES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("states");
const REFUSED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("refused");
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// The version of these tables.
const FORMAT: u64 = 1;
/// Pages in memory. Each record is written once and read once, so more would only be memory.
pub(super) const CACHE: usize = 4 << 20;
/// Of the bytes that are allowed, so many sixteenths may be records: a transaction writes new pages before
/// it frees the old ones, and refused records, cursors and redb's own trees need room as well.
const SHARE: u64 = 13;

/// The length of a checksum.
const SUM: usize = 4;

/// What each endpoint's worker has kept.
type States = BTreeMap<String, Vec<u8>>;

/// How an endpoint's cursor moves, and what goes with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub(super) samples: usize,
    pub(super) refused: Option<Refused>,
    pub(super) state: Option<Vec<u8>>,
}

/// What goes with a [`Change`] in its transaction.
#[derive(Debug, Default)]
struct Besides<'a> {
    /// An endpoint's state.
    state: Option<(&'a str, &'a [u8])>,
    refused: Option<&'a Refused>,
}

/// An open store.
#[derive(Debug)]
pub(super) struct Store {
    db: Database,
    index: Index,
    bounds: Bounds,
    states: States,
    shelf: Shelf,
}

impl Store {
    /// Opens what a backend holds, or makes a new store in an empty one.
    pub(super) fn open(
        backend: Box<dyn StorageBackend>,
        max_size: u64,
        max_age: Duration,
    ) -> Result<Self, StoreError> {
        // Without the check a page that was altered on the disk may be believed, or make redb panic.
        let db = Builder::new()
            .set_cache_size(CACHE)
            .set_check_integrity_on_open(true)
            .create_with_backend(super::backend::Boxed(backend))?;
        let bounds = Bounds { cost: max_size / 16 * SHARE, age: max_age };
        Self::load(db, bounds)
    }

    fn load(db: Database, bounds: Bounds) -> Result<Self, StoreError> {
        let txn = db.begin_write()?;
        {
            let mut meta = txn.open_table(META)?;
            let format = meta.get("format")?.map(|format| format.value());
            match format {
                None => {
                    meta.insert("format", FORMAT)?;
                    meta.insert("first", 0)?;
                }
                Some(FORMAT) => {}
                Some(other) => return Err(StoreError::Format(other)),
            }
            for table in [RECORDS, REFUSED] {
                txn.open_table(table)?;
            }
            txn.open_table(HEADS)?;
            txn.open_table(CURSORS)?;
            txn.open_table(KEPT)?;
            txn.open_table(STATES)?;
        }
        txn.commit()?;
        let (index, states, shelf) = read(&db)?;
        Ok(Store { db, index, bounds, states, shelf })
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// How long there is room for at the present rate if nothing is delivered.
    pub(super) fn full_in(&self) -> Option<Duration> {
        self.index.full_in(self.bounds)
    }

    pub(super) fn db(&self) -> &Database {
        &self.db
    }

    /// Reads the tables again, after they were changed by someone else.
    pub(super) fn reload(&mut self) -> Result<(), StoreError> {
        (self.index, self.states, self.shelf) = read(&self.db)?;
        Ok(())
    }

    /// What the bounds do not allow goes with the same transaction.
    pub(super) fn append(&mut self, entry: &Entry) -> Result<Vec<Dropped>, StoreError> {
        let change = self.index.append(entry, self.bounds);
        let dropped = change.dropped.clone();
        self.commit(change, &Besides::default())?;
        Ok(dropped)
    }

    /// Gives an endpoint a cursor, where it has none.
    pub(super) fn register(&mut self, endpoint: &str) -> Result<(), StoreError> {
        match self.index.register(endpoint) {
            Some(change) => self.commit(change, &Besides::default()),
            None => Ok(()),
        }
    }

    pub(super) fn remove(&mut self, endpoint: &str) -> Result<(), StoreError> {
        let change = self.index.remove(endpoint);
        self.commit(change, &Besides::default())
    }

    /// Moves a cursor, sets aside what was refused, and keeps the endpoint's state, or none of it.
    pub(super) fn acknowledge(
        &mut self,
        endpoint: &str,
        from: Position,
        progress: &Progress,
    ) -> Result<(), StoreError> {
        let Some(change) = self.index.acknowledge(endpoint, from, progress.samples) else { return Ok(()) };
        let state = progress.state.as_deref().map(|state| (endpoint, state));
        self.commit(change, &Besides { state, refused: progress.refused.as_ref() })
    }

    pub(super) fn state(&self, endpoint: &str) -> Option<&[u8]> {
        self.states.get(endpoint).map(Vec::as_slice)
    }

    /// Keeps an endpoint's state.
    pub(super) fn keep_state(&mut self, endpoint: &str, state: &[u8]) -> Result<(), StoreError> {
        self.commit(self.index.unchanged(), &Besides { state: Some((endpoint, state)), refused: None })
    }

    /// Reads a record; nothing where its bytes are not those that were written.
    pub(super) fn record(&self, number: u64) -> Result<Option<Record>, StoreError> {
        let Some(head) = self.index.head(number) else { return Ok(None) };
        let txn = self.db.begin_read()?;
        let table = txn.open_table(RECORDS)?;
        let value = table.get(number)?;
        let named = named(number, (head.samples, head.oldest_ms, head.bytes));
        let bytes = value.as_ref().and_then(|value| unsealed(&named, value.value()));
        Ok(bytes.map(|bytes| Record {
            bytes: bytes.into(),
            samples: usize::try_from(head.samples).unwrap_or(usize::MAX),
            oldest_ms: head.oldest_ms,
        }))
    }

    /// What was set aside for an endpoint, oldest first.
    pub(super) fn refused(&self, endpoint: &str) -> Result<Vec<Refused>, StoreError> {
        let txn = self.db.begin_read()?;
        let table = txn.open_table(REFUSED)?;
        let mut all = Vec::new();
        for row in table.iter()? {
            let (number, bytes) = row?;
            let found = unsealed(&[number.value()], bytes.value()).and_then(refused::decode);
            all.extend(found.filter(|one| one.endpoint == endpoint));
        }
        Ok(all)
    }

    fn commit(&mut self, change: Change, besides: &Besides<'_>) -> Result<(), StoreError> {
        let mut shelf = self.shelf.clone();
        let mut txn = self.db.begin_write()?;
        txn.set_durability(Durability::Immediate)?;
        {
            // A table that is opened costs something, so only those that change are.
            if !change.new.is_empty() || !change.freed.is_empty() {
                let (mut records, mut heads) = (txn.open_table(RECORDS)?, txn.open_table(HEADS)?);
                for (number, record) in (self.index.end()..).zip(&change.new) {
                    let mut place = records.insert_reserve(number, record.bytes.len() + SUM)?;
                    let head = (record.samples as u64, record.oldest_ms, record.bytes.len() as u64);
                    seal(&named(number, head), &record.bytes, place.as_mut());
                    heads.insert(number, head)?;
                }
                for number in &change.freed {
                    records.remove(number)?;
                    heads.remove(number)?;
                }
            }
            if !change.cursors.is_empty() || !change.removed.is_empty() {
                let mut cursors = txn.open_table(CURSORS)?;
                for (endpoint, at) in &change.cursors {
                    cursors.insert(endpoint.as_str(), (at.record, at.sample as u64))?;
                }
                for endpoint in &change.removed {
                    cursors.remove(endpoint.as_str())?;
                }
            }
            if besides.state.is_some() || !change.removed.is_empty() {
                let mut states = txn.open_table(STATES)?;
                for endpoint in &change.removed {
                    states.remove(endpoint.as_str())?;
                }
                if let Some((endpoint, state)) = besides.state {
                    states.insert(endpoint, state)?;
                }
            }
            if let Some((source, kept)) = &change.kept {
                let ranges = (kept.whole.start, kept.whole.end, kept.also.start, kept.also.end);
                txn.open_table(KEPT)?.insert(source.as_str(), ranges)?;
            }
            if change.first != self.index.first() {
                txn.open_table(META)?.insert("first", change.first)?;
            }
            if let Some(refused) = besides.refused {
                let mut shelved = txn.open_table(REFUSED)?;
                let bytes = refused::encode(refused);
                let number = shelf.next();
                shelved.insert(number, sealed(&[number], &bytes).as_slice())?;
                for number in shelf.add(number, bytes.len()) {
                    shelf.remove(number);
                    shelved.remove(number)?;
                }
            }
        }
        txn.commit()?;
        self.shelf = shelf;
        if let Some((endpoint, state)) = besides.state {
            self.states.insert(endpoint.to_owned(), state.to_vec());
        }
        for endpoint in &change.removed {
            self.states.remove(endpoint);
        }
        self.index.apply(change);
        Ok(())
    }
}

/// What the tables hold, but for the records themselves.
fn read(db: &Database) -> Result<(Index, States, Shelf), StoreError> {
    let txn = db.begin_read()?;
    let first = txn.open_table(META)?.get("first")?.map_or(0, |first| first.value());
    let mut heads = Vec::new();
    for row in txn.open_table(HEADS)?.iter()? {
        let (number, head) = row?;
        let (samples, oldest_ms, bytes) = head.value();
        heads.push((number.value(), Head { samples, oldest_ms, bytes }));
    }
    let mut cursors = BTreeMap::new();
    for row in txn.open_table(CURSORS)?.iter()? {
        let (endpoint, at) = row?;
        let (record, sample) = at.value();
        let sample = usize::try_from(sample).unwrap_or(usize::MAX);
        cursors.insert(endpoint.value().to_owned(), Position { record, sample });
    }
    let mut kept = BTreeMap::new();
    for row in txn.open_table(KEPT)?.iter()? {
        let (source, ranges) = row?;
        let (a, b, c, d) = ranges.value();
        kept.insert(source.value().to_owned(), Kept { whole: a..b, also: c..d });
    }
    let mut states = BTreeMap::new();
    for row in txn.open_table(STATES)?.iter()? {
        let (endpoint, state) = row?;
        states.insert(endpoint.value().to_owned(), state.value().to_vec());
    }
    let mut shelf = Shelf::default();
    for row in txn.open_table(REFUSED)?.iter()? {
        let (number, bytes) = row?;
        shelf.note(number.value(), bytes.value().len());
    }
    drop(txn);
    let index = Index::load(heads.into_iter(), first, cursors, kept);
    let index = index.ok_or_else(|| StoreError::Corrupted("a record is missing".to_owned()))?;
    Ok((index, states, shelf))
}

/// What a record's checksum covers beside its bytes: in another's place, or under another head, it is damaged.
pub(super) fn named(number: u64, (samples, oldest_ms, bytes): (u64, i64, u64)) -> [u64; 4] {
    [number, samples, oldest_ms.cast_unsigned(), bytes]
}

/// Bytes with their checksum, and that of what they are named by, before them.
pub(super) fn sealed(named: &[u64], bytes: &[u8]) -> Vec<u8> {
    let mut all = vec![0; bytes.len() + SUM];
    seal(named, bytes, &mut all);
    all
}

/// The same into a place of just this length.
fn seal(named: &[u64], bytes: &[u8], place: &mut [u8]) {
    let (sum, rest) = place.split_at_mut(SUM);
    sum.copy_from_slice(&checksum(named, bytes).to_le_bytes());
    rest.copy_from_slice(bytes);
}

pub(super) fn unsealed<'a>(named: &[u64], all: &'a [u8]) -> Option<&'a [u8]> {
    let (sum, bytes) = all.split_first_chunk::<SUM>()?;
    (u32::from_le_bytes(*sum) == checksum(named, bytes)).then_some(bytes)
}

fn checksum(named: &[u64], bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for number in named {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(bytes);
    hasher.finalize()
}
