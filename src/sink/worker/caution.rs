//! A receiver that has taken nothing since the start, and whose no says nothing of the samples, may refuse whatever
//! it is sent: a wrong path, a proxy with an opinion. As long as that is so there is a pause after each no, so that a
//! backlog is not put aside as a whole before anybody has looked.

use std::time::Duration;

use crate::config::Retry;
use crate::retry::Backoff;
use crate::sink::remote_write::{Reason, Verdict};

#[derive(Debug)]
pub(super) struct Caution {
    /// None once something was taken.
    pauses: Option<Backoff>,
}

impl Caution {
    pub(super) fn new(retry: Retry) -> Self {
        Caution { pauses: Some(Backoff::new(retry.min, retry.max)) }
    }

    /// The receiver has taken samples: from now on a no is about those that it is said of.
    pub(super) fn taken(&mut self) {
        self.pauses = None;
    }

    /// How long to wait after an answer.
    pub(super) fn pause(&mut self, verdict: Verdict) -> Option<Duration> {
        match verdict {
            Verdict::Split | Verdict::Refuse(Reason::BadData | Reason::TooLarge) => {
                self.pauses.as_mut().map(Backoff::next_delay)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: Verdict = Verdict::Refuse(Reason::BadData);

    fn caution() -> Caution {
        Caution::new(Retry { min: Duration::from_secs(1), max: Duration::from_secs(30) })
    }

    #[test]
    fn pauses_grow_until_something_was_taken() {
        let mut caution = caution();
        let pauses: Vec<u64> = [BAD, Verdict::Split, BAD]
            .into_iter()
            .map(|verdict| caution.pause(verdict).expect("a pause").as_secs_f64().round() as u64)
            .collect();
        assert_eq!(pauses, [1, 2, 4]);
        caution.taken();
        assert_eq!(caution.pause(BAD), None);
    }

    #[test]
    fn a_no_that_is_about_the_samples_makes_no_pause() {
        let mut caution = caution();
        for reason in [Reason::TooOld, Reason::OutOfOrder, Reason::Duplicate, Reason::Conflict, Reason::Limit]
        {
            assert_eq!(
                caution.pause(Verdict::Refuse(reason)),
                None,
                "a backlog that is too late is soon behind"
            );
        }
        assert_eq!(caution.pause(Verdict::Delivered), None);
    }
}
