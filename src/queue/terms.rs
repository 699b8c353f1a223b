//! The terms under which an endpoint's records are sent, from one record on to the next that has others: what was
//! in force when a record was made is found again with it. Pure: a wish goes in, [`Turned`] comes out; once it
//! is committed it is applied.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Turn;

/// By endpoint, each with the first record that they are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Terms(BTreeMap<String, BTreeMap<u64, Arc<[u8]>>>);

/// What one transaction changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Turned {
    /// Terms that come.
    pub(super) new: Vec<(String, u64, Arc<[u8]>)>,
    /// Terms that go.
    pub(super) gone: Vec<(String, u64)>,
}

impl Terms {
    pub(super) fn load(rows: impl IntoIterator<Item = (String, u64, Arc<[u8]>)>) -> Self {
        let mut terms = Terms::default();
        terms.apply(Turned { new: rows.into_iter().collect(), gone: Vec::new() });
        terms
    }

    /// Those of a record.
    pub(super) fn at(&self, endpoint: &str, record: u64) -> Option<&Arc<[u8]>> {
        self.0.get(endpoint)?.range(..=record).next_back().map(|(_, terms)| terms)
    }

    /// The last ones of each endpoint.
    pub(super) fn last(&self) -> BTreeMap<String, Arc<[u8]>> {
        let last = |(name, all): (&String, &BTreeMap<u64, Arc<[u8]>>)| {
            Some((name.clone(), all.values().next_back()?.clone()))
        };
        self.0.iter().filter_map(last).collect()
    }

    /// What an entry brings whose first record has the number `first`.
    pub(super) fn turned(turns: &[Turn], first: u64) -> Turned {
        let one = |turn: &Turn| (turn.endpoint.clone(), first + turn.after as u64, turn.terms.clone());
        Turned { new: turns.iter().map(one).collect(), gone: Vec::new() }
    }

    /// What goes where an endpoint needs no record before this one. The last ones never do.
    pub(super) fn passed(&self, endpoint: &str, needed: u64) -> Turned {
        let Some(all) = self.0.get(endpoint) else { return Turned::default() };
        let begins = all.range(..=needed).next_back().map_or(0, |(from, _)| *from);
        let gone = all.range(..begins).map(|(from, _)| (endpoint.to_owned(), *from));
        Turned { new: Vec::new(), gone: gone.collect() }
    }

    /// What goes with an endpoint.
    pub(super) fn without(&self, endpoint: &str) -> Turned {
        let all = self.0.get(endpoint).into_iter().flat_map(BTreeMap::keys);
        Turned { new: Vec::new(), gone: all.map(|from| (endpoint.to_owned(), *from)).collect() }
    }

    /// Takes over what was committed.
    pub(super) fn apply(&mut self, Turned { new, gone }: Turned) {
        for (endpoint, from) in gone {
            if let Some(all) = self.0.get_mut(&endpoint) {
                all.remove(&from);
            }
        }
        for (endpoint, from, terms) in new {
            self.0.entry(endpoint).or_default().insert(from, terms);
        }
        self.0.retain(|_, all| !all.is_empty());
    }
}
