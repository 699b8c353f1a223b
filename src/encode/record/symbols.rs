//! A record's table of texts: a text goes in, its number comes out, each text once.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use super::builder::count;
use crate::encode::wire;

pub(super) struct Symbols<'a> {
    bytes: Vec<u8>,
    numbers: HashMap<&'a str, u32, Mixing>,
    /// What stood at each place of the series before: mostly the next one has the same there.
    before: Vec<(&'a str, u32)>,
}

impl Default for Symbols<'_> {
    fn default() -> Self {
        let mut symbols = Symbols { bytes: Vec::new(), numbers: HashMap::default(), before: Vec::new() };
        symbols.number("");
        symbols
    }
}

impl<'a> Symbols<'a> {
    /// The number of a text.
    pub(super) fn number(&mut self, text: &'a str) -> u32 {
        let next = count(self.numbers.len());
        let number = *self.numbers.entry(text).or_insert(next);
        if number == next {
            wire::text(&mut self.bytes, 1, text.as_bytes());
        }
        number
    }

    /// The number of the text at this place of a series.
    pub(super) fn number_at(&mut self, place: usize, text: &'a str) -> u32 {
        match self.before.get(place) {
            // Mostly the very same text, whose bytes need no look.
            Some((before, number)) if std::ptr::eq(*before, text) || *before == text => return *number,
            _ => {}
        }
        let number = self.number(text);
        match self.before.get_mut(place) {
            Some(before) => *before = (text, number),
            None => self.before.push((text, number)),
        }
        number
    }

    /// Only the empty text again.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.numbers.clear();
        self.before.clear();
        self.number("");
    }

    /// The table as field 1 of a layout.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Begins each hash with a number that nobody outside knows: a relayed page is foreign, and must not be able to choose
/// texts that collide.
#[derive(Clone)]
struct Mixing(u64);

impl Default for Mixing {
    fn default() -> Self {
        Mixing(RandomState::new().hash_one(0))
    }
}

impl BuildHasher for Mixing {
    type Hasher = Mixed;

    fn build_hasher(&self) -> Mixed {
        Mixed(self.0)
    }
}

/// Hashes short texts eight bytes at a time.
struct Mixed(u64);

impl Mixed {
    fn mix(&mut self, word: u64) {
        // An odd number with half of its bits set (2^64 divided by the golden ratio).
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product as u64) ^ (product >> 64) as u64;
    }
}

impl Hasher for Mixed {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last).rotate_left(8) ^ bytes.len() as u64);
    }

    fn write_u8(&mut self, byte: u8) {
        self.mix(u64::from(byte));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
