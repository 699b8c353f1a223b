//! Decodes remote-write bodies.
//! In: a compressed body. Out: series and metadata in words that both versions share. Never: whether they are
//! welcome.

use prost::Message;

use super::Labels;
use super::remote_write::{Metadata, Sample, Series};
use crate::pb::{remote_write_v1 as v1, remote_write_v2 as v2};

/// Larger bodies are refused before they are unpacked.
const LARGEST: usize = 128 << 20;

/// A body that no receiver can read: 400.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("snappy: corrupt input")]
    Snappy(#[from] snap::Error),
    #[error("request too large")]
    Large,
    #[error("proto: cannot parse invalid wire-format data")]
    Protobuf(#[from] prost::DecodeError),
    #[error("symbols must start with the empty string")]
    Symbols,
    #[error("labels_refs must be pairs of references into the symbols")]
    Reference,
}

/// Undoes the block format of snappy.
pub(super) fn unpack(body: &[u8]) -> Result<Vec<u8>, Unreadable> {
    if snap::raw::decompress_len(body)? > LARGEST {
        return Err(Unreadable::Large);
    }
    Ok(snap::raw::Decoder::new().decompress_vec(body)?)
}

/// Version 1.0. A body of 2.0 decodes to nothing, as in the receivers that do not know it.
pub(super) fn first(bytes: &[u8]) -> Result<(Vec<Series>, Vec<Metadata>), Unreadable> {
    let request = v1::WriteRequest::decode(bytes)?;
    let series = request.timeseries.into_iter().map(|series| {
        let sent = series.labels.into_iter().map(|label| (label.name, label.value)).collect();
        let samples = series.samples.into_iter().map(|sample| Sample {
            timestamp: sample.timestamp,
            bits: sample.value.to_bits(),
            start_timestamp: 0,
        });
        let (samples, exemplars) = (samples.collect(), series.exemplars.len());
        Series { samples, exemplars, ..described(sent) }
    });
    let metadata = request.metadata.into_iter().map(|metadata| Metadata {
        family: metadata.metric_family_name,
        kind: metadata.r#type,
        help: metadata.help,
        unit: metadata.unit,
    });
    Ok((series.collect(), metadata.collect()))
}

/// Version 2.0.
pub(super) fn second(bytes: &[u8]) -> Result<Vec<Series>, Unreadable> {
    let request = v2::Request::decode(bytes)?;
    if request.symbols.first().is_none_or(|first| !first.is_empty()) {
        return Err(Unreadable::Symbols);
    }
    let symbol = |position: u32| {
        let position = usize::try_from(position).map_err(|_| Unreadable::Reference)?;
        request.symbols.get(position).cloned().ok_or(Unreadable::Reference)
    };
    request
        .timeseries
        .iter()
        .map(|series| {
            let (pairs, odd) = series.labels_refs.as_chunks::<2>();
            if !odd.is_empty() {
                return Err(Unreadable::Reference);
            }
            let sent = pairs
                .iter()
                .map(|[name, value]| Ok((symbol(*name)?, symbol(*value)?)))
                .collect::<Result<_, Unreadable>>()?;
            let metadata = series.metadata.unwrap_or_default();
            let samples = series.samples.iter().map(|sample| Sample {
                timestamp: sample.timestamp,
                bits: sample.value.to_bits(),
                start_timestamp: sample.start_timestamp,
            });
            Ok(Series {
                samples: samples.collect(),
                exemplars: series.exemplars.len(),
                kind: metadata.r#type,
                help: symbol(metadata.help_ref)?,
                unit: symbol(metadata.unit_ref)?,
                ..described(sent)
            })
        })
        .collect()
}

fn described(sent: Vec<(String, String)>) -> Series {
    let mut labels = sent.iter().cloned().collect::<Labels>();
    labels.retain(|_, value| !value.is_empty());
    Series { labels, sent, ..Series::default() }
}
