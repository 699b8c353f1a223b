//! Asks a balena account and says what was counted: an account goes in, one batch for each cycle comes
//! out. A cycle never fails: a failure is itself a batch, with `balena_up 0` and without any count.
//! Never: a number that was not counted, two cycles at once, a log line.

mod balena;
mod count;
mod error;
mod wire;

use std::time::Duration;

use tokio::time::Instant;

use self::balena::{Api, Heard};
pub use self::count::FleetCounts;
use self::count::{State, Words};
pub use self::error::{CollectError, CycleResult};
pub use self::wire::WhoAmI;
use crate::clock::Clock;
use crate::config::{Account, FleetLabels};
use crate::http::HttpError;
use crate::retry::RETRY_AFTER_CAP;
use crate::sample::{Batch, ClockTrust, Millis, Scope, Source};

/// Beyond this our clock is not believed.
const SKEW_MS: u64 = 5 * 60 * 1000;
const STEP: Duration = Duration::from_millis(1);

/// How a cycle went, for counters and the log.
#[derive(Debug)]
pub struct CycleReport {
    /// How it ended.
    pub result: CycleResult,
    /// The status of each answer, tries included.
    pub api_codes: Vec<u16>,
    /// How long it took.
    pub duration: Duration,
    /// How many fleets were counted.
    pub fleets: Option<usize>,
    /// Why it failed.
    pub error: Option<CollectError>,
    /// Our clock minus the API's, where an answer had a date.
    pub skew_seconds: Option<f64>,
    /// What the operator should know, a sentence each; said when it changes, not at each cycle.
    pub warnings: Vec<String>,
}

/// Collects one account, cycle after cycle.
#[derive(Debug)]
pub struct Collector {
    api: Api,
    account: Account,
    labels: FleetLabels,
    stale_after: Duration,
    clock: Clock,
    /// Until when the fleets' last counts may stand is counted from here.
    counted_at: Millis,
    last_success: Option<Millis>,
    last_at: Option<Millis>,
    pause_until: Option<Millis>,
    skewed: bool,
    warned: Vec<String>,
}

impl Collector {
    /// A collector of one account.
    ///
    /// # Errors
    /// [`HttpError`] where the account's TLS files or settings are not usable.
    pub fn new(
        account: &Account,
        labels: FleetLabels,
        stale_after: Duration,
        clock: Clock,
    ) -> Result<Self, HttpError> {
        Ok(Collector {
            api: Api::new(account, clock.clone())?,
            account: account.clone(),
            labels,
            stale_after,
            counted_at: clock.now(),
            clock,
            last_success: None,
            last_at: None,
            pause_until: None,
            skewed: false,
            warned: Vec::new(),
        })
    }

    /// Goes on where an earlier process stopped: its last success and its last batch's time.
    #[must_use]
    pub fn resumed(mut self, last_success: Option<Millis>, last_at: Option<Millis>) -> Self {
        self.counted_at = last_success.unwrap_or(self.counted_at);
        self.last_success = last_success;
        self.last_at = last_at;
        self
    }

    /// When the last successful cycle ended.
    pub fn last_success(&self) -> Option<Millis> {
        self.last_success
    }

    /// Asks the account once (trying again what may pass at once) and says what came of it.
    pub async fn cycle(&mut self) -> (Batch, CycleReport) {
        let started = Instant::now();
        let mut heard = Heard::default();
        let outcome = self.collect(&mut heard).await;
        let duration = started.elapsed();
        if let Some(skew) = heard.skew_ms {
            self.skewed = skew.unsigned_abs() > SKEW_MS;
        }
        let skew_seconds = heard.skew_ms.map(|ms| ms as f64 / 1000.0);
        let behind_ms = self.last_at.map_or(0, |last| last.0.saturating_sub(self.clock.now().0));
        let set_back = u64::try_from(behind_ms).is_ok_and(|behind| behind > SKEW_MS);
        let outcome = match (outcome, skew_seconds) {
            (Ok(_), Some(seconds)) if self.skewed => Err(CollectError::Skew { seconds }),
            (Ok(_), _) if set_back => Err(CollectError::SetBack { seconds: behind_ms as f64 / 1000.0 }),
            (outcome, _) => outcome,
        };
        let at = self.next_time();
        let (batch, result, fleets, warnings, error) = match outcome {
            Ok(fleets) => {
                let (batch, warnings) = self.success(at, duration, &fleets);
                (batch, CycleResult::Ok, Some(fleets.len()), self.news(warnings), None)
            }
            Err(error) => {
                self.pause(&error);
                (self.failure(at, duration), error.result(), None, Vec::new(), Some(error))
            }
        };
        let trust = if self.skewed || set_back { ClockTrust::Skewed } else { ClockTrust::Trusted };
        if trust == ClockTrust::Trusted {
            // A time that was not believed is none to measure a later clock by: it may have been ahead.
            self.last_at = Some(at);
        }
        let api_codes = heard.codes;
        let report = CycleReport { result, api_codes, duration, fleets, error, skew_seconds, warnings };
        (batch.with_clock(trust), report)
    }

    /// What an account's fleets look like now, for a person.
    ///
    /// # Errors
    /// [`CollectError`] where they cannot be counted.
    pub async fn fleets(&self) -> Result<Vec<FleetCounts>, CollectError> {
        self.collect(&mut Heard::default()).await
    }

    /// How many series a cycle has that counts these fleets.
    pub fn series_count(&self, fleets: &[FleetCounts]) -> usize {
        let (families, _) = count::fleet_families(fleets, self.labels);
        let done =
            State { fleets: Some(fleets.len()), duration: Duration::ZERO, last_success: Some(Millis(0)) };
        let state = count::state_families(done);
        families.iter().chain(&state).map(|family| family.series.len()).sum()
    }

    /// Who the account's token belongs to.
    ///
    /// # Errors
    /// [`CollectError`] where the API does not say.
    pub async fn whoami(&self) -> Result<WhoAmI, CollectError> {
        self.api.whoami().await
    }

    async fn collect(&self, heard: &mut Heard) -> Result<Vec<FleetCounts>, CollectError> {
        let left = self.pause_until.map(|until| until.since(self.clock.now())).unwrap_or_default();
        // A clock that was set back must not stretch the pause.
        if !left.is_zero() && left <= RETRY_AFTER_CAP {
            return Err(CollectError::Waiting { left });
        }
        // Not the interval: an API that is slower than it would never be counted; ticks are missed instead.
        let after = self.account.http.timeout;
        let rows = tokio::time::timeout(after, self.api.fleets(heard))
            .await
            .map_err(|_| CollectError::Deadline { after })??;
        let account = &self.account;
        let wanted =
            rows.into_iter().filter(|row| count::is_wanted(&row.slug, &account.include, &account.exclude));
        let words = Words::of(&account.api_version);
        Ok(wanted.map(|row| FleetCounts::of(row, &words)).collect())
    }

    fn success(&mut self, at: Millis, duration: Duration, fleets: &[FleetCounts]) -> (Batch, Vec<String>) {
        self.counted_at = at;
        self.last_success = Some(at);
        self.pause_until = None;
        let (mut families, mut warnings) = count::fleet_families(fleets, self.labels);
        if fleets.is_empty() {
            warnings
                .push("no fleet was counted: the account has none, or include and exclude leave none".into());
        }
        families.extend(self.state(Some(fleets.len()), duration));
        (self.batch(at, Scope::Whole, families), warnings)
    }

    fn failure(&self, at: Millis, duration: Duration) -> Batch {
        let fresh = at.since(self.counted_at) < self.stale_after;
        let scope = if fresh { Scope::StateOnly } else { Scope::Whole };
        self.batch(at, scope, self.state(None, duration))
    }

    fn state(&self, fleets: Option<usize>, duration: Duration) -> Vec<crate::sample::Family> {
        count::state_families(State { fleets, duration, last_success: self.last_success })
    }

    fn batch(&self, at: Millis, scope: Scope, families: Vec<crate::sample::Family>) -> Batch {
        Batch::new(Source::Account(self.account.name.clone()), at, scope, families)
            .expect("slugs are unique and namesakes summed, so no two series are equal")
    }

    fn pause(&mut self, error: &CollectError) {
        if let CollectError::RateLimited { wait: Some(wait), .. } = error {
            self.pause_until = Some(self.clock.now() + *wait);
        }
    }

    /// A series' timestamps strictly rise.
    fn next_time(&self) -> Millis {
        let now = self.clock.now();
        self.last_at.map_or(now, |last| now.max(last + STEP))
    }

    fn news(&mut self, warnings: Vec<String>) -> Vec<String> {
        if warnings == self.warned {
            return Vec::new();
        }
        self.warned.clone_from(&warnings);
        warnings
    }
}
