//! The record whose samples are on their way, read once for all of its requests.

use super::Worker;
use super::lane::Lane;
use crate::encode::Outgoing;
use crate::encode::record::{Gap, Pieces};
use crate::queue;

/// The record that is being delivered.
#[derive(Debug)]
pub(super) struct Loaded {
    lane: Lane,
    number: u64,
    record: Outgoing,
}

impl Worker {
    /// The record that is being delivered, or another one; the error says what is wrong with it.
    pub(super) fn load(&mut self, number: u64, source: &queue::Record) -> Result<Outgoing, String> {
        match self.loaded.take() {
            Some(loaded) if loaded.lane == self.lane && loaded.number == number => Ok(loaded.record),
            _ => {
                self.attempt = 0;
                self.read(source)
            }
        }
    }

    /// Reads a record; the error says what is wrong with it.
    pub(super) fn read(&mut self, source: &queue::Record) -> Result<Outgoing, String> {
        let layout = source.shared.clone().map(|shared| Gap { at: shared.at, bytes: shared.bytes });
        let pieces = Pieces { own: source.own.clone(), layout };
        let record = self.encoder.read(pieces).map_err(|error| error.to_string())?;
        if record.series_count() != source.samples {
            return Err("the record is damaged: it does not hold the samples that it should".into());
        }
        self.outgoing(record)
    }

    /// Keeps a record for its next request.
    pub(super) fn keep_loaded(&mut self, number: u64, record: Outgoing) {
        self.loaded = Some(Loaded { lane: self.lane, number, record });
    }
}
