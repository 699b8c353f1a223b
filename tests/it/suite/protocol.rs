//! How a request of 2.0 goes over HTTP. The harness holds every request of every case to these as well.

use axum::http::Method;

use super::case::{Case, Seen, times};
use super::site::Got;

/// Two requests of a page with one series.
async fn requests() -> Vec<Got> {
    let seen: Seen = Case::page("test_metric 42\n").run_until(times(2, "test_metric")).await;
    assert!(seen.requests.len() >= 2);
    seen.requests
}

#[tokio::test]
async fn content_type_protobuf() {
    for got in requests().await {
        assert!(got.header("content-type").contains("application/x-protobuf"));
    }
}

#[tokio::test]
async fn content_type_with_proto_param() {
    // Some receivers compare the whole text, and some split it at the semicolon: there is no space behind it.
    for got in requests().await {
        let kind = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
        assert_eq!(got.header("content-type"), kind);
    }
}

#[tokio::test]
async fn content_encoding_snappy() {
    for got in requests().await {
        assert_eq!(got.header("content-encoding"), "snappy");
    }
}

#[tokio::test]
async fn version_header_present() {
    for got in requests().await {
        assert_ne!(got.header("x-prometheus-remote-write-version"), "");
    }
}

#[tokio::test]
async fn version_header_value() {
    for got in requests().await {
        assert_eq!(got.header("x-prometheus-remote-write-version"), "2.0.0");
    }
}

#[tokio::test]
async fn user_agent_present() {
    for got in requests().await {
        let (name, version) = got.header("user-agent").split_once('/').expect("a name and a version");
        assert_eq!((name, version), ("fleetpush", env!("CARGO_PKG_VERSION")));
    }
}

#[tokio::test]
async fn snappy_block_format() {
    for got in requests().await {
        assert!(!got.body.starts_with(&[0xff, 0x06, 0x00, 0x00, b's', b'N', b'a', b'P', b'p', b'Y']));
        snap::raw::Decoder::new().decompress_vec(&got.body).expect("a snappy block");
    }
}

#[tokio::test]
async fn protobuf_parseable() {
    for got in requests().await {
        assert!(!got.request().symbols.is_empty());
        assert!(!got.request().series.is_empty());
    }
}

#[tokio::test]
async fn http_method() {
    for got in requests().await {
        assert_eq!((got.method.clone(), &*got.path), (Method::POST, "/push"));
        // A first try has no number of earlier ones.
        assert_eq!(got.header("retry-attempt"), "");
    }
}
