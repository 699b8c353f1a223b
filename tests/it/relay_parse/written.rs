//! Pages that a writer of the tests' own makes of random families, in any of the ways that a format leaves open, are
//! read back as they were.

use fleetpush::relay::parse::Format;
use fleetpush::sample::{Kind, Millis, Value};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::test_runner::TestRunner;

use super::told::{Pair, Said, Sampled, read};

/// How a page is written where there is a choice: numbers that are used one after the other.
pub struct Style<'a> {
    choices: &'a [u8],
    next: usize,
}

impl<'a> Style<'a> {
    /// Without choices it is the plainest.
    pub fn new(choices: &'a [u8]) -> Self {
        Style { choices, next: 0 }
    }

    fn pick<T: Copy>(&mut self, ways: &[T]) -> T {
        let choice = if self.choices.is_empty() { 0 } else { self.choices[self.next % self.choices.len()] };
        self.next += 1;
        ways[usize::from(choice) % ways.len()]
    }
}

/// The page that says this.
pub fn page(format: Format, said: &[Said], style: &mut Style<'_>) -> String {
    let mut page = String::new();
    let is_text = format == Format::Text;
    for said in said {
        if is_text {
            page += style.pick(&["", "", "", "\n", " \t\n", "# a comment: m{a=\"b\" 1\n", "#\n"]);
            page += style.pick(&["", "", " ", "\t"]);
        }
        match said {
            Said::Help(name, help) => page += &meta(format, "HELP", name, &escaped(help, !is_text), style),
            Said::Type(name, kind) => page += &meta(format, "TYPE", name, word(format, *kind), style),
            Said::Unit(name, unit) => page += &meta(format, "UNIT", name, unit, style),
            Said::Sample(sample) => page += &line(format, sample, style),
        }
        page += "\n";
    }
    if is_text {
        // A page's last line may lack its end.
        page.truncate(page.len() - style.pick(&[0, 0, usize::from(!page.is_empty())]));
    } else {
        page += style.pick(&["# EOF\n", "# EOF"]);
    }
    page
}

fn meta(format: Format, word: &str, name: &str, text: &str, style: &mut Style<'_>) -> String {
    let (before, between) = match format {
        Format::Text => (style.pick(&[" ", "\t", "  "]), style.pick(&[" ", "\t", " \t "])),
        Format::OpenMetrics => (" ", " "),
    };
    format!("#{before}{word}{between}{} {text}", self::name(name, true, style))
}

fn word(format: Format, kind: Kind) -> &'static str {
    match (kind, format) {
        (Kind::Unknown, Format::Text) => "untyped",
        (Kind::Unknown, Format::OpenMetrics) => "unknown",
        (Kind::Counter, _) => "counter",
        (Kind::Gauge, _) => "gauge",
        (Kind::Histogram, _) => "histogram",
        (Kind::GaugeHistogram, _) => "gaugehistogram",
        (Kind::Summary, _) => "summary",
        (Kind::Info, _) => "info",
        (Kind::StateSet, _) => "stateset",
    }
}

fn line(format: Format, sample: &Sampled, style: &mut Style<'_>) -> String {
    let is_text = format == Format::Text;
    let blank = |style: &mut Style<'_>| if is_text { style.pick(&["", "", " ", "\t "]) } else { "" };
    let mut inside = Vec::new();
    let mut line = String::new();
    if is_plain(&sample.name, true) && style.pick(&[true, true, false]) {
        line += &sample.name;
        line += blank(style);
    } else {
        inside.push(quoted(&sample.name, true, style));
    }
    inside.extend(sample.labels.iter().map(|pair| {
        let (before, after) = (blank(style), blank(style));
        label(pair, before, after, is_text, true, style)
    }));
    if !inside.is_empty() || style.pick(&[false, true]) {
        line += &braced(&inside, blank(style), style);
    }
    line += if is_text { style.pick(&[" ", "\t", "  "]) } else { " " };
    line += &number(sample.value, style);
    if let Some(at) = sample.at {
        line += &if is_text {
            format!("{}{}", style.pick(&[" ", "\t "]), at.0)
        } else {
            format!(" {}", seconds(at))
        };
    }
    if is_text {
        line += style.pick(&["", "", " ", "\t"]);
    }
    if let Some((labels, value, at)) = &sample.exemplar {
        let labels: Vec<_> = labels.iter().map(|pair| label(pair, "", "", false, false, style)).collect();
        line += &format!(" # {} {}", braced(&labels, "", style), number(*value, style));
        if let Some(at) = at {
            line += &format!(" {}", seconds(*at));
        }
    }
    line
}

fn braced(inside: &[String], blank: &str, style: &mut Style<'_>) -> String {
    let comma = if inside.is_empty() { "" } else { style.pick(&["", ","]) };
    format!("{{{blank}{}{blank}{comma}{blank}}}", inside.join(&format!("{blank},{blank}")))
}

fn label(
    (name, value): &Pair,
    before: &str,
    after: &str,
    breaks_in_values: bool,
    breaks_in_names: bool,
    style: &mut Style<'_>,
) -> String {
    let name = if is_plain(name, false) && style.pick(&[true, true, false]) {
        name.clone()
    } else {
        quoted(name, breaks_in_names, style)
    };
    format!("{name}{before}={after}{}", quoted(value, breaks_in_values, style))
}

fn name(name: &str, colons: bool, style: &mut Style<'_>) -> String {
    if is_plain(name, colons) && style.pick(&[true, true, false]) {
        name.to_owned()
    } else {
        quoted(name, true, style)
    }
}

fn is_plain(name: &str, colons: bool) -> bool {
    let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || colons && c == ':';
    name.chars().all(of_name) && name.starts_with(|c: char| !c.is_ascii_digit())
}

fn quoted(text: &str, breaks: bool, style: &mut Style<'_>) -> String {
    let mut text = escaped(text, true);
    // A line break may stand for itself; one that follows an escaped backslash looks as if it were escaped.
    if breaks && !text.contains("\\\\") && style.pick(&[false, true]) {
        text = text.replace("\\n", "\n");
    }
    format!("\"{text}\"")
}

fn escaped(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes { text.replace('"', "\\\"") } else { text }
}

fn number(value: Value, style: &mut Style<'_>) -> String {
    let number = value.get();
    if number.is_nan() {
        return style.pick(&["NaN", "nan", "NAN"]).to_owned();
    }
    if number.is_infinite() {
        let (plus, minus) = (style.pick(&["+Inf", "inf", "Infinity"]), style.pick(&["-Inf", "-infinity"]));
        return if number > 0.0 { plus } else { minus }.to_owned();
    }
    let plus = if number.is_sign_positive() { style.pick(&["", "+"]) } else { "" };
    format!(
        "{plus}{}",
        style.pick(&[format!("{number}").as_str(), &format!("{number:e}"), &format!("{number:E}")])
    )
}

/// Seconds that are these milliseconds when their thousandfold is cut off, as Prometheus does.
fn seconds(at: Millis) -> String {
    let written = [0.0, 0.000_3, -0.000_3].map(|more| format!("{}", at.0 as f64 / 1000.0 + more));
    let fits = |text: &&String| (text.parse::<f64>().unwrap() * 1000.0) as i64 == at.0;
    written.iter().find(fits).unwrap_or_else(|| panic!("no seconds for {at:?}")).clone()
}

fn some_name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_][a-z0-9_]{0,6}", "[a-z:][a-zA-Z0-9_:]{0,4}", "[a-zA-Z0-9 .{}=,#\"\\\\\né日😀]{1,6}",]
}

fn some_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,8}", "[a-z {}=,#\"\\\\\n\té日]{0,10}", any::<String>()]
}

fn some_value() -> impl Strategy<Value = Value> {
    // Any NaN is read as the one that Prometheus has.
    let bits = any::<u64>().prop_map(f64::from_bits);
    let number =
        prop_oneof![bits, any::<i32>().prop_map(f64::from), Just(f64::NAN), Just(f64::INFINITY), Just(-0.0)];
    number.prop_map(|number| {
        if number.is_nan() { Value::from_bits(0x7ff8_0000_0000_0001) } else { Value::from(number) }
    })
}

/// Labels of a series: each name once, no empty value; `le` and `quantile` would be spelled anew.
fn some_labels() -> impl Strategy<Value = Vec<Pair>> {
    vec((some_name(), some_text()), 0..5).prop_map(|labels| {
        let mut kept: Vec<Pair> = Vec::new();
        for (name, value) in labels {
            let is_special = ["le", "quantile", "__name__"].contains(&name.as_str());
            if !is_special && !value.is_empty() && kept.iter().all(|(known, _)| *known != name) {
                kept.push((name, value));
            }
        }
        kept
    })
}

fn some_time() -> impl Strategy<Value = Option<Millis>> {
    proptest::option::of((0..4_000_000_000_000_i64).prop_map(Millis))
}

fn some_sample(format: Format) -> impl Strategy<Value = Said> {
    let exemplar = (some_labels(), some_value(), some_time());
    let exemplar = proptest::option::of(exemplar)
        .prop_map(move |exemplar| exemplar.filter(|_| format == Format::OpenMetrics));
    let sample = (some_name(), some_labels(), some_value(), some_time(), exemplar);
    sample.prop_map(|(name, labels, value, at, exemplar)| {
        // A NUL may stand in the value of a series' label only.
        let without = |pair: Pair| (pair.0, pair.1.replace('\0', "0"));
        let exemplar =
            exemplar.map(|(labels, value, at)| (labels.into_iter().map(without).collect(), value, at));
        Said::Sample(Sampled { name, labels, value, at, exemplar })
    })
}

fn some_kind(format: Format) -> impl Strategy<Value = Kind> {
    let of_text = [Kind::Unknown, Kind::Counter, Kind::Gauge, Kind::Histogram, Kind::Summary];
    let more = [Kind::GaugeHistogram, Kind::Info, Kind::StateSet];
    let more = if format == Format::OpenMetrics { &more[..] } else { &[] };
    proptest::sample::select([&of_text, more].concat())
}

fn some_said(format: Format) -> impl Strategy<Value = Said> {
    let help = (some_name(), some_text()).prop_map(|(name, help)| Said::Help(name, help));
    let kind = (some_name(), some_kind(format)).prop_map(|(name, kind)| Said::Type(name, kind));
    let unit =
        (some_name(), "[a-zé]{1,4}").prop_map(|(name, unit)| Said::Unit(format!("{name}_{unit}"), unit));
    let others = prop_oneof![help, kind].boxed();
    let others = if format == Format::OpenMetrics { prop_oneof![others, unit].boxed() } else { others };
    prop_oneof![2 => others, 3 => some_sample(format)]
}

#[test]
fn a_page_of_random_families_is_read_back_as_it_was_written() {
    for format in [Format::Text, Format::OpenMetrics] {
        let mut runner = TestRunner::new(ProptestConfig { cases: 700, ..ProptestConfig::default() });
        let pages = (vec(some_said(format), 0..12), vec(any::<u8>(), 0..40));
        runner
            .run(&pages, |(said, choices)| {
                let page = page(format, &said, &mut Style::new(&choices));
                let (read, error) = read(format, [page.as_bytes()]);
                assert_eq!(error, None, "{page}");
                assert_eq!(read, said, "{page}");
                Ok(())
            })
            .unwrap();
    }
}
