//! The YAML file as it is typed. `remote_write:` takes Prometheus' own keys. No error shows a neighbouring
//! line: it may hold a password.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::ConfigError;
use super::value::{Place, Setting};

/// A file that is longer is no configuration.
const LIMIT: u64 = 1 << 20;

/// A scalar with its line and column.
pub(super) type Typed = Option<Spanned<String>>;
/// A block that we do not read, with its line and column.
pub(super) type Foreign = Option<Spanned<IgnoredAny>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) interval: Typed,
    pub(super) stale_after: Typed,
    pub(super) job: Typed,
    pub(super) instance: Typed,
    pub(super) external_labels: BTreeMap<String, Spanned<String>>,
    pub(super) labels: Option<Spanned<Vec<String>>>,
    pub(super) balena: Option<OneOrMany<Spanned<AccountBlock>>>,
    pub(super) pushgateways: Vec<Spanned<GatewayBlock>>,
    pub(super) remote_write: Vec<Spanned<EndpointBlock>>,
    pub(super) scrape_configs: Option<Spanned<Vec<IgnoredAny>>>,
    pub(super) queue: QueueBlock,
    pub(super) web: WebBlock,
    pub(super) shard: ShardBlock,
    pub(super) log: LogBlock,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AccountBlock {
    pub(super) name: Typed,
    pub(super) url: Typed,
    pub(super) api_version: Typed,
    pub(super) token: Typed,
    pub(super) token_file: Typed,
    pub(super) ca_file: Typed,
    pub(super) proxy_url: Typed,
    pub(super) allow_http: Typed,
    pub(super) interval: Typed,
    pub(super) timeout: Typed,
    pub(super) max_body_size: Typed,
    pub(super) mode: Typed,
    pub(super) fleets: FleetsBlock,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FleetsBlock {
    pub(super) include: Vec<Spanned<String>>,
    pub(super) exclude: Vec<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct GatewayBlock {
    pub(super) name: Typed,
    pub(super) url: Typed,
    pub(super) grouping: BTreeMap<String, Spanned<String>>,
    pub(super) delete_on_exit: Typed,
    pub(super) timeout: Typed,
    pub(super) basic_auth: Option<BasicBlock>,
    pub(super) authorization: Option<AuthorizationBlock>,
    pub(super) tls_config: TlsBlock,
    pub(super) proxy_url: Typed,
    pub(super) headers: BTreeMap<String, Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EndpointBlock {
    pub(super) name: Typed,
    pub(super) url: Typed,
    pub(super) remote_timeout: Typed,
    pub(super) protobuf_message: Typed,
    pub(super) headers: BTreeMap<String, Spanned<String>>,
    pub(super) basic_auth: Option<BasicBlock>,
    pub(super) authorization: Option<AuthorizationBlock>,
    pub(super) bearer_token: Typed,
    pub(super) bearer_token_file: Typed,
    pub(super) tls_config: TlsBlock,
    pub(super) proxy_url: Typed,
    pub(super) proxy_from_environment: Typed,
    pub(super) queue_config: QueueConfigBlock,
    pub(super) metadata_config: MetadataBlock,
    // Accepted without a meaning here.
    pub(super) send_exemplars: Foreign,
    pub(super) send_native_histograms: Foreign,
    pub(super) follow_redirects: Foreign,
    pub(super) enable_http2: Foreign,
    pub(super) round_robin_dns: Foreign,
    // These change data or security, and are not there yet.
    pub(super) write_relabel_configs: Foreign,
    pub(super) oauth2: Foreign,
    pub(super) sigv4: Foreign,
    pub(super) azuread: Foreign,
    pub(super) google_iam: Foreign,
    pub(super) http_headers: Foreign,
    pub(super) no_proxy: Foreign,
    pub(super) proxy_connect_header: Foreign,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BasicBlock {
    pub(super) username: Typed,
    pub(super) password: Typed,
    pub(super) password_file: Typed,
    pub(super) username_file: Foreign,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AuthorizationBlock {
    #[serde(rename = "type")]
    pub(super) scheme: Typed,
    pub(super) credentials: Typed,
    pub(super) credentials_file: Typed,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TlsBlock {
    pub(super) ca_file: Typed,
    pub(super) cert_file: Typed,
    pub(super) key_file: Typed,
    pub(super) server_name: Typed,
    pub(super) insecure_skip_verify: Typed,
    pub(super) ca: Foreign,
    pub(super) cert: Foreign,
    pub(super) key: Foreign,
    pub(super) min_version: Foreign,
    pub(super) max_version: Foreign,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct QueueConfigBlock {
    pub(super) max_samples_per_send: Typed,
    pub(super) min_backoff: Typed,
    pub(super) max_backoff: Typed,
    pub(super) capacity: Foreign,
    pub(super) min_shards: Foreign,
    pub(super) max_shards: Foreign,
    pub(super) batch_send_deadline: Foreign,
    pub(super) retry_on_http_429: Foreign,
    pub(super) sample_age_limit: Foreign,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MetadataBlock {
    pub(super) send: Typed,
    pub(super) send_interval: Typed,
    pub(super) max_samples_per_send: Foreign,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct QueueBlock {
    pub(super) dir: Typed,
    pub(super) max_size: Typed,
    pub(super) max_age: Typed,
    pub(super) max_samples_per_send: Typed,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WebBlock {
    pub(super) listen_address: Typed,
    pub(super) telemetry_path: Typed,
    pub(super) enable_lifecycle: Typed,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ShardBlock {
    pub(super) index: Typed,
    pub(super) count: Typed,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogBlock {
    pub(super) level: Typed,
    pub(super) format: Typed,
}

/// A map, or a list of maps. (`untagged` would lose an error's position.)
#[derive(Debug)]
pub(super) struct OneOrMany<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map, or a list of maps")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    .map(|one| OneOrMany(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq)).map(OneOrMany)
            }
        }
        deserializer.deserialize_any(Either(std::marker::PhantomData))
    }
}

/// Reads the file.
pub(super) fn read(path: &str) -> Result<File, ConfigError> {
    let unreadable = |source| ConfigError::File { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(LIMIT + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LIMIT {
        return Err(ConfigError::TooLong { path: path.to_owned(), limit: LIMIT });
    }
    if text.trim().is_empty() {
        return Ok(File::default());
    }
    serde_saphyr::from_str(&text).map_err(|error| {
        let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
        let what = plain(&error.without_snippet().to_string());
        ConfigError::Yaml { path: path.to_owned(), line, column, what }
    })
}

/// The error's first line without its own position, which stands before it already.
fn plain(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let without = first.rsplit_once(" at line ").map_or(first, |(what, _)| what);
    let without = without.trim_start_matches("error: ");
    match without.rsplit_once(", expected ") {
        // What stands in place of a block may be a secret.
        Some((what, expected)) if what.starts_with("invalid type: string") => {
            format!("invalid type: a text, expected {expected}")
        }
        _ => without.to_owned(),
    }
}

/// A typed scalar with its place.
pub(super) fn setting(path: &str, key: &'static str, typed: Typed) -> Option<Setting> {
    typed.map(|typed| {
        let place = place(path, key, &typed);
        Setting { text: typed.value, place }
    })
}

/// Where something stands.
pub(super) fn place<T>(path: &str, key: &'static str, spanned: &Spanned<T>) -> Place {
    Place::File {
        path: path.to_owned(),
        line: spanned.referenced.line(),
        column: spanned.referenced.column(),
        key,
    }
}
