//! One case: a page, a receiver, a sender that lives until enough has come and is then ended. Whatever the case, our
//! sender's every request is held to what both specifications say of all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;

use super::decode::{Request, STALE};
use super::sender::{Running, Sender};
use super::site::{Answers, Got, Page, Pages, Reply, Site};
use crate::strict::Pairs;

/// Within this what a case waits for has come: a scrape comes each second, on a machine that has other work.
const LIMIT: Duration = Duration::from_secs(60);

/// The version of remote write that the sender is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    One,
    Two,
    /// It finds out what the receiver knows.
    Auto,
}

#[derive(Clone)]
pub struct Case {
    pages: Pages,
    answers: Answers,
    sender: Sender,
    version: Version,
    url: Option<String>,
    series_end: bool,
}

/// What has come when the sender had ended.
pub struct Seen {
    pub requests: Vec<Got>,
    /// How many requests have come, those without an answer included.
    pub came: usize,
    pub log: String,
    /// Host and port of the page.
    pub target: String,
    /// How often the page was asked for.
    pub scrapes: usize,
}

impl Seen {
    /// The last request.
    pub fn last(&self) -> &Request {
        self.requests.last().expect("a request came").request()
    }

    /// The first request of a scrape.
    pub fn first(&self) -> &Request {
        self.requests.iter().find(|got| has(got, "up")).expect("a scrape came").request()
    }

    /// All samples of the series of this name: its labels, time, bits, in the order of arrival.
    pub fn samples(&self, name: &str) -> Vec<(&Pairs, i64, u64)> {
        let series = self.requests.iter().flat_map(|got| got.request().all(name));
        series.flat_map(|series| series.samples.iter().map(|s| (&series.labels, s.at, s.bits))).collect()
    }

    /// Their values.
    pub fn values(&self, name: &str) -> Vec<f64> {
        self.samples(name).into_iter().map(|(_, _, bits)| f64::from_bits(bits)).collect()
    }
}

/// Whether a request has a series of this name.
pub fn has(got: &Got, name: &str) -> bool {
    got.request.as_ref().is_ok_and(|request| !request.all(name).is_empty())
}

/// Whether so many requests have a series of this name.
pub fn times(count: usize, name: &'static str) -> impl Fn(&[Got]) -> bool {
    move |got| got.iter().filter(|got| has(got, name)).count() >= count
}

impl Case {
    /// A page that stays as it is, a receiver that takes all, our sender with 2.0.
    pub fn page(body: impl Into<String>) -> Self {
        let page = Page::of(body);
        Self::pages(move |_| page.clone())
    }

    /// A page that depends on the scrape's number.
    pub fn pages(pages: impl Fn(usize) -> Page + Send + Sync + 'static) -> Self {
        Case {
            pages: Arc::new(pages),
            answers: Arc::new(|_, got| Reply::of(204, got)),
            sender: Sender::Ours,
            version: Version::Two,
            url: None,
            series_end: false,
        }
    }

    /// A receiver whose answer depends on the request and its number.
    pub fn answers(mut self, answers: impl Fn(usize, &Got) -> Reply + Send + Sync + 'static) -> Self {
        self.answers = Arc::new(answers);
        self
    }

    /// A receiver that answers this status and nothing else.
    pub fn status(self, status: u16) -> Self {
        self.answers(move |_, got| Reply::of(status, got))
    }

    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    pub fn sender(mut self, sender: Sender) -> Self {
        self.sender = sender;
        self
    }

    /// Remote write goes there instead.
    pub fn url(mut self, url: &str) -> Self {
        self.url = Some(url.to_owned());
        self
    }

    /// Series end while it runs, so stale markers may come.
    pub fn series_end(mut self) -> Self {
        self.series_end = true;
        self
    }

    /// Runs until a scrape has arrived.
    pub async fn run(self) -> Seen {
        self.run_until(times(1, "up")).await
    }

    /// Runs until enough has come.
    pub async fn run_until(self, enough: impl Fn(&[Got]) -> bool) -> Seen {
        self.run_until_all(|site, _| site.look(&enough)).await
    }

    /// Runs for so long: only where a suite counts within a time.
    pub async fn run_for(self, time: Duration) -> Seen {
        let end = tokio::time::Instant::now() + time;
        self.run_until_all(|_, _| tokio::time::Instant::now() >= end).await
    }

    /// Runs until the server and the sender are as they should be.
    pub async fn run_until_all(self, enough: impl Fn(&Site, &mut Running) -> bool) -> Seen {
        let site = Site::start(self.pages.clone(), self.answers.clone()).await;
        let url = self.url.clone().unwrap_or_else(|| site.push_url());
        let mut running = self.sender.start(&site.address(), &url, self.version);
        let end = tokio::time::Instant::now() + LIMIT;
        while !enough(&site, &mut running) {
            let names = || {
                site.got()
                    .iter()
                    .map(|got| got.request.clone().map(|r| r.names().join(" ")))
                    .collect::<Vec<_>>()
            };
            assert!(running.lives(), "it has ended by itself:\n{}", running.log());
            assert!(
                tokio::time::Instant::now() < end,
                "not enough has come after {} scrapes: {:?}\n{}",
                site.scrapes(),
                names(),
                running.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(running.interrupted().await, 0, "its exit code:\n{}", running.log());
        let log = running.log();
        let seen = Seen {
            requests: site.got(),
            came: site.came(),
            log,
            target: site.address(),
            scrapes: site.scrapes(),
        };
        if self.sender == Sender::Ours {
            assert_eq!(running.rest(), 0, "the wrapper leaves nothing behind");
            self.check(&seen);
        }
        seen
    }

    /// What holds for every request of ours.
    fn check(&self, seen: &Seen) {
        let mut last = BTreeMap::<Pairs, i64>::new();
        for got in &seen.requests {
            let is_two = match self.version {
                Version::One => false,
                Version::Two => true,
                Version::Auto => got.is_two,
            };
            let (kind, version) = match is_two {
                true => ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"),
                false => ("application/x-protobuf", "0.1.0"),
            };
            assert_eq!(got.method, Method::POST);
            assert_eq!(got.header("content-type"), kind);
            assert_eq!(got.header("content-encoding"), "snappy");
            assert_eq!(got.header("x-prometheus-remote-write-version"), version);
            assert!(got.header("user-agent").starts_with("fleetpush/"), "{}", got.header("user-agent"));
            let request = got.request();
            request.check().unwrap_or_else(|wrong| panic!("{wrong}"));
            // Only who wants to know the version asks without samples.
            assert!(
                !request.series.is_empty() || self.version == Version::Auto,
                "a request without a series"
            );
            for series in &request.series {
                assert_eq!(series.label("job"), Some("test"), "{:?}", series.labels);
                let bits = series.sample().bits;
                assert!(self.series_end || bits != STALE, "a stale marker of {:?}", series.labels);
            }
            for series in &request.series {
                let at = series.sample().at;
                let before = last.get(&series.labels).copied();
                assert!(before.is_none_or(|before| before < at), "{:?}: {before:?}, {at}", series.labels);
                // What was not taken may come again.
                if (200..300).contains(&got.status) {
                    last.insert(series.labels.clone(), at);
                }
            }
        }
    }
}

/// What comes of a page that stays as it is, with 2.0.
pub async fn scraped(body: impl Into<String>) -> Seen {
    Case::page(body).run().await
}
