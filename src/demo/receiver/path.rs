//! The paths of a Pushgateway.
//! In: a method and a path. Out: the key of a group, or the answer to what reaches none. Never: groups.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::http::Answer;
use super::Labels;
use super::families::Refusal;
use super::text;

/// The answer to what reaches no group.
pub(super) fn no_push(method: &str, path: &str) -> Option<Answer> {
    const ALLOWED: &str = "DELETE, OPTIONS, POST, PUT";
    let pushes = matches!(method, "PUT" | "POST" | "DELETE");
    match (method, path) {
        (_, "/metrics/job/") if pushes => Some(Answer::empty(307).header("location", "/metrics/job")),
        (_, "/metrics/job/") => Some(Answer::text(404, "404 page not found\n")),
        ("OPTIONS", _) => Some(Answer::empty(200).header("allow", ALLOWED)),
        _ if !pushes || path == "/metrics" => {
            Some(Answer::text(405, "Method Not Allowed\n").header("allow", ALLOWED))
        }
        _ => None,
    }
}

/// Reads a path as the gateway does: decoded first, cut at slashes second. Also whether it is UTF-8.
pub(super) fn group_key(path: &str) -> Result<(Labels, bool), Answer> {
    let decoded = decode(path);
    let is_utf8 = std::str::from_utf8(&decoded).is_ok();
    let decoded = String::from_utf8_lossy(&decoded);
    let clean = decoded.split('/').skip(1).all(|part| !matches!(part, "." | ".."));
    if !clean || decoded.contains("//") {
        return Err(Answer::empty(301).header("location", "/metrics/job/"));
    }
    let rest = decoded.strip_prefix("/metrics/").unwrap_or_default();
    let parts = rest.split('/').collect::<Vec<_>>();
    let (first, value, rest) = match parts.as_slice() {
        [first @ ("job" | "job@base64"), value, rest @ ..] => (*first, *value, rest),
        _ => return Err(Answer::text(404, "404 page not found\n")),
    };
    let refuse = |reason: String| Answer::text(400, format!("{reason}\n"));
    let mut key = Labels::new();
    // A slash behind the job alone names the same group.
    let rest = if matches!(rest, [""]) { &[] } else { rest };
    let (pairs, odd) = rest.as_chunks::<2>();
    if !odd.is_empty() {
        let string = rest.iter().map(|part| format!("/{part}")).collect::<String>();
        return Err(refuse(format!("odd number of components in label string {string:?}")));
    }
    for [name, value] in pairs {
        let (name, value) = pair(name, value).map_err(refuse)?;
        key.insert(name, value);
    }
    let (_, job) = pair(first, value).map_err(refuse)?;
    if job.is_empty() {
        return Err(refuse("job name is required".to_owned()));
    }
    key.insert("job".to_owned(), job);
    Ok((key, is_utf8))
}

fn pair(name: &str, value: &str) -> Result<(String, String), Refusal> {
    let (name, value) = match name.strip_suffix("@base64") {
        Some(name) => {
            let bytes = URL_SAFE_NO_PAD.decode(value.trim_end_matches('=')).map_err(|error| {
                format!("invalid base64 encoding for label {name}={value:?}: illegal base64 data: {error}")
            })?;
            (name, String::from_utf8_lossy(&bytes).into_owned())
        }
        None => (name, value.to_owned()),
    };
    if !text::is_name(name, false) || name.starts_with("__") {
        return Err(format!("improper label name {name:?}"));
    }
    Ok((name.to_owned(), value))
}

/// Undoes percent-encoding; a `+` stays one.
fn decode(path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut left = path.as_bytes();
    while let Some((first, rest)) = left.split_first() {
        left = rest;
        let hex = rest
            .split_at_checked(2)
            .and_then(|(digits, after)| Some((std::str::from_utf8(digits).ok()?, after)))
            .and_then(|(digits, after)| Some((u8::from_str_radix(digits, 16).ok()?, after)));
        match (first, hex) {
            (b'%', Some((byte, after))) => {
                bytes.push(byte);
                left = after;
            }
            _ => bytes.push(*first),
        }
    }
    bytes
}
