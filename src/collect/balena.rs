//! Requests to the balena API: an account goes in, counted fleets or a reason come out. It never asks
//! without the direct-access filter, since a bad key would then be answered with other people's public
//! fleets; and it never decides when to ask.

use std::io::{self, Read};
use std::time::Duration;

use bytes::{Buf, Bytes};
use reqwest::header::{ACCEPT, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use tokio::sync::mpsc;
use url::Url;

use super::CollectError;
use super::wire::{self, FleetRow, WhoAmI};
use crate::clock::Clock;
use crate::config::Account;
use crate::http::{Client, HttpError, Request, Streaming, excerpt, redact};
use crate::retry::{RETRY_AFTER_CAP, http_date, retry_after};
use crate::sample::Millis;

/// Tries beyond the first inside one cycle.
const MORE_TRIES: usize = 2;
const FIRST_DELAY: Duration = Duration::from_millis(500);
const LAST_DELAY: Duration = Duration::from_secs(5);
/// How much of an error's body is read.
const ERROR_BODY: usize = 4096;
/// An answer up to this length is parsed as a whole, which takes less time; a longer one while it comes.
const WHOLE: usize = 4 << 20;
/// How long the pieces of a longer one are, and how many of them wait for the parser.
const PIECE: usize = 64 << 10;
const PIECES: usize = 4;

/// The API refuses percent-encoded grammar: only spaces and quotes are encoded.
const FLEETS: &str = "$select=id,app_name,slug\
&$filter=is_directly_accessible_by__user/any(dau:1%20eq%201)\
%20and%20is_archived%20eq%20false%20and%20is_of__class%20eq%20%27fleet%27\
&$orderby=id%20asc\
&$expand=owns__device($select=is_online,overall_status,api_heartbeat_state),\
organization($select=handle),is_for__device_type($select=slug)";

/// What answers told beside their bodies.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The status of each answer.
    pub(super) codes: Vec<u16>,
    /// Our clock minus the API's, in milliseconds, at the last answer that had a date.
    pub(super) skew_ms: Option<i64>,
}

/// One account's API.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    base: Url,
    version: String,
    body_cap: u64,
    clock: Clock,
}

impl Api {
    pub(super) fn new(account: &Account, clock: Clock) -> Result<Self, HttpError> {
        Ok(Api {
            client: Client::new(&account.http, &account.url)?,
            base: account.url.clone(),
            version: account.api_version.to_string(),
            body_cap: account.max_body_size,
            clock,
        })
    }

    /// All fleets of the account, in one request; what may pass by itself is tried again.
    pub(super) async fn fleets(&self, heard: &mut Heard) -> Result<Vec<FleetRow>, CollectError> {
        let url = self.url(&format!("{}/application", self.version), Some(FLEETS));
        let mut delays = crate::retry::Backoff::new(FIRST_DELAY, LAST_DELAY).take(MORE_TRIES);
        loop {
            let failure = match self.fleets_once(url.clone(), heard).await {
                Err(error) if error.may_pass_at_once() => error,
                outcome => return outcome,
            };
            match delays.next() {
                Some(delay) => tokio::time::sleep(delay).await,
                None => return Err(failure),
            }
        }
    }

    /// Who the token belongs to.
    pub(super) async fn whoami(&self) -> Result<WhoAmI, CollectError> {
        let url = self.url("user/v1/whoami", None);
        let at = redact(&url);
        let mut answer = self.ask(url, &mut Heard::default()).await?;
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|source| http(&at, source))? {
            body.extend_from_slice(&piece);
        }
        match wire::whoami(&body) {
            Ok(who) => Ok(who),
            Err(error) => Err(self.shape(at, &error).await),
        }
    }

    async fn fleets_once(&self, url: Url, heard: &mut Heard) -> Result<Vec<FleetRow>, CollectError> {
        let at = redact(&url);
        let mut answer = self.ask(url, heard).await?;
        let beginning = gather(&mut answer, WHOLE).await.map_err(|source| http(&at, source))?;
        let parsed = match beginning {
            Gathered::Whole(body) => tokio::task::spawn_blocking(move || wire::fleets(&body)).await,
            Gathered::Beginning(body) => {
                streamed(body, &mut answer).await.map_err(|source| http(&at, source))?
            }
        };
        match parsed {
            Ok(Ok(fleets)) => Ok(fleets),
            Ok(Err(error)) => Err(self.shape(at, &error).await),
            Err(_) => Err(CollectError::Shape { at, reason: "the parser stopped".into() }),
        }
    }

    /// Sends one GET and turns every answer but a 200 into an error.
    async fn ask(&self, url: Url, heard: &mut Heard) -> Result<Streaming, CollectError> {
        let at = redact(&url);
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let request = Request { headers, ..Request::get(url, self.body_cap) };
        let answer = self.client.stream(request).await.map_err(|source| http(&at, source))?;
        let now = self.clock.now();
        heard.codes.push(answer.status);
        if let Some(date) = text(&answer.headers, DATE.as_str()).and_then(http_date) {
            heard.skew_ms = Some(now.0.saturating_sub(date.0));
        }
        if answer.status == 200 { Ok(answer) } else { Err(self.refusal(at, answer, now).await) }
    }

    async fn refusal(&self, at: String, mut answer: Streaming, now: Millis) -> CollectError {
        let status = answer.status;
        let location = text(&answer.headers, LOCATION.as_str()).map(str::to_owned);
        let wait = text(&answer.headers, RETRY_AFTER.as_str())
            .and_then(|header| retry_after(header, now, RETRY_AFTER_CAP));
        match status {
            401 => CollectError::Unauthorized { at },
            404 => CollectError::NotFound { at },
            429 => CollectError::RateLimited { at, wait },
            300..=399 => {
                let host = location.and_then(|to| self.base.join(&to).ok()).and_then(|to| host(&to));
                CollectError::Redirect { status, at, host: host.unwrap_or_else(|| "an unnamed place".into()) }
            }
            500..=599 => CollectError::Server { status, at },
            _ => {
                let body = beginning(&mut answer).await;
                let words = words(&self.client.without_secrets(&decoded(&body)).await);
                CollectError::Refused { status, at, words }
            }
        }
    }

    /// The parser's words repeat parts of the body.
    async fn shape(&self, at: String, error: &serde_json::Error) -> CollectError {
        let words = self.client.without_secrets(&error.to_string()).await;
        CollectError::Shape { at, reason: excerpt(words.as_bytes()) }
    }

    fn url(&self, path: &str, query: Option<&str>) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{path}", self.base.path().trim_end_matches('/')));
        url.set_query(query);
        url
    }
}

fn host(url: &Url) -> Option<String> {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    url.host_str().map(|host| format!("{}://{host}{port}", url.scheme()))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

async fn beginning(answer: &mut Streaming) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < ERROR_BODY {
        match answer.chunk().await {
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) | Err(_) => break,
        }
    }
    body.truncate(ERROR_BODY);
    body
}

/// The words of an error's body, which mostly repeat the URL after a quote.
fn words(body: &str) -> String {
    let text = excerpt(body.as_bytes());
    text.split_once(": '").map_or(text.clone(), |(before, _)| before.to_owned())
}

/// An error's body is a JSON string mostly. One that was cut off lacks its quote, and perhaps a part of an
/// escape.
fn decoded(body: &[u8]) -> String {
    const LONGEST_ESCAPE: usize = r"\ud83e\udd8a".len();
    let text = String::from_utf8_lossy(body);
    let string = |cut: usize| {
        let text = text.get(..text.len().checked_sub(cut)?)?;
        serde_json::from_str(text).or_else(|_| serde_json::from_str(&format!("{text}\""))).ok()
    };
    let found = if text.starts_with('"') { (0..LONGEST_ESCAPE).find_map(string) } else { None };
    found.unwrap_or_else(|| text.into_owned())
}

/// What has come of a body.
enum Gathered {
    Whole(Vec<u8>),
    Beginning(Vec<u8>),
}

/// Reads until the body's end, or until it is longer than `most`.
async fn gather(answer: &mut Streaming, most: usize) -> Result<Gathered, HttpError> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        body.extend_from_slice(&piece);
        if body.len() > most {
            return Ok(Gathered::Beginning(body));
        }
    }
    Ok(Gathered::Whole(body))
}

type Parsed = Result<Result<Vec<FleetRow>, serde_json::Error>, tokio::task::JoinError>;

/// Parses a body of which more is to come while it comes.
async fn streamed(beginning: Vec<u8>, answer: &mut Streaming) -> Result<Parsed, HttpError> {
    let (pieces, inbox) = mpsc::channel(PIECES);
    let body = Body { inbox, piece: beginning.into() };
    let parser = tokio::task::spawn_blocking(move || wire::streamed_fleets(body));
    let carried = loop {
        match gather(answer, PIECE).await {
            Ok(Gathered::Beginning(piece)) => {
                // A parser that has hung up has its reason.
                if pieces.send(Some(piece.into())).await.is_err() {
                    break Ok(());
                }
            }
            Ok(Gathered::Whole(rest)) => {
                pieces.send(Some(rest.into())).await.ok();
                // The end of the body is said in words: a dropped sender is a body that broke off.
                pieces.send(None).await.ok();
                break Ok(());
            }
            Err(error) => break Err(error),
        }
    };
    drop(pieces);
    let parsed = parser.await;
    carried.map(|()| parsed)
}

fn http(at: &str, source: HttpError) -> CollectError {
    CollectError::Http { at: at.to_owned(), source }
}

/// The pieces of a body as the parser's thread reads them.
struct Body {
    inbox: mpsc::Receiver<Option<Bytes>>,
    piece: Bytes,
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.inbox.blocking_recv() {
                Some(Some(piece)) => self.piece = piece,
                Some(None) => return Ok(0),
                None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            }
        }
        let length = into.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut into[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errors_body_is_read_as_far_as_it_came() {
        let whole = r#""a \"b\" é \ud83e\udd8a end""#;
        assert_eq!(decoded(whole.as_bytes()), "a \"b\" é 🦊 end");
        assert_eq!(decoded(b"<html>"), "<html>");
        for length in 1..whole.len() {
            let cut = decoded(&whole.as_bytes()[..length]);
            assert!(!cut.contains('\\') && !cut.starts_with('"'), "{length}: {cut:?}");
        }
    }
}
