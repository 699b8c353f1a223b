//! Puts values and what else is said of samples together around their layout, in one buffer for all records.

use std::sync::Arc;

use super::tick::Extra;
use super::{Gap, Pieces, Record, VERSION};
use crate::encode::wire;

/// Which series a record has, encoded.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) layout: Arc<[u8]>,
    pub(super) samples: usize,
}

#[derive(Default)]
pub(super) struct Writer {
    out: Vec<u8>,
    /// A list or message before its length is known.
    part: Vec<u8>,
}

/// Keys, lengths, version and time of a record take fewer bytes.
const AROUND: usize = 64;

impl Writer {
    /// A record of these series, with as many values as there are. `extras` are by the samples' positions, of
    /// which this record's begin at `first`.
    pub(super) fn record(
        &mut self,
        piece: &Piece,
        values: impl Iterator<Item = u64>,
        at: i64,
        extras: &[(usize, &Extra<'_>)],
        first: usize,
    ) -> Record {
        let out = &mut self.out;
        out.clear();
        out.reserve(8 * piece.samples + AROUND);
        wire::number(out, 1, i64::from(VERSION));
        wire::length(out, 2, piece.layout.len());
        let gap = Gap { at: out.len(), bytes: piece.layout.clone() };
        wire::length(out, 3, 8 * piece.samples);
        let start = out.len();
        out.resize(start + 8 * piece.samples, 0);
        let (places, _) = out[start..].as_chunks_mut();
        for (place, value) in places.iter_mut().zip(values) {
            *place = value.to_le_bytes();
        }
        wire::number(out, 4, at);
        let begin = extras.partition_point(|(position, _)| *position < first);
        let end = extras.partition_point(|(position, _)| *position < first + piece.samples);
        let mine = &extras[begin..end];
        if !mine.is_empty() {
            self.extras(piece.samples, at, mine, first);
        }
        let pieces = Pieces { own: self.out.as_slice().into(), layout: Some(gap) };
        Record { pieces, samples: piece.samples, at_ms: at }
    }

    /// Writes times, starts and exemplars.
    fn extras(&mut self, samples: usize, at: i64, extras: &[(usize, &Extra<'_>)], first: usize) {
        if extras.iter().any(|(_, extra)| extra.at != at) {
            self.list(5, samples, extras, first, |extra| {
                let offset = extra.at.wrapping_sub(at);
                wire::zigzag(offset)
            });
        }
        if extras.iter().any(|(_, extra)| extra.start != 0) {
            self.list(6, samples, extras, first, |extra| extra.start as u64);
        }
        for (position, extra) in extras {
            for exemplar in &extra.exemplars {
                let part = &mut self.part;
                part.clear();
                // A record's positions are far below 2^63.
                wire::number(part, 1, (position - first) as i64);
                for label in exemplar.labels.iter() {
                    wire::text(part, 2, label.name.as_bytes());
                    wire::text(part, 2, label.value.as_bytes());
                }
                wire::fixed(part, 3, exemplar.value.bits());
                let later = exemplar.at.map_or(0, |own| own.0.wrapping_sub(extra.at));
                if later != 0 {
                    wire::number(part, 4, wire::zigzag(later) as i64);
                }
                wire::text(&mut self.out, 7, part);
            }
        }
    }

    /// A number for each sample; 0 for those of which nothing is said.
    fn list(
        &mut self,
        field: u32,
        samples: usize,
        extras: &[(usize, &Extra<'_>)],
        first: usize,
        number: impl Fn(&Extra<'_>) -> u64,
    ) {
        self.part.clear();
        let mut extras = extras.iter().peekable();
        for position in first..first + samples {
            let own = extras.next_if(|(own, _)| *own == position);
            wire::varint(&mut self.part, own.map_or(0, |(_, extra)| number(extra)));
        }
        wire::text(&mut self.out, field, &self.part);
    }
}
