//! Writes records' bytes by hand, in the order and form of the generated types (a test holds them to it):
//! series go in one by one, full records come out.

use super::symbols::Symbols;
use super::{Record, VERSION};
use crate::encode::wire;
use crate::sample::{Family, Label, Labels, METRIC_NAME, Value};

/// Where a series' metadata comes from.
#[derive(Clone, Copy)]
pub(super) enum Meta<'a> {
    Of(&'a Family),
    Ended(&'a str),
}

impl<'a> Meta<'a> {
    fn name(self) -> &'a str {
        match self {
            Meta::Of(family) => family.name.as_str(),
            Meta::Ended(name) => name,
        }
    }
}

/// Cuts what is added into records of at most so many samples.
pub(super) struct Cutter<'a> {
    max_samples: usize,
    at: i64,
    done: Vec<Record>,
    current: Builder<'a>,
}

impl<'a> Cutter<'a> {
    pub(super) fn new(max_samples: usize, at: i64) -> Self {
        Cutter { max_samples: max_samples.max(1), at, done: Vec::new(), current: Builder::default() }
    }

    /// A series with its own labels and those that it gets where it lacks them.
    pub(super) fn add(&mut self, meta: Meta<'a>, labels: &'a Labels, missing: &'a Labels, value: Value) {
        if self.current.samples == self.max_samples {
            self.finish();
        }
        self.current.add(meta, labels, missing, value, self.at);
    }

    pub(super) fn done(mut self) -> Vec<Record> {
        self.finish();
        self.done
    }

    fn finish(&mut self) {
        let samples = self.current.samples;
        if samples > 0 {
            self.done.push(Record { samples, bytes: self.current.bytes(), oldest_ms: self.at });
            self.current.clear();
        }
    }
}

#[derive(Default)]
struct Builder<'a> {
    symbols: Symbols<'a>,
    /// The families so far; a record has a handful, and equal ones follow each other.
    families: Vec<&'a str>,
    family_bytes: Vec<u8>,
    series_bytes: Vec<u8>,
    samples: usize,
    /// What one series or family is written into before its length is known.
    one: Vec<u8>,
    refs: Vec<u8>,
}

impl<'a> Builder<'a> {
    fn add(&mut self, meta: Meta<'a>, labels: &'a Labels, missing: &'a Labels, value: Value, timestamp: i64) {
        let family = self.family(meta);
        self.refs.clear();
        let mut place = 0;
        let mut unnamed = true;
        for label in merged(labels, missing) {
            if unnamed && label.name.as_str() > METRIC_NAME {
                self.refer(&mut place, METRIC_NAME, meta.name());
                unnamed = false;
            }
            self.refer(&mut place, label.name.as_str(), &label.value);
        }
        if unnamed {
            self.refer(&mut place, METRIC_NAME, meta.name());
        }
        self.one.clear();
        wire::length(&mut self.one, 1, self.refs.len());
        self.one.extend_from_slice(&self.refs);
        wire::number(&mut self.one, 2, i64::from(family));
        wire::double(&mut self.one, 3, value.bits());
        wire::number(&mut self.one, 4, timestamp);
        wire::length(&mut self.series_bytes, 4, self.one.len());
        self.series_bytes.extend_from_slice(&self.one);
        self.samples += 1;
    }

    fn refer(&mut self, place: &mut usize, name: &'a str, value: &'a str) {
        for text in [name, value] {
            let number = self.symbols.number_at(*place, text);
            wire::varint(&mut self.refs, u64::from(number));
            *place += 1;
        }
    }

    fn family(&mut self, meta: Meta<'a>) -> u32 {
        let name = meta.name();
        // From the end: series of one family come one after the other.
        if let Some(known) = self.families.iter().rposition(|family| *family == name) {
            return count(known);
        }
        let (kind, help) = match meta {
            Meta::Of(family) => (family.kind as u32, &*family.help),
            Meta::Ended(_) => (0, ""),
        };
        self.one.clear();
        wire::number(&mut self.one, 1, i64::from(self.symbols.number(name)));
        wire::number(&mut self.one, 2, i64::from(kind));
        wire::number(&mut self.one, 3, i64::from(self.symbols.number(help)));
        wire::length(&mut self.family_bytes, 3, self.one.len());
        self.family_bytes.extend_from_slice(&self.one);
        self.families.push(name);
        count(self.families.len() - 1)
    }

    fn bytes(&self) -> Vec<u8> {
        let symbols = self.symbols.bytes();
        let mut out =
            Vec::with_capacity(8 + symbols.len() + self.family_bytes.len() + self.series_bytes.len());
        wire::number(&mut out, 1, i64::from(VERSION));
        out.extend_from_slice(symbols);
        out.extend_from_slice(&self.family_bytes);
        out.extend_from_slice(&self.series_bytes);
        out
    }

    /// Empty again, with the memory that the next record will need as well.
    fn clear(&mut self) {
        self.symbols.clear();
        self.families.clear();
        self.family_bytes.clear();
        self.series_bytes.clear();
        self.samples = 0;
    }
}

/// Both in the order of their names; a name that `labels` has wins.
fn merged<'a>(labels: &'a Labels, missing: &'a Labels) -> impl Iterator<Item = &'a Label> {
    let mut own = labels.iter().peekable();
    let mut others = missing.iter().peekable();
    std::iter::from_fn(move || match (own.peek(), others.peek()) {
        (Some(mine), Some(other)) if other.name < mine.name => others.next(),
        (Some(mine), Some(other)) => {
            if other.name == mine.name {
                others.next();
            }
            own.next()
        }
        (Some(_), None) => own.next(),
        (None, _) => others.next(),
    })
}

pub(super) fn count(length: usize) -> u32 {
    // A record holds a few thousand samples; four billion symbols do not fit into memory.
    u32::try_from(length).unwrap_or(u32::MAX)
}
