//! Reads what [`super::builder`] writes. Anything else, an unknown field as well as damage, is left to the
//! generated decoder: what it says counts (a test compares them).

use std::ops::Range;
use std::sync::Arc;

use super::flat::{Flat, Point};
use crate::pb::record as pb;

/// The most bytes of a number.
const LONGEST: usize = 10;

/// The record, or nothing where the generated decoder must look.
pub(super) fn read(all: Arc<[u8]>) -> Option<Flat> {
    let mut record = Flat::of(all.clone());
    let mut fields = Bytes { all: &all, at: 0 };
    while let Some(key) = fields.key()? {
        match key {
            Key::Number(1) => record.version = fields.small()?,
            Key::Length(2) => {
                let place = fields.part()?;
                std::str::from_utf8(all.get(place.clone())?).ok()?;
                record.symbols.push(place);
            }
            Key::Length(3) => record.families.push(family(all.get(fields.part()?)?)?),
            Key::Length(4) => {
                let point = series(all.get(fields.part()?)?, &mut record.refs)?;
                record.points.push(point);
            }
            _ => return None,
        }
    }
    Some(record)
}

fn family(bytes: &[u8]) -> Option<pb::Family> {
    let mut family = pb::Family::default();
    let mut fields = Bytes { all: bytes, at: 0 };
    while let Some(key) = fields.key()? {
        match key {
            Key::Number(1) => family.name_ref = fields.small()?,
            Key::Number(2) => family.kind = fields.small()?,
            Key::Number(3) => family.help_ref = fields.small()?,
            Key::Number(4) => family.unit_ref = fields.small()?,
            _ => return None,
        }
    }
    Some(family)
}

fn series(bytes: &[u8], refs: &mut Vec<u32>) -> Option<Point> {
    let mut point =
        Point { refs_end: refs.len(), family: 0, value_bits: 0, timestamp: 0, start_timestamp: 0 };
    let mut fields = Bytes { all: bytes, at: 0 };
    while let Some(key) = fields.key()? {
        match key {
            Key::Length(1) => {
                let mut packed = Bytes { all: bytes.get(fields.part()?)?, at: 0 };
                while packed.at < packed.all.len() {
                    refs.push(packed.small()?);
                }
                point.refs_end = refs.len();
            }
            Key::Number(2) => point.family = fields.small()?,
            Key::Eight(3) => point.value_bits = fields.eight()?,
            // Protobuf writes a negative number as its two's complement.
            Key::Number(4) => point.timestamp = fields.number()? as i64,
            Key::Number(5) => point.start_timestamp = fields.number()? as i64,
            _ => return None,
        }
    }
    Some(point)
}

/// A field's number, by the form in which it is written.
enum Key {
    Number(u64),
    Eight(u64),
    Length(u64),
}

struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
}

impl Bytes<'_> {
    /// The next field's key; an inner nothing at the end.
    fn key(&mut self) -> Option<Option<Key>> {
        if self.at == self.all.len() {
            return Some(None);
        }
        let key = self.number()?;
        match key & 7 {
            0 => Some(Some(Key::Number(key >> 3))),
            1 => Some(Some(Key::Eight(key >> 3))),
            2 => Some(Some(Key::Length(key >> 3))),
            _ => None,
        }
    }

    #[inline]
    fn number(&mut self) -> Option<u64> {
        let first = *self.all.get(self.at)?;
        if first < 0x80 {
            self.at += 1;
            return Some(u64::from(first));
        }
        self.long_number()
    }

    fn long_number(&mut self) -> Option<u64> {
        let mut number = 0;
        for (position, byte) in self.all.get(self.at..)?.iter().take(LONGEST).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * position);
            if *byte < 0x80 {
                self.at += position + 1;
                // Of the tenth byte one bit belongs to the number: any other is the generated decoder's to judge.
                return (position + 1 < LONGEST || *byte == 1).then_some(number);
            }
        }
        None
    }

    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    fn eight(&mut self) -> Option<u64> {
        let bytes = self.all.get(self.at..)?.first_chunk()?;
        self.at += 8;
        Some(u64::from_le_bytes(*bytes))
    }

    fn part(&mut self) -> Option<Range<usize>> {
        let length = usize::try_from(self.number()?).ok()?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.all.len())?;
        let part = self.at..end;
        self.at = end;
        Some(part)
    }
}
