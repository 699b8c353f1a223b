//! Which record comes next, and where its acknowledgement goes: the queue's own, oldest first, and once all of
//! these are done those that were refused and are to be sent again, one request at a time.

use std::sync::Arc;

use super::Worker;
use super::step::Owed;
use crate::queue::{Again, Peeked, Position, QueueError, Record};

/// Where a record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// The queue.
    Queue,
    /// The refused records: the one of this number.
    Shelf(u64),
}

/// What is to be sent.
pub(super) struct Next {
    pub(super) lane: Lane,
    /// Where it begins.
    pub(super) at: Position,
    /// Behind its last sample.
    pub(super) end: usize,
    /// None where the bytes are no longer those that were written.
    pub(super) record: Option<Record>,
    /// The terms under which it was made, where they are known.
    pub(super) terms: Option<Arc<[u8]>>,
    /// Records of the same tick that come after it.
    pub(super) behind: Vec<Peeked>,
}

impl Worker {
    pub(super) async fn next(&mut self) -> Result<Option<Next>, QueueError> {
        // What came with an acknowledgement is good for the step after it: later a bound may have dropped it.
        let mut peeked = std::mem::take(&mut self.upcoming);
        if peeked.is_empty() {
            peeked = self.queue.peek(&self.endpoint.name, self.at_once()).await?;
        }
        let mut behind = peeked.into_iter();
        if let Some(Peeked { position, samples, record, terms }) = behind.next() {
            let behind = behind.collect();
            return Ok(Some(Next { lane: Lane::Queue, at: position, end: samples, record, terms, behind }));
        }
        let again = self.queue.peek_again(&self.endpoint.name).await?;
        Ok(again.map(|Again { shelf, refused, terms }| Next {
            lane: Lane::Shelf(shelf),
            at: refused.position,
            end: refused.position.sample + refused.samples,
            record: Some(refused.record),
            terms,
            behind: Vec::new(),
        }))
    }

    /// Writes down what is owed.
    pub(super) async fn pay(&mut self) -> Result<(), QueueError> {
        let Some(Owed { lane, from, samples, done }) = &self.owed else { return Ok(()) };
        match lane {
            Lane::Queue => {
                let (endpoint, done) = (&self.endpoint.name, done.clone());
                self.upcoming = self.queue.acknowledge(endpoint, *from, done, self.at_once()).await?;
            }
            Lane::Shelf(number) => self.queue.settle(*number, *from, done.clone()).await?,
        }
        self.telemetry.acknowledged(&self.sink, from.record, from.sample, *samples);
        self.owed = None;
        self.show_backlog();
        Ok(())
    }

    /// Samples that wait, those that are to be sent again among them.
    pub(super) fn waiting_samples(&self) -> u64 {
        let again = self.queue.view().aside.get(&*self.endpoint.name).map_or(0, |aside| aside.again);
        self.queue.waiting(&self.endpoint.name).samples + again
    }
}
