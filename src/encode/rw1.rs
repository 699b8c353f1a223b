//! Remote write 1.0: `prometheus.WriteRequest`, written by hand, compressed with snappy's block format.

use std::ops::Range;

use super::EncodeError;
use super::record::is_described;
use super::wire::{self, Merger};
use crate::pb::record::Record;
use crate::sample::Labels;

/// The Content-Type of a request.
pub const CONTENT_TYPE: &str = "application/x-protobuf";
/// The value of `X-Prometheus-Remote-Write-Version`.
pub const VERSION: &str = "0.1.0";

/// Whether a request carries its families' metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// Type and help of each family in the range whose type or help are known.
    With,
    /// None.
    Without,
}

/// The series of `record` in `range` as a compressed request; the external labels stand where a series
/// lacks them.
///
/// # Errors
/// [`EncodeError::Snappy`] for a body of over 4 GiB.
pub fn request(
    record: &Record,
    range: Range<usize>,
    external: &Labels,
    metadata: Metadata,
) -> Result<Vec<u8>, EncodeError> {
    Ok(snap::raw::Encoder::new().compress_vec(&plain(record, range, external, metadata))?)
}

/// The same before compression.
pub fn plain(record: &Record, range: Range<usize>, external: &Labels, metadata: Metadata) -> Vec<u8> {
    let series = record.series.get(range).unwrap_or_default();
    let mut out = Vec::with_capacity(series.len() * 256);
    let mut merger = Merger::new(record, external);
    let mut pairs: Vec<(&str, &str, usize)> = Vec::new();
    let mut sample = Vec::with_capacity(24);
    for one in series {
        pairs.clear();
        pairs.extend(merger.pairs(one).map(|(name, value)| {
            (name, value, wire::length_len(name.len()) + wire::length_len(value.len()))
        }));
        sample.clear();
        wire::double(&mut sample, 1, one.value_bits);
        wire::number(&mut sample, 2, one.timestamp);
        let size: usize = pairs.iter().map(|(_, _, bytes)| wire::length_len(*bytes)).sum();
        wire::length(&mut out, 1, size + wire::length_len(sample.len()));
        for (name, value, bytes) in &pairs {
            wire::length(&mut out, 1, *bytes);
            wire::text(&mut out, 1, name);
            wire::text(&mut out, 2, value);
        }
        wire::length(&mut out, 2, sample.len());
        out.extend_from_slice(&sample);
    }
    if metadata == Metadata::With {
        let mut used = vec![false; record.families.len()];
        for one in series {
            if let Some(used) = used.get_mut(one.family as usize) {
                *used = true;
            }
        }
        let used = record.families.iter().zip(used).filter(|(_, used)| *used).map(|(family, _)| family);
        // An entry that says nothing would overwrite what a receiver knows.
        for family in used.filter(|family| is_described(family)) {
            let mut entry = Vec::new();
            wire::number(&mut entry, 1, i64::from(family.kind));
            wire::text(&mut entry, 2, wire::symbol(record, family.name_ref));
            let help = wire::symbol(record, family.help_ref);
            if !help.is_empty() {
                wire::text(&mut entry, 4, help);
            }
            wire::length(&mut out, 3, entry.len());
            out.extend_from_slice(&entry);
        }
    }
    out
}
