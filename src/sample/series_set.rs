//! Which series a source had, and which of them have ended.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::{Batch, Family, Kind, Labels, MetricName, Role, Scope, Series, Text};

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
#[derive(Clone, Debug, Default)]
pub struct SeriesSet {
    /// The batch that last told all of them; shared with it, so that nothing is kept twice.
    said: Arc<[Family]>,
    /// Those that are known otherwise.
    more: Vec<(SeriesId, Role)>,
}

/// What a batch has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The series that it ended, sorted.
    pub ended: Vec<Ended>,
    /// Whether it says just what the last batch said that told all series: the same families, in type and
    /// help as well, and the same series, in the same order.
    pub same: bool,
}

/// A series that its source no longer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which one.
    pub id: SeriesId,
    /// Whose statement it was.
    pub role: Role,
    /// What its family meant, where that is known: one of which the last series has ended is in no batch.
    pub meaning: Option<Arc<Meaning>>,
}

/// Type, help and unit of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// The name under which they are told.
    pub name: MetricName,
    /// The type.
    pub kind: Kind,
    /// The help.
    pub help: Text,
    /// The unit.
    pub unit: Text,
}

impl Family {
    fn meaning(&self) -> Meaning {
        Meaning {
            name: self.described_as().clone(),
            kind: self.kind,
            help: self.help.clone(),
            unit: self.unit.clone(),
        }
    }
}

impl SeriesSet {
    /// The series of these names, each of which may stand there several times.
    pub fn of_ids(ids: impl IntoIterator<Item = (SeriesId, Role)>) -> Self {
        SeriesSet { said: Arc::default(), more: ids.into_iter().collect() }
    }

    /// What the source said when it last spoke for all of its series.
    pub fn said(&self) -> Arc<[Family]> {
        self.said.clone()
    }

    /// The series, as they would end: without those that told their own times.
    pub fn alive(&self) -> Vec<Ended> {
        self.ended(&[])
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.all().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes over what `batch` says and gives the series that have thereby ended.
    ///
    /// A batch of [`Scope::StateOnly`] ends nothing: the fleets' last counts stand as they were.
    pub fn advance(&mut self, batch: &Batch) -> Advance {
        if self.more.is_empty() && is_same(&self.said, batch.families()) {
            // Its labels take the place of the same ones of an older batch, which can so be freed.
            self.said = batch.shared_families();
            return Advance { ended: Vec::new(), same: true };
        }
        let ended = match batch.scope() {
            Scope::StateOnly => {
                let known: HashSet<_> = self.all().map(|(name, labels, _)| (name, labels)).collect();
                let new =
                    each(batch.families()).filter(|(name, labels, _)| !known.contains(&(*name, *labels)));
                let new: Vec<_> = new.map(owned).collect();
                self.more.extend(new);
                Vec::new()
            }
            Scope::Whole => {
                let ended = self.ended(batch.families());
                *self = SeriesSet { said: batch.shared_families(), more: Vec::new() };
                ended
            }
        };
        Advance { ended, same: false }
    }

    /// What is not among the series that are said now, sorted.
    ///
    /// A series that told its own time gets no marker: when it ended is its page's to say (Prometheus' default).
    fn ended(&self, now: &[Family]) -> Vec<Ended> {
        let said: HashSet<_> = each(now).map(|(name, labels, _)| (name, labels)).collect();
        let mut ended = Vec::new();
        for family in self.said.iter() {
            let mut meaning = None;
            let own_time = |series: &Series| series.own.as_ref().is_some_and(|own| own.at.is_some());
            let gone = family.series.iter().filter(|one| !said.contains(&(&family.name, &one.labels)));
            for series in gone.filter(|one| !own_time(one)) {
                let meaning = meaning.get_or_insert_with(|| Arc::new(family.meaning())).clone();
                let id = SeriesId { name: family.name.clone(), labels: series.labels.clone() };
                ended.push(Ended { id, role: family.role, meaning: Some(meaning) });
            }
        }
        let gone = self.more.iter().filter(|(id, _)| !said.contains(&(&id.name, &id.labels)));
        ended.extend(gone.map(|(id, role)| Ended { id: id.clone(), role: *role, meaning: None }));
        ended.sort_by(|one, other| (&one.id, one.role).cmp(&(&other.id, other.role)));
        ended
    }

    fn all(&self) -> impl Iterator<Item = One<'_>> {
        each(&self.said).chain(self.more.iter().map(|(id, role)| (&id.name, &id.labels, *role)))
    }
}

type One<'a> = (&'a MetricName, &'a Labels, Role);

fn each(families: &[Family]) -> impl Iterator<Item = One<'_>> {
    families.iter().flat_map(|family| family.series.iter().map(|s| (&family.name, &s.labels, family.role)))
}

fn owned((name, labels, role): One<'_>) -> (SeriesId, Role) {
    (SeriesId { name: name.clone(), labels: labels.clone() }, role)
}

/// Whether both say the same of everything but the values.
fn is_same(old: &[Family], new: &[Family]) -> bool {
    old.len() == new.len()
        && old.iter().zip(new).all(|(old, new)| {
            // Exhaustive, so that a new field is not forgotten.
            let Family { name, of, kind, help, unit, role, series } = new;
            old.name == *name
                && old.kind == *kind
                && old.of == *of
                && old.help == *help
                && old.unit == *unit
                && old.role == *role
                && old.series.len() == series.len()
                && old
                    .series
                    .iter()
                    .zip(series)
                    .all(|(old, new)| old.labels.is_very(&new.labels) || old.labels == new.labels)
        })
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, LabelName, Millis, Series, Source, Text, Value};
    use super::*;

    fn batch(scope: Scope, fleets: &[&str]) -> Batch {
        let series = |fleet: &&str| Series {
            labels: Labels::new([(LabelName::new("fleet_name").unwrap(), Text::from(*fleet))]).unwrap(),
            value: Value::from(1.0),
            own: None,
        };
        let family = Family {
            name: MetricName::new("balena_devices").unwrap(),
            kind: Kind::Gauge,
            help: "x".into(),
            role: Role::Fleet,
            series: fleets.iter().map(series).collect(),
            of: None,
            unit: "".into(),
        };
        Batch::new(Source::Own, Millis(1), scope, vec![family]).unwrap()
    }

    #[test]
    fn a_series_that_is_no_longer_said_has_ended() {
        let mut set = SeriesSet::default();
        assert!(set.advance(&batch(Scope::Whole, &["a", "b"])).ended.is_empty());
        let ended = set.advance(&batch(Scope::Whole, &["b", "c"])).ended;
        assert_eq!(
            ended.iter().map(|gone| gone.id.to_string()).collect::<Vec<_>>(),
            [r#"balena_devices{fleet_name="a"}"#]
        );
    }

    #[test]
    fn series_in_another_order_or_fewer_of_them_at_the_end_are_told_apart() {
        let mut set = SeriesSet::default();
        set.advance(&batch(Scope::Whole, &["a", "b"]));
        assert!(set.advance(&batch(Scope::Whole, &["b", "a"])).ended.is_empty());
        assert_eq!(set.advance(&batch(Scope::Whole, &["b"])).ended.len(), 1);
        assert!(set.advance(&batch(Scope::Whole, &["b", "c"])).ended.is_empty());
        assert_eq!(set.advance(&batch(Scope::Whole, &["b", "d"])).ended.len(), 1);
        assert!(set.advance(&batch(Scope::StateOnly, &["b"])).ended.is_empty());
        assert_eq!(set.len(), 2);
    }

    #[test]
    fn a_batch_about_the_state_alone_ends_no_series() {
        let mut set = SeriesSet::default();
        set.advance(&batch(Scope::Whole, &["a"]));
        assert!(set.advance(&batch(Scope::StateOnly, &[])).ended.is_empty());
        assert_eq!(set.advance(&batch(Scope::Whole, &[])).ended.len(), 1);
    }

    #[test]
    fn only_what_is_said_of_all_series_in_the_same_words_is_the_same() {
        let mut set = SeriesSet::default();
        let whole = batch(Scope::Whole, &["a", "b"]);
        assert!(!set.advance(&whole).same);
        assert!(set.advance(&whole).same);
        assert!(!set.advance(&batch(Scope::StateOnly, &["a"])).same);
        assert!(set.advance(&whole).same, "nothing new was said");
        let mut other = whole.families()[0].clone();
        other.help = "y".into();
        let other = Batch::new(Source::Own, Millis(1), Scope::Whole, vec![other]).unwrap();
        assert_eq!(set.advance(&other), Advance { ended: Vec::new(), same: false });
        assert!(!set.advance(&batch(Scope::Whole, &["b", "a"])).same);
        assert!(!set.advance(&batch(Scope::StateOnly, &["c"])).same);
        assert!(!set.advance(&batch(Scope::Whole, &["b", "a"])).same, "the state's series has ended");
    }

    #[test]
    fn a_batch_with_two_equal_series_is_refused() {
        let twice = batch(Scope::Whole, &["a"]).families()[0].clone();
        let mut family = twice.clone();
        family.series.extend(twice.series);
        assert!(Batch::new(Source::Own, Millis(1), Scope::Whole, vec![family]).is_err());
    }
}
