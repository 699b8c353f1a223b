//! Records into requests, for one endpoint: layouts that come again and again are read and merged once, and
//! memory is used again.

use std::ops::Range;
use std::sync::Arc;

use super::cache::{Cache, Whose};
use super::outgoing::{Outgoing, Relabeller};
use super::pack::Packer;
use super::record::{Flat, Layout, Pieces};
use super::rw1::Metadata;
use super::template::{self, Draft, Kind};
use super::{EncodeError, Exemplars, Labelling, rw1, rw2};
use crate::sample::Labels;

/// So much memory an endpoint's layouts and templates take at most, besides bytes that the queue holds as well. All that
/// a cycle of 1,000 fleets needs fits; of 100,000 series all layouts, and some templates.
const CACHE: usize = 6 << 20;
/// The same where there are rules: each layout is there twice then.
const CACHE_WITH_RULES: usize = 2 * CACHE;

/// Reads records and writes them as requests, with an endpoint's external labels.
///
/// What it keeps changes no byte of a request, only how it is compressed.
#[derive(Debug)]
pub struct Encoder {
    external: Labels,
    /// Where more is to be done with labels than to add external ones.
    relabeller: Option<Relabeller>,
    /// In 1.0 and in 2.0.
    exemplars: [Exemplars; 2],
    cache: Cache,
    draft: Draft,
    packer: Packer,
}

impl Encoder {
    /// An encoder that adds these labels where a series lacks them.
    pub fn new(external: Labels) -> Encoder {
        Encoder::with_cache(external, CACHE)
    }

    /// An encoder whose records leave so.
    pub fn labelling(labelling: Labelling) -> Encoder {
        match labelling {
            Labelling::By { external, rules } if rules.is_empty() => Encoder::new(external),
            other => Encoder::relabelling(other, CACHE_WITH_RULES),
        }
    }

    /// The same with so many bytes of cache, for tests.
    #[doc(hidden)]
    pub fn relabelling(labelling: Labelling, bytes: usize) -> Encoder {
        let relabeller = Some(Relabeller::new(labelling));
        Encoder { relabeller, ..Encoder::with_cache(Labels::default(), bytes) }
    }

    /// The same with so many bytes of cache, for tests.
    #[doc(hidden)]
    pub fn with_cache(external: Labels, bytes: usize) -> Encoder {
        Encoder {
            external,
            relabeller: None,
            exemplars: [Exemplars::Without, Exemplars::With],
            cache: Cache::new(bytes),
            draft: Draft::default(),
            packer: Packer::new(),
        }
    }

    /// The same with exemplars in requests of 1.0 and of 2.0 as these say; else only those of 2.0 have them.
    #[must_use]
    pub fn with_exemplars(self, one: Exemplars, two: Exemplars) -> Encoder {
        Encoder { exemplars: [one, two], ..self }
    }

    /// Reads a record, as [`Flat::read`] does.
    ///
    /// # Errors
    /// [`EncodeError`] where the bytes are no record of this version.
    pub fn read(&mut self, record: impl Into<Pieces>) -> Result<Flat, EncodeError> {
        Flat::read_with(record.into(), |bytes| match self.cache.layout(&bytes) {
            Some(known) => Ok(known),
            None => {
                let layout = Arc::new(Layout::read(bytes.to_bytes())?);
                let whose = if bytes.place().is_some() { Whose::Queue } else { Whose::Own };
                self.cache.admit(layout.clone(), whose);
                Ok(layout)
            }
        })
    }

    /// A record as it leaves, external labels apart, which are added where it is written.
    ///
    /// # Errors
    /// [`EncodeError`] where its new labels are none.
    pub fn outgoing(&mut self, record: Arc<Flat>) -> Result<Outgoing, EncodeError> {
        match &mut self.relabeller {
            Some(relabeller) => relabeller.outgoing(&mut self.cache, &record),
            None => Ok(Outgoing::unchanged(record)),
        }
    }

    /// The series of `record` in `range` as a compressed request of 1.0.
    ///
    /// # Errors
    /// [`EncodeError::Snappy`] for a body of over 4 GiB.
    pub fn one(
        &mut self,
        record: &Flat,
        range: Range<usize>,
        metadata: Metadata,
    ) -> Result<Vec<u8>, EncodeError> {
        self.write(record, Kind { is_two: false, exemplars: self.exemplars[0], range }, metadata)
    }

    /// The series of `record` in `range` as a compressed request of 2.0, each with its type and help.
    ///
    /// # Errors
    /// [`EncodeError::Snappy`] for a body of over 4 GiB.
    pub fn two(&mut self, record: &Flat, range: Range<usize>) -> Result<Vec<u8>, EncodeError> {
        let kind = Kind { is_two: true, exemplars: self.exemplars[1], range };
        self.write(record, kind, Metadata::Without)
    }

    fn write(&mut self, record: &Flat, kind: Kind, metadata: Metadata) -> Result<Vec<u8>, EncodeError> {
        let Encoder { external, cache, draft, packer, .. } = self;
        let (range, is_two) = (kind.range.clone(), kind.is_two);
        let time = template::time(record, &kind);
        let known = time.and_then(|time| Some((time, cache.template(record.layout(), &kind)?)));
        let is_new = known.is_none();
        match known {
            Some((time, template)) => {
                let values = record.values(range.clone());
                if metadata == Metadata::Without {
                    return packer.again(template, values, time, is_two);
                }
                draft.clear();
                draft.plain.extend_from_slice(template.blank.filled(values, time));
            }
            None => {
                if kind.is_two {
                    rw2::series(draft, record, range.clone(), external, kind.exemplars);
                } else {
                    rw1::series(draft, record, range.clone(), external, kind.exemplars);
                }
            }
        }
        let series = draft.plain.len();
        if metadata == Metadata::With {
            // Behind the series, so that a template serves with it and without.
            rw1::describe(&mut draft.plain, record, range);
        }
        let packed = packer.pack(&draft.plain, is_two)?;
        if is_new && time.is_some() {
            draft.plain.truncate(series);
            cache.keep(record.layout(), kind, draft, packed.len());
        }
        Ok(packed)
    }
}
