//! Values and times of samples.

use super::case::{Case, has, scraped, times};
use super::site::Page;

/// The value that a page of one series comes to, bit by bit.
async fn bits(page: &str, name: &str) -> u64 {
    scraped(page).await.last().one(name).sample().bits
}

#[tokio::test]
async fn float_value_encoding() {
    assert_eq!(bits("test_metric 123.45\n", "test_metric").await, 123.45_f64.to_bits());
}

#[tokio::test]
async fn integer_value_encoding() {
    assert_eq!(bits("test_counter_total 42\n", "test_counter_total").await, 42.0_f64.to_bits());
}

#[tokio::test]
async fn zero_value_encoding() {
    assert_eq!(bits("test_gauge 0\n", "test_gauge").await, 0);
}

#[tokio::test]
async fn negative_value_encoding() {
    assert_eq!(bits("temperature_celsius -15.5\n", "temperature_celsius").await, (-15.5_f64).to_bits());
}

#[tokio::test]
async fn positive_infinity_encoding() {
    assert_eq!(bits("test_gauge +Inf\n", "test_gauge").await, f64::INFINITY.to_bits());
}

#[tokio::test]
async fn negative_infinity_encoding() {
    assert_eq!(bits("test_gauge -Inf\n", "test_gauge").await, f64::NEG_INFINITY.to_bits());
}

#[tokio::test]
async fn nan_encoding() {
    // An ordinary NaN as Prometheus writes it, not the one that says that a series has ended.
    assert_eq!(bits("test_gauge NaN\n", "test_gauge").await, 0x7ff8_0000_0000_0001);
}

#[tokio::test]
async fn timestamp_milliseconds_format() {
    let at = scraped("test_metric 42\n").await.last().one("test_metric").sample().at;
    assert!((1_000_000_000_001..10_000_000_000_000_000).contains(&at), "{at}");
}

#[tokio::test]
async fn timestamp_recent() {
    let seen = scraped("test_metric 42\n").await;
    let (came, at) = (seen.requests[0].at_ms, seen.requests[0].request().one("test_metric").sample().at);
    assert!((0..300_000).contains(&(came - at)), "{came} {at}");
}

#[tokio::test]
async fn multiple_samples_same_series() {
    let seen = Case::page("test_counter_total 100\n").run_until(times(2, "test_counter_total")).await;
    // In different requests, each with one: the order of time is then the order of arrival.
    assert!(seen.samples("test_counter_total").len() >= 2);
    assert_eq!(seen.last().one("test_counter_total").value(), 100.0);
}

#[tokio::test]
async fn large_float_values() {
    assert_eq!(bits("test_large 1.7976931348623157e+308\n", "test_large").await, f64::MAX.to_bits());
}

#[tokio::test]
async fn small_float_values() {
    let bits = bits("test_small 2.2250738585072014e-308\n", "test_small").await;
    assert_eq!(bits, f64::MIN_POSITIVE.to_bits());
}

#[tokio::test]
async fn scientific_notation() {
    assert_eq!(bits("test_scientific 1.23e-4\n", "test_scientific").await, 0.000_123_f64.to_bits());
}

#[tokio::test]
async fn precision_preservation() {
    let bits = bits("test_precision 0.123456789012345\n", "test_precision").await;
    assert_eq!(bits, 0.123_456_789_012_345_f64.to_bits());
}

#[tokio::test]
async fn job_instance_labels_present() {
    let seen = scraped("test_metric 42\n").await;
    let series = seen.last().one("test_metric");
    assert_eq!((series.label("job"), series.label("instance")), (Some("test"), Some(&*seen.target)));
    assert_eq!(series.own_labels(), []);
}

#[tokio::test]
async fn sample_ordering() {
    let page = |n| Page::of(format!("metric_a {n}\nmetric_b {n}\nmetric_c {n}\n"));
    let seen = Case::pages(page).run_until(times(3, "metric_c")).await;
    for name in ["metric_a", "metric_b", "metric_c"] {
        // The harness holds the times of each series to their order; the values are the scrapes' numbers.
        let expected: Vec<f64> = (0..seen.values(name).len()).map(|number| number as f64).collect();
        assert_eq!(seen.values(name), expected, "{name}");
    }
}

#[tokio::test]
async fn sample() {
    // A case of the suite's next version: explicit times win over the scrape's, and counters have a start.
    let now = fleetpush::clock::Clock::SYSTEM.now().0;
    let start = now - 7_200_000;
    let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
    let (at, created) = (seconds(now), seconds(start));
    let page = Page::open(&format!(
        "# TYPE test_counter counter\ntest_counter_total 101.13 {at}\ntest_counter_created {created}\n\
         # TYPE test_histogram histogram\ntest_histogram_count 100\ntest_histogram_sum 250.0 {at}\n\
         test_histogram_bucket{{le=\"+Inf\"}} 100\ntest_histogram_created {created}\n"
    ));
    let seen = Case::pages(move |_| page.clone()).run_until(|got| got.iter().any(|g| has(g, "up"))).await;
    let request = seen.requests[0].request();
    let counter = request.one("test_counter_total").sample();
    assert_eq!((counter.value(), counter.at, counter.start), (101.13, now, start));
    assert_eq!(request.one("test_histogram_sum").sample().at, now);
    let count = request.one("test_histogram_count").sample();
    assert_eq!((count.value(), count.start), (100.0, start));
    assert!(count.at > start, "the scrape's own time");
    assert_eq!(request.one("test_histogram_bucket").sample().start, start);
}
