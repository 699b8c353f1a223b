//! Refused samples as they are kept: how one is written, how many of them there is room for, and which of
//! them are to be sent again. Pure: a wish goes in, [`Moves`] come out; once they are committed they are applied.

use std::collections::{BTreeMap, BTreeSet};

use super::{Aside, Position, Record, Refused};

/// So many bytes of refused records are kept; the oldest go first.
const MOST_BYTES: usize = 16 << 20;

/// Which refused records there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shelf {
    all: BTreeMap<u64, Shelved>,
    /// Those that cannot be read; they are in nobody's way.
    damaged: BTreeSet<u64>,
    bytes: usize,
    /// The same, counted for each endpoint.
    aside: BTreeMap<String, Aside>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Shelved {
    endpoint: String,
    samples: u64,
    length: usize,
    again: bool,
}

/// What one transaction changes on the shelf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Moves {
    /// Records that come, or that become others.
    pub(super) put: BTreeMap<u64, Refused>,
    /// Records that go.
    pub(super) gone: Vec<u64>,
    /// Records that are to be sent again.
    pub(super) again: Vec<u64>,
}

impl Shelf {
    /// One that is in the store.
    pub(super) fn note(&mut self, number: u64, refused: &Refused, again: bool) {
        let length = length(refused);
        let (endpoint, samples) = (refused.endpoint.clone(), refused.samples as u64);
        self.remove(number);
        self.bytes += length;
        let aside = self.aside.entry(endpoint.clone()).or_default();
        aside.records += 1;
        aside.samples += samples;
        aside.again += if again { samples } else { 0 };
        self.all.insert(number, Shelved { endpoint, samples, length, again });
    }

    fn remove(&mut self, number: u64) {
        let Some(gone) = self.all.remove(&number) else { return };
        self.bytes -= gone.length;
        if let Some(aside) = self.aside.get_mut(&gone.endpoint) {
            aside.records -= 1;
            aside.samples -= gone.samples;
            aside.again -= if gone.again { gone.samples } else { 0 };
        }
        self.aside.retain(|_, aside| aside.records > 0);
    }

    /// One that is in the store and cannot be read.
    pub(super) fn note_damaged(&mut self, number: u64) {
        self.damaged.insert(number);
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.all.keys().chain(&self.damaged).copied()
    }

    /// What there is for each endpoint.
    pub(super) fn aside(&self) -> &BTreeMap<String, Aside> {
        &self.aside
    }

    /// The oldest one of an endpoint that is to be sent again.
    pub(super) fn next_again(&self, endpoint: &str) -> Option<u64> {
        self.aside.get(endpoint).filter(|aside| aside.again > 0)?;
        self.all.iter().find(|(_, one)| one.again && one.endpoint == endpoint).map(|(number, _)| *number)
    }

    /// One more, and what has to go for it.
    pub(super) fn set_aside(&self, refused: Refused) -> Moves {
        self.with_room(Moves { put: BTreeMap::from([(self.next(), refused)]), ..Moves::default() })
    }

    /// One was sent again: `rest` of it is still to be sent, and `refused` once more.
    pub(super) fn settle(&self, number: u64, rest: Option<Refused>, refused: Option<Refused>) -> Moves {
        let gone = if rest.is_none() { vec![number] } else { Vec::new() };
        let put = rest.map(|rest| (number, rest)).into_iter();
        let put = put.chain(refused.map(|refused| (self.next(), refused))).collect();
        self.with_room(Moves { put, gone, again: Vec::new() })
    }

    /// All of an endpoint's that are not yet to be sent again are now.
    pub(super) fn retry(&self, endpoint: &str) -> Moves {
        let theirs = self.all.iter().filter(|(_, one)| one.endpoint == endpoint && !one.again);
        Moves { again: theirs.map(|(number, _)| *number).collect(), ..Moves::default() }
    }

    /// All of an endpoint's go.
    pub(super) fn clear(&self, endpoint: &str) -> Moves {
        let theirs = self.all.iter().filter(|(_, one)| one.endpoint == endpoint);
        Moves { gone: theirs.map(|(number, _)| *number).collect(), ..Moves::default() }
    }

    /// Takes over what was committed.
    pub(super) fn apply(&mut self, moves: &Moves) {
        for (number, refused) in &moves.put {
            let again = self.all.get(number).is_some_and(|before| before.again);
            self.note(*number, refused, again);
        }
        for number in &moves.gone {
            self.remove(*number);
        }
        for number in &moves.again {
            if let Some(one) = self.all.get_mut(number).filter(|one| !one.again) {
                one.again = true;
                self.aside.entry(one.endpoint.clone()).or_default().again += one.samples;
            }
        }
    }

    /// The number of the next one.
    fn next(&self) -> u64 {
        self.numbers().max().map_or(0, |number| number + 1)
    }

    fn with_room(&self, mut moves: Moves) -> Moves {
        if self.bytes + moves.put.values().map(length).sum::<usize>() <= MOST_BYTES {
            return moves;
        }
        let mut after = self.clone();
        after.apply(&moves);
        while after.bytes > MOST_BYTES
            && let Some(number) = after.all.keys().next().copied()
        {
            after.remove(number);
            moves.put.remove(&number);
            moves.gone.push(number);
        }
        moves
    }
}

/// How many bytes it takes.
fn length(refused: &Refused) -> usize {
    48 + refused.endpoint.len() + refused.record.length()
}

/// Numbers of eight bytes, little endian, then the endpoint's name and the record's bytes.
pub(super) fn encode(refused: &Refused) -> Vec<u8> {
    let Refused { endpoint, position, samples, record } = refused;
    let numbers = [
        position.record,
        position.sample as u64,
        *samples as u64,
        record.samples as u64,
        record.at_ms.cast_unsigned(),
        endpoint.len() as u64,
    ];
    let mut all = Vec::with_capacity(48 + endpoint.len() + record.length());
    for number in numbers {
        all.extend_from_slice(&number.to_le_bytes());
    }
    all.extend_from_slice(endpoint.as_bytes());
    all.extend_from_slice(&record.bytes());
    all
}

/// Back again; nothing where the bytes are none of ours.
pub(super) fn decode(mut bytes: &[u8]) -> Option<Refused> {
    let mut number = || {
        let (number, rest) = bytes.split_first_chunk::<8>()?;
        bytes = rest;
        Some(u64::from_le_bytes(*number))
    };
    let (record, sample, samples, of) = (number()?, number()?, number()?, number()?);
    let at_ms = number()?.cast_signed();
    let length = usize::try_from(number()?).ok()?;
    let (name, bytes) = bytes.split_at_checked(length)?;
    let count = |number: u64| usize::try_from(number).ok();
    Some(Refused {
        endpoint: String::from_utf8(name.to_vec()).ok()?,
        position: Position { record, sample: count(sample)? },
        samples: count(samples)?,
        record: Record::new(bytes.into(), count(of)?, at_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_nothing_else_is() {
        let record = Record::new(vec![1, 2, 3].into(), 7, -5);
        let position = Position { record: 9, sample: 2 };
        let refused = Refused { endpoint: "höst".into(), position, samples: 5, record };
        let bytes = encode(&refused);
        assert_eq!(decode(&bytes), Some(refused));
        assert!((0..bytes.len() - 3).all(|end| decode(&bytes[..end]).is_none()));
    }

    fn refused(endpoint: &str, length: usize) -> Refused {
        let record = Record::new(vec![0; length].into(), 9, 0);
        Refused { endpoint: endpoint.into(), position: Position::default(), samples: 9, record }
    }

    fn shelf(all: &[Refused]) -> Shelf {
        let mut shelf = Shelf::default();
        for one in all {
            let moves = shelf.set_aside(one.clone());
            shelf.apply(&moves);
        }
        shelf
    }

    #[test]
    fn the_oldest_go_where_there_is_no_room() {
        let mut shelf = shelf(&[refused("a", MOST_BYTES / 2 - 49), refused("a", MOST_BYTES / 2 - 49)]);
        let moves = shelf.set_aside(refused("a", 10));
        assert_eq!((&*moves.gone, moves.put.len()), (&[0][..], 1));
        shelf.apply(&moves);
        assert_eq!((shelf.next(), shelf.bytes), (3, MOST_BYTES / 2 + 59));
        let moves = shelf.set_aside(refused("a", MOST_BYTES));
        assert_eq!((moves.gone, moves.put.len()), (vec![1, 2, 3], 0), "nothing is larger than the shelf");
    }

    #[test]
    fn what_is_sent_again_goes_in_order_and_what_is_refused_again_is_not_sent_a_third_time() {
        let mut shelf = shelf(&[refused("a", 10), refused("b", 10), refused("a", 20)]);
        assert_eq!(shelf.next_again("a"), None);
        let moves = shelf.retry("a");
        assert_eq!(moves.again, [0, 2]);
        shelf.apply(&moves);
        assert_eq!((shelf.next_again("a"), shelf.next_again("b")), (Some(0), None));
        assert_eq!(shelf.aside()["a"], Aside { records: 2, samples: 18, again: 18 });

        let rest = Refused { samples: 4, ..refused("a", 10) };
        let moves = shelf.settle(0, Some(rest), Some(Refused { samples: 2, ..refused("a", 10) }));
        shelf.apply(&moves);
        assert_eq!(shelf.next_again("a"), Some(0), "the rest is still to be sent");
        assert_eq!(shelf.aside()["a"], Aside { records: 3, samples: 15, again: 13 });

        let moves = shelf.settle(0, None, None);
        shelf.apply(&moves);
        assert_eq!(shelf.next_again("a"), Some(2));
        let moves = shelf.clear("a");
        shelf.apply(&moves);
        assert_eq!(shelf.numbers().collect::<Vec<_>>(), [1]);
        assert_eq!(shelf.bytes, length(&refused("b", 10)));
    }
}
