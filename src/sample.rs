//! The words that all rooms share: labels, values, families, batches and series sets.
//!
//! In goes what a source has counted; out come types that cannot be wrong: labels are sorted and
//! unique, a batch holds no two equal series. Never: I/O, clocks, wire formats.

mod batch;
mod labels;
mod series_set;
mod value;

pub use batch::{Batch, BatchError, ClockTrust, Exemplar, Family, Kind, Own, Role, Scope, Series, Source};
pub use labels::{Label, LabelError, LabelName, Labels, METRIC_NAME, MetricName};
pub use series_set::{Advance, Ended, Meaning, SeriesId, SeriesSet};
pub use value::{Millis, Value};

use std::collections::BTreeMap;
use std::sync::Arc;

/// A piece of text that many series share: cloning it copies no byte.
pub type Text = Arc<str>;

/// The latest batch of each source, as the page and the Pushgateways watch it.
pub type Latest = Arc<BTreeMap<Source, Arc<Batch>>>;
