//! A record's bytes in two allocations: those of its own, and those of its layout, which it mostly shares with
//! the records of other ticks.

use std::sync::Arc;

/// An encoded record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The encoded samples.
    pub pieces: Pieces,
    /// How many there are.
    pub samples: usize,
    /// The time of their tick, milliseconds since the epoch.
    pub at_ms: i64,
}

impl Record {
    /// Its bytes in one allocation.
    pub fn bytes(&self) -> Arc<[u8]> {
        self.pieces.joined()
    }
}

/// The bytes of a record.
#[derive(Clone, Debug)]
pub struct Pieces {
    /// All bytes but those of the layout, or all of them.
    pub own: Arc<[u8]>,
    /// The layout.
    pub layout: Option<Gap>,
}

/// What is missing in a record's own bytes.
#[derive(Clone, Debug)]
pub struct Gap {
    /// How many bytes stand before it.
    pub at: usize,
    /// What belongs there. Equal layouts of successive ticks are one allocation.
    pub bytes: Arc<[u8]>,
}

impl Pieces {
    /// In one allocation.
    pub fn joined(&self) -> Arc<[u8]> {
        let Some(Gap { at, bytes }) = &self.layout else { return self.own.clone() };
        let (before, behind) = self.own.split_at(self.own.len().min(*at));
        [before, bytes, behind].concat().into()
    }
}

impl From<Arc<[u8]>> for Pieces {
    fn from(own: Arc<[u8]>) -> Self {
        Pieces { own, layout: None }
    }
}

impl From<&[u8]> for Pieces {
    fn from(bytes: &[u8]) -> Self {
        Arc::<[u8]>::from(bytes).into()
    }
}

/// What stands in them counts, not in how many pieces.
impl PartialEq for Pieces {
    fn eq(&self, other: &Self) -> bool {
        self.joined() == other.joined()
    }
}

impl Eq for Pieces {}
