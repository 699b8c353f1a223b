//! The status page: a [`Status`] and the visible batches in, one HTML file out, without a script and
//! without a foreign host. Every foreign text is escaped. Pure.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write as _};

use super::Latest;
use crate::sample::{Millis, Text};
use crate::telemetry::status::{SinkState, Status};

/// More fleets than a person reads; the metrics have them all.
const MOST_FLEETS: usize = 1_000;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.2rem .8rem .2rem 0;\
border-bottom:1px solid #8884;vertical-align:top}th{white-space:nowrap}.any{overflow-wrap:anywhere}\
.bad{color:#c22}:root{color-scheme:light dark}";

/// The page as it stands at `now`.
pub fn page(status: &Status, latest: &Latest, now: Millis, telemetry_path: &str) -> String {
    let mut html = String::with_capacity(4_096);
    // Writing into a `String` cannot fail.
    write(&mut html, status, latest, now, telemetry_path).unwrap_or_default();
    html
}

fn write(
    html: &mut String,
    status: &Status,
    latest: &Latest,
    now: Millis,
    telemetry_path: &str,
) -> fmt::Result {
    let version = env!("CARGO_PKG_VERSION");
    let path = Escaped(telemetry_path);
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>fleetpush</title>\
         <style>{STYLE}</style></head><body>\n<h1>fleetpush</h1>\n\
         <p>Version {version} · <a href=\"{path}\">metrics</a> · <a href=\"/-/ready\">ready</a></p>\n"
    )?;
    sources(html, status, now)?;
    sinks(html, status, now)?;
    fleets(html, latest)?;
    html.push_str("</body></html>\n");
    Ok(())
}

fn sources(html: &mut String, status: &Status, now: Millis) -> fmt::Result {
    html.push_str(
        "<h2>Sources</h2>\n<table><tr><th>source<th>state<th>last success<th>fleets<th>series</tr>\n",
    );
    for (name, source) in &status.sources {
        let (class, state) = match (&source.last_error, source.last_end) {
            (_, None) => ("", "first cycle is running"),
            (None, _) => ("", "ok"),
            (Some(error), _) => ("bad", error.as_str()),
        };
        writeln!(
            html,
            "<tr><td class=\"any\">{}<td class=\"any {class}\">{}<td>{}<td>{}<td>{}</tr>",
            Escaped(name),
            Escaped(state),
            Ago(source.last_success, now),
            source.fleets,
            source.series
        )?;
    }
    html.push_str("</table>\n");
    match status.next {
        Some(next) => writeln!(html, "<p>Next cycle in {} s</p>", next.since(now).as_secs()),
        None => Ok(()),
    }
}

fn sinks(html: &mut String, status: &Status, now: Millis) -> fmt::Result {
    if status.sinks.is_empty() {
        return Ok(());
    }
    html.push_str(
        "<h2>Sinks</h2>\n<table><tr><th>sink<th>kind<th>URL<th>state<th>last success\
         <th>waiting<th>dropped<th>last error</tr>\n",
    );
    for ((_, name), sink) in &status.sinks {
        let class = if matches!(sink.state, SinkState::Idle | SinkState::Delivering) { "" } else { "bad" };
        writeln!(
            html,
            "<tr><td>{}<td>{}<td class=\"any\">{}<td class=\"{class}\">{}<td>{}<td>{}<td>{}<td class=\"any\">{}</tr>",
            Escaped(name),
            sink.kind.as_str(),
            Escaped(&sink.url),
            StateText(sink.state, sink.protocol),
            Ago(sink.last_success, now),
            sink.waiting_samples,
            sink.dropped,
            Escaped(sink.last_error.as_deref().unwrap_or(""))
        )?;
    }
    html.push_str("</table>\n");
    Ok(())
}

fn fleets(html: &mut String, latest: &Latest) -> fmt::Result {
    let mut fleets: BTreeMap<(Text, Text), [f64; 2]> = BTreeMap::new();
    for family in latest.values().flat_map(|batch| batch.families()) {
        let column = match family.name.as_str() {
            "balena_devices_online" => 0,
            "balena_devices" => 1,
            _ => continue,
        };
        for series in &family.series {
            let label = |name| series.labels.get(name).cloned().unwrap_or_else(|| "".into());
            fleets.entry((label("fleet_name"), label("fleet_slug"))).or_default()[column] +=
                series.value.get();
        }
    }
    writeln!(html, "<h2>Fleets ({})</h2>", fleets.len())?;
    html.push_str("<table><tr><th>fleet<th>slug<th>online / total</tr>\n");
    for ((name, slug), [online, total]) in fleets.iter().take(MOST_FLEETS) {
        writeln!(
            html,
            "<tr><td class=\"any\">{}<td class=\"any\">{}<td>{online} / {total}</tr>",
            Escaped(name),
            Escaped(slug)
        )?;
    }
    html.push_str("</table>\n");
    match fleets.len().checked_sub(MOST_FLEETS) {
        Some(more) if more > 0 => writeln!(html, "<p>and {more} more</p>"),
        _ => Ok(()),
    }
}

/// Text that means itself, in content and in quoted attributes.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '&' => f.write_str("&amp;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => f.write_char(c),
        })
    }
}

struct Ago(Option<Millis>, Millis);

impl Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("never"),
            Some(then) => write!(f, "{} s ago", self.1.since(then).as_secs()),
        }
    }
}

struct StateText(SinkState, Option<&'static str>);

impl Display for StateText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SinkState::Idle => f.write_str("nothing sent yet"),
            SinkState::Delivering => write!(f, "delivering ({})", self.1.unwrap_or("?")),
            SinkState::Retrying { delay } => write!(f, "trying again after {} s", delay.as_secs()),
            SinkState::Parked { delay } => write!(f, "parked, asked every {} s", delay.as_secs()),
        }
    }
}
