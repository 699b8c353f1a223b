//! How the page is protected: the file of `--web.config.file` and those that it names go in, TLS, users, headers
//! and a bound on requests come out. All of them are read again when one changes; what cannot be used leaves the
//! old ones in force, and is told once. Never: protection taken away while it runs, since a file that is just
//! being written may be cut off.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::http::{HeaderName, HeaderValue};
use tokio_rustls::rustls::ServerConfig;

use super::tls;
use super::users::Users;
use crate::config::{ConfigError, RateLimit, WebFile};
use crate::telemetry::Telemetry;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// It is not to be understood, or asks for what is not there.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// A certificate or key is not usable.
    #[error("{place}: {what}")]
    Tls {
        /// Where the block stands.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// It would take something away that protects the running page.
    #[error("{path}: {what} cannot be removed while the page is served; write it again, or start anew")]
    Removed {
        /// The file.
        path: String,
        /// What.
        what: &'static str,
    },
}

/// What tells a changed file from an unchanged one; a missing one has nothing.
type Stamp = Vec<(PathBuf, Option<[i64; 6]>)>;

/// Protects one page.
#[derive(Debug)]
pub struct Guard {
    path: PathBuf,
    telemetry: Telemetry,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    stamp: Stamp,
    rules: Arc<Rules>,
}

/// What one reading of the files says.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) users: Option<Users>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    limit: Option<Bucket>,
}

impl Guard {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// [`GuardError`] where it, or a file that it names, cannot be used.
    pub fn open(path: &Path, telemetry: Telemetry) -> Result<Guard, GuardError> {
        let (stamp, rules) = read(path);
        let state = Mutex::new(State { stamp, rules: Arc::new(rules?) });
        Ok(Guard { path: path.to_owned(), telemetry, state })
    }

    /// Whether the page is served with TLS.
    pub fn has_tls(&self) -> bool {
        self.state().rules.tls.is_some()
    }

    /// Whether the page is for known users alone.
    pub fn has_users(&self) -> bool {
        self.state().rules.users.is_some()
    }

    /// The rules of the files as they are now.
    pub(super) async fn rules(self: &Arc<Self>) -> Arc<Rules> {
        let guard = Arc::clone(self);
        let now = tokio::task::spawn_blocking(move || guard.refreshed()).await;
        // Reading never panics; if it did, the old rules would still stand.
        now.unwrap_or_else(|_| Arc::clone(&self.state().rules))
    }

    fn refreshed(&self) -> Arc<Rules> {
        // Held while files are read: who comes meanwhile waits for the new rules.
        let mut state = self.state();
        let seen = state.stamp.iter().map(|(path, _)| (path.clone(), one(path))).collect::<Stamp>();
        if seen == state.stamp {
            return Arc::clone(&state.rules);
        }
        let (stamp, rules) = read(&self.path);
        match rules.and_then(|rules| self.not_less(&state.rules, rules)) {
            Ok(rules) => {
                *state = State { stamp, rules: Arc::new(rules) };
                self.telemetry.web_config_read(None);
            }
            Err(error) => {
                // What was in force is looked at as well: it may come back.
                let more = seen.into_iter().filter(|(path, _)| !stamp.iter().any(|(known, _)| known == path));
                state.stamp = stamp.iter().cloned().chain(more).collect();
                self.telemetry.web_config_read(Some(&error));
            }
        }
        Arc::clone(&state.rules)
    }

    fn not_less(&self, old: &Rules, new: Rules) -> Result<Rules, GuardError> {
        let removed = |what| Err(GuardError::Removed { path: self.path.display().to_string(), what });
        match (old, &new) {
            (Rules { tls: Some(_), .. }, Rules { tls: None, .. }) => removed("tls_server_config"),
            (Rules { users: Some(_), .. }, Rules { users: None, .. }) => removed("basic_auth_users"),
            _ => Ok(new),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stamps are taken before the files are read: a change in between is seen the next time.
fn read(path: &Path) -> (Stamp, Result<Rules, GuardError>) {
    let mut stamp = vec![(path.to_owned(), one(path))];
    let file = match WebFile::read(path) {
        Ok(file) => file,
        Err(error) => return (stamp, Err(error.into())),
    };
    stamp.extend(file.files().into_iter().map(|path| (path.clone(), one(&path))));
    (stamp, Rules::of(file))
}

fn one(path: &Path) -> Option<[i64; 6]> {
    let of = |meta: Metadata| {
        let inode = i64::from_ne_bytes(meta.ino().to_ne_bytes());
        let length = i64::from_ne_bytes(meta.len().to_ne_bytes());
        [inode, length, meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()]
    };
    std::fs::metadata(path).ok().map(of)
}

impl Rules {
    fn of(file: WebFile) -> Result<Rules, GuardError> {
        let header = |(name, value): (String, String)| {
            // Both were checked when the file was read.
            Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
        };
        Ok(Rules {
            tls: file.tls.as_ref().map(tls::server).transpose()?.map(Arc::new),
            users: Users::of(file.users),
            headers: file.headers.into_iter().filter_map(header).collect(),
            limit: file.rate_limit.map(|limit| Bucket::full(limit, Instant::now())),
        })
    }

    /// Whether one more request may be answered.
    pub(super) fn has_room(&self) -> bool {
        self.limit.as_ref().is_none_or(|bucket| bucket.take(Instant::now()))
    }
}

/// Requests that may be answered: one more at each interval, at most `burst`.
#[derive(Debug)]
struct Bucket {
    limit: RateLimit,
    /// What is in it, and when that was so.
    level: Mutex<(f64, Instant)>,
}

impl Bucket {
    fn full(limit: RateLimit, now: Instant) -> Self {
        Bucket { limit, level: Mutex::new((f64::from(limit.burst), now)) }
    }

    fn take(&self, now: Instant) -> bool {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.saturating_duration_since(level.1).as_secs_f64() / self.limit.interval.as_secs_f64();
        let filled = (level.0 + gained).min(f64::from(self.limit.burst));
        let enough = filled >= 1.0;
        *level = (if enough { filled - 1.0 } else { filled }, now.max(level.1));
        enough
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_one_for_each_interval() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let bucket = Bucket::full(RateLimit { interval: second, burst: 3 }, start);
        let taken = |at: Instant| (0..5).filter(|_| bucket.take(at)).count();
        assert_eq!(taken(start), 3);
        assert_eq!(taken(start + second / 2), 0);
        assert_eq!(taken(start + second), 1);
        assert_eq!(taken(start + 3 * second), 2);
        assert_eq!(taken(start + 100 * second), 3);
    }
}
