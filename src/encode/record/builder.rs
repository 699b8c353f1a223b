//! Writes records' bytes by hand, in the order and form of the generated types (a test holds them to it):
//! series go in one by one, full records come out.

use std::collections::HashMap;

use super::symbols::Symbols;
use super::tick::{Extra, Part};
use super::writer::{Piece, Writer};
use super::{Identity, Record};
use crate::encode::wire;
use crate::sample::{Ended, Family, Label, Labels, METRIC_NAME, Role, Value};

/// What is told of a series' family, and under which name.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Meta<'a> {
    name: &'a str,
    kind: u32,
    help: &'a str,
    unit: &'a str,
}

impl<'a> Meta<'a> {
    fn of(family: &'a Family) -> Meta<'a> {
        let (help, unit) = (&*family.help, &*family.unit);
        Meta { name: family.described_as().as_str(), kind: family.kind as u32, help, unit }
    }

    /// Of a series of which the family is not said any more.
    fn ended(gone: &'a Ended) -> Meta<'a> {
        match &gone.meaning {
            Some(known) => Meta {
                name: known.name.as_str(),
                kind: known.kind as u32,
                help: &known.help,
                unit: &known.unit,
            },
            None => Meta { name: gone.id.name.as_str(), kind: 0, help: "", unit: "" },
        }
    }
}

/// The layout of one record, as it grows.
#[derive(Default)]
struct Builder<'a> {
    symbols: Symbols<'a>,
    families: HashMap<Meta<'a>, u32>,
    /// The number of the family that is told now, once one of its series is here.
    family: Option<u32>,
    family_bytes: Vec<u8>,
    series_bytes: Vec<u8>,
    values: Vec<u64>,
    extras: Vec<(usize, &'a Extra<'a>)>,
    /// What one series or family is written into before its length is known.
    one: Vec<u8>,
    refs: Vec<u8>,
}

/// The records of one tick's parts at `at`, and their layouts.
pub(super) fn cut(
    parts: &[Part<'_>],
    at: i64,
    identity: &Identity,
    max_samples: usize,
) -> (Vec<Record>, Vec<Piece>) {
    let [fleet, state, nothing] = [Role::Fleet, Role::State, Role::Relayed].map(|role| identity.added(role));
    let added = |role| match role {
        Role::Fleet => &fleet,
        Role::State => &state,
        Role::Relayed => &nothing,
    };
    let mut cutting = Cutting { at, max_samples: max_samples.max(1), ..Cutting::default() };
    for part in parts {
        let mut samples = part.samples();
        for family in part.batch.families() {
            let (name, missing) = (family.name.as_str(), added(family.role));
            cutting.tell(Meta::of(family), name);
            for series in &family.series {
                if let Some(extra) = samples.next_one() {
                    cutting.add(&series.labels, missing, series.value, extra);
                }
            }
        }
    }
    for part in parts.iter().filter(|part| !part.ended.is_empty()) {
        // A marker may stand in a record alone; without its family it would tell receivers to forget the type.
        let families = part.batch.families().iter().map(|family| (family.name.as_str(), family));
        let families: HashMap<&str, &Family> = families.collect();
        for gone in &part.ended {
            let name = gone.id.name.as_str();
            let meta = families.get(name).map_or_else(|| Meta::ended(gone), |family| Meta::of(family));
            cutting.tell(meta, name);
            cutting.add(&gone.id.labels, added(gone.role), Value::STALE, None);
        }
    }
    cutting.flush();
    (cutting.records, cutting.pieces)
}

/// Full records, and the one that grows.
#[derive(Default)]
struct Cutting<'a> {
    at: i64,
    max_samples: usize,
    meta: Meta<'a>,
    name: &'a str,
    current: Builder<'a>,
    writer: Writer,
    records: Vec<Record>,
    pieces: Vec<Piece>,
}

impl<'a> Cutting<'a> {
    /// What follows are series of this name, and of a family that means this.
    fn tell(&mut self, meta: Meta<'a>, name: &'a str) {
        (self.meta, self.name, self.current.family) = (meta, name, None);
    }

    fn add(&mut self, labels: &'a Labels, missing: &'a Labels, value: Value, extra: Option<&'a Extra<'a>>) {
        if self.current.values.len() == self.max_samples {
            self.flush();
        }
        if let Some(extra) = extra {
            self.current.extras.push((self.current.values.len(), extra));
        }
        let family = match self.current.family {
            Some(known) => known,
            None => self.current.family(self.meta),
        };
        self.current.add(family, self.name, labels, missing, value);
    }

    fn flush(&mut self) {
        if self.current.values.is_empty() {
            return;
        }
        let piece = self.current.piece();
        let values = self.current.values.drain(..);
        self.records.push(self.writer.record(&piece, values, self.at, &self.current.extras, 0));
        self.pieces.push(piece);
        self.current.clear();
    }
}

impl<'a> Builder<'a> {
    fn add(&mut self, family: u32, name: &'a str, labels: &'a Labels, missing: &'a Labels, value: Value) {
        self.refs.clear();
        let mut place = 0;
        let mut unnamed = true;
        for label in merged(labels, missing) {
            if unnamed && label.name > METRIC_NAME {
                self.refer(&mut place, METRIC_NAME, name);
                unnamed = false;
            }
            self.refer(&mut place, label.name, label.value);
        }
        if unnamed {
            self.refer(&mut place, METRIC_NAME, name);
        }
        self.one.clear();
        wire::length(&mut self.one, 1, self.refs.len());
        self.one.extend_from_slice(&self.refs);
        wire::number(&mut self.one, 2, i64::from(family));
        wire::length(&mut self.series_bytes, 3, self.one.len());
        self.series_bytes.extend_from_slice(&self.one);
        self.values.push(value.bits());
    }

    fn refer(&mut self, place: &mut usize, name: &'a str, value: &'a str) {
        for text in [name, value] {
            let number = self.symbols.number_at(*place, text);
            wire::varint(&mut self.refs, u64::from(number));
            *place += 1;
        }
    }

    fn family(&mut self, meta: Meta<'a>) -> u32 {
        let next = count(self.families.len());
        let number = *self.families.entry(meta).or_insert(next);
        self.family = Some(number);
        if number == next {
            self.one.clear();
            wire::number(&mut self.one, 1, i64::from(self.symbols.number(meta.name)));
            wire::number(&mut self.one, 2, i64::from(meta.kind));
            wire::number(&mut self.one, 3, i64::from(self.symbols.number(meta.help)));
            wire::number(&mut self.one, 4, i64::from(self.symbols.number(meta.unit)));
            wire::length(&mut self.family_bytes, 2, self.one.len());
            self.family_bytes.extend_from_slice(&self.one);
        }
        number
    }

    fn piece(&self) -> Piece {
        let parts = [self.symbols.bytes(), &self.family_bytes, &self.series_bytes];
        Piece { layout: parts.concat().into(), samples: self.values.len() }
    }

    /// Empty again, with the memory that the next record will need as well.
    fn clear(&mut self) {
        self.symbols.clear();
        self.families.clear();
        self.family = None;
        self.family_bytes.clear();
        self.series_bytes.clear();
        self.values.clear();
        self.extras.clear();
    }
}

/// Both in the order of their names; a name that `labels` has wins.
fn merged<'a>(labels: &'a Labels, missing: &'a Labels) -> impl Iterator<Item = Label<'a>> {
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

pub(in crate::encode) fn count(length: usize) -> u32 {
    // A record holds a few thousand samples; four billion symbols do not fit into memory.
    u32::try_from(length).unwrap_or(u32::MAX)
}
