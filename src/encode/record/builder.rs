//! Writes records' bytes by hand, in the order and form of the generated types (a test holds them to it):
//! series go in one by one, full records come out.

use super::symbols::Symbols;
use super::{Identity, Record, VERSION};
use crate::encode::wire;
use crate::sample::{Batch, Ended, Family, Label, LabelName, Labels, METRIC_NAME, Role, Text, Value};

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

/// Which series a record has, encoded.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) layout: Box<[u8]>,
    pub(super) samples: usize,
}

/// The layout of one record, as it grows.
#[derive(Default)]
pub(super) struct Builder<'a> {
    symbols: Symbols<'a>,
    /// The families so far; a record has a handful, and equal ones follow each other.
    families: Vec<&'a str>,
    family_bytes: Vec<u8>,
    series_bytes: Vec<u8>,
    values: Vec<u64>,
    /// What one series or family is written into before its length is known.
    one: Vec<u8>,
    refs: Vec<u8>,
}

impl<'a> Builder<'a> {
    /// The records of a batch and of what has ended with it, and their layouts.
    pub(super) fn cut(
        batch: &'a Batch,
        ended: &'a [Ended],
        identity: &Identity,
        max_samples: usize,
    ) -> (Vec<Record>, Vec<Piece>) {
        let common = |name: &str, value: &Text| LabelName::new(name).ok().map(|name| (name, value.clone()));
        // `job` and `instance` are label names, so neither set can be refused.
        let of = |pairs: Vec<_>| Labels::new(pairs.into_iter().flatten()).unwrap_or_default();
        let fleet = of(vec![common("job", &identity.job)]);
        let state = of(vec![common("job", &identity.job), common("instance", &identity.instance)]);
        let nothing = Labels::default();
        let added = |role| match role {
            Role::Fleet => &fleet,
            Role::State => &state,
            Role::Relayed => &nothing,
        };
        let alive = batch.families().iter().flat_map(|family| {
            let missing = added(family.role);
            family.series.iter().map(move |series| (Meta::Of(family), &series.labels, missing, series.value))
        });
        let gone = ended.iter().map(|gone| {
            // A marker may stand in a record alone; without its family it would tell receivers to forget the type.
            let family = batch.families().iter().find(|family| family.name == gone.id.name);
            let meta = family.map_or(Meta::Ended(gone.id.name.as_str()), Meta::Of);
            (meta, &gone.id.labels, added(gone.role), Value::STALE)
        });
        let (mut records, mut pieces) = (Vec::new(), Vec::new());
        let mut writer = Writer::default();
        let mut all = alive.chain(gone).peekable();
        let mut current = Builder::default();
        while let Some((meta, labels, missing, value)) = all.next() {
            current.add(meta, labels, missing, value);
            if current.values.len() == max_samples.max(1) || all.peek().is_none() {
                let piece = current.piece();
                records.push(writer.record(&piece, current.values.drain(..), batch.at().0));
                pieces.push(piece);
                current.clear();
            }
        }
        (records, pieces)
    }

    fn add(&mut self, meta: Meta<'a>, labels: &'a Labels, missing: &'a Labels, value: Value) {
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
        wire::length(&mut self.family_bytes, 2, self.one.len());
        self.family_bytes.extend_from_slice(&self.one);
        self.families.push(name);
        count(self.families.len() - 1)
    }

    fn piece(&self) -> Piece {
        let parts = [self.symbols.bytes(), &self.family_bytes, &self.series_bytes];
        Piece { layout: parts.concat().into(), samples: self.values.len() }
    }

    /// Empty again, with the memory that the next record will need as well.
    fn clear(&mut self) {
        self.symbols.clear();
        self.families.clear();
        self.family_bytes.clear();
        self.series_bytes.clear();
        self.values.clear();
    }
}

/// Puts layouts and values together, in one buffer for all records.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

/// Keys, lengths, version and time of a record take fewer bytes.
const AROUND: usize = 64;

impl Writer {
    /// A record of these series, with as many values as there are.
    pub(super) fn record(&mut self, piece: &Piece, values: impl Iterator<Item = u64>, at: i64) -> Record {
        let out = &mut self.0;
        out.clear();
        out.reserve(piece.layout.len() + 8 * piece.samples + AROUND);
        wire::number(out, 1, i64::from(VERSION));
        wire::text(out, 2, &piece.layout);
        wire::length(out, 3, 8 * piece.samples);
        let start = out.len();
        out.resize(start + 8 * piece.samples, 0);
        let (places, _) = out[start..].as_chunks_mut();
        for (place, value) in places.iter_mut().zip(values) {
            *place = value.to_le_bytes();
        }
        wire::number(out, 4, at);
        Record { samples: piece.samples, bytes: out.as_slice().into(), oldest_ms: at }
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
