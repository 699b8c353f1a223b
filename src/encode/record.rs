//! The queue's record: samples in a form that knows neither version of remote write.

use std::collections::HashMap;

use prost::Message;

use super::EncodeError;
use crate::pb::record as pb;
use crate::sample::{Batch, Ended, Family, LabelName, Labels, METRIC_NAME, Role, Text, Value};

/// The version that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// Who is speaking: what remote-write series carry that a scraper or a grouping key would add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The label `job` of every series.
    pub job: Text,
    /// The label `instance` of [`Role::State`] series.
    pub instance: Text,
}

/// An encoded record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The encoded samples.
    pub bytes: Vec<u8>,
    /// How many there are.
    pub samples: usize,
    /// The oldest of them, milliseconds since the epoch.
    pub oldest_ms: i64,
}

/// Cuts a batch, and the stale markers of what has ended with it, into records of at most `max_samples`.
///
/// Each series stands in one record alone, so requests made of two records are disjoint.
pub fn cut(batch: &Batch, ended: &[Ended], identity: &Identity, max_samples: usize) -> Vec<Record> {
    let common = |name: &str, value: &Text| LabelName::new(name).ok().map(|name| (name, value.clone()));
    // `job` and `instance` are label names, so neither set can be refused.
    let of = |pairs: Vec<_>| Labels::new(pairs.into_iter().flatten()).unwrap_or_default();
    let fleet = of(vec![common("job", &identity.job)]);
    let state = of(vec![common("job", &identity.job), common("instance", &identity.instance)]);
    let added = |role| match role {
        Role::Fleet => &fleet,
        Role::State => &state,
    };
    let at = batch.at().0;
    let mut cutter =
        Cutter { max_samples: max_samples.max(1), at, done: Vec::new(), current: Builder::new() };
    for family in batch.families() {
        for series in &family.series {
            cutter.add(Meta::Of(family), &series.labels.with_missing(added(family.role)), series.value);
        }
    }
    for gone in ended {
        let labels = gone.id.labels.with_missing(added(gone.role));
        // A marker may stand in a record alone; without its family it would tell receivers to forget the type.
        let family = batch.families().iter().find(|family| family.name == gone.id.name);
        let meta = family.map_or(Meta::Ended(gone.id.name.as_str()), Meta::Of);
        cutter.add(meta, &labels, Value::STALE);
    }
    cutter.finish();
    cutter.done
}

/// Reads a record and checks what every encoder relies on.
///
/// # Errors
/// [`EncodeError`] where the bytes are no record of this version.
pub fn decode(bytes: &[u8]) -> Result<pb::Record, EncodeError> {
    let record = pb::Record::decode(bytes)?;
    if record.version != VERSION {
        return Err(EncodeError::Version(record.version));
    }
    let symbols = record.symbols.len();
    let known = |reference: u32| (reference as usize) < symbols;
    if record.symbols.first().is_none_or(|first| !first.is_empty()) {
        return Err(EncodeError::Contradiction("the first symbol is not empty"));
    }
    if !record.families.iter().all(|f| known(f.name_ref) && known(f.help_ref) && known(f.unit_ref)) {
        return Err(EncodeError::Contradiction("a family names a symbol that is not there"));
    }
    for series in &record.series {
        if series.label_refs.len() % 2 == 1 || !series.label_refs.iter().all(|r| known(*r)) {
            return Err(EncodeError::Contradiction("a series names a symbol that is not there"));
        }
        if series.family as usize >= record.families.len() {
            return Err(EncodeError::Contradiction("a series names a family that is not there"));
        }
    }
    Ok(record)
}

/// Whether type or help of a family are known; they are not where the last of its series have ended.
pub fn is_described(family: &pb::Family) -> bool {
    family.kind != 0 || family.help_ref != 0
}

/// Where a series' metadata comes from.
#[derive(Clone, Copy)]
enum Meta<'a> {
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

struct Cutter {
    max_samples: usize,
    at: i64,
    done: Vec<Record>,
    current: Builder,
}

impl Cutter {
    fn add(&mut self, meta: Meta<'_>, labels: &Labels, value: Value) {
        if self.current.record.series.len() == self.max_samples {
            self.finish();
        }
        self.current.add(meta, labels, value, self.at);
    }

    fn finish(&mut self) {
        let builder = std::mem::replace(&mut self.current, Builder::new());
        let samples = builder.record.series.len();
        if samples > 0 {
            self.done.push(Record { bytes: builder.record.encode_to_vec(), samples, oldest_ms: self.at });
        }
    }
}

struct Builder {
    record: pb::Record,
    symbols: HashMap<String, u32>,
    families: HashMap<String, u32>,
}

impl Builder {
    fn new() -> Self {
        let record = pb::Record { version: VERSION, symbols: vec![String::new()], ..pb::Record::default() };
        Builder { record, symbols: HashMap::from([(String::new(), 0)]), families: HashMap::new() }
    }

    fn add(&mut self, meta: Meta<'_>, labels: &Labels, value: Value, timestamp: i64) {
        let family = self.family(meta);
        let name = meta.name();
        let mut label_refs = Vec::with_capacity(2 * labels.iter().len() + 2);
        let mut unnamed = true;
        for label in labels.iter() {
            if unnamed && label.name.as_str() > METRIC_NAME {
                label_refs.extend([self.symbol(METRIC_NAME), self.symbol(name)]);
                unnamed = false;
            }
            label_refs.extend([self.symbol(label.name.as_str()), self.symbol(&label.value)]);
        }
        if unnamed {
            label_refs.extend([self.symbol(METRIC_NAME), self.symbol(name)]);
        }
        let series =
            pb::Series { label_refs, family, value_bits: value.bits(), timestamp, start_timestamp: 0 };
        self.record.series.push(series);
    }

    fn symbol(&mut self, text: &str) -> u32 {
        if let Some(known) = self.symbols.get(text) {
            return *known;
        }
        let number = count(self.record.symbols.len());
        self.record.symbols.push(text.to_owned());
        self.symbols.insert(text.to_owned(), number);
        number
    }

    fn family(&mut self, meta: Meta<'_>) -> u32 {
        if let Some(known) = self.families.get(meta.name()) {
            return *known;
        }
        let (kind, help) = match meta {
            Meta::Of(family) => (family.kind as u32, &*family.help),
            Meta::Ended(_) => (0, ""),
        };
        let family =
            pb::Family { name_ref: self.symbol(meta.name()), kind, help_ref: self.symbol(help), unit_ref: 0 };
        let number = count(self.record.families.len());
        self.record.families.push(family);
        self.families.insert(meta.name().to_owned(), number);
        number
    }
}

fn count(length: usize) -> u32 {
    // A record holds a few thousand samples; four billion symbols do not fit into memory.
    u32::try_from(length).unwrap_or(u32::MAX)
}
