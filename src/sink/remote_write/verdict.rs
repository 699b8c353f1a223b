//! What an answer means for the request that it answers.

use std::time::Duration;

use reqwest::header::HeaderMap;

use super::{Protocol, Reason};

/// What a receiver of 2.0 says it has written. That it says so at all proves that it knows 2.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Samples.
    pub samples: u64,
}

impl Written {
    /// Reads the three headers; none where not one of them is there.
    ///
    /// One that is there and cannot be read counts as 0, as a missing one beside the others does.
    pub fn of(headers: &HeaderMap) -> Option<Written> {
        let [samples, histograms, exemplars] = [
            "x-prometheus-remote-write-samples-written",
            "x-prometheus-remote-write-histograms-written",
            "x-prometheus-remote-write-exemplars-written",
        ]
        .map(|name| headers.get(name));
        samples.or(histograms).or(exemplars)?;
        let number = samples.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Some(Written { samples: number.unwrap_or(0) })
    }
}

/// What of a request, and of what went before, its verdict depends on.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The version it was written in.
    pub protocol: Protocol,
    /// How many samples it held.
    pub samples: usize,
    /// Whether this receiver has ever answered 2.0 with Written headers.
    pub two_confirmed: bool,
    /// Whether this endpoint has taken 1.0 since the start.
    pub one_taken: bool,
}

/// What came back.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The status.
    pub status: u16,
    /// What the receiver says it has written.
    pub written: Option<Written>,
    /// What `Retry-After` asks for.
    pub retry_after: Option<Duration>,
    /// The body's beginning: foreign text, which only chooses a [`Reason`].
    pub text: &'a str,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Delivered,
    /// Nothing was stored, since the receiver does not know 2.0: the same samples again as 1.0.
    Fallback,
    /// Later again, for ever.
    Retry {
        /// When the receiver says so.
        after: Option<Duration>,
    },
    /// Too large: its halves.
    Split,
    /// Something in it is bad and all of it was rolled back: its halves, so that the good one arrives.
    Bisect,
    /// The receiver will not take it, now or later.
    Refuse(Reason),
    /// The receiver refuses us as a whole: nothing is dropped, it is asked slowly.
    Park,
}

/// The table of the design, one arm for each row.
pub fn judge(asked: &Asked, reply: &Reply<'_>) -> Verdict {
    let unheard = asked.protocol == Protocol::Two && reply.written.is_none();
    match reply.status {
        200..=299 if unheard => Verdict::Fallback,
        200..=299 => Verdict::Delivered,
        415 if asked.protocol == Protocol::Two => Verdict::Fallback,
        400 | 406 | 422 if unheard && !asked.two_confirmed => Verdict::Fallback,
        300..=399 | 401..=405 | 407 | 410 | 501 => Verdict::Park,
        408 | 421 | 425 | 429 | 500..=599 => Verdict::Retry { after: reply.retry_after },
        413 if asked.samples > 1 => Verdict::Split,
        413 => Verdict::Refuse(Reason::TooLarge),
        400 if asked.protocol == Protocol::One && asked.one_taken && asked.samples > 1 => Verdict::Bisect,
        status @ 400..=499 => Verdict::Refuse(Reason::of(status, reply.text)),
        // No status that HTTP knows: nothing is known about the samples either.
        _ => Verdict::Retry { after: reply.retry_after },
    }
}
