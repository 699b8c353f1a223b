//! Why a request got no answer. No text here holds a URL's query, userinfo or a secret.

use std::io;
use std::path::PathBuf;

use super::text::{cause, chain};

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// A secret's file cannot be read.
    #[error("the secret file {path} cannot be read")]
    Secret {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A secret's file holds nothing.
    #[error("the secret file {path} is empty")]
    SecretEmpty {
        /// The file.
        path: PathBuf,
    },
    /// A secret or a header's value holds a byte that no header may hold.
    #[error("{what} cannot be sent in a header: it holds a line break or another control character")]
    Unsendable {
        /// What it is, never its value.
        what: String,
    },
    /// A certificate or key file cannot be read.
    #[error("the TLS file {path} cannot be read")]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A certificate or key file holds something else.
    #[error("the TLS file {path} is not usable: {reason}")]
    TlsContent {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The settings cannot be used together.
    #[error("{0}")]
    Settings(&'static str),
    /// The client cannot be built.
    #[error("the HTTP client cannot be set up (on a machine without CA certificates set ca_file): {}", chain(.0))]
    Setup(reqwest::Error),
    /// No connection: name, network, TLS, proxy.
    #[error("no connection: {}", cause(.0))]
    Connect(reqwest::Error),
    /// The time was over before the answer was.
    #[error("no complete answer in time")]
    Timeout,
    /// The connection was lost before or during the answer.
    #[error("the connection was lost: {}", cause(.0))]
    Lost(reqwest::Error),
    /// The body broke off, or its content coding is damaged.
    #[error("the answer broke off or cannot be decompressed: {}", cause(.0))]
    Coding(reqwest::Error),
    /// The OAuth2 token endpoint gave no answer.
    #[error("the OAuth2 token endpoint {at} was not reached")]
    Token {
        /// Where, without userinfo and query.
        at: String,
        /// Why.
        source: Box<HttpError>,
    },
    /// The OAuth2 token endpoint gives no token now.
    #[error("the OAuth2 token endpoint {at} answered {status}: {text}")]
    TokenBusy {
        /// Where.
        at: String,
        /// The status.
        status: u16,
        /// The beginning of what it said.
        text: String,
        /// Its header `Retry-After`.
        retry_after: Option<Box<str>>,
    },
    /// The OAuth2 token endpoint refuses us.
    #[error("the OAuth2 token endpoint {at} answered {status}: {text}")]
    TokenRefused {
        /// Where.
        at: String,
        /// The status.
        status: u16,
        /// The beginning of what it said.
        text: String,
        /// What to do.
        next_step: &'static str,
    },
    /// The answer is larger than is read.
    #[error("the answer is larger than {limit} bytes after decompression")]
    TooLarge {
        /// The bound.
        limit: u64,
    },
}

impl HttpError {
    /// Whether the same request may succeed later without anyone changing the settings. Files count as
    /// such: they are read again, and rotation replaces them in more than one step.
    pub fn is_transient(&self) -> bool {
        match self {
            HttpError::Secret { .. }
            | HttpError::SecretEmpty { .. }
            | HttpError::TlsFile { .. }
            | HttpError::TlsContent { .. }
            | HttpError::Connect(_)
            | HttpError::Timeout
            | HttpError::Lost(_)
            | HttpError::Coding(_)
            | HttpError::TokenBusy { .. } => true,
            HttpError::Token { source, .. } => source.is_transient(),
            HttpError::TokenRefused { .. }
            | HttpError::Unsendable { .. }
            | HttpError::Settings(_)
            | HttpError::Setup(_)
            | HttpError::TooLarge { .. } => false,
        }
    }

    /// Whether somebody has refused us as a whole: asked again slowly, nothing is dropped.
    pub fn is_refusal(&self) -> bool {
        matches!(self, HttpError::TokenRefused { .. })
    }

    /// What whoever is in the way says of when to ask again, as it stands in the header `Retry-After`.
    pub fn retry_after(&self) -> Option<&str> {
        match self {
            HttpError::TokenBusy { retry_after, .. } => retry_after.as_deref(),
            _ => None,
        }
    }

    /// What an operator can do; where there is nothing but waiting, where to look.
    pub fn next_step(&self) -> &'static str {
        match self {
            HttpError::Secret { .. } | HttpError::SecretEmpty { .. } => {
                "put the secret into the file; it is read again at each try"
            }
            HttpError::Unsendable { .. } => "correct the secret or the header",
            HttpError::TlsFile { .. } | HttpError::TlsContent { .. } => {
                "correct the file; it is read again at each try"
            }
            HttpError::Settings(_) | HttpError::Setup(_) => "correct the settings",
            HttpError::Timeout => "look at the network, or raise the time-out",
            HttpError::Connect(error) => connecting(&cause(error).to_lowercase()),
            HttpError::TooLarge { .. } => "check that the URL names the right server, or raise max_body_size",
            HttpError::Token { source, .. } => source.next_step(),
            HttpError::TokenBusy { .. } => {
                "nothing needs to be done, unless it stays so: then look at its log"
            }
            HttpError::TokenRefused { next_step, .. } => next_step,
            HttpError::Lost(error) => {
                let alert = alerted(&cause(error).to_lowercase());
                alert.unwrap_or("look at the server's log and at proxies on the way")
            }
            HttpError::Coding(_) => "look at the server's log and at proxies on the way",
        }
    }

    /// Sorts an error of the client; the URL is taken out of it first.
    pub(super) fn from_client(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_builder() {
            HttpError::Setup(error)
        } else if error.is_timeout() {
            HttpError::Timeout
        } else if error.is_connect() {
            HttpError::Connect(error)
        } else if error.is_decode() {
            HttpError::Coding(error)
        } else {
            HttpError::Lost(error)
        }
    }
}

/// What a server says with an alert of TLS: with 1.3 it comes after the connection stands. Where it comes before the
/// request has gone out, the client only says that there is no connection any more.
fn alerted(text: &str) -> Option<&'static str> {
    if text.contains("connection was not ready") {
        return Some(
            "look at the server's log and at proxies on the way; a server that wants a client certificate may end \
             connections so (cert_file and key_file)",
        );
    }
    let (_, alert) = text.split_once("received fatal alert: ")?;
    let says = |words: &[&str]| words.iter().any(|word| alert.starts_with(word));
    if says(&["protocolversion"]) {
        Some(
            "the server speaks no version of TLS that is spoken here (1.2 and 1.3): let it speak one of them",
        )
    } else if says(&["handshakefailure"]) {
        Some("the server may want a client certificate (cert_file and key_file), or speaks no cipher of ours")
    } else if says(&["certificate", "badcertificate", "unknownca", "decrypterror", "accessdenied"]) {
        Some("the server wants a client certificate that it knows: check cert_file and key_file")
    } else {
        None
    }
}

/// What the client's words for a failed connection call for; those that occur inside others' come last.
const CONNECTING: &[(&[&str], &str)] = &[
    (
        &["proxy authorization required"],
        "give the URL of the proxy its credentials, as http://user:password@proxy:3128 (proxy_url, or the variable HTTPS_PROXY)",
    ),
    (
        &["unsuccessful tunnel", "tunnel error: unsuccessful"],
        "the proxy refuses to connect there: have this host and port allowed at the proxy",
    ),
    (
        &["tunnel error", "proxy"],
        "the proxy cannot be reached: check its address and port (proxy_url, or the variable HTTPS_PROXY), and that it runs",
    ),
    (
        // Of an authority with the name of a known one and another key, it is the signature that is bad.
        &["unknownissuer", "unknown issuer", "badsignature"],
        "its certificate is signed by an authority that is not known here: name the certificate of that authority (PEM) as \
         ca_file, or in the variable …_CA_FILE",
    ),
    (
        &["expired", "notvalidyet", "not valid yet"],
        "its certificate is past its time, or this machine's clock is wrong: have the one renewed, or set the other",
    ),
    (
        &["notvalidforname", "not valid for name"],
        "its certificate is for another host name: write that name into the URL, or as server_name under tls_config",
    ),
    (&["certificate"], "check its certificate, ca_file for a private CA, and this machine's clock"),
    (&["tls", "handshake", "corrupt message"], "check whether the URL should begin with http:// or https://"),
    (&["dns", "lookup", "name or service"], "check the host name in the URL, and this machine's DNS"),
    (
        &["refused"],
        "check the port in the URL (or that of the proxy, where one is set), and that the server runs",
    ),
];

fn connecting(text: &str) -> &'static str {
    if let Some(step) = alerted(text) {
        return step;
    }
    let said = CONNECTING.iter().find(|(words, _)| words.iter().any(|word| text.contains(word)));
    said.map_or("check the network and firewalls on the way", |(_, step)| step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_of_a_failed_connection_are_told_apart() {
        for (text, word) in [
            ("client error: invalid peer certificate: unknownissuer", "as ca_file"),
            ("invalid peer certificate: certificate expired: verification time 17", "clock"),
            ("invalid peer certificate: certificate not valid for name \"a\"", "server_name"),
            ("invalid peer certificate: badencoding", "check its certificate"),
            ("received fatal alert: certificaterequired", "cert_file"),
            (
                "tunnel error: failed to create underlying connection: tcp connect error: connection refused",
                "proxy",
            ),
            ("tunnel error: proxy authorization required", "credentials"),
            ("dns error: failed to lookup address information: name or service not known", "DNS"),
            ("tcp connect error: connection refused (os error 111)", "port"),
            ("received corrupt message of type invalidcontenttype", "https://"),
            ("tunnel error: unsuccessful", "allowed at the proxy"),
            ("tunnel error: proxy authorization required", "credentials"),
            ("tunnel error: failed to create underlying connection: connection refused", "proxy_url"),
            ("received fatal alert: certificaterequired", "cert_file"),
            ("received fatal alert: unknownca", "cert_file"),
            ("received fatal alert: handshakefailure", "cert_file"),
            ("received fatal alert: protocolversion", "1.2"),
            ("network is unreachable", "firewalls"),
        ] {
            assert!(connecting(text).contains(word), "{text}");
        }
    }
}
