//! The commands: each prints its answer and ends with an exit code.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use tokio::net::TcpListener;

use super::{Exit, chain, fail};
use crate::app::{self, Control, Reread};
use crate::config::Config;
use crate::telemetry::Telemetry;

/// Runs as a service.
pub(super) async fn run(config: Config, reread: &mut Reread) -> Exit {
    let listener = match config.web.listen {
        None => None,
        Some(address) => match TcpListener::bind(address).await {
            Ok(listener) => Some(listener),
            Err(error) => {
                return fail(
                    Exit::Usage,
                    format_args!(
                        "cannot listen on {address}: {error}; choose another address with \
                         FLEETPUSH_LISTEN_ADDRESS or --web.listen-address (or `off`)"
                    ),
                );
            }
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
        Ok(()) => Exit::Delivered,
        Err(error @ app::AppError::Page(_)) => fail(Exit::Failed, chain(error)),
        Err(error) => fail(Exit::Usage, chain(error)),
    }
}

/// Collects once and delivers.
pub(super) async fn once(config: Config) -> Exit {
    let control = Control::new();
    if let Err(error) = app::signals(&control) {
        return fail(Exit::Failed, format_args!("signals cannot be handled: {error}"));
    }
    match app::once(&config, Telemetry::new(), &control).await {
        Err(error) => fail(Exit::Usage, chain(error)),
        Ok(outcome) => {
            if outcome.collected {
                println!("{} fleets, {} series a cycle", outcome.fleets, outcome.series);
            }
            for failure in &outcome.failures {
                eprintln!("fleetpush: {failure}");
            }
            match (outcome.collected, outcome.failures.is_empty()) {
                (false, _) => Exit::Collect,
                (true, false) => Exit::Sink,
                (true, true) => Exit::Delivered,
            }
        }
    }
}

/// Tries everything without storing anything.
pub(super) async fn check(config: &Config) -> Exit {
    let report = app::check(config).await;
    for finding in &report.findings {
        let mark = if finding.good { "ok  " } else { "FAIL" };
        println!("{mark}  {}: {}", finding.what, finding.text);
    }
    if let Some((fleets, series)) = report.size {
        println!("{fleets} fleets, {series} series a cycle");
    }
    match (report.size.is_some(), report.findings.iter().all(|finding| finding.good)) {
        (false, _) => Exit::Collect,
        (true, false) => Exit::Sink,
        (true, true) => Exit::Delivered,
    }
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
    for line in table.lines() {
        println!("{}", line.trim());
    }
    println!("{} fleets, {series} series a cycle", fleets.len());
    Exit::Delivered
}

/// Deletes our groups at every gateway.
pub(super) async fn delete(config: &Config) -> Exit {
    if config.gateways.is_empty() {
        return fail(Exit::Usage, "there is no Pushgateway: set PUSHGATEWAY_URL or `pushgateways:`");
    }
    match app::delete_groups(config, &config.gateways).await {
        Ok(groups) => {
            println!("{groups} groups deleted");
            Exit::Delivered
        }
        Err(error) => fail(Exit::Sink, error),
    }
}

/// Foreign text for a terminal: control characters would move its cursor.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
