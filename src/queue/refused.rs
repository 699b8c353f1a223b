//! Refused samples as they are kept: how one is written, and how many of them there is room for.

use std::collections::BTreeMap;

use super::{Position, Record, Refused};

/// So many bytes of refused records are kept; the oldest go first.
const MOST_BYTES: usize = 16 << 20;

/// Which refused records there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf {
    lengths: BTreeMap<u64, usize>,
    bytes: usize,
}

impl Shelf {
    /// One that is in the store.
    pub(super) fn note(&mut self, number: u64, length: usize) {
        self.lengths.insert(number, length);
        self.bytes += length;
    }

    /// The number of the next one.
    pub(super) fn next(&self) -> u64 {
        self.lengths.last_key_value().map_or(0, |(number, _)| number + 1)
    }

    /// One more: the numbers of those that have to go for it.
    pub(super) fn add(&mut self, number: u64, length: usize) -> Vec<u64> {
        self.note(number, length);
        let mut gone = Vec::new();
        let mut bytes = self.bytes;
        for (number, length) in &self.lengths {
            if bytes <= MOST_BYTES {
                break;
            }
            bytes -= length;
            gone.push(*number);
        }
        gone
    }

    /// One that goes.
    pub(super) fn remove(&mut self, number: u64) {
        self.bytes -= self.lengths.remove(&number).unwrap_or(0);
    }
}

/// Numbers of eight bytes, little endian, then the endpoint's name and the record's bytes.
pub(super) fn encode(refused: &Refused) -> Vec<u8> {
    let Refused { endpoint, position, samples, record } = refused;
    let numbers = [
        position.record,
        position.sample as u64,
        *samples as u64,
        record.samples as u64,
        record.oldest_ms.cast_unsigned(),
        endpoint.len() as u64,
    ];
    let mut all = Vec::with_capacity(48 + endpoint.len() + record.bytes.len());
    for number in numbers {
        all.extend_from_slice(&number.to_le_bytes());
    }
    all.extend_from_slice(endpoint.as_bytes());
    all.extend_from_slice(&record.bytes);
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
    let oldest_ms = number()?.cast_signed();
    let length = usize::try_from(number()?).ok()?;
    let (name, bytes) = bytes.split_at_checked(length)?;
    let count = |number: u64| usize::try_from(number).ok();
    Some(Refused {
        endpoint: String::from_utf8(name.to_vec()).ok()?,
        position: Position { record, sample: count(sample)? },
        samples: count(samples)?,
        record: Record { bytes: bytes.into(), samples: count(of)?, oldest_ms },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_nothing_else_is() {
        let record = Record { bytes: vec![1, 2, 3].into(), samples: 7, oldest_ms: -5 };
        let position = Position { record: 9, sample: 2 };
        let refused = Refused { endpoint: "höst".into(), position, samples: 5, record };
        let bytes = encode(&refused);
        assert_eq!(decode(&bytes), Some(refused));
        assert!((0..bytes.len() - 3).all(|end| decode(&bytes[..end]).is_none()));
    }

    #[test]
    fn the_oldest_go_where_there_is_no_room() {
        let mut shelf = Shelf::default();
        assert!(shelf.add(0, MOST_BYTES / 2).is_empty());
        assert!(shelf.add(1, MOST_BYTES / 2).is_empty());
        let gone = shelf.add(2, 10);
        assert_eq!(gone, [0]);
        shelf.remove(0);
        assert_eq!((shelf.next(), shelf.bytes), (3, MOST_BYTES / 2 + 10));
    }
}
