//! Joins the rooms: batches come in from the sources, go out to page, Pushgateways and queue. Owns the
//! stop (first signal: finish what is in flight; second: end at once) and the reload. Never: arguments,
//! formats, requests.

mod control;
mod desk;
mod door;
mod enqueue;
mod given;
mod health;
mod latest;
mod line;
mod once;
mod probe;
mod relayed;
mod room;
mod shared;
mod signals;
mod store;
mod turn;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::collect::Collector;
use crate::config::Config;
use crate::http::HttpError;
use crate::page::{self, Bounds, Guard, GuardError, PageState, ReloadRequest};
use crate::queue::OpenError;
use crate::relay::{Jobs, JobsError};
use crate::sample::Text;
use crate::schedule::Ticker;
use crate::schedule::tick::offset_for;
use crate::sink::pushgateway::{PushError, Pusher};
use crate::sink::worker::Worker;
use crate::telemetry::Telemetry;
pub use control::{AskError, ask_queue};
pub use desk::{Answer, Ask, Report};
#[doc(hidden)]
pub use door::kept;
pub use given::Given;
pub use health::{HealthError, healthcheck};
pub use once::{OnceOutcome, once};
pub use probe::{CheckReport, Finding, Part, Size, check, delete_groups, fleets};
use relayed::Running;
pub use room::Room;
use shared::Shared;
pub use signals::signals;
use store::WithoutFolder;

/// Why the program cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A server's settings are not usable.
    #[error("{what}")]
    Settings {
        /// Which account or sink.
        what: String,
        /// What is wrong.
        source: HttpError,
    },
    /// A gateway's settings are not usable.
    #[error("pushgateway {name}")]
    Gateway {
        /// Its name.
        name: String,
        /// What is wrong.
        source: PushError,
    },
    /// A job's settings are not usable.
    #[error(transparent)]
    Job(#[from] JobsError),
    /// The queue's folder cannot be used.
    #[error(
        "{0}; set FLEETPUSH_QUEUE_DIR or `queue: {{dir: …}}` to a folder that can be written, or to `memory`, and \
         what is not delivered when the process ends is lost"
    )]
    QueueFolder(OpenError),
    /// The queue cannot be opened.
    #[error(transparent)]
    Queue(OpenError),
    /// The page cannot be protected as the file says.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The page's server failed.
    #[error("the page's server has ended")]
    Page(#[source] std::io::Error),
}

/// How a run is ended and changed from outside.
#[derive(Debug)]
pub struct Control {
    /// Cancelled by the first signal: finish what is in flight.
    pub stop: CancellationToken,
    /// Cancelled by the second signal: end at once.
    pub abort: CancellationToken,
    /// Asks for a reload (a signal or `POST /-/reload`); the answer says how it went.
    pub reload: mpsc::Receiver<ReloadRequest>,
    /// Gives out further senders of `reload`, for the page.
    pub reload_sender: mpsc::Sender<ReloadRequest>,
}

impl Control {
    /// Nothing cancelled, nothing asked.
    pub fn new() -> Self {
        let (reload_sender, reload) = mpsc::channel(1);
        Control { stop: CancellationToken::new(), abort: CancellationToken::new(), reload, reload_sender }
    }
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads the configuration again.
pub type Reread = dyn FnMut() -> Result<Config, String> + Send;

/// Runs until the stop is asked for.
///
/// # Errors
/// [`AppError`] where settings turn out unusable before anything was sent.
pub async fn run(
    mut config: Config,
    telemetry: Telemetry,
    listener: Option<TcpListener>,
    control: &mut Control,
    reread: &mut Reread,
) -> Result<(), AppError> {
    let shared = Arc::new(Shared::new(&config, Clock::SYSTEM, telemetry));
    let guard = guard(&config, &shared.telemetry)?;
    if let Some(guard) = &guard {
        info!(tls = guard.has_tls(), users = guard.has_users(), "the page is protected");
    }
    shared.open_queue(&config, WithoutFolder::Refuse).await?;
    let mut parts = match Parts::build(&config, &shared) {
        Ok(parts) => parts,
        Err(error) => {
            shared.close_queue().await;
            return Err(error);
        }
    };
    let page_stop = CancellationToken::new();
    let page = listener.map(|listener| {
        let state = PageState {
            latest: shared.latest.subscribe(),
            telemetry: shared.telemetry.clone(),
            clock: shared.clock.clone(),
            telemetry_path: config.web.telemetry_path.clone(),
            lifecycle: config.web.enable_lifecycle.then(|| control.reload_sender.clone()),
        };
        tokio::spawn(page::serve_guarded(listener, state, guard, Bounds::default(), page_stop.clone()))
    });
    let control_stop = CancellationToken::new();
    let mut socket = None;
    loop {
        // A reload may bring the first endpoint, and the queue with it.
        if socket.is_none() && shared.queue().is_some() {
            socket = Some(tokio::spawn(control::serve(Arc::clone(&shared), control_stop.clone())));
        }
        match generation(&config, parts, &shared, control, reread).await {
            End::Stop => break,
            End::Reload(new) => (config, parts) = *new,
        }
    }
    page_stop.cancel();
    control_stop.cancel();
    if let Some(socket) = socket {
        // It only removes its file now; an error is a panic there, which is logged.
        socket.await.unwrap_or_default();
    }
    shared.close_queue().await;
    if let Some(page) = page
        && !control.abort.is_cancelled()
        && let Ok(Ok(Err(error))) = tokio::time::timeout(Duration::from_secs(1), page).await
    {
        return Err(AppError::Page(error));
    }
    Ok(())
}

/// Whether the page can be protected as the configuration says; its certificates are read.
///
/// # Errors
/// [`AppError::Guard`].
pub fn try_guard(config: &Config) -> Result<(), AppError> {
    guard(config, &Telemetry::new()).map(drop)
}

fn guard(config: &Config, telemetry: &Telemetry) -> Result<Option<Guard>, AppError> {
    let open = |path: &PathBuf| Guard::open(path, telemetry.clone());
    Ok(config.web.config_file.as_ref().map(open).transpose()?)
}

/// What one configuration runs: its sources and sinks, checked and ready to start.
struct Parts {
    sources: Vec<Source>,
    workers: Vec<Worker>,
    gateways: Vec<Pusher>,
    jobs: Jobs,
}

/// An account that is asked at its interval.
struct Source {
    name: Text,
    collector: Collector,
    every: Duration,
}

impl Parts {
    fn build(config: &Config, shared: &Shared) -> Result<Self, AppError> {
        let sources = config.accounts.iter().map(|account| {
            let clock = shared.clock.clone();
            let collector = Collector::new(account, config.fleet_labels, config.stale_after, clock);
            let what = || format!("balena account {}", account.name);
            let collector = collector.map_err(|source| AppError::Settings { what: what(), source })?;
            Ok(Source { name: account.name.clone(), collector, every: account.interval })
        });
        Ok(Parts {
            sources: sources.collect::<Result<_, AppError>>()?,
            workers: shared.workers(config)?,
            gateways: shared.gateways(config)?,
            jobs: Jobs::new(config, shared.telemetry.clone())?,
        })
    }
}

enum End {
    Stop,
    Reload(Box<(Config, Parts)>),
}

/// Runs one configuration until the stop, or until a reload has brought a good one.
async fn generation(
    config: &Config,
    parts: Parts,
    shared: &Arc<Shared>,
    control: &mut Control,
    reread: &mut Reread,
) -> End {
    let stop = control.stop.child_token();
    let abort = control.abort.child_token();
    let tasks = TaskTracker::new();
    shared.configure(config, &parts.jobs).await;
    for worker in parts.workers {
        tasks.spawn(worker.run(stop.clone(), abort.clone()));
    }
    for gateway in parts.gateways {
        tasks.spawn(gateway.run(shared.latest.subscribe(), stop.clone(), abort.clone()));
    }
    for source in parts.sources {
        let ticker =
            Ticker::new(shared.clock.clone(), source.every, offset_for(&config.instance, source.every));
        tasks.spawn(collect_loop(source, ticker, Arc::clone(shared), stop.clone()));
    }
    let running = Running {
        shared: Arc::clone(shared),
        stop: stop.clone(),
        tasks: tasks.clone(),
        instance: config.instance.clone(),
        tells_own: config.accounts.is_empty(),
    };
    running.start(parts.jobs.groups().await);
    let end = loop {
        tokio::select! {
            () = control.stop.cancelled() => break End::Stop,
            Some(answer) = control.reload.recv() => match reload(config, shared, reread).await {
                Ok(new) => {
                    reply(answer, Ok(()));
                    break End::Reload(Box::new(new));
                }
                Err(error) => reply(answer, Err(error)),
            },
        }
    };
    stop.cancel();
    tasks.close();
    tokio::select! {
        () = tasks.wait() => {}
        () = control.abort.cancelled() => info!("second signal, ending at once"),
        () = tokio::time::sleep(config.shutdown_grace) => {
            let grace_ms = u64::try_from(config.shutdown_grace.as_millis()).unwrap_or(u64::MAX);
            warn!(grace_ms, "requests were still in flight after the grace");
        }
    }
    abort.cancel();
    if matches!(end, End::Stop) {
        tokio::select! {
            biased;
            () = control.abort.cancelled() => {}
            () = shared.delete_on_exit(config, config.shutdown_grace) => {}
        }
    }
    end
}

async fn reload(old: &Config, shared: &Shared, reread: &mut Reread) -> Result<(Config, Parts), String> {
    let outcome = match reread() {
        Ok(config) => rebuild(config, shared).await.map_err(|error| crate::http::chain(&error)),
        Err(error) => Err(error),
    };
    match &outcome {
        Ok((new, _)) => {
            shared.telemetry.reloaded(None);
            for warning in &new.warnings {
                warn!("{warning}");
            }
            if new.web != old.web || new.log != old.log || new.queue.bounds() != old.queue.bounds() {
                warn!("changes under web, log and queue take effect at the next start");
            }
            if new.queue != old.queue {
                warn!("a changed queue takes effect at the next start");
            }
        }
        Err(error) => shared.telemetry.reloaded(Some(error)),
    }
    outcome
}

async fn rebuild(config: Config, shared: &Shared) -> Result<(Config, Parts), AppError> {
    shared.open_queue(&config, WithoutFolder::Refuse).await?;
    let parts = Parts::build(&config, shared)?;
    Ok((config, parts))
}

fn reply(answer: oneshot::Sender<Result<(), String>>, how: Result<(), String>) {
    // Who asked may be gone; the log has said how it went.
    answer.send(how).ok();
}

async fn collect_loop(source: Source, mut ticker: Ticker, shared: Arc<Shared>, stop: CancellationToken) {
    let Source { name, collector, .. } = source;
    let progress = shared.progress(&name);
    let mut collector = collector.resumed(progress.last_success, progress.last_at);
    loop {
        let tick = tokio::select! {
            () = stop.cancelled() => return,
            tick = ticker.tick() => tick,
        };
        if tick.missed > 0 {
            shared.telemetry.ticks_missed(&name, tick.missed);
        }
        shared.telemetry.collecting(&name);
        let (batch, report) = tokio::select! {
            () = stop.cancelled() => return,
            cycle = collector.cycle() => cycle,
        };
        // Before its end is told: there is no moment in which nothing is known to come.
        shared.telemetry.next_cycle(ticker.next_at());
        shared.collected(batch, &report).await;
    }
}
