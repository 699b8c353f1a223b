//! What goes into one request.

use std::collections::BTreeSet;

use super::case::{Case, Seen, has, scraped, times};
use super::decode::{COUNTER, GAUGE};

fn names(seen: &Seen) -> BTreeSet<&str> {
    seen.last().names().into_iter().collect()
}

#[tokio::test]
async fn multiple_series_per_request() {
    let page = "http_requests_total{method=\"GET\",status=\"200\"} 1000\nhttp_requests_total{method=\"POST\",status=\"200\"} 500\n\
        http_requests_total{method=\"GET\",status=\"404\"} 50\ncpu_usage_percent 45.2\nmemory_usage_bytes 1048576\n\
        disk_io_bytes_total 1000000\n";
    let seen = scraped(page).await;
    assert_eq!(seen.last().all("http_requests_total").len(), 3);
    let more = ["cpu_usage_percent", "memory_usage_bytes", "disk_io_bytes_total", "up"];
    assert!(more.iter().all(|name| names(&seen).contains(name)), "{:?}", names(&seen));
}

#[tokio::test]
async fn batch_size_reasonable() {
    let page: String = (0..12_000).map(|n| format!("metric{{label=\"{n}\"}} 1\n")).collect();
    let whole = |got: &[super::site::Got]| {
        let all = got.iter().filter_map(|got| got.request.as_ref().ok());
        all.map(|request| request.all("metric").len()).sum::<usize>() >= 12_000
    };
    let seen = Case::page(page).run_until(whole).await;
    let sizes: Vec<usize> = seen.requests.iter().map(|got| got.request().series.len()).collect();
    assert!(sizes.iter().all(|size| (1..=10_000).contains(size)), "{sizes:?}");
    // Neither a request for each series.
    assert!(sizes.iter().max().is_some_and(|largest| *largest >= 1_000), "{sizes:?}");
    let first = seen.requests[0].request().series[0].sample().at;
    let scrape = seen.requests.iter().flat_map(|got| got.request().all("metric"));
    let labels: BTreeSet<_> = scrape.filter(|s| s.sample().at == first).map(|s| s.label("label")).collect();
    assert_eq!(labels.len(), 12_000, "the first scrape arrives as a whole");
}

#[tokio::test]
async fn handles_varying_cardinality() {
    let page = "api_calls{endpoint=\"/users\",method=\"GET\",region=\"us-east\",status=\"200\"} 100\n\
        api_calls{endpoint=\"/users\",method=\"POST\",region=\"us-east\",status=\"201\"} 50\n\
        api_calls{endpoint=\"/posts\",method=\"GET\",region=\"us-west\",status=\"200\"} 200\n\
        api_calls{endpoint=\"/posts\",method=\"DELETE\",region=\"eu-west\",status=\"204\"} 10\n\
        api_calls{endpoint=\"/comments\",method=\"GET\",region=\"ap-south\",status=\"200\"} 500\nlow_cardinality_metric 42\n";
    let seen = scraped(page).await;
    let values: Vec<f64> = seen.last().all("api_calls").iter().map(|series| series.value()).collect();
    assert_eq!(values, [100.0, 50.0, 200.0, 10.0, 500.0]);
    assert_eq!(seen.last().one("low_cardinality_metric").value(), 42.0);
}

#[tokio::test]
async fn efficient_symbol_reuse() {
    let page = "http_requests{service=\"api\",method=\"GET\"} 100\nhttp_requests{service=\"api\",method=\"POST\"} 50\n\
        http_requests{service=\"web\",method=\"GET\"} 200\nhttp_duration{service=\"api\",method=\"GET\"} 0.5\n\
        http_duration{service=\"api\",method=\"POST\"} 0.3\n";
    let seen = Case::page(page).run_until(times(2, "http_duration")).await;
    for got in &seen.requests {
        for symbol in ["api", "web", "GET", "POST", "service", "http_requests"] {
            let count = got.request().symbols.iter().filter(|have| *have == symbol).count();
            assert_eq!(count, 1, "{symbol}");
        }
    }
}

#[tokio::test]
async fn metadata_batching() {
    let page = "# HELP http_requests_total Total HTTP requests\n# TYPE http_requests_total counter\n\
        http_requests_total{method=\"GET\"} 1000\nhttp_requests_total{method=\"POST\"} 500\n\n\
        # HELP memory_usage_bytes Current memory usage\n# TYPE memory_usage_bytes gauge\nmemory_usage_bytes 1048576\n";
    let seen = Case::page(page).run_until(times(2, "memory_usage_bytes")).await;
    for got in seen.requests.iter().filter(|got| has(got, "memory_usage_bytes")) {
        let kinds: Vec<u64> =
            got.request().all("http_requests_total").iter().map(|series| series.metadata.kind).collect();
        assert_eq!(kinds, [COUNTER; 2], "in every request, not only in the first");
        assert_eq!(got.request().one("memory_usage_bytes").metadata.kind, GAUGE);
    }
}

#[tokio::test]
async fn concurrent_requests() {
    let page = "metric_1 1\nmetric_2 2\nmetric_3 3\nmetric_4 4\nmetric_5 5\n";
    let seen = Case::page(page).run_until(times(2, "metric_5")).await;
    for got in &seen.requests {
        let values = ["metric_1", "metric_2", "metric_3", "metric_4", "metric_5"]
            .map(|n| got.request().one(n).value());
        assert_eq!(values, [1.0, 2.0, 3.0, 4.0, 5.0]);
    }
}
