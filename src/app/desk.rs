//! What an operator asks of the queue, and the answer, whoever has the store open: a `run` behind its socket, or
//! the command itself.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::encode::record;
use crate::queue::{Aside, Queue, QueueError, Record, View};
use crate::sample::Millis;
use crate::sink::worker;
use crate::telemetry::words::{Doing, SinkReport, exact};
use crate::telemetry::{SinkKind, SinkName, Telemetry};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// How it is.
    Status,
    /// Whether every record can be read.
    Verify,
    /// To throw away what waits for an endpoint and what it has refused.
    Drop {
        /// Its name.
        endpoint: String,
    },
    /// To send again what an endpoint has refused.
    Retry {
        /// Its name.
        endpoint: String,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// There is no queue in the folder.
    Nothing {
        /// Which folder.
        folder: String,
    },
    /// How it is.
    Status(Report),
    /// What was read.
    Verified {
        /// Records that are whole.
        records: usize,
        /// Samples in them.
        samples: u64,
        /// Refused records that are whole.
        refused: usize,
        /// Records that cannot be read.
        damaged: usize,
    },
    /// What was thrown away.
    Dropped {
        /// Samples that waited.
        waiting: u64,
        /// Samples that had been refused.
        refused: u64,
        /// Whether the endpoint itself is gone from the queue, as no configuration names it.
        removed: bool,
    },
    /// What is sent again.
    Retrying {
        /// Refused requests.
        records: usize,
        /// Samples in them.
        samples: u64,
        /// Whether a `run` does it now.
        running: bool,
    },
    /// There is no such endpoint.
    NoSuchEndpoint {
        /// Those that there are.
        known: Vec<String>,
    },
    /// It could not be done.
    Failed {
        /// Why.
        why: String,
    },
}

/// The queue at one glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where it is.
    pub folder: String,
    /// The process that has it; none: nothing runs.
    pub holder: Option<String>,
    /// When this was so (RFC 3339).
    pub at: String,
    /// What it takes on the disk.
    pub bytes: u64,
    /// Records that some endpoint still needs.
    pub records: usize,
    /// For how long there is room at the present rate if nothing is delivered; none: no rate is known.
    pub room_seconds: Option<u64>,
    /// Samples in memory, for a store that takes nothing.
    pub pending_samples: u64,
    /// Why the store takes nothing.
    pub trouble: Option<String>,
    /// Each endpoint.
    pub endpoints: Vec<SinkReport>,
}

/// Everything that an answer is made from.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) queue: Queue,
    pub(super) clock: Clock,
    pub(super) telemetry: Telemetry,
    /// The endpoints that a configuration names.
    pub(super) endpoints: Vec<SinkName>,
    /// None: nothing runs.
    pub(super) holder: Option<String>,
}

impl Desk {
    pub(super) async fn answer(&self, ask: Ask) -> Answer {
        let answer = match ask {
            Ask::Status => Ok(Answer::Status(self.report())),
            Ask::Verify => self.queue.verify(is_whole).await.map(|found| Answer::Verified {
                records: found.records,
                samples: found.samples,
                refused: found.refused,
                damaged: found.damaged,
            }),
            Ask::Drop { endpoint } => self.drop_backlog(&endpoint).await,
            Ask::Retry { endpoint } => self.retry(&endpoint).await,
        };
        answer.unwrap_or_else(|error| Answer::Failed { why: error.to_string() })
    }

    fn configured(&self, endpoint: &str) -> Option<&SinkName> {
        self.endpoints.iter().find(|sink| *sink.name == *endpoint)
    }

    /// Every endpoint that a configuration or the store names.
    fn known(&self, view: &View) -> BTreeSet<String> {
        let configured = self.endpoints.iter().map(|sink| sink.name.to_string());
        configured.chain(view.endpoints.keys().cloned()).chain(view.aside.keys().cloned()).collect()
    }

    async fn drop_backlog(&self, endpoint: &str) -> Result<Answer, QueueError> {
        let known = self.known(&self.queue.view());
        if !known.contains(endpoint) {
            return Ok(Answer::NoSuchEndpoint { known: known.into_iter().collect() });
        }
        let Some(sink) = self.configured(endpoint) else {
            let gone = self.queue.remove(endpoint).await?;
            return Ok(Answer::Dropped { waiting: gone.waiting, refused: gone.refused, removed: true });
        };
        let gone = self.queue.discard(endpoint).await?;
        if self.holder.is_some() && gone.waiting > 0 {
            let samples = usize::try_from(gone.waiting).unwrap_or(usize::MAX);
            self.telemetry.dropped(sink, samples, "queue_drop", &"thrown away as `queue drop` has asked");
        }
        self.show(sink);
        Ok(Answer::Dropped { waiting: gone.waiting, refused: gone.refused, removed: false })
    }

    async fn retry(&self, endpoint: &str) -> Result<Answer, QueueError> {
        let Some(sink) = self.configured(endpoint) else {
            let known = self.endpoints.iter().map(|sink| sink.name.to_string()).collect();
            return Ok(Answer::NoSuchEndpoint { known });
        };
        let aside = self.queue.retry(endpoint).await?;
        self.show(sink);
        let running = self.holder.is_some();
        Ok(Answer::Retrying { records: aside.records, samples: aside.samples, running })
    }

    /// Lets the page and the metrics know what was changed.
    fn show(&self, sink: &SinkName) {
        if self.holder.is_some() {
            worker::show_backlog(&self.queue, sink, &self.telemetry);
        }
    }

    fn report(&self) -> Report {
        let (view, now) = (self.queue.view(), self.clock.now());
        Report {
            folder: self.queue.folder().map_or_else(String::new, |folder| folder.display().to_string()),
            holder: self.holder.clone(),
            at: exact(now),
            bytes: view.bytes,
            records: view.records,
            room_seconds: view.full_in.map(|room| room.as_secs()),
            pending_samples: view.pending_samples,
            trouble: view.trouble.clone(),
            endpoints: self.known(&view).iter().map(|name| self.endpoint(name, &view, now)).collect(),
        }
    }

    fn endpoint(&self, name: &str, view: &View, now: Millis) -> SinkReport {
        let configured = self.configured(name);
        let running = self.telemetry.status().borrow().sink(SinkKind::RemoteWrite, name).cloned();
        let mut report = match (configured, &self.holder, running) {
            (None, ..) => SinkReport::of(name, Doing::Removed),
            (Some(_), None, _) => SinkReport::of(name, Doing::NotRunning),
            (Some(_), Some(_), None) => SinkReport::of(name, Doing::Idle),
            (Some(_), Some(_), Some(status)) => status.report(name, now),
        };
        // The store's own word is newer than what telemetry was last told.
        let waiting = view.endpoints.get(name).copied().unwrap_or_default();
        let Aside { samples, again, .. } = view.aside.get(name).copied().unwrap_or_default();
        let oldest = waiting.oldest_ms.map(Millis);
        report.url = configured.map(|sink| sink.url.to_string());
        report.waiting_records = waiting.records;
        report.waiting_samples = waiting.samples;
        report.oldest = oldest.map(exact);
        report.lag_seconds = oldest.map_or(0, |then| now.since(then).as_secs());
        (report.refused_samples, report.again_samples) = (samples, again);
        report
    }
}

/// Whether a record's bytes hold the samples that it should.
fn is_whole(record: &Record) -> bool {
    record::decode(record.bytes()).is_ok_and(|decoded| decoded.series.len() == record.samples)
}
