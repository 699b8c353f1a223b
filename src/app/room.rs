//! What a cycle takes in the queue, and whether the queue has a place: measured on batches as they are, cut and
//! encoded as `run` does it. Changes nothing.

use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;

use super::control::SOCKET;
use super::door::{Door, Entry};
use super::line::{Line, Share};
use crate::config::{Config, QueueDir};
use crate::encode::record::Identity;
use crate::queue::{self, OpenError};
use crate::sample::{Batch, Millis, Scope, Source};
use crate::sink::{pushgateway, worker};
use crate::telemetry::Telemetry;
use crate::telemetry::words;

/// For how long the queue has room while nothing is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What a cycle takes, in bytes of the store.
    pub cycle: u64,
    /// How often there is one: the shortest interval.
    pub every: Duration,
    /// The bound on its size: `queue.max_size`, or what memory allows.
    pub max_size: u64,
    /// The room on the disk, where that is less.
    pub on_disk: Option<u64>,
    /// How long the lesser of both lasts.
    pub lasts: Duration,
    /// The bound on its age.
    pub max_age: Duration,
}

impl Room {
    /// What these batches, one of each account, those of targets at each interval, and the program's own take in the
    /// queue.
    pub(super) fn of(
        config: &Config,
        batches: &[Batch],
        targets: &[(Duration, Vec<Batch>)],
        telemetry: &Telemetry,
        now: Millis,
    ) -> Option<Self> {
        let endpoints = config.endpoints.iter().map(worker::sink_name);
        for sink in endpoints.chain(config.gateways.iter().map(pushgateway::sink_name)) {
            telemetry.sink_registered(&sink);
        }
        let own = Batch::new(Source::Own, now, Scope::Whole, telemetry.families()).ok();
        let identity = Identity { job: config.job.clone(), instance: config.instance.clone() };
        let samples = config.queue.max_samples_per_send;
        let mut door = Door::default();
        let cost = |entry| match entry {
            Entry::Queued(entry, _) => queue::cost(&entry.records),
            Entry::ClockSkewed(_) | Entry::Distrusted => 0,
        };
        let said = targets.iter().filter(|(_, batches)| !batches.is_empty());
        let asked = config.accounts.iter().map(|account| account.interval);
        // Who tells the program's own: the accounts, or where there is none the targets.
        let own_every = asked.clone().min().or(said.clone().map(|(every, _)| *every).min())?;
        let every = asked.chain(said.clone().map(|(every, _)| *every)).min()?;
        let of_source = |source: &Source| match source {
            Source::Account(name) => config.accounts.iter().find(|account| account.name == *name),
            Source::Own | Source::Target { .. } => None,
        };
        let mut costs: Vec<(u64, Duration)> = Vec::new();
        for batch in batches.iter().chain(&own) {
            let every = of_source(batch.source()).map_or(own_every, |account| account.interval);
            costs.push((cost(door.enter(batch, now, &identity, samples)), every));
        }
        for (every, batches) in said {
            let line = Line::relay(*every);
            costs.push((
                cost(door.enter_tick((&line, Share::Most), batches, now, &identity, samples)),
                *every,
            ));
        }
        let shares =
            costs.iter().map(|(bytes, each)| *bytes as f64 * every.as_secs_f64() / each.as_secs_f64());
        // As much as is taken in the shortest interval, on the whole.
        let cycle = Some(shares.sum::<f64>().ceil() as u64).filter(|bytes| *bytes > 0)?;
        let max_size = super::store::bound(&config.queue);
        let on_disk = too_small(config);
        let cycles = queue::room(on_disk.unwrap_or(max_size)) as f64 / cycle as f64;
        let lasts = Duration::try_from_secs_f64(cycles * every.as_secs_f64()).unwrap_or(Duration::MAX);
        Some(Room { cycle, every, max_size, on_disk, lasts, max_age: config.queue.max_age })
    }
}

/// Whether the queue can be kept where it is to be, in words.
///
/// # Errors
/// A text with both ways out.
pub(super) async fn place(config: &Config) -> Result<String, String> {
    let (folder, default) = match &config.queue.dir {
        QueueDir::Memory => {
            return Ok("in this process' memory: what is not delivered when it ends is lost".to_owned());
        }
        QueueDir::Folder(folder) => (folder.clone(), false),
        QueueDir::Default(folder) => (folder.clone(), true),
    };
    let disk = too_small(config).map(|room| no_room(room, config.queue.max_size)).unwrap_or_default();
    if UnixStream::connect(folder.join(SOCKET)).await.is_ok() {
        return Ok(format!("in {}, which a `fleetpush run` has open now{disk}", folder.display()));
    }
    let tried = folder.clone();
    let outcome = tokio::task::spawn_blocking(move || queue::try_folder(&tried)).await;
    match outcome {
        Ok(Ok(())) => Ok(format!("in {}, which can be {}{disk}", folder.display(), written_or_made(&folder))),
        Ok(Err(error)) => Err(unusable(error, default)),
        Err(broke) => Err(broke.to_string()),
    }
}

/// The room on the queue's disk, where `queue.max_size` is more.
fn too_small(config: &Config) -> Option<u64> {
    let (QueueDir::Folder(folder) | QueueDir::Default(folder)) = &config.queue.dir else { return None };
    queue::room_on_disk(folder).filter(|room| *room < config.queue.max_size)
}

fn no_room(room: u64, max_size: u64) -> String {
    format!(
        "; but its disk has room for {} of the {} of queue.max_size: make room, or lower queue.max_size, so that the \
         oldest samples go first and not those that come while the disk is full",
        words::size(room),
        words::size(max_size)
    )
}

fn written_or_made(folder: &Path) -> &'static str {
    if folder.is_dir() { "written" } else { "made" }
}

fn unusable(error: OpenError, default: bool) -> String {
    let error = super::AppError::QueueFolder(error);
    let once = if default { " (`once` goes on in memory there, `run` ends with 2)" } else { "" };
    format!("{error}{once}")
}
