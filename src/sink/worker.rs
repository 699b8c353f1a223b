//! One remote-write endpoint's loop: the oldest record that waits is encoded, sent, and acknowledged once it
//! is answered for. Stops between two requests; an abort in the middle of some repeats them, and nothing more,
//! at the next start.
//!
//! Invariant: for each series one request is in flight, the oldest first: only requests of one tick, which
//! have no series in common, go at once.
//! Invariant: the queue's cursor moves only behind samples that were taken or set aside and counted.

mod answer;
mod burst;
mod caution;
mod check;
mod cut;
mod described;
mod lane;
mod later;
mod step;
mod terms;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

pub use check::CheckError;
pub use terms::labelling;

use self::burst::Taken;
use self::caution::Caution;
use self::cut::Cuts;
use self::described::Described;
use self::lane::Lane;
use self::step::{Loaded, Owed, Step};
use self::terms::Terms;
use super::remote_write::{Dialect, Reason};
use crate::clock::Clock;
use crate::config::{Endpoint, SendExemplars};
use crate::encode::{Encoder, Exemplars, Labelling};
use crate::http::{Client, HttpError, redact};
use crate::queue::{Peeked, Position, Queue, View};
use crate::retry::Backoff;
use crate::sample::{Labels, Millis};
use crate::telemetry::status::QueueStatus;
use crate::telemetry::{Backlog, SinkKind, SinkName, Telemetry};

/// An endpoint as metrics and logs name it: its URL without userinfo and query.
pub fn sink_name(endpoint: &Endpoint) -> SinkName {
    let url = redact(&endpoint.url).as_str().into();
    SinkName { name: endpoint.name.clone(), kind: SinkKind::RemoteWrite, url }
}

fn encoder(exemplars: SendExemplars, labelling: Labelling) -> Encoder {
    let (one, two) = match exemplars {
        SendExemplars::InTwo => (Exemplars::Without, Exemplars::With),
        SendExemplars::Always => (Exemplars::With, Exemplars::With),
        SendExemplars::Never => (Exemplars::Without, Exemplars::Without),
    };
    Encoder::labelling(labelling).with_exemplars(one, two)
}

/// The delays that no configuration sets.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How soon a parked endpoint is asked again at first.
    pub park_min: Duration,
    /// How slowly at last.
    pub park_max: Duration,
    /// How often a receiver is asked which version it speaks.
    pub ask_every: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            park_min: Duration::from_secs(30),
            park_max: Duration::from_secs(300),
            ask_every: Duration::from_secs(86_400),
        }
    }
}

/// How a drain has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Samples taken during the drain.
    pub delivered_samples: u64,
    /// Samples refused during the drain, and set aside.
    pub refused_samples: u64,
    /// Samples that still wait.
    pub waiting_samples: u64,
    /// Why samples wait or were refused.
    pub last_error: Option<String>,
    /// Whether the receiver refuses us as a whole.
    pub parked: bool,
}

/// Delivers what the queue holds for one endpoint.
#[derive(Debug)]
pub struct Worker {
    sink: SinkName,
    endpoint: Endpoint,
    encoder: Encoder,
    terms: Terms,
    queue: Queue,
    clock: Clock,
    telemetry: Telemetry,
    client: Client,
    pace: Pace,
    dialect: Dialect,
    /// Where the present request's samples come from.
    lane: Lane,
    loaded: Option<Loaded>,
    owed: Option<Owed>,
    /// What the last acknowledgement has said to come next.
    upcoming: Vec<Peeked>,
    /// Requests that were taken though one before them was not.
    ahead: BTreeMap<Position, Taken>,
    cuts: Cuts,
    described: Described,
    backoff: Backoff,
    caution: Caution,
    parking: Backoff,
    /// How often the present request was tried before.
    attempt: u32,
    started: bool,
    tally: Tally,
    /// Reasons that were explained in the log.
    explained: Vec<Reason>,
    /// Series that were held back and told.
    named: HashSet<String>,
}

/// What a drain reports.
#[derive(Debug, Default)]
struct Tally {
    delivered: u64,
    refused: u64,
    failure: Option<String>,
    refusal: Option<String>,
}

impl Worker {
    /// A worker that has sent nothing and left no trace yet.
    ///
    /// # Errors
    /// [`HttpError`] where the endpoint's settings or TLS files are not usable.
    pub fn new(
        endpoint: Endpoint,
        external: Labels,
        queue: Queue,
        clock: Clock,
        telemetry: Telemetry,
    ) -> Result<Worker, HttpError> {
        let client = Client::new(&endpoint.http, &endpoint.url)?;
        let pace = Pace::default();
        Ok(Worker {
            sink: sink_name(&endpoint),
            dialect: Dialect::new(endpoint.protobuf_message),
            backoff: Backoff::new(endpoint.retry.min, endpoint.retry.max),
            caution: Caution::new(endpoint.retry),
            parking: Backoff::new(pace.park_min, pace.park_max),
            described: Described::new(endpoint.metadata),
            encoder: encoder(endpoint.exemplars, labelling(&endpoint, &external)),
            terms: Terms::new(labelling(&endpoint, &external)),
            endpoint,
            queue,
            clock,
            telemetry,
            client,
            pace,
            lane: Lane::Queue,
            loaded: None,
            owed: None,
            upcoming: Vec::new(),
            ahead: BTreeMap::new(),
            cuts: Cuts::default(),
            attempt: 0,
            started: false,
            tally: Tally::default(),
            explained: Vec::new(),
            named: HashSet::new(),
        })
    }

    /// The same worker with other delays, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_pace(self, pace: Pace) -> Self {
        Worker { pace, parking: Backoff::new(pace.park_min, pace.park_max), ..self }
    }

    /// Its configured name.
    pub fn name(&self) -> &crate::sample::Text {
        &self.sink.name
    }

    /// Delivers until `stop`, which lets the request in flight end, or `abort`, which does not.
    pub async fn run(mut self, stop: CancellationToken, abort: CancellationToken) {
        tokio::select! {
            biased;
            () = abort.cancelled() => {}
            () = self.deliver(&stop) => {}
        }
    }

    async fn deliver(&mut self, stop: &CancellationToken) {
        self.start().await;
        let mut appended = self.queue.appended();
        while !stop.is_cancelled() {
            // Seen before the queue is looked at, so that what comes in between wakes us.
            appended.borrow_and_update();
            match self.step().await {
                Step::On => {}
                Step::Idle => tokio::select! {
                    () = stop.cancelled() => return,
                    // The queue that we hold has the sender.
                    _ = appended.changed() => {}
                },
                Step::Wait(delay) | Step::Parked(delay) => tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep(delay) => {}
                },
            }
        }
    }

    /// Delivers until nothing waits, the receiver refuses us as a whole, `deadline` or `stop`.
    pub async fn drain(&mut self, deadline: Instant, stop: &CancellationToken) -> Drained {
        self.start().await;
        self.tally = Tally::default();
        let mut parked = false;
        while !stop.is_cancelled() {
            let Ok(step) = timeout_at(deadline, self.step()).await else {
                self.tally.failure.get_or_insert_with(|| "the deadline passed before an answer came".into());
                break;
            };
            match step {
                Step::On => {}
                Step::Idle => break,
                Step::Parked(_) => {
                    parked = true;
                    break;
                }
                // Waiting beyond the deadline would be for nothing.
                Step::Wait(delay) if Instant::now() + delay >= deadline => break,
                Step::Wait(delay) => tokio::select! {
                    () = stop.cancelled() => break,
                    () = sleep(delay) => {}
                },
            }
        }
        let tally = std::mem::take(&mut self.tally);
        Drained {
            delivered_samples: tally.delivered,
            refused_samples: tally.refused,
            waiting_samples: self.waiting_samples(),
            last_error: tally.failure.or(tally.refusal),
            parked,
        }
    }

    async fn start(&mut self) {
        if self.started {
            return;
        }
        self.started = true;
        self.telemetry.sink_registered(&self.sink);
        self.telemetry.shards(&self.sink, self.endpoint.max_shards);
        // A store that is closed registers it when it opens, and then nothing is known about the receiver.
        self.queue.register(&self.endpoint.name).await.unwrap_or_default();
        if let Ok(Some(state)) = self.queue.state(&self.endpoint.name).await {
            self.dialect.resume(&state);
        }
        self.show_backlog();
    }

    fn show_backlog(&self) {
        show_backlog(&self.queue, &self.sink, &self.telemetry);
    }
}

/// Tells telemetry what waits for an endpoint, and how the queue is.
pub fn show_backlog(queue: &Queue, sink: &SinkName, telemetry: &Telemetry) {
    let view = queue.view();
    let waiting = view.endpoints.get(&*sink.name).copied().unwrap_or_default();
    let aside = view.aside.get(&*sink.name).copied().unwrap_or_default();
    let backlog = Backlog {
        records: waiting.records,
        samples: waiting.samples,
        oldest: waiting.oldest_ms.map(Millis),
        newest: waiting.newest_ms.map(Millis),
        refused: aside.samples,
        again: aside.again,
    };
    telemetry.backlog(sink, backlog);
    telemetry.queue(queue_status(queue, view));
}

/// The queue as a whole, as telemetry knows it.
fn queue_status(queue: &Queue, view: View) -> QueueStatus {
    QueueStatus {
        in_memory: queue.folder().is_none(),
        bytes: view.bytes,
        records: view.records,
        oldest: view.oldest_ms.map(Millis),
        full_in: view.full_in,
        pending_samples: view.pending_samples,
        trouble: view.trouble,
    }
}
