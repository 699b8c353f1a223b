//! Who is let in: a user and a password go in, a yes or no comes out. A password costs its bcrypt once; what came
//! of it is remembered under a keyed hash, so that no password is kept. Checks run one at a time on a thread that
//! may block: wrong passwords cost time, and hold up nobody who is known.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use tokio::sync::Semaphore;

use super::bcrypt;
use crate::config::BcryptHash;

/// So many outcomes of each kind are remembered.
const REMEMBERED: usize = 100;

/// The users of one reading of the file.
#[derive(Debug)]
pub(super) struct Users {
    hashes: BTreeMap<String, BcryptHash>,
    /// Checked where a user is not known, so that it takes as long.
    nobody: BcryptHash,
    /// One check at a time.
    turn: Arc<Semaphore>,
    keys: [RandomState; 2],
    /// Apart, so that wrong passwords, however many, drive out none that is right.
    right: Mutex<Outcomes>,
    wrong: Mutex<Outcomes>,
}

type Outcomes = HashMap<[u64; 2], ()>;

/// What a client says of itself.
#[derive(Clone)]
struct Claim {
    user: Vec<u8>,
    password: Vec<u8>,
}

impl Users {
    /// None where everyone is let in.
    pub(super) fn of(hashes: BTreeMap<String, BcryptHash>) -> Option<Self> {
        let cost = hashes.values().map(|hash| hash.cost).max()?;
        Some(Users {
            hashes,
            nobody: BcryptHash { cost, salt: *b"nobody's salt ..", digest: [0; 23] },
            turn: Arc::new(Semaphore::new(1)),
            keys: [RandomState::new(), RandomState::new()],
            right: Mutex::default(),
            wrong: Mutex::default(),
        })
    }

    /// Whether a request's credentials are those of a user.
    pub(super) async fn admit(&self, headers: &HeaderMap) -> bool {
        let Some(claim) = headers.get(AUTHORIZATION).and_then(|value| Claim::read(value.as_bytes())) else {
            return false;
        };
        let user = std::str::from_utf8(&claim.user).ok();
        let known = user.and_then(|user| self.hashes.get(user)).copied();
        let key = self.keys.each_ref().map(|state| state.hash_one((&claim.user, &claim.password)));
        if let Some(outcome) = self.remembered(&key) {
            return outcome;
        }
        // The semaphore is never closed, and first come are first served.
        let Ok(_turn) = self.turn.acquire().await else { return false };
        // Whoever had the turn before may have asked the same.
        if let Some(outcome) = self.remembered(&key) {
            return outcome;
        }
        let hash = known.unwrap_or(self.nobody);
        let check = tokio::task::spawn_blocking(move || bcrypt::matches(&hash, &claim.password));
        let admitted = check.await.unwrap_or(false) && known.is_some();
        remember(if admitted { &self.right } else { &self.wrong }, key);
        admitted
    }

    fn remembered(&self, key: &[u64; 2]) -> Option<bool> {
        let has = |outcomes: &Mutex<Outcomes>| lock(outcomes).contains_key(key);
        if has(&self.right) { Some(true) } else { has(&self.wrong).then_some(false) }
    }
}

fn remember(outcomes: &Mutex<Outcomes>, key: [u64; 2]) {
    let mut outcomes = lock(outcomes);
    if outcomes.len() >= REMEMBERED
        && let Some(any) = outcomes.keys().next().copied()
    {
        outcomes.remove(&any);
    }
    outcomes.insert(key, ());
}

fn lock(outcomes: &Mutex<Outcomes>) -> std::sync::MutexGuard<'_, Outcomes> {
    // Nothing can panic while it is held.
    outcomes.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Claim {
    /// `Basic <base64 of user:password>`.
    fn read(value: &[u8]) -> Option<Self> {
        let (scheme, coded) = value.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let reader = GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new());
        let pair = reader.decode(coded).ok()?;
        let colon = pair.iter().position(|byte| *byte == b':')?;
        let (user, password) = pair.split_at(colon);
        Some(Claim { user: user.to_vec(), password: password.get(1..)?.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_as_go_reads_them() {
        let pair = |value: &str| {
            let Claim { user, password } = Claim::read(value.as_bytes())?;
            Some((String::from_utf8(user).unwrap(), String::from_utf8(password).unwrap()))
        };
        let both = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(pair("Basic bWU6d29yZA=="), both("me", "word"));
        assert_eq!(pair("bAsIc bWU6d29yZA=="), both("me", "word"));
        assert_eq!(pair("Basic bWU6"), both("me", ""));
        assert_eq!(pair("Basic OmE6Yg=="), both("", "a:b"));
        for bad in [
            "",
            "Basic",
            "Basic bWU",
            "Basic bWU=",
            "Basic  bWU6d29yZA==",
            "Bearer bWU6d29yZA==",
            "Basic bWU6d29yZA",
        ] {
            assert_eq!(pair(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_so_many_outcomes_are_remembered() {
        let outcomes = Mutex::default();
        for number in 0..3 * REMEMBERED as u64 {
            remember(&outcomes, [number, 0]);
            assert!(lock(&outcomes).contains_key(&[number, 0]));
        }
        assert_eq!(lock(&outcomes).len(), REMEMBERED);
    }
}
