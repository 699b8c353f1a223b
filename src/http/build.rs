//! Settings into a client of reqwest's.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::{HttpError, files};
use crate::config::{HttpSettings, Proxy};

/// A socket that a server has closed is met as a lost connection: Node closes idle ones after 5 s.
const IDLE: Duration = Duration::from_secs(4);
const CONNECT: Duration = Duration::from_secs(10);

/// Builds the client from settings and the files as they are now.
pub(super) fn client(settings: &HttpSettings, url: &Url) -> Result<reqwest::Client, HttpError> {
    let tls = &settings.tls;
    let mut builder = reqwest::Client::builder()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .http1_only()
        .user_agent(concat!("fleetpush/", env!("CARGO_PKG_VERSION")))
        .pool_idle_timeout(IDLE)
        .connect_timeout(settings.timeout.min(CONNECT))
        .timeout(settings.timeout);
    let certificates = tls.ca_file.as_deref().map_or_else(|| Ok(Vec::new()), files::certificates)?;
    builder = if speaks_tls(settings, url) {
        builder.tls_certs_merge(certificates)
    } else {
        // Reading the machine's CA certificates takes longer than a request, and it may have none.
        builder.tls_certs_only(certificates)
    };
    if let Some((cert, key)) = &tls.client_cert {
        builder = builder.identity(files::identity(cert, key)?);
    }
    if tls.insecure_skip_verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    builder = match &settings.proxy {
        Proxy::Environment(_) => builder,
        Proxy::Direct => builder.no_proxy(),
        Proxy::Url(proxy) => builder.proxy(reqwest::Proxy::all(proxy.clone()).map_err(setup)?),
    };
    if let Some(name) = &tls.server_name {
        builder = named(builder, settings, url, name)?;
    }
    builder.build().map_err(setup)
}

/// Whether a connection may need TLS; a redirect to it is not followed.
fn speaks_tls(settings: &HttpSettings, url: &Url) -> bool {
    url.scheme() != "http" || settings.proxy.urls().iter().any(|proxy| proxy.scheme() == "https")
}

fn setup(error: reqwest::Error) -> HttpError {
    HttpError::Setup(error.without_url())
}

/// Connects to the URL's host while TLS asks for another name: requests go to that name, which resolves
/// to the URL's host. A proxy would resolve the name itself, so none is used.
fn named(
    builder: reqwest::ClientBuilder,
    settings: &HttpSettings,
    url: &Url,
    name: &str,
) -> Result<reqwest::ClientBuilder, HttpError> {
    if matches!(settings.proxy, Proxy::Url(_)) {
        return Err(HttpError::Settings("server_name cannot be used through a proxy: leave one of them out"));
    }
    if name.parse::<IpAddr>().is_ok() {
        return Err(HttpError::Settings("server_name must be a DNS name, not an address"));
    }
    let host = match url.host() {
        Some(Host::Domain(host)) => host.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => return Err(HttpError::Settings("the URL has no host")),
    };
    Ok(builder.no_proxy().dns_resolver(Arc::new(Fixed(host))))
}

/// Resolves every name to the addresses of one host.
struct Fixed(String);

impl Resolve for Fixed {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.0.clone();
        Box::pin(async move {
            // The port is the URL's; this one is replaced.
            let found: Vec<_> = tokio::net::lookup_host((host, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
