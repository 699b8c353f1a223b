//! The commands: each prints its answer and ends with an exit code.

use std::io::Read as _;
use std::net::SocketAddr;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::args::OnceOptions;
use super::progress::Progress;
use super::say::{Look, answer, complain, fail};
use super::{Exit, chain};
use crate::app::{self, AppError, Control, Given, Part, Reread, Room, Size};
use crate::config::Config;
use crate::telemetry::Telemetry;
use crate::telemetry::words::{self, span};

/// So many bytes a page that is given may have.
const LARGEST_PAGE: u64 = 512 << 20;

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
        AppError::QueueFolder(_)
        | AppError::Settings { .. }
        | AppError::Gateway { .. }
        | AppError::Job(_)
        | AppError::Guard(_) => fail(Exit::Usage, chain(error)),
    }
}

/// Collects once and delivers.
pub(super) async fn once(config: Config, options: &OnceOptions, look: Look) -> Exit {
    // A CronJob that delivers nothing must not look as if it did.
    if config.gateways.is_empty() && config.endpoints.is_empty() {
        return fail(
            Exit::Usage,
            "there is nowhere to deliver to: set PUSHGATEWAY_URL or REMOTE_WRITE_URL, or `pushgateways:` or \
             `remote_write:` in the file (`fleetpush fleets` counts without delivering)",
        );
    }
    let given = match given(&config, options).transpose() {
        Ok(given) => given,
        Err(error) => return fail(Exit::Usage, error),
    };
    let control = Control::new();
    if let Err(error) = app::signals(&control) {
        return fail(Exit::Failed, format_args!("signals cannot be handled: {error}"));
    }
    let is_given = given.is_some();
    let telemetry = Telemetry::new();
    let progress = Progress::of_once(look, telemetry.status());
    let ended = app::once(&config, given, telemetry, &control).await;
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
            match outcome.collected {
                true if is_given => answer(format_args!("{} series of the page", outcome.size.series), exit),
                true => answer(outcome.size, exit),
                false => exit,
            }
        }
    }
}

/// The page that was given, read whole; the error says what cannot be read and why.
fn given(config: &Config, options: &OnceOptions) -> Option<Result<Given, String>> {
    let path = options.from.as_ref()?;
    let (from, read, job) = if path.as_os_str() == "-" {
        ("standard input".to_owned(), read_page(std::io::stdin()), "stdin".to_owned())
    } else {
        (path.display().to_string(), std::fs::File::open(path).and_then(read_page), Given::job_of(path))
    };
    let job = options.job.clone().unwrap_or(job);
    let instance = options.instance.clone().unwrap_or_else(|| config.instance.to_string());
    Some(match read {
        Ok(bytes) => Ok(Given { from, bytes, job, instance }),
        Err(error) => Err(format!("{from} cannot be read: {error}")),
    })
}

fn read_page(from: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LARGEST_PAGE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_PAGE {
        return Err(std::io::Error::other(format!("it is longer than {}", words::size(LARGEST_PAGE))));
    }
    Ok(bytes)
}

/// Tries everything without storing anything.
pub(super) async fn check(config: &Config, look: Look) -> Exit {
    let report = working(look, async |doing| app::check(config, doing).await).await;
    let line = |finding: &app::Finding| {
        let mark = if finding.good { look.good("ok  ") } else { look.bad("FAIL") };
        format!("{mark}  {}: {}", one_line(&finding.what), one_line(&finding.text))
    };
    let mut lines: Vec<String> = report.findings.iter().map(line).collect();
    lines.extend(report.size.filter(|size| *size != Size::default()).map(|size| size.to_string()));
    lines.extend(report.room.map(room));
    let failed = |part| report.findings.iter().any(|finding| !finding.good && finding.part == part);
    let exit = match () {
        () if report.size.is_none() || failed(Part::Source) => Exit::Collect,
        () if failed(Part::Sink) => Exit::Sink,
        () if failed(Part::Queue) => Exit::Queue,
        () => Exit::Delivered,
    };
    answer(lines.join("\n"), exit)
}

/// For how long the queue has room, in words.
fn room(room: Room) -> String {
    let Room { cycle, every, max_size, on_disk, lasts, max_age } = room;
    let (what, room) = match on_disk {
        Some(room) => ("the room on its disk", room),
        None => ("max_size", max_size),
    };
    let max_age_is = span(max_age.as_secs());
    let then = match on_disk {
        _ if lasts >= max_age => format!("max_age ({max_age_is}) comes first"),
        Some(_) => "then what comes waits in memory, and is lost where that is full too".to_owned(),
        None => {
            format!("then the oldest goes, before max_age ({max_age_is}): raise queue.max_size to keep more")
        }
    };
    format!(
        "while a receiver is away the queue takes {} every {}: {what} ({}) lasts {}; {then}",
        words::size(cycle),
        span(every.as_secs().max(1)),
        words::size(room),
        span(lasts.as_secs())
    )
}

/// Does something of which a terminal is told where it takes a while.
pub(super) async fn working<T>(look: Look, work: impl AsyncFnOnce(&watch::Sender<String>) -> T) -> T {
    let doing = watch::Sender::default();
    let progress = Progress::of_work(look, doing.subscribe());
    let done = work(&doing).await;
    progress.end().await;
    done
}

/// Prints the fleets.
pub(super) async fn fleets(config: &Config, look: Look) -> Exit {
    let (fleets, series) = match working(look, async |doing| app::fleets(config, doing).await).await {
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
    // Painted when the columns are as wide as they are going to be.
    for (line, fleet) in lines.iter_mut().skip(1).zip(&fleets) {
        if fleet.total > 0 && fleet.online == 0 {
            *line = look.bad(line);
        }
    }
    if let Some(head) = lines.first_mut() {
        *head = look.strong(head);
    }
    lines.push(Size { fleets: Some(fleets.len()), series, ..Size::default() }.to_string());
    answer(lines.join("\n"), Exit::Delivered)
}

/// Asks the page of a running service.
pub(super) async fn healthcheck(config: &Config) -> Exit {
    match app::healthcheck(&config.web).await {
        Ok(url) => answer(format_args!("healthy: {url}"), Exit::Delivered),
        Err(error) => {
            let step = error.next_step().map(|step| format!("; {step}")).unwrap_or_default();
            fail(Exit::Failed, format_args!("{}{step}", chain(error)))
        }
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

/// Foreign text for a terminal: control characters would move its cursor, others turn or hide what follows.
pub(super) fn one_line(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}
