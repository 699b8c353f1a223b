//! YAML → JSON values, for what is in the repository: every scalar is a text. A file that cannot be read fails the
//! test.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser};
use serde_json::{Map, Value};

/// The one document of a text.
pub fn read(text: &str) -> Value {
    let mut events = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.unwrap_or_else(|error| panic!("no YAML: {error}"));
        events.push((event, span.start.line()));
    }
    let mut reader = Reader { events: events.into_iter(), anchors: BTreeMap::new() };
    loop {
        match reader.next() {
            Event::StreamStart | Event::DocumentStart(..) => {}
            event => return reader.value(event),
        }
    }
}

struct Reader<'a, Events: Iterator<Item = (Event<'a>, usize)>> {
    events: Events,
    anchors: BTreeMap<usize, Value>,
}

impl<'a, Events: Iterator<Item = (Event<'a>, usize)>> Reader<'a, Events> {
    fn next(&mut self) -> Event<'a> {
        self.events.next().expect("a document that ends").0
    }

    fn value(&mut self, event: Event<'a>) -> Value {
        let (value, anchor) = match event {
            Event::Scalar(text, _, anchor, _) => (Value::from(text.into_owned()), anchor),
            Event::SequenceStart(_, anchor, _) => {
                let mut all = Vec::new();
                loop {
                    match self.next() {
                        Event::SequenceEnd => break,
                        event => all.push(self.value(event)),
                    }
                }
                (Value::from(all), anchor)
            }
            Event::MappingStart(_, anchor, _) => {
                let mut all = Map::new();
                loop {
                    match self.next() {
                        Event::MappingEnd => break,
                        Event::Scalar(key, ..) => {
                            let event = self.next();
                            let value = self.value(event);
                            let key = key.into_owned();
                            assert!(!all.contains_key(&key), "{key} stands twice");
                            all.insert(key, value);
                        }
                        other => panic!("a key is a text, not {other:?}"),
                    }
                }
                (Value::from(all), anchor)
            }
            Event::Alias(anchor) => return self.anchors[&anchor].clone(),
            other => panic!("a value is missing: {other:?}"),
        };
        self.anchors.insert(anchor, value.clone());
        value
    }
}

#[test]
fn a_document_is_read_as_it_is_meant() {
    let read = read("# first\na: &x [1, 'two']\nb:\n  - c: *x\n    d: |\n      three\n      four\n");
    let expected = serde_json::json!({"a": ["1", "two"], "b": [{"c": ["1", "two"], "d": "three\nfour\n"}]});
    assert_eq!(read, expected);
}
