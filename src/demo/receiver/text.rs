//! Decodes the body of a push in the text format 0.0.4, as strictly as the real gateway and no more.
//! In: bytes. Out: families by name, and what a gateway holds against them. Never: groups; histograms and
//! summaries, which nothing here sends.

use super::families::{Pushed, Refusal};
use super::{Family, Labels, Point};

const BLANK: [char; 2] = [' ', '\t'];

/// Reads a body.
pub(super) fn read(bytes: &[u8]) -> Result<Pushed, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_| at(1, "invalid UTF-8"))?;
    let mut pushed = Pushed::default();
    let mut lines = (1..).zip(text.split('\n')).peekable();
    while let Some((number, line)) = lines.next() {
        match lines.peek() {
            Some(_) => read_line(&mut pushed, line).map_err(|reason| at(number, &reason))?,
            // Behind the last end of line there must be nothing.
            None if line.is_empty() => {}
            None => return Err(at(number, "unexpected end of input stream")),
        }
    }
    pushed.families.retain(|_, family| !family.points.is_empty());
    Ok(pushed)
}

fn at(line: usize, reason: &str) -> Refusal {
    format!("text format parsing error in line {line}: {reason}")
}

fn read_line(pushed: &mut Pushed, line: &str) -> Result<(), Refusal> {
    let line = line.trim_start_matches(BLANK);
    match line.strip_prefix('#') {
        Some(comment) => read_comment(pushed, comment),
        None if line.is_empty() => Ok(()),
        None => read_sample(pushed, line),
    }
}

fn read_comment(pushed: &mut Pushed, comment: &str) -> Result<(), Refusal> {
    let (keyword, rest) = word(comment);
    if !matches!(keyword, "HELP" | "TYPE") || rest.is_empty() {
        return Ok(());
    }
    let (name, rest) = word(rest);
    if !is_name(name, true) {
        return Err("invalid metric name in comment".to_owned());
    }
    if rest.is_empty() {
        return Ok(());
    }
    let family = pushed.families.entry(name.to_owned()).or_default();
    if keyword == "HELP" {
        if !family.help.is_empty() {
            return Err(format!("second HELP line for metric name {name:?}"));
        }
        family.help = unescaped(rest)?;
        return Ok(());
    }
    if !family.kind.is_empty() || !family.points.is_empty() {
        return Err(format!("second TYPE line for metric name {name:?}, or TYPE reported after samples"));
    }
    let kind = rest.to_lowercase();
    if !["counter", "gauge", "untyped"].contains(&kind.as_str()) {
        return Err(format!("unknown metric type {rest:?}"));
    }
    family.kind = kind;
    Ok(())
}

/// The first word, and what stands behind it without the blanks between.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches(BLANK);
    let (word, rest) = text.split_once(BLANK).unwrap_or((text, ""));
    (word, rest.trim_start_matches(BLANK))
}

fn unescaped(text: &str) -> Result<String, Refusal> {
    let (mut plain, mut characters) = (String::new(), text.chars());
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.push(escape(characters.next(), &['\\'])?),
            other => plain.push(other),
        }
    }
    Ok(plain)
}

fn escape(escaped: Option<char>, plain: &[char]) -> Result<char, Refusal> {
    match escaped {
        Some('n') => Ok('\n'),
        Some(character) if plain.contains(&character) => Ok(character),
        _ => Err("invalid escape sequence".to_owned()),
    }
}

fn read_sample(pushed: &mut Pushed, line: &str) -> Result<(), Refusal> {
    let (name, rest) = name(line, true).ok_or("invalid metric name")?;
    let (labels, rest) = match rest.trim_start_matches(BLANK).strip_prefix('{') {
        Some(rest) => read_labels(pushed, name, rest)?,
        None => (Labels::new(), rest),
    };
    let rest = rest.trim_start_matches(BLANK);
    let (value, behind) = match rest.find(BLANK) {
        Some(end) => rest.split_at(end),
        None => (rest, ""),
    };
    let value = float(value).ok_or_else(|| format!("expected float as value, got {value:?}"))?;
    if !behind.is_empty() {
        let behind = behind.trim_start_matches(BLANK);
        let (time, spurious) = behind.split_at(behind.find(BLANK).unwrap_or(behind.len()));
        if time.parse::<i64>().is_err() {
            return Err(format!("expected integer as timestamp, got {time:?}"));
        }
        if !spurious.is_empty() {
            return Err(format!("spurious string after timestamp: {spurious:?}"));
        }
        pushed.has_timestamp();
    }
    let family: &mut Family = pushed.families.entry(name.to_owned()).or_default();
    family.points.push(Point { labels, value });
    Ok(())
}

/// A number that is too large is none, where Rust would read an infinity.
fn float(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    let says_so = text.to_lowercase().contains("inf");
    (value.is_finite() || value.is_nan() || says_so).then_some(value)
}

fn read_labels<'a>(
    pushed: &mut Pushed,
    metric: &str,
    mut rest: &'a str,
) -> Result<(Labels, &'a str), Refusal> {
    let mut labels = Labels::new();
    loop {
        rest = rest.trim_start_matches(BLANK);
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (label, after) =
            name(rest, false).ok_or_else(|| format!("invalid label name for metric {metric:?}"))?;
        let after = after.trim_start_matches(BLANK);
        let after = after.strip_prefix('=').ok_or("expected '=' after label name")?;
        let after = after.trim_start_matches(BLANK);
        let after = after.strip_prefix('"').ok_or("expected '\"' at start of label value")?;
        let (mut value, mut characters) = (String::new(), after.chars());
        loop {
            match characters.next().ok_or("label value contains unescaped new-line")? {
                '"' => break,
                '\\' => value.push(escape(characters.next(), &['\\', '"'])?),
                other => value.push(other),
            }
        }
        if label == "__name__" {
            return Err("label name \"__name__\" is reserved".to_owned());
        }
        if label.starts_with("__") {
            pushed.has_flaw(format!("collected metric {metric:?} has a label with an invalid name: {label}"));
        }
        if labels.insert(label.to_owned(), value).is_some() {
            return Err(format!("duplicate label names for metric {metric:?}"));
        }
        rest = characters.as_str().trim_start_matches(BLANK);
        if !rest.starts_with('}') {
            rest = rest.strip_prefix(',').ok_or("unexpected end of label value")?;
        }
    }
}

/// The name that a text begins with, and the rest.
fn name(text: &str, colons: bool) -> Option<(&str, &str)> {
    let allowed = |character: char| is_in_names(character, colons);
    let (name, rest) = text.split_at(text.find(|character| !allowed(character)).unwrap_or(text.len()));
    is_name(name, colons).then_some((name, rest))
}

/// Whether a name is one of the classic ones; only metrics may have colons.
pub(super) fn is_name(name: &str, colons: bool) -> bool {
    let starts_well = name.chars().next().is_some_and(|first| !first.is_ascii_digit());
    starts_well && name.chars().all(|character| is_in_names(character, colons))
}

fn is_in_names(character: char, colons: bool) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || (colons && character == ':')
}
