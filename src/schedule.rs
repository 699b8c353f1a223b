//! When a source is asked: at once, and then at ticks that are aligned to its interval.
//!
//! In go a clock, an interval and an offset; out come [`Tick`]s. Ticks of one source never overlap: one
//! that falls into a cycle that still runs is left out and counted. Never: what is done at a tick.

pub mod tick;

use std::time::Duration;

use crate::clock::Clock;
use crate::sample::Millis;
use tick::{missed, next_tick};

/// The clock may be stepped while we sleep, so it is asked again at least this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// It is time to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// The time now.
    pub at: Millis,
    /// Ticks that were left out since the one before, as its cycle still ran.
    pub missed: u64,
}

/// One source's ticks.
#[derive(Debug)]
pub struct Ticker {
    clock: Clock,
    every: Duration,
    offset: Duration,
    /// The aligned time at or before the last tick; none before the first one.
    last_slot: Option<Millis>,
    /// What is waited for. Kept here, so that a wait that is dropped (`select!`) goes on with the next call.
    due: Option<Tick>,
}

impl Ticker {
    /// The first tick comes at once, the others at multiples of `every` since the epoch plus `offset`.
    pub fn new(clock: Clock, every: Duration, offset: Duration) -> Self {
        Ticker { clock, every, offset, last_slot: None, due: None }
    }

    /// When the next tick comes; now, where none was yet.
    pub fn next_at(&self) -> Millis {
        let now = self.clock.now();
        match (self.due, self.last_slot) {
            (Some(due), _) => due.at,
            (None, None) => now,
            (None, Some(_)) => next_tick(now, self.every, self.offset),
        }
    }

    /// Waits for the next tick. Dropping the wait loses no tick.
    pub async fn tick(&mut self) -> Tick {
        let now = self.clock.now();
        let mut due = match (self.due, self.last_slot) {
            (Some(due), _) => due,
            (None, None) => Tick { at: now, missed: 0 },
            (None, Some(last)) => {
                let at = next_tick(now, self.every, self.offset);
                Tick { at, missed: missed(last, now, self.every) }
            }
        };
        loop {
            let now = self.clock.now();
            // A clock that was set back must not make us wait for longer than one interval.
            due.at = due.at.min(next_tick(now, self.every, self.offset));
            if now >= due.at {
                self.due = None;
                self.last_slot = Some(tick::slot(now, self.every, self.offset));
                return Tick { at: now, missed: due.missed };
            }
            self.due = Some(due);
            tokio::time::sleep(due.at.since(now).min(LONGEST_SLEEP)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_millis(40);
    const WAIT: Duration = Duration::from_secs(10);

    fn ticker(at: i64) -> (Clock, Ticker) {
        let clock = Clock::manual(Millis(at));
        (clock.clone(), Ticker::new(clock, EVERY, Duration::from_millis(3)))
    }

    async fn tick(ticker: &mut Ticker) -> Tick {
        tokio::time::timeout(WAIT, ticker.tick()).await.expect("a tick comes")
    }

    #[tokio::test]
    async fn the_first_tick_comes_at_once_and_the_next_one_aligned() {
        let (clock, mut ticker) = ticker(1_010);
        assert_eq!(tick(&mut ticker).await, Tick { at: Millis(1_010), missed: 0 });
        assert_eq!(ticker.next_at(), Millis(1_043));
        clock.advance(Duration::from_millis(32));
        let early = tokio::time::timeout(Duration::from_millis(20), ticker.tick()).await;
        assert!(early.is_err(), "a millisecond too early");
        clock.advance(Duration::from_millis(1));
        assert_eq!(tick(&mut ticker).await, Tick { at: Millis(1_043), missed: 0 });
    }

    #[tokio::test]
    async fn ticks_that_fall_into_a_long_cycle_are_left_out_and_counted() {
        let (clock, mut ticker) = ticker(1_003);
        tick(&mut ticker).await;
        clock.advance(Duration::from_millis(85));
        let early = tokio::time::timeout(Duration::from_millis(5), ticker.tick()).await;
        assert!(early.is_err(), "a late tick is not made up for");
        clock.advance(Duration::from_millis(40));
        assert_eq!(tick(&mut ticker).await, Tick { at: Millis(1_128), missed: 2 });
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_delays_a_tick_by_one_interval_at_most() {
        let (clock, mut ticker) = ticker(10_000_000);
        tick(&mut ticker).await;
        let early = tokio::time::timeout(Duration::from_millis(1), ticker.tick()).await;
        assert!(early.is_err());
        if let Clock::Manual(at) = &clock {
            at.store(5_000_000, std::sync::atomic::Ordering::SeqCst);
        }
        let waiting = tokio::spawn(async move { ticker.tick().await });
        tokio::time::sleep(Duration::from_millis(5)).await;
        clock.advance(EVERY);
        let came = tokio::time::timeout(WAIT, waiting).await.expect("a tick comes").unwrap();
        assert_eq!(came, Tick { at: Millis(5_000_040), missed: 0 });
    }

    #[tokio::test]
    async fn a_clock_that_is_set_forward_while_waiting_is_no_missed_tick() {
        let (clock, mut ticker) = ticker(1_003);
        tick(&mut ticker).await;
        let early = tokio::time::timeout(Duration::from_millis(1), ticker.tick()).await;
        assert!(early.is_err());
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(tick(&mut ticker).await.missed, 0);
    }
}
