//! Pages of one target → families: the resolving part, without a socket or a clock.
//!
//! What a page's series became is remembered from page to page ([`super::known`]): a series that was there before is
//! neither taken apart nor checked again, and has the very same labels.

use std::borrow::Cow;
use std::collections::HashMap;

use super::error::ScrapeError;
use super::known::{Closed, Fate, Found, Known, Place, Read, Reading as Texts, Same};
use super::labels::{Pairs, Winner, join};
use super::names::Names;
use super::parse::{self, Event, Format, Identity, Parser, Sample};
use super::points::Points;
use super::said::{Said, Words};
use crate::config::Limits;
use crate::relabel::{self, Rules, Working};
use crate::sample::{
    Batch, Exemplar, Family, LabelError, LabelName, Labels, METRIC_NAME, MetricName, Millis, Own, Role,
    Scope, Series, SeriesId, Source, Text,
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
    read: Read,
    families: Vec<Open>,
    counts: Counts,
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

/// A page while it comes.
#[derive(Debug)]
pub struct Reading<'a> {
    parser: Parser,
    state: State<'a>,
}

impl Reading<'_> {
    /// Reads on, wherever the page was cut.
    ///
    /// # Errors
    /// [`ScrapeError`]; the page is of no use then.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), ScrapeError> {
        let state = &mut self.state;
        self.parser.feed(piece, &mut |event| state.take(event))
    }

    /// The page has ended.
    ///
    /// # Errors
    /// As [`Reading::feed`], and where the page has too many samples: those were counted up to its end.
    pub fn finish(self, counts: &mut Counts) -> Result<Ended, ScrapeError> {
        let Reading { parser, mut state } = self;
        let ended = parser.finish(&mut |event| state.take(event));
        counts.clone_from(&state.counts);
        ended?;
        match state.rewrite.limits.samples.filter(|limit| state.appended > *limit) {
            Some(limit) => Err(ScrapeError::TooManySamples { limit }),
            None => Ok(Ended { read: state.texts.end(), families: state.families, counts: state.counts }),
        }
    }

    /// How it goes so far.
    pub fn counts(&self) -> &Counts {
        &self.state.counts
    }
}

/// A family while its page comes.
#[derive(Debug)]
pub(super) struct Open {
    name: MetricName,
    /// The name on the page of its first series, by which type and help are found.
    first: Text,
    pub(super) series: Vec<Series>,
}

impl Open {
    fn again((family, first): (&Family, &Text)) -> Open {
        let series = Vec::with_capacity(family.series.len());
        Open { name: family.name.clone(), first: first.clone(), series }
    }
}

#[derive(Debug)]
struct State<'a> {
    rewrite: &'a Rewrite,
    texts: Texts<'a>,
    known: &'a Known,
    names: &'a mut Names,
    said: &'a mut Said,
    families: Vec<Open>,
    /// Made with the first new series.
    by_name: Option<HashMap<Text, u32>>,
    counts: Counts,
    /// Samples that count for the limit.
    appended: usize,
    points: Option<Points>,
}

/// What is to be done with a sample.
enum To {
    /// It is one more of this family, with these labels.
    Add(u32, Labels),
    Drop,
    Repeated,
}

impl State<'_> {
    fn take(&mut self, event: Event<'_>) -> Result<(), ScrapeError> {
        match event {
            Event::Help { name, help } => self.said.help(&name, &help),
            Event::Unit { name, unit } => self.said.unit(&name, unit),
            Event::Type { name, kind } => {
                self.said.kind(&name, kind);
                if let Some(points) = &mut self.points {
                    points.family(kind);
                }
            }
            Event::Sample(sample) => self.sample(sample)?,
        }
        Ok(())
    }

    fn sample(&mut self, sample: Sample<'_>) -> Result<(), ScrapeError> {
        self.counts.scraped += 1;
        let families = &self.families;
        let (found, text) = self.texts.text(sample.text(), |family| end_of(&families[family as usize]));
        let to = match found {
            Found::Before(Fate::Series(place)) => To::Add(place.family, self.known.labels(place).clone()),
            Found::Before(Fate::Dropped) => To::Drop,
            Found::Before(Fate::Twice) => To::Repeated,
            Found::New => self.new_text(text, &sample)?,
        };
        let place = match to {
            To::Add(family, labels) => self.add(family, labels, &sample),
            To::Drop => None,
            To::Repeated => {
                self.counts.kept += 1;
                self.counts.repeated += 1;
                if self.counts.first_repeated.is_none() {
                    self.counts.first_repeated = self.series(sample.identity()?)?;
                }
                return Ok(());
            }
        };
        if let Some(points) = &mut self.points {
            points.sample(sample.text(), sample.value, place, &mut self.families);
        }
        Ok(())
    }

    fn add(&mut self, family: u32, labels: Labels, sample: &Sample<'_>) -> Option<Place> {
        self.counts.kept += 1;
        self.appended += 1;
        // A page beyond its limit is only counted.
        if self.rewrite.limits.samples.is_some_and(|limit| self.appended > limit) {
            return None;
        }
        let open = &mut self.families[family as usize];
        let place = Place { family, slot: end_of(open) };
        let at = sample.at.filter(|_| self.rewrite.honor_timestamps);
        let exemplars = sample.exemplar.as_ref().and_then(|one| exemplar(self.names, one));
        let own = (at.is_some() || exemplars.is_some())
            .then(|| Box::new(Own { at, start: None, exemplars: exemplars.into_iter().collect() }));
        open.series.push(Series { labels, value: sample.value, own });
        Some(place)
    }

    /// A text that did not stand on the last page.
    fn new_text(&mut self, text: u64, sample: &Sample<'_>) -> Result<To, ScrapeError> {
        let identity = sample.identity()?;
        let first = self.names.name(&identity.name);
        let Some(SeriesId { name, labels }) = self.series(identity)? else {
            self.texts.dropped(text);
            return Ok(To::Drop);
        };
        self.within_limits(&name, &labels)?;
        let family = self.family(&name, first);
        let place = Place { family, slot: end_of(&self.families[family as usize]) };
        Ok(match self.texts.series(text, &name, &labels, place) {
            Same::First(before) => {
                self.counts.added += 1;
                To::Add(family, before.unwrap_or(labels))
            }
            Same::Twice => To::Repeated,
        })
    }

    /// The series that a series of the page becomes; nothing where rules drop it.
    fn series(&mut self, identity: Identity<'_>) -> Result<Option<SeriesId>, ScrapeError> {
        let Identity { name, labels, empty } = identity;
        let name = self.names.name(&name);
        let names = &mut *self.names;
        let mut pairs: Pairs =
            labels.iter().map(|(name, value)| (names.name(name), names.value(value))).collect();
        let winner = if self.rewrite.honor_labels { Winner::Page } else { Winner::Target };
        join(&mut pairs, &empty, &self.rewrite.labels, winner);
        let (named, labels) = if self.rewrite.rules.is_empty() {
            let pairs = pairs.into_iter().map(|(name, value)| Ok((LabelName::relayed(&name)?, value)));
            let pairs = pairs.collect::<Result<Vec<_>, LabelError>>();
            (MetricName::relayed(&name).ok(), pairs.and_then(Labels::new))
        } else {
            let mut working =
                Working::new(pairs.into_iter().chain([(names.name(METRIC_NAME), name.clone())]));
            if self.rewrite.rules.apply(&mut working) == relabel::Fate::Drop || working.is_empty() {
                return Ok(None);
            }
            match working.into_series() {
                Ok((named, labels)) => (named, Ok(labels)),
                Err(error) => (None, Err(error)),
            }
        };
        match (named, labels) {
            (Some(name), Ok(labels)) => Ok(Some(SeriesId { name, labels })),
            (_, labels) => {
                let labels = labels.unwrap_or_default();
                let series = MetricName::relayed(&name).map(|name| SeriesId { name, labels }.to_string());
                Err(ScrapeError::NoName { series: shown(&series.unwrap_or_default()) })
            }
        }
    }

    fn within_limits(&self, name: &MetricName, labels: &Labels) -> Result<(), ScrapeError> {
        let limits = &self.rewrite.limits;
        let count = limits.labels.filter(|limit| labels.iter().len() + 1 > *limit);
        let all = || labels.iter().map(|label| (label.name.as_str(), &*label.value));
        let all = || all().chain([(METRIC_NAME, name.as_str())]);
        let long = limits.name_length.filter(|limit| all().any(|(name, _)| name.len() > *limit));
        let wide = limits.value_length.filter(|limit| all().any(|(_, value)| value.len() > *limit));
        let keys = ["label_limit", "label_name_length_limit", "label_value_length_limit"];
        match keys.into_iter().zip([count, long, wide]).find_map(|(key, limit)| Some((key, limit?))) {
            None => Ok(()),
            Some((key, limit)) => {
                let series = SeriesId { name: name.clone(), labels: labels.clone() }.to_string();
                Err(ScrapeError::Labels { key, limit, series: shown(&series) })
            }
        }
    }

    fn family(&mut self, name: &MetricName, first: Text) -> u32 {
        let families = &mut self.families;
        let by_name = self.by_name.get_or_insert_with(|| {
            (0..).zip(&*families).map(|(place, family)| (family.name.text().clone(), place)).collect()
        });
        if let Some(known) = by_name.get(name.as_str()) {
            return *known;
        }
        let place = end(families.len());
        by_name.insert(name.text().clone(), place);
        families.push(Open { name: name.clone(), first, series: Vec::new() });
        place
    }
}

/// Where the next series of a family stands.
fn end_of(family: &Open) -> u32 {
    end(family.series.len())
}

/// A page has fewer bytes than a number of this size counts.
fn end(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The beginning of a series, for an error.
fn shown(series: &str) -> String {
    crate::http::excerpt(series.as_bytes())
}

/// An exemplar as receivers take it.
fn exemplar(names: &mut Names, one: &parse::Exemplar<'_>) -> Option<Exemplar> {
    /// Characters of names and values together (OpenMetrics); Prometheus drops longer ones.
    const LONGEST: usize = 128;
    let length = |text: &Cow<'_, str>| text.chars().count();
    if one.labels.iter().map(|(name, value)| length(name) + length(value)).sum::<usize>() > LONGEST {
        return None;
    }
    let pair = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| {
        Some((LabelName::relayed(&names.name(name)).ok()?, Text::from(&**value)))
    };
    let labels: Option<Vec<_>> = one.labels.iter().map(pair).collect();
    Some(Exemplar { labels: Labels::new(labels?).ok()?, value: one.value, at: one.at })
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
