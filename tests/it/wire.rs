//! Raw remote write for tests that must not go through the program: bodies of both versions, and one POST.

use std::time::Duration;

use fleetpush::pb::{remote_write_v1 as v1, remote_write_v2 as v2};
use prost::Message;
use reqwest::{Client, Response};

/// The content type of version 1.0.
pub const TYPE_1: &str = "application/x-protobuf";
/// The content type of version 2.0.
pub const TYPE_2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// A client that goes to loopback only and keeps no connection.
pub fn client() -> Client {
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(20))
        .pool_max_idle_per_host(0)
        .build()
        .expect("a client")
}

/// One series of version 1.0: labels as given, samples as (timestamp, value).
pub fn one(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> v1::TimeSeries {
    let label = |(name, value): &(&str, &str)| v1::Label { name: (*name).into(), value: (*value).into() };
    let sample = |(timestamp, value): &(i64, f64)| v1::Sample { value: *value, timestamp: *timestamp };
    v1::TimeSeries {
        labels: labels.iter().map(label).collect(),
        samples: samples.iter().map(sample).collect(),
        exemplars: Vec::new(),
    }
}

/// The block format of snappy.
pub fn pack(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).expect("snappy")
}

/// A body of version 1.0, before snappy.
pub fn body_1(timeseries: Vec<v1::TimeSeries>) -> Vec<u8> {
    v1::WriteRequest { timeseries, metadata: Vec::new() }.encode_to_vec()
}

/// The same series as a body of version 2.0, before snappy: gauges without help.
pub fn body_2(series: Vec<v1::TimeSeries>) -> Vec<u8> {
    let mut symbols = vec![String::new()];
    let mut timeseries = Vec::new();
    for one in series {
        let mut labels_refs = Vec::new();
        for text in one.labels.into_iter().flat_map(|label| [label.name, label.value]) {
            let known = symbols.iter().position(|symbol| *symbol == text).unwrap_or(symbols.len());
            if known == symbols.len() {
                symbols.push(text);
            }
            labels_refs.push(u32::try_from(known).expect("few symbols"));
        }
        let samples = one.samples.iter().map(|sample| v2::Sample {
            value: sample.value,
            timestamp: sample.timestamp,
            start_timestamp: 0,
        });
        let metadata = Some(v2::Metadata { r#type: 2, help_ref: 0, unit_ref: 0 });
        timeseries.push(v2::TimeSeries {
            labels_refs,
            samples: samples.collect(),
            exemplars: Vec::new(),
            metadata,
        });
    }
    v2::Request { symbols, timeseries }.encode_to_vec()
}

/// Sends a body with these headers.
pub async fn post(url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
    let mut request = client().post(url).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("an answer")
}

/// Sends series as version 1.0 in good order.
pub async fn post_1(url: &str, series: Vec<v1::TimeSeries>) -> Response {
    let headers = [
        ("content-type", TYPE_1),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ];
    post(url, &headers, pack(&body_1(series))).await
}
