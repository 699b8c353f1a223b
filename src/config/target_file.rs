//! A file with targets, as `file_sd_configs` names it: JSON or YAML by its ending, read as strictly as Prometheus
//! reads it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::ConfigError;
use super::block::Placed;
use super::file::{bytes, document};
use super::job::TargetGroup;
use super::scrape::{GroupBlock, group, misfit};
use crate::sample::{LabelName, Text};

/// The targets of a file.
///
/// # Errors
/// [`ConfigError`] where it cannot be read, or where one of its targets cannot be meant.
pub fn target_groups(path: &Path) -> Result<Vec<TargetGroup>, ConfigError> {
    let name = path.to_string_lossy();
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) {
        return of_json(&name);
    }
    let (groups, _): (Vec<Placed<GroupBlock>>, _) = document(&name)?;
    groups.into_iter().map(group).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonGroup {
    #[serde(default)]
    targets: Option<Vec<String>>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

fn of_json(path: &str) -> Result<Vec<TargetGroup>, ConfigError> {
    let wrong = |place: String, what: String| ConfigError::Setting { place, what };
    let read: Option<Vec<JsonGroup>> = serde_json::from_slice(&bytes(path)?).map_err(|error| {
        let text = error.to_string();
        let what = text.split(" at line ").next().unwrap_or_default();
        wrong(format!("{path}:{}:{}", error.line(), error.column()), what.to_owned())
    })?;
    let group = |group: JsonGroup| {
        let targets = group.targets.unwrap_or_default();
        if let Some((target, what)) = targets.iter().find_map(|one| misfit(one).map(|what| (one, what))) {
            return Err(wrong(path.to_owned(), format!("{target:?} {what}")));
        }
        let label = |(name, value): (String, String)| {
            let name = LabelName::relayed(&name.into());
            let name = name.map_err(|_| wrong(path.to_owned(), "a label has no name; give it one".into()))?;
            Ok((name, Text::from(value)))
        };
        let labels = group.labels.unwrap_or_default().into_iter().map(label);
        Ok(TargetGroup {
            targets: targets.into_iter().map(Text::from).collect(),
            labels: labels.collect::<Result<_, _>>()?,
        })
    };
    read.unwrap_or_default().into_iter().map(group).collect()
}
