//! Questions that store nothing: does everything answer, which fleets are there; and the deletion of our
//! groups. For the commands, not for the running service.

mod targets;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::room::Room;
use super::shared::Shared;
use super::{AppError, Parts};
use crate::clock::Clock;
use crate::collect::{CollectError, Collector, FleetCounts};
use crate::config::{Account, Config, Gateway};
use crate::http::{HttpError, chain};
use crate::sample::{Batch, Source, Text};
use crate::sink::pushgateway::Pusher;
use crate::telemetry::Telemetry;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The token, the API.
    Source,
    /// A Pushgateway, a remote-write endpoint, the page.
    Sink,
    /// The queue.
    Queue,
    /// What one should know.
    Note,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub part: Part,
    /// What was tried.
    pub what: String,
    /// Whether it is as it should be.
    pub good: bool,
    /// In plain words how it is, and where it is not good what to do next.
    pub text: String,
}

impl Finding {
    fn of(part: Part, what: impl Into<String>, outcome: Result<String, impl fmt::Display>) -> Self {
        let (good, text) = match outcome {
            Ok(text) => (true, text),
            Err(error) => (false, error.to_string()),
        };
        Finding { part, what: what.into(), good, text }
    }
}

/// What a cycle is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Fleets; none without an account.
    pub fleets: Option<usize>,
    /// Targets; none without `scrape_configs`.
    pub targets: Option<usize>,
    /// How many of them do not answer as they should, so that the series of their pages are not counted.
    pub silent: usize,
    /// Series of all of these.
    pub series: usize,
}

impl Size {
    fn with(self, more: Size) -> Size {
        let sum = |one: Option<usize>, other: Option<usize>| match (one, other) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or(0) + other.unwrap_or(0)),
        };
        Size {
            fleets: sum(self.fleets, more.fleets),
            targets: sum(self.targets, more.targets),
            silent: self.silent + more.silent,
            series: self.series + more.series,
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let targets = |number| if number == 1 { "1 target".to_owned() } else { format!("{number} targets") };
        match (self.fleets, self.targets) {
            (Some(fleets), None) => write!(f, "{fleets} fleets, {} series a cycle", self.series)?,
            (Some(fleets), Some(number)) => {
                write!(f, "{fleets} fleets, {}, {} series a cycle", targets(number), self.series)?;
            }
            (None, number) => write!(f, "{} series of {}", self.series, targets(number.unwrap_or(0)))?,
        }
        match self.silent {
            0 => Ok(()),
            1 => f.write_str(", without those of the page that could not be read"),
            many => write!(f, ", without those of the {many} pages that could not be read"),
        }
    }
}

/// What `check` has found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// In the order of trying.
    pub findings: Vec<Finding>,
    /// What a cycle is of, where every account could be counted.
    pub size: Option<Size>,
    /// For how long the queue has room at that size, where there is one.
    pub room: Option<Room>,
}

/// Tries the token, the API, the queue's place and every sink. Stores nothing anywhere. `doing` hears what is
/// tried now.
pub async fn check(config: &Config, doing: &watch::Sender<String>) -> CheckReport {
    let shared = Arc::new(Shared::new(config, Clock::SYSTEM, Telemetry::of_question()));
    shared.leave_store_alone(config);
    let mut report = CheckReport { size: Some(Size::default()), ..CheckReport::default() };
    report.findings.extend(no_sink(config));
    let parts = match Parts::build(config, &shared) {
        Ok(parts) => parts,
        Err(error) => {
            report.findings.push(Finding::of(Part::Source, "settings", Err::<String, _>(chain(&error))));
            return CheckReport { size: None, ..report };
        }
    };
    let mut batches = Vec::new();
    for source in parts.sources {
        batches.extend(account(source, doing, &mut report).await);
    }
    let said = targets::ask((config, &parts.jobs), &shared, doing, &mut report).await;
    if !config.endpoints.is_empty() {
        report.findings.push(Finding::of(Part::Queue, "queue", super::room::place(config).await));
        if report.size.is_some() {
            report.room = Room::of(config, &batches, &said, &shared.telemetry, shared.clock.now());
        }
    }
    for gateway in parts.gateways {
        let name = format!("pushgateway {}", gateway.name());
        doing.send_replace(format!("trying {name}"));
        report.findings.push(Finding::of(Part::Sink, name, gateway.check().await));
    }
    for mut worker in parts.workers {
        let name = format!("remote_write {}", worker.name());
        doing.send_replace(format!("trying {name}"));
        report.findings.push(Finding::of(Part::Sink, name, worker.check().await));
    }
    report
}

/// What is to be said where nothing is pushed anywhere.
fn no_sink(config: &Config) -> Option<Finding> {
    if !config.gateways.is_empty() || !config.endpoints.is_empty() {
        return None;
    }
    let outcome = match config.web.listen {
        Some(address) => Ok(format!(
            "no Pushgateway and no remote write is set: the counts are on the page at {address} alone"
        )),
        None => Err(
            "no page, no Pushgateway and no remote write is set: nobody would see the counts; set one, or run \
                     `fleetpush init`",
        ),
    };
    Some(Finding::of(Part::Sink, "sinks", outcome))
}

/// Tries an account's token and counts its fleets; gives what was counted.
async fn account(
    mut source: super::Source,
    doing: &watch::Sender<String>,
    report: &mut CheckReport,
) -> Option<Batch> {
    doing.send_replace(format!("asking the API whose the token of account {} is", source.name));
    let token = source.collector.whoami().await;
    let unreached = matches!(token, Err(CollectError::Http { .. }));
    let token = token.map(|who| format!("belongs to {}", who.username)).map_err(|error| error.explained());
    report.findings.push(Finding::of(Part::Source, format!("token of account {}", source.name), token));
    let api = format!("API of account {}", source.name);
    if unreached {
        // It would fail in the same way, after as long.
        report.findings.push(Finding::of(
            Part::Source,
            api,
            Err::<String, _>("not asked, as it is not reached"),
        ));
        report.size = None;
        return None;
    }
    doing.send_replace(format!("counting the fleets of account {}", source.name));
    let began = Instant::now();
    let (batch, cycle) = source.collector.cycle().await;
    let took = began.elapsed().as_millis();
    let size = report.size.take();
    let mut counted = None;
    let outcome = match (cycle.error, cycle.fleets) {
        (None, Some(fleets)) => {
            report.size = size.map(|before| {
                before.with(Size { fleets: Some(fleets), series: batch.series_count(), ..Size::default() })
            });
            counted = Some(batch);
            // Dates of HTTP are whole seconds, so a smaller difference means nothing.
            let skew = cycle.skew_seconds.map(f64::abs).filter(|seconds| *seconds >= 2.0);
            let skew = skew.map(|seconds| format!(", its clock and ours differ by {seconds:.0} s"));
            Ok(format!("answers in {took} ms, {fleets} fleets{}", skew.unwrap_or_default()))
        }
        (error, _) => Err(error.map_or_else(|| "nothing was counted".to_owned(), |error| error.explained())),
    };
    report.findings.push(Finding::of(Part::Source, api, outcome));
    for warning in cycle.warnings {
        report.findings.push(Finding { part: Part::Note, what: "note".into(), good: true, text: warning });
    }
    counted
}

/// Every account's fleets as they are now, and how many series they make in a cycle. `doing` hears what is asked
/// now.
///
/// # Errors
/// A text that says which account could not be counted, and why.
pub async fn fleets(
    config: &Config,
    doing: &watch::Sender<String>,
) -> Result<(Vec<FleetCounts>, usize), String> {
    let (mut all, mut series) = (Vec::new(), 0);
    for account in &config.accounts {
        doing.send_replace(format!("counting the fleets of account {}", account.name));
        let of_account = |why: String| format!("account {}: {why}", account.name);
        let collector = collector(config, account).map_err(|error| of_account(chain(&error)))?;
        let fleets = collector.fleets().await.map_err(|error| of_account(error.explained()))?;
        series += collector.series_count(&fleets);
        all.extend(fleets);
    }
    all.sort_by(|a, b| a.slug.cmp(&b.slug));
    Ok((all, series))
}

fn collector(config: &Config, account: &Account) -> Result<Collector, HttpError> {
    Collector::new(account, config.fleet_labels, config.stale_after, Clock::SYSTEM)
}

/// Deletes the groups that a configuration pushes, at these gateways.
///
/// # Errors
/// A text that names the first gateway that did not do so, and why.
pub async fn delete_groups(config: &Config, gateways: &[Gateway]) -> Result<usize, String> {
    // A lone account's name is no part of its group's key, so this works without a token too.
    let names: Vec<Text> = config.accounts.iter().map(|account| account.name.clone()).collect();
    let names = if names.is_empty() { vec!["balena".into()] } else { names };
    let sources: Vec<Source> = names.into_iter().map(Source::Account).chain([Source::Own]).collect();
    let mut deleted = 0;
    for gateway in gateways {
        let (job, instance) = (config.job.clone(), config.instance.clone());
        let of_gateway = |error| chain(&AppError::Gateway { name: gateway.name.to_string(), source: error });
        let pusher = Pusher::new(gateway.clone(), job, instance, Clock::SYSTEM, Telemetry::new());
        deleted += pusher.map_err(of_gateway)?.delete(&sources).await.map_err(of_gateway)?;
    }
    Ok(deleted)
}
