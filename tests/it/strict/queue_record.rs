//! The queue's own record, version 2.

use std::collections::HashSet;

use super::wire::{Value, fields, unknown};
use super::{Pairs, check_labels};

#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub families: Vec<Family>,
    pub series: Vec<Series>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Family {
    pub name: String,
    pub kind: u64,
    pub help: String,
    pub unit: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub labels: Pairs,
    /// Position in the families.
    pub family: usize,
    /// The value's bits.
    pub value: u64,
    pub timestamp: i64,
    /// 0: not known.
    pub start: i64,
    /// Labels, the value's bits, the time.
    pub exemplars: Vec<(Pairs, u64, i64)>,
}

pub fn read(bytes: &[u8]) -> Result<Record, String> {
    let mut parts = [Value::Bytes(&[]); 7];
    let (mut exemplars, mut before) = (Vec::new(), 0);
    for (number, value) in fields(bytes, &[1, 2, 3, 4, 5, 6])? {
        // What is zero may be left out, but for the first three.
        let next = number > before && (number <= before + 1 || before >= 3) || number == 7 && before == 7;
        match number {
            1..=7 if !next => return Err(format!("field {number} stands behind field {before}")),
            1..=6 => parts[number as usize] = value,
            7 => exemplars.push(value),
            other => return unknown("Record", other),
        }
        before = number;
    }
    if parts[1] != Value::Varint(2) {
        return Err("the version is not 2".into());
    }
    let timestamp = if parts[4] == Value::Bytes(&[]) { 0 } else { parts[4].int64()? };
    let times = parts[5].numbers()?.into_iter().map(zigzag).collect::<Vec<i64>>();
    let starts = parts[6].numbers()?.into_iter().map(u64::cast_signed).collect::<Vec<i64>>();
    let (values, rest) = parts[3].bytes()?.as_chunks::<8>();
    if !rest.is_empty() {
        return Err("a value is cut off".into());
    }
    let Layout { families, mut series } = layout(parts[2].bytes()?)?;
    if values.len() != series.len() {
        return Err(format!("there are {} values for {} series", values.len(), series.len()));
    }
    for (list, what) in [(&times, "times"), (&starts, "starts")] {
        if !list.is_empty() && (list.len() != series.len() || list.iter().all(|number| *number == 0)) {
            return Err(format!(
                "there are {} {what} for {} series, or none is told",
                list.len(),
                series.len()
            ));
        }
    }
    for (at, (one, value)) in series.iter_mut().zip(values).enumerate() {
        (one.value, one.timestamp) = (u64::from_le_bytes(*value), timestamp);
        one.timestamp += times.get(at).unwrap_or(&0);
        one.start = starts.get(at).copied().unwrap_or(0);
        if one.start < 0 || one.start != 0 && one.start >= one.timestamp {
            return Err(format!("a sample of {} began at {}", one.timestamp, one.start));
        }
    }
    let mut before = 0;
    for value in exemplars {
        let (at, labels, bits, late) = exemplar(value)?;
        let one = series
            .get_mut(at)
            .filter(|_| at >= before)
            .ok_or("an exemplar is of no series, or out of order")?;
        one.exemplars.push((labels, bits, one.timestamp + late));
        before = at;
    }
    Ok(Record { families, series })
}

fn zigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

/// Series, labels, the value's bits, and by how much it is later than its sample.
fn exemplar(value: Value<'_>) -> Result<(usize, Pairs, u64, i64), String> {
    let (mut at, mut texts, mut bits, mut late) = (0, Vec::new(), 0, 0);
    for (number, value) in fields(value.bytes()?, &[1, 3, 4])? {
        match number {
            1 => at = value.uint32()? as usize,
            2 => texts.push(value.text()?),
            3 => bits = value.fixed64()?,
            4 => late = zigzag(value.varint()?),
            other => return unknown("Exemplar", other),
        }
    }
    let (pairs, half) = texts.as_chunks::<2>();
    if !half.is_empty() {
        return Err("an exemplar has half a label".into());
    }
    let labels: Pairs = pairs.iter().map(|[name, value]| (name.clone(), value.clone())).collect();
    check_labels(&labels)?;
    Ok((at, labels, bits, late))
}

struct Layout {
    families: Vec<Family>,
    series: Vec<Series>,
}

fn layout(bytes: &[u8]) -> Result<Layout, String> {
    let all = fields(bytes, &[])?;
    let mut symbols = Vec::new();
    for (number, value) in &all {
        match number {
            1 => symbols.push(value.text()?),
            2 | 3 => {}
            other => return unknown("Layout", *other),
        }
    }
    if symbols.first().is_none_or(|first| !first.is_empty()) {
        return Err("the first symbol is not empty".into());
    }
    if symbols.iter().collect::<HashSet<_>>().len() != symbols.len() {
        return Err("a symbol stands twice".into());
    }
    let of = |wanted: u32| all.iter().filter(move |(number, _)| *number == wanted).map(|(_, value)| *value);
    let families = of(2).map(|value| family(value, &symbols)).collect::<Result<Vec<_>, _>>()?;
    let series = of(3).map(|value| series(value, &symbols, &families)).collect::<Result<Vec<_>, _>>()?;
    if families.iter().collect::<HashSet<_>>().len() != families.len() {
        return Err("a family stands twice".into());
    }
    if series.iter().map(|series| &series.labels).collect::<HashSet<_>>().len() != series.len() {
        return Err("a series stands twice".into());
    }
    Ok(Layout { families, series })
}

fn symbol(symbols: &[String], at: u32) -> Result<String, String> {
    symbols.get(at as usize).cloned().ok_or(format!("there is no symbol {at}"))
}

fn family(value: Value<'_>, symbols: &[String]) -> Result<Family, String> {
    let mut refs = [0; 5];
    for (number, value) in fields(value.bytes()?, &[1, 2, 3, 4])? {
        match number {
            1..=4 => refs[number as usize] = value.uint32()?,
            other => return unknown("Family", other),
        }
    }
    let text = |at: usize| symbol(symbols, refs[at]);
    Ok(Family { name: text(1)?, kind: u64::from(refs[2]), help: text(3)?, unit: text(4)? })
}

fn series(value: Value<'_>, symbols: &[String], families: &[Family]) -> Result<Series, String> {
    let (labels, exemplars) = (Pairs::new(), Vec::new());
    let mut one = Series { labels, family: 0, value: 0, timestamp: 0, start: 0, exemplars };
    for (number, value) in fields(value.bytes()?, &[1, 2])? {
        match number {
            1 => {
                let refs = value.packed()?;
                if refs.len() % 2 == 1 {
                    return Err("the references of labels are odd in number".into());
                }
                for pair in refs.chunks_exact(2) {
                    one.labels.push((symbol(symbols, pair[0])?, symbol(symbols, pair[1])?));
                }
            }
            2 => one.family = value.uint32()? as usize,
            other => return unknown("Series", other),
        }
    }
    check_labels(&one.labels)?;
    let family = families.get(one.family).ok_or(format!("there is no family {}", one.family))?;
    let name = one.labels.iter().find(|(name, _)| name == "__name__").ok_or("a series has no name")?;
    // A part of it, as `a_bucket` of `a`.
    if !name.1.starts_with(&family.name) {
        return Err(format!("{} stands in the family {}", name.1, family.name));
    }
    Ok(one)
}
