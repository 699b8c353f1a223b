//! The routes and errors of the simulated balena API.
//! In: requests. Out: answers with the statuses and bodies of the real one. Never: faults; the server adds them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::http::{Answer, Request, Site};
use super::odata::{self, Query};
use super::rows::View;
use super::state::Simulation;
use super::{eval, json};

/// Node counts the request line and all headers together.
const LONGEST_HEAD: usize = 16 * 1024;
/// Smaller bodies are not worth compressing.
const SHORTEST_GZIP: usize = 1024;

/// The simulated API behind a [`super::Server`].
#[derive(Debug)]
pub struct Api {
    simulation: Simulation,
    token: String,
}

impl Api {
    pub(super) fn new(simulation: Simulation, token: String) -> Self {
        Self { simulation, token }
    }

    pub(super) fn simulation(&self) -> &Simulation {
        &self.simulation
    }

    fn is_guest(&self, request: &Request) -> bool {
        let Some((scheme, key)) = request.header("authorization").and_then(|value| value.split_once(' '))
        else {
            return true;
        };
        !scheme.eq_ignore_ascii_case("bearer") || key.trim() != self.token
    }

    fn route(&self, request: &Request, database_down: bool) -> Answer {
        let head = request.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
        if request.target.len() + head > LONGEST_HEAD {
            return Answer::empty(431).header("connection", "close");
        }
        let guest = database_down || self.is_guest(request);
        match (request.method.as_str(), request.path()) {
            ("HEAD", _) => missing(500),
            ("GET", "/ping") => Answer::text(200, "OK"),
            ("GET", "/user/v1/whoami" | "/actor/v1/whoami") if guest => missing(401),
            ("GET", "/user/v1/whoami") => {
                Answer::json(200, r#"{"id":2,"username":"admin","email":"admin@example.test"}"#)
            }
            ("GET", "/actor/v1/whoami") => Answer::json(
                200,
                r#"{"id":2,"actorType":"user","actorTypeId":2,"username":"admin","email":"admin@example.test"}"#,
            ),
            ("GET", path) => {
                let (version, rest) = match (path.strip_prefix("/v7/"), path.strip_prefix("/v6/")) {
                    (Some(rest), _) => (7, rest),
                    (_, Some(rest)) => (6, rest),
                    _ => return missing(404),
                };
                self.read(request, version, rest, guest, database_down)
            }
            // The program only reads; whoever writes meets what a key without rights would.
            _ => missing(401),
        }
    }

    fn read(&self, request: &Request, version: u8, rest: &str, guest: bool, database_down: bool) -> Answer {
        let Ok((resource, key, count)) = resource(rest) else { return malformed(request) };
        let Ok(query) = odata::parse(request.query().unwrap_or_default()) else { return malformed(request) };
        let Ok(query) = with_key(query, key) else { return malformed(request) };
        let personal =
            query.filter.as_ref().is_some_and(|filter| filter.mentions("is_directly_accessible_by__user"));
        if guest && (personal || resource == "device") {
            return missing(401);
        }
        if database_down {
            return missing(500);
        }
        self.simulation.read(|state| {
            let view = View { state, version, guest };
            let Some((kind, rows)) = view.all(resource) else { return missing(401) };
            if eval::check(&query, kind, version).is_err() {
                return missing(500);
            }
            finish(request, eval::answer(&view, rows, kind, &query, count))
        })
    }
}

impl Site for Api {
    fn answer(&self, request: &Request, _body: &[u8]) -> Answer {
        self.route(request, false)
    }

    fn answer_broken(&self, request: &Request) -> Answer {
        self.route(request, true)
    }
}

/// Splits `application(1)/$count` into its parts.
fn resource(rest: &str) -> Result<(&str, Option<&str>, bool), odata::Malformed> {
    let (rest, count) = match rest.strip_suffix("/$count") {
        Some(before) => (before, true),
        None => (rest, false),
    };
    let (name, key) = match rest.split_once('(') {
        Some((name, key)) => (name, Some(key.strip_suffix(')').ok_or(odata::Malformed)?)),
        None => (rest, None),
    };
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(odata::Malformed);
    }
    Ok((name, key, count))
}

fn with_key(mut query: Query, key: Option<&str>) -> Result<Query, odata::Malformed> {
    if let Some(key) = key {
        let wanted = odata::parse_key(key)?;
        query.filter = Some(match query.filter {
            Some(filter) => odata::Expr::And(vec![wanted, filter]),
            None => wanted,
        });
    }
    Ok(query)
}

/// An error without a word: no body, no type, no length.
fn missing(status: u16) -> Answer {
    Answer { chunked: true, ..Answer::empty(status) }
}

fn malformed(request: &Request) -> Answer {
    let mut body = String::new();
    json::string(&mut body, &format!("Malformed url: '{}'", request.target));
    Answer::json(400, body)
}

/// Adds what the web framework adds: the tag, 304, gzip.
fn finish(request: &Request, body: String) -> Answer {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let tag = format!("W/\"{:x}-{:016x}\"", body.len(), hasher.finish());
    let cached = request.header("if-none-match") == Some(tag.as_str());
    let mut answer = if cached { Answer::empty(304) } else { Answer::json(200, body) }
        .header("etag", tag)
        .header("cache-control", "no-cache")
        .header("vary", "Accept-Encoding");
    let wants_gzip = request.header("accept-encoding").is_some_and(|accept| accept.contains("gzip"));
    if wants_gzip && answer.body.len() >= SHORTEST_GZIP {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        if let Ok(body) = encoder.write_all(&answer.body).and_then(|()| encoder.finish()) {
            answer.body = body;
            answer.chunked = true;
            answer = answer.header("content-encoding", "gzip");
        }
    }
    answer
}
