//! The queue's record: samples in a form that knows neither version of remote write.

mod builder;
mod flat;
mod reader;
mod symbols;

use self::builder::{Cutter, Meta};
pub use self::flat::Flat;
pub(super) use self::flat::Series;
use super::EncodeError;
use crate::pb::record as pb;
use crate::sample::{Batch, Ended, LabelName, Labels, Role, Text, Value};

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
    let mut cutter = Cutter::new(max_samples, batch.at().0);
    for family in batch.families() {
        for series in &family.series {
            cutter.add(Meta::Of(family), &series.labels, added(family.role), series.value);
        }
    }
    for gone in ended {
        // A marker may stand in a record alone; without its family it would tell receivers to forget the type.
        let family = batch.families().iter().find(|family| family.name == gone.id.name);
        let meta = family.map_or(Meta::Ended(gone.id.name.as_str()), Meta::Of);
        cutter.add(meta, &gone.id.labels, added(gone.role), Value::STALE);
    }
    cutter.done()
}

/// Reads a record into the generated type, with every check of [`Flat::read`].
///
/// # Errors
/// [`EncodeError`] where the bytes are no record of this version.
pub fn decode(bytes: &[u8]) -> Result<pb::Record, EncodeError> {
    Ok(Flat::read(bytes.into())?.generated())
}

/// Whether type or help of a family are known; they are not where the last of its series have ended.
pub fn is_described(family: &pb::Family) -> bool {
    family.kind != 0 || family.help_ref != 0
}
