//! Cutting what sources say, tick after tick. Nearly every tick says the series of the one before in their
//! order; its records then have the layouts of the last ones, and only values are written.

use std::collections::{BTreeMap, HashMap};

use super::builder;
use super::tick::{Before, LeftOut, Part, each, untangle};
use super::times::Times;
use super::writer::{Piece, Writer};
use super::{Identity, Record};
use crate::sample::{Advance, Batch, Ended, Family, Millis, Role, Scope, SeriesId, SeriesSet, Source};

/// A series as a record has told it before a restart: its own time, where it had one.
pub type Told = (SeriesId, Role, Option<Millis>);

/// The series of sources that speak in the same ticks, and the layouts in which they were last cut.
///
/// One for each account and for the program itself; one for all targets of one interval.
#[derive(Debug, Default)]
pub struct Cutter {
    sources: BTreeMap<Source, Known>,
    /// What was told before a restart, by sources that have not spoken since.
    told: Vec<Told>,
    last: Option<Last>,
}

/// What is known of one source.
#[derive(Debug, Default)]
struct Known {
    series: SeriesSet,
    times: Times,
    at: Option<Millis>,
}

/// How the tick was cut that told the series that are known.
#[derive(Debug)]
struct Last {
    identity: Identity,
    max_samples: usize,
    sources: Vec<Source>,
    pieces: Vec<Piece>,
}

/// One tick, cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Each series stands in one of them alone.
    pub records: Vec<Record>,
    /// What is in none of them.
    pub left_out: LeftOut,
}

impl Cutter {
    /// Goes on where a source has last said these series.
    pub fn of_ids(ids: impl IntoIterator<Item = (SeriesId, Role)>) -> Cutter {
        Cutter::of_told(ids.into_iter().map(|(id, role)| (id, role, None)))
    }

    /// Goes on where sources have last said these series: those that no source says in the next tick have ended.
    pub fn of_told(told: impl IntoIterator<Item = Told>) -> Cutter {
        Cutter { sources: BTreeMap::new(), told: told.into_iter().collect(), last: None }
    }

    /// Cuts the next batch of one source, with stale markers for what has ended: the same as [`super::cut`].
    pub fn cut(&mut self, batch: &Batch, identity: &Identity, max_samples: usize) -> Vec<Record> {
        self.cut_all(batch.at(), &[batch], identity, max_samples).records
    }

    /// Cuts the batches of one tick, one of each source, into records that they share, at the tick's time, which
    /// must be later than that of the tick before.
    ///
    /// Every source is told apart: what one no longer says gets its stale marker, and one that says nothing any
    /// more (an empty batch of [`Scope::Whole`]) is forgotten with it. One that is not in this tick stands as it
    /// was. The order of the batches changes nothing.
    pub fn cut_all(
        &mut self,
        at: Millis,
        batches: &[&Batch],
        identity: &Identity,
        max_samples: usize,
    ) -> Cut {
        let mut batches = batches.to_vec();
        batches.sort_by_key(|batch| batch.source());
        self.claim(&batches);
        let mut left_out = LeftOut::default();
        let (mut parts, mut same, mut changed, mut whole) = (Vec::new(), true, false, true);
        for batch in batches {
            let known = self.sources.entry(batch.source().clone()).or_default();
            let families = known.series.said();
            let before = Before { families: &families, at: known.at.replace(at) };
            let advance: Advance = known.series.advance(batch);
            same &= advance.same;
            changed |= !advance.same && batch.scope() == Scope::Whole;
            whole &= advance.same || batch.scope() == Scope::Whole;
            parts.push(Part::of(batch, at, advance.ended, &before, &mut known.times, &mut left_out));
            if batch.scope() == Scope::Whole && batch.series_count() == 0 {
                self.sources.remove(batch.source());
            }
        }
        let full = parts.iter().all(|part| part.left_out.is_empty());
        if let Some(last) =
            self.last.as_ref().filter(|last| same && full && last.is_of(&parts, identity, max_samples))
        {
            return Cut { records: last.again(&parts, at), left_out };
        }
        let twice = parts.len() > 1 && untangle(&mut parts, &mut left_out);
        let (records, pieces) = builder::cut(&parts, at.0, identity, max_samples);
        let ended = parts.iter().any(|part| !part.ended.is_empty());
        if ended || changed || twice {
            self.last = None;
        }
        if full && whole && !ended && !twice {
            let sources = parts.iter().map(|part| part.batch.source().clone()).collect();
            self.last = Some(Last { identity: identity.clone(), max_samples, sources, pieces });
        }
        Cut { records, left_out }
    }

    /// Forgets how the last tick was cut, for tests: what is cut next must be the same bytes.
    #[doc(hidden)]
    pub fn forget_layouts(&mut self) {
        self.last = None;
    }

    /// Every series that is said now, as it would end.
    pub fn alive(&self) -> Vec<Ended> {
        let told = self.told.iter().filter(|(.., own)| own.is_none());
        let told = told.map(|(id, role, _)| Ended { id: id.clone(), role: *role, meaning: None });
        self.sources.values().flat_map(|known| known.series.alive()).chain(told).collect()
    }

    /// Gives what was told before a restart to who says it now; what nobody says goes to the first one, whose
    /// batch ends it.
    fn claim(&mut self, batches: &[&Batch]) {
        let Some(first) = batches.first().filter(|_| !self.told.is_empty()) else { return };
        let said = batches.iter().flat_map(|batch| {
            each(batch).map(|(family, series)| ((&family.name, &series.labels), batch.source()))
        });
        let said: HashMap<_, _> = said.collect();
        let mut by_source: BTreeMap<&Source, Vec<Told>> = BTreeMap::new();
        for told in self.told.drain(..) {
            let source = said.get(&(&told.0.name, &told.0.labels)).copied().unwrap_or(first.source());
            by_source.entry(source).or_default().push(told);
        }
        for (source, told) in by_source {
            let plain = told.iter().filter(|(.., own)| own.is_none());
            let series = SeriesSet::of_ids(plain.map(|(id, role, _)| (id.clone(), *role)));
            let times = Times::of(told.into_iter().filter_map(|(id, _, own)| Some((id, own?))));
            self.sources.insert(source.clone(), Known { series, times, at: None });
        }
    }
}

impl Last {
    fn is_of(&self, parts: &[Part<'_>], identity: &Identity, max_samples: usize) -> bool {
        self.max_samples == max_samples
            && self.identity == *identity
            && self.sources.iter().eq(parts.iter().map(|part| part.batch.source()))
    }

    fn again(&self, parts: &[Part<'_>], at: Millis) -> Vec<Record> {
        let (mut extras, mut before) = (Vec::new(), 0);
        for part in parts.iter() {
            extras.extend(part.extras.iter().map(|(position, extra)| (before + position, extra)));
            before += part.batch.series_count();
        }
        let mut writer = Writer::default();
        let families: Vec<&Family> = parts.iter().flat_map(|part| part.batch.families()).collect();
        let series = families.iter().flat_map(|family| &family.series);
        let mut values = series.map(|series| series.value.bits());
        let mut first = 0;
        let records = self.pieces.iter().map(|piece| {
            let record = writer.record(piece, values.by_ref(), at.0, &extras, first);
            first += piece.samples;
            record
        });
        records.collect()
    }
}
