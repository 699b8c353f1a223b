//! The tables of the store, and how they are read.
//!
//! | table | key | value |
//! |---|---|---|
//! | `records` | number | CRC-32 of number, head, use and bytes (4, little endian), then the bytes |
//! | `heads` | number | samples, oldest millisecond, length, first record of its tick |
//! | `uses` | number of a record | the part that it shares, and how many of its own bytes come before it |
//! | `parts` | number of the record that brought it | CRC-32 of the number and bytes, then the bytes |
//! | `cursors` | endpoint | record, sample |
//! | `terms` | endpoint, record | CRC-32 of the record and bytes, then what its worker must know from there on |
//! | `kept` | source | two ranges of record numbers: see [`Kept`] |
//! | `states` | endpoint | what its worker wants to find again; opaque here |
//! | `refused` | number | CRC-32, then a [`super::Refused`] |
//! | `again` | number of a refused record | nothing: it is to be sent again |
//! | `blobs` | `counters` | what the program counts from one start to the next; opaque here |
//! | `meta` | `format`, `first` | 2; no record before this one is there but what `kept` names |

use std::collections::BTreeMap;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use super::Position;
use super::error::StoreError;
use super::head::{Head, Kept};
use super::index::Index;
use super::parts::Use;
use super::refused::{self, Moves, Shelf};
use super::terms::{Terms, Turned};

pub(super) const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
pub(super) const HEADS: TableDefinition<'_, u64, HeadRow> = TableDefinition::new("heads");
pub(super) const USES: TableDefinition<'_, u64, UseRow> = TableDefinition::new("uses");
pub(super) const PARTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("parts");
pub(super) const CURSORS: TableDefinition<'_, &str, (u64, u64)> = TableDefinition::new("cursors");
pub(super) const TERMS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("terms");
pub(super) const KEPT: TableDefinition<'_, &str, (u64, u64, u64, u64)> = TableDefinition::new("kept");
pub(super) const STATES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("states");
pub(super) const REFUSED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("refused");
const AGAIN: TableDefinition<'_, u64, ()> = TableDefinition::new("again");
pub(super) const BLOBS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("blobs");
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// The version of these tables. A table that is new and may be empty changes nothing for older ones.
const FORMAT: u64 = 2;

/// A row of [`HEADS`].
pub(super) type HeadRow = (u64, i64, u64, u64);

/// A row of [`USES`].
pub(super) type UseRow = (u64, u64);

impl Use {
    pub(super) fn row(self) -> UseRow {
        (self.part, self.at)
    }

    fn of_row((part, at): UseRow) -> Self {
        Use { part, at }
    }
}

impl Head {
    pub(super) fn row(self) -> HeadRow {
        (self.samples, self.at_ms, self.bytes, self.tick)
    }

    fn of_row((samples, at_ms, bytes, tick): HeadRow, part: Option<UseRow>) -> Self {
        Head { samples, at_ms, bytes, tick, part: part.map(Use::of_row) }
    }
}

/// The length of a checksum.
pub(super) const SUM: usize = 4;

/// What each endpoint's worker has kept.
pub(super) type States = BTreeMap<String, Vec<u8>>;

/// Makes the tables that are not there.
pub(super) fn make(txn: &WriteTransaction) -> Result<(), StoreError> {
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
    for table in [RECORDS, REFUSED, PARTS] {
        txn.open_table(table)?;
    }
    for table in [STATES, BLOBS] {
        txn.open_table(table)?;
    }
    txn.open_table(HEADS)?;
    txn.open_table(USES)?;
    txn.open_table(CURSORS)?;
    txn.open_table(TERMS)?;
    txn.open_table(KEPT)?;
    txn.open_table(AGAIN)?;
    Ok(())
}

/// Writes which terms come and go.
pub(super) fn turn(txn: &WriteTransaction, turned: &Turned) -> Result<(), StoreError> {
    if *turned == Turned::default() {
        return Ok(());
    }
    let mut table = txn.open_table(TERMS)?;
    for (endpoint, from) in &turned.gone {
        table.remove((endpoint.as_str(), *from))?;
    }
    for (endpoint, from, terms) in &turned.new {
        table.insert((endpoint.as_str(), *from), sealed(&[*from], terms).as_slice())?;
    }
    Ok(())
}

/// Writes what changes on the shelf.
pub(super) fn shelve(txn: &WriteTransaction, moves: &Moves) -> Result<(), StoreError> {
    if *moves == Moves::default() {
        return Ok(());
    }
    let (mut shelf, mut again) = (txn.open_table(REFUSED)?, txn.open_table(AGAIN)?);
    for (number, refused) in &moves.put {
        shelf.insert(number, sealed(&[*number], &refused::encode(refused)).as_slice())?;
    }
    for number in &moves.gone {
        shelf.remove(number)?;
        again.remove(number)?;
    }
    for number in &moves.again {
        again.insert(number, ())?;
    }
    Ok(())
}

/// What the tables hold, but for the records themselves.
pub(super) fn read(db: &Database) -> Result<(Index, States, Shelf), StoreError> {
    let txn = db.begin_read()?;
    let first = txn.open_table(META)?.get("first")?.map_or(0, |first| first.value());
    let uses = txn.open_table(USES)?;
    let mut heads = Vec::new();
    for row in txn.open_table(HEADS)?.iter()? {
        let (number, head) = row?;
        let (number, head) = (number.value(), head.value());
        let part = uses.get(number)?.map(|one| one.value());
        heads.push((number, Head::of_row(head, part)));
    }
    let mut lengths = BTreeMap::new();
    for row in txn.open_table(PARTS)?.iter()? {
        let (number, bytes) = row?;
        lengths.insert(number.value(), bytes.value().len().saturating_sub(SUM) as u64);
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
    let again = txn.open_table(AGAIN)?;
    for row in txn.open_table(REFUSED)?.iter()? {
        let (number, bytes) = row?;
        // One that was altered on the disk is never sent again, and stays for whoever looks.
        match unsealed(&[number.value()], bytes.value()).and_then(refused::decode) {
            Some(refused) => shelf.note(number.value(), &refused, again.get(number.value())?.is_some()),
            None => shelf.note_damaged(number.value()),
        }
    }
    let mut terms = Vec::new();
    for row in txn.open_table(TERMS)?.iter()? {
        let (key, bytes) = row?;
        let (endpoint, from) = key.value();
        // Those that were altered on the disk are as good as none.
        terms.extend(unsealed(&[from], bytes.value()).map(|one| (endpoint.to_owned(), from, one.into())));
    }
    let index = Index::load(&heads, &lengths, first, cursors, kept, Terms::load(terms));
    let index = index.ok_or_else(|| StoreError::Corrupted("a record is missing".to_owned()))?;
    Ok((index, states, shelf))
}

/// What a record's checksum covers beside its bytes: in another's place, under another head or with another
/// part, it is damaged.
pub(super) fn named(number: u64, (samples, at_ms, bytes, tick): HeadRow, part: Option<UseRow>) -> Vec<u64> {
    let mut all = vec![number, samples, at_ms.cast_unsigned(), bytes, tick];
    all.extend(part.into_iter().flat_map(<[u64; 2]>::from));
    all
}

/// Bytes with their checksum, and that of what they are named by, before them.
pub(super) fn sealed(named: &[u64], bytes: &[u8]) -> Vec<u8> {
    let mut all = vec![0; bytes.len() + SUM];
    seal(named, bytes, &mut all);
    all
}

/// The same into a place of just this length.
pub(super) fn seal(named: &[u64], bytes: &[u8], place: &mut [u8]) {
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
