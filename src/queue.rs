//! The queue before remote write: records go in at one end and are taken in order by every endpoint, each
//! with its own cursor. It lies in one file of redb, and each call that changes something is one durable
//! transaction: once [`Queue::append`] has said so, a record survives kill -9 and power loss, and so does a
//! cursor after [`Queue::acknowledge`]. Never: protobuf, HTTP, what a sample is; a record is bytes with a
//! count and an age.
//!
//! Invariant: a record is written once and never changed; its bytes carry a checksum.
//! Invariant: a cursor moves only when [`Queue::acknowledge`] says so, and only forwards.
//! Invariant: ages are counted from the newest record, not from a clock that may step.
//! Invariant: an error of the disk closes the store; it is read anew before it is believed again.

mod backend;
mod error;
mod head;
mod index;
mod keeper;
mod parts;
mod place;
mod refused;
mod salvage;
mod store;
mod tables;
mod terms;
#[cfg(test)]
mod tests;
mod types;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use error::StoreError;
use keeper::Keeper;
use place::Place;
use store::Store;
pub use types::{
    Again, Appended, Aside, Bound, Discarded, Done, Dropped, Entry, LastSaid, OpenError, Peeked, Position,
    QueueError, Record, Refused, Scope, Shared, Start, Terms, Turn, Verified, View, Waiting,
};

/// What records take in a store, in its pages, where many follow that share the same bytes.
pub fn cost(records: &[Record]) -> u64 {
    records.iter().map(parts::lasting_cost).sum()
}

/// What records may take together in a store of at most `max_size` bytes.
pub fn room(max_size: u64) -> u64 {
    store::room(max_size)
}

/// Tries whether a store can be kept in a folder, and changes nothing there. Blocks.
///
/// # Errors
/// [`OpenError::Folder`].
pub fn try_folder(folder: &Path) -> Result<(), OpenError> {
    place::try_folder(folder)
        .map_err(|error| OpenError::Folder { folder: folder.to_owned(), why: error.to_string() })
}

/// How many bytes a store in a folder can take of its disk, as far as the system says it. Blocks.
pub fn room_on_disk(folder: &Path) -> Option<u64> {
    place::room_on_disk(folder).ok()
}

/// A handle of the queue.
#[derive(Clone, Debug)]
pub struct Queue {
    keeper: Arc<Mutex<Keeper>>,
    view: Arc<Mutex<View>>,
    appended: watch::Sender<u64>,
}

impl Queue {
    /// A queue in this process' memory, of at most `max_size` bytes and `max_age`.
    ///
    /// # Panics
    /// Never: a new store in memory has nothing to fail at.
    pub fn memory(max_size: u64, max_age: Duration) -> Self {
        let keeper = Keeper::open(Place::Memory, max_size, max_age);
        Self::of(keeper.expect("an empty store in memory opens"))
    }

    /// The queue in a folder, which is made where it is not there. Blocks while its file is checked.
    ///
    /// # Errors
    /// [`OpenError`] where the folder cannot be used now. A damaged file is none: it is put aside.
    pub fn open(folder: PathBuf, max_size: u64, max_age: Duration) -> Result<Self, OpenError> {
        let keeper = Keeper::open(Place::Folder(folder.clone()), max_size, max_age);
        keeper.map(Self::of).map_err(|error| unopened(folder, &error))
    }

    /// The queue in a folder for a short look or change; none where there is none. What is damaged there
    /// stays as it is.
    ///
    /// # Errors
    /// As [`Queue::open`], and [`OpenError::Damaged`].
    pub fn inspect(folder: PathBuf, max_size: u64, max_age: Duration) -> Result<Option<Self>, OpenError> {
        match place::exists(&folder) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(OpenError::Folder { folder, why: error.to_string() }),
        }
        match Keeper::open(Place::Inspected(folder.clone()), max_size, max_age) {
            Ok(keeper) => Ok(Some(Self::of(keeper))),
            Err(error) if error.is_corruption() => {
                let readable = place::survey(&folder);
                Err(OpenError::Damaged { folder, why: error.to_string(), readable })
            }
            Err(error) => Err(unopened(folder, &error)),
        }
    }

    /// Lets others who find the store in use read by whom.
    #[must_use]
    pub fn held_by(self, holder: &str) -> Self {
        lock(&self.keeper).note_holder(holder);
        self
    }

    fn of(keeper: Keeper) -> Self {
        let view = Arc::new(Mutex::new(keeper.view(View::default())));
        Queue { keeper: Arc::new(Mutex::new(keeper)), view, appended: watch::Sender::new(0) }
    }

    /// Gives an endpoint a cursor at the queue's end; one that has a cursor keeps it.
    ///
    /// # Errors
    /// [`QueueError`]; the endpoint gets its cursor as soon as the store is open.
    pub async fn register(&self, endpoint: &str) -> Result<(), QueueError> {
        self.register_at(endpoint, Start::Now).await
    }

    /// Gives an endpoint a cursor where it wants to begin; one that has a cursor keeps it.
    ///
    /// # Errors
    /// As [`Queue::register`].
    pub async fn register_at(&self, endpoint: &str, start: Start) -> Result<(), QueueError> {
        let endpoint = endpoint.to_owned();
        self.keeping(move |keeper| keeper.register(&endpoint, start)).await?
    }

    /// Takes an endpoint's cursor away, and what was refused there; what only it still needed is freed.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn remove(&self, endpoint: &str) -> Result<Discarded, QueueError> {
        let endpoint = endpoint.to_owned();
        self.keeping(move |keeper| keeper.remove(&endpoint)).await?
    }

    /// Takes away what waits for an endpoint and what was refused there; its cursor goes to the end.
    ///
    /// # Errors
    /// [`QueueError`]: nothing was changed.
    pub async fn discard(&self, endpoint: &str) -> Result<Discarded, QueueError> {
        let endpoint = endpoint.to_owned();
        self.store(move |store| store.skip(&endpoint)).await
    }

    /// Puts an entry at the end. Where the store cannot take it, it waits in memory.
    pub async fn append(&self, entry: Entry) -> Appended {
        self.append_turning(entry, Vec::new()).await
    }

    /// The same, and in the same transaction other terms for endpoints from its records on.
    pub async fn append_turning(&self, entry: Entry, turns: Vec<Turn>) -> Appended {
        let done = self.keeping(move |keeper| keeper.append_turning(entry, turns)).await;
        self.appended.send_modify(|count| *count += 1);
        done.unwrap_or_else(|trouble| Appended { dropped: Vec::new(), trouble: Some(trouble) })
    }

    /// The oldest record that an endpoint has not acknowledged, and those behind it that are of the same tick,
    /// so of other series: at most so many. None where it has all, or no cursor.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn peek(&self, endpoint: &str, most: usize) -> Result<Vec<Peeked>, QueueError> {
        let endpoint = endpoint.to_owned();
        self.look(move |store| store.peek(&endpoint, most)).await
    }

    /// Moves an endpoint's cursor past what is done from `from` on, where it still stands there, and gives
    /// what comes then as [`Queue::peek`] does.
    ///
    /// # Errors
    /// [`QueueError`]: the same call is to be made again, which does nothing twice.
    pub async fn acknowledge(
        &self,
        endpoint: &str,
        from: Position,
        done: Done,
        most: usize,
    ) -> Result<Vec<Peeked>, QueueError> {
        let endpoint = endpoint.to_owned();
        self.store(move |store| {
            store.acknowledge(&endpoint, from, &done)?;
            store.peek(&endpoint, most)
        })
        .await
    }

    /// Lets everything that was refused at an endpoint be sent again; says what there is.
    ///
    /// # Errors
    /// [`QueueError`]: nothing was changed.
    pub async fn retry(&self, endpoint: &str) -> Result<Aside, QueueError> {
        let endpoint = endpoint.to_owned();
        let aside = self.store(move |store| store.retry(&endpoint)).await;
        self.appended.send_modify(|count| *count += 1);
        aside
    }

    /// The oldest refused record that is to be sent again, after everything else.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn peek_again(&self, endpoint: &str) -> Result<Option<Again>, QueueError> {
        let endpoint = endpoint.to_owned();
        self.look(move |store| store.next_again(&endpoint)).await
    }

    /// What is done of a refused record that was sent again, from `from` on, where it still begins there:
    /// what is left of it stays, what was refused once more lies on the shelf like all others.
    ///
    /// # Errors
    /// [`QueueError`]: nothing was changed, and the same call is to be made again.
    pub async fn settle(&self, shelf: u64, from: Position, done: Done) -> Result<(), QueueError> {
        self.store(move |store| store.settle(shelf, from, &done)).await
    }

    /// What [`Queue::keep_counters`] has kept.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn counters(&self) -> Result<Option<Vec<u8>>, QueueError> {
        self.look(|store| store.counters()).await
    }

    /// Keeps what the program wants to go on counting from at its next start.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn keep_counters(&self, counters: Vec<u8>) -> Result<(), QueueError> {
        self.store(move |store| store.keep_counters(&counters)).await
    }

    /// Closes the store for good, so that the next process finds it in order and nobody's.
    pub async fn close(&self) {
        // The only error is that the program ends already.
        self.keeping(Keeper::end).await.unwrap_or_default();
    }

    /// The folder that the queue is in; none where it is in memory.
    pub fn folder(&self) -> Option<PathBuf> {
        lock(&self.keeper).folder().map(std::path::Path::to_path_buf)
    }

    /// What a worker has kept for itself with an acknowledgement, or by [`Queue::keep_state`].
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn state(&self, endpoint: &str) -> Result<Option<Vec<u8>>, QueueError> {
        let endpoint = endpoint.to_owned();
        self.look(move |store| Ok(store.state(&endpoint).map(<[u8]>::to_vec))).await
    }

    /// Keeps what a worker wants to find again.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn keep_state(&self, endpoint: &str, state: Vec<u8>) -> Result<(), QueueError> {
        let endpoint = endpoint.to_owned();
        self.store(move |store| store.keep_state(&endpoint, &state)).await
    }

    /// What was set aside for an endpoint, oldest first.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn refused(&self, endpoint: &str) -> Result<Vec<Refused>, QueueError> {
        let endpoint = endpoint.to_owned();
        self.look(move |store| store.refused(&endpoint)).await
    }

    /// From which records the series can be read that each source had when it last spoke.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn last_said(&self) -> Result<LastSaid, QueueError> {
        self.store(|store| {
            let sources: Vec<_> =
                store.index().kept().iter().map(|(s, kept)| (s.clone(), kept.numbers())).collect();
            let mut all = LastSaid::new();
            for (source, numbers) in sources {
                all.insert(source, numbers.map(|number| store.record(number)).collect::<Result<_, _>>()?);
            }
            Ok(all)
        })
        .await
    }

    /// The terms under which records that come now are sent.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn terms(&self) -> Result<Terms, QueueError> {
        self.look(|store| Ok(store.index().last_terms())).await
    }

    /// What an endpoint still has before it.
    pub fn waiting(&self, endpoint: &str) -> Waiting {
        lock(&self.view).endpoints.get(endpoint).copied().unwrap_or_default()
    }

    /// The queue as it was after the last call that changed it.
    pub fn view(&self) -> View {
        lock(&self.view).clone()
    }

    /// Whether what waits outlives this process.
    pub fn is_durable(&self) -> bool {
        lock(&self.keeper).is_durable()
    }

    /// What happened to the store since this was last asked, a sentence each.
    pub async fn take_notes(&self) -> Vec<String> {
        self.keeping(Keeper::take_notes).await.unwrap_or_default()
    }

    /// Changes with every [`Queue::append`]; subscribe before [`Queue::peek`], so that nothing is missed.
    pub fn appended(&self) -> watch::Receiver<u64> {
        self.appended.subscribe()
    }

    async fn look<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, QueueError> {
        self.keeping(move |keeper| keeper.look(what)).await?
    }

    async fn store<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, QueueError> {
        self.keeping(move |keeper| keeper.with(what)).await?
    }

    /// Works on the store on a thread that may wait for the disk.
    async fn keeping<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut Keeper) -> T + Send + 'static,
    ) -> Result<T, QueueError> {
        let (keeper, view) = (Arc::clone(&self.keeper), Arc::clone(&self.view));
        let work = tokio::task::spawn_blocking(move || {
            let mut keeper = lock(&keeper);
            let done = what(&mut keeper);
            if keeper.take_changed() {
                let mut view = lock(&view);
                *view = keeper.view(std::mem::take(&mut *view));
            }
            done
        });
        work.await.map_err(|_| QueueError::Stopping)
    }
}

fn unopened(folder: PathBuf, error: &StoreError) -> OpenError {
    let why = error.to_string();
    match error {
        error if error.is_locked() => OpenError::Locked { holder: place::holder(&folder), folder },
        StoreError::File { .. } => OpenError::Folder { folder, why },
        _ => OpenError::Unusable { folder, why },
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
