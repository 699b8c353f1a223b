//! The queue's own record, version 1.

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
    let all = fields(bytes, &[1])?;
    if all.first() != Some(&(1, Value::Varint(1))) {
        return Err("the version is not 1".into());
    }
    let mut symbols = Vec::new();
    for (number, value) in &all[1..] {
        match number {
            2 => symbols.push(value.text()?),
            3 | 4 => {}
            other => return unknown("Record", *other),
        }
    }
    if symbols.first().is_none_or(|first| !first.is_empty()) {
        return Err("the first symbol is not empty".into());
    }
    if symbols.iter().collect::<HashSet<_>>().len() != symbols.len() {
        return Err("a symbol stands twice".into());
    }
    let of = |wanted: u32| all.iter().filter(move |(number, _)| *number == wanted).map(|(_, value)| *value);
    let families = of(3).map(|value| family(value, &symbols)).collect::<Result<Vec<_>, _>>()?;
    let series = of(4).map(|value| series(value, &symbols, &families)).collect::<Result<Vec<_>, _>>()?;
    if families.iter().map(|family| &family.name).collect::<HashSet<_>>().len() != families.len() {
        return Err("a family stands twice".into());
    }
    if series.iter().map(|series| &series.labels).collect::<HashSet<_>>().len() != series.len() {
        return Err("a series stands twice".into());
    }
    Ok(Record { families, series })
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
    for (number, value) in fields(value.bytes()?, &[1, 2, 3, 4, 5])? {
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
            3 => one.value = value.fixed64()?,
            4 => one.timestamp = value.int64()?,
            5 => return Err("no series of ours has a start".into()),
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
