//! Pushes the latest batch of each source to one Pushgateway: one group for each source, so that a source
//! that fails leaves the others' counts alone, and the newest batch wins. Never: a queue, a timestamp in a
//! body (a gateway refuses it), a body in text form (old gateways commit half of one that is cut off).

mod group;
mod plan;
mod push;
mod verdict;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::clock::Clock;
use crate::config::Gateway;
use crate::encode::family;
use crate::http::{Client, HttpError, Request, chain, excerpt, redact};
use crate::retry::{RETRY_AFTER_CAP, retry_after};
use crate::sample::{LabelName, Latest, Source, Text};
use crate::telemetry::status::Delivery;
use crate::telemetry::{SinkKind, SinkName, Telemetry};
use group::Group;
use plan::Plan;
use verdict::Verdict;

/// So much of a gateway's answer is read.
const ANSWER_CAP: u64 = 16 << 10;

/// Why a group is not at the gateway.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The client cannot be made, or there was no answer.
    #[error("{at} was not reached")]
    Http {
        /// The gateway, without userinfo and query.
        at: String,
        /// Why.
        #[source]
        source: HttpError,
    },
    /// A grouping label would overwrite one that our series or groups are told apart by.
    #[error(
        "grouping label {0}: our series or groups are told apart by that label themselves; choose another name"
    )]
    GroupingClash(LabelName),
    /// A family has a name that the gateway keeps for itself or overwrites.
    #[error("metric {0}: a Pushgateway has metrics of its own under this name")]
    ReservedName(String),
    /// The gateway refuses this body; the next batch may be taken.
    #[error("{at} answered {status}: {text}; {next_step}")]
    Refused {
        /// Where.
        at: String,
        /// The status.
        status: u16,
        /// The beginning of what it said.
        text: String,
        /// What to do.
        next_step: &'static str,
    },
    /// The gateway refuses us, whatever is sent.
    #[error("{at} answered {status}: {next_step}")]
    Parked {
        /// Where.
        at: String,
        /// The status.
        status: u16,
        /// What to do.
        next_step: &'static str,
    },
    /// The gateway cannot take it now.
    #[error("{at} answered {status}: {text}; look at the gateway's log, or at that of a proxy before it")]
    Busy {
        /// Where.
        at: String,
        /// The status.
        status: u16,
        /// The beginning of what it said.
        text: String,
        /// How long it wants to be left alone.
        wait: Option<Duration>,
    },
    /// There was no time left for an answer.
    #[error("no answer before the deadline")]
    Deadline,
}

impl PushError {
    /// With its causes and the next step, in one line.
    pub fn explained(&self) -> String {
        let text = chain(self);
        match self {
            PushError::Http { source, .. } => format!("{text}; {}", source.next_step()),
            _ => text,
        }
    }
}

/// A gateway as it is named in metrics and logs.
pub fn sink_name(gateway: &Gateway) -> SinkName {
    SinkName { name: gateway.name.clone(), kind: SinkKind::Pushgateway, url: redact(&gateway.url).into() }
}

/// Speaks to one Pushgateway.
#[derive(Debug)]
pub struct Pusher {
    sink: SinkName,
    url: Url,
    client: Client,
    job: Text,
    instance: Text,
    grouping: Vec<(LabelName, Text)>,
    clock: Clock,
    telemetry: Telemetry,
    /// The groups whose last push was not taken: the gateway is up when there is none.
    failing: Mutex<BTreeSet<Source>>,
}

impl Pusher {
    /// For a gateway, under the `job` and `instance` that are its groups' first labels.
    ///
    /// # Errors
    /// [`PushError::Http`] where a TLS file or a setting is not usable, [`PushError::GroupingClash`].
    pub fn new(
        gateway: Gateway,
        job: Text,
        instance: Text,
        clock: Clock,
        telemetry: Telemetry,
    ) -> Result<Self, PushError> {
        let sink = sink_name(&gateway);
        if let Some((label, _)) = gateway.grouping.iter().find(|(label, _)| group::is_ours(label.as_str())) {
            return Err(PushError::GroupingClash(label.clone()));
        }
        let client = Client::new(&gateway.http, &gateway.url)
            .map_err(|source| PushError::Http { at: sink.url.to_string(), source })?;
        let failing = Mutex::default();
        let Gateway { url, grouping, .. } = gateway;
        Ok(Pusher { sink, url, client, job, instance, grouping, clock, telemetry, failing })
    }

    /// Its configured name.
    pub fn name(&self) -> &Text {
        &self.sink.name
    }

    /// Pushes each source's group whenever its batch changes. After `stop` what was not yet pushed gets one
    /// last try; after `abort` it ends at once.
    pub async fn run(
        self,
        mut latest: watch::Receiver<Latest>,
        stop: CancellationToken,
        abort: CancellationToken,
    ) {
        self.telemetry.sink_registered(&self.sink);
        let this = Arc::new(self);
        let groups = TaskTracker::new();
        let mut known = BTreeSet::new();
        loop {
            let sources: Vec<Source> = latest.borrow_and_update().keys().cloned().collect();
            for source in sources {
                if known.insert(source.clone()) {
                    let pushing =
                        push::keep(Arc::clone(&this), source, latest.clone(), stop.clone(), abort.clone());
                    groups.spawn(pushing);
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                changed = latest.changed() => if changed.is_err() { break },
            }
        }
        groups.close();
        groups.wait().await;
    }

    /// Pushes every source's group once, trying again what may pass until `deadline`.
    pub async fn push_all(&self, latest: &Latest, deadline: Instant) -> Vec<(Source, Result<(), PushError>)> {
        self.telemetry.sink_registered(&self.sink);
        let mut outcomes = Vec::new();
        for (source, batch) in latest.iter() {
            outcomes.push((source.clone(), push::until(self, source, batch, deadline).await));
        }
        outcomes
    }

    /// Deletes our groups of these sources, and says how many that were: a gateway answers alike for a group
    /// that it does not have.
    ///
    /// # Errors
    /// [`PushError`] of the first group that was not deleted.
    pub async fn delete(&self, sources: &[Source]) -> Result<usize, PushError> {
        for source in sources {
            self.send(Method::DELETE, source, Bytes::new()).await?;
        }
        Ok(sources.len())
    }

    /// Asks whether the gateway is there and takes us. Stores nothing.
    ///
    /// # Errors
    /// A text that says what is wrong and what to do.
    pub async fn check(&self) -> Result<String, String> {
        let text = |error: PushError| error.explained();
        self.ask("/-/ready").await.map_err(text)?;
        let status = self.ask("/api/v1/status").await.map_err(text)?;
        Ok(verdict::describe(&status))
    }

    /// One push of one source's group.
    async fn push(&self, source: &Source, plan: &Plan<'_>) -> Result<(), PushError> {
        if let Some(family) = plan.families.iter().find(|family| group::is_reserved(family.name.as_str())) {
            return Err(PushError::ReservedName(family.name.to_string()));
        }
        let body = Bytes::from(family::body(plan.families.iter().copied()));
        let (bytes, samples) = (body.len(), plan.samples());
        let code = self.send(plan.method.http(), source, body).await?;
        let protocol = plan.method.as_str();
        let at = self.clock.now();
        if self.recovered(source) {
            self.telemetry.delivered(
                &self.sink,
                &Delivery { samples, bytes, protocol, code, at, newest: None, written: None },
            );
        }
        Ok(())
    }

    /// Sends one request to one group and judges the answer.
    async fn send(&self, method: Method, source: &Source, body: Bytes) -> Result<u16, PushError> {
        let group = Group { job: &self.job, instance: &self.instance, source, grouping: &self.grouping };
        let mut headers = HeaderMap::new();
        if method != Method::DELETE {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(family::CONTENT_TYPE));
        }
        let url = group.url(&self.url);
        self.request(Request { method, url, headers, body, body_cap: ANSWER_CAP }).await.map(|(code, _)| code)
    }

    async fn ask(&self, path: &str) -> Result<Bytes, PushError> {
        let url = group::below(&self.url, path);
        self.request(Request::get(url, ANSWER_CAP)).await.map(|(_, body)| body)
    }

    async fn request(&self, request: Request) -> Result<(u16, Bytes), PushError> {
        let at = redact(&request.url);
        let answer = match self.client.send(request).await {
            Ok(answer) => answer,
            Err(source) => return Err(PushError::Http { at, source }),
        };
        let status = answer.status;
        let text = self.client.without_secrets(&String::from_utf8_lossy(&answer.body)).await;
        let short = excerpt(text.as_bytes());
        match verdict::of(status, &text) {
            Verdict::Taken => Ok((status, answer.body)),
            Verdict::Refused(next_step) => Err(PushError::Refused { at, status, text: short, next_step }),
            Verdict::Parked(next_step) => Err(PushError::Parked { at, status, next_step }),
            Verdict::Busy => {
                let header = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                let wait = header.and_then(|text| retry_after(text, self.clock.now(), RETRY_AFTER_CAP));
                Err(PushError::Busy { at, status, text: short, wait })
            }
        }
    }

    /// How long the gateway, or who gives out tokens for it, wants to be left alone.
    fn asked_to_wait(&self, error: &PushError) -> Option<Duration> {
        match error {
            PushError::Busy { wait, .. } => *wait,
            PushError::Http { source, .. } => {
                retry_after(source.retry_after()?, self.clock.now(), RETRY_AFTER_CAP)
            }
            _ => None,
        }
    }

    /// A group's push was taken; whether all groups' last pushes were.
    fn recovered(&self, source: &Source) -> bool {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.remove(source);
        failing.is_empty()
    }

    fn failed(&self, source: &Source) {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).insert(source.clone());
    }
}
