//! A record as the encoders read it: its layout, which many records may share, and where in its bytes the
//! values stand.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use prost::Message;

use super::layout::Layout;
use super::reader::{self, Parts};
use super::{VERSION, is_described};
use crate::encode::EncodeError;
use crate::pb::record as pb;

/// A record that has passed every check.
#[derive(Clone, Debug)]
pub struct Flat {
    bytes: Arc<[u8]>,
    layout: Arc<Layout>,
    /// Where in `bytes` the values stand.
    values: Range<usize>,
    timestamp: i64,
    /// One for each sample, or none.
    offsets: Vec<i64>,
    /// One for each sample, or none.
    starts: Vec<i64>,
}

impl Flat {
    /// Reads a record and checks what every encoder relies on.
    ///
    /// # Errors
    /// [`EncodeError`] where the bytes are no record of this version.
    pub fn read(bytes: Arc<[u8]>) -> Result<Flat, EncodeError> {
        Flat::read_with(bytes, |layout| Ok(Arc::new(Layout::read(layout)?)))
    }

    /// The same, with the layout from elsewhere.
    pub(in crate::encode) fn read_with(
        mut bytes: Arc<[u8]>,
        layout: impl FnOnce(&[u8]) -> Result<Arc<Layout>, EncodeError>,
    ) -> Result<Flat, EncodeError> {
        let parts = match reader::record(&bytes) {
            Some(parts) => parts,
            None => {
                // An unknown field, or damage: what the generated decoder makes of it counts.
                bytes = pb::Record::decode(&*bytes)?.encode_to_vec().into();
                reader::record(&bytes).ok_or(EncodeError::Contradiction("it cannot be read"))?
            }
        };
        let Parts { version, layout: place, values, timestamp, offsets, starts } = parts;
        if version != VERSION {
            return Err(EncodeError::Version(version));
        }
        let layout = layout(bytes.get(place).unwrap_or_default())?;
        let samples = layout.series_count();
        if values.len() != 8 * samples {
            return Err(EncodeError::Contradiction("it has not one value for each series"));
        }
        for list in [&offsets, &starts] {
            if !list.is_empty() && list.len() != samples {
                return Err(EncodeError::Contradiction("it has not one time for each series"));
            }
        }
        if offsets.iter().any(|offset| timestamp.checked_add(*offset).is_none()) {
            return Err(EncodeError::Contradiction("a time is out of bounds"));
        }
        Ok(Flat { bytes, layout, values, timestamp, offsets, starts })
    }

    /// How many series there are, each with one sample.
    pub fn series_count(&self) -> usize {
        self.layout.series_count()
    }

    /// The newest timestamp of these series, milliseconds since the epoch.
    pub fn newest(&self, range: Range<usize>) -> Option<i64> {
        if self.offsets.is_empty() {
            return (!range.is_empty() && range.end <= self.series_count()).then_some(self.timestamp);
        }
        self.offsets.get(range).unwrap_or_default().iter().map(|offset| self.timestamp + offset).max()
    }

    /// The names of the families of these series whose type or help are known; they are not where the last
    /// series of a family have ended.
    pub fn described(&self, range: Range<usize>) -> BTreeSet<&str> {
        let used = self.used(range).filter(|family| is_described(family));
        used.filter_map(|family| std::str::from_utf8(self.symbol(family.name_ref)).ok()).collect()
    }

    /// The families of these series, in the record's order.
    pub(in crate::encode) fn used(&self, range: Range<usize>) -> impl Iterator<Item = &pb::Family> {
        let mut used = vec![false; self.layout.families.len()];
        for shape in self.layout.shapes.get(range).unwrap_or_default() {
            if let Some(used) = used.get_mut(shape.family as usize) {
                *used = true;
            }
        }
        self.layout.families.iter().zip(used).filter(|(_, used)| *used).map(|(family, _)| family)
    }

    pub(in crate::encode) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    pub(in crate::encode) fn family(&self, number: u32) -> Option<&pb::Family> {
        self.layout.families.get(number as usize)
    }

    pub(in crate::encode) fn family_of(&self, series: usize) -> u32 {
        self.layout.family_of(series)
    }

    /// Puts the label references of a series in place of what `into` holds.
    pub(in crate::encode) fn refs(&self, series: usize, into: &mut Vec<u32>) {
        self.layout.refs(series, into);
    }

    pub(in crate::encode) fn symbol_count(&self) -> usize {
        self.layout.symbol_count()
    }

    /// A symbol's text by its position; reading has checked that it is there.
    pub(in crate::encode) fn symbol(&self, position: u32) -> &[u8] {
        self.layout.symbol_at(position as usize)
    }

    /// Where a text stands among the symbols.
    pub(in crate::encode) fn position(&self, text: &[u8]) -> Option<u32> {
        let position = (0..self.symbol_count()).position(|at| self.layout.symbol_at(at) == text)?;
        u32::try_from(position).ok()
    }

    /// The bits of the values of these series, or none where not all of them are there.
    pub(in crate::encode) fn values(&self, range: Range<usize>) -> &[[u8; 8]] {
        let (values, _) = self.bytes.get(self.values.clone()).unwrap_or_default().as_chunks::<8>();
        values.get(range).unwrap_or_default()
    }

    pub(super) fn value(&self, series: usize) -> u64 {
        self.values(series..series + 1).first().map_or(0, |bits| u64::from_le_bytes(*bits))
    }

    /// The time of all samples, where they have no times of their own and no starts.
    pub(in crate::encode) fn common_timestamp(&self) -> Option<i64> {
        (self.offsets.is_empty() && self.starts.is_empty()).then_some(self.timestamp)
    }

    pub(in crate::encode) fn timestamp(&self, series: usize) -> i64 {
        self.timestamp + self.offsets.get(series).copied().unwrap_or(0)
    }

    pub(in crate::encode) fn start_timestamp(&self, series: usize) -> i64 {
        self.starts.get(series).copied().unwrap_or(0)
    }
}
