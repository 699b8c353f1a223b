//! Types, helps and units that a page says of its families, and which family a series is of.

use std::collections::HashMap;

use crate::sample::{Kind, Text};

/// What is said of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) kind: Kind,
    pub(super) help: Text,
    pub(super) unit: Text,
}

/// What a page says of its families.
#[derive(Debug)]
pub(super) struct Said {
    families: HashMap<Text, Family>,
    /// The number of the page.
    page: u64,
    empty: Text,
}

#[derive(Debug)]
struct Family {
    page: u64,
    kind: Kind,
    /// Kept from page to page, so that the same text is the same pointer.
    help: Text,
    has_help: bool,
    unit: Text,
    has_unit: bool,
}

impl Default for Said {
    fn default() -> Self {
        Said { families: HashMap::new(), page: 0, empty: Text::from("") }
    }
}

impl Said {
    /// Nothing is said yet of the next page's families.
    pub(super) fn begin(&mut self) {
        self.page += 1;
    }

    /// Forgets what this page has not said.
    pub(super) fn end(&mut self) {
        let page = self.page;
        self.families.retain(|_, family| family.page == page);
    }

    pub(super) fn kind(&mut self, name: &str, kind: Kind) {
        self.family(name, |family| family.kind = kind);
    }

    pub(super) fn help(&mut self, name: &str, help: &str) {
        self.family(name, |family| {
            keep(&mut family.help, help);
            family.has_help = true;
        });
    }

    pub(super) fn unit(&mut self, name: &str, unit: &str) {
        self.family(name, |family| {
            keep(&mut family.unit, unit);
            family.has_unit = true;
        });
    }

    fn family(&mut self, name: &str, change: impl FnOnce(&mut Family)) {
        let page = self.page;
        let empty = &self.empty;
        if let Some(known) = self.families.get_mut(name) {
            if known.page != page {
                (known.page, known.kind, known.has_help, known.has_unit) =
                    (page, Kind::Unknown, false, false);
            }
            return change(known);
        }
        let mut new = Family {
            page,
            kind: Kind::Unknown,
            help: empty.clone(),
            has_help: false,
            unit: empty.clone(),
            has_unit: false,
        };
        change(&mut new);
        self.families.insert(name.into(), new);
    }

    /// The family of a series by its name on the page, and what is said of that one: by the endings that a type
    /// gives its series.
    pub(super) fn of(&self, series: &str) -> (Option<Text>, Words) {
        let own = self.find(series, |_| true);
        let found = own.or_else(|| {
            ENDINGS.iter().find_map(|(ending, kinds)| {
                let name = series.strip_suffix(ending)?;
                self.find(name, |kind| kinds.contains(&kind))
            })
        });
        match found {
            None => (None, Words { kind: Kind::Unknown, help: self.empty.clone(), unit: self.empty.clone() }),
            Some((name, family)) => {
                let word = |text: &Text, is_said: bool| if is_said { text } else { &self.empty }.clone();
                let help = word(&family.help, family.has_help);
                let unit = word(&family.unit, family.has_unit);
                (Some(name.clone()), Words { kind: family.kind, help, unit })
            }
        }
    }

    fn find(&self, name: &str, is_meant: impl Fn(Kind) -> bool) -> Option<(&Text, &Family)> {
        let (name, family) = self.families.get_key_value(name)?;
        (family.page == self.page && is_meant(family.kind)).then_some((name, family))
    }
}

/// How a type's series end, beside its family's name.
const ENDINGS: [(&str, &[Kind]); 7] = [
    ("_total", &[Kind::Counter]),
    ("_bucket", &[Kind::Histogram, Kind::GaugeHistogram]),
    ("_sum", &[Kind::Histogram, Kind::Summary]),
    ("_count", &[Kind::Histogram, Kind::Summary]),
    ("_gsum", &[Kind::GaugeHistogram]),
    ("_gcount", &[Kind::GaugeHistogram]),
    ("_info", &[Kind::Info]),
];

fn keep(known: &mut Text, text: &str) {
    if &**known != text {
        *known = text.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_of_the_family_whose_type_has_its_ending() {
        let mut said = Said::default();
        said.begin();
        for (name, kind) in [
            ("requests", Kind::Counter),
            ("old_total", Kind::Counter),
            ("wait", Kind::Histogram),
            ("size", Kind::Summary),
            ("build", Kind::Info),
            ("depth", Kind::Gauge),
        ] {
            said.kind(name, kind);
        }
        for (series, family) in [
            ("requests_total", Some("requests")),
            ("old_total", Some("old_total")),
            ("wait_bucket", Some("wait")),
            ("wait_sum", Some("wait")),
            ("size", Some("size")),
            ("size_count", Some("size")),
            ("size_bucket", None),
            ("build_info", Some("build")),
            ("depth", Some("depth")),
            ("depth_total", None),
            ("requests_created", None),
        ] {
            assert_eq!(said.of(series).0.as_deref(), family, "{series}");
        }
    }

    #[test]
    fn what_a_page_no_longer_says_is_not_said_any_more() {
        let mut said = Said::default();
        said.begin();
        said.kind("a", Kind::Gauge);
        said.help("a", "what a is");
        said.unit("a", "seconds");
        let first = said.of("a").1;
        assert_eq!((first.kind, &*first.help, &*first.unit), (Kind::Gauge, "what a is", "seconds"));
        said.begin();
        said.help("a", "what a is");
        let second = said.of("a").1;
        assert_eq!((second.kind, &*second.unit), (Kind::Unknown, ""));
        assert!(std::sync::Arc::ptr_eq(&first.help, &second.help));
        said.begin();
        assert_eq!(said.of("a").0, None);
        said.end();
        assert!(said.families.is_empty());
    }
}
