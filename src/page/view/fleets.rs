//! The fleets that somebody looks for, in the order that they want.

use std::cmp::Ordering;

use serde::Serialize;

use super::super::history::{Known, Past};
use super::super::query::{Column, Sort};
use crate::sample::Millis;

/// All fleets together.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Totals {
    /// Fleets.
    pub fleets: usize,
    /// Devices that are online.
    pub online: u64,
    /// Devices.
    pub devices: u64,
    /// Fleets with devices, none of which is online.
    pub dark: usize,
}

/// One fleet.
#[derive(Debug, Serialize)]
pub struct FleetView {
    /// The source that counts it.
    pub source: String,
    /// Its name.
    pub name: String,
    /// Its slug, where series carry it.
    pub slug: Option<String>,
    /// Devices that are online.
    pub online: u64,
    /// Devices.
    pub devices: u64,
    /// The share that is online, 0 to 1; none without a device.
    pub share: Option<f64>,
    /// How many more are online than at the first point of the last hour.
    pub change: Option<i64>,
    /// Online devices at each of its source's `last_hour_at`; none where nothing was counted.
    pub last_hour: Vec<Option<u32>>,
    /// The same with its times.
    #[serde(skip)]
    pub points: Vec<(Millis, Option<u64>)>,
    /// Whether these counts are of its source's last cycle.
    #[serde(skip)]
    pub current: bool,
}

/// A fleet before it is known whether it is shown.
pub(super) struct Row<'a> {
    pub(super) source: &'a str,
    past: &'a Past,
    known: &'a Known,
    /// In small letters, for finding and ordering.
    name: String,
    slug: String,
}

impl Row<'_> {
    /// Whether its name or slug holds a word in small letters.
    pub(super) fn holds(&self, word: &str) -> bool {
        self.name.contains(word) || self.slug.contains(word)
    }

    fn share(&self) -> Option<f64> {
        let (online, devices) = (f64::from(self.known.online), f64::from(self.known.devices));
        (devices > 0.0).then(|| online / devices)
    }

    fn change(&self) -> Option<i64> {
        let mut counted = self.known.points().flatten();
        let first = counted.next()?;
        counted.next()?;
        Some(i64::from(self.known.online) - i64::from(first))
    }

    /// What is compared, none last.
    fn key(&self, by: Column) -> Option<f64> {
        let Known { online, devices, .. } = self.known;
        match by {
            Column::Name => None,
            Column::Online => Some(f64::from(*online)),
            Column::Devices => Some(f64::from(*devices)),
            Column::Offline => Some(f64::from(devices.saturating_sub(*online))),
            Column::Share => self.share(),
            // `as` is exact: the difference of two numbers of 32 bits.
            Column::Change => self.change().map(|change| change as f64),
        }
    }

    pub(super) fn view(&self, current: bool) -> FleetView {
        let Row { source, past, known, .. } = self;
        let label = |name| known.labels.get(name).map(|text| text.to_string());
        FleetView {
            source: (*source).to_owned(),
            name: label("fleet_name").unwrap_or_default(),
            slug: label("fleet_slug"),
            online: known.online.into(),
            devices: known.devices.into(),
            // Never rounded up: 1 means all.
            share: self.share().map(|share| (share * 10_000.0).floor() / 10_000.0),
            change: self.change(),
            last_hour: known.points().collect(),
            points: (past.at.iter().copied().zip(known.points()))
                .map(|(at, online)| (at, online.map(u64::from)))
                .collect(),
            current,
        }
    }
}

/// Every fleet of these sources.
pub(super) fn rows<'a>(sources: &'a [(String, &'a Past)]) -> Vec<Row<'a>> {
    let of = |(source, past): &'a (String, &'a Past)| {
        let label =
            |known: &Known, name| known.labels.get(name).map_or_else(String::new, |text| text.to_lowercase());
        past.fleets.iter().map(move |known| Row {
            source,
            past,
            known,
            name: label(known, "fleet_name"),
            slug: label(known, "fleet_slug"),
        })
    };
    sources.iter().flat_map(of).collect()
}

pub(super) fn totals(rows: &[Row<'_>]) -> Totals {
    let mut totals = Totals { fleets: rows.len(), ..Totals::default() };
    for Row { known, .. } in rows {
        totals.online += u64::from(known.online);
        totals.devices += u64::from(known.devices);
        totals.dark += usize::from(known.devices > 0 && known.online == 0);
    }
    totals
}

/// Puts them in order; those for which it says nothing come last, and equal ones by their names.
pub(super) fn order(rows: &mut [Row<'_>], sort: Sort) {
    let by_name = |a: &Row<'_>, b: &Row<'_>| (&a.name, &a.slug).cmp(&(&b.name, &b.slug));
    let by_key = |a: &Row<'_>, b: &Row<'_>| match (a.key(sort.by), b.key(sort.by)) {
        (Some(a), Some(b)) if sort.descending => b.total_cmp(&a),
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    };
    // Of two fleets that are dark the larger one matters more.
    let by_size = |a: &Row<'_>, b: &Row<'_>| match sort.by {
        Column::Share => b.known.devices.cmp(&a.known.devices),
        _ => Ordering::Equal,
    };
    rows.sort_by(|a, b| match sort.by {
        Column::Name if sort.descending => by_name(b, a),
        Column::Name => by_name(a, b),
        _ => by_key(a, b).then_with(|| by_size(a, b)).then_with(|| by_name(a, b)),
    });
}
