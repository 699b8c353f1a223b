//! How a source is, and what became of its counts.

use serde::Serialize;

use super::super::Latest;
use super::super::history::{History, Past};
use super::{left, number};
use crate::sample::{Millis, Source};
use crate::telemetry::status::SourceStatus;
use crate::telemetry::words::{Sentence, exact};

/// One source.
#[derive(Debug, Serialize)]
pub struct SourceView {
    /// Its name.
    pub name: String,
    /// `starting`, `ok` or `failing`.
    pub state: &'static str,
    /// That in sentences.
    pub words: Vec<Sentence>,
    /// When its last cycle ended.
    pub last_end: Option<String>,
    /// When a cycle last ended well.
    pub last_success: Option<String>,
    /// Since when every cycle has failed.
    pub failing_since: Option<String>,
    /// Why the last cycle failed, and what to do.
    pub last_error: Option<String>,
    /// Fleets counted by the last good cycle.
    pub fleets: usize,
    /// Series of the last batch.
    pub series: usize,
    /// What became of the last counts.
    pub counts: Counts,
    /// The times of its fleets' points.
    pub last_hour_at: Vec<String>,
}

/// What became of the last counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// There are none.
    None,
    /// They are of the last cycle.
    Current,
    /// The last cycle has failed, and they stand for a while.
    Standing,
    /// They are no longer told to anybody, but for this page.
    Withdrawn,
}

impl SourceView {
    pub(super) fn new(
        name: &str,
        source: &SourceStatus,
        next: Option<Millis>,
        (latest, history): (&Latest, &History),
        now: Millis,
    ) -> Self {
        let past = history.of(name).filter(|past| past.counted.is_some() && !past.fleets.is_empty());
        let told = latest.get(&Source::Account(name.into())).is_some_and(|batch| {
            batch.families().iter().any(|family| family.name.as_str() == "balena_devices_online")
        });
        let counts = match (&source.last_error, past, told) {
            (_, None, _) => Counts::None,
            (None, Some(_), _) => Counts::Current,
            (Some(_), Some(_), true) => Counts::Standing,
            (Some(_), Some(_), false) => Counts::Withdrawn,
        };
        let state = match (&source.last_error, source.last_end) {
            (_, None) => "starting",
            (None, _) => "ok",
            (Some(_), _) => "failing",
        };
        SourceView {
            name: name.to_owned(),
            state,
            words: words(source, next, counts, past, now),
            last_end: source.last_end.map(exact),
            last_success: source.last_success.map(exact),
            failing_since: source.failing_since.map(exact),
            last_error: source.last_error.clone(),
            fleets: source.fleets,
            series: source.series,
            counts,
            last_hour_at: past.into_iter().flat_map(|past| &past.at).map(|at| exact(*at)).collect(),
        }
    }
}

fn words(
    source: &SourceStatus,
    next: Option<Millis>,
    counts: Counts,
    past: Option<&Past>,
    now: Millis,
) -> Vec<Sentence> {
    let ago = |begun: Sentence, then: Millis| begun.span(exact(then), now.since(then).as_secs());
    let Some(ended) = source.last_end else { return vec![Sentence::new("the first collect is running")] };
    let due = |what: &str| match next {
        Some(at) if at > now => Sentence::new(format!("{what} in ")).span(exact(at), left(at, now)),
        _ => Sentence::new("a collect is running"),
    };
    let Some(error) = &source.last_error else {
        let (fleets, series) = (number(source.fleets, "fleet"), source.series);
        let begun = Sentence::new(format!("collected {fleets} in {series} series, "));
        return vec![ago(begun, ended).say(" ago"), due("next collect")];
    };
    let since = source.failing_since.unwrap_or(ended);
    let begun = ago(Sentence::new("collecting has failed for "), since);
    let mut all = vec![begun.say(format!(": {error}")), due("meanwhile balena_up is 0; next try")];
    let last = |begun: &str, then: &str| {
        let counted = past.and_then(|past| past.counted);
        counted.map(|counted| ago(Sentence::new(begun), counted).say(then))
    };
    all.extend(match counts {
        Counts::Standing => last(
            "the last counts, from ",
            " ago, still stand everywhere until they are older than stale_after",
        ),
        Counts::Withdrawn => last(
            "the last counts, from ",
            " ago, are withdrawn from metrics and sinks; they are shown here for an hour at most",
        ),
        Counts::None if source.last_success.is_none() => {
            Some(Sentence::new("nothing was counted since the start"))
        }
        Counts::None | Counts::Current => None,
    });
    all
}
