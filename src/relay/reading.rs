//! One page while it comes: each sample is found to be what it was on the last page, or becomes a series.

use std::borrow::Cow;
use std::collections::HashMap;

use super::error::ScrapeError;
use super::known::{Fate, Found, Known, Place, Reading as Texts, Same};
use super::labels::{Pairs, Winner, join};
use super::names::Names;
use super::page::{Counts, Ended, Open, Rewrite, end, end_of};
use super::parse::{self, Event, Identity, Parser, Sample};
use super::points::Points;
use super::said::Said;
use crate::relabel::{self, Working};
use crate::sample::{Exemplar, Labels, METRIC_NAME, MetricName, Own, Series, SeriesId, Text};

/// A page while it comes.
#[derive(Debug)]
pub struct Reading<'a> {
    pub(super) parser: Parser,
    pub(super) state: State<'a>,
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

#[derive(Debug)]
pub(super) struct State<'a> {
    pub(super) rewrite: &'a Rewrite,
    pub(super) texts: Texts<'a>,
    pub(super) known: &'a Known,
    pub(super) names: &'a mut Names,
    pub(super) said: &'a mut Said,
    pub(super) families: Vec<Open>,
    /// Made with the first new series.
    pub(super) by_name: Option<HashMap<Text, u32>>,
    pub(super) counts: Counts,
    /// Samples that count for the limit.
    pub(super) appended: usize,
    pub(super) points: Option<Points>,
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
        let exemplars = sample.exemplar.as_ref().and_then(exemplar);
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
        let mut pairs: Pairs<'_> = labels;
        let winner = if self.rewrite.honor_labels { Winner::Page } else { Winner::Target };
        join(&mut pairs, &empty, &self.rewrite.labels, winner);
        let (named, labels) = if self.rewrite.rules.is_empty() {
            let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
            (MetricName::relayed(&name).ok(), Labels::relayed(pairs))
        } else {
            let names = &mut *self.names;
            let pairs = pairs.iter().map(|(label, value)| (names.name(label), names.value(value)));
            let mut working = Working::new(pairs.chain([(METRIC_NAME.into(), name.clone())]));
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
        let count = limits.labels.filter(|limit| labels.iter().count() + 1 > *limit);
        let all = || labels.iter().map(|label| (label.name, label.value));
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

/// The beginning of a series, for an error.
fn shown(series: &str) -> String {
    crate::http::excerpt(series.as_bytes())
}

/// An exemplar as receivers take it.
fn exemplar(one: &parse::Exemplar<'_>) -> Option<Exemplar> {
    /// Characters of names and values together (OpenMetrics); Prometheus drops longer ones.
    const LONGEST: usize = 128;
    let length = |text: &Cow<'_, str>| text.chars().count();
    if one.labels.iter().map(|(name, value)| length(name) + length(value)).sum::<usize>() > LONGEST {
        return None;
    }
    let labels = Labels::relayed(one.labels.iter().map(|(name, value)| (&**name, &**value))).ok()?;
    Some(Exemplar { labels, value: one.value, at: one.at })
}
