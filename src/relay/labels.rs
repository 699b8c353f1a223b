//! A page's labels and the target's become a series' labels, as Prometheus joins them.

use std::borrow::Cow;

use crate::sample::{LabelName, Text};

/// Labels under work: names and values, in no order.
pub(super) type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Whose labels win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Winner {
    /// The target's: those of the page are kept as `exported_…`.
    Target,
    /// The page's.
    Page,
}

/// Adds the target's labels to those of a series of its page, `empty` are those that stand there without a value.
pub(super) fn join<'a>(
    page: &mut Pairs<'a>,
    empty: &[impl AsRef<str>],
    target: &'a [(LabelName, Text)],
    winner: Winner,
) {
    let mut exported = Vec::new();
    for (name, value) in target {
        let known = page.iter_mut().find(|(known, _)| **known == *name.as_str());
        match (known, winner) {
            (Some(_), Winner::Page) => {}
            (Some((_, kept)), Winner::Target) => {
                exported.push((name.as_str(), std::mem::replace(kept, Cow::Borrowed(value))));
            }
            (None, Winner::Page) if empty.iter().any(|one| one.as_ref() == name.as_str()) => {}
            (None, _) => page.push((Cow::Borrowed(name.as_str()), Cow::Borrowed(value))),
        }
    }
    // Shorter names choose first, as `exported_a` may be a label of the target's too.
    exported.sort_by_key(|(name, _)| name.len());
    for (name, value) in exported {
        let mut new = format!("exported_{name}");
        while page.iter().any(|(known, _)| **known == *new) {
            new.insert_str(0, "exported_");
        }
        page.push((new.into(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(page: &[(&str, &str)], target: &[(&str, &str)], winner: Winner) -> Vec<(String, String)> {
        let (empty, filled): (Vec<_>, Vec<_>) = page.iter().partition(|(_, value)| value.is_empty());
        let mut pairs: Pairs<'_> =
            filled.iter().map(|(n, v)| (Cow::Borrowed(*n), Cow::Borrowed(*v))).collect();
        let empty: Vec<&str> = empty.iter().map(|(name, _)| *name).collect();
        let target: Vec<_> =
            target.iter().map(|(n, v)| (LabelName::new(n).unwrap(), Text::from(*v))).collect();
        join(&mut pairs, &empty, &target, winner);
        let mut all: Vec<_> = pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        all.sort();
        all
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn labels_of_the_page_are_exported_where_the_target_has_them() {
        let target = [("instance", "t:1"), ("job", "test")];
        assert_eq!(
            joined(&[("job", "a"), ("x", "1")], &target, Winner::Target),
            owned(&[("exported_job", "a"), ("instance", "t:1"), ("job", "test"), ("x", "1")])
        );
        assert_eq!(
            joined(&[("job", "a"), ("exported_job", "b")], &target, Winner::Target),
            owned(&[
                ("exported_exported_job", "a"),
                ("exported_job", "b"),
                ("instance", "t:1"),
                ("job", "test")
            ])
        );
        assert_eq!(
            joined(&[("job", ""), ("instance", "")], &target, Winner::Target),
            owned(&[("instance", "t:1"), ("job", "test")])
        );
    }

    #[test]
    fn a_target_whose_labels_are_called_exported_loses_none() {
        let target = [("exported_job", "y"), ("job", "test")];
        assert_eq!(
            joined(&[("job", "a"), ("exported_job", "b")], &target, Winner::Target),
            owned(&[
                ("exported_exported_exported_job", "b"),
                ("exported_exported_job", "a"),
                ("exported_job", "y"),
                ("job", "test"),
            ])
        );
    }

    #[test]
    fn labels_of_the_page_win_where_they_are_honored_empty_ones_too() {
        let target = [("instance", "t:1"), ("job", "test")];
        assert_eq!(joined(&[("job", "a"), ("instance", "")], &target, Winner::Page), owned(&[("job", "a")]));
    }
}
