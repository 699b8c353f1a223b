//! Labels that the operator names: what receivers refuse is refused here.

use std::collections::BTreeSet;

use super::ConfigError;
use super::block::{Placed, Typed};
use super::resolve::{Resolver, wrong};
use super::types::FleetLabels;
use super::value::Setting;
use crate::sample::{LabelName, Labels, Text};

impl Resolver<'_> {
    pub(super) fn external_labels(&self, typed: Vec<(Setting, Setting)>) -> Result<Labels, ConfigError> {
        let variable = self.variables.get("FLEETPUSH_EXTERNAL_LABELS");
        let pairs = variable.map_or(Ok(typed), |setting| setting.pairs())?;
        let refused = |name: &str| (name == "job").then_some("is set by `job:` or FLEETPUSH_JOB");
        let all = labels(pairs, refused)?;
        Labels::new(all).map_err(|error| ConfigError::Setting {
            place: "external_labels".to_owned(),
            what: error.to_string(),
        })
    }

    pub(super) fn fleet_labels(&self, typed: Option<Placed<Vec<Typed>>>) -> Result<FleetLabels, ConfigError> {
        let Some(typed) = typed else { return Ok(FleetLabels::NameAndSlug) };
        let names: BTreeSet<&str> = typed.value.iter().flatten().map(|name| name.text.as_str()).collect();
        match names.into_iter().collect::<Vec<_>>().as_slice() {
            ["fleet_name"] => Ok(FleetLabels::Name),
            ["fleet_name", "fleet_slug"] => Ok(FleetLabels::NameAndSlug),
            _ => Err(wrong(&typed.place, "must be [fleet_name] or [fleet_name, fleet_slug]")),
        }
    }
}

/// Labels with a name that every receiver takes, a value, and each once; `refused` names further reasons.
pub(super) fn labels(
    pairs: Vec<(Setting, Setting)>,
    refused: impl Fn(&str) -> Option<&'static str>,
) -> Result<Vec<(LabelName, Text)>, ConfigError> {
    let (mut all, mut names) = (Vec::new(), BTreeSet::new());
    for (name, value) in pairs {
        let text = &name.text;
        if let Some(why) = refused(text) {
            return Err(name.error(format_args!("the label {text} {why}; remove it")));
        }
        if text == "__name__" {
            return Err(name.error("the label __name__ is the metric's own name; remove it"));
        }
        let Ok(label) = LabelName::new(text) else {
            return Err(name.error(format_args!(
                "{text:?} is not a label name; use the letters a to z, digits and _, and no digit first"
            )));
        };
        if value.text.is_empty() {
            return Err(value.error(format_args!("the label {text} is empty; give it a value or remove it")));
        }
        if !names.insert(label.clone()) {
            return Err(name.error(format_args!("the label {text} stands twice; keep one of them")));
        }
        all.push((label, Text::from(value.text)));
    }
    Ok(all)
}
