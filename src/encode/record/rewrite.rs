//! A record under other labels: which of its series there are, and what they are called.

use std::collections::HashMap;
use std::sync::Arc;

use prost::Message;

use super::builder::count;
use super::flat::{Flat, Observed};
use super::layout::{Layout, Place};
use crate::encode::EncodeError;
use crate::pb::record as pb;
use crate::sample::{METRIC_NAME, Text};

/// A series under its new labels, its name among them, sorted.
pub(in crate::encode) struct Renamed {
    /// Where it stands in the old layout.
    pub(in crate::encode) at: u32,
    pub(in crate::encode) labels: Vec<(Text, Text)>,
}

/// The layout of these series of a record, in their order.
pub(in crate::encode) fn layout(record: &Flat, series: &[Renamed]) -> Result<Layout, EncodeError> {
    let mut symbols = Symbols::default();
    symbols.number("");
    let (mut families, mut numbers) = (Vec::new(), HashMap::new());
    let mut all = Vec::with_capacity(series.len());
    for Renamed { at, labels } in series {
        let mut label_refs = Vec::with_capacity(2 * labels.len());
        for (name, value) in labels {
            label_refs.extend([symbols.number(name), symbols.number(value)]);
        }
        let family = record.family_of(*at as usize);
        let name = labels.iter().find(|(name, _)| **name == *METRIC_NAME).map_or("", |(_, value)| &**value);
        let told_as = told_as(record, *at, name);
        let number = *numbers.entry((family, told_as.clone())).or_insert_with(|| {
            let of = record.family(family).copied().unwrap_or_default();
            let mut text = |position| symbols.number(&String::from_utf8_lossy(record.symbol(position)));
            let (help_ref, unit_ref) = (text(of.help_ref), text(of.unit_ref));
            families.push(pb::Family {
                name_ref: symbols.number(&told_as),
                help_ref,
                unit_ref,
                kind: of.kind,
            });
            count(families.len() - 1)
        });
        all.push(pb::Series { label_refs, family: number });
    }
    let layout = pb::Layout { symbols: symbols.texts, families, series: all };
    Layout::read(layout.encode_to_vec().into())
}

/// The name under which type and help of a series are told that is called `name` now: what is told of `a` for
/// `a_bucket` is told of `b` for `b_bucket`.
fn told_as(record: &Flat, at: u32, name: &str) -> String {
    let family = record.family(record.family_of(at as usize));
    let told =
        family.map_or(String::new(), |f| String::from_utf8_lossy(record.symbol(f.name_ref)).into_owned());
    let before = record.name_of(at as usize);
    if before == name {
        return told;
    }
    let ending = before.strip_prefix(&*told).filter(|ending| !ending.is_empty());
    ending
        .and_then(|ending| name.strip_suffix(ending))
        .filter(|told| !told.is_empty())
        .unwrap_or(name)
        .to_owned()
}

/// Each text once.
#[derive(Default)]
struct Symbols {
    texts: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Symbols {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(known) = self.numbers.get(text) {
            return *known;
        }
        let number = count(self.texts.len());
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

impl Flat {
    /// The record with these of its samples under another layout, which has as many series.
    pub(in crate::encode) fn under(&self, layout: Arc<Layout>, kept: &[u32]) -> Flat {
        let all = self.values(0..self.series_count());
        let mut bytes: Vec<u8> =
            kept.iter().flat_map(|at| all.get(*at as usize).copied().unwrap_or_default()).collect();
        let values = 0..bytes.len();
        let mut exemplars = Vec::new();
        if self.has_exemplars() {
            for (series, at) in (0..).zip(kept) {
                for one in self.exemplars(*at as usize) {
                    let texts = one.texts.iter().map(|place| push(&mut bytes, self.text(*place))).collect();
                    exemplars.push(Observed { series, texts, ..*one });
                }
            }
        }
        let times = |list: &[i64]| match list.is_empty() {
            true => Vec::new(),
            false => kept.iter().map(|at| list.get(*at as usize).copied().unwrap_or(0)).collect(),
        };
        self.with_parts(bytes.into(), layout, values, times, exemplars)
    }
}

fn push(bytes: &mut Vec<u8>, text: &[u8]) -> Place {
    let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let start = place(bytes.len());
    bytes.extend_from_slice(text);
    Place { start, end: place(bytes.len()) }
}
