//! What can go wrong, and whose turn it is.
//! In: faults to inject, requests. Out: the fault that a request meets. Never: the wrong answer itself.

use std::collections::VecDeque;
use std::time::Duration;

use super::Request;

/// A wrong answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status, with this body and these headers.
    Status {
        /// HTTP status.
        code: u16,
        /// `None` sends an empty body.
        body: Option<Vec<u8>>,
        /// Name and value.
        headers: Vec<(String, String)>,
    },
    /// Waits, then answers as if nothing had been.
    Hang(Duration),
    /// Waits, then answers this status with an empty body: a database query that ran into its limit.
    Stall {
        /// How long.
        time: Duration,
        /// HTTP status.
        code: u16,
    },
    /// Closes the connection.
    Cut(Cut),
    /// Status 200 with these bytes.
    Body(Vec<u8>),
    /// The database does not answer; the API then forgets who its callers are.
    DatabaseDown,
    /// Status 429 with this `Retry-After`.
    RateLimit(String),
    /// The right answer with a clock that is wrong by so many seconds.
    DateOffset(i64),
    /// Status 301 to this address.
    Redirect(String),
}

impl Fault {
    /// A status with an empty body.
    pub fn status(code: u16) -> Self {
        Self::Status { code, body: None, headers: Vec::new() }
    }

    /// A status with a body.
    pub fn status_with(code: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Status { code, body: Some(body.into()), headers: Vec::new() }
    }

    /// Adds a header to a [`Fault::Status`]; others stay as they are.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Self::Status { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

/// When the connection breaks.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// After the request was read, before anything was done with it.
    BeforeWork,
    /// After it was worked on (and stored), before the answer.
    AfterWork,
    /// After so many bytes of the answer's body.
    InBody(usize),
}

/// How often a fault is met.
#[derive(Clone, Copy, Debug)]
pub enum Times {
    /// By the next so many requests.
    Next(usize),
    /// Until the faults are cleared.
    Always,
}

#[derive(Debug, Default)]
pub(super) struct Faults(VecDeque<Due>);

#[derive(Debug)]
struct Due {
    fault: Fault,
    times: Times,
    part: Option<String>,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault, times: Times, part: Option<String>) {
        self.0.push_back(Due { fault, times, part });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The first fault that is due for this request; one use of it is spent.
    pub(super) fn next(&mut self, request: &Request) -> Option<Fault> {
        self.0.retain(|due| !matches!(due.times, Times::Next(0)));
        let due = self
            .0
            .iter_mut()
            .find(|due| due.part.as_ref().is_none_or(|part| request.target.contains(part.as_str())))?;
        if let Times::Next(left) = &mut due.times {
            *left -= 1;
        }
        Some(due.fault.clone())
    }
}

/// The time of now plus an offset, as HTTP writes it.
pub(super) fn http_date(offset_seconds: i64) -> String {
    let millis = super::super::now_millis().saturating_add(offset_seconds.saturating_mul(1000));
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&time)
        .unwrap_or_else(|_| "Thu, 01 Jan 1970 00:00:00 GMT".to_owned())
}
