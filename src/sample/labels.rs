//! Label names and sorted, unique label sets.

use std::fmt;

use super::Text;

/// The label that carries a series' name in remote write.
pub const METRIC_NAME: &str = "__name__";

/// Why a name or a label set was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// The name does not match `[a-zA-Z_][a-zA-Z0-9_]*`.
    #[error("{0:?} is not a label name: letters, digits and underscores, not starting with a digit")]
    Name(String),
    /// The name does not match `[a-zA-Z_:][a-zA-Z0-9_:]*`.
    #[error("{0:?} is not a metric name: letters, digits, underscores and colons, not starting with a digit")]
    MetricName(String),
    /// A relayed name has no character.
    #[error("a name is empty")]
    Empty,
    /// The same name stands twice.
    #[error("the label {0:?} stands twice in one series")]
    Twice(String),
}

/// A label's name: `[a-zA-Z_][a-zA-Z0-9_]*`, which every receiver takes (remote write 1.0, "labels"); a relayed
/// one may be any UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelName(Text);

impl LabelName {
    /// Checks and keeps a name.
    ///
    /// # Errors
    /// [`LabelError::Name`] where a receiver would refuse it.
    pub fn new(name: &str) -> Result<Self, LabelError> {
        if is_name(name, |c| c == b'_') {
            Ok(LabelName(name.into()))
        } else {
            Err(LabelError::Name(name.into()))
        }
    }

    /// Keeps a relayed name, which may be any UTF-8 but nothing (Prometheus 3, remote write 2.0).
    ///
    /// # Errors
    /// [`LabelError::Empty`].
    pub fn relayed(name: &Text) -> Result<Self, LabelError> {
        if name.is_empty() { Err(LabelError::Empty) } else { Ok(LabelName(name.clone())) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The shared text.
    pub fn text(&self) -> &Text {
        &self.0
    }
}

/// A metric's name: `[a-zA-Z_:][a-zA-Z0-9_:]*`; a relayed one may be any UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricName(Text);

impl MetricName {
    /// Checks and keeps a name.
    ///
    /// # Errors
    /// [`LabelError::MetricName`] where a receiver would refuse it.
    pub fn new(name: &str) -> Result<Self, LabelError> {
        if is_name(name, |c| c == b'_' || c == b':') {
            Ok(MetricName(name.into()))
        } else {
            Err(LabelError::MetricName(name.into()))
        }
    }

    /// Keeps a relayed name, which may be any UTF-8 but nothing (Prometheus 3, remote write 2.0).
    ///
    /// # Errors
    /// [`LabelError::Empty`].
    pub fn relayed(name: &Text) -> Result<Self, LabelError> {
        if name.is_empty() { Err(LabelError::Empty) } else { Ok(MetricName(name.clone())) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The shared text.
    pub fn text(&self) -> &Text {
        &self.0
    }
}

fn is_name(name: &str, extra: impl Fn(u8) -> bool) -> bool {
    let first_is_no_digit = name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    first_is_no_digit && name.bytes().all(|b| b.is_ascii_alphanumeric() || extra(b))
}

macro_rules! shown_as_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}
shown_as_text!(LabelName);
shown_as_text!(MetricName);

/// One name and its value. Values are any UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// The name.
    pub name: LabelName,
    /// The value, never empty inside [`Labels`].
    pub value: Text,
}

/// A series' labels without its name: sorted by name, no name twice, no empty value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(std::sync::Arc<[Label]>);

impl Labels {
    /// Sorts the labels and drops those with an empty value, which in Prometheus means the same as none.
    ///
    /// # Errors
    /// [`LabelError::Twice`] where a name stands twice.
    pub fn new(labels: impl IntoIterator<Item = (LabelName, Text)>) -> Result<Self, LabelError> {
        let mut all: Vec<Label> = labels
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| Label { name, value })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        match all.windows(2).find(|pair| pair[0].name == pair[1].name) {
            Some(pair) => Err(LabelError::Twice(pair[0].name.to_string())),
            None => Ok(Labels(all.into())),
        }
    }

    /// The labels in the order of their names (bytes).
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Label> {
        self.0.iter()
    }

    /// The value of a label, where there is one.
    pub fn get(&self, name: &str) -> Option<&Text> {
        self.0.iter().find(|label| label.name.as_str() == name).map(|label| &label.value)
    }

    /// Whether these are the very same labels, of one making: then they are equal without a look.
    pub fn is_very(&self, other: &Labels) -> bool {
        std::sync::Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These labels with `more` added where the name is not there yet.
    #[must_use]
    pub fn with_missing(&self, more: &Labels) -> Labels {
        let missing = more.iter().filter(|label| self.get(label.name.as_str()).is_none());
        let mut all: Vec<Label> = self.iter().chain(missing).cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Labels(all.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Result<Labels, LabelError> {
        Labels::new(pairs.iter().map(|(n, v)| (LabelName::new(n).unwrap(), Text::from(*v))))
    }

    #[test]
    fn labels_are_sorted_by_bytes_and_lose_empty_values() {
        let set = labels(&[("b", "2"), ("_", "x"), ("B", "1"), ("a", "")]).unwrap();
        let names: Vec<_> = set.iter().map(|l| l.name.as_str()).collect();
        assert_eq!(names, ["B", "_", "b"]);
    }

    #[test]
    fn a_label_that_stands_twice_is_refused() {
        assert_eq!(labels(&[("a", "1"), ("a", "2")]), Err(LabelError::Twice("a".into())));
    }

    #[test]
    fn names_that_receivers_refuse_are_refused() {
        for bad in ["", "1a", "a-b", "a:b", "é", "a b"] {
            assert!(LabelName::new(bad).is_err(), "{bad}");
        }
        assert!(MetricName::new("a:b").is_ok());
    }

    #[test]
    fn labels_that_are_there_win_over_those_that_are_added() {
        let set = labels(&[("a", "1")]).unwrap().with_missing(&labels(&[("a", "2"), ("b", "3")]).unwrap());
        assert_eq!(set, labels(&[("a", "1"), ("b", "3")]).unwrap());
    }
}
