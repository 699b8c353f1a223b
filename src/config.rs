//! Everything an operator can set, checked: YAML file, environment and flags go in, one [`Config`] comes
//! out. Order: defaults < file < environment < flags. Never: I/O other than reading the files that are
//! named, and never a value that is only half checked.

mod accounts;
mod block;
mod endpoints;
mod env;
mod error;
mod file;
mod foreign;
mod gateways;
mod http;
mod job;
mod labels;
mod oauth2;
pub mod reference;
mod relabel;
mod resolve;
mod scrape;
mod target_file;
mod types;
mod value;
mod web_file;
mod web_tls;
mod yaml;

use std::collections::BTreeMap;

pub use env::{VARIABLES, Variable, is_variable};
pub use error::ConfigError;
pub use foreign::Foreign;
pub use job::{Limits, Protocol, Scheme, ScrapeJob, TargetFiles, TargetGroup};
pub use target_file::target_groups;
pub use types::{
    Account, Auth, Config, Endpoint, FleetLabels, Gateway, HttpSettings, Log, LogFormat, LogLevel,
    MetadataSettings, OAuth2, ProtobufMessage, Proxy, QueueDir, QueueSettings, Retry, Secret, SendExemplars,
    Start, TlsSettings, Web,
};
pub use value::parse_duration;
pub use web_file::{BcryptHash, RateLimit, WebFile};
pub use web_tls::{ClientAuth, Pem, ServerTls, TlsVersions};

/// What flags say; they win over everything.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--config.file`
    pub config_file: Option<String>,
    /// `--web.listen-address`
    pub listen_address: Option<String>,
    /// `--web.config.file`
    pub web_config_file: Option<String>,
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
    let path = resolve::flag("--config.file", &flags.config_file);
    let path = path.or_else(|| variables.get("FLEETPUSH_CONFIG_FILE"));
    let (file, warnings) = path.map_or_else(|| Ok(Default::default()), |path| file::read(path.filled()?))?;
    let resolver = resolve::Resolver { variables, flags, host_name, warnings };
    resolver.config(file)
}

/// What to say where no account is configured.
pub const fn missing_token_message() -> &'static str {
    "no balena token: set BALENA_TOKEN, BALENA_TOKEN_FILE, or `balena:` with token_file in the file of --config.file \
     (an API key is made in the balena dashboard under Preferences, Access tokens)"
}
