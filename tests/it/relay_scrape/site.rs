//! A site with pages that change: what its tests say stands there, and what came with each request is kept.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const TEXT: &str = "text/plain; version=0.0.4";
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

/// What a path answers.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Nothing is answered as long as this holds.
    pub is_silent: bool,
}

impl Answer {
    pub fn page(content_type: &str, body: &str) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Answer { status: 200, headers, body: body.into(), is_silent: false }
    }

    pub fn text(body: &str) -> Self {
        Self::page(TEXT, body)
    }

    pub fn open_metrics(body: &str) -> Self {
        Self::page(OPEN_METRICS, body)
    }

    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn silent() -> Self {
        Answer { is_silent: true, ..Self::text("") }
    }

    pub fn compressed(mut self) -> Self {
        let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        coder.write_all(&self.body).unwrap();
        self.body = coder.finish().unwrap();
        self.with("Content-Encoding", "gzip")
    }
}

#[derive(Default)]
struct Shared {
    pages: BTreeMap<String, Answer>,
    heads: Vec<String>,
}

pub struct Site {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

impl Site {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Mutex<Shared>>::default();
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || answer(stream, &shared));
            }
        });
        Site { address, shared }
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on `path` answers this.
    pub fn set(&self, path: &str, answer: Answer) {
        self.shared.lock().unwrap().pages.insert(path.to_owned(), answer);
    }

    /// The heads of all requests so far, in small letters.
    pub fn heads(&self) -> Vec<String> {
        self.shared.lock().unwrap().heads.clone()
    }
}

fn answer(mut stream: TcpStream, shared: &Mutex<Shared>) {
    let (mut head, mut piece) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(length @ 1..) => head.extend_from_slice(&piece[..length]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let found = {
        let mut shared = shared.lock().unwrap();
        shared.heads.push(head.to_lowercase());
        shared.pages.get(&path).cloned()
    };
    let found = found.unwrap_or_else(|| Answer::page(TEXT, "nothing here").with_status(404));
    if found.is_silent {
        // Until the other side gives up.
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let _ended = stream.read(&mut piece);
        return;
    }
    let mut text = format!("HTTP/1.1 {} X\r\n", found.status);
    for (name, value) in &found.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n", found.body.len()));
    // Whoever has gone needs no answer.
    let _sent = stream.write_all(text.as_bytes()).and_then(|()| stream.write_all(&found.body));
}
