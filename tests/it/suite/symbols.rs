//! The table of symbols of 2.0. The reader refuses an index outside of it, references that are odd in number, and a
//! symbol that stands twice.

use std::collections::HashSet;

use super::case::{Case, scraped, times};

const SHARED: &str = "http_requests_total{method=\"GET\",status=\"200\",handler=\"/api/v1\"} 100\n\
    http_requests_total{method=\"POST\",status=\"200\",handler=\"/api/v1\"} 50\n\
    http_requests_total{method=\"GET\",status=\"404\",handler=\"/api/v1\"} 10\n\
    http_requests_total{method=\"GET\",status=\"200\",handler=\"/api/v2\"} 75\n";

#[tokio::test]
async fn empty_string_at_index_zero() {
    let seen = Case::page("test_metric 42\n").run_until(times(2, "test_metric")).await;
    assert!(seen.requests.iter().all(|got| got.request().symbols[0].is_empty()));
}

#[tokio::test]
async fn string_deduplication() {
    let page = "test_metric{foo=\"bar\",baz=\"qux\"} 1\ntest_metric{foo=\"bar\",baz=\"qux\"} 2\nanother_metric{foo=\"bar\"} 3\n";
    let seen = scraped(page).await;
    let symbols = &seen.last().symbols;
    assert_eq!(symbols.iter().collect::<HashSet<_>>().len(), symbols.len(), "{symbols:?}");
    for symbol in ["test_metric", "another_metric", "foo", "bar", "baz", "qux"] {
        assert!(symbols.iter().any(|have| have == symbol), "{symbol}");
    }
    // A series that stands twice on the page is sent once, as it stood first.
    assert_eq!(seen.last().one("test_metric").value(), 1.0);
}

#[tokio::test]
async fn labels_refs_valid_indices() {
    let seen = scraped("test_metric{label=\"value\"} 42\n").await;
    assert_eq!(seen.last().one("test_metric").own_labels(), [("label", "value")]);
}

#[tokio::test]
async fn labels_refs_even_length() {
    let seen = scraped("test_metric{label=\"value\"} 42\n").await;
    let lengths: Vec<usize> = seen.last().series.iter().map(|series| series.labels.len()).collect();
    assert!(lengths.contains(&4) && lengths.iter().all(|length| *length >= 3), "{lengths:?}");
}

#[tokio::test]
async fn symbol_table_efficiency() {
    let seen = scraped(SHARED).await;
    let filled = seen.last().symbols.iter().filter(|symbol| !symbol.is_empty()).count();
    assert_eq!(seen.last().all("http_requests_total").len(), 4);
    assert!(filled <= 30, "{filled}: {:?}", seen.last().symbols);
}
