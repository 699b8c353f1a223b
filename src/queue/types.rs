//! The words of the queue: what goes in, what comes out, what can go wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Samples of one part of one batch. It is cut once and never again.
#[derive(Clone)]
pub struct Record {
    /// The encoded samples, without what is shared.
    pub own: Arc<[u8]>,
    /// What belongs between them.
    pub shared: Option<Shared>,
    /// How many samples there are.
    pub samples: usize,
    /// When they were collected, milliseconds since the epoch: what `max_age` counts from. A page's own times may differ.
    pub at_ms: i64,
}

/// Bytes that many records have alike, which the store keeps once as long as it is given the very same.
#[derive(Clone, Debug)]
pub struct Shared {
    /// How many of the record's own bytes come before them.
    pub at: usize,
    /// The bytes.
    pub bytes: Arc<[u8]>,
}

impl Record {
    /// A record all of whose bytes are its own.
    pub fn new(bytes: Arc<[u8]>, samples: usize, at_ms: i64) -> Self {
        Record { own: bytes, shared: None, samples, at_ms }
    }

    /// The encoded samples in one piece.
    pub fn bytes(&self) -> Arc<[u8]> {
        let Some(Shared { at, bytes }) = &self.shared else { return self.own.clone() };
        let (before, behind) = self.own.split_at(self.own.len().min(*at));
        [before, bytes, behind].concat().into()
    }

    /// How many bytes that is.
    pub fn length(&self) -> usize {
        self.own.len() + self.shared.as_ref().map_or(0, |shared| shared.bytes.len())
    }
}

/// Which of its bytes are shared is nothing that a record says.
impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        (self.samples, self.at_ms) == (other.samples, other.at_ms) && self.bytes() == other.bytes()
    }
}

impl Eq for Record {}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { samples, at_ms, .. } = self;
        write!(f, "Record({} bytes, {samples} samples at {at_ms})", self.length())
    }
}

/// What a source says at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose words these are.
    pub source: String,
    /// For how many of its series they speak.
    pub scope: Scope,
    /// The words.
    pub records: Vec<Record>,
}

impl Entry {
    pub(super) fn bytes(&self) -> usize {
        self.records.iter().map(Record::length).sum()
    }
}

/// For how many of a source's series an [`Entry`] speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// For all of them: what earlier entries said no longer stands.
    Whole,
    /// For some; the last [`Scope::Whole`] entry stands beside it.
    Part,
    /// For none: what it said last stands.
    None,
}

/// From a record of an entry on, an endpoint's records are sent under these terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Whose.
    pub endpoint: String,
    /// How many records of the entry come before.
    pub after: usize,
    /// What its worker must know to send them; opaque here.
    pub terms: Arc<[u8]>,
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
    /// How many samples its record has.
    pub samples: usize,
    /// The record; none where its bytes are no longer those that were written.
    pub record: Option<Record>,
    /// The terms that were in force when it was made, where they are known.
    pub terms: Option<Arc<[u8]>>,
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

/// Samples that the queue could not keep for one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The endpoint's name.
    pub endpoint: String,
    /// How many.
    pub samples: usize,
    /// Which bound it was.
    pub bound: Bound,
}

/// What the queue had no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `queue.max_size`.
    Size,
    /// `queue.max_age`.
    Age,
    /// The disk took nothing, for longer than memory could hold it.
    Disk,
}

impl Bound {
    /// As it stands in labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Bound::Size => "queue_full",
            Bound::Age => "too_old",
            Bound::Disk => "queue_broken",
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bound::Size => "the queue is full: raise queue.max_size, or look why the receiver takes nothing",
            Bound::Age => "older than queue.max_age: look why the receiver takes nothing",
            Bound::Disk => "the queue's disk takes nothing, and memory holds no more",
        })
    }
}

/// What has come of an [`Queue::append`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// What the bounds cost.
    pub dropped: Vec<Dropped>,
    /// Why the entry waits in memory; none: it is on the disk.
    pub trouble: Option<QueueError>,
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

/// A refused record that is to be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// Where it lies on the shelf.
    pub shelf: u64,
    /// What it is.
    pub refused: Refused,
    /// The terms that were in force when it was made, where they are known.
    pub terms: Option<Arc<[u8]>>,
}

/// What is set aside for one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aside {
    /// Refused requests.
    pub records: usize,
    /// Samples in them.
    pub samples: u64,
    /// How many of these samples are to be sent again.
    pub again: u64,
}

/// Where an endpoint begins that has no cursor yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the queue's end.
    #[default]
    Now,
    /// At the oldest record that is there for another endpoint.
    Oldest,
}

/// What [`super::Queue::discard`] has taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Discarded {
    /// Samples that waited.
    pub waiting: u64,
    /// Samples that were set aside.
    pub refused: u64,
}

/// What [`super::Queue::verify`] has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Records that are whole.
    pub records: usize,
    /// Samples in them.
    pub samples: u64,
    /// Refused records that are whole.
    pub refused: usize,
    /// Records of both kinds that cannot be read.
    pub damaged: usize,
}

/// What an endpoint has done, from where it stood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Behind the last sample that is done, in the same record or a later one.
    pub to: Position,
    /// What of them is set aside.
    pub refused: Option<Refused>,
    /// What its worker wants to find again at the next start; none: as it was.
    pub state: Option<Vec<u8>>,
}

/// Why the queue does not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The disk; the store is opened again by itself.
    #[error("the queue's store cannot be used: {0}")]
    Closed(String),
    /// The program ends.
    #[error("the queue is stopping")]
    Stopping,
}

/// Why a queue cannot be opened at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the queue in {} is in use by {}: stop that one, or give this one a folder of its own",
        folder.display(), holder.as_deref().unwrap_or("another process")
    )]
    Locked {
        /// Where it is.
        folder: PathBuf,
        /// What the other one says of itself.
        holder: Option<String>,
    },
    /// What lies there is no store any more, and was only to be looked at.
    #[error(
        "the queue in {} is damaged ({why}): {}; the next `run` or `once` saves what it can, and keeps the damaged \
         file as queue.redb.damaged",
        folder.display(), survey(*readable)
    )]
    Damaged {
        /// Where it is.
        folder: PathBuf,
        /// What is wrong.
        why: String,
        /// How many records can be read, and how many cannot; none where nothing can.
        readable: Option<(usize, usize)>,
    },
    /// The folder is not there and cannot be made, or nothing can be written in it.
    #[error("the queue's folder {} cannot be used: {why}", folder.display())]
    Folder {
        /// Where it is.
        folder: PathBuf,
        /// Why.
        why: String,
    },
    /// The disk, or a store of another version.
    #[error("the queue in {} cannot be opened: {why}", folder.display())]
    Unusable {
        /// Where it is.
        folder: PathBuf,
        /// Why.
        why: String,
    },
}

fn survey(readable: Option<(usize, usize)>) -> String {
    match readable {
        Some((whole, damaged)) => format!("{whole} records can be read, {damaged} cannot"),
        None => "nothing of it can be read".to_owned(),
    }
}

/// The queue as it is seen from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// What waits for each endpoint.
    pub endpoints: BTreeMap<String, Waiting>,
    /// What the store takes on the disk (holes not counted), or its records in memory.
    pub bytes: u64,
    /// Records that some endpoint still needs.
    pub records: usize,
    /// The oldest sample in them, milliseconds since the epoch.
    pub oldest_ms: Option<i64>,
    /// What was refused.
    pub aside: BTreeMap<String, Aside>,
    /// How long it has room for at the present rate if nothing is delivered; none while no rate is known.
    pub full_in: Option<Duration>,
    /// Durable transactions since the store was last opened.
    pub commits: u64,
    /// Samples that wait in memory for a store that is closed.
    pub pending_samples: u64,
    /// Why the store is closed.
    pub trouble: Option<String>,
}

/// Records that tell which series a source has: those for all of them, then those for some.
pub type LastSaid = BTreeMap<String, Vec<Option<Record>>>;

/// The terms of each endpoint that has any: see [`Turn`].
pub type Terms = BTreeMap<String, Arc<[u8]>>;
