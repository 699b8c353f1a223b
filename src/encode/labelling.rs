//! How series are labelled when they leave for an endpoint: external labels, then rules, as Prometheus does it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::relabel::{Fate, Rule, RuleSpec, Rules, Working};
use crate::sample::{LabelName, Labels, Text};

/// How series are labelled when they leave.
#[derive(Clone, Debug, PartialEq)]
pub enum Labelling {
    /// With these labels where a series lacks them, and then by these rules.
    By {
        /// The external labels.
        external: Labels,
        /// The rules.
        rules: Rules,
    },
    /// None leaves.
    Nothing,
}

/// As it is written down.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    external: BTreeMap<String, String>,
    rules: Vec<RuleSpec>,
    nothing: bool,
}

impl Labelling {
    /// As text, for a process that goes on.
    pub fn to_bytes(&self) -> Vec<u8> {
        let written = match self {
            Labelling::Nothing => Written { nothing: true, ..Written::default() },
            Labelling::By { external, rules } => Written {
                external: external.iter().map(|l| (l.name.to_string(), l.value.to_string())).collect(),
                rules: rules.specs().cloned().collect(),
                nothing: false,
            },
        };
        // Texts and numbers are always JSON.
        serde_json::to_vec(&written).unwrap_or_default()
    }

    /// Back again; nothing where it is of another version of this program, or no labelling.
    pub fn from_bytes(bytes: &[u8]) -> Option<Labelling> {
        let Written { external, rules, nothing } = serde_json::from_slice(bytes).ok()?;
        if nothing {
            return Some(Labelling::Nothing);
        }
        let label = |(name, value): (String, String)| {
            Some((LabelName::relayed(&Text::from(name)).ok()?, Text::from(value)))
        };
        let external: Option<Vec<_>> = external.into_iter().map(label).collect();
        let rules: Result<Vec<Rule>, _> = rules.into_iter().map(Rule::new).collect();
        Some(Labelling::By { external: Labels::new(external?).ok()?, rules: Rules::new(rules.ok()?) })
    }

    /// What becomes of a series: its name and labels, sorted, or nothing where it does not leave.
    pub fn apply(&self, series: impl IntoIterator<Item = (Text, Text)>) -> Option<Vec<(Text, Text)>> {
        let Labelling::By { external, rules } = self else { return None };
        let mut labels = Working::new(series);
        for label in external.iter() {
            labels.set_missing(label.name, label.value);
        }
        if rules.apply(&mut labels) == Fate::Drop || labels.is_empty() {
            return None;
        }
        let mut labels: Vec<_> = labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        labels.sort();
        Some(labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relabel::Action;

    #[test]
    fn what_was_written_down_is_read_as_the_same() {
        let external = Labels::new([(LabelName::new("site").unwrap(), Text::from("nörd"))]).unwrap();
        let spec = RuleSpec {
            source_labels: Some(vec!["a".into(), "b".into()]),
            separator: Some(String::new()),
            regex: Some("x(.*)".into()),
            modulus: Some(u64::MAX),
            target_label: Some("c".into()),
            replacement: Some("$1".into()),
            action: Some(Action::HashMod),
        };
        let rules = Rules::new([Rule::new(spec).unwrap()]);
        for one in [
            Labelling::Nothing,
            Labelling::By { external: Labels::default(), rules: Rules::default() },
            Labelling::By { external, rules },
        ] {
            assert_eq!(Labelling::from_bytes(&one.to_bytes()), Some(one));
        }
        for bad in ["", "{", r#"{"rules":[{"action":"rename"}]}"#, r#"{"more":1}"#] {
            assert_eq!(Labelling::from_bytes(bad.as_bytes()), None, "{bad}");
        }
    }
}
