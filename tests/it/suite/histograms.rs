//! Histograms: those of a page in text are classic ones, a series for each bucket, sum and count. The suite takes
//! them for its cases of native ones, which only a page in protobuf could have. Bounds are spelled as Prometheus 3 does it.

use super::case::{Seen, scraped};

const WHOLE: &str = "# TYPE test_histogram histogram\ntest_histogram_count 10\ntest_histogram_sum 25.5\n\
    test_histogram_bucket{le=\"1\"} 2\ntest_histogram_bucket{le=\"5\"} 7\ntest_histogram_bucket{le=\"+Inf\"} 10\n";

fn buckets(seen: &Seen, name: &str) -> Vec<(String, f64)> {
    let all = seen.last().all(name);
    all.iter().map(|series| (series.label("le").unwrap_or_default().to_owned(), series.value())).collect()
}

fn said(pairs: &[(&str, f64)]) -> Vec<(String, f64)> {
    pairs.iter().map(|(le, value)| ((*le).to_owned(), *value)).collect()
}

#[tokio::test]
async fn native_histogram_structure() {
    let seen = scraped(WHOLE).await;
    assert_eq!(buckets(&seen, "test_histogram_bucket"), said(&[("1.0", 2.0), ("5.0", 7.0), ("+Inf", 10.0)]));
    assert_eq!(seen.last().one("test_histogram_sum").value(), 25.5);
    assert_eq!(seen.last().one("test_histogram_count").value(), 10.0);
}

#[tokio::test]
async fn count_present() {
    assert_eq!(scraped(WHOLE).await.last().one("test_histogram_count").value(), 10.0);
}

#[tokio::test]
async fn sum_present() {
    assert_eq!(scraped(WHOLE).await.last().one("test_histogram_sum").value(), 25.5);
}

#[tokio::test]
async fn buckets_ordered() {
    let page = "# TYPE took histogram\ntook_bucket{le=\"0.1\"} 10\ntook_bucket{le=\"0.5\"} 50\ntook_bucket{le=\"1.0\"} 100\n\
        took_bucket{le=\"5.0\"} 200\ntook_bucket{le=\"+Inf\"} 250\ntook_sum 500.0\ntook_count 250\n";
    let seen = scraped(page).await;
    let expected = [("0.1", 10.0), ("0.5", 50.0), ("1.0", 100.0), ("5.0", 200.0), ("+Inf", 250.0)];
    assert_eq!(buckets(&seen, "took_bucket"), said(&expected));
}

#[tokio::test]
async fn positive_buckets() {
    let seen =
        scraped("# TYPE test_histogram histogram\ntest_histogram_count 100\ntest_histogram_sum 250.0\n")
            .await;
    assert!(seen.last().series.iter().all(|series| series.histograms == 0), "a text has no native ones");
    assert_eq!(seen.last().one("test_histogram_count").value(), 100.0);
}

#[tokio::test]
async fn negative_buckets() {
    let page = "# TYPE test_histogram histogram\ntest_histogram_bucket{le=\"-5\"} 20\ntest_histogram_bucket{le=\"+Inf\"} 50\n\
        test_histogram_count 50\ntest_histogram_sum -25.0\n";
    let seen = scraped(page).await;
    assert_eq!(buckets(&seen, "test_histogram_bucket"), said(&[("-5.0", 20.0), ("+Inf", 50.0)]));
    assert_eq!(seen.last().one("test_histogram_sum").value(), -25.0);
}

#[tokio::test]
async fn zero_bucket() {
    let page = "# TYPE test_histogram histogram\ntest_histogram_bucket{le=\"0\"} 10\ntest_histogram_bucket{le=\"+Inf\"} 10\n\
        test_histogram_count 10\ntest_histogram_sum 0.0\n";
    let seen = scraped(page).await;
    assert_eq!(buckets(&seen, "test_histogram_bucket"), said(&[("0.0", 10.0), ("+Inf", 10.0)]));
}

#[tokio::test]
async fn schema() {
    // Only a native one has a schema; that there is none is said by the samples that stand in its place.
    let seen = scraped(WHOLE).await;
    let all = seen.last().series.iter().filter(|series| series.name().starts_with("test_histogram"));
    assert_eq!(all.map(|series| (series.histograms, series.samples.len())).collect::<Vec<_>>(), [(0, 1); 5]);
}

#[tokio::test]
async fn timestamp() {
    let seen = scraped(WHOLE).await;
    let at = seen.last().one("up").sample().at;
    assert!(at > 1_000_000_000_000);
    let all = seen.last().series.iter().filter(|series| series.name().starts_with("test_histogram"));
    assert_eq!(all.map(|series| series.sample().at).collect::<Vec<_>>(), [at; 5]);
}

#[tokio::test]
async fn no_mixed_with_samples() {
    let seen = scraped(WHOLE).await;
    assert!(seen.last().series.iter().all(|series| series.samples.is_empty() != (series.histograms == 0)));
    assert!(seen.last().all("test_histogram").is_empty());
}

#[tokio::test]
async fn empty_buckets() {
    let page = "# TYPE test_histogram histogram\ntest_histogram_count 0\ntest_histogram_sum 0\ntest_histogram_bucket{le=\"+Inf\"} 0\n";
    let seen = scraped(page).await;
    assert_eq!(buckets(&seen, "test_histogram_bucket"), said(&[("+Inf", 0.0)]));
    let values = ["test_histogram_count", "test_histogram_sum"].map(|name| seen.last().one(name).value());
    assert_eq!(values, [0.0, 0.0]);
}

#[tokio::test]
async fn large_counts() {
    let page = "# TYPE test_histogram histogram\ntest_histogram_count 1000000000\ntest_histogram_sum 5000000000.0\n\
        test_histogram_bucket{le=\"+Inf\"} 1000000000\n";
    let seen = scraped(page).await;
    assert_eq!(seen.last().one("test_histogram_count").value(), 1e9);
    assert_eq!(seen.last().one("test_histogram_sum").value(), 5e9);
    assert_eq!(buckets(&seen, "test_histogram_bucket"), said(&[("+Inf", 1e9)]));
}
