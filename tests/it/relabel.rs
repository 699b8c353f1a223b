//! Relabelling: what rules make of series is what Prometheus makes of them, and what it refuses is refused.

mod leaving;
mod live;
mod parity;
mod refused;
mod table;

use std::collections::BTreeMap;

use fleetpush::config::{self, Config, Overrides};

/// The configuration that this text says.
fn load(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("config.yml");
    std::fs::write(&path, text).expect("a file in our own folder");
    let path = path.to_str().expect("a temporary path is text").to_owned();
    let flags = Overrides { config_file: Some(path.clone()), ..Overrides::default() };
    let loaded = config::load(&BTreeMap::new(), &flags, "host");
    loaded.map_err(|error| error.to_string().replace(&path, "config.yml"))
}

/// An endpoint with these rules, which both programs read.
fn endpoint(rules: &str) -> String {
    format!("remote_write:\n  - url: http://127.0.0.1:9/write\n    write_relabel_configs:\n{rules}\n")
}
