//! The environment: read once, from a map. A variable that is empty counts as not set.

use std::collections::BTreeMap;

use url::Url;

use super::ConfigError;
use super::types::Proxy;
use super::value::{Place, Setting, nearest};

/// A variable that means something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it takes, in words.
    pub takes: &'static str,
    /// What holds where it is not set: in backticks where it could be typed so, else in words; empty where it must be set
    /// to mean anything.
    pub default: &'static str,
    /// What it is, with the key in backticks and brackets that says the same in the file.
    pub meaning: &'static str,
}

const fn of(
    name: &'static str,
    takes: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Variable {
    Variable { name, takes, default, meaning }
}

/// Every one of them, `BALENA_…` without their twins `FLEETPUSH_BALENA_…`; for people in the manual page and in
/// `docs/configuration.md`, which `make docs` writes.
pub const VARIABLES: &[Variable] = &[
    of("BALENA_TOKEN", "secret", "", "the API key, of a user that can see the fleets; better in a file"),
    of("BALENA_TOKEN_FILE", "path", "", "the file that holds the API key"),
    of(
        "BALENA_API_URL",
        "URL",
        "`https://api.balena-cloud.com`",
        "the base of the API, for openBalena (`balena.url`)",
    ),
    of("BALENA_API_VERSION", "`v7`", "`v7`", "the API's version (`balena.api_version`)"),
    of(
        "BALENA_CA_FILE",
        "path",
        "the system's",
        "further certificates (PEM) that are trusted for the API (`balena.ca_file`)",
    ),
    of(
        "BALENA_ALLOW_HTTP",
        "boolean",
        "`false`",
        "lets plain `http://` lead to another machine (`balena.allow_http`)",
    ),
    of(
        "BALENA_FLEETS_INCLUDE",
        "patterns with commas",
        "all",
        "slugs that are counted, such as `acme/*,globex/kiosk` (`balena.fleets.include`)",
    ),
    of(
        "BALENA_FLEETS_EXCLUDE",
        "patterns with commas",
        "none",
        "slugs that are not counted (`balena.fleets.exclude`)",
    ),
    of(
        "CRAWL_INTERVAL",
        "duration or seconds",
        "`60`",
        "how often the fleets are counted (`interval`), also for an account with an interval of its own",
    ),
    of("FLEETPUSH_CONFIG_FILE", "path", "none", "the configuration file (`--config.file`)"),
    of(
        "FLEETPUSH_LISTEN_ADDRESS",
        "address, or `off`",
        "`:8000`",
        "where the page listens (`web.listen_address`)",
    ),
    of("FLEETPUSH_WEB_CONFIG_FILE", "path", "none", "the file that protects the page (`web.config_file`)"),
    of("FLEETPUSH_LOG_LEVEL", "word", "`info`", "the least level that is logged (`log.level`)"),
    of("FLEETPUSH_LOG_FORMAT", "word", "`logfmt`", "the form of the log's lines (`log.format`)"),
    of("FLEETPUSH_JOB", "text", "`balena`", "the label `job` of everything that is pushed or sent (`job`)"),
    of(
        "FLEETPUSH_INSTANCE",
        "text",
        "the host name",
        "the label `instance` of the program's own series (`instance`)",
    ),
    of(
        "FLEETPUSH_EXTERNAL_LABELS",
        "`name=value,…`",
        "none",
        "labels that are added to remote write, instead of those of the file (`external_labels`)",
    ),
    of(
        "FLEETPUSH_QUEUE_DIR",
        "path, or `memory`",
        "`$STATE_DIRECTORY`, else `$XDG_STATE_HOME/fleetpush`, else `/var/lib/fleetpush`",
        "the folder of the queue (`queue.dir`)",
    ),
    of("FLEETPUSH_QUEUE_MAX_SIZE", "size", "`1GiB`", "how much room the queue may take (`queue.max_size`)"),
    of(
        "FLEETPUSH_QUEUE_MAX_AGE",
        "duration",
        "`8d`",
        "how old a sample in the queue may become (`queue.max_age`)",
    ),
    of("FLEETPUSH_SHARD", "`0/1`", "`0/1`", "index and count of the shards; only one is supported yet"),
    of("PUSHGATEWAY_URL", "URL", "none", "adds a gateway named `env`: its base, without `/metrics`"),
    of(
        "PUSHGATEWAY_GROUPING",
        "`name=value,…`",
        "none",
        "grouping labels of that gateway, beside `job` and `instance`",
    ),
    of("PUSHGATEWAY_USERNAME", "text", "none", "the user name at that gateway"),
    of("PUSHGATEWAY_PASSWORD", "secret", "none", "the password at that gateway; better in a file"),
    of("PUSHGATEWAY_PASSWORD_FILE", "path", "none", "the file that holds that password"),
    of("PUSHGATEWAY_BEARER_TOKEN", "secret", "none", "a bearer token for that gateway; better in a file"),
    of("PUSHGATEWAY_BEARER_TOKEN_FILE", "path", "none", "the file that holds that token"),
    of(
        "PUSHGATEWAY_CA_FILE",
        "path",
        "the system's",
        "further certificates (PEM) that are trusted for that gateway",
    ),
    of(
        "PUSHGATEWAY_DELETE_ON_EXIT",
        "boolean",
        "`false`",
        "whether a clean end of `run` deletes its groups at that gateway",
    ),
    of(
        "REMOTE_WRITE_URL",
        "URL",
        "none",
        "adds a remote-write endpoint named `env`: its URL, the path included",
    ),
    of(
        "REMOTE_WRITE_USERNAME",
        "text",
        "none",
        "the user name at that endpoint; at Grafana Cloud the number of the metrics instance",
    ),
    of("REMOTE_WRITE_PASSWORD", "secret", "none", "the password at that endpoint; better in a file"),
    of("REMOTE_WRITE_PASSWORD_FILE", "path", "none", "the file that holds that password"),
    of("REMOTE_WRITE_BEARER_TOKEN", "secret", "none", "a bearer token for that endpoint; better in a file"),
    of("REMOTE_WRITE_BEARER_TOKEN_FILE", "path", "none", "the file that holds that token"),
    of("REMOTE_WRITE_OAUTH2_CLIENT_ID", "text", "none", "the client's name, for OAuth2 at that endpoint"),
    of("REMOTE_WRITE_OAUTH2_CLIENT_SECRET", "secret", "none", "the client's secret; better in a file"),
    of("REMOTE_WRITE_OAUTH2_CLIENT_SECRET_FILE", "path", "none", "the file that holds the client's secret"),
    of("REMOTE_WRITE_OAUTH2_TOKEN_URL", "URL", "none", "where tokens are given out"),
    of(
        "REMOTE_WRITE_OAUTH2_SCOPES",
        "words with commas",
        "none",
        "what the token is to be good for; blanks part them too",
    ),
    of("REMOTE_WRITE_TENANT", "text", "none", "the tenant at Mimir or Thanos: the header `X-Scope-OrgID`"),
    of(
        "REMOTE_WRITE_HEADERS",
        "`name=value,…`",
        "none",
        "further headers of each request to that endpoint; a value cannot hold a comma",
    ),
    of(
        "REMOTE_WRITE_CA_FILE",
        "path",
        "the system's",
        "further certificates (PEM) that are trusted for that endpoint, and where its tokens are given out",
    ),
    of(
        "REMOTE_WRITE_PROTOBUF_MESSAGE",
        "word",
        "`auto`",
        "which version of remote write is spoken (`remote_write.protobuf_message`)",
    ),
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

    /// Whether a variable speaks of an account's fleets or of the way to it. Where its API is and in which version
    /// balena itself tells every container.
    pub(super) fn mean_an_account(&self) -> bool {
        const TOLD: [&str; 2] = ["BALENA_API_URL", "BALENA_API_VERSION"];
        let ours = VARIABLES.iter().map(|one| one.name).filter(|name| !TOLD.contains(name));
        let mut ours = ours.filter(|name| name.starts_with("BALENA_"));
        ours.any(|name| self.get(name).or_else(|| self.get(&format!("FLEETPUSH_{name}"))).is_some())
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
        let ours = VARIABLES.iter().filter(|one| one.name.starts_with(prefix) && one.name != url);
        let orphan = ours.filter_map(|one| self.get(one.name)).next()?;
        Some(orphan.error(format_args!("is set but {url} is not; set {url} too, or remove this variable")))
    }

    /// Sentences about variables that look like ours and are not.
    pub(super) fn unknown(&self) -> Vec<String> {
        let looks_ours = |name: &str| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let names =
            self.0.keys().filter(|name| looks_ours(name) && !is_variable(name) && !is_service_link(name));
        names
            .map(|name| {
                let hint = nearest(name, VARIABLES.iter().map(|one| one.name));
                let hint = hint.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                format!("the variable {name} means nothing here{hint}")
            })
            .collect()
    }
}

/// Whether a variable of this name means something here.
pub fn is_variable(name: &str) -> bool {
    let twin = name.strip_prefix("FLEETPUSH_").filter(|rest| rest.starts_with("BALENA_"));
    let name = twin.unwrap_or(name);
    VARIABLES.iter().any(|one| one.name == name)
}

/// Kubernetes gives every pod variables of this kind for a service that is named `pushgateway` or alike.
fn is_service_link(name: &str) -> bool {
    let prefix = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
    let rest = prefix.unwrap_or_default();
    rest == "SERVICE_HOST" || rest == "PORT" || rest.starts_with("SERVICE_PORT") || rest.starts_with("PORT_")
}
