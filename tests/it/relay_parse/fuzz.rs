//! Pages that nobody would write: those of the table, cut up, glued together and spoilt, and heaps of the words that
//! pages are made of. `make soak` tries ten million of them (`PARSE_INPUTS`).

use std::collections::HashSet;

use bolero::TypeGenerator;
use fleetpush::relay::parse::{Event, Format, ParseError, Parser};

use super::table::{NOW, pages};
use super::told::{Said, read};
use super::written::{self, Style};
use crate::storm::report;

/// What pages are made of.
const WORDS: &[&str] = &[
    "m",
    "a_total",
    "le",
    "quantile",
    "__name__",
    "é",
    "日本",
    "\u{feff}",
    "\0",
    "{",
    "}",
    "\"",
    "\\",
    "\\\\",
    "\\n",
    "\\\"",
    "=",
    ",",
    " ",
    "\t",
    "\n",
    "\r",
    "#",
    "# ",
    "# HELP ",
    "# TYPE ",
    "# UNIT ",
    "# EOF",
    "# EOF\n",
    "gauge",
    "histogram\n",
    "summary\n",
    "counter\n",
    "info\n",
    "1",
    "-1",
    "1e6",
    "1e400",
    "NaN",
    "+Inf",
    "0x1p4",
    "1_0",
    " 1700000000123",
    " # {a=\"b\"} 1",
    "m 1\n",
    "m{a=\"b\"} 1\n",
    "{\"m\"} 1\n",
    "a=\"b\"",
    "\"a b\"=\"c\"",
    "\"\"",
];

/// A change of a page.
#[derive(Debug, Clone, Copy, TypeGenerator)]
enum Edit {
    Byte(u16, u8),
    Word(u16, u8),
    Cut(u16, u8),
    Twice(u16, u8),
    Of(u16, u16, u8),
    End(u16),
}

/// A page and how it comes.
#[derive(Debug, TypeGenerator)]
struct Input {
    open_metrics: bool,
    seed: Option<u16>,
    more: Option<u16>,
    words: Vec<u8>,
    changes: u8,
    edits: Vec<Edit>,
    cuts: Vec<u16>,
}

impl Input {
    fn page(&self, seeds: &[(Format, Vec<u8>)]) -> (Format, Vec<u8>) {
        let seed = |which: u16| &seeds[usize::from(which) % seeds.len()];
        let format = if self.open_metrics { Format::OpenMetrics } else { Format::Text };
        let (format, mut page) = self.seed.map_or((format, Vec::new()), |which| seed(which).clone());
        if self.seed.is_none() {
            let words = self.words.iter().map(|word| WORDS[usize::from(*word) % WORDS.len()].as_bytes());
            page = words.collect::<Vec<_>>().concat();
        }
        if let Some((other, more)) = self.more.map(seed)
            && *other == format
        {
            page.extend_from_slice(more);
        }
        // Of pages with many changes hardly one is good.
        for edit in self.edits.iter().take(usize::from(self.changes % 4)) {
            let at = |place: u16| usize::from(place) % (page.len() + 1);
            let part = |page: &[u8], at: usize, length: u8| {
                page[at..page.len().min(at + usize::from(length))].to_vec()
            };
            let (at, removed, added) = match *edit {
                Edit::Byte(place, byte) => (at(place), 0, vec![byte]),
                Edit::Word(place, word) => {
                    (at(place), 0, WORDS[usize::from(word) % WORDS.len()].as_bytes().to_vec())
                }
                Edit::Cut(place, length) => (at(place), usize::from(length % 8), Vec::new()),
                Edit::Twice(place, length) => (at(place), 0, part(&page, at(place), length)),
                Edit::Of(place, which, length) => {
                    let other = &seed(which).1;
                    (at(place), 0, part(other, usize::from(place) % (other.len() + 1), length))
                }
                Edit::End(place) => (at(place), usize::MAX, Vec::new()),
            };
            let end = at.saturating_add(removed).min(page.len());
            page.splice(at..end, added);
        }
        (format, page)
    }

    fn pieces<'a>(&self, page: &'a [u8]) -> Vec<&'a [u8]> {
        let mut places: Vec<_> = self.cuts.iter().map(|cut| usize::from(*cut) % (page.len() + 1)).collect();
        places.extend([0, page.len()]);
        places.sort_unstable();
        places.windows(2).map(|pair| &page[pair[0]..pair[1]]).collect()
    }
}

#[test]
fn no_page_makes_the_parser_panic_or_lose_a_line_however_it_is_cut() {
    let seeds: Vec<_> = pages().map(|page| (page.format, page.at(NOW))).collect();
    let inputs = usize::try_from(report::setting("PARSE_INPUTS", 15_000)).unwrap();
    let (mut taken, mut refused, mut texts, mut tried) = (0_usize, 0_usize, HashSet::new(), 0_usize);
    bolero::check!().with_type::<Input>().with_iterations(inputs).for_each(|input| {
        let (format, page) = input.page(&seeds);
        let (said, error) = read(format, [&page[..]]);
        assert_eq!(read(format, input.pieces(&page)), (said.clone(), error.clone()), "in pieces");
        assert_eq!(hold(format, &page), error.clone().map_or(Ok(()), Err));
        match error {
            None => {
                taken += usize::from(said.len() > 1);
                if said.iter().all(has_near_times) {
                    assert_eq!(written_again(format, &said), (said, None), "written again");
                }
            }
            Some(error) => {
                refused += 1;
                bounded(&error, &page);
                if texts.len() < 10_000 {
                    texts.insert(error.what);
                }
            }
        }
        tried += 1;
    });
    // Both ways must be walked, and to many ends.
    assert!(tried >= inputs, "{tried}");
    assert!(taken > inputs / 100 && refused > inputs / 10, "{taken} taken, {refused} refused");
    assert!(texts.len() > 200, "only {} refusals differ", texts.len());
    report::section(
        "Pages that nobody would write",
        &[format!(
            "{tried} pages and how they may be cut: no panic, no line lost, the same said in pieces. {taken} were taken \
             with more than one thing said, {refused} refused."
        )],
    );
}

/// Reads a page and holds what is said of it against its lines.
fn hold(format: Format, page: &[u8]) -> Result<(), ParseError> {
    let (mut samples, mut others, mut spread, mut bytes) = (0_usize, 0_usize, false, 0_usize);
    let mut take = |event: Event<'_>| -> Result<(), ParseError> {
        match event {
            Event::Sample(sample) => {
                samples += 1;
                bytes += sample.text().len();
                spread |= sample.text().contains('\n');
                let identity = sample.identity()?;
                assert!(!identity.name.is_empty());
                let names: HashSet<_> = identity.labels.iter().map(|(name, _)| name).collect();
                assert_eq!(names.len(), identity.labels.len(), "no label twice");
                assert!(identity.labels.iter().all(|(name, value)| !name.is_empty() && !value.is_empty()));
                assert!(sample.value.get().is_finite() || !sample.value.is_stale());
            }
            Event::Help { name, help } => {
                others += 1;
                bytes += help.len();
                spread |= name.contains('\n');
            }
            Event::Type { name, .. } => {
                others += 1;
                spread |= name.contains('\n');
            }
            Event::Unit { name, unit } => {
                others += 1;
                spread |= name.contains('\n');
                bytes += unit.len();
            }
        }
        Ok(())
    };
    let mut parser = Parser::new(format);
    parser.feed(page, &mut take)?;
    parser.finish(&mut take)?;
    assert!(bytes <= page.len(), "more is said than the page holds");
    // Every line that is no comment says something. (A text over several lines would need a parser to be counted.)
    if !spread {
        let lines = page.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_start);
        let (hashes, plain): (Vec<_>, Vec<_>) =
            lines.filter(|line| !line.is_empty()).partition(|line| line.starts_with(b"#"));
        assert_eq!(plain.len(), samples, "a line without a sample: {:?}", String::from_utf8_lossy(page));
        assert!(others <= hashes.len());
        if format == Format::OpenMetrics && !page.is_empty() {
            assert_eq!(hashes.len(), others + 1, "a line with # that says nothing");
        }
    }
    Ok(())
}

fn bounded(error: &ParseError, page: &[u8]) {
    let lines = page.iter().filter(|byte| **byte == b'\n').count() + 1;
    assert!((1..=lines).contains(&error.line), "{error} of {lines} lines");
    let line = page.split(|byte| *byte == b'\n').nth(error.line - 1).unwrap();
    let length = String::from_utf8_lossy(line).chars().count();
    assert!((1..=length + 1).contains(&error.column), "{error} of {length} characters");
    assert!(error.what.chars().count() < 350 && !error.what.contains('\n'), "{error}");
}

/// Whether a time in seconds holds these milliseconds.
fn has_near_times(said: &Said) -> bool {
    let Said::Sample(sample) = said else { return true };
    let exemplar = sample.exemplar.as_ref().and_then(|(.., at)| *at);
    sample.at.into_iter().chain(exemplar).all(|at| at.0.unsigned_abs() < 1 << 42)
}

/// Writes what was said as a page of its own, and reads that.
fn written_again(format: Format, said: &[Said]) -> (Vec<Said>, Option<ParseError>) {
    let page = written::page(format, said, &mut Style::new(&[]));
    read(format, [page.as_bytes()])
}
