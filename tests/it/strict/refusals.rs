//! The readers against bad input: each refuses what a receiver would, so a green encoder has been looked at.

use rstest::rstest;

use super::exposition::{Form, Wrong, read};
use super::{delimited, queue_record, remote_write};

const GOOD: &str = "# HELP a Help\n# TYPE a gauge\na{b=\"c\",d=\"e \\\"\\\\\\n},= é\"} 1\na 2.5e-3\n";
const OPEN: &str = "# TYPE a counter\n# HELP a A \\\"help\\\"\na_total 1\n# TYPE i info\n# HELP i I\ni_info{b=\"c\"} 1\n# EOF\n";

#[test]
fn good_pages_are_read_whole() {
    let families = read(GOOD, Form::Text).unwrap();
    assert_eq!((families.len(), families[0].help.as_str(), families[0].kind.as_str()), (1, "Help", "gauge"));
    let labels: Vec<_> =
        families[0].samples[0].labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(labels, [("b", "c"), ("d", "e \"\\\n},= é")]);
    assert_eq!(families[0].samples[1].value, 0.0025);
    let families = read(OPEN, Form::OpenMetrics).unwrap();
    assert_eq!((families[0].help.as_str(), families[0].samples[0].name.as_str()), ("A \"help\"", "a_total"));
    assert_eq!(families[1].samples[0].name, "i_info");
    assert_eq!(read("", Form::Text), Ok(Vec::new()));
    assert_eq!(read("# EOF\n", Form::OpenMetrics), Ok(Vec::new()));
}

const AB: &str = "# HELP a A\n# TYPE a gauge\na 1\n# HELP b B\n# TYPE b gauge\nb 1\n";

#[rstest]
#[case::no_newline_at_the_end(GOOD.trim_end().to_owned(), 4, "does not end")]
#[case::a_series_twice(format!("{GOOD}a 3\n"), 5, "in line 4 already")]
#[case::interleaved_families(format!("{AB}a{{c=\"d\"}} 1\n"), 7, "stands in the family b")]
#[case::a_family_again(format!("{AB}# HELP a A\n"), 7, "apart from itself")]
#[case::a_type_behind_a_sample("# HELP a A\n# TYPE a gauge\na 1\n# TYPE a gauge\n".into(), 4, "after a sample")]
#[case::a_help_behind_a_sample("# HELP a A\n# TYPE a gauge\na 1\n# HELP a A\n".into(), 4, "after a sample")]
#[case::a_type_twice("# HELP a A\n# TYPE a gauge\n# TYPE a gauge\n".into(), 3, "stands twice")]
#[case::a_help_twice("# HELP a A\n# HELP a A\n".into(), 2, "stands twice")]
#[case::no_type("# HELP a A\na 1\n".into(), 2, "no TYPE")]
#[case::no_help("# TYPE a gauge\na 1\n".into(), 2, "no HELP")]
#[case::an_unknown_type("# TYPE a guage\n".into(), 1, "no type of ours")]
#[case::another_comment("# hello\n".into(), 1, "neither HELP nor TYPE")]
#[case::an_end_of_openmetrics(format!("{GOOD}# EOF\n"), 5, "neither HELP nor TYPE")]
#[case::an_empty_line(format!("\n{GOOD}"), 1, "a line is empty")]
#[case::a_bad_escape(GOOD.replace("\\n", "\\t"), 3, "a backslash before Some('t')")]
#[case::a_bad_escape_in_help(GOOD.replace("Help", "He\\\"lp"), 1, "a backslash before Some('\"')")]
#[case::a_bare_newline(GOOD.replace("\\n", "\n"), 3, "a quote is not closed")]
#[case::a_bare_quote(GOOD.replace("\\\"", "\""), 3, "stands behind a label")]
#[case::a_quote_that_stays_open(GOOD.replace("é\"}", "é}"), 3, "a quote is not closed")]
#[case::an_unquoted_value(GOOD.replace("\"c\"", "c"), 3, "is no label name")]
#[case::unsorted_labels(GOOD.replace("{b=", "{x="), 3, "stands before")]
#[case::a_label_twice(GOOD.replace("d=", "b="), 3, "stands before")]
#[case::an_empty_value(GOOD.replace("\"c\"", "\"\""), 3, "is empty")]
#[case::a_bad_label_name(GOOD.replace("{b=", "{b-c="), 3, "is no label name")]
#[case::a_bad_metric_name("# HELP a-b A\n".into(), 1, "is no metric name")]
#[case::empty_braces(format!("{GOOD}a{{}} 1\n"), 5, "without a quoted value")]
#[case::a_timestamp(format!("{AB}b{{c=\"d\"}} 1 1700000000000\n"), 7, "behind the value")]
#[case::no_value(format!("{AB}b\n"), 7, "without a value")]
#[case::no_space(format!("{AB}b{{c=\"d\"}}1\n"), 7, "no space")]
#[case::an_infinity_as_rust_says_it(format!("{AB}b{{c=\"d\"}} inf\n"), 7, "is no number")]
#[case::two_points(format!("{AB}b{{c=\"d\"}} 1.2.3\n"), 7, "is no number")]
fn a_bad_text_page_is_refused_with_its_line(#[case] page: String, #[case] line: usize, #[case] what: &str) {
    refused(&page, Form::Text, line, what);
}

#[rstest]
#[case::no_end(OPEN.replace("# EOF\n", ""), 6, "is not # EOF")]
#[case::something_behind_the_end(format!("{OPEN}a 1\n"), 8, "is not # EOF")]
#[case::an_end_within(OPEN.replace("# TYPE i", "# EOF\n# TYPE i"), 4, "neither HELP nor TYPE")]
#[case::no_newline_at_the_end(OPEN.trim_end().to_owned(), 7, "does not end")]
#[case::nothing(String::new(), 0, "is not # EOF")]
#[case::a_counter_by_its_samples_name(OPEN.replace("TYPE a ", "TYPE a_total "), 1, "ends in _total")]
#[case::an_info_by_its_samples_name(OPEN.replace("TYPE i ", "TYPE i_info "), 4, "ends in _info")]
#[case::a_counter_without_its_suffix(OPEN.replace("a_total", "a"), 3, "stands in the family a")]
#[case::a_type_of_the_text_format(OPEN.replace("counter", "untyped"), 1, "no type of ours")]
#[case::a_bare_quote_in_help(OPEN.replace("\\\"", "\""), 2, "a bare quote")]
#[case::a_counter_that_is_no_number(OPEN.replace("a_total 1", "a_total NaN"), 3, "a counter is NaN")]
#[case::a_counter_below_zero(OPEN.replace("a_total 1", "a_total -1"), 3, "a counter is -1")]
#[case::an_info_of_two(OPEN.replace("} 1", "} 2"), 6, "an info is 2")]
#[case::a_timestamp(OPEN.replace("} 1", "} 1 1700000000"), 6, "behind the value")]
#[case::a_family_named_as_anothers_samples(
    OPEN.replace("# TYPE i", "# TYPE a_total gauge\n# HELP a_total A\n# TYPE i"), 4, "shares a name")]
fn a_bad_openmetrics_page_is_refused_with_its_line(
    #[case] page: String,
    #[case] line: usize,
    #[case] what: &str,
) {
    refused(&page, Form::OpenMetrics, line, what);
}

fn refused(page: &str, form: Form, line: usize, what: &str) {
    let Wrong { line: found, what: said } = read(page, form).unwrap_err();
    assert!(said.contains(what) && found == line, "line {found}: {said}");
}

/// A varint field, a 64-bit one, one of bytes.
fn n(field: u8, number: u8) -> Vec<u8> {
    vec![field << 3, number]
}
fn d(field: u8, number: f64) -> Vec<u8> {
    [vec![field << 3 | 1], number.to_le_bytes().to_vec()].concat()
}
fn b(field: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let inside = parts.concat();
    [vec![field << 3 | 2, u8::try_from(inside.len()).unwrap()], inside].concat()
}
fn t(field: u8, text: &str) -> Vec<u8> {
    b(field, &[text.as_bytes().to_vec()])
}
fn bytes(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

/// A label of 1.0 and of MetricFamily.
fn l(name: &str, value: &str) -> Vec<u8> {
    b(1, &[t(1, name), t(2, value)])
}
fn sample() -> Vec<u8> {
    b(2, &[d(1, 1.5), n(2, 9)])
}
fn one_of(labels: &[Vec<u8>]) -> Vec<u8> {
    b(1, &[labels.concat(), sample()])
}

#[test]
fn a_good_request_of_1_0_is_read_whole() {
    let good = bytes(&[
        one_of(&[l("A", "x"), l("__name__", "a"), l("b", "y")]),
        b(3, &[n(1, 2), t(2, "a"), t(4, "h")]),
    ]);
    let request = remote_write::one(&good).unwrap();
    let series = &request.series[0];
    assert_eq!((series.value, series.timestamp, series.labels.len()), (1.5_f64.to_bits(), 9, 3));
    assert_eq!((request.metadata[0].0.as_str(), request.metadata[0].1.kind), ("a", 2));
    for cut in 1..good.len() {
        let whole_field = cut == good.len() - b(3, &[n(1, 2), t(2, "a"), t(4, "h")]).len();
        assert!(remote_write::one(&good[..cut]).is_err() || whole_field, "cut at {cut}");
    }
}

#[rstest]
#[case::a_truncated_varint(vec![0x0a, 0x80], "a varint is cut off")]
#[case::a_varint_without_an_end(vec![0x80; 11], "over ten bytes")]
#[case::a_varint_of_over_64_bits([vec![0x08], vec![0xff; 9], vec![0x7f]].concat(), "over 64 bits")]
#[case::a_varint_that_is_too_long(vec![0x08, 0x81, 0x00], "longer than it need be")]
#[case::a_length_beyond_the_end(vec![0x0a, 0x05, 0x00], "cut off")]
#[case::a_group(vec![0x0b], "wire type 3")]
#[case::a_32_bit_number(vec![0x0d, 0, 0, 0, 0], "wire type 5")]
#[case::the_field_zero(vec![0x02, 0x00], "the number 0")]
#[case::an_unknown_field(t(2, "x"), "no field 2")]
#[case::fields_of_2_0(t(4, ""), "no field 4")]
#[case::a_series_as_a_number(n(1, 1), "a message or text is")]
#[case::no_sample(b(1, &[l("__name__", "a")]), "without a sample")]
#[case::two_samples(b(1, &[l("__name__", "a"), sample(), sample()]), "field 2 stands twice")]
#[case::a_value_as_a_number(b(1, &[l("__name__", "a"), b(2, &[n(1, 1)])]), "a 64-bit number is")]
#[case::a_cut_off_value(b(1, &[l("__name__", "a"), b(2, &[vec![0x09, 0, 0]])]), "64-bit number is cut off")]
#[case::a_time_as_a_double(b(1, &[l("__name__", "a"), b(2, &[d(2, 1.0)])]), "a varint is")]
#[case::a_start(b(1, &[l("__name__", "a"), b(2, &[n(3, 1)])]), "no field 3")]
#[case::unsorted_labels(one_of(&[l("__name__", "a"), l("A", "x")]), "stands before")]
#[case::a_label_twice(one_of(&[l("__name__", "a"), l("b", "x"), l("b", "y")]), "stands before")]
#[case::an_empty_value(one_of(&[l("__name__", "a"), l("b", "")]), "is empty")]
#[case::an_empty_name(one_of(&[l("", "x"), l("__name__", "a")]), "is empty")]
#[case::no_name(one_of(&[l("b", "x")]), "has no name")]
#[case::a_bad_name(one_of(&[l("__name__", "a b")]), "is no metric name")]
#[case::a_bad_label(one_of(&[l("__name__", "a"), l("b:c", "x")]), "is no label name")]
#[case::no_utf_8(one_of(&[l("__name__", "a"), b(1, &[t(1, "b"), b(2, &[vec![0xff]])])]), "not UTF-8")]
#[case::a_series_twice([one_of(&[l("__name__", "a")]), one_of(&[l("__name__", "a")])].concat(), "stands twice")]
#[case::metadata_twice([b(3, &[t(2, "a")]), b(3, &[t(2, "a")])].concat(), "stand twice")]
#[case::metadata_of_nothing(b(3, &[n(1, 2)]), "no name of a family")]
#[case::a_type_that_is_none(b(3, &[n(1, 9), t(2, "a")]), "no type of ours")]
#[case::help_in_the_wrong_field(b(3, &[t(2, "a"), t(3, "h")]), "no field 3")]
#[case::an_exemplar_without_a_time(b(1, &[l("__name__", "a"), sample(), b(3, &[d(2, 1.0)])]), "without a time")]
#[case::an_exemplar_of_2_0(b(1, &[l("__name__", "a"), sample(), b(4, &[])]), "no field 4")]
fn a_bad_request_of_1_0_is_refused(#[case] request: Vec<u8>, #[case] what: &str) {
    let said = remote_write::one(&request).unwrap_err();
    assert!(said.contains(what), "{said}");
}

/// `"", "__name__", "a", "h"` and a series of these references.
fn two_of(refs: &[u8], more: &[Vec<u8>]) -> Vec<u8> {
    let symbols = ["", "__name__", "a", "h"].map(|symbol| t(4, symbol)).concat();
    [symbols, b(5, &[b(1, &[refs.to_vec()]), more.concat()])].concat()
}
fn meta(kind: u8) -> Vec<u8> {
    b(5, &[n(1, kind), n(3, 3)])
}

#[test]
fn a_good_request_of_2_0_is_read_whole() {
    let request = remote_write::two(&two_of(&[1, 2], &[sample(), meta(2)])).unwrap();
    assert_eq!(request.series[0].labels, [("__name__".to_owned(), "a".to_owned())]);
    assert_eq!((request.series[0].metadata.kind, request.series[0].metadata.help.as_str()), (2, "h"));
    let with_start = b(2, &[d(1, 1.0), n(2, 9), n(3, 1)]);
    assert!(remote_write::two(&two_of(&[1, 2], &[with_start, meta(1)])).is_ok());
}

#[rstest]
#[case::nothing(Vec::new(), "the first symbol")]
#[case::a_first_symbol(t(4, "a"), "the first symbol")]
#[case::a_symbol_twice([t(4, ""), t(4, "a"), t(4, "a")].concat(), "stands twice")]
#[case::the_empty_symbol_twice([t(4, ""), t(4, "")].concat(), "stands twice")]
#[case::an_idle_symbol([t(4, ""), t(4, "a")].concat(), "used by nothing")]
#[case::a_field_of_1_0([t(4, ""), t(1, "")].concat(), "no field 1")]
#[case::a_reference_beyond(two_of(&[1, 4], &[sample(), meta(2)]), "no symbol 4")]
#[case::odd_references(two_of(&[1, 2, 3], &[sample(), meta(2)]), "odd in number")]
#[case::an_empty_value(two_of(&[1, 2, 3, 0], &[sample(), meta(2)]), "is empty")]
#[case::unpacked_references([t(4, ""), b(5, &[n(1, 0), n(1, 0), sample()])].concat(), "stands twice")]
#[case::one_unpacked_reference([t(4, ""), b(5, &[n(1, 0), sample()])].concat(), "a message or text is")]
#[case::unsorted(two_of(&[2, 3, 1, 2], &[sample(), meta(2)]), "stands before")]
#[case::no_name(two_of(&[3, 1], &[sample(), b(5, &[n(3, 2)])]), "has no name")]
#[case::no_sample(two_of(&[1, 2], &[meta(2)]), "without a sample")]
#[case::a_start_of_a_gauge(two_of(&[1, 2], &[b(2, &[d(1, 1.0), n(3, 1)]), meta(2)]), "has a start")]
#[case::a_start_at_the_sample(two_of(&[1, 2], &[b(2, &[d(1, 1.0), n(2, 1), n(3, 1)]), meta(1)]), "began at")]
#[case::an_exemplar_without_a_time(two_of(&[1, 2], &[sample(), b(4, &[d(2, 1.0)]), meta(2)]), "without a time")]
#[case::an_exemplar_of_odd_labels(two_of(&[1, 2], &[sample(), b(4, &[b(1, &[vec![1]]), n(3, 1)]), meta(2)]), "odd")]
#[case::an_exemplar_beyond(two_of(&[1, 2], &[sample(), b(4, &[b(1, &[vec![1, 9]]), n(3, 1)]), meta(2)]), "no symbol 9")]
#[case::exemplars_of_1_0(two_of(&[1, 2], &[sample(), b(3, &[]), meta(2)]), "no field 3")]
#[case::a_start_beside_the_sample(two_of(&[1, 2], &[sample(), meta(2), n(6, 1)]), "no field 6")]
#[case::help_in_the_wrong_field(two_of(&[1, 2], &[sample(), b(5, &[n(1, 2), n(2, 3)])]), "no field 2")]
#[case::help_beyond(two_of(&[1, 2], &[sample(), b(5, &[n(3, 9)])]), "no symbol 9")]
#[case::a_type_that_is_none(two_of(&[1, 2], &[sample(), meta(8)]), "no type of ours")]
fn a_bad_request_of_2_0_is_refused(#[case] request: Vec<u8>, #[case] what: &str) {
    let said = remote_write::two(&request).unwrap_err();
    assert!(said.contains(what), "{said}");
}

fn metric(place: u8, labels: &[Vec<u8>]) -> Vec<u8> {
    b(4, &[labels.concat(), b(place, &[d(1, 2.0)])])
}
fn family(kind: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let inside = [t(1, "a"), t(2, "h"), n(3, kind), parts.concat()].concat();
    [vec![u8::try_from(inside.len()).unwrap()], inside].concat()
}

#[test]
fn good_families_are_read_whole() {
    let families = delimited::read(&family(1, &[metric(2, &[l("b", "c")]), metric(2, &[])])).unwrap();
    assert_eq!((families[0].name.as_str(), families[0].kind, families[0].metrics.len()), ("a", 1, 2));
    assert_eq!(families[0].metrics[0], (vec![("b".to_owned(), "c".to_owned())], 2.0_f64.to_bits()));
}

#[rstest]
#[case::no_length(family(1, &[])[1..].to_vec(), "cut off")]
#[case::cut_off(family(1, &[])[..4].to_vec(), "cut off")]
#[case::a_family_twice([family(1, &[]), family(1, &[])].concat(), "stands twice")]
#[case::a_series_twice(family(1, &[metric(2, &[]), metric(2, &[])]), "stands twice")]
#[case::a_counter_as_a_gauge(family(1, &[metric(3, &[])]), "has the field 3")]
#[case::a_gauge_as_a_counter(family(0, &[metric(2, &[])]), "has the field 2")]
#[case::a_timestamp(family(1, &[b(4, &[b(2, &[d(1, 2.0)]), n(6, 1)])]), "has the field 6")]
#[case::no_value(family(1, &[b(4, &[])]), "without a value")]
#[case::an_empty_gauge(family(1, &[b(4, &[b(2, &[])])]), "not one double")]
#[case::a_value_as_a_number(family(1, &[b(4, &[b(2, &[n(1, 2)])])]), "a 64-bit number is")]
#[case::unsorted_labels(family(1, &[metric(2, &[l("b", "x"), l("a", "x")])]), "stands before")]
#[case::an_empty_label(family(1, &[metric(2, &[l("b", "")])]), "is empty")]
#[case::half_a_label(family(1, &[metric(2, &[b(1, &[t(1, "b")])])]), "without a name or a value")]
#[case::a_type_that_is_none(family(7, &[metric(2, &[])]), "no type of ours")]
#[case::a_unit(family(1, &[t(5, "s")]), "no field 5")]
fn bad_families_are_refused(#[case] body: Vec<u8>, #[case] what: &str) {
    let said = delimited::read(&body).unwrap_err();
    assert!(said.contains(what), "{said}");
}

/// A layout of `"", "__name__", "a", "h"`, one family, and a series with these parts.
fn layout_of(refs: &[u8], more: &[Vec<u8>]) -> Vec<u8> {
    let symbols = ["", "__name__", "a", "h"].map(|symbol| t(1, symbol)).concat();
    let series = b(3, &[b(1, &[refs.to_vec()]), more.concat()]);
    [symbols, b(2, &[n(1, 2), n(2, 2), n(3, 3)]), series].concat()
}

/// A record of version 2 with this layout and these parts.
fn record_of(layout: &[u8], more: &[Vec<u8>]) -> Vec<u8> {
    [n(1, 2), b(2, &[layout.to_vec()]), more.concat()].concat()
}

/// The values 1.5, so many times.
fn values(count: usize) -> Vec<u8> {
    b(3, &[1.5_f64.to_le_bytes().repeat(count)])
}

#[test]
fn a_good_record_is_read_whole() {
    let record = queue_record::read(&record_of(&layout_of(&[1, 2], &[]), &[values(1), n(4, 9)])).unwrap();
    assert_eq!((record.families[0].name.as_str(), record.families[0].help.as_str()), ("a", "h"));
    assert_eq!((record.series[0].value, record.series[0].timestamp), (1.5_f64.to_bits(), 9));
}

#[rstest]
#[case::another_version([n(1, 1), b(2, &[])].concat(), "version")]
#[case::no_version(b(2, &[]), "stands behind")]
#[case::no_values(record_of(&layout_of(&[1, 2], &[]), &[]), "0 values for 1 series")]
#[case::no_layout([n(1, 2), values(1)].concat(), "stands behind")]
#[case::a_value_too_many(record_of(&layout_of(&[1, 2], &[]), &[values(2)]), "2 values for 1 series")]
#[case::half_a_value(record_of(&layout_of(&[1, 2], &[]), &[b(3, &[vec![0; 9]])]), "a value is cut off")]
#[case::values_twice(record_of(&layout_of(&[1, 2], &[]), &[values(1), values(1)]), "stands twice")]
#[case::a_value_as_a_number(record_of(&layout_of(&[1, 2], &[]), &[n(3, 1)]), "a message or text is")]
#[case::times_of_none(record_of(&layout_of(&[1, 2], &[]), &[values(1), n(4, 9), b(5, &[vec![0]])]), "none is told")]
#[case::too_many_times(record_of(&layout_of(&[1, 2], &[]), &[values(1), b(5, &[vec![1, 1]])]), "2 times for 1")]
#[case::too_many_starts(record_of(&layout_of(&[1, 2], &[]), &[values(1), b(6, &[vec![1, 1]])]), "2 starts for 1")]
#[case::a_start_behind(record_of(&layout_of(&[1, 2], &[]), &[values(1), n(4, 9), b(6, &[vec![9]])]), "began at 9")]
#[case::an_exemplar_of_nothing(record_of(&layout_of(&[1, 2], &[]), &[values(1), b(7, &[n(1, 1)])]), "of no series")]
#[case::half_a_label(record_of(&layout_of(&[1, 2], &[]), &[values(1), b(7, &[t(2, "a")])]), "half a label")]
#[case::an_exemplar_first(record_of(&layout_of(&[1, 2], &[]), &[b(7, &[]), values(1)]), "stands behind")]
#[case::an_unknown_field(record_of(&layout_of(&[1, 2], &[]), &[values(1), n(4, 9), n(8, 1)]), "no field 8")]
fn a_bad_record_is_refused(#[case] record: Vec<u8>, #[case] what: &str) {
    let said = queue_record::read(&record).unwrap_err();
    assert!(said.contains(what), "{said}");
}

#[rstest]
#[case::no_symbols(vec![], "first symbol")]
#[case::a_symbol_twice([t(1, ""), t(1, "")].concat(), "stands twice")]
#[case::a_family_twice([t(1, ""), t(1, "a"), b(2, &[n(1, 1)]), b(2, &[n(1, 1)])].concat(), "stands twice")]
#[case::another_familys_name(layout_of(&[1, 3], &[]), "stands in the family a")]
#[case::no_such_family(layout_of(&[1, 2], &[n(2, 1)]), "no family 1")]
#[case::a_value(layout_of(&[1, 2], &[d(3, 1.5)]), "no field 3")]
#[case::a_reference_beyond(layout_of(&[1, 9], &[]), "no symbol 9")]
#[case::odd_references(layout_of(&[1], &[]), "odd in number")]
#[case::an_empty_value(layout_of(&[1, 2, 3, 0], &[]), "is empty")]
#[case::unsorted(layout_of(&[3, 2, 1, 2], &[]), "stands before")]
#[case::a_series_twice([layout_of(&[1, 2], &[]), b(3, &[b(1, &[vec![1, 2]])])].concat(), "stands twice")]
#[case::an_unknown_field([t(1, ""), n(5, 1)].concat(), "no field 5")]
fn a_bad_layout_is_refused(#[case] layout: Vec<u8>, #[case] what: &str) {
    let said = queue_record::read(&record_of(&layout, &[values(1)])).unwrap_err();
    assert!(said.contains(what), "{said}");
}
