//! The few bytes of protobuf that the remote-write encoders write by hand, and the labels of a series
//! with the external ones merged in.

use crate::pb::record::{Record, Series};
use crate::sample::Labels;

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

pub(super) fn text(out: &mut Vec<u8>, field: u32, text: &str) {
    length(out, field, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// A double; left out where its bits are zero, as proto3 does.
pub(super) fn double(out: &mut Vec<u8>, field: u32, bits: u64) {
    if bits != 0 {
        varint(out, u64::from(field << 3 | 1));
        out.extend_from_slice(&bits.to_le_bytes());
    }
}

/// A number; left out where it is zero, as proto3 does.
pub(super) fn number(out: &mut Vec<u8>, field: u32, number: i64) {
    if number != 0 {
        varint(out, u64::from(field << 3));
        // Protobuf writes a negative number as its two's complement.
        varint(out, number as u64);
    }
}

/// A label of a series: its own, by positions in the record's symbols, or an external one.
#[derive(Clone, Copy)]
pub(super) enum Label<'a> {
    Own(u32, u32),
    External(usize, &'a str, &'a str),
}

/// The labels of a series in the order of their names, with the external ones that it lacks.
///
/// The series' own labels are sorted since the record was made.
pub(super) fn merged<'a>(
    record: &'a Record,
    series: &Series,
    external: &'a Labels,
    out: &mut Vec<Label<'a>>,
) {
    out.clear();
    let mut others = external.iter().enumerate().peekable();
    for pair in series.label_refs.chunks_exact(2) {
        let name = symbol(record, pair[0]);
        while let Some((position, label)) = others.next_if(|(_, label)| label.name.as_str() <= name) {
            if label.name.as_str() < name {
                out.push(Label::External(position, label.name.as_str(), &label.value));
            }
        }
        out.push(Label::Own(pair[0], pair[1]));
    }
    out.extend(others.map(|(position, label)| Label::External(position, label.name.as_str(), &label.value)));
}

/// A symbol by its position; decoding has checked that it is there.
pub(super) fn symbol(record: &Record, position: u32) -> &str {
    record.symbols.get(position as usize).map_or("", String::as_str)
}
