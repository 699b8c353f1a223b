//! Remote write 2.0: `io.prometheus.write.v2.Request`, written by hand. Each request has a symbol
//! table of its own.

use std::collections::HashMap;
use std::ops::Range;

use super::record::Flat;
use super::template::Draft;
use super::wire::{self, Label, Merger};
use super::{EncodeError, Exemplars};
use crate::sample::Labels;

/// The Content-Type of a request. No space after the semicolon: Prometheus, Mimir and Cortex compare the
/// parameter's name literally, Thanos the whole text.
pub const CONTENT_TYPE: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
/// The value of `X-Prometheus-Remote-Write-Version`.
pub const VERSION: &str = "2.0.0";

/// A compressed request without a series: it asks a receiver whether it knows 2.0 and stores nothing.
///
/// # Errors
/// [`EncodeError::Snappy`], which for two bytes does not happen.
pub fn probe() -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    wire::text(&mut out, 4, b"");
    Ok(snap::raw::Encoder::new().compress_vec(&out)?)
}

/// A request before compression, from the record alone.
pub fn plain(record: &Flat, range: Range<usize>, external: &Labels, exemplars: Exemplars) -> Vec<u8> {
    let mut draft = Draft::default();
    series(&mut draft, record, range, external, exemplars);
    draft.plain
}

/// The series of `record` in `range`, each with its type, help and unit.
pub(super) fn series(
    draft: &mut Draft,
    record: &Flat,
    range: Range<usize>,
    external: &Labels,
    exemplars: Exemplars,
) {
    draft.clear();
    let Draft { plain, places, more: series } = draft;
    let mut table = Symbols::new(record.symbol_count(), external.iter().count(), plain);
    let mut merger = Merger::new(record, external);
    let (mut own, mut refs, mut meta) = (Vec::new(), Vec::new(), Vec::new());
    let mut described = None;
    let mut observed = Vec::new();
    let has_exemplars = exemplars == Exemplars::With && record.has_exemplars();
    if has_exemplars {
        table.known = (0..).zip(record.symbols()).map(|(position, symbol)| (symbol, position)).collect();
    }
    for (position, value) in range.clone().zip(record.values(range)) {
        record.refs(position, &mut own);
        refs.clear();
        merger.turn_to(&own);
        for label in merger.labels() {
            let (name, value) = match *label {
                Label::Own(place) => match own.get(2 * place..2 * place + 2) {
                    Some([name, value]) => (table.own(record, *name), table.own(record, *value)),
                    _ => continue,
                },
                Label::External(position) => table.external(record, position, external),
            };
            wire::varint(&mut refs, u64::from(name));
            wire::varint(&mut refs, u64::from(value));
        }
        let family = record.family_of(position);
        if described != Some(family) {
            described = Some(family);
            meta.clear();
            if let Some(family) = record.family(family) {
                let help = table.own(record, family.help_ref);
                let unit = table.own(record, family.unit_ref);
                let mut entry = Vec::new();
                wire::number(&mut entry, 1, i64::from(family.kind));
                wire::number(&mut entry, 3, i64::from(help));
                wire::number(&mut entry, 4, i64::from(unit));
                wire::length(&mut meta, 5, entry.len());
                meta.extend_from_slice(&entry);
            }
        }
        let (timestamp, start) = (record.timestamp(position), record.start_timestamp(position));
        if has_exemplars {
            observed.clear();
            self::exemplars(&mut observed, &mut table, record, position);
        }
        let size =
            wire::length_len(refs.len()) + wire::sample_len(timestamp, start) + observed.len() + meta.len();
        wire::length(series, 5, size);
        wire::length(series, 1, refs.len());
        series.extend_from_slice(&refs);
        places.push(wire::sample(series, *value, timestamp, start));
        series.extend_from_slice(&observed);
        series.extend_from_slice(&meta);
    }
    let table_len = plain.len();
    places.iter_mut().for_each(|place| *place += table_len);
    plain.extend_from_slice(series);
}

/// The exemplars of a sample.
fn exemplars<'a>(out: &mut Vec<u8>, table: &mut Symbols<'a>, record: &'a Flat, position: usize) {
    let (mut refs, mut entry) = (Vec::new(), Vec::new());
    for one in record.exemplars(position) {
        refs.clear();
        entry.clear();
        for text in record.observed_labels(one).flat_map(|(name, value)| [name, value]) {
            let number = table.text(record, text);
            wire::varint(&mut refs, u64::from(number));
        }
        if !refs.is_empty() {
            wire::text(&mut entry, 1, &refs);
        }
        wire::observation(&mut entry, one);
        wire::text(out, 4, &entry);
    }
}

/// The request's own symbol table, filled in the order of use.
struct Symbols<'a> {
    bytes: &'a mut Vec<u8>,
    count: u32,
    /// Where a record's symbol stands; 0: not yet (the empty one is always at 0).
    own: Vec<u32>,
    /// The same for an external label's name and value.
    external: Vec<(u32, u32)>,
    /// Texts that are not among the record's symbols.
    foreign: HashMap<Vec<u8>, u32>,
    /// Where the record's symbols stand, where many texts are looked for.
    known: HashMap<&'a [u8], u32>,
}

impl<'a> Symbols<'a> {
    fn new(record_symbols: usize, external: usize, bytes: &'a mut Vec<u8>) -> Self {
        let mut table = Symbols {
            bytes,
            count: 0,
            own: vec![0; record_symbols],
            external: vec![(0, 0); external],
            foreign: HashMap::new(),
            known: HashMap::new(),
        };
        table.push(b"");
        table
    }

    fn push(&mut self, text: &[u8]) -> u32 {
        wire::text(self.bytes, 4, text);
        self.count += 1;
        self.count - 1
    }

    fn own(&mut self, record: &Flat, position: u32) -> u32 {
        let known = self.own.get(position as usize).copied().unwrap_or(0);
        // The record's first symbol is the empty one, here too.
        if position == 0 || known != 0 {
            return known;
        }
        let new = self.push(record.symbol(position));
        if let Some(place) = self.own.get_mut(position as usize) {
            *place = new;
        }
        new
    }

    fn external(&mut self, record: &'a Flat, position: usize, external: &Labels) -> (u32, u32) {
        match self.external.get(position) {
            Some(known) if known.0 != 0 => return *known,
            _ => {}
        }
        let (name, value) = external.iter().nth(position).map_or(("", ""), |l| (l.name, l.value));
        let new = (self.text(record, name.as_bytes()), self.text(record, value.as_bytes()));
        if let Some(place) = self.external.get_mut(position) {
            *place = new;
        }
        new
    }

    /// A text that may or may not stand among the record's symbols; each stands in the table once.
    fn text(&mut self, record: &'a Flat, text: &[u8]) -> u32 {
        let known = if self.known.is_empty() { record.position(text) } else { self.known.get(text).copied() };
        if let Some(position) = known {
            return self.own(record, position);
        }
        if let Some(known) = self.foreign.get(text) {
            return *known;
        }
        let new = self.push(text);
        self.foreign.insert(text.to_owned(), new);
        new
    }
}
