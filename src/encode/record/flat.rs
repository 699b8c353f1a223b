//! A record as the encoders read it: its layout, which many records may share, and where in its bytes the
//! values stand.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use prost::Message;

use super::layout::{self, Layout, Place};
use super::reader::{self, Parts};
use super::{Pieces, VERSION, is_described};
use crate::encode::EncodeError;
use crate::pb::record as pb;
use crate::sample::METRIC_NAME;

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
    /// In the order of their series.
    exemplars: Vec<Observed>,
}

/// An exemplar, with its texts where they stand in the record.
#[derive(Clone, Debug)]
pub(in crate::encode) struct Observed {
    pub(in crate::encode) series: u32,
    /// Names and values by turns.
    pub(in crate::encode) texts: Box<[Place]>,
    pub(in crate::encode) value_bits: u64,
    pub(in crate::encode) timestamp: i64,
}

/// Where a record's layout stands.
pub(in crate::encode) enum LayoutBytes<'a> {
    /// In an allocation of its own.
    Apart(&'a Arc<[u8]>),
    /// Among the record's other bytes.
    Within(&'a [u8]),
}

impl LayoutBytes<'_> {
    pub(in crate::encode) fn to_bytes(&self) -> Arc<[u8]> {
        match self {
            LayoutBytes::Apart(bytes) => Arc::clone(bytes),
            LayoutBytes::Within(bytes) => Arc::from(*bytes),
        }
    }

    /// Where it stands in memory, where others may hold it too.
    pub(in crate::encode) fn place(&self) -> Option<usize> {
        match self {
            LayoutBytes::Apart(bytes) => Some(layout::place(bytes)),
            LayoutBytes::Within(_) => None,
        }
    }

    pub(in crate::encode) fn as_slice(&self) -> &[u8] {
        match self {
            LayoutBytes::Apart(bytes) => bytes,
            LayoutBytes::Within(bytes) => bytes,
        }
    }
}

impl Flat {
    /// Reads a record and checks what every encoder relies on.
    ///
    /// # Errors
    /// [`EncodeError`] where the bytes are no record of this version.
    pub fn read(record: impl Into<Pieces>) -> Result<Flat, EncodeError> {
        Flat::read_with(record.into(), |layout| Ok(Arc::new(Layout::read(layout.to_bytes())?)))
    }

    /// The same, with the layout from elsewhere.
    pub(in crate::encode) fn read_with(
        Pieces { own, layout }: Pieces,
        read: impl FnOnce(LayoutBytes<'_>) -> Result<Arc<Layout>, EncodeError>,
    ) -> Result<Flat, EncodeError> {
        let gap = layout.as_ref().map(|gap| (gap.at, gap.bytes.len()));
        let (bytes, parts) = match (reader::record(&own, gap), layout) {
            (Some(parts), layout) => (own, (parts, layout.map(|gap| gap.bytes))),
            (None, layout) => {
                // An unknown field, or damage: what the generated decoder makes of it counts.
                let whole = Pieces { own, layout }.joined();
                let plain: Arc<[u8]> = pb::Record::decode(&*whole)?.encode_to_vec().into();
                let parts = reader::record(&plain, None);
                (plain, (parts.ok_or(EncodeError::Contradiction("it cannot be read"))?, None))
            }
        };
        let (Parts { version, layout: place, values, timestamp, offsets, starts, mut exemplars }, apart) =
            parts;
        if version != VERSION {
            return Err(EncodeError::Version(version));
        }
        let layout = read(match &apart {
            Some(layout) => LayoutBytes::Apart(layout),
            None => LayoutBytes::Within(bytes.get(place).unwrap_or_default()),
        })?;
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
        if !exemplars.is_sorted_by_key(|one| one.series) {
            return Err(EncodeError::Contradiction("its exemplars are not in the order of their series"));
        }
        for one in &mut exemplars {
            if one.series as usize >= samples || one.texts.len() % 2 == 1 {
                return Err(EncodeError::Contradiction("an exemplar is of no series, or has half a label"));
            }
            let sample = timestamp + offsets.get(one.series as usize).copied().unwrap_or(0);
            let time = sample.checked_add(one.timestamp);
            one.timestamp = time.ok_or(EncodeError::Contradiction("an exemplar's time is out of bounds"))?;
        }
        Ok(Flat { bytes, layout, values, timestamp, offsets, starts, exemplars })
    }

    /// The same record in everything but these.
    pub(super) fn with_parts(
        &self,
        bytes: Arc<[u8]>,
        layout: Arc<Layout>,
        values: Range<usize>,
        times: impl Fn(&[i64]) -> Vec<i64>,
        exemplars: Vec<Observed>,
    ) -> Flat {
        let (offsets, starts) = (times(&self.offsets), times(&self.starts));
        Flat { bytes, layout, values, timestamp: self.timestamp, offsets, starts, exemplars }
    }

    /// The name of a series.
    pub(super) fn name_of(&self, series: usize) -> String {
        let mut refs = Vec::new();
        self.refs(series, &mut refs);
        let (pairs, _) = refs.as_chunks::<2>();
        let named = pairs.iter().find(|[name, _]| self.symbol(*name) == METRIC_NAME.as_bytes());
        named.map_or(String::new(), |[_, value]| String::from_utf8_lossy(self.symbol(*value)).into_owned())
    }

    /// How many series there are, each with one sample.
    pub fn series_count(&self) -> usize {
        self.layout.series_count()
    }

    /// The names under which type, help and unit of these series are told, where one of them is known.
    pub fn described(&self, range: Range<usize>) -> BTreeSet<&str> {
        let used = self.used(range).filter(|family| is_described(family));
        used.filter_map(|family| std::str::from_utf8(self.symbol(family.name_ref)).ok()).collect()
    }

    /// The families of these series, in the record's order.
    pub(in crate::encode) fn used(&self, range: Range<usize>) -> impl Iterator<Item = &pb::Family> {
        let mut used = vec![false; self.layout.families.len()];
        for series in range.start..range.end.min(self.series_count()) {
            if let Some(used) = used.get_mut(self.layout.family_of(series) as usize) {
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

    /// Every symbol's text, in their order.
    pub(in crate::encode) fn symbols(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.symbol_count()).map(|at| self.layout.symbol_at(at))
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

    /// The time of the tick, which samples have that have none of their own, milliseconds since the epoch.
    pub fn common_timestamp(&self) -> i64 {
        self.timestamp
    }

    /// Whether any sample has a time of its own.
    pub(in crate::encode) fn has_times(&self) -> bool {
        !self.offsets.is_empty()
    }

    /// Whether any start is known.
    pub(in crate::encode) fn has_starts(&self) -> bool {
        !self.starts.is_empty()
    }

    /// Whether any sample has an exemplar.
    pub(in crate::encode) fn has_exemplars(&self) -> bool {
        !self.exemplars.is_empty()
    }

    pub(in crate::encode) fn timestamp(&self, series: usize) -> i64 {
        self.timestamp + self.offsets.get(series).copied().unwrap_or(0)
    }

    pub(in crate::encode) fn start_timestamp(&self, series: usize) -> i64 {
        self.starts.get(series).copied().unwrap_or(0)
    }

    /// The exemplars of a sample.
    pub(in crate::encode) fn exemplars(&self, series: usize) -> &[Observed] {
        let from = self.exemplars.partition_point(|one| (one.series as usize) < series);
        let rest = self.exemplars.get(from..).unwrap_or_default();
        let count = rest.iter().take_while(|one| one.series as usize == series).count();
        rest.get(..count).unwrap_or_default()
    }

    /// Name and value of each label of an exemplar.
    pub(in crate::encode) fn observed_labels<'a>(
        &'a self,
        one: &'a Observed,
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let (pairs, _) = one.texts.as_chunks::<2>();
        pairs.iter().map(|[name, value]| (self.text(*name), self.text(*value)))
    }

    /// A text that stands in the record itself.
    pub(super) fn text(&self, place: Place) -> &[u8] {
        self.bytes.get(place.start as usize..place.end as usize).unwrap_or_default()
    }
}
