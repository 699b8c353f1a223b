//! The other sides, each a process of its own: this program again, with another first argument. So their
//! CPU is not counted with ours. A peer ends when its standard input does, thus always with its parent.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use fleetpush::demo::balena::{Options, Server, Simulation};
use fleetpush::pb::{remote_write_v1 as v1, remote_write_v2 as v2};
use prost::Message;
use tokio::net::TcpListener;

use super::{runtime, shapes};

/// The key that the simulated API takes.
pub const TOKEN: &str = "simulated-token";

/// A process that answers requests.
pub struct Peer {
    child: Child,
    said: BufReader<ChildStdout>,
    /// Where it listens.
    pub url: String,
}

/// What a receiver has taken.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    pub samples: u64,
    pub bytes: u64,
}

impl Peer {
    /// The simulated API, with so many fleets of so many devices.
    pub fn api(fleets: usize, devices: usize, latency: Duration) -> Self {
        Self::start(&["api", &fleets.to_string(), &devices.to_string(), &latency.as_millis().to_string()])
    }

    /// A receiver of both versions of remote write.
    pub fn receiver() -> Self {
        Self::start(&["receiver"])
    }

    /// An exporter's page with so many series, each with a uuid of its own.
    pub fn page(series: usize) -> Self {
        Self::start(&["page", &series.to_string()])
    }

    fn start(arguments: &[&str]) -> Self {
        let this = std::env::current_exe().expect("the path of this program");
        let mut command = Command::new(this);
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts again");
        let said = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut peer = Peer { child, said, url: String::new() };
        peer.url = peer.line();
        peer
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("a peer that runs");
        line.trim().to_owned()
    }

    fn numbers(&mut self) -> Vec<u64> {
        let inbox = self.child.stdin.as_mut().expect("it is piped");
        inbox.write_all(b"\n").expect("a peer that runs");
        self.line().split(' ').map(|word| word.parse().expect("a number")).collect()
    }

    /// How many requests it has answered.
    pub fn requests(&mut self) -> u64 {
        self.numbers()[0]
    }

    /// What it has taken so far.
    pub fn taken(&mut self) -> Taken {
        let numbers = self.numbers();
        Taken { samples: numbers[1], bytes: numbers[2] }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().expect("it ends with its input");
    }
}

/// Serves as the simulated API until standard input ends; tells its requests for each line that comes.
pub fn serve_api(arguments: &[String]) {
    let number = |position: usize| arguments[position].parse().expect("a number");
    let simulation = Simulation::generate(number(0), number(1), 1);
    let latency = Duration::from_millis(number(2) as u64);
    let options = Options { token: TOKEN.to_owned(), latency, ..Options::default() };
    let runtime = runtime();
    let server = runtime.block_on(Server::start(simulation, options)).expect("a free port");
    println!("{}", server.base_url());
    each_line(|| server.request_count().to_string());
}

/// Serves a page as an exporter does, whose values are others each time, until standard input ends.
pub fn serve_page(arguments: &[String]) {
    let series: usize = arguments[0].parse().expect("a number");
    let scrapes = Arc::new(AtomicU64::new(0));
    let runtime = runtime();
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a free port");
    println!("http://{}", listener.local_addr().expect("it is bound"));
    let state = (scrapes.clone(), Arc::new(shapes::page_names(series)));
    let router = Router::new().fallback(page).with_state(state);
    runtime.spawn(async move { axum::serve(listener, router).await });
    each_line(|| scrapes.load(Ordering::SeqCst).to_string());
}

async fn page(State((scrapes, names)): State<(Arc<AtomicU64>, Arc<Vec<String>>)>) -> Response {
    let scrape = scrapes.fetch_add(1, Ordering::SeqCst);
    let head =
        "# HELP balena_device_online Whether the device is connected.\n# TYPE balena_device_online gauge\n";
    let mut text = String::with_capacity(names.len() * 120);
    text.push_str(head);
    for (number, name) in (0_u64..).zip(&*names) {
        text.push_str(name);
        text.push_str(if (number + scrape) % 7 == 0 { " 0\n" } else { " 1\n" });
    }
    ([("content-type", "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    samples: AtomicU64,
    bytes: AtomicU64,
}

/// Serves as a receiver until standard input ends.
pub fn serve_receiver() {
    let counters = Arc::new(Counters::default());
    let runtime = runtime();
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a free port");
    println!("http://{}/write", listener.local_addr().expect("it is bound"));
    let router = Router::new().fallback(write).with_state(counters.clone());
    runtime.spawn(async move { axum::serve(listener, router).await });
    each_line(|| {
        let of = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        format!("{} {} {}", of(&counters.requests), of(&counters.samples), of(&counters.bytes))
    });
}

fn each_line(report: impl Fn() -> String) {
    for _ in std::io::stdin().lines() {
        println!("{}", report());
    }
}

/// Decodes what came, so that only what has arrived whole is counted.
async fn write(State(counters): State<Arc<Counters>>, headers: HeaderMap, body: Bytes) -> Response {
    let is_two = headers.get("content-type").is_some_and(|value| value.as_bytes().ends_with(b"v2.Request"));
    let Ok(plain) = snap::raw::Decoder::new().decompress_vec(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let samples = if is_two {
        v2::Request::decode(&*plain).map(|request| request.timeseries.iter().map(|s| s.samples.len()).sum())
    } else {
        v1::WriteRequest::decode(&*plain)
            .map(|request| request.timeseries.iter().map(|s| s.samples.len()).sum())
    };
    let Ok(samples): Result<usize, _> = samples else { return StatusCode::BAD_REQUEST.into_response() };
    counters.requests.fetch_add(1, Ordering::SeqCst);
    counters.samples.fetch_add(samples as u64, Ordering::SeqCst);
    if samples > 0 {
        counters.bytes.fetch_add(body.len() as u64, Ordering::SeqCst);
    }
    let written = [
        ("x-prometheus-remote-write-samples-written", samples.to_string()),
        ("x-prometheus-remote-write-histograms-written", "0".to_owned()),
        ("x-prometheus-remote-write-exemplars-written", "0".to_owned()),
    ];
    if is_two {
        (StatusCode::NO_CONTENT, written).into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    }
}
