//! File, environment and flags become one configuration: defaults < file < environment < flags.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::block::Typed;
use super::env::Variables;
use super::file::{self, File};
use super::types::{Config, Log, LogFormat, LogLevel, Proxy, QueueDir, QueueSettings, Web};
use super::value::{Place, Setting};
use super::web_file::WebFile;
use super::{ConfigError, Overrides};
use crate::sample::Text;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
const DEFAULT_STALE_AFTER: Duration = Duration::from_secs(300);
const DEFAULT_SAMPLES: usize = 2_000;

/// What is read from.
pub(super) struct Resolver<'a> {
    pub(super) variables: Variables<'a>,
    pub(super) flags: &'a Overrides,
    pub(super) host_name: &'a str,
    pub(super) warnings: Vec<String>,
}

impl Resolver<'_> {
    pub(super) fn config(mut self, file: File) -> Result<Config, ConfigError> {
        self.warnings.extend(self.variables.unknown());
        self.shard(&file)?;
        let interval = self.pick(file.interval, "CRAWL_INTERVAL", None);
        let from_environment = self.variables.get("CRAWL_INTERVAL").is_some();
        let interval = interval.map_or(Ok(DEFAULT_INTERVAL), |setting| setting.seconds())?;
        let stale_after = file.stale_after;
        let stale_after = stale_after.map_or(Ok(DEFAULT_STALE_AFTER), |setting| setting.duration())?;
        let job = self.pick(file.job, "FLEETPUSH_JOB", None);
        let instance = self.pick(file.instance, "FLEETPUSH_INSTANCE", None);
        let queue = self.queue(file.queue)?;
        let external_labels = self.external_labels(file.external_labels.0)?;
        let fleet_labels = self.fleet_labels(file.labels)?;
        let jobs = self.jobs(file.scrape_configs, interval)?;
        let account_meant = jobs.is_empty() || !file.balena.0.is_empty() || self.variables.mean_an_account();
        let accounts = self.accounts(file.balena.0, interval, from_environment)?;
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
            token_missing: accounts.is_empty() && account_meant,
            accounts,
            jobs,
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

    /// The strongest of file, variable and flag.
    fn pick(&self, typed: Typed, variable: &str, flag: Option<Setting>) -> Option<Setting> {
        flag.or_else(|| self.variables.get(variable)).or(typed)
    }

    fn shard(&self, file: &File) -> Result<(), ConfigError> {
        const WHY: &str = "several shards are not supported yet; leave it out";
        for (typed, only) in [(&file.shard.index, "0"), (&file.shard.count, "1")] {
            if let Some(setting) = typed.as_ref().filter(|setting| setting.text != only) {
                return Err(setting.error(WHY));
            }
        }
        match self.variables.get("FLEETPUSH_SHARD").filter(|setting| setting.text != "0/1") {
            Some(setting) => Err(setting.error(WHY)),
            None => Ok(()),
        }
    }

    fn queue(&self, block: file::QueueBlock) -> Result<QueueSettings, ConfigError> {
        let dir = self.pick(block.dir, "FLEETPUSH_QUEUE_DIR", None);
        let dir = match dir {
            Some(setting) if setting.filled()? == "memory" => QueueDir::Memory,
            Some(setting) => QueueDir::Folder(setting.path()?),
            None => QueueDir::Default(self.default_folder()),
        };
        let max_size = self.pick(block.max_size, "FLEETPUSH_QUEUE_MAX_SIZE", None);
        let max_age = self.pick(block.max_age, "FLEETPUSH_QUEUE_MAX_AGE", None);
        let samples = block.max_samples_per_send;
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

    /// `proxy_url`, or the proxy that the environment names.
    pub(super) fn proxy(&self, url: Typed, from_environment: Option<Setting>) -> Result<Proxy, ConfigError> {
        let from_environment = from_environment.map(|setting| setting.boolean()).transpose()?;
        match (url, from_environment) {
            (Some(setting), Some(true)) => {
                Err(setting.error("stands beside proxy_from_environment: true; keep one of them"))
            }
            (Some(setting), _) => setting.proxy().map(Proxy::Url),
            (None, Some(false)) => Ok(Proxy::Direct),
            (None, _) => Ok(self.variables.proxy()),
        }
    }

    fn web(&mut self, block: file::WebBlock) -> Result<Web, ConfigError> {
        let listen = flag("--web.listen-address", &self.flags.listen_address);
        let listen = self.pick(block.listen_address, "FLEETPUSH_LISTEN_ADDRESS", listen);
        let default = Setting { text: ":8000".into(), place: Place::Flag("--web.listen-address") };
        let path = flag("--web.telemetry-path", &self.flags.telemetry_path);
        let path = path.or(block.telemetry_path);
        let protection = flag("--web.config.file", &self.flags.web_config_file);
        let protection = self.pick(block.config_file, "FLEETPUSH_WEB_CONFIG_FILE", protection);
        let config_file = protection.map(|setting| setting.path()).transpose()?;
        if let Some(path) = &config_file {
            self.warnings.extend(WebFile::read(path)?.warnings);
        }
        let lifecycle = block.enable_lifecycle;
        let lifecycle = lifecycle.map_or(Ok(false), |setting| setting.boolean())?;
        Ok(Web {
            listen: listen.unwrap_or(default).listen()?,
            telemetry_path: path.map_or(Ok("/metrics".into()), |setting| setting.url_path())?,
            enable_lifecycle: self.flags.enable_lifecycle.unwrap_or(lifecycle),
            config_file,
        })
    }

    fn log(&self, block: file::LogBlock) -> Result<Log, ConfigError> {
        let level = flag("--log.level", &self.flags.log_level);
        let level = self.pick(block.level, "FLEETPUSH_LOG_LEVEL", level);
        let format = flag("--log.format", &self.flags.log_format);
        let format = self.pick(block.format, "FLEETPUSH_LOG_FORMAT", format);
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
pub(super) fn flag(name: &'static str, text: &Option<String>) -> Option<Setting> {
    Some(Setting { text: text.clone()?, place: Place::Flag(name) })
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

pub(super) fn wrong(place: &Place, what: impl std::fmt::Display) -> ConfigError {
    ConfigError::Setting { place: place.to_string(), what: what.to_string() }
}

/// Two sinks of one kind have one name.
pub(super) fn twice(name: &str, place: &Place) -> ConfigError {
    wrong(place, format_args!("a second entry is named {name:?}; give each a name of its own"))
}

/// The file names a sink as the one of the variables is named.
pub(super) fn env_twice(url: &Setting) -> ConfigError {
    url.error("adds an entry named \"env\", and the file has one of that name; rename that one")
}

/// A URL as it may be shown.
pub(super) fn shown(url: &Url) -> Text {
    let mut url = url.clone();
    url.set_query(None);
    url.as_str().trim_end_matches('/').into()
}
