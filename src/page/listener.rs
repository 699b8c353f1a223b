//! Connections: a listener goes in, each request goes to [`super::server`] and its answer back. Bounded in number
//! and in time, with TLS and for known users alone where a [`Guard`] says so.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::PageState;
use super::guard::{Guard, Rules};
use super::server::{self, Served};

/// What clients may take, which no configuration sets.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// So many connections are open at once; others wait for their turn.
    pub connections: usize,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long a request's head may take, and how long a connection stays idle between two.
    pub head: Duration,
    /// How long an answer may take to be read: nothing new is asked on a connection meanwhile.
    pub answer: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            connections: 256,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            answer: Duration::from_secs(120),
        }
    }
}

/// A request's head is not longer.
const HEAD_BYTES: usize = 64 << 10;
/// How long a stop waits for clients; one that never finishes its request would hold it up for ever.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// Without file descriptors there is nothing to do but wait.
const NO_SOCKET: Duration = Duration::from_millis(100);
/// What Go's servers say, so that people find it.
const PLAIN_HTTP: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Answers everyone until `stop`; what was asked by then is still answered, for a few seconds.
///
/// # Errors
/// None: what cannot be accepted now is accepted later.
pub fn serve(
    listener: TcpListener,
    state: PageState,
    stop: CancellationToken,
) -> impl Future<Output = io::Result<()>> + Send {
    serve_guarded(listener, state, None, Bounds::default(), stop)
}

/// As [`serve`], as a guard and other bounds allow.
///
/// # Errors
/// None: what cannot be accepted now is accepted later.
pub async fn serve_guarded(
    listener: TcpListener,
    state: PageState,
    guard: Option<Guard>,
    bounds: Bounds,
    stop: CancellationToken,
) -> io::Result<()> {
    let page = Arc::new(Served::new(state));
    let site = Site { page: Arc::clone(&page), guard: guard.map(Arc::new), bounds };
    let (room, connections) = (Arc::new(Semaphore::new(bounds.connections)), TaskTracker::new());
    let accepting = async {
        loop {
            // It is never closed.
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            let Ok((socket, _)) = listener.accept().await else {
                sleep(NO_SOCKET).await;
                continue;
            };
            let (site, stop) = (site.clone(), stop.clone());
            connections.spawn(async move {
                site.meet(socket, &stop).await;
                drop(place);
            });
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = accepting => {}
        never = server::remember(&page) => match never {},
    }
    drop(listener);
    connections.close();
    // Whoever has not ended by now is cut off with the runtime.
    timeout(LAST_ANSWERS, connections.wait()).await.unwrap_or_default();
    Ok(())
}

#[derive(Clone)]
struct Site {
    page: Arc<Served>,
    guard: Option<Arc<Guard>>,
    bounds: Bounds,
}

impl Site {
    /// Serves one connection to its end.
    async fn meet(self, socket: TcpStream, stop: &CancellationToken) {
        // An answer's end would wait for the acknowledgement of its beginning.
        socket.set_nodelay(true).unwrap_or_default();
        let tls = match &self.guard {
            Some(guard) => guard.rules().await.tls.clone(),
            None => None,
        };
        let Some(tls) = tls else { return self.speak(socket, stop).await };
        match timeout(self.bounds.handshake, handshake(socket, tls)).await {
            Ok(Ok(Some(stream))) => self.speak(stream, stop).await,
            Ok(Ok(None)) => debug!("a client speaks plain HTTP to the page, which is served with TLS"),
            Ok(Err(error)) => debug!(%error, "a client's TLS handshake with the page failed"),
            Err(_) => debug!("a client's TLS handshake with the page took too long"),
        }
    }

    async fn speak(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send, stop: &CancellationToken) {
        let Bounds { head, answer, .. } = self.bounds;
        let started = Instant::now();
        // When the last request began, in milliseconds from the start.
        let last = Arc::new(AtomicU64::new(0));
        let begun = Arc::clone(&last);
        let service = service_fn(move |request| {
            let now = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            begun.store(now, Ordering::Relaxed);
            let site = self.clone();
            async move { Ok::<_, Infallible>(site.answer(request).await) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(head).max_buf_size(HEAD_BYTES);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut stopping = false;
        loop {
            let due = || started + Duration::from_millis(last.load(Ordering::Relaxed)) + answer;
            let first = due();
            tokio::select! {
                // How a client ends its connection is its own affair.
                _ = connection.as_mut() => return,
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = sleep_until(first) => if due() <= first { return },
            }
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let Some(guard) = &self.guard else { return server::answer(Arc::clone(&self.page), request).await };
        let rules = guard.rules().await;
        let mut response = self.answer_by(&rules, request).await;
        for (name, value) in &rules.headers {
            // The page's own say what it needs.
            response.headers_mut().entry(name.clone()).or_insert_with(|| value.clone());
        }
        response
    }

    async fn answer_by(&self, rules: &Rules, request: Request<Incoming>) -> Response<Body> {
        if !rules.has_room() {
            return refusal(StatusCode::TOO_MANY_REQUESTS);
        }
        match &rules.users {
            Some(users) if !users.admit(request.headers()).await => {
                let mut response = refusal(StatusCode::UNAUTHORIZED);
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
                response
            }
            _ => server::answer(Arc::clone(&self.page), request).await,
        }
    }
}

fn refusal(status: StatusCode) -> Response<Body> {
    let text = format!("{}\n", status.canonical_reason().unwrap_or_default());
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// None where the client has spoken plain HTTP, and was told so.
async fn handshake(
    mut socket: TcpStream,
    tls: Arc<ServerConfig>,
) -> io::Result<Option<TlsStream<TcpStream>>> {
    let mut first = [0];
    let seen = socket.peek(&mut first).await?;
    // A handshake begins with 22, a method with a letter.
    if seen == 1 && first[0].is_ascii_uppercase() {
        socket.write_all(PLAIN_HTTP).await?;
        socket.shutdown().await?;
        // Closed over what is not read yet, the connection would be reset and the answer lost.
        let mut rest = socket.take(HEAD_BYTES as u64);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
        return Ok(None);
    }
    TlsAcceptor::from(tls).accept(socket).await.map(Some)
}
