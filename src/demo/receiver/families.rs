//! Decodes the body of a push.
//! In: delimited protobuf, or the text format. Out: families by name. Never: groups.

use std::collections::BTreeMap;

use prost::Message;

use super::{Family, Labels, Point};

/// Its own reading of the messages: the program's has no timestamp, and one that is sent must be refused.
#[derive(Clone, PartialEq, Message)]
struct WireFamily {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    help: Option<String>,
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
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct WireValue {
    #[prost(double, optional, tag = "1")]
    value: Option<f64>,
}

/// A body that is refused with 400 and this text.
pub(super) type Refusal = String;

const TIMESTAMPS: &str = "pushed metrics are invalid or inconsistent with existing metrics: pushed metrics must not have timestamps";

/// Reads delimited protobuf. Of two families of one name the last wins, as in the real one.
pub(super) fn protobuf(mut bytes: &[u8]) -> Result<BTreeMap<String, Family>, Refusal> {
    let mut families = BTreeMap::new();
    while !bytes.is_empty() {
        let family =
            WireFamily::decode_length_delimited(&mut bytes).map_err(|error| match bytes.is_empty() {
                true => "unexpected EOF".to_owned(),
                false => error.to_string(),
            })?;
        let kind = match family.kind.unwrap_or(0) {
            0 => "counter",
            1 => "gauge",
            3 => "untyped",
            other => return Err(format!("the simulated gateway knows no metric type {other}")),
        };
        let points = family.metric.into_iter().map(point).collect::<Result<_, _>>()?;
        let name = family.name.unwrap_or_default();
        if !is_name(&name, true) {
            return Err(format!("invalid metric name {name:?}"));
        }
        let kind = kind.to_owned();
        families.insert(name, Family { kind, help: family.help.unwrap_or_default(), points });
    }
    Ok(families)
}

fn point(metric: WireMetric) -> Result<Point, Refusal> {
    if metric.timestamp_ms.is_some() {
        return Err(TIMESTAMPS.to_owned());
    }
    let mut labels = Labels::new();
    for label in metric.label {
        let name = label.name.unwrap_or_default();
        if !is_name(&name, false) || name.starts_with("__") {
            return Err(format!("has a label with an invalid name: {name:?}"));
        }
        if labels.insert(name.clone(), label.value.unwrap_or_default()).is_some() {
            return Err(format!("duplicate label name {name:?}"));
        }
    }
    let value = metric.gauge.or(metric.counter).or(metric.untyped).and_then(|value| value.value);
    Ok(Point { labels, value: value.unwrap_or_default() })
}

/// Reads the text format 0.0.4.
pub(super) fn text(bytes: &[u8]) -> Result<BTreeMap<String, Family>, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("text format parsing error: {error}"))?;
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("text format parsing error: unexpected end of input stream".to_owned());
    }
    let mut families = BTreeMap::<String, Family>::new();
    for (number, line) in (1..).zip(text.lines()) {
        read_line(&mut families, line)
            .map_err(|reason| format!("text format parsing error in line {number}: {reason}"))?;
    }
    families.retain(|_, family| !family.points.is_empty());
    Ok(families)
}

fn read_line(families: &mut BTreeMap<String, Family>, line: &str) -> Result<(), Refusal> {
    if line.ends_with('\r') {
        return Err("expected float as value".to_owned());
    }
    if let Some(comment) = line.strip_prefix('#') {
        let mut words = comment.trim_start().splitn(3, ' ');
        let (keyword, name, rest) = (words.next(), words.next(), words.next());
        let Some(name) = name else { return Ok(()) };
        match keyword {
            Some("HELP") => rest.unwrap_or_default().clone_into(&mut family(families, name).help),
            Some("TYPE") => {
                let kind = rest.unwrap_or_default();
                if !["counter", "gauge", "untyped"].contains(&kind) {
                    return Err(format!("unknown metric type {kind:?}"));
                }
                let family = family(families, name);
                if !family.kind.is_empty() || !family.points.is_empty() {
                    return Err(format!("second TYPE line for metric name {name:?}"));
                }
                kind.clone_into(&mut family.kind);
            }
            _ => {}
        }
        return Ok(());
    }
    if line.trim().is_empty() {
        return Ok(());
    }
    let end = line.find(['{', ' ', '\t']).ok_or("unexpected end of line")?;
    let (name, rest) = line.split_at(end);
    if !is_name(name, true) {
        return Err("invalid metric name".to_owned());
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => read_labels(name, rest)?,
        None => (Labels::new(), rest),
    };
    let mut words = rest.split_whitespace();
    let value = words.next().and_then(|word| word.parse().ok()).ok_or("expected float as value")?;
    if words.next().is_some() {
        return Err(TIMESTAMPS.to_owned());
    }
    family(families, name).points.push(Point { labels, value });
    Ok(())
}

fn family<'a>(families: &'a mut BTreeMap<String, Family>, name: &str) -> &'a mut Family {
    families.entry(name.to_owned()).or_default()
}

fn read_labels<'a>(metric: &str, mut rest: &'a str) -> Result<(Labels, &'a str), Refusal> {
    let mut labels = Labels::new();
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (name, after) = rest.split_once("=\"").ok_or("expected '=' after label name")?;
        let name = name.trim();
        if !is_name(name, false) || name.starts_with("__") {
            return Err(format!("has a label with an invalid name for metric {metric:?}"));
        }
        let (mut value, mut characters) = (String::new(), after.chars());
        loop {
            match characters.next().ok_or("unexpected end of label value")? {
                '"' => break,
                '\\' => match characters.next() {
                    Some('n') => value.push('\n'),
                    Some(escaped @ ('\\' | '"')) => value.push(escaped),
                    _ => return Err("invalid escape sequence".to_owned()),
                },
                other => value.push(other),
            }
        }
        if labels.insert(name.to_owned(), value).is_some() {
            return Err(format!("duplicate label names for metric {metric:?}"));
        }
        rest = characters.as_str();
    }
}

/// Whether a name is one of the classic ones; only metrics may have colons.
pub(super) fn is_name(name: &str, colons: bool) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (colons && byte == b':');
    name.bytes().all(allowed) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}
