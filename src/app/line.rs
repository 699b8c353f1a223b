//! Lines: who speaks together, so that series share records. A line is a source of the queue.

use std::time::Duration;

use crate::sample::{Source, Text};

/// The program's own.
const OWN: &str = "own";
/// What those of accounts begin with.
const ACCOUNT: &str = "account/";
/// What the lines of targets begin with.
const RELAY: &str = "relay/";
/// What those of pages begin with that `once` was given.
const FROM: &str = "from/";
/// What is behind a line that comes after its tick.
const LATE: &str = "/late";

/// Sources that speak together: their series share records, and none with another line's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line(Text);

impl Line {
    /// An account's, or the program's own.
    pub(super) fn of(source: &Source) -> Line {
        match source {
            Source::Own => Line(OWN.into()),
            Source::Account(name) => Line(format!("{ACCOUNT}{name}").into()),
            Source::Target { job, instance } => Line(format!("{FROM}{job}/{instance}").into()),
        }
    }

    /// That of the targets that are asked at this interval.
    pub(super) fn relay(every: Duration) -> Line {
        Line(format!("{RELAY}{}ms", every.as_millis()).into())
    }

    /// What the queue knows it by.
    pub(super) fn key(&self, share: Share) -> String {
        match share {
            Share::Most => self.0.to_string(),
            Share::Late => format!("{}{LATE}", self.0),
        }
    }

    /// Back again; nothing for what is of another version of this program.
    pub(super) fn of_key(key: &str) -> Option<Line> {
        let line = Line(key.strip_suffix(LATE).unwrap_or(key).into());
        let known = line.is_foreign() || &*line.0 == OWN || line.0.starts_with(ACCOUNT);
        known.then_some(line)
    }

    /// Whether it is one of targets.
    pub(super) fn is_relay(&self) -> bool {
        self.0.starts_with(RELAY)
    }

    /// Whether its series carry all their labels already.
    pub(super) fn is_foreign(&self) -> bool {
        self.is_relay() || self.0.starts_with(FROM)
    }
}

/// What of a tick's batches these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// All of them, or nearly.
    Most,
    /// Those that came after them.
    Late,
}
