//! Work and memory, counted: no page makes a parser look at a byte more than a few times, or keep more than a line.

use std::cell::Cell;

use super::*;

thread_local! {
    /// How many bytes were looked at (see [`looked`]).
    pub(super) static LOOKED: Cell<usize> = const { Cell::new(0) };
}

/// What a page costs.
#[derive(Debug)]
struct Cost {
    looked: usize,
    kept: usize,
}

/// Reads a page in pieces of this size, and takes every series apart.
fn cost(format: Format, page: &str, piece: usize) -> Cost {
    let mut take = |event: Event<'_>| -> Result<(), ParseError> {
        if let Event::Sample(sample) = event {
            sample.identity()?;
        }
        Ok(())
    };
    LOOKED.set(0);
    let mut parser = Parser::new(format);
    let mut kept = 0;
    for piece in page.as_bytes().chunks(piece) {
        // An error ends a page, and costs what it costs.
        if parser.feed(piece, &mut take).is_err() {
            return Cost { looked: LOOKED.get(), kept };
        }
        kept = kept.max(parser.rest.capacity());
    }
    let _refused = parser.finish(&mut take).is_err();
    Cost { looked: LOOKED.get(), kept }
}

/// Pages of about so many bytes that are made to be looked at again and again.
fn nasty(bytes: usize) -> Vec<String> {
    let times = |text: &str| text.repeat(bytes / text.len());
    vec![
        times("m{a=\"b\",c=\"d\"} 1\n"),
        times("m 1\n"),
        times("\n"),
        times("{\"m\"} 1 5\n"),
        format!("m{{a=\"{}\"}} 1\n", times("x")),
        format!("m{{a=\"{}\"}} 1\n", times("\n")),
        format!("m{{a=\"{}\"}} 1\n", times("\\\\")),
        format!("m{{a=\"{}\"}} 1\n", times("\\n\n")),
        format!("m{{{}}} 1\n", times("a=\"\n\",")),
        format!("m{{{}}} 1\n", (0..bytes / 10).map(|n| format!("l{n}=\"\n\",")).collect::<String>()),
        format!("m{{{}", times("a=\"")),
        format!("m{{a=\"{}", times("} 1\n")),
        format!("{}{{a=\"{}\"}} 1\n", times("m"), times("\n")),
        format!("{} 1\n", times("m")),
        format!("m{}1\n", times(" ")),
        format!("m {}\n", times("1")),
        format!("m 1 {}\n", times("0")),
        format!("m{{}}{}", times("}")),
        times("{"),
        times("\""),
        times("#"),
        format!("# HELP m {}\n", times("\\")),
        format!("# HELP \"{}\" x\n", times("\n")),
        format!("# HELP \"{}\" x\n", times("\\\\\n")),
        times("# HELP m x\n# TYPE m histogram\nm_bucket{le=\"1\"} 1\n"),
        format!("m 1 # {{{}}} 1\n# EOF\n", times("a=\"b\",")),
        format!("m 1{}", times(" # {a=\"b\"} 1")),
        times("m{a=\"#\"} 1\n"),
        times("m{a=\"b} 1\n"),
    ]
}

#[test]
fn every_byte_of_a_page_is_looked_at_a_few_times_at_most_however_it_comes() {
    for (place, page) in nasty(20_000).into_iter().enumerate() {
        for format in [Format::Text, Format::OpenMetrics] {
            for piece in [usize::MAX, 4_096, 7, 1] {
                let cost = cost(format, &page, piece);
                let most = 10 * page.len() + 100;
                assert!(cost.looked <= most, "page {place}, {format:?}, {piece}: {cost:?} of {}", page.len());
            }
        }
    }
}

#[test]
fn most_pages_are_looked_at_so_that_the_count_means_something() {
    let looked =
        nasty(20_000).into_iter().filter(|page| cost(Format::Text, page, 4_096).looked >= page.len());
    assert!(looked.count() > 20);
}

#[test]
fn a_parser_keeps_an_unfinished_line_and_no_more() {
    for page in nasty(20_000) {
        for piece in [4_096, 7] {
            let cost = cost(Format::Text, &page, piece);
            // A text over many lines is one line here.
            assert!(cost.kept <= 2 * page.len(), "{cost:?} of {}", page.len());
        }
    }
    let page = "m{a=\"b\",c=\"d\"} 1\n".repeat(20_000);
    assert!(cost(Format::Text, &page, 4_096).kept < 64);
    let endless = "m".repeat(3 * LONGEST_LINE);
    assert!(cost(Format::Text, &endless, 4_096).kept <= 2 * LONGEST_LINE);
}

#[test]
fn a_nan_is_prometheus_own_and_no_text_reads_as_a_stale_marker() {
    for text in ["NaN", "nan", "NAN"] {
        let value = number::value(text.as_bytes()).unwrap();
        assert_eq!(value.bits(), 0x7ff8_0000_0000_0001);
        assert!(!value.is_stale());
    }
}
