//! A receiver that does not know 2.0. The suite's own cases never come to answer a 415; these do. Only a sender whose
//! version is not pinned can fall back.

use axum::body::Bytes;

use super::case::{Case, Seen, Version, has, times};
use super::site::{Got, Reply};

const SERIES: &str = "test_metric";

/// A receiver that answers 415 to samples in 2.0, and to the empty request that asks nothing that would help.
async fn unsupported() -> Seen {
    let answers = |_: usize, got: &Got| match (got.is_two, has(got, SERIES)) {
        (true, true) => Reply::bare(415, "RW 2.0 not supported, please use RW 1.0"),
        (true, false) => Reply::bare(204, ""),
        (false, _) => Reply::of(204, got),
    };
    let enough = |got: &[Got]| got.iter().filter(|got| !got.is_two && has(got, SERIES)).count() >= 3;
    Case::page("test_metric 42\n").version(Version::Auto).answers(answers).run_until(enough).await
}

/// The requests with samples of the page.
fn with_samples(seen: &Seen) -> Vec<&Got> {
    seen.requests.iter().filter(|got| has(got, SERIES)).collect()
}

#[tokio::test]
async fn fallback_on_415_unsupported_media_type() {
    let seen = unsupported().await;
    let versions: Vec<&str> =
        with_samples(&seen).iter().map(|got| got.header("x-prometheus-remote-write-version")).collect();
    assert_eq!(versions[..4], ["2.0.0", "0.1.0", "0.1.0", "0.1.0"]);
    assert!(seen.log.contains("please use RW 1.0"), "{}", seen.log);
}

#[tokio::test]
async fn retry_with_different_version() {
    let seen = unsupported().await;
    let [refused, taken] = with_samples(&seen)[..2] else { panic!("two requests") };
    assert_eq!((refused.status, taken.status), (415, 204));
    // The same samples, in the other form.
    let samples = |got: &Got| {
        let series = &got.request().series;
        series
            .iter()
            .map(|series| (series.labels.clone(), series.sample().bits, series.sample().at))
            .collect::<Vec<_>>()
    };
    assert_eq!(samples(refused), samples(taken));
    assert_ne!(refused.body, taken.body);
}

#[tokio::test]
async fn fallback_header_changes() {
    let seen = unsupported().await;
    let kinds: Vec<&str> = with_samples(&seen)[..2].iter().map(|got| got.header("content-type")).collect();
    assert_eq!(
        kinds,
        ["application/x-protobuf;proto=io.prometheus.write.v2.Request", "application/x-protobuf"]
    );
}

#[tokio::test]
async fn accept_success_after_fallback() {
    let seen = unsupported().await;
    let taken: Vec<&Bytes> = with_samples(&seen)[1..].iter().map(|got| &got.body).collect();
    assert!(taken.len() >= 3);
    // Nothing that was taken comes again.
    assert!(taken.windows(2).all(|two| two[0] != two[1]));
    assert_eq!(seen.values(SERIES)[1..], vec![42.0; taken.len()][..]);
}

#[tokio::test]
async fn persistent_fallback_choice() {
    let seen = unsupported().await;
    let later = seen.requests.iter().skip_while(|got| got.is_two);
    assert!(later.clone().count() >= 3);
    assert!(later.into_iter().all(|got| !got.is_two), "2.0 is not tried again");
}

#[tokio::test]
async fn a_415_to_the_question_is_enough() {
    // Beside the suite: no sample is sent in a version that the receiver has said not to know.
    let answers = |_: usize, got: &Got| Reply::of(if got.is_two { 415 } else { 204 }, got);
    let case = Case::page("test_metric 42\n").version(Version::Auto).answers(answers);
    let seen = case.run_until(times(2, SERIES)).await;
    assert!(with_samples(&seen).iter().all(|got| !got.is_two));
    assert!(seen.requests[0].is_two);
}

#[tokio::test]
async fn no_fallback_on_2xx() {
    let seen = Case::page("test_metric 42\n").version(Version::Auto).run_until(times(3, SERIES)).await;
    let versions = seen.requests.iter().map(|got| got.header("x-prometheus-remote-write-version"));
    assert!(versions.into_iter().all(|version| version == "2.0.0"));
    assert!(seen.requests.iter().all(|got| got.status == 204));
}
