//! Remote-write endpoints: the file's blocks and the one that the variables give.

use std::collections::BTreeSet;
use std::time::Duration;

use secrecy::SecretString;
use serde_saphyr::Spanned;

use super::ConfigError;
use super::file::{self, EndpointBlock, QueueConfigBlock};
use super::http::header;
use super::resolve::{Resolver, refuse, shown, twice, wrong};
use super::types::{Endpoint, HttpSettings, MetadataSettings, ProtobufMessage, Retry};
use super::value::{Place, Setting};
use crate::sample::Text;

/// Prometheus' own default.
const TIMEOUT: Duration = Duration::from_secs(30);
const MIN_BACKOFF: Duration = Duration::from_millis(500);
const MAX_BACKOFF: Duration = Duration::from_secs(30);
const METADATA_EVERY: Duration = Duration::from_secs(60);

impl Resolver<'_> {
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
            timeout: timeout.map_or(Ok(TIMEOUT), |timeout| timeout.duration())?,
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
        let mut http = self.http_of_variables("REMOTE_WRITE", TIMEOUT)?;
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

fn protobuf_message(setting: &Setting) -> Result<ProtobufMessage, ConfigError> {
    setting.choice(&[
        ("auto", ProtobufMessage::Auto),
        ("1.0", ProtobufMessage::V1),
        ("2.0", ProtobufMessage::V2),
        ("prometheus.WriteRequest", ProtobufMessage::V1),
        ("io.prometheus.write.v2.Request", ProtobufMessage::V2),
    ])
}
