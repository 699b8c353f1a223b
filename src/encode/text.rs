//! The text format 0.0.4, without timestamps.

use std::fmt::Write;

use super::by_name;
use crate::sample::{Batch, Kind, Labels, Value};

/// The Content-Type of a page in this format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All series of the batches, sorted by their families' names.
pub fn page(batches: &[&Batch]) -> String {
    let mut out = String::new();
    for (name, (family, series)) in by_name(batches) {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge | Kind::Info | Kind::StateSet => "gauge",
            // Their parts are families of their own here, and none of them is the whole.
            Kind::Unknown | Kind::Histogram | Kind::GaugeHistogram | Kind::Summary => "untyped",
        };
        out.push_str("# HELP ");
        out.push_str(name);
        out.push(' ');
        escape(&mut out, &family.help, Quotes::Plain);
        put(&mut out, format_args!("\n# TYPE {name} {kind}\n"));
        for one in series {
            sample(&mut out, name, &one.labels, one.value);
        }
    }
    out
}

/// Whether a double quote is escaped.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Quotes {
    Plain,
    Escaped,
}

pub(super) fn escape(out: &mut String, text: &str, quotes: Quotes) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes == Quotes::Escaped => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

pub(super) fn sample(out: &mut String, name: &str, labels: &Labels, value: Value) {
    out.push_str(name);
    let mut before = '{';
    for label in labels.iter() {
        out.push(before);
        out.push_str(label.name);
        out.push_str("=\"");
        escape(out, label.value, Quotes::Escaped);
        out.push('"');
        before = ',';
    }
    if !labels.is_empty() {
        out.push('}');
    }
    out.push(' ');
    match value.get() {
        f64::INFINITY => out.push_str("+Inf"),
        f64::NEG_INFINITY => out.push_str("-Inf"),
        // Rust's shortest form that reads back as the same number; `NaN` is its own.
        number => put(out, format_args!("{number}")),
    }
    out.push('\n');
}

pub(super) fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    out.write_fmt(what).unwrap_or_default();
}
