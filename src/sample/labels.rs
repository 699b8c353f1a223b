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

/// One name and its value, where they stand among a series' labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label<'a> {
    /// The name.
    pub name: &'a str,
    /// The value, any UTF-8 but never empty.
    pub value: &'a str,
}

/// A series' labels without its name: sorted by name, no name twice, no empty value.
///
/// Each name and value stands behind its length in one text, so that a hundred thousand series are as many
/// allocations. A length is written in digits of six bits, the lowest first, of which all but the last have the
/// seventh bit set: each is a character of its own.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Labels(Text);

impl Labels {
    /// Sorts the labels and drops those with an empty value, which in Prometheus means the same as none.
    ///
    /// # Errors
    /// [`LabelError::Twice`] where a name stands twice.
    pub fn new(labels: impl IntoIterator<Item = (LabelName, Text)>) -> Result<Self, LabelError> {
        let labels: Vec<(LabelName, Text)> = labels.into_iter().collect();
        Self::of(labels.iter().map(|(name, value)| Label { name: name.as_str(), value }))
    }

    /// The same of a page's labels, whose names may be any text but nothing.
    ///
    /// # Errors
    /// [`LabelError::Empty`] for a name without a character, else as [`Labels::new`].
    pub fn relayed<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, LabelError> {
        Self::of(labels.into_iter().map(|(name, value)| Label { name, value }))
    }

    fn of<'a>(labels: impl Iterator<Item = Label<'a>>) -> Result<Self, LabelError> {
        let mut all: Vec<Label<'a>> = labels.collect();
        if all.iter().any(|label| label.name.is_empty()) {
            return Err(LabelError::Empty);
        }
        all.retain(|label| !label.value.is_empty());
        all.sort_unstable_by_key(|label| label.name);
        match all.windows(2).find(|pair| pair[0].name == pair[1].name) {
            Some(pair) => Err(LabelError::Twice(pair[0].name.to_owned())),
            None => Ok(Self::packed(&all)),
        }
    }

    fn packed(all: &[Label<'_>]) -> Self {
        let texts = all.iter().map(|label| label.name.len() + label.value.len()).sum::<usize>();
        // Nearly every length is below 64.
        let mut packed = String::with_capacity(texts + 2 * all.len() + 8);
        for label in all {
            push(&mut packed, label.name);
            push(&mut packed, label.value);
        }
        Labels(packed.into())
    }

    /// The labels in the order of their names (bytes).
    pub fn iter(&self) -> impl Iterator<Item = Label<'_>> + Clone {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let more = !rest.is_empty();
            more.then(|| Label { name: take(&mut rest), value: take(&mut rest) })
        })
    }

    /// The value of a label, where there is one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|label| label.name == name).map(|label| label.value)
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
        let missing = more.iter().filter(|label| self.get(label.name).is_none());
        let mut all: Vec<Label<'_>> = self.iter().chain(missing).collect();
        all.sort_unstable();
        Self::packed(&all)
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.iter().cmp(other.iter())
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The bits of a digit, and the one that says that there is another.
const DIGIT: (u32, usize) = (6, 1 << 6);

fn push(packed: &mut String, text: &str) {
    let (bits, more) = DIGIT;
    let mut length = text.len();
    while length >= more {
        // Below 128.
        packed.push(char::from((length % more + more) as u8));
        length >>= bits;
    }
    packed.push(char::from(length as u8));
    packed.push_str(text);
}

/// Takes the first text, which [`push`] has written.
fn take<'a>(packed: &mut &'a str) -> &'a str {
    let (bits, more) = DIGIT;
    let (mut length, mut shift, mut digits) = (0, 0, 0);
    for digit in packed.bytes().map(usize::from) {
        length |= (digit % more) << shift;
        shift += bits;
        digits += 1;
        if digit < more {
            break;
        }
    }
    let rest = packed.get(digits..).unwrap_or_default();
    let (text, rest) = rest.split_at_checked(length).unwrap_or_default();
    *packed = rest;
    text
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
        let names: Vec<_> = set.iter().map(|l| l.name).collect();
        assert_eq!(names, ["B", "_", "b"]);
    }

    #[test]
    fn a_label_that_stands_twice_is_refused() {
        assert_eq!(labels(&[("a", "1"), ("a", "2")]), Err(LabelError::Twice("a".into())));
    }

    #[test]
    fn labels_of_every_length_come_out_as_they_went_in() {
        let long = |length: usize| "é".repeat(length / 2) + &"x".repeat(length % 2);
        let texts: Vec<(String, String)> = [1, 2, 62, 63, 64, 65, 127, 128, 4_095, 4_096, 4_097, 300_000]
            .map(|length| (long(length), long(300_001 - length)))
            .into();
        let set = Labels::relayed(texts.iter().map(|(name, value)| (&**name, &**value))).unwrap();
        let mut sorted: Vec<_> = texts.iter().map(|(name, value)| Label { name, value }).collect();
        sorted.sort_unstable();
        assert_eq!(set.iter().collect::<Vec<_>>(), sorted);
        assert_eq!(set.get(&texts[4].0), Some(&*texts[4].1));
    }

    #[test]
    fn labels_are_held_once_and_take_a_byte_more_for_each_short_text() {
        let set = labels(&[("job", "page"), ("instance", "127.0.0.1:9100")]).unwrap();
        assert_eq!(set.0.len(), "jobpageinstance127.0.0.1:9100".len() + 4);
        assert!(set.clone().is_very(&set));
    }

    #[test]
    fn labels_are_ordered_as_their_texts_are() {
        let of = |pairs: &[(&str, &str)]| labels(pairs).unwrap();
        let long = "x".repeat(70);
        let sorted = [
            of(&[]),
            of(&[("a", "1")]),
            of(&[("a", "1"), ("b", "1")]),
            of(&[("a", &long)]),
            of(&[("b", "")]),
        ];
        assert!(sorted[..4].is_sorted());
        assert_eq!(sorted[0], sorted[4]);
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
