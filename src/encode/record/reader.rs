//! Reads what [`super::builder`] writes, with each list made in its final size. Anything else, an unknown
//! field as well as damage, is left to the generated decoder: what it says counts (a test compares them).

use crate::pb::record as pb;

/// The record, or nothing where the generated decoder must look.
pub(super) fn read(bytes: &[u8]) -> Option<pb::Record> {
    let mut record = pb::Record::default();
    let mut fields = Bytes(bytes);
    while let Some(key) = fields.key()? {
        match key {
            Key::Number(1) => record.version = fields.small()?,
            Key::Length(2) => record.symbols.push(std::str::from_utf8(fields.part()?).ok()?.to_owned()),
            Key::Length(3) => record.families.push(family(fields.part()?)?),
            Key::Length(4) => record.series.push(series(fields.part()?)?),
            _ => return None,
        }
    }
    Some(record)
}

fn family(bytes: &[u8]) -> Option<pb::Family> {
    let mut family = pb::Family::default();
    let mut fields = Bytes(bytes);
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

fn series(bytes: &[u8]) -> Option<pb::Series> {
    let mut series = pb::Series::default();
    let mut fields = Bytes(bytes);
    while let Some(key) = fields.key()? {
        match key {
            Key::Length(1) => {
                let mut refs = Bytes(fields.part()?);
                // The last byte of each number has its high bit clear.
                series.label_refs.reserve_exact(refs.0.iter().filter(|byte| **byte < 0x80).count());
                while !refs.0.is_empty() {
                    series.label_refs.push(refs.small()?);
                }
            }
            Key::Number(2) => series.family = fields.small()?,
            Key::Eight(3) => series.value_bits = fields.eight()?,
            // Protobuf writes a negative number as its two's complement.
            Key::Number(4) => series.timestamp = fields.number()? as i64,
            Key::Number(5) => series.start_timestamp = fields.number()? as i64,
            _ => return None,
        }
    }
    Some(series)
}

/// A field's number, by the form in which it is written.
enum Key {
    Number(u64),
    Eight(u64),
    Length(u64),
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// The next field's key; an inner nothing at the end.
    fn key(&mut self) -> Option<Option<Key>> {
        if self.0.is_empty() {
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

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        // Nine times seven bits: a tenth byte is the generated decoder's to judge.
        for (position, byte) in self.0.iter().take(9).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * position);
            if *byte < 0x80 {
                self.0 = self.0.get(position + 1..)?;
                return Some(number);
            }
        }
        None
    }

    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    fn eight(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*bytes))
    }

    fn part(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (part, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(part)
    }
}
