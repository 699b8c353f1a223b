//! The relayed targets: each of a few; of many those that are down, and the rest by jobs.

use std::fmt::{self, Write as _};

use super::super::view::{JobView, RelayView, TargetState, View, number};
use super::sentences;
use super::text::{Escaped, Grouped};

/// So many are shown one by one.
const LISTED: usize = 20;
/// So many jobs are.
const JOBS: usize = 50;

/// The section's content.
pub(super) fn section(html: &mut String, view: &View, relay: &RelayView) -> fmt::Result {
    write!(
        html,
        "<h2 id=\"h-relay\">Relayed targets</h2>\n<p class=\"note\">{}</p>\n<ul class=\"things\">",
        Escaped(&relay.summary)
    )?;
    for one in relay.not_scraped.iter().take(LISTED) {
        let (what, why) = (Escaped(&one.what), Escaped(&one.why));
        write!(
            html,
            "<li class=\"ill\"><p class=\"name\"><bdi>{what}</bdi> <b>Not scraped</b></p><p class=\"said\">{why}</p></li>"
        )?;
    }
    more(html, relay.not_scraped.len(), "that are not scraped")?;
    let are_few = relay.targets.len() <= LISTED;
    let shown = relay.targets.iter().filter(|target| are_few || target.state == TargetState::Down);
    for target in shown.take(LISTED) {
        let (class, word) = match target.state {
            TargetState::Down => ("ill", "Down"),
            TargetState::Starting => ("idle", "Starting"),
            TargetState::Up => ("well", "Up"),
        };
        write!(
            html,
            "<li class=\"{class}\"><p class=\"name\"><bdi>{}</bdi> <bdi class=\"note\">{}</bdi> <b>{word}</b></p>",
            Escaped(&target.instance),
            Escaped(&target.job)
        )?;
        sentences(html, view, &target.words)?;
        html.push_str("</li>");
    }
    if !are_few {
        more(html, relay.down, "that are down")?;
        relay.jobs.iter().take(JOBS).try_for_each(|job| of_job(html, job))?;
        let left = relay.jobs.len().saturating_sub(JOBS);
        if left > 0 {
            write!(
                html,
                "<li class=\"idle\"><p class=\"said\">and {} in JSON</p></li>",
                number(left, "more job")
            )?;
        }
    }
    html.push_str("</ul>");
    Ok(())
}

fn more(html: &mut String, all: usize, which: &str) -> fmt::Result {
    match all.saturating_sub(LISTED) {
        0 => Ok(()),
        left => write!(html, "<li class=\"ill\"><p class=\"said\">and {left} more {which}, in JSON</p></li>"),
    }
}

fn of_job(html: &mut String, job: &JobView) -> fmt::Result {
    let (class, word) = match (job.up, job.down, job.starting) {
        (0, 0, _) => ("idle", "Starting"),
        (_, 0, _) => ("well", "Up"),
        (0, ..) => ("ill", "Down"),
        _ => ("ill", "In part"),
    };
    write!(
        html,
        "<li class=\"{class}\"><p class=\"name\"><bdi>{}</bdi> <span class=\"note\">job</span> <b>{word}</b></p>\
         <p class=\"said\">{} of {} up, {} samples",
        Escaped(&job.job),
        Grouped(job.up as u64),
        number(job.up + job.down + job.starting, "target"),
        Grouped(job.samples as u64)
    )?;
    for (many, how) in [(job.down, "down"), (job.starting, "not scraped yet")] {
        if many > 0 {
            write!(html, ", {many} {how}")?;
        }
    }
    html.push_str("</p></li>");
    Ok(())
}
