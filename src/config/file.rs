//! The file as it is typed: which keys there are, and what each takes. `remote_write:` and
//! `scrape_configs:` take Prometheus' own keys; those of them that are not listed here stand in `foreign`. Never: whether a value makes sense.

use std::io::Read as _;

use super::ConfigError;
use super::block::{Given, Lists, OneOrMany, Pairs, Placed, Read, Reader, Typed, blocks};
use super::value::Setting;
use super::yaml::{self, At};

/// A file that is longer is no configuration.
const LIMIT: u64 = 1 << 20;

blocks! {
    File {
        interval: Typed,
        stale_after: Typed,
        job: Typed,
        instance: Typed,
        external_labels: Pairs,
        labels: Option<Placed<Vec<Typed>>>,
        balena: OneOrMany<Placed<AccountBlock>>,
        pushgateways: Vec<Placed<GatewayBlock>>,
        remote_write: Vec<Placed<EndpointBlock>>,
        scrape_configs: Vec<Placed<ScrapeBlock>>,
        queue: QueueBlock,
        web: WebBlock,
        shard: ShardBlock,
        log: LogBlock,
    }
    AccountBlock {
        name: Typed,
        url: Typed,
        api_version: Typed,
        token: Typed,
        token_file: Typed,
        ca_file: Typed,
        proxy_url: Typed,
        allow_http: Typed,
        interval: Typed,
        timeout: Typed,
        max_body_size: Typed,
        mode: Typed,
        fleets: FleetsBlock,
    }
    FleetsBlock {
        include: Vec<Typed>,
        exclude: Vec<Typed>,
    }
    GatewayBlock {
        name: Typed,
        url: Typed,
        grouping: Pairs,
        delete_on_exit: Typed,
        timeout: Typed,
        basic_auth: Option<Placed<BasicBlock>>,
        authorization: Option<Placed<AuthorizationBlock>>,
        oauth2: Option<Placed<OAuth2Block>>,
        tls_config: TlsBlock,
        proxy_url: Typed,
        headers: Pairs,
    }
    EndpointBlock {
        name: Typed,
        url: Typed,
        remote_timeout: Typed,
        protobuf_message: Typed,
        headers: Pairs,
        basic_auth: Option<Placed<BasicBlock>>,
        authorization: Option<Placed<AuthorizationBlock>>,
        oauth2: Option<Placed<OAuth2Block>>,
        bearer_token: Typed,
        bearer_token_file: Typed,
        tls_config: TlsBlock,
        proxy_url: Typed,
        proxy_from_environment: Typed,
        start: Typed,
        write_relabel_configs: Vec<Placed<RuleBlock>>,
        queue_config: QueueConfigBlock,
        metadata_config: MetadataBlock,
        send_exemplars: Typed,
    }
    ScrapeBlock {
        job_name: Typed,
        scrape_interval: Typed,
        scrape_timeout: Typed,
        metrics_path: Typed,
        scheme: Typed,
        params: Lists,
        static_configs: Vec<Placed<GroupBlock>>,
        file_sd_configs: Vec<Placed<FilesBlock>>,
        honor_labels: Typed,
        honor_timestamps: Typed,
        sample_limit: Typed,
        label_limit: Typed,
        label_name_length_limit: Typed,
        label_value_length_limit: Typed,
        body_size_limit: Typed,
        relabel_configs: Vec<Placed<RuleBlock>>,
        metric_relabel_configs: Vec<Placed<RuleBlock>>,
        scrape_protocols: Vec<Typed>,
        fallback_scrape_protocol: Typed,
        enable_compression: Typed,
        basic_auth: Option<Placed<BasicBlock>>,
        authorization: Option<Placed<AuthorizationBlock>>,
        oauth2: Option<Placed<OAuth2Block>>,
        bearer_token: Typed,
        bearer_token_file: Typed,
        tls_config: TlsBlock,
        proxy_url: Typed,
        proxy_from_environment: Typed,
        track_timestamps_staleness: Typed,
        scrape_native_histograms: Typed,
        convert_classic_histograms_to_nhcb: Typed,
        extra_scrape_metrics: Typed,
        metric_name_validation_scheme: Typed,
        metric_name_escaping_scheme: Typed,
    }
    GroupBlock {
        targets: Vec<Typed>,
        labels: Pairs,
    }
    FilesBlock {
        files: Vec<Typed>,
        refresh_interval: Typed,
    }
    RuleBlock {
        source_labels: Option<Placed<Vec<Setting>>>,
        separator: Given,
        regex: Given,
        modulus: Typed,
        target_label: Typed,
        replacement: Given,
        action: Given,
    }
    BasicBlock {
        username: Typed,
        password: Typed,
        password_file: Typed,
    }
    AuthorizationBlock {
        scheme = "type": Typed,
        credentials: Typed,
        credentials_file: Typed,
    }
    OAuth2Block {
        client_id: Typed,
        client_secret: Typed,
        client_secret_file: Typed,
        scopes: Vec<Typed>,
        token_url: Typed,
        endpoint_params: Pairs,
        tls_config: TlsBlock,
        proxy_url: Typed,
        proxy_from_environment: Typed,
    }
    TlsBlock {
        ca_file: Typed,
        cert_file: Typed,
        key_file: Typed,
        server_name: Typed,
        insecure_skip_verify: Typed,
    }
    QueueConfigBlock {
        max_samples_per_send: Typed,
        max_shards: Typed,
        min_backoff: Typed,
        max_backoff: Typed,
    }
    MetadataBlock {
        send: Typed,
        send_interval: Typed,
    }
    QueueBlock {
        dir: Typed,
        max_size: Typed,
        max_age: Typed,
        max_samples_per_send: Typed,
    }
    WebBlock {
        listen_address: Typed,
        telemetry_path: Typed,
        enable_lifecycle: Typed,
        config_file: Typed,
    }
    ShardBlock {
        index: Typed,
        count: Typed,
    }
    LogBlock {
        level: Typed,
        format: Typed,
    }
}

/// Reads the file, and what it says that changes nothing here.
pub(super) fn read(path: &str) -> Result<(File, Vec<String>), ConfigError> {
    document(path)
}

/// The bytes of a file that is not longer than a configuration may be.
pub(super) fn bytes(path: &str) -> Result<Vec<u8>, ConfigError> {
    let unreadable = |cause| ConfigError::File { path: path.to_owned(), cause };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LIMIT {
        return Err(ConfigError::TooLong { path: path.to_owned(), limit: LIMIT });
    }
    Ok(bytes)
}

/// Reads any file of ours as what its root must be.
pub(super) fn document<T: Read>(path: &str) -> Result<(T, Vec<String>), ConfigError> {
    let bytes = bytes(path)?;
    let mut reader = Reader { path, warnings: Vec::new() };
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = end_of(&bytes[..error.valid_up_to()]);
            return Err(reader.wrong(at, "", "not UTF-8 text; is this the file, and saved as UTF-8?"));
        }
    };
    let root = yaml::parse(text).map_err(|wrong| reader.wrong(wrong.at, "", wrong.what))?;
    let root = T::read(root, "", &mut reader)?;
    Ok((root, reader.warnings))
}

/// The position after this text.
fn end_of(text: &[u8]) -> At {
    let line = text.iter().filter(|byte| **byte == b'\n').count() + 1;
    let last = text.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    At { line, column: String::from_utf8_lossy(last).chars().count() + 1 }
}
