//! What the parser says of a page, in lines that a table can hold.

use std::fmt::Write;

use fleetpush::relay::parse::{Event, Format, ParseError, Parser};

/// All that is said of a page that comes in these pieces; a page that is refused ends in a line with `!`.
pub fn told<'a>(format: Format, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut said = Vec::new();
    if let Err(error) = read(format, pieces, &mut |line| said.push(line)) {
        said.push(format!("! {error}"));
    }
    said
}

fn read<'a>(
    format: Format,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    say: &mut impl FnMut(String),
) -> Result<(), ParseError> {
    let mut take = |event: Event<'_>| -> Result<(), ParseError> {
        say(line(&event)?);
        Ok(())
    };
    let mut parser = Parser::new(format);
    for piece in pieces {
        parser.feed(piece, &mut take)?;
    }
    parser.finish(&mut take)
}

fn line(event: &Event<'_>) -> Result<String, ParseError> {
    let sample = match event {
        Event::Help { name, help } => return Ok(format!("help {} {help:?}", plain(name))),
        Event::Type { name, kind } => return Ok(format!("type {} {kind:?}", plain(name))),
        Event::Unit { name, unit } => return Ok(format!("unit {} {unit:?}", plain(name))),
        Event::Sample(sample) => sample,
    };
    let identity = sample.identity()?;
    let mut said = format!("{}{} {}", plain(&identity.name), set(&identity.labels), sample.value.get());
    if let Some(at) = sample.at {
        write!(said, " @{}", at.0).unwrap();
    }
    if let Some(exemplar) = &sample.exemplar {
        write!(said, " # {} {}", set(&exemplar.labels), exemplar.value.get()).unwrap();
        if let Some(at) = exemplar.at {
            write!(said, " @{}", at.0).unwrap();
        }
    }
    Ok(said)
}

fn set<A: AsRef<str>, B: AsRef<str>>(labels: &[(A, B)]) -> String {
    let pairs = labels.iter().map(|(name, value)| format!("{}={:?}", plain(name.as_ref()), value.as_ref()));
    if labels.is_empty() { String::new() } else { format!("{{{}}}", pairs.collect::<Vec<_>>().join(",")) }
}

/// A name as it is, where it is one of the old kind, else in quotes.
fn plain(name: &str) -> String {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte));
    if is_plain && !name.is_empty() { name.to_owned() } else { format!("{name:?}") }
}
