//! A receiver or a network that fails: the sender lives, goes on scraping and sends what it has once it can. That it
//! lives until its signal and then ends with 0 is held to in every case.

use std::time::Duration;

use super::case::{Case, Seen, times};
use super::site::{Got, Page, Reply};
use super::timed::seen;

/// A receiver that answers badly once and then as it should.
async fn once_bad(bad: impl Fn(&Got) -> Reply + Send + Sync + 'static) -> Seen {
    Case::pages(|n| Page::of(format!("test_metric {n}\n")))
        .answers(move |number, got| if number == 0 { bad(got) } else { Reply::of(204, got) })
        .run_until(times(3, "test_metric"))
        .await
}

/// Nothing is missing of what was scraped.
fn goes_on(seen: &Seen) {
    let taken =
        seen.requests.iter().filter(|got| got.status == 204).flat_map(|got| got.request().all("test_metric"));
    let values: Vec<f64> = taken.map(|series| series.value()).collect();
    let expected: Vec<f64> = (0..values.len()).map(|number| number as f64).collect();
    assert!(values.len() >= 2);
    assert_eq!(values, expected);
}

#[test]
fn connection_refused() {
    let seen = seen("connection_refused");
    assert!(seen.scrapes >= 3);
    assert!(seen.log.contains("onnection refused"), "{}", seen.log);
}

#[test]
fn timeout() {
    let seen = seen("timeout");
    // One request hangs; no other is sent beside it, since it may still arrive.
    assert_eq!((seen.came, seen.requests.len()), (1, 0));
    assert!(seen.scrapes >= 3, "scraping goes on meanwhile");
}

#[tokio::test]
async fn partial_write() {
    // 200 with a body and without the headers of 2.0: nothing was stored, as an older receiver does.
    let case = Case::page("test_metric 42\n").answers(|_, _| Reply::bare(200, "partial"));
    let seen = case.run_until_all(|_, running| running.log().contains("without Written headers")).await;
    assert_eq!(seen.requests.len(), 1);
    assert!(seen.log.contains("does not store remote write 2.0"), "{}", seen.log);
}

#[tokio::test]
async fn malformed_response() {
    let bad = |_: &Got| Reply::bare(503, "Not valid response headers\r\n\u{0}\u{7f}");
    goes_on(&once_bad(bad).await);
}

#[test]
fn sender_continues_after_errors() {
    let seen = seen("retry_on_500");
    goes_on(&seen);
    assert_eq!(seen.requests[0].status, 500);
}

#[test]
fn invalid_status_code() {
    let seen = seen("invalid_status_code");
    goes_on(&seen);
    assert_eq!(seen.requests[0].status, 999);
}

#[tokio::test]
async fn empty_response() {
    let case = Case::page("test_metric 42\n").answers(|_, _| Reply::bare(200, ""));
    let seen = case.run_until_all(|_, running| running.log().contains("without Written headers")).await;
    assert_eq!(seen.requests.len(), 1, "it is not sent again at once");
}

#[tokio::test]
async fn large_error_response() {
    let case = Case::page("test_metric 42\n").answers(|_, _| Reply::bare(400, &"x".repeat(1 << 20)));
    let seen = case.run_until_all(|_, running| running.log().contains("answered 400")).await;
    assert!(seen.log.contains("xxxx") && seen.log.len() < 20_000, "{} bytes", seen.log.len());
}

#[test]
fn dns_resolution_failure() {
    let seen = seen("dns_resolution_failure");
    assert!(seen.scrapes >= 3 && seen.came == 0);
    assert!(seen.log.contains("nonexistent.invalid"), "{}", seen.log);
}

#[tokio::test]
async fn invalid_url_scheme() {
    // Where a user would be told, the wrapper of a suite waits for its signal.
    let case = Case::page("test_metric 42\n").url("invalid://localhost:9999");
    let said = "waiting for a signal";
    let seen = case.run_until_all(|_, running| running.log().contains(said)).await;
    assert_eq!((seen.scrapes, seen.came), (0, 0));
    assert!(seen.log.contains("invalid://") || seen.log.contains("http:// or https://"), "{}", seen.log);
}

#[tokio::test]
async fn slow_answers() {
    // Beside the suite: an answer that takes longer than a scrape holds back the next request, and loses none.
    let page = |n| Page::of(format!("test_metric {n}\n"));
    let slow = |_: usize, got: &Got| Reply::of(204, got).after(Duration::from_millis(1_300));
    goes_on(&Case::pages(page).answers(slow).run_until(times(3, "test_metric")).await);
}
