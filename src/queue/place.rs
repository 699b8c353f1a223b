//! Where a store is: opening it, and putting a damaged one aside. Nothing is ever deleted but the third
//! damaged store, and the reserve that makes room on a full disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use redb::StorageBackend;
use redb::backends::{FileBackend, InMemoryBackend};

use super::error::StoreError;
use super::salvage::{self, Saved};
use super::store::Store;

const FILE: &str = "queue.redb";
/// Bytes that are given back to a disk that is full, so that what was delivered can be deleted.
const RESERVE: &str = "reserve";
const RESERVE_BYTES: usize = 1 << 20;
/// Damaged stores that are kept, the newest first.
const ASIDE: [&str; 2] = ["queue.redb.damaged", "queue.redb.damaged.old"];

/// How a test gives a backend.
#[cfg(test)]
pub(super) type Backends = Box<dyn Fn() -> io::Result<Box<dyn StorageBackend>> + Send>;

/// Where a store is.
pub(super) enum Place {
    Memory,
    Folder(PathBuf),
    #[cfg(test)]
    Test(Backends),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Memory => f.write_str("memory"),
            Place::Folder(folder) => folder.fmt(f),
            #[cfg(test)]
            Place::Test(_) => f.write_str("test"),
        }
    }
}

/// What opening has found out.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) store: Store,
    /// What was wrong with the store that lay there before, and what became of it.
    pub(super) aside: Option<String>,
}

impl Place {
    pub(super) fn open(&self, max_size: u64, max_age: Duration) -> Result<Opened, StoreError> {
        let error = match self.attempt(max_size, max_age) {
            Ok(store) => return Ok(Opened { store, aside: None }),
            Err(error) => error,
        };
        let Place::Folder(folder) = self else { return Err(error) };
        if !error.is_corruption() {
            return Err(error);
        }
        let aside = put_aside(folder)?;
        let mut store = self.attempt(max_size, max_age)?;
        let saved = match salvage::copy(&aside, &mut store)? {
            Some(Saved { records, lost }) => format!("{records} records were saved, {lost} were not"),
            None => "nothing of it could be read".to_owned(),
        };
        let aside = Some(format!("store is damaged ({error}): {saved}; it is kept as {}", aside.display()));
        Ok(Opened { store, aside })
    }

    fn attempt(&self, max_size: u64, max_age: Duration) -> Result<Store, StoreError> {
        let backend = self.backend()?;
        // redb may panic on a file that was altered in ways that it does not expect.
        let opened = catch_unwind(AssertUnwindSafe(|| Store::open(backend, max_size, max_age)));
        opened.unwrap_or_else(|panic| Err(StoreError::Broke(words(&*panic))))
    }

    fn backend(&self) -> Result<Box<dyn StorageBackend>, StoreError> {
        match self {
            Place::Memory => Ok(Box::new(InMemoryBackend::new())),
            Place::Folder(folder) => {
                let error = |what: String| move |cause| StoreError::File { what, cause };
                fs::create_dir_all(folder)
                    .map_err(error(format!("the folder {} cannot be made", folder.display())))?;
                let path = folder.join(FILE);
                let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
                let file = file.map_err(error(format!("{} cannot be opened", path.display())))?;
                Ok(Box::new(FileBackend::new(file)?))
            }
            #[cfg(test)]
            Place::Test(backends) => {
                backends().map_err(|cause| StoreError::File { what: "a test's backend".into(), cause })
            }
        }
    }

    /// How many bytes the store takes on the disk, holes not counted.
    pub(super) fn bytes_on_disk(&self) -> Option<u64> {
        use std::os::unix::fs::MetadataExt;
        match self {
            Place::Folder(folder) => fs::metadata(folder.join(FILE)).ok().map(|found| found.blocks() * 512),
            _ => None,
        }
    }

    /// Makes the reserve where it is not there; a disk without room for it is no error yet.
    pub(super) fn make_reserve(&self) {
        if let Place::Folder(folder) = self {
            let path = folder.join(RESERVE);
            if !path.exists() && fill(&path).is_err() {
                fs::remove_file(&path).unwrap_or_default();
            }
        }
    }

    /// Gives the reserve back to the disk; whether there was one.
    pub(super) fn free_reserve(&self) -> bool {
        matches!(self, Place::Folder(folder) if fs::remove_file(folder.join(RESERVE)).is_ok())
    }
}

fn fill(path: &Path) -> io::Result<()> {
    // Zeros that are written take room, those of a hole do not.
    let mut file = File::create(path)?;
    file.write_all(&vec![0; RESERVE_BYTES])?;
    file.sync_data()
}

fn put_aside(folder: &Path) -> Result<PathBuf, StoreError> {
    let [newest, oldest] = ASIDE.map(|name| folder.join(name));
    if newest.exists() {
        rename(&newest, &oldest)?;
    }
    rename(&folder.join(FILE), &newest)?;
    Ok(newest)
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|cause| StoreError::File {
        what: format!("{} cannot be renamed to {}", from.display(), to.display()),
        cause,
    })
}

/// What a panic said.
pub(super) fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason given".to_owned())
}
