//! A server with TLS before another one without: a door looks at each request, and answers it or lets it through.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::tls::{Authority, Leaf, acceptor};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// What the door answers itself: a status and a body.
pub type Answer = (u16, String);

type Door = Arc<dyn Fn(&Seen) -> Option<Answer> + Send + Sync>;

/// The server with TLS.
pub struct Front {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<(Seen, u16)>>>,
    task: JoinHandle<()>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Front {
    /// Lets through to `inner` what `door` does not answer.
    pub async fn start(
        leaf: &Leaf,
        clients: Option<&Authority>,
        inner: &str,
        door: impl Fn(&Seen) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let site = Site {
            acceptor: acceptor(leaf, clients),
            inner: inner.to_owned(),
            door: Arc::new(door),
            seen: seen.clone(),
        };
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(site.clone().serve(socket));
            }
        });
        Front { address, seen, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// By the name that its certificate has.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// Every request so far with the status of its answer.
    pub fn seen(&self) -> Vec<(Seen, u16)> {
        self.seen.lock().unwrap().clone()
    }
}

#[derive(Clone)]
struct Site {
    acceptor: TlsAcceptor,
    inner: String,
    door: Door,
    seen: Arc<Mutex<Vec<(Seen, u16)>>>,
}

impl Site {
    async fn serve(self, socket: TcpStream) {
        let Ok(stream) = self.acceptor.accept(socket).await else { return };
        let service = service_fn(|request| {
            let site = self.clone();
            async move { Ok::<_, std::convert::Infallible>(site.answer(request).await) }
        });
        // How a client ends its connection is its own affair.
        let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let seen = Seen { method: parts.method, uri: parts.uri, headers: parts.headers, body };
        let (status, headers, body) = match (self.door)(&seen) {
            Some((status, text)) => (status, HeaderMap::new(), text.into()),
            None => self.forward(&seen).await,
        };
        self.seen.lock().unwrap().push((seen, status));
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status.try_into().unwrap();
        *response.headers_mut() = headers;
        response
    }

    async fn forward(&self, seen: &Seen) -> (u16, HeaderMap, Bytes) {
        let client = reqwest::Client::builder().no_proxy().no_gzip().build().unwrap();
        let url = format!("{}{}", self.inner, seen.uri);
        let mut headers = seen.headers.clone();
        headers.remove("host");
        let answer = client.request(seen.method.clone(), url).headers(headers).body(seen.body.clone());
        let answer = answer.send().await.unwrap();
        let (status, mut headers) = (answer.status().as_u16(), answer.headers().clone());
        for name in ["content-length", "transfer-encoding", "connection"] {
            headers.remove(HeaderName::from_static(name));
        }
        (status, headers, answer.bytes().await.unwrap())
    }
}

/// `Basic …` of a user and a password.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
