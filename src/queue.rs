//! The queue before remote write: records go in at one end and are taken in order by every endpoint, each
//! with its own cursor. Never: protobuf, HTTP, clocks; a record is bytes with a count and an age.
//!
//! Invariant: a cursor moves only when [`Queue::acknowledge`] says so, and only forwards.
//! Invariant: ages are counted from the newest record, not from a clock that may step.

mod memory;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use memory::Memory;

/// Samples of one part of one batch. It is cut once and never again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The encoded samples.
    pub bytes: Arc<[u8]>,
    /// How many there are.
    pub samples: usize,
    /// The oldest of them, milliseconds since the epoch.
    pub oldest_ms: i64,
}

/// A place in the queue: a record, and how many of its samples are done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The record's number, rising.
    pub record: u64,
    /// Its samples before this one are done.
    pub sample: usize,
}

/// The oldest record that an endpoint has not acknowledged.
#[derive(Clone, Debug)]
pub struct Peeked {
    /// Where the endpoint stands.
    pub position: Position,
    /// The record it stands in.
    pub record: Record,
}

/// What one endpoint still has before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Records, the one that is begun among them.
    pub records: usize,
    /// Samples not acknowledged.
    pub samples: u64,
    /// The oldest of them, milliseconds since the epoch.
    pub oldest_ms: Option<i64>,
    /// The newest that was ever appended.
    pub newest_ms: Option<i64>,
}

/// Samples that the queue's bounds cost one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The endpoint's name.
    pub endpoint: String,
    /// How many.
    pub samples: usize,
    /// Which bound it was.
    pub bound: Bound,
}

/// A bound of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `queue.max_size`.
    Size,
    /// `queue.max_age`.
    Age,
}

impl Bound {
    /// As it stands in labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Bound::Size => "queue_full",
            Bound::Age => "too_old",
        }
    }
}

/// A record, or a part of one, that a receiver will not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Whose receiver.
    pub endpoint: String,
    /// Where it stood in the queue.
    pub position: Position,
    /// How many of its samples were refused from there on.
    pub samples: usize,
    /// The record.
    pub record: Record,
}

/// Where the records are kept.
#[derive(Clone, Debug)]
pub struct Queue {
    store: Arc<Mutex<Memory>>,
    appended: watch::Sender<u64>,
}

impl Queue {
    /// A queue in this process' memory, of at most `max_size` bytes and `max_age`.
    pub fn memory(max_size: u64, max_age: Duration) -> Self {
        Queue { store: Arc::new(Mutex::new(Memory::new(max_size, max_age))), appended: watch::Sender::new(0) }
    }

    /// Gives an endpoint a cursor at the queue's end; one that has a cursor keeps it.
    pub fn register(&self, endpoint: &str) {
        self.lock().register(endpoint);
    }

    /// Takes an endpoint's cursor away; what only it still needed is freed.
    pub fn remove(&self, endpoint: &str) {
        self.lock().remove(endpoint);
    }

    /// Puts records at the end and gives back what the bounds cost.
    pub fn append(&self, records: Vec<Record>) -> Vec<Dropped> {
        let dropped = self.lock().append(records);
        self.appended.send_modify(|count| *count += 1);
        dropped
    }

    /// The oldest record that an endpoint has not acknowledged; none where it has all, or no cursor.
    pub fn peek(&self, endpoint: &str) -> Option<Peeked> {
        self.lock().peek(endpoint)
    }

    /// Moves an endpoint's cursor past `samples` samples from `from`, where it still stands there.
    pub fn acknowledge(&self, endpoint: &str, from: Position, samples: usize) {
        self.lock().acknowledge(endpoint, from, samples);
    }

    /// Keeps what a receiver will not take, as far as there is room.
    pub fn set_aside(&self, refused: Refused) {
        self.lock().set_aside(refused);
    }

    /// What was set aside for an endpoint, oldest first.
    pub fn refused(&self, endpoint: &str) -> Vec<Refused> {
        self.lock().refused(endpoint)
    }

    /// What an endpoint still has before it.
    pub fn waiting(&self, endpoint: &str) -> Waiting {
        self.lock().waiting(endpoint)
    }

    /// Bytes, records and the oldest sample of the whole queue.
    pub fn size(&self) -> (u64, usize, Option<i64>) {
        self.lock().size()
    }

    /// Changes with every [`Queue::append`]; subscribe before [`Queue::peek`], so that nothing is missed.
    pub fn appended(&self) -> watch::Receiver<u64> {
        self.appended.subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
