//! What a compressed text is made of: bytes themselves, and copies of what stands before them.

/// A copy from anywhere takes three bytes, so it must replace more.
pub(super) const SHORTEST: usize = 6;
/// The same at the distance of the copy before, which mostly takes two.
pub(super) const SHORTEST_AGAIN: usize = 4;
/// Below it an offset fits into an element of two bytes, which copies 4 to 11 bytes.
pub(super) const NEAR: usize = 1 << 11;

/// An element, which says so many bytes at a place of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) at: usize,
    pub(super) length: usize,
    /// Where it stands in the compressed text.
    pub(super) packed: usize,
    pub(super) from: Origin,
}

/// Where an element's bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// They stand at this place of the compressed text.
    Itself(usize),
    /// They are those so far before them.
    Before(usize),
}

/// The elements of a compressed text, up to the first that is none which an encoder for texts of a request's size
/// writes.
pub(super) struct Elements<'a> {
    all: &'a [u8],
    packed: usize,
    at: usize,
}

impl<'a> Elements<'a> {
    /// Those behind the text's length.
    pub(super) fn of(all: &'a [u8]) -> Option<Elements<'a>> {
        let head = all.iter().position(|byte| *byte < 0x80)? + 1;
        Some(Elements { all, packed: head, at: 0 })
    }

    /// Those from a place of the compressed text on, where it says what is `at` this place of the text.
    pub(super) fn starting(all: &'a [u8], packed: usize, at: usize) -> Elements<'a> {
        Elements { all, packed, at }
    }

    /// Where the next one stands, in the text and in the compressed one.
    pub(super) fn at(&self) -> (usize, usize) {
        (self.at, self.packed)
    }
}

impl Iterator for Elements<'_> {
    type Item = Element;

    fn next(&mut self) -> Option<Element> {
        let Elements { all, packed, at } = *self;
        let rest = all.get(packed..)?;
        let byte = |place: usize| rest.get(place).map(|byte| usize::from(*byte));
        let tag = byte(0)?;
        let (size, length, from) = match tag & 3 {
            0 => {
                let extra = (tag >> 2).saturating_sub(59);
                let mut last = tag >> 2;
                if extra > 0 {
                    let bytes = rest.get(1..1 + extra)?;
                    last = bytes.iter().rev().fold(0, |last, byte| last << 8 | usize::from(*byte));
                }
                (2 + extra + last, last + 1, Origin::Itself(packed + 1 + extra))
            }
            1 => (2, (tag >> 2 & 7) + 4, Origin::Before((tag >> 5) << 8 | byte(1)?)),
            2 => (3, (tag >> 2) + 1, Origin::Before(byte(2)? << 8 | byte(1)?)),
            _ => return None,
        };
        rest.get(..size)?;
        (self.packed, self.at) = (packed + size, at + length);
        Some(Element { at, length, packed, from })
    }
}

/// Compresses the end of a text from its first element on, which differs in a few bytes from the text of which these
/// are the elements, without looking for other copies: of each, what still holds. Whatever they are, the text comes out.
pub(super) fn anew(text: &[u8], elements: Elements<'_>, packed: &mut Vec<u8>) {
    let mut begun = elements.at;
    for Element { at, length, from, .. } in elements {
        let Origin::Before(distance) = from else { continue };
        let end = text.len().min(at + length);
        let mut at = begun.max(at);
        let shortest = if distance < NEAR { SHORTEST_AGAIN } else { SHORTEST };
        let shortest = shortest.min(length);
        while at < end && distance > 0 && distance <= at {
            let length = alike(text, at, at - distance);
            if length < shortest {
                at += length + 1;
                continue;
            }
            literal(packed, text.get(begun..at).unwrap_or_default());
            copy(packed, distance, length);
            at += length;
            begun = at;
        }
    }
    literal(packed, text.get(begun..).unwrap_or_default());
}

/// How many bytes at a place are as those from an earlier one on.
#[inline]
pub(super) fn alike(plain: &[u8], at: usize, from: usize) -> usize {
    let rest = |place: usize| plain.get(place..).unwrap_or_default();
    let ((one, last), (other, _)) = (rest(at).as_chunks::<8>(), rest(from).as_chunks::<8>());
    let mut length = 0;
    for (one, other) in one.iter().zip(other) {
        let differing = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if differing != 0 {
            return length + differing.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    length + last.iter().zip(rest(from + length)).take_while(|(one, other)| one == other).count()
}

/// An element with these bytes themselves.
pub(super) fn literal(packed: &mut Vec<u8>, text: &[u8]) {
    let Some(last) = text.len().checked_sub(1) else { return };
    let [one, two, three, four, ..] = last.to_le_bytes();
    match last {
        0..60 => packed.push(one << 2),
        60..0x100 => packed.extend_from_slice(&[60 << 2, one]),
        0x100..0x1_0000 => packed.extend_from_slice(&[61 << 2, one, two]),
        0x1_0000..0x100_0000 => packed.extend_from_slice(&[62 << 2, one, two, three]),
        _ => packed.extend_from_slice(&[63 << 2, one, two, three, four]),
    }
    packed.extend_from_slice(text);
}

/// Elements that copy so many bytes from this distance.
#[inline]
pub(super) fn copy(packed: &mut Vec<u8>, distance: usize, mut length: usize) {
    /// The most that an element copies.
    const MOST: usize = 64;
    let [low, high, ..] = distance.to_le_bytes();
    let is_near = distance < NEAR;
    let far = |length: usize| [(length as u8 - 1) << 2 | 2, low, high];
    while length > MOST {
        // What is left is to fit into a short element.
        let now = if is_near && length < MOST + SHORTEST_AGAIN { MOST - SHORTEST_AGAIN } else { MOST };
        packed.extend_from_slice(&far(now));
        length -= now;
    }
    if is_near && (4..12).contains(&length) {
        packed.extend_from_slice(&[high << 5 | (length as u8 - 4) << 2 | 1, low]);
    } else {
        packed.extend_from_slice(&far(length));
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::Snappy;
    use super::*;

    fn unpacked(packed: &[u8]) -> Vec<u8> {
        snap::raw::Decoder::new().decompress_vec(packed).unwrap()
    }

    #[test]
    fn elements_of_every_form_are_read_and_odd_ones_are_none() {
        // As (place in the text, length, place in the compressed one, how far before it or where it stands itself).
        let of = |packed: &[u8]| {
            let mut elements = Elements::of(packed)?;
            let all = elements.by_ref().map(|one| match one.from {
                Origin::Itself(at) => (one.at, one.length, one.packed, Err(at)),
                Origin::Before(distance) => (one.at, one.length, one.packed, Ok(distance)),
            });
            let all: Vec<_> = all.collect();
            Some((all, elements.at().1 == packed.len()))
        };
        let (bytes, near, far) = ([2 << 2, b'a', b'b', b'c'], [2 << 5 | 3 << 2 | 1, 3], [63 << 2 | 2, 3, 2]);
        let text = |parts: &[&[u8]]| [&[0x80, 1][..], &parts.concat()].concat();
        let all = vec![(0, 3, 2, Err(3)), (3, 7, 6, Ok(0x203)), (10, 64, 8, Ok(0x203))];
        assert_eq!(of(&text(&[&bytes, &near, &far])), Some((all, true)));
        for extra in 1..=4_usize {
            let mut literal = vec![(59 + extra as u8) << 2, 1];
            literal.resize(1 + extra, 0);
            let all = vec![(0, 2, 2, Err(3 + extra)), (2, 64, 5 + extra, Ok(0x203))];
            assert_eq!(of(&text(&[&literal, b"xy", &far])), Some((all, true)));
            assert_eq!(of(&text(&[&literal[..extra]])), Some((vec![], false)));
        }
        for part in [&[3, 1, 0, 0, 0], &near[..1], &far[..2], &bytes[..3]] {
            assert_eq!(of(&text(&[part])), Some((vec![], false)), "{part:?}");
        }
        assert!(of(&[]).is_none() && of(&[0x80]).is_none());
    }

    proptest! {
        #[test]
        fn a_text_comes_out_whatever_has_changed_since_its_copies_were_found(
            words in vec("[ab]{0,9}[0-9a-f]{8}", 1..6),
            order in vec(any::<prop::sample::Index>(), 0..300),
            changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut text: Vec<u8> = order.iter().flat_map(|which| words[which.index(words.len())].bytes()).collect();
            let (mut snappy, mut ours) = (Snappy::new(), Vec::new());
            snappy.compress(&text, &mut ours).unwrap();
            let crates = snap::raw::Encoder::new().compress_vec(&text).unwrap();
            let again = |text: &[u8], old: &[u8]| {
                let mut packed = Vec::new();
                crate::encode::wire::varint(&mut packed, text.len() as u64);
                anew(text, Elements::of(old).unwrap(), &mut packed);
                packed
            };
            for old in [&ours, &crates] {
                let same = again(&text, old);
                prop_assert_eq!(&unpacked(&same), &text);
                prop_assert!(same.len() <= old.len(), "{} and {}, though nothing has changed", same.len(), old.len());
            }
            for (place, byte) in changes {
                if !text.is_empty() {
                    let place = place.index(text.len());
                    text[place] = byte;
                }
            }
            for old in [&ours, &crates] {
                prop_assert_eq!(&unpacked(&again(&text, old)), &text);
            }
            text.truncate(cut.index(text.len() + 1));
            for old in [&ours, &crates] {
                prop_assert_eq!(&unpacked(&again(&text, old)), &text);
            }
        }
    }
}
