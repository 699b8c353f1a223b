//! Which families' type and help the receiver of 1.0 has heard lately (2.0 carries them in each series).

use std::collections::HashMap;
use std::ops::Range;

use crate::config::MetadataSettings;
use crate::encode::record::Flat;
use crate::encode::rw1::Metadata;
use crate::sample::Millis;

#[derive(Debug)]
pub(super) struct Described {
    settings: MetadataSettings,
    heard: HashMap<String, Millis>,
}

impl Described {
    pub(super) fn new(settings: MetadataSettings) -> Self {
        Described { settings, heard: HashMap::new() }
    }

    /// Whether a request with these series is to carry metadata: a family of theirs is due.
    ///
    /// By families, since a cycle of many samples makes several records, each with some of them.
    pub(super) fn due(&self, record: &Flat, range: Range<usize>, now: Millis) -> Metadata {
        let is_due = |name: &str| match self.heard.get(name) {
            None => true,
            Some(at) => now < *at || now.since(*at) >= self.settings.every,
        };
        if self.settings.send && record.described(range).into_iter().any(is_due) {
            Metadata::With
        } else {
            Metadata::Without
        }
    }

    /// A request with these series and metadata was taken; how many families it described.
    pub(super) fn sent(&mut self, record: &Flat, range: Range<usize>, now: Millis) -> usize {
        let names = record.described(range);
        for name in &names {
            self.heard.insert((*name).to_owned(), now);
        }
        names.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::encode::record::{Identity, cut};
    use crate::sample::{
        Batch, Ended, Family, Kind, Labels, MetricName, Role, Scope, Series, SeriesId, Source, Value,
    };

    fn record(families: Vec<Family>, ended: &[Ended]) -> Flat {
        let batch = Batch::new(Source::Own, Millis(1), Scope::Whole, families).unwrap();
        let identity = Identity { job: "balena".into(), instance: "test".into() };
        let [record] = &cut(&batch, ended, &identity, 10)[..] else { panic!("one record") };
        Flat::read(record.bytes()).unwrap()
    }

    #[test]
    fn a_family_of_which_only_an_end_is_known_is_not_described_and_still_due_when_it_comes_back() {
        let name = MetricName::new("balena_devices").unwrap();
        let mut described = Described::new(MetadataSettings { send: true, every: Duration::from_secs(60) });
        let id = SeriesId { name: name.clone(), labels: Labels::default() };
        let gone = record(Vec::new(), &[Ended { id, role: Role::Fleet, meaning: None }]);
        assert_eq!(described.due(&gone, 0..1, Millis(1)), Metadata::Without);
        assert_eq!(described.sent(&gone, 0..1, Millis(1)), 0);
        let series = vec![Series { labels: Labels::default(), value: Value::from(1.0), own: None }];
        let family = Family {
            name,
            kind: Kind::Gauge,
            help: "x".into(),
            role: Role::Fleet,
            series,
            of: None,
            unit: "".into(),
        };
        let back = record(vec![family], &[]);
        assert_eq!(described.due(&back, 0..1, Millis(2)), Metadata::With);
        assert_eq!(described.sent(&back, 0..1, Millis(2)), 1);
        assert_eq!(described.due(&back, 0..1, Millis(3)), Metadata::Without);
    }
}
