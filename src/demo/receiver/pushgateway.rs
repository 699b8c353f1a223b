//! The groups of a Pushgateway.
//! In: pushes. Out: the answers of a Pushgateway 1.11, and groups. Never: the formats of bodies.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::io::{ErrorKind, Read};

use super::super::http::{Answer, Request};
use super::super::now_millis;
use super::Labels;
use super::families::{self, Pushed, Refusal};
use super::path::{group_key, no_push};
use super::text;

/// The answer of `/api/v1/status`.
pub(super) const STATUS: &str = r#"{"status":"success","data":{"flags":{"push.disable-consistency-check":"false"},"build_information":{"version":"1.11.2"}}}"#;

/// Some of a gateway's own metrics.
const OWN: [(&str, &str); 4] = [
    ("go_goroutines", "gauge"),
    ("go_info", "gauge"),
    ("process_cpu_seconds_total", "counter"),
    ("process_start_time_seconds", "gauge"),
];
const PUSH_TIME: &str = "push_time_seconds";
const FAILURE_TIME: &str = "push_failure_time_seconds";

/// One group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// By name.
    pub families: BTreeMap<String, Family>,
    /// Seconds since the epoch; 0 when no push has succeeded.
    pub push_time: f64,
    /// Seconds since the epoch; 0 when no push has failed.
    pub failure_time: f64,
    /// Its key is no UTF-8: while it is there, every push and every scrape fails.
    pub broken: bool,
}

impl Group {
    /// Whether its last push was taken.
    pub fn is_good(&self) -> bool {
        self.push_time >= self.failure_time
    }
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
        if let Some(answer) = no_push(method, request.path()) {
            return (answer, None);
        }
        let (key, is_utf8) = match group_key(request.path()) {
            Ok(key) => key,
            Err(answer) => return (answer, None),
        };
        let pushed = unpacked(request, body).and_then(|body| match method {
            "DELETE" => Ok(Pushed::default()),
            _ if is_protobuf(request.header("content-type").unwrap_or_default()) => families::protobuf(&body),
            _ => text::read(&body),
        });
        let Pushed { families, flaw } = match pushed {
            Ok(pushed) => pushed,
            // A body that cannot be read leaves no trace.
            Err(reason) => return (Answer::text(400, format!("{reason}\n")), Some((key, 0))),
        };
        if method == "DELETE" {
            self.groups.remove(&key);
            return (Answer::empty(202), Some((key, 0)));
        }
        let count = families.values().map(|family| family.points.len()).sum();
        let mut families = with_key(families, &key);
        let now = now_millis() as f64 / 1000.0;
        let failure_time = self.failure_time(&key, &mut families);
        self.groups.entry(key.clone()).or_default().broken = !is_utf8;
        let consistent = match (flaw, &failure_time) {
            (Some(reason), _) => Err(reason),
            (None, Err(reason)) => Err(reason.clone()),
            (None, Ok(_)) => self.check(&key, &families),
        };
        let group = self.groups.entry(key.clone()).or_default();
        if let Err(reason) = consistent {
            // Later than the last success, also within its millisecond.
            group.failure_time = now.max(group.push_time + 0.001);
            let text =
                format!("pushed metrics are invalid or inconsistent with existing metrics: {reason}\n");
            return (Answer::text(400, text), Some((key, count)));
        }
        if method == "PUT" {
            group.families.clear();
        }
        group.families.extend(families);
        group.failure_time = failure_time.ok().flatten().unwrap_or(group.failure_time);
        group.push_time = now.max(group.failure_time);
        (Answer::empty(200), Some((key, count)))
    }

    /// What is pushed under the names of the gateway's own series is overwritten; only a group that is there
    /// keeps a pushed failure time.
    fn failure_time(&self, key: &Labels, new: &mut BTreeMap<String, Family>) -> Result<Option<f64>, Refusal> {
        new.remove(PUSH_TIME);
        let pushed = new.remove(FAILURE_TIME).filter(|_| self.groups.contains_key(key));
        let Some(family) = pushed else { return Ok(None) };
        if family.kind() != "gauge" {
            return Err(format!("collected metric {FAILURE_TIME:?} is not a GAUGE"));
        }
        Ok(family.points.first().map(|point| point.value))
    }

    /// What makes every push and every scrape fail, whichever the group: a key that is no UTF-8, and two keys
    /// that differ in an empty `instance` alone, since the groups' own series are then equal.
    fn poison(&self) -> Option<Refusal> {
        let mut keys = HashSet::new();
        let twin = self.groups.keys().any(|key| {
            let mut key = key.clone();
            key.entry("instance".to_owned()).or_default();
            !keys.insert(key)
        });
        if twin {
            return Some(twice(PUSH_TIME));
        }
        let broken = self.groups.values().any(|group| group.broken);
        broken.then(|| format!("collected metric {PUSH_TIME:?} has a label whose value is not utf8"))
    }

    /// One type for a name over all groups, and no series twice.
    fn check(&self, key: &Labels, new: &BTreeMap<String, Family>) -> Result<(), Refusal> {
        if let Some(reason) = self.poison() {
            return Err(reason);
        }
        for (name, family) in new {
            if let Some((_, kind)) = OWN.iter().find(|(own, kind)| own == name && *kind != family.kind()) {
                let (kind, is) = (kind.to_uppercase(), family.kind().to_uppercase());
                return Err(format!("gathered metric family {name} has type {is} but should have {kind}"));
            }
            let mut seen = family.points.iter().map(|point| &point.labels).collect::<HashSet<_>>();
            if seen.len() < family.points.len() {
                return Err(twice(name));
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
                    return Err(twice(name));
                }
            }
        }
        Ok(())
    }

    /// The page that Prometheus scrapes.
    pub(super) fn page(&self) -> Result<String, Refusal> {
        if let Some(reason) = self.poison() {
            return Err(format!("An error has occurred while serving metrics:\n\n{reason}"));
        }
        let mut families = BTreeMap::<&str, (&str, &str, Vec<&Point>)>::new();
        for (name, family) in self.groups.values().flat_map(|group| &group.families) {
            let entry =
                families.entry(name).or_insert_with(|| (family.kind(), family.help.as_str(), Vec::new()));
            entry.2.extend(&family.points);
        }
        let mut page = String::new();
        for (name, (kind, help, points)) in families {
            let help = help.replace('\\', "\\\\").replace('\n', "\\n");
            if !help.is_empty() {
                line(&mut page, format_args!("# HELP {name} {help}"));
            }
            line(&mut page, format_args!("# TYPE {name} {kind}"));
            for point in points {
                line(&mut page, format_args!("{name}{} {}", labels(&point.labels), number(point.value)));
            }
        }
        for (name, time) in [(PUSH_TIME, true), (FAILURE_TIME, false)] {
            line(&mut page, format_args!("# TYPE {name} gauge"));
            for (key, group) in &self.groups {
                let seconds = if time { group.push_time } else { group.failure_time };
                line(&mut page, format_args!("{name}{} {seconds}", labels(key)));
            }
        }
        Ok(page)
    }

    /// The answer of `/api/v1/metrics`: each group's key and whether its last push succeeded.
    pub(super) fn list(&self) -> String {
        let groups = self.groups.iter().map(|(key, group)| {
            let labels = serde_json::to_string(key).unwrap_or_default();
            let good = group.is_good();
            format!("{{\"labels\":{labels},\"last_push_successful\":{good}}}")
        });
        format!("{{\"status\":\"success\",\"data\":[{}]}}", groups.collect::<Vec<_>>().join(","))
    }
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    writeln!(page, "{text}").ok();
}

fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        finite => finite.to_string(),
    }
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
    families
}

/// Undoes gzip and framed snappy; any other encoding is not looked at.
fn unpacked<'a>(request: &Request, body: &'a [u8]) -> Result<Cow<'a, [u8]>, Refusal> {
    let mut bytes = Vec::new();
    let encoding = request.header("content-encoding").unwrap_or_default();
    if encoding.eq_ignore_ascii_case("gzip") {
        if body.is_empty() {
            return Err("EOF".to_owned());
        }
        let read = flate2::read::GzDecoder::new(body).read_to_end(&mut bytes);
        read.map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => "unexpected EOF".to_owned(),
            _ => format!("gzip: {error}"),
        })?;
    } else if encoding.eq_ignore_ascii_case("snappy") {
        let read = snap::read::FrameDecoder::new(body).read_to_end(&mut bytes);
        read.map_err(|error| format!("snappy: {error}"))?;
    } else {
        return Ok(Cow::Borrowed(body));
    }
    Ok(Cow::Owned(bytes))
}

fn twice(name: &str) -> Refusal {
    format!("collected metric {name:?} was collected before with the same name and label values")
}

fn is_protobuf(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let kind = parts.next() == Some("application/vnd.google.protobuf");
    let parts = parts.collect::<HashSet<_>>();
    kind && parts.contains("proto=io.prometheus.client.MetricFamily") && parts.contains("encoding=delimited")
}
