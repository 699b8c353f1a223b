//! Simulated receivers: remote write and a Pushgateway behind one port.
//! In: pushes. Out: the answers of the chosen product, and what it stored, for tests and the demo to look at.
//! Never: `encode`; what arrives is decoded here on its own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::broadcast;

pub use self::personality::Personality;
pub use self::pushgateway::{Family, Group, Point};
pub use self::remote_write::{Delivered, Metadata, Sample, Series, Version};
use super::http::{self, Answer, Behaviour, Site, lock};
pub use super::http::{Cut, Fault, Request, Times};

mod decode;
mod families;
mod path;
mod personality;
mod pushgateway;
mod remote_write;
mod text;

/// The labels of a series or the key of a group.
pub type Labels = BTreeMap<String, String>;

/// How a receiver is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which product it answers like.
    pub personality: Personality,
    /// Cortex: refuses requests without `X-Scope-OrgID`. The others know no tenants, or a default one.
    pub needs_tenant: bool,
    /// Cortex: a request of more samples is over its rate.
    pub max_samples: Option<usize>,
    /// Cortex: more series are not taken.
    pub max_series: Option<usize>,
    /// Cortex: a series of more labels, its name included, is not taken.
    pub max_labels: Option<usize>,
    /// Takes samples in any order, as within an out-of-order window. VictoriaMetrics always does.
    pub out_of_order: bool,
    /// Waited before each answer.
    pub latency: Duration,
    /// So many requests, deliveries and samples of a series are kept.
    pub keep: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            personality: Personality::Prometheus3,
            needs_tenant: false,
            max_samples: None,
            max_series: None,
            max_labels: None,
            out_of_order: false,
            latency: Duration::ZERO,
            keep: 100_000,
        }
    }
}

/// Something arrived and was worked on. Its text is one line for a reader.
#[derive(Clone, Debug)]
pub enum Event {
    /// A remote-write request.
    RemoteWrite(Arc<Delivered>),
    /// A push to a group, or its deletion.
    Push {
        /// `PUT`, `POST` or `DELETE`.
        method: String,
        /// The group's key.
        group: Labels,
        /// Samples in the body.
        samples: usize,
        /// Bytes of the body as sent.
        bytes: usize,
        /// What was answered.
        status: u16,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemoteWrite(delivered) => {
                let samples: usize = delivered.series.iter().map(|series| series.samples.len()).sum();
                let stale = delivered.series.iter().flat_map(|series| &series.samples);
                let stale = stale.filter(|sample| sample.is_stale_marker()).count();
                write!(
                    out,
                    "remote write {}: {samples} samples, {} bytes of snappy and protobuf",
                    delivered.version, delivered.body_len
                )?;
                match (samples, stale) {
                    (0, _) => write!(out, " (asks which version is spoken)")?,
                    (_, 0) => {}
                    (_, stale) => write!(out, " ({stale} of them stale markers)")?,
                }
                write!(out, ", answered {}", delivered.status)
            }
            Self::Push { method, group, samples, bytes, status } => {
                let key = group.iter().map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>();
                let key = key.join(", ");
                write!(
                    out,
                    "pushgateway {method} {{{key}}}: {samples} samples, {bytes} bytes, answered {status}"
                )
            }
        }
    }
}

/// The site behind a [`Server`].
#[derive(Debug)]
pub struct Receiver {
    options: Options,
    store: Mutex<remote_write::Store>,
    gateway: Mutex<pushgateway::Gateway>,
    events: broadcast::Sender<Event>,
}

/// A running receiver.
pub type Server = http::Server<Receiver>;

impl Server {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start(options: Options) -> std::io::Result<Self> {
        Self::start_on(Self::bind().await?, options)
    }

    /// Listens on a listener that is bound already.
    pub fn start_on(listener: TcpListener, options: Options) -> std::io::Result<Self> {
        let behaviour = Behaviour { latency: options.latency, keep_alive: None, keep: options.keep };
        let site = Receiver {
            store: Mutex::new(remote_write::Store::new(options.keep)),
            gateway: Mutex::default(),
            events: broadcast::Sender::new(1024),
            options,
        };
        Self::serve(listener, site, behaviour)
    }

    /// `<base>/api/v1/write`.
    pub fn write_url(&self) -> String {
        format!("{}/api/v1/write", self.base_url())
    }

    /// Every remote-write request that was decoded, in the order of arrival, refused ones included.
    pub fn deliveries(&self) -> Vec<Arc<Delivered>> {
        lock(&self.site().store).deliveries()
    }

    /// What is stored: samples of each series in the order of storing.
    pub fn samples(&self) -> BTreeMap<Labels, Vec<Sample>> {
        lock(&self.site().store).samples()
    }

    /// The groups of the Pushgateway by their keys.
    pub fn groups(&self) -> BTreeMap<Labels, Group> {
        lock(&self.site().gateway).groups()
    }

    /// One event for each request that is worked on from now.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.site().events.subscribe()
    }
}

impl Receiver {
    fn publish(&self, event: Event) {
        // Nobody listening is no error.
        drop(self.events.send(event));
    }

    fn write(&self, request: &Request, body: &[u8]) -> Answer {
        let mut store = lock(&self.store);
        let (answer, delivered) = personality::write(&self.options, &mut store, request, body);
        drop(store);
        if let Some(delivered) = delivered {
            self.publish(Event::RemoteWrite(delivered));
        }
        answer
    }

    fn push(&self, request: &Request, body: &[u8]) -> Answer {
        let (answer, pushed) = lock(&self.gateway).push(request, body);
        if let Some((group, samples)) = pushed {
            let (method, status, bytes) = (request.method.clone(), answer.status, body.len());
            self.publish(Event::Push { method, group, samples, bytes, status });
        }
        answer
    }
}

impl Site for Receiver {
    fn answer(&self, request: &Request, body: &[u8]) -> Answer {
        match (request.method.as_str(), request.path()) {
            ("GET", "/-/ready" | "/-/healthy" | "/health") => Answer::text(200, "OK"),
            ("GET", "/api/v1/status") => Answer::json(200, pushgateway::STATUS),
            ("GET", "/api/v1/metrics") => Answer::json(200, lock(&self.gateway).list()),
            ("GET", "/metrics") => match lock(&self.gateway).page() {
                Ok(page) => Answer::empty(200)
                    .header("content-type", "text/plain; version=0.0.4; charset=utf-8")
                    .body(page.into_bytes()),
                Err(reason) => Answer::text(500, reason + "\n"),
            },
            (_, path) if path == "/metrics" || path.starts_with("/metrics/") => self.push(request, body),
            ("POST", _) => self.write(request, body),
            _ => Answer::text(405, "Method Not Allowed\n"),
        }
    }
}
