//! The groups of a Pushgateway.
//! In: pushes. Out: answers and groups. Never: the formats of bodies.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::http::{Answer, Request};
use super::super::now_millis;
use super::Labels;
use super::families::{self, Refusal};

/// The answer of `/api/v1/status`.
pub(super) const STATUS: &str = r#"{"status":"success","data":{"flags":{"push.disable-consistency-check":"false"},"build_information":{"version":"1.11.2"}}}"#;

/// One group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// By name.
    pub families: BTreeMap<String, Family>,
    /// Seconds since the epoch; 0 when no push has succeeded.
    pub push_time: f64,
    /// Seconds since the epoch; 0 when no push has failed.
    pub failure_time: f64,
}

/// One family of a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Family {
    /// `counter`, `gauge`, `untyped`, or empty for a text without `TYPE`, which is untyped too.
    pub kind: String,
    /// Help text.
    pub help: String,
    /// Its series, with the group's labels.
    pub points: Vec<Point>,
}

impl Family {
    fn kind(&self) -> &str {
        if self.kind.is_empty() { "untyped" } else { &self.kind }
    }
}

/// One series of a family.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Point {
    /// Its labels, those of the group included.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

/// All groups by their keys.
#[derive(Debug, Default)]
pub(super) struct Gateway {
    groups: BTreeMap<Labels, Group>,
}

impl Gateway {
    pub(super) fn groups(&self) -> BTreeMap<Labels, Group> {
        self.groups.clone()
    }

    /// Works on a push; also the group's key and the number of samples when there was a group to push to.
    pub(super) fn push(&mut self, request: &Request, body: &[u8]) -> (Answer, Option<(Labels, usize)>) {
        let method = request.method.as_str();
        if !matches!(method, "PUT" | "POST" | "DELETE") || request.path() == "/metrics" {
            return (
                Answer::text(405, "Method Not Allowed\n").header("allow", "DELETE, OPTIONS, POST, PUT"),
                None,
            );
        }
        let key = match group_key(request.path()) {
            Ok(key) => key,
            Err(answer) => return (answer, None),
        };
        if method == "DELETE" {
            self.groups.remove(&key);
            return (Answer::empty(202), Some((key, 0)));
        }
        let families = match read(request, body) {
            Ok(families) => families,
            // A body that cannot be read leaves no trace.
            Err(reason) => return (Answer::text(400, format!("{reason}\n")), Some((key, 0))),
        };
        let count = families.values().map(|family| family.points.len()).sum();
        let families = with_key(families, &key);
        let now = now_millis() as f64 / 1000.0;
        let consistent = self.check(&key, &families);
        let group = self.groups.entry(key.clone()).or_default();
        if let Err(reason) = consistent {
            group.failure_time = now;
            let text =
                format!("pushed metrics are invalid or inconsistent with existing metrics: {reason}\n");
            return (Answer::text(400, text), Some((key, count)));
        }
        if method == "PUT" {
            group.families.clear();
        }
        group.families.extend(families);
        group.push_time = now;
        (Answer::empty(200), Some((key, count)))
    }

    /// One type for a name over all groups, and no series twice.
    fn check(&self, key: &Labels, new: &BTreeMap<String, Family>) -> Result<(), Refusal> {
        for (name, family) in new {
            let mut seen = family.points.iter().map(|point| &point.labels).collect::<HashSet<_>>();
            if seen.len() < family.points.len() {
                return Err(format!("{name} was collected before with the same name and label values"));
            }
            for (other, group) in &self.groups {
                let Some(have) = group.families.get(name) else { continue };
                // Families of this name are replaced by this push, whichever the method.
                if other == key {
                    continue;
                }
                if have.kind() != family.kind() {
                    return Err(format!("collected metric {name:?} is not a {}", have.kind().to_uppercase()));
                }
                if have.points.iter().any(|point| !seen.insert(&point.labels)) {
                    return Err(format!("{name} was collected before with the same name and label values"));
                }
            }
        }
        Ok(())
    }

    /// The page that Prometheus scrapes.
    pub(super) fn page(&self) -> String {
        let mut families = BTreeMap::<&str, (&str, &str, Vec<&Point>)>::new();
        for (name, family) in self.groups.values().flat_map(|group| &group.families) {
            let entry =
                families.entry(name).or_insert_with(|| (family.kind(), family.help.as_str(), Vec::new()));
            entry.2.extend(&family.points);
        }
        let mut page = String::new();
        for (name, (kind, help, points)) in families {
            let help = help.replace('\\', "\\\\").replace('\n', "\\n");
            line(&mut page, format_args!("# HELP {name} {help}"));
            line(&mut page, format_args!("# TYPE {name} {kind}"));
            for point in points {
                line(&mut page, format_args!("{name}{} {}", labels(&point.labels), point.value));
            }
        }
        for (name, time) in [("push_time_seconds", true), ("push_failure_time_seconds", false)] {
            line(&mut page, format_args!("# TYPE {name} gauge"));
            for (key, group) in &self.groups {
                let seconds = if time { group.push_time } else { group.failure_time };
                line(&mut page, format_args!("{name}{} {seconds}", labels(key)));
            }
        }
        page
    }

    /// The answer of `/api/v1/metrics`: each group's key and whether its last push succeeded.
    pub(super) fn list(&self) -> String {
        let groups = self.groups.iter().map(|(key, group)| {
            let labels = serde_json::to_string(key).unwrap_or_default();
            let good = group.push_time >= group.failure_time;
            format!("{{\"labels\":{labels},\"last_push_successful\":{good}}}")
        });
        format!("{{\"status\":\"success\",\"data\":[{}]}}", groups.collect::<Vec<_>>().join(","))
    }
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    writeln!(page, "{text}").ok();
}

fn labels(labels: &Labels) -> String {
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let all = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value)));
    format!("{{{}}}", all.collect::<Vec<_>>().join(","))
}

/// The group's labels win over the body's, and `instance` is always there.
fn with_key(mut families: BTreeMap<String, Family>, key: &Labels) -> BTreeMap<String, Family> {
    for point in families.values_mut().flat_map(|family| &mut family.points) {
        point.labels.extend(key.clone());
        point.labels.entry("instance".to_owned()).or_default();
    }
    // The gateway's own series; what is pushed under their names is overwritten.
    families.remove("push_time_seconds");
    families.remove("push_failure_time_seconds");
    families
}

fn read(request: &Request, body: &[u8]) -> Result<BTreeMap<String, Family>, Refusal> {
    let gzip =
        request.header("content-encoding").is_some_and(|encoding| encoding.eq_ignore_ascii_case("gzip"));
    let mut unpacked = Vec::new();
    let body = if gzip {
        flate2::read::GzDecoder::new(body)
            .read_to_end(&mut unpacked)
            .map_err(|error| format!("gzip: {error}"))?;
        unpacked.as_slice()
    } else {
        body
    };
    if is_protobuf(request.header("content-type").unwrap_or_default()) {
        families::protobuf(body)
    } else {
        families::text(body)
    }
}

fn is_protobuf(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let kind = parts.next() == Some("application/vnd.google.protobuf");
    let parts = parts.collect::<HashSet<_>>();
    kind && parts.contains("proto=io.prometheus.client.MetricFamily") && parts.contains("encoding=delimited")
}

/// Reads a path as the gateway does: decoded first, cut at slashes second.
fn group_key(path: &str) -> Result<Labels, Answer> {
    let decoded = decode(path);
    let clean = decoded.split('/').skip(1).all(|part| !matches!(part, "." | ".."));
    if !clean || decoded.contains("//") {
        return Err(Answer::empty(301).header("location", "/metrics/job/"));
    }
    let rest = decoded.strip_prefix("/metrics/").unwrap_or_default();
    let parts = rest.split('/').collect::<Vec<_>>();
    let (first, value, rest) = match parts.as_slice() {
        [first @ ("job" | "job@base64"), value, rest @ ..] => (*first, *value, rest),
        _ => return Err(Answer::text(404, "404 page not found\n")),
    };
    let refuse = |reason: String| Answer::text(400, format!("{reason}\n"));
    let mut key = Labels::new();
    // A slash behind the job alone names the same group.
    let rest = if matches!(rest, [""]) { &[] } else { rest };
    let (pairs, odd) = rest.as_chunks::<2>();
    if !odd.is_empty() {
        let string = rest.iter().map(|part| format!("/{part}")).collect::<String>();
        return Err(refuse(format!("odd number of components in label string {string:?}")));
    }
    for [name, value] in pairs {
        let (name, value) = pair(name, value).map_err(refuse)?;
        key.insert(name, value);
    }
    let (_, job) = pair(first, value).map_err(refuse)?;
    if job.is_empty() {
        return Err(refuse("job name is required".to_owned()));
    }
    key.insert("job".to_owned(), job);
    Ok(key)
}

fn pair(name: &str, value: &str) -> Result<(String, String), Refusal> {
    let (name, value) = match name.strip_suffix("@base64") {
        Some(name) => {
            let bytes = URL_SAFE_NO_PAD.decode(value.trim_end_matches('=')).map_err(|error| {
                format!("invalid base64 encoding for label {name}={value:?}: illegal base64 data: {error}")
            })?;
            (name, String::from_utf8_lossy(&bytes).into_owned())
        }
        None => (name, value.to_owned()),
    };
    if !families::is_name(name, false) || name.starts_with("__") {
        return Err(format!("improper label name {name:?}"));
    }
    Ok((name.to_owned(), value))
}

/// Undoes percent-encoding; a `+` stays one.
fn decode(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut left = path.as_bytes();
    while let Some((first, rest)) = left.split_first() {
        left = rest;
        let hex = rest
            .split_at_checked(2)
            .and_then(|(digits, after)| Some((std::str::from_utf8(digits).ok()?, after)))
            .and_then(|(digits, after)| Some((u8::from_str_radix(digits, 16).ok()?, after)));
        match (first, hex) {
            (b'%', Some((byte, after))) => {
                bytes.push(byte);
                left = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
