//! Is the process that serves this configuration's page alive? Asked from beside it, by the command that a
//! container's health check runs: there is neither a shell nor curl in the image. Needs no token, shows no secret.
//! Of a page that is protected it has neither a password nor a client's certificate: that it asks for them is
//! the answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use url::Url;

use crate::config::{Auth, ConfigError, HttpSettings, Proxy, TlsSettings, Web, WebFile};
use crate::http::{Client, HttpError, Request, excerpt};

const PATH: &str = "/-/healthy";
/// Below the time-out that a container engine would use, so that the reason is still said.
const PATIENCE: Duration = Duration::from_secs(3);
/// So much of a foreign answer is worth showing.
const SHOWN: u64 = 200;

/// Why the page is not healthy, or cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// Nothing listens.
    #[error(
        "there is no page to ask: it is off; to have a health check and nothing open to others, let it listen at \
         127.0.0.1:8000 (FLEETPUSH_LISTEN_ADDRESS or --web.listen-address)"
    )]
    Off,
    /// The port is not known here.
    #[error("{0} has no port that is known beforehand; give the page one, such as :8000")]
    AnyPort(SocketAddr),
    /// The file that protects the page cannot be used.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// There is no answer.
    #[error("no answer from {url}")]
    Silent {
        /// Where it was asked.
        url: String,
        /// What came of it.
        source: HttpError,
    },
    /// Something else than health.
    #[error("{url} answered {status}: {said}")]
    Ill {
        /// Where it was asked.
        url: String,
        /// The status.
        status: u16,
        /// The beginning of the answer.
        said: String,
    },
}

impl HealthError {
    /// What to do, where the text does not say it.
    pub fn next_step(&self) -> Option<&'static str> {
        match self {
            HealthError::Silent { .. } => Some("look whether the service runs, with this listen address"),
            HealthError::Ill { .. } => Some("look what else listens there, and at the log of the service"),
            HealthError::Off | HealthError::AnyPort(_) | HealthError::File(_) => None,
        }
    }
}

/// Asks the page that a configuration describes; gives back where it was asked.
///
/// # Errors
/// [`HealthError`].
pub async fn healthcheck(web: &Web) -> Result<Url, HealthError> {
    let address = address(web.listen.ok_or(HealthError::Off)?)?;
    let file = web.config_file.as_deref().map(WebFile::read).transpose()?;
    let Way { url, tls, alive } = way(address, file.as_ref());
    let settings =
        HttpSettings { auth: Auth::None, tls, proxy: Proxy::Direct, headers: Vec::new(), timeout: PATIENCE };
    let silent = |source| HealthError::Silent { url: url.to_string(), source };
    let client = Client::new(&settings, &url).map_err(silent)?;
    let answer = client.send(Request::get(url.clone(), SHOWN)).await.map_err(silent)?;
    if answer.status == alive {
        Ok(url)
    } else {
        Err(HealthError::Ill { url: url.into(), status: answer.status, said: excerpt(&answer.body) })
    }
}

/// Where a page that listens there is reached from the same machine.
fn address(listens: SocketAddr) -> Result<SocketAddr, HealthError> {
    if listens.port() == 0 {
        return Err(HealthError::AnyPort(listens));
    }
    let host = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    Ok(SocketAddr::new(host, listens.port()))
}

/// How the page is spoken to.
struct Way {
    url: Url,
    tls: TlsSettings,
    /// The status of a page that is alive.
    alive: u16,
}

fn way(address: SocketAddr, file: Option<&WebFile>) -> Way {
    let tls = file.and_then(|file| file.tls.as_ref());
    let (scheme, alive) = match tls {
        // Go's servers and ours answer this to plain HTTP where TLS is spoken.
        Some(tls) if tls.client_auth.requires() => ("http", 400),
        _ if file.is_some_and(|file| !file.users.is_empty()) => {
            (if tls.is_some() { "https" } else { "http" }, 401)
        }
        Some(_) => ("https", 200),
        None => ("http", 200),
    };
    let text = format!("{scheme}://{address}{PATH}");
    let url = Url::parse(&text).expect("a socket's address is a URL's host and port");
    // It is this machine's own address, and nothing is told to whoever answers.
    Way { url, tls: TlsSettings { insecure_skip_verify: true, ..TlsSettings::default() }, alive }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_for_everyone_is_asked_on_this_machine() {
        for (listens, asked) in [
            ("0.0.0.0:8000", "http://127.0.0.1:8000/-/healthy"),
            ("[::]:8000", "http://[::1]:8000/-/healthy"),
            ("192.0.2.7:80", "http://192.0.2.7/-/healthy"),
            ("[2001:db8::1]:9", "http://[2001:db8::1]:9/-/healthy"),
        ] {
            let address = address(listens.parse().unwrap()).unwrap();
            assert_eq!(way(address, None).url.as_str(), asked);
        }
        assert!(matches!(address("127.0.0.1:0".parse().unwrap()), Err(HealthError::AnyPort(_))));
    }
}
