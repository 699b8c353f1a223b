//! The demo: the product itself, as it runs anywhere, against a simulated balena API and two receivers in
//! this process. What arrives is told one line at a time.

use std::fmt::Display;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::args::{DemoOptions, Settings};
use super::commands::cannot_listen;
use super::say::{self, answer, fail};
use super::{Environment, Exit, chain, start_log};
use crate::app::{self, Control};
use crate::config::{self, Config};
use crate::demo::{balena, receiver};
use crate::telemetry::Telemetry;
use crate::telemetry::status::{SinkState, Status};

/// The default port of the page, which the demo gives up where it is taken.
const PORT: u16 = 8000;
/// So many cycles go by before an outage, so that one sees the difference.
const CYCLES_BEFORE_OUTAGE: u32 = 3;
const TOKEN: &str = "a-token-for-the-demo";

/// The servers that stand for everything outside.
struct World {
    simulation: balena::Simulation,
    api: balena::Server,
    gateway: receiver::Server,
    remote: receiver::Server,
}

impl World {
    async fn start(options: &DemoOptions) -> std::io::Result<Self> {
        let simulation = balena::Simulation::generate(options.fleets as usize, options.devices as usize, 1);
        let set_up =
            balena::Options { token: TOKEN.into(), latency: options.latency, ..balena::Options::default() };
        // A demo that runs for days must not keep what came in days.
        let receivers = || receiver::Options { keep: 100, ..receiver::Options::default() };
        Ok(World {
            api: balena::Server::start(simulation.clone(), set_up).await?,
            gateway: receiver::Server::start(receivers()).await?,
            remote: receiver::Server::start(receivers()).await?,
            simulation,
        })
    }

    /// The environment that an operator would set for these servers.
    fn environment(&self, options: &DemoOptions, outer: &Environment) -> Environment {
        let ours = [
            ("BALENA_TOKEN", TOKEN.to_owned()),
            ("BALENA_API_URL", self.api.base_url()),
            ("CRAWL_INTERVAL", format!("{}ms", options.interval.as_millis())),
            ("PUSHGATEWAY_URL", self.gateway.base_url()),
            ("REMOTE_WRITE_URL", self.remote.write_url()),
            ("FLEETPUSH_INSTANCE", "demo".into()),
            ("FLEETPUSH_QUEUE_DIR", "memory".into()),
        ];
        let kept = ["FLEETPUSH_LISTEN_ADDRESS", "FLEETPUSH_LOG_LEVEL", "FLEETPUSH_LOG_FORMAT"];
        // The lines that the demo prints say what goes on; the log only speaks of trouble.
        let mut all = Environment::from([("FLEETPUSH_LOG_LEVEL".to_owned(), "error".to_owned())]);
        all.extend(
            outer
                .iter()
                .filter(|(name, _)| kept.contains(&name.as_str()))
                .map(|(n, v)| (n.clone(), v.clone())),
        );
        all.extend(ours.into_iter().map(|(name, value)| (name.to_owned(), value)));
        all
    }
}

/// Runs the demo.
pub(super) async fn demo(options: &DemoOptions, settings: &Settings, outer: &Environment) -> Exit {
    let world = match World::start(options).await {
        Ok(world) => world,
        Err(error) => return fail(Exit::Failed, format_args!("the demo's servers do not start: {error}")),
    };
    let overrides = config::Overrides { config_file: None, ..settings.overrides() };
    let config = match config::load(&world.environment(options, outer), &overrides, "demo") {
        Ok(config) => config,
        Err(error) => return fail(Exit::Usage, chain(error)),
    };
    start_log(&config);
    let listener = match listen(&config).await {
        Ok(listener) => listener,
        Err(error) => return fail(Exit::Usage, error),
    };
    let mut control = Control::new();
    if let Err(error) = app::signals(&control) {
        return fail(Exit::Failed, format_args!("signals cannot be handled: {error}"));
    }
    let story = Story { began: Instant::now(), unread: control.stop.clone() };
    let page = listener.as_ref().and_then(|listener| listener.local_addr().ok());
    if say::line(introduce(&world, options, page)).is_err() {
        story.unread.cancel();
    }
    let telemetry = Telemetry::new();
    let story = tokio::spawn(tell(world, options.clone(), telemetry.status(), story));
    if let Some(run_for) = options.run_for {
        let stop = control.stop.clone();
        tokio::spawn(async move {
            sleep(run_for).await;
            stop.cancel();
        });
    }
    let mut reread = || Err("the demo has nothing to read again".to_owned());
    let outcome = app::run(config, telemetry, listener, &mut control, &mut reread).await;
    story.abort();
    match outcome {
        Ok(()) => answer("the demo has ended", Exit::Delivered),
        Err(error) => fail(Exit::Failed, chain(error)),
    }
}

/// The page's listener; the default port gives way, one that was asked for does not.
async fn listen(config: &Config) -> Result<Option<TcpListener>, String> {
    let Some(address) = config.web.listen else { return Ok(None) };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == ErrorKind::AddrInUse && address.port() == PORT => {
            let free = SocketAddr::new(address.ip(), 0);
            let listener =
                TcpListener::bind(free).await.map_err(|error| format!("cannot listen: {error}"))?;
            say::line(format_args!("port {PORT} is taken, so the page has another one")).ok();
            Ok(Some(listener))
        }
        Err(error) => Err(cannot_listen(address, &error)),
    }
}

fn introduce(world: &World, options: &DemoOptions, page: Option<SocketAddr>) -> String {
    let mut text = format!(
        "a simulated balena API at {} with {} fleets of {} devices, answering after {} ms\n\
         a Pushgateway-like receiver at {}/metrics\n\
         a remote-write receiver at {}\n",
        world.api.base_url(),
        options.fleets,
        options.devices,
        options.latency.as_millis(),
        world.gateway.base_url(),
        world.remote.write_url()
    );
    if let Some(page) = page {
        let base = format!("http://localhost:{}", page.port());
        text.push_str(&format!("the page: {base}/metrics and, for browsers, {base}/\n"));
    }
    match options.run_for {
        Some(run_for) => text + &format!("collecting every {:?} for {run_for:?}\n", options.interval),
        None => text + &format!("collecting every {:?}; Ctrl-C ends it\n", options.interval),
    }
}

/// What is told while the demo runs.
struct Story {
    began: Instant,
    /// Nobody needs a demo that nobody reads.
    unread: CancellationToken,
}

impl Story {
    fn line(&self, what: impl Display) {
        if say::line(format_args!("{:>7.1}s  {what}", self.began.elapsed().as_secs_f64())).is_err() {
            self.unread.cancel();
        }
    }

    fn event(&self, event: Result<receiver::Event, broadcast::error::RecvError>) {
        if let Ok(event) = event {
            self.line(event);
        }
    }
}

/// Lets devices come and go, makes the outage, and prints what happens.
async fn tell(world: World, options: DemoOptions, mut status: watch::Receiver<Status>, story: Story) {
    let (mut pushes, mut writes) = (world.gateway.subscribe(), world.remote.subscribe());
    let mut life = tokio::time::interval(options.interval);
    let mut turn = options.outage.map(|lasts| Turn {
        at: story.began + options.interval * CYCLES_BEFORE_OUTAGE,
        begins: true,
        lasts,
    });
    let mut seen = Seen::default();
    loop {
        tokio::select! {
            biased;
            () = until(turn) => {
                let Some(Turn { begins, lasts, at }) = turn else { continue };
                world.gateway.set_outage(begins);
                world.remote.set_outage(begins);
                if begins {
                    story.line(format_args!("the receivers refuse everything for {lasts:?}"));
                } else {
                    story.line("the receivers are back");
                }
                turn = begins.then_some(Turn { at: at + lasts, begins: false, lasts });
            }
            _ = life.tick() => world.simulation.tick(),
            event = pushes.recv() => story.event(event),
            event = writes.recv() => story.event(event),
            changed = status.changed() => {
                if changed.is_err() {
                    return;
                }
                for news in seen.news(&status.borrow_and_update().clone()) {
                    story.line(news);
                }
            }
        }
    }
}

/// The receivers' outage begins or ends.
#[derive(Clone, Copy)]
struct Turn {
    at: Instant,
    begins: bool,
    lasts: Duration,
}

async fn until(turn: Option<Turn>) {
    match turn {
        Some(turn) => tokio::time::sleep_until(turn.at).await,
        None => std::future::pending().await,
    }
}

/// What of the status was told already.
#[derive(Default)]
struct Seen {
    collected: Option<i64>,
    failing: std::collections::BTreeMap<String, bool>,
}

impl Seen {
    fn news(&mut self, status: &Status) -> Vec<String> {
        let mut news = Vec::new();
        for source in status.sources.values() {
            let Some(at) = source.last_end.map(|at| at.0) else { continue };
            if self.collected.replace(at) != Some(at) {
                news.push(match &source.last_error {
                    None => {
                        format!("collected {} fleets in one request, {} series", source.fleets, source.series)
                    }
                    Some(error) => format!("collecting failed: {error}"),
                });
            }
        }
        for ((kind, name), sink) in &status.sinks {
            let failing = matches!(sink.state, SinkState::Retrying { .. } | SinkState::Parked { .. });
            let what = format!("{} {name}", kind.as_str());
            if self.failing.insert(what.clone(), failing).unwrap_or(false) != failing {
                news.push(match (failing, &sink.last_error) {
                    (true, error) => {
                        format!(
                            "{what} fails and tries again: {}",
                            error.as_deref().unwrap_or("no reason known")
                        )
                    }
                    (false, _) => format!("{what} delivers again, {} samples wait", sink.waiting_samples),
                });
            }
        }
        news
    }
}
