//! Exemplars of 2.0, from a page in OpenMetrics. One is sent once, as long as the page shows the same: with the first
//! request.

use super::case::{Seen, scraped};
use super::decode::{Exemplar, Series};

const COUNTER: &str = "# TYPE http_requests counter\n";

fn labels(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn counter(seen: &Seen) -> &Series {
    seen.first().one("http_requests_total")
}

/// What becomes of the one exemplar behind a counter's value.
async fn exemplar(text: &str) -> Exemplar {
    let seen = scraped(format!("{COUNTER}http_requests_total 1000 # {text}\n")).await;
    let [exemplar] = &counter(&seen).exemplars[..] else { panic!("not one exemplar: {:?}", counter(&seen)) };
    exemplar.clone()
}

#[tokio::test]
async fn with_trace_id() {
    let exemplar = exemplar("{trace_id=\"abc123xyz\"} 999 1234567890.123").await;
    assert_eq!(exemplar.labels, labels(&[("trace_id", "abc123xyz")]));
}

#[tokio::test]
async fn with_span_id() {
    let exemplar = exemplar("{trace_id=\"abc123\",span_id=\"def456\"} 999 1234567890.123").await;
    assert_eq!(exemplar.labels, labels(&[("span_id", "def456"), ("trace_id", "abc123")]));
}

#[tokio::test]
async fn custom_labels() {
    let exemplar = exemplar("{user=\"u1\",trace_id=\"abc\",region=\"eu 🚀\"} 1 1234567890.5").await;
    assert_eq!(exemplar.labels, labels(&[("region", "eu 🚀"), ("trace_id", "abc"), ("user", "u1")]));
}

#[tokio::test]
async fn on_histogram() {
    let page = "# TYPE took histogram\ntook_bucket{le=\"0.1\"} 50 # {trace_id=\"fast\"} 0.05 1234567890.123\n\
        took_bucket{le=\"+Inf\"} 100 # {trace_id=\"slow\"} 3.5 1234567891\ntook_sum 10.5\ntook_count 100\n";
    let seen = scraped(page).await;
    let buckets = seen.first().all("took_bucket");
    let found: Vec<(&str, Vec<Exemplar>)> = buckets
        .iter()
        .map(|series| (series.label("le").unwrap_or_default(), series.exemplars.clone()))
        .collect();
    let one = |id: &str, value, at| vec![Exemplar { labels: labels(&[("trace_id", id)]), value, at }];
    assert_eq!(
        found,
        [("0.1", one("fast", 0.05, 1_234_567_890_123)), ("+Inf", one("slow", 3.5, 1_234_567_891_000))]
    );
    assert!(seen.first().one("took_count").exemplars.is_empty());
}

#[tokio::test]
async fn multiple_per_series() {
    // OpenMetrics has one for each series and scrape; several series have one each.
    let page = format!(
        "{COUNTER}http_requests_total{{code=\"200\"}} 5 # {{trace_id=\"a\"}} 1\nhttp_requests_total{{code=\"500\"}} 2 # {{trace_id=\"b\"}} 1\n"
    );
    let seen = scraped(page).await;
    let all = seen.first().all("http_requests_total");
    let ids: Vec<_> =
        all.iter().flat_map(|series| &series.exemplars).map(|e| e.labels[0].1.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
}

#[tokio::test]
async fn value_valid() {
    assert_eq!(exemplar("{trace_id=\"abc\"} 0.67 1234567890").await.value, 0.67);
}

#[tokio::test]
async fn timestamp_valid() {
    assert_eq!(exemplar("{trace_id=\"abc\"} 1 1234567890.123").await.at, 1_234_567_890_123);
    // Without one of its own it has that of the sample.
    let seen = scraped(format!("{COUNTER}http_requests_total 1000 # {{trace_id=\"abc\"}} 1\n")).await;
    assert_eq!(counter(&seen).exemplars[0].at, counter(&seen).sample().at);
}

#[tokio::test]
async fn labels_valid_refs() {
    // The reader refuses a reference to a symbol that is not there.
    let seen = scraped(format!("{COUNTER}http_requests_total 1000 # {{trace_id=\"only here\"}} 1\n")).await;
    assert!(seen.first().symbols.iter().any(|symbol| symbol == "only here"));
    assert_eq!(counter(&seen).exemplars[0].labels, labels(&[("trace_id", "only here")]));
}

#[tokio::test]
async fn labels_even_length() {
    // The reader refuses references that are odd in number; there may be none at all.
    let exemplar = exemplar("{} 0.5 1234567890").await;
    assert_eq!((exemplar.labels, exemplar.value), (Vec::new(), 0.5));
}

#[tokio::test]
async fn exemplar_per_sample() {
    // A case of the suite's next version: without a time of its own beside one with, in one page.
    let page = "# TYPE took histogram\ntook_bucket{le=\"0.1\"} 50 # {trace_id=\"abc123xyz\"} 0.05 1234567890.123\n\
        took_bucket{le=\"+Inf\"} 100\ntook_sum 10.5\ntook_count 100\n# TYPE requests_total counter\n\
        requests_total 1000 # {trace_id=\"abc123\",span_id=\"def456\"} 999\n";
    let seen = scraped(page).await;
    assert_eq!(seen.first().all("took_bucket")[0].exemplars[0].at, 1_234_567_890_123);
    let exemplars = &seen.first().one("requests_total").exemplars;
    assert_eq!((exemplars.len(), exemplars[0].value), (1, 999.0));
}
