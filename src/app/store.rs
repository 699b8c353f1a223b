//! Opens the queue that a configuration asks for.

use std::path::PathBuf;
use std::process;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::warn;

use super::AppError;
use crate::config::{Config, QueueDir, QueueSettings};
use crate::queue::{OpenError, Queue};
use crate::sample::Millis;
use crate::telemetry::words::exact;

/// A queue in memory never grows beyond this, whatever `queue.max_size` says of the disk.
const MEMORY_BYTES: u64 = 64 << 20;

/// How long a store may be in use by someone who is about to end, such as `queue status`, or who has only
/// begun.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked at meanwhile.
pub(super) const AGAIN: Duration = Duration::from_millis(50);

/// What to do where the default folder cannot be used, which nobody has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WithoutFolder {
    /// Say so and end: a service would lose its backlog with every restart.
    Refuse,
    /// Go on in memory: a job that ends soon has next to nothing to lose.
    Memory,
}

/// The queue; none where no endpoint would read from it.
pub(super) async fn open(
    config: &Config,
    without: WithoutFolder,
    holder: &str,
) -> Result<Option<Queue>, AppError> {
    if config.endpoints.is_empty() {
        return Ok(None);
    }
    let queue = &config.queue;
    let opened = match &queue.dir {
        QueueDir::Memory => Ok(memory(queue)),
        QueueDir::Folder(folder) => on_disk(folder.clone(), queue).await,
        QueueDir::Default(folder) => match on_disk(folder.clone(), queue).await {
            Err(error @ OpenError::Folder { .. }) if without == WithoutFolder::Memory => {
                warn!(%error, "the queue is in memory: what is not delivered at the end is lost");
                Ok(memory(queue))
            }
            opened => opened,
        },
    };
    opened.map(|queue| Some(queue.held_by(holder))).map_err(|error| match error {
        OpenError::Folder { .. } => AppError::QueueFolder(error),
        OpenError::Locked { .. } | OpenError::Unusable { .. } | OpenError::Damaged { .. } => {
            AppError::Queue(error)
        }
    })
}

/// A queue in this process' memory.
pub(super) fn memory(queue: &QueueSettings) -> Queue {
    Queue::memory(queue.max_size.min(MEMORY_BYTES), queue.max_age)
}

/// How large a queue may become that is set so.
pub(super) fn bound(queue: &QueueSettings) -> u64 {
    match queue.dir {
        QueueDir::Memory => queue.max_size.min(MEMORY_BYTES),
        QueueDir::Folder(_) | QueueDir::Default(_) => queue.max_size,
    }
}

/// The store in a folder as it is, for a short look or change; none where there is none.
pub(super) async fn inspect(
    folder: PathBuf,
    queue: &QueueSettings,
    now: Millis,
) -> Result<Option<Queue>, OpenError> {
    let (max_size, max_age) = (queue.max_size, queue.max_age);
    let path = folder.clone();
    let opened = tokio::task::spawn_blocking(move || Queue::inspect(path, max_size, max_age)).await;
    let opened = opened.unwrap_or_else(|broke| Err(OpenError::Unusable { folder, why: broke.to_string() }));
    Ok(opened?.map(|queue| queue.held_by(&holder(now))))
}

/// What this process says of itself to others who find the store in use.
pub(super) fn holder(since: Millis) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("pid {} on {host} since {}", process::id(), exact(since))
}

async fn on_disk(folder: PathBuf, queue: &QueueSettings) -> Result<Queue, OpenError> {
    let (max_size, max_age) = (queue.max_size, queue.max_age);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (path, folder) = (folder.clone(), folder.clone());
        // The file is read through and checked, which may take a while.
        let opened = tokio::task::spawn_blocking(move || Queue::open(path, max_size, max_age)).await;
        match opened.unwrap_or_else(|broke| Err(OpenError::Unusable { folder, why: broke.to_string() })) {
            Err(OpenError::Locked { .. }) if Instant::now() < deadline => sleep(AGAIN).await,
            opened => return opened,
        }
    }
}
