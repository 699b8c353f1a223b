//! The arithmetic of ticks: a time, an interval and an offset in, a time or a number out. Pure.

use std::time::Duration;

use crate::sample::Millis;

/// Enough that a thousand sites do not ask in one and the same second, and little enough that a daily
/// cycle stays near its hour.
const SPREAD: Duration = Duration::from_secs(30);

/// The first time strictly after `now` that is a multiple of `every` since the epoch plus `offset`.
pub fn next_tick(now: Millis, every: Duration, offset: Duration) -> Millis {
    Millis(slot(now, every, offset).0.saturating_add(whole_millis(every)))
}

/// The last such time at or before `now`.
pub fn slot(now: Millis, every: Duration, offset: Duration) -> Millis {
    let every = whole_millis(every);
    let offset = i64::try_from(offset.as_millis()).unwrap_or(i64::MAX) % every;
    Millis(now.0.saturating_sub(now.0.saturating_sub(offset).rem_euclid(every)))
}

/// How many ticks after `last_tick` have passed by `now`; none where the clock was set back.
pub fn missed(last_tick: Millis, now: Millis, every: Duration) -> u64 {
    u64::try_from(now.since(last_tick).as_millis()).unwrap_or(u64::MAX) / whole_millis(every).unsigned_abs()
}

/// A place in the interval that an instance keeps for ever, so that many sites do not ask at once.
/// Replicas carry the same instance and so tick together, which deduplication needs.
pub fn offset_for(instance: &str, every: Duration) -> Duration {
    let spread = whole_millis(every.min(SPREAD)).unsigned_abs();
    Duration::from_millis(mixed(fnv_1a(instance.as_bytes())) % spread)
}

/// No interval is shorter than a millisecond, the unit of all timestamps.
fn whole_millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX).max(1)
}

/// FNV-1a, 64 bits: the same in every version of this program, which the standard hasher does not promise.
fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Names that differ in their last character only differ little in FNV's low bits; folding helps.
fn mixed(hash: u64) -> u64 {
    let once = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    once ^ (once >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tick_is_a_multiple_of_the_interval_plus_the_offset() {
        let (minute, five) = (Duration::from_secs(60), Duration::from_secs(5));
        assert_eq!(next_tick(Millis(0), minute, Duration::ZERO), Millis(60_000));
        assert_eq!(next_tick(Millis(0), minute, five), Millis(5_000));
        assert_eq!(next_tick(Millis(5_000), minute, five), Millis(65_000));
        assert_eq!(next_tick(Millis(64_999), minute, five), Millis(65_000));
    }

    #[test]
    fn an_instance_keeps_its_offset_for_ever() {
        // This number may never change: a site's cycle would move with an update.
        let minute = Duration::from_secs(60);
        assert_eq!(offset_for("site-7", minute), Duration::from_millis(5_919));
        assert_eq!(fnv_1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn a_thousand_sites_spread_over_the_half_minute() {
        let mut buckets = [0_u32; 30];
        for site in 0..1_000 {
            let offset = offset_for(&format!("site-{site}"), Duration::from_secs(60));
            buckets[usize::try_from(offset.as_secs()).unwrap()] += 1;
        }
        assert!(buckets.iter().all(|n| (10..80).contains(n)), "{buckets:?}");
    }

    proptest! {
        #[test]
        fn the_next_tick_is_after_now_by_an_interval_at_most(
            now in -10_000_000_000_000_i64..10_000_000_000_000,
            every in 1_u64..10_000_000_000,
            offset in 0_u64..10_000_000_000,
        ) {
            let (span, shift) = (Duration::from_millis(every), Duration::from_millis(offset));
            let next = next_tick(Millis(now), span, shift);
            prop_assert!(next.0 > now);
            prop_assert!(next.0 - now <= every as i64);
            prop_assert_eq!((next.0 - offset as i64).rem_euclid(every as i64), 0);
            prop_assert_eq!(missed(Millis(next.0 - every as i64), Millis(now), span), 0);
            prop_assert_eq!(missed(next, next + span * 3, span), 3);
        }

        #[test]
        fn no_number_overflows(now in any::<i64>(), every in any::<u64>(), offset in any::<u64>()) {
            let (span, shift) = (Duration::from_millis(every), Duration::from_millis(offset));
            next_tick(Millis(now), span, shift);
            missed(Millis(now), Millis(i64::MAX), span);
        }

        #[test]
        fn an_offset_is_shorter_than_the_interval(instance in ".*", every in 1_u64..100_000) {
            prop_assert!(offset_for(&instance, Duration::from_millis(every)) < Duration::from_millis(every));
        }
    }
}
