//! A request before compression, and the places in it that differ from tick to tick.

use std::ops::Range;

use super::Exemplars;
use super::pack::Before;
use super::record::Flat;
use super::snappy::Rows;

/// Where a sample's value is, from its place on.
pub(super) const VALUE: Range<usize> = 0..8;
/// Where its time is, behind the time's key.
pub(super) const TIME: Range<usize> = 9..15;

/// A request as it is written, with memory that the next one uses again.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) plain: Vec<u8>,
    /// Where each series' value stands; its timestamp's key and the timestamp follow.
    pub(super) places: Vec<usize>,
    /// What is put together before it can go into `plain`.
    pub(super) more: Vec<u8>,
}

impl Draft {
    pub(super) fn clear(&mut self) {
        self.plain.clear();
        self.places.clear();
        self.more.clear();
    }
}

/// A version of remote write, and which series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) is_two: bool,
    pub(super) exemplars: Exemplars,
    pub(super) range: Range<usize>,
}

/// A whole request of some layout's series, in which only values and the time are still to be set.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) kind: Kind,
    pub(super) blank: Blank,
    /// How it was compressed before.
    pub(super) before: Before,
}

/// The request itself, with some values and a time.
#[derive(Debug)]
pub(super) struct Blank {
    plain: Box<[u8]>,
    places: Box<[u32]>,
}

/// A timestamp as most are written: any from 2004 to 2109 takes so many bytes.
pub(super) type Time = [u8; 6];

/// The time of all samples of a record, where a request of this kind differs in nothing but it and the values.
pub(super) fn time(record: &Flat, kind: &Kind) -> Option<Time> {
    // 1.0 knows no starts.
    if record.has_times()
        || kind.is_two && record.has_starts()
        || kind.exemplars == Exemplars::With && record.has_exemplars()
    {
        return None;
    }
    let at = u64::try_from(record.common_timestamp()).ok()?;
    let mut bytes = Vec::with_capacity(10);
    super::wire::varint(&mut bytes, at);
    bytes.try_into().ok()
}

impl Template {
    /// A request that was written of a record with a [`time`], and took so many bytes compressed.
    pub(super) fn of(kind: Kind, draft: &Draft, packed: usize) -> Option<Template> {
        let places: Result<Box<[u32]>, _> = draft.places.iter().map(|place| u32::try_from(*place)).collect();
        let blank = Blank { plain: draft.plain.as_slice().into(), places: places.ok()? };
        Some(Template { kind, blank, before: Before::new(Template::most(packed)) })
    }

    /// About how much memory it would take.
    pub(super) fn size(draft: &Draft, packed: usize) -> usize {
        let samples = draft.places.len();
        let rows = Rows::size(samples, Template::most(packed));
        size_of::<Template>() + draft.plain.len() + samples * size_of::<u32>() + rows
    }

    /// How many bytes it may take compressed another time, where it has taken so many once.
    fn most(packed: usize) -> usize {
        packed + packed / 8
    }
}

impl Blank {
    /// The request with these values and this time.
    pub(super) fn filled(&mut self, values: &[[u8; 8]], time: Time) -> &[u8] {
        for (place, value) in self.places.iter().zip(values) {
            let spot =
                self.plain.get_mut(*place as usize..).and_then(|rest| rest.first_chunk_mut::<{ TIME.end }>());
            if let Some(spot) = spot {
                spot[VALUE].copy_from_slice(value);
                spot[TIME].copy_from_slice(&time);
            }
        }
        &self.plain
    }

    /// How many bytes it has.
    pub(super) fn length(&self) -> usize {
        self.plain.len()
    }

    /// The parts of what it was compressed to, when it had these values.
    pub(super) fn rows(&self, packed: &[u8], values: &[[u8; 8]]) -> Option<Rows> {
        Rows::of(packed, self.plain.len(), &self.places, values)
    }
}
