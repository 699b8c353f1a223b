//! Which version is spoken with a receiver, from what it has said so far.

use std::time::Duration;

use super::{Asked, Protocol, Verdict, Written};
use crate::config::ProtobufMessage;
use crate::sample::Millis;

/// So many 5xx to a 2.0 that was never confirmed, and 1.0 is tried once.
const DOUBTS: u32 = 3;
/// The version of what is kept.
const STATE: u8 = 1;

/// What is known about a receiver's versions.
#[derive(Clone, Debug)]
pub struct Dialect {
    pinned: bool,
    current: Protocol,
    two_confirmed: bool,
    one_taken: bool,
    doubts: u32,
    asked: Option<Millis>,
    /// What was last kept.
    kept: Option<Vec<u8>>,
}

impl Dialect {
    /// Before anything was heard.
    pub fn new(message: ProtobufMessage) -> Self {
        Dialect {
            pinned: message != ProtobufMessage::Auto,
            current: if message == ProtobufMessage::V1 { Protocol::One } else { Protocol::Two },
            two_confirmed: false,
            one_taken: false,
            doubts: 0,
            asked: None,
            kept: None,
        }
    }

    /// What is worth keeping for the next start, where it is not what was last kept: whether 2.0 is spoken,
    /// whether it was confirmed, and when the receiver was asked (milliseconds since the epoch).
    pub fn changed(&mut self) -> Option<Vec<u8>> {
        let asked = self.asked.filter(|_| !self.pinned)?;
        let mut state = vec![STATE, u8::from(self.current == Protocol::Two), u8::from(self.two_confirmed)];
        state.extend(asked.0.to_le_bytes());
        if self.kept.as_ref() == Some(&state) {
            return None;
        }
        self.kept = Some(state.clone());
        Some(state)
    }

    /// Goes on from what an earlier process has kept; what it does not know is passed over.
    pub fn resume(&mut self, state: &[u8]) {
        let [STATE, two @ (0 | 1), confirmed @ (0 | 1), asked @ ..] = state else { return };
        let Ok(asked) = <[u8; 8]>::try_from(asked) else { return };
        if self.pinned {
            return;
        }
        self.current = if *two == 1 { Protocol::Two } else { Protocol::One };
        self.two_confirmed = *confirmed == 1;
        self.asked = Some(Millis(i64::from_le_bytes(asked)));
        self.kept = Some(state.to_vec());
    }

    /// Whether the configuration allows one version only.
    pub fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// Whether the receiver is to be asked with an empty 2.0 request before the next samples.
    pub fn is_question_due(&self, now: Millis, every: Duration) -> bool {
        let due = |asked: Millis| now < asked || now.since(asked) >= every;
        !self.pinned && self.asked.is_none_or(due)
    }

    /// What the empty 2.0 request was answered; `None` where there was no answer.
    ///
    /// Headers decide for 2.0 and a 415 for 1.0. Otherwise 1.0 stays, and for 2.0 the next samples decide.
    pub fn answered(&mut self, now: Millis, answer: Option<(u16, Option<Written>)>) {
        self.asked = Some(now);
        match answer {
            None => {}
            Some((_, Some(_))) => {
                self.current = Protocol::Two;
                self.two_confirmed = true;
            }
            Some((415, None)) => self.fall_back(),
            // A busy receiver says nothing about its versions.
            Some((429 | 500..=599, None)) => {}
            Some(_) => self.two_confirmed = false,
        }
    }

    /// The version of the next request.
    pub fn protocol(&self) -> Protocol {
        if self.is_trial() { Protocol::One } else { self.current }
    }

    /// Whether the next request tries 1.0 out.
    pub fn is_trial(&self) -> bool {
        self.doubts >= DOUBTS
    }

    /// Whether the receiver has taken samples in the version that is spoken.
    pub fn is_sure(&self) -> bool {
        !self.is_trial()
            && match self.current {
                Protocol::One => self.one_taken,
                Protocol::Two => self.two_confirmed,
            }
    }

    /// What the verdict on a request of `samples` depends on.
    pub fn asked(&self, samples: usize) -> Asked {
        Asked {
            protocol: self.protocol(),
            samples,
            two_confirmed: self.two_confirmed,
            one_taken: self.one_taken,
        }
    }

    /// Takes in the answer to a request with samples; what it means for them is `verdict`.
    pub fn heard(&mut self, status: u16, written: Option<Written>, verdict: Verdict) {
        let (protocol, trial) = (self.protocol(), self.is_trial());
        if protocol == Protocol::Two && written.is_some() {
            self.two_confirmed = true;
        }
        let doubtful = protocol == Protocol::Two
            && !self.pinned
            && !self.two_confirmed
            && (500..=599).contains(&status)
            && matches!(verdict, Verdict::Retry { .. });
        self.doubts = if doubtful { self.doubts + 1 } else { 0 };
        if protocol == Protocol::One && verdict == Verdict::Delivered {
            self.one_taken = true;
            if trial {
                self.fall_back();
            }
        }
        if verdict == Verdict::Fallback && !self.pinned {
            self.fall_back();
        }
    }

    fn fall_back(&mut self) {
        self.current = Protocol::One;
        self.two_confirmed = false;
        self.doubts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const SOME: Option<Written> = Some(Written { samples: 0 });
    const RETRY: Verdict = Verdict::Retry { after: None };

    #[test]
    fn a_pinned_version_is_never_asked_and_never_left() {
        for (message, protocol) in
            [(ProtobufMessage::V1, Protocol::One), (ProtobufMessage::V2, Protocol::Two)]
        {
            let mut dialect = Dialect::new(message);
            assert!(!dialect.is_question_due(Millis(0), DAY));
            for _ in 0..5 {
                dialect.heard(500, None, RETRY);
            }
            dialect.heard(415, None, Verdict::Fallback);
            assert_eq!(dialect.protocol(), protocol);
        }
    }

    #[test]
    fn the_question_is_asked_at_the_start_and_again_after_a_day() {
        let mut dialect = Dialect::new(ProtobufMessage::Auto);
        assert!(dialect.is_question_due(Millis(5), DAY));
        dialect.answered(Millis(5), Some((415, None)));
        assert_eq!(dialect.protocol(), Protocol::One);
        assert!(!dialect.is_question_due(Millis(86_400_004), DAY));
        assert!(dialect.is_question_due(Millis(86_400_005), DAY));
        dialect.answered(Millis(86_400_005), Some((204, SOME)));
        assert_eq!(dialect.protocol(), Protocol::Two);
        dialect.answered(Millis(2 * 86_400_005), Some((204, None)));
        assert!(!dialect.asked(1).two_confirmed, "the next samples decide");
    }

    #[test]
    fn what_was_found_out_outlives_the_process_and_is_kept_once() {
        let mut dialect = Dialect::new(ProtobufMessage::Auto);
        assert_eq!(dialect.changed(), None, "nothing is known yet");
        dialect.answered(Millis(7), Some((415, None)));
        let state = dialect.changed().unwrap();
        assert_eq!(dialect.changed(), None);
        let mut next = Dialect::new(ProtobufMessage::Auto);
        next.resume(&state);
        assert_eq!((next.protocol(), next.is_question_due(Millis(8), DAY)), (Protocol::One, false));
        assert_eq!(next.changed(), None);
        let mut pinned = Dialect::new(ProtobufMessage::V2);
        pinned.resume(&state);
        assert_eq!(pinned.protocol(), Protocol::Two);
        for odd in [&state[..3], b"", b"garbage", &[1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            let mut fresh = Dialect::new(ProtobufMessage::Auto);
            fresh.resume(odd);
            assert!(fresh.is_question_due(Millis(8), DAY));
        }
    }

    #[test]
    fn after_three_5xx_one_request_is_tried_as_1_0() {
        let mut dialect = Dialect::new(ProtobufMessage::Auto);
        for _ in 0..2 {
            for _ in 0..3 {
                assert_eq!(dialect.protocol(), Protocol::Two);
                dialect.heard(503, None, RETRY);
            }
            assert_eq!(dialect.protocol(), Protocol::One);
            dialect.heard(503, None, RETRY);
        }
        assert_eq!(dialect.protocol(), Protocol::Two);
    }

    #[test]
    fn a_confirmed_2_0_does_not_doubt() {
        let mut dialect = Dialect::new(ProtobufMessage::Auto);
        dialect.heard(204, SOME, Verdict::Delivered);
        for _ in 0..9 {
            dialect.heard(500, None, RETRY);
            assert_eq!(dialect.protocol(), Protocol::Two);
        }
    }
}
