//! What the program says of itself: every self-metric, the log lines, and the state that the page shows.
//!
//! In go events of the other rooms, one call each; out come a counter and its log line from that one call
//! (so that they cannot drift apart), families in our own sample vocabulary, and a [`Status`]. Never: I/O
//! beyond the log.

mod collecting;
mod counters;
mod failing;
pub mod logs;
pub mod metrics;
mod queue;
mod scraping;
pub mod status;
pub mod words;

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::sample::{Family, Millis, Text};
use failing::{Failing, Runs, Spell};
use metrics::Metrics;
pub use queue::Backlog;
pub use scraping::Scraped;
use scraping::Troubles;
use status::{Delivery, SinkState, Status};

/// What kind of sink one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SinkKind {
    /// A Pushgateway.
    Pushgateway,
    /// A remote-write endpoint.
    RemoteWrite,
}

impl SinkKind {
    /// As it stands in labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            SinkKind::Pushgateway => "pushgateway",
            SinkKind::RemoteWrite => "remote_write",
        }
    }
}

/// A sink as it is named in metrics and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkName {
    /// Its configured name.
    pub name: Text,
    /// Its kind.
    pub kind: SinkKind,
    /// Its URL without userinfo and query.
    pub url: Text,
}

impl SinkName {
    /// Its key in the [`Status`].
    pub fn key(&self) -> (SinkKind, Text) {
        (self.kind, self.name.clone())
    }

    fn sink(&self) -> Vec<Text> {
        vec![self.name.clone(), self.kind.as_str().into()]
    }

    fn remote(&self) -> Vec<Text> {
        vec![self.name.clone(), self.url.clone()]
    }

    fn sink_with(&self, reason: &str) -> Vec<Text> {
        vec![self.name.clone(), self.kind.as_str().into(), reason.into()]
    }

    fn remote_with(&self, reason: &str) -> Vec<Text> {
        vec![self.name.clone(), self.url.clone(), reason.into()]
    }
}

/// How one cycle of a source ended.
#[derive(Clone, Copy)]
pub struct Collected<'a> {
    /// The source's name.
    pub source: &'a str,
    /// `ok` or the kind of failure.
    pub result: &'a str,
    /// Why it failed and what to do.
    pub error: Option<&'a (dyn Display + Sync)>,
    /// The API's answers, by status code.
    pub codes: &'a [u16],
    /// How long it took.
    pub took: Duration,
    /// How many fleets were counted.
    pub fleets: usize,
    /// How many series the batch has.
    pub series: usize,
    /// When.
    pub at: Millis,
    /// How far our clock is from the API's, where that was seen; seconds, positive: ours is ahead.
    pub skew_seconds: Option<f64>,
}

/// The handle that all rooms hold.
#[derive(Clone, Debug)]
pub struct Telemetry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    metrics: Metrics,
    failing: Failing,
    refusals: Runs,
    troubles: Troubles,
    status: watch::Sender<Status>,
    clock_distrusted: AtomicBool,
    relay_leaves_out: Spell,
    queue_broken: AtomicBool,
    /// Of targets no line is written: whoever asks says it.
    is_silent: bool,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// With every counter at its start.
    pub fn new() -> Self {
        Telemetry::made(false)
    }

    /// For a command that says itself how each target is: no line of the log does.
    pub fn of_question() -> Self {
        Telemetry::made(true)
    }

    fn made(is_silent: bool) -> Self {
        let metrics = Metrics::new();
        metrics.build_info.set(vec![env!("CARGO_PKG_VERSION").into(), std::env::consts::ARCH.into()], 1.0);
        metrics.reload_successful.set(vec![], 1.0);
        Telemetry(Arc::new(Inner {
            metrics,
            failing: Failing::default(),
            refusals: Runs::default(),
            troubles: Troubles::default(),
            status: watch::Sender::new(Status::default()),
            clock_distrusted: AtomicBool::new(false),
            relay_leaves_out: Spell::default(),
            queue_broken: AtomicBool::new(false),
            is_silent,
        }))
    }

    /// Every self-metric as it stands, for the source `Own`.
    pub fn families(&self) -> Vec<Family> {
        self.0.metrics.families()
    }

    /// The state that page and commands read.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.0.status.subscribe()
    }

    /// A sink is there. One that a reload has left as it was keeps its state.
    pub fn sink_registered(&self, sink: &SinkName) {
        if self.0.status.borrow().sinks.get(&sink.key()).is_some_and(|known| known.url == sink.url) {
            return;
        }
        self.0.status.send_modify(|status| {
            status.sinks.insert(sink.key(), status::SinkStatus::new(sink.kind, sink.url.clone()));
        });
        let m = &self.0.metrics;
        m.sink_up.begin(sink.sink(), 0.0);
        m.sink_parked.begin(sink.sink(), 0.0);
        if sink.kind == SinkKind::RemoteWrite {
            for zero in [&m.rw_samples, &m.rw_failed, &m.rw_retried, &m.rw_bytes, &m.rw_metadata] {
                zero.add(sink.remote(), 0.0);
            }
            m.rw_pending.set(sink.remote(), 0.0);
        }
    }

    /// So many requests to a remote-write endpoint may be in flight at once.
    pub fn shards(&self, sink: &SinkName, most: usize) {
        self.0.metrics.rw_shards.set(sink.remote(), most as f64);
    }

    /// A sink is no more; its metrics go with it.
    pub fn sink_removed(&self, sink: &SinkName) {
        self.0.metrics.forget_sink(sink);
        self.0.failing.recovered(&sink.key());
        self.0.status.send_modify(|s| {
            s.sinks.remove(&sink.key());
        });
    }

    /// A request was answered with a yes.
    pub fn delivered(&self, sink: &SinkName, delivery: &Delivery) {
        let m = &self.0.metrics;
        m.sink_up.set(sink.sink(), 1.0);
        m.sink_parked.set(sink.sink(), 0.0);
        m.sink_last_success.set(sink.sink(), delivery.at.as_seconds());
        if sink.kind == SinkKind::RemoteWrite {
            m.rw_samples.add(sink.remote(), delivery.samples as f64);
            m.rw_bytes.add(sink.remote(), delivery.bytes as f64);
            if let Some(newest) = delivery.newest {
                m.rw_highest_sent.set(sink.remote(), newest.as_seconds());
            }
            if delivery.code == 202 {
                m.rw_deduplicated.add(sink.remote(), delivery.samples as f64);
            } else if let Some(written) = delivery.written
                && written < delivery.samples as u64
            {
                m.rw_not_written.add(sink.remote(), (delivery.samples as u64 - written) as f64);
            }
        }
        let mut waiting = 0;
        let first = self.0.status.send_if_modified(|status| {
            let Some(state) = status.sinks.get_mut(&sink.key()) else { return false };
            waiting = state.waiting_samples;
            let first = state.last_success.is_none();
            state.state = SinkState::Delivering;
            state.since = Instant::now();
            state.last_success = Some(delivery.at);
            state.last_error = None;
            state.protocol = Some(delivery.protocol);
            first
        });
        let Delivery { samples, bytes, protocol, code, .. } = *delivery;
        let failed = self.0.failing.recovered(&sink.key());
        let (sink, url) = (&*sink.name, &*sink.url);
        if let Some(tries) = failed {
            info!(sink, url, tries, waiting_samples = waiting, "delivering again");
        }
        if first {
            info!(sink, url, samples, bytes, protocol, code, "first delivery");
        } else {
            debug!(sink, url, samples, bytes, protocol, code, "delivered");
        }
    }

    /// A request failed and is tried again after `delay`. Equal failures are logged once a minute; they are
    /// equal where their texts are up to the first colon or semicolon with a space behind it.
    pub fn retrying(&self, sink: &SinkName, samples: usize, why: &dyn Display, delay: Duration) {
        let m = &self.0.metrics;
        m.sink_up.set(sink.sink(), 0.0);
        if sink.kind == SinkKind::RemoteWrite {
            m.rw_retried.add(sink.remote(), samples as f64);
        }
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        m.sink_parked.set(sink.sink(), 0.0);
        if self.0.failing.failed(&sink.key(), &why.to_string(), Instant::now()) {
            warn!(sink = &*sink.name, url = &*sink.url, error = %why, delay_ms, "delivery failed, trying again");
        } else {
            debug!(sink = &*sink.name, url = &*sink.url, error = %why, delay_ms, "delivery failed, trying again");
        }
        self.sink_state(sink, SinkState::Retrying { delay }, Some(why.to_string()));
    }

    /// A sink refuses us as a whole; nothing is dropped, it is asked again slowly. Logged as seldom as
    /// [`Self::retrying`].
    pub fn parked(&self, sink: &SinkName, why: &dyn Display, next_step: &str, delay: Duration) {
        let m = &self.0.metrics;
        m.sink_up.set(sink.sink(), 0.0);
        m.sink_parked.set(sink.sink(), 1.0);
        let delay_s = delay.as_secs();
        if self.0.failing.failed(&sink.key(), &why.to_string(), Instant::now()) {
            error!(
                sink = &*sink.name, url = &*sink.url, error = %why, next_step, delay_s,
                "parked: nothing is dropped, asked again slowly"
            );
        } else {
            debug!(sink = &*sink.name, url = &*sink.url, error = %why, next_step, delay_s, "still parked");
        }
        self.sink_state(sink, SinkState::Parked { delay }, Some(format!("{why}: {next_step}")));
    }

    /// Samples that a receiver will not take, or that found no room. Those that are too late come in runs, of
    /// which the first one makes a line.
    pub fn dropped(&self, sink: &SinkName, samples: usize, reason: &str, why: &dyn Display) {
        let m = &self.0.metrics;
        m.sink_dropped.add(sink.sink_with(reason), samples as f64);
        if sink.kind == SinkKind::RemoteWrite {
            m.rw_dropped.add(sink.remote_with(reason), samples as f64);
            m.rw_failed.add(sink.remote(), samples as f64);
        }
        let late = matches!(reason, "too_old" | "out_of_order");
        if !late || self.0.refusals.begins(&sink.key(), &why.to_string(), Instant::now()) {
            error!(sink = &*sink.name, url = &*sink.url, samples, reason, error = %why, "samples refused or dropped");
        } else {
            debug!(sink = &*sink.name, url = &*sink.url, samples, reason, error = %why, "samples refused or dropped");
        }
        self.0.status.send_modify(|status| {
            if let Some(state) = status.sinks.get_mut(&sink.key()) {
                state.last_error = Some(why.to_string());
                state.dropped += samples as u64;
            }
        });
    }

    /// Samples of a relayed page that a Pushgateway cannot hold; with an example where this is the first time.
    pub fn left_out(&self, sink: &SinkName, samples: usize, reason: &str, example: Option<&str>) {
        self.0.metrics.sink_left_out.add(sink.sink_with(reason), samples as f64);
        if let Some(example) = example {
            warn!(
                sink = &*sink.name,
                url = &*sink.url,
                reason,
                samples,
                example,
                "samples of a relayed page are left out, which a Pushgateway does not take; from here on they are only counted"
            );
        }
    }

    /// Samples were held back before an endpoint; `named` says which, where that was not said before.
    pub fn held(&self, sink: &SinkName, samples: usize, reason: &str, named: Option<&str>) {
        let m = &self.0.metrics;
        m.sink_dropped.add(sink.sink_with(reason), samples as f64);
        m.rw_dropped.add(sink.remote_with(reason), samples as f64);
        m.rw_failed.add(sink.remote(), samples as f64);
        if let Some(named) = named {
            error!(sink = &*sink.name, url = &*sink.url, samples, reason, error = named, "samples held back");
        }
        self.0.status.send_modify(|status| {
            if let Some(state) = status.sinks.get_mut(&sink.key()) {
                state.last_error = named.map(str::to_owned).or(state.last_error.take());
                state.dropped += samples as u64;
            }
        });
    }

    /// The receiver does not know 2.0; 1.0 is spoken from here on.
    pub fn fell_back(&self, sink: &SinkName, why: &dyn Display) {
        info!(sink = &*sink.name, url = &*sink.url, why = %why, "speaking remote write 1.0");
    }

    /// Metadata went with a 1.0 request.
    pub fn metadata_sent(&self, sink: &SinkName, families: usize) {
        self.0.metrics.rw_metadata.add(sink.remote(), families as f64);
    }

    /// The configuration was read again.
    pub fn reloaded(&self, error: Option<&dyn Display>) {
        match error {
            None => {
                self.0.metrics.reload_successful.set(vec![], 1.0);
                info!("configuration reloaded");
            }
            Some(error) => {
                self.0.metrics.reload_successful.set(vec![], 0.0);
                error!(%error, "the new configuration is refused, going on with the old one");
            }
        }
    }

    /// The file that protects the page, or one that it names, has changed and was read again.
    pub fn web_config_read(&self, error: Option<&dyn Display>) {
        let count = |result: &str| self.0.metrics.web_config_reads.add(vec![result.into()], 1.0);
        match error {
            None => {
                count("ok");
                info!("the page's TLS and users were read again");
            }
            Some(error) => {
                count("failed");
                error!(%error, "the page's TLS and users cannot be read again, going on with the old ones");
            }
        }
    }

    fn sink_state(&self, sink: &SinkName, new: SinkState, error: Option<String>) {
        self.0.status.send_modify(|status| {
            if let Some(state) = status.sinks.get_mut(&sink.key()) {
                state.state = new;
                state.since = Instant::now();
                state.last_error = error;
            }
        });
    }
}
