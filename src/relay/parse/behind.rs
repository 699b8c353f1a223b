//! What stands behind a series: its value, its time, an exemplar. In: a line and where its series ends.

use std::borrow::Cow;

use super::fault::excerpt_of_end;
use super::labels::{self, List, Owner, Pair};
use super::{Fault, Format, number};
use crate::sample::{Millis, Value};

/// An observation that stands behind a sample.
#[derive(Debug)]
pub struct Exemplar<'a> {
    /// Its labels in the page's order; nobody has checked that their names differ.
    pub labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// What was observed.
    pub value: Value,
    /// When.
    pub at: Option<Millis>,
}

/// A value, a time, and where an exemplar's brace stands.
pub(super) type After = (Value, Option<Millis>, Option<usize>);

/// Reads what stands behind the labels.
#[inline]
pub(super) fn after(format: Format, line: &[u8], end: usize) -> Result<After, Fault> {
    match format {
        Format::Text => after_text(line, end),
        Format::OpenMetrics => after_open_metrics(line, end),
    }
}

fn no_number(written: &[u8], at: usize) -> Fault {
    let found = excerpt_of_end(written);
    Fault::new(at, format!("expected a number (decimal below 1.8e308, Inf or NaN), found {found}"))
}

fn after_text(line: &[u8], end: usize) -> Result<After, Fault> {
    let blanks = |at: usize| {
        let rest = line.get(at..).unwrap_or_default();
        at + rest.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(rest.len())
    };
    let token = |at: usize| {
        let rest = line.get(at..).unwrap_or_default();
        rest.get(..rest.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'{')).unwrap_or(rest.len()))
            .unwrap_or_default()
    };
    let at = blanks(end);
    let written = token(at);
    if written.is_empty() {
        return Err(Fault::expected("a value", line, at));
    }
    let Some(value) = number::value(written) else {
        return Err(no_number(written, at));
    };
    let at = blanks(at + written.len());
    if at == line.len() {
        return Ok((value, None, None));
    }
    let written = token(at);
    let Some(time) = number::milliseconds(written) else {
        return Err(Fault::expected("a time in whole milliseconds or the end of the line", line, at));
    };
    let at = blanks(at + written.len());
    if at < line.len() {
        return Err(Fault::expected("the end of the line", line, at));
    }
    Ok((value, Some(time), None))
}

fn after_open_metrics(line: &[u8], end: usize) -> Result<After, Fault> {
    let (value, at) = spaced(line, end, "a value")?;
    let rest = line.get(at..).unwrap_or_default();
    if rest.is_empty() {
        return Ok((value, None, None));
    }
    if rest.starts_with(b" # {") {
        return Ok((value, None, Some(at + 3)));
    }
    let (time, at) = time(line, at, "a time in seconds, an exemplar or the end of the line")?;
    let rest = line.get(at..).unwrap_or_default();
    if rest.is_empty() {
        return Ok((value, Some(time), None));
    }
    if rest.starts_with(b" # {") {
        return Ok((value, Some(time), Some(at + 3)));
    }
    Err(Fault::expected("an exemplar or the end of the line", line, at))
}

/// What stands between one blank at `at` and the next one.
fn token(line: &[u8], at: usize) -> Option<&[u8]> {
    let rest = line.get(at..)?.strip_prefix(b" ")?;
    rest.get(..rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len()))
}

fn spaced(line: &[u8], at: usize, wanted: &str) -> Result<(Value, usize), Fault> {
    let Some(written) = token(line, at).filter(|written| !written.is_empty()) else {
        return Err(Fault::expected(&format!("one blank and {wanted}"), line, at));
    };
    match number::value(written) {
        Some(value) => Ok((value, at + 1 + written.len())),
        None => Err(no_number(written, at + 1)),
    }
}

fn time(line: &[u8], at: usize, wanted: &str) -> Result<(Millis, usize), Fault> {
    let written = token(line, at).filter(|written| !written.is_empty());
    match written.and_then(number::seconds) {
        Some(time) => Ok((time, at + 1 + written.map_or(0, <[u8]>::len))),
        None => Err(Fault::expected(wanted, line, at + 1)),
    }
}

/// The exemplar whose opening brace stands at `brace`.
pub(super) fn exemplar(text: &str, brace: usize) -> Result<Exemplar<'_>, Fault> {
    let List { pairs, end, .. } = labels::read(Format::OpenMetrics, Owner::Exemplar, text, brace)?;
    let labels: Vec<Pair<'_>> = pairs;
    let line = text.as_bytes();
    let (value, at) = spaced(line, end, "the exemplar's value")?;
    if at == line.len() {
        return Ok(Exemplar { labels, value, at: None });
    }
    let (time, at) = time(line, at, "a time in seconds or the end of the line")?;
    if at < line.len() {
        return Err(Fault::expected("the end of the line", line, at));
    }
    Ok(Exemplar { labels, value, at: Some(time) })
}
