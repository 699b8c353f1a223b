//! Compression in Snappy's block format, made for requests: one series after the other, each much like one before.
//!
//! The `snap` crate, as every port of the original, takes pieces of 64 KiB by themselves and so writes what they have
//! in common again in each. Here what came before is looked at as far back as a copy reaches, and where a copy has
//! ended (at a uuid, a number) the text is tried first at the same distance behind it. A cycle of 1,000 fleets sent as 1.0
//! has 7 % fewer bytes so, series with a uuid each 1 %. Searching costs as much as the crate's or a third more; a request
//! that comes again is not searched ([`Rows`]).

mod elements;
mod rows;

use self::elements::{SHORTEST, SHORTEST_AGAIN, alike, copy, literal};
pub(super) use self::rows::Rows;
use super::EncodeError;

/// Numbers a hash may be.
const SLOTS: usize = 1 << 14;
/// A copy of so many bytes takes one element, and no other is looked for.
const LONG: usize = 64;
/// How far back a copy reaches with an offset of two bytes.
const REACH: usize = 1 << 16;
/// So many places are looked up by their hashes before the text is tried at the distance of the last copy.
const LOOKS: usize = 2;
/// How far ahead it is tried there.
const AHEAD: usize = 64;
/// So many bytes before the place where it goes on alike may be alike elsewhere: the last digits of a number.
const DIGITS: usize = 2;
/// Text behind the last copy of which nothing is found is passed over faster after so many bytes.
const PATIENCE: usize = 32;
/// So near the end nothing is looked for: eight bytes can be read at every place before.
const END: usize = 16;

/// A compressor, with memory that the next text uses again.
pub(super) struct Snappy {
    /// Where six bytes of a hash stood last; 0 for nowhere.
    places: Box<[u32; SLOTS]>,
}

impl Snappy {
    pub(super) fn new() -> Snappy {
        Snappy { places: Box::new([0; SLOTS]) }
    }

    /// Writes the compressed text in place of what `packed` holds.
    ///
    /// # Errors
    /// [`EncodeError::Snappy`] for a text of over 4 GiB, whose length the format cannot say.
    pub(super) fn compress(&mut self, plain: &[u8], packed: &mut Vec<u8>) -> Result<(), EncodeError> {
        let (given, max) = (plain.len() as u64, u64::from(u32::MAX));
        if given > max {
            return Err(snap::Error::TooBig { given, max }.into());
        }
        packed.clear();
        super::wire::varint(packed, given);
        self.places.fill(0);
        let mut text = Text { plain, places: &mut self.places };
        // Of a copy nothing is known yet at the first byte.
        let (mut at, mut begun, mut distance) = (1, 0, 0);
        let end = plain.len().saturating_sub(END);
        while at < end {
            let Some(found) = text.find(at, begun, distance, end) else {
                at += 1 + (at - begun) / PATIENCE;
                continue;
            };
            let found = text.widened(found, begun);
            literal(packed, plain.get(begun..found.at).unwrap_or_default());
            distance = found.at - found.from;
            copy(packed, distance, found.length);
            at = found.at + found.length;
            begun = at;
            if at < end {
                text.note(at - 2);
            }
        }
        literal(packed, plain.get(begun..).unwrap_or_default());
        Ok(())
    }
}

impl std::fmt::Debug for Snappy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snappy").finish_non_exhaustive()
    }
}

/// The text, and where it has been looked at.
struct Text<'a> {
    plain: &'a [u8],
    places: &'a mut [u32; SLOTS],
}

/// So many bytes stand `at` a place as they stand at an earlier one.
#[derive(Clone, Copy)]
struct Match {
    at: usize,
    from: usize,
    length: usize,
}

impl Text<'_> {
    /// What to copy at this place, or behind it where the text goes on at `distance` as it did there.
    #[inline]
    fn find(&mut self, at: usize, begun: usize, distance: usize, end: usize) -> Option<Match> {
        let mut best = self.met(at);
        if distance > 0
            && best.is_none_or(|best| best.length < LONG && best.from != at - distance)
            && self.differing(at, at - distance).trailing_zeros() as usize >= 8 * SHORTEST_AGAIN
        {
            let again = self.matching(at, at - distance);
            if best.is_none_or(|best| again.length + 1 >= best.length) {
                best = Some(again);
            }
        }
        if best.is_none() && distance > 0 && at - begun == LOOKS {
            return self.resumed(at, distance, end);
        }
        best
    }

    /// Where the text goes on at this distance, a little ahead.
    fn resumed(&mut self, at: usize, distance: usize, end: usize) -> Option<Match> {
        let place = (at..end.min(at + AHEAD)).step_by(8).find_map(|eight| {
            // The bytes at the end of these eight that are alike.
            let alike = self.differing(eight, eight - distance).leading_zeros() as usize / 8;
            let place = eight + 8 - alike;
            let goes_on =
                || self.differing(place, place - distance).trailing_zeros() as usize >= 8 * SHORTEST;
            (alike > 0 && goes_on()).then_some(place)
        })?;
        let again = self.matching(place, place - distance);
        for earlier in place - DIGITS..=place {
            // A copy that begins earlier is the better one where it lasts about as long.
            let Some(other) = self.met(earlier) else { continue };
            let behind = (other.at + other.length).saturating_sub(place);
            if behind > LONG / 4 && behind + 8 > again.length {
                for place in earlier + 1..=place {
                    self.note(place);
                }
                return Some(other);
            }
        }
        Some(again)
    }

    /// The last place where the next bytes stood, as far as is known; this one is known from now on.
    #[inline]
    fn met(&mut self, at: usize) -> Option<Match> {
        let from = self.note(at);
        let reached = from > 0 && from < at && at - from < REACH;
        (reached && self.differing(at, from).trailing_zeros() as usize >= 8 * SHORTEST)
            .then(|| self.matching(at, from))
    }

    /// Notes a place; what was there before with the same hash.
    #[inline]
    fn note(&mut self, at: usize) -> usize {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let bytes = self.eight(at) << (64 - 8 * SHORTEST);
        // The highest bits, as many as number the slots.
        let slot = (bytes.wrapping_mul(ODD) >> (64 - SLOTS.ilog2())) as usize;
        // The text has no more bytes than a number of this size counts.
        self.places.get_mut(slot).map_or(0, |place| std::mem::replace(place, at as u32)) as usize
    }

    #[inline]
    fn eight(&self, at: usize) -> u64 {
        let bytes = self.plain.get(at..).and_then(|rest| rest.first_chunk::<8>());
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// The bits in which eight bytes differ, those of the first byte lowest.
    #[inline]
    fn differing(&self, at: usize, from: usize) -> u64 {
        self.eight(at) ^ self.eight(from)
    }

    /// How far the text is alike behind these places.
    #[inline]
    fn matching(&self, at: usize, from: usize) -> Match {
        Match { at, from, length: alike(self.plain, at, from) }
    }

    /// The same with what is alike before it, up to the end of the last copy.
    #[inline]
    fn widened(&self, mut found: Match, begun: usize) -> Match {
        while found.at > begun
            && found.from > 0
            && self.plain.get(found.at - 1) == self.plain.get(found.from - 1)
        {
            found = Match { at: found.at - 1, from: found.from - 1, length: found.length + 1 };
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn packed(plain: &[u8]) -> Vec<u8> {
        let mut packed = vec![1, 2, 3];
        Snappy::new().compress(plain, &mut packed).unwrap();
        packed
    }

    fn unpacked(packed: &[u8]) -> Vec<u8> {
        snap::raw::Decoder::new().decompress_vec(packed).unwrap()
    }

    /// Texts that come again, near and far, whole, cut and with other digits in them.
    fn texts() -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            vec(any::<u8>(), 0..40),
            "[a-z]{1,4}".prop_map(String::into_bytes),
            "[0-9a-f]{32}".prop_map(String::into_bytes),
            (any::<u8>(), 1..200_usize).prop_map(|(byte, times)| vec![byte; times]),
        ];
        (vec(word, 1..12), vec((any::<prop::sample::Index>(), 0..100_u8), 0..600)).prop_map(
            |(words, order)| {
                let mut text = Vec::new();
                for (which, number) in order {
                    text.extend_from_slice(&words[which.index(words.len())]);
                    text.push(number);
                }
                text
            },
        )
    }

    proptest! {
        #[test]
        fn a_text_comes_out_as_it_went_in(text in texts()) {
            let packed = packed(&text);
            prop_assert!(packed.len() <= snap::raw::max_compress_len(text.len()));
            prop_assert_eq!(unpacked(&packed), text);
        }
    }

    #[test]
    fn texts_of_every_short_length_and_long_ones_come_out() {
        let text: Vec<u8> = (0..70_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for length in (0..300).chain([0x100, 0x101, 0x1_0000, 0x1_0001, 70_000]) {
            assert_eq!(unpacked(&packed(&text[..length])), &text[..length], "{length}");
            let same = vec![7; length];
            assert_eq!(unpacked(&packed(&same)), same, "{length}");
        }
        // Alike beyond the reach of a copy, and just within it.
        for between in [REACH - 10, REACH - 1, REACH, REACH + 1] {
            let mut far = text[..between].to_vec();
            far.extend_from_slice(&text[..500]);
            assert_eq!(unpacked(&packed(&far)), far, "{between}");
        }
    }

    #[test]
    fn a_table_that_was_used_changes_nothing() {
        let mut used = Snappy::new();
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let (text, longer) = (b"name=a,uuid=1;name=a,uuid=2;".repeat(9), b"uuid=2;name=a".repeat(99));
        used.compress(&longer, &mut one).unwrap();
        used.compress(&text, &mut one).unwrap();
        Snappy::new().compress(&text, &mut other).unwrap();
        assert_eq!(one, other);
    }

    #[test]
    fn series_with_a_uuid_each_take_fewer_bytes_than_with_the_crate() {
        let mut random = 1_u128;
        let mut text = String::new();
        for number in 0..2_000 {
            random = random.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(1);
            text += &format!("\n/\n\x0bdevice_name\x12\x0cdevice-{:05}", 40_000 + number);
            text += &format!(
                "\n/\n\x0bdevice_uuid\x12 {random:032x}\n\x1c\n\x0afleet_name\x12\x09lobby-{}",
                number / 50
            );
            text += "\n\x1d\n\x08instance\x12\x11127.0.0.1:9100\n\x0b\n\x03job\x12\x04page\x12\x10";
        }
        let crates = snap::raw::Encoder::new().compress_vec(text.as_bytes()).unwrap();
        let ours = packed(text.as_bytes());
        assert!(ours.len() < crates.len(), "{} and {}", ours.len(), crates.len());
    }
}
