//! A compressed request that comes again with other values and another time. In: what a compressor made of it, and
//! where values and times stand. Out: the same compressed, of which only those parts are looked at again that a value
//! touches which has changed; the others are the bytes that they were.

mod finder;

use self::finder::{Finder, Places};
use super::elements::{Elements, anew};
use crate::encode::template::Time;

/// So many parts hold or copy a sample's value at most, on the average.
const TOUCHED: usize = 3;
/// One of so many samples has a byte of its time that is not copied, and some of the first one.
const TIMES: (usize, usize) = (4, 16);

/// A compressed request, in a part for each sample: the elements that begin behind the time of the sample before.
#[derive(Debug)]
pub(in crate::encode) struct Rows {
    packed: Box<[u8]>,
    /// The values that it says.
    values: Box<[[u8; 8]]>,
    /// Where each part begins, and where the last one ends.
    begins: Box<[Begin]>,
    /// Where the parts of each sample's value begin in `touched`, and where those of the last one end.
    first: Box<[u32]>,
    /// The parts that hold or copy a value.
    touched: Box<[u16]>,
    /// Those in which something is copied that a time is alike by chance.
    by_chance: Box<[u16]>,
    /// The bytes of times that stand there themselves.
    times: Box<[TimeByte]>,
}

/// A place in the text, and in the compressed one.
#[derive(Clone, Copy, Debug)]
struct Begin {
    at: u32,
    packed: u32,
}

/// A byte of the compressed text that is this one of the time.
#[derive(Clone, Copy, Debug)]
struct TimeByte {
    packed: u32,
    which: u8,
}

impl Rows {
    /// The parts of what a text of this length was compressed to, whose values stand at `places`. None where it is odd,
    /// or would take more memory than [`Rows::size`] says.
    pub(in crate::encode) fn of(
        packed: &[u8],
        length: usize,
        places: &[u32],
        values: &[[u8; 8]],
    ) -> Option<Rows> {
        // The number of a part is to fit.
        let is_usual = !places.is_empty() && places.len() == values.len() && places.len() < 1 << 16;
        let mut finder = Finder::new(Places(is_usual.then_some(places)?));
        let mut elements = Elements::of(packed)?;
        for element in elements.by_ref() {
            finder.add(&element)?;
        }
        (elements.at() == (length, packed.len())).then_some(())?;
        let end = Begin { at: u32::try_from(length).ok()?, packed: u32::try_from(packed.len()).ok()? };
        finder.end(packed, values, end)
    }

    /// How much memory the parts of so many samples take at most.
    pub(in crate::encode) fn size(samples: usize, packed: usize) -> usize {
        let sample =
            size_of::<[u8; 8]>() + size_of::<Begin>() + size_of::<u32>() + TOUCHED * size_of::<u16>();
        packed + samples * sample + times(samples) * size_of::<TimeByte>()
    }

    /// How long the compressed text is.
    pub(in crate::encode) fn length(&self) -> usize {
        self.packed.len()
    }

    /// The compressed text with these values and this time, and how many of the values are others than its own. It is
    /// only asked for itself where it must be looked at.
    pub(in crate::encode) fn again<'a>(
        &self,
        values: &[[u8; 8]],
        time: Time,
        text: impl FnOnce() -> &'a [u8],
    ) -> (Vec<u8>, usize) {
        let out = Vec::with_capacity(self.packed.len() + self.packed.len() / 64);
        let mut again = Again { rows: self, time, times: &self.times, out, done: 0 };
        let (broken, changed) = self.broken(values);
        if !broken.is_empty() {
            let text = text();
            for stretch in broken.chunk_by(|one, next| one + 1 == *next) {
                again.write_anew(usize::from(stretch[0]), stretch.len(), text);
            }
        }
        again.keep(self.packed.len());
        (again.out, changed)
    }

    /// The parts that may not hold with these values and any time, sorted, and how many of the values are others.
    fn broken(&self, values: &[[u8; 8]]) -> (Vec<u16>, usize) {
        let (mut broken, mut changed) = (self.by_chance.to_vec(), 0);
        let samples = self.values.iter().zip(values).zip(self.first.windows(2));
        for (_, range) in samples.filter(|((old, new), _)| old != new) {
            let touched = self.touched.get(range[0] as usize..range[1] as usize);
            broken.extend_from_slice(touched.unwrap_or_default());
            changed += 1;
        }
        broken.sort_unstable();
        broken.dedup();
        (broken, changed)
    }
}

/// How many bytes of times may stand there themselves.
fn times(samples: usize) -> usize {
    samples / TIMES.0 + TIMES.1
}

/// Writes a compressed text again.
struct Again<'a> {
    rows: &'a Rows,
    time: Time,
    /// Those that are still to come.
    times: &'a [TimeByte],
    out: Vec<u8>,
    /// So much of the old text is done.
    done: usize,
}

impl<'a> Again<'a> {
    /// Takes over what was there up to `end`, with this time.
    fn keep(&mut self, end: usize) {
        let start = self.out.len();
        self.out.extend_from_slice(self.rows.packed.get(self.done..end).unwrap_or_default());
        for TimeByte { packed, which } in self.times_to(end) {
            let byte = self.out.get_mut(start + *packed as usize - self.done);
            if let (Some(byte), Some(now)) = (byte, self.time.get(usize::from(*which))) {
                *byte = *now;
            }
        }
        self.done = end;
    }

    /// Compresses so many parts anew.
    fn write_anew(&mut self, first: usize, count: usize, text: &[u8]) {
        let (Some(begin), Some(end)) = (self.rows.begins.get(first), self.rows.begins.get(first + count))
        else {
            return;
        };
        self.keep(begin.packed as usize);
        let old = self.rows.packed.get(..end.packed as usize).unwrap_or_default();
        let elements = Elements::starting(old, begin.packed as usize, begin.at as usize);
        anew(text.get(..end.at as usize).unwrap_or_default(), elements, &mut self.out);
        self.times_to(end.packed as usize);
        self.done = end.packed as usize;
    }

    /// Those before `end` that are still to come, which then are no longer.
    fn times_to(&mut self, end: usize) -> &'a [TimeByte] {
        let (now, later) = self.times.split_at(self.times.partition_point(|one| (one.packed as usize) < end));
        self.times = later;
        now
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::Snappy;
    use super::*;

    /// A request: for each sample some text, its value, a key, its time.
    #[derive(Clone, Debug)]
    struct Request {
        words: Vec<Vec<u8>>,
        values: Vec<[u8; 8]>,
        time: Time,
    }

    impl Request {
        fn plain(&self) -> (Vec<u8>, Vec<u32>) {
            let (mut plain, mut places) = (Vec::new(), Vec::new());
            for (word, value) in self.words.iter().zip(&self.values) {
                plain.extend_from_slice(word);
                places.push(plain.len() as u32);
                plain.extend_from_slice(value);
                plain.push(0x10);
                plain.extend_from_slice(&self.time);
            }
            (plain, places)
        }

        /// Compressed by both.
        fn packed(&self) -> [Vec<u8>; 2] {
            let (plain, mut ours) = (self.plain().0, Vec::new());
            Snappy::new().compress(&plain, &mut ours).unwrap();
            [ours, snap::raw::Encoder::new().compress_vec(&plain).unwrap()]
        }

        fn rows(&self, packed: &[u8]) -> Option<Rows> {
            let (plain, places) = self.plain();
            Rows::of(packed, plain.len(), &places, &self.values)
        }
    }

    fn unpacked(packed: &[u8]) -> Vec<u8> {
        snap::raw::Decoder::new().decompress_vec(packed).unwrap()
    }

    /// Texts of few letters, of which the times are made as well, so that much is alike by chance.
    fn requests() -> impl Strategy<Value = Request> {
        let letter = || prop_oneof![Just(b'a'), Just(b'b'), Just(0)];
        let word = vec(vec(letter(), 0..40), 1..5);
        let sample = (any::<prop::sample::Index>(), vec(letter(), 8));
        (word, vec(sample, 1..120), vec(letter(), 6)).prop_map(|(words, samples, time)| Request {
            words: samples.iter().map(|(which, _)| which.get(&words).clone()).collect(),
            values: samples.into_iter().map(|(_, value)| value.try_into().unwrap()).collect(),
            time: time.try_into().unwrap(),
        })
    }

    /// Fleets as they are sent: what differs is mostly a number.
    fn fleets() -> Request {
        let word = |n: usize| {
            format!("name=balena_devices_online,fleet_id={},fleet_slug=org/lobby-{n},job=balena;", 37 * n)
        };
        let values = (0..400).map(|n| f64::from(n * n % 7).to_le_bytes());
        Request {
            words: (0..400).map(|n| word(n).into_bytes()).collect(),
            values: values.collect(),
            time: [0x80, 0xd0, 0x95, 0xff, 0xbc, 0x31],
        }
    }

    #[test]
    fn where_no_value_has_changed_nothing_is_looked_at_and_where_one_has_a_few_parts() {
        let old = fleets();
        for packed in old.packed() {
            let rows = old.rows(&packed).unwrap();
            assert!(rows.by_chance.is_empty() && rows.times.len() < TIMES.1, "{rows:?}");
            let time = [0x90, 0xa0, 0x99, 0xff, 0xbc, 0x31];
            let (calm, changed) = rows.again(&old.values, time, || panic!("nobody looks"));
            assert_eq!(changed, 0);
            assert_eq!(calm.len(), packed.len());
            assert_eq!(unpacked(&calm), Request { time, ..old.clone() }.plain().0);
            let mut new = Request { time, ..old.clone() };
            new.values[200] = 11.5_f64.to_le_bytes();
            let broken = rows.broken(&new.values).0;
            assert!((1..8).contains(&broken.len()), "{broken:?}");
            let text = new.plain().0;
            let (one, changed) = rows.again(&new.values, time, || &text);
            assert_eq!(changed, 1);
            assert_eq!(unpacked(&one), text);
            assert!(one.len() <= packed.len() + 12, "{} and {}", one.len(), packed.len());
        }
    }

    #[test]
    fn what_is_odd_or_large_has_no_parts() {
        let old = fleets();
        let [packed, _] = old.packed();
        let (plain, places) = old.plain();
        let of =
            |packed: &[u8], length, places: &[u32]| Rows::of(packed, length, places, &old.values).is_some();
        assert!(of(&packed, plain.len(), &places));
        assert!(!of(&packed, plain.len() + 1, &places) && !of(&packed, plain.len(), &places[1..]));
        assert!(!of(&packed[..packed.len() - 1], plain.len(), &places) && !of(&[], 0, &places));
        assert!(Rows::of(&packed, plain.len(), &[], &[]).is_none());
        // Bytes of a time that no place says are copied, of each sample.
        let literal = |text: &[u8]| {
            let mut packed = Vec::new();
            crate::encode::wire::varint(&mut packed, text.len() as u64);
            super::super::elements::literal(&mut packed, text);
            packed
        };
        assert!(!of(&literal(&plain), plain.len(), &places));
    }

    proptest! {
        #[test]
        fn a_request_comes_out_with_whatever_values_and_time(
            old in requests(),
            changes in vec((any::<prop::sample::Index>(), any::<[u8; 8]>()), 0..30),
            time in any::<Time>(),
        ) {
            let mut new = Request { time, ..old.clone() };
            for (sample, value) in changes {
                let place = sample.index(new.values.len());
                new.values[place] = value;
            }
            for packed in old.packed() {
                let Some(rows) = old.rows(&packed) else { continue };
                let text = old.plain().0;
                let (same, _) = rows.again(&old.values, old.time, || &text);
                prop_assert_eq!(&unpacked(&same), &text);
                prop_assert!(same.len() <= packed.len(), "{} and {}", same.len(), packed.len());
                let text = new.plain().0;
                prop_assert_eq!(&unpacked(&rows.again(&new.values, time, || &text).0), &text);
            }
        }
    }
}
