//! What a Pushgateway is sent: `io.prometheus.client.MetricFamily`, delimited. Text that is cut off in
//! transit is committed half by Pushgateway 1.5.1; this form is refused as a whole (measured).

mod assemble;
mod relayed;

use prost::Message;

pub use relayed::{LeftOut, Relayed, Why, relayed};

use crate::pb::metric_family as pb;
use crate::sample::{Family, Kind, Series};

/// The only Content-Type that a Pushgateway reads as protobuf.
pub const CONTENT_TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// The families, one after the other, each with its length before it. Timestamps are never sent: a
/// Pushgateway refuses them.
pub fn body<'a>(families: impl IntoIterator<Item = &'a Family>) -> Vec<u8> {
    families.into_iter().flat_map(|family| message(family).encode_length_delimited_to_vec()).collect()
}

fn message(family: &Family) -> pb::MetricFamily {
    let kind = match family.kind {
        Kind::Counter => pb::MetricType::Counter,
        Kind::Gauge | Kind::Info | Kind::StateSet => pb::MetricType::Gauge,
        Kind::Unknown | Kind::Histogram | Kind::GaugeHistogram | Kind::Summary => pb::MetricType::Untyped,
    };
    pb::MetricFamily {
        name: Some(family.name.to_string()),
        help: Some(family.help.to_string()),
        r#type: Some(kind.into()),
        metric: family.series.iter().filter(|s| !s.value.is_stale()).map(|s| metric(kind, s)).collect(),
        unit: None,
    }
}

fn metric(kind: pb::MetricType, series: &Series) -> pb::Metric {
    let label = series.labels.iter().map(|label| pb::LabelPair {
        name: Some(label.name.to_string()),
        value: Some(label.value.to_string()),
    });
    let mut metric = pb::Metric { label: label.collect(), ..pb::Metric::default() };
    let value = Some(series.value.get());
    match kind {
        pb::MetricType::Counter => metric.counter = Some(pb::Counter { value }),
        pb::MetricType::Gauge => metric.gauge = Some(pb::Gauge { value }),
        _ => metric.untyped = Some(pb::Untyped { value }),
    }
    metric
}
