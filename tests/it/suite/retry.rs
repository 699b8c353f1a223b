//! What comes again and what does not. Eight seconds of a page that is scraped once a second leave room for two
//! requests to a receiver that says no.

use super::case::Seen;
use super::timed::seen;

/// Holds eight seconds to one or two requests, none of them twice.
fn one_or_two(seen: &Seen, status: u16) {
    let bodies: Vec<_> = seen.requests.iter().map(|got| &got.body).collect();
    assert!((1..=2).contains(&bodies.len()), "{} requests", bodies.len());
    assert!(seen.requests.iter().all(|got| got.status == status));
    assert!(bodies.len() < 2 || bodies[0] != bodies[1], "the same request came again");
    assert!(seen.scrapes >= 6, "the page was scraped all the time: {} times", seen.scrapes);
    assert!(seen.log.contains(&format!("answered {status}")), "it is said why:\n{}", seen.log);
}

/// Holds a first request that was not taken to coming again as it was, before anything newer.
fn again(seen: &Seen, status: u16) {
    let [first, second, third] = &seen.requests[..3] else { panic!("three requests") };
    assert_eq!([first.status, second.status, third.status], [status, 204, 204]);
    assert_eq!(first.body, second.body, "the same bytes");
    assert_eq!((first.header("retry-attempt"), second.header("retry-attempt")), ("", "1"));
    assert_eq!(third.header("retry-attempt"), "");
    // Nothing was lost meanwhile: the scrapes' numbers go on without a gap.
    let values = seen.values("test_metric");
    let taken: Vec<f64> = values[1..].to_vec();
    let expected: Vec<f64> = (0..taken.len()).map(|number| number as f64).collect();
    assert_eq!(taken, expected);
}

#[test]
fn no_retry_on_400() {
    one_or_two(&seen("no_retry_on_400"), 400);
}

#[test]
fn no_retry_on_401() {
    one_or_two(&seen("no_retry_on_401"), 401);
}

#[test]
fn no_retry_on_404() {
    one_or_two(&seen("no_retry_on_404"), 404);
}

#[test]
fn no_retry_on_413() {
    // The second is a half of the first.
    let seen = seen("no_retry_on_413");
    one_or_two(&seen, 413);
    let sizes: Vec<usize> = seen.requests.iter().map(|got| got.request().series.len()).collect();
    assert!(sizes.is_sorted_by(|one, two| one > two), "{sizes:?}");
}

#[test]
fn no_retry_on_400_in_1_0() {
    // Beside the suite, which speaks 2.0: there a 400 parks the endpoint, here it refuses a request.
    one_or_two(&seen("no_retry_on_400_in_1_0"), 400);
}

#[test]
fn may_retry_on_429() {
    let seen = seen("may_retry_on_429");
    again(&seen, 429);
    let waited = seen.requests[1].at_ms - seen.requests[0].at_ms;
    assert!(waited >= 1_000, "as long as it was asked to: {waited} ms");
}

#[test]
fn retry_on_500() {
    again(&seen("retry_on_500"), 500);
}

#[test]
fn retry_on_502() {
    again(&seen("retry_on_502"), 502);
}

#[test]
fn retry_on_503() {
    again(&seen("retry_on_503"), 503);
}

#[test]
fn retry_on_504() {
    again(&seen("retry_on_504"), 504);
}
