//! What a gateway's answer means, and what to do about it. Pure. Answers as measured on Pushgateway 1.5.1
//! and 1.11.2; their texts differ, so only parts that both say are looked for.

use serde::Deserialize;

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Stored.
    Taken,
    /// This body is refused; the next one may be taken. With the next step.
    Refused(&'static str),
    /// We are refused, whatever we send. With the next step.
    Parked(&'static str),
    /// Later perhaps.
    Busy,
}

/// Reads an answer.
pub(super) fn of(status: u16, text: &str) -> Verdict {
    match status {
        200..=299 => Verdict::Taken,
        300..=399 => {
            Verdict::Parked("it points elsewhere, which is not followed: set url to the gateway itself")
        }
        400 => Verdict::Refused(bad_request(text)),
        401 => Verdict::Parked(
            "credentials are missing or wrong: set basic_auth, authorization or their variables",
        ),
        403 => Verdict::Parked("these credentials may not push here: use others"),
        404 => Verdict::Parked(
            "no Pushgateway at this path: give its base URL, with its --web.route-prefix if it has one",
        ),
        405 | 501 => Verdict::Parked("this server takes no pushes: give a Pushgateway's base URL"),
        402 | 407 | 410 => {
            Verdict::Parked("the server or a proxy before it refuses us: check url and proxy_url")
        }
        408 | 421 | 425 | 429 | 500..=599 => Verdict::Busy,
        413 => Verdict::Refused(
            "the body is larger than the server or a proxy before it allows: raise its limit",
        ),
        431 => Verdict::Refused("the group's labels are longer than the server allows: shorten them"),
        _ => Verdict::Refused("check that url names a Pushgateway"),
    }
}

fn bad_request(text: &str) -> &'static str {
    // The gateway's own series, twice or unreadable: no pusher's are taken any more.
    let is_poisoned = ["\"push_time_seconds\"", "\"push_failure_time_seconds\""];
    if is_poisoned.iter().any(|name| text.contains(name)) {
        "a group of another pusher breaks the whole gateway: delete the group that was pushed with an empty \
         instance or with a value that is no UTF-8"
    } else if text.contains("was collected before with the same name and label values") {
        "another group of this gateway has the same series: give each pusher its own instance or grouping"
    } else if text.contains("is not a ") {
        "another group of this gateway has this metric with another type: delete that group or rename its metric"
    } else if text.contains("HTTP request to an HTTPS server") {
        "the gateway speaks https: write https:// in url"
    } else if text.contains("inconsistent with existing metrics") {
        "the gateway holds something that contradicts it: look at its own page for groups with a failed push"
    } else if text.trim().is_empty() {
        "it gave no reason: write https:// in url if the gateway speaks it, else look at its own log"
    } else {
        "look at the gateway's own log and page; the next cycle is pushed anyway"
    }
}

/// In words what a gateway said of itself (`/api/v1/status`).
pub(super) fn describe(status: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Status {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        #[serde(default)]
        build_information: Build,
        #[serde(default)]
        flags: Flags,
    }
    #[derive(Default, Deserialize)]
    struct Build {
        version: Option<String>,
    }
    #[derive(Default, Deserialize)]
    struct Flags {
        #[serde(rename = "push.disable-consistency-check")]
        unchecked: Option<String>,
    }
    let Ok(Status { data }) = serde_json::from_slice(status) else {
        return "ready, but it does not say what it is: is it a Pushgateway?".into();
    };
    let version = data
        .build_information
        .version
        .map(|version| format!(" {}", crate::http::excerpt(version.as_bytes())));
    let unchecked = data.flags.unchecked.is_some_and(|flag| flag == "true");
    let note = if unchecked {
        "; it runs with --push.disable-consistency-check, so a bad push of anyone breaks its page"
    } else {
        ""
    };
    format!("ready, Pushgateway{}{note}", version.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_only_a_person_can_change_park_and_the_others_do_not() {
        for status in [301, 307, 401, 402, 403, 404, 405, 407, 410, 501] {
            assert!(matches!(of(status, ""), Verdict::Parked(_)), "{status}");
        }
        for status in [408, 421, 425, 429, 500, 502, 503, 504] {
            assert_eq!(of(status, ""), Verdict::Busy, "{status}");
        }
        for status in [400, 409, 411, 413, 422, 431] {
            assert!(matches!(of(status, ""), Verdict::Refused(_)), "{status}");
        }
        assert_eq!((of(200, ""), of(202, "")), (Verdict::Taken, Verdict::Taken));
    }

    #[test]
    fn a_gateway_says_what_it_is() {
        let status = br#"{"status":"success","data":{"build_information":{"version":"1.11.2"},"flags":{"push.disable-consistency-check":"true"}}}"#;
        assert!(describe(status).starts_with("ready, Pushgateway 1.11.2; it runs with"));
        assert_eq!(describe(b"{\"data\":{}}"), "ready, Pushgateway");
        assert!(describe(b"<html>").contains("is it a Pushgateway?"));
    }
}
