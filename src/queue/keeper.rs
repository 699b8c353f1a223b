//! Keeps a store open. While it is not (a disk that is full, read-only or failing), what comes in waits in
//! memory, and the store is opened again with growing delays. Never a crash, never a store that is half
//! believed: after any error it is closed and read anew.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::error::StoreError;
use super::place::{Opened, Place, words};
use super::store::Store;
use super::{Appended, Bound, Discarded, Dropped, Entry, QueueError, Start, Turn, View};

/// So much waits in memory for a store that is closed.
const MOST_PENDING: usize = 64 << 20;
const FIRST_DELAY: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 500 });
const LONGEST_DELAY: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Keeper {
    place: Place,
    max_size: u64,
    max_age: Duration,
    state: State,
    /// Endpoints that have a cursor, or get one as soon as the store is open.
    endpoints: BTreeMap<String, Start>,
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    /// Where the queue ended when the first of them was last tried: a commit that failed may have been
    /// durable all the same.
    tried_at: Option<u64>,
    /// What was lost while nobody was listening.
    dropped: Vec<Dropped>,
    notes: Vec<String>,
    /// How long the store stays closed after the next error.
    delay: Duration,
    /// The store was opened again after an error, and nothing was committed since.
    on_trial: bool,
    /// The reserve was given back at the last error.
    on_reserve: bool,
    /// What can be seen from outside may be another since [`Keeper::take_changed`].
    changed: bool,
}

/// What waits for the store.
#[derive(Clone, Debug)]
struct Pending {
    entry: Entry,
    turns: Vec<Turn>,
}

#[derive(Debug)]
enum State {
    Open(Box<Store>),
    Closed {
        why: String,
        again_at: Instant,
    },
    /// For good.
    Ended,
}

impl Keeper {
    /// Opens the store for the first time.
    pub(super) fn open(place: Place, max_size: u64, max_age: Duration) -> Result<Self, StoreError> {
        let Opened { store, aside } = place.open(max_size, max_age)?;
        place.make_reserve();
        Ok(Keeper {
            place,
            max_size,
            max_age,
            endpoints: store.index().endpoints().map(|name| (name.clone(), Start::Now)).collect(),
            state: State::Open(Box::new(store)),
            pending: VecDeque::new(),
            pending_bytes: 0,
            tried_at: None,
            dropped: Vec::new(),
            notes: aside.into_iter().collect(),
            delay: FIRST_DELAY,
            on_trial: false,
            on_reserve: false,
            changed: true,
        })
    }

    pub(super) fn is_durable(&self) -> bool {
        !matches!(self.place, Place::Memory)
    }

    /// Does something with the store, which is opened first where it is closed.
    pub(super) fn with<T>(
        &mut self,
        what: impl FnOnce(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, QueueError> {
        self.changed = true;
        self.ready()?;
        let done = self.attempt(what)?;
        self.settle();
        Ok(done)
    }

    /// Reads of the store, which is opened first where it is closed.
    pub(super) fn look<T>(
        &mut self,
        what: impl FnOnce(&Store) -> Result<T, StoreError>,
    ) -> Result<T, QueueError> {
        self.ready()?;
        self.attempt(|store| what(store))
    }

    /// Whether the state to be seen from outside may have changed.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    pub(super) fn register(&mut self, endpoint: &str, start: Start) -> Result<(), QueueError> {
        let start = *self.endpoints.entry(endpoint.to_owned()).or_insert(start);
        self.with(|store| store.register(endpoint, start))
    }

    pub(super) fn remove(&mut self, endpoint: &str) -> Result<Discarded, QueueError> {
        self.endpoints.remove(endpoint);
        self.with(|store| store.remove(endpoint))
    }

    /// Puts an entry at the end: into the store, or to those that wait for it.
    #[cfg(test)]
    pub(super) fn append(&mut self, entry: Entry) -> Appended {
        self.append_turning(entry, Vec::new())
    }

    /// The same, and in the same transaction other terms for endpoints.
    pub(super) fn append_turning(&mut self, entry: Entry, turns: Vec<Turn>) -> Appended {
        self.changed = true;
        self.pending_bytes += entry.bytes();
        self.pending.push_back(Pending { entry, turns });
        let mut trouble = self.ready().err();
        if trouble.is_some() && self.is_due() {
            // The reserve was given back: its room may be all that is needed.
            trouble = self.ready().err();
        }
        while self.pending_bytes > MOST_PENDING
            && let Some(Pending { entry: lost, mut turns }) = self.take_pending()
        {
            if let Some(next) = self.pending.front_mut() {
                turns.iter_mut().for_each(|turn| turn.after = 0);
                next.turns.splice(..0, turns);
            }
            let samples = lost.records.iter().map(|record| record.samples).sum();
            let of = |endpoint: &String| Dropped { endpoint: endpoint.clone(), samples, bound: Bound::Disk };
            self.dropped.extend(self.endpoints.keys().map(of));
        }
        Appended { dropped: std::mem::take(&mut self.dropped), trouble }
    }

    /// Lets others read who has the store open.
    pub(super) fn note_holder(&self, holder: &str) {
        self.place.note_holder(holder);
    }

    /// Closes the store for good, so that the next process finds it in order.
    pub(super) fn end(&mut self) {
        let open = std::mem::replace(&mut self.state, State::Ended);
        catch_unwind(AssertUnwindSafe(|| drop(open))).unwrap_or_default();
        self.place.forget_holder();
    }

    /// The folder that the store is in.
    pub(super) fn folder(&self) -> Option<&std::path::Path> {
        self.place.folder()
    }

    /// What happened to the store since this was last asked, a sentence each.
    pub(super) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// The state to be seen from outside; of a closed store as it was.
    pub(super) fn view(&self, last: View) -> View {
        let waiting_outside = self.pending.iter().flat_map(|one| &one.entry.records);
        let pending_samples = waiting_outside.map(|record| record.samples as u64).sum();
        match &self.state {
            State::Closed { why, .. } => View { trouble: Some(why.clone()), pending_samples, ..last },
            State::Ended => View { pending_samples, ..last },
            State::Open(store) => {
                let index = store.index();
                let waiting = |endpoint: &String| (endpoint.clone(), index.waiting(endpoint));
                let (records, oldest_ms) = index.needed();
                View {
                    endpoints: index.endpoints().map(waiting).collect(),
                    bytes: self.place.bytes_on_disk().unwrap_or_else(|| index.cost()),
                    records,
                    oldest_ms,
                    aside: store.aside().clone(),
                    full_in: store.full_in(),
                    commits: store.commits(),
                    pending_samples,
                    trouble: None,
                }
            }
        }
    }

    /// Opens the store where it is closed and due, and puts in what has waited.
    fn ready(&mut self) -> Result<(), QueueError> {
        if matches!(self.state, State::Ended) {
            return Err(QueueError::Stopping);
        }
        if let State::Closed { why, .. } = &self.state {
            if !self.is_due() {
                return Err(QueueError::Closed(why.clone()));
            }
            match self.place.open(self.max_size, self.max_age) {
                Ok(Opened { store, aside }) => {
                    if self.tried_at.take().is_some_and(|end| store.index().end() > end) {
                        self.take_pending();
                    }
                    self.state = State::Open(Box::new(store));
                    self.changed = true;
                    self.on_trial = true;
                    self.notes.extend(aside);
                    for (endpoint, start) in self.endpoints.clone() {
                        self.attempt(|store| store.register(&endpoint, start))?;
                    }
                }
                Err(error) => return Err(self.close(&error)),
            }
        }
        while let Some(Pending { entry, turns }) = self.pending.front().cloned() {
            if let State::Open(store) = &self.state {
                self.tried_at = Some(store.index().end());
            }
            let dropped = self.attempt(|store| store.append(&entry, &turns))?;
            self.tried_at = None;
            self.dropped.extend(dropped);
            self.take_pending();
        }
        self.settle();
        Ok(())
    }

    /// Whether the store is closed and to be opened again.
    fn is_due(&self) -> bool {
        matches!(self.state, State::Closed { again_at, .. } if again_at <= Instant::now())
    }

    fn take_pending(&mut self) -> Option<Pending> {
        let first = self.pending.pop_front()?;
        self.pending_bytes -= first.entry.bytes();
        Some(first)
    }

    fn attempt<T>(
        &mut self,
        what: impl FnOnce(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, QueueError> {
        let State::Open(store) = &mut self.state else {
            return Err(QueueError::Closed("the store is closed".to_owned()));
        };
        // redb may panic on pages that were altered under it; it is read anew then, as after every error.
        match catch_unwind(AssertUnwindSafe(|| what(store))) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(self.close(&error)),
            Err(panic) => Err(self.close(&StoreError::Broke(words(&*panic)))),
        }
    }

    /// A commit, with nothing left that waits, ends a failure; the reserve's room does not, which may not last.
    fn settle(&mut self) {
        let State::Open(store) = &self.state else { return };
        if !self.on_trial || store.commits() == 0 || !self.pending.is_empty() {
            return;
        }
        self.on_trial = false;
        if std::mem::take(&mut self.on_reserve) {
            return;
        }
        self.delay = FIRST_DELAY;
        self.notes.push("store is open again".to_owned());
        self.place.make_reserve();
    }

    /// Closes the store and says when it is opened again.
    fn close(&mut self, error: &StoreError) -> QueueError {
        let why = error.to_string();
        let mut again_at = Instant::now();
        self.on_reserve = is_full(error) && self.place.free_reserve();
        if self.on_reserve {
            // With the reserve's room there is no reason to wait.
            self.notes.push("disk is full: the room that was kept back for this is in use now".to_owned());
        } else {
            again_at += self.delay;
            self.delay = (self.delay * 2).min(LONGEST_DELAY);
        }
        self.on_trial = false;
        self.changed = true;
        let closed = State::Closed { why: why.clone(), again_at };
        let open = std::mem::replace(&mut self.state, closed);
        // What redb does at its end may fail as well.
        catch_unwind(AssertUnwindSafe(|| drop(open))).unwrap_or_default();
        QueueError::Closed(why)
    }
}

fn is_full(error: &StoreError) -> bool {
    let found = match error {
        StoreError::Redb(redb::Error::Io(error)) => error.kind(),
        StoreError::File { cause, .. } => cause.kind(),
        _ => return false,
    };
    matches!(found, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
