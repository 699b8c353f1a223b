//! One remote-write endpoint's loop: the oldest record that waits is encoded, sent, and acknowledged once it
//! is answered for. Stops between two requests; an abort in the middle of one repeats it, and nothing more,
//! at the next start.
//!
//! Invariant: one request is in flight, the oldest first.
//! Invariant: the queue's cursor moves only behind samples that were taken or set aside and counted.

mod answer;
mod check;
mod cut;
mod described;
mod lane;
mod step;

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

pub use check::CheckError;

use self::cut::Cuts;
use self::described::Described;
use self::lane::Lane;
use self::step::{Loaded, Owed, Step};
use super::remote_write::{Dialect, Reason};
use crate::clock::Clock;
use crate::config::Endpoint;
use crate::encode::Encoder;
use crate::http::{Client, HttpError, redact};
use crate::queue::{Queue, View};
use crate::retry::Backoff;
use crate::sample::{Labels, Millis};
use crate::telemetry::{Backlog, SinkKind, SinkName, Telemetry};

/// An endpoint as metrics and logs name it: its URL without userinfo and query.
pub fn sink_name(endpoint: &Endpoint) -> SinkName {
    let url = redact(&endpoint.url).as_str().into();
    SinkName { name: endpoint.name.clone(), kind: SinkKind::RemoteWrite, url }
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
    cuts: Cuts,
    described: Described,
    backoff: Backoff,
    parking: Backoff,
    /// How often the present request was tried before.
    attempt: u32,
    started: bool,
    tally: Tally,
    /// Reasons that were explained in the log.
    explained: Vec<Reason>,
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
            parking: Backoff::new(pace.park_min, pace.park_max),
            described: Described::new(endpoint.metadata),
            endpoint,
            encoder: Encoder::new(external),
            queue,
            clock,
            telemetry,
            client,
            pace,
            lane: Lane::Queue,
            loaded: None,
            owed: None,
            cuts: Cuts::default(),
            attempt: 0,
            started: false,
            tally: Tally::default(),
            explained: Vec::new(),
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
        // A store that is closed registers it when it opens, and then nothing is known about the receiver.
        self.queue.register(&self.endpoint.name).await.unwrap_or_default();
        if let Ok(Some(state)) = self.queue.state(&self.endpoint.name).await {
            self.dialect.resume(&state);
        }
        self.show_backlog();
    }

    fn show_backlog(&self) {
        let waiting = self.queue.waiting(&self.endpoint.name);
        let (oldest, newest) = (waiting.oldest_ms.map(Millis), waiting.newest_ms.map(Millis));
        self.telemetry.backlog(&self.sink, Backlog { samples: waiting.samples, oldest, newest });
        let View { bytes, records, oldest_ms, full_in, .. } = self.queue.view();
        self.telemetry.queue(bytes, records, oldest_ms.map(Millis), full_in);
    }
}
