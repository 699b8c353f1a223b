//! `fleetpush queue …`: asks, and says the answer in words.

use std::fmt::Write;

use super::args::Queue;
use super::commands::{one_line, working};
use super::say::{Look, answer, fail};
use super::{Exit, chain};
use crate::app::{self, Answer, Ask, AskError, EndpointReport, EndpointState, Report};
use crate::config::Config;

/// Does what was asked of the queue.
pub(super) async fn queue(config: &Config, command: Queue, look: Look) -> Exit {
    let (ask, json) = match &command {
        Queue::Status { json } => (Ask::Status, *json),
        Queue::Verify => (Ask::Verify, false),
        Queue::Drop { endpoint } => (Ask::Drop { endpoint: endpoint.clone() }, false),
        Queue::Retry { endpoint } => (Ask::Retry { endpoint: endpoint.clone() }, false),
    };
    let asked = working(look, async |doing| {
        let reads = matches!(ask, Ask::Verify);
        doing.send_replace(if reads { "reading every record" } else { "asking the queue" }.to_owned());
        app::ask_queue(config, ask).await
    });
    let found = match asked.await {
        Ok(found) => found,
        Err(error @ AskError::Memory) => return fail(Exit::Usage, chain(error)),
        Err(error) => return fail(Exit::Queue, chain(error)),
    };
    match (found, command) {
        (Answer::Nothing { folder }, _) => answer(
            format_args!("there is no queue in {folder}: nothing was ever put into it"),
            Exit::Delivered,
        ),
        (Answer::Status(report), _) if json => match serde_json::to_string_pretty(&report) {
            Ok(text) => answer(text, Exit::Delivered),
            Err(error) => fail(Exit::Failed, format_args!("the answer cannot be written: {error}")),
        },
        (Answer::Status(report), _) => answer(status(&report, look), Exit::Delivered),
        (Answer::Verified { records, samples, refused, damaged }, _) => {
            let whole =
                format!("{records} records with {samples} samples are whole, and {refused} refused ones");
            match damaged {
                0 => answer(whole, Exit::Delivered),
                damaged => answer(format_args!("{whole}; {damaged} cannot be read"), Exit::Queue),
            }
        }
        (Answer::Dropped { waiting, refused, removed }, Queue::Drop { endpoint }) => {
            let gone = if removed { ", and the endpoint is gone from the queue" } else { "" };
            let what = format!(
                "{endpoint}: {waiting} samples that waited and {refused} refused ones are dropped{gone}"
            );
            answer(what, Exit::Delivered)
        }
        (Answer::Retrying { samples: 0, .. }, Queue::Retry { endpoint }) => {
            answer(format_args!("{endpoint}: no refused samples are kept"), Exit::Delivered)
        }
        (Answer::Retrying { records, samples, running }, Queue::Retry { endpoint }) => {
            let when = if running { "once nothing else waits" } else { "by the next `run` or `once`" };
            answer(
                format_args!(
                    "{endpoint}: {samples} samples of {records} refused requests are sent again {when}"
                ),
                Exit::Delivered,
            )
        }
        (Answer::NoSuchEndpoint { known }, Queue::Drop { endpoint } | Queue::Retry { endpoint }) => {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            fail(
                Exit::Usage,
                format_args!("there is no endpoint {endpoint:?}; there are: {}", one_line(&known)),
            )
        }
        (Answer::Failed { why }, _) => fail(Exit::Queue, one_line(&why)),
        (other, _) => fail(Exit::Failed, format_args!("an answer to something else came: {other:?}")),
    }
}

/// The report in sentences.
fn status(report: &Report, look: Look) -> String {
    let Report { folder, holder, at, bytes, records, room_seconds, pending_samples, trouble, endpoints } =
        report;
    let mut lines = vec![match holder {
        Some(holder) => format!("the queue in {folder} at {at}, in use by {}", one_line(holder)),
        None => format!("the queue in {folder} at {at}; nothing runs"),
    }];
    let mut size = format!("{} on the disk, {records} records", self::bytes(*bytes));
    if let Some(room) = room_seconds {
        let room = ago(*room);
        write!(size, "; at the present rate max_size lasts {room} more if nothing is delivered")
            .unwrap_or_default();
    }
    lines.push(size);
    if let Some(trouble) = trouble {
        let trouble = one_line(trouble);
        let bad = look.bad("the store cannot be used");
        lines.push(format!("{bad}, {pending_samples} samples wait in memory: {trouble}"));
    }
    if endpoints.is_empty() {
        lines.push("no endpoint".to_owned());
    }
    for endpoint in endpoints {
        lines.push(String::new());
        lines.extend(endpoint_lines(endpoint, look));
    }
    lines.join("\n")
}

fn endpoint_lines(endpoint: &EndpointReport, look: Look) -> Vec<String> {
    let name = one_line(&endpoint.name);
    let why = || one_line(endpoint.last_error.as_deref().unwrap_or("no reason known"));
    let mut lines = vec![match &endpoint.url {
        Some(url) if *url != endpoint.name => format!("{name} ({})", one_line(url)),
        _ => name.clone(),
    }];
    let last = match endpoint.last_success_seconds {
        Some(seconds) => format!("the last request was taken {} ago", ago(seconds)),
        None => "no request was taken since the start".to_owned(),
    };
    lines.push(match &endpoint.state {
        EndpointState::NotRunning => "  not sending: nothing runs".to_owned(),
        EndpointState::Removed => format!(
            "  no longer configured: what waits stays until max_age, or `fleetpush queue drop --endpoint {name}`"
        ),
        EndpointState::Idle => "  nothing was sent yet".to_owned(),
        EndpointState::Sending { protocol: Some(protocol) } => format!("  sending ({protocol}), {last}"),
        EndpointState::Sending { protocol: None } => format!("  sending, {last}"),
        EndpointState::Waiting { until, seconds } => {
            format!("  {} until {until} (in {}) to try again, {last}, because {}",
                look.doubtful("waiting"), ago(*seconds), why())
        }
        EndpointState::Parked { until, seconds } => {
            format!("  {}, nothing is dropped, asked again at {until} (in {}), {last}, because {}",
                look.bad("parked"), ago(*seconds), why())
        }
    });
    lines.push(match &endpoint.oldest {
        None => "  nothing waits".to_owned(),
        Some(oldest) => format!(
            "  {} samples in {} records wait; lag {}, the oldest is of {oldest}",
            endpoint.waiting_samples,
            endpoint.waiting_records,
            ago(endpoint.lag_seconds)
        ),
    });
    match (endpoint.refused_samples, endpoint.again_samples) {
        (0, _) => {}
        (refused, 0) => lines.push(format!(
            "  {refused} samples were refused and are kept: `fleetpush queue retry --endpoint {name}` sends them again"
        )),
        (refused, again) => {
            lines.push(format!("  {refused} samples were refused and are kept, {again} of them are sent again"));
        }
    }
    lines
}

/// A span as one says it: two units at most.
pub(super) fn ago(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let Some(first) = UNITS.iter().position(|(unit, _)| seconds >= *unit) else { return "0 s".to_owned() };
    let (unit, word) = UNITS[first];
    let whole = format!("{} {word}", seconds / unit);
    match UNITS.get(first + 1).map(|(smaller, word)| (seconds % unit / smaller, word)) {
        Some((rest @ 1.., word)) => format!("{whole} {rest} {word}"),
        _ => whole,
    }
}

pub(super) fn bytes(bytes: u64) -> String {
    const KIB: u64 = 1024;
    match bytes {
        0..KIB => format!("{bytes} bytes"),
        KIB..1_048_576 => format!("{} KiB", bytes / KIB),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(state: EndpointState) -> EndpointReport {
        EndpointReport {
            name: "env".into(),
            state,
            url: Some("http://a/push".into()),
            last_error: Some("the receiver answered 503\u{1b}".into()),
            last_success_seconds: None,
            waiting_records: 0,
            waiting_samples: 0,
            oldest: None,
            lag_seconds: 0,
            refused_samples: 0,
            again_samples: 0,
        }
    }

    #[test]
    fn spans_and_sizes_are_said_as_one_says_them() {
        for (seconds, said) in [
            (0, "0 s"),
            (59, "59 s"),
            (61, "1 min 1 s"),
            (3_600, "1 h"),
            (694_800, "8 d 1 h"),
            (86_461, "1 d"),
        ] {
            assert_eq!(ago(seconds), said);
        }
        for (bytes, said) in [(5, "5 bytes"), (2_048, "2 KiB"), (3 << 19, "1.5 MiB")] {
            assert_eq!(super::bytes(bytes), said);
        }
    }

    #[test]
    fn a_report_says_what_each_endpoint_does_and_since_when_it_lags() {
        let at = || "2026-01-01T00:00:30Z".to_owned();
        let waiting = EndpointReport {
            waiting_records: 2,
            waiting_samples: 70,
            oldest: Some("2026-01-01T00:00:00Z".into()),
            lag_seconds: 30,
            last_success_seconds: Some(65),
            ..endpoint(EndpointState::Waiting { until: at(), seconds: 4 })
        };
        let refused = EndpointReport {
            refused_samples: 9,
            ..endpoint(EndpointState::Parked { until: at(), seconds: 90 })
        };
        let again = EndpointReport {
            refused_samples: 9,
            again_samples: 4,
            url: None,
            ..endpoint(EndpointState::Removed)
        };
        let sending = endpoint(EndpointState::Sending { protocol: Some("remote write 2.0".into()) });
        let report = Report {
            folder: "/q".into(),
            holder: Some("pid 1 on a since b".into()),
            at: at(),
            bytes: 4_096,
            records: 2,
            room_seconds: Some(3_700),
            pending_samples: 3,
            trouble: Some("the disk is full".into()),
            endpoints: vec![sending, waiting, refused, again],
        };
        insta::assert_snapshot!(status(&report, Look::PLAIN), @r"
        the queue in /q at 2026-01-01T00:00:30Z, in use by pid 1 on a since b
        4 KiB on the disk, 2 records; at the present rate max_size lasts 1 h 1 min more if nothing is delivered
        the store cannot be used, 3 samples wait in memory: the disk is full

        env (http://a/push)
          sending (remote write 2.0), no request was taken since the start
          nothing waits

        env (http://a/push)
          waiting until 2026-01-01T00:00:30Z (in 4 s) to try again, the last request was taken 1 min 5 s ago, because the receiver answered 503�
          70 samples in 2 records wait; lag 30 s, the oldest is of 2026-01-01T00:00:00Z

        env (http://a/push)
          parked, nothing is dropped, asked again at 2026-01-01T00:00:30Z (in 1 min 30 s), no request was taken since the start, because the receiver answered 503�
          nothing waits
          9 samples were refused and are kept: `fleetpush queue retry --endpoint env` sends them again

        env
          no longer configured: what waits stays until max_age, or `fleetpush queue drop --endpoint env`
          nothing waits
          9 samples were refused and are kept, 4 of them are sent again
        ");
        let nothing =
            Report { holder: None, room_seconds: None, trouble: None, endpoints: Vec::new(), ..report };
        insta::assert_snapshot!(status(&nothing, Look::PLAIN), @r"
        the queue in /q at 2026-01-01T00:00:30Z; nothing runs
        4 KiB on the disk, 2 records
        no endpoint
        ");
    }
}
