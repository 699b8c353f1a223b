//! One collect and its delivery, for CronJobs: what was counted is queued before anything is sent, then goes
//! to the gateways and, oldest first, to the remote-write endpoints, all within one deadline.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::given::Given;
use super::line::{Line, Share};
use super::probe::Size;
use super::shared::Shared;
use super::store::WithoutFolder;
use super::{AppError, Control, Parts};
use crate::clock::Clock;
use crate::config::Config;
use crate::relay::Jobs;
use crate::sample::{Batch, Source};
use crate::telemetry::Telemetry;

/// What `once` has done.
#[derive(Debug, Default)]
pub struct OnceOutcome {
    /// Whether every account was counted.
    pub collected: bool,
    /// What was counted and what targets said, without the program's own series.
    pub size: Size,
    /// What was not counted and what a sink did not take, a sentence each.
    pub failures: Vec<String>,
}

/// Collects once and delivers until everything is delivered, the deadline or the stop.
///
/// # Errors
/// [`AppError`] where settings turn out unusable before anything was sent.
pub async fn once(
    config: &Config,
    given: Option<Given>,
    telemetry: Telemetry,
    control: &Control,
) -> Result<OnceOutcome, AppError> {
    let deadline = Instant::now() + config.once_deadline;
    let shared = Arc::new(Shared::new(config, Clock::SYSTEM, telemetry));
    shared.open_queue(config, WithoutFolder::Memory).await?;
    shared.resume_counters(config).await;
    let outcome = cycle(config, given, &shared, deadline, control).await;
    shared.keep_counters().await;
    shared.close_queue().await;
    outcome
}

/// Asks every target once. One that has not answered before the deadline has said nothing. One that fails says so by
/// its `up`, which is delivered as any series.
async fn scrape(jobs: &Jobs, shared: &Shared, deadline: Instant) -> Size {
    let (mut targets, mut series) = (0, 0);
    let mut groups = jobs.groups().await;
    while let Some(mut group) = groups.pop() {
        let (at, mut came) = (shared.clock.now(), Vec::new());
        let asked = group.scrape(at, async |batch| came.push(batch));
        // Each target has a time-out of its own; this bounds them all.
        let round = tokio::time::timeout_at(deadline, asked).await.unwrap_or_default();
        groups.extend(round.groups);
        let line = Line::relay(group.every());
        targets += came.len();
        series += came.iter().map(Batch::series_count).sum::<usize>();
        shared.relayed(&line, Share::Most, came, &group.sources(), at).await;
    }
    Size { targets: Some(targets), series, ..Size::default() }
}

async fn cycle(
    config: &Config,
    given: Option<Given>,
    shared: &Arc<Shared>,
    deadline: Instant,
    control: &Control,
) -> Result<OnceOutcome, AppError> {
    let mut parts = Parts::build(config, shared)?;
    shared.configure(config, &parts.jobs).await;
    let mut outcome = OnceOutcome { collected: true, ..OnceOutcome::default() };
    match given {
        Some(given) => {
            // A page that is given is all that is taken.
            parts.sources.clear();
            match given.read(shared.clock.now()) {
                Ok(batch) => {
                    outcome.size.series = batch.series_count();
                    shared.take(batch).await;
                }
                Err(error) => {
                    outcome.collected = false;
                    outcome.failures.push(error);
                }
            }
        }
        None => {
            tokio::select! {
                size = scrape(&parts.jobs, shared, deadline) => {
                    if !config.jobs.is_empty() {
                        outcome.size = size;
                    }
                }
                () = control.stop.cancelled() => {
                    outcome.failures.push("interrupted before anything was delivered".into());
                    return Ok(outcome);
                }
            }
        }
    }
    if parts.sources.is_empty() {
        shared.take_own(shared.clock.now()).await;
    }
    for mut source in parts.sources {
        let cycle = tokio::time::timeout_at(deadline, source.collector.cycle());
        let (batch, report) = tokio::select! {
            cycle = cycle => match cycle {
                Ok(cycle) => cycle,
                Err(_) => {
                    outcome.collected = false;
                    let name = &source.name;
                    outcome.failures.push(format!("account {name}: not counted before the deadline"));
                    continue;
                }
            },
            () = control.stop.cancelled() => {
                outcome.failures.push("interrupted before anything was counted".into());
                return Ok(outcome);
            }
        };
        if let Some(error) = &report.error {
            outcome.collected = false;
            outcome.failures.push(format!("account {}: {}", source.name, error.explained()));
        }
        *outcome.size.fleets.get_or_insert_default() += report.fleets.unwrap_or(0);
        shared.collected(batch, &report).await;
    }
    let latest = shared.latest.borrow().clone();
    let counted = latest.values().filter(|batch| matches!(batch.source(), Source::Account(_)));
    outcome.size.series += counted.map(|batch| batch.series_count()).sum::<usize>();
    let mut sinks = JoinSet::new();
    for gateway in parts.gateways {
        let (latest, stop, name) = (latest.clone(), control.stop.clone(), gateway.name().clone());
        sinks.spawn(async move {
            let pushed = tokio::select! {
                pushed = gateway.push_all(&latest, deadline) => pushed,
                () = stop.cancelled() => return Some(format!("pushgateway {name}: interrupted")),
            };
            let failed = pushed.into_iter().find_map(|(source, result)| Some((source, result.err()?)));
            failed.map(|(source, error)| match source {
                Source::Own => format!("pushgateway {name}: {}", error.explained()),
                Source::Account(_) => {
                    format!("pushgateway {name}: the counts did not arrive: {}", error.explained())
                }
                Source::Target { .. } => {
                    format!("pushgateway {name}: {source} did not arrive: {}", error.explained())
                }
            })
        });
    }
    let fate = if shared.keeps_backlog() {
        "stay in the queue for the next run"
    } else {
        "are lost, as the queue is in memory"
    };
    for mut worker in parts.workers {
        let (stop, name) = (control.stop.clone(), worker.name().clone());
        sinks.spawn(async move {
            let drained = worker.drain(deadline, &stop).await;
            let why = drained.last_error.map(|error| format!(": {error}")).unwrap_or_default();
            match (drained.waiting_samples, drained.refused_samples) {
                (0, 0) => None,
                (0, refused) => Some(format!("remote_write {name}: {refused} samples were refused{why}")),
                (waiting, _) => {
                    Some(format!("remote_write {name}: {waiting} samples were not delivered and {fate}{why}"))
                }
            }
        });
    }
    let cut_off = async {
        control.stop.cancelled().await;
        tokio::select! {
            () = control.abort.cancelled() => {}
            () = tokio::time::sleep(config.shutdown_grace) => {}
        }
    };
    let failures = &mut outcome.failures;
    let delivering = async {
        while let Some(ended) = sinks.join_next().await {
            match ended {
                Ok(failure) => failures.extend(failure),
                Err(error) => failures.push(format!("a sink broke: {error}")),
            }
        }
    };
    let interrupted = tokio::select! {
        biased;
        () = delivering => false,
        () = cut_off => true,
    };
    if interrupted {
        outcome.failures.push("interrupted while a request was in flight".into());
    }
    outcome.failures.sort();
    Ok(outcome)
}
