//! One target, scraped: a request, its page as it comes, and the batch that becomes of both.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::error::ScrapeError;
use super::page::{Counts, Ended, Page, Rewrite};
use super::parse::Format;
use super::target::Spec;
use crate::config::{Protocol, ScrapeJob};
use crate::http::{Client, HttpError, Request, excerpt};
use crate::sample::{
    Batch, Family, Kind, LabelName, Labels, MetricName, Millis, Role, Scope, Series, Source, Text, Value,
};
use crate::telemetry::{Scraped, Telemetry};

const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");

/// A target that is scraped again and again.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) source: Source,
    job: Text,
    instance: Text,
    spec: Arc<Spec>,
    headers: HeaderMap,
    fallback: Option<Format>,
    body_cap: u64,
    report: Report,
    page: Page,
    /// What its last page was.
    read: Option<Format>,
    telemetry: Telemetry,
}

impl Target {
    pub(super) fn new(source: Source, spec: Arc<Spec>, job: &ScrapeJob, telemetry: Telemetry) -> Target {
        telemetry.target_found(&source);
        let labels = Labels::new(report_labels(&spec.labels)).unwrap_or_default();
        let rewrite = Rewrite {
            labels: spec.labels.clone(),
            honor_labels: job.honor_labels,
            honor_timestamps: job.honor_timestamps,
            limits: job.limits,
            rules: job.metric_relabel.clone(),
        };
        // With what tells it from another one of the same name.
        let instance = match &source {
            Source::Target { instance, .. } => instance.clone(),
            Source::Account(_) | Source::Own => spec.label("instance"),
        };
        Target {
            source,
            job: spec.label("job"),
            instance,
            headers: headers(job, spec.timeout),
            fallback: job.fallback.map(format),
            // A page that is as long as the limit is beyond it, as with Prometheus.
            body_cap: job.limits.body.map_or(u64::MAX, |limit| limit - 1),
            report: Report::new(labels),
            page: Page::new(rewrite),
            read: None,
            spec,
            telemetry,
        }
    }

    pub(super) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Asks it once; whatever comes of it is a batch of this time.
    pub(super) async fn scrape(&mut self, at: Millis, client: Result<Arc<Client>, HttpError>) -> Batch {
        let started = Instant::now();
        let mut counts = Counts::default();
        let ended = match client {
            Ok(client) => self.read(&client, at, &mut counts).await,
            Err(error) => Err(error.into()),
        };
        let took = started.elapsed();
        let beside = self.report.families(ended.is_ok(), took, &counts);
        self.tell(ended.as_ref().err(), at, took, &counts);
        match ended {
            Ok(ended) => self.page.batch(self.source.clone(), at, ended, beside),
            Err(_) => Batch::of_distinct(self.source.clone(), at, Scope::Whole, beside),
        }
    }

    async fn read(&mut self, client: &Client, at: Millis, counts: &mut Counts) -> Result<Ended, ScrapeError> {
        let url = self.spec.url.clone().map_err(ScrapeError::Address)?;
        let request = Request { headers: self.headers.clone(), ..Request::get(url, self.body_cap) };
        let mut answer = client.stream(request).await?;
        if answer.status != 200 {
            return Err(ScrapeError::Status { code: answer.status });
        }
        let said = answer.headers.get(CONTENT_TYPE).map(|said| String::from_utf8_lossy(said.as_bytes()));
        let format = Format::of(said.as_deref()).or_else(|_| {
            let said = said.filter(|said| !said.is_empty()).map(|said| excerpt(said.as_bytes()));
            self.fallback.ok_or(ScrapeError::ContentType { said })
        })?;
        self.read = Some(format);
        let mut reading = self.page.begin(format, at);
        loop {
            let piece = answer.chunk().await.map_err(|error| match error {
                HttpError::TooLarge { limit } => ScrapeError::TooLarge { limit: limit + 1 },
                other => other.into(),
            })?;
            let Some(piece) = piece else { break };
            if let Err(error) = reading.feed(&piece) {
                counts.clone_from(reading.counts());
                return Err(error);
            }
        }
        reading.finish(counts)
    }

    fn tell(&self, error: Option<&ScrapeError>, at: Millis, took: Duration, counts: &Counts) {
        let told = error.map(Told);
        self.telemetry.scraped(&Scraped {
            job: &self.job,
            instance: &self.instance,
            result: error.map_or("ok", ScrapeError::result),
            error: told.as_ref().map(|told| told as _),
            at,
            format: self.read.map(Format::name),
            took,
            samples: counts.scraped,
            repeated: counts.repeated,
            first_repeated: counts.first_repeated.as_ref().map(|series| series as _),
        });
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.telemetry.target_gone(&self.job, &self.instance);
    }
}

/// An error with what can be done.
struct Told<'a>(&'a ScrapeError);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.next_step() {
            Some(step) => write!(f, "{}; {step}", self.0),
            None => self.0.fmt(f),
        }
    }
}

fn format(protocol: Protocol) -> Format {
    match protocol {
        Protocol::OpenMetrics1 | Protocol::OpenMetrics0 => Format::OpenMetrics,
        Protocol::Text1 | Protocol::Text0 => Format::Text,
    }
}

fn headers(job: &ScrapeJob, timeout: Duration) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let texts = [(ACCEPT, accept(&job.protocols)), (TIMEOUT_HEADER, timeout.as_secs_f64().to_string())];
    for (name, text) in texts {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
    if !job.compression {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    headers
}

/// What is asked for, best first. Quoted names are read, so that no name need be escaped.
fn accept(protocols: &[Protocol]) -> String {
    let mut text = String::new();
    let mut quality = protocols.len() + 2;
    for protocol in protocols {
        let name = match protocol {
            Protocol::OpenMetrics1 => "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
            Protocol::OpenMetrics0 => "application/openmetrics-text;version=0.0.1",
            Protocol::Text1 => "text/plain;version=1.0.0;escaping=allow-utf-8",
            Protocol::Text0 => "text/plain;version=0.0.4",
        };
        text.push_str(&format!("{name};q=0.{quality},"));
        quality -= 1;
    }
    text + &format!("*/*;q=0.{quality}")
}

/// The labels of what is said of a scrape. A target's `exported_job` is not among them, as with Prometheus, which
/// clears the way for the label `job` of a page also where there is no page.
fn report_labels(labels: &[(LabelName, Text)]) -> impl Iterator<Item = (LabelName, Text)> {
    let is_cleared = |name: &str| {
        let later = name.strip_prefix("exported_").filter(|later| *later > name);
        later.is_some_and(|later| labels.iter().any(|(name, _)| name.as_str() == later))
    };
    labels.iter().filter(move |(name, _)| !is_cleared(name.as_str())).cloned()
}

/// What is said of each scrape beside its page.
#[derive(Debug)]
struct Report {
    labels: Labels,
    words: Vec<(MetricName, Text)>,
}

const REPORT: [(&str, &str); 5] = [
    ("up", "Whether the last scrape of the target succeeded"),
    ("scrape_duration_seconds", "How long the last scrape of the target took"),
    ("scrape_samples_scraped", "Samples that the target's page has"),
    ("scrape_samples_post_metric_relabeling", "Samples of the target's page that no rule has dropped"),
    ("scrape_series_added", "Series of the target's page that the page before did not have"),
];

impl Report {
    fn new(labels: Labels) -> Report {
        let words =
            REPORT.iter().filter_map(|(name, help)| Some((MetricName::new(name).ok()?, Text::from(*help))));
        Report { labels, words: words.collect() }
    }

    fn families(&self, is_up: bool, took: Duration, counts: &Counts) -> Vec<Family> {
        let values = [
            f64::from(u8::from(is_up)),
            took.as_secs_f64(),
            counts.scraped as f64,
            counts.kept as f64,
            counts.added as f64,
        ];
        let family = |((name, help), value): (&(MetricName, Text), f64)| Family {
            name: name.clone(),
            of: None,
            kind: Kind::Gauge,
            help: help.clone(),
            unit: "".into(),
            role: Role::Relayed,
            series: vec![Series { labels: self.labels.clone(), value: Value::from(value), own: None }],
        };
        self.words.iter().zip(values).map(family).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_asked_for_first_and_anything_last() {
        assert_eq!(
            accept(&Protocol::ALL.map(|(_, protocol)| protocol)),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        );
        assert_eq!(accept(&[Protocol::Text0]), "text/plain;version=0.0.4;q=0.3,*/*;q=0.2");
    }
}
