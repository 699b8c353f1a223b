//! An answer with what the worker reads from it.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};

use crate::http::{Answer, Client};
use crate::retry::{RETRY_AFTER_CAP, retry_after};
use crate::sample::Millis;
use crate::sink::remote_write::{Answered, Reply, Written, after_answer};

/// So many bytes of a foreign text are shown.
const SHOWN: usize = 1024;

#[derive(Debug)]
pub(super) struct Heard {
    pub(super) status: u16,
    pub(super) written: Option<Written>,
    pub(super) retry_after: Option<Duration>,
    /// The body's beginning in one line, without our own secrets; empty with a success.
    pub(super) text: String,
    /// What to do about it.
    pub(super) next_step: String,
}

impl Heard {
    pub(super) async fn of(client: &Client, url: &Url, answer: Answer, now: Millis) -> Heard {
        let Answer { status, headers, body, .. } = answer;
        let location = header(&headers, &LOCATION);
        // A success' body says nothing (both specifications).
        let taken = (200..300).contains(&status);
        let text = if taken { String::new() } else { client.excerpt(&body, SHOWN).await };
        let next_step = after_answer(Answered { url, status, location, text: &text });
        let next_step = if taken { next_step } else { client.without_secrets(&next_step).await };
        Heard {
            status,
            written: Written::of(&headers),
            retry_after: header(&headers, &RETRY_AFTER)
                .and_then(|value| retry_after(value, now, RETRY_AFTER_CAP)),
            text,
            next_step,
        }
    }

    pub(super) fn reply(&self) -> Reply<'_> {
        let Heard { status, written, retry_after, text, .. } = self;
        Reply { status: *status, written: *written, retry_after: *retry_after, text }
    }

    /// What was answered, in words.
    pub(super) fn why(&self) -> String {
        let Heard { status, text, .. } = self;
        match (status, text.is_empty()) {
            (200..=299, _) => format!("the receiver answered {status} without Written headers"),
            (_, true) => format!("the receiver answered {status}"),
            (_, false) => format!("the receiver answered {status}: {text}"),
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &reqwest::header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
