//! Pushgateways: the file's blocks and the one that the variables give.

use std::collections::BTreeSet;
use std::time::Duration;

use url::Url;

use super::ConfigError;
use super::block::{Pairs, Placed, Typed, blocks};
use super::http::{AuthorizationBlock, BasicBlock, Credentials, TlsBlock, headers, tls};
use super::labels::labels;
use super::oauth2::OAuth2Block;
use super::resolve::{Resolver, env_twice, shown, twice, wrong};
use super::types::{Gateway, HttpSettings};
use super::value::{Place, Setting};
use crate::sample::Text;

const TIMEOUT: Duration = Duration::from_secs(10);

blocks! {
    /// Each push replaces everything in its group, so that a fleet that is gone is gone with the next push.
    GatewayBlock {
        /// Its name in logs and metrics, each once; `env` is that of the variables.
        name: Typed as "text" = "its URL",
        /// Its base, without `/metrics`; a path before that is kept.
        url: Typed as "URL" = "required",
        /// Grouping labels beside `job` and `instance`. Not `component`, `le`, `quantile`, nor what begins with `__`.
        grouping: Pairs as "map of labels",
        /// Whether a clean end of `run` deletes its groups, so that nobody sees counts of a process that is gone. Not for
        /// CronJobs.
        delete_on_exit: Typed as "boolean" = "`false`",
        /// How long one request may take.
        timeout: Typed as "duration" = "`10s`",
        /// User name and password.
        basic_auth: Option<Placed<BasicBlock>>,
        /// A bearer token, or another `Authorization` header.
        authorization: Option<Placed<AuthorizationBlock>>,
        /// A token that is fetched for client credentials.
        oauth2: Option<Placed<OAuth2Block>>,
        /// Trust and client certificate.
        tls_config: TlsBlock,
        /// The HTTP proxy that it is reached through. May hold credentials.
        proxy_url: Typed as "URL" = "as `HTTP_PROXY` and the like say",
        /// Further headers of each request.
        headers: Pairs as "map of texts",
    }
}

impl Resolver<'_> {
    pub(super) fn gateways(
        &mut self,
        blocks: Vec<Placed<GatewayBlock>>,
    ) -> Result<Vec<Gateway>, ConfigError> {
        let mut all = Vec::new();
        let mut names = BTreeSet::new();
        for block in blocks {
            let place = block.place;
            let gateway = self.gateway(block.value, &place)?;
            if !names.insert(gateway.name.clone()) {
                return Err(twice(&gateway.name, &place));
            }
            all.push(gateway);
        }
        match self.variables.get("PUSHGATEWAY_URL") {
            Some(url) if names.contains("env") => Err(env_twice(&url)),
            Some(url) => {
                all.push(self.gateway_of_variables(&url)?);
                Ok(all)
            }
            None => self.variables.orphan("PUSHGATEWAY").map_or(Ok(all), Err),
        }
    }

    fn gateway(&self, block: GatewayBlock, place: &Place) -> Result<Gateway, ConfigError> {
        let url = block.url.ok_or_else(|| wrong(place, "has no url; add one"))?;
        let url = gateway_url(&url)?;
        let credentials = Credentials {
            basic: block.basic_auth,
            authorization: block.authorization,
            oauth2: block.oauth2,
            bearer: (None, None),
        };
        let http = HttpSettings {
            auth: self.auth(credentials)?,
            tls: tls(block.tls_config, block.proxy_url.is_some())?,
            proxy: self.proxy(block.proxy_url, None)?,
            headers: headers(block.headers.0)?,
            timeout: block.timeout.map_or(Ok(TIMEOUT), |timeout| timeout.duration())?,
        };
        Ok(Gateway {
            name: block.name.map_or_else(|| Ok(shown(&url)), |name| name.filled().map(Text::from))?,
            grouping: labels(block.grouping.0, refused_as_grouping)?,
            delete_on_exit: block.delete_on_exit.map_or(Ok(false), |setting| setting.boolean())?,
            url,
            http,
        })
    }

    fn gateway_of_variables(&self, url: &Setting) -> Result<Gateway, ConfigError> {
        let get = |name: &str| self.variables.get(&format!("PUSHGATEWAY_{name}"));
        let grouping = get("GROUPING").map_or(Ok(Vec::new()), |setting| setting.pairs())?;
        Ok(Gateway {
            name: "env".into(),
            url: gateway_url(url)?,
            grouping: labels(grouping, refused_as_grouping)?,
            delete_on_exit: get("DELETE_ON_EXIT").map_or(Ok(false), |setting| setting.boolean())?,
            http: self.http_of_variables("PUSHGATEWAY", TIMEOUT)?,
        })
    }
}

/// Names that a gateway keeps for itself or that break the scrape of the whole gateway.
fn refused_as_grouping(name: &str) -> Option<&'static str> {
    match name {
        "job" => Some("is set by `job:` or FLEETPUSH_JOB"),
        "instance" => Some("is set by `instance:` or FLEETPUSH_INSTANCE"),
        "component" => Some("is set for the program's own metrics"),
        "le" | "quantile" => Some("breaks the gateway's page for everyone"),
        _ if name.starts_with("__") => Some("is refused by gateways"),
        _ => None,
    }
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
