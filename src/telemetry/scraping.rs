//! What relaying says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::Telemetry;
use super::failing::Turn;
use super::status::NotScraped;
use crate::sample::{Millis, Source, Text};

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
    /// When.
    pub at: Millis,
    /// The page's format, where there was a page.
    pub format: Option<&'static str>,
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
        self.0.status.send_if_modified(|status| {
            let Some(target) = status.targets.get_mut(&(s.job.into(), s.instance.into())) else {
                return false;
            };
            match s.error {
                None => {
                    (target.last_success, target.failing_since, target.last_error) = (Some(s.at), None, None);
                    (target.samples, target.repeated, target.format) = (s.samples, s.repeated, s.format);
                }
                Some(error) => {
                    target.failing_since.get_or_insert(s.at);
                    target.last_error = Some(error.to_string());
                }
            }
            (target.last_scrape, target.took) = (Some(s.at), s.took);
            true
        });
        if !self.0.is_silent {
            self.tell(s);
        }
    }

    fn tell(&self, s: &Scraped<'_>) {
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
        match self.0.relay_leaves_out.seen(older + future + twice > 0, Instant::now()) {
            Some(Turn::Begins) => {
                let series = example.unwrap_or_default();
                warn!(
                    older,
                    future,
                    twice,
                    series,
                    "samples of relayed series are left out: their times are older than what was sent or in the \
                     future, or another target says the same series"
                );
            }
            Some(Turn::Ends) => info!("no samples of relayed series are left out any more"),
            None => {}
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

    /// There is a target, which is going to be asked.
    pub fn target_found(&self, source: &Source) {
        let Source::Target { job, instance } = source else { return };
        let key = (job.clone(), instance.clone());
        self.0.status.send_if_modified(|status| {
            let is_new = !status.targets.contains_key(&key);
            status.targets.entry(key).or_default();
            is_new
        });
    }

    /// These targets and intervals are all that there are; of every other one nothing is said any more.
    pub fn targets_are(&self, sources: &BTreeSet<Source>, intervals: &BTreeSet<Duration>) {
        self.0.status.send_modify(|status| {
            status.groups.retain(|every, _| intervals.contains(every));
            status.targets.retain(|(job, instance), _| {
                sources.contains(&Source::Target { job: job.clone(), instance: instance.clone() })
            });
        });
    }

    /// A target is asked no more. What goes wrong with it is told anew if it comes again.
    pub fn target_gone(&self, job: &str, instance: &str) {
        self.0.troubles.lock().remove(&(job.into(), instance.into()));
    }

    /// A target has ended: nothing is said of it any more.
    pub fn target_ended(&self, source: &Source) {
        let Source::Target { job, instance } = source else { return };
        self.0.status.send_modify(|status| drop(status.targets.remove(&(job.clone(), instance.clone()))));
    }

    /// All targets are looked at anew.
    pub fn targets_sought(&self) {
        let is_file = |what: &NotScraped| matches!(what, NotScraped::File(_));
        self.0.status.send_modify(|status| status.not_scraped.retain(|what, _| is_file(what)));
    }

    /// What was found cannot be scraped.
    pub fn target_refused(&self, job: &str, target: &str, why: &dyn Display) {
        self.not_scraped(NotScraped::Target { job: job.to_owned(), target: target.to_owned() }, why);
        if !self.0.is_silent {
            warn!(job, target, error = %why, "this target is not scraped");
        }
    }

    fn not_scraped(&self, what: NotScraped, why: &dyn Display) {
        self.0.status.send_modify(|status| drop(status.not_scraped.insert(what, why.to_string())));
    }

    /// These are the files with targets that there are.
    pub fn target_files_are(&self, there: &BTreeSet<PathBuf>) {
        let stays = |what: &NotScraped| !matches!(what, NotScraped::File(path) if !there.contains(path));
        self.0.status.send_if_modified(|status| {
            let before = status.not_scraped.len();
            status.not_scraped.retain(|what, _| stays(what));
            status.not_scraped.len() != before
        });
    }

    /// A file with targets is new or has changed.
    pub fn targets_read(&self, path: &Path) {
        let file = NotScraped::File(path.to_owned());
        self.0.status.send_if_modified(|status| status.not_scraped.remove(&file).is_some());
        debug!(path = %path.display(), "a file with targets was read");
    }

    /// A file with targets cannot be read; those that it named before stay.
    pub fn targets_unreadable(&self, path: &Path, error: &dyn Display) {
        self.0.metrics.target_files.add(vec![], 1.0);
        self.not_scraped(NotScraped::File(path.to_owned()), error);
        if !self.0.is_silent {
            warn!(path = %path.display(), %error, "a file with targets cannot be used, going on with what it said before");
        }
    }
}
