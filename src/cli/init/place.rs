//! Where the file goes: whole or not at all, over nothing that is there, and not for everyone to read.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;

/// For its owner alone: user names and hosts are nobody else's business.
const MODE: u32 = 0o600;
/// What of an older file's mode is kept: a service's group may read it.
const KEPT: u32 = 0o640;

/// A path that means the same in every folder.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The queue's folder as it is typed: `memory` is none.
pub(super) fn queue(path: &Path) -> PathBuf {
    if path == Path::new("memory") { path.to_owned() } else { absolute(path) }
}

/// Whether a file may be written there, before anyone is asked anything.
pub(super) fn may_write(path: &Path, force: bool) -> Result<(), String> {
    if path.is_dir() {
        return Err(format!("{} is a folder; name a file with --output", path.display()));
    }
    if fs::symlink_metadata(path).is_ok() && !force {
        return Err(taken(path));
    }
    let folder = folder(path);
    if !folder.is_dir() {
        let folder = folder.display();
        return Err(format!(
            "the folder {folder} is not there; make it (mkdir -p {folder}), or choose another with --output"
        ));
    }
    Ok(())
}

fn taken(path: &Path) -> String {
    format!(
        "{} is there already, and stays as it is; choose another name with --output, or write over it with --force",
        path.display()
    )
}

/// Writes the file, and gives back its mode.
pub(super) fn write(path: &Path, text: &str, force: bool) -> Result<u32, String> {
    // A link stays one: what it leads to is written over.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::AlreadyExists => taken(path),
        _ => format!("{} cannot be written: {error}", path.display()),
    };
    let mode = match fs::metadata(path) {
        Ok(old) if force => old.permissions().mode() & KEPT | MODE,
        _ => MODE,
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = folder(path).join(format!(".{name}.{}", process::id()));
    // Whatever was there when it was asked for: it comes into being here or is another's.
    let claimed = if force {
        Ok(())
    } else {
        OpenOptions::new().write(true).create_new(true).mode(MODE).open(path).map(drop)
    };
    let written = claimed.and_then(|()| fill(&new, text, mode)).and_then(|()| fs::rename(&new, path));
    written.map(|()| mode).map_err(|error| {
        // It may not have come into being.
        fs::remove_file(&new).ok();
        if !force && error.kind() != ErrorKind::AlreadyExists {
            fs::remove_file(path).ok();
        }
        failed(error)
    })
}

fn fill(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A folder of our own that is gone at the end.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> io::Result<Self> {
        let path =
            std::env::temp_dir().join(format!("fleetpush-init-{}-{:x}", process::id(), fastrand::u64(..)));
        fs::create_dir(&path)?;
        Ok(Scratch(path))
    }

    pub(super) fn file(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.0.join(name);
        let written = File::create(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
