//! What an operator asks of the queue, and the answer, whoever has the store open: a `run` behind its socket, or
//! the command itself.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::store::time;
use crate::clock::Clock;
use crate::encode::record;
use crate::queue::{Aside, Queue, QueueError, Record, View};
use crate::sample::Millis;
use crate::telemetry::status::{SinkState, SinkStatus};
use crate::telemetry::{Backlog, SinkKind, SinkName, Telemetry};

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
    pub endpoints: Vec<EndpointReport>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndpointReport {
    /// Its name.
    pub name: String,
    /// What it does.
    #[serde(flatten)]
    pub state: EndpointState,
    /// Its URL without userinfo and query.
    pub url: Option<String>,
    /// The last failure.
    pub last_error: Option<String>,
    /// How long ago a request was last taken.
    pub last_success_seconds: Option<u64>,
    /// Records that wait.
    pub waiting_records: usize,
    /// Samples that wait.
    pub waiting_samples: u64,
    /// The time of the oldest of them (RFC 3339).
    pub oldest: Option<String>,
    /// How far the receiver is behind: the age of the oldest.
    pub lag_seconds: u64,
    /// Samples that were refused and are kept.
    pub refused_samples: u64,
    /// How many of them are to be sent again.
    pub again_samples: u64,
}

/// What an endpoint does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum EndpointState {
    /// Nothing runs.
    NotRunning,
    /// No configuration names it any more.
    Removed,
    /// Nothing was sent yet.
    Idle,
    /// The last request was taken.
    Sending {
        /// What is spoken.
        protocol: Option<String>,
    },
    /// The last request failed.
    Waiting {
        /// When it is tried again (RFC 3339).
        until: String,
        /// In how many seconds.
        seconds: u64,
    },
    /// The receiver refuses us as a whole.
    Parked {
        /// When it is asked again (RFC 3339).
        until: String,
        /// In how many seconds.
        seconds: u64,
    },
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
            self.telemetry.backlog(sink, Backlog::default());
        }
        Ok(Answer::Dropped { waiting: gone.waiting, refused: gone.refused, removed: false })
    }

    async fn retry(&self, endpoint: &str) -> Result<Answer, QueueError> {
        if self.configured(endpoint).is_none() {
            let known = self.endpoints.iter().map(|sink| sink.name.to_string()).collect();
            return Ok(Answer::NoSuchEndpoint { known });
        }
        let aside = self.queue.retry(endpoint).await?;
        let running = self.holder.is_some();
        Ok(Answer::Retrying { records: aside.records, samples: aside.samples, running })
    }

    fn report(&self) -> Report {
        let (view, now) = (self.queue.view(), self.clock.now());
        Report {
            folder: self.queue.folder().map_or_else(String::new, |folder| folder.display().to_string()),
            holder: self.holder.clone(),
            at: time(now),
            bytes: view.bytes,
            records: view.records,
            room_seconds: view.full_in.map(|room| room.as_secs()),
            pending_samples: view.pending_samples,
            trouble: view.trouble.clone(),
            endpoints: self.known(&view).iter().map(|name| self.endpoint(name, &view, now)).collect(),
        }
    }

    fn endpoint(&self, name: &str, view: &View, now: Millis) -> EndpointReport {
        let status = self.telemetry.status().borrow().sink(SinkKind::RemoteWrite, name).cloned();
        let configured = self.configured(name);
        let state = match (configured, &self.holder, &status) {
            (None, ..) => EndpointState::Removed,
            (Some(_), None, _) => EndpointState::NotRunning,
            (Some(_), Some(_), status) => state(status.as_ref(), now),
        };
        let waiting = view.endpoints.get(name).copied().unwrap_or_default();
        let Aside { samples, again, .. } = view.aside.get(name).copied().unwrap_or_default();
        let oldest = waiting.oldest_ms.map(Millis);
        let ago = |then: Millis| now.since(then).as_secs();
        EndpointReport {
            name: name.to_owned(),
            state,
            url: configured.map(|sink| sink.url.to_string()),
            last_error: status.as_ref().and_then(|status| status.last_error.clone()),
            last_success_seconds: status.as_ref().and_then(|status| status.last_success).map(ago),
            waiting_records: waiting.records,
            waiting_samples: waiting.samples,
            oldest: oldest.map(time),
            lag_seconds: oldest.map_or(0, ago),
            refused_samples: samples,
            again_samples: again,
        }
    }
}

fn state(status: Option<&SinkStatus>, now: Millis) -> EndpointState {
    let Some(status) = status else { return EndpointState::Idle };
    let next = |delay: Duration| {
        let left = delay.saturating_sub(status.since.elapsed());
        (time(now + left), left.as_secs())
    };
    match status.state {
        SinkState::Idle => EndpointState::Idle,
        SinkState::Delivering => EndpointState::Sending { protocol: status.protocol.map(str::to_owned) },
        SinkState::Retrying { delay } => {
            let (until, seconds) = next(delay);
            EndpointState::Waiting { until, seconds }
        }
        SinkState::Parked { delay } => {
            let (until, seconds) = next(delay);
            EndpointState::Parked { until, seconds }
        }
    }
}

/// Whether a record's bytes hold the samples that it should.
fn is_whole(record: &Record) -> bool {
    record::decode(&record.bytes).is_ok_and(|decoded| decoded.series.len() == record.samples)
}
