//! The HTTP server that the simulated API and the simulated receivers stand on.
//! In: a [`Site`] that answers, [`Fault`]s to answer wrongly with. Out: answers on loopback, a log of requests.
//! Never: an opinion on what a request means; that is the site's.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::body::ReplyBody;
pub use self::fault::{Cut, Fault, Times};
use self::fault::{Faults, http_date};

mod body;
mod fault;

/// One request as it arrived, without its body.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `PUT`, ...
    pub method: String,
    /// Path and query exactly as they stood in the request line.
    pub target: String,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// Bytes of the body as sent (compressed).
    pub body_len: usize,
    /// When it had come as a whole, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Which connection brought it; numbers start at 1.
    pub connection: u64,
}

impl Request {
    /// The part before the `?`.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The part after the `?`, undecoded.
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// The first header of this name, in whatever case the name is asked for.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What a site answers.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers beside those that the server adds itself.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Sends the body in chunks, without a length.
    pub chunked: bool,
}

impl Answer {
    /// A status with no body.
    pub fn empty(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// A status with a plain text.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self::empty(status).header("content-type", "text/plain; charset=utf-8").body(text.into().into_bytes())
    }

    /// A status with a JSON text.
    pub fn json(status: u16, json: impl Into<String>) -> Self {
        Self::empty(status)
            .header("content-type", "application/json; charset=utf-8")
            .body(json.into().into_bytes())
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }
}

/// Something that answers requests.
pub trait Site: Send + Sync + 'static {
    /// The answer to a request, given its body as sent.
    fn answer(&self, request: &Request, body: &[u8]) -> Answer;

    /// The answer while whatever the site keeps its data in is out of order.
    fn answer_broken(&self, _request: &Request) -> Answer {
        Answer::empty(500)
    }
}

/// How a server behaves apart from its site.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Waited before each answer.
    pub latency: Duration,
    /// Idle connections are closed after this, and the header says so; `None` keeps them.
    pub keep_alive: Option<Duration>,
    /// So many requests are kept in the log; older ones are forgotten.
    pub keep: usize,
}

/// A running server. Dropping it closes the listener and every connection.
#[derive(Debug)]
pub struct Server<S> {
    shared: Arc<Shared<S>>,
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Shared<S> {
    site: S,
    behaviour: Behaviour,
    log: Mutex<VecDeque<Request>>,
    total: watch::Sender<u64>,
    faults: Mutex<Faults>,
    outage: AtomicBool,
}

impl<S> Drop for Server<S> {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl<S: Site> Server<S> {
    /// Serves a site on a listener that is bound already.
    pub(super) fn serve(listener: TcpListener, site: S, behaviour: Behaviour) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            site,
            behaviour,
            log: Mutex::default(),
            total: watch::Sender::new(0),
            faults: Mutex::default(),
            outage: AtomicBool::new(false),
        });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(accept(listener, shared.clone(), stop.clone(), tasks.clone()));
        Ok(Self { shared, address, stop, tasks })
    }

    /// Binds a free port of 127.0.0.1.
    pub(super) async fn bind() -> std::io::Result<TcpListener> {
        TcpListener::bind(("127.0.0.1", 0)).await
    }

    /// The site behind it.
    pub(super) fn site(&self) -> &S {
        &self.shared.site
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:<port>`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.log).iter().cloned().collect()
    }

    /// How many requests came so far, those that the log forgot included.
    pub fn request_count(&self) -> u64 {
        *self.shared.total.borrow()
    }

    /// Returns once at least `count` requests have come; bound it with a timeout.
    pub async fn received(&self, count: u64) {
        let mut total = self.shared.total.subscribe();
        // The sender lives as long as `self`, so the wait cannot fail.
        drop(total.wait_for(|total| *total >= count).await);
    }

    /// Answers wrongly: the next so many requests, or all until [`Self::clear_faults`]. Later faults wait for
    /// earlier ones to be used up.
    pub fn inject(&self, fault: Fault, times: Times) {
        lock(&self.shared.faults).add(fault, times, None);
    }

    /// As [`Self::inject`], only for requests whose path and query contain `part`.
    pub fn inject_on(&self, part: &str, fault: Fault, times: Times) {
        lock(&self.shared.faults).add(fault, times, Some(part.to_owned()));
    }

    /// Forgets every fault that is still due.
    pub fn clear_faults(&self) {
        lock(&self.shared.faults).clear();
    }

    /// While set, every request is answered 503 and reaches nothing.
    pub fn set_outage(&self, outage: bool) {
        self.shared.outage.store(outage, Ordering::SeqCst);
    }

    /// Closes everything and waits until it is closed: afterwards the port refuses connections.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn accept<S: Site>(
    listener: TcpListener,
    shared: Arc<Shared<S>>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let mut connection = 0;
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = stream else { continue };
        connection += 1;
        tasks.spawn(serve_connection(stream, connection, shared.clone(), stop.clone()));
    }
}

async fn serve_connection<S: Site>(
    stream: TcpStream,
    connection: u64,
    shared: Arc<Shared<S>>,
    stop: CancellationToken,
) {
    let idle = shared.behaviour.keep_alive;
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { shared.handle(request, connection).await }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        // It also runs while a kept connection waits for its next request.
        .header_read_timeout(idle)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = stop.cancelled() => {}
        // A client that goes away is no news, and a cut is our own doing.
        result = served => drop(result),
    }
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection cut")]
struct Closed;

impl<S: Site> Shared<S> {
    async fn handle(
        &self,
        request: hyper::Request<Incoming>,
        connection: u64,
    ) -> Result<Response<ReplyBody>, Closed> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
        let request = Request {
            method: parts.method.to_string(),
            target: parts.uri.path_and_query().map_or_else(|| "*".to_owned(), ToString::to_string),
            headers: parts
                .headers
                .iter()
                .map(|(name, value)| {
                    (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                })
                .collect(),
            body_len: body.len(),
            at_ms: super::now_millis(),
            connection,
        };
        let fault = lock(&self.faults).next(&request);
        self.note(&request);
        tokio::time::sleep(self.behaviour.latency).await;
        let (answer, cut_after) = self.decide(fault, &request, &body).await?;
        self.reply(answer, cut_after).map_err(|_| Closed)
    }

    fn note(&self, request: &Request) {
        let mut log = lock(&self.log);
        if log.len() >= self.behaviour.keep {
            log.pop_front();
        }
        log.push_back(request.clone());
        drop(log);
        self.total.send_modify(|total| *total += 1);
    }

    async fn decide(
        &self,
        fault: Option<Fault>,
        request: &Request,
        body: &[u8],
    ) -> Result<(Answer, Option<usize>), Closed> {
        if self.outage.load(Ordering::SeqCst) {
            return Ok((Answer::text(503, "service unavailable\n"), None));
        }
        let normal = || self.site.answer(request, body);
        let answer = match fault {
            None => normal(),
            Some(Fault::Status { code, body, headers }) => {
                let mut answer = Answer::empty(code).body(body.unwrap_or_default());
                answer.headers = headers;
                answer
            }
            Some(Fault::Hang(time)) => {
                tokio::time::sleep(time).await;
                normal()
            }
            Some(Fault::Stall { time, code }) => {
                tokio::time::sleep(time).await;
                Answer::empty(code)
            }
            Some(Fault::Cut(Cut::BeforeWork)) => return Err(Closed),
            Some(Fault::Cut(Cut::AfterWork)) => {
                drop(normal());
                return Err(Closed);
            }
            Some(Fault::Cut(Cut::InBody(bytes))) => return Ok((normal(), Some(bytes))),
            Some(Fault::Body(body)) => {
                Answer::empty(200).header("content-type", "application/json; charset=utf-8").body(body)
            }
            Some(Fault::DatabaseDown) => self.site.answer_broken(request),
            Some(Fault::RateLimit(after)) => {
                Answer::json(429, "\"Too Many Requests\"").header("retry-after", after)
            }
            Some(Fault::DateOffset(seconds)) => normal().header("date", http_date(seconds)),
            Some(Fault::Redirect(target)) => Answer::empty(301).header("location", target),
        };
        Ok((answer, None))
    }

    fn reply(
        &self,
        answer: Answer,
        cut_after: Option<usize>,
    ) -> Result<Response<ReplyBody>, hyper::http::Error> {
        let mut response = Response::builder().status(answer.status);
        if let Some(idle) = self.behaviour.keep_alive {
            response = response.header("keep-alive", format!("timeout={}", idle.as_secs()));
        }
        for (name, value) in &answer.headers {
            response = response.header(name, value);
        }
        let length = answer.body.len();
        let mut body = Bytes::from(answer.body);
        if let Some(bytes) = cut_after {
            body.truncate(bytes);
        }
        response.body(ReplyBody::new(body, (!answer.chunked).then_some(length as u64), cut_after.is_some()))
    }
}

/// A lock that a panic elsewhere does not spoil.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
