//! A [`View`] becomes one HTML file: nothing is fetched for it, it works without its script, and every foreign
//! text is escaped. Pure.

mod fleets;
mod relay;
mod text;

use std::fmt::{self, Display, Write as _};

use self::text::{Clock, Escaped, Grouped, Percent, Said};
use super::query::Query;
use super::view::{Overall, View};
use super::{look, script};
use crate::telemetry::words::{Doing, Sentence};

/// The page; `metrics` is the path of the metrics.
pub fn page(view: &View, metrics: &str) -> String {
    let mut html = String::with_capacity(16_384 + view.fleets.len() * 768);
    // Writing into a `String` cannot fail.
    write(&mut html, view, metrics).unwrap_or_default();
    html
}

fn write(html: &mut String, view: &View, metrics: &str) -> fmt::Result {
    let (version, refresh) = (view.version, view.refresh_seconds());
    let query = Query { search: view.search.clone(), sort: view.sort, page: 1, json: true };
    // Without the slash at its front it also leads there behind a proxy that puts us under a path.
    let metrics = Escaped(metrics.trim_start_matches('/'));
    let (skip, skip_word) = if view.only_relays() { ("relay", "targets") } else { ("fleets", "fleets") };
    let (json, icon) = (Escaped(&query.address()).to_string(), icon(view.state));
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\" data-version=\"{version}{parts}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title>\
         <link rel=\"icon\" href=\"{icon}\"><style>{style}</style></head>\n<body>\
         <a class=\"skip\" href=\"#{skip}\">Skip to the {skip_word}</a>\n\
         <header><h1>fleetpush</h1><p>version {version}</p><nav aria-label=\"Other forms\">\
         <a href=\"./{metrics}\">metrics</a> <a id=\"json\" href=\"{json}\">JSON</a></nav></header>\n<main>\n",
        title = Title(view),
        parts = parts(view),
        style = look::STYLE,
    )?;
    write!(html, "<section id=\"now\" data-part data-refresh=\"{refresh}\" aria-label=\"State\">")?;
    now(html, view)?;
    html.push_str("</section>\n");
    if view.only_relays() {
        html.push_str("<div>");
    } else {
        html.push_str(
            "<div class=\"two\"><section id=\"collecting\" data-part aria-labelledby=\"h-collecting\">",
        );
        collecting(html, view)?;
        html.push_str("</section>\n");
    }
    html.push_str("<section id=\"delivery\" data-part aria-labelledby=\"h-delivery\">");
    delivery(html, view)?;
    html.push_str("</section></div>\n");
    if let Some(relay) = &view.relay {
        html.push_str("<section id=\"relay\" data-part tabindex=\"-1\" aria-labelledby=\"h-relay\">");
        relay::section(html, view, relay)?;
        html.push_str("</section>\n");
    }
    // The script needs its parts, also where there is nobody to count.
    let hidden = if view.only_relays() { " hidden" } else { "" };
    writeln!(html, "<section{hidden} aria-labelledby=\"h-fleets\"><h2 id=\"h-fleets\">Fleets</h2>")?;
    fleets::form(html, view)?;
    html.push_str("<div id=\"fleets\" data-part tabindex=\"-1\">");
    fleets::found(html, view)?;
    write!(
        html,
        "</div></section>\n</main>\n<p id=\"said\" class=\"hidden\" role=\"status\"></p>\
         <p id=\"lost\" role=\"alert\"></p>\n\
         <noscript><p class=\"note\">Without JavaScript this page does not refresh itself.</p></noscript>\n\
         <script>{}</script>\n</body></html>\n",
        script::SCRIPT
    )
}

/// Which sections there are besides those of every page: a browser takes over only what is in both of two pages.
fn parts(view: &View) -> &'static str {
    match (view.only_relays(), view.relay.is_some()) {
        (true, _) => " relay",
        (false, true) => " fleets relay",
        (false, false) => "",
    }
}

fn now(html: &mut String, view: &View) -> fmt::Result {
    let (class, word) = match view.state {
        Overall::Starting => ("idle", "Starting"),
        Overall::Ok => ("well", "All well"),
        Overall::Trouble => ("ill", "Trouble"),
    };
    write!(
        html,
        "<p id=\"headline\" class=\"headline {class}\"><b>{word}</b>: {}</p>\n<p class=\"note\">as of {}</p>\n\
         <dl class=\"stats\">",
        Escaped(&view.headline),
        Clock(&view.at, &view.at),
    )?;
    let totals = view.totals;
    if totals.fleets > 0 {
        let share = (totals.devices > 0).then(|| totals.online as f64 / totals.devices as f64);
        write!(
            html,
            "<div><dt>Devices online</dt><dd>{} <small>of {}, {}</small></dd></div>\
             <div><dt>Fleets</dt><dd>{}</dd></div><div{}><dt>Fleets dark</dt><dd>{}</dd></div>",
            Grouped(totals.online),
            Grouped(totals.devices),
            Percent(share),
            Grouped(totals.fleets as u64),
            if totals.dark > 0 { " class=\"ill\"" } else { "" },
            Grouped(totals.dark as u64),
        )?;
    }
    if let Some(relay) = view.relay.as_ref().filter(|relay| !relay.targets.is_empty()) {
        write!(
            html,
            "<div{}><dt>Targets up</dt><dd>{} <small>of {}</small></dd></div>",
            if relay.down > 0 { " class=\"ill\"" } else { "" },
            Grouped(relay.up as u64),
            Grouped(relay.targets.len() as u64)
        )?;
    }
    if let (Some(at), Some(seconds)) = (&view.next_collect, view.next_collect_seconds) {
        let when = match seconds {
            0 => Sentence::new("running"),
            seconds => Sentence::new("in ").span(at, seconds),
        };
        write!(html, "<div><dt>Next collect</dt><dd>{}</dd></div>", Said(&when, &view.at))?;
    }
    html.push_str("</dl>");
    Ok(())
}

fn collecting(html: &mut String, view: &View) -> fmt::Result {
    html.push_str("<h2 id=\"h-collecting\">Collecting</h2>\n<ul class=\"things\">");
    for source in &view.sources {
        let (class, word) = match source.state {
            "ok" => ("well", "Works"),
            "failing" => ("ill", "Fails"),
            _ => ("idle", "Starting"),
        };
        write!(
            html,
            "<li class=\"{class}\"><p class=\"name\"><bdi>{}</bdi> <b>{word}</b></p>",
            Escaped(&source.name)
        )?;
        sentences(html, view, &source.words)?;
        html.push_str("</li>");
    }
    html.push_str("</ul>");
    Ok(())
}

fn delivery(html: &mut String, view: &View) -> fmt::Result {
    html.push_str("<h2 id=\"h-delivery\">Delivery</h2>\n");
    if view.sinks.is_empty() {
        html.push_str(
            "<p class=\"note\">Nothing is pushed: whoever wants the metrics scrapes this page.</p>",
        );
        return Ok(());
    }
    html.push_str("<ul class=\"things\">");
    for sink in &view.sinks {
        let (class, word) = match sink.report.state {
            Doing::Sending { .. } => ("well", "Sends"),
            Doing::Waiting { .. } => ("ill", "Waits"),
            Doing::Parked { .. } => ("ill", "Parked"),
            Doing::Idle | Doing::NotRunning | Doing::Removed => ("idle", "Idle"),
        };
        let kind = if sink.kind == "pushgateway" { "Pushgateway" } else { "remote write" };
        write!(
            html,
            "<li class=\"{class}\"><p class=\"name\"><bdi>{}</bdi> <span class=\"note\">{kind}</span> <b>{word}</b>",
            Escaped(&sink.report.name)
        )?;
        if let Some(url) = sink.report.url.as_deref().filter(|url| *url != sink.report.name) {
            write!(html, " <bdi class=\"note\">{}</bdi>", Escaped(url))?;
        }
        html.push_str("</p>");
        sentences(html, view, &sink.words)?;
        html.push_str("</li>");
    }
    if let Some(queue) = &view.queue {
        let (class, word) = if queue.trouble.is_some() { ("ill", "Broken") } else { ("well", "Works") };
        write!(html, "<li class=\"{class}\"><p class=\"name\"><bdi>Queue</bdi> <b>{word}</b></p>")?;
        sentences(html, view, &queue.words)?;
        html.push_str("</li>");
    }
    html.push_str("</ul>");
    Ok(())
}

fn sentences(html: &mut String, view: &View, sentences: &[Sentence]) -> fmt::Result {
    let mut all = sentences.iter();
    all.try_for_each(|sentence| write!(html, "<p class=\"said\">{}</p> ", Said(sentence, &view.at)))
}

/// A picture for the browser's tab, which tells trouble from far away. Its slashes are written so that nothing
/// in the page looks like another host.
fn icon(state: Overall) -> &'static str {
    match state {
        Overall::Trouble => {
            "data:image/svg+xml,%3Csvg xmlns='http:%2F%2Fwww.w3.org%2F2000%2Fsvg' viewBox='0 0 16 16'%3E%3Cpath \
             d='M8 1l7 14H1z' fill='%23c62828'%2F%3E%3C%2Fsvg%3E"
        }
        Overall::Starting | Overall::Ok => {
            "data:image/svg+xml,%3Csvg xmlns='http:%2F%2Fwww.w3.org%2F2000%2Fsvg' viewBox='0 0 16 16'%3E%3Cpath \
             d='M2 15V9h3v6zM6.500 15V5h3v10zM11 15V1h3v14z' fill='%232a7ab0'%2F%3E%3C%2Fsvg%3E"
        }
    }
}

struct Title<'a>(&'a View);

impl Display for Title<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals = self.0.totals;
        match self.0.state {
            Overall::Trouble => f.write_str("▲ Trouble · fleetpush"),
            Overall::Ok if totals.fleets > 0 => {
                write!(f, "{} / {} online · fleetpush", totals.online, totals.devices)
            }
            Overall::Starting | Overall::Ok => f.write_str("fleetpush"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_carries_nothing_that_ends_its_style_or_script_early() {
        for text in [look::STYLE, script::SCRIPT] {
            assert!(!text.contains("</") && !text.contains("<!--") && !text.contains("//"));
        }
    }
}
