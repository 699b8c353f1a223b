//! The last hour of every fleet: batches go in, the number of online devices minute by minute comes out, and
//! the last counts, for as long as they are not older than that. Bounded: a number for each fleet and minute.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::Latest;
use crate::sample::{Batch, Labels, Millis, Scope, Source};

/// How far back is remembered.
pub const SPAN: Duration = Duration::from_secs(3_600);
/// One number for each fleet and minute.
const MINUTE: i64 = 60_000;
const MOST: usize = 60;
/// Stands for a minute in which nothing was counted.
const NONE: u32 = u32::MAX;

/// What is remembered of all sources.
#[derive(Debug, Default)]
pub struct History(BTreeMap<Source, Past>);

/// What is remembered of one source.
#[derive(Debug, Default)]
pub struct Past {
    /// The last batch.
    seen: Option<Millis>,
    /// When fleets were last counted.
    pub counted: Option<Millis>,
    /// When the points were made, oldest first.
    pub at: Vec<Millis>,
    /// The fleets in the order in which they were last counted.
    pub fleets: Vec<Known>,
}

/// What is remembered of one fleet.
#[derive(Debug)]
pub struct Known {
    /// Those of its series.
    pub labels: Labels,
    /// Devices that were online when it was last counted.
    pub online: u32,
    /// Devices when it was last counted.
    pub devices: u32,
    points: Vec<u32>,
}

impl Known {
    /// Online devices at each of [`Past::at`]; none where nothing was counted.
    pub fn points(&self) -> impl DoubleEndedIterator<Item = Option<u32>> + '_ {
        self.points.iter().map(|point| (*point != NONE).then_some(*point))
    }
}

impl History {
    /// Takes in what is new among the latest batches; a source that is no more is forgotten.
    pub fn record(&mut self, latest: &Latest) {
        self.0.retain(|source, _| latest.contains_key(source));
        for (source, batch) in latest.iter().filter(|(source, _)| matches!(source, Source::Account(_))) {
            let past = self.0.entry(source.clone()).or_default();
            if past.seen.is_none_or(|seen| seen < batch.at()) {
                past.record(batch);
            }
        }
    }

    /// What is remembered of a source.
    pub fn of(&self, source: &str) -> Option<&Past> {
        self.0
            .iter()
            .find(|(known, _)| matches!(known, Source::Account(name) if **name == *source))
            .map(|(_, past)| past)
    }

    /// What is remembered of each source, with its name.
    pub fn iter(&self) -> impl Iterator<Item = (String, &Past)> {
        self.0.iter().map(|(source, past)| (source.to_string(), past))
    }
}

impl Past {
    fn record(&mut self, batch: &Batch) {
        self.seen = Some(batch.at());
        let begins = self.open(batch.at());
        if batch.scope() == Scope::Whole && says_up(batch) {
            self.counted = Some(batch.at());
            self.count(batch);
        } else if begins {
            self.fleets.iter_mut().for_each(|fleet| fleet.points.push(NONE));
        }
        // What was not counted for an hour is no longer the last hour's.
        self.fleets.retain(|fleet| fleet.points.iter().any(|point| *point != NONE));
    }

    /// Makes room for the minute of `at`; whether it is another one than the last.
    fn open(&mut self, at: Millis) -> bool {
        let minute = |at: Millis| at.0.div_euclid(MINUTE);
        if let Some(last) = self.at.last_mut().filter(|last| minute(**last) == minute(at)) {
            *last = at;
            return false;
        }
        let old = self.at.iter().take_while(|then| at.since(**then) > SPAN).count();
        let old = old.max((self.at.len() + 1).saturating_sub(MOST));
        self.at.drain(..old);
        self.fleets.iter_mut().for_each(|fleet| drop(fleet.points.drain(..old)));
        self.at.push(at);
        true
    }

    /// The fleets become those of the batch, the last point its counts. The labels are the batch's own, so that
    /// an older batch's can be freed.
    fn count(&mut self, batch: &Batch) {
        let mut known: HashMap<Labels, Vec<u32>> =
            self.fleets.drain(..).map(|fleet| (fleet.labels, fleet.points)).collect();
        let devices: HashMap<&Labels, u32> = numbers(batch, "balena_devices").collect();
        let before = self.at.len() - 1;
        for (labels, online) in numbers(batch, "balena_devices_online") {
            let mut points = known.remove(labels).unwrap_or_else(|| Vec::with_capacity(MOST));
            points.resize(before, NONE);
            points.push(online);
            let devices = devices.get(labels).copied().unwrap_or(online);
            self.fleets.push(Known { labels: labels.clone(), online, devices, points });
        }
    }
}

fn says_up(batch: &Batch) -> bool {
    let up = batch.families().iter().find(|family| family.name.as_str() == "balena_up");
    // A batch without a word on it comes from somebody who only counts.
    up.is_none_or(|up| up.series.iter().all(|series| series.value.get() == 1.0))
        && batch.families().iter().any(|family| family.name.as_str() == "balena_devices_online")
}

fn numbers<'a>(batch: &'a Batch, name: &str) -> impl Iterator<Item = (&'a Labels, u32)> {
    let families = batch.families().iter().filter(move |family| family.name.as_str() == name);
    // `as` saturates, which is what a number of devices beyond it should do.
    families
        .flat_map(|family| &family.series)
        .map(|series| (&series.labels, (series.value.get() as u32).min(NONE - 1)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sample::{Family, Kind, LabelName, MetricName, Role, Series, Value};

    fn family(name: &str, role: Role, series: Vec<(Labels, f64)>) -> Family {
        let series = series
            .into_iter()
            .map(|(labels, value)| Series { labels, value: Value::from(value), own: None })
            .collect();
        Family {
            name: MetricName::new(name).unwrap(),
            kind: Kind::Gauge,
            help: "x".into(),
            role,
            series,
            of: None,
            unit: "".into(),
        }
    }

    fn latest(at: i64, scope: Scope, fleets: &[(&str, f64)], up: f64) -> Latest {
        let labels =
            |name: &str| Labels::new([(LabelName::new("fleet_name").unwrap(), name.into())]).unwrap();
        let mut families = vec![family("balena_up", Role::State, vec![(Labels::default(), up)])];
        if !fleets.is_empty() {
            let all = |add: f64| fleets.iter().map(|(name, online)| (labels(name), online + add)).collect();
            families.push(family("balena_devices_online", Role::Fleet, all(0.0)));
            families.push(family("balena_devices", Role::Fleet, all(1.0)));
        }
        let source = Source::Account("a".into());
        let batch = Batch::new(source.clone(), Millis(at), scope, families).unwrap();
        Arc::new(BTreeMap::from([(source, Arc::new(batch))]))
    }

    fn told(history: &History) -> Vec<(String, Vec<Option<u32>>)> {
        let past = history.of("a").unwrap();
        let name = |known: &Known| known.labels.get("fleet_name").unwrap().to_string();
        past.fleets.iter().map(|known| (name(known), known.points().collect())).collect()
    }

    #[test]
    fn a_minute_has_one_point_the_last_one_and_a_failed_one_has_none() {
        let mut history = History::default();
        for (at, scope, online) in [
            (0, Scope::Whole, 3.0),
            (59_999, Scope::Whole, 4.0),
            (60_000, Scope::StateOnly, 4.0),
            (120_000, Scope::Whole, 5.0),
            (150_000, Scope::StateOnly, 5.0),
        ] {
            let up = if scope == Scope::Whole { 1.0 } else { 0.0 };
            history.record(&latest(at, scope, &[("x", online)], up));
        }
        assert_eq!(told(&history), [("x".to_owned(), vec![Some(4), None, Some(5)])]);
        assert_eq!(history.of("a").unwrap().counted, Some(Millis(120_000)));
    }

    #[test]
    fn a_fleet_that_comes_has_no_past_and_one_that_goes_is_forgotten() {
        let mut history = History::default();
        history.record(&latest(0, Scope::Whole, &[("x", 1.0), ("y", 1.0)], 1.0));
        history.record(&latest(60_000, Scope::Whole, &[("z", 2.0), ("y", 1.0)], 1.0));
        assert_eq!(
            told(&history),
            [("z".to_owned(), vec![None, Some(2)]), ("y".to_owned(), vec![Some(1), Some(1)])]
        );
        let known = &history.of("a").unwrap().fleets[0];
        assert_eq!((known.online, known.devices), (2, 3));
        history.record(&Latest::default());
        assert!(history.of("a").is_none());
    }

    #[test]
    fn withdrawn_counts_are_remembered_for_an_hour_and_no_longer() {
        let mut history = History::default();
        history.record(&latest(0, Scope::Whole, &[("x", 1.0)], 1.0));
        for minute in 1..60 {
            history.record(&latest(minute * 60_000, Scope::Whole, &[], 0.0));
        }
        assert_eq!(told(&history)[0].1.len(), 60);
        history.record(&latest(60 * 60_000, Scope::Whole, &[], 0.0));
        assert_eq!(told(&history), []);
    }

    #[test]
    fn a_day_of_cycles_takes_no_more_room_than_an_hour() {
        let mut history = History::default();
        for second in (0..86_400).step_by(20) {
            history.record(&latest(second * 1_000, Scope::Whole, &[("x", 1.0)], 1.0));
        }
        let past = history.of("a").unwrap();
        assert_eq!((past.at.len(), past.fleets[0].points.len()), (MOST, MOST));
        assert!(past.fleets[0].points.capacity() <= MOST);
    }

    #[test]
    fn a_gap_in_time_drops_what_is_older_than_an_hour() {
        let mut history = History::default();
        history.record(&latest(0, Scope::Whole, &[("x", 1.0)], 1.0));
        history.record(&latest(7_200_000, Scope::Whole, &[("x", 2.0)], 1.0));
        assert_eq!(told(&history), [("x".to_owned(), vec![Some(2)])]);
    }
}
