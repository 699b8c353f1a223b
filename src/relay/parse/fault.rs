//! What is wrong with a page, and where. In: a byte of a line. Out: line and column as an editor shows them, and
//! what was expected, with a short excerpt at most: a page may hold what a log must not.

use memchr::memchr;

/// Why a page was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong there, and what was expected.
    pub what: String,
}

/// What is wrong at a byte of a line.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) what: String,
}

impl Fault {
    pub(super) fn new(at: usize, what: impl Into<String>) -> Self {
        Fault { at, what: what.into() }
    }

    /// "expected this, found that": the token that stands at `at`.
    pub(super) fn expected(wanted: &str, line: &[u8], at: usize) -> Self {
        Fault { at, what: format!("expected {wanted}, found {}", found(line, at)) }
    }

    /// The fault on the page: `line` begins at the page's line `number`.
    pub(super) fn on(self, number: usize, line: &[u8]) -> ParseError {
        let at = self.at.min(line.len());
        let before = line.get(..at).unwrap_or(line);
        let Some(open) = quote_over_the_end(before) else {
            return ParseError { line: number, column: characters(before) + 1, what: self.what };
        };
        // A quoted text may hold line breaks, but mostly its end was forgotten: that is where to look.
        let what = if self.what == NOT_CLOSED {
            self.what
        } else {
            format!("a quoted text begins here that does not end on this line, and after it: {}", self.what)
        };
        ParseError { line: number, column: characters(before.get(..open).unwrap_or(before)) + 1, what }
    }
}

/// Of a text whose second quote is nowhere.
pub(super) const NOT_CLOSED: &str = "this quoted text has no end: expected \"";

fn characters(text: &[u8]) -> usize {
    String::from_utf8_lossy(text).chars().count()
}

/// Where the first quoted text begins that holds a line break.
fn quote_over_the_end(text: &[u8]) -> Option<usize> {
    let first = memchr(b'\n', text)?;
    let (mut open, mut at) = (None, 0);
    while at < first {
        match (text[at], open) {
            (b'\\', Some(_)) => at += 1,
            (b'"', Some(_)) => open = None,
            (b'"', None) => open = Some(at),
            _ => {}
        }
        at += 1;
    }
    open
}

/// The token at a place, in words.
fn found(line: &[u8], at: usize) -> String {
    match line.get(at..) {
        _ if line.is_empty() => "an empty line".to_owned(),
        None | Some([] | [b'\n', ..]) => "the end of the line".to_owned(),
        Some([b' ', ..]) => "a blank".to_owned(),
        Some([b'\t', ..]) => "a tab".to_owned(),
        Some(rest) => {
            let delimits = |b: &u8| b" \t\n{}=,\"".contains(b);
            let end = rest.iter().position(delimits).unwrap_or(rest.len()).max(1);
            let token = rest.get(..end).unwrap_or(rest);
            if end == rest.len() { excerpt_of_end(token) } else { excerpt(token) }
        }
    }
}

/// What a line ends in.
pub(super) fn excerpt_of_end(text: &[u8]) -> String {
    let hint = if text.ends_with(b"\r") {
        ": lines end with a line feed alone, without a carriage return"
    } else {
        ""
    };
    excerpt(text) + hint
}

/// A foreign text in quotes, cut after some characters.
pub(super) fn excerpt(text: &[u8]) -> String {
    const LENGTH: usize = 24;
    // Four bytes are the longest character.
    let text = String::from_utf8_lossy(text.get(..4 * LENGTH + 4).unwrap_or(text));
    let mut shown: String = text.chars().take(LENGTH).collect();
    if text.chars().nth(LENGTH).is_some() {
        shown.push('…');
    }
    format!("{shown:?}")
}
