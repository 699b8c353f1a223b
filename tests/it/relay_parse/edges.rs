//! What a table of pages cannot show: which bytes are a series' text, what is copied, how long a line may be, whose
//! errors come out, and which format a Content-Type names.

use std::borrow::Cow;

use fleetpush::relay::parse::{Event, Format, LONGEST_LINE, ParseError, Parser, UnknownFormat};
use rstest::rstest;

use super::told::told;

#[rstest]
#[case::a_name("m 1", "m")]
#[case::no_blank("m+1", "m")]
#[case::empty_braces("m{} 1", "m{}")]
#[case::labels(r#"m{a="b"} 1"#, r#"m{a="b"}"#)]
#[case::no_blank_behind_the_braces(r#"m{a="b"}1"#, r#"m{a="b"}"#)]
#[case::blanks_around("  m \t{ a = \"b\" , }  1 5", "m \t{ a = \"b\" , }")]
#[case::a_brace_in_a_value(r#"m{a="}",b="x} 1"} 1"#, r#"m{a="}",b="x} 1"}"#)]
#[case::a_quote_in_a_value(r#"m{a="\"}"} 1"#, r#"m{a="\"}"}"#)]
#[case::a_backslash_at_the_end(r#"m{a="\\"} 1"#, r#"m{a="\\"}"#)]
#[case::a_quoted_name(r#"{"a b",c="d"} 1"#, r#"{"a b",c="d"}"#)]
#[case::a_line_break("m{a=\"b\nc\"} 1", "m{a=\"b\nc\"}")]
fn the_text_of_a_series_goes_from_its_name_to_its_last_brace(#[case] page: &str, #[case] expected: &str) {
    let mut texts = Vec::new();
    let mut take = |event: Event<'_>| -> Result<(), ParseError> {
        if let Event::Sample(sample) = event {
            texts.push(sample.text().to_owned());
        }
        Ok(())
    };
    let mut parser = Parser::new(Format::Text);
    parser.feed(page.as_bytes(), &mut take).unwrap();
    parser.finish(&mut take).unwrap();
    assert_eq!(texts, [expected]);
}

#[test]
fn a_text_is_copied_only_where_an_escape_stands_in_it() {
    let page = "# HELP m plain\n# HELP m \\\\\n{\"a b\",c=\"plain é\",d=\"\\n\",\"e f\"=\"g\"} 1\n";
    let mut told = Vec::new();
    let mut take = |event: Event<'_>| -> Result<(), ParseError> {
        let is_borrowed = |text: &Cow<'_, str>| matches!(text, Cow::Borrowed(_));
        match event {
            Event::Help { name, help } => told.push((is_borrowed(&name), is_borrowed(&help))),
            Event::Sample(sample) => {
                let identity = sample.identity()?;
                told.push((true, is_borrowed(&identity.name)));
                let labels = identity.labels.iter();
                told.extend(labels.map(|(name, value)| (is_borrowed(name), is_borrowed(value))));
            }
            Event::Type { .. } | Event::Unit { .. } => {}
        }
        Ok(())
    };
    Parser::new(Format::Text).feed(page.as_bytes(), &mut take).unwrap();
    assert_eq!(told, [(true, true), (true, false), (true, true), (true, true), (true, false), (true, true)]);
}

#[test]
fn a_series_is_not_taken_apart_before_somebody_asks() {
    let mut texts = Vec::new();
    let mut take = |event: Event<'_>| -> Result<(), ParseError> {
        if let Event::Sample(sample) = event {
            let error = sample.identity().map_err(|error| error.to_string());
            texts.push((sample.text().to_owned(), error.unwrap_err()));
        }
        Ok(())
    };
    Parser::new(Format::Text).feed(b"ok 1\n".get(..0).unwrap(), &mut take).unwrap();
    Parser::new(Format::Text).feed(b"\n m{a=b} 1\n", &mut take).unwrap();
    let error = "line 2, column 6: expected \" and the label's value, found \"b\"";
    assert_eq!(texts, [("m{a=b}".to_owned(), error.to_owned())]);
}

#[test]
fn a_line_of_a_mebibyte_is_read_and_a_longer_one_refused_however_it_comes() {
    let line = |length: usize| {
        let (before, after) = ("m{a=\"", "\"} 1");
        format!("{before}{}{after}", "x".repeat(length - before.len() - after.len()))
    };
    let longest = line(LONGEST_LINE) + "\n";
    for size in [usize::MAX, 65_537, 4_096] {
        assert_eq!(told(Format::Text, longest.as_bytes().chunks(size)).len(), 1);
        let longer = format!("ok 1\n{}\nok 2\n", line(LONGEST_LINE + 1));
        let said = told(Format::Text, longer.as_bytes().chunks(size));
        assert_eq!(said, ["ok 1", "! line 2, column 1: the line is longer than 1048576 bytes"]);
        // The last line, without its end; and one whose quoted text never ends.
        let said = told(Format::Text, longer.trim_end_matches("\nok 2\n").as_bytes().chunks(size));
        assert_eq!(said.len(), 2, "{:?}", said.last());
        let endless = format!("m{{a=\"{}", "\nm 1".repeat(LONGEST_LINE / 4));
        let said = told(Format::Text, endless.as_bytes().chunks(size));
        assert_eq!(said, ["! line 1, column 1: the line is longer than 1048576 bytes"]);
    }
}

#[test]
fn what_the_taker_has_against_an_event_ends_the_page() {
    #[derive(Debug, PartialEq)]
    enum Error {
        Enough,
        Page(ParseError),
    }
    impl From<ParseError> for Error {
        fn from(error: ParseError) -> Self {
            Error::Page(error)
        }
    }
    let mut taken = 0;
    let mut take = |_: Event<'_>| {
        taken += 1;
        if taken < 3 { Ok(()) } else { Err(Error::Enough) }
    };
    let mut parser = Parser::new(Format::Text);
    assert_eq!(parser.feed(b"a 1\nb 1\nc 1\nd 1\n", &mut take), Err(Error::Enough));
    assert_eq!(taken, 3);
    let error = Parser::new(Format::Text).feed(b"a x\n", &mut |_: Event<'_>| Ok(()));
    assert!(matches!(error, Err(Error::Page(error)) if error.line == 1));
}

#[rstest]
#[case("text/plain", Format::Text)]
#[case("text/plain; version=0.0.4; charset=utf-8; escaping=values", Format::Text)]
#[case("TEXT/Plain;version=\"0.0.4\"", Format::Text)]
#[case(" text/plain ; ", Format::Text)]
#[case("text/plain;", Format::Text)]
#[case("application/openmetrics-text", Format::OpenMetrics)]
#[case("application/openmetrics-text; version=1.0.0; charset=utf-8", Format::OpenMetrics)]
#[case("application/openmetrics-text;version=0.0.1;escaping=allow-utf-8", Format::OpenMetrics)]
fn a_content_type_names_its_format(#[case] text: &str, #[case] expected: Format) {
    assert_eq!(Format::of(Some(text)), Ok(expected));
}

#[rstest]
#[case("text/html; charset=utf-8")]
#[case("application/json")]
#[case("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited")]
#[case("text/plain, text/plain")]
#[case("text/plainer")]
#[case("text")]
#[case("text/plain; charset")]
#[case("text/plain; charset=")]
#[case("text/plain; =utf-8")]
#[case("text/plain; a=1; A=2")]
#[case("text/plain; a=\"b")]
#[case("text/plain; a=1 b")]
#[case("\u{0}")]
fn a_content_type_that_prometheus_does_not_know_names_none(#[case] text: &str) {
    let error = Format::of(Some(text)).unwrap_err();
    assert!(error.to_string().contains(": expected text/plain or application/openmetrics-text"), "{error}");
    assert!(error.to_string().len() < 130, "{error}");
}

#[test]
fn an_answer_without_a_content_type_names_none() {
    assert_eq!(Format::of(None), Err(UnknownFormat::Absent));
    assert_eq!(Format::of(Some("")), Err(UnknownFormat::Absent));
}
