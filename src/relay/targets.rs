//! Which targets there are: those of the configuration, and those of files, which are read again when they change.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::target::{Spec, spec};
use crate::config::{ScrapeJob, TargetGroup, target_groups};
use crate::sample::{Source, Text};
use crate::telemetry::Telemetry;

/// One target by what it is, and the source that its series are of.
pub(super) type Found = (Arc<Spec>, Source);

/// All targets of all jobs.
#[derive(Debug)]
pub(super) struct Targets {
    jobs: Arc<[ScrapeJob]>,
    telemetry: Telemetry,
    files: BTreeMap<PathBuf, File>,
    found: Arc<BTreeMap<String, Found>>,
    begun: bool,
}

/// A file with targets.
#[derive(Debug)]
struct File {
    stamp: Stamp,
    /// What it said when it could last be read.
    groups: Vec<TargetGroup>,
}

type Stamp = Option<(Option<SystemTime>, u64)>;

impl Targets {
    pub(super) fn new(jobs: Arc<[ScrapeJob]>, telemetry: Telemetry) -> Targets {
        Targets { jobs, telemetry, files: BTreeMap::new(), found: Arc::default(), begun: false }
    }

    /// Whether there is a file to look at.
    pub(super) fn has_files(&self) -> bool {
        self.jobs.iter().any(|job| !job.files.is_empty())
    }

    /// The targets as they are now; the same pointer where nothing has changed.
    pub(super) fn now(&mut self) -> Arc<BTreeMap<String, Found>> {
        let changed = self.read_files();
        if changed || !self.begun {
            self.begun = true;
            self.telemetry.targets_sought();
            self.found = Arc::new(self.find());
        }
        Arc::clone(&self.found)
    }

    /// Looks at the files; whether one has changed.
    fn read_files(&mut self) -> bool {
        let patterns = self.jobs.iter().flat_map(|job| &job.files).flat_map(|files| &files.patterns);
        let there: BTreeSet<PathBuf> = patterns.flat_map(|pattern| matching(pattern)).collect();
        let before = self.files.len();
        self.files.retain(|path, _| there.contains(path));
        self.telemetry.target_files_are(&there);
        let mut changed = self.files.len() != before;
        for path in there {
            let stamp = stamp(&path);
            if self.files.get(&path).is_some_and(|file| file.stamp == stamp) {
                continue;
            }
            match target_groups(&path) {
                Ok(groups) => {
                    let is_new = self.files.get(&path).is_none_or(|file| file.groups != groups);
                    changed |= is_new;
                    self.telemetry.targets_read(&path);
                    self.files.insert(path, File { stamp, groups });
                }
                // What it said before stays; it is told once for each state of the file.
                Err(error) => {
                    self.telemetry.targets_unreadable(&path, &error);
                    self.files.entry(path).or_insert(File { stamp, groups: Vec::new() }).stamp = stamp;
                }
            }
        }
        changed
    }

    fn find(&self) -> BTreeMap<String, Found> {
        let mut specs = BTreeMap::new();
        for (number, job) in self.jobs.iter().enumerate() {
            let mut add = |group: &TargetGroup, file: Option<&str>| {
                for address in &group.targets {
                    match spec(number, job, group, address, file) {
                        Ok(Some(spec)) => {
                            specs.entry(spec.key()).or_insert(spec);
                        }
                        Ok(None) => {}
                        Err(why) => self.telemetry.target_refused(&job.name, address, &why),
                    }
                }
            };
            job.groups.iter().for_each(|group| add(group, None));
            // A file that two patterns name is one.
            let patterns = job.files.iter().flat_map(|files| &files.patterns);
            let paths: BTreeSet<PathBuf> = patterns.flat_map(|pattern| matching(pattern)).collect();
            for path in paths {
                let groups = self.files.get(&path).map_or(&[][..], |file| &file.groups);
                groups.iter().for_each(|group| add(group, Some(&path.to_string_lossy())));
            }
        }
        self.named(specs)
    }

    /// A source for each. Those that had one keep it, whoever comes beside them.
    fn named(&self, specs: BTreeMap<String, Spec>) -> BTreeMap<String, Found> {
        let mut all: BTreeMap<String, Found> = BTreeMap::new();
        let mut taken: HashMap<Source, Vec<(crate::sample::LabelName, Text)>> = HashMap::new();
        let (old, new): (Vec<_>, Vec<_>) =
            specs.into_iter().partition(|(key, _)| self.found.contains_key(key));
        for (key, spec) in old {
            if let Some((_, source)) = self.found.get(&key) {
                taken.insert(source.clone(), spec.labels.clone());
                all.insert(key, (Arc::new(spec), source.clone()));
            }
        }
        for (key, spec) in new {
            let (job, instance) = (spec.label("job"), spec.label("instance"));
            let mut source = Source::Target { job: job.clone(), instance: instance.clone() };
            if taken.contains_key(&source) {
                source = Source::Target { job: job.clone(), instance: beside(&spec, &instance) };
            }
            if taken.contains_key(&source) || taken.values().any(|labels| *labels == spec.labels) {
                let why = "another target has the same labels, so that their series would be the same; give one of \
                           them another label";
                self.telemetry.target_refused(&job, &instance, &why);
                continue;
            }
            taken.insert(source.clone(), spec.labels.clone());
            all.insert(key, (Arc::new(spec), source));
        }
        all
    }
}

/// The instance of a target that another one has as well, with the labels that tell it apart.
fn beside(spec: &Spec, instance: &str) -> Text {
    let others = spec.labels.iter().filter(|(name, _)| !matches!(name.as_str(), "job" | "instance"));
    let others: Vec<String> = others.map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{instance}{{{}}}", others.join(",")).into()
}

/// The files that a pattern names now.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    // Checked with the configuration; what cannot be looked into holds no file.
    let found = glob::glob(&pattern.to_string_lossy());
    found.map_or_else(|_| Vec::new(), |paths| paths.flatten().filter(|path| path.is_file()).collect())
}

fn stamp(path: &Path) -> Stamp {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok(), meta.len()))
}

/// The intervals of all targets.
pub(super) fn intervals(found: &BTreeMap<String, Found>) -> BTreeSet<Duration> {
    found.values().map(|(spec, _)| spec.every).collect()
}
