//! Pushes to Pushgateways, real or simulated, and the groups that they leave.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use fleetpush::demo::receiver::{self, Server};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::servers::{Labels, Pushgateway};

pub(super) const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
pub(super) const TURNED: &str =
    "application/vnd.google.protobuf; encoding=delimited; proto=io.prometheus.client.MetricFamily";

/// One request and the status that both real gateways were measured to give it.
pub(super) struct Push {
    pub(super) method: &'static str,
    pub(super) path: String,
    headers: Vec<(&'static str, &'static str)>,
    pub(super) body: Vec<u8>,
    pub(super) status: u16,
    /// Where the old gateway answers otherwise than the one that is imitated.
    pub(super) old: Option<u16>,
}

pub(super) fn push(method: &'static str, path: &str, body: impl Into<Vec<u8>>, status: u16) -> Push {
    Push { method, path: path.to_owned(), headers: Vec::new(), body: body.into(), status, old: None }
}

pub(super) fn put(group: &str, body: impl Into<Vec<u8>>, status: u16) -> Push {
    push("PUT", &format!("/metrics/job/{group}"), body, status)
}

pub(super) fn post(group: &str, body: impl Into<Vec<u8>>, status: u16) -> Push {
    push("POST", &format!("/metrics/job/{group}"), body, status)
}

pub(super) fn delete(group: &str, status: u16) -> Push {
    push("DELETE", &format!("/metrics/job/{group}"), "", status)
}

impl Push {
    pub(super) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn encoding(self, encoding: &'static str) -> Self {
        self.header("content-encoding", encoding)
    }

    pub(super) fn protobuf(self) -> Self {
        self.header("content-type", PROTOBUF)
    }

    pub(super) fn old(self, status: u16) -> Self {
        Self { old: Some(status), ..self }
    }

    /// Sends it as it stands: a client library would tidy up the path.
    pub(super) async fn send(&self, base: &str) -> (u16, String) {
        let host = base.strip_prefix("http://").expect("plain HTTP");
        let mut stream = TcpStream::connect(host).await.expect("a connection");
        let (method, path, length) = (self.method, &self.path, self.body.len());
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("content-length: {length}\r\n\r\n");
        stream.write_all(&[head.as_bytes(), &self.body].concat()).await.expect("it is read");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let text = answer.split_once("\r\n\r\n").map(|(_, text)| text.to_owned()).unwrap_or_default();
        (status, text)
    }
}

/// A family's type, help, and its series with their values as bits.
pub(super) type Family = (String, String, BTreeSet<(Labels, u64)>);

/// A group: whether its last push was taken, whether any was, whether any was refused, its families.
pub(super) type Group = (bool, bool, bool, BTreeMap<String, Family>);

pub(super) type Groups = BTreeMap<Labels, Group>;

pub(super) fn labels(value: &Value) -> Labels {
    let pairs = value.as_object().expect("labels");
    pairs.iter().map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned())).collect()
}

pub(super) async fn real_groups(gateway: &Pushgateway) -> Groups {
    let mut groups = Groups::new();
    for group in gateway.groups().await {
        let key = labels(&group["labels"]);
        let mut families = BTreeMap::<String, Family>::new();
        for (name, family) in group.as_object().expect("a group") {
            if matches!(name.as_str(), "labels" | "last_push_successful") {
                continue;
            }
            let text = |key: &str| family[key].as_str().unwrap_or_default().to_owned();
            let points = family["metrics"].as_array().expect("series").iter().map(|point| {
                let value: f64 = point["value"].as_str().expect("a value").parse().expect("a number");
                (
                    point["labels"].as_object().map(|_| labels(&point["labels"])).unwrap_or_default(),
                    value.to_bits(),
                )
            });
            families.insert(name.clone(), (text("type").to_lowercase(), text("help"), points.collect()));
        }
        let mut time = |name: &str| {
            let (.., points) = families.remove(name).expect("the gateway's own family");
            f64::from_bits(points.first().expect("its series").1) > 0.0
        };
        let (pushed, failed) = (time("push_time_seconds"), time("push_failure_time_seconds"));
        let good = group["last_push_successful"].as_bool().expect("a flag");
        groups.insert(key, (good, pushed, failed, families));
    }
    groups
}

pub(super) fn simulated_groups(server: &Server) -> Groups {
    let family = |family: receiver::Family| -> Family {
        let points = family.points.into_iter().map(|point| (point.labels, point.value.to_bits()));
        let kind = if family.kind.is_empty() { "untyped".to_owned() } else { family.kind };
        (kind, family.help, points.collect())
    };
    let groups = server.groups().into_iter().map(|(key, group)| {
        let (good, pushed, failed) = (group.is_good(), group.push_time > 0.0, group.failure_time > 0.0);
        let families = group.families.into_iter().map(|(name, one)| (name, family(one))).collect();
        (key, (good, pushed, failed, families))
    });
    groups.collect()
}

/// What the simulated gateway's own API tells of its groups.
pub(super) async fn listed(server: &Server) -> BTreeMap<Labels, bool> {
    let (_, text) = push("GET", "/api/v1/metrics", "", 200).send(&server.base_url()).await;
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let groups = answer["data"].as_array().expect("groups").iter();
    groups.map(|group| (labels(&group["labels"]), group["last_push_successful"] == true)).collect()
}

/// One gauge of 1 as delimited protobuf, by hand: the program's own types have no timestamp.
pub(super) fn metric(name: &str, labels: &[(&str, &str)], timestamp: Option<u64>) -> Vec<u8> {
    let field = |tag: u8, bytes: &[u8]| [&[tag, u8::try_from(bytes.len()).expect("short")], bytes].concat();
    let mut metric = Vec::new();
    for (name, value) in labels {
        metric.extend(field(0x0a, &[field(0x0a, name.as_bytes()), field(0x12, value.as_bytes())].concat()));
    }
    metric.extend(field(0x12, &[&[0x09], &1f64.to_le_bytes()[..]].concat()));
    if let Some(mut time) = timestamp {
        metric.push(0x30);
        while time >= 0x80 {
            metric.push(0x80 | (time & 0x7f) as u8);
            time >>= 7;
        }
        metric.push(time as u8);
    }
    let family =
        [field(0x0a, name.as_bytes()), field(0x12, b"Help."), vec![0x18, 1], field(0x22, &metric)].concat();
    let mut delimited = vec![u8::try_from(family.len()).expect("short")];
    delimited.extend(family);
    delimited
}

pub(super) fn gauge(name: &str) -> Vec<u8> {
    metric(name, &[("fleet", "acme/a")], None)
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

pub(super) fn gzip_with_a_wrong_sum(bytes: &[u8]) -> Vec<u8> {
    let mut packed = gzip(bytes);
    let sum = packed.len() - 8;
    packed[sum] ^= 1;
    packed
}

pub(super) fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.into_inner().expect("memory takes it")
}

pub(super) fn cut(mut bytes: Vec<u8>, by: usize) -> Vec<u8> {
    bytes.truncate(bytes.len() - by);
    bytes
}
