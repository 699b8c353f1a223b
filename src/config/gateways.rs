//! Pushgateways: the file's blocks and the one that the variables give.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_saphyr::Spanned;
use url::Url;

use super::ConfigError;
use super::file::{self, GatewayBlock};
use super::resolve::{Resolver, label, shown, twice, wrong};
use super::types::{Gateway, HttpSettings};
use super::value::{Place, Setting};
use crate::sample::{LabelName, Text};

const TIMEOUT: Duration = Duration::from_secs(10);

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
            timeout: timeout.map_or(Ok(TIMEOUT), |timeout| timeout.duration())?,
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
            http: self.http_of_variables("PUSHGATEWAY", TIMEOUT)?,
        })
    }
}

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
