//! OpenMetrics 1.0, without timestamps.

use super::by_name;
use super::text::{Quotes, escape, put, sample};
use crate::sample::{Batch, Kind};

/// The Content-Type of a page in this format.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All series of the batches, sorted by their families' names, closed with `# EOF`.
pub fn page(batches: &[&Batch]) -> String {
    let mut out = String::new();
    for (name, (family, series)) in by_name(batches) {
        // A family's own name goes without the suffix that its samples carry.
        let (kind, bare) = match family.kind {
            Kind::Counter => ("counter", name.strip_suffix("_total").unwrap_or(name)),
            Kind::Info => ("info", name.strip_suffix("_info").unwrap_or(name)),
            Kind::Gauge => ("gauge", name),
            Kind::StateSet => ("stateset", name),
            // Their parts are families of their own here, and none of them is the whole.
            Kind::Unknown | Kind::Histogram | Kind::GaugeHistogram | Kind::Summary => ("unknown", name),
        };
        put(&mut out, format_args!("# TYPE {bare} {kind}\n# HELP {bare} "));
        escape(&mut out, &family.help, Quotes::Escaped);
        out.push('\n');
        for one in series {
            sample(&mut out, name, &one.labels, one.value);
        }
    }
    out.push_str("# EOF\n");
    out
}
