//! The few bytes of protobuf that the remote-write encoders write by hand, and the labels of a series
//! with the external ones merged in.

use super::record::{Flat, Observed};
use crate::sample::Labels;

#[inline]
pub(super) fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        // The low seven bits, so nothing is lost.
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn varint_len(number: u64) -> usize {
    let bits = 64 - (number | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// A length-delimited field's key and length; its bytes follow.
pub(super) fn length(out: &mut Vec<u8>, field: u32, bytes: usize) {
    varint(out, u64::from(field << 3 | 2));
    varint(out, bytes as u64);
}

/// How many bytes a length-delimited field takes, for fields below 16.
pub(super) fn length_len(bytes: usize) -> usize {
    1 + varint_len(bytes as u64) + bytes
}

pub(super) fn text(out: &mut Vec<u8>, field: u32, text: &[u8]) {
    length(out, field, text.len());
    out.extend_from_slice(text);
}

/// A sample, with value and timestamp also where they are zero: so a sample of the same time has the same
/// length, and its value the same place. Where in `out` the value stands.
pub(super) fn sample(out: &mut Vec<u8>, bits: [u8; 8], timestamp: i64, start: i64) -> usize {
    let size = 10 + varint_len(timestamp as u64) + if start == 0 { 0 } else { 1 + varint_len(start as u64) };
    length(out, 2, size);
    out.push(1 << 3 | 1);
    let place = out.len();
    out.extend_from_slice(&bits);
    out.push(2 << 3);
    // Protobuf writes a negative number as its two's complement.
    varint(out, timestamp as u64);
    number(out, 3, start);
    place
}

/// How many bytes [`sample`] takes.
pub(super) fn sample_len(timestamp: i64, start: i64) -> usize {
    let start = if start == 0 { 0 } else { 1 + varint_len(start as u64) };
    length_len(10 + varint_len(timestamp as u64) + start)
}

/// An exemplar's value, also where it is zero, and its time.
pub(super) fn observation(out: &mut Vec<u8>, one: &Observed) {
    out.push(2 << 3 | 1);
    out.extend_from_slice(&one.value_bits.to_le_bytes());
    number(out, 3, one.timestamp);
}

/// A number; left out where it is zero, as proto3 does.
pub(super) fn number(out: &mut Vec<u8>, field: u32, number: i64) {
    if number != 0 {
        varint(out, u64::from(field << 3));
        // Protobuf writes a negative number as its two's complement.
        varint(out, number as u64);
    }
}

/// 64 bits; left out where they are zero.
pub(super) fn fixed(out: &mut Vec<u8>, field: u32, bits: u64) {
    if bits != 0 {
        out.push((field << 3 | 1) as u8);
        out.extend_from_slice(&bits.to_le_bytes());
    }
}

/// A signed number as protobuf's `sint64` writes it.
pub(super) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// A label of a series: the pair at this place of its own references, or the external one at this position.
#[derive(Clone, Copy)]
pub(super) enum Label {
    Own(usize),
    External(usize),
}

/// The labels of series in the order of their names, with the external ones that they lack.
///
/// The series' own labels are sorted since the record was made. A series that has the same names as the
/// one before, as nearly every one has, is not merged again.
pub(super) struct Merger<'a> {
    record: &'a Flat,
    external: Vec<(&'a [u8], &'a [u8])>,
    names: Vec<u32>,
    labels: Vec<Label>,
}

impl<'a> Merger<'a> {
    pub(super) fn new(record: &'a Flat, external: &'a Labels) -> Self {
        let pair = |label: crate::sample::Label<'a>| (label.name.as_bytes(), label.value.as_bytes());
        let external = external.iter().map(pair).collect();
        let mut merger = Merger { record, external, names: Vec::new(), labels: Vec::new() };
        merger.merge();
        merger
    }

    /// Turns to a series with these references; whether its labels' names are those of the one before.
    pub(super) fn turn_to(&mut self, refs: &[u32]) -> bool {
        let names = || refs.chunks_exact(2).map(|pair| pair[0]);
        let known = self.names.iter().copied().eq(names());
        if !known {
            self.names.clear();
            self.names.extend(names());
            self.merge();
        }
        known
    }

    /// The labels of the series to which it was turned.
    pub(super) fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The name and value of a label of the series with these references.
    pub(super) fn pair(&self, label: Label, refs: &[u32]) -> (&'a [u8], &'a [u8]) {
        match label {
            Label::Own(place) => {
                let text = |at: usize| refs.get(at).map_or(&[][..], |at| self.record.symbol(*at));
                (text(2 * place), text(2 * place + 1))
            }
            Label::External(position) => self.external.get(position).copied().unwrap_or_default(),
        }
    }

    fn merge(&mut self) {
        self.labels.clear();
        let mut others = self.external.iter().enumerate().peekable();
        for (place, name) in self.names.iter().enumerate() {
            let name = self.record.symbol(*name);
            while let Some((position, other)) = others.next_if(|(_, other)| other.0 <= name) {
                if other.0 < name {
                    self.labels.push(Label::External(position));
                }
            }
            self.labels.push(Label::Own(place));
        }
        self.labels.extend(others.map(|(position, _)| Label::External(position)));
    }
}
