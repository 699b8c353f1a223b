//! How a sink's server is spoken to: credentials, TLS, headers.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;
use serde_saphyr::Spanned;

use super::ConfigError;
use super::file::{self, AuthorizationBlock, BasicBlock, TlsBlock};
use super::resolve::{Resolver, one_secret, refuse, wrong};
use super::types::{Auth, HttpSettings, TlsSettings};
use super::value::{Place, Setting};

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

impl Resolver<'_> {
    pub(super) fn http_of_variables(
        &self,
        prefix: &str,
        timeout: Duration,
    ) -> Result<HttpSettings, ConfigError> {
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
        Ok(HttpSettings { auth, tls, proxy: super::Proxy::Environment, headers: Vec::new(), timeout })
    }

    pub(super) fn auth(
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

    pub(super) fn tls(&self, block: TlsBlock) -> Result<TlsSettings, ConfigError> {
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

    pub(super) fn headers(
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
}

pub(super) fn header(
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
