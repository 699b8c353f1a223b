//! Cutting the batches of one source one after the other. Nearly every batch says the series of the one
//! before in their order; its records then have the layouts of the last ones, and only values are written.

use super::builder::{Builder, Piece, Writer};
use super::{Identity, Record};
use crate::sample::{Advance, Batch, Role, Scope, SeriesId, SeriesSet};

/// The series of a source, and the layouts in which they were last cut.
#[derive(Debug, Default)]
pub struct Cutter {
    series: SeriesSet,
    last: Option<Last>,
}

/// How the batch was cut that told the series that are known.
#[derive(Debug)]
struct Last {
    identity: Identity,
    max_samples: usize,
    pieces: Vec<Piece>,
}

impl Cutter {
    /// Goes on where a source has last said these series.
    pub fn of_ids(ids: impl IntoIterator<Item = (SeriesId, Role)>) -> Cutter {
        Cutter { series: SeriesSet::of_ids(ids), last: None }
    }

    /// Cuts the source's next batch, with stale markers for what has ended: the same as [`super::cut`].
    pub fn cut(&mut self, batch: &Batch, identity: &Identity, max_samples: usize) -> Vec<Record> {
        let Advance { ended, same } = self.series.advance(batch);
        let is_as_last = |last: &&Last| last.max_samples == max_samples && last.identity == *identity;
        if let Some(last) = self.last.as_ref().filter(|last| same && is_as_last(last)) {
            return last.again(batch);
        }
        let (records, pieces) = Builder::cut(batch, &ended, identity, max_samples);
        if !ended.is_empty() {
            self.last = None;
        } else if same || batch.scope() == Scope::Whole {
            self.last = Some(Last { identity: identity.clone(), max_samples, pieces });
        }
        records
    }
}

impl Last {
    fn again(&self, batch: &Batch) -> Vec<Record> {
        let mut writer = Writer::default();
        let all = batch.families().iter().flat_map(|family| &family.series);
        let mut values = all.map(|series| series.value.bits());
        self.pieces.iter().map(|piece| writer.record(piece, values.by_ref(), batch.at().0)).collect()
    }
}
