//! What a page's series were the last time that it was read: the text of a name with its labels leads to the series
//! that it became, so that a series that is still there costs one hash of its text and a comparison.
//!
//! Series come in the order of the last time nearly always, so the next one is looked for at its place first. Only a
//! page that deviates makes maps, which are gone with its reading. Only a page that was read to its end changes what
//! is known, and what did not stand on it is forgotten.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use crate::sample::{Family, Labels, MetricName, Text};

/// Where a series stands in the families of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) family: u32,
    pub(super) slot: u32,
}

/// What became of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// This series.
    Series(Place),
    /// Nothing: rules dropped it.
    Dropped,
    /// Nothing: its series stands on the page already.
    Twice,
}

/// One text of a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// A keyed hash of the text: nobody can choose two texts that have one, and of a hundred thousand two have one
    /// once in four thousand million pages.
    text: u64,
    /// A keyed hash of the series.
    series: u64,
    fate: Fate,
}

/// The texts of the last page that was read to its end, in its order.
#[derive(Debug, Default)]
pub(super) struct Known {
    keys: RandomState,
    entries: Vec<Entry>,
    /// What it became, and what was said beside it.
    families: Arc<[Family]>,
    /// For each family of the page the name on it of its first series.
    firsts: Vec<Text>,
}

/// The families of a page that was read to its end.
#[derive(Debug)]
pub(super) struct Closed {
    /// The name on the page of the first series of each.
    pub(super) firsts: Vec<Text>,
    /// The number of each that was told of while it was read, where that has changed.
    pub(super) moved: Option<Vec<u32>>,
}

/// What is found of a text.
pub(super) enum Found {
    /// It stood on the last page, and this became of it.
    Before(Fate),
    /// It is new.
    New,
}

impl Known {
    /// A reading of one more page.
    pub(super) fn reading(&self) -> Reading<'_> {
        Reading { known: self, at: 0, deviation: None }
    }

    /// The families of the last page, each with the name on it of its first series.
    pub(super) fn shapes(&self) -> impl Iterator<Item = (&Family, &Text)> {
        self.families.iter().zip(&self.firsts)
    }

    /// The labels of a series of the last page.
    pub(super) fn labels(&self, place: Place) -> &Labels {
        &self.families[place.family as usize].series[place.slot as usize].labels
    }

    /// Takes over a page that was read to its end, and what it became.
    pub(super) fn take(&mut self, read: Read, families: Arc<[Family]>, closed: Closed) {
        match read {
            Read::Same(length) => self.entries.truncate(length),
            Read::Other(mut entries) => {
                // A list that grew has room for as many again.
                entries.shrink_to_fit();
                self.entries = entries;
            }
        }
        if let Some(moved) = closed.moved {
            for entry in &mut self.entries {
                if let Fate::Series(place) = &mut entry.fate {
                    place.family = moved[place.family as usize];
                }
            }
        }
        self.families = families;
        self.firsts = closed.firsts;
    }
}

/// What a reading leaves.
#[derive(Debug)]
pub(super) enum Read {
    /// The page had the texts of the last one in the same order, so many of them.
    Same(usize),
    /// It had these.
    Other(Vec<Entry>),
}

/// One page while it is read.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    known: &'a Known,
    /// Where the next text is expected in the last page.
    at: usize,
    deviation: Option<Deviation>,
}

/// What a page needs that is not as the last one was.
#[derive(Debug)]
struct Deviation {
    entries: Vec<Entry>,
    /// Texts of the last page, and where they stood.
    texts: HashMap<u64, u32, Plain>,
    /// Which of them have come on this page.
    came: Vec<bool>,
    /// Series of both pages; made with the first new text.
    series: Option<HashMap<u64, Standing, Plain>>,
}

/// Where a series stands.
#[derive(Clone, Copy, Debug)]
enum Standing {
    /// It stood at this place of the last page's texts.
    Before(u32),
    /// It stands on this page alone.
    Now,
}

/// A series that a new text became.
pub(super) enum Same {
    /// No other text of this page is this series; its labels are those of the last page, where it stood there.
    First(Option<Labels>),
    /// Another text of this page is this series.
    Twice,
}

impl Reading<'_> {
    /// What became of this text on the last page. The text counts as one of this page; after [`Found::New`] one of
    /// [`Self::series`] and [`Self::dropped`] says what becomes of it. A series of before is now at `slot`, which
    /// is told from its family.
    pub(super) fn text(&mut self, text: &str, slot: impl FnOnce(u32) -> u32) -> (Found, u64) {
        let hash = self.hash(text.as_bytes());
        if let Some(expected) = self.known.entries.get(self.at).filter(|entry| entry.text == hash) {
            match &mut self.deviation {
                None => {
                    self.at += 1;
                    return (Found::Before(expected.fate), hash);
                }
                Some(deviation) if expected.fate != Fate::Twice && !deviation.came[self.at] => {
                    let fate = deviation.came(self.at, *expected, slot);
                    self.at += 1;
                    return (Found::Before(fate), hash);
                }
                Some(_) => {}
            }
        }
        let known = self.known;
        let at = self.at;
        let deviation = self.deviation.get_or_insert_with(|| Deviation::new(&known.entries, at));
        let Some(place) = deviation.texts.get(&hash).map(|place| *place as usize) else {
            return (Found::New, hash);
        };
        let entry = known.entries[place];
        self.at = place + 1;
        if entry.fate == Fate::Twice {
            // The other text of its series may be gone.
            return (Found::New, hash);
        }
        if deviation.came[place] {
            let fate = if entry.fate == Fate::Dropped { Fate::Dropped } else { Fate::Twice };
            deviation.entries.push(Entry { fate, ..entry });
            return (Found::Before(fate), hash);
        }
        (Found::Before(deviation.came(place, entry, slot)), hash)
    }

    /// A new text became this series, which stands at `place` where it is the first.
    pub(super) fn series(&mut self, text: u64, name: &MetricName, labels: &Labels, place: Place) -> Same {
        let hash = {
            let mut hasher = self.known.keys.build_hasher();
            name.as_str().hash(&mut hasher);
            labels.hash(&mut hasher);
            hasher.finish()
        };
        let known = self.known;
        let Some(deviation) = &mut self.deviation else {
            // A new text is only found by a deviation.
            return Same::First(None);
        };
        let all = deviation.series.get_or_insert_with(|| standing(&known.entries));
        let is_it =
            |at: Place| known.families[at.family as usize].name == *name && known.labels(at) == labels;
        let same = match all.get(&hash).copied() {
            Some(Standing::Now) => Same::Twice,
            Some(Standing::Before(at)) => match known.entries[at as usize].fate {
                Fate::Series(before) if is_it(before) => {
                    if std::mem::replace(&mut deviation.came[at as usize], true) {
                        Same::Twice
                    } else {
                        Same::First(Some(known.labels(before).clone()))
                    }
                }
                _ => Same::First(None),
            },
            None => Same::First(None),
        };
        let fate = match same {
            Same::First(_) => {
                all.insert(hash, Standing::Now);
                Fate::Series(place)
            }
            Same::Twice => Fate::Twice,
        };
        deviation.entries.push(Entry { text, series: hash, fate });
        same
    }

    /// A new text became nothing.
    pub(super) fn dropped(&mut self, text: u64) {
        if let Some(deviation) = &mut self.deviation {
            deviation.entries.push(Entry { text, series: 0, fate: Fate::Dropped });
        }
    }

    /// The page's end.
    pub(super) fn end(self) -> Read {
        match self.deviation {
            None => Read::Same(self.at),
            Some(deviation) => Read::Other(deviation.entries),
        }
    }

    fn hash(&self, text: &[u8]) -> u64 {
        let mut hasher = self.known.keys.build_hasher();
        hasher.write(text);
        hasher.finish()
    }
}

impl Deviation {
    /// The page was as the last one up to here.
    fn new(known: &[Entry], at: usize) -> Deviation {
        let mut texts = HashMap::with_capacity_and_hasher(known.len(), Plain);
        for (place, entry) in (0..).zip(known) {
            // Of a text that stands twice the first one is the series.
            texts.entry(entry.text).or_insert(place);
        }
        let came = (0..known.len()).map(|place| place < at).collect();
        Deviation { entries: known[..at].to_vec(), texts, came, series: None }
    }

    /// A text of the last page has come on this one.
    fn came(&mut self, place: usize, entry: Entry, slot: impl FnOnce(u32) -> u32) -> Fate {
        self.came[place] = true;
        let now = match entry.fate {
            Fate::Series(at) => Fate::Series(Place { slot: slot(at.family), ..at }),
            other => other,
        };
        self.entries.push(Entry { fate: now, ..entry });
        entry.fate
    }
}

fn standing(known: &[Entry]) -> HashMap<u64, Standing, Plain> {
    let series = (0..).zip(known).filter(|(_, entry)| matches!(entry.fate, Fate::Series(_)));
    series.map(|(place, entry)| (entry.series, Standing::Before(place))).collect()
}

/// Hashes are keys as they are.
#[derive(Clone, Copy, Debug, Default)]
struct Plain;

impl BuildHasher for Plain {
    type Hasher = Kept;

    fn build_hasher(&self) -> Kept {
        Kept(0)
    }
}

struct Kept(u64);

impl Hasher for Kept {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only whole numbers are keys; others would still be told apart.
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
