//! Times, and the starts of counters.

use super::case::{Case, Seen, has, scraped, times};
use super::site::{OPEN, Page};
use crate::remote_rig::now;

/// What comes of a page in OpenMetrics.
async fn open(body: &str) -> Seen {
    let page = Page::open(body);
    assert_eq!(page.form, OPEN);
    Case::pages(move |_| page.clone()).run().await
}

#[tokio::test]
async fn timestamp_int64_milliseconds() {
    let seen = scraped("test_metric 42\n").await;
    for series in &seen.last().series {
        assert!((1_000_000_000_001..10_000_000_000_000_000).contains(&series.sample().at), "{series:?}");
    }
    // All of one scrape have its one time.
    let at = seen.last().one("up").sample().at;
    assert!(seen.last().series.iter().all(|series| series.sample().at == at));
}

#[tokio::test]
async fn timestamp_ordering_within_series() {
    let seen = Case::page("metric_a 1\nmetric_b 2\nmetric_c 3\n").run_until(times(3, "metric_c")).await;
    for name in ["metric_a", "metric_b", "metric_c", "up"] {
        let all: Vec<i64> = seen.samples(name).into_iter().map(|(_, at, _)| at).collect();
        assert!(all.len() >= 3 && all.is_sorted_by(|one, two| one < two), "{name}: {all:?}");
    }
}

#[tokio::test]
async fn start_timestamp_for_counters() {
    let page = "# TYPE test_counter counter\ntest_counter_total 100\ntest_counter_created 1700000000.5\n";
    let seen = open(page).await;
    let sample = seen.last().one("test_counter_total").sample();
    assert_eq!((sample.value(), sample.start), (100.0, 1_700_000_000_500));
}

#[tokio::test]
async fn start_timestamp_for_histograms() {
    let page = "# TYPE took histogram\ntook_bucket{le=\"1.0\"} 1\ntook_bucket{le=\"+Inf\"} 2\ntook_sum 3\ntook_count 2\n\
        took_created 1700000000\n";
    let seen = open(page).await;
    let of_it = seen
        .last()
        .series
        .iter()
        .filter(|series| series.name().starts_with("took") && !series.name().ends_with("_created"));
    let starts: Vec<i64> = of_it.map(|series| series.sample().start).collect();
    assert_eq!(starts, [1_700_000_000_000; 4]);
}

#[tokio::test]
async fn start_timestamp_zero_handling() {
    let seen = open("# TYPE test_counter counter\ntest_counter_total 100\n# TYPE g gauge\ng 1\n").await;
    // Nothing is known of a start, and a gauge has none: no start is sent.
    assert!(seen.last().series.iter().all(|series| series.sample().start == 0));
    assert_eq!(seen.last().one("test_counter_total").value(), 100.0);
}

#[tokio::test]
async fn timestamp_precision() {
    let seen = scraped("test_metric 42\n").await;
    let at = seen.last().one("test_metric").sample().at;
    assert!((now() - at).abs() < 600_000, "{at}");
}

#[tokio::test]
async fn timestamp_future_values() {
    // A sample of tomorrow would block every later one at some receivers; what stands beside it arrives.
    let tomorrow = now() + 86_400_000;
    let seen = Case::page(format!("test_metric 42 {tomorrow}\nother 1\n")).run_until(times(2, "other")).await;
    let horizon = now() + 300_000;
    for series in seen.requests.iter().flat_map(|got| &got.request().series) {
        assert!(series.sample().at <= horizon, "{series:?}");
    }
    // In five minutes of the future it is somebody's clock, and taken as it is.
    let soon = now() + 60_000;
    let seen = Case::page(format!("test_metric 42 {soon}\n"))
        .run_until(|got| got.iter().any(|g| has(g, "up")))
        .await;
    assert_eq!(seen.requests[0].request().one("test_metric").sample().at, soon);
}

#[tokio::test]
async fn start_timestamp_before_sample_timestamp() {
    let created = now() / 1000 - 60;
    let page =
        format!("# TYPE test_counter counter\ntest_counter_total 100\ntest_counter_created {created}\n");
    let seen = open(&page).await;
    let sample = seen.last().one("test_counter_total").sample();
    assert!(sample.start > 0 && sample.start <= sample.at, "{sample:?}");
}
