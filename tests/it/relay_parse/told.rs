//! What the parser says of a page: as values of the tests' own, and in lines that a table can hold.

use std::fmt::{self, Display, Formatter};

use fleetpush::relay::parse::{Event, Format, ParseError, Parser};
use fleetpush::sample::{Kind, Millis, Value};

/// A label's name and value.
pub type Pair = (String, String);

#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    Help(String, String),
    Type(String, Kind),
    Unit(String, String),
    Sample(Sampled),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    pub name: String,
    pub labels: Vec<Pair>,
    pub value: Value,
    pub at: Option<Millis>,
    pub exemplar: Option<(Vec<Pair>, Value, Option<Millis>)>,
}

/// All that is said of a page that comes in these pieces; a page that is refused ends in a line with `!`.
pub fn told<'a>(format: Format, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let (said, error) = read(format, pieces);
    said.iter().map(Said::to_string).chain(error.map(|error| format!("! {error}"))).collect()
}

/// All that is said of a page that comes in these pieces, and why it is refused.
pub fn read<'a>(
    format: Format,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Said>, Option<ParseError>) {
    let mut said = Vec::new();
    let mut take = |event: Event<'_>| -> Result<(), ParseError> {
        said.push(owned(event)?);
        Ok(())
    };
    let mut parser = Parser::new(format);
    let fed = pieces.into_iter().try_for_each(|piece| parser.feed(piece, &mut take));
    let read = fed.and_then(|()| parser.finish(&mut take));
    (said, read.err())
}

fn owned(event: Event<'_>) -> Result<Said, ParseError> {
    Ok(match event {
        Event::Help { name, help } => Said::Help(name.into_owned(), help.into_owned()),
        Event::Type { name, kind } => Said::Type(name.into_owned(), kind),
        Event::Unit { name, unit } => Said::Unit(name.into_owned(), unit.to_owned()),
        Event::Sample(sample) => {
            let identity = sample.identity()?;
            let pairs = |labels: &[(_, _)]| labels.iter().map(pair).collect();
            let exemplar = sample.exemplar.as_ref();
            Said::Sample(Sampled {
                name: identity.name.into_owned(),
                labels: pairs(&identity.labels),
                value: sample.value,
                at: sample.at,
                exemplar: exemplar.map(|exemplar| (pairs(&exemplar.labels), exemplar.value, exemplar.at)),
            })
        }
    })
}

fn pair((name, value): &(impl AsRef<str>, impl AsRef<str>)) -> Pair {
    (name.as_ref().to_owned(), value.as_ref().to_owned())
}

impl Display for Said {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Said::Help(name, help) => write!(f, "help {} {help:?}", plain(name)),
            Said::Type(name, kind) => write!(f, "type {} {kind:?}", plain(name)),
            Said::Unit(name, unit) => write!(f, "unit {} {unit:?}", plain(name)),
            Said::Sample(Sampled { name, labels, value, at, exemplar }) => {
                write!(f, "{}{} {}", plain(name), set(labels), value.get())?;
                at.map_or(Ok(()), |at| write!(f, " @{}", at.0))?;
                let Some((labels, value, at)) = exemplar else { return Ok(()) };
                write!(f, " # {} {}", set(labels), value.get())?;
                at.map_or(Ok(()), |at| write!(f, " @{}", at.0))
            }
        }
    }
}

fn set(labels: &[Pair]) -> String {
    let pairs = labels.iter().map(|(name, value)| format!("{}={value:?}", plain(name)));
    if labels.is_empty() { String::new() } else { format!("{{{}}}", pairs.collect::<Vec<_>>().join(",")) }
}

/// A name as it is, where it is one of the old kind, else in quotes.
fn plain(name: &str) -> String {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte));
    if is_plain && !name.is_empty() { name.to_owned() } else { format!("{name:?}") }
}
