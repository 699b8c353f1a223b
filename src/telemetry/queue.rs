//! What the queue says of itself.

use std::fmt::Display;
use std::sync::atomic::Ordering;

use tracing::{debug, error, info, trace};

use super::status::QueueStatus;
use super::{SinkName, Telemetry};
use crate::sample::Millis;

/// What waits for one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Records that are not answered for.
    pub records: usize,
    /// Samples not yet answered.
    pub samples: u64,
    /// The oldest of them.
    pub oldest: Option<Millis>,
    /// The newest that was ever put in.
    pub newest: Option<Millis>,
    /// Samples that were refused and are kept.
    pub refused: u64,
    /// How many of them are to be sent again.
    pub again: u64,
}

impl Telemetry {
    /// What waits for an endpoint.
    pub fn backlog(&self, sink: &SinkName, backlog: Backlog) {
        let m = &self.0.metrics;
        m.rw_pending.set(sink.remote(), backlog.samples as f64);
        if let Some(newest) = backlog.newest {
            m.rw_highest.set(sink.remote(), newest.as_seconds());
            m.rw_highest_all.set(vec![], newest.as_seconds());
        }
        self.0.status.send_modify(|status| {
            if let Some(state) = status.sinks.get_mut(&sink.key()) {
                state.waiting_records = backlog.records;
                state.waiting_samples = backlog.samples;
                state.oldest = backlog.oldest;
                state.refused_samples = backlog.refused;
                state.again_samples = backlog.again;
            }
        });
    }

    /// A source's samples are about to be written to the queue, all of the tick at `at_ms`.
    pub fn committing(&self, source: &str, samples: usize, at_ms: Option<i64>) {
        trace!(source, samples, at_ms, "committing");
    }

    /// They are in the queue; with a durable one on the disk.
    pub fn committed(&self, source: &str, samples: usize, at_ms: Option<i64>) {
        debug!(source, samples, at_ms, "committed");
    }

    /// A request goes out: so many samples of a record, from `sample` on.
    pub fn sending(&self, sink: &SinkName, record: u64, sample: usize, samples: usize) {
        trace!(sink = &*sink.name, record, sample, samples, "sending");
    }

    /// The receiver has answered a request.
    pub fn answered(&self, sink: &SinkName, code: u16) {
        trace!(sink = &*sink.name, code, "answered");
    }

    /// The queue's cursor has moved behind so many samples.
    pub fn acknowledged(&self, sink: &SinkName, record: u64, sample: usize, samples: usize) {
        trace!(sink = &*sink.name, record, sample, samples, "acknowledged");
    }

    /// Whether the queue's store can be used. Said when it changes.
    pub fn queue_trouble(&self, trouble: Option<&dyn Display>) {
        self.0.metrics.queue_up.set(vec![], if trouble.is_none() { 1.0 } else { 0.0 });
        let was = self.0.queue_broken.swap(trouble.is_some(), Ordering::Relaxed);
        match trouble {
            Some(why) if !was => error!(error = %why, "what is collected waits in memory"),
            None if was => info!("what is collected is on the disk again"),
            _ => {}
        }
    }

    /// The queue as a whole.
    pub fn queue(&self, queue: QueueStatus) {
        let m = &self.0.metrics;
        m.queue_bytes.set(vec![], queue.bytes as f64);
        m.queue_records.set(vec![], queue.records as f64);
        m.queue_oldest.set(vec![], queue.oldest.map_or(0.0, Millis::as_seconds));
        if let Some(full_in) = queue.full_in {
            m.queue_full.set(vec![], full_in.as_secs_f64());
        }
        self.0.status.send_modify(|status| status.queue = Some(queue));
    }
}
