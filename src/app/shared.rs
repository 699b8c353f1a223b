//! What outlives a reload: the latest batches, the queue and its door, the telemetry.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tracing::error;

use super::desk::Desk;
use super::door::Door;
use super::store::{self, WithoutFolder};
use super::{AppError, latest};
use crate::clock::Clock;
use crate::collect::{CollectError, CycleReport};
use crate::config::{self, Config};
use crate::encode::record::Identity;
use crate::queue::{Queue, Record, Start};
use crate::relay::Jobs;
use crate::sample::{Batch, ClockTrust, Latest, Millis, Scope, Source, Text};
use crate::sink::pushgateway::{self, Pusher};
use crate::sink::worker::{self, Worker};
use crate::telemetry::{Collected, SinkName, Telemetry};

/// The external label by which Mimir tells replicas apart: it takes the series of one of them, and turns to
/// another where that one has said nothing for 30 seconds.
const REPLICA: &str = "__replica__";

/// What every task of a run holds.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) telemetry: Telemetry,
    /// None as long as no endpoint was ever there to read from it.
    queue: Mutex<Option<Queue>>,
    /// What this process says of itself to others who find the queue in use.
    holder: String,
    /// What page and gateways show.
    pub(super) latest: watch::Sender<Latest>,
    pub(super) door: Mutex<Door>,
    pub(super) current: Mutex<Current>,
    progress: Mutex<BTreeMap<Text, Progress>>,
}

/// How far an account has come; a reload goes on from there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// When a cycle last ended well.
    pub(super) last_success: Option<Millis>,
    /// The time of the last batch whose clock was believed.
    pub(super) last_at: Option<Millis>,
}

/// What the running configuration says about records and sinks.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) identity: Identity,
    /// One of several with the same series, of which a receiver takes those of one.
    is_replica: bool,
    pub(super) max_samples: usize,
    pub(super) endpoints: Vec<SinkName>,
    pub(super) gateways: Vec<SinkName>,
}

impl Current {
    fn of(config: &Config) -> Self {
        Current {
            identity: Identity { job: config.job.clone(), instance: config.instance.clone() },
            is_replica: config.external_labels.get(REPLICA).is_some(),
            max_samples: config.queue.max_samples_per_send,
            endpoints: config.endpoints.iter().map(worker::sink_name).collect(),
            gateways: config.gateways.iter().map(pushgateway::sink_name).collect(),
        }
    }
}

impl Shared {
    pub(super) fn new(config: &Config, clock: Clock, telemetry: Telemetry) -> Self {
        Shared {
            holder: store::holder(clock.now()),
            clock,
            telemetry,
            queue: Mutex::default(),
            latest: watch::Sender::new(Latest::default()),
            door: Mutex::default(),
            current: Mutex::new(Current::of(config)),
            progress: Mutex::default(),
        }
    }

    /// Opens the queue where a configuration needs it for the first time, and goes on from what sources last
    /// said there.
    ///
    /// # Errors
    /// [`AppError::Queue`].
    pub(super) async fn open_queue(&self, config: &Config, without: WithoutFolder) -> Result<(), AppError> {
        if self.queue().is_some() {
            return Ok(());
        }
        let Some(queue) = store::open(config, without, &self.holder).await? else { return Ok(()) };
        let identity = Current::of(config).identity;
        // A store that was opened a moment ago and does not answer now costs stale markers.
        let last_said = queue.last_said().await.unwrap_or_default().into_iter();
        let whole = |records: Vec<Option<Record>>| records.into_iter().flatten().collect();
        lock(&self.door).resume(last_said.map(|(line, records)| (line, whole(records))), &identity);
        *lock(&self.queue) = Some(queue);
        Ok(())
    }

    /// Puts a queue in memory in the store's place, for questions: a service may have the store open.
    pub(super) fn leave_store_alone(&self, config: &Config) {
        *lock(&self.queue) = Some(store::memory(&config.queue));
    }

    /// Whether what waits for endpoints outlives this process.
    pub(super) fn keeps_backlog(&self) -> bool {
        self.queue().is_some_and(|queue| queue.is_durable())
    }

    /// What questions about the queue are answered from, where there is one.
    pub(super) fn desk(&self) -> Option<Desk> {
        Some(Desk {
            queue: self.queue()?,
            clock: self.clock.clone(),
            telemetry: self.telemetry.clone(),
            endpoints: lock(&self.current).endpoints.clone(),
            holder: Some(self.holder.clone()),
        })
    }

    /// Goes on from where the last `once` has stopped. A store that does not answer costs that alone.
    pub(super) async fn resume_counters(&self, config: &Config) {
        let Some(queue) = self.queue() else { return };
        if let Ok(Some(kept)) = queue.counters().await {
            let endpoints = config.endpoints.iter().map(worker::sink_name);
            let sinks: Vec<_> = endpoints.chain(config.gateways.iter().map(pushgateway::sink_name)).collect();
            self.telemetry.resume_counters(&kept, &sinks);
        }
    }

    /// Keeps the counters, and how the last requests ended, for the next `once`.
    pub(super) async fn keep_counters(&self) {
        if let Some(queue) = self.queue() {
            queue.keep_counters(self.telemetry.counters()).await.unwrap_or_default();
        }
    }

    /// Closes the queue for good.
    pub(super) async fn close_queue(&self) {
        if let Some(queue) = self.queue() {
            queue.close().await;
        }
    }

    /// The queue, where one was ever needed.
    pub(super) fn queue(&self) -> Option<Queue> {
        lock(&self.queue).clone()
    }

    /// The remote-write endpoints of a configuration, ready to start.
    ///
    /// # Errors
    /// [`AppError::Settings`] where one's TLS files or settings are not usable.
    pub(super) fn workers(&self, config: &Config) -> Result<Vec<Worker>, AppError> {
        let Some(queue) = self.queue() else { return Ok(Vec::new()) };
        let worker = |endpoint: &crate::config::Endpoint| {
            let (queue, clock) = (queue.clone(), self.clock.clone());
            let external = config.external_labels.clone();
            Worker::new(endpoint.clone(), external, queue, clock, self.telemetry.clone()).map_err(|source| {
                AppError::Settings { what: format!("remote_write {}", endpoint.name), source }
            })
        };
        config.endpoints.iter().map(worker).collect()
    }

    /// The Pushgateways of a configuration, ready to start.
    ///
    /// # Errors
    /// [`AppError::Gateway`] where one's settings are not usable.
    pub(super) fn gateways(&self, config: &Config) -> Result<Vec<Pusher>, AppError> {
        let pusher = |gateway: &crate::config::Gateway| {
            let (job, instance) = (config.job.clone(), config.instance.clone());
            Pusher::new(gateway.clone(), job, instance, self.clock.clone(), self.telemetry.clone())
                .map_err(|source| AppError::Gateway { name: gateway.name.to_string(), source })
        };
        config.gateways.iter().map(pusher).collect()
    }

    /// How far an account has come.
    pub(super) fn progress(&self, account: &str) -> Progress {
        lock(&self.progress).get(account).copied().unwrap_or_default()
    }

    /// Lets records be made as `config` says, from here on; its endpoints get their cursors. What the new
    /// configuration no longer says is withdrawn: accounts, sinks, and series under an older `job` or
    /// `instance`.
    pub(super) async fn configure(&self, config: &Config, jobs: &Jobs) {
        let new = Current::of(config);
        let old = lock(&self.current).clone();
        if old.identity != new.identity {
            // What is relayed carries labels of its own.
            let is_ours = |source: &&Source| !matches!(source, Source::Target { .. });
            let known: Vec<Source> = self.latest.borrow().keys().filter(is_ours).cloned().collect();
            for batch in known.into_iter().map(|source| Batch::nothing(source, self.clock.now())) {
                self.enqueue(&batch).await;
            }
        }
        let gone: Vec<Source> = self.latest.borrow().keys().filter(|s| !has(config, s)).cloned().collect();
        for batch in gone.into_iter().map(|source| Batch::nothing(source, self.clock.now())) {
            self.take(batch).await;
        }
        self.configure_relay(jobs).await;
        for sink in old.endpoints.iter().filter(|sink| !new.endpoints.contains(sink)) {
            self.telemetry.sink_removed(sink);
        }
        for sink in old.gateways.iter().filter(|sink| !new.gateways.contains(sink)) {
            self.telemetry.sink_removed(sink);
        }
        for account in &config.accounts {
            self.telemetry.source_registered(&account.name);
        }
        let queue = self.queue();
        for (endpoint, queue) in config.endpoints.iter().flat_map(|one| Some((one, queue.as_ref()?))) {
            let start = match endpoint.start {
                config::Start::Now => Start::Now,
                config::Start::Oldest => Start::Oldest,
            };
            // A store that is closed registers it when it opens.
            queue.register_at(&endpoint.name, start).await.unwrap_or_default();
        }
        if let Some(queue) = &queue {
            self.turn(config, queue).await;
        }
        *lock(&self.current) = new;
    }

    /// A source's cycle has ended: its batch goes out everywhere, and the program's own after it.
    pub(super) async fn collected(&self, batch: Batch, report: &CycleReport) {
        let at = batch.at();
        if let Source::Account(name) = batch.source() {
            let mut progress = lock(&self.progress);
            let known = progress.entry(name.clone()).or_default();
            if batch.clock() == ClockTrust::Trusted {
                known.last_at = Some(at);
            }
            if report.error.is_none() {
                known.last_success = Some(at);
            }
        }
        self.report(&batch, report);
        // A replica that cannot collect must fall silent, or the one that can is never turned to.
        if report.error.is_some() && lock(&self.current).is_replica {
            self.show(&batch);
            if let Some(own) = self.own(at) {
                self.show(&own);
            }
            return;
        }
        self.take(batch).await;
        self.take_own(at).await;
    }

    fn report(&self, batch: &Batch, report: &CycleReport) {
        let source = batch.source().to_string();
        for warning in &report.warnings {
            tracing::warn!(source, "{warning}");
        }
        let error = report.error.as_ref().map(CollectError::explained);
        self.telemetry.collected(&Collected {
            source: &source,
            result: report.result.as_str(),
            error: error.as_ref().map(|text| text as &(dyn std::fmt::Display + Sync)),
            codes: &report.api_codes,
            took: report.duration,
            fleets: report.fleets.unwrap_or(0),
            series: batch.series_count(),
            at: batch.at(),
            skew_seconds: report.skew_seconds,
        });
        match batch.clock() {
            ClockTrust::Skewed => self.telemetry.clock_distrusted(report.skew_seconds.unwrap_or(0.0)),
            ClockTrust::Trusted => self.telemetry.clock_trusted(),
        }
    }

    /// Puts a batch into the queue, and on page and gateways.
    pub(super) async fn take(&self, batch: Batch) {
        self.enqueue(&batch).await;
        self.show(&batch);
    }

    /// Puts a batch on page and gateways.
    fn show(&self, batch: &Batch) {
        self.latest.send_modify(|all| {
            let old = all.get(batch.source()).cloned();
            *all = latest::replace(all, latest::shown(old.as_deref(), batch));
        });
    }

    /// The program's own metrics go the way of every batch.
    pub(super) async fn take_own(&self, at: Millis) {
        if let Some(own) = self.own(at) {
            self.take(own).await;
        }
    }

    /// The program's own metrics as a batch.
    fn own(&self, at: Millis) -> Option<Batch> {
        let own = Batch::new(Source::Own, at, Scope::Whole, self.telemetry.families());
        // Each self-metric is declared once and keeps its label sets in a map.
        own.inspect_err(|error| error!(%error, "the program's own metrics contradict each other")).ok()
    }

    /// Deletes our groups at the gateways that are set so, as far as `grace` lasts.
    pub(super) async fn delete_on_exit(self: &Arc<Self>, config: &Config, grace: Duration) {
        let leaving: Vec<_> = config.gateways.iter().filter(|g| g.delete_on_exit).cloned().collect();
        if leaving.is_empty() {
            return;
        }
        let deleted = tokio::time::timeout(grace, super::probe::delete_groups(config, &leaving));
        match deleted.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "our groups could not be deleted"),
            Err(_) => tracing::warn!("our groups could not be deleted within the grace"),
        }
    }
}

/// Whether a configuration still has a source.
fn has(config: &Config, source: &Source) -> bool {
    match source {
        Source::Own | Source::Target { .. } => true,
        Source::Account(name) => config.accounts.iter().any(|account| account.name == *name),
    }
}

pub(super) fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
