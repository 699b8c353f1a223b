//! Routes and answers. The routing is by hand: metrics answer at every path that is nothing else, as the
//! exporter that this one replaces does it, and every answer goes through one place for HEAD and gzip.

use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Body;
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, HeaderName, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::oneshot;

use super::history::History;
use super::negotiate::{self, Form};
use super::query::Query;
use super::view::View;
use super::{PageState, html, look, script};
use crate::encode;
use crate::sample::{Batch, Latest, Scope, Source};

const PLAIN: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
/// Below this gzip gains nothing.
const WORTH_GZIP: usize = 512;
/// Above this an answer is made on a thread that may block.
const MANY_SERIES: usize = 5_000;
/// As many bytes, for packing.
const MANY_BYTES: usize = 256 * 1_024;
/// Said where such a thread died.
const BROKEN: &str = "the answer could not be made\n";

/// What every answer is made from.
pub(super) struct Served {
    state: PageState,
    history: Mutex<History>,
    /// What a browser may do with the status page.
    policy: HeaderValue,
}

impl Served {
    pub(super) fn new(state: PageState) -> Self {
        Served { state, history: Mutex::default(), policy: policy() }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last hour is also remembered while nobody looks.
pub(super) async fn remember(served: &Served) -> Infallible {
    let mut latest = served.state.latest.clone();
    loop {
        let seen = latest.borrow_and_update().clone();
        served.history().record(&seen);
        if latest.changed().await.is_err() {
            // Nothing comes any more, but there may still be questions.
            std::future::pending::<()>().await;
        }
    }
}

/// The page is one file: nothing else may be run, fetched, framed or sent, but itself and its own questions.
fn policy() -> HeaderValue {
    let hash = |text: &str| STANDARD.encode(digest(&SHA256, text.as_bytes()));
    let (style, script) = (hash(look::STYLE), hash(script::SCRIPT));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; connect-src 'self'; \
         img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    // It is ASCII; without it nothing at all would be allowed.
    HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

/// An answer before HEAD and gzip.
struct Reply {
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
    more: Vec<(HeaderName, HeaderValue)>,
}

impl Reply {
    fn text(status: StatusCode, body: impl Into<String>) -> Self {
        Reply { status, content_type: PLAIN, body: body.into().into_bytes(), more: vec![] }
    }

    fn not_allowed(allowed: &'static str) -> Self {
        let mut reply = Reply::text(StatusCode::METHOD_NOT_ALLOWED, format!("only {allowed} here\n"));
        reply.more.push((ALLOW, HeaderValue::from_static(allowed)));
        reply
    }
}

/// The answer to one request; its body is not read.
pub(super) async fn answer<B>(served: Arc<Served>, request: Request<B>) -> Response {
    let gzip = negotiate::wants_gzip(&joined(request.headers(), &ACCEPT_ENCODING));
    let accept = joined(request.headers(), &ACCEPT);
    let reply = route(&served, request.method(), request.uri(), &accept).await;
    if reply.body.len() < MANY_BYTES {
        return finish(reply, gzip, request.method());
    }
    let method = request.method().clone();
    let finished = tokio::task::spawn_blocking(move || finish(reply, gzip, &method)).await;
    let broken = || Reply::text(StatusCode::INTERNAL_SERVER_ERROR, BROKEN);
    finished.unwrap_or_else(|_| finish(broken(), false, &Method::GET))
}

async fn route(served: &Arc<Served>, method: &Method, uri: &Uri, accept: &str) -> Reply {
    let (state, path) = (&served.state, uri.path());
    if path == "/-/reload" {
        return if method == Method::POST { reload(state).await } else { Reply::not_allowed("POST") };
    }
    if method != Method::GET && method != Method::HEAD {
        return Reply::not_allowed("GET, HEAD");
    }
    let browser = negotiate::wants_html(accept);
    let query = if path == "/" { Query::read(uri.query().unwrap_or_default()) } else { Query::default() };
    match path {
        "/" if query.json => status(served, query).await,
        _ if path == state.telemetry_path => metrics(served, accept).await,
        "/" if browser => status(served, query).await,
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
        _ => metrics(served, accept).await,
    }
}

async fn metrics(served: &Arc<Served>, accept: &str) -> Reply {
    let form = negotiate::form(accept);
    let more = vec![(VARY, HeaderValue::from_static("Accept, Accept-Encoding"))];
    made(served, move |served| Reply {
        status: StatusCode::OK,
        content_type: form.content_type(),
        body: render(&served.state, form),
        more,
    })
    .await
}

/// Makes an answer where that belongs: what takes long must not hold up others.
async fn made(served: &Arc<Served>, make: impl FnOnce(&Served) -> Reply + Send + 'static) -> Reply {
    if series_shown(&served.state.latest.borrow()) < MANY_SERIES {
        return make(served);
    }
    let served = Arc::clone(served);
    let made = tokio::task::spawn_blocking(move || make(&served)).await;
    made.unwrap_or_else(|_| Reply::text(StatusCode::INTERNAL_SERVER_ERROR, BROKEN))
}

fn series_shown(latest: &Latest) -> usize {
    let shown = latest.iter().filter(|(source, _)| !matches!(source, Source::Target { .. }));
    shown.map(|(_, batch)| batch.series_count()).sum()
}

fn render(state: &PageState, form: Form) -> Vec<u8> {
    let latest = state.latest.borrow().clone();
    let own = Batch::new(Source::Own, state.clock.now(), Scope::Whole, state.telemetry.families());
    let own = own.inspect_err(|error| tracing::error!(%error, "the own metrics cannot be shown"));
    let batches: Vec<&Batch> = latest
        .iter()
        // Fresher than the latest one are the program's own; a relayed page is somebody else's to scrape.
        .filter(|(source, _)| matches!(source, Source::Account(_)))
        .map(|(_, batch)| &**batch)
        .chain(own.as_ref().ok())
        .collect();
    match form {
        Form::Text => encode::text::page(&batches).into_bytes(),
        Form::OpenMetrics => encode::openmetrics::page(&batches).into_bytes(),
    }
}

async fn status(served: &Arc<Served>, query: Query) -> Reply {
    made(served, move |served| {
        let state = &served.state;
        let latest = state.latest.borrow().clone();
        let status = state.telemetry.status().borrow().clone();
        let mut history = served.history();
        history.record(&latest);
        let view = View::new(&status, &latest, &history, &query, state.clock.now());
        drop(history);
        let (content_type, body) = if query.json {
            // Every key is a text, so this cannot be refused.
            (JSON, serde_json::to_vec(&view).unwrap_or_default())
        } else {
            (HTML, html::page(&view, &state.telemetry_path).into_bytes())
        };
        let fixed = [
            (VARY, "Accept, Accept-Encoding"),
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
        ];
        let mut more: Vec<_> =
            fixed.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
        more.push((CONTENT_SECURITY_POLICY, served.policy.clone()));
        Reply { status: StatusCode::OK, content_type, body, more }
    })
    .await
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
        headers.insert(name, value);
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
