//! Reads what [`super::builder`] writes. Anything else, an unknown field as well as damage, is left to the
//! generated decoder: what it says counts (a test compares them).

use std::ops::Range;

use super::VERSION;
use super::flat::Observed;
use super::layout::{Layout, Place, Shape};
use crate::pb::record as pb;

/// The most bytes of a number.
const LONGEST: usize = 10;

/// Where a record's parts stand.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) version: u32,
    pub(super) layout: Range<usize>,
    pub(super) values: Range<usize>,
    pub(super) timestamp: i64,
    pub(super) offsets: Vec<i64>,
    pub(super) starts: Vec<i64>,
    /// Each with its time as the number that it is later than its sample's.
    pub(super) exemplars: Vec<Observed>,
}

/// The record's parts, or nothing where the generated decoder must look. At `gap` so many bytes, the layout's, are
/// left out.
pub(super) fn record(all: &[u8], gap: Option<(usize, usize)>) -> Option<Parts> {
    let mut parts = Parts::default();
    let mut fields = Bytes::new(all);
    while let Some(key) = fields.key()? {
        match key {
            Key::Number(1) => {
                parts.version = fields.small()?;
                // What its fields mean is not known.
                if parts.version != VERSION {
                    return Some(parts);
                }
            }
            Key::Length(2) if gap.is_some() => fields.gap(gap?)?,
            Key::Length(2) => parts.layout = fields.part()?,
            // Of two lists the second goes on where the first has ended.
            Key::Length(3) if parts.values.is_empty() => {
                parts.values = fields.part()?;
                if parts.values.len() % 8 != 0 {
                    return None;
                }
            }
            // Protobuf writes a negative number as its two's complement, but in a zigzag where it says so.
            Key::Number(4) => parts.timestamp = fields.number()? as i64,
            Key::Length(5) => fields.packed(|number| parts.offsets.push(zigzag(number)))?,
            Key::Length(6) => fields.packed(|number| parts.starts.push(number as i64))?,
            Key::Length(7) => parts.exemplars.push(exemplar(all, fields.part()?)?),
            _ => return None,
        }
    }
    Some(parts)
}

fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

fn exemplar(all: &[u8], part: Range<usize>) -> Option<Observed> {
    let (mut series, mut value_bits, mut timestamp, mut texts) = (0, 0, 0, Vec::new());
    let mut fields = Bytes { all: all.get(..part.end)?, at: part.start };
    while let Some(key) = fields.key()? {
        match key {
            Key::Number(1) => series = fields.small()?,
            Key::Length(2) => {
                let place = fields.part()?;
                std::str::from_utf8(all.get(place.clone())?).ok()?;
                texts.push(self::place(&place)?);
            }
            Key::Fixed(3) => value_bits = fields.fixed()?,
            Key::Number(4) => timestamp = zigzag(fields.number()?),
            _ => return None,
        }
    }
    Some(Observed { series, texts: texts.into(), value_bits, timestamp })
}

/// The layout, unchecked and without its bytes, or nothing where the generated decoder must look.
pub(super) fn layout(all: &[u8]) -> Option<Layout> {
    let mut layout = Layout::default();
    let mut fields = Bytes::new(all);
    while let Some(key) = fields.key()? {
        match key {
            Key::Length(1) => {
                layout.symbols.push(u32::try_from(fields.at).ok()?);
                std::str::from_utf8(all.get(fields.part()?)?).ok()?;
            }
            Key::Length(2) => layout.families.push(family(all.get(fields.part()?)?)?),
            Key::Length(3) => {
                layout.series.push(u32::try_from(fields.at).ok()?);
                let mut refs = Bytes::new(all.get(series(all, fields.part()?)?.refs)?);
                while refs.at < refs.all.len() {
                    refs.small()?;
                }
            }
            _ => return None,
        }
    }
    layout.symbols.shrink_to_fit();
    layout.series.shrink_to_fit();
    Some(layout)
}

/// The part whose length stands here; reading has checked it.
#[inline]
pub(super) fn part(all: &[u8], at: u32) -> Range<usize> {
    Bytes { all, at: at as usize }.part().unwrap_or_default()
}

fn place(range: &Range<usize>) -> Option<Place> {
    Some(Place { start: u32::try_from(range.start).ok()?, end: u32::try_from(range.end).ok()? })
}

fn family(bytes: &[u8]) -> Option<pb::Family> {
    let mut family = pb::Family::default();
    let mut fields = Bytes::new(bytes);
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

/// A series, its references unchecked.
#[inline]
pub(super) fn series(all: &[u8], part: Range<usize>) -> Option<Shape> {
    let mut shape = Shape::default();
    let mut fields = Bytes { all: all.get(..part.end)?, at: part.start };
    while let Some(key) = fields.key()? {
        match key {
            // References in two pieces are not for us.
            Key::Length(1) if shape.refs.end == 0 => shape.refs = fields.part()?,
            Key::Number(2) => shape.family = fields.small()?,
            _ => return None,
        }
    }
    Some(shape)
}

/// A field's number, by the form in which it is written.
enum Key {
    Number(u64),
    Fixed(u64),
    Length(u64),
}

pub(super) struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    pub(super) fn new(all: &'a [u8]) -> Self {
        Bytes { all, at: 0 }
    }

    /// The next field's key; an inner nothing at the end.
    fn key(&mut self) -> Option<Option<Key>> {
        if self.at == self.all.len() {
            return Some(None);
        }
        let key = self.number()?;
        match key & 7 {
            0 => Some(Some(Key::Number(key >> 3))),
            1 => Some(Some(Key::Fixed(key >> 3))),
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

    /// A part of this length whose bytes are not here.
    fn gap(&mut self, (at, length): (usize, usize)) -> Option<()> {
        let told = self.number()?;
        (told == length as u64 && self.at == at).then_some(())
    }

    /// The next number, where it has at most 32 bits.
    pub(super) fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    /// 64 bits.
    fn fixed(&mut self) -> Option<u64> {
        let bytes = self.all.get(self.at..)?.first_chunk()?;
        self.at += 8;
        Some(u64::from_le_bytes(*bytes))
    }

    /// Every number of a list.
    fn packed(&mut self, mut each: impl FnMut(u64)) -> Option<()> {
        let part = self.part()?;
        let mut packed = Bytes::new(self.all.get(part)?);
        while packed.at < packed.all.len() {
            each(packed.number()?);
        }
        Some(())
    }

    fn part(&mut self) -> Option<Range<usize>> {
        let length = usize::try_from(self.number()?).ok()?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.all.len())?;
        let part = self.at..end;
        self.at = end;
        Some(part)
    }
}
