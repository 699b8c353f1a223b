//! What comes after a request that was not taken: the same again later, or slow questions whether it is taken by now.

use std::time::Duration;

use super::Worker;
use super::answer::Heard;
use super::step::{Sent, Step};
use crate::http::{HttpError, chain};
use crate::retry::{RETRY_AFTER_CAP, retry_after};

impl Worker {
    pub(super) fn failed(&mut self, sent: &Sent, error: &HttpError) -> Step {
        let why = chain(error);
        if error.is_refusal() {
            return self.park_for(&why, error.next_step());
        }
        let why = format!("{why}; {}", error.next_step());
        self.retry(sent.sent.len(), why, self.asked_to_wait(error))
    }

    pub(super) fn retry(&mut self, samples: usize, why: String, after: Option<Duration>) -> Step {
        let backoff = self.backoff.next_delay();
        let delay = after.unwrap_or(backoff);
        self.attempt = self.attempt.saturating_add(1);
        self.telemetry.retrying(&self.sink, samples, &why, delay);
        self.tally.failure = Some(why);
        Step::Wait(delay)
    }

    pub(super) fn park(&mut self, heard: &Heard, next_step: &str) -> Step {
        self.park_for(&heard.why(), next_step)
    }

    fn park_for(&mut self, why: &str, next_step: &str) -> Step {
        let delay = self.parking.next_delay();
        self.attempt = self.attempt.saturating_add(1);
        self.telemetry.parked(&self.sink, &why, next_step, delay);
        self.tally.failure = Some(format!("{why}: {next_step}"));
        Step::Parked(delay)
    }

    /// The next request only after a pause, since the receiver has taken nothing yet.
    pub(super) fn pause(&mut self, heard: &Heard, delay: Duration) -> Step {
        self.telemetry.retrying(&self.sink, 0, &heard.why(), delay);
        self.tally.failure = Some(heard.why());
        Step::Wait(delay)
    }

    /// What a token endpoint says of when to ask again.
    pub(super) fn asked_to_wait(&self, error: &HttpError) -> Option<Duration> {
        retry_after(error.retry_after()?, self.clock.now(), RETRY_AFTER_CAP)
    }
}
