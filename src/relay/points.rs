//! Since when a series counts: OpenMetrics says it in a series of its own, `…_created`, behind those that it is
//! about. That one stays a series, as with Prometheus.

use super::known::Place;
use super::page::Open;
use crate::sample::{Kind, Label, Labels, Millis, Own, Value};

const CREATED: &str = "_created";

/// The samples since the last such series.
#[derive(Debug)]
pub(super) struct Points {
    /// What begins later than the page was asked is wrong.
    at: Millis,
    /// Whether the family is of a type that counts.
    counts: bool,
    /// Where they stand; none where rules have dropped one.
    run: Vec<Option<Place>>,
}

impl Points {
    pub(super) fn new(at: Millis) -> Self {
        Points { at, counts: false, run: Vec::new() }
    }

    /// A family begins.
    pub(super) fn family(&mut self, kind: Kind) {
        self.counts = matches!(kind, Kind::Counter | Kind::Histogram | Kind::GaugeHistogram | Kind::Summary);
        self.run.clear();
    }

    /// One more sample; a `…_created` tells its time to those that are about the same before it.
    pub(super) fn sample(&mut self, text: &str, value: Value, place: Option<Place>, families: &mut [Open]) {
        if !self.counts {
            return;
        }
        let name = text.split_once('{').map_or(text, |(name, _)| name);
        if !name.ends_with(CREATED) {
            self.run.push(place);
            return;
        }
        let Some(start) = millis(value).filter(|start| *start <= self.at) else { return self.run.clear() };
        let labels = |families: &[Open], at: Place| {
            families[at.family as usize].series[at.slot as usize].labels.clone()
        };
        let about = place.or(self.run.last().copied().flatten()).map(|at| labels(families, at));
        while let (Some(Some(at)), Some(about)) = (self.run.pop(), &about) {
            let series = &mut families[at.family as usize].series[at.slot as usize];
            if !are_about_the_same(&series.labels, about) {
                break;
            }
            let own: &mut Own = series.own.get_or_insert_default();
            own.start = Some(start);
        }
        self.run.clear();
    }
}

fn millis(seconds: Value) -> Option<Millis> {
    let millis = (seconds.get() * 1000.0).round();
    // What a double holds exactly; a NaN is in no range.
    (1.0..9e15).contains(&millis).then_some(Millis(millis as i64))
}

/// Whether the labels are the same, but for those that part buckets and quantiles.
fn are_about_the_same(one: &Labels, other: &Labels) -> bool {
    fn plain(labels: &Labels) -> impl Iterator<Item = Label<'_>> {
        labels.iter().filter(|label| !matches!(label.name, "le" | "quantile"))
    }
    plain(one).eq(plain(other))
}
