//! Texts that many series share are kept once.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use crate::sample::Text;

/// Names are few; where there are more than any program has, they change from page to page.
const NAMES: usize = 10_000;
/// So many values are remembered.
const VALUES: usize = 1_024;
/// A longer value is one series' own.
const SHORT: usize = 32;

/// Names and values that were met lately.
#[derive(Debug)]
pub(super) struct Names {
    names: HashSet<Text>,
    keys: RandomState,
    /// Each at the place that its hash names: common ones are there mostly.
    values: Vec<Option<Text>>,
}

impl Default for Names {
    fn default() -> Self {
        Names { names: HashSet::new(), keys: RandomState::new(), values: vec![None; VALUES] }
    }
}

impl Names {
    /// A name, of a label or of a series.
    pub(super) fn name(&mut self, name: &str) -> Text {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        if self.names.len() >= NAMES {
            self.names.clear();
        }
        let name = Text::from(name);
        self.names.insert(name.clone());
        name
    }

    /// A label's value.
    pub(super) fn value(&mut self, value: &str) -> Text {
        if value.len() > SHORT {
            return value.into();
        }
        let place = usize::try_from(self.keys.hash_one(value) % VALUES as u64).unwrap_or_default();
        let Some(kept) = self.values.get_mut(place) else { return value.into() };
        match kept {
            Some(known) if **known == *value => known.clone(),
            _ => kept.insert(value.into()).clone(),
        }
    }
}
