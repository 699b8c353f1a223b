//! Lists of relabelling rules, wherever they stand: Prometheus' own keys, checked as Prometheus checks them.

use super::ConfigError;
use super::block::{Given, Placed, Typed, blocks};
use super::resolve::wrong;
use super::value::{Setting, nearest};
use crate::relabel::{Action, Key, Rule, RuleError, RuleSpec, Rules};

blocks! {
    /// A rule is applied to each label set in the order of the list, as Prometheus applies it.
    RuleBlock {
        /// The labels whose values the rule looks at, joined.
        source_labels: Option<Placed<Vec<Setting>>> as "list of label names",
        /// What stands between the joined values.
        separator: Given as "text" = "`;`, a semicolon",
        /// The expression (RE2) that the whole of the joined values must match.
        regex: Given as "expression" = "`(.*)`, anything",
        /// What `hashmod` divides by.
        modulus: Typed as "whole number above 0",
        /// The label that is written.
        target_label: Typed as "label name",
        /// What is written into it, with `$1` or `${name}` for what a group has matched.
        replacement: Given as "text" = "`$1`, what the first group has matched",
        /// What the rule does.
        action: Given as "`replace`, `keep`, `drop`, `keepequal`, `dropequal`, `hashmod`, `labelmap`, `labeldrop`, `labelkeep`, `lowercase` or `uppercase`" = "replace",
    }
}

/// The rules of a list, such as `write_relabel_configs`.
pub(super) fn rules(blocks: Vec<Placed<RuleBlock>>) -> Result<Rules, ConfigError> {
    blocks.into_iter().map(rule).collect::<Result<Vec<_>, _>>().map(Rules::new)
}

fn rule(block: Placed<RuleBlock>) -> Result<Rule, ConfigError> {
    let Placed { place, value: block } = block;
    let text = |setting: &Option<Setting>| setting.as_ref().map(|setting| setting.text.clone());
    let names = block.source_labels.as_ref().map(|names| &names.value);
    let spec = RuleSpec {
        source_labels: names.map(|names| names.iter().map(|name| name.text.clone()).collect()),
        separator: text(&block.separator.0),
        regex: text(&block.regex.0),
        modulus: block.modulus.as_ref().map(modulus).transpose()?,
        target_label: text(&block.target_label),
        replacement: text(&block.replacement.0),
        action: block.action.0.as_ref().map(action).transpose()?,
    };
    Rule::new(spec).map_err(|error| {
        let setting = match error.key() {
            Some(Key::SourceLabels) => match names.and_then(|all| all.iter().find(|n| n.text.is_empty())) {
                Some(empty) if matches!(error, RuleError::EmptyName(_)) => Some(empty),
                _ => None,
            },
            Some(Key::Separator) => block.separator.0.as_ref(),
            Some(Key::Regex) => block.regex.0.as_ref(),
            Some(Key::Modulus) => block.modulus.as_ref(),
            Some(Key::TargetLabel) => block.target_label.as_ref(),
            Some(Key::Replacement) => block.replacement.0.as_ref(),
            None => None,
        };
        let list = block.source_labels.as_ref().filter(|_| error.key() == Some(Key::SourceLabels));
        let at = setting.map(|setting| &setting.place).or(list.map(|list| &list.place)).unwrap_or(&place);
        wrong(at, &error)
    })
}

fn action(setting: &Setting) -> Result<Action, ConfigError> {
    let text = &setting.text;
    Action::named(text).ok_or_else(|| {
        let names = Action::ALL.map(Action::as_str);
        setting.error(match nearest(&text.to_lowercase(), names.into_iter()) {
            Some(near) => format!("{text:?} is no action; did you mean {near}?"),
            None => format!("{text:?} is no action; the actions are {}", names.join(", ")),
        })
    })
}

fn modulus(setting: &Setting) -> Result<u64, ConfigError> {
    let text = setting.text.trim();
    text.parse()
        .map_err(|_| setting.error(format_args!("{text:?} is not a whole number from 1 to {}", u64::MAX)))
}
