//! Finds which parts of a compressed request a value touches. In: its elements in their order, and where its values
//! stand. Out: [`Rows`].

use super::super::elements::{Element, Origin};
use super::{Begin, Rows, TOUCHED, TimeByte, times};
use crate::encode::template::{TIME, VALUE};

/// Where each sample's value stands; its time is behind it.
#[derive(Clone, Copy)]
pub(super) struct Places<'a>(pub(super) &'a [u32]);

/// A sample of which something is in a stretch of the text.
struct Overlap {
    sample: u16,
    place: usize,
    has_value: bool,
    has_time: bool,
}

impl Places<'_> {
    fn get(self, sample: usize) -> Option<usize> {
        self.0.get(sample).map(|place| *place as usize)
    }

    /// The first sample whose time ends behind this place, which is near a guessed one.
    fn behind(self, at: usize, guess: usize) -> usize {
        let is_behind = |sample: usize| self.get(sample).is_some_and(|place| place + TIME.end > at);
        let mut first = guess.min(self.0.len());
        while first > 0 && is_behind(first - 1) {
            first -= 1;
        }
        while first < self.0.len() && !is_behind(first) {
            first += 1;
        }
        first
    }

    /// Whether a sample's value stands at this place.
    fn has(self, place: Option<usize>, guess: usize) -> bool {
        place.is_some_and(|place| self.get(self.behind(place, guess)) == Some(place))
    }

    /// The samples of which something is between these places.
    fn within(self, begin: usize, end: usize, guess: usize) -> impl Iterator<Item = Overlap> {
        let first = self.behind(begin, guess);
        let samples = (first..).map_while(move |sample| Some((sample, self.get(sample)?)));
        samples.take_while(move |(_, place)| *place < end).map(move |(sample, place)| Overlap {
            // There are not more: see [`Rows::of`].
            sample: sample as u16,
            place,
            has_value: begin < place + VALUE.end,
            has_time: place + TIME.start < end,
        })
    }
}

/// Finds the parts of a compressed text.
pub(super) struct Finder<'a> {
    places: Places<'a>,
    begins: Vec<Begin>,
    /// By sample and part.
    touched: Vec<(u16, u16)>,
    by_chance: Vec<u16>,
    times: Vec<TimeByte>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(places: Places<'a>) -> Self {
        Finder { places, begins: Vec::new(), touched: Vec::new(), by_chance: Vec::new(), times: Vec::new() }
    }

    /// Takes the next element; nothing where it is none.
    pub(super) fn add(&mut self, element: &Element) -> Option<()> {
        let Element { at, length, packed, from } = *element;
        let begin = Begin { at: u32::try_from(at).ok()?, packed: u32::try_from(packed).ok()? };
        let is_begun =
            |part: usize| part == 0 || self.places.get(part - 1).is_some_and(|place| at >= place + TIME.end);
        while self.begins.len() < self.places.0.len() && is_begun(self.begins.len()) {
            self.begins.push(begin);
        }
        // A part's elements are about where its sample is; those that they copy, as far before it as samples are long.
        let here = self.begins.len().checked_sub(1)?;
        let before = match from {
            Origin::Itself(_) => here,
            Origin::Before(distance) => here.saturating_sub(distance * (here + 1) / (at + 1)),
        };
        let part = u16::try_from(here).ok()?;
        for Overlap { sample, place, has_value, has_time } in self.places.within(at, at + length, here) {
            if has_value {
                self.touched.push((sample, part));
            }
            match from {
                Origin::Itself(bytes) => {
                    let bytes_of_time = (place + TIME.start..place + TIME.end).zip(0..);
                    for (byte, which) in bytes_of_time.filter(|(byte, _)| (at..at + length).contains(byte)) {
                        let packed = u32::try_from(bytes + (byte - at)).ok()?;
                        self.times.push(TimeByte { packed, which });
                    }
                }
                // Where all of one time is copied from another one's place, it is that at any time.
                Origin::Before(distance)
                    if has_time && !self.places.has(place.checked_sub(distance), before) =>
                {
                    self.by_chance.push(part);
                }
                Origin::Before(_) => {}
            }
        }
        if let Origin::Before(distance) = from {
            let begin = at.checked_sub(distance).filter(|_| distance > 0)?;
            for Overlap { sample, place, has_value, has_time } in
                self.places.within(begin, begin + length, before)
            {
                if has_value {
                    self.touched.push((sample, part));
                }
                if has_time && !self.places.has(place.checked_add(distance), here) {
                    self.by_chance.push(part);
                }
            }
        }
        Some(())
    }

    pub(super) fn end(mut self, packed: &[u8], values: &[[u8; 8]], end: Begin) -> Option<Rows> {
        self.begins.resize(self.places.0.len() + 1, end);
        self.touched.sort_unstable();
        self.touched.dedup();
        self.by_chance.dedup();
        let room = TOUCHED * values.len();
        let fits =
            self.touched.len() + self.by_chance.len() <= room && self.times.len() <= times(values.len());
        fits.then_some(())?;
        let first = (0..=values.len()).map(|sample| {
            // There are fewer than 2^18.
            self.touched.partition_point(|(touching, _)| usize::from(*touching) < sample) as u32
        });
        Some(Rows {
            packed: packed.into(),
            values: values.into(),
            begins: self.begins.into(),
            first: first.collect(),
            touched: self.touched.into_iter().map(|(_, part)| part).collect(),
            by_chance: self.by_chance.into(),
            times: self.times.into(),
        })
    }
}
