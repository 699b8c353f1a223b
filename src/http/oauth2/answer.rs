//! What a token endpoint's answer means (RFC 6749, 5). Pure.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use url::form_urlencoded;

use super::HttpError;

/// What to do where an answer should have a token and has none.
pub(super) const NO_TOKEN: &str = "check that token_url under oauth2 names a token endpoint";
const CLIENT: &str = "check client_id and client_secret under oauth2";

/// A token.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) scheme: String,
    pub(super) token: SecretString,
    pub(super) lifetime: Option<Duration>,
}

/// No token: what was said, and what to do; none: later perhaps.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) text: String,
    pub(super) next_step: Option<&'static str>,
}

/// Whether a refusal says that the client is not known.
pub(super) fn is_about_client(error: &HttpError) -> bool {
    matches!(error, HttpError::TokenRefused { next_step, .. } if *next_step == CLIENT)
}

/// Reads an answer.
pub(super) fn read(status: u16, body: &[u8]) -> Result<Issued, Failure> {
    let fields = Fields::of(body);
    let error = fields.text("error");
    if (200..300).contains(&status) && error.is_none() {
        let token = fields.text("access_token").filter(|token| !token.is_empty());
        let missing = || Failure { text: "no access_token".to_owned(), next_step: Some(NO_TOKEN) };
        return Ok(Issued {
            scheme: scheme(fields.text("token_type")),
            token: token.ok_or_else(missing)?.into(),
            lifetime: fields.seconds("expires_in"),
        });
    }
    let text = match (&error, fields.text("error_description")) {
        (Some(error), Some(more)) => format!("{error}: {more}"),
        (Some(error), None) => error.clone(),
        (None, _) if body.is_empty() => "nothing".to_owned(),
        (None, _) => String::from_utf8_lossy(body).into_owned(),
    };
    Err(Failure { text, next_step: next_step(status, error.as_deref()) })
}

fn next_step(status: u16, error: Option<&str>) -> Option<&'static str> {
    match (status, error) {
        (408 | 421 | 425 | 429 | 500 | 502..=599, _) => None,
        (_, Some("temporarily_unavailable" | "server_error" | "slow_down")) => None,
        (407, _) => Some("check the credentials of the proxy"),
        (_, Some("invalid_client")) | (401, _) => Some(CLIENT),
        (_, Some("invalid_scope")) => Some("check scopes under oauth2"),
        (_, Some("unauthorized_client" | "unsupported_grant_type")) => {
            Some("allow the grant client_credentials for this client at the authorization server")
        }
        (_, Some("invalid_request" | "invalid_target" | "invalid_grant")) => {
            Some("check scopes and endpoint_params under oauth2")
        }
        (403, _) => Some("allow this client to have tokens at the authorization server"),
        (300..=399, _) => Some("redirects are not followed: set token_url under oauth2 to the final address"),
        (200..=299 | 404 | 405 | 410 | 501, _) => Some(NO_TOKEN),
        _ => Some("look at the log of the authorization server"),
    }
}

/// As it is written in the header; another one than `Bearer` is taken as it is.
fn scheme(kind: Option<String>) -> String {
    match kind {
        Some(kind) if !kind.is_empty() && !kind.eq_ignore_ascii_case("bearer") => kind,
        _ => "Bearer".to_owned(),
    }
}

/// An answer's fields: JSON, or a form, as some old servers answer.
enum Fields {
    Json(Value),
    Form(Vec<(String, String)>),
}

impl Fields {
    fn of(body: &[u8]) -> Self {
        match serde_json::from_slice(body) {
            Ok(value) => Fields::Json(value),
            Err(_) => Fields::Form(form_urlencoded::parse(body).into_owned().collect()),
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        match self {
            Fields::Json(value) => value.get(name)?.as_str().map(str::to_owned),
            Fields::Form(pairs) => pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()),
        }
    }

    /// A number, or a text that is one; 0 is none.
    fn seconds(&self, name: &str) -> Option<Duration> {
        let number = match self {
            Fields::Json(value) => match value.get(name)? {
                Value::Number(number) => number.as_f64()?,
                Value::String(text) => text.trim().parse().ok()?,
                _ => return None,
            },
            Fields::Form(_) => self.text(name)?.trim().parse().ok()?,
        };
        Duration::try_from_secs_f64(number).ok().filter(|life| !life.is_zero()).map(|life| life.min(LONGEST))
    }
}

/// A later end is as good as none, and an instant could not hold it.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_token_is_read_from_json_and_from_a_form() {
        for (body, scheme, life) in [
            (r#"{"access_token":"t","token_type":"bearer","expires_in":3600}"#, "Bearer", Some(3600)),
            (r#"{"access_token":"t","expires_in":"60"}"#, "Bearer", Some(60)),
            (r#"{"access_token":"t","token_type":"DPoP","expires_in":0}"#, "DPoP", None),
            (r#"{"access_token":"t","expires_in":-5}"#, "Bearer", None),
            ("access_token=t&token_type=Bearer&expires_in=9", "Bearer", Some(9)),
        ] {
            let issued = read(200, body.as_bytes()).unwrap();
            assert_eq!(issued.token.expose_secret(), "t", "{body}");
            assert_eq!((issued.scheme.as_str(), issued.lifetime), (scheme, life.map(Duration::from_secs)));
        }
    }

    #[test]
    fn what_a_person_must_change_has_a_next_step_and_what_passes_has_none() {
        for (status, body, word) in [
            (400, r#"{"error":"invalid_client"}"#, Some("client_secret")),
            (401, "", Some("client_secret")),
            (400, r#"{"error":"invalid_scope","error_description":"no"}"#, Some("scopes")),
            (400, r#"{"error":"unauthorized_client"}"#, Some("client_credentials")),
            (200, r#"{"error":"invalid_client"}"#, Some("client_secret")),
            (200, "<html>", Some("token_url")),
            (200, "{}", Some("token_url")),
            (404, "", Some("token_url")),
            (302, "", Some("final")),
            (407, "", Some("proxy")),
            (418, "", Some("log")),
            (400, r#"{"error":"temporarily_unavailable"}"#, None),
            (503, "", None),
            (429, "", None),
        ] {
            let failure = read(status, body.as_bytes()).unwrap_err();
            assert!(!failure.text.is_empty(), "{status} {body}");
            match word {
                Some(word) => {
                    assert!(failure.next_step.is_some_and(|step| step.contains(word)), "{failure:?}")
                }
                None => assert_eq!(failure.next_step, None, "{status} {body}"),
            }
        }
    }
}
