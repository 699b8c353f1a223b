//! Types, helps and units of 2.0.

use super::case::{Case, Seen, scraped};
use super::decode::{COUNTER, GAUGE, HISTOGRAM, Metadata, SUMMARY};
use super::site::Page;

fn of<'a>(seen: &'a Seen, name: &str) -> &'a Metadata {
    &seen
        .last()
        .all(name)
        .first()
        .unwrap_or_else(|| panic!("no {name} in {:?}", seen.last().names()))
        .metadata
}

#[tokio::test]
async fn type_counter() {
    let seen = scraped("# TYPE http_requests_total counter\nhttp_requests_total 100\n").await;
    assert_eq!(of(&seen, "http_requests_total").kind, COUNTER);
}

#[tokio::test]
async fn type_gauge() {
    let seen = scraped("# TYPE memory_usage_bytes gauge\nmemory_usage_bytes 1048576\n").await;
    assert_eq!(of(&seen, "memory_usage_bytes").kind, GAUGE);
}

#[tokio::test]
async fn type_histogram() {
    let page = "# TYPE took histogram\ntook_bucket{le=\"+Inf\"} 100\ntook_sum 50.0\ntook_count 100\n";
    let seen = scraped(page).await;
    for name in ["took_bucket", "took_sum", "took_count"] {
        assert_eq!(of(&seen, name).kind, HISTOGRAM, "{name}");
    }
}

#[tokio::test]
async fn type_summary() {
    let page = "# TYPE took summary\ntook{quantile=\"0.5\"} 0.05\ntook{quantile=\"0.9\"} 0.1\ntook_sum 100.0\ntook_count 1000\n";
    let seen = scraped(page).await;
    for name in ["took", "took_sum", "took_count"] {
        assert_eq!(of(&seen, name).kind, SUMMARY, "{name}");
    }
}

#[tokio::test]
async fn help_text() {
    let page = "# HELP http_requests_total Total HTTP requests\n# TYPE http_requests_total counter\nhttp_requests_total 100\n";
    assert_eq!(of(&scraped(page).await, "http_requests_total").help, "Total HTTP requests");
}

#[tokio::test]
async fn unit() {
    let page = Page::open(
        "# HELP memory_bytes Memory\n# TYPE memory_bytes gauge\n# UNIT memory_bytes bytes\nmemory_bytes 1\n",
    );
    let seen = Case::pages(move |_| page.clone()).run().await;
    let expected = Metadata { kind: GAUGE, help: "Memory".into(), unit: "bytes".into() };
    assert_eq!(*of(&seen, "memory_bytes"), expected);
}

#[tokio::test]
async fn help_with_newlines() {
    let page = "# HELP test_metric First line\\nSecond line\n# TYPE test_metric gauge\ntest_metric 42\n";
    assert_eq!(of(&scraped(page).await, "test_metric").help, "First line\nSecond line");
}

#[tokio::test]
async fn help_with_special_chars() {
    let page = "# HELP test_metric Help with \"quotes\", \\\\slashes and 🚀 测试\n# TYPE test_metric gauge\ntest_metric 42\n";
    assert_eq!(of(&scraped(page).await, "test_metric").help, "Help with \"quotes\", \\slashes and 🚀 测试");
}

#[tokio::test]
async fn help_refs_valid() {
    // The reader refuses a reference to a symbol that is not there.
    let page =
        "# HELP one First\n# TYPE one gauge\none 1\n# HELP two Second\n# TYPE two counter\ntwo 2\nthree 3\n";
    let seen = scraped(page).await;
    assert_eq!(["one", "two", "three"].map(|name| of(&seen, name).help.as_str()), ["First", "Second", ""]);
}

#[tokio::test]
async fn consistent_across_series() {
    let page = "# HELP http_requests_total Total HTTP requests\n# TYPE http_requests_total counter\n\
        http_requests_total{method=\"GET\"} 100\nhttp_requests_total{method=\"POST\"} 50\nhttp_requests_total{method=\"PUT\"} 5\n";
    let seen = scraped(page).await;
    let all: Vec<&Metadata> =
        seen.last().all("http_requests_total").iter().map(|series| &series.metadata).collect();
    let expected = Metadata { kind: COUNTER, help: "Total HTTP requests".into(), unit: String::new() };
    assert_eq!(all, [&expected; 3]);
}

#[tokio::test]
async fn empty_help_allowed() {
    let seen = scraped("# HELP test_metric \n# TYPE test_metric gauge\ntest_metric 42\n").await;
    assert_eq!(*of(&seen, "test_metric"), Metadata { kind: GAUGE, ..Metadata::default() });
}

#[tokio::test]
async fn untyped() {
    // Beside the suite: what has no type is said to have none.
    let seen = scraped("# TYPE test_metric untyped\ntest_metric 42\nother 1\n").await;
    assert_eq!((of(&seen, "test_metric").kind, of(&seen, "other").kind), (0, 0));
}
