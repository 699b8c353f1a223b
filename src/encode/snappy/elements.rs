//! What a compressed text is made of: bytes themselves, and copies of what stands before them.

/// A copy from anywhere takes three bytes, so it must replace more.
pub(super) const SHORTEST: usize = 6;
/// The same at the distance of the copy before, which mostly takes two.
pub(super) const SHORTEST_AGAIN: usize = 4;
/// Below it an offset fits into an element of two bytes, which copies 4 to 11 bytes.
pub(super) const NEAR: usize = 1 << 11;

/// So many bytes stand at a place as they stand at a distance before it.
#[derive(Clone, Copy, Debug)]
pub(in crate::encode) struct Copied {
    at: u32,
    distance: u16,
    length: u16,
}

/// What is copied in a compressed text; those that go on at the same distance are one. Nothing where an element is none
/// that an encoder for texts of a request's size writes.
pub(in crate::encode) fn copies(packed: &[u8]) -> Option<Vec<Copied>> {
    let head = packed.iter().position(|byte| *byte < 0x80)? + 1;
    let mut rest = packed.get(head..)?;
    let (mut at, mut all) = (0, Vec::<Copied>::new());
    let byte = |rest: &[u8], place: usize| rest.get(place).map(|byte| u16::from(*byte));
    while let Some(tag) = byte(rest, 0) {
        let (size, length, distance) = match tag & 3 {
            0 => {
                let extra = usize::from(tag >> 2).saturating_sub(59);
                let mut length = usize::from(tag >> 2);
                if extra > 0 {
                    let bytes = rest.get(1..1 + extra)?;
                    length = bytes.iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte));
                }
                (2 + extra + length, length + 1, None)
            }
            1 => (2, usize::from(tag >> 2 & 7) + 4, Some((tag >> 5) << 8 | byte(rest, 1)?)),
            2 => (3, usize::from(tag >> 2) + 1, Some(byte(rest, 2)? << 8 | byte(rest, 1)?)),
            _ => return None,
        };
        if let Some(distance) = distance {
            let place = u32::try_from(at).ok()?;
            match all.last_mut() {
                Some(last) if last.distance == distance && last.goes_on_to(place, length) => {
                    last.length += length as u16;
                }
                // No element copies more than 64 bytes.
                _ => all.push(Copied { at: place, distance, length: length as u16 }),
            }
        }
        at += length;
        rest = rest.get(size..)?;
    }
    Some(all)
}

impl Copied {
    /// Whether so many bytes more follow it and can be told of.
    fn goes_on_to(&self, at: u32, length: usize) -> bool {
        self.at + u32::from(self.length) == at && usize::from(self.length) + length <= usize::from(u16::MAX)
    }
}

/// Compresses a text that differs in a few bytes from the one in which these copies were found, without looking for
/// others: of each, what still holds. Whatever the copies are, the text comes out.
pub(in crate::encode) fn again(plain: &[u8], copies: &[Copied], packed: &mut Vec<u8>) {
    packed.clear();
    crate::encode::wire::varint(packed, plain.len() as u64);
    let mut begun = 0;
    for one in copies {
        let (distance, end) = (usize::from(one.distance), one.at as usize + usize::from(one.length));
        let mut at = begun.max(one.at as usize);
        let shortest = if distance < NEAR { SHORTEST_AGAIN } else { SHORTEST };
        let shortest = shortest.min(usize::from(one.length));
        while at < end.min(plain.len()) && distance > 0 && distance <= at {
            let length = alike(plain, at, at - distance);
            if length < shortest {
                at += length + 1;
                continue;
            }
            literal(packed, plain.get(begun..at).unwrap_or_default());
            copy(packed, distance, length);
            at += length;
            begun = at;
        }
    }
    literal(packed, plain.get(begun..).unwrap_or_default());
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
        let of = |packed: &[u8]| {
            copies(packed).map(|all| all.iter().map(|c| (c.at, c.distance, c.length)).collect::<Vec<_>>())
        };
        let (bytes, near, far) = ([2 << 2, b'a', b'b', b'c'], [2 << 5 | 3 << 2 | 1, 3], [63 << 2 | 2, 3, 2]);
        let text = |parts: &[&[u8]]| [&[0x80, 1][..], &parts.concat()].concat();
        assert_eq!(of(&text(&[&bytes, &near])), Some(vec![(3, 0x203, 7)]));
        assert_eq!(of(&text(&[&bytes, &near, &far])), Some(vec![(3, 0x203, 71)]));
        assert_eq!(of(&text(&[&near, &bytes, &far])), Some(vec![(0, 0x203, 7), (10, 0x203, 64)]));
        for extra in 1..=4_usize {
            let mut literal = vec![(59 + extra as u8) << 2, 1];
            literal.resize(1 + extra, 0);
            assert_eq!(of(&text(&[&literal, b"xy", &far])), Some(vec![(2, 0x203, 64)]));
            assert_eq!(of(&text(&[&literal[..extra]])), None);
        }
        let cut: [&[u8]; 6] = [&[3, 1, 0, 0, 0], &near[..1], &far[..2], &bytes[..3], &[], &[0x80]];
        for part in &cut[..4] {
            assert_eq!(of(&text(&[part])), None, "{part:?}");
        }
        assert!(cut[4..].iter().all(|packed| of(packed).is_none()));
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
            let (mut snappy, mut packed) = (Snappy::new(), Vec::new());
            snappy.compress(&text, &mut packed).unwrap();
            let crates = snap::raw::Encoder::new().compress_vec(&text).unwrap();
            let found = [&packed, &crates].map(|packed| copies(packed).unwrap());
            for (copies, packed) in found.iter().zip([&packed, &crates]) {
                let mut same = Vec::new();
                again(&text, copies, &mut same);
                prop_assert_eq!(&unpacked(&same), &text);
                prop_assert!(same.len() <= packed.len(), "{} and {}, though nothing has changed", same.len(), packed.len());
            }
            for (place, byte) in changes {
                if !text.is_empty() {
                    let place = place.index(text.len());
                    text[place] = byte;
                }
            }
            for copies in &found {
                again(&text, copies, &mut packed);
                prop_assert_eq!(&unpacked(&packed), &text);
            }
            text.truncate(cut.index(text.len() + 1));
            for copies in &found {
                again(&text, copies, &mut packed);
                prop_assert_eq!(&unpacked(&packed), &text);
            }
        }
    }
}
