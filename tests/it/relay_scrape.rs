//! From a target to a batch: the scraper against a site of the tests' own, and against what Prometheus 3 makes of the
//! same pages with the same block of configuration.

mod batches;
mod parity;
pub mod site;
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use fleetpush::config::{Config, ConfigError, Overrides, load};
use fleetpush::relay::{Group, Jobs, Round};
use fleetpush::sample::{Batch, Millis, Source};
use fleetpush::telemetry::Telemetry;
use serde_json::{Value, json};

/// Labels, the name among them, as texts.
pub type Labels = BTreeMap<String, String>;

/// The configuration of these jobs, and of nothing else.
pub fn config(jobs: &Value) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yml");
    std::fs::write(&path, json!({ "scrape_configs": jobs }).to_string()).unwrap();
    loaded(&path).unwrap_or_else(|error| panic!("{error}"))
}

/// The configuration of a file.
pub fn loaded(path: &Path) -> Result<Config, ConfigError> {
    let flags = Overrides { config_file: Some(path.display().to_string()), ..Overrides::default() };
    load(&BTreeMap::new(), &flags, "host")
}

/// Jobs that are scraped at times of the test's own.
pub struct Relay {
    pub telemetry: Telemetry,
    jobs: Jobs,
    groups: Vec<Group>,
    at: i64,
}

/// What one scrape of everything has given.
pub struct Scraped {
    pub batches: BTreeMap<String, Batch>,
    pub gone: Vec<Source>,
}

impl Relay {
    pub async fn new(jobs: &Value) -> Self {
        let telemetry = Telemetry::new();
        let jobs = Jobs::new(&config(jobs), telemetry.clone()).unwrap();
        let groups = jobs.groups().await;
        Relay { telemetry, jobs, groups, at: 1_700_000_000_000 }
    }

    pub fn intervals(&self) -> Vec<Duration> {
        self.groups.iter().map(Group::every).collect()
    }

    pub async fn sources(&self) -> Vec<String> {
        let by_interval = self.jobs.by_interval().await;
        let all: BTreeSet<&Source> = by_interval.values().flatten().collect();
        all.into_iter().map(Source::to_string).collect()
    }

    /// Scrapes all targets once.
    pub async fn scrape(&mut self) -> Scraped {
        let mut all = Scraped { batches: BTreeMap::new(), gone: Vec::new() };
        self.at += 1_000;
        let at = Millis(self.at);
        let mut groups = std::mem::take(&mut self.groups);
        let mut number = 0;
        while let Some(group) = groups.get_mut(number) {
            let Round { gone, groups: more, .. } = group
                .scrape(at, async |batch| {
                    assert_eq!(batch.at(), at);
                    let before = all.batches.insert(batch.source().to_string(), batch);
                    assert!(before.is_none(), "two batches of one source: {before:?}");
                })
                .await;
            all.gone.extend(gone);
            groups.extend(more);
            number += 1;
        }
        self.groups = groups;
        all
    }

    /// Scrapes the one target that there is.
    pub async fn scrape_one(&mut self) -> Batch {
        let batches = self.scrape().await.batches;
        assert_eq!(batches.len(), 1, "{:?}", batches.keys());
        batches.into_values().next().unwrap()
    }

    /// The value of a metric of the program's own.
    pub fn own(&self, name: &str, labels: &[&str]) -> f64 {
        let families = self.telemetry.families();
        let of_name = families.iter().filter(|family| family.name.as_str() == name);
        let series = of_name.flat_map(|family| &family.series);
        let wanted = |series: &&fleetpush::sample::Series| {
            let found: BTreeSet<&str> = series.labels.iter().map(|label| label.value).collect();
            found == labels.iter().copied().collect()
        };
        series.filter(wanted).map(|series| series.value.get()).sum()
    }
}

/// Every series of a batch, with its value.
pub fn series(batch: &Batch) -> BTreeMap<Labels, f64> {
    let mut all = BTreeMap::new();
    for family in batch.families() {
        assert!(!family.series.is_empty(), "{} has no series", family.name);
        for series in &family.series {
            let mut labels: Labels = BTreeMap::new();
            labels.insert("__name__".into(), family.name.to_string());
            labels.extend(series.labels.iter().map(|l| (l.name.to_string(), l.value.to_string())));
            assert_eq!(all.insert(labels.clone(), series.value.get()), None, "{labels:?} stands twice");
        }
    }
    all
}

/// The series of a batch in a short form, without those that are said of each scrape.
pub fn page_series(batch: &Batch) -> Vec<String> {
    let of_page = |labels: &&Labels| {
        let name = labels["__name__"].as_str();
        name != "up" && !name.starts_with("scrape_")
    };
    series(batch).keys().filter(of_page).map(short).collect()
}

/// One series, without the labels that every target has.
pub fn short(labels: &Labels) -> String {
    let others = labels.iter().filter(|(name, _)| !matches!(name.as_str(), "__name__" | "job" | "instance"));
    let others: Vec<String> = others.map(|(name, value)| format!("{name}={value}")).collect();
    format!("{}{{{}}}", labels["__name__"], others.join(","))
}

/// The value of a metric that has one series in a batch.
pub fn value(batch: &Batch, name: &str) -> f64 {
    let family = batch.families().iter().find(|family| family.name.as_str() == name);
    let family = family.unwrap_or_else(|| panic!("no {name} in {batch:?}"));
    assert_eq!(family.series.len(), 1, "{family:?}");
    family.series[0].value.get()
}
