//! What can still be read of a damaged store goes into a new one: every record whose checksum is right, and
//! a gap for each of the others, which its readers count. The damaged file is only read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Builder, Key, ReadOnlyDatabase, ReadableDatabase, ReadableTable, TableDefinition, Value};

use super::error::StoreError;
use super::store::Store;
use super::tables::{
    BLOBS, CURSORS, HEADS, HeadRow, KEPT, META, PARTS, RECORDS, REFUSED, STATES, TERMS, USES, UseRow, named,
    sealed, unsealed,
};

/// Records that are copied in one transaction.
const AT_ONCE: usize = 64;

/// No record takes fewer bytes of the file.
const SHORTEST: u64 = 32;

/// How many records were saved, and how many were not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Saved {
    pub(super) records: usize,
    pub(super) lost: usize,
}

/// Copies from the file at `from` into `into`, which is empty; nothing where the file cannot be read at all.
pub(super) fn copy(from: &Path, into: &mut Store) -> Result<Option<Saved>, StoreError> {
    let Some(found) = numbered(from) else { return Ok(None) };
    let Numbered { old, first, heads, uses, parts, numbers } = &found;
    let cursors = rows(old, CURSORS, |name: &str, at| Some((name.to_owned(), at)));
    let terms = rows(old, TERMS, |(name, from): (&str, u64), terms: &[u8]| {
        Some(((name.to_owned(), from), terms.to_vec()))
    });
    let kept = rows(old, KEPT, |name: &str, ranges| Some((name.to_owned(), ranges)));
    let states = rows(old, STATES, |name: &str, state: &[u8]| Some((name.to_owned(), state.to_vec())));
    let refused = rows(old, REFUSED, |number, bytes: &[u8]| Some((number, bytes.to_vec())));
    let blobs = rows(old, BLOBS, |name: &str, blob: &[u8]| Some((name.to_owned(), blob.to_vec())));
    let mut saved = Saved::default();
    for some in numbers.chunks(AT_ONCE) {
        let txn = into.db().begin_write()?;
        for number in some {
            txn.open_table(HEADS)?.insert(number, heads.get(number).copied().unwrap_or_default())?;
            match found.record(*number) {
                Some(bytes) => {
                    let sealed = sealed(&found.named(*number), &bytes);
                    txn.open_table(RECORDS)?.insert(number, sealed.as_slice())?;
                    if let Some(part) = uses.get(number) {
                        txn.open_table(USES)?.insert(number, part)?;
                    }
                    saved.records += 1;
                }
                None => saved.lost += 1,
            }
        }
        txn.commit()?;
    }
    let txn = into.db().begin_write()?;
    for number in parts {
        if let Some(bytes) = part(old, *number) {
            txn.open_table(PARTS)?.insert(number, sealed(&[*number], &bytes).as_slice())?;
        }
    }
    txn.open_table(META)?.insert("first", first)?;
    for (endpoint, at) in &cursors {
        txn.open_table(CURSORS)?.insert(endpoint.as_str(), at)?;
    }
    for ((endpoint, from), terms) in &terms {
        txn.open_table(TERMS)?.insert((endpoint.as_str(), *from), terms.as_slice())?;
    }
    for (source, ranges) in &kept {
        txn.open_table(KEPT)?.insert(source.as_str(), ranges)?;
    }
    for (endpoint, state) in &states {
        txn.open_table(STATES)?.insert(endpoint.as_str(), state.as_slice())?;
    }
    for (number, bytes) in &refused {
        txn.open_table(REFUSED)?.insert(number, bytes.as_slice())?;
    }
    for (name, blob) in &blobs {
        txn.open_table(BLOBS)?.insert(name.as_str(), blob.as_slice())?;
    }
    txn.commit()?;
    into.reload()?;
    close(found.old);
    Ok(Some(saved))
}

/// How many records can be read of the file at `from`, and how many cannot.
pub(super) fn survey(from: &Path) -> Option<(usize, usize)> {
    let found = numbered(from)?;
    let readable = found.numbers.iter().filter(|number| found.record(**number).is_some()).count();
    let damaged = found.numbers.len() - readable;
    close(found.old);
    Some((readable, damaged))
}

/// A file whose records have numbers, though not each of them can be read.
struct Numbered {
    old: ReadOnlyDatabase,
    first: u64,
    heads: BTreeMap<u64, HeadRow>,
    uses: BTreeMap<u64, UseRow>,
    /// The parts that can be read, of those that are used.
    parts: BTreeSet<u64>,
    numbers: Vec<u64>,
}

impl Numbered {
    fn named(&self, number: u64) -> Vec<u64> {
        named(number, self.heads.get(&number).copied().unwrap_or_default(), self.uses.get(&number).copied())
    }

    /// A record's own bytes, where what it shares can be read as well.
    fn record(&self, number: u64) -> Option<Vec<u8>> {
        let is_whole = self.uses.get(&number).is_none_or(|(part, _)| self.parts.contains(part));
        is_whole.then(|| sealed_in(&self.old, RECORDS, number, &self.named(number))).flatten()
    }
}

fn numbered(from: &Path) -> Option<Numbered> {
    // redb may panic on a page that was altered; what was read until then is good.
    let opened = catch_unwind(|| Builder::new().set_cache_size(super::store::CACHE).open_read_only(from));
    let Ok(Ok(old)) = opened else { return None };
    let first = rows(&old, META, |key: &str, value| (key == "first").then_some(((), value)));
    let mut heads = rows(&old, HEADS, |number, head| Some((number, head)));
    let most = std::fs::metadata(from).map_or(0, |file| file.len() / SHORTEST);
    keep_neighbours(&mut heads, most);
    let (begin, end) = heads.keys().next().copied().zip(heads.keys().next_back().map(|last| last + 1))?;
    let first = first.get(&()).copied()?;
    let first = if begin.saturating_sub(first) > most { begin } else { first };
    let held: Vec<u64> = heads.keys().copied().filter(|number| *number < first).collect();
    let numbers = held.into_iter().chain(first..end).collect();
    let uses = rows(&old, USES, |number, part| Some((number, part)));
    let used: BTreeSet<u64> = uses.values().map(|(part, _)| *part).collect();
    let parts = used.into_iter().filter(|number| part(&old, *number).is_some()).collect();
    Some(Numbered { old, first, heads, uses, parts, numbers })
}

fn part(old: &ReadOnlyDatabase, number: u64) -> Option<Vec<u8>> {
    sealed_in(old, PARTS, number, &[number])
}

/// What is closed while it is damaged may panic as well.
fn close(old: ReadOnlyDatabase) {
    catch_unwind(AssertUnwindSafe(|| drop(old))).unwrap_or_default();
}

/// Takes out the numbers that lie further from the others than the file has room for records: they were
/// altered, and the gaps that they make would be counted one by one.
fn keep_neighbours<A>(heads: &mut BTreeMap<u64, A>, most: u64) {
    let mut groups: Vec<RangeInclusive<u64>> = Vec::new();
    let mut sizes: Vec<usize> = Vec::new();
    for number in heads.keys().copied() {
        match (groups.last_mut(), sizes.last_mut()) {
            (Some(group), Some(size)) if number - group.end() <= most => {
                *group = *group.start()..=number;
                *size += 1;
            }
            _ => {
                groups.push(number..=number);
                sizes.push(1);
            }
        }
    }
    let largest = groups.into_iter().zip(sizes).max_by_key(|(_, size)| *size);
    heads.retain(|number, _| largest.as_ref().is_some_and(|(group, _)| group.contains(number)));
}

/// The rows of a table up to the first that cannot be read.
fn rows<K: Key, V: Value, A: Ord, B>(
    old: &ReadOnlyDatabase,
    table: TableDefinition<'_, K, V>,
    row: impl Fn(K::SelfType<'_>, V::SelfType<'_>) -> Option<(A, B)>,
) -> BTreeMap<A, B> {
    let mut all = BTreeMap::new();
    let read = catch_unwind(AssertUnwindSafe(|| -> Result<(), StoreError> {
        let txn = old.begin_read()?;
        for found in txn.open_table(table)?.iter()? {
            let (key, value) = found?;
            all.extend(row(key.value(), value.value()));
        }
        Ok(())
    }));
    // An end that cannot be read is what this is for.
    drop(read);
    all
}

/// What stands at a number and is what was written there.
fn sealed_in(
    old: &ReadOnlyDatabase,
    table: TableDefinition<'_, u64, &[u8]>,
    number: u64,
    named: &[u64],
) -> Option<Vec<u8>> {
    let read = || {
        let txn = old.begin_read().ok()?;
        let table = txn.open_table(table).ok()?;
        let value = table.get(number).ok()??;
        unsealed(named, value.value()).map(<[u8]>::to_vec)
    };
    catch_unwind(AssertUnwindSafe(read)).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_altered_makes_no_gap_of_billions() {
        let of = |numbers: &[u64]| numbers.iter().map(|number| (*number, ())).collect::<BTreeMap<_, _>>();
        for altered in [3 | 1 << 32, u64::MAX, 2_000] {
            let mut heads = of(&[7, 8, 10, altered]);
            keep_neighbours(&mut heads, 1_000);
            assert_eq!(heads, of(&[7, 8, 10]));
        }
        let mut heads = of(&[0, 5_000, 5_001]);
        keep_neighbours(&mut heads, 1_000);
        assert_eq!(heads, of(&[5_000, 5_001]));
        keep_neighbours(&mut BTreeMap::<u64, ()>::new(), 0);
    }
}
