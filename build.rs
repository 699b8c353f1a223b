//! Generates the protobuf types from `proto/`, without `protoc`.

use std::error::Error;

/// The wire formats that leave this program, and the queue's own.
const FILES: [&str; 4] = [
    "proto/remote_write_v1.proto",
    "proto/remote_write_v2.proto",
    "proto/metric_family.proto",
    "proto/record.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let mut config = prost_build::Config::new();
    config.compile_fds(descriptors)?;
    Ok(())
}
