//! Rules × labels → labels, as Prometheus relabels: a label set goes in, and comes out changed or not at all.
//! Never: I/O, clocks, where a rule is written and whose labels these are.
//!
//! Invariant: what a rule does to a label set depends on both alone.
//! Invariant: a rule that Prometheus 3 refuses is no [`Rule`]; expressions are RE2's, translated for the engine
//! that runs them, so that they mean here what they mean there.

mod letters;
mod pattern;
mod re2;
mod rule;
#[cfg(test)]
mod tests;
mod working;

pub use re2::RE2Error;
pub use rule::{Action, Key, Rule, RuleError, RuleSpec};
pub use working::Working;

use std::sync::Arc;

/// What becomes of a series or target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays, with the labels that it has now.
    Keep,
    /// It is left out.
    Drop,
}

/// A list of rules. A copy costs nothing; the default has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules(Arc<[Rule]>);

impl Rules {
    /// The rules in the order in which they are applied.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Rules {
        Rules(rules.into_iter().collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Applies them one after the other, up to the first that drops.
    pub fn apply(&self, labels: &mut Working) -> Fate {
        let is_kept = self.0.iter().all(|rule| rule.apply(labels) == Fate::Keep);
        if is_kept { Fate::Keep } else { Fate::Drop }
    }

    /// As they were typed, from which [`Rule::new`] makes the same again.
    pub fn specs(&self) -> impl ExactSizeIterator<Item = &RuleSpec> {
        self.0.iter().map(Rule::spec)
    }
}
