//! Pure counting: fleets go in, families come out. Never: I/O, clocks, a number that was not counted.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use glob::{MatchOptions, Pattern};

use super::wire::{FleetRow, UNKNOWN, Word};
use crate::config::FleetLabels;
use crate::sample::{Family, Kind, LabelName, Labels, MetricName, Millis, Role, Series, Text, Value};

const STATUSES_V7: [&str; 7] = [
    "configuring",
    "disconnected",
    "inactive",
    "operational",
    "post-provisioning",
    "reduced-functionality",
    "updating",
];
/// Version 6 says `idle` and `offline` for what version 7 splits further.
const STATUSES_V6: [&str; 6] =
    ["configuring", "idle", "inactive", "offline", "post-provisioning", "updating"];
const HEARTBEATS: [&str; 4] = ["online", "timeout", "offline", UNKNOWN];

/// The words that every fleet is told by, each once in memory.
pub(super) struct Words {
    statuses: Vec<Text>,
    heartbeats: Vec<Text>,
}

impl Words {
    pub(super) fn of(api_version: &str) -> Self {
        let statuses: &[&str] = if api_version == "v6" { &STATUSES_V6 } else { &STATUSES_V7 };
        let texts = |words: &[&str]| words.iter().map(|word| Text::from(*word)).collect();
        Words { statuses: texts(statuses), heartbeats: texts(&HEARTBEATS) }
    }
}

/// What was counted of one fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetCounts {
    /// Its number, which survives a rename.
    pub id: u64,
    /// Its name, not unique across organizations.
    pub name: Text,
    /// `organization/name` in small letters, unique.
    pub slug: Text,
    /// Its organization's handle.
    pub organization: Text,
    /// Its default device type.
    pub device_type: Text,
    /// Devices with `is_online`.
    pub online: u64,
    /// All registered devices.
    pub total: u64,
    /// Devices by `overall_status`: the known values always, others as they come.
    pub statuses: BTreeMap<Text, u64>,
    /// Devices by `api_heartbeat_state`: the known values always, others as they come.
    pub heartbeats: BTreeMap<Text, u64>,
}

impl FleetCounts {
    pub(super) fn of(row: FleetRow, words: &Words) -> Self {
        FleetCounts {
            id: row.id,
            name: row.app_name.into(),
            slug: row.slug.into(),
            organization: row.organization.into(),
            device_type: row.device_type.into(),
            online: row.devices.online,
            total: row.devices.total,
            statuses: with_known(row.devices.statuses, &words.statuses),
            heartbeats: with_known(row.devices.heartbeats, &words.heartbeats),
        }
    }

    fn add(&mut self, other: &FleetCounts) {
        self.online += other.online;
        self.total += other.total;
        for (word, number) in &other.statuses {
            *self.statuses.entry(word.clone()).or_default() += number;
        }
        for (word, number) in &other.heartbeats {
            *self.heartbeats.entry(word.clone()).or_default() += number;
        }
    }
}

fn with_known(mut counted: BTreeMap<Word, u64>, known: &[Text]) -> BTreeMap<Text, u64> {
    let known = known.iter().map(|word| (word.clone(), counted.remove(&**word).unwrap_or(0)));
    let mut all: BTreeMap<Text, u64> = known.collect();
    all.extend(counted.into_iter().map(|(word, number)| (Text::from(word), number)));
    all
}

/// Whether a fleet is counted: its slug matches one of `include` (or there is none) and none of `exclude`.
/// Slugs are written small, so the case of patterns does not matter.
pub(super) fn is_wanted(slug: &str, include: &[Pattern], exclude: &[Pattern]) -> bool {
    let any_case = MatchOptions { case_sensitive: false, ..MatchOptions::new() };
    let hits = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches_with(slug, any_case));
    (include.is_empty() || hits(include)) && !hits(exclude)
}

/// The fleets' families, in the order of the answer, and what the operator should know about them.
pub(super) fn fleet_families(fleets: &[FleetCounts], labels: FleetLabels) -> (Vec<Family>, Vec<String>) {
    let (told_apart, warnings) = match labels {
        FleetLabels::NameAndSlug => (Cow::Borrowed(fleets), Vec::new()),
        FleetLabels::Name => {
            let (sums, warnings) = summed(fleets);
            (Cow::Owned(sums), warnings)
        }
    };
    let (name, slug) = (label("fleet_name"), label("fleet_slug"));
    let base = |fleet: &FleetCounts| -> Vec<(LabelName, Text)> {
        let mut pairs = Vec::with_capacity(5);
        pairs.push((name.clone(), fleet.name.clone()));
        if labels == FleetLabels::NameAndSlug {
            pairs.push((slug.clone(), fleet.slug.clone()));
        }
        pairs
    };
    let by_word = |word_label: &str, words: fn(&FleetCounts) -> &BTreeMap<Text, u64>| {
        let word_label = label(word_label);
        let mut series = Vec::new();
        for fleet in told_apart.iter() {
            for (word, number) in words(fleet) {
                let mut pairs = base(fleet);
                pairs.push((word_label.clone(), word.clone()));
                series.push(one(pairs, *number as f64));
            }
        }
        series
    };
    let number = |value: fn(&FleetCounts) -> u64| -> Vec<Series> {
        told_apart.iter().map(|fleet| one(base(fleet), value(fleet) as f64)).collect()
    };
    let (id, organization, device_type) = (label("fleet_id"), label("organization"), label("device_type"));
    let info = fleets.iter().map(|fleet| {
        let mut pairs = base(fleet);
        pairs.push((id.clone(), fleet.id.to_string().into()));
        pairs.push((organization.clone(), fleet.organization.clone()));
        pairs.push((device_type.clone(), fleet.device_type.clone()));
        one(pairs, 1.0)
    });
    let families = vec![
        of_fleets(
            "balena_devices_online",
            "Devices that are online (their VPN is connected)",
            number(|f| f.online),
        ),
        of_fleets("balena_devices", "Registered devices", number(|f| f.total)),
        of_fleets(
            "balena_devices_by_status",
            "Devices by overall status",
            by_word("status", |f| &f.statuses),
        ),
        of_fleets(
            "balena_devices_by_heartbeat",
            "Devices by the state of their API heartbeat",
            by_word("state", |f| &f.heartbeats),
        ),
        Family {
            kind: Kind::Info,
            ..of_fleets("balena_fleet_info", "Facts about a fleet, always 1", info.collect())
        },
    ];
    (families, warnings)
}

/// Fleets of one name as one, where the first of them stood.
fn summed(fleets: &[FleetCounts]) -> (Vec<FleetCounts>, Vec<String>) {
    let mut sums: Vec<FleetCounts> = Vec::new();
    let mut slugs: Vec<Vec<&str>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for fleet in fleets {
        match places.get(&*fleet.name) {
            Some(place) => {
                sums[*place].add(fleet);
                slugs[*place].push(&fleet.slug);
            }
            None => {
                places.insert(&fleet.name, sums.len());
                sums.push(fleet.clone());
                slugs.push(vec![&fleet.slug]);
            }
        }
    }
    let warnings = sums.iter().zip(&slugs).filter(|(_, slugs)| slugs.len() > 1).map(|(sum, slugs)| {
        format!(
            "the fleets {} share the name {} and are summed; add fleet_slug to labels to tell them apart",
            slugs.join(", "),
            sum.name
        )
    });
    let warnings = warnings.collect();
    (sums, warnings)
}

/// What a cycle says about collecting itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    /// How many fleets were counted; none where the cycle failed.
    pub(super) fleets: Option<usize>,
    pub(super) duration: Duration,
    pub(super) last_success: Option<Millis>,
}

/// The state families: only what is true is said.
pub(super) fn state_families(state: State) -> Vec<Family> {
    let up = if state.fleets.is_some() { 1.0 } else { 0.0 };
    let mut families = vec![of_state("balena_up", "Whether the last collect succeeded", up)];
    if let Some(fleets) = state.fleets {
        families.push(of_state("balena_fleets", "Fleets that were counted", fleets as f64));
    }
    let seconds = state.duration.as_secs_f64();
    families.push(of_state("balena_collect_duration_seconds", "How long the last collect took", seconds));
    if let Some(at) = state.last_success {
        let name = "balena_collect_last_success_timestamp_seconds";
        families.push(of_state(name, "When the last successful collect ended", at.as_seconds()));
    }
    families
}

fn of_fleets(name: &str, help: &str, series: Vec<Series>) -> Family {
    Family {
        name: metric(name),
        kind: Kind::Gauge,
        help: help.into(),
        role: Role::Fleet,
        series,
        of: None,
        unit: "".into(),
    }
}

fn of_state(name: &str, help: &str, value: f64) -> Family {
    let series = vec![Series { labels: Labels::default(), value: Value::from(value), own: None }];
    Family {
        name: metric(name),
        kind: Kind::Gauge,
        help: help.into(),
        role: Role::State,
        series,
        of: None,
        unit: "".into(),
    }
}

fn one(pairs: Vec<(LabelName, Text)>, value: f64) -> Series {
    Series {
        labels: Labels::new(pairs).expect("our own label names differ"),
        value: Value::from(value),
        own: None,
    }
}

fn metric(name: &str) -> MetricName {
    MetricName::new(name).expect("our own metric names are valid")
}

fn label(name: &str) -> LabelName {
    LabelName::new(name).expect("our own label names are valid")
}
