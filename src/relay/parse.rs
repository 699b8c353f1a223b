//! Exposition pages, read strictly and as they come. In: the bytes of a page, cut anywhere. Out: its help, types,
//! units and samples, in the page's order, or the place of the first mistake. Never: I/O, a clock, a line that is
//! left out.
//!
//! What Prometheus 3 takes is taken, what it refuses is refused, and series, values and times are its own
//! (`tests/it/relay_parse` asks it). Where we are stricter it reads something that the page does not say:
//! - a NUL byte at the beginning of a line, in a comment without a blank, or after `# EOF`: Prometheus leaves out the
//!   rest of the page;
//! - one label twice, of which one is empty: Prometheus leaves out both;
//! - `{name}` without quotes: Prometheus cuts off the first and the last character;
//! - units, and the names of units, types and labels of exemplars, that are no UTF-8;
//! - a line of over [`LONGEST_LINE`] bytes, which would have to be kept.
//!
//! Three things are read otherwise: a name begins behind the blanks before it (Prometheus 3.5 makes them a part of the
//! name); escapes in an exemplar's labels are undone (it keeps them); `le` and `quantile` are spelled anew where they
//! are numbers of a page, not of Go (`1_0`, `0x1p4`). A page that ends in the middle of a line is read to its end.
//!
//! A quoted text may hold line breaks, as there: what is kept of a page is its one unfinished line. Time is linear in
//! the page, and a text is copied only where it holds an escape or was cut.

mod behind;
mod fault;
mod format;
mod labels;
mod meta;
mod number;
mod series;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use memchr::memchr;

pub use behind::Exemplar;
pub use fault::ParseError;
pub use format::{Format, UnknownFormat};
pub use series::{Identity, Sample};

use crate::sample::Kind;
use fault::Fault;
use series::{Found, Place};

/// How long a line may be, in bytes: what a parser keeps at most. Real ones are a thousand times shorter.
pub const LONGEST_LINE: usize = 1 << 20;

/// What a page says, piece by piece.
#[derive(Debug)]
pub enum Event<'a> {
    /// What a metric means.
    Help {
        /// The metric.
        name: Cow<'a, str>,
        /// What it means.
        help: Cow<'a, str>,
    },
    /// What type a metric has.
    Type {
        /// The metric.
        name: Cow<'a, str>,
        /// Its type.
        kind: Kind,
    },
    /// What a metric is measured in (OpenMetrics alone).
    Unit {
        /// The metric.
        name: Cow<'a, str>,
        /// Its unit, which its name ends in; may be empty.
        unit: &'a str,
    },
    /// A sample.
    Sample(Sample<'a>),
}

/// Reads one page. After an error it is of no more use.
#[derive(Debug)]
pub struct Parser {
    format: Format,
    /// The type that was told last, by which Prometheus 3 spells `le` and `quantile`.
    kind: Kind,
    /// An unfinished line.
    rest: Vec<u8>,
    /// Where in it to go on, if a quoted text is open at its end.
    open: Option<Place>,
    /// The number of the line that comes next, or is unfinished.
    line: usize,
    /// `# EOF` was there.
    ended: bool,
}

/// What became of a line.
enum Line {
    Read,
    /// It goes on after the line break, inside a quoted text.
    Open(Place),
}

impl Parser {
    /// For one page.
    pub fn new(format: Format) -> Self {
        Parser { format, kind: Kind::Unknown, rest: Vec::new(), open: None, line: 1, ended: false }
    }

    /// Reads on; `take` is given what the page says.
    ///
    /// # Errors
    /// What is wrong with the page, or what `take` has against it.
    pub fn feed<E: From<ParseError>>(
        &mut self,
        piece: &[u8],
        take: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut piece = piece;
        while let Some(end) = memchr(b'\n', piece) {
            looked(end);
            let (line, more) =
                (piece.get(..end).unwrap_or_default(), piece.get(end + 1..).unwrap_or_default());
            if self.rest.is_empty() {
                if let Line::Open(place) = self.read(line, take)? {
                    self.keep(line)?;
                    self.go_on(place);
                }
            } else {
                self.keep(line)?;
                let mut rest = std::mem::take(&mut self.rest);
                match self.read(&rest, take)? {
                    Line::Read => {
                        rest.clear();
                        self.rest = rest;
                    }
                    Line::Open(place) => {
                        self.rest = rest;
                        self.go_on(place);
                    }
                }
            }
            piece = more;
        }
        looked(piece.len());
        Ok(self.keep(piece)?)
    }

    /// The page has ended.
    ///
    /// # Errors
    /// As [`Parser::feed`]; also where the page ends too early.
    pub fn finish<E: From<ParseError>>(
        mut self,
        take: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (rest, number) = (std::mem::take(&mut self.rest), self.line);
        // A page without a byte is one without a series, in either format.
        let is_empty = rest.is_empty() && number == 1;
        if !rest.is_empty()
            && let Line::Open(place) = self.read(&rest, take)?
        {
            return Err(Fault::new(place.quote(), fault::NOT_CLOSED).on(number, &rest).into());
        }
        if self.format == Format::Text || self.ended || is_empty {
            return Ok(());
        }
        Err(Fault::new(rest.len(), "the page ends here: expected # EOF").on(number, &rest).into())
    }

    /// Keeps a part of an unfinished line.
    fn keep(&mut self, part: &[u8]) -> Result<(), ParseError> {
        if self.rest.len() + part.len() > LONGEST_LINE {
            return Err(self.too_long());
        }
        looked(part.len());
        self.rest.extend_from_slice(part);
        Ok(())
    }

    fn too_long(&self) -> ParseError {
        let what = format!("the line is longer than {LONGEST_LINE} bytes");
        ParseError { line: self.line, column: 1, what }
    }

    fn go_on(&mut self, place: Place) {
        self.rest.push(b'\n');
        self.open = Some(place);
    }

    /// Reads a line without its line break, and counts it.
    fn read<E: From<ParseError>>(
        &mut self,
        line: &[u8],
        take: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<Line, E> {
        if line.len() > LONGEST_LINE {
            return Err(self.too_long().into());
        }
        let number = self.line;
        if !self.ended
            && self.open.is_none()
            && let Some(sample) = series::quick(self.format, line, number, self.kind)
        {
            self.line += 1;
            take(Event::Sample(sample))?;
            return Ok(Line::Read);
        }
        let goes_on = self.open.is_some();
        let event = match self.found(line).map_err(|fault| fault.on(number, line))? {
            Found::Open(place) => return Ok(Line::Open(place)),
            Found::Nothing => None,
            Found::End => {
                self.ended = true;
                None
            }
            Found::Meta(event) => {
                if let Event::Type { kind, .. } = event {
                    self.kind = kind;
                }
                Some(event)
            }
            Found::Sample(sample) => Some(Event::Sample(sample.on(number, self.kind))),
        };
        // Only a line that went on holds line breaks.
        self.line += if goes_on { 1 + breaks(line) } else { 1 };
        event.map_or(Ok(()), take)?;
        Ok(Line::Read)
    }

    fn found<'a>(&mut self, line: &'a [u8]) -> Result<Found<'a>, Fault> {
        if self.ended {
            return Err(Fault::expected("nothing after # EOF", line, 0));
        }
        if let Some(place) = self.open.take() {
            return match place {
                Place::Meta { .. } => meta::go_on(self.format, line, place),
                Place::Series { .. } => series::go_on(self.format, line, place),
            };
        }
        match line.first() {
            Some(b'#') => meta::read(self.format, line, 0),
            Some(b' ' | b'\t') if self.format == Format::Text => {
                let start = line.iter().position(|byte| !matches!(byte, b' ' | b'\t'));
                match start.and_then(|at| line.get(at).map(|byte| (at, byte))) {
                    None => Ok(Found::Nothing),
                    Some((at, b'#')) => meta::read(self.format, line, at),
                    Some((at, _)) => series::read(self.format, line, at),
                }
            }
            None if self.format == Format::Text => Ok(Found::Nothing),
            _ => series::read(self.format, line, 0),
        }
    }
}

/// How many line breaks stand within a line: none, unless a quoted text holds some.
fn breaks(line: &[u8]) -> usize {
    looked(line.len());
    memchr::memchr_iter(b'\n', line).count()
}

/// Counts the bytes that were looked at, so that a test can hold the time to be linear.
#[inline(always)]
fn looked(_bytes: usize) {
    #[cfg(test)]
    tests::LOOKED.with(|looked| looked.set(looked.get() + _bytes));
}
