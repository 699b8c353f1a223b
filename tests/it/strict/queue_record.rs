//! The queue's own record, version 2.

use std::collections::HashSet;

use super::wire::{Value, fields, unknown};
use super::{Pairs, check_labels};

#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub families: Vec<Family>,
    pub series: Vec<Series>,
}

#[derive(Clone, Debug, PartialEq)]
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
}

pub fn read(bytes: &[u8]) -> Result<Record, String> {
    let mut parts = [Value::Bytes(&[]); 5];
    let all = fields(bytes, &[1, 2, 3, 4, 5, 6])?;
    for (expected, (number, value)) in (1..).zip(&all) {
        match number {
            5 | 6 => return Err("no sample of ours has a time of its own or a start".into()),
            1..=4 if *number == expected => parts[expected as usize] = *value,
            1..=4 => return Err(format!("field {number} stands where field {expected} should")),
            other => return unknown("Record", *other),
        }
    }
    if parts[1] != Value::Varint(2) {
        return Err("the version is not 2".into());
    }
    // What is zero may be left out.
    let timestamp = if all.len() < 4 { 0 } else { parts[4].int64()? };
    let (values, rest) = parts[3].bytes()?.as_chunks::<8>();
    if !rest.is_empty() {
        return Err("a value is cut off".into());
    }
    let Layout { families, mut series } = layout(parts[2].bytes()?)?;
    if values.len() != series.len() {
        return Err(format!("there are {} values for {} series", values.len(), series.len()));
    }
    for (one, value) in series.iter_mut().zip(values) {
        (one.value, one.timestamp) = (u64::from_le_bytes(*value), timestamp);
    }
    Ok(Record { families, series })
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
    if families.iter().map(|family| &family.name).collect::<HashSet<_>>().len() != families.len() {
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
    let mut one = Series { labels: Pairs::new(), family: 0, value: 0, timestamp: 0 };
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
    if name.1 != family.name {
        return Err(format!("{} stands in the family {}", name.1, family.name));
    }
    Ok(one)
}
