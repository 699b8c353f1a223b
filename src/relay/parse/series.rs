//! Lines with a sample: name and labels, value, time, exemplar. In: such a line. Out: a [`Sample`], whose name and
//! labels are only taken apart when somebody asks, since most were seen in the scrape before.

use std::borrow::Cow;

use memchr::{memchr2, memrchr};

use super::behind::{Exemplar, after, exemplar};
use super::labels::{self, List, Owner};
use super::{Event, Fault, Format, ParseError, looked, number};
use crate::sample::{Kind, Millis, Value};

/// A sample as it stands on the page.
#[derive(Debug)]
pub struct Sample<'a> {
    /// Its value.
    pub value: Value,
    /// Its own time, where the page says one.
    pub at: Option<Millis>,
    /// An observation, where the page says one (OpenMetrics alone).
    pub exemplar: Option<Exemplar<'a>>,
    text: &'a str,
    /// The name's length where it stands before the braces, else 0; none where nobody has looked ([`quick`]).
    name: Option<usize>,
    line: &'a str,
    /// Where the text begins in the line.
    start: usize,
    number: usize,
    format: Format,
    kind: Kind,
}

/// Which series a sample is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The metric's name, never empty.
    pub name: Cow<'a, str>,
    /// The labels in the page's order: no name twice or empty, no empty value. `le` and `quantile` are spelled as
    /// Prometheus 3 does by the type that stands above them.
    pub labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Labels that stand there with an empty value: with `honor_labels` they keep the target's away.
    pub empty: Vec<Cow<'a, str>>,
}

impl<'a> Sample<'a> {
    /// Name and labels just as they stand on the page: the same text is the same series.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Takes name and labels apart, which is what checks them: a page is only good if this was asked of each text.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn identity(&self) -> Result<Identity<'a>, ParseError> {
        let fault = |fault: Fault| fault.on(self.number, self.line.as_bytes());
        let (line, end) = (self.line.as_bytes(), self.start + self.text.len());
        let name = self.name.unwrap_or_else(|| name_length(line));
        let list = list(self.format, self.line, self.start, name, self.text.len());
        let is_so = list.as_ref().is_ok_and(|list| list.end == end);
        if self.name.is_none() && !is_so {
            // It is not what it looked like: the whole line is to say what is wrong first.
            read(self.format, line, self.start).map_err(fault)?;
        }
        let mut list = list.map_err(fault)?;
        let spelled = match self.kind {
            Kind::Histogram => "le",
            Kind::Summary => "quantile",
            _ => "",
        };
        for (_, value) in list.pairs.iter_mut().filter(|(name, _)| name == spelled) {
            if let Some(canonical) = number::canonical(value).filter(|canonical| canonical != value) {
                *value = Cow::Owned(canonical);
            }
        }
        let name = list.name.unwrap_or_else(|| Cow::Borrowed(self.text.get(..name).unwrap_or_default()));
        Ok(Identity { name, labels: list.pairs, empty: list.empty })
    }
}

/// What a line says.
pub(super) enum Found<'a> {
    Nothing,
    /// `# EOF`
    End,
    /// A quoted text is open where the line ends.
    Open(Place),
    Meta(Event<'a>),
    Sample(Read<'a>),
}

/// Where to go on in a line whose quoted text goes over its end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// In the name of help or type; `hash` is where the line's `#` stands.
    Meta { hash: usize, quote: usize, at: usize },
    /// In the labels of a series that begins at `start` and has a name of this length.
    Series { start: usize, name: usize, quote: usize, at: usize },
}

impl Place {
    pub(super) fn quote(self) -> usize {
        match self {
            Place::Meta { quote, .. } | Place::Series { quote, .. } => quote,
        }
    }
}

/// A line that was read; on which line of the page it stands is still to be told.
pub(super) struct Read<'a>(Sample<'a>);

impl<'a> Read<'a> {
    pub(super) fn on(self, number: usize, kind: Kind) -> Sample<'a> {
        Sample { number, kind, ..self.0 }
    }
}

/// Whether a metric's name may begin with this byte.
pub(super) fn begins_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b':'
}

/// Whether a byte may stand within a metric's name.
const IN_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let letter = byte as u8;
        table[byte] = letter.is_ascii_alphanumeric() || letter == b'_' || letter == b':';
        byte += 1;
    }
    table
};

/// How many bytes of a name stand first.
fn name_length(rest: &[u8]) -> usize {
    rest.iter().position(|byte| !IN_NAME[usize::from(*byte)]).unwrap_or(rest.len())
}

/// Whether as many quotes open as close, with no escape among them and no `#`. Sixteen bytes at a time, in a form
/// that the compiler makes vectors of.
fn is_plainly_quoted(labels: &[u8]) -> bool {
    const WIDTH: usize = 16;
    let (mut quotes, mut special) = ([0_u8; WIDTH], [0_u8; WIDTH]);
    let (blocks, rest) = labels.as_chunks::<WIDTH>();
    let mut last = [0_u8; WIDTH];
    last.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte);
    for block in blocks.iter().chain([&last]) {
        for place in 0..WIDTH {
            quotes[place] ^= u8::from(block[place] == b'"');
            special[place] |= u8::from(block[place] == b'\\') | u8::from(block[place] == b'#');
        }
    }
    quotes.iter().fold(0, |all, one| all ^ one) == 0 && special == [0; WIDTH]
}

/// Reads a line that looks as nearly all lines do: a bare name, labels in braces without an escape, a number. What
/// stands before the last brace is not checked but for its quotes, so that they end: [`Sample::identity`] does it.
#[inline]
pub(super) fn quick(format: Format, line: &[u8], number: usize, kind: Kind) -> Option<Sample<'_>> {
    if !begins_name(*line.first()?) {
        return None;
    }
    let end = memrchr(b'}', line)? + 1;
    let labels = line.get(..end)?;
    // An escape may hide a quote, and behind `#` an exemplar may stand.
    if !is_plainly_quoted(labels) {
        return None;
    }
    looked(line.len());
    let (value, at, _) = after(format, line, end).ok()?;
    let line = str::from_utf8(line).ok()?;
    let text = line.get(..end)?;
    Some(Sample { value, at, exemplar: None, text, name: None, line, start: 0, number, format, kind })
}

/// Reads the sample that begins at `start`.
pub(super) fn read(format: Format, line: &[u8], start: usize) -> Result<Found<'_>, Fault> {
    let rest = line.get(start..).unwrap_or_default();
    let name = match rest.first() {
        Some(b'{') => 0,
        Some(byte) if begins_name(*byte) => name_length(rest),
        _ => return Err(Fault::expected(first_wanted(format), line, start)),
    };
    let mut end = start + name;
    looked(name);
    if format == Format::Text && name > 0 {
        let blanks =
            line.get(end..).unwrap_or_default().iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
        let brace = end + blanks.count();
        if line.get(brace) == Some(&b'{') {
            return labelled(format, line, start, name, Scan { quote: None, at: brace + 1 });
        }
    } else if line.get(end) == Some(&b'{') {
        end += 1;
        return labelled(format, line, start, name, Scan { quote: None, at: end });
    }
    rest_of(format, line, start, name, end)
}

fn first_wanted(format: Format) -> &'static str {
    match format {
        Format::Text => "a metric's name, {, # or an empty line",
        Format::OpenMetrics => "a metric's name, { or #",
    }
}

/// Reads on in a line whose quoted text went over the line's end.
pub(super) fn go_on(format: Format, line: &[u8], place: Place) -> Result<Found<'_>, Fault> {
    match place {
        Place::Series { start, name, quote, at } => {
            labelled(format, line, start, name, Scan { quote: Some(quote), at })
        }
        Place::Meta { .. } => read(format, line, 0),
    }
}

/// How far the labels were looked through for their end.
struct Scan {
    /// Where the quoted text began that this is in.
    quote: Option<usize>,
    at: usize,
}

/// Looks for the end of the labels, past quoted texts, and reads what stands behind it.
fn labelled(format: Format, line: &[u8], start: usize, name: usize, scan: Scan) -> Result<Found<'_>, Fault> {
    let Scan { mut quote, mut at } = scan;
    let from = at;
    loop {
        let other = if quote.is_some() { b'\\' } else { b'}' };
        let Some(next) = line.get(at..).and_then(|rest| memchr2(b'"', other, rest)) else {
            break;
        };
        at += next + 1;
        match (line[at - 1], quote) {
            (b'"', None) => quote = Some(at - 1),
            (b'"', Some(_)) => quote = None,
            (_, Some(_)) => at += 1,
            (_, None) => {
                looked(at - from);
                return rest_of(format, line, start, name, at);
            }
        }
    }
    looked(line.len().saturating_sub(from));
    // A line break may stand in a quoted text, but not behind a backslash.
    if let Some(quote) = quote
        && at <= line.len()
    {
        return Ok(Found::Open(Place::Series { start, name, quote, at: line.len() + 1 }));
    }
    let wanted = Fault::expected("} after the labels", line, line.len());
    Err(utf8(line).and_then(|text| list(format, text, start, name, usize::MAX)).err().unwrap_or(wanted))
}

fn utf8(line: &[u8]) -> Result<&str, Fault> {
    str::from_utf8(line).map_err(|bad| Fault::new(bad.valid_up_to(), "the line is not UTF-8"))
}

/// Name and labels that begin at `start`, `length` bytes long.
fn list(format: Format, line: &str, start: usize, name: usize, length: usize) -> Result<List<'_>, Fault> {
    if length == name {
        return Ok(List { name: None, pairs: Vec::new(), empty: Vec::new(), end: start + name });
    }
    let after = line.as_bytes().get(start + name..).unwrap_or_default();
    // OpenMetrics takes no blank between them.
    let is_gap = |byte: &u8| format == Format::Text && matches!(byte, b' ' | b'\t');
    let gap = after.iter().take_while(|byte| is_gap(byte)).count();
    let brace = start + name + gap;
    if line.as_bytes().get(brace) != Some(&b'{') {
        return Err(Fault::expected("{", line.as_bytes(), brace));
    }
    let owner = if name > 0 { Owner::Named } else { Owner::Nameless };
    labels::read(format, owner, line, brace)
}

/// Reads value, time and exemplar, which stand behind `end`.
fn rest_of(format: Format, line: &[u8], start: usize, name: usize, end: usize) -> Result<Found<'_>, Fault> {
    let text = utf8(line)?;
    looked(line.len());
    let after = after(format, line, end).and_then(|(value, at, exemplar_at)| {
        let exemplar = exemplar_at.map(|brace| exemplar(text, brace)).transpose()?;
        Ok((value, at, exemplar))
    });
    match after {
        Ok((value, at, exemplar)) => Ok(Found::Sample(Read(Sample {
            value,
            at,
            exemplar,
            text: text.get(start..end).unwrap_or_default(),
            name: Some(name),
            line: text,
            start,
            number: 0,
            format,
            kind: Kind::Unknown,
        }))),
        // Where the labels are wrong as well, that comes first.
        Err(fault) => Err(list(format, text, start, name, end - start).err().unwrap_or(fault)),
    }
}
