//! What a sink does and what waits for it, in words: the one place that `queue status` and the status page
//! are both made from. Pure.

use std::fmt::{self, Display, Write as _};
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::SinkKind;
use super::status::{QueueStatus, SinkState, SinkStatus};
use crate::sample::Millis;

/// A part of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it is.
    Text(String),
    /// A span that means a point in time, such as `5 s` of `5 s ago`.
    Time {
        /// The point (RFC 3339).
        exact: String,
        /// The span.
        said: String,
    },
}

/// Words for people, in which a reader that can do so finds the exact times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentence(Vec<Piece>);

impl Sentence {
    /// Begins with a text.
    pub fn new(text: impl Into<String>) -> Self {
        Sentence::default().say(text)
    }

    /// Goes on with a text.
    #[must_use]
    pub fn say(mut self, text: impl Into<String>) -> Self {
        self.0.push(Piece::Text(text.into()));
        self
    }

    /// Goes on with a span of seconds that means a point in time.
    #[must_use]
    pub fn span(mut self, exact: impl Into<String>, seconds: u64) -> Self {
        self.0.push(Piece::Time { exact: exact.into(), said: span(seconds) });
        self
    }

    /// Goes on with a point in time as itself.
    #[must_use]
    pub fn exactly(mut self, exact: &str) -> Self {
        self.0.push(Piece::Time { exact: exact.to_owned(), said: exact.to_owned() });
        self
    }

    /// Its parts.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }
}

impl Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Time { said, .. } => f.write_str(said),
        })
    }
}

impl Serialize for Sentence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One sink.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SinkReport {
    /// Its name.
    pub name: String,
    /// What it does.
    #[serde(flatten)]
    pub state: Doing,
    /// Its URL without userinfo and query.
    pub url: Option<String>,
    /// The last failure.
    pub last_error: Option<String>,
    /// When a request was last taken (RFC 3339).
    #[serde(default)]
    pub last_success: Option<String>,
    /// How long ago that was.
    pub last_success_seconds: Option<u64>,
    /// Records that wait.
    pub waiting_records: usize,
    /// Samples that wait.
    pub waiting_samples: u64,
    /// The time of the oldest of them (RFC 3339).
    pub oldest: Option<String>,
    /// How far the receiver is behind: the age of the oldest.
    pub lag_seconds: u64,
    /// Samples that were refused and are kept.
    pub refused_samples: u64,
    /// How many of them are to be sent again.
    pub again_samples: u64,
    /// Samples that were refused or dropped since the start.
    #[serde(default)]
    pub dropped_samples: u64,
}

/// What a sink does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Doing {
    /// Nothing runs.
    NotRunning,
    /// No configuration names it any more.
    Removed,
    /// Nothing was sent yet.
    Idle,
    /// The last request was taken.
    Sending {
        /// What is spoken.
        protocol: Option<String>,
    },
    /// The last request failed.
    Waiting {
        /// When it is tried again (RFC 3339).
        until: String,
        /// In how many seconds.
        seconds: u64,
    },
    /// The receiver refuses us as a whole.
    Parked {
        /// When it is asked again (RFC 3339).
        until: String,
        /// In how many seconds.
        seconds: u64,
    },
}

impl SinkStatus {
    /// As it is told at `now`.
    pub fn report(&self, name: &str, now: Millis) -> SinkReport {
        let next = |delay: Duration| {
            let left = delay.saturating_sub(self.since.elapsed());
            (exact(now + left), left.as_secs())
        };
        let state = match self.state {
            SinkState::Idle => Doing::Idle,
            SinkState::Delivering => Doing::Sending { protocol: self.protocol.map(str::to_owned) },
            SinkState::Retrying { delay } => {
                let (until, seconds) = next(delay);
                Doing::Waiting { until, seconds }
            }
            SinkState::Parked { delay } => {
                let (until, seconds) = next(delay);
                Doing::Parked { until, seconds }
            }
        };
        SinkReport {
            url: Some(self.url.to_string()),
            last_error: self.last_error.clone(),
            last_success: self.last_success.map(exact),
            last_success_seconds: self.last_success.map(|then| now.since(then).as_secs()),
            waiting_records: self.waiting_records,
            waiting_samples: self.waiting_samples,
            oldest: self.oldest.map(exact),
            lag_seconds: self.oldest.map_or(0, |then| now.since(then).as_secs()),
            refused_samples: self.refused_samples,
            again_samples: self.again_samples,
            dropped_samples: self.dropped,
            ..SinkReport::of(name, state)
        }
    }
}

impl SinkReport {
    /// A sink of which nothing is known but what it does.
    pub fn of(name: &str, state: Doing) -> Self {
        SinkReport {
            name: name.to_owned(),
            state,
            url: None,
            last_error: None,
            last_success: None,
            last_success_seconds: None,
            waiting_records: 0,
            waiting_samples: 0,
            oldest: None,
            lag_seconds: 0,
            refused_samples: 0,
            again_samples: 0,
            dropped_samples: 0,
        }
    }

    /// Everything that there is to say, what it does first.
    pub fn sentences(&self, kind: SinkKind) -> Vec<Sentence> {
        let mut all = vec![self.doing()];
        match kind {
            SinkKind::RemoteWrite => {
                all.push(self.backlog());
                all.extend(self.refused());
            }
            SinkKind::Pushgateway => {
                if matches!(self.state, Doing::Waiting { .. } | Doing::Parked { .. }) {
                    all.push(Sentence::new("the newest cycle waits: a gateway holds no older ones"));
                }
            }
        }
        if self.dropped_samples > 0 {
            let dropped = self.dropped_samples;
            all.push(Sentence::new(format!("{dropped} samples were refused or dropped since the start")));
        }
        if let (Doing::Sending { .. } | Doing::Idle, Some(error)) = (&self.state, &self.last_error) {
            all.push(Sentence::new(format!("the last error: {error}")));
        }
        all
    }

    fn doing(&self) -> Sentence {
        let why = self.last_error.as_deref().unwrap_or("no reason known");
        match &self.state {
            Doing::NotRunning => Sentence::new("not sending: nothing runs"),
            Doing::Removed => Sentence::new(format!(
                "no longer configured: what waits stays until max_age, or `fleetpush queue drop --endpoint {}`",
                self.name
            )),
            Doing::Idle => Sentence::new("nothing was sent yet"),
            Doing::Sending { protocol: Some(protocol) } => {
                self.last(Sentence::new(format!("sending ({protocol}), ")))
            }
            Doing::Sending { protocol: None } => self.last(Sentence::new("sending, ")),
            Doing::Waiting { until, seconds } => {
                let begun = Sentence::new("waiting until ").exactly(until).say(" (in ").span(until, *seconds);
                self.last(begun.say(") to try again, ")).say(format!(", because {why}"))
            }
            Doing::Parked { until, seconds } => {
                let begun = Sentence::new("parked, nothing is dropped, asked again at ").exactly(until);
                let begun = begun.say(" (in ").span(until, *seconds).say("), ");
                self.last(begun).say(format!(", because {why}"))
            }
        }
    }

    fn last(&self, begun: Sentence) -> Sentence {
        match (self.last_success_seconds, &self.last_success) {
            (Some(seconds), exact) => {
                let exact = exact.as_deref().unwrap_or_default();
                begun.say("the last request was taken ").span(exact, seconds).say(" ago")
            }
            (None, _) => begun.say("no request was taken since the start"),
        }
    }

    fn backlog(&self) -> Sentence {
        let Some(oldest) = &self.oldest else { return Sentence::new("nothing waits") };
        let (samples, records) = (self.waiting_samples, self.waiting_records);
        Sentence::new(format!("{samples} samples in {records} records wait; lag "))
            .span(oldest, self.lag_seconds)
            .say(", the oldest is of ")
            .exactly(oldest)
    }

    fn refused(&self) -> Option<Sentence> {
        let (refused, again) = (self.refused_samples, self.again_samples);
        let kept = format!("{refused} samples were refused and are kept");
        match (refused, again) {
            (0, _) => None,
            (_, 0) => Some(Sentence::new(format!(
                "{kept}: `fleetpush queue retry --endpoint {}` sends them again",
                self.name
            ))),
            _ => Some(Sentence::new(format!("{kept}, {again} of them are sent again"))),
        }
    }
}

impl QueueStatus {
    /// Everything that there is to say of the queue as a whole.
    pub fn sentences(&self) -> Vec<Sentence> {
        let mut text = format!("{} on the disk, {} records", size(self.bytes), self.records);
        if self.in_memory {
            text = format!("{} in memory, {} records", size(self.bytes), self.records);
        }
        if let Some(room) = self.full_in {
            let room = span(room.as_secs());
            // Writing into a `String` cannot fail.
            write!(text, "; at the present rate max_size lasts {room} more if nothing is delivered")
                .unwrap_or_default();
        }
        let mut all = vec![Sentence::new(text)];
        if let Some(trouble) = &self.trouble {
            let pending = self.pending_samples;
            all.push(Sentence::new(format!(
                "the store cannot be used, {pending} samples wait in memory: {trouble}"
            )));
        }
        all
    }
}

/// A point in time as RFC 3339 has it, to the second.
pub fn exact(at: Millis) -> String {
    let at = jiff::Timestamp::from_second(at.0.div_euclid(1000)).unwrap_or_default();
    at.to_string()
}

/// A span as one says it: two units at most.
pub fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let Some(first) = UNITS.iter().position(|(unit, _)| seconds >= *unit) else { return "0 s".to_owned() };
    let (unit, word) = UNITS[first];
    let whole = format!("{} {word}", seconds / unit);
    match UNITS.get(first + 1).map(|(smaller, word)| (seconds % unit / smaller, word)) {
        Some((rest @ 1.., word)) => format!("{whole} {rest} {word}"),
        _ => whole,
    }
}

/// A number of bytes as one says it.
pub fn size(bytes: u64) -> String {
    const KIB: u64 = 1024;
    match bytes {
        0..KIB => format!("{bytes} bytes"),
        KIB..1_048_576 => format!("{} KiB", bytes / KIB),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_are_said_as_one_says_them() {
        for (seconds, said) in [
            (0, "0 s"),
            (59, "59 s"),
            (61, "1 min 1 s"),
            (3_600, "1 h"),
            (694_800, "8 d 1 h"),
            (86_461, "1 d"),
        ] {
            assert_eq!(span(seconds), said);
        }
        for (bytes, said) in [(5, "5 bytes"), (2_048, "2 KiB"), (3 << 19, "1.5 MiB")] {
            assert_eq!(size(bytes), said);
        }
    }

    #[test]
    fn what_a_gateway_does_is_said_without_a_queue() {
        let until = "2026-01-01T00:00:30Z".to_owned();
        let waiting = SinkReport {
            last_error: Some("it is away".into()),
            last_success: Some("2025-12-31T23:59:00Z".into()),
            last_success_seconds: Some(90),
            ..SinkReport::of("site", Doing::Waiting { until, seconds: 4 })
        };
        let said: Vec<String> =
            waiting.sentences(SinkKind::Pushgateway).iter().map(Sentence::to_string).collect();
        assert_eq!(
            said,
            [
                "waiting until 2026-01-01T00:00:30Z (in 4 s) to try again, the last request was taken 1 min \
                 30 s ago, because it is away",
                "the newest cycle waits: a gateway holds no older ones"
            ]
        );
    }

    #[test]
    fn a_refusal_is_told_also_while_requests_are_taken() {
        let sending = SinkReport {
            last_error: Some("too_old".into()),
            dropped_samples: 3,
            ..SinkReport::of("env", Doing::Sending { protocol: None })
        };
        let said: Vec<String> =
            sending.sentences(SinkKind::RemoteWrite).iter().map(Sentence::to_string).collect();
        assert_eq!(
            said[1..],
            ["nothing waits", "3 samples were refused or dropped since the start", "the last error: too_old"]
        );
    }
}
