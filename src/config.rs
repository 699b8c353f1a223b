//! Everything an operator can set, checked: YAML file, environment and flags go in, one [`Config`] comes
//! out. Order: defaults < file < environment < flags. Never: I/O other than reading the files that are
//! named, and never a value that is only half checked.

mod types;

pub use types::{
    Account, Auth, Config, Endpoint, FleetLabels, Gateway, HttpSettings, Log, LogFormat, LogLevel,
    MetadataSettings, ProtobufMessage, Proxy, QueueDir, QueueSettings, Retry, Secret, TlsSettings, Web,
};
