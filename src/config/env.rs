//! The environment: read once, from a map. A variable that is empty counts as not set.

use std::collections::BTreeMap;

use url::Url;

use super::ConfigError;
use super::types::Proxy;
use super::value::{Place, Setting, nearest};

/// Every variable that means something here, `BALENA_…` without their twins `FLEETPUSH_BALENA_…`.
pub const VARIABLES: &[&str] = &[
    "BALENA_TOKEN",
    "BALENA_TOKEN_FILE",
    "BALENA_API_URL",
    "BALENA_API_VERSION",
    "BALENA_CA_FILE",
    "BALENA_ALLOW_HTTP",
    "BALENA_FLEETS_INCLUDE",
    "BALENA_FLEETS_EXCLUDE",
    "CRAWL_INTERVAL",
    "FLEETPUSH_CONFIG_FILE",
    "FLEETPUSH_LISTEN_ADDRESS",
    "FLEETPUSH_WEB_CONFIG_FILE",
    "FLEETPUSH_LOG_LEVEL",
    "FLEETPUSH_LOG_FORMAT",
    "FLEETPUSH_JOB",
    "FLEETPUSH_INSTANCE",
    "FLEETPUSH_EXTERNAL_LABELS",
    "FLEETPUSH_QUEUE_DIR",
    "FLEETPUSH_QUEUE_MAX_SIZE",
    "FLEETPUSH_QUEUE_MAX_AGE",
    "FLEETPUSH_SHARD",
    "PUSHGATEWAY_URL",
    "PUSHGATEWAY_GROUPING",
    "PUSHGATEWAY_USERNAME",
    "PUSHGATEWAY_PASSWORD",
    "PUSHGATEWAY_PASSWORD_FILE",
    "PUSHGATEWAY_BEARER_TOKEN",
    "PUSHGATEWAY_BEARER_TOKEN_FILE",
    "PUSHGATEWAY_CA_FILE",
    "PUSHGATEWAY_DELETE_ON_EXIT",
    "REMOTE_WRITE_URL",
    "REMOTE_WRITE_USERNAME",
    "REMOTE_WRITE_PASSWORD",
    "REMOTE_WRITE_PASSWORD_FILE",
    "REMOTE_WRITE_BEARER_TOKEN",
    "REMOTE_WRITE_BEARER_TOKEN_FILE",
    "REMOTE_WRITE_TENANT",
    "REMOTE_WRITE_HEADERS",
    "REMOTE_WRITE_CA_FILE",
    "REMOTE_WRITE_PROTOBUF_MESSAGE",
];
const PROXIES: [&str; 6] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const PREFIXES: [&str; 3] = ["FLEETPUSH_", "PUSHGATEWAY_", "REMOTE_WRITE_"];

/// The environment as it was at the start.
pub(super) struct Variables<'a>(pub(super) &'a BTreeMap<String, String>);

impl Variables<'_> {
    /// A variable that is set to something.
    pub(super) fn get(&self, name: &str) -> Option<Setting> {
        let text = self.0.get(name).filter(|text| !text.trim().is_empty())?;
        Some(Setting { text: text.clone(), place: Place::Variable(name.to_owned()) })
    }

    /// A variable of balena's, which balena's own devices can only be given under its twin's name.
    pub(super) fn balena(&self, name: &str) -> Result<Option<Setting>, ConfigError> {
        let (plain, twin) = (format!("BALENA_{name}"), format!("FLEETPUSH_BALENA_{name}"));
        match (self.get(&plain), self.get(&twin)) {
            (Some(one), Some(other)) if one.text != other.text => {
                Err(other
                    .error(format_args!("is set, and {plain} is set to something else; keep one of them")))
            }
            (one, other) => Ok(one.or(other)),
        }
    }

    /// The proxies that the HTTP client finds in the environment by itself.
    pub(super) fn proxy(&self) -> Proxy {
        let set = PROXIES.iter().filter_map(|name| self.get(name));
        let urls = set.filter_map(|setting| {
            let text = setting.text.trim();
            let with_scheme = format!("http://{text}");
            Url::parse(if text.contains("://") { text } else { &with_scheme }).ok()
        });
        Proxy::Environment(urls.filter(|url| url.password().is_some() || url.scheme() == "https").collect())
    }

    /// A variable that says nothing without `<prefix>_URL`.
    pub(super) fn orphan(&self, prefix: &str) -> Option<ConfigError> {
        let url = format!("{prefix}_URL");
        let ours = VARIABLES.iter().filter(|name| name.starts_with(prefix) && **name != url);
        let orphan = ours.filter_map(|name| self.get(name)).next()?;
        Some(orphan.error(format_args!("is set but {url} is not; set {url} too, or remove this variable")))
    }

    /// Sentences about variables that look like ours and are not.
    pub(super) fn unknown(&self) -> Vec<String> {
        let looks_ours = |name: &str| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let names =
            self.0.keys().filter(|name| looks_ours(name) && !is_variable(name) && !is_service_link(name));
        names
            .map(|name| {
                let hint = nearest(name, VARIABLES.iter().copied());
                let hint = hint.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                format!("the variable {name} means nothing here{hint}")
            })
            .collect()
    }
}

/// Whether a variable of this name means something here.
pub fn is_variable(name: &str) -> bool {
    let twin = name.strip_prefix("FLEETPUSH_").filter(|rest| rest.starts_with("BALENA_"));
    VARIABLES.contains(&twin.unwrap_or(name))
}

/// Kubernetes gives every pod variables of this kind for a service that is named `pushgateway` or alike.
fn is_service_link(name: &str) -> bool {
    let prefix = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
    let rest = prefix.unwrap_or_default();
    rest == "SERVICE_HOST" || rest == "PORT" || rest.starts_with("SERVICE_PORT") || rest.starts_with("PORT_")
}
