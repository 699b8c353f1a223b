//! A label set under work.

use crate::sample::{Label, LabelError, LabelName, Labels, METRIC_NAME, MetricName, Text};

/// A label set under work: its names are any text, `__name__`, `__address__` and `__tmp` among them, none of
/// them twice; a label without a value is none.
///
/// Its order is the one in which Prometheus goes over labels under work, where it matters which of two comes
/// last: those that it began with by name, then those that were set since, in the order of their setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Working(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: Text,
    value: Text,
    /// It was set since.
    is_set: bool,
}

impl Working {
    /// Begins with these labels; of two with one name the last one stands.
    pub fn new(labels: impl IntoIterator<Item = (Text, Text)>) -> Working {
        let mut all = Working::default();
        for (name, value) in labels {
            all.set(name, value);
        }
        all.0.sort_by(|a, b| a.name.cmp(&b.name));
        for entry in &mut all.0 {
            entry.is_set = false;
        }
        all
    }

    /// Begins with a series.
    pub fn of_series(name: &MetricName, labels: &Labels) -> Working {
        let pair = |label: Label<'_>| (Text::from(label.name), Text::from(label.value));
        let name = (Text::from(METRIC_NAME), name.text().clone());
        Working::new(labels.iter().map(pair).chain([name]))
    }

    /// The value of a label; none, where there is none.
    pub fn get(&self, name: &str) -> Option<&Text> {
        self.0.iter().find(|entry| *entry.name == *name).map(|entry| &entry.value)
    }

    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: impl Into<Text> + AsRef<str>, value: impl Into<Text> + AsRef<str>) {
        if value.as_ref().is_empty() {
            return self.remove(name.as_ref());
        }
        let place = self.0.iter().position(|entry| *entry.name == *name.as_ref());
        match place.and_then(|place| self.0.get_mut(place)) {
            Some(entry) if entry.is_set => entry.value = value.into(),
            known => {
                if known.is_some() {
                    self.remove(name.as_ref());
                }
                self.0.push(Entry { name: name.into(), value: value.into(), is_set: true });
            }
        }
    }

    /// Sets a label that is not there yet.
    pub fn set_missing(&mut self, name: impl Into<Text> + AsRef<str>, value: impl Into<Text> + AsRef<str>) {
        if self.get(name.as_ref()).is_none() {
            self.set(name, value);
        }
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|entry| *entry.name != *name);
    }

    /// Removes all labels of which this does not hold.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        self.0.retain(|entry| keep(&entry.name, &entry.value));
    }

    /// The labels in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Text, &Text)> {
        self.0.iter().map(|entry| (&entry.name, &entry.value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels sorted, and the series' name, where there is one.
    ///
    /// # Errors
    /// [`LabelError::Empty`] for a label whose name has no character.
    pub fn into_series(self) -> Result<(Option<MetricName>, Labels), LabelError> {
        let (mut metric, mut labels) = (None, Vec::with_capacity(self.0.len()));
        for Entry { name, value, .. } in self.0 {
            if *name == *METRIC_NAME {
                metric = Some(MetricName::relayed(&value)?);
            } else {
                labels.push((LabelName::relayed(&name)?, value));
            }
        }
        Ok((metric, Labels::new(labels)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn working(pairs: &[(&str, &str)]) -> Working {
        Working::new(pairs.iter().map(|(name, value)| (Text::from(*name), Text::from(*value))))
    }

    fn names(working: &Working) -> Vec<&str> {
        working.iter().map(|(name, _)| &**name).collect()
    }

    #[test]
    fn labels_come_by_name_and_then_in_the_order_of_their_setting() {
        let mut all = working(&[("c", "1"), ("a", "1"), ("b", "1"), ("d", "")]);
        assert_eq!(names(&all), ["a", "b", "c"]);
        all.set("x", "1");
        all.set("a", "2");
        all.set("x", "2");
        assert_eq!(names(&all), ["b", "c", "x", "a"]);
        all.set("x", "");
        all.set("x", "3");
        assert_eq!(names(&all), ["b", "c", "a", "x"]);
        all.set_missing("a", "3");
        assert_eq!(all.get("a").map(|value| &**value), Some("2"));
    }

    #[test]
    fn a_series_comes_out_as_it_went_in() {
        let labels = Labels::new([(LabelName::new("a").unwrap(), Text::from("1"))]).unwrap();
        let name = MetricName::new("up").unwrap();
        let out = Working::of_series(&name, &labels).into_series().unwrap();
        assert_eq!(out, (Some(name), labels));
        assert_eq!(working(&[("", "1")]).into_series(), Err(LabelError::Empty));
        assert_eq!(working(&[]).into_series().unwrap().0, None);
    }
}
