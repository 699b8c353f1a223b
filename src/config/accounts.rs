//! The balena account: the file's block and the variables.

use std::time::Duration;

use url::Url;

use super::ConfigError;
use super::block::{Placed, Typed, blocks};
use super::resolve::{Resolver, one_secret, wrong};
use super::types::{Account, Auth, HttpSettings, TlsSettings};
use super::value::{Place, Setting};
use crate::sample::Text;

const DEFAULT_API: &str = "https://api.balena-cloud.com";
/// The API's own statement time-out is 60 s.
const TIMEOUT: Duration = Duration::from_secs(60);
const BODY: u64 = 512 << 20;

blocks! {
    /// A variable of balena's wins over its key.
    AccountBlock {
        /// The account's name in logs and in the program's own metrics.
        name: Typed as "text" = "`balena`",
        /// The base of the API; set it for openBalena. Plain `http://` is taken only to this machine itself.
        url: Typed as "URL" = "`https://api.balena-cloud.com`",
        /// The API's version.
        api_version: Typed as "`v7`" = "`v7`",
        /// The API key, of a user that can see the fleets; a device's or a fleet's own key is not enough. Better in a file.
        token: Typed as "secret",
        /// The file that holds the API key.
        token_file: Typed as "path",
        /// Further certificates (PEM) that are trusted for the API: an openBalena server with a private authority.
        ca_file: Typed as "path" = "the system's",
        /// The HTTP proxy that the API is reached through. May hold credentials.
        proxy_url: Typed as "URL" = "as `HTTPS_PROXY` and the like say",
        /// Lets plain `http://` lead to another machine: everyone on the way sees the API key.
        allow_http: Typed as "boolean" = "`false`",
        /// How often this account is asked, where that is not `interval`. `CRAWL_INTERVAL` wins over it.
        interval: Typed as "duration or seconds" = "as `interval`",
        /// How long one request may take. The API ends its own queries after 60 s.
        timeout: Typed as "duration" = "`60s`",
        /// The largest answer that is read, after decompression. Raise it where a collect fails because the answer is
        /// larger.
        max_body_size: Typed as "size" = "`512MiB`",
        /// How devices are counted.
        mode: Typed as "`rows`" = "`rows`",
        /// Which fleets are counted.
        fleets: FleetsBlock,
    }
    /// Which fleets are counted, by their slugs.
    FleetsBlock {
        /// Slugs that are counted, such as `acme/*`.
        include: Vec<Typed> as "list of patterns" = "all",
        /// Slugs that are not counted, also where `include` has them.
        exclude: Vec<Typed> as "list of patterns",
    }
}

impl Resolver<'_> {
    pub(super) fn accounts(
        &mut self,
        blocks: Vec<Placed<AccountBlock>>,
        interval: Duration,
        interval_wins: bool,
    ) -> Result<Vec<Account>, ConfigError> {
        let mut blocks = blocks.into_iter();
        let block = blocks.next().map(|block| block.value).unwrap_or_default();
        if let Some(second) = blocks.next() {
            let what = "several accounts are not supported yet; run one process for each";
            return Err(wrong(&second.place, what));
        }
        if let Some(mode) = block.mode.filter(|mode| mode.text != "rows") {
            return Err(mode.error("only the mode rows is supported; leave it out"));
        }
        let name = block.name;
        let url = self.balena("API_URL", block.url)?;
        let version = self.balena("API_VERSION", block.api_version)?;
        let ca_file = self.balena("CA_FILE", block.ca_file)?;
        let allow_http = self.balena("ALLOW_HTTP", block.allow_http)?;
        let own_interval = block.interval.map(|every| every.seconds()).transpose()?;
        let timeout = block.timeout.map(|timeout| timeout.duration()).transpose()?;
        let max_body_size = block.max_body_size;
        let include = self.patterns("FLEETS_INCLUDE", block.fleets.include)?;
        let exclude = self.patterns("FLEETS_EXCLUDE", block.fleets.exclude)?;
        let allow_http = allow_http.map_or(Ok(false), |allow| allow.boolean())?;
        let url = match url {
            Some(setting) => api_url(&setting, allow_http)?,
            None => Url::parse(DEFAULT_API).map_err(|error| wrong(&Place::Flag("balena.url"), error))?,
        };
        if let Some(setting) = version.as_ref().filter(|setting| setting.text.trim() != "v7") {
            return Err(setting.error("only v7 is supported; leave it out"));
        }
        let proxy = self.proxy(block.proxy_url, None)?;
        let (value, from_file) = match (self.variables.balena("TOKEN")?, self.variables.balena("TOKEN_FILE")?)
        {
            (None, None) => (block.token, block.token_file),
            found => found,
        };
        let Some(credentials) = one_secret(value, from_file)? else { return Ok(Vec::new()) };
        let tls = TlsSettings {
            ca_file: ca_file.map(|setting| setting.pem("CERTIFICATE")).transpose()?,
            ..TlsSettings::default()
        };
        Ok(vec![Account {
            name: name.map_or(Ok("balena".into()), |name| name.filled().map(Text::from))?,
            url,
            api_version: "v7".into(),
            interval: own_interval.filter(|_| !interval_wins).unwrap_or(interval),
            include,
            exclude,
            max_body_size: max_body_size.map_or(Ok(BODY), |setting| setting.size())?,
            http: HttpSettings {
                auth: Auth::Header { scheme: "Bearer".into(), credentials },
                tls,
                proxy,
                headers: Vec::new(),
                timeout: timeout.unwrap_or(TIMEOUT),
            },
        }])
    }

    fn balena(&self, name: &str, typed: Typed) -> Result<Option<Setting>, ConfigError> {
        Ok(self.variables.balena(name)?.or(typed))
    }

    fn patterns(&self, name: &str, typed: Vec<Typed>) -> Result<Vec<glob::Pattern>, ConfigError> {
        let settings: Vec<Setting> = match self.variables.balena(name)? {
            Some(setting) => setting.list(),
            None => typed.into_iter().flatten().collect(),
        };
        let pattern = |setting: &Setting| {
            glob::Pattern::new(setting.filled()?).map_err(|error| {
                setting.error(format_args!(
                    "{:?} is no pattern ({}); write it like acme/*",
                    setting.text, error.msg
                ))
            })
        };
        settings.iter().map(pattern).collect()
    }
}

/// The API's address: plain http only where nobody listens in.
fn api_url(setting: &Setting, allow_http: bool) -> Result<Url, ConfigError> {
    let url = setting.url()?;
    if url.query().is_some() {
        return Err(
            setting.error("has a query (?…); give the API's own address, like https://api.balena-cloud.com")
        );
    }
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() == "http" && !loopback && !allow_http {
        return Err(setting.error(
            "is plain http, which shows the token to everyone on the way; write https://, or set BALENA_ALLOW_HTTP=true or balena.allow_http",
        ));
    }
    Ok(url)
}
