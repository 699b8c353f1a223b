//! `io.prometheus.client.MetricFamily`, each with its length before it: what a Pushgateway is sent.

use std::collections::HashSet;

use super::wire::{Value, delimited, fields, unknown};
use super::{Pairs, check_labels, is_name};

#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    pub name: String,
    pub help: String,
    /// 0 counter, 1 gauge, 3 untyped.
    pub kind: u64,
    /// Labels and the value's bits.
    pub metrics: Vec<(Pairs, u64)>,
}

pub fn read(mut body: &[u8]) -> Result<Vec<Family>, String> {
    let (mut all, mut names): (Vec<Family>, _) = (Vec::new(), HashSet::new());
    while !body.is_empty() {
        let family = family(delimited(&mut body)?)?;
        if !names.insert(family.name.clone()) {
            return Err(format!("the family {} stands twice", family.name));
        }
        all.push(family);
    }
    Ok(all)
}

fn family(bytes: &[u8]) -> Result<Family, String> {
    let (mut name, mut help, mut kind, mut metrics) = (None, None, None, Vec::new());
    for (number, value) in fields(bytes, &[1, 2, 3, 5])? {
        match number {
            1 => name = Some(value.text()?),
            2 => help = Some(value.text()?),
            3 => kind = Some(value.varint()?),
            4 => metrics.push(value.bytes()?),
            other => return unknown("MetricFamily", other),
        }
    }
    let name = name.filter(|name| is_name(name, true)).ok_or("a family without a name")?;
    let kind = kind.ok_or("a family without a type")?;
    let metrics = metrics.into_iter().map(|bytes| metric(bytes, kind)).collect::<Result<Vec<_>, _>>()?;
    let mut seen = HashSet::new();
    match metrics.iter().find(|(labels, _)| !seen.insert(labels)) {
        Some(twin) => Err(format!("a series of {name} stands twice: {:?}", twin.0)),
        None => Ok(Family { name, help: help.ok_or("a family without a help")?, kind, metrics }),
    }
}

fn metric(bytes: &[u8], kind: u64) -> Result<(Pairs, u64), String> {
    // Where a value of this type stands; 6 would be a timestamp, which a Pushgateway refuses.
    let place = match kind {
        0 => 3,
        1 => 2,
        3 => 5,
        other => return Err(format!("{other} is no type of ours")),
    };
    let (mut labels, mut bits) = (Pairs::new(), None);
    for (number, value) in fields(bytes, &[place])? {
        match number {
            1 => labels.push(label(value)?),
            other if other == place => bits = Some(inner(value)?),
            other => return Err(format!("a metric of the type {kind} has the field {other}")),
        }
    }
    check_labels(&labels)?;
    Ok((labels, bits.ok_or("a metric without a value")?))
}

fn label(value: Value<'_>) -> Result<(String, String), String> {
    let (mut name, mut text) = (None, None);
    for (number, value) in fields(value.bytes()?, &[1, 2])? {
        match number {
            1 => name = Some(value.text()?),
            2 => text = Some(value.text()?),
            other => return unknown("LabelPair", other),
        }
    }
    name.zip(text).ok_or_else(|| "a label without a name or a value".to_owned())
}

fn inner(value: Value<'_>) -> Result<u64, String> {
    match fields(value.bytes()?, &[1])?.as_slice() {
        [(1, value)] => value.fixed64(),
        _ => Err("a value is not one double".into()),
    }
}
