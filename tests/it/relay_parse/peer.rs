//! A server of pages: what it is given is what it answers, byte by byte, each page under a path of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use fleetpush::relay::parse::Format;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Ends with its test.
pub struct Peer {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Peer {
    /// Serves the pages as `/0`, `/1` and so on.
    pub async fn serving(pages: Vec<(Format, Vec<u8>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let pages = Arc::new(pages);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, pages.clone()));
            }
        });
        Peer { address, task }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request; a peer that has gone away is none of a page's business.
async fn answer(mut stream: TcpStream, pages: Arc<Vec<(Format, Vec<u8>)>>) -> Option<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap();
    let (format, page) = &pages[path.trim_start_matches('/').parse::<usize>().unwrap()];
    let kind = match format {
        Format::Text => "text/plain; version=0.0.4; charset=utf-8",
        Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
    };
    let length = page.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), page].concat()).await.ok()?;
    stream.shutdown().await.ok()
}
