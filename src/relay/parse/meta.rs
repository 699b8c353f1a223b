//! Lines that begin with `#`: help, type, unit, the end of a page, comments. In: such a line. Out: what it says.

use std::borrow::Cow;

use super::fault::{excerpt, excerpt_of_end};
use super::labels::{closing, unescaped};
use super::series::{Found, Place, begins_name};
use super::{Event, Fault, Format, looked};
use crate::sample::Kind;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Help,
    Type,
    Unit,
}

/// Reads a line whose `#` stands at `hash`.
pub(super) fn read(format: Format, line: &[u8], hash: usize) -> Result<Found<'_>, Fault> {
    looked(line.len());
    let after = hash + 1;
    match format {
        Format::Text => text(line, after),
        Format::OpenMetrics => open_metrics(line, after),
    }
}

/// Reads on in a line whose quoted name goes over the line's end.
pub(super) fn go_on(format: Format, line: &[u8], place: Place) -> Result<Found<'_>, Fault> {
    let Place::Meta { hash, quote, at } = place else {
        return read(format, line, 0);
    };
    looked(line.len() - at);
    match closing(line, at) {
        Ok(_) => read(format, line, hash),
        Err(fault) if fault.at + 1 == at => Ok(Found::Open(Place::Meta { hash, quote, at: line.len() + 1 })),
        Err(fault) => Err(fault),
    }
}

fn blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn text(line: &[u8], after: usize) -> Result<Found<'_>, Fault> {
    let skip = |from: usize| {
        let rest = line.get(from..).unwrap_or_default();
        from + rest.iter().position(|byte| !blank(byte)).unwrap_or(rest.len())
    };
    let start = skip(after);
    if start == after {
        return match memchr::memchr(0, line) {
            Some(at) => Err(Fault::new(at, "a NUL byte: expected text")),
            None => Ok(Found::Nothing),
        };
    }
    let rest = line.get(start..).unwrap_or_default();
    let word = match rest {
        [b'H', b'E', b'L', b'P', b' ' | b'\t', ..] => Word::Help,
        [b'T', b'Y', b'P', b'E', b' ' | b'\t', ..] => Word::Type,
        _ => return Ok(Found::Nothing),
    };
    let at = skip(start + 4);
    let (name, end) = match name(line, after - 1, at)? {
        Name::Read(name, end) => (name, end),
        Name::Open(place) => return Ok(Found::Open(place)),
    };
    // One byte parts name and text, whichever it is; so Prometheus reads `# HELP my.metric`.
    meta(Format::Text, word, name, line, (end + 1).min(line.len()))
}

fn open_metrics(line: &[u8], after: usize) -> Result<Found<'_>, Fault> {
    const WANTED: &str = "# HELP, # TYPE, # UNIT or # EOF";
    let rest = line.get(after..).unwrap_or_default();
    let word = match rest {
        b" EOF" => return Ok(Found::End),
        [b' ', b'H', b'E', b'L', b'P', b' ', ..] => Word::Help,
        [b' ', b'T', b'Y', b'P', b'E', b' ', ..] => Word::Type,
        [b' ', b'U', b'N', b'I', b'T', b' ', ..] => Word::Unit,
        [b' ', b'E', b'O', b'F', ..] => return Err(Fault::expected("nothing after # EOF", line, after + 4)),
        _ => {
            return Err(Fault::new(
                after - 1,
                format!("a comment: expected {WANTED}, as OpenMetrics has no others"),
            ));
        }
    };
    let (name, end) = match name(line, after - 1, after + 6)? {
        Name::Read(name, end) => (name, end),
        Name::Open(place) => return Ok(Found::Open(place)),
    };
    if line.get(end) != Some(&b' ') {
        return Err(Fault::expected("one blank after the metric's name", line, end));
    }
    meta(Format::OpenMetrics, word, name, line, end + 1)
}

enum Name<'a> {
    Read(Cow<'a, str>, usize),
    Open(Place),
}

fn name(line: &[u8], hash: usize, at: usize) -> Result<Name<'_>, Fault> {
    let rest = line.get(at..).unwrap_or_default();
    match rest.first() {
        Some(b'"') => {
            let end = match closing(line, at + 1) {
                Ok(end) => end,
                Err(fault) if fault.at == at => {
                    return Ok(Name::Open(Place::Meta { hash, quote: at, at: line.len() + 1 }));
                }
                Err(fault) => return Err(fault),
            };
            let raw = line.get(at + 1..end).unwrap_or_default();
            let raw = str::from_utf8(raw)
                .map_err(|bad| Fault::new(at + 1 + bad.valid_up_to(), "the name is not UTF-8"))?;
            if memchr::memchr(0, raw.as_bytes()).is_some() {
                return Err(Fault::new(at, "a NUL byte in a name"));
            }
            Ok(Name::Read(unescaped(raw, true), end + 1))
        }
        Some(byte) if begins_name(*byte) => {
            let length = rest.iter().position(|byte| !begins_name(*byte) && !byte.is_ascii_digit());
            let end = at + length.unwrap_or(rest.len());
            let name = line.get(at..end).and_then(|name| str::from_utf8(name).ok()).unwrap_or_default();
            Ok(Name::Read(Cow::Borrowed(name), end))
        }
        _ => Err(Fault::expected("a metric's name", line, at)),
    }
}

/// What is said of the name, from `at` on.
fn meta<'a>(
    format: Format,
    word: Word,
    name: Cow<'a, str>,
    line: &'a [u8],
    at: usize,
) -> Result<Found<'a>, Fault> {
    let said = line.get(at..).unwrap_or_default();
    let utf8 = |of: &str| {
        str::from_utf8(said)
            .map_err(|bad| Fault::new(at + bad.valid_up_to(), format!("the {of} is not UTF-8")))
    };
    Ok(Found::Meta(match word {
        Word::Help => Event::Help { name, help: unescaped(utf8("help")?, format == Format::OpenMetrics) },
        Word::Type => Event::Type { name, kind: kind(format, said, at)? },
        Word::Unit => {
            let unit = utf8("unit")?;
            let is_suffix =
                name.strip_suffix(unit).is_some_and(|before| unit.is_empty() || before.ends_with('_'));
            if !is_suffix {
                let (unit, name) = (excerpt(said), excerpt(name.as_bytes()));
                return Err(Fault::new(
                    at,
                    format!("the unit {unit} is not what the name {name} ends in, after a _"),
                ));
            }
            Event::Unit { name, unit }
        }
    }))
}

fn kind(format: Format, said: &[u8], at: usize) -> Result<Kind, Fault> {
    let kind = match (said, format) {
        (b"counter", _) => Kind::Counter,
        (b"gauge", _) => Kind::Gauge,
        (b"histogram", _) => Kind::Histogram,
        (b"summary", _) => Kind::Summary,
        (b"untyped", Format::Text) | (b"unknown", Format::OpenMetrics) => Kind::Unknown,
        (b"gaugehistogram", Format::OpenMetrics) => Kind::GaugeHistogram,
        (b"info", Format::OpenMetrics) => Kind::Info,
        (b"stateset", Format::OpenMetrics) => Kind::StateSet,
        _ => {
            let known = match format {
                Format::Text => "counter, gauge, histogram, summary or untyped",
                Format::OpenMetrics => {
                    "counter, gauge, histogram, gaugehistogram, summary, info, stateset or unknown"
                }
            };
            let what = format!("expected {known} up to the end of the line, found {}", excerpt_of_end(said));
            return Err(Fault::new(at, what));
        }
    };
    Ok(kind)
}
