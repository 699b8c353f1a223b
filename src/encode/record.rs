//! The queue's record: samples in a form that knows neither version of remote write.

mod builder;
mod cutter;
mod decoded;
mod flat;
mod layout;
mod pieces;
mod reader;
mod rewrite;
mod symbols;
mod tick;
mod times;
mod writer;

pub(super) use self::builder::count;
pub use self::cutter::{Cut, Cutter, Told};
pub use self::decoded::{Decoded, Exemplar, Sample, decode};
pub use self::flat::Flat;
pub(super) use self::flat::{LayoutBytes, Observed};
pub(super) use self::layout::{Layout, hash};
pub use self::pieces::{Gap, Pieces, Record};
pub(super) use self::rewrite::{Renamed, layout as rewritten};
pub use self::tick::LeftOut;
use self::tick::{Before, Part};
use self::times::Times;
use crate::pb::record as pb;
use crate::sample::{Batch, Ended, LabelName, Labels, Role, Text};

/// The version that is written, and the only one that is read.
pub const VERSION: u32 = 2;

/// Who is speaking: what remote-write series carry that a scraper or a grouping key would add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The label `job` of every series.
    pub job: Text,
    /// The label `instance` of [`crate::sample::Role::State`] series.
    pub instance: Text,
}

impl Identity {
    /// The labels of series of this role that they do not carry themselves.
    pub fn added(&self, role: Role) -> Labels {
        let common = |name: &str, value: &Text| LabelName::new(name).ok().map(|name| (name, value.clone()));
        let (job, instance) = (common("job", &self.job), common("instance", &self.instance));
        let all = match role {
            Role::Fleet => [job, None],
            Role::State => [job, instance],
            Role::Relayed => [None, None],
        };
        // `job` and `instance` are label names, so no set can be refused.
        Labels::new(all.into_iter().flatten()).unwrap_or_default()
    }
}

/// Cuts a batch, and the stale markers of what has ended with it, into records of at most `max_samples`.
///
/// Each series stands in one record alone, so requests made of two records are disjoint. Samples of over five
/// minutes ahead are left out.
pub fn cut(batch: &Batch, ended: &[Ended], identity: &Identity, max_samples: usize) -> Vec<Record> {
    let (before, mut times, mut left_out) = (Before::default(), Times::default(), LeftOut::default());
    let part = Part::of(batch, batch.at(), ended.to_vec(), &before, &mut times, &mut left_out);
    builder::cut(&[part], batch.at().0, identity, max_samples).0
}

/// Whether type, help or unit of a family are known; they are not where the last of its series have ended.
pub fn is_described(family: &pb::Family) -> bool {
    family.kind != 0 || family.help_ref != 0 || family.unit_ref != 0
}
