//! What 1.0 looks like where it is pinned.

use super::case::{Case, Seen, Version, has, times};
use super::decode::{COUNTER, GAUGE, Metadata};
use super::site::Page;

async fn one(body: &str) -> Seen {
    Case::page(body).version(Version::One).run().await
}

#[tokio::test]
async fn version_header() {
    assert_eq!(
        one("test_metric 42\n").await.requests[0].header("x-prometheus-remote-write-version"),
        "0.1.0"
    );
}

#[tokio::test]
async fn content_type() {
    assert_eq!(one("test_metric 42\n").await.requests[0].header("content-type"), "application/x-protobuf");
}

#[tokio::test]
async fn samples_encoding() {
    let seen = one("test_counter_total 100\ntest_gauge NaN\ntest_zero 0\n").await;
    let bits =
        ["test_counter_total", "test_gauge", "test_zero"].map(|name| seen.last().one(name).sample().bits);
    assert_eq!(bits, [100.0_f64.to_bits(), 0x7ff8_0000_0000_0001, 0]);
}

#[tokio::test]
async fn labels_encoding() {
    let seen = one("test_metric{label=\"value\",empty=\"\",Capital=\"é\"} 42\n").await;
    assert_eq!(seen.last().one("test_metric").own_labels(), [("Capital", "é"), ("label", "value")]);
}

#[tokio::test]
async fn no_native_histograms() {
    let page = "# TYPE test_histogram histogram\ntest_histogram_count 100\ntest_histogram_sum 250.0\n\
        test_histogram_bucket{le=\"+Inf\"} 100\n";
    let seen = one(page).await;
    assert!(seen.last().series.iter().all(|series| series.histograms == 0));
    assert_eq!(seen.last().one("test_histogram_bucket").value(), 100.0);
}

#[tokio::test]
async fn no_start_timestamp() {
    // The reader of 1.0 refuses a third field in a sample.
    let page =
        Page::open("# TYPE test_counter counter\ntest_counter_total 100\ntest_counter_created 1700000000\n");
    let seen = Case::pages(move |_| page.clone()).version(Version::One).run().await;
    assert_eq!(seen.last().one("test_counter_total").value(), 100.0);
}

#[tokio::test]
async fn metadata_handling() {
    let page = "# HELP requests Requests by method\n# TYPE requests counter\nrequests 42\n# TYPE heat gauge\nheat 1\n";
    let seen = Case::page(page).version(Version::One).run_until(times(2, "requests")).await;
    let of = |name: &str| {
        let all = seen.requests.iter().flat_map(|got| &got.request().metadata);
        all.filter(|(family, _)| family == name).map(|(_, metadata)| metadata.clone()).collect::<Vec<_>>()
    };
    let counter = Metadata { kind: COUNTER, help: "Requests by method".into(), unit: String::new() };
    // With the first request, and then once a minute.
    assert_eq!(of("requests"), [counter]);
    assert_eq!(of("heat").iter().map(|metadata| metadata.kind).collect::<Vec<_>>(), [GAUGE]);
    assert!(has(&seen.requests[1], "requests"));
}

#[tokio::test]
async fn symbol_table_not_used() {
    // The reader of 1.0 refuses a field of symbols; names and values stand in each series.
    let seen = one("http_requests{method=\"GET\",status=\"200\"} 100\nhttp_requests{method=\"POST\",status=\"200\"} 50\n").await;
    assert!(seen.last().symbols.is_empty());
    let labels: Vec<_> = seen.last().all("http_requests").iter().map(|series| series.own_labels()).collect();
    assert_eq!(labels, [[("method", "GET"), ("status", "200")], [("method", "POST"), ("status", "200")]]);
}

#[tokio::test]
async fn remote_write_1_configuration() {
    let seen = Case::page("test_metric 42\n").version(Version::One).run_until(times(2, "test_metric")).await;
    assert!(seen.requests.iter().all(|got| !got.is_two), "what is pinned asks for nothing else");
}
