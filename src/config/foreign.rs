//! Keys of Prometheus' own that this program does not have: those that change nothing are accepted with a
//! warning, so that a pasted block works; those that change data or security are refused with the way out.

/// What becomes of a key of Prometheus'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Accepted, because of this.
    Ignored(&'static str),
    /// Refused, with what to do instead.
    Refused(&'static str),
}
use Foreign::{Ignored, Refused};

const SIGNED: Foreign =
    Refused("not supported; use basic_auth, authorization or oauth2, or a proxy that signs the requests");
const VERSIONS: Foreign = Refused("not supported; TLS 1.2 and 1.3 are spoken, so leave it out");
const USER: Foreign = Refused("not supported; write the name itself as username");
const SIGNED_GRANT: Foreign =
    Refused("not supported; only the grant for client_id and client_secret is, so leave it out");
const REFERENCE: Foreign =
    Refused("not supported; have it written into a file and name that as client_secret_file");
const DISCOVERY: Foreign = Refused(
    "not supported; name the targets in static_configs, or have them written into files for file_sd_configs",
);
const PROMETHEUS: Foreign = Refused("belongs in Prometheus' own file; remove it");

/// Full keys, and those of blocks that stand in several places without what is around them.
pub(super) const KEYS: &[(&str, Foreign)] = &[
    ("remote_write.send_native_histograms", Ignored("there are no native histograms")),
    ("remote_write.follow_redirects", Ignored("redirects are never followed; give the final URL")),
    ("remote_write.enable_http2", Ignored("HTTP/1.1 is spoken")),
    ("remote_write.round_robin_dns", Ignored("one connection is kept for each request in flight")),
    ("remote_write.queue_config.capacity", Ignored("queue.max_size bounds the queue")),
    ("remote_write.queue_config.min_shards", Ignored("as many requests go at once as a cycle has")),
    ("remote_write.queue_config.batch_send_deadline", Ignored("every cycle is sent at once")),
    ("remote_write.queue_config.retry_on_http_429", Ignored("429 is always tried again")),
    ("remote_write.queue_config.sample_age_limit", Ignored("queue.max_age bounds the age")),
    ("remote_write.metadata_config.max_samples_per_send", Ignored("metadata goes along with samples")),
    ("remote_write.sigv4", SIGNED),
    ("remote_write.azuread", SIGNED),
    ("remote_write.google_iam", SIGNED),
    ("remote_write.http_headers", Refused("not supported; use headers")),
    ("remote_write.no_proxy", Refused("not supported; set the variable NO_PROXY")),
    ("remote_write.proxy_connect_header", Refused("not supported; remove it")),
    (
        "scrape_configs.follow_redirects",
        Ignored("redirects are never followed; give the final address and path"),
    ),
    ("scrape_configs.enable_http2", Ignored("HTTP/1.1 is spoken")),
    ("scrape_configs.always_scrape_classic_histograms", Ignored("classic histograms are always taken")),
    ("scrape_configs.scrape_classic_histograms", Ignored("classic histograms are always taken")),
    ("scrape_configs.native_histogram_bucket_limit", Ignored("native histograms are not read")),
    ("scrape_configs.native_histogram_min_bucket_factor", Ignored("native histograms are not read")),
    ("scrape_configs.keep_dropped_targets", Ignored("targets that rules drop are shown nowhere")),
    ("scrape_configs.scrape_failure_log_file", Ignored("failures stand in the log")),
    ("scrape_configs.*_sd_configs", DISCOVERY),
    ("scrape_configs.target_limit", Refused("not supported; drop targets by relabel_configs")),
    ("scrape_configs.http_headers", Refused("not supported; use basic_auth, authorization or params")),
    ("scrape_configs.no_proxy", Refused("not supported; set the variable NO_PROXY")),
    ("scrape_configs.proxy_connect_header", Refused("not supported; remove it")),
    ("tls_config.ca", Refused("not supported; write it into a file and name that as ca_file")),
    ("tls_config.cert", Refused("not supported; write it into a file and name that as cert_file")),
    ("tls_config.key", Refused("not supported; write it into a file and name that as key_file")),
    ("tls_config.ca_ref", Refused("not supported; have it written into a file and name that as ca_file")),
    ("tls_config.cert_ref", Refused("not supported; have it written into a file and name that as cert_file")),
    ("tls_config.key_ref", Refused("not supported; have it written into a file and name that as key_file")),
    ("tls_config.min_version", VERSIONS),
    ("tls_config.max_version", VERSIONS),
    ("oauth2.client_secret_ref", REFERENCE),
    ("oauth2.client_certificate_key", SIGNED_GRANT),
    ("oauth2.client_certificate_key_file", SIGNED_GRANT),
    ("oauth2.client_certificate_key_ref", SIGNED_GRANT),
    ("oauth2.client_certificate_key_id", SIGNED_GRANT),
    ("oauth2.signature_algorithm", SIGNED_GRANT),
    ("oauth2.iss", SIGNED_GRANT),
    (
        "oauth2.audience",
        Refused(
            "belongs to signed grants, which are not supported; where the server wants an audience, write it into endpoint_params",
        ),
    ),
    ("oauth2.claims", SIGNED_GRANT),
    ("oauth2.grant_type", SIGNED_GRANT),
    ("oauth2.no_proxy", Refused("not supported; set the variable NO_PROXY")),
    ("oauth2.proxy_connect_header", Refused("not supported; remove it")),
    ("basic_auth.username_file", USER),
    ("basic_auth.username_ref", USER),
    (
        "basic_auth.password_ref",
        Refused("not supported; have it written into a file and name that as password_file"),
    ),
    (
        "authorization.credentials_ref",
        Refused("not supported; have it written into a file and name that as credentials_file"),
    ),
    (
        "global",
        Refused("belongs in Prometheus' own file; here interval and external_labels stand at the top"),
    ),
    ("rule_files", PROMETHEUS),
    ("alerting", PROMETHEUS),
    ("remote_read", PROMETHEUS),
    ("scrape_config_files", PROMETHEUS),
    ("storage", PROMETHEUS),
    ("tracing", PROMETHEUS),
    ("otlp", PROMETHEUS),
    ("runtime", PROMETHEUS),
];

/// A `*` in the table is any text.
fn is_meant(known: &str, key: &str) -> bool {
    known == key
        || known.split_once('*').is_some_and(|(start, end)| key.starts_with(start) && key.ends_with(end))
}

/// What becomes of the key that is written so in full, with dots.
pub(super) fn find(key: &str) -> Option<Foreign> {
    let mut inner = Some(key);
    while let Some(part) = inner {
        if let Some((_, found)) = KEYS.iter().find(|(known, _)| is_meant(known, part)) {
            return Some(*found);
        }
        // One word alone is a key of the root.
        inner = part.split_once('.').map(|(_, inner)| inner).filter(|inner| inner.contains('.'));
    }
    None
}
