//! Routes and answers. The routing is by hand: metrics answer at every path that is nothing else, as the
//! exporter that this one replaces does it, and every answer goes through one place for HEAD and gzip.

use std::io::{self, Write};
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, HeaderName, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::oneshot;

use super::negotiate::{self, Form};
use super::{PageState, landing};
use crate::encode;
use crate::sample::{Batch, Scope, Source};

const PLAIN: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
/// The page is one file: nothing may be fetched, run, framed or sent.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";
/// Below this gzip gains nothing.
const WORTH_GZIP: usize = 512;
/// Above this an answer is made on a thread that may block.
const MANY_SERIES: usize = 5_000;
/// As many bytes, for packing.
const MANY_BYTES: usize = 256 * 1_024;
/// Said where such a thread died.
const BROKEN: &str = "the answer could not be made\n";

/// An answer before HEAD and gzip.
struct Reply {
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
    more: Vec<(HeaderName, &'static str)>,
}

impl Reply {
    fn text(status: StatusCode, body: impl Into<String>) -> Self {
        Reply { status, content_type: PLAIN, body: body.into().into_bytes(), more: vec![] }
    }

    fn not_allowed(allowed: &'static str) -> Self {
        let mut reply = Reply::text(StatusCode::METHOD_NOT_ALLOWED, format!("only {allowed} here\n"));
        reply.more.push((ALLOW, allowed));
        reply
    }
}

/// The answer to one request; its body is not read.
pub(super) async fn answer<B>(state: Arc<PageState>, request: Request<B>) -> Response {
    let gzip = negotiate::wants_gzip(&joined(request.headers(), &ACCEPT_ENCODING));
    let accept = joined(request.headers(), &ACCEPT);
    let reply = route(&state, request.method(), request.uri().path(), &accept).await;
    if reply.body.len() < MANY_BYTES {
        return finish(reply, gzip, request.method());
    }
    let method = request.method().clone();
    let finished = tokio::task::spawn_blocking(move || finish(reply, gzip, &method)).await;
    let broken = || Reply::text(StatusCode::INTERNAL_SERVER_ERROR, BROKEN);
    finished.unwrap_or_else(|_| finish(broken(), false, &Method::GET))
}

async fn route(state: &Arc<PageState>, method: &Method, path: &str, accept: &str) -> Reply {
    if path == "/-/reload" {
        return if method == Method::POST { reload(state).await } else { Reply::not_allowed("POST") };
    }
    if method != Method::GET && method != Method::HEAD {
        return Reply::not_allowed("GET, HEAD");
    }
    let browser = negotiate::wants_html(accept);
    match path {
        _ if path == state.telemetry_path => metrics(state, accept).await,
        "/" if browser => page(state),
        "/-/healthy" => Reply::text(StatusCode::OK, "fleetpush is healthy\n"),
        "/-/ready" if state.telemetry.status().borrow().is_ready() => {
            Reply::text(StatusCode::OK, "fleetpush is ready\n")
        }
        "/-/ready" => Reply::text(
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: the first cycle of a source has not ended yet\n",
        ),
        "/favicon.ico" => Reply::text(StatusCode::NOT_FOUND, "no icon here\n"),
        // A misspelt health check must not be answered with 200.
        _ if path.starts_with("/-/") => {
            Reply::text(StatusCode::NOT_FOUND, "not here: there are /-/healthy, /-/ready and /-/reload\n")
        }
        _ if browser => {
            Reply::text(StatusCode::NOT_FOUND, format!("not here: metrics are at {}\n", state.telemetry_path))
        }
        _ => metrics(state, accept).await,
    }
}

async fn metrics(state: &Arc<PageState>, accept: &str) -> Reply {
    let form = negotiate::form(accept);
    let series: usize = state.latest.borrow().values().map(|batch| batch.series_count()).sum();
    let body = if series < MANY_SERIES {
        render(state, form)
    } else {
        let state = Arc::clone(state);
        match tokio::task::spawn_blocking(move || render(&state, form)).await {
            Ok(body) => body,
            Err(_) => return Reply::text(StatusCode::INTERNAL_SERVER_ERROR, BROKEN),
        }
    };
    let more = vec![(VARY, "Accept, Accept-Encoding")];
    Reply { status: StatusCode::OK, content_type: form.content_type(), body, more }
}

fn render(state: &PageState, form: Form) -> Vec<u8> {
    let latest = state.latest.borrow().clone();
    let own = Batch::new(Source::Own, state.clock.now(), Scope::Whole, state.telemetry.families());
    let own = own.inspect_err(|error| tracing::error!(%error, "the own metrics cannot be shown"));
    let batches: Vec<&Batch> = latest
        .iter()
        .filter(|(source, _)| **source != Source::Own)
        .map(|(_, batch)| &**batch)
        .chain(own.as_ref().ok())
        .collect();
    match form {
        Form::Text => encode::text::page(&batches).into_bytes(),
        Form::OpenMetrics => encode::openmetrics::page(&batches).into_bytes(),
    }
}

fn page(state: &PageState) -> Reply {
    let latest = state.latest.borrow().clone();
    let status = state.telemetry.status().borrow().clone();
    let body = landing::page(&status, &latest, state.clock.now(), &state.telemetry_path).into_bytes();
    let more = vec![
        (VARY, "Accept, Accept-Encoding"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
    ];
    Reply { status: StatusCode::OK, content_type: HTML, body, more }
}

async fn reload(state: &PageState) -> Reply {
    let Some(lifecycle) = &state.lifecycle else {
        return Reply::text(
            StatusCode::FORBIDDEN,
            "reloading over HTTP is off: start with --web.enable-lifecycle, or send SIGHUP\n",
        );
    };
    let (back, outcome) = oneshot::channel();
    let sent = lifecycle.send(back).await.is_ok();
    match if sent { outcome.await.ok() } else { None } {
        Some(Ok(())) => Reply::text(StatusCode::OK, "reloaded\n"),
        Some(Err(error)) => {
            Reply::text(StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {error}\n"))
        }
        None => Reply::text(StatusCode::SERVICE_UNAVAILABLE, "stopping, nothing is reloaded\n"),
    }
}

fn finish(reply: Reply, gzip: bool, method: &Method) -> Response {
    let Reply { status, content_type, mut body, more } = reply;
    let zipped = if gzip && body.len() >= WORTH_GZIP { zip(&body).ok() } else { None };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for (name, value) in more {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(zipped) = zipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        body = zipped;
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    let body = if method == Method::HEAD { Body::empty() } else { Body::from(body) };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn zip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

/// A header that stands on several lines means the same as one list.
fn joined(headers: &HeaderMap, name: &HeaderName) -> String {
    let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect();
    lines.join(",")
}
