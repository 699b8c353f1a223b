//! The store on redb: each change is one transaction, durable once it is committed. Its tables stand in
//! `tables.rs`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use redb::{Builder, Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend};

use super::error::StoreError;
use super::head::Head;
use super::index::{Bounds, Change, Index};
use super::parts::{Recent, Use};
use super::refused::{self, Moves, Shelf};
use super::tables::{
    BLOBS, CURSORS, HEADS, KEPT, META, PARTS, RECORDS, REFUSED, STATES, SUM, States, USES, make, named, read,
    seal, shelve, turn, unsealed,
};
use super::{
    Again, Aside, Discarded, Done, Dropped, Entry, Peeked, Position, Record, Refused, Shared, Start, Turn,
};

/// Pages in memory. Each record is written once and read once, so more would only be memory.
pub(super) const CACHE: usize = 4 << 20;
/// Of the bytes that are allowed, so many sixteenths may be records: a transaction writes new pages before
/// it frees the old ones, and refused records, cursors and redb's own trees need room as well.
const SHARE: u64 = 13;

/// What goes with a [`Change`] in its transaction.
#[derive(Debug, Default)]
struct Besides<'a> {
    /// An endpoint's state.
    state: Option<(&'a str, &'a [u8])>,
    shelf: Moves,
    counters: Option<&'a [u8]>,
}

/// What records may take together in a store of this size, in its pages.
pub(super) fn room(max_size: u64) -> u64 {
    max_size / 16 * SHARE
}

/// An open store.
#[derive(Debug)]
pub(super) struct Store {
    db: Database,
    index: Index,
    bounds: Bounds,
    states: States,
    shelf: Shelf,
    commits: u64,
    recent: RefCell<Recent>,
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
        Self::load(db, Bounds { cost: room(max_size), age: max_age })
    }

    fn load(db: Database, bounds: Bounds) -> Result<Self, StoreError> {
        let txn = db.begin_write()?;
        make(&txn)?;
        txn.commit()?;
        let (index, states, shelf) = read(&db)?;
        Ok(Store { db, index, bounds, states, shelf, commits: 0, recent: RefCell::default() })
    }

    /// Durable transactions since it was opened, which itself needs no new room.
    pub(super) fn commits(&self) -> u64 {
        self.commits
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
    pub(super) fn append(&mut self, entry: &Entry, turns: &[Turn]) -> Result<Vec<Dropped>, StoreError> {
        let change = self.index.append(entry, turns, self.bounds);
        let dropped = change.dropped.clone();
        self.commit(change, &Besides::default())?;
        Ok(dropped)
    }

    /// Gives an endpoint a cursor, where it has none.
    pub(super) fn register(&mut self, endpoint: &str, start: Start) -> Result<(), StoreError> {
        match self.index.register(endpoint, start) {
            Some(change) => self.commit(change, &Besides::default()),
            None => Ok(()),
        }
    }

    /// Takes an endpoint's cursor and everything that was refused there.
    pub(super) fn remove(&mut self, endpoint: &str) -> Result<Discarded, StoreError> {
        self.discard(endpoint, self.index.remove(endpoint))
    }

    /// Moves an endpoint's cursor to the end, and takes everything that was refused there.
    pub(super) fn skip(&mut self, endpoint: &str) -> Result<Discarded, StoreError> {
        self.discard(endpoint, self.index.skip(endpoint))
    }

    fn discard(&mut self, endpoint: &str, change: Change) -> Result<Discarded, StoreError> {
        let discarded = Discarded {
            waiting: self.index.waiting(endpoint).samples,
            refused: self.aside().get(endpoint).map_or(0, |aside| aside.samples),
        };
        let shelf = self.shelf.clear(endpoint);
        self.commit(change, &Besides { shelf, ..Besides::default() })?;
        Ok(discarded)
    }

    /// The record where an endpoint stands and those behind it that are of the same tick, at most so many.
    pub(super) fn peek(&self, endpoint: &str, most: usize) -> Result<Vec<Peeked>, StoreError> {
        let peeked = self.index.ahead(endpoint, most).map(|(position, head)| {
            let samples = usize::try_from(head.samples).unwrap_or(usize::MAX);
            let terms = self.index.terms(endpoint, position.record);
            Ok(Peeked { position, samples, record: self.record(position.record)?, terms })
        });
        peeked.collect()
    }

    /// Moves a cursor, sets aside what was refused, and keeps the endpoint's state, or none of it.
    pub(super) fn acknowledge(
        &mut self,
        endpoint: &str,
        from: Position,
        done: &Done,
    ) -> Result<(), StoreError> {
        let Some(mut change) = self.index.acknowledge(endpoint, from, done.to) else { return Ok(()) };
        // What lies on the shelf may still be sent again.
        if done.refused.is_none() && !self.aside().contains_key(endpoint) {
            change = self.index.without_passed(endpoint, change);
        }
        let state = done.state.as_deref().map(|state| (endpoint, state));
        let shelf = done.refused.clone().map(|refused| self.shelf.set_aside(refused));
        self.commit(change, &Besides { state, shelf: shelf.unwrap_or_default(), counters: None })
    }

    pub(super) fn state(&self, endpoint: &str) -> Option<&[u8]> {
        self.states.get(endpoint).map(Vec::as_slice)
    }

    /// Keeps an endpoint's state.
    pub(super) fn keep_state(&mut self, endpoint: &str, state: &[u8]) -> Result<(), StoreError> {
        let besides = Besides { state: Some((endpoint, state)), ..Besides::default() };
        self.commit(self.index.unchanged(), &besides)
    }

    /// What the program counts from one start to the next.
    pub(super) fn counters(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let txn = self.db.begin_read()?;
        let found = txn.open_table(BLOBS)?.get("counters")?;
        Ok(found.map(|bytes| bytes.value().to_vec()))
    }

    pub(super) fn keep_counters(&mut self, counters: &[u8]) -> Result<(), StoreError> {
        let besides = Besides { counters: Some(counters), ..Besides::default() };
        self.commit(self.index.unchanged(), &besides)
    }

    /// What is set aside for each endpoint.
    pub(super) fn aside(&self) -> &BTreeMap<String, Aside> {
        self.shelf.aside()
    }

    /// Every refused record.
    pub(super) fn shelved(&self) -> impl Iterator<Item = u64> {
        self.shelf.numbers()
    }

    /// Lets everything that was refused at an endpoint be sent again.
    pub(super) fn retry(&mut self, endpoint: &str) -> Result<Aside, StoreError> {
        let shelf = self.shelf.retry(endpoint);
        self.commit(self.index.unchanged(), &Besides { shelf, ..Besides::default() })?;
        Ok(self.aside().get(endpoint).copied().unwrap_or_default())
    }

    /// The oldest refused record of an endpoint that is to be sent again.
    pub(super) fn next_again(&self, endpoint: &str) -> Result<Option<Again>, StoreError> {
        let Some(number) = self.shelf.next_again(endpoint) else { return Ok(None) };
        let refused = self.shelved_at(number)?;
        Ok(refused.map(|refused| {
            let terms = self.index.terms(endpoint, refused.position.record);
            Again { shelf: number, refused, terms }
        }))
    }

    /// What of a refused record is done: what is left of it stays to be sent again. Nothing happens where it
    /// no longer begins there.
    pub(super) fn settle(&mut self, number: u64, from: Position, done: &Done) -> Result<(), StoreError> {
        let Some(old) = self.shelved_at(number)?.filter(|old| old.position == from) else { return Ok(()) };
        let left = (from.sample + old.samples).saturating_sub(done.to.sample);
        let endpoint = old.endpoint.clone();
        let rest = (left > 0).then_some(Refused { position: done.to, samples: left, ..old });
        let shelf = self.shelf.settle(number, rest, done.refused.clone());
        let state = done.state.as_deref().map(|state| (endpoint.as_str(), state));
        self.commit(self.index.unchanged(), &Besides { state, shelf, counters: None })
    }

    /// A refused record; nothing where its bytes are not those that were written.
    pub(super) fn shelved_at(&self, number: u64) -> Result<Option<Refused>, StoreError> {
        let txn = self.db.begin_read()?;
        let found = txn.open_table(REFUSED)?.get(number)?;
        Ok(found.and_then(|bytes| unsealed(&[number], bytes.value()).and_then(refused::decode)))
    }

    /// Reads a record; nothing where its bytes are not those that were written.
    pub(super) fn record(&self, number: u64) -> Result<Option<Record>, StoreError> {
        let Some(head) = self.index.head(number) else { return Ok(None) };
        let txn = self.db.begin_read()?;
        let table = txn.open_table(RECORDS)?;
        let value = table.get(number)?;
        let named = named(number, head.row(), head.part.map(Use::row));
        let Some(own) = value.as_ref().and_then(|value| unsealed(&named, value.value())) else {
            return Ok(None);
        };
        let shared = match head.part {
            None => None,
            Some(Use { part, at }) => match self.part(&txn, part)? {
                None => return Ok(None),
                Some(bytes) => Some(Shared { at: usize::try_from(at).unwrap_or(usize::MAX), bytes }),
            },
        };
        let samples = usize::try_from(head.samples).unwrap_or(usize::MAX);
        Ok(Some(Record { own: own.into(), shared, samples, at_ms: head.at_ms }))
    }

    /// What records share: one of the last ones, or read; nothing where its bytes are not those that were
    /// written.
    fn part(&self, txn: &ReadTransaction, number: u64) -> Result<Option<Arc<[u8]>>, StoreError> {
        if let Some(bytes) = self.index.live(number).or_else(|| self.recent.borrow_mut().get(number)) {
            return Ok(Some(bytes));
        }
        let table = txn.open_table(PARTS)?;
        let value = table.get(number)?;
        let bytes: Option<Arc<[u8]>> =
            value.as_ref().and_then(|value| unsealed(&[number], value.value())).map(Arc::from);
        if let Some(bytes) = &bytes {
            self.recent.borrow_mut().put(number, bytes);
        }
        Ok(bytes)
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
        let mut txn = self.db.begin_write()?;
        txn.set_durability(Durability::Immediate)?;
        {
            // A table that is opened costs something, so only those that change are.
            if !change.new.is_empty() || !change.freed.is_empty() {
                let (mut records, mut heads) = (txn.open_table(RECORDS)?, txn.open_table(HEADS)?);
                let tick = self.index.end();
                let mut uses = txn.open_table(USES)?;
                for ((number, record), part) in (tick..).zip(&change.new).zip(&change.parts.uses) {
                    let whole = part.is_none().then(|| record.bytes());
                    let bytes = whole.as_ref().unwrap_or(&record.own);
                    let (head, part) = (Head::of(record, tick, *part).row(), part.map(Use::row));
                    let mut place = records.insert_reserve(number, bytes.len() + SUM)?;
                    seal(&named(number, head, part), bytes, place.as_mut());
                    heads.insert(number, head)?;
                    if let Some(part) = part {
                        uses.insert(number, part)?;
                    }
                }
                for number in &change.freed {
                    records.remove(number)?;
                    heads.remove(number)?;
                    uses.remove(number)?;
                }
            }
            if !change.parts.new.is_empty() || !change.parts.gone.is_empty() {
                let mut parts = txn.open_table(PARTS)?;
                for (number, bytes) in &change.parts.new {
                    seal(&[*number], bytes, parts.insert_reserve(number, bytes.len() + SUM)?.as_mut());
                }
                for number in &change.parts.gone {
                    parts.remove(number)?;
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
            // It goes with the records that go: see [`Index::load`].
            if !change.freed.is_empty() || change.cursors.is_empty() && change.first != self.index.first() {
                txn.open_table(META)?.insert("first", change.first)?;
            }
            turn(&txn, &change.terms)?;
            shelve(&txn, &besides.shelf)?;
            if let Some(counters) = besides.counters {
                txn.open_table(BLOBS)?.insert("counters", counters)?;
            }
        }
        txn.commit()?;
        self.commits += 1;
        self.shelf.apply(&besides.shelf);
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
