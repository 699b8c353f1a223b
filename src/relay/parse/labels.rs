//! The list of labels in braces. In: a line and where the list begins. Out: its pairs without their escapes, and the
//! name where it stands among them.

use std::borrow::Cow;
use std::collections::HashSet;

use memchr::{memchr, memchr2};

use super::fault::{NOT_CLOSED, excerpt};
use super::{Fault, Format, looked};
use crate::sample::METRIC_NAME;

/// A label's name and value.
pub(super) type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Whose labels they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// A series whose name stands before the braces.
    Named,
    /// A series whose name must stand within.
    Nameless,
    /// An exemplar, which has no name, and whose names nobody checks.
    Exemplar,
}

/// A list that was read.
pub(super) struct List<'a> {
    /// The name, where it stands within.
    pub(super) name: Option<Cow<'a, str>>,
    /// The pairs in the page's order.
    pub(super) pairs: Vec<Pair<'a>>,
    /// Names that stand there with an empty value.
    pub(super) empty: Vec<Cow<'a, str>>,
    /// Behind the closing brace.
    pub(super) end: usize,
}

/// Whether a name of labels may begin with this byte.
pub(super) fn begins_label(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

/// Reads the list whose opening brace stands at `brace`.
pub(super) fn read<'a>(format: Format, owner: Owner, line: &'a str, brace: usize) -> Result<List<'a>, Fault> {
    let mut reader = Reader {
        format,
        owner,
        line,
        at: brace + 1,
        list: List { name: None, pairs: Vec::new(), empty: Vec::new(), end: 0 },
        seen: HashSet::new(),
    };
    while !reader.closes()? {
        reader.one()?;
    }
    let Reader { at, mut list, .. } = reader;
    looked(at - brace);
    if owner == Owner::Nameless && list.name.is_none() {
        return Err(Fault::new(
            brace,
            "the series has no name: expected one before the braces, or in quotes within",
        ));
    }
    // To Prometheus an empty label is none.
    if owner != Owner::Exemplar && list.pairs.iter().any(|(_, value)| value.is_empty()) {
        let (empty, pairs) = list.pairs.into_iter().partition(|(_, value)| value.is_empty());
        list.pairs = pairs;
        list.empty = Vec::into_iter(empty).map(|(name, _)| name).collect();
    }
    list.pairs.retain(|(_, value)| !value.is_empty());
    list.end = at;
    Ok(list)
}

struct Reader<'a> {
    format: Format,
    owner: Owner,
    line: &'a str,
    at: usize,
    list: List<'a>,
    /// The names of a list that is too long to be looked through for each of them.
    seen: HashSet<Cow<'a, str>>,
}

impl<'a> Reader<'a> {
    fn next(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        if self.format == Format::Text {
            while matches!(self.next(), Some(b' ' | b'\t')) {
                self.at += 1;
            }
        }
    }

    /// Whether the list ends here.
    fn closes(&mut self) -> Result<bool, Fault> {
        self.blanks();
        let closes = self.next() == Some(b'}');
        self.at += usize::from(closes);
        Ok(closes)
    }

    /// A pair or the metric's name, and the comma after it.
    fn one(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let (name, is_quoted) = self.name()?;
        self.blanks();
        match self.next() {
            Some(b',' | b'}') if is_quoted && self.owner != Owner::Exemplar => self.metric(start, name)?,
            Some(b'=') => {
                self.at += 1;
                self.blanks();
                self.pair(start, name)?;
            }
            _ => return Err(self.expected("= after the label's name")),
        }
        self.blanks();
        match self.next() {
            Some(b',') => self.at += 1,
            Some(b'}') => {}
            // Between two labels the text format needs no comma.
            Some(byte) if self.format == Format::Text && (byte == b'"' || begins_label(byte)) => {}
            _ => return Err(self.expected(", or } after a label")),
        }
        Ok(())
    }

    fn metric(&mut self, start: usize, name: Cow<'a, str>) -> Result<(), Fault> {
        if self.owner == Owner::Named || self.list.name.is_some() {
            return Err(Fault::new(
                start,
                "a second name of the series: expected a label, as name=\"value\"",
            ));
        }
        if name.is_empty() {
            return Err(Fault::new(start, "the name of the series is empty"));
        }
        self.list.name = Some(name);
        Ok(())
    }

    fn pair(&mut self, start: usize, name: Cow<'a, str>) -> Result<(), Fault> {
        if self.next() != Some(b'"') {
            return Err(self.expected("\" and the label's value"));
        }
        let quote = self.at;
        let raw = self.quoted()?;
        let is_exemplar = self.owner == Owner::Exemplar;
        if self.format == Format::OpenMetrics && memchr(b'\n', raw.as_bytes()).is_some() {
            return Err(Fault::new(quote, NOT_CLOSED));
        }
        if is_exemplar && memchr(0, raw.as_bytes()).is_some() {
            return Err(Fault::new(quote, "a NUL byte in an exemplar's label"));
        }
        let value = unescaped(raw, true);
        if !is_exemplar {
            if name.is_empty() && !value.is_empty() {
                return Err(Fault::new(start, "the name of a label is empty"));
            }
            if name == METRIC_NAME {
                let what =
                    "the name of the series as a label: expected it before the braces, or in quotes within";
                return Err(Fault::new(start, what));
            }
            if !self.is_new(name.clone()) {
                let name = excerpt(name.as_bytes());
                return Err(Fault::new(start, format!("the label {name} stands twice in one series")));
            }
        }
        self.list.pairs.push((name, value));
        Ok(())
    }

    fn is_new(&mut self, name: Cow<'a, str>) -> bool {
        const FEW: usize = 16;
        let pairs = &self.list.pairs;
        if pairs.len() < FEW {
            return !pairs.iter().any(|(known, _)| *known == name);
        }
        if self.seen.is_empty() {
            self.seen.extend(pairs.iter().map(|(known, _)| known.clone()));
        }
        self.seen.insert(name)
    }

    /// A label's name, bare or quoted, and whether it is quoted.
    fn name(&mut self) -> Result<(Cow<'a, str>, bool), Fault> {
        match self.next() {
            Some(b'"') => {
                let quote = self.at;
                let raw = self.quoted()?;
                if memchr(0, raw.as_bytes()).is_some() {
                    return Err(Fault::new(quote, "a NUL byte in a name"));
                }
                let is_broken = self.owner == Owner::Exemplar && memchr(b'\n', raw.as_bytes()).is_some();
                if is_broken {
                    return Err(Fault::new(quote, NOT_CLOSED));
                }
                Ok((unescaped(raw, true), true))
            }
            Some(byte) if begins_label(byte) => {
                let start = self.at;
                while self.next().is_some_and(|byte| begins_label(byte) || byte.is_ascii_digit()) {
                    self.at += 1;
                }
                Ok((Cow::Borrowed(self.line.get(start..self.at).unwrap_or_default()), false))
            }
            _ => Err(self.expected("a label's name or }")),
        }
    }

    /// What stands between the quotes, escapes and all.
    fn quoted(&mut self) -> Result<&'a str, Fault> {
        let start = self.at + 1;
        let end = closing(self.line.as_bytes(), start)?;
        self.at = end + 1;
        Ok(self.line.get(start..end).unwrap_or_default())
    }

    fn expected(&self, wanted: &str) -> Fault {
        Fault::expected(wanted, self.line.as_bytes(), self.at)
    }
}

/// Where the quoted text ends that begins at `start`, behind its quote.
pub(super) fn closing(line: &[u8], start: usize) -> Result<usize, Fault> {
    let mut at = start;
    loop {
        let rest = line.get(at..).unwrap_or_default();
        let Some(next) = memchr2(b'"', b'\\', rest) else {
            return Err(Fault::new(start - 1, NOT_CLOSED));
        };
        at += next;
        if line.get(at) == Some(&b'"') {
            return Ok(at);
        }
        if matches!(line.get(at + 1), None | Some(b'\n')) {
            return Err(Fault::new(at, "a backslash ends the line: expected \\\\, \\\" or \\n"));
        }
        at += 2;
    }
}

/// A text without its escapes `\\`, `\n` and, where it was quoted, `\"`; other backslashes stand for themselves.
pub(super) fn unescaped(raw: &str, was_quoted: bool) -> Cow<'_, str> {
    let Some(first) = memchr(b'\\', raw.as_bytes()) else {
        return Cow::Borrowed(raw);
    };
    let (plain, mut rest) = raw.split_at(first);
    let mut text = String::with_capacity(raw.len());
    text.push_str(plain);
    loop {
        let (with, length) = match rest.as_bytes().get(1) {
            Some(b'\\') => ('\\', 2),
            Some(b'n') => ('\n', 2),
            Some(b'"') if was_quoted => ('"', 2),
            _ => ('\\', 1),
        };
        text.push(with);
        let after = rest.get(length..).unwrap_or_default();
        let next = memchr(b'\\', after.as_bytes());
        let (plain, more) = after.split_at(next.unwrap_or(after.len()));
        text.push_str(plain);
        if next.is_none() {
            return Cow::Owned(text);
        }
        rest = more;
    }
}
