//! Pages, and all that is to be said of them. The real servers are asked about the same pages (`judge`), and the
//! fuzzer begins with them.

mod labels;
mod numbers;
mod open;
mod text;

use std::collections::BTreeSet;

use fleetpush::relay::parse::Format;

use super::told::told;

/// One page.
pub struct Page {
    pub format: Format,
    /// Its bytes; in them `{NOW}` and `{NOW_S}` stand for the present, in milliseconds and in seconds.
    bytes: &'static [u8],
    says: &'static [&'static str],
    /// What Prometheus 3 does otherwise.
    pub new: Other,
    /// Why Prometheus 2.42 takes something else from the page than we do.
    pub old: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    Nothing,
    /// It takes the page, which we refuse: what it does with it.
    Takes(&'static str),
    /// Other series.
    Series(&'static str),
}

/// A page in the text format.
const fn text(bytes: &'static [u8], says: &'static [&'static str]) -> Page {
    Page { format: Format::Text, bytes, says, new: Other::Nothing, old: None }
}

/// A page in OpenMetrics.
const fn open(bytes: &'static [u8], says: &'static [&'static str]) -> Page {
    Page { format: Format::OpenMetrics, bytes, says, new: Other::Nothing, old: None }
}

impl Page {
    const fn takes(self, what: &'static str) -> Self {
        Page { new: Other::Takes(what), ..self }
    }

    const fn otherwise(self, what: &'static str) -> Self {
        Page { new: Other::Series(what), ..self }
    }

    const fn old(self, what: &'static str) -> Self {
        Page { old: Some(what), ..self }
    }

    /// The page as it is served at a time.
    pub fn at(&self, now_ms: i64) -> Vec<u8> {
        let seconds = format!("{}.{:03}", now_ms / 1000, now_ms % 1000);
        replaced(&replaced(self.bytes, b"{NOW_S}", &seconds), b"{NOW}", &now_ms.to_string())
    }
}

fn replaced(text: &[u8], name: &[u8], with: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(name) {
            out.extend_from_slice(with.as_bytes());
            at += name.len();
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
    out
}

/// When the table's times are.
pub const NOW: i64 = 1_700_000_000_123;

pub fn pages() -> impl Iterator<Item = &'static Page> {
    [text::PAGES, numbers::PAGES, labels::PAGES, open::PAGES].into_iter().flatten()
}

#[test]
fn every_page_says_what_stands_in_the_table() {
    let mut wrong = Vec::new();
    for page in pages() {
        let bytes = page.at(NOW);
        let said = told(page.format, [&bytes[..]]);
        if said != page.says {
            let text = String::from_utf8_lossy(&bytes);
            wrong.push(format!("{text:?}\n  says {said:?}\n  not  {:?}", page.says));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(pages().count() > 400);
}

#[test]
fn no_page_stands_twice() {
    let mut seen = BTreeSet::new();
    for page in pages() {
        assert!(
            seen.insert((page.format == Format::Text, page.bytes)),
            "{:?}",
            String::from_utf8_lossy(page.bytes)
        );
    }
}

#[test]
fn a_page_that_comes_in_pieces_says_the_same_wherever_it_is_cut() {
    for page in pages() {
        let bytes = page.at(NOW);
        let one_by_one = bytes.chunks(1);
        assert_eq!(told(page.format, one_by_one), page.says, "{:?}", String::from_utf8_lossy(&bytes));
        for at in 0..=bytes.len() {
            let (first, second) = bytes.split_at(at);
            let said = told(page.format, [first, second, &[]]);
            assert_eq!(
                said,
                page.says,
                "{:?} and {:?}",
                String::from_utf8_lossy(first),
                String::from_utf8_lossy(second)
            );
        }
    }
}

#[test]
fn every_refusal_is_a_short_line_in_our_words() {
    let refusals: Vec<_> = pages().filter_map(|page| page.says.last()?.strip_prefix("! ")).collect();
    assert!(refusals.len() > 150, "{}", refusals.len());
    for said in refusals {
        let what = said.splitn(3, ' ').last().unwrap_or_default();
        assert!(said.starts_with("line ") && said.len() < 220 && !said.ends_with('.'), "{said}");
        assert!(
            !what.contains('\n') && what.chars().next().is_some_and(|first| !first.is_uppercase()),
            "{said}"
        );
    }
}
