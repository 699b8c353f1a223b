//! Remote write 1.0: `prometheus.WriteRequest`, written by hand.

use std::collections::HashSet;
use std::ops::Range;

use super::record::{Flat, is_described};
use super::template::Draft;
use super::wire::{self, Label, Merger};
use super::{EncodeError, Exemplars};
use crate::sample::Labels;

/// The Content-Type of a request.
pub const CONTENT_TYPE: &str = "application/x-protobuf";
/// The value of `X-Prometheus-Remote-Write-Version`.
pub const VERSION: &str = "0.1.0";

/// Whether a request carries its families' metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// Type, help and unit of each family in the range of which one is known.
    With,
    /// None.
    Without,
}

/// A compressed request of nothing: it asks a receiver whether it would take 1.0, and stores nothing.
///
/// # Errors
/// [`EncodeError::Snappy`], which for nothing does not happen.
pub fn probe() -> Result<Vec<u8>, EncodeError> {
    Ok(snap::raw::Encoder::new().compress_vec(&[])?)
}

/// A request before compression, from the record alone.
pub fn plain(
    record: &Flat,
    range: Range<usize>,
    external: &Labels,
    metadata: Metadata,
    exemplars: Exemplars,
) -> Vec<u8> {
    let mut draft = Draft::default();
    series(&mut draft, record, range.clone(), external, exemplars);
    if metadata == Metadata::With {
        describe(&mut draft.plain, record, range);
    }
    draft.plain
}

/// The series of `record` in `range`.
pub(super) fn series(
    draft: &mut Draft,
    record: &Flat,
    range: Range<usize>,
    external: &Labels,
    exemplars: Exemplars,
) {
    draft.clear();
    let Draft { plain, places, more: observed } = draft;
    let mut merger = Merger::new(record, external);
    let mut before = Before::default();
    let mut refs = Vec::new();
    let has_exemplars = exemplars == Exemplars::With && record.has_exemplars();
    for (position, value) in range.clone().zip(record.values(range)) {
        record.refs(position, &mut refs);
        // 1.0 knows no starts.
        let timestamp = record.timestamp(position);
        if has_exemplars {
            observed.clear();
            self::exemplars(observed, record, position);
        }
        before.write(plain, &mut merger, &mut refs, wire::sample_len(timestamp, 0) + observed.len());
        places.push(wire::sample(plain, *value, timestamp, 0));
        plain.extend_from_slice(observed);
    }
}

/// The exemplars of a sample.
fn exemplars(out: &mut Vec<u8>, record: &Flat, position: usize) {
    let mut entry = Vec::new();
    for one in record.exemplars(position) {
        entry.clear();
        for (name, value) in record.observed_labels(one) {
            wire::length(&mut entry, 1, wire::length_len(name.len()) + wire::length_len(value.len()));
            wire::text(&mut entry, 1, name);
            wire::text(&mut entry, 2, value);
        }
        wire::observation(&mut entry, one);
        wire::text(out, 3, &entry);
    }
}

/// Type, help and unit of each family in the range of which one is known.
pub(super) fn describe(out: &mut Vec<u8>, record: &Flat, range: Range<usize>) {
    let mut told = HashSet::new();
    let mut entry = Vec::new();
    // An entry that says nothing would overwrite what a receiver knows. Where two targets mean different things by
    // one name, there is room for one of them here.
    for family in record.used(range).filter(|family| is_described(family) && told.insert(family.name_ref)) {
        entry.clear();
        wire::number(&mut entry, 1, i64::from(family.kind));
        wire::text(&mut entry, 2, record.symbol(family.name_ref));
        for (field, text) in [(4, record.symbol(family.help_ref)), (5, record.symbol(family.unit_ref))] {
            if !text.is_empty() {
                wire::text(&mut entry, field, text);
            }
        }
        wire::text(out, 3, &entry);
    }
}

/// The labels of the series before. Most of them are the next one's too, and are copied.
#[derive(Default)]
struct Before {
    refs: Vec<u32>,
    /// Where in the output each label stands.
    places: Vec<Range<usize>>,
    /// How long the next series' labels are inside; none for one that is copied.
    lengths: Vec<Option<usize>>,
}

impl Before {
    /// Writes a series up to the end of its labels, which `more` bytes will follow.
    fn write(&mut self, out: &mut Vec<u8>, merger: &mut Merger<'_>, refs: &mut Vec<u32>, more: usize) {
        if !merger.turn_to(refs) {
            self.places.clear();
        }
        self.lengths.clear();
        let mut size = more;
        for (position, label) in merger.labels().iter().enumerate() {
            let same = match *label {
                Label::Own(place) => self.refs.get(2 * place + 1) == refs.get(2 * place + 1),
                Label::External(_) => true,
            };
            match self.places.get(position).filter(|_| same) {
                Some(place) => {
                    size += place.len();
                    self.lengths.push(None);
                }
                None => {
                    let (name, value) = merger.pair(*label, refs);
                    let length = wire::length_len(name.len()) + wire::length_len(value.len());
                    size += wire::length_len(length);
                    self.lengths.push(Some(length));
                }
            }
        }
        wire::length(out, 1, size);
        for (position, (label, length)) in merger.labels().iter().zip(&self.lengths).enumerate() {
            let start = out.len();
            match (length, self.places.get(position)) {
                (None, Some(place)) => out.extend_from_within(place.clone()),
                (length, _) => {
                    let (name, value) = merger.pair(*label, refs);
                    wire::length(out, 1, length.unwrap_or_default());
                    wire::text(out, 1, name);
                    wire::text(out, 2, value);
                }
            }
            match self.places.get_mut(position) {
                Some(place) => *place = start..out.len(),
                None => self.places.push(start..out.len()),
            }
        }
        std::mem::swap(&mut self.refs, refs);
    }
}
