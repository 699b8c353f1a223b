//! A record with everything in lists of its own, for who is not in a hurry.

use super::Pieces;
use super::flat::{Flat, Observed};
use crate::encode::EncodeError;
use crate::pb::record as pb;

/// A record, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// Every string once; the first is empty.
    pub symbols: Vec<String>,
    /// The families.
    pub families: Vec<pb::Family>,
    /// The samples, each with its series.
    pub series: Vec<Sample>,
    /// The time of the samples that have none of their own, milliseconds since the epoch.
    pub timestamp: i64,
}

/// A sample and its series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Pairs of positions in the symbols.
    pub label_refs: Vec<u32>,
    /// Position in the families.
    pub family: u32,
    /// The value's bits.
    pub value_bits: u64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Milliseconds since the epoch; 0 where the start is not known.
    pub start_timestamp: i64,
    /// Single observations.
    pub exemplars: Vec<Exemplar>,
}

/// One observation that is part of a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// Names and values by turns.
    pub labels: Vec<String>,
    /// The value's bits.
    pub value_bits: u64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
}

/// Reads a record with every check of [`Flat::read`].
///
/// # Errors
/// [`EncodeError`] where the bytes are no record of this version.
pub fn decode(record: impl Into<Pieces>) -> Result<Decoded, EncodeError> {
    let record = Flat::read(record)?;
    let layout = record.layout();
    let text = |at: usize| String::from_utf8_lossy(layout.symbol_at(at)).into_owned();
    let series = (0..record.series_count()).map(|at| {
        let mut label_refs = Vec::new();
        layout.refs(at, &mut label_refs);
        Sample {
            label_refs,
            family: layout.family_of(at),
            value_bits: record.value(at),
            timestamp: record.timestamp(at),
            start_timestamp: record.start_timestamp(at),
            exemplars: record.exemplars(at).iter().map(|one| exemplar(&record, one)).collect(),
        }
    });
    Ok(Decoded {
        symbols: (0..layout.symbol_count()).map(text).collect(),
        families: layout.families().to_vec(),
        series: series.collect(),
        timestamp: record.common_timestamp(),
    })
}

fn exemplar(record: &Flat, one: &Observed) -> Exemplar {
    let labels = one.texts.iter().map(|place| String::from_utf8_lossy(record.text(*place)).into_owned());
    Exemplar { labels: labels.collect(), value_bits: one.value_bits, timestamp: one.timestamp }
}
