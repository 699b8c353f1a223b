//! What a remote-write request says, read from the wire alone: from 1.0 and 2.0 the same series. It reads what any
//! sender may write; what ours never has a reason to write is for [`Request::check`].

use std::collections::HashSet;

use crate::strict::Pairs;
use crate::strict::remote_write::{check_symbols, label};
use crate::strict::wire::{Value, fields, unknown};

/// A request of either version.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub series: Vec<Series>,
    /// Of 2.0.
    pub symbols: Vec<String>,
    /// Of 1.0.
    pub metadata: Vec<(String, Metadata)>,
}

#[derive(Clone, Debug, Default)]
pub struct Series {
    pub labels: Pairs,
    pub samples: Vec<Sample>,
    pub exemplars: Vec<Exemplar>,
    /// How many native histograms it has.
    pub histograms: usize,
    /// Of 2.0.
    pub metadata: Metadata,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    pub bits: u64,
    pub at: i64,
    /// Of 2.0; 0 where there is none.
    pub start: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    pub labels: Pairs,
    pub value: f64,
    pub at: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    pub kind: u64,
    pub help: String,
    pub unit: String,
}

/// The numbers of types, in both versions.
pub const COUNTER: u64 = 1;
pub const GAUGE: u64 = 2;
pub const HISTOGRAM: u64 = 3;
pub const SUMMARY: u64 = 5;

/// The stale marker's bits.
pub const STALE: u64 = 0x7ff0_0000_0000_0002;

impl Sample {
    pub fn value(self) -> f64 {
        f64::from_bits(self.bits)
    }
}

impl Series {
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    pub fn name(&self) -> &str {
        self.label("__name__").unwrap_or_default()
    }

    /// Its labels but for name, job and instance.
    pub fn own_labels(&self) -> Vec<(&str, &str)> {
        let own = self.labels.iter().filter(|(name, _)| !["__name__", "job", "instance"].contains(&&**name));
        own.map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// Its one sample.
    pub fn sample(&self) -> Sample {
        let [sample] = self.samples[..] else { panic!("not one sample: {self:?}") };
        sample
    }

    pub fn value(&self) -> f64 {
        self.sample().value()
    }
}

impl Request {
    /// The series of this name, in their order.
    pub fn all(&self, name: &str) -> Vec<&Series> {
        self.series.iter().filter(|series| series.name() == name).collect()
    }

    /// The one series of this name.
    pub fn one(&self, name: &str) -> &Series {
        match self.all(name)[..] {
            [one] => one,
            ref other => panic!("{} series of {name}, among {:?}", other.len(), self.names()),
        }
    }

    /// The names of its series, each as often as it has series.
    pub fn names(&self) -> Vec<&str> {
        self.series.iter().map(Series::name).collect()
    }

    /// Whether what ours writes is as it should be: labels, symbols, one sample of each series, each series once.
    pub fn check(&self) -> Result<(), String> {
        let mut seen = HashSet::new();
        for series in &self.series {
            check_labels(&series.labels)?;
            if series.name().is_empty() {
                return Err(format!("a series without a name: {:?}", series.labels));
            }
            if series.samples.len() != 1 || series.histograms != 0 {
                return Err(format!("not one sample and nothing else: {series:?}"));
            }
            if !seen.insert(&series.labels) {
                return Err(format!("a series stands twice: {:?}", series.labels));
            }
            for exemplar in &series.exemplars {
                check_labels(&exemplar.labels)?;
            }
            if series.metadata.kind > 7 {
                return Err(format!("{} is no type", series.metadata.kind));
            }
        }
        Ok(())
    }
}

/// Sorted by bytes, none twice, none empty.
fn check_labels(labels: &Pairs) -> Result<(), String> {
    if labels.iter().any(|(name, value)| name.is_empty() || value.is_empty()) {
        return Err(format!("an empty label name or value: {labels:?}"));
    }
    match labels.windows(2).find(|two| two[0].0.as_bytes() >= two[1].0.as_bytes()) {
        Some(two) => Err(format!("{:?} stands before {:?}", two[0].0, two[1].0)),
        None => Ok(()),
    }
}

/// Reads a body as it was sent: a snappy block of 1.0 or 2.0.
pub fn read(body: &[u8], is_two: bool) -> Result<Request, String> {
    // The framed format begins with this identifier.
    if body.starts_with(b"\xff\x06\x00\x00sNaPpY") {
        return Err("snappy's framed format".into());
    }
    let plain = snap::raw::Decoder::new().decompress_vec(body).map_err(|error| error.to_string())?;
    if is_two { two(&plain) } else { one(&plain) }
}

fn one(bytes: &[u8]) -> Result<Request, String> {
    let mut request = Request::default();
    for (number, value) in fields(bytes, &[])? {
        match number {
            1 => request.series.push(series_of_one(value)?),
            3 => {
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
                request.metadata.push((name, metadata));
            }
            other => return unknown("WriteRequest", other),
        }
    }
    Ok(request)
}

fn series_of_one(value: Value<'_>) -> Result<Series, String> {
    let mut series = Series::default();
    for (number, value) in fields(value.bytes()?, &[])? {
        match number {
            1 => series.labels.push(label(value)?),
            2 => series.samples.push(sample(value, false)?),
            3 => {
                let (mut labels, mut bits, mut at) = (Pairs::new(), 0, 0);
                for (number, value) in fields(value.bytes()?, &[2, 3])? {
                    match number {
                        1 => labels.push(label(value)?),
                        2 => bits = value.fixed64()?,
                        3 => at = value.int64()?,
                        other => return unknown("Exemplar", other),
                    }
                }
                series.exemplars.push(Exemplar { labels, value: f64::from_bits(bits), at });
            }
            4 => series.histograms += 1,
            other => return unknown("TimeSeries", other),
        }
    }
    Ok(series)
}

fn two(bytes: &[u8]) -> Result<Request, String> {
    let all = fields(bytes, &[])?;
    let mut request = Request::default();
    for (number, value) in &all {
        match number {
            4 => request.symbols.push(value.text()?),
            5 => {}
            other => return unknown("Request", *other),
        }
    }
    check_symbols(&request.symbols)?;
    for (_, value) in all.iter().filter(|(number, _)| *number == 5) {
        let series = series_of_two(*value, &request.symbols)?;
        request.series.push(series);
    }
    Ok(request)
}

fn series_of_two(value: Value<'_>, symbols: &[String]) -> Result<Series, String> {
    let text = |at: u32| symbols.get(at as usize).cloned().ok_or(format!("there is no symbol {at}"));
    let pairs = |value: Value<'_>| -> Result<Pairs, String> {
        let refs = value.packed()?;
        if refs.len() % 2 == 1 {
            return Err("the references of labels are odd in number".into());
        }
        refs.chunks_exact(2).map(|pair| Ok((text(pair[0])?, text(pair[1])?))).collect()
    };
    let mut series = Series::default();
    for (number, value) in fields(value.bytes()?, &[1, 5])? {
        match number {
            1 => series.labels = pairs(value)?,
            2 => series.samples.push(sample(value, true)?),
            3 => series.histograms += 1,
            4 => {
                let (mut labels, mut bits, mut at) = (Pairs::new(), 0, 0);
                for (number, value) in fields(value.bytes()?, &[1, 2, 3])? {
                    match number {
                        1 => labels = pairs(value)?,
                        2 => bits = value.fixed64()?,
                        3 => at = value.int64()?,
                        other => return unknown("Exemplar", other),
                    }
                }
                series.exemplars.push(Exemplar { labels, value: f64::from_bits(bits), at });
            }
            5 => {
                for (number, value) in fields(value.bytes()?, &[1, 3, 4])? {
                    match number {
                        1 => series.metadata.kind = value.varint()?,
                        3 => series.metadata.help = text(value.uint32()?)?,
                        4 => series.metadata.unit = text(value.uint32()?)?,
                        other => return unknown("Metadata", other),
                    }
                }
            }
            other => return unknown("TimeSeries", other),
        }
    }
    Ok(series)
}

/// Value, time and start; what is zero may be left out.
fn sample(value: Value<'_>, has_start: bool) -> Result<Sample, String> {
    let mut sample = Sample::default();
    for (number, value) in fields(value.bytes()?, &[1, 2, 3])? {
        match number {
            1 => sample.bits = value.fixed64()?,
            2 => sample.at = value.int64()?,
            3 if has_start => sample.start = value.int64()?,
            other => return unknown("Sample", other),
        }
    }
    Ok(sample)
}
