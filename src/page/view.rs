//! What the status page shows: the [`Status`], the latest batches and what is remembered of the last hour go in,
//! a [`View`] comes out, of which HTML and JSON are both made. Pure.

mod fleets;
mod relay;
mod sources;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::fleets::{FleetView, Totals};
pub use self::relay::{JobView, NotScrapedView, RelayView, TargetState, TargetView};
pub use self::sources::{Counts, SourceView};
use super::Latest;
use super::history::{History, Past};
use super::query::{Query, Sort};
use crate::sample::Millis;
use crate::telemetry::SinkKind;
use crate::telemetry::status::Status;
use crate::telemetry::words::{Doing, Sentence, SinkReport, exact};

/// Fleets on one page of HTML: what a browser lays out at once, and a refresh carries.
pub const ON_A_PAGE: usize = 200;

/// Everything that is shown. JSON is this, field by field; `docs/status.md` describes it.
#[derive(Debug, Serialize)]
pub struct View {
    /// This program's version.
    pub version: &'static str,
    /// When this was so (RFC 3339).
    pub at: String,
    /// How it goes as a whole.
    pub state: Overall,
    /// The same in words.
    pub headline: String,
    /// When the next collect begins.
    pub next_collect: Option<String>,
    /// In how many seconds.
    pub next_collect_seconds: Option<u64>,
    /// Each source.
    pub sources: Vec<SourceView>,
    /// The targets of `scrape_configs`.
    pub relay: Option<RelayView>,
    /// Each sink.
    pub sinks: Vec<SinkView>,
    /// The queue before remote write.
    pub queue: Option<QueueView>,
    /// All fleets together.
    pub totals: Totals,
    /// What the fleets were searched for.
    pub search: String,
    /// Their order.
    pub sort: Sort,
    /// How many of them were found.
    pub matching: usize,
    /// Those that were found; in HTML those of the page.
    pub fleets: Vec<FleetView>,
    /// Which page this is.
    #[serde(skip)]
    pub page: usize,
    /// Of how many.
    #[serde(skip)]
    pub pages: usize,
    /// The time of `at`.
    #[serde(skip)]
    pub now: Millis,
}

/// How it goes as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Overall {
    /// The first collect has not ended.
    Starting,
    /// Everything works.
    Ok,
    /// Something needs a look.
    Trouble,
}

/// One sink.
#[derive(Debug, Serialize)]
pub struct SinkView {
    /// `pushgateway` or `remote_write`.
    pub kind: &'static str,
    /// As `queue status` knows it.
    #[serde(flatten)]
    pub report: SinkReport,
    /// That in sentences, those of `queue status`.
    pub words: Vec<Sentence>,
}

impl SinkView {
    /// Whether it takes what it is sent, as far as is known.
    pub fn is_well(&self) -> bool {
        !matches!(self.report.state, Doing::Waiting { .. } | Doing::Parked { .. })
    }
}

/// The queue before remote write.
#[derive(Debug, Serialize)]
pub struct QueueView {
    /// How it is, in the sentences of `queue status`.
    pub words: Vec<Sentence>,
    /// Whether it is in the memory of the process.
    pub in_memory: bool,
    /// What it takes on the disk, or in memory.
    pub bytes: u64,
    /// Records that some endpoint still needs.
    pub records: usize,
    /// For how long there is room if nothing is delivered.
    pub room_seconds: Option<u64>,
    /// Samples in memory, for a store that takes nothing.
    pub pending_samples: u64,
    /// Why the store takes nothing.
    pub trouble: Option<String>,
}

impl View {
    /// What is shown at `now` to somebody who asks for `query`.
    pub fn new(status: &Status, latest: &Latest, history: &History, query: &Query, now: Millis) -> Self {
        let sources: Vec<SourceView> = (status.sources.iter())
            .map(|(name, source)| SourceView::new(name, source, status.next, (latest, history), now))
            .collect();
        let relay = RelayView::new(status, now);
        let sinks: Vec<SinkView> = (status.sinks.iter())
            .map(|((kind, name), sink)| {
                let report = sink.report(name, now);
                SinkView { kind: kind.as_str(), words: report.sentences(*kind), report }
            })
            .collect();
        let is_used = status.sinks.keys().any(|(kind, _)| *kind == SinkKind::RemoteWrite);
        let queue = status.queue.as_ref().filter(|_| is_used).map(|queue| QueueView {
            words: queue.sentences(),
            in_memory: queue.in_memory,
            bytes: queue.bytes,
            records: queue.records,
            room_seconds: queue.full_in.map(|room| room.as_secs()),
            pending_samples: queue.pending_samples,
            trouble: queue.trouble.clone(),
        });
        let (state, headline) = overall(&sources, relay.as_ref(), &sinks, queue.as_ref());
        let counts: BTreeMap<&str, Counts> =
            sources.iter().map(|source| (source.name.as_str(), source.counts)).collect();

        let names: Vec<(String, &Past)> = history.iter().collect();
        let mut rows = fleets::rows(&names);
        let totals = fleets::totals(&rows);
        let wanted: Vec<String> = query.search.to_lowercase().split_whitespace().map(str::to_owned).collect();
        rows.retain(|row| wanted.iter().all(|word| row.holds(word)));
        fleets::order(&mut rows, query.sort);
        let matching = rows.len();
        let pages = matching.div_ceil(ON_A_PAGE).max(1);
        let page = query.page.min(pages);
        let shown = match query.json {
            true => rows.as_slice(),
            false => rows.chunks(ON_A_PAGE).nth(page - 1).unwrap_or_default(),
        };
        let fleets = shown
            .iter()
            .map(|row| row.view(counts.get(row.source).is_none_or(|counts| *counts == Counts::Current)))
            .collect();
        View {
            version: env!("CARGO_PKG_VERSION"),
            at: exact(now),
            state,
            headline,
            next_collect: status.next.map(exact),
            next_collect_seconds: status.next.map(|next| left(next, now)),
            sources,
            relay,
            sinks,
            queue,
            totals,
            search: query.search.clone(),
            sort: query.sort,
            matching,
            fleets,
            page,
            pages,
            now,
        }
    }

    /// How soon a browser should ask again: soon after the next collect, so that it sees its counts, or as often as
    /// targets are scraped.
    pub fn refresh_seconds(&self) -> u64 {
        let collect = self.next_collect_seconds.map(|seconds| seconds + 2);
        let scrape = self.relay.as_ref().filter(|relay| !relay.is_starting).map(|relay| relay.every_seconds);
        collect.into_iter().chain(scrape).min().unwrap_or(2).clamp(2, 15)
    }

    /// Whether there is no account, so that nothing is to be said of fleets.
    pub fn only_relays(&self) -> bool {
        self.sources.is_empty() && self.relay.is_some()
    }
}

fn overall(
    sources: &[SourceView],
    relay: Option<&RelayView>,
    sinks: &[SinkView],
    queue: Option<&QueueView>,
) -> (Overall, String) {
    let one = |name: &str| if sources.len() > 1 { format!(" from {name}") } else { String::new() };
    let failing = sources.iter().filter(|source| source.state == "failing");
    let mut trouble: Vec<String> =
        failing.map(|source| format!("collecting{} fails", one(&source.name))).collect();
    trouble.extend(relay.into_iter().flat_map(RelayView::trouble));
    trouble.extend(sinks.iter().filter_map(|sink| {
        let kind = if sink.kind == "pushgateway" { "Pushgateway" } else { "remote write" };
        let name = &sink.report.name;
        match sink.report.state {
            Doing::Waiting { .. } => Some(format!("{kind} {name} fails and is tried again")),
            Doing::Parked { .. } => Some(format!("{kind} {name} is parked")),
            _ => None,
        }
    }));
    if queue.is_some_and(|queue| queue.trouble.is_some()) {
        trouble.push("the queue's store cannot be used".to_owned());
    }
    if !trouble.is_empty() {
        return (Overall::Trouble, trouble.join("; "));
    }
    let is_starting = sources.iter().any(|source| source.state == "starting");
    if is_starting || (sources.is_empty() && relay.is_none()) {
        return (Overall::Starting, "the first collect is running".to_owned());
    }
    if relay.is_some_and(|relay| relay.is_starting) {
        return (Overall::Starting, "the first scrape is waited for".to_owned());
    }
    let what = match (sources.is_empty(), relay.is_some(), sinks.is_empty()) {
        (true, _, true) => "relaying works",
        (true, _, false) => "relaying and delivering work",
        (false, false, true) => "collecting works",
        (false, false, false) => "collecting and delivering work",
        (false, true, true) => "collecting and relaying work",
        (false, true, false) => "collecting, relaying and delivering work",
    };
    (Overall::Ok, what.to_owned())
}

/// A number of things.
pub fn number(how_many: usize, of_what: &str) -> String {
    if how_many == 1 { format!("1 {of_what}") } else { format!("{how_many} {of_what}s") }
}

/// Seconds until then, begun ones whole: 0 means that it is time.
fn left(then: Millis, now: Millis) -> u64 {
    u64::try_from(then.since(now).as_millis().div_ceil(1_000)).unwrap_or(u64::MAX)
}
