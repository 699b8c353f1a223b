//! Pushgateways and remote-write endpoints: the file's blocks and the one of each that the variables give.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use secrecy::SecretString;
use serde_saphyr::Spanned;
use url::Url;

use super::ConfigError;
use super::file::{
    self, AuthorizationBlock, BasicBlock, EndpointBlock, GatewayBlock, QueueConfigBlock, TlsBlock,
};
use super::resolve::{Resolver, label, one_secret, refuse, wrong};
use super::types::{
    Auth, Endpoint, Gateway, HttpSettings, MetadataSettings, ProtobufMessage, Retry, TlsSettings,
};
use super::value::{Place, Setting};
use crate::sample::{LabelName, Text};

const GATEWAY_TIMEOUT: Duration = Duration::from_secs(10);
/// Prometheus' own default.
const REMOTE_TIMEOUT: Duration = Duration::from_secs(30);
const MIN_BACKOFF: Duration = Duration::from_millis(500);
const MAX_BACKOFF: Duration = Duration::from_secs(30);
const METADATA_EVERY: Duration = Duration::from_secs(60);
/// Set by the protocol or by other settings.
const RESERVED_HEADERS: [&str; 11] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "proxy-authorization",
    "retry-attempt",
    "transfer-encoding",
    "user-agent",
    "x-prometheus-remote-write-version",
];

/// Names that a gateway keeps for itself or that break the scrape of the whole gateway.
fn refused_as_grouping(name: &str) -> Option<&'static str> {
    match name {
        "job" => Some("is set by `job:`"),
        "instance" => Some("is set by `instance:`"),
        "le" | "quantile" => Some("breaks the gateway's page for everyone"),
        _ if name.starts_with("__") => Some("is refused by gateways"),
        _ => None,
    }
}

impl Resolver<'_> {
    pub(super) fn gateways(
        &mut self,
        blocks: Vec<Spanned<GatewayBlock>>,
    ) -> Result<Vec<Gateway>, ConfigError> {
        let mut all = Vec::new();
        let mut names = BTreeSet::new();
        for block in blocks {
            let place = file::place(self.path, "pushgateways", &block);
            let gateway = self.gateway(block.value, &place)?;
            if !names.insert(gateway.name.clone()) {
                return Err(twice("pushgateways", &gateway.name, &place));
            }
            all.push(gateway);
        }
        match self.variables.get("PUSHGATEWAY_URL") {
            Some(url) if names.contains("env") => Err(twice("pushgateways", "env", &url.place)),
            Some(url) => {
                all.push(self.gateway_of_variables(&url)?);
                Ok(all)
            }
            None => self.variables.orphan("PUSHGATEWAY").map_or(Ok(all), Err),
        }
    }

    fn gateway(&self, block: GatewayBlock, place: &Place) -> Result<Gateway, ConfigError> {
        let url = self.typed("pushgateways.url", block.url);
        let url = gateway_url(&url.ok_or_else(|| wrong(place, "has no url; add one"))?)?;
        let name = self.typed("pushgateways.name", block.name);
        let name = name.map_or_else(|| Ok(shown(&url)), |name| name.filled().map(Text::from))?;
        let mut grouping = Vec::new();
        for (key, value) in block.grouping {
            let place = file::place(self.path, "pushgateways.grouping", &value);
            grouping.push(grouping_label(&key, value.value.into(), |what| wrong(&place, what))?);
        }
        let delete_on_exit = self.typed("pushgateways.delete_on_exit", block.delete_on_exit);
        let timeout = self.typed("pushgateways.timeout", block.timeout);
        let http = HttpSettings {
            auth: self.auth(place, block.basic_auth, block.authorization, (None, None))?,
            tls: self.tls(block.tls_config)?,
            proxy: self.proxy("pushgateways.proxy_url", block.proxy_url, None)?,
            headers: self.headers("pushgateways.headers", block.headers)?,
            timeout: timeout.map_or(Ok(GATEWAY_TIMEOUT), |timeout| timeout.duration())?,
        };
        let delete_on_exit = delete_on_exit.map_or(Ok(false), |setting| setting.boolean())?;
        Ok(Gateway { name, url, grouping, delete_on_exit, http })
    }

    fn gateway_of_variables(&self, url: &Setting) -> Result<Gateway, ConfigError> {
        let get = |name: &str| self.variables.get(&format!("PUSHGATEWAY_{name}"));
        let mut grouping = Vec::new();
        if let Some(setting) = get("GROUPING") {
            for (name, value) in setting.pairs()? {
                grouping.push(grouping_label(&name, value.into(), |what| setting.error(what))?);
            }
        }
        Ok(Gateway {
            name: "env".into(),
            url: gateway_url(url)?,
            grouping,
            delete_on_exit: get("DELETE_ON_EXIT").map_or(Ok(false), |setting| setting.boolean())?,
            http: self.http_of_variables("PUSHGATEWAY", GATEWAY_TIMEOUT)?,
        })
    }

    pub(super) fn endpoints(
        &mut self,
        blocks: Vec<Spanned<EndpointBlock>>,
        max_samples: usize,
    ) -> Result<Vec<Endpoint>, ConfigError> {
        let mut all = Vec::new();
        let mut names = BTreeSet::new();
        for block in blocks {
            let place = file::place(self.path, "remote_write", &block);
            let endpoint = self.endpoint(block.value, &place, max_samples)?;
            if !names.insert(endpoint.name.clone()) {
                return Err(twice("remote_write", &endpoint.name, &place));
            }
            all.push(endpoint);
        }
        match self.variables.get("REMOTE_WRITE_URL") {
            Some(url) if names.contains("env") => Err(twice("remote_write", "env", &url.place)),
            Some(url) => {
                all.push(self.endpoint_of_variables(&url, max_samples)?);
                Ok(all)
            }
            None => self.variables.orphan("REMOTE_WRITE").map_or(Ok(all), Err),
        }
    }

    fn endpoint(
        &mut self,
        block: EndpointBlock,
        place: &Place,
        max_samples: usize,
    ) -> Result<Endpoint, ConfigError> {
        self.unsupported_keys(&block)?;
        self.keys_without_meaning(&block);
        let url = self.typed("remote_write.url", block.url);
        let url = url.ok_or_else(|| wrong(place, "has no url; add one"))?.url()?;
        let name = self.typed("remote_write.name", block.name);
        let timeout = self.typed("remote_write.remote_timeout", block.remote_timeout);
        let message = self.typed("remote_write.protobuf_message", block.protobuf_message);
        let send = self.typed("remote_write.metadata_config.send", block.metadata_config.send);
        let every =
            self.typed("remote_write.metadata_config.send_interval", block.metadata_config.send_interval);
        let bearer = (
            self.typed("remote_write.bearer_token", block.bearer_token),
            self.typed("remote_write.bearer_token_file", block.bearer_token_file),
        );
        let from_environment =
            self.typed("remote_write.proxy_from_environment", block.proxy_from_environment);
        let http = HttpSettings {
            auth: self.auth(place, block.basic_auth, block.authorization, bearer)?,
            tls: self.tls(block.tls_config)?,
            proxy: self.proxy("remote_write.proxy_url", block.proxy_url, from_environment)?,
            headers: self.headers("remote_write.headers", block.headers)?,
            timeout: timeout.map_or(Ok(REMOTE_TIMEOUT), |timeout| timeout.duration())?,
        };
        let (retry, max_samples_per_send) = self.queue_config(block.queue_config, max_samples)?;
        Ok(Endpoint {
            name: name.map_or_else(|| Ok(shown(&url)), |name| name.filled().map(Text::from))?,
            url,
            protobuf_message: message
                .map_or(Ok(ProtobufMessage::Auto), |setting| protobuf_message(&setting))?,
            max_samples_per_send,
            retry,
            metadata: MetadataSettings {
                send: send.map_or(Ok(true), |setting| setting.boolean())?,
                every: every.map_or(Ok(METADATA_EVERY), |setting| setting.duration())?,
            },
            http,
        })
    }

    fn endpoint_of_variables(&self, url: &Setting, max_samples: usize) -> Result<Endpoint, ConfigError> {
        let get = |name: &str| self.variables.get(&format!("REMOTE_WRITE_{name}"));
        let mut http = self.http_of_variables("REMOTE_WRITE", REMOTE_TIMEOUT)?;
        if let Some(setting) = get("HEADERS") {
            for (name, value) in setting.pairs()? {
                http.headers.push(header(&name, value, |what| setting.error(what))?);
            }
        }
        if let Some(tenant) = get("TENANT") {
            http.headers.push(("X-Scope-OrgID".into(), SecretString::from(tenant.filled()?)));
        }
        Ok(Endpoint {
            name: "env".into(),
            url: url.url()?,
            protobuf_message: get("PROTOBUF_MESSAGE")
                .map_or(Ok(ProtobufMessage::Auto), |setting| protobuf_message(&setting))?,
            max_samples_per_send: max_samples,
            retry: Retry { min: MIN_BACKOFF, max: MAX_BACKOFF },
            metadata: MetadataSettings { send: true, every: METADATA_EVERY },
            http,
        })
    }

    fn http_of_variables(&self, prefix: &str, timeout: Duration) -> Result<HttpSettings, ConfigError> {
        let get = |name: &str| self.variables.get(&format!("{prefix}_{name}"));
        let username = get("USERNAME");
        let password = one_secret(get("PASSWORD"), get("PASSWORD_FILE"))?;
        let bearer = one_secret(get("BEARER_TOKEN"), get("BEARER_TOKEN_FILE"))?;
        let auth = match (username, password, bearer) {
            (None, None, None) => Auth::None,
            (None, None, Some(credentials)) => Auth::Header { scheme: "Bearer".into(), credentials },
            (Some(username), Some(password), None) => {
                Auth::Basic { username: username.filled()?.to_owned(), password }
            }
            (Some(username), None, _) => {
                let what = format_args!("has no password; set {prefix}_PASSWORD or {prefix}_PASSWORD_FILE");
                return Err(username.error(what));
            }
            (None, Some(_), _) => {
                let place = Place::Variable(format!("{prefix}_PASSWORD"));
                return Err(wrong(&place, format_args!("has no user name; set {prefix}_USERNAME")));
            }
            (Some(username), Some(_), Some(_)) => {
                return Err(
                    username.error(format_args!("stands beside {prefix}_BEARER_TOKEN; keep one of them"))
                );
            }
        };
        let ca_file = get("CA_FILE").map(|setting| setting.readable()).transpose()?;
        let tls = TlsSettings { ca_file, ..TlsSettings::default() };
        Ok(HttpSettings { auth, tls, proxy: self.variables.proxy(), headers: Vec::new(), timeout })
    }

    fn auth(
        &self,
        place: &Place,
        basic: Option<BasicBlock>,
        authorization: Option<AuthorizationBlock>,
        bearer: (Option<Setting>, Option<Setting>),
    ) -> Result<Auth, ConfigError> {
        let bearer = one_secret(bearer.0, bearer.1)?;
        match (basic, authorization, bearer) {
            (None, None, None) => Ok(Auth::None),
            (Some(basic), None, None) => self.basic(place, basic),
            (None, Some(authorization), None) => self.authorization(place, authorization),
            (None, None, Some(credentials)) => Ok(Auth::Header { scheme: "Bearer".into(), credentials }),
            _ => {
                Err(wrong(place, "has more than one of basic_auth, authorization and bearer_token; keep one"))
            }
        }
    }

    fn basic(&self, place: &Place, block: BasicBlock) -> Result<Auth, ConfigError> {
        refuse(
            self.path,
            "basic_auth.username_file",
            &block.username_file,
            "is not supported; write username",
        )?;
        let username = self.typed("basic_auth.username", block.username);
        let username = username.ok_or_else(|| wrong(place, "basic_auth has no username; add one"))?;
        let password = one_secret(
            self.typed("basic_auth.password", block.password),
            self.typed("basic_auth.password_file", block.password_file),
        )?;
        let password = password
            .ok_or_else(|| username.error("has no password beside it; add password or password_file"))?;
        Ok(Auth::Basic { username: username.filled()?.to_owned(), password })
    }

    fn authorization(&self, place: &Place, block: AuthorizationBlock) -> Result<Auth, ConfigError> {
        let scheme = self.typed("authorization.type", block.scheme);
        let scheme = scheme.map_or(Ok("Bearer".to_owned()), |scheme| scheme.filled().map(str::to_owned))?;
        if scheme.eq_ignore_ascii_case("basic") {
            return Err(wrong(place, "authorization.type cannot be Basic; use basic_auth"));
        }
        let credentials = one_secret(
            self.typed("authorization.credentials", block.credentials),
            self.typed("authorization.credentials_file", block.credentials_file),
        )?;
        let missing =
            || wrong(place, "authorization has no credentials; add credentials or credentials_file");
        Ok(Auth::Header { scheme, credentials: credentials.ok_or_else(missing)? })
    }

    fn tls(&self, block: TlsBlock) -> Result<TlsSettings, ConfigError> {
        const INLINE: &str =
            "is not supported; write it to a file and name it by the key of that name with _file";
        for (key, value) in
            [("tls_config.ca", &block.ca), ("tls_config.cert", &block.cert), ("tls_config.key", &block.key)]
        {
            refuse(self.path, key, value, INLINE)?;
        }
        const VERSIONS: &str = "is not supported; TLS 1.2 and 1.3 are spoken, so leave it out";
        refuse(self.path, "tls_config.min_version", &block.min_version, VERSIONS)?;
        refuse(self.path, "tls_config.max_version", &block.max_version, VERSIONS)?;
        let path = |key, typed| self.typed(key, typed).map(|setting| setting.readable()).transpose();
        let skip = self.typed("tls_config.insecure_skip_verify", block.insecure_skip_verify);
        let (cert, key) = (
            self.typed("tls_config.cert_file", block.cert_file),
            self.typed("tls_config.key_file", block.key_file),
        );
        let client_cert = match (cert, key) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((cert.readable()?, key.readable()?)),
            (Some(cert), None) => return Err(cert.error("has no key_file beside it; add one")),
            (None, Some(key)) => return Err(key.error("has no cert_file beside it; add one")),
        };
        let server_name = self.typed("tls_config.server_name", block.server_name);
        Ok(TlsSettings {
            ca_file: path("tls_config.ca_file", block.ca_file)?,
            client_cert,
            server_name: server_name.map(|name| name.filled().map(str::to_owned)).transpose()?,
            insecure_skip_verify: skip.map_or(Ok(false), |setting| setting.boolean())?,
        })
    }

    fn headers(
        &self,
        key: &'static str,
        typed: BTreeMap<String, Spanned<String>>,
    ) -> Result<Vec<(String, SecretString)>, ConfigError> {
        let of = |(name, value): (String, Spanned<String>)| {
            let place = file::place(self.path, key, &value);
            header(&name, value.value, |what| wrong(&place, what))
        };
        typed.into_iter().map(of).collect()
    }

    fn queue_config(
        &mut self,
        block: QueueConfigBlock,
        max_samples: usize,
    ) -> Result<(Retry, usize), ConfigError> {
        let min = self.typed("remote_write.queue_config.min_backoff", block.min_backoff);
        let max = self.typed("remote_write.queue_config.max_backoff", block.max_backoff);
        let samples =
            self.typed("remote_write.queue_config.max_samples_per_send", block.max_samples_per_send);
        let wanted = samples.as_ref().map_or(Ok(max_samples), Setting::count)?;
        if let Some(setting) = samples.filter(|_| wanted > max_samples) {
            self.warnings.push(format!(
                "{}: {wanted} is more than queue.max_samples_per_send, so {max_samples} is used",
                setting.place
            ));
        }
        let lowest = min.as_ref().map_or(Ok(MIN_BACKOFF), Setting::duration)?;
        let highest = max.as_ref().map_or(Ok(MAX_BACKOFF.max(lowest)), Setting::duration)?;
        match max.filter(|_| highest < lowest) {
            Some(setting) => Err(setting.error(format_args!("is shorter than min_backoff ({lowest:?})"))),
            None => Ok((Retry { min: lowest, max: highest }, wanted.min(max_samples))),
        }
    }

    fn unsupported_keys(&self, block: &EndpointBlock) -> Result<(), ConfigError> {
        const AUTH: &str =
            "is not supported; use basic_auth or authorization, or a proxy that signs requests";
        for (key, value, way_out) in [
            ("remote_write.oauth2", &block.oauth2, AUTH),
            ("remote_write.sigv4", &block.sigv4, AUTH),
            ("remote_write.azuread", &block.azuread, AUTH),
            ("remote_write.google_iam", &block.google_iam, AUTH),
            (
                "remote_write.write_relabel_configs",
                &block.write_relabel_configs,
                "is not supported yet; relabel at the receiver, or choose fleets by balena.fleets",
            ),
            ("remote_write.http_headers", &block.http_headers, "is not supported; use headers"),
            ("remote_write.no_proxy", &block.no_proxy, "is not supported; set the variable NO_PROXY"),
            ("remote_write.proxy_connect_header", &block.proxy_connect_header, "is not supported; remove it"),
        ] {
            refuse(self.path, key, value, way_out)?;
        }
        Ok(())
    }

    fn keys_without_meaning(&mut self, block: &EndpointBlock) {
        let (queue, metadata) = (&block.queue_config, &block.metadata_config);
        let keys = [
            ("remote_write.send_exemplars", &block.send_exemplars),
            ("remote_write.send_native_histograms", &block.send_native_histograms),
            ("remote_write.follow_redirects", &block.follow_redirects),
            ("remote_write.enable_http2", &block.enable_http2),
            ("remote_write.round_robin_dns", &block.round_robin_dns),
            ("remote_write.queue_config.capacity", &queue.capacity),
            ("remote_write.queue_config.min_shards", &queue.min_shards),
            ("remote_write.queue_config.max_shards", &queue.max_shards),
            ("remote_write.queue_config.batch_send_deadline", &queue.batch_send_deadline),
            ("remote_write.queue_config.retry_on_http_429", &queue.retry_on_http_429),
            ("remote_write.queue_config.sample_age_limit", &queue.sample_age_limit),
            ("remote_write.metadata_config.max_samples_per_send", &metadata.max_samples_per_send),
        ];
        for (key, value) in keys {
            if let Some(value) = value {
                let place = file::place(self.path, key, value);
                self.warnings.push(format!("{place}: has no meaning here and changes nothing"));
            }
        }
    }
}

fn twice(block: &str, name: &str, place: &Place) -> ConfigError {
    wrong(place, format_args!("a second entry of {block} is named {name:?}; give each a name of its own"))
}

/// A URL as it may be shown.
fn shown(url: &Url) -> Text {
    let mut url = url.clone();
    url.set_query(None);
    url.as_str().trim_end_matches('/').into()
}

fn gateway_url(setting: &Setting) -> Result<Url, ConfigError> {
    let url = setting.url()?;
    if url.path().contains("/metrics/job") {
        return Err(setting
            .error("already holds /metrics/job/…; give the gateway's base URL, and labels by grouping"));
    }
    if url.path().ends_with("/metrics") {
        return Err(setting.error("ends with /metrics; give the gateway's base URL"));
    }
    if url.query().is_some() {
        return Err(setting.error("has a query (?…); give the gateway's base URL"));
    }
    Ok(url)
}

fn grouping_label(
    name: &str,
    value: Text,
    error: impl Fn(String) -> ConfigError,
) -> Result<(LabelName, Text), ConfigError> {
    if let Some(why) = refused_as_grouping(name) {
        return Err(error(format!("the label {name} {why}; remove it")));
    }
    if value.is_empty() {
        return Err(error(format!("the label {name} is empty; give it a value or remove it")));
    }
    Ok((label(name, error)?, value))
}

fn header(
    name: &str,
    value: String,
    error: impl Fn(String) -> ConfigError,
) -> Result<(String, SecretString), ConfigError> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        return Err(error(format!("{name:?} is not the name of a header")));
    }
    if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(error(format!(
            "the header {name} is set by fleetpush itself; use basic_auth, authorization, or remove it"
        )));
    }
    if value.chars().any(char::is_control) {
        return Err(error(format!(
            "the value of the header {name} has a line break or another control character"
        )));
    }
    Ok((name.to_owned(), SecretString::from(value)))
}

fn protobuf_message(setting: &Setting) -> Result<ProtobufMessage, ConfigError> {
    setting.choice(&[
        ("auto", ProtobufMessage::Auto),
        ("1.0", ProtobufMessage::V1),
        ("2.0", ProtobufMessage::V2),
        ("prometheus.WriteRequest", ProtobufMessage::V1),
        ("io.prometheus.write.v2.Request", ProtobufMessage::V2),
    ])
}
