//! The queue in memory: bounded, for one process' life.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Bound, Dropped, Peeked, Position, Record, Refused, Waiting};

/// How many bytes of refused records are kept.
const REFUSED_BYTES: usize = 16 << 20;

#[derive(Debug)]
pub(super) struct Memory {
    records: VecDeque<Record>,
    /// The number of `records`' first.
    first: u64,
    bytes: u64,
    newest_ms: Option<i64>,
    cursors: BTreeMap<String, Position>,
    refused: VecDeque<Refused>,
    max_size: u64,
    max_age: Duration,
}

impl Memory {
    pub(super) fn new(max_size: u64, max_age: Duration) -> Self {
        Memory {
            records: VecDeque::new(),
            first: 0,
            bytes: 0,
            newest_ms: None,
            cursors: BTreeMap::new(),
            refused: VecDeque::new(),
            max_size,
            max_age,
        }
    }

    pub(super) fn register(&mut self, endpoint: &str) {
        let end = Position { record: self.end(), sample: 0 };
        self.cursors.entry(endpoint.to_owned()).or_insert(end);
    }

    pub(super) fn remove(&mut self, endpoint: &str) {
        self.cursors.remove(endpoint);
        self.free();
    }

    pub(super) fn append(&mut self, records: Vec<Record>) -> Vec<Dropped> {
        for record in records {
            self.newest_ms = self.newest_ms.max(Some(record.oldest_ms));
            self.bytes += record.bytes.len() as u64;
            self.records.push_back(record);
        }
        self.free();
        let mut dropped = Vec::new();
        while let Some(bound) = self.crossed() {
            self.drop_oldest(bound, &mut dropped);
        }
        dropped
    }

    pub(super) fn peek(&self, endpoint: &str) -> Option<Peeked> {
        let position = *self.cursors.get(endpoint)?;
        let index = usize::try_from(position.record.checked_sub(self.first)?).ok()?;
        Some(Peeked { position, record: self.records.get(index)?.clone() })
    }

    pub(super) fn acknowledge(&mut self, endpoint: &str, from: Position, samples: usize) {
        let first = self.first;
        let Some(cursor) = self.cursors.get_mut(endpoint) else { return };
        // The record may have been dropped by a bound while its request was in flight.
        if *cursor != from {
            return;
        }
        let index = usize::try_from(from.record.saturating_sub(first)).unwrap_or(usize::MAX);
        let whole = self.records.get(index).map_or(0, |record| record.samples);
        cursor.sample += samples;
        if cursor.sample >= whole {
            *cursor = Position { record: from.record + 1, sample: 0 };
        }
        self.free();
    }

    pub(super) fn set_aside(&mut self, refused: Refused) {
        self.refused.push_back(refused);
        while self.refused.iter().map(|r| r.record.bytes.len()).sum::<usize>() > REFUSED_BYTES {
            self.refused.pop_front();
        }
    }

    pub(super) fn refused(&self, endpoint: &str) -> Vec<Refused> {
        self.refused.iter().filter(|refused| refused.endpoint == endpoint).cloned().collect()
    }

    pub(super) fn waiting(&self, endpoint: &str) -> Waiting {
        let Some(cursor) = self.cursors.get(endpoint) else { return Waiting::default() };
        let skip = usize::try_from(cursor.record.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let rest = || self.records.iter().skip(skip);
        let samples: u64 = rest().map(|record| record.samples as u64).sum();
        Waiting {
            records: rest().count(),
            samples: samples.saturating_sub(cursor.sample as u64),
            oldest_ms: rest().map(|record| record.oldest_ms).min(),
            newest_ms: self.newest_ms,
        }
    }

    pub(super) fn size(&self) -> (u64, usize, Option<i64>) {
        (self.bytes, self.records.len(), self.records.front().map(|record| record.oldest_ms))
    }

    fn end(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    /// Frees the records that every endpoint has done.
    fn free(&mut self) {
        let needed = self.cursors.values().map(|cursor| cursor.record).min().unwrap_or(self.end());
        while self.first < needed && self.pop().is_some() {}
    }

    fn pop(&mut self) -> Option<Record> {
        let record = self.records.pop_front()?;
        self.first += 1;
        self.bytes -= record.bytes.len() as u64;
        Some(record)
    }

    fn crossed(&self) -> Option<Bound> {
        let oldest = self.records.front()?.oldest_ms;
        let age_ms = u64::try_from(self.newest_ms?.saturating_sub(oldest)).unwrap_or(0);
        if self.bytes > self.max_size {
            Some(Bound::Size)
        } else if u128::from(age_ms) > self.max_age.as_millis() {
            Some(Bound::Age)
        } else {
            None
        }
    }

    fn drop_oldest(&mut self, bound: Bound, dropped: &mut Vec<Dropped>) {
        let number = self.first;
        let Some(record) = self.pop() else { return };
        for (endpoint, cursor) in &mut self.cursors {
            if cursor.record != number {
                continue;
            }
            let samples = record.samples - cursor.sample;
            *cursor = Position { record: number + 1, sample: 0 };
            match dropped.iter_mut().find(|d| &d.endpoint == endpoint && d.bound == bound) {
                Some(same) => same.samples += samples,
                None => dropped.push(Dropped { endpoint: endpoint.clone(), samples, bound }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(samples: usize, oldest_ms: i64) -> Record {
        Record { bytes: vec![0; 10].into(), samples, oldest_ms }
    }

    fn queue() -> Memory {
        let mut memory = Memory::new(30, Duration::from_secs(10));
        memory.register("a");
        memory
    }

    #[test]
    fn a_cursor_moves_through_a_record_and_on_to_the_next() {
        let mut memory = queue();
        memory.append(vec![record(5, 1), record(3, 2)]);
        let at = |memory: &Memory| memory.peek("a").map(|p| (p.position.record, p.position.sample));
        memory.acknowledge("a", Position::default(), 2);
        assert_eq!(at(&memory), Some((0, 2)));
        memory.acknowledge("a", Position { record: 0, sample: 2 }, 3);
        assert_eq!(at(&memory), Some((1, 0)));
        assert_eq!(memory.size().1, 1);
        assert_eq!(memory.waiting("a").samples, 3);
    }

    #[test]
    fn an_answer_to_a_record_that_a_bound_has_dropped_moves_nothing() {
        let mut memory = queue();
        memory.append(vec![record(5, 1)]);
        let dropped = memory.append(vec![record(1, 2), record(1, 3), record(1, 4)]);
        assert_eq!(dropped, [Dropped { endpoint: "a".into(), samples: 5, bound: Bound::Size }]);
        memory.acknowledge("a", Position::default(), 5);
        assert_eq!(memory.peek("a").unwrap().position, Position { record: 1, sample: 0 });
    }

    #[test]
    fn records_older_than_the_bound_go_first_and_are_counted() {
        let mut memory = queue();
        memory.append(vec![record(2, 0)]);
        let dropped = memory.append(vec![record(1, 10_001)]);
        assert_eq!(dropped[0].bound, Bound::Age);
        assert_eq!(memory.waiting("a").samples, 1);
    }

    #[test]
    fn a_new_endpoint_starts_at_now_and_a_slow_one_keeps_what_it_needs() {
        let mut memory = queue();
        memory.append(vec![record(2, 0)]);
        memory.register("b");
        memory.append(vec![record(2, 1)]);
        assert_eq!(memory.peek("b").unwrap().position.record, 1);
        memory.acknowledge("b", Position { record: 1, sample: 0 }, 2);
        assert_eq!(memory.size().1, 2);
        memory.remove("a");
        assert_eq!(memory.size().1, 0);
    }
}
