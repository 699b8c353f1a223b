//! The one server of a case: a page at `/metrics`, which depends on the scrape's number, and remote write anywhere
//! else. In: what the page says and what a request is answered. Out: every request in the order of arrival.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use fleetpush::clock::Clock;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::decode::{Request, read};

pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
pub const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A page and its form.
#[derive(Clone, Debug)]
pub struct Page {
    pub body: String,
    pub form: &'static str,
}

impl Page {
    /// OpenMetrics where it has exemplars, as the newer suite's server does it, else text.
    pub fn of(body: impl Into<String>) -> Self {
        let body = body.into();
        if body.contains("# {") {
            return Self::open(&body);
        }
        Self { body, form: TEXT }
    }

    /// OpenMetrics, with its end.
    pub fn open(body: &str) -> Self {
        Self { body: format!("{body}# EOF\n"), form: OPEN }
    }
}

/// What a request is answered.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    /// Waited before the request counts as arrived.
    pub after: Duration,
}

impl Reply {
    /// Nothing but a status, and where 2.0 is taken what was written.
    pub fn of(status: u16, got: &Got) -> Self {
        let mut reply = Self::bare(status, "");
        if got.is_two && (200..300).contains(&status) {
            let count = |of: fn(&super::decode::Series) -> usize| {
                got.request.as_ref().map_or(0, |request| request.series.iter().map(of).sum::<usize>())
            };
            let written = [
                ("x-prometheus-remote-write-samples-written", count(|series| series.samples.len())),
                ("x-prometheus-remote-write-histograms-written", count(|series| series.histograms)),
                ("x-prometheus-remote-write-exemplars-written", count(|series| series.exemplars.len())),
            ];
            reply.headers.extend(written.map(|(name, count)| (name, count.to_string())));
        }
        reply
    }

    /// A status and a text without any header of remote write.
    pub fn bare(status: u16, body: &str) -> Self {
        Self { status, body: body.to_owned(), ..Self::default() }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    pub fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }
}

/// A remote-write request as it came.
#[derive(Clone, Debug)]
pub struct Got {
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether its headers say 2.0.
    pub is_two: bool,
    pub request: Result<Request, String>,
    /// What it was answered.
    pub status: u16,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("text")).unwrap_or_default()
    }

    pub fn request(&self) -> &Request {
        self.request.as_ref().unwrap_or_else(|wrong| panic!("a request cannot be read: {wrong}"))
    }
}

pub type Pages = Arc<dyn Fn(usize) -> Page + Send + Sync>;
pub type Answers = Arc<dyn Fn(usize, &Got) -> Reply + Send + Sync>;

#[derive(Clone)]
struct Shared {
    pages: Pages,
    answers: Answers,
    scrapes: Arc<AtomicUsize>,
    came: Arc<AtomicUsize>,
    got: Arc<Mutex<Vec<Got>>>,
}

/// A running server; closed when it goes out of scope.
pub struct Site {
    address: SocketAddr,
    shared: Shared,
    task: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Site {
    pub async fn start(pages: Pages, answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (scrapes, came, got) = Default::default();
        let shared = Shared { pages, answers, scrapes, came, got };
        let router = Router::new()
            .route("/metrics", get(page))
            .fallback(write)
            .layer(DefaultBodyLimit::disable())
            .with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { address, shared, task }
    }

    /// Host and port.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Where remote write goes, as in the older suite.
    pub fn push_url(&self) -> String {
        format!("http://{}/push", self.address)
    }

    /// How often the page was asked for.
    pub fn scrapes(&self) -> usize {
        self.shared.scrapes.load(Ordering::SeqCst)
    }

    /// How many requests have come, those that still wait for their answer included.
    pub fn came(&self) -> usize {
        self.shared.came.load(Ordering::SeqCst)
    }

    /// Every request so far, in the order of arrival.
    pub fn got(&self) -> Vec<Got> {
        self.shared.got.lock().expect("no test has panicked while it held this").clone()
    }

    /// Whether those so far are enough.
    pub fn look<T>(&self, at: impl FnOnce(&[Got]) -> T) -> T {
        at(&self.shared.got.lock().expect("no test has panicked while it held this"))
    }
}

async fn page(State(shared): State<Shared>) -> Response {
    let page = (shared.pages)(shared.scrapes.fetch_add(1, Ordering::SeqCst));
    let response = Response::builder().header(header::CONTENT_TYPE, page.form);
    response.body(Body::from(page.body)).expect("a response of ours")
}

async fn write(State(shared): State<Shared>, request: axum::http::request::Parts, body: Bytes) -> Response {
    let number = shared.came.fetch_add(1, Ordering::SeqCst);
    let is_two =
        request.headers.get("content-type").is_some_and(|kind| kind.as_bytes().ends_with(b".v2.Request"));
    let mut got = Got {
        at_ms: Clock::SYSTEM.now().0,
        method: request.method,
        path: request.uri.path().to_owned(),
        headers: request.headers,
        is_two,
        request: read(&body, is_two),
        body,
        status: 0,
    };
    let reply = (shared.answers)(number, &got);
    tokio::time::sleep(reply.after).await;
    got.status = reply.status;
    shared.got.lock().expect("no test has panicked while it held this").push(got);
    let mut response = Response::builder().status(StatusCode::from_u16(reply.status).expect("a status"));
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(reply.body)).expect("a response of ours")
}
