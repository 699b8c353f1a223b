//! File, environment and flags become one configuration: defaults < file < environment < flags.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde_saphyr::Spanned;
use url::Url;

use super::env::Variables;
use super::file::{self, AccountBlock, File, Foreign, OneOrMany, Typed};
use super::types::{
    Account, Auth, Config, FleetLabels, HttpSettings, Log, LogFormat, LogLevel, Proxy, QueueDir,
    QueueSettings, TlsSettings, Web,
};
use super::value::{Place, Setting};
use super::{ConfigError, Overrides};
use crate::sample::{LabelName, Labels, Text};

const DEFAULT_API: &str = "https://api.balena-cloud.com";
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
const DEFAULT_STALE_AFTER: Duration = Duration::from_secs(300);
/// The API's own statement time-out is 60 s.
const API_TIMEOUT: Duration = Duration::from_secs(60);
const API_BODY: u64 = 512 << 20;
const DEFAULT_SAMPLES: usize = 2_000;

/// What is read from.
pub(super) struct Resolver<'a> {
    /// The file's name, for places.
    pub(super) path: &'a str,
    pub(super) variables: Variables<'a>,
    pub(super) flags: &'a Overrides,
    pub(super) host_name: &'a str,
    pub(super) warnings: Vec<String>,
}

impl Resolver<'_> {
    pub(super) fn config(mut self, file: File) -> Result<Config, ConfigError> {
        self.warnings = self.variables.unknown();
        if let Some(jobs) = file.scrape_configs.as_ref().filter(|jobs| !jobs.value.is_empty()) {
            let place = file::place(self.path, "scrape_configs", jobs);
            return Err(unsupported(place, "scraping other targets is not supported yet; remove this block"));
        }
        self.shard(&file)?;
        let interval = self.pick("interval", file.interval, "CRAWL_INTERVAL", None);
        let from_environment = self.variables.get("CRAWL_INTERVAL").is_some();
        let interval = interval.map_or(Ok(DEFAULT_INTERVAL), |setting| setting.seconds())?;
        let stale_after = self.typed("stale_after", file.stale_after);
        let stale_after = stale_after.map_or(Ok(DEFAULT_STALE_AFTER), |setting| setting.duration())?;
        let job = self.pick("job", file.job, "FLEETPUSH_JOB", None);
        let instance = self.pick("instance", file.instance, "FLEETPUSH_INSTANCE", None);
        let queue = self.queue(file.queue)?;
        let external_labels = self.external_labels(file.external_labels)?;
        let fleet_labels = self.fleet_labels(file.labels)?;
        let accounts = self.accounts(file.balena, interval, from_environment)?;
        let gateways = self.gateways(file.pushgateways)?;
        let endpoints = self.endpoints(file.remote_write, queue.max_samples_per_send)?;
        let web = self.web(file.web)?;
        let log = self.log(file.log)?;
        let flag = |name, text: &Option<String>, default| match flag(name, text) {
            Some(setting) => setting.duration(),
            None => Ok(default),
        };
        Ok(Config {
            interval,
            stale_after,
            job: job.map_or(Ok("balena".into()), |job| job.filled().map(Text::from))?,
            instance: instance.map_or(Ok(self.host_name.into()), |i| i.filled().map(Text::from))?,
            external_labels,
            fleet_labels,
            accounts,
            gateways,
            endpoints,
            queue,
            web,
            log,
            once_deadline: flag("--once.deadline", &self.flags.once_deadline, Duration::from_secs(50))?,
            shutdown_grace: flag("--shutdown.grace", &self.flags.shutdown_grace, Duration::from_secs(10))?,
            warnings: self.warnings,
        })
    }

    /// A scalar of the file.
    pub(super) fn typed(&self, key: &'static str, typed: Typed) -> Option<Setting> {
        file::setting(self.path, key, typed)
    }

    /// The strongest of file, variable and flag.
    fn pick(
        &self,
        key: &'static str,
        typed: Typed,
        variable: &str,
        flag: Option<Setting>,
    ) -> Option<Setting> {
        flag.or_else(|| self.variables.get(variable)).or_else(|| self.typed(key, typed))
    }

    fn shard(&self, file: &File) -> Result<(), ConfigError> {
        const WHY: &str = "several shards are not supported yet; leave it out";
        let block = &file.shard;
        for (key, typed, only) in [("shard.index", &block.index, "0"), ("shard.count", &block.count, "1")] {
            if let Some(setting) = self.typed(key, typed.clone()).filter(|setting| setting.text != only) {
                return Err(setting.error(WHY));
            }
        }
        match self.variables.get("FLEETPUSH_SHARD").filter(|setting| setting.text != "0/1") {
            Some(setting) => Err(setting.error(WHY)),
            None => Ok(()),
        }
    }

    fn queue(&self, block: file::QueueBlock) -> Result<QueueSettings, ConfigError> {
        let dir = self.pick("queue.dir", block.dir, "FLEETPUSH_QUEUE_DIR", None);
        let dir = match dir {
            Some(setting) if setting.filled()? == "memory" => QueueDir::Memory,
            Some(setting) => QueueDir::Folder(setting.path()?),
            None => QueueDir::Default(self.default_folder()),
        };
        let max_size = self.pick("queue.max_size", block.max_size, "FLEETPUSH_QUEUE_MAX_SIZE", None);
        let max_age = self.pick("queue.max_age", block.max_age, "FLEETPUSH_QUEUE_MAX_AGE", None);
        let samples = self.typed("queue.max_samples_per_send", block.max_samples_per_send);
        Ok(QueueSettings {
            dir,
            max_size: max_size.map_or(Ok(1 << 30), |setting| setting.size())?,
            max_age: max_age.map_or(Ok(Duration::from_secs(8 * 86_400)), |setting| setting.duration())?,
            max_samples_per_send: samples.map_or(Ok(DEFAULT_SAMPLES), |setting| setting.count())?,
        })
    }

    fn default_folder(&self) -> PathBuf {
        let of = |name: &str| self.variables.get(name).map(|setting| PathBuf::from(setting.text.trim()));
        of("STATE_DIRECTORY")
            .or_else(|| of("XDG_STATE_HOME").map(|home| home.join("fleetpush")))
            .unwrap_or_else(|| PathBuf::from("/var/lib/fleetpush"))
    }

    fn external_labels(&self, typed: BTreeMap<String, Spanned<String>>) -> Result<Labels, ConfigError> {
        let mut all = Vec::new();
        match self.variables.get("FLEETPUSH_EXTERNAL_LABELS") {
            Some(setting) => {
                for (name, value) in setting.pairs()? {
                    all.push((label(&name, |what| setting.error(what))?, Text::from(value)));
                }
            }
            None => {
                for (name, value) in typed {
                    let place = file::place(self.path, "external_labels", &value);
                    all.push((label(&name, |what| wrong(&place, what))?, Text::from(value.value)));
                }
            }
        }
        let place = "external_labels".to_owned();
        Labels::new(all).map_err(|error| ConfigError::Setting { place, what: error.to_string() })
    }

    fn fleet_labels(&self, typed: Option<Spanned<Vec<String>>>) -> Result<FleetLabels, ConfigError> {
        let Some(typed) = typed else { return Ok(FleetLabels::NameAndSlug) };
        let names: BTreeSet<&str> = typed.value.iter().map(String::as_str).collect();
        match names.into_iter().collect::<Vec<_>>().as_slice() {
            ["fleet_name"] => Ok(FleetLabels::Name),
            ["fleet_name", "fleet_slug"] => Ok(FleetLabels::NameAndSlug),
            _ => Err(wrong(
                &file::place(self.path, "labels", &typed),
                "must be [fleet_name] or [fleet_name, fleet_slug]",
            )),
        }
    }

    fn accounts(
        &mut self,
        blocks: Option<OneOrMany<Spanned<AccountBlock>>>,
        interval: Duration,
        interval_wins: bool,
    ) -> Result<Vec<Account>, ConfigError> {
        let mut blocks = blocks.map(|blocks| blocks.0).unwrap_or_default().into_iter();
        let block = blocks.next().map(|block| block.value).unwrap_or_default();
        if let Some(second) = blocks.next() {
            let place = file::place(self.path, "balena", &second);
            return Err(unsupported(
                place,
                "several accounts are not supported yet; run one process for each",
            ));
        }
        if let Some(mode) = self.typed("balena.mode", block.mode).filter(|mode| mode.text != "rows") {
            return Err(mode.error("only the mode rows is supported; leave it out"));
        }
        let name = self.typed("balena.name", block.name);
        let url = self.balena("API_URL", "balena.url", block.url)?;
        let version = self.balena("API_VERSION", "balena.api_version", block.api_version)?;
        let ca_file = self.balena("CA_FILE", "balena.ca_file", block.ca_file)?;
        let allow_http = self.balena("ALLOW_HTTP", "balena.allow_http", block.allow_http)?;
        let own_interval =
            self.typed("balena.interval", block.interval).map(|every| every.seconds()).transpose()?;
        let timeout =
            self.typed("balena.timeout", block.timeout).map(|timeout| timeout.duration()).transpose()?;
        let max_body_size = self.typed("balena.max_body_size", block.max_body_size);
        let include = self.patterns("FLEETS_INCLUDE", "balena.fleets.include", block.fleets.include)?;
        let exclude = self.patterns("FLEETS_EXCLUDE", "balena.fleets.exclude", block.fleets.exclude)?;
        let allow_http = allow_http.map_or(Ok(false), |allow| allow.boolean())?;
        let url = match url {
            Some(setting) => api_url(&setting, allow_http)?,
            None => Url::parse(DEFAULT_API).map_err(|error| wrong(&Place::Flag("balena.url"), error))?,
        };
        if let Some(setting) = version.as_ref().filter(|setting| setting.text.trim() != "v7") {
            return Err(setting.error("only v7 is supported; leave it out"));
        }
        let proxy = self.proxy("balena.proxy_url", block.proxy_url, None)?;
        let (value, from_file) = match (self.variables.balena("TOKEN")?, self.variables.balena("TOKEN_FILE")?)
        {
            (None, None) => {
                (self.typed("balena.token", block.token), self.typed("balena.token_file", block.token_file))
            }
            found => found,
        };
        let Some(credentials) = one_secret(value, from_file)? else { return Ok(Vec::new()) };
        let tls = TlsSettings {
            ca_file: ca_file.map(|setting| setting.readable()).transpose()?,
            ..TlsSettings::default()
        };
        Ok(vec![Account {
            name: name.map_or(Ok("balena".into()), |name| name.filled().map(Text::from))?,
            url,
            api_version: "v7".into(),
            interval: own_interval.filter(|_| !interval_wins).unwrap_or(interval),
            include,
            exclude,
            max_body_size: max_body_size.map_or(Ok(API_BODY), |setting| setting.size())?,
            http: HttpSettings {
                auth: Auth::Header { scheme: "Bearer".into(), credentials },
                tls,
                proxy,
                headers: Vec::new(),
                timeout: timeout.unwrap_or(API_TIMEOUT),
            },
        }])
    }

    fn balena(&self, name: &str, key: &'static str, typed: Typed) -> Result<Option<Setting>, ConfigError> {
        Ok(self.variables.balena(name)?.or_else(|| self.typed(key, typed)))
    }

    fn patterns(
        &self,
        name: &str,
        key: &'static str,
        typed: Vec<Spanned<String>>,
    ) -> Result<Vec<glob::Pattern>, ConfigError> {
        let settings: Vec<Setting> = match self.variables.balena(name)? {
            Some(setting) => setting.list(),
            None => typed.into_iter().filter_map(|one| self.typed(key, Some(one))).collect(),
        };
        let pattern = |setting: &Setting| {
            glob::Pattern::new(setting.filled()?).map_err(|error| {
                setting
                    .error(format_args!("{:?} is no pattern ({error}); write it like acme/*", setting.text))
            })
        };
        settings.iter().map(pattern).collect()
    }

    /// `proxy_url`, or the proxy that the environment names.
    pub(super) fn proxy(
        &self,
        key: &'static str,
        url: Typed,
        from_environment: Option<Setting>,
    ) -> Result<Proxy, ConfigError> {
        let from_environment = from_environment.map(|setting| setting.boolean()).transpose()?;
        match (self.typed(key, url), from_environment) {
            (Some(setting), Some(true)) => {
                Err(setting.error("stands beside proxy_from_environment: true; keep one of them"))
            }
            (Some(setting), _) => setting.proxy().map(Proxy::Url),
            (None, Some(false)) => Ok(Proxy::Direct),
            (None, _) => Ok(Proxy::Environment),
        }
    }

    fn web(&self, block: file::WebBlock) -> Result<Web, ConfigError> {
        let listen = flag("--web.listen-address", &self.flags.listen_address);
        let listen =
            self.pick("web.listen_address", block.listen_address, "FLEETPUSH_LISTEN_ADDRESS", listen);
        let default = Setting { text: ":8000".into(), place: Place::Flag("--web.listen-address") };
        let path = flag("--web.telemetry-path", &self.flags.telemetry_path);
        let path = path.or_else(|| self.typed("web.telemetry_path", block.telemetry_path));
        let lifecycle = self.typed("web.enable_lifecycle", block.enable_lifecycle);
        let lifecycle = lifecycle.map_or(Ok(false), |setting| setting.boolean())?;
        Ok(Web {
            listen: listen.unwrap_or(default).listen()?,
            telemetry_path: path.map_or(Ok("/metrics".into()), |setting| setting.url_path())?,
            enable_lifecycle: self.flags.enable_lifecycle.unwrap_or(lifecycle),
        })
    }

    fn log(&self, block: file::LogBlock) -> Result<Log, ConfigError> {
        let level = flag("--log.level", &self.flags.log_level);
        let level = self.pick("log.level", block.level, "FLEETPUSH_LOG_LEVEL", level);
        let format = flag("--log.format", &self.flags.log_format);
        let format = self.pick("log.format", block.format, "FLEETPUSH_LOG_FORMAT", format);
        let levels = [
            ("trace", LogLevel::Trace),
            ("debug", LogLevel::Debug),
            ("info", LogLevel::Info),
            ("warn", LogLevel::Warn),
            ("error", LogLevel::Error),
        ];
        let formats = [("logfmt", LogFormat::Logfmt), ("json", LogFormat::Json)];
        Ok(Log {
            level: level.map_or(Ok(LogLevel::Info), |setting| setting.choice(&levels))?,
            format: format.map_or(Ok(LogFormat::Logfmt), |setting| setting.choice(&formats))?,
        })
    }
}

/// A flag that was given.
fn flag(name: &'static str, text: &Option<String>) -> Option<Setting> {
    Some(Setting { text: text.clone()?, place: Place::Flag(name) })
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
            "is plain http, which shows the token to everyone on the way; write https:// or set BALENA_ALLOW_HTTP=true",
        ));
    }
    Ok(url)
}

/// A secret that stands in one of two places.
pub(super) fn one_secret(
    value: Option<Setting>,
    file: Option<Setting>,
) -> Result<Option<super::Secret>, ConfigError> {
    match (value, file) {
        (Some(value), Some(file)) => {
            Err(file.error(format_args!("stands beside {}; keep one of them", value.place)))
        }
        (Some(value), None) => value.secret().map(Some),
        (None, Some(file)) => file.secret_file().map(Some),
        (None, None) => Ok(None),
    }
}

/// A label's name that every receiver takes.
pub(super) fn label(name: &str, error: impl Fn(String) -> ConfigError) -> Result<LabelName, ConfigError> {
    if name == "__name__" {
        return Err(error("\"__name__\" is the metric's own name and cannot be set".into()));
    }
    LabelName::new(name).map_err(|_| {
        error(format!("{name:?} is not a label name; use letters, digits and _, not beginning with a digit"))
    })
}

pub(super) fn wrong(place: &Place, what: impl std::fmt::Display) -> ConfigError {
    ConfigError::Setting { place: place.to_string(), what: what.to_string() }
}

pub(super) fn unsupported(place: Place, what: &str) -> ConfigError {
    wrong(&place, what)
}

/// A block that changes data or security and that is not there yet.
pub(super) fn refuse(
    path: &str,
    key: &'static str,
    block: &Foreign,
    way_out: &str,
) -> Result<(), ConfigError> {
    match block {
        Some(block) => Err(unsupported(file::place(path, key, block), way_out)),
        None => Ok(()),
    }
}
