//! Everything an operator can set, checked: YAML file, environment and flags go in, one [`Config`] comes
//! out. Order: defaults < file < environment < flags. Never: I/O other than reading the files that are
//! named, and never a value that is only half checked.

mod accounts;
mod endpoints;
mod env;
mod error;
mod file;
mod gateways;
mod http;
mod resolve;
mod types;
mod value;

use std::collections::BTreeMap;

pub use env::VARIABLES;
pub use error::ConfigError;
pub use types::{
    Account, Auth, Config, Endpoint, FleetLabels, Gateway, HttpSettings, Log, LogFormat, LogLevel,
    MetadataSettings, ProtobufMessage, Proxy, QueueDir, QueueSettings, Retry, Secret, TlsSettings, Web,
};
pub use value::parse_duration;

/// What flags say; they win over everything.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--config.file`
    pub config_file: Option<String>,
    /// `--web.listen-address`
    pub listen_address: Option<String>,
    /// `--web.telemetry-path`
    pub telemetry_path: Option<String>,
    /// `--web.enable-lifecycle`
    pub enable_lifecycle: Option<bool>,
    /// `--log.level`
    pub log_level: Option<String>,
    /// `--log.format`
    pub log_format: Option<String>,
    /// `--once.deadline`
    pub once_deadline: Option<String>,
    /// `--shutdown.grace`
    pub shutdown_grace: Option<String>,
}

/// The configuration of this environment and these flags, and of the file that one of them names. Without a
/// token it has no account.
///
/// # Errors
/// [`ConfigError`] for whatever cannot be meant, before anything is sent anywhere.
pub fn load(
    environment: &BTreeMap<String, String>,
    flags: &Overrides,
    host_name: &str,
) -> Result<Config, ConfigError> {
    let variables = env::Variables(environment);
    let path = flags.config_file.clone();
    let path = path.or_else(|| variables.get("FLEETPUSH_CONFIG_FILE").map(|setting| setting.text));
    let file = path.as_deref().map_or(Ok(file::File::default()), file::read)?;
    let path = path.unwrap_or_default();
    let resolver = resolve::Resolver { path: &path, variables, flags, host_name, warnings: Vec::new() };
    resolver.config(file)
}

/// What to say where no account is configured.
pub const fn missing_token_message() -> &'static str {
    "no balena token: set BALENA_TOKEN, BALENA_TOKEN_FILE, or `balena:` with token_file in the file of --config.file \
     (an API key is made in the balena dashboard under Preferences, Access tokens)"
}
