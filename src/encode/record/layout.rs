//! Which series a record has, apart from their values: its bytes, and where in them everything stands.

use std::sync::Arc;

use super::reader::{self, Bytes};
use crate::encode::EncodeError;
use crate::pb::record as pb;

/// A layout that has passed every check.
#[derive(Debug, Default)]
pub(in crate::encode) struct Layout {
    bytes: Arc<[u8]>,
    hash: u64,
    pub(super) symbols: Vec<Place>,
    pub(super) families: Vec<pb::Family>,
    pub(super) shapes: Vec<Shape>,
}

/// A part of a layout's or record's bytes. Half the size of a range, and there are thousands.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::encode) struct Place {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// A series: where its label references stand, and its family.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shape {
    pub(super) refs: Place,
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
        for (position, shape) in self.shapes.iter().enumerate() {
            self.refs(position, &mut refs);
            if refs.len() % 2 == 1 || !refs.iter().all(|r| known(*r)) {
                return Err(EncodeError::Contradiction("a series names a symbol that is not there"));
            }
            if shape.family as usize >= self.families.len() {
                return Err(EncodeError::Contradiction("a series names a family that is not there"));
            }
        }
        Ok(self)
    }

    pub(in crate::encode) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(in crate::encode) fn hash(&self) -> u64 {
        self.hash
    }

    /// About how much memory it takes.
    pub(in crate::encode) fn size(&self) -> usize {
        let lists = self.symbols.capacity() * size_of::<Place>()
            + self.families.capacity() * size_of::<pb::Family>()
            + self.shapes.capacity() * size_of::<Shape>();
        size_of::<Layout>() + self.bytes.len() + lists
    }

    pub(super) fn series_count(&self) -> usize {
        self.shapes.len()
    }

    pub(super) fn symbol_count(&self) -> usize {
        self.symbols.len()
    }

    pub(super) fn symbol_at(&self, position: usize) -> &[u8] {
        self.symbols.get(position).map_or(&[], |place| self.part(*place))
    }

    pub(super) fn families(&self) -> &[pb::Family] {
        &self.families
    }

    pub(super) fn family_of(&self, series: usize) -> u32 {
        self.shapes.get(series).map_or(0, |shape| shape.family)
    }

    /// Puts the label references of a series in place of what `into` holds.
    pub(super) fn refs(&self, series: usize, into: &mut Vec<u32>) {
        into.clear();
        let place = self.shapes.get(series).map_or(Place::default(), |shape| shape.refs);
        let mut packed = Bytes::new(self.part(place));
        while let Some(reference) = packed.small() {
            into.push(reference);
        }
    }

    fn part(&self, place: Place) -> &[u8] {
        self.bytes.get(place.start as usize..place.end as usize).unwrap_or_default()
    }
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
