//! A server that fails, and repeats what it was sent in every spelling.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::search::forms;
use crate::tls::{Authority, Server};

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ill {
    /// Nothing listens.
    Refused,
    /// With this status and a body that repeats the request.
    Echo(u16),
    /// A redirect to a URL that repeats the credentials.
    Redirect,
    /// A certificate that nobody trusts.
    Tls,
}

/// The running server.
pub(super) struct Echo {
    address: SocketAddr,
    scheme: &'static str,
    heads: Arc<Mutex<Vec<String>>>,
    task: Option<JoinHandle<()>>,
    _tls: Option<Server>,
}

impl Drop for Echo {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Echo {
    pub(super) async fn start(ill: Ill) -> Self {
        let heads = Arc::new(Mutex::new(Vec::new()));
        if ill == Ill::Tls {
            let tls = Server::tls(&Authority::new().issue("127.0.0.1"), None).await;
            return Echo { address: tls.address, scheme: "https", heads, task: None, _tls: Some(tls) };
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let written = Arc::clone(&heads);
        let task = (ill != Ill::Refused).then(|| {
            tokio::spawn(async move {
                while let Ok((socket, _)) = listener.accept().await {
                    tokio::spawn(answer(socket, ill, Arc::clone(&written)));
                }
            })
        });
        Echo { address, scheme: "http", heads, task, _tls: None }
    }

    pub(super) fn base_url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Host and port.
    pub(super) fn authority(&self) -> String {
        self.address.to_string()
    }

    /// The head of each request.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn answer(mut socket: TcpStream, ill: Ill, heads: Arc<Mutex<Vec<String>>>) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = socket.read_u8().await else { return };
            head.push(byte);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        if socket.read_exact(&mut body).await.is_err() {
            return;
        }
        heads.lock().unwrap().push(head.clone());
        let reply = match ill {
            Ill::Echo(status) => echo(status, &head, &body),
            _ => redirect(&head),
        };
        if socket.write_all(&reply).await.is_err() {
            return;
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// What a client may have said of itself, its query first.
fn credentials(head: &str) -> Vec<String> {
    const NAMES: [&str; 4] = ["authorization", "proxy-authorization", "x-api-key", "x-scope-orgid"];
    let target = head.split(' ').nth(1).unwrap_or_default();
    let query = target.split_once('?').map(|(_, query)| query.to_owned());
    let mut all: Vec<String> = query.into_iter().collect();
    for value in NAMES.iter().filter_map(|name| header(head, name)) {
        all.push(value.to_owned());
        if let Some((scheme, rest)) = value.split_once(' ') {
            all.push(rest.to_owned());
            let decoded = STANDARD.decode(rest).ok().filter(|_| scheme == "Basic");
            all.extend(decoded.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    all
}

/// A JSON string, as the API answers: what is decoded of it must be as calm as what is not.
fn echo(status: u16, head: &str, body: &[u8]) -> Vec<u8> {
    let mut text = String::from("you said ");
    for one in credentials(head) {
        for (_, form) in forms::all(&one) {
            text.push_str(&form);
            text.push(' ');
        }
    }
    text.push_str(head);
    text.push_str(&String::from_utf8_lossy(body));
    let text = if header(head, "accept") == Some("application/json") {
        serde_json::Value::from(text).to_string()
    } else {
        text
    };
    let mut reply =
        format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\n\r\n", text.len()).into_bytes();
    reply.extend_from_slice(text.as_bytes());
    reply
}

fn redirect(head: &str) -> Vec<u8> {
    let all = credentials(head).iter().map(|one| forms::percent(one)).collect::<Vec<_>>().join("/");
    format!(
        "HTTP/1.1 307 Elsewhere\r\nlocation: http://me:{all}@127.0.0.1:1/{all}?k={all}#{all}\r\ncontent-length: 0\r\n\r\n"
    )
    .into_bytes()
}
