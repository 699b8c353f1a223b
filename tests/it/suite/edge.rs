//! Pages at the edge of what is usual.

use super::case::{Case, has, scraped, times};
use super::decode::STALE;
use crate::remote_rig::now;

#[tokio::test]
async fn empty_scrape() {
    let seen = scraped("# No metrics\n").await;
    assert_eq!(seen.last().one("up").value(), 1.0);
    assert_eq!(seen.last().one("scrape_samples_scraped").value(), 0.0);
}

#[tokio::test]
async fn huge_label_values() {
    let value = "x".repeat(10_000);
    let seen = scraped(format!("test_metric{{large_label=\"{value}\"}} 42\n")).await;
    assert_eq!(seen.last().one("test_metric").own_labels(), [("large_label", &*value)]);
}

#[tokio::test]
async fn unicode_in_labels() {
    let page =
        "test_metric{emoji=\"🚀\",chinese=\"测试\",arabic=\"مرحبا\",vietnamese=\"tôi yêu việt nam\"} 42\n";
    let seen = scraped(page).await;
    let expected =
        [("arabic", "مرحبا"), ("chinese", "测试"), ("emoji", "🚀"), ("vietnamese", "tôi yêu việt nam")];
    assert_eq!(seen.last().one("test_metric").own_labels(), expected);
}

#[tokio::test]
async fn many_timeseries() {
    let page: String = (0..100).map(|n| format!("metric_{n:03} {n}\n")).collect();
    let seen = scraped(page).await;
    let own: Vec<f64> = (0..100).map(|n| seen.last().one(&format!("metric_{n:03}")).value()).collect();
    assert_eq!(own, (0..100).map(f64::from).collect::<Vec<_>>());
}

#[tokio::test]
async fn high_cardinality() {
    let page: String = (0..50)
        .map(|n| format!("http_requests{{path=\"/api/v1/endpoint_{n:02}\",method=\"GET\"}} {n}\n"))
        .collect();
    let seen = scraped(page).await;
    let all = seen.last().all("http_requests");
    assert_eq!(all.len(), 50);
    assert_eq!(all[49].label("path"), Some("/api/v1/endpoint_49"));
    assert_eq!(seen.last().symbols.iter().filter(|symbol| *symbol == "GET").count(), 1);
}

#[tokio::test]
async fn very_long_metric_name() {
    let name = format!("metric_{}", "very_long_name_".repeat(50));
    let seen = scraped(format!("{name} 42\n")).await;
    assert_eq!(seen.last().one(&name).value(), 42.0);
}

#[tokio::test]
async fn special_float_combinations() {
    let page = "special_values{type=\"nan\"} NaN\nspecial_values{type=\"inf\"} +Inf\nspecial_values{type=\"ninf\"} -Inf\n\
        special_values{type=\"zero\"} 0\nspecial_values{type=\"negative\"} -123.45\n";
    let seen = scraped(page).await;
    let all = seen.last().all("special_values");
    let found: Vec<(&str, u64)> =
        all.iter().map(|series| (series.label("type").unwrap_or_default(), series.sample().bits)).collect();
    let expected = [
        ("nan", 0x7ff8_0000_0000_0001),
        ("inf", f64::INFINITY.to_bits()),
        ("ninf", f64::NEG_INFINITY.to_bits()),
        ("zero", 0),
        ("negative", (-123.45_f64).to_bits()),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn zero_timestamp() {
    // A sample of 1970 is the page's own word; whatever becomes of it, what stands beside it arrives, each second.
    let seen = Case::page("test_metric 42 0\nother 1\n").run_until(times(3, "other")).await;
    let now = now();
    for name in ["other", "up"] {
        assert!(seen.samples(name).iter().all(|(_, at, _)| (now - at).abs() < 300_000), "{name}");
    }
    let times: Vec<i64> = seen.samples("test_metric").into_iter().map(|(_, at, _)| at).collect();
    // Once: a series' times rise, so the same time again is no sample.
    assert!(times == [0] || times.is_empty(), "{times:?}");
}

#[tokio::test]
async fn future_timestamp() {
    let tomorrow = now() + 86_400_000;
    let seen = Case::page(format!("test_metric 42 {tomorrow}\nother 1\n")).run_until(times(2, "other")).await;
    assert!(seen.requests.iter().all(|got| !has(got, "test_metric")), "it would block every other sender");
    assert!(seen.values("up").iter().all(|value| *value == 1.0), "the scrape itself is good");
}

#[tokio::test]
async fn metric_name_with_colons() {
    let seen = scraped("http:request:duration:seconds 0.5\n").await;
    assert_eq!(seen.last().one("http:request:duration:seconds").value(), 0.5);
}

#[tokio::test]
async fn stale_marker() {
    // Only a sender says that a series has ended; on a page this is no number, and the scrape fails.
    let seen = scraped("test_metric StaleNaN\n").await;
    assert!(seen.requests.iter().flat_map(|got| &got.request().series).all(|s| s.sample().bits != STALE));
    assert_eq!(seen.last().one("up").value(), 0.0);
}

#[tokio::test]
async fn mixed_sample_and_histogram_families() {
    let page = "# Counter\nrequests_total 100\n\n# Gauge\ntemperature_celsius 22.5\n\n# Histogram\n\
        response_time_bucket{le=\"0.1\"} 50\nresponse_time_bucket{le=\"+Inf\"} 100\nresponse_time_sum 10.5\n\
        response_time_count 100\n\n# Summary\nrpc_duration{quantile=\"0.5\"} 0.05\nrpc_duration{quantile=\"0.9\"} 0.1\n\
        rpc_duration_sum 50.0\nrpc_duration_count 1000\n";
    let seen = scraped(page).await;
    let values = ["requests_total", "temperature_celsius", "response_time_sum", "rpc_duration_count"]
        .map(|name| seen.last().one(name).value());
    assert_eq!(values, [100.0, 22.5, 10.5, 1000.0]);
    assert_eq!(
        [seen.last().all("response_time_bucket").len(), seen.last().all("rpc_duration").len()],
        [2, 2]
    );
}

#[tokio::test]
async fn robustness_under_load() {
    let page: String = (0..200)
        .map(|n| format!("load_test_metric_{n:03}{{label=\"value_{}\"}} {}\n", n % 10, n % 10))
        .collect();
    let seen = Case::page(page).run_until(times(3, "load_test_metric_199")).await;
    for got in &seen.requests {
        let own = got.request().series.iter().filter(|series| series.name().starts_with("load_test_metric_"));
        assert_eq!(own.count(), 200);
    }
}
