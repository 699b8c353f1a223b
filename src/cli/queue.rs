//! `fleetpush queue …`: asks, and says the answer in words.

use std::time::Duration;

use super::args::Queue;
use super::commands::{one_line, working};
use super::say::{Look, answer, fail};
use super::{Exit, chain};
use crate::app::{self, Answer, Ask, AskError, Report};
use crate::config::Config;
use crate::telemetry::SinkKind;
use crate::telemetry::status::QueueStatus;
use crate::telemetry::words::Doing;

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
    let Report { folder, holder, at, endpoints, .. } = report;
    let mut lines = vec![match holder {
        Some(holder) => format!("the queue in {folder} at {at}, in use by {}", one_line(holder)),
        None => format!("the queue in {folder} at {at}; nothing runs"),
    }];
    let queue = QueueStatus {
        bytes: report.bytes,
        records: report.records,
        full_in: report.room_seconds.map(Duration::from_secs),
        pending_samples: report.pending_samples,
        trouble: report.trouble.clone(),
        ..QueueStatus::default()
    };
    let of_queue = queue.sentences().into_iter().map(|sentence| one_line(&sentence.to_string()));
    lines.extend(of_queue.map(|line| if report.trouble.is_some() { look.bad(&line) } else { line }));
    if endpoints.is_empty() {
        lines.push("no endpoint".to_owned());
    }
    for endpoint in endpoints {
        lines.push(String::new());
        lines.push(one_line(&match &endpoint.url {
            Some(url) if *url != endpoint.name => format!("{} ({url})", endpoint.name),
            _ => endpoint.name.clone(),
        }));
        let sentences = endpoint.sentences(SinkKind::RemoteWrite);
        let mut said = sentences.iter().map(|sentence| one_line(&sentence.to_string()));
        // The first one says what it does.
        lines.extend(said.next().map(|line| format!("  {}", glance(&endpoint.state, &line, look))));
        lines.extend(said.map(|line| format!("  {line}")));
    }
    lines.join("\n")
}

/// What is wrong is seen at a glance.
fn glance(state: &Doing, line: &str, look: Look) -> String {
    match state {
        Doing::Parked { .. } => look.bad(line),
        Doing::Waiting { .. } => look.doubtful(line),
        Doing::NotRunning | Doing::Removed | Doing::Idle | Doing::Sending { .. } => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::words::SinkReport;

    fn endpoint(state: Doing) -> SinkReport {
        SinkReport {
            url: Some("http://a/push".into()),
            last_error: Some("the receiver answered 503\u{1b}".into()),
            ..SinkReport::of("env", state)
        }
    }

    #[test]
    fn a_report_says_what_each_endpoint_does_and_since_when_it_lags() {
        let at = || "2026-01-01T00:00:30Z".to_owned();
        let waiting = SinkReport {
            waiting_records: 2,
            waiting_samples: 70,
            oldest: Some("2026-01-01T00:00:00Z".into()),
            lag_seconds: 30,
            last_success_seconds: Some(65),
            ..endpoint(Doing::Waiting { until: at(), seconds: 4 })
        };
        let refused =
            SinkReport { refused_samples: 9, ..endpoint(Doing::Parked { until: at(), seconds: 90 }) };
        let again =
            SinkReport { refused_samples: 9, again_samples: 4, url: None, ..endpoint(Doing::Removed) };
        let sending = SinkReport {
            last_error: None,
            ..endpoint(Doing::Sending { protocol: Some("remote write 2.0".into()) })
        };
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
