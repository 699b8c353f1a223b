//! Reads records to see whether they are whole, and changes nothing.

use super::error::StoreError;
use super::store::Store;
use super::{Queue, QueueError, Record, Verified};

/// So many records are read at once by [`Queue::verify`].
const VERIFIED_AT_ONCE: usize = 64;

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

impl Queue {
    /// Reads every record that is there now and holds it against its checksum and `is_whole`.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn verify(&self, is_whole: fn(&Record) -> bool) -> Result<Verified, QueueError> {
        let (records, shelved): (Vec<u64>, Vec<u64>) =
            self.store(|store| Ok((store.index().numbers().collect(), store.shelved().collect()))).await?;
        let mut all = Verified::default();
        // Between two of these the others have their turn.
        for some in records.chunks(VERIFIED_AT_ONCE) {
            let some = some.to_vec();
            let found = self.store(move |store| self::records(store, &some, is_whole)).await?;
            all = all.and(found);
        }
        for some in shelved.chunks(VERIFIED_AT_ONCE) {
            let some = some.to_vec();
            let found = self.store(move |store| self::shelved(store, &some, is_whole)).await?;
            all = all.and(found);
        }
        Ok(all)
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
