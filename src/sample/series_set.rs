//! Which series a source had, and which of them have ended.

use std::collections::HashSet;
use std::fmt;

use super::{Batch, Labels, MetricName, Role, Scope};

/// A series' identity inside its source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId {
    /// Its name.
    pub name: MetricName,
    /// Its labels.
    pub labels: Labels,
}

impl fmt::Display for SeriesId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{", self.name)?;
        for (position, label) in self.labels.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{}={:?}", label.name, label.value)?;
        }
        f.write_str("}")
    }
}

/// The series that a source had when it last spoke for all of them, in the order in which it said them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesSet(Vec<(SeriesId, Role)>);

/// A series that its source no longer says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ended {
    /// Which one.
    pub id: SeriesId,
    /// Whose statement it was.
    pub role: Role,
}

impl SeriesSet {
    /// The series of a batch.
    pub fn of(batch: &Batch) -> Self {
        let ids = batch.families().iter().flat_map(|family| {
            let id = |s: &super::Series| SeriesId { name: family.name.clone(), labels: s.labels.clone() };
            family.series.iter().map(move |series| (id(series), family.role))
        });
        SeriesSet(ids.collect())
    }

    /// The series of these names, each of which may stand there several times.
    pub fn of_ids(ids: impl IntoIterator<Item = (SeriesId, Role)>) -> Self {
        SeriesSet(ids.into_iter().collect())
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes over what `batch` says and gives the series that have thereby ended, sorted.
    ///
    /// A batch of [`Scope::StateOnly`] ends nothing: the fleets' last counts stand as they were.
    pub fn advance(&mut self, batch: &Batch) -> Vec<Ended> {
        if self.is_said_by(batch) {
            return Vec::new();
        }
        let mut new = SeriesSet::of(batch);
        match batch.scope() {
            Scope::StateOnly => {
                let known: HashSet<&SeriesId> = self.0.iter().map(|(id, _)| id).collect();
                new.0.retain(|(id, _)| !known.contains(id));
                self.0.append(&mut new.0);
                Vec::new()
            }
            Scope::Whole => {
                let old = std::mem::replace(self, new);
                let said: HashSet<&SeriesId> = self.0.iter().map(|(id, _)| id).collect();
                let gone = old.0.into_iter().filter(|(id, _)| !said.contains(id));
                let mut ended: Vec<Ended> = gone.map(|(id, role)| Ended { id, role }).collect();
                ended.sort();
                ended
            }
        }
    }

    /// Whether a batch says exactly these series in this order, as nearly every cycle does.
    ///
    /// Its labels take the place of the same ones of an older batch, which can so be freed.
    fn is_said_by(&mut self, batch: &Batch) -> bool {
        let mut known = self.0.iter_mut();
        let same = batch.families().iter().all(|family| {
            family.series.iter().all(|series| {
                let Some((id, role)) = known.next() else { return false };
                let same = *role == family.role && id.name == family.name && id.labels == series.labels;
                if same {
                    id.labels.clone_from(&series.labels);
                }
                same
            })
        });
        same && known.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Family, Kind, LabelName, Millis, Role, Series, Source, Text, Value};
    use super::*;

    fn batch(scope: Scope, fleets: &[&str]) -> Batch {
        let series = |fleet: &&str| Series {
            labels: Labels::new([(LabelName::new("fleet_name").unwrap(), Text::from(*fleet))]).unwrap(),
            value: Value::from(1.0),
        };
        let family = Family {
            name: MetricName::new("balena_devices").unwrap(),
            kind: Kind::Gauge,
            help: "x".into(),
            role: Role::Fleet,
            series: fleets.iter().map(series).collect(),
        };
        Batch::new(Source::Own, Millis(1), scope, vec![family]).unwrap()
    }

    #[test]
    fn a_series_that_is_no_longer_said_has_ended() {
        let mut set = SeriesSet::default();
        assert!(set.advance(&batch(Scope::Whole, &["a", "b"])).is_empty());
        let ended = set.advance(&batch(Scope::Whole, &["b", "c"]));
        assert_eq!(
            ended.iter().map(|gone| gone.id.to_string()).collect::<Vec<_>>(),
            [r#"balena_devices{fleet_name="a"}"#]
        );
    }

    #[test]
    fn series_in_another_order_or_fewer_of_them_at_the_end_are_told_apart() {
        let mut set = SeriesSet::default();
        set.advance(&batch(Scope::Whole, &["a", "b"]));
        assert!(set.advance(&batch(Scope::Whole, &["b", "a"])).is_empty());
        assert_eq!(set.advance(&batch(Scope::Whole, &["b"])).len(), 1);
        assert!(set.advance(&batch(Scope::Whole, &["b", "c"])).is_empty());
        assert_eq!(set.advance(&batch(Scope::Whole, &["b", "d"])).len(), 1);
        assert!(set.advance(&batch(Scope::StateOnly, &["b"])).is_empty());
        assert_eq!(set.len(), 2);
    }

    #[test]
    fn a_batch_about_the_state_alone_ends_no_series() {
        let mut set = SeriesSet::default();
        set.advance(&batch(Scope::Whole, &["a"]));
        assert!(set.advance(&batch(Scope::StateOnly, &[])).is_empty());
        assert_eq!(set.advance(&batch(Scope::Whole, &[])).len(), 1);
    }

    #[test]
    fn a_batch_with_two_equal_series_is_refused() {
        let twice = batch(Scope::Whole, &["a"]).families()[0].clone();
        let mut family = twice.clone();
        family.series.extend(twice.series);
        assert!(Batch::new(Source::Own, Millis(1), Scope::Whole, vec![family]).is_err());
    }
}
