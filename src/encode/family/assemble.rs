//! Histograms and summaries of their parts: `a_bucket`, `a_sum` and `a_count`, or `a`, `a_sum` and `a_count`.

use std::collections::HashMap;

use super::relayed::{Pushed, Relayed, Why, double, head, metric, plain};
use crate::encode::wire;
use crate::pb::metric_family::MetricType;
use crate::sample::{Family, Kind, MetricName, Series};

/// What is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whole {
    Histogram,
    Summary,
}

impl Whole {
    /// The label that tells the steps apart.
    const fn label(self) -> &'static str {
        match self {
            Whole::Histogram => "le",
            Whole::Summary => "quantile",
        }
    }
}

/// Which part of a whole a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parts {
    /// Its buckets or quantiles.
    Steps(Whole),
    Sum(Whole),
    Count(Whole),
}

impl Parts {
    /// A family's place, where it is a part.
    pub(super) fn of(family: &Family) -> Option<Parts> {
        let whole = match family.kind {
            Kind::Histogram => Whole::Histogram,
            Kind::Summary => Whole::Summary,
            _ => return None,
        };
        let base = family.described_as().as_str();
        match (family.name.as_str().strip_prefix(base)?, whole) {
            ("_bucket", Whole::Histogram) | ("", Whole::Summary) => Some(Parts::Steps(whole)),
            ("_sum", _) => Some(Parts::Sum(whole)),
            ("_count", _) => Some(Parts::Count(whole)),
            _ => None,
        }
    }

    pub(super) fn whole(self) -> Whole {
        match self {
            Parts::Steps(whole) | Parts::Sum(whole) | Parts::Count(whole) => whole,
        }
    }
}

/// The parts of all histograms or summaries of one name.
pub(super) struct Assembled<'a> {
    whole: Whole,
    help: &'a str,
    /// As they came, for the case that none is whole.
    families: Vec<(&'a Family, Vec<(&'a Series, Pushed<'a>)>)>,
}

/// One of them.
#[derive(Default)]
struct One<'a> {
    steps: Vec<(f64, f64)>,
    sum: Option<f64>,
    count: Option<f64>,
    /// Something of it cannot be a part of a whole.
    odd: bool,
    samples: usize,
    example: Option<(&'a Family, &'a Series)>,
}

impl<'a> Assembled<'a> {
    pub(super) fn new(first: &'a Family, whole: Whole) -> Self {
        Assembled { whole, help: &first.help, families: Vec::new() }
    }

    pub(super) fn add(&mut self, family: &'a Family, series: Vec<(&'a Series, Pushed<'a>)>) {
        self.families.push((family, series));
    }

    /// Writes the wholes, or where there is none the parts.
    pub(super) fn write(self, out: &mut Relayed, bytes: &mut Vec<u8>, base: &MetricName, is_free: bool) {
        let (labels, all) = self.put_together();
        let is_whole = |one: &One<'_>| is_free && one.is_whole(self.whole);
        if !all.iter().any(is_whole) {
            for (family, series) in &self.families {
                plain(out, bytes, family, series);
            }
            return;
        }
        let (kind, field) = match self.whole {
            Whole::Histogram => (MetricType::Histogram, 7),
            Whole::Summary => (MetricType::Summary, 4),
        };
        head(bytes, base.as_str(), self.help, kind);
        let mut inner = Vec::new();
        for (labels, one) in labels.iter().zip(&all) {
            if is_whole(one) {
                one.write(&mut inner, self.whole);
                metric(bytes, labels, field, &inner);
                out.samples += one.samples;
            } else if let Some((family, series)) = one.example {
                out.leave_out(Why::Incomplete, one.samples, &family.name, &series.labels);
            }
        }
        wire::varint(&mut out.body, bytes.len() as u64);
        out.body.extend_from_slice(bytes);
    }

    /// The labels of each without that of its steps, and its parts, in the page's order.
    fn put_together(&self) -> (Vec<Pushed<'a>>, Vec<One<'a>>) {
        let mut places: HashMap<Pushed<'a>, usize> = HashMap::new();
        let (mut labels, mut all): (Vec<Pushed<'a>>, Vec<One<'a>>) = (Vec::new(), Vec::new());
        for (family, series) in &self.families {
            let part = Parts::of(family);
            for (series, own) in series {
                let mut key = own.clone();
                let step = key.iter().position(|(name, _)| *name == self.whole.label());
                let step = step.map(|place| key.remove(place).1);
                let place = *places.entry(key).or_insert_with_key(|key| {
                    labels.push(key.clone());
                    all.push(One::default());
                    all.len() - 1
                });
                let one = &mut all[place];
                one.samples += 1;
                one.example.get_or_insert((family, series));
                one.add(part, step, series.value.get());
            }
        }
        (labels, all)
    }
}

impl One<'_> {
    fn add(&mut self, part: Option<Parts>, step: Option<&str>, value: f64) {
        let place = match (part, step) {
            (Some(Parts::Steps(_)), Some(step)) => {
                match step.parse::<f64>() {
                    Ok(step) if !step.is_nan() => self.steps.push((step, value)),
                    _ => self.odd = true,
                }
                return;
            }
            (Some(Parts::Sum(_)), None) => &mut self.sum,
            (Some(Parts::Count(_)), None) => &mut self.count,
            _ => {
                self.odd = true;
                return;
            }
        };
        *place = Some(value);
    }

    /// Whether the gateway will show just these samples of it.
    fn is_whole(&self, whole: Whole) -> bool {
        let mut bounds: Vec<f64> = self.steps.iter().map(|(step, _)| *step).collect();
        bounds.sort_by(f64::total_cmp);
        let distinct = bounds.windows(2).all(|two| two[0] != two[1]);
        let steps = match whole {
            Whole::Histogram => {
                bounds.last() == Some(&f64::INFINITY) && self.steps.iter().all(|(_, n)| counted(*n).is_some())
            }
            Whole::Summary => true,
        };
        !self.odd && distinct && steps && self.sum.is_some() && self.count.and_then(counted).is_some()
    }

    fn write(&self, bytes: &mut Vec<u8>, whole: Whole) {
        bytes.clear();
        bytes.push(1 << 3);
        wire::varint(bytes, self.count.and_then(counted).unwrap_or_default());
        double(bytes, 2, self.sum.unwrap_or_default());
        let mut steps = self.steps.clone();
        steps.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut inner = Vec::new();
        for (step, value) in steps {
            inner.clear();
            match whole {
                Whole::Histogram => {
                    inner.push(1 << 3);
                    wire::varint(&mut inner, counted(value).unwrap_or_default());
                    double(&mut inner, 2, step);
                }
                Whole::Summary => {
                    double(&mut inner, 1, step);
                    double(&mut inner, 2, value);
                }
            }
            wire::text(bytes, 3, &inner);
        }
    }
}

/// A count as a whole number that comes back as the same value.
fn counted(value: f64) -> Option<u64> {
    // Above it a double is no single number any more; the largest that is written in full.
    const MOST: f64 = 9_007_199_254_740_992.0;
    let whole = (0.0..=MOST).contains(&value) && value.fract() == 0.0;
    whole.then_some(value as u64)
}
