//! What arrived by remote write, and what of it is stored.
//! In: decoded series. Out: deliveries, and samples by series. Never: which product refuses what.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use super::Labels;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 1.0
    One,
    /// 2.0
    Two,
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::One => "1.0",
            Self::Two => "2.0",
        })
    }
}

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// The bits of the value, since a stale marker is one certain NaN.
    pub bits: u64,
    /// Milliseconds since the epoch; 0 where it was not sent.
    pub start_timestamp: i64,
}

impl Sample {
    /// The value as a number.
    pub fn value(&self) -> f64 {
        f64::from_bits(self.bits)
    }

    /// Whether it says that the series has ended.
    pub fn is_stale_marker(&self) -> bool {
        self.bits == 0x7ff0_0000_0000_0002
    }
}

/// One series of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Labels by name; of a name sent twice, the last. One with an empty value is none.
    pub labels: Labels,
    /// Labels as sent: their order, and repeated names.
    pub sent: Vec<(String, String)>,
    /// In the order of the request.
    pub samples: Vec<Sample>,
    /// How many exemplars came with it.
    pub exemplars: usize,
    /// The protocol's number of the metric type; 0 in version 1.0.
    pub kind: i32,
    /// Help text; empty in version 1.0.
    pub help: String,
    /// Unit; empty in version 1.0.
    pub unit: String,
}

impl Series {
    /// The metric's name, empty when there is none.
    pub fn name(&self) -> &str {
        self.labels.get("__name__").map_or("", String::as_str)
    }
}

/// One metadata message of version 1.0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The family it describes.
    pub family: String,
    /// The protocol's number of the metric type.
    pub kind: i32,
    /// Help text.
    pub help: String,
    /// Unit.
    pub unit: String,
}

/// One request as the receiver understood it.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// What the receiver took it for, which for a receiver of 1.0 only is 1.0, with no series.
    pub version: Version,
    /// In the order of the request.
    pub series: Vec<Series>,
    /// Metadata messages of version 1.0.
    pub metadata: Vec<Metadata>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Bytes of the body as sent.
    pub body_len: usize,
    /// What was answered.
    pub status: u16,
    /// How many of its samples were taken (counted as written, not necessarily new).
    pub written: usize,
}

impl Delivered {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Why a sample that fits nowhere does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// The newest timestamp of the series again, with another value.
    Duplicate,
    /// Before the newest sample of the series.
    OutOfOrder,
    /// More than an hour before the newest sample of all.
    OutOfBounds,
}

/// The samples and deliveries of a receiver.
#[derive(Debug)]
pub(super) struct Store {
    keep: usize,
    deliveries: VecDeque<Arc<Delivered>>,
    series: HashMap<Labels, Vec<Sample>>,
    newest: i64,
}

impl Store {
    pub(super) fn new(keep: usize) -> Self {
        Self { keep, deliveries: VecDeque::new(), series: HashMap::new(), newest: i64::MIN }
    }

    pub(super) fn deliveries(&self) -> Vec<Arc<Delivered>> {
        self.deliveries.iter().cloned().collect()
    }

    pub(super) fn samples(&self) -> BTreeMap<Labels, Vec<Sample>> {
        self.series.iter().map(|(labels, samples)| (labels.clone(), samples.clone())).collect()
    }

    pub(super) fn note(&mut self, delivered: Delivered) -> Arc<Delivered> {
        if self.deliveries.len() >= self.keep {
            self.deliveries.pop_front();
        }
        let delivered = Arc::new(delivered);
        self.deliveries.push_back(delivered.clone());
        delivered
    }

    /// How many series there are.
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether this is one of them.
    pub(super) fn has(&self, labels: &Labels) -> bool {
        self.series.contains_key(labels)
    }

    /// Whether a sample fits behind what was stored before this request.
    pub(super) fn conflict(&self, labels: &Labels, sample: &Sample) -> Option<Conflict> {
        if sample.timestamp < self.newest.saturating_sub(3_600_000) {
            return Some(Conflict::OutOfBounds);
        }
        let last = self.series.get(labels)?.last()?;
        match sample.timestamp.cmp(&last.timestamp) {
            std::cmp::Ordering::Less => Some(Conflict::OutOfOrder),
            std::cmp::Ordering::Equal if sample.bits != last.bits => Some(Conflict::Duplicate),
            _ => None,
        }
    }

    /// Stores the samples of one series. What is not newer than the one before is left out in silence, unless
    /// the product stores anything.
    pub(super) fn store(&mut self, labels: &Labels, samples: &[Sample], anything: bool) {
        // A series that is sent for its exemplars alone.
        if samples.is_empty() {
            return;
        }
        let stored = match self.series.get_mut(labels) {
            Some(stored) => stored,
            None => self.series.entry(labels.clone()).or_default(),
        };
        for sample in samples {
            if anything || stored.last().is_none_or(|last| sample.timestamp > last.timestamp) {
                stored.push(*sample);
                self.newest = self.newest.max(sample.timestamp);
            }
        }
        let over = stored.len().saturating_sub(self.keep);
        stored.drain(..over);
    }
}
