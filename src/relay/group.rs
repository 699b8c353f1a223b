//! All targets of one interval, scraped at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{self, JoinSet};
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
        self.groups_of(self.by_interval().await.into_keys().collect())
    }

    /// The sources of the targets of each interval as they are now, also of intervals without any.
    pub async fn by_interval(&self) -> BTreeMap<Duration, BTreeSet<Source>> {
        let mut all: BTreeMap<Duration, BTreeSet<Source>> =
            self.0.jobs.iter().map(|job| (job.interval, BTreeSet::new())).collect();
        for (spec, source) in self.found().await.values() {
            all.entry(spec.every).or_default().insert(source.clone());
        }
        all
    }

    fn groups_of(&self, intervals: BTreeSet<Duration>) -> Vec<Group> {
        let mut grouped = lock(&self.0.grouped);
        let new = intervals.into_iter().filter(|every| grouped.insert(*every));
        new.map(|every| Group::new(every, self.clone())).collect()
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
    /// Those that are not being asked.
    idle: BTreeMap<String, Target>,
    asked: JoinSet<(String, Target, Batch)>,
    /// Those that are being asked, by their tasks.
    busy: HashMap<task::Id, (String, Source)>,
    at_once: Arc<Semaphore>,
}

/// What a tick has begun.
#[derive(Debug, Default)]
pub struct Round {
    /// Sources that are no more: whatever they have said has ended.
    pub gone: Vec<Source>,
    /// Intervals that no group had; these are to be run as well.
    pub groups: Vec<Group>,
    /// Targets that are left out, as they have not answered since the last tick.
    pub missed: Vec<Source>,
}

impl Group {
    fn new(every: Duration, jobs: Jobs) -> Group {
        let (idle, asked, busy) = (BTreeMap::new(), JoinSet::new(), HashMap::new());
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        Group { every, jobs, found: None, idle, asked, busy, at_once }
    }

    /// How often its targets are scraped.
    pub fn every(&self) -> Duration {
        self.every
    }

    /// Begins to ask all targets at once, whose batches [`Group::next`] gives, all of this time. One that is still
    /// being asked is left out: it holds up nobody but itself.
    pub async fn begin(&mut self, at: Millis) -> Round {
        let mut round = self.look().await;
        round.missed = self.busy.values().map(|(_, source)| source.clone()).collect();
        for (key, mut target) in std::mem::take(&mut self.idle) {
            let (source, client) = (target.source.clone(), self.jobs.client(target.spec()));
            let (at_once, name) = (Arc::clone(&self.at_once), key.clone());
            let task = self.asked.spawn(async move {
                // Nobody closes it.
                let _turn = at_once.acquire_owned().await;
                let batch = target.scrape(at, client).await;
                (name, target, batch)
            });
            self.busy.insert(task.id(), (key, source));
        }
        round
    }

    /// The sources of its targets.
    pub fn sources(&self) -> BTreeSet<Source> {
        let idle = self.idle.values().map(|target| &target.source);
        idle.chain(self.busy.values().map(|(_, source)| source)).cloned().collect()
    }

    /// How many targets are being asked.
    pub fn asked(&self) -> usize {
        self.busy.len()
    }

    /// The next batch that is ready; nothing where no target is being asked. Dropping the wait loses none.
    pub async fn next(&mut self) -> Option<Batch> {
        loop {
            match self.asked.join_next_with_id().await? {
                Ok((task, (key, target, batch))) => {
                    self.busy.remove(&task);
                    let found = self.found.as_ref().and_then(|found| found.get(&key));
                    // It may have gone, or have become another one, while it was asked.
                    if found
                        .is_some_and(|(spec, source)| spec.every == self.every && *source == target.source)
                    {
                        self.idle.insert(key, target);
                        return Some(batch);
                    }
                }
                // The target is made anew with the next round.
                Err(broke) => {
                    self.busy.remove(&broke.id());
                    self.found = None;
                }
            }
        }
    }

    /// Asks all targets at once and gives `take` the batch of each as it is ready.
    pub async fn scrape(&mut self, at: Millis, mut take: impl AsyncFnMut(Batch)) -> Round {
        let round = self.begin(at).await;
        while let Some(batch) = self.next().await {
            take(batch).await;
        }
        round
    }

    /// Which targets there are now.
    async fn look(&mut self) -> Round {
        let found = self.jobs.found().await;
        if self.found.as_ref().is_some_and(|known| Arc::ptr_eq(known, &found)) {
            return Round::default();
        }
        let stays: BTreeSet<&Source> = found.values().map(|(_, source)| source).collect();
        let is_ours = |key: &String| found.get(key).is_some_and(|(spec, _)| spec.every == self.every);
        let busy = self.busy.values().map(|(key, source)| (key, source));
        let known = self.idle.iter().map(|(key, target)| (key, &target.source)).chain(busy);
        let gone = known.filter(|(key, source)| !is_ours(key) && !stays.contains(source));
        let gone = gone.map(|(_, source)| source.clone()).collect();
        self.idle.retain(|key, _| is_ours(key));
        let is_busy = |key: &String| self.busy.values().any(|(busy, _)| busy == key);
        for (key, (spec, source)) in found.iter().filter(|(key, _)| is_ours(key) && !is_busy(key)) {
            if !self.idle.contains_key(key) {
                let job = &self.jobs.0.jobs[spec.job];
                let telemetry = self.jobs.0.telemetry.clone();
                let target = Target::new(source.clone(), Arc::clone(spec), job, telemetry);
                self.idle.insert(key.clone(), target);
            }
        }
        let groups = self.jobs.groups_of(intervals(&found));
        self.found = Some(found);
        Round { gone, groups, missed: Vec::new() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is held under one can be half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
