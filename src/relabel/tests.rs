//! The actions, one by one; what Prometheus makes of the same rules is asked in `tests/it/relabel.rs`.

use super::*;
use crate::sample::Text;

fn working(pairs: &[(&str, &str)]) -> Working {
    Working::new(pairs.iter().map(|(name, value)| (Text::from(*name), Text::from(*value))))
}

fn rule(spec: RuleSpec) -> Rules {
    Rules::new([Rule::new(spec).unwrap()])
}

#[test]
fn a_rule_without_an_action_copies_a_value() {
    let rules = rule(RuleSpec {
        source_labels: Some(vec!["a".into(), "b".into()]),
        target_label: Some("c".into()),
        ..RuleSpec::default()
    });
    let mut labels = working(&[("a", "1"), ("b", "2")]);
    assert_eq!(rules.apply(&mut labels), Fate::Keep);
    assert_eq!(labels.get("c").map(|value| &**value), Some("1;2"));
    assert!(Rules::default().is_empty() && !rules.is_empty());
}

#[test]
fn the_first_rule_that_drops_ends_it() {
    let drop = RuleSpec { action: Some(Action::Drop), ..RuleSpec::default() };
    let set =
        RuleSpec { target_label: Some("x".into()), replacement: Some("1".into()), ..RuleSpec::default() };
    let rules = Rules::new([drop, set].map(|spec| Rule::new(spec).unwrap()));
    let mut labels = working(&[("a", "1")]);
    assert_eq!(rules.apply(&mut labels), Fate::Drop);
    assert_eq!(labels.get("x"), None);
}
