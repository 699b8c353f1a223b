//! One step of the loop: at most one request, and what its answer leads to.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;

use super::Worker;
use super::answer::Heard;
use super::lane::{Lane, Next};
use crate::encode::Outgoing;
use crate::encode::record::{Gap, Pieces};
use crate::encode::rw1::Metadata;
use crate::http::{HttpError, Request, chain};
use crate::queue::{self, Done, Position, QueueError, Refused};
use crate::sample::Millis;
use crate::sink::remote_write::{self, Protocol, Reason, Verdict};
use crate::telemetry::status::Delivery;

/// So much of an answer is read.
const ANSWER_CAP: u64 = 16 << 10;
/// How soon a queue that does not answer is asked again.
const WITHOUT_QUEUE: Duration = Duration::from_millis(500);

/// What comes after a step.
#[derive(Debug)]
pub(super) enum Step {
    /// The next one.
    On,
    /// Nothing waits.
    Idle,
    /// The next one after this delay.
    Wait(Duration),
    /// The receiver refuses us as a whole: the next one after this delay.
    Parked(Duration),
}

/// The record that is being delivered.
#[derive(Debug)]
pub(super) struct Loaded {
    lane: Lane,
    number: u64,
    record: Outgoing,
}

/// What is answered for and not yet written down: nothing else is done before it is.
#[derive(Debug)]
pub(super) struct Owed {
    pub(super) lane: Lane,
    pub(super) from: Position,
    pub(super) samples: usize,
    pub(super) done: Done,
}

/// One request's samples.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) at: Position,
    pub(super) record: Outgoing,
    pub(super) source: queue::Record,
    /// Of the queue's record.
    pub(super) range: Range<usize>,
    /// Of what leaves of it.
    pub(super) sent: Range<usize>,
    pub(super) protocol: Protocol,
    pub(super) metadata: Metadata,
    /// Of its body.
    pub(super) bytes: usize,
}

impl Worker {
    pub(super) async fn step(&mut self) -> Step {
        if let Err(error) = self.pay().await {
            return self.without_queue(&error);
        }
        let next = match self.next().await {
            Ok(Some(next)) => next,
            Ok(None) => return Step::Idle,
            Err(error) => return self.without_queue(&error),
        };
        if self.dialect.is_question_due(self.clock.now(), self.pace.ask_every) {
            return self.ask().await.map_or(Step::On, Step::Wait);
        }
        let step = self.deliver_one(next).await;
        match self.pay().await {
            Ok(()) => step,
            Err(error) => self.without_queue(&error),
        }
    }

    async fn deliver_one(&mut self, next: Next) -> Step {
        let Next { lane, at, end, record, terms, behind } = next;
        self.lane = lane;
        self.turn_to(terms);
        let Some(source) = record else {
            let why = "the disk has changed its bytes";
            self.dropped(at, end.saturating_sub(at.sample), Reason::Damaged, why);
            return Step::On;
        };
        let record = match self.load(at.record, &source) {
            Ok(record) => record,
            Err(why) => {
                let range = at.sample..end.max(at.sample + 1);
                let lost = range.len();
                self.set_aside(at, source, range, lost, Reason::Damaged, &why);
                return Step::On;
            }
        };
        let range = self.cuts.next(at, end, self.endpoint.max_samples_per_send);
        if let Some((sent, heard)) = self.taken_ahead(at, &range) {
            return self.delivered(&sent, &heard, false);
        }
        if record.range(&range).is_empty() && !range.is_empty() {
            // Nothing of it leaves.
            self.held(&record, &range);
            self.advance(at, range.len());
            self.keep_loaded(at.record, record);
            return Step::On;
        }
        let metadata = self.metadata(&record, &range);
        let (sent, body) = match self.prepared(at, record, source, range, metadata) {
            Ok(prepared) => prepared,
            Err((sent, why)) => {
                self.set_aside(sent.at, sent.source, sent.range, sent.sent.len(), Reason::Damaged, &why);
                return Step::On;
            }
        };
        let mut requests = vec![(sent, body)];
        self.join(&mut requests, end, behind);
        self.deliver_all(requests).await
    }

    fn without_queue(&mut self, error: &QueueError) -> Step {
        self.tally.failure = Some(error.to_string());
        Step::Wait(WITHOUT_QUEUE)
    }

    /// The record that is being delivered, or another one; the error says what is wrong with it.
    fn load(&mut self, number: u64, source: &queue::Record) -> Result<Outgoing, String> {
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

    pub(super) fn metadata(&self, record: &Outgoing, range: &Range<usize>) -> Metadata {
        match self.dialect.protocol() {
            Protocol::One => self.described.due(record.record(), record.range(range), self.clock.now()),
            Protocol::Two => Metadata::Without,
        }
    }

    /// A request; the error says what is wrong with its samples.
    pub(super) fn prepared(
        &mut self,
        at: Position,
        record: Outgoing,
        source: queue::Record,
        range: Range<usize>,
        metadata: Metadata,
    ) -> Result<(Sent, Bytes), (Box<Sent>, String)> {
        let protocol = self.dialect.protocol();
        let sent = record.range(&range);
        let body = protocol.body(&mut self.encoder, record.record(), sent.clone(), metadata);
        let bytes = body.as_ref().map_or(0, Vec::len);
        let sent = Sent { at, record, source, range, sent, protocol, metadata, bytes };
        match body {
            Ok(body) => Ok((sent, body.into())),
            Err(error) => Err((Box::new(sent), error.to_string())),
        }
    }

    /// Asks with an empty 2.0 request; a delay where the receiver asks for one.
    async fn ask(&mut self) -> Option<Duration> {
        let before = self.dialect.protocol();
        let body = Protocol::Two.question().unwrap_or_default();
        let answer = self.post(Protocol::Two, body.into(), 0).await;
        let wait = answer.as_ref().err().and_then(|error| Some((chain(error), self.asked_to_wait(error)?)));
        let answer = answer.ok();
        let known = answer.as_ref().map(|heard| (heard.status, heard.written));
        self.dialect.answered(self.clock.now(), known);
        if before == Protocol::Two && self.dialect.protocol() == Protocol::One {
            self.telemetry.fell_back(&self.sink, &"the receiver answered 415 to an empty 2.0 request");
        }
        let busy = |heard: Heard| {
            let delay = heard.retry_after.filter(|_| matches!(heard.status, 429 | 503))?;
            Some((heard.why(), delay))
        };
        let (why, delay) = wait.or_else(|| busy(answer?))?;
        self.telemetry.retrying(&self.sink, 0, &why, delay);
        self.tally.failure = Some(why);
        Some(delay)
    }

    pub(super) async fn post(
        &self,
        protocol: Protocol,
        body: Bytes,
        attempt: u32,
    ) -> Result<Heard, HttpError> {
        let request = Request {
            method: Method::POST,
            url: self.endpoint.url.clone(),
            headers: protocol.headers(attempt),
            body,
            body_cap: ANSWER_CAP,
        };
        let answer = self.client.send(request).await?;
        Ok(Heard::of(&self.client, &self.endpoint.url, answer, self.clock.now()).await)
    }

    pub(super) fn settle(&mut self, sent: Sent, heard: &Heard) -> Step {
        let trial = self.dialect.is_trial();
        let asked = self.dialect.asked(sent.sent.len());
        let mut verdict = remote_write::judge(&asked, &heard.reply());
        if trial && matches!(verdict, Verdict::Refuse(_) | Verdict::Bisect) {
            // 1.0 was only tried: what it is refused for may be the version.
            verdict = Verdict::Retry { after: None };
        }
        self.dialect.heard(heard.status, heard.written, verdict);
        let step = self.act(sent, heard, verdict, trial);
        self.caution.pause(verdict).map_or(step, |pause| self.pause(heard, pause))
    }

    fn act(&mut self, sent: Sent, heard: &Heard, verdict: Verdict, trial: bool) -> Step {
        match verdict {
            Verdict::Delivered => self.delivered(&sent, heard, trial),
            Verdict::Fallback if self.dialect.is_pinned() => self.park(
                heard,
                "the receiver does not store remote write 2.0: leave protobuf_message out, or set it to \
                 prometheus.WriteRequest",
            ),
            Verdict::Fallback => {
                self.attempt = 0;
                self.telemetry.fell_back(&self.sink, &format!("{} to a 2.0 request", heard.why()));
                Step::On
            }
            Verdict::Retry { after } => {
                let why = format!("{}; {}", heard.why(), heard.next_step);
                self.retry(sent.sent.len(), why, after)
            }
            Verdict::Split => {
                self.attempt = 0;
                self.cuts.halve();
                Step::On
            }
            Verdict::Bisect if self.cuts.bisect() => {
                self.attempt = 0;
                Step::On
            }
            Verdict::Bisect => {
                let reason = Reason::of(heard.status, &heard.text);
                self.refuse(sent, reason, heard)
            }
            Verdict::Refuse(reason) => self.refuse(sent, reason, heard),
            Verdict::Park => self.park(heard, &heard.next_step),
        }
    }

    fn delivered(&mut self, sent: &Sent, heard: &Heard, trial: bool) -> Step {
        let now = self.clock.now();
        if trial {
            self.telemetry
                .fell_back(&self.sink, &"the receiver answers 2.0 with server errors and has taken 1.0");
        }
        if sent.metadata == Metadata::With {
            let families = self.described.sent(sent.record.record(), sent.sent.clone(), now);
            self.telemetry.metadata_sent(&self.sink, families);
        }
        let written = heard.written.map(|written| written.samples);
        self.took(sent, heard.status, sent.sent.len(), written);
        self.held(&sent.record, &sent.range);
        self.tally.failure = None;
        self.advance(sent.at, sent.range.len());
        Step::On
    }

    /// Reports samples that the receiver has.
    fn took(&mut self, sent: &Sent, code: u16, samples: usize, written: Option<u64>) {
        let delivery = Delivery {
            samples,
            bytes: sent.bytes,
            protocol: sent.protocol.as_str(),
            code,
            at: self.clock.now(),
            newest: Some(Millis(sent.record.record().common_timestamp())),
            written,
        };
        self.telemetry.delivered(&self.sink, &delivery);
        self.caution.taken();
        self.tally.delivered += samples as u64;
    }

    fn refuse(&mut self, sent: Sent, reason: Reason, heard: &Heard) -> Step {
        let mut why = heard.why();
        if let Some(explanation) = reason.explanation()
            && !self.explained.contains(&reason)
        {
            self.explained.push(reason);
            why = format!("{why}; {explanation}");
        }
        // A receiver of 2.0 says how many it has kept all the same.
        let kept = heard.written.map_or(0, |written| usize::try_from(written.samples).unwrap_or(usize::MAX));
        let kept = kept.min(sent.sent.len());
        if kept > 0 {
            self.took(&sent, heard.status, kept, None);
        }
        let lost = sent.sent.len() - kept;
        if lost == 0 {
            self.held(&sent.record, &sent.range);
            self.advance(sent.at, sent.range.len());
            return Step::On;
        }
        self.set_aside(sent.at, sent.source, sent.range, lost, reason, &why);
        Step::On
    }

    fn set_aside(
        &mut self,
        at: Position,
        record: queue::Record,
        range: Range<usize>,
        lost: usize,
        reason: Reason,
        why: &str,
    ) {
        let samples = range.len();
        let endpoint = self.endpoint.name.to_string();
        self.dropped_of(at, samples, lost, reason, why);
        if let Some(owed) = &mut self.owed {
            owed.done.refused = Some(Refused { endpoint, position: at, samples, record });
        }
    }

    /// Samples of which nothing is left to be set aside.
    fn dropped(&mut self, at: Position, samples: usize, reason: Reason, why: &str) {
        self.dropped_of(at, samples, samples, reason, why);
    }

    fn dropped_of(&mut self, at: Position, samples: usize, lost: usize, reason: Reason, why: &str) {
        self.telemetry.dropped(&self.sink, lost, reason.as_str(), &why);
        self.tally.refused += lost as u64;
        // The first one has the explanation.
        self.tally.refusal.get_or_insert_with(|| why.to_owned());
        self.advance(at, samples);
    }

    /// The samples are answered for.
    fn advance(&mut self, from: Position, samples: usize) {
        let state = self.dialect.changed();
        let to = Position { sample: from.sample + samples, ..from };
        let owed = self.owed.get_or_insert(Owed { lane: self.lane, from, samples: 0, done: Done::default() });
        owed.samples += samples;
        owed.done.to = to;
        owed.done.state = state.or(owed.done.state.take());
        self.cuts.done();
        self.attempt = 0;
        self.backoff.reset();
        self.parking.reset();
    }
}
