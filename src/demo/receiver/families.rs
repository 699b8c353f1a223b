//! Decodes the body of a push in delimited protobuf.
//! In: bytes. Out: families by name, and what a gateway holds against them. Never: groups.

use std::collections::BTreeMap;

use prost::Message;

use super::{Family, Labels, Point};

/// Its own reading of the messages: the program's has no timestamp, and one that is sent must be refused. Texts are
/// bytes, as the real gateway reads on where they are no UTF-8.
#[derive(Clone, PartialEq, Message)]
struct WireFamily {
    #[prost(bytes = "vec", optional, tag = "1")]
    name: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    help: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<WireMetric>,
}

#[derive(Clone, PartialEq, Message)]
struct WireMetric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<WireLabel>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<WireValue>,
    #[prost(message, optional, tag = "3")]
    counter: Option<WireValue>,
    #[prost(message, optional, tag = "5")]
    untyped: Option<WireValue>,
    #[prost(int64, optional, tag = "6")]
    timestamp_ms: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct WireLabel {
    #[prost(bytes = "vec", optional, tag = "1")]
    name: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    value: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct WireValue {
    #[prost(double, optional, tag = "1")]
    value: Option<f64>,
}

/// Why a push is refused with 400.
pub(super) type Refusal = String;

/// What a body says.
#[derive(Debug, Default)]
pub(super) struct Pushed {
    pub(super) families: BTreeMap<String, Family>,
    /// Why it is refused though it can be read: its group then shows a failed push.
    pub(super) flaw: Option<Refusal>,
}

impl Pushed {
    pub(super) fn has_timestamp(&mut self) {
        self.has_flaw("pushed metrics must not have timestamps");
    }

    pub(super) fn has_flaw(&mut self, reason: impl Into<Refusal>) {
        self.flaw.get_or_insert(reason.into());
    }
}

/// Reads delimited protobuf. Of two families of one name the last wins, and no name is checked, as in the real one.
pub(super) fn protobuf(mut bytes: &[u8]) -> Result<Pushed, Refusal> {
    let mut pushed = Pushed::default();
    while !bytes.is_empty() {
        let cut = || "unexpected EOF".to_owned();
        let length = prost::decode_length_delimiter(&mut bytes).map_err(|_| cut())?;
        let (message, rest) = bytes.split_at_checked(length).ok_or_else(cut)?;
        bytes = rest;
        let family = WireFamily::decode(message).map_err(|error| error.to_string())?;
        let kind = match family.kind.unwrap_or(0) {
            0 => "counter",
            1 => "gauge",
            3 => "untyped",
            other => return Err(format!("the simulated gateway knows no metric type {other}")),
        };
        let name = text(family.name);
        let points =
            family.metric.into_iter().map(|metric| point(&mut pushed, &name, kind, metric)).collect();
        pushed.families.insert(name, Family { kind: kind.to_owned(), help: text(family.help), points });
    }
    Ok(pushed)
}

fn point(pushed: &mut Pushed, name: &str, kind: &str, metric: WireMetric) -> Point {
    if metric.timestamp_ms.is_some() {
        pushed.has_timestamp();
    }
    let mut labels = Labels::new();
    for label in metric.label {
        let (label, value) = (text(label.name), label.value.unwrap_or_default());
        if label.starts_with("__") {
            pushed.has_flaw(format!("collected metric {name:?} has a label with an invalid name: {label}"));
        }
        if std::str::from_utf8(&value).is_err() {
            pushed
                .has_flaw(format!("collected metric {name:?} has a label named {label:?} that is not utf8"));
        }
        if labels.insert(label.clone(), text(Some(value))).is_some() {
            pushed.has_flaw(format!(
                "collected metric {name:?} has two or more labels with the same name: {label}"
            ));
        }
    }
    let value = match kind {
        "counter" => metric.counter,
        "gauge" => metric.gauge,
        _ => metric.untyped,
    };
    if value.is_none() {
        pushed.has_flaw(format!("collected metric {name:?} is not a {}", kind.to_uppercase()));
    }
    Point { labels, value: value.and_then(|value| value.value).unwrap_or_default() }
}

fn text(bytes: Option<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}
