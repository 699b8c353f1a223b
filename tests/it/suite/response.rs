//! What an answer is taken for.

use super::case::{Case, Seen, has, times};
use super::site::{Got, Reply};

const PAGE: &str = "test_metric 42\n";

/// A receiver that always answers the same, with what it says to have written.
async fn answered(status: u16, body: &'static str, written: &'static str) -> Seen {
    let answers = move |_: usize, got: &Got| {
        let mut reply = Reply::of(status, got).body(body);
        reply.headers.retain(|(name, _)| !name.ends_with("samples-written"));
        reply.header("x-prometheus-remote-write-samples-written", written)
    };
    Case::page(PAGE).answers(answers).run_until(times(3, "test_metric")).await
}

/// A receiver that refuses, until that was logged; what it says of itself is in the log.
async fn refused(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Seen {
    let case = Case::page("sample_1 1\nsample_2 2\nsample_3 3\n").answers(move |_, _| reply());
    case.run_until_all(|site, running| {
        site.look(|got| !got.is_empty()) && running.log().contains("receiver answered 400")
    })
    .await
}

/// Every request is of another scrape: what was taken is not sent again.
fn each_once(seen: &Seen) {
    let mut times: Vec<i64> = seen.samples("test_metric").into_iter().map(|(_, at, _)| at).collect();
    assert!(times.len() >= 3);
    times.dedup();
    assert_eq!(times.len(), seen.requests.len());
}

#[tokio::test]
async fn ignore_response_body_on_success() {
    // A 204 has no body on the wire; a 200 has, and it reads like a failure.
    each_once(&answered(200, "error: out of order sample", "5").await);
}

#[tokio::test]
async fn process_written_count_headers() {
    each_once(&answered(204, "", "3").await);
}

#[tokio::test]
async fn handle_partial_write_response() {
    // 400 with headers: it knows 2.0 and has kept two of the samples. They are not sent again.
    let reply = || {
        let headers =
            Reply::bare(400, "Rejected 1 sample").header("x-prometheus-remote-write-samples-written", "2");
        headers.header("x-prometheus-remote-write-histograms-written", "0")
    };
    let seen = refused(reply).await;
    let bodies: Vec<_> = seen.requests.iter().map(|got| &got.body).collect();
    assert!(bodies.windows(2).all(|two| two[0] != two[1]));
    assert!(seen.log.contains("Rejected 1 sample"), "{}", seen.log);
}

#[tokio::test]
async fn handle_missing_written_headers() {
    // Nothing was written then; with 2.0 pinned the endpoint is parked, and nothing is dropped.
    let seen = refused(|| Reply::bare(400, "Bad request")).await;
    assert_eq!(seen.requests.len(), 1);
    assert!(seen.log.contains("does not store remote write 2.0"), "{}", seen.log);
    assert!(!seen.log.contains("samples refused or dropped"), "{}", seen.log);
}

#[tokio::test]
async fn log_error_messages_verbatim() {
    let text = "Error: Invalid label name '__invalid__'";
    let seen = refused(move || Reply::bare(400, text)).await;
    // Not a word of it is changed; logfmt only puts a backslash before each quote.
    assert!(seen.log.replace("\\'", "'").contains(text), "{}", seen.log);
}

#[tokio::test]
async fn handle_large_error_body() {
    let seen = refused(|| Reply::bare(400, &"detailed error information; ".repeat(1000))).await;
    assert!(seen.log.contains("detailed error information"), "its beginning is said");
    assert!(seen.log.len() < 20_000, "and not all of it: {} bytes", seen.log.len());
}

#[tokio::test]
async fn handle_204_no_content() {
    each_once(&answered(204, "", "1").await);
}

#[tokio::test]
async fn handle_200_ok() {
    each_once(&answered(200, "OK", "1").await);
}

#[tokio::test]
async fn content_type_negotiation() {
    let seen = Case::page(PAGE).run_until(times(2, "test_metric")).await;
    for got in seen.requests.iter().filter(|got| has(got, "test_metric")) {
        assert!(got.header("content-type").contains("application/x-protobuf"));
    }
}
