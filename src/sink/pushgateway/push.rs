//! The loop of one group: what is newest is pushed until it is taken or something newer comes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::plan::Plan;
use super::{PushError, Pusher};
use crate::http::chain;
use crate::retry::Backoff;
use crate::sample::{Batch, Latest, Millis, Source};

const FIRST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// A gateway that refuses us is asked again after this, or with the next batch.
const PARKED: Duration = Duration::from_secs(300);

/// What comes after a try that failed.
enum Next {
    /// Nothing until there is a newer batch of the source.
    Wait,
    /// The same again after a delay, or a newer batch of the source before.
    Again(Duration),
    /// Nothing at all for so long: the gateway has asked for it.
    Pause(Duration),
}

/// What is known of one source's group.
#[derive(Default)]
struct Progress {
    /// What the gateway holds, as far as is known.
    delivered: Option<Arc<Batch>>,
    /// The batch that was last sent, whatever came of it.
    tried: Option<Arc<Batch>>,
    /// When it is sent again.
    again: Option<Instant>,
    /// Before this nothing is sent.
    paused: Option<Instant>,
}

impl Progress {
    /// From when on `batch` may be sent; never, where it is done with.
    fn due(&self, batch: &Arc<Batch>, now: Instant) -> Option<Instant> {
        let tried = self.tried.as_ref().is_some_and(|tried| Arc::ptr_eq(tried, batch));
        let due = if tried { self.again? } else { now };
        Some(due.max(self.paused.unwrap_or(now)))
    }

    fn ended(&mut self, batch: Arc<Batch>, outcome: Result<(), Failure>) {
        let now = Instant::now();
        (self.again, self.paused) = (None, None);
        match outcome {
            Ok(()) => self.delivered = Some(batch.clone()),
            Err(Failure { next, is_answered }) => {
                // Without an answer nothing is known: the gateway may have started anew, without our group.
                self.delivered = self.delivered.take().filter(|_| is_answered);
                match next {
                    Next::Wait => {}
                    Next::Again(delay) => self.again = Some(now + delay),
                    Next::Pause(delay) => (self.again, self.paused) = (Some(now), Some(now + delay)),
                }
            }
        }
        self.tried = Some(batch);
    }
}

/// Keeps one source's group as its latest batch says; of a target that is gone until its group is deleted, and
/// gives it back then.
pub(super) async fn keep(
    pusher: Arc<Pusher>,
    source: Source,
    mut latest: watch::Receiver<Latest>,
    stop: CancellationToken,
    abort: CancellationToken,
) -> Source {
    let mut delays = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    let mut progress = Progress::default();
    let mut gone: Option<Arc<Batch>> = None;
    loop {
        // Read before the batch is looked at: a stop that comes later still finds it pushed.
        let last = stop.is_cancelled();
        let shown = latest.borrow_and_update().get(&source).cloned();
        let newest = match shown {
            None if matches!(source, Source::Target { .. }) => Some(
                gone.get_or_insert_with(|| Arc::new(Batch::nothing(source.clone(), Millis::default())))
                    .clone(),
            ),
            shown => {
                gone = None;
                shown
            }
        };
        let now = Instant::now();
        let due = newest.and_then(|batch| Some((progress.due(&batch, now)?, batch)));
        let wake = match due {
            Some((due, batch)) if last || due <= now => {
                let push = attempt(&pusher, &source, progress.delivered.as_deref(), &batch, &mut delays);
                let outcome = tokio::select! {
                    outcome = push => outcome,
                    () = abort.cancelled() => return source,
                };
                let is_deleted = outcome.is_ok() && gone.is_some();
                progress.ended(batch.clone(), outcome);
                if is_deleted {
                    return source;
                }
                progress.due(&batch, now)
            }
            due => due.map(|(due, _)| due),
        };
        if last {
            return source;
        }
        let delay = async {
            match wake {
                Some(wake) => sleep_until(wake).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = delay => {}
            changed = latest.changed() => if changed.is_err() { return source },
            () = stop.cancelled() => {}
            () = abort.cancelled() => return source,
        }
    }
}

/// A try that failed.
struct Failure {
    next: Next,
    is_answered: bool,
}

/// One try, and what it means told once.
async fn attempt(
    pusher: &Pusher,
    source: &Source,
    delivered: Option<&Batch>,
    batch: &Batch,
    delays: &mut Backoff,
) -> Result<(), Failure> {
    let plan = Plan::of(delivered, batch);
    let error = match pusher.push(source, &plan).await {
        Ok(()) => {
            delays.reset();
            return Ok(());
        }
        Err(error) => error,
    };
    pusher.failed(source);
    let samples = plan.samples();
    let why = error.explained();
    let is_answered = !matches!(error, PushError::Http { .. });
    let wait = pusher.asked_to_wait(&error);
    let next = match error {
        PushError::Http { source, at } if source.is_refusal() => {
            let why = format!("{at} was not reached: {}", chain(&source));
            pusher.telemetry.parked(&pusher.sink, &why, source.next_step(), PARKED);
            Next::Again(PARKED)
        }
        PushError::Http { .. } | PushError::Busy { .. } => {
            let delay = wait.unwrap_or_else(|| delays.next_delay());
            pusher.telemetry.retrying(&pusher.sink, samples, &why, delay);
            if wait.is_some() { Next::Pause(delay) } else { Next::Again(delay) }
        }
        PushError::Parked { next_step, status, at } => {
            let why = format!("{at} answered {status}");
            pusher.telemetry.parked(&pusher.sink, &why, next_step, PARKED);
            Next::Again(PARKED)
        }
        PushError::Refused { .. }
        | PushError::ReservedName(_)
        | PushError::GroupingClash(_)
        | PushError::GroupTaken(_)
        | PushError::Deadline => {
            pusher.telemetry.dropped(&pusher.sink, samples, "refused", &why);
            Next::Wait
        }
    };
    Err(Failure { next, is_answered })
}

/// Pushes one batch until it is taken, refused, or the deadline.
pub(super) async fn until(
    pusher: &Pusher,
    source: &Source,
    batch: &Batch,
    deadline: Instant,
) -> Result<(), PushError> {
    let mut delays = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    let mut last = None;
    let trying = async {
        loop {
            let plan = Plan::of(None, batch);
            let error = match pusher.push(source, &plan).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            pusher.failed(source);
            let delay = match &error {
                PushError::Http { source, .. } if source.is_refusal() => return Err(error),
                PushError::Http { .. } | PushError::Busy { .. } => {
                    pusher.asked_to_wait(&error).unwrap_or_else(|| delays.next_delay())
                }
                _ => return Err(error),
            };
            pusher.telemetry.retrying(&pusher.sink, plan.samples(), &error.explained(), delay);
            last = Some(error);
            sleep(delay).await;
        }
    };
    match timeout_at(deadline, trying).await {
        Ok(outcome) => outcome,
        Err(_) => Err(last.unwrap_or(PushError::Deadline)),
    }
}
