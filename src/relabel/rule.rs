//! One rule: what was typed, checked as Prometheus 3 checks it, and what it does to a label set.

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::letters::{lower, upper};
use super::pattern::{Pattern, Template};
use super::re2::RE2Error;
use super::{Fate, Working};
use crate::sample::Text;

const SEPARATOR: &str = ";";
const REGEX: &str = "(.*)";
const REPLACEMENT: &str = "$1";

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Writes the replacement into the target label, where the expression matches.
    #[default]
    Replace,
    /// Leaves out what the expression does not match.
    Keep,
    /// Leaves out what the expression matches.
    Drop,
    /// Leaves out what has another value in the target label.
    KeepEqual,
    /// Leaves out what has the same value in the target label.
    DropEqual,
    /// Writes a number below the modulus into the target label.
    HashMod,
    /// Copies labels whose names match to names that are made of the replacement.
    LabelMap,
    /// Removes labels whose names match.
    LabelDrop,
    /// Removes labels whose names do not match.
    LabelKeep,
    /// Writes the values in small letters into the target label.
    Lowercase,
    /// Writes the values in capitals into the target label.
    Uppercase,
}

impl Action {
    /// All of them, in Prometheus' order.
    pub const ALL: [Action; 11] = [
        Action::Replace,
        Action::Keep,
        Action::Drop,
        Action::KeepEqual,
        Action::DropEqual,
        Action::HashMod,
        Action::LabelMap,
        Action::LabelDrop,
        Action::LabelKeep,
        Action::Lowercase,
        Action::Uppercase,
    ];

    /// The action of a name, in whatever case.
    pub fn named(name: &str) -> Option<Action> {
        let name = name.to_lowercase();
        Action::ALL.into_iter().find(|action| action.as_str() == name)
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Replace => "replace",
            Action::Keep => "keep",
            Action::Drop => "drop",
            Action::KeepEqual => "keepequal",
            Action::DropEqual => "dropequal",
            Action::HashMod => "hashmod",
            Action::LabelMap => "labelmap",
            Action::LabelDrop => "labeldrop",
            Action::LabelKeep => "labelkeep",
            Action::Lowercase => "lowercase",
            Action::Uppercase => "uppercase",
        }
    }
}

/// A rule as it is typed; what is not given is what Prometheus takes then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleSpec {
    /// The labels whose values are joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_labels: Option<Vec<String>>,
    /// What stands between them (default `;`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
    /// What the whole of them must match (default `(.*)`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// For [`Action::HashMod`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modulus: Option<u64>,
    /// The label that is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_label: Option<String>,
    /// What is written (default `$1`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    /// What is done (default [`Action::Replace`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
}

/// A key of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Key {
    SourceLabels,
    Separator,
    Regex,
    Modulus,
    TargetLabel,
    Replacement,
}

impl Key {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Key::SourceLabels => "source_labels",
            Key::Separator => "separator",
            Key::Regex => "regex",
            Key::Modulus => "modulus",
            Key::TargetLabel => "target_label",
            Key::Replacement => "replacement",
        }
    }
}

/// Why there is no such rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The action needs a key.
    #[error("the action {} needs {}; add it", action.as_str(), key.as_str())]
    Missing {
        /// The action.
        action: Action,
        /// What it needs.
        key: Key,
    },
    /// The action takes other keys alone.
    #[error("the action {} takes no {}; remove it", action.as_str(), key.as_str())]
    Needless {
        /// The action.
        action: Action,
        /// What it does not take.
        key: Key,
    },
    /// A label's name has no character.
    #[error("a label's name is empty; name one, or leave it out")]
    EmptyName(Key),
    /// Nothing is below a modulus of 0.
    #[error("must be above 0")]
    Modulus,
    /// The expression is none.
    #[error("{0}")]
    Regex(#[from] RE2Error),
}

impl RuleError {
    /// The key that is wrong; none where one is missing.
    pub fn key(&self) -> Option<Key> {
        match self {
            RuleError::Missing { .. } => None,
            RuleError::Needless { key, .. } | RuleError::EmptyName(key) => Some(*key),
            RuleError::Modulus => Some(Key::Modulus),
            RuleError::Regex(_) => Some(Key::Regex),
        }
    }
}

/// A rule. Two are equal that were typed equally.
#[derive(Clone, Debug)]
pub struct Rule {
    spec: RuleSpec,
    source: Vec<String>,
    separator: String,
    pattern: Pattern,
    what: What,
}

/// What is done, with what it needs.
#[derive(Clone, Debug)]
enum What {
    Replace { target: Template, replacement: Template },
    Keep,
    Drop,
    KeepEqual(Text),
    DropEqual(Text),
    HashMod { modulus: u64, target: Text },
    LabelMap(Template),
    LabelDrop,
    LabelKeep,
    Lowercase(Text),
    Uppercase(Text),
}

impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        self.spec == other.spec
    }
}

impl Rule {
    /// Checks and keeps a rule.
    ///
    /// # Errors
    /// [`RuleError`] where Prometheus 3 would refuse it.
    pub fn new(spec: RuleSpec) -> Result<Rule, RuleError> {
        let action = spec.action.unwrap_or_default();
        let separator = spec.separator.as_deref().unwrap_or(SEPARATOR);
        let replacement = spec.replacement.as_deref().unwrap_or(REPLACEMENT);
        let source = spec.source_labels.as_deref().unwrap_or_default();
        if source.iter().any(String::is_empty) {
            return Err(RuleError::EmptyName(Key::SourceLabels));
        }
        let pattern = Pattern::new(spec.regex.as_deref().unwrap_or(REGEX))?;
        let target = spec.target_label.as_deref().filter(|target| !target.is_empty());
        let needed = |key| RuleError::Missing { action, key };
        let target = || target.ok_or_else(|| needed(Key::TargetLabel));
        let none_of = |wrong: &[(Key, bool)]| match wrong.iter().find(|(_, is_given)| *is_given) {
            Some((key, _)) => Err(RuleError::Needless { action, key: *key }),
            None => Ok(()),
        };
        let own_replacement = (Key::Replacement, replacement != REPLACEMENT);
        let own_modulus = (Key::Modulus, spec.modulus.is_some_and(|modulus| modulus != 0));
        let own_separator = (Key::Separator, separator != SEPARATOR);
        let what = match action {
            Action::Replace => What::Replace {
                target: pattern.template(target()?),
                replacement: pattern.template(replacement),
            },
            Action::Keep => What::Keep,
            Action::Drop => What::Drop,
            Action::KeepEqual | Action::DropEqual => {
                let target = target()?.into();
                let own_regex = (Key::Regex, spec.regex.is_some());
                none_of(&[own_replacement, own_regex, own_modulus, own_separator])?;
                if action == Action::KeepEqual { What::KeepEqual(target) } else { What::DropEqual(target) }
            }
            Action::HashMod => match spec.modulus {
                None => return Err(needed(Key::Modulus)),
                Some(0) => return Err(RuleError::Modulus),
                Some(modulus) => What::HashMod { modulus, target: target()?.into() },
            },
            Action::LabelMap if replacement.is_empty() => {
                return Err(RuleError::EmptyName(Key::Replacement));
            }
            Action::LabelMap => What::LabelMap(pattern.template(replacement)),
            Action::LabelDrop | Action::LabelKeep => {
                none_of(&[
                    (Key::SourceLabels, spec.source_labels.is_some()),
                    (Key::TargetLabel, target().is_ok()),
                    own_modulus,
                    own_separator,
                    own_replacement,
                ])?;
                if action == Action::LabelDrop { What::LabelDrop } else { What::LabelKeep }
            }
            Action::Lowercase | Action::Uppercase => {
                let target = target()?.into();
                none_of(&[own_replacement])?;
                if action == Action::Lowercase { What::Lowercase(target) } else { What::Uppercase(target) }
            }
        };
        let (source, separator) = (source.to_vec(), separator.to_owned());
        Ok(Rule { source, separator, pattern, what, spec })
    }

    /// As it was typed.
    pub fn spec(&self) -> &RuleSpec {
        &self.spec
    }

    /// Does to a label set what the rule says.
    pub(super) fn apply(&self, labels: &mut Working) -> Fate {
        let keep_if = |kept: bool| if kept { Fate::Keep } else { Fate::Drop };
        match &self.what {
            What::Keep => return keep_if(self.pattern.matches(&self.joined(labels))),
            What::Drop => return keep_if(!self.pattern.matches(&self.joined(labels))),
            What::KeepEqual(target) => return keep_if(self.equals(target, labels)),
            What::DropEqual(target) => return keep_if(!self.equals(target, labels)),
            What::Replace { target, replacement } => {
                let joined = self.joined(labels);
                if let Some([name, value]) = self.pattern.expand(&joined, [target, replacement])
                    && !name.is_empty()
                {
                    labels.set(name, value);
                }
            }
            What::HashMod { modulus, target } => {
                let number = last_eight(&Md5::digest(self.joined(labels).as_bytes())) % modulus;
                labels.set(target.clone(), number.to_string());
            }
            What::Lowercase(target) => labels.set(target.clone(), lower(&self.joined(labels))),
            What::Uppercase(target) => labels.set(target.clone(), upper(&self.joined(labels))),
            What::LabelMap(replacement) => {
                for (name, value) in labels.clone().iter() {
                    // Prometheus makes a label without a name of one for which nothing is left; it is none here.
                    if let Some(to) = self.pattern.replace_all(name, replacement)
                        && !to.is_empty()
                    {
                        labels.set(to, value.clone());
                    }
                }
            }
            What::LabelDrop => labels.retain(|name, _| !self.pattern.matches(name)),
            What::LabelKeep => labels.retain(|name, _| self.pattern.matches(name)),
        }
        Fate::Keep
    }

    fn equals(&self, target: &str, labels: &Working) -> bool {
        self.joined(labels) == labels.get(target).map_or("", |value| value)
    }

    /// The values of the source labels.
    fn joined(&self, labels: &Working) -> String {
        let mut joined = String::new();
        for (place, name) in self.source.iter().enumerate() {
            if place > 0 {
                joined.push_str(&self.separator);
            }
            joined.push_str(labels.get(name).map_or("", |value| value));
        }
        joined
    }
}

/// The number in the last eight bytes of a hash, as Prometheus has always taken it.
fn last_eight(hash: &[u8]) -> u64 {
    hash.last_chunk().map_or(0, |last| u64::from_be_bytes(*last))
}
