//! How long to wait before trying again: delays go out, one after the other, and a `Retry-After` header
//! is read. Never: sleeping, clocks, deciding whether a try is worth it.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::sample::Millis;

/// The longest that a server's `Retry-After` is obeyed.
pub const RETRY_AFTER_CAP: Duration = Duration::from_secs(3600);

/// Below this a failing server would be asked in a hot loop.
const SHORTEST: Duration = Duration::from_millis(1);

/// Endless delays that double from `min` to `max`, each with up to 10 % of jitter, none above `max`.
#[derive(Debug)]
pub struct Backoff {
    builder: ExponentialBuilder,
    delays: ExponentialBackoff,
    min: Duration,
    max: Duration,
}

impl Backoff {
    /// Delays from `min` to `max`; a `min` above `max` counts as `max`.
    pub fn new(min: Duration, max: Duration) -> Self {
        let max = max.max(SHORTEST);
        let min = min.clamp(SHORTEST, max);
        let builder = ExponentialBuilder::new().with_min_delay(min).with_max_delay(max).without_max_times();
        Backoff { builder, delays: builder.build(), min, max }
    }

    /// How long to wait before the next try.
    pub fn next_delay(&mut self) -> Duration {
        // The builder has no end of its own; its last delay is `max`.
        let plain = self.delays.next().unwrap_or(self.max);
        // Jitter of backon's own is added in [0, delay), which would go far beyond `max`.
        plain.mul_f64(0.9 + 0.2 * fastrand::f64()).clamp(self.min.mul_f64(0.9), self.max)
    }

    /// Starts again at the first delay, after a success.
    pub fn reset(&mut self) {
        self.delays = self.builder.build();
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.next_delay())
    }
}

/// What a `Retry-After` header asks for, at most `cap`: whole seconds or an HTTP date (RFC 9110, 5.6.7
/// and 10.2.3). Nothing, where it says nothing usable or a time that is not ahead.
pub fn retry_after(header: &str, now: Millis, cap: Duration) -> Option<Duration> {
    let header = header.trim();
    let asked = if !header.is_empty() && header.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are surely above the cap.
        header.parse().map_or(cap, Duration::from_secs)
    } else {
        http_date(header)?.since(now)
    };
    (!asked.is_zero()).then(|| asked.min(cap))
}

/// Reads an HTTP date in the form of today or one of the two obsolete ones, all of which a reader must
/// know (RFC 9110, 5.6.7).
pub fn http_date(text: &str) -> Option<Millis> {
    let text = text.trim();
    if let Ok(at) = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text) {
        return Some(Millis(at.as_millisecond()));
    }
    let obsolete = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    obsolete.iter().find_map(|form| {
        let at = DateTime::strptime(form, text).ok()?.to_zoned(TimeZone::UTC).ok()?;
        Some(Millis(at.timestamp().as_millisecond()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn delays_double_and_start_again_after_a_reset() {
        let mut backoff = Backoff::new(SECOND, 60 * SECOND);
        for expected in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0] {
            let delay = backoff.next_delay().as_secs_f64();
            assert!((delay / expected - 1.0).abs() <= 0.101, "{delay} where {expected} was due");
        }
        assert!(backoff.next_delay() >= 54 * SECOND);
        backoff.reset();
        assert!(backoff.next_delay() <= SECOND.mul_f64(1.1));
    }

    #[test]
    fn seconds_and_all_three_forms_of_dates_are_read() {
        let at = http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(at, Millis(784_111_777_000));
        assert_eq!(http_date("Sunday, 06-Nov-94 08:49:37 GMT"), Some(at));
        assert_eq!(http_date("Sun Nov  6 08:49:37 1994"), Some(at));
        let earlier = Millis(at.0 - 90_000);
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", earlier, 3600 * SECOND), Some(90 * SECOND));
        assert_eq!(retry_after(" 120 ", earlier, 3600 * SECOND), Some(120 * SECOND));
    }

    #[test]
    fn what_is_past_or_no_time_at_all_asks_for_nothing() {
        let now = Millis(784_111_777_000);
        for text in ["", "-1", "0", "1.5", "soon", "Sun, 06 Nov 1994 08:49:37 GMT", "+3", "é"] {
            assert_eq!(retry_after(text, now, SECOND), None, "{text:?}");
        }
    }

    #[test]
    fn a_wait_beyond_the_cap_is_the_cap() {
        for text in ["3601", "99999999999999999999999999", "Sat, 06 Nov 2094 08:49:37 GMT"] {
            assert_eq!(retry_after(text, Millis(0), RETRY_AFTER_CAP), Some(RETRY_AFTER_CAP), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_delay_leaves_its_bounds(min in 0_u64..100_000, max in 0_u64..100_000, tries in 1_usize..100) {
            let (min, max) = (Duration::from_millis(min), Duration::from_millis(max));
            for delay in Backoff::new(min, max).take(tries) {
                prop_assert!(delay <= max.max(SHORTEST));
                prop_assert!(delay >= min.min(max).mul_f64(0.899));
                prop_assert!(!delay.is_zero());
            }
        }

        #[test]
        fn any_header_is_read_without_a_panic_and_within_the_cap(text in "\\PC*", now in any::<i64>()) {
            let wait = retry_after(&text, Millis(now), SECOND);
            prop_assert!(wait.is_none_or(|wait| wait <= SECOND && !wait.is_zero()));
        }
    }
}
