//! Where a store is: opening it, and putting a damaged one aside. Nothing is ever deleted but the third
//! damaged store, and the reserve that makes room on a full disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use redb::StorageBackend;
use redb::backends::{FileBackend, InMemoryBackend};

use super::error::StoreError;
use super::salvage::{self, Saved};
use super::store::Store;

const FILE: &str = "queue.redb";
/// Bytes that are given back to a disk that is full, so that what was delivered can be deleted.
const RESERVE: &str = "reserve";
/// Says who has the store open. The store itself is locked by the system; this is for those who ask.
const LOCK: &str = "lock";
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
    /// A folder whose store is only looked at: it is not made, and what is damaged there stays as it is.
    Inspected(PathBuf),
    #[cfg(test)]
    Test(Backends),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Memory => f.write_str("memory"),
            Place::Folder(folder) | Place::Inspected(folder) => folder.fmt(f),
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
                fs::create_dir_all(folder).map_err(|cause| StoreError::File {
                    what: format!("the folder {} cannot be made", folder.display()),
                    cause,
                })?;
                file(folder, OpenOptions::new().create(true).truncate(false))
            }
            Place::Inspected(folder) => file(folder, &mut OpenOptions::new()),
            #[cfg(test)]
            Place::Test(backends) => {
                backends().map_err(|cause| StoreError::File { what: "a test's backend".into(), cause })
            }
        }
    }

    /// How many bytes the store takes on the disk, holes not counted.
    pub(super) fn bytes_on_disk(&self) -> Option<u64> {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(self.folder()?.join(FILE)).ok().map(|found| found.blocks() * 512)
    }

    /// Where a store on the disk is.
    pub(super) fn folder(&self) -> Option<&Path> {
        match self {
            Place::Folder(folder) | Place::Inspected(folder) => Some(folder),
            _ => None,
        }
    }

    /// Lets others read who has the store open. That it cannot be written harms nobody.
    pub(super) fn note_holder(&self, holder: &str) {
        if let Some(folder) = self.folder() {
            // Another user may have left one, which can be removed where it cannot be written.
            self.forget_holder();
            fs::write(folder.join(LOCK), format!("{holder}\n")).unwrap_or_default();
        }
    }

    pub(super) fn forget_holder(&self) {
        if let Some(folder) = self.folder() {
            fs::remove_file(folder.join(LOCK)).unwrap_or_default();
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

/// Whether a store can be kept in a folder, of which nothing is changed: one that is not there can be made, and
/// files in it can be made, read and written.
pub(super) fn try_folder(folder: &Path) -> io::Result<()> {
    let store = folder.join(FILE);
    if store.try_exists()? {
        OpenOptions::new().read(true).write(true).open(&store)?;
    }
    let above = made_in(folder)?;
    if !above.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            format!("{} is no folder", above.display()),
        ));
    }
    // Permissions alone do not tell of a file system that is read-only.
    let trace = above.join(format!(".fleetpush-{}", process::id()));
    OpenOptions::new().write(true).create_new(true).open(&trace)?;
    fs::remove_file(&trace)
}

/// How many bytes a store in a folder can take of its disk: what is free, and what the store has of it already.
pub(super) fn room_on_disk(folder: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let disk = rustix::fs::statvfs(made_in(folder)?)?;
    let bytes = |path: &str| fs::metadata(folder.join(path)).map_or(0, |found| found.blocks() * 512);
    let reserve = (RESERVE_BYTES as u64).saturating_sub(bytes(RESERVE));
    Ok((disk.f_bavail.saturating_mul(disk.f_frsize) + bytes(FILE)).saturating_sub(reserve))
}

/// The folder, or where it is not there the first one above that is, in which it is made.
fn made_in(folder: &Path) -> io::Result<&Path> {
    let mut above = folder;
    while !above.try_exists()? {
        above = match above.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
    }
    Ok(above)
}

/// Who has the store in a folder open, as it says itself.
pub(super) fn holder(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join(LOCK)).ok()?;
    let line = text.lines().next()?.trim();
    // Whatever else lies there is not shown.
    (!line.is_empty() && line.len() < 400 && !line.contains(char::is_control)).then(|| line.to_owned())
}

/// Whether there is a store in a folder.
pub(super) fn exists(folder: &Path) -> io::Result<bool> {
    folder.join(FILE).try_exists()
}

/// How much of a damaged store can be read: records that can, and that cannot.
pub(super) fn survey(folder: &Path) -> Option<(usize, usize)> {
    salvage::survey(&folder.join(FILE))
}

fn file(folder: &Path, how: &mut OpenOptions) -> Result<Box<dyn StorageBackend>, StoreError> {
    let path = folder.join(FILE);
    let file = how
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|cause| StoreError::File { what: format!("{} cannot be opened", path.display()), cause })?;
    Ok(Box::new(FileBackend::new(file)?))
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
