//! What collecting says of itself.

use std::sync::atomic::Ordering;

use tracing::{debug, error, info, warn};

use super::status::SourceStatus;
use super::{Collected, Telemetry};
use crate::sample::Millis;

impl Telemetry {
    /// A source is there, and its first cycle has not ended: only so can readiness wait for all of them.
    pub fn source_registered(&self, source: &str) {
        self.0.status.send_modify(|status| {
            status.sources.entry(source.into()).or_default();
        });
    }

    /// A source is asked.
    pub fn collecting(&self, source: &str) {
        debug!(source, "collecting");
    }

    /// A source's cycle has ended.
    pub fn collected(&self, c: &Collected<'_>) {
        let m = &self.0.metrics;
        m.collects.add(vec![c.source.into(), c.result.into()], 1.0);
        for code in c.codes {
            m.api_responses.add(vec![c.source.into(), code.to_string().as_str().into()], 1.0);
        }
        if let Some(skew) = c.skew_seconds {
            m.clock_skew.set(vec![], skew);
        }
        let took_ms = u64::try_from(c.took.as_millis()).unwrap_or(u64::MAX);
        match c.error {
            None => info!(source = c.source, fleets = c.fleets, series = c.series, took_ms, "collected"),
            Some(error) => warn!(source = c.source, result = c.result, took_ms, %error, "collecting failed"),
        }
        self.0.status.send_modify(|status| {
            let source = status.sources.entry(c.source.into()).or_default();
            *source = SourceStatus {
                last_end: Some(c.at),
                last_success: if c.error.is_none() { Some(c.at) } else { source.last_success },
                failing_since: c.error.and(source.failing_since.or(Some(c.at))),
                last_error: c.error.map(|e| e.to_string()),
                fleets: if c.error.is_none() { c.fleets } else { source.fleets },
                series: c.series,
            };
        });
    }

    /// Ticks of a source were left out since its last cycle took too long.
    pub fn ticks_missed(&self, source: &str, ticks: u64) {
        self.0.metrics.ticks_missed.add(vec![source.into()], ticks as f64);
        warn!(source, ticks, "ticks were missed: collecting takes longer than the interval");
    }

    /// Our clock is believed again, or still.
    pub fn clock_trusted(&self) {
        if self.0.clock_distrusted.swap(false, Ordering::Relaxed) {
            info!("the clock is right again");
        }
    }

    /// Our clock cannot be believed, so nothing is queued. Said loudly once, until it is right again.
    pub fn clock_distrusted(&self, skew_seconds: f64) {
        self.0.metrics.clock_skew.set(vec![], skew_seconds);
        if self.0.clock_distrusted.swap(true, Ordering::Relaxed) {
            return;
        }
        error!(
            skew_seconds,
            "the clock is wrong by over five minutes: nothing is sent by remote write; set the clock (ntp)"
        );
    }

    /// When the next cycle begins.
    pub fn next_cycle(&self, at: Millis) {
        self.0.status.send_modify(|status| status.next = Some(at));
    }
}
