//! Which series a record has, apart from their values: its bytes, and where in them everything stands.

use std::ops::Range;
use std::sync::Arc;

use super::reader::{self, Bytes};
use crate::encode::EncodeError;
use crate::pb::record as pb;

/// A layout that has passed every check.
#[derive(Debug, Default)]
pub(in crate::encode) struct Layout {
    bytes: Arc<[u8]>,
    hash: u64,
    /// Where the length of each stands in the bytes: there are thousands, and of many layouts.
    pub(super) symbols: Vec<u32>,
    pub(super) families: Vec<pb::Family>,
    /// The same.
    pub(super) series: Vec<u32>,
}

/// A part of a record's bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::encode) struct Place {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// A series: where its label references stand, and its family.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    pub(super) refs: Range<usize>,
    pub(super) family: u32,
}

impl Layout {
    /// Reads a layout and checks what every encoder relies on.
    pub(in crate::encode) fn read(bytes: Arc<[u8]>) -> Result<Layout, EncodeError> {
        use prost::Message;

        if let Some(layout) = reader::layout(&bytes) {
            return layout.checked(bytes);
        }
        // An unknown field, or damage: what the generated decoder makes of it counts.
        let plain = pb::Layout::decode(&*bytes)?.encode_to_vec();
        let layout = reader::layout(&plain);
        layout.ok_or(EncodeError::Contradiction("it cannot be read"))?.checked(plain.into())
    }

    fn checked(mut self, bytes: Arc<[u8]>) -> Result<Layout, EncodeError> {
        self.hash = hash(&bytes);
        self.bytes = bytes;
        let symbols = self.symbols.len();
        let known = |reference: u32| (reference as usize) < symbols;
        if symbols == 0 || !self.symbol_at(0).is_empty() {
            return Err(EncodeError::Contradiction("the first symbol is not empty"));
        }
        if !self.families.iter().all(|f| known(f.name_ref) && known(f.help_ref) && known(f.unit_ref)) {
            return Err(EncodeError::Contradiction("a family names a symbol that is not there"));
        }
        let mut refs = Vec::new();
        for position in 0..self.series.len() {
            let Shape { family, .. } = self.read_series(position, &mut refs);
            if refs.len() % 2 == 1 || !refs.iter().all(|r| known(*r)) {
                return Err(EncodeError::Contradiction("a series names a symbol that is not there"));
            }
            if family as usize >= self.families.len() {
                return Err(EncodeError::Contradiction("a series names a family that is not there"));
            }
        }
        Ok(self)
    }

    pub(in crate::encode) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(in crate::encode) fn shared(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    pub(in crate::encode) fn hash(&self) -> u64 {
        self.hash
    }

    /// About how much memory it takes besides its bytes.
    pub(in crate::encode) fn size(&self) -> usize {
        size_of::<Layout>()
            + (self.symbols.capacity() + self.series.capacity()) * size_of::<u32>()
            + self.families.capacity() * size_of::<pb::Family>()
    }

    /// Where its bytes stand in memory.
    pub(in crate::encode) fn place(&self) -> usize {
        place(&self.bytes)
    }

    /// Whether nobody else holds its bytes.
    pub(in crate::encode) fn is_alone(&self) -> bool {
        Arc::strong_count(&self.bytes) == 1
    }

    pub(super) fn series_count(&self) -> usize {
        self.series.len()
    }

    pub(super) fn symbol_count(&self) -> usize {
        self.symbols.len()
    }

    pub(super) fn symbol_at(&self, position: usize) -> &[u8] {
        self.symbols.get(position).map_or(&[], |at| self.part(reader::part(&self.bytes, *at)))
    }

    pub(super) fn families(&self) -> &[pb::Family] {
        &self.families
    }

    pub(super) fn family_of(&self, series: usize) -> u32 {
        self.shape(series).family
    }

    /// Puts the label references of a series in place of what `into` holds.
    pub(super) fn refs(&self, series: usize, into: &mut Vec<u32>) {
        self.read_series(series, into);
    }

    #[inline]
    fn read_series(&self, series: usize, refs: &mut Vec<u32>) -> Shape {
        refs.clear();
        let shape = self.shape(series);
        let mut packed = Bytes::new(self.part(shape.refs.clone()));
        while let Some(reference) = packed.small() {
            refs.push(reference);
        }
        shape
    }

    #[inline]
    fn shape(&self, series: usize) -> Shape {
        let at = self.series.get(series);
        at.and_then(|at| reader::series(&self.bytes, reader::part(&self.bytes, *at))).unwrap_or_default()
    }

    #[inline]
    fn part(&self, place: Range<usize>) -> &[u8] {
        self.bytes.get(place).unwrap_or_default()
    }
}

/// Where bytes stand in memory; no others stand there as long as somebody holds them.
pub(in crate::encode) fn place(bytes: &Arc<[u8]>) -> usize {
    bytes.as_ptr() as usize
}

/// Of a layout's bytes; four at a time, since each step waits for the one before.
pub(in crate::encode) fn hash(bytes: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |state: u64, word: u64| {
        let product = u128::from(state ^ word) * u128::from(ODD);
        (product as u64) ^ (product >> 64) as u64
    };
    let mut lanes = [1_u64, 2, 3, bytes.len() as u64];
    let (blocks, rest) = bytes.as_chunks::<32>();
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = mix(*lane, u64::from_le_bytes(*word));
        }
    }
    let mut last = [0; 32];
    last[..rest.len()].copy_from_slice(rest);
    let (words, _) = last.as_chunks::<8>();
    lanes.iter().zip(words).fold(0, |all, (lane, word)| mix(all ^ lane, u64::from_le_bytes(*word)))
}
