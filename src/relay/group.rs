//! All targets of one interval, scraped at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use url::Url;

use super::scrape::Target;
use super::target::Spec;
use super::targets::{Found, Targets, intervals};
use crate::config::{Config, HttpSettings, ScrapeJob};
use crate::http::{Client, HttpError};
use crate::sample::{Batch, Millis, Source};
use crate::telemetry::Telemetry;

/// So many targets are asked at one time; the others wait for one of them.
const AT_ONCE: usize = 128;

/// A job's settings turn out unusable.
#[derive(Debug, thiserror::Error)]
#[error("scrape job {job}")]
pub struct JobsError {
    /// Its name.
    pub job: String,
    /// What is wrong.
    pub source: HttpError,
}

/// All jobs of a configuration. Copies are the same jobs.
#[derive(Clone, Debug)]
pub struct Jobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    jobs: Arc<[ScrapeJob]>,
    targets: Arc<Mutex<Targets>>,
    /// The intervals that have a group.
    grouped: Mutex<BTreeSet<Duration>>,
    clients: Mutex<HashMap<Way, Arc<Client>>>,
    telemetry: Telemetry,
}

/// What a client is made for: all targets that are spoken to in one way share one.
type Way = (usize, String, Duration, Option<String>);

impl Jobs {
    /// The jobs of this configuration. Their TLS files are read.
    ///
    /// # Errors
    /// [`JobsError`] where a job's settings are not usable.
    pub fn new(config: &Config, telemetry: Telemetry) -> Result<Jobs, JobsError> {
        let jobs: Arc<[ScrapeJob]> = config.jobs.as_slice().into();
        for job in &*jobs {
            let url = Url::parse(&format!("{}://localhost/", job.scheme.as_str()));
            if let Ok(url) = url {
                Client::new(&job.http, &url)
                    .map_err(|source| JobsError { job: job.name.to_string(), source })?;
            }
        }
        Ok(Jobs(Arc::new(Inner {
            targets: Arc::new(Mutex::new(Targets::new(Arc::clone(&jobs), telemetry.clone()))),
            jobs,
            grouped: Mutex::default(),
            clients: Mutex::default(),
            telemetry,
        })))
    }

    /// A group for each interval that has none yet: of each job, and of each target as they are now.
    pub async fn groups(&self) -> Vec<Group> {
        let found = self.found().await;
        let jobs = self.0.jobs.iter().map(|job| job.interval);
        self.groups_of(jobs.chain(intervals(&found)).collect())
    }

    /// The sources of all targets as they are now.
    pub async fn sources(&self) -> BTreeSet<Source> {
        self.found().await.values().map(|(_, source)| source.clone()).collect()
    }

    fn groups_of(&self, intervals: BTreeSet<Duration>) -> Vec<Group> {
        let mut grouped = lock(&self.0.grouped);
        let new = intervals.into_iter().filter(|every| grouped.insert(*every));
        new.map(|every| Group { every, jobs: self.clone(), found: None, targets: BTreeMap::new() }).collect()
    }

    /// The targets as they are now. Files are read elsewhere: a disk may be slow.
    async fn found(&self) -> Arc<BTreeMap<String, Found>> {
        if !lock(&self.0.targets).has_files() {
            return lock(&self.0.targets).now();
        }
        let targets = Arc::clone(&self.0.targets);
        let read = tokio::task::spawn_blocking(move || lock(&targets).now()).await;
        // It only panics where the runtime ends.
        read.unwrap_or_default()
    }

    fn client(&self, spec: &Spec) -> Result<Arc<Client>, HttpError> {
        let (job, Ok(url)) = (&self.0.jobs[spec.job], &spec.url) else {
            return Err(HttpError::Settings("there is no address to ask"));
        };
        // With a name of its own for TLS a client knows one host.
        let host = job.http.tls.server_name.as_ref().map(|_| url.authority().to_owned());
        let way = (spec.job, url.scheme().to_owned(), spec.timeout, host);
        if let Some(known) = lock(&self.0.clients).get(&way) {
            return Ok(Arc::clone(known));
        }
        let settings = HttpSettings { timeout: spec.timeout, ..job.http.clone() };
        let client = Arc::new(Client::new(&settings, url)?);
        lock(&self.0.clients).insert(way, Arc::clone(&client));
        Ok(client)
    }
}

/// The targets of one interval.
#[derive(Debug)]
pub struct Group {
    every: Duration,
    jobs: Jobs,
    found: Option<Arc<BTreeMap<String, Found>>>,
    targets: BTreeMap<String, Target>,
}

/// What has changed with a scrape.
#[derive(Debug, Default)]
pub struct Round {
    /// Sources that are no more: whatever they have said has ended.
    pub gone: Vec<Source>,
    /// Intervals that no group had; these are to be run as well.
    pub groups: Vec<Group>,
}

impl Group {
    /// How often its targets are scraped.
    pub fn every(&self) -> Duration {
        self.every
    }

    /// Asks all targets at once. `take` is given the batch of each as it is ready, all of this time.
    pub async fn scrape(&mut self, at: Millis, mut take: impl AsyncFnMut(Batch)) -> Round {
        let round = self.look().await;
        let mut waiting = std::mem::take(&mut self.targets).into_iter();
        let mut asked = JoinSet::new();
        loop {
            while asked.len() < AT_ONCE
                && let Some((key, mut target)) = waiting.next()
            {
                let client = self.jobs.client(target.spec());
                asked.spawn(async move {
                    let batch = target.scrape(at, client).await;
                    (key, target, batch)
                });
            }
            match asked.join_next().await {
                None => break,
                Some(Ok((key, target, batch))) => {
                    self.targets.insert(key, target);
                    take(batch).await;
                }
                // A target is made anew with the next round.
                Some(Err(_)) => self.found = None,
            }
        }
        round
    }

    /// Which targets there are now.
    async fn look(&mut self) -> Round {
        let found = self.jobs.found().await;
        if self.found.as_ref().is_some_and(|known| Arc::ptr_eq(known, &found)) && self.is_whole(&found) {
            return Round::default();
        }
        let stays: BTreeSet<&Source> = found.values().map(|(_, source)| source).collect();
        let mut gone = Vec::new();
        self.targets.retain(|key, target| {
            let is_there = found.get(key).is_some_and(|(spec, _)| spec.every == self.every);
            if !is_there && !stays.contains(&target.source) {
                gone.push(target.source.clone());
            }
            is_there
        });
        for (key, (spec, source)) in found.iter().filter(|(_, (spec, _))| spec.every == self.every) {
            if !self.targets.contains_key(key) {
                let job = &self.jobs.0.jobs[spec.job];
                let telemetry = self.jobs.0.telemetry.clone();
                let target = Target::new(source.clone(), Arc::clone(spec), job, telemetry);
                self.targets.insert(key.clone(), target);
            }
        }
        let groups = self.jobs.groups_of(intervals(&found));
        self.found = Some(found);
        Round { gone, groups }
    }

    /// Whether no target was lost in a scrape that was given up.
    fn is_whole(&self, found: &BTreeMap<String, Found>) -> bool {
        self.targets.len() == found.values().filter(|(spec, _)| spec.every == self.every).count()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is held under one can be half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
