//! A request before compression, and the places in it that differ from tick to tick.

use std::ops::Range;

use super::Exemplars;
use super::pack::Before;
use super::record::Flat;
use super::snappy::Copied;

/// So many copies are remembered of a request for each of its samples; where there are more, none.
const COPIES: usize = 6;

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
    plain: Vec<u8>,
    places: Vec<u32>,
    before: Before,
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
    /// A request that was written of a record with a [`time`].
    pub(super) fn of(kind: Kind, draft: &Draft) -> Option<Template> {
        let places: Result<Vec<u32>, _> = draft.places.iter().map(|place| u32::try_from(*place)).collect();
        let before = Before::new(COPIES * draft.places.len());
        Some(Template { kind, plain: draft.plain.as_slice().into(), places: places.ok()?, before })
    }

    /// The request with these values and this time, and how it was compressed before.
    pub(super) fn filled(&mut self, values: &[[u8; 8]], time: Time) -> (&[u8], &mut Before) {
        for (place, value) in self.places.iter().zip(values) {
            let spot = self.plain.get_mut(*place as usize..).and_then(|rest| rest.first_chunk_mut::<15>());
            if let Some(spot) = spot {
                spot[..8].copy_from_slice(value);
                spot[9..].copy_from_slice(&time);
            }
        }
        (&self.plain, &mut self.before)
    }

    /// About how much memory it would take.
    pub(super) fn size(draft: &Draft) -> usize {
        let sample = size_of::<u32>() + COPIES * size_of::<Copied>();
        size_of::<Template>() + draft.plain.len() + draft.places.len() * sample
    }
}
