//! What is known of records without reading them, and which of them a source has last spoken in.

use std::ops::Range;

use super::Record;
use super::parts::Use;

/// What is known of a record without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) samples: u64,
    pub(super) at_ms: i64,
    /// The length of its own bytes.
    pub(super) bytes: u64,
    /// The first record of its entry: records of one tick have no series in common.
    pub(super) tick: u64,
    /// What it shares with others.
    pub(super) part: Option<Use>,
}

impl Head {
    pub(super) fn of(record: &Record, tick: u64, part: Option<Use>) -> Self {
        // What is too short to be kept once stands in the record itself.
        let bytes = if part.is_some() { record.own.len() } else { record.length() };
        Head { samples: record.samples as u64, at_ms: record.at_ms, bytes: bytes as u64, tick, part }
    }

    /// What its own bytes take in the file.
    pub(super) fn cost(self) -> u64 {
        pages(self.bytes)
    }
}

/// What a value takes in the file: it has pages of its own, as many as the next power of two.
pub(super) fn pages(bytes: u64) -> u64 {
    const PAGE: u64 = 4096;
    (bytes + 64).div_ceil(PAGE).next_power_of_two() * PAGE
}

/// The records of a source from which its present series can be read: they stay until newer ones do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// The last ones that spoke for all of its series.
    pub(super) whole: Range<u64>,
    /// The last ones after these that spoke for some.
    pub(super) also: Range<u64>,
}

impl Kept {
    pub(super) fn has(&self, number: u64) -> bool {
        self.whole.contains(&number) || self.also.contains(&number)
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        self.whole.clone().chain(self.also.clone())
    }
}
