//! Requests' bodies, compressed by whichever of two compressors makes the smaller ones of an endpoint's series.
//!
//! Ours finds what series have in common farther away ([`super::snappy`]); the `snap` crate finds more of what is alike by
//! chance, which counts where a body is mostly uuids, as in 2.0, which says each label once.

use super::EncodeError;
use super::snappy::{self, Copied, Snappy};

/// After so many requests both are tried again.
const TRIED_AGAIN: u32 = 64;
/// A body may be larger by this part of it than the one in which its copies were found.
const LARGER: usize = 128;
/// Where it was, copies are looked for anew so many times: its values change too much.
const PAUSE: u8 = 16;

/// Two compressors and what is known of them, with memory that the next request uses again.
#[derive(Debug)]
pub(super) struct Packer {
    ours: Snappy,
    crates: snap::raw::Encoder,
    packed: Vec<u8>,
    /// Of 1.0 and of 2.0.
    choices: [Choice; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Choice {
    is_ours: bool,
    /// Requests until both are tried.
    left: u32,
}

/// How a request that comes again and again with other values was compressed before.
#[derive(Debug)]
pub(super) struct Before {
    copies: Box<[Copied]>,
    /// More copies are not kept.
    most: usize,
    /// The size of the body in which they were found, and whose it was.
    size: usize,
    is_ours: bool,
    pause: u8,
}

impl Before {
    pub(super) fn new(most: usize) -> Before {
        Before { copies: Box::default(), most, size: 0, is_ours: false, pause: 0 }
    }
}

impl Packer {
    pub(super) fn new() -> Packer {
        let crates = snap::raw::Encoder::new();
        Packer { ours: Snappy::new(), crates, packed: Vec::new(), choices: Default::default() }
    }

    /// The compressed body of a request that was compressed before: what was found in it then is mostly still there.
    ///
    /// # Errors
    /// As [`Packer::pack`].
    pub(super) fn again(
        &mut self,
        plain: &[u8],
        is_two: bool,
        before: &mut Before,
    ) -> Result<Vec<u8>, EncodeError> {
        let choice = &mut self.choices[usize::from(is_two)];
        if choice.left == 0 {
            return self.pack(plain, is_two);
        }
        if let Some(left) = before.pause.checked_sub(1) {
            before.pause = left;
            return self.pack(plain, is_two);
        }
        if !before.copies.is_empty() && before.is_ours == choice.is_ours {
            snappy::again(plain, &before.copies, &mut self.packed);
            if self.packed.len() <= before.size + before.size / LARGER {
                choice.left -= 1;
                return Ok(self.packed.clone());
            }
            before.pause = PAUSE;
        }
        before.is_ours = choice.is_ours;
        let packed = self.pack(plain, is_two)?;
        let copies = snappy::copies(&packed).filter(|copies| copies.len() <= before.most);
        (before.copies, before.size) = (copies.unwrap_or_default().into(), packed.len());
        Ok(packed)
    }

    /// The compressed body.
    ///
    /// # Errors
    /// [`EncodeError::Snappy`] for a body of over 4 GiB.
    pub(super) fn pack(&mut self, plain: &[u8], is_two: bool) -> Result<Vec<u8>, EncodeError> {
        let Packer { ours, crates, packed, choices } = self;
        let choice = &mut choices[usize::from(is_two)];
        if let Some(left) = choice.left.checked_sub(1) {
            choice.left = left;
            let compressed = if choice.is_ours {
                ours.compress(plain, packed)?;
                &packed[..]
            } else {
                by_crate(crates, plain, packed)?
            };
            return Ok(compressed.to_vec());
        }
        ours.compress(plain, packed)?;
        let mut other = Vec::new();
        let other = by_crate(crates, plain, &mut other)?;
        *choice = Choice { is_ours: packed.len() <= other.len(), left: TRIED_AGAIN };
        Ok(if choice.is_ours { packed.clone() } else { other.to_vec() })
    }
}

/// Into a buffer that grows to the largest request and stays.
fn by_crate<'a>(
    crates: &mut snap::raw::Encoder,
    plain: &[u8],
    packed: &'a mut Vec<u8>,
) -> Result<&'a [u8], EncodeError> {
    let most = snap::raw::max_compress_len(plain.len());
    if packed.len() < most {
        packed.resize(most, 0);
    }
    let length = crates.compress(plain, packed)?;
    Ok(packed.get(..length).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_body_leaves_and_its_compressor_is_kept_until_both_are_tried_again() {
        // What comes again far behind, which ours finds, and uuids in which four digits are alike by chance.
        let row = |n: usize| {
            let (metric, fleet) = (n / 400, n % 400);
            format!(
                "name=balena_devices_{metric},fleet_id={},fleet_slug=org/lobby-{fleet},instance=site-7,job=balena;",
                37 * fleet
            )
        };
        let rows: String = (0..2_000).map(row).collect();
        let mut random = 1_u128;
        let mut uuid = || {
            random = random.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(1);
            random
        };
        let digits: String =
            (40_000..42_000).map(|n| format!("\"\x0cdevice-{n}\" {:032x}", uuid())).collect();
        let mut packer = Packer::new();
        let size = |plain: &str| {
            let mut ours = Vec::new();
            Snappy::new().compress(plain.as_bytes(), &mut ours).unwrap();
            let crates = snap::raw::Encoder::new().compress_vec(plain.as_bytes()).unwrap();
            (ours.len(), crates.len())
        };
        assert!(size(&rows).0 < size(&rows).1 && size(&digits).0 > size(&digits).1);
        for is_two in [false, true] {
            for (plain, expected) in [(&rows, size(&rows).0), (&digits, size(&digits).1)] {
                for _ in 0..=TRIED_AGAIN {
                    let packed = packer.pack(plain.as_bytes(), is_two).unwrap();
                    assert_eq!(packed.len(), expected);
                    let unpacked = snap::raw::Decoder::new().decompress_vec(&packed).unwrap();
                    assert_eq!(unpacked, plain.as_bytes());
                }
            }
        }
        // One version's choice is not the other's.
        packer.pack(rows.as_bytes(), false).unwrap();
        assert_eq!(packer.choices.map(|choice| choice.is_ours), [true, false]);
    }

    #[test]
    fn a_request_that_comes_again_is_not_searched_again_unless_its_body_grows() {
        let text = |value: &dyn Fn(u32) -> u32| -> String {
            let row = |n| format!("name=balena_devices,fleet_slug=org/lobby-{n},value={:08};", value(n));
            (0..900).map(row).collect()
        };
        let unpacked = |packed: &[u8]| snap::raw::Decoder::new().decompress_vec(packed).unwrap();
        let (mut packer, mut before) = (Packer::new(), Before::new(10_000));
        packer.choices[0] = Choice { is_ours: true, left: TRIED_AGAIN };
        let mut pack = |text: &str, before: &mut Before| {
            let packed = packer.again(text.as_bytes(), false, before).unwrap();
            assert_eq!(unpacked(&packed), text.as_bytes());
            packed.len()
        };
        let calm = text(&|_| 7);
        // The copies are found, then they are used.
        let sizes = [(); 3].map(|()| pack(&calm, &mut before));
        assert!(sizes.iter().all(|size| *size == sizes[0]));
        assert!(!before.copies.is_empty());
        let one_fleet_differs = text(&|n| if n == 450 { 8 } else { 7 });
        let found = before.copies.as_ptr();
        assert!(pack(&one_fleet_differs, &mut before) <= sizes[0] + 12);
        assert_eq!((before.copies.as_ptr(), before.pause), (found, 0), "they were good enough");

        let wild = text(&|n| n.wrapping_mul(2_654_435_761) % 100_000_000);
        pack(&wild, &mut before);
        assert!(before.copies.as_ptr() != found && before.pause == PAUSE);
        let found = before.copies.as_ptr();
        for left in (0..PAUSE).rev() {
            pack(&calm, &mut before);
            assert_eq!((before.copies.as_ptr(), before.pause), (found, left));
        }

        let mut few = Before::new(3);
        (0..3).for_each(|_| _ = pack(&calm, &mut few));
        assert!(few.copies.is_empty(), "more copies than are kept");
    }
}
