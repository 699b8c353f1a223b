//! Each target of `scrape_configs` asked once, and what is to be said of it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;

use super::super::shared::Shared;
use super::{CheckReport, Finding, Part, Size};
use crate::config::Config;
use crate::relay::Jobs;
use crate::sample::{Batch, Text};
use crate::telemetry::status::{Status, TargetStatus};

/// So many good targets of a job are told one by one.
const TOLD: usize = 10;

/// What the targets of an interval have said.
pub(in super::super) type Said = (Duration, Vec<Batch>);

/// Asks every target once, as many at a time as `run` does, and says how each is.
pub(super) async fn ask(
    (config, jobs): (&Config, &Jobs),
    shared: &Shared,
    doing: &watch::Sender<String>,
    report: &mut CheckReport,
) -> Vec<Said> {
    if config.jobs.is_empty() {
        return Vec::new();
    }
    let mut all: Vec<Said> = Vec::new();
    let mut groups = jobs.groups().await;
    while let Some(mut group) = groups.pop() {
        let mut said = Vec::new();
        doing.send_replace("asking the targets of scrape_configs".to_owned());
        let round = group
            .scrape(shared.clock.now(), async |batch| {
                said.push(batch);
                doing.send_replace(format!(
                    "asking the targets of scrape_configs, {} have answered",
                    said.len()
                ));
            })
            .await;
        groups.extend(round.groups);
        all.push((group.every(), said));
    }
    let status = shared.telemetry.status().borrow().clone();
    report.findings.extend(findings(&status));
    let good = status.targets.values().filter(|target| target.last_error.is_none()).count();
    let series = all.iter().flat_map(|(_, said)| said).map(Batch::series_count).sum();
    let size = Size {
        targets: Some(status.targets.len()),
        silent: status.targets.len() - good,
        series,
        fleets: None,
    };
    report.size = report.size.map(|before| before.with(size));
    all
}

fn findings(status: &Status) -> Vec<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    let mut jobs: BTreeMap<&Text, Vec<(&Text, &TargetStatus)>> = BTreeMap::new();
    for ((job, instance), target) in &status.targets {
        jobs.entry(job).or_default().push((instance, target));
    }
    for (job, targets) in jobs {
        let (good, bad): (Vec<_>, Vec<_>) =
            targets.into_iter().partition(|(_, target)| target.last_error.is_none());
        let named = |(instance, target): (&Text, &TargetStatus)| {
            Finding::of(Part::Source, format!("target {job}/{instance}"), outcome(target))
        };
        all.extend(bad.into_iter().map(named));
        match good.len() {
            0..=TOLD => all.extend(good.into_iter().map(named)),
            many => {
                let samples: usize = good.iter().map(|(_, target)| target.samples).sum();
                let took = good.iter().map(|(_, target)| target.took.as_millis()).max().unwrap_or_default();
                let text = format!("{many} targets answer: {samples} samples, the slowest took {took} ms");
                all.push(Finding { part: Part::Source, what: format!("job {job}"), good: true, text });
            }
        }
    }
    for (what, why) in &status.not_scraped {
        all.push(Finding::of(
            Part::Source,
            what.to_string(),
            Err::<String, _>(format!("not scraped: {why}")),
        ));
    }
    if all.is_empty() {
        let text = "there is no target now".to_owned();
        all.push(Finding { part: Part::Note, what: "scrape_configs".into(), good: true, text });
    }
    all
}

fn outcome(target: &TargetStatus) -> Result<String, String> {
    if let Some(error) = &target.last_error {
        return Err(error.clone());
    }
    let (samples, took) = (target.samples, target.took.as_millis());
    let repeated = match target.repeated {
        0 => String::new(),
        some => format!(" ({some} of them say a series again and are left out)"),
    };
    let format = target.format.map(|format| format!(", {format}")).unwrap_or_default();
    Ok(format!("{samples} samples{repeated}{format}, took {took} ms"))
}
