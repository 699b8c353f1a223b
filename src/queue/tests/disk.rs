//! A disk in memory that a test can break: it fails at a chosen operation, and forgets at a power loss what
//! was not synced.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

/// What happens to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Writes, set lengths and syncs fail with this kind; reads work.
    Write(ErrorKind),
    /// The first half of a write arrives, and then it fails.
    ShortWrite,
    /// What there is can be written anew, but nothing more.
    Full,
    /// Everything fails.
    Gone,
}

#[derive(Debug, Default)]
struct State {
    /// What the platters hold.
    synced: Vec<u8>,
    /// What a reader sees.
    seen: Vec<u8>,
    /// What was done since the last sync.
    unsynced: Vec<Operation>,
    syncs: u64,
    operations: u64,
    /// From this operation on.
    fault: Option<(u64, Fault)>,
}

#[derive(Clone, Debug)]
enum Operation {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Operation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Operation::Length(length) => bytes.resize(*length, 0),
            Operation::Write(at, data) => {
                let end = at + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at..end].copy_from_slice(data);
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// So many writes, set lengths and syncs there were.
    pub(super) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Breaks at the operation of this number, counted from the start.
    pub(super) fn break_at(&self, operation: u64, fault: Fault) {
        self.state().fault = Some((operation, fault));
    }

    pub(super) fn heal(&self) {
        self.state().fault = None;
    }

    /// The power goes: of what was not synced `keep` says what has arrived all the same, and whether whole.
    pub(super) fn lose_power(&self, mut keep: impl FnMut() -> Survives) {
        let mut state = self.state();
        let mut bytes = std::mem::take(&mut state.synced);
        for operation in std::mem::take(&mut state.unsynced) {
            match (keep(), operation) {
                (Survives::Not, _) => {}
                (Survives::Half, Operation::Write(at, mut data)) => {
                    data.truncate(data.len() / 2);
                    Operation::Write(at, data).apply(&mut bytes);
                }
                (_, operation) => operation.apply(&mut bytes),
            }
        }
        state.synced.clone_from(&bytes);
        state.seen = bytes;
    }

    fn change(&self, operation: Option<Operation>) -> io::Result<()> {
        let mut state = self.state();
        state.operations += 1;
        let number = state.operations;
        match state.fault.filter(|(from, _)| number >= *from).map(|(_, fault)| fault) {
            Some(Fault::Write(kind)) => return Err(kind.into()),
            Some(Fault::Gone) => return Err(io::Error::other("the disk is gone")),
            Some(Fault::ShortWrite) => {
                if let Some(Operation::Write(at, mut data)) = operation {
                    data.truncate(data.len() / 2);
                    let half = Operation::Write(at, data);
                    half.apply(&mut state.seen);
                    state.unsynced.push(half);
                }
                return Err(ErrorKind::WriteZero.into());
            }
            Some(Fault::Full) => {
                let end = match &operation {
                    Some(Operation::Write(at, data)) => at + data.len(),
                    Some(Operation::Length(length)) => *length,
                    None => 0,
                };
                if end > state.seen.len() {
                    return Err(ErrorKind::StorageFull.into());
                }
            }
            None => {}
        }
        match operation {
            Some(operation) => {
                operation.apply(&mut state.seen);
                state.unsynced.push(operation);
            }
            None => {
                state.syncs += 1;
                state.unsynced.clear();
                state.synced = state.seen.clone();
            }
        }
        Ok(())
    }
}

/// What becomes of an operation that was not synced.
#[derive(Clone, Copy, Debug)]
pub(super) enum Survives {
    Not,
    Half,
    Whole,
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        if state.fault.is_some_and(|(from, fault)| fault == Fault::Gone && state.operations >= from) {
            return Err(io::Error::other("the disk is gone"));
        }
        let at = usize::try_from(offset).unwrap();
        match state.seen.get(at..at + out.len()) {
            Some(found) => out.copy_from_slice(found),
            None => return Err(ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Some(Operation::Length(usize::try_from(len).unwrap())))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(None)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Some(Operation::Write(usize::try_from(offset).unwrap(), data.to_vec())))
    }
}
