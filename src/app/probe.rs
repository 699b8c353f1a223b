//! Questions that store nothing: does everything answer, which fleets are there; and the deletion of our
//! groups. For the commands, not for the running service.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::shared::Shared;
use super::{AppError, Parts};
use crate::clock::Clock;
use crate::collect::{Collector, FleetCounts};
use crate::config::{Account, Config, Gateway};
use crate::http::{HttpError, chain};
use crate::sample::{Source, Text};
use crate::sink::pushgateway::Pusher;
use crate::telemetry::Telemetry;

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was tried.
    pub what: String,
    /// Whether it is as it should be.
    pub good: bool,
    /// In plain words how it is, and where it is not good what to do next.
    pub text: String,
}

impl Finding {
    fn of(what: impl Into<String>, outcome: Result<String, impl fmt::Display>) -> Self {
        match outcome {
            Ok(text) => Finding { what: what.into(), good: true, text },
            Err(error) => Finding { what: what.into(), good: false, text: error.to_string() },
        }
    }
}

/// What `check` has found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// In the order of trying.
    pub findings: Vec<Finding>,
    /// Fleets and series of a cycle, where every account could be counted.
    pub size: Option<(usize, usize)>,
}

/// Tries the token, the API and every sink. Stores nothing anywhere.
pub async fn check(config: &Config) -> CheckReport {
    let shared = Arc::new(Shared::new(config, Clock::SYSTEM, Telemetry::new()));
    shared.leave_store_alone(config);
    let mut report = CheckReport { size: Some((0, 0)), ..CheckReport::default() };
    if config.gateways.is_empty() && config.endpoints.is_empty() {
        let text = match config.web.listen {
            Some(address) => format!(
                "no Pushgateway and no remote write is set: the counts are on the page at {address} alone"
            ),
            None => {
                "no page, no Pushgateway and no remote write is set: nobody would see the counts".to_owned()
            }
        };
        report.findings.push(Finding { what: "sinks".into(), good: config.web.listen.is_some(), text });
    }
    let parts = match Parts::build(config, &shared) {
        Ok(parts) => parts,
        Err(error) => {
            report.findings.push(Finding::of("settings", Err::<String, _>(chain(&error))));
            return CheckReport { size: None, ..report };
        }
    };
    for mut source in parts.sources {
        let token = source.collector.whoami().await;
        let token =
            token.map(|who| format!("belongs to {}", who.username)).map_err(|error| error.explained());
        report.findings.push(Finding::of(format!("token of account {}", source.name), token));
        let began = Instant::now();
        let (batch, cycle) = source.collector.cycle().await;
        let took = began.elapsed().as_millis();
        let size = report.size.take();
        let api = match (cycle.error, cycle.fleets) {
            (None, Some(fleets)) => {
                report.size = size.map(|(f, s)| (f + fleets, s + batch.series_count()));
                // Dates of HTTP are whole seconds, so a smaller difference means nothing.
                let skew = cycle.skew_seconds.map(f64::abs).filter(|seconds| *seconds >= 2.0);
                let skew = skew.map(|seconds| format!(", its clock and ours differ by {seconds:.0} s"));
                Ok(format!("answers in {took} ms, {fleets} fleets{}", skew.unwrap_or_default()))
            }
            (error, _) => {
                Err(error.map_or_else(|| "nothing was counted".to_owned(), |error| error.explained()))
            }
        };
        report.findings.push(Finding::of(format!("API of account {}", source.name), api));
        for warning in cycle.warnings {
            report.findings.push(Finding { what: "note".into(), good: true, text: warning });
        }
    }
    for gateway in parts.gateways {
        let name = format!("pushgateway {}", gateway.name());
        report.findings.push(Finding::of(name, gateway.check().await));
    }
    for mut worker in parts.workers {
        let name = format!("remote_write {}", worker.name());
        report.findings.push(Finding::of(name, worker.check().await));
    }
    report
}

/// Every account's fleets as they are now, and how many series they make in a cycle.
///
/// # Errors
/// A text that says which account could not be counted, and why.
pub async fn fleets(config: &Config) -> Result<(Vec<FleetCounts>, usize), String> {
    let (mut all, mut series) = (Vec::new(), 0);
    for account in &config.accounts {
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
