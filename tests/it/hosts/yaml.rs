//! YAML as JSON, for files of the repository: one document, no anchors.

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// A file of the repository.
pub(super) fn file(path: &str) -> Value {
    let text = super::read(path);
    let mut events =
        Parser::new_from_str(&text).map(|event| event.unwrap_or_else(|e| panic!("{path}: {e}")).0);
    loop {
        match events.next() {
            Some(Event::StreamStart | Event::DocumentStart(..)) => {}
            Some(event) => return value(event, &mut events),
            None => panic!("{path} is empty"),
        }
    }
}

fn value<'a>(event: Event<'a>, events: &mut impl Iterator<Item = Event<'a>>) -> Value {
    match event {
        Event::Scalar(text, ScalarStyle::Plain, ..) => plain(&text),
        Event::Scalar(text, ..) => Value::String(text.into_owned()),
        Event::SequenceStart(..) => {
            let mut all = Vec::new();
            loop {
                match events.next() {
                    Some(Event::SequenceEnd) | None => return Value::Array(all),
                    Some(event) => all.push(value(event, events)),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut all = Map::new();
            loop {
                let key = match events.next() {
                    Some(Event::Scalar(key, ..)) => key.into_owned(),
                    Some(Event::MappingEnd) | None => return Value::Object(all),
                    other => panic!("no key: {other:?}"),
                };
                let event = events.next().expect("a value");
                assert!(all.insert(key.clone(), value(event, events)).is_none(), "{key} stands twice");
            }
        }
        other => panic!("not expected in these files: {other:?}"),
    }
}

fn plain(text: &str) -> Value {
    match text {
        "" | "null" | "~" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        text => text.parse::<i64>().map_or_else(|_| Value::String(text.to_owned()), Value::from),
    }
}

/// A list of texts; nothing is an empty one.
pub(super) fn texts(value: &Value) -> Vec<&str> {
    let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().map(|one| one.as_str().unwrap_or_else(|| panic!("{one} is no text"))).collect()
}

/// The entries of a map; nothing is an empty one.
pub(super) fn entries(value: &Value) -> Vec<(&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value)).collect()
}
