//! The checked configuration: types that cannot be wrong.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::job::ScrapeJob;
use crate::relabel::Rules;
use crate::sample::{LabelName, Labels, Text};

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// How often every source is asked (default 60 s).
    pub interval: Duration,
    /// How long the last counts stand after a failed collect (default 5 min, Prometheus' lookback).
    pub stale_after: Duration,
    /// The label `job` of every series that leaves by push (default `balena`).
    pub job: Text,
    /// The label `instance` of state and self-series (default: the host name).
    pub instance: Text,
    /// Added to remote-write series that lack them.
    pub external_labels: Labels,
    /// Which labels a fleet's series carry.
    pub fleet_labels: FleetLabels,
    /// The balena accounts.
    pub accounts: Vec<Account>,
    /// Whether there is no account although one is meant: nothing else is asked, or a setting of an account stands
    /// without its token.
    pub token_missing: bool,
    /// What is scraped.
    pub jobs: Vec<ScrapeJob>,
    /// The Pushgateways.
    pub gateways: Vec<Gateway>,
    /// The remote-write endpoints.
    pub endpoints: Vec<Endpoint>,
    /// The queue before remote write.
    pub queue: QueueSettings,
    /// The page.
    pub web: Web,
    /// The log.
    pub log: Log,
    /// How long `once` may drain (default 50 s).
    pub once_deadline: Duration,
    /// How long a stop waits for requests in flight (default 10 s).
    pub shutdown_grace: Duration,
    /// What was accepted without having a meaning here, a sentence each.
    pub warnings: Vec<String>,
}

/// Which labels a fleet's series carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FleetLabels {
    /// `fleet_name` alone: the reference exporter's label set; namesakes are summed.
    Name,
    /// `fleet_name` and `fleet_slug`.
    NameAndSlug,
}

/// A balena account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its name in labels and logs (default `balena`).
    pub name: Text,
    /// The API's base URL without a trailing slash in its path.
    pub url: Url,
    /// `v6` or `v7`.
    pub api_version: Text,
    /// How often it is asked.
    pub interval: Duration,
    /// Patterns of slugs that are counted; empty: all.
    pub include: Vec<glob::Pattern>,
    /// Patterns of slugs that are left out.
    pub exclude: Vec<glob::Pattern>,
    /// The largest answer that is read, after decompression (default 512 MiB).
    pub max_body_size: u64,
    /// Token, CA file, proxy, time-out.
    pub http: HttpSettings,
}

/// A Pushgateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Its name in metrics and logs.
    pub name: Text,
    /// Its base URL (a path before `/metrics/job` is kept), without a trailing slash.
    pub url: Url,
    /// Grouping labels beside `job` and `instance`; never `job`, `le`, `quantile`, `__*`, nor empty.
    pub grouping: Vec<(LabelName, Text)>,
    /// Whether a clean stop deletes our groups.
    pub delete_on_exit: bool,
    /// Credentials, TLS, proxy, time-out.
    pub http: HttpSettings,
}

/// A remote-write endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its name in metrics, logs and the queue (default: the URL without userinfo and query).
    pub name: Text,
    /// Where requests go.
    pub url: Url,
    /// Where it begins in the queue when it is new.
    pub start: Start,
    /// Which version is spoken.
    pub protobuf_message: ProtobufMessage,
    /// What becomes of each series, external labels included, before it is sent.
    pub write_relabel: Rules,
    /// How many samples a request may hold; at most the queue's own number.
    pub max_samples_per_send: usize,
    /// So many requests of one tick may be in flight at once, 1 to 64.
    pub max_shards: usize,
    /// The delays between tries.
    pub retry: Retry,
    /// Metadata in remote write 1.0.
    pub metadata: MetadataSettings,
    /// Which requests have the exemplars of relayed pages.
    pub exemplars: SendExemplars,
    /// Credentials, TLS, proxy, headers, time-out.
    pub http: HttpSettings,
}

/// Which requests have exemplars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SendExemplars {
    /// Those of 2.0, of which they are a part; in 1.0 they are an extension that a receiver may not know.
    #[default]
    InTwo,
    /// All.
    Always,
    /// None.
    Never,
}

/// Where an endpoint begins in the queue when it is new there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With what comes from now on.
    #[default]
    Now,
    /// With the oldest samples that are still there for another endpoint.
    Oldest,
}

/// Which version of remote write is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtobufMessage {
    /// 2.0 where the receiver knows it, 1.0 elsewhere.
    Auto,
    /// `prometheus.WriteRequest`.
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

/// Exponential delays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The first delay.
    pub min: Duration,
    /// The longest delay.
    pub max: Duration,
}

/// Metadata in remote write 1.0 (2.0 carries it in each series).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataSettings {
    /// Whether it is sent.
    pub send: bool,
    /// How often (default 1 min).
    pub every: Duration,
}

/// The queue before remote write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// Where it is kept.
    pub dir: QueueDir,
    /// Its bound in bytes (default 1 GiB).
    pub max_size: u64,
    /// How old a record may grow (default 8 d).
    pub max_age: Duration,
    /// How many samples a record holds (default 2,000).
    pub max_samples_per_send: usize,
}

/// Where the queue is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueDir {
    /// In this process' memory.
    Memory,
    /// In the folder that was set.
    Folder(PathBuf),
    /// In the default folder, which nobody has asked for.
    Default(PathBuf),
}

impl QueueSettings {
    /// What a queue that is open keeps for its life.
    pub fn bounds(&self) -> (&QueueDir, u64, Duration) {
        (&self.dir, self.max_size, self.max_age)
    }
}

/// The page's server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Where it listens; none: no page.
    pub listen: Option<SocketAddr>,
    /// The path of the metrics (default `/metrics`).
    pub telemetry_path: String,
    /// Whether `POST /-/reload` works.
    pub enable_lifecycle: bool,
    /// The file that says how the page is protected; none: it is not.
    pub config_file: Option<PathBuf>,
}

/// The log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least level that is shown.
    pub level: LogLevel,
    /// Its form.
    pub format: LogFormat,
}

/// A log level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// A log's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LogFormat {
    Logfmt,
    Json,
}

/// How one server is spoken to. Reserved headers cannot be set here.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Who we say we are.
    pub auth: Auth,
    /// Trust and client certificate.
    pub tls: TlsSettings,
    /// The proxy.
    pub proxy: Proxy,
    /// Further headers, such as a tenant's; values may be secret.
    pub headers: Vec<(String, SecretString)>,
    /// The time-out of a whole request.
    pub timeout: Duration,
}

/// Credentials.
#[derive(Clone, Debug)]
pub enum Auth {
    /// None.
    None,
    /// User name and password.
    Basic {
        /// The user's name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// `Authorization: <scheme> <credentials>`, `Bearer` mostly.
    Header {
        /// The scheme.
        scheme: String,
        /// What follows it.
        credentials: Secret,
    },
    /// `Authorization: Bearer <token>`, with a token that is fetched for client credentials.
    OAuth2(Box<OAuth2>),
}

/// OAuth2's grant for client credentials.
#[derive(Clone, Debug)]
pub struct OAuth2 {
    /// The client's name.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: Secret,
    /// What the token is to be good for.
    pub scopes: Vec<String>,
    /// Where tokens are given out.
    pub token_url: Url,
    /// Further parameters of the request for a token; values may be secret.
    pub endpoint_params: Vec<(String, SecretString)>,
    /// Trust and client certificate towards the token endpoint.
    pub tls: TlsSettings,
    /// The proxy towards the token endpoint.
    pub proxy: Proxy,
}

/// A secret: its value, or the file that holds it and is read again when it changes.
#[derive(Clone)]
pub enum Secret {
    /// The value itself.
    Value(SecretString),
    /// A file; white space at its end is not part of the secret.
    File(PathBuf),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Value(_) => f.write_str("<secret>"),
            Secret::File(path) => path.fmt(f),
        }
    }
}

/// Trust and client certificate; files are read again when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// PEM certificates trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate and key (PEM).
    pub client_cert: Option<(PathBuf, PathBuf)>,
    /// The name that the server's certificate must carry, where it is not the URL's host.
    pub server_name: Option<String>,
    /// Whether any certificate is taken.
    pub insecure_skip_verify: bool,
}

/// Through which proxy a server is reached.
#[derive(Clone, PartialEq, Eq)]
pub enum Proxy {
    /// What `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` say. Given are those that have credentials, so that
    /// these can be kept out of errors, and those that speak TLS, so that it is ready.
    Environment(Vec<Url>),
    /// None.
    Direct,
    /// This one.
    Url(Url),
}

impl Proxy {
    /// The proxies that are known.
    pub fn urls(&self) -> &[Url] {
        match self {
            Proxy::Environment(proxies) => proxies,
            Proxy::Direct => &[],
            Proxy::Url(proxy) => std::slice::from_ref(proxy),
        }
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Proxy::Environment(Vec::new())
    }
}

/// Without the credentials of a URL.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proxy::Environment(_) => f.write_str("Environment"),
            Proxy::Direct => f.write_str("Direct"),
            Proxy::Url(url) => write!(f, "Url({:?})", url.host_str().unwrap_or_default()),
        }
    }
}
