//! YAML text → a tree whose every key and value has its line and column. Scalars stay the text that was
//! typed, so that a user name of digits is a name. Never: a neighbouring line in an error.

use std::collections::BTreeMap;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, StrInput, Tag, options};

/// How deep blocks may stand in each other.
const DEPTH: usize = 32;
/// How many values a file may have, those that aliases repeat among them.
const VALUES: usize = 100_000;

/// A position, both numbers from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A value with its position.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) value: Value,
}

/// What stands at a position.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing, or `null`.
    Empty,
    /// A single value, as it was typed.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the file's order; no key stands twice.
    Map(Vec<(Key, Node)>),
}

/// A map's key with its position.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) at: At,
}

/// What is wrong with the text, and where.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) at: At,
    pub(super) what: String,
}

/// Reads the one document of a text.
pub(super) fn parse(text: &str) -> Result<Node, Wrong> {
    let options = options! { flow_nesting_limit: DEPTH, block_nesting_limit: DEPTH };
    let events = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { text, events, anchors: BTreeMap::new(), values: 0 };
    let mut root = Node { at: At { line: 1, column: 1 }, value: Value::Empty };
    let mut documents = 0;
    loop {
        match builder.next()? {
            (Event::StreamEnd, _) => return Ok(root),
            (Event::StreamStart | Event::DocumentEnd, _) => {}
            (Event::DocumentStart(..), at) if documents > 0 => {
                return Err(wrong(at, "a second document begins here (---); keep one"));
            }
            (Event::DocumentStart(..), _) => documents += 1,
            (event, at) => root = builder.node(event, at, 0)?,
        }
    }
}

struct Builder<'a> {
    text: &'a str,
    events: Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, Node>,
    values: usize,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<(Event<'a>, At), Wrong> {
        match self.events.next_event() {
            Some(Ok((event, span))) => {
                Ok((event, At { line: span.start.line(), column: span.start.col() + 1 }))
            }
            Some(Err(error)) => Err(syntax(&error, self.text)),
            None => Ok((Event::StreamEnd, At { line: 1, column: 1 })),
        }
    }

    /// The value that begins with this event.
    fn node(&mut self, event: Event<'a>, at: At, depth: usize) -> Result<Node, Wrong> {
        if depth > DEPTH {
            return Err(too_deep(at));
        }
        self.count(1, at)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style, tag.as_deref(), at)?, anchor),
            Event::SequenceStart(_, anchor, tag) => {
                known(tag.as_deref(), at)?;
                (Value::List(self.list(depth)?), anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                known(tag.as_deref(), at)?;
                (Value::Map(self.map(depth)?), anchor)
            }
            Event::Alias(anchor) => {
                // An anchor is known once its value has ended.
                let inside = || wrong(at, "this alias stands inside the value that it names; write it out");
                let value = self.anchors.get(&anchor).ok_or_else(inside)?.value.clone();
                self.count(size(&value), at)?;
                (value, 0)
            }
            _ => return Err(wrong(at, "a value is missing here")),
        };
        let node = Node { at, value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Wrong> {
        let mut all = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(all),
                (event, at) => all.push(self.node(event, at, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, Wrong> {
        let (mut all, mut lines, mut merged) = (Vec::new(), BTreeMap::new(), Vec::new());
        loop {
            let (event, at) = self.next()?;
            let text = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(wrong(at, "a key must be one plain word; a text with { or [ needs quotes")),
            };
            if let Some(first) = lines.insert(text.clone(), at.line) {
                return Err(wrong(
                    at,
                    format!("the key {text} stands in line {first} too; keep one of them"),
                ));
            }
            let (event, start) = self.next()?;
            let node = self.node(event, start, depth + 1)?;
            if text == "<<" { merged.push(node) } else { all.push((Key { text, at }, node)) }
        }
        for node in merged {
            merge(&mut all, &mut lines, node)?;
        }
        Ok(all)
    }

    fn count(&mut self, more: usize, at: At) -> Result<(), Wrong> {
        self.values += more;
        if self.values > VALUES {
            let what = format!("the file has over {VALUES} values, repeated ones counted; make it smaller");
            return Err(wrong(at, what));
        }
        Ok(())
    }
}

/// `<<: *other`: the keys that a map does not have itself.
fn merge(all: &mut Vec<(Key, Node)>, lines: &mut BTreeMap<String, usize>, node: Node) -> Result<(), Wrong> {
    match node.value {
        Value::Map(more) => {
            for (key, value) in more {
                if lines.insert(key.text.clone(), key.at.line).is_none() {
                    all.push((key, value));
                }
            }
            Ok(())
        }
        Value::List(maps) => maps.into_iter().try_for_each(|map| merge(all, lines, map)),
        _ => Err(wrong(node.at, "<< takes a map, or a list of maps")),
    }
}

/// How many values a value holds; long texts count as several.
fn size(value: &Value) -> usize {
    match value {
        Value::Empty => 1,
        Value::Text(text) => 1 + text.len() / 32,
        Value::List(all) => 1 + all.iter().map(|node| size(&node.value)).sum::<usize>(),
        Value::Map(all) => 1 + all.iter().map(|(_, node)| size(&node.value)).sum::<usize>(),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, at: At) -> Result<Value, Wrong> {
    known(tag, at)?;
    let null = matches!(text, "" | "~" | "null" | "Null" | "NULL");
    if null && style == ScalarStyle::Plain && tag.is_none() {
        return Ok(Value::Empty);
    }
    Ok(Value::Text(text.to_owned()))
}

/// Everything is read as what its key wants, so that YAML's own tags change nothing; others would.
fn known(tag: Option<&Tag>, at: At) -> Result<(), Wrong> {
    let Some(tag) = tag else { return Ok(()) };
    match tag.core_suffix() {
        Some("str" | "int" | "float" | "bool" | "null" | "seq" | "map") => Ok(()),
        _ => Err(wrong(at, format!("the tag {} means nothing here; remove it", tag.original()))),
    }
}

fn wrong(at: At, what: impl Into<String>) -> Wrong {
    Wrong { at, what: what.into() }
}

fn too_deep(at: At) -> Wrong {
    wrong(at, format!("blocks stand in each other over {DEPTH} deep; no setting is that deep"))
}

/// The parser's errors in the words of whoever types YAML. They hold nothing of the file but one character.
fn syntax(error: &ScanError, text: &str) -> Wrong {
    let marker = error.marker();
    let at = At { line: marker.line().max(1), column: marker.col() + 1 };
    let what = match error.kind() {
        ErrorKind::RecursionLimitExceeded => return too_deep(at),
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => {
            return wrong(
                tab(text, marker.index()).unwrap_or(at),
                "a tab stands here; indent by spaces alone",
            );
        }
        ErrorKind::UnclosedQuotedScalar => "a quote is opened here and never closed".to_owned(),
        ErrorKind::UnclosedFlowCollection { open } => format!("{open} is opened here and never closed"),
        ErrorKind::MappingValueNotAllowed => {
            "a `:` cannot stand here; put the text before or after it into quotes".to_owned()
        }
        ErrorKind::UnknownAnchor => "this alias has no anchor (&name) above it".to_owned(),
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedDocumentStart
        | ErrorKind::SimpleKeyExpected
        | ErrorKind::InvalidSimpleKey
        | ErrorKind::InvalidIndentation => {
            "a line like `key: value` is missing here or just before; look at the indentation and for a blank after each `:`".to_owned()
        }
        ErrorKind::UnexpectedCharacter { character } if character.is_control() => {
            "a character stands here that no text has; is this the configuration file?".to_owned()
        }
        ErrorKind::UnexpectedCharacter { character } => {
            format!("{character} cannot stand here; put the text into quotes")
        }
        other => format!("not readable as YAML here: {other}"),
    };
    wrong(at, what)
}

/// The first tab from this character on.
fn tab(text: &str, from: usize) -> Option<At> {
    let mut at = At { line: 1, column: 1 };
    for (index, c) in text.chars().enumerate() {
        match c {
            '\t' if index >= from => return Some(at),
            '\n' => at = At { line: at.line + 1, column: 1 },
            _ => at.column += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, proptest};

    use super::*;

    fn text(node: &Node, key: &str) -> String {
        let Value::Map(entries) = &node.value else { panic!("{node:?}") };
        let (key, node) = entries.iter().find(|(known, _)| known.text == key).expect("the key");
        format!("{}:{} {}:{} {:?}", key.at.line, key.at.column, node.at.line, node.at.column, node.value)
    }

    #[test]
    fn keys_and_values_have_their_own_places_counted_in_characters() {
        let root = parse("größe: x\n\nb: \"ü\"\nc: {d: 007}\ne:").unwrap();
        assert_eq!(text(&root, "größe"), r#"1:1 1:8 Text("x")"#);
        assert_eq!(text(&root, "b"), r#"3:1 3:4 Text("ü")"#);
        assert!(text(&root, "c").contains(r#"Text("007")"#));
        assert_eq!(text(&root, "e"), "5:1 5:2 Empty");
    }

    #[test]
    fn an_alias_stands_where_it_is_used_and_an_own_key_wins_over_a_merged_one() {
        let root = parse("a: &a x\nb: *a\nc: &c {d: 1}\ne: {<<: *c, d: 2}").unwrap();
        assert_eq!(text(&root, "b"), r#"2:1 2:4 Text("x")"#);
        let merged = text(&root, "e");
        assert!(merged.contains(r#"Text("2")"#) && !merged.contains(r#"Text("1")"#), "{merged}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_text_makes_it_panic_and_every_error_has_a_place_in_the_text(
            text in "[a-c:\\-\\[\\]{}&*!|>'\"%@#,<? \t\n\r\u{0}\u{feff}ü]{0,60}",
        ) {
            if let Err(wrong) = parse(&text) {
                // The end of a text that ends with a line break stands in the line after it.
                assert!((1..=text.split(['\n', '\r']).count() + 1).contains(&wrong.at.line), "{wrong:?}");
                assert!(wrong.at.column >= 1, "{wrong:?}");
            }
        }
    }
}
