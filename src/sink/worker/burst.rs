//! Requests of one tick that go at once. They have no series in common, so their order among each other is
//! nothing to anyone; the next tick waits for the last of them. The answers are taken in the queue's order: up
//! to the first that is no yes they are acknowledged together. What was taken behind that one is remembered,
//! and is not sent a second time when its turn comes.

use std::ops::Range;

use bytes::Bytes;
use futures_util::future::join_all;

use super::Worker;
use super::answer::Heard;
use super::lane::Lane;
use super::step::{Sent, Step};
use crate::encode::Outgoing;
use crate::encode::rw1::Metadata;
use crate::queue::{Peeked, Position, Record};
use crate::sink::remote_write::{self, Asked, Verdict};

/// A request that was taken before its turn.
#[derive(Debug)]
pub(super) struct Taken {
    sent: Sent,
    heard: Heard,
}

impl Worker {
    /// So many requests may go at once now: more than one only where the receiver is known to take what it
    /// is sent, and nothing has to be tried out or found first.
    pub(super) fn at_once(&self) -> usize {
        let is_sure = self.attempt == 0 && self.dialect.is_sure() && self.cuts.is_whole();
        if is_sure { self.endpoint.max_shards } else { 1 }
    }

    /// Adds requests of the same tick to the first one, which is of a record of `end` samples.
    pub(super) fn join(&mut self, requests: &mut Vec<(Sent, Bytes)>, end: usize, behind: Vec<Peeked>) {
        let Some((first, _)) = requests.first() else { return };
        if self.lane != Lane::Queue || first.metadata == Metadata::With {
            return;
        }
        let rest = Position { sample: first.range.end, ..first.at };
        let (record, source) = (first.record.clone(), first.source.clone());
        let mut may_go_on = self.join_record(requests, rest, end, &record, &source);
        for Peeked { position, samples, record, terms } in behind {
            // Those of one tick were made under the same terms; others wait for their turn.
            let Some(source) = record.filter(|_| may_go_on && self.is_in_force(&terms)) else { return };
            let Ok(record) = self.read(&source) else { return };
            may_go_on = self.join_record(requests, position, samples, &record, &source);
        }
    }

    /// Adds the requests of one record from `at` to its `end`; says whether more may be added.
    fn join_record(
        &mut self,
        requests: &mut Vec<(Sent, Bytes)>,
        mut at: Position,
        end: usize,
        record: &Outgoing,
        source: &Record,
    ) -> bool {
        while at.sample < end {
            if requests.len() >= self.at_once() || self.ahead.contains_key(&at) {
                return false;
            }
            let range = self.cuts.chunk(at, end, self.endpoint.max_samples_per_send);
            // Metadata that is due goes once, with a request of its own; what cannot be encoded is for the step
            // that finds it first.
            if self.metadata(record, &range) == Metadata::With {
                return false;
            }
            // What leaves nothing to send is for the step that finds it first, too.
            if record.range(&range).is_empty() {
                return false;
            }
            let next = Position { sample: range.end, ..at };
            let request = self.prepared(at, record.clone(), source.clone(), range, Metadata::Without);
            let Ok(request) = request else { return false };
            requests.push(request);
            at = next;
        }
        true
    }

    /// Sends requests at once, and takes their answers in their order up to the first that is no yes.
    pub(super) async fn deliver_all(&mut self, requests: Vec<(Sent, Bytes)>) -> Step {
        let posts = requests.iter().map(|(sent, body)| {
            self.telemetry.sending(&self.sink, sent.at.record, sent.at.sample, sent.range.len());
            self.post(sent.protocol, body.clone(), self.attempt)
        });
        // Collected, since what is lazy would be begun one by one.
        let answers = join_all(posts.collect::<Vec<_>>()).await;
        let mut step = Step::On;
        let mut all_taken = true;
        for ((sent, _), answer) in requests.into_iter().zip(answers) {
            if let Ok(heard) = &answer {
                self.telemetry.answered(&self.sink, heard.status);
            }
            match answer {
                Ok(heard) if !all_taken => self.remember(sent, heard),
                Err(_) if !all_taken => {}
                answer => {
                    let (at, end, record) = (sent.at, sent.range.end, sent.record.clone());
                    // The first one's range is this one already.
                    self.cuts.next(at, end, self.endpoint.max_samples_per_send);
                    step = match answer {
                        Ok(heard) => self.settle(sent, &heard),
                        Err(error) => self.failed(&sent, &error),
                    };
                    self.keep_loaded(at.record, record);
                    all_taken = self.owed.as_ref().is_some_and(|owed| {
                        owed.done.refused.is_none() && owed.done.to == Position { sample: end, ..at }
                    });
                }
            }
        }
        step
    }

    /// Remembers a request that was taken, though one before it was not.
    fn remember(&mut self, sent: Sent, heard: Heard) {
        // As it was sent: an answer before it may have changed the version that is spoken.
        let asked = Asked { protocol: sent.protocol, ..self.dialect.asked(sent.sent.len()) };
        if remote_write::judge(&asked, &heard.reply()) == Verdict::Delivered {
            self.ahead.insert(sent.at, Taken { sent, heard });
        }
    }

    /// What was taken before its turn, where its turn is now.
    pub(super) fn taken_ahead(&mut self, at: Position, range: &Range<usize>) -> Option<(Sent, Heard)> {
        if self.lane != Lane::Queue {
            return None;
        }
        self.ahead = self.ahead.split_off(&at);
        let Taken { sent, heard } = self.ahead.remove(&at)?;
        (sent.range == *range).then_some((sent, heard))
    }
}
