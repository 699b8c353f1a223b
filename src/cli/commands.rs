//! The commands: each prints its answer and ends with an exit code.

use std::net::SocketAddr;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use tokio::net::TcpListener;

use super::progress::Progress;
use super::say::{answer, complain, fail};
use super::{Exit, chain};
use crate::app::{self, AppError, Control, Reread};
use crate::config::Config;
use crate::telemetry::Telemetry;

/// Runs as a service.
pub(super) async fn run(config: Config, reread: &mut Reread) -> Exit {
    let listener = match config.web.listen {
        None => None,
        Some(address) => match TcpListener::bind(address).await {
            Ok(listener) => Some(listener),
            Err(error) => return fail(Exit::Usage, cannot_listen(address, &error)),
        },
    };
    let mut control = Control::new();
    if let Err(error) = app::signals(&control) {
        return fail(Exit::Failed, format_args!("signals cannot be handled: {error}"));
    }
    if let Some(address) = listener.as_ref().and_then(|listener| listener.local_addr().ok()) {
        tracing::info!(%address, path = config.web.telemetry_path, "serving the page");
    }
    match app::run(config, Telemetry::new(), listener, &mut control, reread).await {
        Ok(()) if control.abort.is_cancelled() => Exit::Sink,
        Ok(()) => Exit::Delivered,
        Err(error) => cannot_run(error),
    }
}

/// Says why nothing runs, and with which exit code.
fn cannot_run(error: AppError) -> Exit {
    match error {
        AppError::Page(_) => fail(Exit::Failed, chain(error)),
        AppError::Queue(_) => fail(Exit::Queue, chain(error)),
        AppError::QueueFolder(_) | AppError::Settings { .. } | AppError::Gateway { .. } => {
            fail(Exit::Usage, chain(error))
        }
    }
}

/// Collects once and delivers.
pub(super) async fn once(config: Config) -> Exit {
    let control = Control::new();
    if let Err(error) = app::signals(&control) {
        return fail(Exit::Failed, format_args!("signals cannot be handled: {error}"));
    }
    let telemetry = Telemetry::new();
    let progress = Progress::watch(telemetry.status());
    let ended = app::once(&config, telemetry, &control).await;
    progress.end().await;
    match ended {
        Err(error) => cannot_run(error),
        Ok(outcome) => {
            outcome.failures.iter().for_each(complain);
            let exit = match (outcome.collected, outcome.failures.is_empty()) {
                (false, _) => Exit::Collect,
                (true, false) => Exit::Sink,
                (true, true) => Exit::Delivered,
            };
            if outcome.collected { answer(size(outcome.fleets, outcome.series), exit) } else { exit }
        }
    }
}

/// Tries everything without storing anything.
pub(super) async fn check(config: &Config) -> Exit {
    let report = app::check(config).await;
    let line = |finding: &app::Finding| {
        let mark = if finding.good { "ok  " } else { "FAIL" };
        format!("{mark}  {}: {}", one_line(&finding.what), one_line(&finding.text))
    };
    let mut lines: Vec<String> = report.findings.iter().map(line).collect();
    lines.extend(report.size.map(|(fleets, series)| size(fleets, series)));
    let exit = match (report.size.is_some(), report.findings.iter().all(|finding| finding.good)) {
        (false, _) => Exit::Collect,
        (true, false) => Exit::Sink,
        (true, true) => Exit::Delivered,
    };
    answer(lines.join("\n"), exit)
}

/// Prints the fleets.
pub(super) async fn fleets(config: &Config) -> Exit {
    let (fleets, series) = match app::fleets(config).await {
        Ok(found) => found,
        Err(error) => return fail(Exit::Collect, error),
    };
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["SLUG", "NAME", "ONLINE", "TOTAL", "STATUS"]);
    for column in [2, 3] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for fleet in &fleets {
        let split: Vec<String> = fleet
            .statuses
            .iter()
            .filter(|(_, n)| **n > 0)
            .map(|(status, n)| format!("{n} {status}"))
            .collect();
        table.add_row([
            one_line(&fleet.slug),
            one_line(&fleet.name),
            fleet.online.to_string(),
            fleet.total.to_string(),
            one_line(&split.join(", ")),
        ]);
    }
    let mut lines: Vec<String> = table.lines().map(|line| line.trim().to_owned()).collect();
    lines.push(size(fleets.len(), series));
    answer(lines.join("\n"), Exit::Delivered)
}

/// Asks the page of a running service.
pub(super) async fn healthcheck(config: &Config) -> Exit {
    match app::healthcheck(&config.web).await {
        Ok(url) => answer(format_args!("healthy: {url}"), Exit::Delivered),
        Err(error) => fail(Exit::Failed, chain(error)),
    }
}

/// Deletes our groups at every gateway.
pub(super) async fn delete(config: &Config) -> Exit {
    if config.gateways.is_empty() {
        return fail(Exit::Usage, "there is no Pushgateway: set PUSHGATEWAY_URL or `pushgateways:`");
    }
    match app::delete_groups(config, &config.gateways).await {
        Ok(groups) => answer(format_args!("{groups} groups deleted"), Exit::Delivered),
        Err(error) => fail(Exit::Sink, error),
    }
}

/// Why the page cannot be served, with both ways out.
pub(super) fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> String {
    format!(
        "cannot listen on {address}: {error}; choose another address with FLEETPUSH_LISTEN_ADDRESS or \
         --web.listen-address, or serve no page with `off`"
    )
}

fn size(fleets: usize, series: usize) -> String {
    format!("{fleets} fleets, {series} series a cycle")
}

/// Foreign text for a terminal: control characters would move its cursor, others turn or hide what follows.
pub(super) fn one_line(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}
