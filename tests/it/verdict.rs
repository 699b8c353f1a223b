//! What an answer means: the design's table, a test for each row.

use std::time::Duration;

use fleetpush::sink::remote_write::{Asked, Protocol, Reason, Reply, Verdict, Written, judge};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use rstest::rstest;

use Protocol::{One, Two};

const RETRY: Verdict = Verdict::Retry { after: None };
const HEADERS: Option<Written> = Some(Written { samples: 0 });

/// A request of ten samples to a receiver of which nothing is known.
fn asked(protocol: Protocol) -> Asked {
    Asked { protocol, samples: 10, two_confirmed: false, one_taken: false }
}

fn reply(status: u16) -> Reply<'static> {
    Reply { status, written: None, retry_after: None, text: "" }
}

fn with_headers(status: u16) -> Reply<'static> {
    Reply { written: HEADERS, ..reply(status) }
}

#[rstest]
fn a_success_of_1_0_is_delivered(#[values(200, 202, 204, 299)] status: u16) {
    assert_eq!(judge(&asked(One), &reply(status)), Verdict::Delivered);
}

#[rstest]
fn a_success_of_2_0_with_written_headers_is_delivered_even_with_zero(#[values(200, 202, 204)] status: u16) {
    assert_eq!(judge(&asked(Two), &with_headers(status)), Verdict::Delivered);
}

#[rstest]
fn a_success_of_2_0_without_written_headers_falls_back(
    #[values(200, 202, 204)] status: u16,
    #[values(false, true)] two_confirmed: bool,
) {
    let asked = Asked { two_confirmed, ..asked(Two) };
    assert_eq!(judge(&asked, &reply(status)), Verdict::Fallback);
}

#[rstest]
fn a_415_to_2_0_falls_back(#[values(false, true)] two_confirmed: bool) {
    assert_eq!(judge(&Asked { two_confirmed, ..asked(Two) }, &reply(415)), Verdict::Fallback);
}

#[rstest]
fn a_400_406_or_422_falls_back_while_2_0_was_never_confirmed(#[values(400, 406, 422)] status: u16) {
    assert_eq!(judge(&asked(Two), &reply(status)), Verdict::Fallback);
    let refuse = Verdict::Refuse(Reason::BadData);
    assert_eq!(judge(&asked(Two), &with_headers(status)), refuse);
    assert_eq!(judge(&Asked { two_confirmed: true, ..asked(Two) }, &reply(status)), refuse);
}

#[rstest]
fn what_may_pass_is_retried(
    #[values(408, 421, 425, 429, 500, 502, 503, 504, 529, 599)] status: u16,
    #[values(One, Two)] protocol: Protocol,
) {
    assert_eq!(judge(&asked(protocol), &reply(status)), RETRY);
    let after = Some(Duration::from_secs(7));
    let told = Reply { retry_after: after, ..reply(status) };
    assert_eq!(judge(&asked(protocol), &told), Verdict::Retry { after });
}

#[rstest]
fn a_413_is_split_until_one_sample_is_left(#[values(One, Two)] protocol: Protocol) {
    assert_eq!(judge(&asked(protocol), &reply(413)), Verdict::Split);
    let single = Asked { samples: 1, ..asked(protocol) };
    assert_eq!(judge(&single, &reply(413)), Verdict::Refuse(Reason::TooLarge));
}

#[test]
fn a_400_to_1_0_is_bisected_where_1_0_was_taken_before() {
    let taken = Asked { one_taken: true, ..asked(One) };
    assert_eq!(judge(&taken, &reply(400)), Verdict::Bisect);
    assert_eq!(judge(&asked(One), &reply(400)), Verdict::Refuse(Reason::BadData));
    let single = Asked { samples: 1, ..taken };
    assert_eq!(judge(&single, &reply(400)), Verdict::Refuse(Reason::BadData));
}

#[rstest]
#[case(406, "", Reason::BadData)]
#[case(409, "store locally for endpoint: conflict", Reason::Conflict)]
#[case(409, "out of order sample", Reason::OutOfOrder)]
#[case(415, "", Reason::BadData)]
#[case(418, "duplicate sample for timestamp", Reason::Duplicate)]
#[case(422, "per-user series limit exceeded", Reason::Limit)]
#[case(499, "", Reason::BadData)]
fn every_other_4xx_is_refused_with_a_reason(
    #[case] status: u16,
    #[case] text: &str,
    #[case] reason: Reason,
    #[values(false, true)] one_taken: bool,
) {
    let asked = Asked { one_taken, ..asked(One) };
    assert_eq!(judge(&asked, &Reply { text, ..reply(status) }), Verdict::Refuse(reason));
}

#[rstest]
fn an_answer_that_is_not_about_the_samples_parks(
    #[values(301, 302, 307, 308, 401, 402, 403, 404, 405, 407, 410, 501)] status: u16,
    #[values(One, Two)] protocol: Protocol,
    #[values(false, true)] known: bool,
) {
    let asked = Asked { two_confirmed: known, one_taken: known, ..asked(protocol) };
    assert_eq!(judge(&asked, &reply(status)), Verdict::Park);
}

#[test]
fn no_status_loses_samples_that_nobody_has_refused() {
    for status in 0..1000 {
        for protocol in [One, Two] {
            let verdict = judge(&asked(protocol), &reply(status));
            let is_refusal = matches!(verdict, Verdict::Refuse(_));
            assert!(!is_refusal || (400..500).contains(&status), "{status}: {verdict:?}");
            let is_success = verdict == Verdict::Delivered;
            assert!(!is_success || (200..300).contains(&status), "{status}: {verdict:?}");
        }
    }
}

#[test]
fn any_of_the_three_written_headers_speaks_for_2_0() {
    let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    };
    let (samples, others) =
        ("x-prometheus-remote-write-samples-written", "x-prometheus-remote-write-exemplars-written");
    assert_eq!(Written::of(&headers(&[])), None);
    assert_eq!(Written::of(&headers(&[(samples, "7")])), Some(Written { samples: 7 }));
    assert_eq!(Written::of(&headers(&[(others, "7")])), Some(Written { samples: 0 }));
    for unreadable in ["", "-1", "many", "99999999999999999999999"] {
        assert_eq!(Written::of(&headers(&[(samples, unreadable)])), HEADERS, "{unreadable}");
    }
}
