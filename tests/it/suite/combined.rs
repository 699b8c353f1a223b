//! Several features of 2.0 in one page.

use std::collections::BTreeSet;

use super::case::scraped;
use super::decode::{COUNTER, GAUGE, HISTOGRAM};

#[tokio::test]
async fn samples_with_metadata() {
    let page = "# HELP http_requests_total Total HTTP requests received\n# TYPE http_requests_total counter\n\
        http_requests_total{method=\"GET\",status=\"200\"} 1000\nhttp_requests_total{method=\"POST\",status=\"201\"} 500\n";
    let seen = scraped(page).await;
    let all = seen.last().all("http_requests_total");
    assert_eq!(all.iter().map(|series| series.value()).collect::<Vec<_>>(), [1000.0, 500.0]);
    for series in all {
        assert_eq!((series.metadata.kind, &*series.metadata.help), (COUNTER, "Total HTTP requests received"));
    }
}

#[tokio::test]
async fn samples_with_exemplars() {
    let page = "# TYPE request_count counter\nrequest_count 1000 # {trace_id=\"abc123\",span_id=\"def456\"} 999 1234567890.123\n";
    let seen = scraped(page).await;
    let series = seen.first().one("request_count");
    assert_eq!((series.value(), series.exemplars.len()), (1000.0, 1));
    assert_eq!((series.exemplars[0].value, series.exemplars[0].at), (999.0, 1_234_567_890_123));
}

#[tokio::test]
async fn histogram_with_metadata_and_exemplars() {
    let page = "# HELP took Request duration in seconds\n# TYPE took histogram\n\
        took_bucket{le=\"0.1\"} 100 # {trace_id=\"hist123\"} 0.05 1234567890.0\ntook_bucket{le=\"0.5\"} 250\n\
        took_bucket{le=\"1.0\"} 500\ntook_bucket{le=\"+Inf\"} 1000\ntook_sum 450.5\ntook_count 1000\n";
    let seen = scraped(page).await;
    let buckets = seen.first().all("took_bucket");
    assert_eq!(buckets.iter().map(|series| series.exemplars.len()).collect::<Vec<_>>(), [1, 0, 0, 0]);
    for series in seen.first().series.iter().filter(|series| series.name().starts_with("took")) {
        let said = (series.metadata.kind, &*series.metadata.help);
        assert_eq!(said, (HISTOGRAM, "Request duration in seconds"), "{}", series.name());
    }
}

#[tokio::test]
async fn multiple_metric_types() {
    let page = "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 123.45\n\n# TYPE process_memory_bytes gauge\n\
        process_memory_bytes 1048576\n\n# TYPE took histogram\ntook_bucket{le=\"+Inf\"} 100\ntook_sum 50.0\ntook_count 100\n";
    let seen = scraped(page).await;
    let kinds = ["process_cpu_seconds_total", "process_memory_bytes", "took_count"]
        .map(|name| seen.last().one(name).metadata.kind);
    assert_eq!(kinds, [COUNTER, GAUGE, HISTOGRAM]);
}

#[tokio::test]
async fn high_cardinality_labels() {
    let page = "# TYPE http_requests_total counter\nhttp_requests_total{method=\"GET\",path=\"/api/v1/users\",status=\"200\"} 100\n\
        http_requests_total{method=\"GET\",path=\"/api/v1/posts\",status=\"200\"} 200\n\
        http_requests_total{method=\"POST\",path=\"/api/v1/users\",status=\"201\"} 50\n\
        http_requests_total{method=\"POST\",path=\"/api/v1/posts\",status=\"201\"} 75\n\
        http_requests_total{method=\"GET\",path=\"/api/v1/comments\",status=\"200\"} 300\n\
        http_requests_total{method=\"DELETE\",path=\"/api/v1/users\",status=\"204\"} 10\n";
    let seen = scraped(page).await;
    let all = seen.last().all("http_requests_total");
    let values: Vec<f64> = all.iter().map(|series| series.value()).collect();
    assert_eq!(values, [100.0, 200.0, 50.0, 75.0, 300.0, 10.0]);
}

#[tokio::test]
async fn complete_metric_family() {
    let page = "# HELP took API request duration\n# TYPE took histogram\ntook_bucket{le=\"0.1\"} 50\ntook_bucket{le=\"0.5\"} 150\n\
        took_bucket{le=\"1.0\"} 250\ntook_bucket{le=\"+Inf\"} 300\ntook_sum 200.5\ntook_count 300\n";
    let seen = scraped(page).await;
    assert_eq!(seen.last().all("took_bucket").len(), 4);
    assert_eq!((seen.last().one("took_sum").value(), seen.last().one("took_count").value()), (200.5, 300.0));
}

#[tokio::test]
async fn real_world_scenario() {
    let page = "# A page with an up of its own\n# TYPE up gauge\nup 1\n\n# TYPE process_cpu_seconds_total counter\n\
        process_cpu_seconds_total 45.67\n\n# TYPE go_memstats_alloc_bytes gauge\ngo_memstats_alloc_bytes 2097152\n\n\
        # TYPE took histogram\ntook_bucket{le=\"0.05\"} 100\ntook_bucket{le=\"0.1\"} 200\ntook_bucket{le=\"0.5\"} 450\n\
        took_bucket{le=\"1.0\"} 480\ntook_bucket{le=\"+Inf\"} 500\ntook_sum 125.5\ntook_count 500\n\n\
        # TYPE http_requests_total counter\nhttp_requests_total{method=\"GET\",code=\"200\"} 5000\n\
        http_requests_total{method=\"POST\",code=\"201\"} 1000\n";
    let seen = scraped(page).await;
    let names: BTreeSet<&str> = seen.last().names().into_iter().collect();
    let expected = [
        "go_memstats_alloc_bytes",
        "http_requests_total",
        "process_cpu_seconds_total",
        "took_bucket",
        "took_sum",
        "up",
    ];
    assert!(expected.iter().all(|name| names.contains(name)), "{names:?}");
    // The page's own `up` is the same series as the scrape's: it is sent once.
    assert_eq!(seen.last().one("up").value(), 1.0);
    assert!(seen.last().series.iter().all(|series| series.histograms == 0 && series.samples.len() == 1));
}

#[tokio::test]
async fn mixed_labels_and_metadata() {
    let page = "# HELP api_calls_total Total API calls with detailed labels\n# TYPE api_calls_total counter\n\
        api_calls_total{service=\"auth\",method=\"POST\",endpoint=\"/login\",region=\"us-east\",status=\"200\"} 1000\n\
        api_calls_total{service=\"auth\",method=\"POST\",endpoint=\"/logout\",region=\"us-east\",status=\"200\"} 500\n\
        api_calls_total{service=\"users\",method=\"GET\",endpoint=\"/profile\",region=\"eu-west\",status=\"200\"} 2000\n";
    let seen = scraped(page).await;
    let all = seen.last().all("api_calls_total");
    assert_eq!(all.iter().map(|series| series.value()).collect::<Vec<_>>(), [1000.0, 500.0, 2000.0]);
    for series in all {
        let names: Vec<&str> = series.own_labels().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["endpoint", "method", "region", "service", "status"]);
        assert_eq!(series.metadata.kind, COUNTER);
    }
}
