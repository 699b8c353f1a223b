//! How long is waited before another try.

use super::timed::seen;

/// The milliseconds between the tries of one request.
fn intervals(name: &str) -> Vec<i64> {
    let seen = seen(name);
    assert!(seen.requests.len() >= 3);
    assert!(
        seen.requests.iter().all(|got| got.body == seen.requests[0].body),
        "each try is of the same bytes"
    );
    let attempts: Vec<&str> = seen.requests.iter().map(|got| got.header("retry-attempt")).collect();
    assert_eq!(attempts[..3], ["", "1", "2"]);
    seen.requests.windows(2).map(|two| two[1].at_ms - two[0].at_ms).collect()
}

#[test]
fn exponential_backoff_on_retries() {
    let intervals = intervals("tries_of_503");
    for two in intervals.windows(2) {
        assert!(two[1] as f64 >= two[0] as f64 * 0.8, "{intervals:?}");
    }
}

#[test]
fn backoff_required() {
    let intervals = intervals("tries_of_503");
    assert!(intervals.iter().all(|interval| *interval >= 1), "{intervals:?}");
}

#[test]
fn backoff_max_delay() {
    let intervals = intervals("tries_of_502");
    assert!(intervals.iter().all(|interval| *interval <= 60_000), "{intervals:?}");
}

#[test]
fn backoff_with_jitter() {
    // Of a tenth at most: twice as long each time, but not to the millisecond.
    let (one, two) = (intervals("tries_of_503"), intervals("tries_of_502"));
    assert_ne!(one, two, "two senders do not come at the same times");
    assert!(one.len() >= 2);
}
