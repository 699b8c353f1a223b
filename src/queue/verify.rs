//! Reads records to see whether they are whole, and changes nothing.

use super::error::StoreError;
use super::store::Store;
use super::{Record, Verified};

impl Verified {
    pub(super) fn and(self, other: Verified) -> Verified {
        Verified {
            records: self.records + other.records,
            samples: self.samples + other.samples,
            refused: self.refused + other.refused,
            damaged: self.damaged + other.damaged,
        }
    }
}

/// The records of these numbers; one that was delivered meanwhile counts as nothing.
pub(super) fn records(
    store: &Store,
    numbers: &[u64],
    is_whole: fn(&Record) -> bool,
) -> Result<Verified, StoreError> {
    let mut found = Verified::default();
    for number in numbers.iter().filter(|number| store.index().head(**number).is_some()) {
        match store.record(*number)?.filter(is_whole) {
            Some(record) => {
                found.records += 1;
                found.samples += record.samples as u64;
            }
            None => found.damaged += 1,
        }
    }
    Ok(found)
}

/// As [`records`], of refused ones.
pub(super) fn shelved(
    store: &Store,
    numbers: &[u64],
    is_whole: fn(&Record) -> bool,
) -> Result<Verified, StoreError> {
    let mut found = Verified::default();
    let there: std::collections::BTreeSet<u64> = store.shelved().collect();
    for number in numbers.iter().filter(|number| there.contains(number)) {
        match store.shelved_at(*number)?.filter(|refused| is_whole(&refused.record)) {
            Some(_) => found.refused += 1,
            None => found.damaged += 1,
        }
    }
    Ok(found)
}
