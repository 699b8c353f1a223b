//! How the relayed targets are: those that fail first, and all of them by jobs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::number;
use crate::sample::Millis;
use crate::telemetry::status::{Status, TargetStatus};
use crate::telemetry::words::{Sentence, exact};

/// The targets of `scrape_configs`.
#[derive(Debug, Serialize)]
pub struct RelayView {
    /// How they are as a whole, in words.
    pub summary: String,
    /// How many are up.
    pub up: usize,
    /// How many are down.
    pub down: usize,
    /// How many have not been scraped yet.
    pub starting: usize,
    /// Each job that has a target; those with targets that are down first.
    pub jobs: Vec<JobView>,
    /// Each target; those that are down first, then those that have not been scraped yet.
    pub targets: Vec<TargetView>,
    /// What was found and is not scraped.
    pub not_scraped: Vec<NotScrapedView>,
    /// Whether there is an interval whose targets have not been asked yet.
    #[serde(skip)]
    pub is_starting: bool,
    /// The shortest interval.
    #[serde(skip)]
    pub every_seconds: u64,
}

/// The targets of one job.
#[derive(Debug, Serialize)]
pub struct JobView {
    /// The label `job` of its series.
    pub job: String,
    /// How many targets are up.
    pub up: usize,
    /// How many are down.
    pub down: usize,
    /// How many have not been scraped yet.
    pub starting: usize,
    /// Samples of the pages of those that are up.
    pub samples: usize,
}

/// One target.
#[derive(Debug, Serialize)]
pub struct TargetView {
    /// The label `job` of its series.
    pub job: String,
    /// The label `instance`; with what else tells it apart where another target has both.
    pub instance: String,
    /// How it is.
    pub state: TargetState,
    /// That in sentences.
    pub words: Vec<Sentence>,
    /// When it was last scraped, well or badly.
    pub last_scrape: Option<String>,
    /// When it was last scraped with success.
    pub last_success: Option<String>,
    /// When the first of the scrapes was that have failed since.
    pub down_since: Option<String>,
    /// Why the last scrape failed, and what to do.
    pub last_error: Option<String>,
    /// Samples of its last page that was read.
    pub samples: usize,
    /// How long the last scrape took.
    pub took_seconds: f64,
}

/// How a target is, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetState {
    /// The last scrape failed.
    Down,
    /// It has not been scraped yet.
    Starting,
    /// The last scrape went well.
    Up,
}

/// What is not scraped.
#[derive(Debug, Serialize)]
pub struct NotScrapedView {
    /// A target, or a file that names targets.
    pub what: String,
    /// Why.
    pub why: String,
}

impl RelayView {
    /// None where no targets are asked for.
    pub(super) fn new(status: &Status, now: Millis) -> Option<Self> {
        let every = status.groups.keys().min()?;
        let mut targets: Vec<TargetView> = status
            .targets
            .iter()
            .map(|((job, instance), target)| TargetView::new(job, instance, target, now))
            .collect();
        targets.sort_by_key(|target| target.state);
        let mut by_job: BTreeMap<&str, JobView> = BTreeMap::new();
        for target in &targets {
            let job = by_job.entry(&target.job).or_insert_with(|| JobView::of(&target.job));
            match target.state {
                TargetState::Down => job.down += 1,
                TargetState::Starting => job.starting += 1,
                TargetState::Up => (job.up, job.samples) = (job.up + 1, job.samples + target.samples),
            }
        }
        let mut jobs: Vec<JobView> = by_job.into_values().collect();
        jobs.sort_by_key(|job| job.down == 0);
        let all = |count: fn(&JobView) -> usize| jobs.iter().map(count).sum();
        let (up, down, starting) = (all(|job| job.up), all(|job| job.down), all(|job| job.starting));
        let not_scraped = status.not_scraped.iter();
        let not_scraped: Vec<NotScrapedView> = not_scraped
            .map(|(what, why)| NotScrapedView { what: what.to_string(), why: why.clone() })
            .collect();
        Some(RelayView {
            summary: summary(targets.len(), down, starting),
            up,
            down,
            starting,
            jobs,
            targets,
            not_scraped,
            is_starting: status.groups.values().any(|asked| !asked),
            every_seconds: every.as_secs(),
        })
    }

    /// What needs a look.
    pub(super) fn trouble(&self) -> impl Iterator<Item = String> {
        let down = match (self.down, self.targets.len()) {
            (0, _) => None,
            (1, 1) => Some("the target is down".to_owned()),
            (1, all) => Some(format!("1 of {all} targets is down")),
            (down, all) => Some(format!("{down} of {all} targets are down")),
        };
        let refused = match self.not_scraped.len() {
            0 => None,
            1 => Some(format!("{} is not scraped", self.not_scraped[0].what)),
            many => Some(format!("{many} targets or files of targets are not scraped")),
        };
        down.into_iter().chain(refused)
    }
}

fn summary(all: usize, down: usize, starting: usize) -> String {
    let targets = number(all, "target");
    let are =
        |number: usize, what: &str| format!("{number} {} {what}", if number == 1 { "is" } else { "are" });
    match (all, down, starting) {
        (0, ..) => "no target is named now".to_owned(),
        (1, 0, 0) => "1 target, which is up".to_owned(),
        (_, 0, 0) => format!("{targets}, all of them up"),
        (_, 0, _) => format!("{targets}, {} to be scraped first", are(starting, "still")),
        (_, _, 0) => format!("{targets}, {}", are(down, "down")),
        _ => format!("{targets}, {}, {} to be scraped first", are(down, "down"), are(starting, "still")),
    }
}

impl JobView {
    fn of(job: &str) -> Self {
        JobView { job: job.to_owned(), up: 0, down: 0, starting: 0, samples: 0 }
    }
}

impl TargetView {
    fn new(job: &str, instance: &str, target: &TargetStatus, now: Millis) -> Self {
        let state = match (target.last_scrape, &target.last_error) {
            (None, _) => TargetState::Starting,
            (Some(_), None) => TargetState::Up,
            (Some(_), Some(_)) => TargetState::Down,
        };
        TargetView {
            job: job.to_owned(),
            instance: instance.to_owned(),
            state,
            words: words(target, now),
            last_scrape: target.last_scrape.map(exact),
            last_success: target.last_success.map(exact),
            down_since: target.failing_since.map(exact),
            last_error: target.last_error.clone(),
            samples: target.samples,
            took_seconds: target.took.as_secs_f64(),
        }
    }
}

fn words(target: &TargetStatus, now: Millis) -> Vec<Sentence> {
    let ago = |begun: Sentence, then: Millis| begun.span(exact(then), now.since(then).as_secs());
    let page = |begun: &str| number(target.samples, "sample") + begun;
    let Some(last) = target.last_scrape else { return vec![Sentence::new("not scraped yet")] };
    let Some(error) = &target.last_error else {
        let took = format!(" ago, which took {} ms", target.took.as_millis());
        let mut all = vec![ago(Sentence::new(page(", scraped ")), last).say(took)];
        if target.repeated > 0 {
            let repeated = number(target.repeated, "sample");
            all.push(Sentence::new(format!("{repeated} say a series again and are left out")));
        }
        return all;
    };
    let since = target.failing_since.unwrap_or(last);
    let mut all = vec![ago(Sentence::new("down for "), since).say(format!(": {error}"))];
    all.push(match target.last_success {
        Some(then) => ago(Sentence::new(page(" on its last page, ")), then).say(" ago; meanwhile up is 0"),
        None => Sentence::new("never up since the start; meanwhile up is 0"),
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_what_there_is() {
        for (all, down, starting, said) in [
            (0, 0, 0, "no target is named now"),
            (1, 0, 0, "1 target, which is up"),
            (3, 0, 0, "3 targets, all of them up"),
            (3, 1, 0, "3 targets, 1 is down"),
            (1, 0, 1, "1 target, 1 is still to be scraped first"),
            (9, 2, 3, "9 targets, 2 are down, 3 are still to be scraped first"),
        ] {
            assert_eq!(summary(all, down, starting), said);
        }
    }
}
