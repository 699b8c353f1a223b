//! How each product answers remote write, as measured.
//! In: a request, the store. Out: an answer, and the delivery that was noted. Never: how bodies are decoded.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::http::{Answer, Request};
use super::super::now_millis;
use super::Options;
use super::decode::{self, Unreadable};
use super::remote_write::{Conflict, Delivered, Metadata, Series, Store, Version};

/// The product that a receiver answers like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Personality {
    /// Prometheus 2.42: 1.0 only; answers 204 to 2.0 and loses it.
    Prometheus242,
    /// Prometheus 3: both versions.
    Prometheus3,
    /// VictoriaMetrics: 1.0 only, stores samples in any order; answers 204 to 2.0 and loses it. As 1.79 it takes
    /// nothing but snappy; later ones unpack zstd too.
    VictoriaMetrics,
    /// Cortex, the nearest to Mimir: both versions.
    Cortex,
    /// Thanos Receive 0.41: 1.0 only; answers 200 to 2.0 and loses it.
    Thanos,
}

use Personality::{Cortex, Prometheus3, Prometheus242, Thanos, VictoriaMetrics};

impl Personality {
    fn success(self, version: Version) -> u16 {
        match (self, version) {
            (Thanos, _) | (Cortex, Version::One) => 200,
            _ => 204,
        }
    }

    fn conflict(self) -> u16 {
        if self == Thanos { 409 } else { 400 }
    }

    fn version(self, content_type: &str) -> Result<Version, u16> {
        if !matches!(self, Prometheus3 | Cortex) {
            return Ok(Version::One);
        }
        let mut parts = content_type.split(';').map(str::trim_end);
        if parts.next() != Some("application/x-protobuf") {
            return Err(415);
        }
        // The parameter is compared as it stands: a space before it hides it.
        match parts.find_map(|part| part.strip_prefix("proto=")) {
            None | Some("prometheus.WriteRequest") => Ok(Version::One),
            Some("io.prometheus.write.v2.Request") => Ok(Version::Two),
            Some(_) => Err(415),
        }
    }

    /// Receivers of 1.0 only do not look at the header: what is not snappy fails there.
    fn encoding(self, encoding: Option<&str>) -> Result<(), u16> {
        match encoding {
            Some(other) if matches!(self, Prometheus3 | Cortex) && !matches!(other, "" | "snappy") => {
                Err(415)
            }
            _ => Ok(()),
        }
    }
}

/// What becomes of one series.
enum Verdict {
    Store,
    /// Left out, and success is answered all the same.
    Skip,
    /// Left out, and this status is answered.
    Refuse(u16, &'static str),
    /// Nothing of the request is stored.
    RollBack(u16, &'static str),
}

/// Takes one request.
pub(super) fn write(
    options: &Options,
    store: &mut Store,
    request: &Request,
    body: &[u8],
) -> (Answer, Option<Arc<Delivered>>) {
    let personality = options.personality;
    if personality == Cortex
        && options.needs_tenant
        && request.header("x-scope-orgid").is_none_or(str::is_empty)
    {
        return (Answer::text(401, "no org id\n"), None);
    }
    let version = match personality
        .version(request.header("content-type").unwrap_or("application/x-protobuf"))
        .and_then(|version| personality.encoding(request.header("content-encoding")).map(|()| version))
    {
        Ok(version) => version,
        Err(status) => return (Answer::text(status, "unsupported media type\n"), None),
    };
    let (series, metadata) = match read(version, body) {
        Ok(read) => read,
        Err(error) => return (Answer::text(400, format!("{error}\n")), None),
    };
    let (status, written, reason) = take(options, version, store, &series);
    let mut answer = match reason {
        Some(reason) => Answer::text(status, format!("{reason}\n")),
        None => Answer::empty(status),
    };
    if version == Version::Two {
        let exemplars = series.iter().map(|series| series.exemplars).sum::<usize>();
        for (what, count) in [("Samples", written), ("Histograms", 0), ("Exemplars", exemplars)] {
            answer = answer.header(&format!("X-Prometheus-Remote-Write-{what}-Written"), count.to_string());
        }
    }
    let delivered = Delivered {
        version,
        series,
        metadata,
        headers: request.headers.clone(),
        body_len: body.len(),
        status,
        written,
    };
    (answer, Some(store.note(delivered)))
}

fn read(version: Version, body: &[u8]) -> Result<(Vec<Series>, Vec<Metadata>), Unreadable> {
    let bytes = decode::unpack(body)?;
    match version {
        Version::One => decode::first(&bytes),
        Version::Two => decode::second(&bytes).map(|series| (series, Vec::new())),
    }
}

/// Stores what the product would store: the status, the number of samples written, and why not all.
fn take(
    options: &Options,
    version: Version,
    store: &mut Store,
    all: &[Series],
) -> (u16, usize, Option<&'static str>) {
    let personality = options.personality;
    let samples = all.iter().map(|series| series.samples.len()).sum();
    if personality == Cortex && over(options.max_samples, samples) {
        return (429, 0, Some("ingestion rate limit exceeded"));
    }
    let mut good = Vec::new();
    let mut refused = None;
    let mut new = HashSet::new();
    for series in all {
        match judge(options, version, store, series) {
            Verdict::Store => {
                let is_new = !store.has(&series.labels) && !new.contains(&series.labels);
                if is_new && personality == Cortex && over(options.max_series, store.len() + new.len() + 1) {
                    refused.get_or_insert((400, "per-user series limit exceeded"));
                    continue;
                }
                if is_new {
                    new.insert(&series.labels);
                }
                good.push(series);
            }
            Verdict::Skip => {}
            Verdict::Refuse(status, reason) => {
                refused.get_or_insert((status, reason));
            }
            Verdict::RollBack(status, reason) => return (status, 0, Some(reason)),
        }
    }
    for series in &good {
        store.store(&series.labels, &series.samples, options.out_of_order || personality == VictoriaMetrics);
    }
    let written = good.iter().map(|series| series.samples.len()).sum();
    match refused {
        Some((status, reason)) => (status, written, Some(reason)),
        None => (personality.success(version), written, None),
    }
}

fn over(limit: Option<usize>, count: usize) -> bool {
    limit.is_some_and(|limit| count > limit)
}

fn judge(options: &Options, version: Version, store: &Store, series: &Series) -> Verdict {
    let personality = options.personality;
    if let Some(verdict) = judge_labels(personality, version, series) {
        return verdict;
    }
    if personality == Cortex && over(options.max_labels, series.sent.len()) {
        return Verdict::Refuse(400, "series has more labels than the limit");
    }
    if personality == VictoriaMetrics {
        return Verdict::Store;
    }
    let refuse = |reason| match (personality, version) {
        (Prometheus242 | Prometheus3, Version::One) => Verdict::RollBack(400, reason),
        _ => Verdict::Refuse(personality.conflict(), reason),
    };
    let latest = now_millis().saturating_add(600_000);
    let forgives_future = matches!(personality, Prometheus242 | Thanos);
    for sample in &series.samples {
        if sample.timestamp > latest && !forgives_future {
            return refuse("timestamp is too far in the future");
        }
        match store.conflict(&series.labels, sample) {
            None => {}
            Some(Conflict::Duplicate) => return refuse("duplicate sample for timestamp"),
            Some(Conflict::OutOfOrder | Conflict::OutOfBounds) if options.out_of_order => {}
            Some(Conflict::OutOfOrder) => return refuse("out of order sample"),
            Some(Conflict::OutOfBounds) => return refuse("out of bounds"),
        }
    }
    Verdict::Store
}

fn judge_labels(personality: Personality, version: Version, series: &Series) -> Option<Verdict> {
    let mut names = HashSet::new();
    let repeated = !series.sent.iter().all(|(name, _)| names.insert(name));
    let unnamed = series.sent.iter().any(|(name, _)| name.is_empty());
    if repeated || unnamed {
        let reason = if repeated { "duplicate label name" } else { "empty label name" };
        return match (personality, version) {
            (VictoriaMetrics, _) => None,
            (Prometheus242, _) => Some(Verdict::RollBack(500, reason)),
            (Prometheus3, Version::One) => Some(Verdict::Skip),
            _ => Some(Verdict::Refuse(personality.conflict(), reason)),
        };
    }
    if series.name().is_empty() {
        match (personality, version) {
            (Prometheus3, Version::One) => return Some(Verdict::Skip),
            (Prometheus3 | Cortex, _) => {
                return Some(Verdict::Refuse(400, "sample missing metric name"));
            }
            _ => {}
        }
    }
    if personality == Thanos {
        if !series.sent.is_sorted_by(|left, right| left.0 < right.0) {
            return Some(Verdict::Refuse(409, "labels not sorted"));
        }
        if series.sent.iter().any(|(_, value)| value.is_empty()) {
            return Some(Verdict::Refuse(409, "empty label value"));
        }
    }
    None
}
