//! OAuth2's client credentials in Prometheus' own keys.

use std::collections::BTreeSet;

use secrecy::SecretString;

use super::ConfigError;
use super::block::{Pairs, Placed, Typed, blocks};
use super::http::{TlsBlock, tls};
use super::resolve::{Resolver, one_secret, wrong};
use super::types::{OAuth2, TlsSettings};
use super::value::Setting;

/// Parameters that other keys set.
const RESERVED: [(&str, &str); 3] =
    [("client_id", "client_id"), ("client_secret", "client_secret"), ("scope", "scopes")];

blocks! {
    /// A token is fetched for client credentials, see [OAuth2](#oauth2).
    OAuth2Block {
        /// The client's name at the authorization server.
        client_id: Typed as "text" = "required",
        /// The client's secret. Better in a file.
        client_secret: Typed as "secret",
        /// The file that holds the client's secret. Where it changes another token is fetched.
        client_secret_file: Typed as "path",
        /// What the token is to be good for.
        scopes: Vec<Typed> as "list of texts",
        /// The token endpoint, taken as it is typed. With plain `http://` everyone on the way sees the secret.
        token_url: Typed as "URL" = "required",
        /// Further parameters of the request for a token, such as `audience`.
        endpoint_params: Pairs as "map of texts",
        /// Trust and client certificate towards the token endpoint, which has none of the receiver's.
        tls_config: TlsBlock,
        /// The HTTP proxy towards the token endpoint. May hold credentials.
        proxy_url: Typed as "URL" = "as `HTTPS_PROXY` and the like say",
        /// With `false` no proxy is used at all, where `proxy_url` names none.
        proxy_from_environment: Typed as "boolean" = "`true`",
    }
}

impl Resolver<'_> {
    pub(super) fn oauth2(
        &self,
        Placed { place, value: block }: Placed<OAuth2Block>,
    ) -> Result<OAuth2, ConfigError> {
        let missing = |what: &str| wrong(&place, format_args!("has no {what}"));
        let client_id = block.client_id.ok_or_else(|| missing("client_id; add one"))?;
        let secret = one_secret(block.client_secret, block.client_secret_file)?;
        let token_url = block.token_url.ok_or_else(|| missing("token_url; add one"))?;
        let scope = |setting: &Setting| match setting.filled()? {
            text if text.contains(char::is_whitespace) => {
                Err(setting.error("holds white space; write each scope as an entry of its own"))
            }
            text => Ok(text.to_owned()),
        };
        Ok(OAuth2 {
            client_id: client_id.filled()?.to_owned(),
            client_secret: secret
                .ok_or_else(|| missing("client_secret; add client_secret or client_secret_file"))?,
            scopes: block.scopes.iter().flatten().map(scope).collect::<Result<_, _>>()?,
            token_url: token_url.exact_url()?,
            endpoint_params: params(block.endpoint_params.0)?,
            tls: tls(block.tls_config, block.proxy_url.is_some())?,
            proxy: self.proxy(block.proxy_url, block.proxy_from_environment)?,
        })
    }
}

impl Resolver<'_> {
    /// That of the one endpoint that the variables give, with the variable that says so first; trust is the endpoint's.
    pub(super) fn oauth2_of_variables(
        &self,
        prefix: &str,
        tls: &TlsSettings,
    ) -> Result<Option<(Setting, OAuth2)>, ConfigError> {
        let get = |name: &str| self.variables.get(&format!("{prefix}_OAUTH2_{name}"));
        let (id, url, scopes) = (get("CLIENT_ID"), get("TOKEN_URL"), get("SCOPES"));
        let (secret, file) = (get("CLIENT_SECRET"), get("CLIENT_SECRET_FILE"));
        let given = [&id, &secret, &file, &url, &scopes];
        let Some(first) = given.into_iter().flatten().next().cloned() else { return Ok(None) };
        let missing = |names: &str| first.error(format_args!("is not enough for OAuth2; set {names} too"));
        let id = id.ok_or_else(|| missing(&format!("{prefix}_OAUTH2_CLIENT_ID")))?;
        let secret = one_secret(secret, file)?.ok_or_else(|| {
            missing(&format!("{prefix}_OAUTH2_CLIENT_SECRET or {prefix}_OAUTH2_CLIENT_SECRET_FILE"))
        })?;
        let url = url.ok_or_else(|| missing(&format!("{prefix}_OAUTH2_TOKEN_URL")))?;
        let words = scopes.iter().flat_map(|scopes| scopes.text.split([',', ' ']));
        let oauth2 = OAuth2 {
            client_id: id.filled()?.to_owned(),
            client_secret: secret,
            scopes: words.map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect(),
            token_url: url.exact_url()?,
            endpoint_params: Vec::new(),
            tls: tls.clone(),
            proxy: self.variables.proxy(),
        };
        Ok(Some((first, oauth2)))
    }
}

/// Parameters of the operator's own, each once. Values may be secret.
fn params(pairs: Vec<(Setting, Setting)>) -> Result<Vec<(String, SecretString)>, ConfigError> {
    let (mut all, mut names) = (Vec::new(), BTreeSet::new());
    for (name, value) in pairs {
        let text = name.filled()?.to_owned();
        if let Some((_, key)) = RESERVED.iter().find(|(reserved, _)| *reserved == text) {
            return Err(name.error(format_args!("{text} is set by {key}; write it there")));
        }
        if !names.insert(text.clone()) {
            return Err(name.error(format_args!("{text} is set twice; keep one of them")));
        }
        all.push((text, SecretString::from(value.text)));
    }
    Ok(all)
}
