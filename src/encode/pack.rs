//! Requests' bodies, compressed by whichever of two compressors makes the smaller ones of an endpoint's series.
//!
//! Ours finds what series have in common farther away ([`super::snappy`]); the `snap` crate finds more of what is alike by
//! chance, which counts where a body is mostly uuids, as in 2.0, which says each label once.

use super::EncodeError;
use super::snappy::{Rows, Snappy};
use super::template::{Template, Time};

/// After so many requests both are tried again.
const TRIED_AGAIN: u32 = 64;
/// A body may be larger by this part of it than the one that was searched last: to search it costs little more then.
const LARGER: usize = 128;
/// The same where it costs twenty times as much, since so small a part of the values has changed.
const LARGER_WHERE_FEW: usize = 24;
const FEW: usize = 16;
/// Where it is, it is searched anew so many times: its values change too much.
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
    /// The longest body since they were.
    longest: usize,
}

impl Choice {
    /// Meets a body of this length: whether both are to be tried with it. A short one is no measure for the long ones,
    /// which count.
    fn meets(&mut self, length: usize) -> bool {
        self.longest = self.longest.max(length);
        self.left == 0 && 2 * length >= self.longest
    }
}

/// How a request that comes again and again with other values was compressed before.
#[derive(Debug)]
pub(super) struct Before {
    rows: Option<Rows>,
    /// A body of more bytes is not kept.
    most: usize,
    /// Whose the kept one was.
    is_ours: bool,
    pause: u8,
}

impl Before {
    pub(super) fn new(most: usize) -> Before {
        Before { rows: None, most, is_ours: false, pause: 0 }
    }
}

impl Packer {
    pub(super) fn new() -> Packer {
        let crates = snap::raw::Encoder::new();
        Packer { ours: Snappy::new(), crates, packed: Vec::new(), choices: Default::default() }
    }

    /// The compressed body of a request that was compressed before, with these values and this time: most of it is
    /// still the same.
    ///
    /// # Errors
    /// As [`Packer::pack`].
    pub(super) fn again(
        &mut self,
        template: &mut Template,
        values: &[[u8; 8]],
        time: Time,
        is_two: bool,
    ) -> Result<Vec<u8>, EncodeError> {
        let Template { blank, before, .. } = template;
        let choice = &mut self.choices[usize::from(is_two)];
        if choice.meets(blank.length()) {
            return self.pack(blank.filled(values, time), is_two);
        }
        if let Some(left) = before.pause.checked_sub(1) {
            before.pause = left;
            return self.pack(blank.filled(values, time), is_two);
        }
        if let Some(rows) = before.rows.as_ref().filter(|_| before.is_ours == choice.is_ours) {
            let (packed, changed) = rows.again(values, time, || blank.filled(values, time));
            let larger = if changed * FEW <= values.len() { LARGER_WHERE_FEW } else { LARGER };
            if packed.len() <= rows.length() + rows.length() / larger {
                choice.left = choice.left.saturating_sub(1);
                return Ok(packed);
            }
            before.pause = PAUSE;
        }
        before.is_ours = choice.is_ours;
        let packed = self.pack(blank.filled(values, time), is_two)?;
        let may_be_kept = packed.len() <= before.most;
        before.rows = may_be_kept.then(|| blank.rows(&packed, values)).flatten();
        Ok(packed)
    }

    /// The compressed body.
    ///
    /// # Errors
    /// [`EncodeError::Snappy`] for a body of over 4 GiB.
    pub(super) fn pack(&mut self, plain: &[u8], is_two: bool) -> Result<Vec<u8>, EncodeError> {
        let Packer { ours, crates, packed, choices } = self;
        let choice = &mut choices[usize::from(is_two)];
        if !choice.meets(plain.len()) {
            choice.left = choice.left.saturating_sub(1);
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
        *choice = Choice { is_ours: packed.len() <= other.len(), left: TRIED_AGAIN, longest: plain.len() };
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
    use super::super::template::{Draft, Kind};
    use super::super::{Exemplars, wire};
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
        // A short body decides nothing for the long ones.
        packer.choices[0].left = 0;
        packer.pack(&rows.as_bytes()[..rows.len() / 8], false).unwrap();
        assert!(!packer.choices[0].is_ours && packer.choices[0].left == 0);
        // One version's choice is not the other's.
        packer.pack(rows.as_bytes(), false).unwrap();
        assert_eq!(packer.choices.map(|choice| choice.is_ours), [true, false]);
    }

    /// A request of 1.0 with a value for each of 900 fleets.
    fn template() -> Template {
        let mut draft = Draft::default();
        for n in 0..900 {
            draft.plain.extend_from_slice(format!("name=balena_devices,fleet_slug=org/lobby-{n}").as_bytes());
            draft.places.push(wire::sample(&mut draft.plain, [0; 8], 1_700_000_000_000, 0));
        }
        let kind = Kind { is_two: false, exemplars: Exemplars::Without, range: 0..900 };
        Template::of(kind, &draft, draft.plain.len()).unwrap()
    }

    #[test]
    fn a_request_that_comes_again_is_not_searched_again_unless_its_body_grows() {
        let values =
            |of: &dyn Fn(u32) -> u32| (0..900).map(|n| f64::from(of(n)).to_le_bytes()).collect::<Vec<_>>();
        let (mut packer, mut template) = (Packer::new(), template());
        packer.choices[0] = Choice { is_ours: true, left: TRIED_AGAIN, longest: 0 };
        let mut time: Time = [0x80, 0xd0, 0x95, 0xff, 0xbc, 0x31];
        let mut pack = |values: &[[u8; 8]], template: &mut Template| {
            time[0] ^= 0x11;
            let packed = packer.again(template, values, time, false).unwrap();
            let unpacked = snap::raw::Decoder::new().decompress_vec(&packed).unwrap();
            assert_eq!(unpacked, template.blank.filled(values, time));
            packed.len()
        };
        let kept = |template: &Template| {
            template.before.rows.as_ref().map(|rows| (std::ptr::from_ref(rows), rows.length()))
        };
        let calm = values(&|_| 7);
        // It is kept, then it is used.
        let sizes = [(); 3].map(|()| pack(&calm, &mut template));
        assert!(sizes.iter().all(|size| *size == sizes[0]));
        let found = kept(&template);
        assert_eq!(found.map(|(_, length)| length), Some(sizes[0]));
        let one_fleet_differs = values(&|n| if n == 450 { 8 } else { 7 });
        assert!(pack(&one_fleet_differs, &mut template) <= sizes[0] + 12);
        assert_eq!((kept(&template), template.before.pause), (found, 0), "it was good enough");

        let wild = values(&|n| n.wrapping_mul(2_654_435_761) % 100_000_000);
        let size = pack(&wild, &mut template);
        let found = kept(&template);
        assert_eq!((found.map(|(_, length)| length), template.before.pause), (Some(size), PAUSE));
        for left in (0..PAUSE).rev() {
            pack(&calm, &mut template);
            assert_eq!((kept(&template), template.before.pause), (found, left));
        }

        template.before = Before::new(sizes[0] - 1);
        (0..3).for_each(|_| _ = pack(&calm, &mut template));
        assert!(template.before.rows.is_none(), "more bytes than are kept");
    }
}
