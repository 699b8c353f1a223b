//! A remote-write worker with a queue of its own, for tests against simulated and real receivers.

use std::time::Duration;

use fleetpush::clock::Clock;
use fleetpush::config::{
    Auth, Endpoint, HttpSettings, MetadataSettings, ProtobufMessage, Proxy, Retry, Secret, SendExemplars,
    Start, TlsSettings,
};
use fleetpush::demo::receiver::{Options, Personality, Server, Version};
use fleetpush::encode::record::{self, Identity};
use fleetpush::queue::{self, Appended, Entry, Queue, Record, Refused};
use fleetpush::relabel::Rules;
use fleetpush::sample::{
    Batch, Family, Kind, LabelName, Labels, MetricName, Millis, Role, Scope, Series, Source, Text, Value,
};
use fleetpush::sink::worker::{Drained, Pace, Worker};
use fleetpush::telemetry::status::SinkStatus;
use fleetpush::telemetry::{SinkKind, Telemetry};
use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::servers::eventually;

pub const LIMIT: Duration = Duration::from_secs(20);

/// What the queue's thread says, waited for here: a test's steps stay one line each.
pub fn blocked<T: Send>(what: impl Future<Output = T> + Send) -> T {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    std::thread::scope(|scope| scope.spawn(|| runtime().block_on(what)).join().expect("no panic"))
}

/// The present, to the millisecond.
pub fn now() -> i64 {
    Clock::SYSTEM.now().0
}

pub async fn simulated(personality: Personality) -> Server {
    Server::start(Options { personality, ..Options::default() }).await.expect("a free port")
}

/// An endpoint and what it needs; its first delays are 10 ms.
pub struct Rig {
    pub endpoint: Endpoint,
    pub external: Labels,
    pub queue: Queue,
    pub telemetry: Telemetry,
    pub clock: Clock,
    pub pace: Pace,
    pub max_samples: usize,
}

/// A worker at work; ended when it goes out of scope.
pub struct Running {
    pub stop: CancellationToken,
    pub abort: CancellationToken,
    pub task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.abort.cancel();
    }
}

impl Running {
    pub async fn ended(mut self) {
        timeout(LIMIT, &mut self.task).await.expect("it ends").expect("without a panic");
    }
}

impl Rig {
    pub fn new(url: &str) -> Self {
        let endpoint = Endpoint {
            name: "test".into(),
            url: url.parse().expect("a URL"),
            start: Start::Now,
            write_relabel: Rules::default(),
            protobuf_message: ProtobufMessage::Auto,
            max_samples_per_send: 2_000,
            max_shards: 4,
            retry: Retry { min: Duration::from_millis(10), max: Duration::from_millis(40) },
            metadata: MetadataSettings { send: true, every: Duration::from_secs(60) },
            exemplars: SendExemplars::InTwo,
            http: HttpSettings {
                auth: Auth::None,
                tls: TlsSettings::default(),
                proxy: Proxy::Direct,
                headers: Vec::new(),
                timeout: Duration::from_secs(10),
            },
        };
        let queue = Queue::memory(64 << 20, Duration::from_secs(8 * 86_400));
        blocked(queue.register("test")).expect("the store is open");
        let ms = Duration::from_millis;
        Rig {
            endpoint,
            external: Labels::default(),
            queue,
            telemetry: Telemetry::new(),
            clock: Clock::SYSTEM,
            pace: Pace { park_min: ms(20), park_max: ms(60), ..Pace::default() },
            max_samples: 2_000,
        }
    }

    pub fn message(mut self, message: ProtobufMessage) -> Self {
        self.endpoint.protobuf_message = message;
        self
    }

    pub fn exemplars(mut self, send: SendExemplars) -> Self {
        self.endpoint.exemplars = send;
        self
    }

    /// As [`Rig::message`], for a rig that is at work.
    pub fn message_now(&mut self, message: ProtobufMessage) {
        self.endpoint.protobuf_message = message;
    }

    pub fn bearer(mut self, token: Secret) -> Self {
        self.endpoint.http.auth = Auth::Header { scheme: "Bearer".into(), credentials: token };
        self
    }

    pub fn token(self, token: &str) -> Self {
        self.bearer(Secret::Value(SecretString::from(token)))
    }

    pub fn external(mut self, name: &str, value: &str) -> Self {
        self.external = labels(&[(name, value)]);
        self
    }

    /// Puts a cycle at a time into the queue: a series for each fleet, with its value.
    pub fn append(&self, at: i64, fleets: &[(&str, f64)]) {
        self.append_family("balena_devices", at, fleets);
    }

    pub fn append_family(&self, name: &str, at: i64, fleets: &[(&str, f64)]) {
        let series = fleets.iter().map(|(fleet, value)| Series {
            labels: labels(&[("fleet_name", fleet)]),
            value: Value::from(*value),
            own: None,
        });
        let family = Family {
            name: MetricName::new(name).expect("a name"),
            kind: Kind::Gauge,
            help: "Registered devices".into(),
            role: Role::Fleet,
            series: series.collect(),
            of: None,
            unit: "".into(),
        };
        let source = Source::Account("balena".into());
        let batch = Batch::new(source, Millis(at), Scope::Whole, vec![family]).expect("no twins");
        let identity = Identity { job: "balena".into(), instance: "site".into() };
        let records = record::cut(&batch, &[], &identity, self.max_samples);
        let records = records.into_iter().map(|r| Record::new(r.bytes(), r.samples, r.at_ms));
        self.append_records(records.collect());
    }

    pub fn append_records(&self, records: Vec<Record>) {
        let entry = Entry { source: "balena".into(), scope: queue::Scope::Whole, records };
        assert_eq!(blocked(self.queue.append(entry)), Appended::default(), "the queue has room");
    }

    /// A cycle of so many fleets `f000`, `f001`, … whose values are their numbers.
    pub fn append_many(&self, at: i64, count: usize) {
        let names: Vec<String> = (0..count).map(|number| format!("f{number:03}")).collect();
        let fleets: Vec<(&str, f64)> =
            names.iter().enumerate().map(|(number, name)| (name.as_str(), number as f64)).collect();
        self.append(at, &fleets);
    }

    pub fn worker(&self) -> Worker {
        let (endpoint, external) = (self.endpoint.clone(), self.external.clone());
        Worker::new(endpoint, external, self.queue.clone(), self.clock.clone(), self.telemetry.clone())
            .expect("usable settings")
            .with_pace(self.pace)
    }

    pub fn spawn(&self) -> Running {
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let task = tokio::spawn(self.worker().run(stop.clone(), abort.clone()));
        Running { stop, abort, task }
    }

    /// Drains for at most [`LIMIT`].
    pub async fn drain(&self) -> Drained {
        self.worker().drain(Instant::now() + LIMIT, &CancellationToken::new()).await
    }

    pub async fn nothing_waits(&self) {
        eventually("everything is answered for", LIMIT, async || (self.waiting() == 0).then_some(())).await;
    }

    pub fn waiting(&self) -> u64 {
        self.queue.waiting("test").samples
    }

    pub fn refused(&self) -> Vec<Refused> {
        blocked(self.queue.refused("test")).expect("the store is open")
    }

    /// What page and commands show of it, once it is at work.
    pub fn status(&self) -> Option<SinkStatus> {
        self.telemetry.status().borrow().sink(SinkKind::RemoteWrite, "test").cloned()
    }

    /// The sum of a self-metric's series that carry all of these label values.
    pub fn metric(&self, name: &str, values: &[&str]) -> f64 {
        let families = self.telemetry.families();
        let family = families.iter().find(|family| family.name.as_str() == name);
        let matches = |series: &&Series| {
            values.iter().all(|value| series.labels.iter().any(|label| label.value == *value))
        };
        family.into_iter().flat_map(|f| f.series.iter().filter(matches)).map(|s| s.value.get()).sum()
    }
}

pub fn labels(pairs: &[(&str, &str)]) -> Labels {
    let named = pairs.iter().map(|(name, value)| (LabelName::new(name).expect("a name"), Text::from(*value)));
    Labels::new(named).expect("no twins")
}

/// What a simulated receiver has stored for a fleet: times and values in the order of storing.
pub fn stored(server: &Server, fleet: &str) -> Vec<(i64, f64)> {
    let all = server.samples();
    let series = all.iter().find(|(labels, _)| labels.get("fleet_name").is_some_and(|name| name == fleet));
    series.into_iter().flat_map(|(_, samples)| samples).map(|s| (s.timestamp, s.value())).collect()
}

/// Version, samples and status of every request with samples that was understood.
pub fn data(server: &Server) -> Vec<(Version, usize, u16)> {
    let requests = server.deliveries();
    let with_samples = requests.iter().filter(|delivered| !delivered.series.is_empty());
    with_samples.map(|d| (d.version, d.series.len(), d.status)).collect()
}
