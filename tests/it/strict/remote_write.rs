//! Remote write 1.0 (`prometheus.WriteRequest`) and 2.0 (`io.prometheus.write.v2.Request`), before compression.

use std::collections::HashSet;

use super::wire::{Value, fields, unknown};
use super::{Pairs, check_labels, is_name};

const NAME: &str = "__name__";

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    pub series: Vec<Series>,
    /// Of 1.0.
    pub metadata: Vec<(String, Metadata)>,
    /// Of 2.0.
    pub symbols: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub labels: Pairs,
    /// The value's bits.
    pub value: u64,
    pub timestamp: i64,
    /// Of 2.0; 0: not known.
    pub start: i64,
    /// Labels, the value's bits, the time.
    pub exemplars: Vec<Exemplar>,
    /// Of 2.0.
    pub metadata: Metadata,
}

pub type Exemplar = (Pairs, u64, i64);

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    pub kind: u64,
    pub help: String,
    pub unit: String,
}

impl Metadata {
    fn checked(self) -> Result<Self, String> {
        // Numbers of both versions, from nothing to stateset.
        if self.kind < 8 { Ok(self) } else { Err(format!("{} is no type of ours", self.kind)) }
    }
}

/// Reads a request of 1.0; each series has one sample.
pub fn one(bytes: &[u8]) -> Result<Request, String> {
    let mut request = Request::default();
    for (number, value) in fields(bytes, &[])? {
        match number {
            1 => request.series.push(series_of_one(value)?),
            3 => {
                let entry = metadata_of_one(value)?;
                if request.metadata.iter().any(|(name, _)| *name == entry.0) {
                    return Err(format!("the metadata of {} stand twice", entry.0));
                }
                request.metadata.push(entry);
            }
            other => return unknown("WriteRequest", other),
        }
    }
    checked(request)
}

fn series_of_one(value: Value<'_>) -> Result<Series, String> {
    let (mut labels, mut sample, mut exemplars) = (Pairs::new(), None, Vec::new());
    for (number, value) in fields(value.bytes()?, &[2])? {
        match number {
            1 => labels.push(label(value)?),
            2 => sample = Some(self::sample(value, false)?),
            3 => exemplars.push(exemplar(value, |value, labels| {
                labels.push(label(value)?);
                Ok(())
            })?),
            other => return unknown("TimeSeries", other),
        }
    }
    let (value, timestamp, start) = sample.ok_or("a series without a sample")?;
    Ok(Series { labels, value, timestamp, start, exemplars, metadata: Metadata::default() })
}

pub fn label(value: Value<'_>) -> Result<(String, String), String> {
    let (mut name, mut text) = (String::new(), String::new());
    for (number, value) in fields(value.bytes()?, &[1, 2])? {
        match number {
            1 => name = value.text()?,
            2 => text = value.text()?,
            other => return unknown("Label", other),
        }
    }
    Ok((name, text))
}

/// An exemplar of either version; they differ in their labels.
fn exemplar(
    value: Value<'_>,
    mut more_labels: impl FnMut(Value<'_>, &mut Pairs) -> Result<(), String>,
) -> Result<Exemplar, String> {
    let (mut labels, mut bits, mut timestamp) = (Pairs::new(), 0, 0);
    for (number, value) in fields(value.bytes()?, &[2, 3])? {
        match number {
            1 => more_labels(value, &mut labels)?,
            2 => bits = value.fixed64()?,
            3 => timestamp = value.int64()?,
            other => return unknown("Exemplar", other),
        }
    }
    if timestamp == 0 {
        return Err("an exemplar without a time".into());
    }
    check_labels(&labels)?;
    Ok((labels, bits, timestamp))
}

fn metadata_of_one(value: Value<'_>) -> Result<(String, Metadata), String> {
    let (mut name, mut metadata) = (String::new(), Metadata::default());
    for (number, value) in fields(value.bytes()?, &[1, 2, 4, 5])? {
        match number {
            1 => metadata.kind = value.varint()?,
            2 => name = value.text()?,
            4 => metadata.help = value.text()?,
            5 => metadata.unit = value.text()?,
            other => return unknown("MetricMetadata", other),
        }
    }
    if !is_name(&name, true) {
        return Err(format!("{name:?} is no name of a family"));
    }
    Ok((name, metadata.checked()?))
}

/// Reads a request of 2.0; each series has one sample and metadata.
pub fn two(bytes: &[u8]) -> Result<Request, String> {
    let mut request = Request::default();
    let all = fields(bytes, &[])?;
    for (number, value) in &all {
        match number {
            4 => request.symbols.push(value.text()?),
            5 => {}
            other => return unknown("Request", *other),
        }
    }
    check_symbols(&request.symbols)?;
    let mut used = vec![false; request.symbols.len()];
    used[0] = true;
    for (_, value) in all.iter().filter(|(number, _)| *number == 5) {
        let series = series_of_two(*value, &request.symbols, &mut used)?;
        request.series.push(series);
    }
    if let Some(idle) = used.iter().position(|used| !used) {
        return Err(format!("the symbol {:?} is used by nothing", request.symbols[idle]));
    }
    checked(request)
}

/// Of a request of 2.0: the first is empty, and none stands twice.
pub fn check_symbols(symbols: &[String]) -> Result<(), String> {
    if symbols.first().is_none_or(|first| !first.is_empty()) {
        return Err("the first symbol is not empty".into());
    }
    let mut seen = HashSet::new();
    match symbols.iter().find(|symbol| !seen.insert(symbol.as_str())) {
        Some(twin) => Err(format!("the symbol {twin:?} stands twice")),
        None => Ok(()),
    }
}

fn series_of_two(value: Value<'_>, symbols: &[String], used: &mut [bool]) -> Result<Series, String> {
    let mut symbol = |at: u32| -> Result<String, String> {
        let text = symbols.get(at as usize).ok_or(format!("there is no symbol {at}"))?;
        used[at as usize] = true;
        Ok(text.clone())
    };
    let (mut refs, mut sample, mut metadata) = (Vec::new(), None, Metadata::default());
    let mut exemplars = Vec::new();
    for (number, value) in fields(value.bytes()?, &[1, 2, 5])? {
        match number {
            1 => refs = value.packed()?,
            2 => sample = Some(self::sample(value, true)?),
            4 => exemplars.push(exemplar(value, |value, labels| {
                let refs = value.packed()?;
                if refs.len() % 2 == 1 {
                    return Err("the references of labels are odd in number".into());
                }
                for pair in refs.chunks_exact(2) {
                    labels.push((symbol(pair[0])?, symbol(pair[1])?));
                }
                Ok(())
            })?),
            5 => {
                for (number, value) in fields(value.bytes()?, &[1, 3, 4])? {
                    match number {
                        1 => metadata.kind = value.varint()?,
                        3 => metadata.help = symbol(value.uint32()?)?,
                        4 => metadata.unit = symbol(value.uint32()?)?,
                        other => return unknown("Metadata", other),
                    }
                }
            }
            other => return unknown("TimeSeries", other),
        }
    }
    if refs.len() % 2 == 1 {
        return Err("the references of labels are odd in number".into());
    }
    let (value, timestamp, start) = sample.ok_or("a series without a sample")?;
    let metadata = metadata.checked()?;
    // Counter, histogram, summary.
    if start != 0 && ![1, 3, 5].contains(&metadata.kind) {
        return Err("what counts nothing has a start".into());
    }
    if start != 0 && start >= timestamp {
        return Err(format!("a sample of {timestamp} began at {start}"));
    }
    let labels = refs.chunks_exact(2).map(|pair| Ok((symbol(pair[0])?, symbol(pair[1])?)));
    let labels = labels.collect::<Result<Pairs, String>>()?;
    Ok(Series { labels, value, timestamp, start, exemplars, metadata })
}

/// Value, time and start; what is zero may be left out.
fn sample(value: Value<'_>, has_start: bool) -> Result<(u64, i64, i64), String> {
    let (mut bits, mut timestamp, mut start) = (0, 0, 0);
    for (number, value) in fields(value.bytes()?, &[1, 2, 3])? {
        match number {
            1 => bits = value.fixed64()?,
            2 => timestamp = value.int64()?,
            3 if has_start => start = value.int64()?,
            other => return unknown("Sample", other),
        }
    }
    Ok((bits, timestamp, start))
}

fn checked(request: Request) -> Result<Request, String> {
    let mut seen = HashSet::new();
    for series in &request.series {
        check_labels(&series.labels)?;
        let name = series.labels.iter().find(|(name, _)| name == NAME).ok_or("a series has no name")?;
        if !is_name(&name.1, true) {
            return Err(format!("{:?} is no metric name", name.1));
        }
        if !seen.insert(&series.labels) {
            return Err(format!("a series stands twice: {:?}", series.labels));
        }
    }
    Ok(request)
}
