//! Why the store does not answer.

use std::io;

/// Why the store does not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// redb, or the disk under it.
    #[error(transparent)]
    Redb(#[from] redb::Error),
    /// The folder or a file in it.
    #[error("{what}: {cause}")]
    File {
        /// What was tried.
        what: String,
        /// Why not.
        cause: io::Error,
    },
    /// The tables contradict each other.
    #[error("the store is damaged: {0}")]
    Corrupted(String),
    /// A later version of this program has written it.
    #[error("the store has format {0}, which this version does not know")]
    Format(u64),
    /// The store gave up in the middle of something.
    #[error("the store broke: {0}")]
    Broke(String),
}

macro_rules! from_redb {
    ($($name:ident),*) => {
        $(impl From<redb::$name> for StoreError {
            fn from(error: redb::$name) -> Self {
                StoreError::Redb(error.into())
            }
        })*
    };
}
from_redb!(DatabaseError, TransactionError, TableError, StorageError, CommitError, SetDurabilityError);

impl StoreError {
    /// Whether what is on the disk is no store any more. Everything else may pass: a lock, permissions, a
    /// full or failing disk.
    pub(super) fn is_corruption(&self) -> bool {
        match self {
            StoreError::Corrupted(_) | StoreError::Broke(_) => true,
            StoreError::Redb(redb::Error::Corrupted(_) | redb::Error::TableTypeMismatch { .. }) => true,
            // What redb says of a file that it has not made.
            StoreError::Redb(redb::Error::Io(error)) => error.kind() == io::ErrorKind::InvalidData,
            StoreError::Redb(_) | StoreError::File { .. } | StoreError::Format(_) => false,
        }
    }

    /// Whether another process has it open.
    pub(super) fn is_locked(&self) -> bool {
        matches!(self, StoreError::Redb(redb::Error::DatabaseAlreadyOpen))
    }
}
