//! A record as the encoders read it: its bytes, and where in them everything stands. So a record of
//! thousands of series takes a handful of lists, whatever it holds.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use prost::Message;

use super::{VERSION, is_described, reader};
use crate::encode::EncodeError;
use crate::pb::record as pb;

/// A record that has passed every check.
#[derive(Clone, Debug)]
pub struct Flat {
    bytes: Arc<[u8]>,
    pub(super) version: u32,
    /// Where in `bytes` each symbol stands.
    pub(super) symbols: Vec<Range<usize>>,
    pub(super) families: Vec<pb::Family>,
    pub(super) points: Vec<Point>,
    /// The label references of all series, one after the other.
    pub(super) refs: Vec<u32>,
}

/// A series without its labels.
#[derive(Clone, Copy, Debug)]
pub(in crate::encode) struct Point {
    /// Where in the list of references its own end.
    pub(in crate::encode) refs_end: usize,
    pub(in crate::encode) family: u32,
    pub(in crate::encode) value_bits: u64,
    pub(in crate::encode) timestamp: i64,
    pub(in crate::encode) start_timestamp: i64,
}

/// A series with its label references.
#[derive(Clone, Copy, Debug)]
pub(in crate::encode) struct Series<'a> {
    pub(in crate::encode) refs: &'a [u32],
    pub(in crate::encode) point: Point,
}

impl Flat {
    /// Reads a record and checks what every encoder relies on.
    ///
    /// # Errors
    /// [`EncodeError`] where the bytes are no record of this version.
    pub fn read(bytes: Arc<[u8]>) -> Result<Flat, EncodeError> {
        if let Some(record) = reader::read(bytes.clone()) {
            return record.checked();
        }
        // An unknown field, or damage: what the generated decoder makes of it counts.
        let plain = pb::Record::decode(&*bytes)?.encode_to_vec();
        let record = reader::read(plain.into());
        record.ok_or(EncodeError::Contradiction("it cannot be read")).and_then(Flat::checked)
    }

    /// Nothing of a record yet.
    pub(super) fn of(bytes: Arc<[u8]>) -> Flat {
        Flat {
            version: 0,
            symbols: Vec::new(),
            families: Vec::new(),
            // The shortest series that is ever written takes more bytes than this.
            points: Vec::with_capacity(bytes.len() / 32),
            refs: Vec::with_capacity(bytes.len() / 3),
            bytes,
        }
    }

    fn checked(self) -> Result<Flat, EncodeError> {
        if self.version != VERSION {
            return Err(EncodeError::Version(self.version));
        }
        let symbols = self.symbols.len();
        let known = |reference: u32| (reference as usize) < symbols;
        if self.symbols.first().is_none_or(|first| !first.is_empty()) {
            return Err(EncodeError::Contradiction("the first symbol is not empty"));
        }
        if !self.families.iter().all(|f| known(f.name_ref) && known(f.help_ref) && known(f.unit_ref)) {
            return Err(EncodeError::Contradiction("a family names a symbol that is not there"));
        }
        for series in self.series(0..self.points.len()) {
            if series.refs.len() % 2 == 1 || !series.refs.iter().all(|r| known(*r)) {
                return Err(EncodeError::Contradiction("a series names a symbol that is not there"));
            }
            if series.point.family as usize >= self.families.len() {
                return Err(EncodeError::Contradiction("a series names a family that is not there"));
            }
        }
        Ok(self)
    }

    /// How many series there are, each with one sample.
    pub fn series_count(&self) -> usize {
        self.points.len()
    }

    /// The newest timestamp of these series, milliseconds since the epoch.
    pub fn newest(&self, range: Range<usize>) -> Option<i64> {
        self.points.get(range).unwrap_or_default().iter().map(|point| point.timestamp).max()
    }

    /// The names of the families of these series whose type or help are known; they are not where the last
    /// series of a family have ended.
    pub fn described(&self, range: Range<usize>) -> BTreeSet<&str> {
        let used = self.used(range).filter(|family| is_described(family));
        used.filter_map(|family| std::str::from_utf8(self.symbol(family.name_ref)).ok()).collect()
    }

    /// The families of these series, in the record's order.
    pub(in crate::encode) fn used(&self, range: Range<usize>) -> impl Iterator<Item = &pb::Family> {
        let mut used = vec![false; self.families.len()];
        for point in self.points.get(range).unwrap_or_default() {
            if let Some(used) = used.get_mut(point.family as usize) {
                *used = true;
            }
        }
        self.families.iter().zip(used).filter(|(_, used)| *used).map(|(family, _)| family)
    }

    pub(in crate::encode) fn family(&self, number: u32) -> Option<&pb::Family> {
        self.families.get(number as usize)
    }

    pub(in crate::encode) fn symbol_count(&self) -> usize {
        self.symbols.len()
    }

    /// A symbol's text by its position; reading has checked that it is there.
    pub(in crate::encode) fn symbol(&self, position: u32) -> &[u8] {
        let place = self.symbols.get(position as usize).cloned().unwrap_or_default();
        self.bytes.get(place).unwrap_or_default()
    }

    /// Where a text stands among the symbols.
    pub(in crate::encode) fn position(&self, text: &[u8]) -> Option<u32> {
        let all = || self.symbols.iter().map(|place| self.bytes.get(place.clone()).unwrap_or_default());
        all().position(|symbol| symbol == text).and_then(|position| u32::try_from(position).ok())
    }

    /// These series, or none where not all of them are there.
    pub(in crate::encode) fn series(&self, range: Range<usize>) -> impl Iterator<Item = Series<'_>> {
        let before = range.start.checked_sub(1).and_then(|before| self.points.get(before));
        let mut start = before.map_or(0, |before| before.refs_end);
        self.points.get(range).unwrap_or_default().iter().map(move |point| {
            let refs = self.refs.get(start..point.refs_end).unwrap_or_default();
            start = point.refs_end;
            Series { refs, point: *point }
        })
    }

    /// The same as the generated type.
    pub(super) fn generated(&self) -> pb::Record {
        let text = |place: &Range<usize>| {
            String::from_utf8_lossy(self.bytes.get(place.clone()).unwrap_or_default()).into_owned()
        };
        let series = self.series(0..self.points.len()).map(|Series { refs, point }| pb::Series {
            label_refs: refs.to_vec(),
            family: point.family,
            value_bits: point.value_bits,
            timestamp: point.timestamp,
            start_timestamp: point.start_timestamp,
        });
        pb::Record {
            version: self.version,
            symbols: self.symbols.iter().map(text).collect(),
            families: self.families.clone(),
            series: series.collect(),
        }
    }
}
