//! What an operator can do about a receiver's answer that takes nothing.

use reqwest::Url;

use crate::http::redact;

/// The next step after an answer that says nothing about the samples.
pub fn after_answer(status: u16, location: Option<&str>) -> String {
    let step = match status {
        300..=399 => {
            let target = location.and_then(|location| Url::parse(location).ok()).map(|url| redact(&url));
            let target = target.unwrap_or_else(|| "its target".to_owned());
            return format!("redirects are not followed: set the URL to {target}");
        }
        401 => "check the credentials: user and password, or the token, and the tenant (X-Scope-OrgID)",
        402 => "the receiver wants to be paid: check the account's plan",
        403 => "the credentials are known but may not write: give the token the right to write metrics",
        404 | 405 => {
            "check the URL's path: /api/v1/push for Mimir (Grafana Cloud: /api/prom/push), /api/v1/write for \
             VictoriaMetrics and for Prometheus with --web.enable-remote-write-receiver, /api/v1/receive for Thanos"
        }
        407 => "check the proxy's credentials",
        408 | 425 | 429 => "the receiver is busy: nothing needs to be done, unless it stays so",
        410 => "this endpoint is gone for good: ask the receiver's operator for the new URL",
        415 => "check that the URL is one for remote write",
        501 => "remote write is switched off at the receiver: switch it on there",
        500..=599 => "the receiver, or a proxy before it, is not well: look at its log",
        _ => "look at the receiver's log",
    };
    step.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_names_its_target_without_a_secret() {
        let step = after_answer(308, Some("https://me:hunter2@other.test/push?key=hunter2"));
        assert_eq!(step, "redirects are not followed: set the URL to https://other.test/push");
        assert_eq!(after_answer(302, None), "redirects are not followed: set the URL to its target");
    }
}
