//! How a sink's server is spoken to: credentials, TLS, headers.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use secrecy::SecretString;

use super::ConfigError;
use super::block::{Placed, Typed, blocks};
use super::oauth2::OAuth2Block;
use super::resolve::{Resolver, one_secret, wrong};
use super::types::{Auth, HttpSettings, TlsSettings};
use super::value::Setting;

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

blocks! {
    /// User name and password. One kind of credentials excludes the others.
    BasicBlock {
        /// The user's name; at Grafana Cloud the number of the stack's metrics instance.
        username: Typed as "text" = "required",
        /// The password. Better in a file.
        password: Typed as "secret",
        /// The file that holds the password.
        password_file: Typed as "path",
    }
    /// The header `Authorization: <type> <credentials>`.
    AuthorizationBlock {
        /// The scheme. Not `Basic`, which is `basic_auth`.
        scheme = "type": Typed as "word" = "`Bearer`",
        /// What follows it, mostly a token. Better in a file.
        credentials: Typed as "secret",
        /// The file that holds it.
        credentials_file: Typed as "path",
    }
    /// Whom we trust, and who we are.
    TlsBlock {
        /// Further certificates (PEM) that are trusted, beside the system's: a private authority's.
        ca_file: Typed as "path" = "the system's",
        /// The client's certificate (PEM), with `key_file`, where the server asks for one. Read again when it changes.
        cert_file: Typed as "path",
        /// The certificate's key (PEM).
        key_file: Typed as "path",
        /// The name that the server's certificate must have. Not together with `proxy_url`.
        server_name: Typed as "text" = "the URL's host",
        /// Takes any certificate: whoever is on the way can read and change everything. Name the authority in `ca_file`
        /// instead.
        insecure_skip_verify: Typed as "boolean" = "`false`",
    }
}

impl Resolver<'_> {
    pub(super) fn http_of_variables(
        &self,
        prefix: &str,
        timeout: Duration,
    ) -> Result<HttpSettings, ConfigError> {
        let get = |name: &str| self.variables.get(&format!("{prefix}_{name}"));
        let username = get("USERNAME");
        let passwords = (get("PASSWORD"), get("PASSWORD_FILE"));
        let bearers = (get("BEARER_TOKEN"), get("BEARER_TOKEN_FILE"));
        let password = passwords.0.as_ref().or(passwords.1.as_ref());
        let bearer = bearers.0.as_ref().or(bearers.1.as_ref());
        match (&username, password, bearer) {
            (Some(username), None, None) => {
                let what = format_args!("has no password; set {prefix}_PASSWORD or {prefix}_PASSWORD_FILE");
                return Err(username.error(what));
            }
            (None, Some(password), None) => {
                return Err(password.error(format_args!("has no user name; set {prefix}_USERNAME")));
            }
            (Some(basic), _, Some(bearer)) | (None, Some(basic), Some(bearer)) => {
                return Err(beside(bearer, &basic.place.to_string()));
            }
            _ => {}
        }
        let ca_file = get("CA_FILE").map(|setting| setting.pem("CERTIFICATE")).transpose()?;
        let tls = TlsSettings { ca_file, ..TlsSettings::default() };
        let oauth2 = self.oauth2_of_variables(prefix, &tls)?;
        if let (Some((first, _)), Some(other)) = (&oauth2, username.as_ref().or(bearer)) {
            return Err(beside(first, &other.place.to_string()));
        }
        let auth = match (username, one_secret(passwords.0, passwords.1)?, oauth2) {
            (Some(username), Some(password), _) => {
                Auth::Basic { username: username.filled()?.to_owned(), password }
            }
            (_, _, Some((_, oauth2))) => Auth::OAuth2(Box::new(oauth2)),
            _ => bearer_auth(one_secret(bearers.0, bearers.1)?),
        };
        Ok(HttpSettings { auth, tls, proxy: self.variables.proxy(), headers: Vec::new(), timeout })
    }
}

/// What a block of the file says of credentials.
#[derive(Default)]
pub(super) struct Credentials {
    pub(super) basic: Option<Placed<BasicBlock>>,
    pub(super) authorization: Option<Placed<AuthorizationBlock>>,
    pub(super) oauth2: Option<Placed<OAuth2Block>>,
    pub(super) bearer: (Typed, Typed),
}

impl Resolver<'_> {
    /// The credentials of a block of the file; two kinds of them contradict each other.
    pub(super) fn auth(&self, credentials: Credentials) -> Result<Auth, ConfigError> {
        let Credentials { basic, authorization, oauth2, bearer } = credentials;
        let token = bearer.0.as_ref().or(bearer.1.as_ref());
        let first = match (&basic, &authorization, token) {
            (Some(_), Some(other), _) => {
                return Err(wrong(&other.place, "stands beside basic_auth; keep one of them"));
            }
            (Some(_), None, Some(token)) => return Err(beside(token, "basic_auth")),
            (None, Some(_), Some(token)) => return Err(beside(token, "authorization")),
            (Some(_), None, None) => Some("basic_auth"),
            (None, Some(_), None) => Some("authorization"),
            (None, None, Some(_)) => Some("bearer_token"),
            (None, None, None) => None,
        };
        match (basic, authorization, oauth2) {
            (_, _, Some(other)) if first.is_some() => {
                let what = format_args!("stands beside {}; keep one of them", first.unwrap_or_default());
                Err(wrong(&other.place, what))
            }
            (_, _, Some(block)) => self.oauth2(block).map(|oauth2| Auth::OAuth2(Box::new(oauth2))),
            (Some(block), _, _) => basic_auth(block),
            (None, Some(block), _) => header_auth(block),
            (None, None, None) => Ok(bearer_auth(one_secret(bearer.0, bearer.1)?)),
        }
    }
}

fn beside(setting: &Setting, other: &str) -> ConfigError {
    setting.error(format_args!("stands beside {other}; keep one of them"))
}

fn bearer_auth(credentials: Option<super::Secret>) -> Auth {
    credentials.map_or(Auth::None, |credentials| Auth::Header { scheme: "Bearer".into(), credentials })
}

fn basic_auth(Placed { place, value: block }: Placed<BasicBlock>) -> Result<Auth, ConfigError> {
    let username = block.username.ok_or_else(|| wrong(&place, "has no username; add one"))?;
    let password = one_secret(block.password, block.password_file)?;
    let missing = || wrong(&place, "has no password; add password or password_file");
    Ok(Auth::Basic { username: username.filled()?.to_owned(), password: password.ok_or_else(missing)? })
}

fn header_auth(Placed { place, value: block }: Placed<AuthorizationBlock>) -> Result<Auth, ConfigError> {
    let scheme = match &block.scheme {
        None => "Bearer",
        Some(setting) => match setting.filled()? {
            scheme if scheme.eq_ignore_ascii_case("basic") => {
                return Err(setting.error("cannot be Basic here; use basic_auth"));
            }
            scheme if scheme.chars().all(is_token) => scheme,
            scheme => {
                return Err(setting.error(format_args!("{scheme:?} is not one word, such as Bearer")));
            }
        },
    };
    let credentials = one_secret(block.credentials, block.credentials_file)?;
    let missing = || wrong(&place, "has no credentials; add credentials or credentials_file");
    Ok(Auth::Header { scheme: scheme.to_owned(), credentials: credentials.ok_or_else(missing)? })
}

/// Trust and client certificate of a block of the file; `proxied` where it has a `proxy_url`.
pub(super) fn tls(block: TlsBlock, proxied: bool) -> Result<TlsSettings, ConfigError> {
    let name = |setting: Setting| match setting.filled()? {
        _ if proxied => Err(setting.error("cannot be used together with proxy_url; leave one of them out")),
        name if name.parse::<IpAddr>().is_ok() => {
            Err(setting.error(format_args!("{name:?} is an address; write a host's name, or leave it out")))
        }
        name => Ok(name.to_owned()),
    };
    let client_cert = match (block.cert_file, block.key_file) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some((cert.pem("CERTIFICATE")?, key.pem("PRIVATE KEY")?)),
        (Some(cert), None) => return Err(cert.error("has no key_file beside it; add one")),
        (None, Some(key)) => return Err(key.error("has no cert_file beside it; add one")),
    };
    let skip = block.insecure_skip_verify;
    Ok(TlsSettings {
        ca_file: block.ca_file.map(|setting| setting.pem("CERTIFICATE")).transpose()?,
        client_cert,
        server_name: block.server_name.map(name).transpose()?,
        insecure_skip_verify: skip.map_or(Ok(false), |setting| setting.boolean())?,
    })
}

/// Headers that can be sent, that are not ours to set, each once. Values may be secret.
pub(super) fn headers(pairs: Vec<(Setting, Setting)>) -> Result<Vec<(String, SecretString)>, ConfigError> {
    let (mut all, mut names) = (Vec::new(), BTreeSet::new());
    for (name, value) in pairs {
        let text = name.text.as_str();
        if text.is_empty() || !text.chars().all(is_token) {
            let what = "is not the name of a header; use letters, digits and -, such as X-Scope-OrgID";
            return Err(name.error(format_args!("{text:?} {what}")));
        }
        if RESERVED_HEADERS.contains(&text.to_ascii_lowercase().as_str()) {
            return Err(name.error(format_args!(
                "the header {text} is set by fleetpush itself; remove it (credentials belong in basic_auth or \
                 authorization, or the variables for them)"
            )));
        }
        if value.text.chars().any(char::is_control) {
            return Err(value.error(format_args!(
                "the value of the header {text} has a line break or another control character; remove that"
            )));
        }
        if !names.insert(text.to_ascii_lowercase()) {
            return Err(value.error(format_args!("the header {text} is set twice; keep one of them")));
        }
        all.push((name.text, SecretString::from(value.text)));
    }
    Ok(all)
}

/// What a header's name and a scheme consist of.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}
