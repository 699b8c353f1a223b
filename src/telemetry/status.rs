//! The state of sources and sinks, as page and commands show it. Written by app and workers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::SinkKind;
use crate::sample::{Millis, Text};

/// Everything at one glance.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Each source by name.
    pub sources: BTreeMap<Text, SourceStatus>,
    /// Each sink; two of different kinds may have one name.
    pub sinks: BTreeMap<(SinkKind, Text), SinkStatus>,
    /// When the next cycle begins.
    pub next: Option<Millis>,
}

impl Status {
    /// One sink.
    pub fn sink(&self, kind: SinkKind, name: &str) -> Option<&SinkStatus> {
        self.sinks.get(&(kind, name.into()))
    }

    /// Whether the first cycle of every source has ended, well or badly.
    pub fn is_ready(&self) -> bool {
        !self.sources.is_empty() && self.sources.values().all(|source| source.last_end.is_some())
    }
}

/// One source.
#[derive(Clone, Debug, Default)]
pub struct SourceStatus {
    /// When its last cycle ended.
    pub last_end: Option<Millis>,
    /// When a cycle last ended well.
    pub last_success: Option<Millis>,
    /// Why the last cycle failed; none where it did not.
    pub last_error: Option<String>,
    /// Fleets counted by the last good cycle.
    pub fleets: usize,
    /// Series of the last batch.
    pub series: usize,
}

/// One sink.
#[derive(Clone, Debug)]
pub struct SinkStatus {
    /// Its kind.
    pub kind: SinkKind,
    /// Its URL without userinfo and query.
    pub url: Text,
    /// What it does now.
    pub state: SinkState,
    /// When that began; a delay counts from here.
    pub since: Instant,
    /// When a request was last answered with a yes.
    pub last_success: Option<Millis>,
    /// The last failure, until something is delivered.
    pub last_error: Option<String>,
    /// What was last spoken.
    pub protocol: Option<&'static str>,
    /// Samples that wait.
    pub waiting_samples: u64,
    /// The oldest sample that waits.
    pub oldest: Option<Millis>,
    /// Samples refused or dropped since the start.
    pub dropped: u64,
}

impl SinkStatus {
    /// Before anything was sent.
    pub fn new(kind: SinkKind, url: Text) -> Self {
        SinkStatus {
            kind,
            url,
            state: SinkState::Idle,
            since: Instant::now(),
            last_success: None,
            last_error: None,
            protocol: None,
            waiting_samples: 0,
            oldest: None,
            dropped: 0,
        }
    }
}

/// What a sink does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkState {
    /// Nothing was sent yet.
    Idle,
    /// The last request was taken.
    Delivering,
    /// The last request failed; the next try comes after this delay.
    Retrying {
        /// The delay.
        delay: Duration,
    },
    /// The receiver refuses us as a whole; the next probe comes after this delay.
    Parked {
        /// The delay.
        delay: Duration,
    },
}

/// One request that was taken.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// Its samples.
    pub samples: usize,
    /// Its body's bytes, compressed.
    pub bytes: usize,
    /// What was spoken, such as `remote write 2.0`.
    pub protocol: &'static str,
    /// The answer's status code.
    pub code: u16,
    /// When.
    pub at: Millis,
    /// The newest sample in it.
    pub newest: Option<Millis>,
    /// How many samples the receiver says it has written (remote write 2.0).
    pub written: Option<u64>,
}
