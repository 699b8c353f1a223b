//! The state of sources and sinks, as page and commands show it. Written by app and workers.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::SinkKind;
use crate::sample::{Millis, Text};

/// Everything at one glance.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Each source by name.
    pub sources: BTreeMap<Text, SourceStatus>,
    /// Whether the targets that are asked at each interval have been, for the first time.
    pub groups: BTreeMap<Duration, bool>,
    /// Each relayed target by `job` and `instance`.
    pub targets: BTreeMap<(Text, Text), TargetStatus>,
    /// What was found and is not scraped, with the reason.
    pub not_scraped: BTreeMap<NotScraped, String>,
    /// Each sink; two of different kinds may have one name.
    pub sinks: BTreeMap<(SinkKind, Text), SinkStatus>,
    /// The queue as a whole; none where there is none.
    pub queue: Option<QueueStatus>,
    /// When the next cycle begins.
    pub next: Option<Millis>,
}

impl Status {
    /// One sink.
    pub fn sink(&self, kind: SinkKind, name: &str) -> Option<&SinkStatus> {
        self.sinks.get(&(kind, name.into()))
    }

    /// Whether the first cycle of every source and the first scrape of every target has ended, well or badly.
    pub fn is_ready(&self) -> bool {
        let ended = self.sources.values().map(|source| source.last_end.is_some());
        let mut all = ended.chain(self.groups.values().copied()).peekable();
        all.peek().is_some() && all.all(|ended| ended)
    }
}

/// One source.
#[derive(Clone, Debug, Default)]
pub struct SourceStatus {
    /// When its last cycle ended.
    pub last_end: Option<Millis>,
    /// When a cycle last ended well.
    pub last_success: Option<Millis>,
    /// When the first of the cycles ended that have failed since; none where the last one did not.
    pub failing_since: Option<Millis>,
    /// Why the last cycle failed; none where it did not.
    pub last_error: Option<String>,
    /// Fleets counted by the last good cycle.
    pub fleets: usize,
    /// Series of the last batch.
    pub series: usize,
}

/// One relayed target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetStatus {
    /// When it was last asked; none: it has not been yet.
    pub last_scrape: Option<Millis>,
    /// When it was last asked with success.
    pub last_success: Option<Millis>,
    /// When the first of the scrapes was that have failed since; none where the last one did not.
    pub failing_since: Option<Millis>,
    /// Why the last scrape failed; none where it did not.
    pub last_error: Option<String>,
    /// Samples of its last page that was read.
    pub samples: usize,
    /// How many of them were left out, since the page had said their series before.
    pub repeated: usize,
    /// In which format that page was.
    pub format: Option<&'static str>,
    /// How long the last scrape took.
    pub took: Duration,
}

/// What is not scraped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotScraped {
    /// A target of a job.
    Target {
        /// The job.
        job: String,
        /// Its address, or its instance.
        target: String,
    },
    /// Whatever a file says now.
    File(PathBuf),
}

impl Display for NotScraped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotScraped::Target { job, target } => write!(f, "target {job}/{target}"),
            NotScraped::File(path) => write!(f, "file {}", path.display()),
        }
    }
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
    /// Records that wait.
    pub waiting_records: usize,
    /// Samples that wait.
    pub waiting_samples: u64,
    /// The oldest sample that waits.
    pub oldest: Option<Millis>,
    /// Samples that were refused and are kept.
    pub refused_samples: u64,
    /// How many of them are to be sent again.
    pub again_samples: u64,
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
            waiting_records: 0,
            waiting_samples: 0,
            oldest: None,
            refused_samples: 0,
            again_samples: 0,
            dropped: 0,
        }
    }
}

/// The queue as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueStatus {
    /// Whether it lives in the memory of the process.
    pub in_memory: bool,
    /// What it takes on the disk, or in memory.
    pub bytes: u64,
    /// Records that some endpoint still needs.
    pub records: usize,
    /// The oldest sample in them.
    pub oldest: Option<Millis>,
    /// For how long there is room at the present rate if nothing is delivered; none: no rate is known.
    pub full_in: Option<Duration>,
    /// Samples in memory, for a store that takes nothing.
    pub pending_samples: u64,
    /// Why the store takes nothing.
    pub trouble: Option<String>,
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
