//! What a Pushgateway is sent of a relayed page: the families of one target go in, out comes the body of its
//! group, and what a gateway cannot hold. Written by hand, so that a large page is not copied into messages first
//! (a test holds the bytes to the generated types).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::assemble::{Assembled, Parts, Whole};
use crate::encode::wire;
use crate::pb::metric_family::MetricType;
use crate::sample::{Family, Kind, LabelName, Labels, MetricName, Series, SeriesId};

/// A series' labels as they are pushed: sorted, without those of the group.
pub(super) type Pushed<'a> = Vec<(Cow<'a, str>, &'a str)>;

/// Why samples are not in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// The gateway has metrics of its own under such names.
    Reserved,
    /// The name or a label's name is not of letters, digits and underscores, or begins with `__`.
    Name,
    /// Parts of a histogram or summary of which the others are missing, or are no numbers that one can have.
    Incomplete,
    /// With the group's labels it would be equal to another one.
    Twice,
}

impl Why {
    /// As it stands in the label `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::Reserved => "reserved_name",
            Why::Name => "name",
            Why::Incomplete => "incomplete",
            Why::Twice => "twice",
        }
    }
}

/// Samples that are not in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// How many.
    pub samples: usize,
    /// One of their series.
    pub example: String,
}

/// A group's body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    /// Delimited families.
    pub body: Vec<u8>,
    /// How many samples of the page are in it.
    pub samples: usize,
    /// And which are not.
    pub left_out: BTreeMap<Why, LeftOut>,
}

impl Relayed {
    pub(super) fn leave_out(&mut self, why: Why, samples: usize, name: &MetricName, labels: &Labels) {
        let example = || SeriesId { name: name.clone(), labels: labels.clone() }.to_string();
        let known = self.left_out.entry(why).or_insert_with(|| LeftOut { samples: 0, example: example() });
        known.samples += samples;
    }
}

/// The body for a group with these labels.
///
/// A label of the group is not told again in the body. Where a series has another value for it (a page whose
/// labels are honoured), it is told under `exported_…`, as Prometheus names what gives way: the gateway would
/// overwrite it without a word. Histograms and summaries are put together of their parts. Those that are not whole are
/// left out beside whole ones of the same name, which a gateway refuses to have in both forms; where none is
/// whole, their parts are pushed as they are, without a type.
pub fn relayed<'a>(
    families: impl IntoIterator<Item = &'a Family>,
    group: &[(&str, &str)],
    is_reserved: impl Fn(&str) -> bool,
) -> Relayed {
    let mut out = Relayed::default();
    let mut assembled: Vec<(&MetricName, Assembled<'_>)> = Vec::new();
    let mut by_name: HashMap<(&MetricName, Whole), usize> = HashMap::new();
    let mut names: HashSet<&str> = HashSet::new();
    let mut family_bytes = Vec::new();
    for family in families {
        let why = if is_reserved(family.name.as_str()) {
            Some(Why::Reserved)
        } else {
            MetricName::new(family.name.as_str()).is_err().then_some(Why::Name)
        };
        let alive = family.series.iter().filter(|series| !series.value.is_stale());
        if let Some(why) = why {
            alive.for_each(|series| out.leave_out(why, 1, &family.name, &series.labels));
            continue;
        }
        let series = pushed(family, alive, group, &mut out);
        let base = family.described_as();
        let part = Parts::of(family).filter(|_| MetricName::new(base.as_str()).is_ok());
        if let Some(part) = part {
            let place = *by_name.entry((base, part.whole())).or_insert_with(|| {
                assembled.push((base, Assembled::new(family, part.whole())));
                assembled.len() - 1
            });
            assembled[place].1.add(family, series);
            continue;
        }
        names.insert(family.name.as_str());
        plain(&mut out, &mut family_bytes, family, &series);
    }
    for (base, whole) in assembled {
        let is_free = names.insert(base.as_str());
        whole.write(&mut out, &mut family_bytes, base, is_free);
    }
    out
}

/// A family's series with the labels that are pushed, each once.
fn pushed<'a>(
    family: &'a Family,
    alive: impl Iterator<Item = &'a Series>,
    group: &[(&str, &str)],
    out: &mut Relayed,
) -> Vec<(&'a Series, Pushed<'a>)> {
    let mut all = Vec::new();
    let (mut shape, mut mixed) = (None, false);
    for series in alive {
        let Some((labels, own)) = body_labels(&series.labels, group) else {
            out.leave_out(Why::Name, 1, &family.name, &series.labels);
            continue;
        };
        // Series that lose and keep the same labels stay as different as they were.
        mixed |= *shape.get_or_insert(own) != own || own.renamed;
        all.push((series, labels));
    }
    if mixed {
        let mut seen = HashSet::new();
        let twins: Vec<bool> = all.iter().map(|(_, labels)| !seen.insert(labels)).collect();
        drop(seen);
        let mut twins = twins.into_iter();
        all.retain(|(series, _)| {
            let is_twin = twins.next().unwrap_or(false);
            if is_twin {
                out.leave_out(Why::Twice, 1, &family.name, &series.labels);
            }
            !is_twin
        });
    }
    all
}

/// Which of the group's labels a series has.
#[derive(Clone, Copy, PartialEq)]
struct Shape {
    /// A bit for each that it has with the group's value.
    lost: u64,
    renamed: bool,
}

/// The labels that are pushed; none where a gateway refuses one of their names.
fn body_labels<'a>(labels: &'a Labels, group: &[(&str, &str)]) -> Option<(Pushed<'a>, Shape)> {
    let mut all: Pushed<'a> = Vec::with_capacity(labels.iter().count());
    let mut shape = Shape { lost: 0, renamed: false };
    for label in labels.iter() {
        let name = label.name;
        if name.starts_with("__") || LabelName::new(name).is_err() {
            return None;
        }
        match group.iter().position(|(grouping, _)| *grouping == name) {
            Some(place) if group[place].1 == label.value => shape.lost |= 1 << (place % 64),
            Some(_) => {
                let mut free = format!("exported_{name}");
                while labels.get(&free).is_some() || group.iter().any(|(grouping, _)| *grouping == free) {
                    free.insert_str(0, "exported_");
                }
                shape.renamed = true;
                all.push((Cow::Owned(free), label.value));
            }
            None => all.push((Cow::Borrowed(name), label.value)),
        }
    }
    if shape.renamed {
        all.sort();
    }
    Some((all, shape))
}

/// A family of single values.
pub(super) fn plain(
    out: &mut Relayed,
    bytes: &mut Vec<u8>,
    family: &Family,
    series: &[(&Series, Pushed<'_>)],
) {
    if series.is_empty() {
        return;
    }
    let (kind, field) = match family.kind {
        Kind::Counter => (MetricType::Counter, 3),
        Kind::Gauge | Kind::Info | Kind::StateSet => (MetricType::Gauge, 2),
        Kind::Unknown | Kind::Histogram | Kind::GaugeHistogram | Kind::Summary => (MetricType::Untyped, 5),
    };
    head(bytes, family.name.as_str(), &family.help, kind);
    let mut one = Vec::new();
    for (series, labels) in series {
        one.clear();
        double(&mut one, 1, series.value.get());
        metric(bytes, labels, field, &one);
    }
    out.samples += series.len();
    wire::varint(&mut out.body, bytes.len() as u64);
    out.body.extend_from_slice(bytes);
}

/// A family's beginning.
pub(super) fn head(bytes: &mut Vec<u8>, name: &str, help: &str, kind: MetricType) {
    bytes.clear();
    wire::text(bytes, 1, name.as_bytes());
    wire::text(bytes, 2, help.as_bytes());
    bytes.push(3 << 3);
    wire::varint(bytes, kind as u64);
}

/// A metric: its labels, and its value in the field of its type.
pub(super) fn metric(bytes: &mut Vec<u8>, labels: &Pushed<'_>, field: u32, value: &[u8]) {
    let pair =
        |(name, value): &(Cow<'_, str>, &str)| wire::length_len(name.len()) + wire::length_len(value.len());
    let size: usize = labels.iter().map(|label| wire::length_len(pair(label))).sum();
    wire::length(bytes, 4, size + wire::length_len(value.len()));
    for label in labels {
        wire::length(bytes, 1, pair(label));
        wire::text(bytes, 1, label.0.as_bytes());
        wire::text(bytes, 2, label.1.as_bytes());
    }
    wire::text(bytes, field, value);
}

/// A double; in proto2 a field that is set is written, whatever its value.
pub(super) fn double(bytes: &mut Vec<u8>, field: u32, value: f64) {
    bytes.push((field << 3 | 1) as u8);
    bytes.extend_from_slice(&value.to_bits().to_le_bytes());
}
