//! Which samples of a record make a request: the same ones each time.

use std::ops::Range;

use crate::queue::Position;

/// How many requests the search for a bad sample may cost, the one that failed among them.
const MOST_REQUESTS: usize = 32;

/// The ranges of one chunk of a record; a chunk is what the endpoint takes at once.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    record: u64,
    /// What is left of the chunk, the next range last.
    rest: Vec<Range<usize>>,
    /// Requests of this chunk that were answered for good.
    answered: usize,
}

impl Cuts {
    /// The range that begins at `at`, in a record of `samples`, of at most `most` samples.
    ///
    /// Chunks lie at multiples of `most`, so a start in the middle of a record changes no later one.
    pub(super) fn next(&mut self, at: Position, samples: usize, most: usize) -> Range<usize> {
        match self.rest.last() {
            Some(next) if self.record == at.record && next.start == at.sample => next.clone(),
            _ => {
                let chunk = self.chunk(at, samples, most);
                *self = Cuts { record: at.record, rest: vec![chunk.clone()], answered: 0 };
                chunk
            }
        }
    }

    /// The whole chunk that begins at `at`, in a record of `samples`.
    pub(super) fn chunk(&self, at: Position, samples: usize, most: usize) -> Range<usize> {
        let most = most.max(1);
        let end = samples.min((at.sample / most + 1).saturating_mul(most));
        at.sample..end.max(at.sample)
    }

    /// Whether no part of a chunk is looked for.
    pub(super) fn is_whole(&self) -> bool {
        self.rest.is_empty() || self.rest.len() == 1 && self.answered == 0
    }

    /// The range was taken or refused.
    pub(super) fn done(&mut self) {
        self.answered += 1;
        self.rest.pop();
    }

    /// The range was too large: its halves instead.
    pub(super) fn halve(&mut self) {
        self.answered += 1;
        if let Some(range) = self.rest.pop() {
            let middle = range.start + range.len().div_ceil(2);
            let halves = [middle..range.end, range.start..middle];
            self.rest.extend(halves.into_iter().filter(|half| !half.is_empty()));
        }
    }

    /// Something in the range is bad: its halves instead, where the number of requests allows it.
    pub(super) fn bisect(&mut self) -> bool {
        // Every range that is left keeps one request, so nothing goes untried.
        let needed = self.answered + 1 + (self.rest.len().saturating_sub(1)) + 2;
        let allowed = needed <= MOST_REQUESTS;
        if allowed {
            self.halve();
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(record: u64, sample: usize) -> Position {
        Position { record, sample }
    }

    #[test]
    fn chunks_lie_at_multiples_of_the_limit_wherever_one_begins() {
        let mut cuts = Cuts::default();
        assert_eq!(cuts.next(at(0, 0), 25, 10), 0..10);
        cuts.done();
        assert_eq!(cuts.next(at(0, 10), 25, 10), 10..20);
        assert_eq!(Cuts::default().next(at(0, 13), 25, 10), 13..20);
        assert_eq!(Cuts::default().next(at(0, 20), 25, 10), 20..25);
    }

    #[test]
    fn halves_come_in_order_and_are_the_same_each_time() {
        let mut cuts = Cuts::default();
        cuts.next(at(0, 0), 5, 10);
        cuts.halve();
        for _ in 0..2 {
            assert_eq!(cuts.next(at(0, 0), 5, 10), 0..3);
        }
        cuts.done();
        assert_eq!(cuts.next(at(0, 3), 5, 10), 3..5);
    }

    #[test]
    fn another_record_begins_anew() {
        let mut cuts = Cuts::default();
        cuts.next(at(0, 0), 8, 10);
        cuts.halve();
        assert_eq!(cuts.next(at(1, 0), 8, 10), 0..8);
    }

    proptest! {
        #[test]
        fn a_search_costs_at_most_32_requests_and_leaves_nothing_untried(
            samples in 1_usize..3000,
            bad in prop::collection::btree_set(0_usize..3000, 0..40),
        ) {
            let (mut cuts, mut requests, mut position) = (Cuts::default(), 0, 0);
            let mut refused = 0;
            while position < samples {
                let range = cuts.next(at(0, position), samples, samples);
                requests += 1;
                if bad.range(range.clone()).next().is_none() {
                    cuts.done();
                    position = range.end;
                } else if range.len() == 1 || !cuts.bisect() {
                    cuts.done();
                    refused += range.len();
                    position = range.end;
                }
            }
            prop_assert!(requests <= 32);
            let really = bad.range(0..samples).count();
            prop_assert!(refused >= really);
            prop_assert!(really > 1 || refused == really, "one bad sample is found alone");
        }
    }
}
