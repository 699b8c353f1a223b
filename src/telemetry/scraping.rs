//! What relaying says of itself.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{debug, info, warn};

use super::Telemetry;
use crate::sample::{Source, Text};

/// How one scrape of a target ended.
#[derive(Clone, Copy)]
pub struct Scraped<'a> {
    /// The target's label `job`.
    pub job: &'a str,
    /// Its label `instance`.
    pub instance: &'a str,
    /// `ok` or the kind of failure.
    pub result: &'a str,
    /// Why it failed and what to do.
    pub error: Option<&'a (dyn Display + Sync)>,
    /// How long it took.
    pub took: Duration,
    /// Samples on the page.
    pub samples: usize,
    /// Samples that were left out, since the page has said their series before.
    pub repeated: usize,
    /// The first of these.
    pub first_repeated: Option<&'a (dyn Display + Sync)>,
}

/// What goes wrong with each target, so that it is told when it begins and when it ends.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<BTreeMap<(Text, Text), Trouble>>);

#[derive(Debug, Default)]
struct Trouble {
    /// The kind of failure and how many scrapes have failed; none of the kind: it is well.
    failing: Option<(String, u64)>,
    repeats: bool,
}

impl Troubles {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Text, Text), Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Telemetry {
    /// A target was scraped. A line tells where a failure begins or becomes another one, and where it ends.
    pub fn scraped(&self, s: &Scraped<'_>) {
        let m = &self.0.metrics;
        m.scrapes.add(vec![s.job.into(), s.result.into()], 1.0);
        if s.repeated > 0 {
            m.scrape_repeated.add(vec![s.job.into()], s.repeated as f64);
        }
        let took_ms = u64::try_from(s.took.as_millis()).unwrap_or(u64::MAX);
        let (job, instance, samples) = (s.job, s.instance, s.samples);
        let mut all = self.0.troubles.lock();
        let trouble = all.entry((job.into(), instance.into())).or_default();
        match (s.error, &mut trouble.failing) {
            (None, failing) => match failing.take() {
                Some((_, scrapes)) => info!(job, instance, samples, scrapes, took_ms, "scraping works again"),
                None => debug!(job, instance, samples, took_ms, "scraped"),
            },
            (Some(error), Some((kind, scrapes))) if *kind == s.result => {
                *scrapes += 1;
                debug!(job, instance, took_ms, %error, "scraping still fails");
            }
            (Some(error), failing) => {
                warn!(job, instance, result = s.result, took_ms, %error, "scraping failed");
                let scrapes = failing.take().map_or(0, |(_, scrapes)| scrapes);
                *failing = Some((s.result.to_owned(), scrapes + 1));
            }
        }
        match (s.first_repeated, trouble.repeats) {
            (Some(series), false) => {
                trouble.repeats = true;
                let repeated = s.repeated;
                warn!(
                    job, instance, repeated, %series,
                    "the page says a series more than once: the first sample counts, the others are left out"
                );
            }
            (None, true) if s.error.is_none() => {
                trouble.repeats = false;
                info!(job, instance, "the page says no series more than once any more");
            }
            _ => {}
        }
    }

    /// A target has not answered since the last tick, so it is not asked at this one.
    pub fn target_missed(&self, source: &Source) {
        let Source::Target { job, instance } = source else { return };
        self.0.metrics.scrapes.add(vec![job.clone(), "missed".into()], 1.0);
        debug!(job = &**job, instance = &**instance, "a scrape was left out: the one before it still runs");
    }

    /// Samples of relayed series that are not sent: with a time before the last one of their series, with one in
    /// the future, and of series that another target says. A line tells where that begins and ends.
    pub fn relay_left_out(&self, [older, future, twice]: [usize; 3], example: Option<&str>) {
        let reasons = [("out_of_order", older), ("too_far_in_future", future), ("duplicate", twice)];
        for (reason, samples) in reasons.into_iter().filter(|(_, samples)| *samples > 0) {
            self.0.metrics.relay_left_out.add(vec![reason.into()], samples as f64);
        }
        let some = older + future + twice > 0;
        let before = self.0.relay_leaves_out.swap(some, Ordering::Relaxed);
        if some && !before {
            let series = example.unwrap_or_default();
            warn!(
                older,
                future,
                twice,
                series,
                "samples of relayed series are left out: their times are older than what was sent or in the future, \
                 or another target says the same series"
            );
        }
        if before && !some {
            info!("no samples of relayed series are left out any more");
        }
    }

    /// Targets are asked at this interval, and have not been yet.
    pub fn group_registered(&self, every: Duration) {
        self.0.status.send_if_modified(|status| status.groups.insert(every, false) != Some(false));
    }

    /// All targets of this interval were asked, or waited for long enough.
    pub fn group_asked(&self, every: Duration) {
        self.0.status.send_if_modified(|status| status.groups.insert(every, true) != Some(true));
    }

    /// A target is no more; what went wrong with it is forgotten.
    pub fn target_gone(&self, job: &str, instance: &str) {
        self.0.troubles.lock().remove(&(job.into(), instance.into()));
    }

    /// What was found cannot be scraped.
    pub fn target_refused(&self, job: &str, target: &str, why: &dyn Display) {
        warn!(job, target, error = %why, "this target is not scraped");
    }

    /// A file with targets is new or has changed.
    pub fn targets_read(&self, path: &Path) {
        debug!(path = %path.display(), "a file with targets was read");
    }

    /// A file with targets cannot be read; those that it named before stay.
    pub fn targets_unreadable(&self, path: &Path, error: &dyn Display) {
        self.0.metrics.target_files.add(vec![], 1.0);
        warn!(path = %path.display(), %error, "a file with targets cannot be used, going on with what it said before");
    }
}
