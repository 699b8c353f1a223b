//! The time of day: the system's, or one that a test holds. Made in `app`, held by the shells; pure
//! functions are given `now`. The system's clocks are banned elsewhere (`.clippy.toml`).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::sample::Millis;

/// Where `now` comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The system's clock, moved by a fixed number of milliseconds.
    System {
        /// Added to the system's time; zero but where a wrong clock is simulated.
        offset_ms: i64,
    },
    /// A clock that stands until it is moved.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The system's clock as it is.
    pub const SYSTEM: Clock = Clock::System { offset_ms: 0 };

    /// A clock that stands at `at` until [`Clock::advance`] moves it.
    pub fn manual(at: Millis) -> Self {
        Clock::Manual(Arc::new(AtomicI64::new(at.0)))
    }

    /// The time now. A system clock before 1970 reads as 1970.
    #[allow(clippy::disallowed_methods, reason = "the one place that asks the system")]
    pub fn now(&self) -> Millis {
        match self {
            Clock::System { offset_ms } => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX).saturating_add(*offset_ms))
            }
            Clock::Manual(at) => Millis(at.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock; a system clock goes by itself.
    pub fn advance(&self, by: Duration) {
        if let Clock::Manual(at) = self {
            at.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }
}
