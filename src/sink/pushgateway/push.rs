//! The loop of one group: what is newest is pushed until it is taken or something newer comes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::plan::Plan;
use super::{PushError, Pusher};
use crate::retry::Backoff;
use crate::sample::{Batch, Latest, Source};

const FIRST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// A gateway that refuses us is asked again after this, or with the next batch.
const PARKED: Duration = Duration::from_secs(300);

/// What comes after a try.
enum Next {
    /// Nothing until there is a newer batch.
    Wait,
    /// The same again after a delay.
    Again(Duration),
}

/// Keeps one source's group as its latest batch says.
pub(super) async fn keep(
    pusher: Arc<Pusher>,
    source: Source,
    mut latest: watch::Receiver<Latest>,
    stop: CancellationToken,
    abort: CancellationToken,
) {
    let mut delays = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    let (mut delivered, mut tried): (Option<Arc<Batch>>, Option<Arc<Batch>>) = (None, None);
    loop {
        // Read before the batch is looked at: a stop that comes later still finds it pushed.
        let last = stop.is_cancelled();
        let newest = latest.borrow_and_update().get(&source).cloned();
        let mut next = Next::Wait;
        if let Some(batch) = newest.filter(|batch| !is(tried.as_ref(), batch)) {
            let push = attempt(&pusher, &source, delivered.as_deref(), &batch, &mut delays);
            let outcome = tokio::select! {
                outcome = push => outcome,
                () = abort.cancelled() => return,
            };
            match outcome {
                Ok(()) => (delivered, tried) = (Some(batch.clone()), Some(batch)),
                Err(Next::Wait) => tried = Some(batch),
                Err(again) => next = again,
            }
        }
        if last {
            return;
        }
        let delay = async {
            match next {
                Next::Again(delay) => sleep(delay).await,
                Next::Wait => std::future::pending().await,
            }
        };
        tokio::select! {
            () = delay => {}
            changed = latest.changed() => if changed.is_err() { return },
            () = stop.cancelled() => {}
            () = abort.cancelled() => return,
        }
    }
}

fn is(one: Option<&Arc<Batch>>, other: &Arc<Batch>) -> bool {
    one.is_some_and(|one| Arc::ptr_eq(one, other))
}

/// One try, and what it means told once.
async fn attempt(
    pusher: &Pusher,
    source: &Source,
    delivered: Option<&Batch>,
    batch: &Batch,
    delays: &mut Backoff,
) -> Result<(), Next> {
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
    match error {
        PushError::Http { .. } | PushError::Busy { .. } => {
            let asked = if let PushError::Busy { wait, .. } = error { wait } else { None };
            let delay = asked.unwrap_or_else(|| delays.next_delay());
            pusher.telemetry.retrying(&pusher.sink, samples, &why, delay);
            Err(Next::Again(delay))
        }
        PushError::Parked { next_step, status, at } => {
            let why = format!("{at} answered {status}");
            pusher.telemetry.parked(&pusher.sink, &why, next_step, PARKED);
            Err(Next::Again(PARKED))
        }
        PushError::Refused { .. }
        | PushError::ReservedName(_)
        | PushError::GroupingClash(_)
        | PushError::Deadline => {
            pusher.telemetry.dropped(&pusher.sink, samples, "refused", &why);
            Err(Next::Wait)
        }
    }
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
                PushError::Busy { wait: Some(wait), .. } => *wait,
                PushError::Http { .. } | PushError::Busy { .. } => delays.next_delay(),
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
