//! Pushes the latest batch of each source to one Pushgateway: one group for each source, so that a source
//! that fails leaves the others' counts alone, and the newest batch wins. Never: a queue, a timestamp in a
//! body (a gateway refuses it), a body in text form (old gateways commit half of one that is cut off).
//!
//! A relayed target's group is its `job` and `instance`, beside the gateway's own labels. It is replaced with each
//! new batch, and deleted when the target is gone: when its source is no longer among the latest batches, or has an
//! empty batch of [`crate::sample::Scope::Whole`] there.

mod group;
mod plan;
mod push;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::clock::Clock;
use crate::config::Gateway;
use crate::encode::family::{self, Relayed, Why};
use crate::http::{Client, HttpError, Request, chain, excerpt, redact};
use crate::retry::{RETRY_AFTER_CAP, retry_after};
use crate::sample::{LabelName, Latest, Source, Text};
use crate::telemetry::status::Delivery;
use crate::telemetry::{SinkKind, SinkName, Telemetry};
use group::Group;
use plan::{How, Plan};
use verdict::Verdict;

/// So much of a gateway's answer is read.
const ANSWER_CAP: u64 = 16 << 10;
/// So many pushes of targets are in flight at once. A gateway gathers all that it holds for each of them.
const AT_ONCE: usize = 8;

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
    /// A target has the labels of the program's own group.
    #[error(
        "target {0}: its job and instance are those under which the counts of balena are pushed, and would replace \
         them; give its scrape config another job_name"
    )]
    GroupTaken(Source),
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
    /// Why samples of targets were left out, as far as the log has said it.
    told: Mutex<BTreeSet<Why>>,
    targets: Semaphore,
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
        let (failing, told, targets) = (Mutex::default(), Mutex::default(), Semaphore::new(AT_ONCE));
        let Gateway { url, grouping, .. } = gateway;
        Ok(Pusher { sink, url, client, job, instance, grouping, clock, telemetry, failing, told, targets })
    }

    /// Its configured name.
    pub fn name(&self) -> &Text {
        &self.sink.name
    }

    /// Pushes each source's group whenever its batch changes. After `stop` what was not yet pushed gets one
    /// last try; after `abort` it ends at once.
    ///
    /// A target that goes before this begins is not known here: it must stand among the latest batches with an
    /// empty one, so that its group is deleted.
    pub async fn run(
        self,
        mut latest: watch::Receiver<Latest>,
        stop: CancellationToken,
        abort: CancellationToken,
    ) {
        self.telemetry.sink_registered(&self.sink);
        let this = Arc::new(self);
        let mut groups = JoinSet::new();
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
                // Its target is gone, and may be back already.
                Some(Ok(gone)) = groups.join_next(), if !groups.is_empty() => {
                    known.remove(&gone);
                }
            }
        }
        while groups.join_next().await.is_some() {}
    }

    /// Pushes every source's group once, trying again what may pass until `deadline`.
    pub async fn push_all(&self, latest: &Latest, deadline: Instant) -> Vec<(Source, Result<(), PushError>)> {
        self.telemetry.sink_registered(&self.sink);
        let pushing = latest
            .iter()
            .map(async |(source, batch)| (source.clone(), push::until(self, source, batch, deadline).await));
        let mut outcomes: Vec<_> = pushing.collect::<FuturesUnordered<_>>().collect().await;
        outcomes.sort_by(|(one, _), (other, _)| one.cmp(other));
        outcomes
    }

    /// Deletes our groups of these sources, and says how many that were: a gateway answers alike for a group
    /// that it does not have.
    ///
    /// # Errors
    /// [`PushError`] of the first group that was not deleted.
    pub async fn delete(&self, sources: &[Source]) -> Result<usize, PushError> {
        for source in sources {
            self.send(How::Delete, source, Bytes::new()).await?;
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
        let (body, samples) = self.body(source, plan)?;
        let bytes = body.len();
        // Only targets are so many; an account waits for none of them.
        let is_target = matches!(source, Source::Target { .. });
        let permit = if is_target { self.targets.acquire().await.ok() } else { None };
        let code = self.send(plan.method, source, body).await?;
        drop(permit);
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

    /// What is sent, and how many samples that are.
    fn body(&self, source: &Source, plan: &Plan<'_>) -> Result<(Bytes, usize), PushError> {
        if plan.method == How::Delete {
            return Ok((Bytes::new(), 0));
        }
        if !matches!(source, Source::Target { .. }) {
            let reserved = plan.families.iter().find(|family| group::is_reserved(family.name.as_str()));
            return match reserved {
                Some(family) => Err(PushError::ReservedName(family.name.to_string())),
                None => Ok((family::body(plan.families.iter().copied()).into(), plan.samples())),
            };
        }
        let group = self.group(source);
        if group.is_taken() {
            return Err(PushError::GroupTaken(source.clone()));
        }
        let families = plan.families.iter().copied();
        let Relayed { body, samples, left_out } =
            family::relayed(families, &group.labels(), group::is_reserved);
        self.tell_left_out(source, &left_out);
        Ok((body.into(), samples))
    }

    /// Counts what a gateway cannot hold; the first of each kind makes a line.
    fn tell_left_out(&self, source: &Source, all: &BTreeMap<Why, family::LeftOut>) {
        for (why, left) in all {
            let is_first = self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(*why);
            let example = is_first.then(|| format!("{source}: {}", left.example));
            self.telemetry.left_out(&self.sink, left.samples, why.as_str(), example.as_deref());
        }
    }

    fn group<'a>(&'a self, source: &'a Source) -> Group<'a> {
        Group { job: &self.job, instance: &self.instance, source, grouping: &self.grouping }
    }

    /// Sends one request to one group and judges the answer.
    async fn send(&self, how: How, source: &Source, body: Bytes) -> Result<u16, PushError> {
        let mut headers = HeaderMap::new();
        if how != How::Delete {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(family::CONTENT_TYPE));
        }
        let (method, url) = (how.http(), self.group(source).url(&self.url));
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
