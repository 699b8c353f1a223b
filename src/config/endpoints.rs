//! Remote-write endpoints: the file's blocks and the one that the variables give.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ConfigError;
use super::block::{Pairs, Placed, Typed, blocks};
use super::http::{AuthorizationBlock, BasicBlock, Credentials, TlsBlock, headers, tls};
use super::oauth2::OAuth2Block;
use super::relabel::{RuleBlock, rules};
use super::resolve::{Resolver, env_twice, shown, twice, wrong};
use super::types::{Endpoint, HttpSettings, MetadataSettings, ProtobufMessage, Retry, SendExemplars, Start};
use super::value::{Place, Setting};
use crate::relabel::Rules;
use crate::sample::Text;

/// Prometheus' own default.
const TIMEOUT: Duration = Duration::from_secs(30);
const MIN_BACKOFF: Duration = Duration::from_millis(500);
const MAX_BACKOFF: Duration = Duration::from_secs(30);
const METADATA_EVERY: Duration = Duration::from_secs(60);
/// Prometheus' own is 50, for a hundred times as many samples.
const SHARDS: usize = 4;
const MOST_SHARDS: usize = 64;
const TENANT: &str = "X-Scope-OrgID";

blocks! {
    /// Endpoints are independent: one that hangs or refuses delays no other. Prometheus' further keys are taken with a
    /// warning, or refused where they would change data or security: see
    /// [below](#keys-of-prometheus-that-change-nothing-here).
    EndpointBlock {
        /// Its name in logs and metrics and in the queue, each once; `env` is that of the variables. An endpoint that moves
        /// and keeps its name goes on where it was.
        name: Typed as "text" = "its URL without query",
        /// Where requests go, the path included.
        url: Typed as "URL" = "required",
        /// How long one request may take. One that takes longer is sent again.
        remote_timeout: Typed as "duration" = "`30s`",
        /// Which version of remote write is spoken. `auto` speaks 2.0 where the receiver knows it and 1.0 elsewhere; the full
        /// names are Prometheus' own for 1.0 and 2.0.
        protobuf_message: Typed
            as "`auto`, `1.0`, `2.0`, `prometheus.WriteRequest` or `io.prometheus.write.v2.Request`" = "`auto`",
        /// Further headers of each request, such as `X-Scope-OrgID` for a tenant.
        headers: Pairs as "map of texts",
        /// User name and password.
        basic_auth: Option<Placed<BasicBlock>>,
        /// A bearer token, or another `Authorization` header.
        authorization: Option<Placed<AuthorizationBlock>>,
        /// A token that is fetched for client credentials.
        oauth2: Option<Placed<OAuth2Block>>,
        /// A bearer token. Better in a file.
        bearer_token: Typed as "secret",
        /// The file that holds the bearer token.
        bearer_token_file: Typed as "path",
        /// Trust and client certificate.
        tls_config: TlsBlock,
        /// The HTTP proxy that it is reached through. May hold credentials.
        proxy_url: Typed as "URL" = "as `HTTPS_PROXY` and the like say",
        /// With `false` no proxy is used at all, where `proxy_url` names none.
        proxy_from_environment: Typed as "boolean" = "`true`",
        /// Where an endpoint begins that the queue does not know yet: with what comes from `now` on, or with the `oldest`
        /// samples that are still there for another endpoint.
        start: Typed as "`now` or `oldest`" = "`now`",
        /// Rules for each series before it is sent, external labels included.
        write_relabel_configs: Vec<Placed<RuleBlock>>,
        /// How requests to this endpoint are cut and tried again.
        queue_config: QueueConfigBlock,
        /// Types and helps in remote write 1.0; 2.0 always has them.
        metadata_config: MetadataBlock,
        /// Whether exemplars of relayed pages are sent: `true` sends them in 1.0 as well, `false` (Prometheus' own default)
        /// never.
        send_exemplars: Typed as "boolean" = "with 2.0 only",
    }
    /// How requests to one endpoint are cut and tried again.
    QueueConfigBlock {
        /// How many samples a request holds at most. Not more than the queue's own number, which is used then.
        max_samples_per_send: Typed as "whole number above 0" = "as `queue.max_samples_per_send`",
        /// How many requests of one cycle may be in flight at once, at most 64. The next cycle waits for all of them, so the
        /// order of each series holds.
        max_shards: Typed as "whole number above 0" = "`4`",
        /// The delay before the second try; each further one is twice as long. Also the first pause after a refusal that
        /// says nothing of the samples, as long as the receiver has taken nothing since the start.
        min_backoff: Typed as "duration" = "`500ms`",
        /// The longest delay between two tries. A `Retry-After` of the receiver wins.
        max_backoff: Typed as "duration" = "`30s`",
    }
    /// Types and helps in remote write 1.0.
    MetadataBlock {
        /// Whether types and helps are sent.
        send: Typed as "boolean" = "`true`",
        /// How often they are sent.
        send_interval: Typed as "duration" = "`1m`",
    }
}

impl Resolver<'_> {
    pub(super) fn endpoints(
        &mut self,
        blocks: Vec<Placed<EndpointBlock>>,
        max_samples: usize,
    ) -> Result<Vec<Endpoint>, ConfigError> {
        let mut all = Vec::new();
        let mut names = BTreeSet::new();
        for block in blocks {
            let place = block.place;
            let endpoint = self.endpoint(block.value, &place, max_samples)?;
            if !names.insert(endpoint.name.clone()) {
                return Err(twice(&endpoint.name, &place));
            }
            all.push(endpoint);
        }
        match self.variables.get("REMOTE_WRITE_URL") {
            Some(url) if names.contains("env") => Err(env_twice(&url)),
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
        let url = block.url;
        let url = url.ok_or_else(|| wrong(place, "has no url; add one"))?.url()?;
        let name = block.name;
        let timeout = block.remote_timeout;
        let message = block.protobuf_message;
        let start = block.start;
        let send = block.metadata_config.send;
        let every = block.metadata_config.send_interval;
        let exemplars = block.send_exemplars;
        let credentials = Credentials {
            basic: block.basic_auth,
            authorization: block.authorization,
            oauth2: block.oauth2,
            bearer: (block.bearer_token, block.bearer_token_file),
        };
        let write_relabel = rules(block.write_relabel_configs)?;
        let from_environment = block.proxy_from_environment;
        let http = HttpSettings {
            auth: self.auth(credentials)?,
            tls: tls(block.tls_config, block.proxy_url.is_some())?,
            proxy: self.proxy(block.proxy_url, from_environment)?,
            headers: headers(block.headers.0)?,
            timeout: timeout.map_or(Ok(TIMEOUT), |timeout| timeout.duration())?,
        };
        let max_shards = self.shards(block.queue_config.max_shards.as_ref())?;
        let (retry, max_samples_per_send) = self.queue_config(block.queue_config, max_samples)?;
        Ok(Endpoint {
            name: name.map_or_else(|| Ok(shown(&url)), |name| name.filled().map(Text::from))?,
            url,
            start: start.map_or(Ok(Start::Now), |setting| {
                setting.choice(&[("now", Start::Now), ("oldest", Start::Oldest)])
            })?,
            protobuf_message: message
                .map_or(Ok(ProtobufMessage::Auto), |setting| protobuf_message(&setting))?,
            write_relabel,
            max_samples_per_send,
            max_shards,
            retry,
            metadata: MetadataSettings {
                send: send.map_or(Ok(true), |setting| setting.boolean())?,
                every: every.map_or(Ok(METADATA_EVERY), |setting| setting.duration())?,
            },
            exemplars: exemplars.map_or(Ok(SendExemplars::InTwo), |setting| {
                Ok(if setting.boolean()? { SendExemplars::Always } else { SendExemplars::Never })
            })?,
            http,
        })
    }

    fn endpoint_of_variables(&self, url: &Setting, max_samples: usize) -> Result<Endpoint, ConfigError> {
        let get = |name: &str| self.variables.get(&format!("REMOTE_WRITE_{name}"));
        let mut http = self.http_of_variables("REMOTE_WRITE", TIMEOUT)?;
        let mut pairs = get("HEADERS").map_or(Ok(Vec::new()), |setting| setting.pairs())?;
        if let Some(tenant) = get("TENANT") {
            pairs.push((Setting { text: TENANT.into(), place: tenant.place.clone() }, tenant));
        }
        http.headers = headers(pairs)?;
        Ok(Endpoint {
            name: "env".into(),
            url: url.url()?,
            start: Start::Now,
            protobuf_message: get("PROTOBUF_MESSAGE")
                .map_or(Ok(ProtobufMessage::Auto), |setting| protobuf_message(&setting))?,
            write_relabel: Rules::default(),
            max_samples_per_send: max_samples,
            max_shards: SHARDS,
            retry: Retry { min: MIN_BACKOFF, max: MAX_BACKOFF },
            metadata: MetadataSettings { send: true, every: METADATA_EVERY },
            exemplars: SendExemplars::InTwo,
            http,
        })
    }

    fn shards(&mut self, setting: Option<&Setting>) -> Result<usize, ConfigError> {
        let Some(setting) = setting else { return Ok(SHARDS) };
        let wanted = setting.count()?;
        if wanted > MOST_SHARDS {
            self.warnings
                .push(format!("{}: {wanted} is more than {MOST_SHARDS}, which are used", setting.place));
        }
        Ok(wanted.min(MOST_SHARDS))
    }

    fn queue_config(
        &mut self,
        block: QueueConfigBlock,
        max_samples: usize,
    ) -> Result<(Retry, usize), ConfigError> {
        let min = block.min_backoff;
        let max = block.max_backoff;
        let samples = block.max_samples_per_send;
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
            Some(setting) => {
                Err(setting.error(format_args!("is shorter than min_backoff ({lowest:?}); make it longer")))
            }
            None => Ok((Retry { min: lowest, max: highest }, wanted.min(max_samples))),
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
