//! `Accept` and `Accept-Encoding` in, a form and a coding out. Pure; what cannot be read is passed over,
//! never refused: a scraper with an odd header still gets its metrics.

/// A form of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Form {
    /// What stands in `Content-Type`; Prometheus 3 refuses an answer without one.
    pub const fn content_type(self) -> &'static str {
        match self {
            Form::Text => "text/plain; version=0.0.4; charset=utf-8",
            Form::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    const fn media(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Form::Text => ("text", "plain", "0.0.4"),
            Form::OpenMetrics => ("application", "openmetrics-text", "1.0.0"),
        }
    }
}

/// One element of a header's list.
struct Range {
    /// In lower case, as all of this.
    name: String,
    version: Option<String>,
    /// Thousandths, so that they compare exactly.
    quality: u16,
}

fn ranges(header: &str) -> impl Iterator<Item = Range> + '_ {
    header.split(',').filter_map(range)
}

fn range(element: &str) -> Option<Range> {
    let mut parts = element.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
    let mut range = Range { name, version: None, quality: 1_000 };
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim().trim_matches('"');
        match key.trim().to_ascii_lowercase().as_str() {
            "q" => range.quality = quality(value)?,
            "version" => range.version = Some(value.to_ascii_lowercase()),
            // `escaping` and `charset` change nothing: our names need no escaping, our text is UTF-8.
            _ => {}
        }
    }
    Some(range)
}

fn quality(text: &str) -> Option<u16> {
    let number: f64 = text.parse().ok()?;
    // `as` is exact here: at most 1000.
    (0.0..=1.0).contains(&number).then(|| (number * 1_000.0).round() as u16)
}

/// How exactly a range names a form: 0 for `*/*`, 3 with a version; none where it does not mean it.
fn exactness(range: &Range, form: Form) -> Option<u8> {
    let (kind, sub, version) = form.media();
    match range.name.split_once('/')? {
        ("*", "*") => Some(0),
        (k, "*") if k == kind => Some(1),
        (k, s) if k == kind && s == sub => match range.version.as_deref() {
            None | Some("") => Some(2),
            Some(v) => (v == version).then_some(3),
        },
        _ => None,
    }
}

/// The form that a client would rather have; text where it says nothing that we have.
pub fn form(accept: &str) -> Form {
    let ranges: Vec<Range> = ranges(accept).collect();
    let rank = |form| {
        // The most exact range speaks for a form; of equal ones the first (RFC 9110, 12.5.1).
        let (exact, from_end, quality) = (ranges.iter().rev().enumerate())
            .filter_map(|(from_end, r)| Some((exactness(r, form)?, from_end, r.quality)))
            .max_by_key(|(exact, from_end, _)| (*exact, *from_end))?;
        (quality > 0).then_some((quality, exact, from_end))
    };
    if rank(Form::OpenMetrics) > rank(Form::Text) { Form::OpenMetrics } else { Form::Text }
}

/// Whether a client is a browser: nothing does it want more than `text/html`.
pub fn wants_html(accept: &str) -> bool {
    let best = ranges(accept).map(|r| r.quality).max().unwrap_or(0);
    best > 0 && ranges(accept).any(|r| r.name == "text/html" && r.quality == best)
}

/// Whether a client takes gzip, and does not like the plain bytes better.
pub fn wants_gzip(accept_encoding: &str) -> bool {
    let of = |names: &[&str]| {
        ranges(accept_encoding).filter(|r| names.contains(&r.name.as_str())).map(|r| r.quality).max()
    };
    let gzip = of(&["gzip", "x-gzip"]).or_else(|| of(&["*"])).unwrap_or(0);
    gzip > 0 && gzip >= of(&["identity"]).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMETHEUS_2_42: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    const PROMETHEUS_3_5: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    const BROWSER: &str =
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";

    #[test]
    fn the_form_is_the_one_that_the_client_would_rather_have() {
        for (accept, expected) in [
            (PROMETHEUS_2_42, Form::OpenMetrics),
            (PROMETHEUS_3_5, Form::OpenMetrics),
            (BROWSER, Form::Text),
            ("", Form::Text),
            ("*/*", Form::Text),
            ("application/json", Form::Text),
            ("application/openmetrics-text", Form::OpenMetrics),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"; Q=0.2", Form::OpenMetrics),
            ("application/openmetrics-text;version=0.0.1", Form::Text),
            ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", Form::Text),
            ("application/openmetrics-text;q=0.4,text/plain;q=0.5", Form::Text),
            ("application/openmetrics-text;q=0.5,*/*", Form::Text),
            ("application/openmetrics-text,*/*", Form::OpenMetrics),
            ("text/plain,application/openmetrics-text", Form::Text),
            ("application/openmetrics-text,text/plain", Form::OpenMetrics),
            ("application/openmetrics-text;q=0", Form::Text),
            ("application/openmetrics-text;q=0,*/*", Form::Text),
            ("text/plain;q=0,*/*", Form::OpenMetrics),
            ("text/*;q=0.9,application/openmetrics-text;q=0.8", Form::Text),
            ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily,*/*;q=0.1", Form::Text),
        ] {
            assert_eq!(form(accept), expected, "{accept}");
        }
    }

    #[test]
    fn a_header_that_cannot_be_read_gets_text() {
        for odd in [
            ",,;;",
            "q=",
            "application/openmetrics-text;q=yes",
            "text",
            "/",
            "*/*;q=-1",
            "é;ü=ö",
            "a/b;q=NaN",
        ] {
            assert_eq!(form(odd), Form::Text, "{odd}");
            assert!(!wants_html(odd) && !wants_gzip(odd), "{odd}");
        }
    }

    #[test]
    fn a_browser_is_who_wants_html_most() {
        assert!(wants_html(BROWSER));
        for other in ["", "*/*", PROMETHEUS_3_5, "text/html;q=0.5,text/plain", "text/html;q=0"] {
            assert!(!wants_html(other), "{other}");
        }
    }

    #[test]
    fn gzip_is_for_who_takes_it() {
        for yes in
            ["gzip", "gzip, deflate, br", "GZIP;q=0.5", "*", "x-gzip", "identity;q=0, *", "br, gzip;q=0.1"]
        {
            assert!(wants_gzip(yes), "{yes}");
        }
        for no in
            ["", "identity", "gzip;q=0", "gzip;q=0, *", "*;q=0", "identity, gzip;q=0.5", "br", "identity;q=0"]
        {
            assert!(!wants_gzip(no), "{no}");
        }
    }
}
