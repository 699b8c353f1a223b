//! The protobuf types that `build.rs` generates from `proto/`: goes in nothing, comes out types.
//! Never: logic. What the fields mean stands in the `.proto` files.
#![allow(missing_docs, clippy::all)]

/// Remote write 1.0.
pub mod remote_write_v1 {
    include!(concat!(env!("OUT_DIR"), "/fleetpush.remote_write.v1.rs"));
}
/// Remote write 2.0.
pub mod remote_write_v2 {
    include!(concat!(env!("OUT_DIR"), "/fleetpush.remote_write.v2.rs"));
}
/// What a Pushgateway is sent.
pub mod metric_family {
    include!(concat!(env!("OUT_DIR"), "/fleetpush.metric_family.rs"));
}
/// What the queue keeps.
pub mod record {
    include!(concat!(env!("OUT_DIR"), "/fleetpush.record.rs"));
}
