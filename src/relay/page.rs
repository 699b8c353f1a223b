//! Pages of one target → families: the resolving part, without a socket or a clock.
//!
//! What a page's series became is remembered from page to page ([`super::known`]): a series that was there before is
//! neither taken apart nor checked again, and has the very same labels.

use super::known::{Closed, Known, Read};
use super::names::Names;
use super::parse::{Format, Parser};
use super::points::Points;
use super::reading::{Reading, State};
use super::said::{Said, Words};
use crate::config::Limits;
use crate::relabel::Rules;
use crate::sample::{
    Batch, Family, LabelName, MetricName, Millis, Role, Scope, Series, SeriesId, Source, Text,
};

/// What becomes of a page's series.
#[derive(Clone, Debug, Default)]
pub struct Rewrite {
    /// The labels that the target gives to each of them.
    pub labels: Vec<(LabelName, Text)>,
    /// Whether a page's own labels win over these.
    pub honor_labels: bool,
    /// Whether a page's times count.
    pub honor_timestamps: bool,
    /// What refuses a page; its bytes are counted by whoever reads them.
    pub limits: Limits,
    /// Rules for each series.
    pub rules: Rules,
}

/// Pages of one target, one after the other.
#[derive(Debug)]
pub struct Page {
    rewrite: Rewrite,
    known: Known,
    names: Names,
    said: Said,
}

/// How reading a page goes.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Samples on the page.
    pub scraped: usize,
    /// Of these, samples that no rule has dropped.
    pub kept: usize,
    /// Series that were not on the last page.
    pub added: usize,
    /// Samples of a series that the page has already said, which are left out.
    pub repeated: usize,
    /// The first of these.
    pub first_repeated: Option<SeriesId>,
}

/// A page that was read to its end.
#[derive(Debug)]
pub struct Ended {
    pub(super) read: Read,
    pub(super) families: Vec<Open>,
    pub(super) counts: Counts,
}

impl Ended {
    /// How it went.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

impl Page {
    /// Nothing is known of the target's pages yet.
    pub fn new(rewrite: Rewrite) -> Page {
        Page { rewrite, known: Known::default(), names: Names::default(), said: Said::default() }
    }

    /// Begins to read the next page, whose samples are of this time.
    pub fn begin(&mut self, format: Format, at: Millis) -> Reading<'_> {
        self.said.begin();
        let known = &self.known;
        let state = State {
            rewrite: &self.rewrite,
            texts: known.reading(),
            known,
            names: &mut self.names,
            said: &mut self.said,
            families: known.shapes().map(Open::again).collect(),
            by_name: None,
            counts: Counts::default(),
            appended: 0,
            points: (format == Format::OpenMetrics).then(|| Points::new(at)),
        };
        Reading { parser: Parser::new(format), state }
    }

    /// What a page became, with the families that are said beside it: of a series that the page says too, the page's
    /// sample counts. The next page is compared with this one.
    pub fn batch(&mut self, source: Source, at: Millis, ended: Ended, beside: Vec<Family>) -> Batch {
        self.said.end();
        let (mut families, closed) = close(ended.families, &self.said);
        for more in beside {
            let Some(known) = families.iter_mut().find(|family| family.name == more.name) else {
                families.push(more);
                continue;
            };
            let is_new = |series: &Series| known.series.iter().all(|said| said.labels != series.labels);
            let new: Vec<Series> = more.series.into_iter().filter(is_new).collect();
            known.series.extend(new);
        }
        let batch = Batch::of_distinct(source, at, Scope::Whole, families);
        self.known.take(ended.read, batch.shared_families(), closed);
        batch
    }
}

/// A family while its page comes.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) name: MetricName,
    /// The name on the page of its first series, by which type and help are found.
    pub(super) first: Text,
    pub(super) series: Vec<Series>,
}

impl Open {
    fn again((family, first): (&Family, &Text)) -> Open {
        let series = Vec::with_capacity(family.series.len());
        Open { name: family.name.clone(), first: first.clone(), series }
    }
}

/// Where the next series of a family stands.
pub(super) fn end_of(family: &Open) -> u32 {
    end(family.series.len())
}

/// A page has fewer bytes than a number of this size counts.
pub(super) fn end(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The families of a page that was read, without those that have no series any more.
fn close(families: Vec<Open>, said: &Said) -> (Vec<Family>, Closed) {
    let is_whole = families.iter().all(|family| !family.series.is_empty());
    let (mut all, mut firsts, mut moved) = (Vec::with_capacity(families.len() + 8), Vec::new(), Vec::new());
    for Open { name, first, mut series } in families {
        if !is_whole {
            moved.push(end(all.len()));
        }
        if series.is_empty() {
            continue;
        }
        if series.capacity() > series.len() + series.len() / 8 {
            series.shrink_to_fit();
        }
        let (family, words) = said.of(&first);
        let of = family.filter(|family| **family != *name.as_str());
        let of = of.and_then(|family| MetricName::relayed(&family).ok());
        let Words { kind, help, unit } = words;
        all.push(Family { name, of, kind, help, unit, role: Role::Relayed, series });
        firsts.push(first);
    }
    (all, Closed { firsts, moved: (!is_whole).then_some(moved) })
}
