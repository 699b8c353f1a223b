//! What an operator can do about a receiver's answer that takes nothing.

use reqwest::Url;

use super::remote_write::Reason;
use crate::http::redact;

/// An answer as far as advice goes.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// Where it came from.
    pub url: &'a Url,
    /// The status.
    pub status: u16,
    /// The header `Location`.
    pub location: Option<&'a str>,
    /// The body's beginning.
    pub text: &'a str,
}

/// The next step after an answer that takes nothing.
pub fn after_answer(answered: Answered<'_>) -> String {
    let Answered { url, status, location, text } = answered;
    let text = text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let step = match status {
        300..=399 => {
            let target = location.and_then(|location| url.join(location).ok()).map(|url| redact(&url));
            let target = target.unwrap_or_else(|| "its target".to_owned());
            return format!("redirects are not followed: set the URL to {target}");
        }
        400 if says(&["http request to an https server", "http request was sent to https port"]) => {
            "it speaks TLS: write https:// in the URL"
        }
        400 | 409 | 422 => {
            let reason = Reason::of(status, &text);
            reason.explanation().unwrap_or("look at the receiver's log")
        }
        401 if says(&["no org id"]) => {
            "it wants a tenant: set the header X-Scope-OrgID (headers:, or the variable REMOTE_WRITE_TENANT)"
        }
        401 if is_grafana_cloud(url) => {
            "at Grafana Cloud the user name is the number of the metrics instance (on the stack's Prometheus page), and \
             the password a token of an access policy with the scope metrics:write, of the same stack, that is neither \
             deleted nor expired"
        }
        401 => "check the credentials: user and password, or the token, and the tenant (X-Scope-OrgID)",
        402 => "the receiver wants to be paid: check the account's plan",
        403 if is_grafana_cloud(url) => {
            "Grafana Cloud knows the token, but it may not write here: give its access policy the scope metrics:write, \
             and this stack among its realms"
        }
        403 => "the credentials are known but may not write: give the token the right to write metrics",
        404 | 501 if says(&["remote write receiver", "enable-remote-write-receiver"]) => {
            "start Prometheus with --web.enable-remote-write-receiver"
        }
        404 | 405 if is_grafana_cloud(url) => {
            "check the URL's path: remote write ends with /api/prom/push at Grafana Cloud; /api/prom is for queries"
        }
        404 | 405 => {
            "check the URL's path: /api/v1/push for Mimir (Grafana Cloud: /api/prom/push), /api/v1/write for \
             VictoriaMetrics and for Prometheus with --web.enable-remote-write-receiver, /api/v1/receive for Thanos"
        }
        407 => {
            "check the credentials of the proxy: they stand in its URL, as http://user:password@proxy:3128"
        }
        408 | 425 | 429 => "the receiver is busy: nothing needs to be done, unless it stays so",
        410 => "this endpoint is gone for good: ask the receiver's operator for the new URL",
        413 => {
            "the receiver, or a proxy before it, takes no body of this size: raise its limit, or lower \
             queue_config.max_samples_per_send"
        }
        415 => "check that the URL is one for remote write",
        501 => "remote write is switched off at the receiver: switch it on there",
        500..=599 => "the receiver, or a proxy before it, is not well: look at its log",
        _ => "look at the receiver's log",
    };
    step.to_owned()
}

/// Its gateways for metrics, in every region.
fn is_grafana_cloud(url: &Url) -> bool {
    url.host_str().is_some_and(|host| host.ends_with(".grafana.net"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(url: &str, status: u16, location: Option<&str>, text: &str) -> String {
        after_answer(Answered { url: &Url::parse(url).unwrap(), status, location, text })
    }

    #[test]
    fn a_redirect_names_its_target_without_a_secret() {
        let moved = |location| after("http://old.test/write", 308, location, "");
        let step = moved(Some("https://me:hunter2@other.test/push?key=hunter2"));
        assert_eq!(step, "redirects are not followed: set the URL to https://other.test/push");
        let step = moved(Some("/api/v1/push"));
        assert_eq!(step, "redirects are not followed: set the URL to http://old.test/api/v1/push");
        assert_eq!(moved(None), "redirects are not followed: set the URL to its target");
    }

    #[test]
    fn grafana_cloud_has_its_own_words_and_no_other_host_gets_them() {
        let cloud = "https://prometheus-prod-01-eu-west-0.grafana.net/api/prom/push";
        for (status, word) in [(401, "metrics:write"), (403, "metrics:write"), (404, "/api/prom/push")] {
            assert!(after(cloud, status, None, "").contains(word), "{status}");
        }
        assert!(after(cloud, 401, None, "").contains("the number of the metrics instance"));
        for other in ["https://mimir.example.org/api/v1/push", "https://evilgrafana.net/"] {
            assert!(!after(other, 401, None, "").contains("Grafana"), "{other}");
        }
    }

    #[test]
    fn what_a_receiver_says_of_itself_sharpens_the_advice() {
        let url = "http://h/api/v1/write";
        for (status, text, word) in [
            (
                404,
                "remote write receiver needs to be enabled with --web.enable-remote-write-receiver",
                "start Prometheus",
            ),
            (401, "no org id", "REMOTE_WRITE_TENANT"),
            (400, "out of order sample", "out_of_order_time_window"),
            (400, "Client sent an HTTP request to an HTTPS server.", "https://"),
            (413, "", "max_samples_per_send"),
        ] {
            assert!(after(url, status, None, text).contains(word), "{status} {text}");
        }
    }
}
