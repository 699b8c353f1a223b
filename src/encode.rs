//! Batches become bytes, and records come back: the page, the Pushgateway's delimited protobuf, remote
//! write 1.0 and 2.0, the queue's version-neutral record. Never: I/O, clocks, decisions about delivery.
//!
//! Invariant: the output depends on the input alone; what a [`record::Cutter`] or an [`Encoder`] keeps from
//! one call to the next changes no byte.
//! Invariant: labels leave sorted by the bytes of their names, none twice, none empty.

mod cache;
mod encoder;
pub mod family;
mod labelling;
pub mod openmetrics;
mod outgoing;
mod pack;
pub mod record;
pub mod rw1;
pub mod rw2;
mod snappy;
mod template;
pub mod text;
mod wire;

pub use encoder::Encoder;
pub use labelling::Labelling;
pub use outgoing::{Held, Outgoing, Unsent};

use std::collections::BTreeMap;

use crate::sample::{Batch, Family, Series};

/// Whether a request carries exemplars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exemplars {
    /// Those that its samples have.
    With,
    /// None.
    Without,
}

/// A request or record that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The compressor refuses it; only bodies of over 4 GiB are refused.
    #[error("the request cannot be compressed: {0}")]
    Snappy(#[from] snap::Error),
    /// The bytes are no record.
    #[error("the record is damaged: {0}")]
    Damaged(#[from] prost::DecodeError),
    /// The bytes are a record that contradicts itself.
    #[error("the record is damaged: {0}")]
    Contradiction(&'static str),
    /// A later version of this program wrote it.
    #[error("the record has version {0}, this program reads version {known}", known = record::VERSION)]
    Version(u32),
}

/// Families by name, those of one name together: an exposition may name each but once.
fn by_name<'a>(batches: &[&'a Batch]) -> BTreeMap<&'a str, (&'a Family, Vec<&'a Series>)> {
    let mut all: BTreeMap<&str, (&Family, Vec<&Series>)> = BTreeMap::new();
    for family in batches.iter().flat_map(|batch| batch.families()) {
        let (_, series) = all.entry(family.name.as_str()).or_insert_with(|| (family, Vec::new()));
        series.extend(family.series.iter().filter(|series| !series.value.is_stale()));
    }
    all
}
