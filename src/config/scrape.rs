//! Jobs of `scrape_configs:`, in Prometheus' own keys and with its defaults.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ConfigError;
use super::block::{Lists, Pairs, Placed, Typed, blocks};
use super::http::{AuthorizationBlock, BasicBlock, Credentials, TlsBlock, tls};
use super::job::{Limits, Protocol, Scheme, ScrapeJob, TargetFiles, TargetGroup};
use super::oauth2::OAuth2Block;
use super::relabel::{RuleBlock, rules};
use super::resolve::{Resolver, wrong};
use super::types::HttpSettings;
use super::value::{Place, Setting};
use crate::sample::{LabelName, Text};

/// Prometheus' own default, where the interval is not shorter.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Only asked for by those who read it.
const PROTOBUF: &str = "PrometheusProto";

blocks! {
    /// A job: targets that are scraped in one way.
    ScrapeBlock {
        /// The job's name, each once; the label `job` of its series.
        job_name: Typed as "text" = "required",
        /// How often its targets are scraped.
        scrape_interval: Typed as "duration" = "as `interval`",
        /// How long one scrape may take; never longer than the interval.
        scrape_timeout: Typed as "duration" = "10 s, or the interval where that is shorter",
        /// The path of the page on each target.
        metrics_path: Typed as "path on a target" = "`/metrics`",
        /// How the targets are spoken to.
        scheme: Typed as "`http` or `https`" = "`http`",
        /// What stands in the query of each request.
        params: Lists as "map of lists of texts",
        /// Targets by name.
        static_configs: Vec<Placed<GroupBlock>>,
        /// Targets in files that others write, read again when they change.
        file_sd_configs: Vec<Placed<FilesBlock>>,
        /// Whether labels of a page win over those of its target; else they are kept as `exported_…`.
        honor_labels: Typed as "boolean" = "`false`",
        /// Whether the times count that a page says of its samples. Such series get no stale markers.
        honor_timestamps: Typed as "boolean" = "`true`",
        /// A page with more samples, after `metric_relabel_configs`, fails the scrape. `0` is no limit.
        sample_limit: Typed as "whole number" = "`0`",
        /// A series with more labels, its name counted, fails the scrape. `0` is no limit.
        label_limit: Typed as "whole number" = "`0`",
        /// A label's name of more bytes fails the scrape. `0` is no limit.
        label_name_length_limit: Typed as "whole number" = "`0`",
        /// A label's value of more bytes fails the scrape. `0` is no limit.
        label_value_length_limit: Typed as "whole number" = "`0`",
        /// A page that is not smaller after decompression fails the scrape. Here `MB` is 1024 × 1024 bytes, as in
        /// Prometheus. `0` is no limit.
        body_size_limit: Typed as "size" = "`0`",
        /// Rules for targets, before they are scraped: with `__address__`, `__scheme__`, `__metrics_path__`,
        /// `__param_…`, `__scrape_interval__`, `__scrape_timeout__`, `__meta_filepath`.
        relabel_configs: Vec<Placed<RuleBlock>>,
        /// Rules for the series of the pages.
        metric_relabel_configs: Vec<Placed<RuleBlock>>,
        /// Which forms of a page are asked for, best first. `PrometheusProto` is a warning: pages are asked for as text.
        scrape_protocols: Vec<Typed> as "list of `OpenMetricsText1.0.0`, `OpenMetricsText0.0.1`, `PrometheusText1.0.0`, `PrometheusText0.0.4`" = "all, in this order",
        /// How a page is read whose `Content-Type` is missing or another one; without it the scrape fails.
        fallback_scrape_protocol: Typed as "`OpenMetricsText1.0.0`, `OpenMetricsText0.0.1`, `PrometheusText1.0.0` or `PrometheusText0.0.4`",
        /// Whether pages may come compressed (gzip).
        enable_compression: Typed as "boolean" = "`true`",
        /// User name and password.
        basic_auth: Option<Placed<BasicBlock>>,
        /// Another `Authorization` header.
        authorization: Option<Placed<AuthorizationBlock>>,
        /// A token that is fetched for client credentials.
        oauth2: Option<Placed<OAuth2Block>>,
        /// `Authorization: Bearer …`. Better in a file.
        bearer_token: Typed as "secret",
        /// The file that holds the bearer token.
        bearer_token_file: Typed as "path",
        /// Trust and client certificate.
        tls_config: TlsBlock,
        /// The HTTP proxy. May hold credentials.
        proxy_url: Typed as "URL" = "as `HTTPS_PROXY` and the like say",
        /// With `false` no proxy is used at all, where `proxy_url` names none.
        proxy_from_environment: Typed as "boolean" = "`true`",
        /// Series with times of their own get no stale markers.
        track_timestamps_staleness: Typed as "`false`" = "`false`",
        /// Native histograms are not read.
        scrape_native_histograms: Typed as "`false`" = "`false`",
        /// Native histograms are not written.
        convert_classic_histograms_to_nhcb: Typed as "`false`" = "`false`",
        /// The further series about scraping are not written.
        extra_scrape_metrics: Typed as "`false`" = "`false`",
        /// Names may be any UTF-8.
        metric_name_validation_scheme: Typed as "`utf8`" = "`utf8`",
        /// Names are taken as they are.
        metric_name_escaping_scheme: Typed as "`allow-utf-8`" = "`allow-utf-8`",
    }
    /// Targets that share labels. Files with targets hold a list of these.
    GroupBlock {
        /// The targets, as `host:port`. Without a port it is 80, or 443 with `https`.
        targets: Vec<Typed> as "list of addresses",
        /// Labels that each of them gets.
        labels: Pairs as "map of texts",
    }
    /// Targets in files.
    FilesBlock {
        /// The files: `.json`, `.yml` or `.yaml`, with `*` in the last part of a path at most. They begin in the folder of
        /// this file.
        files: Vec<Typed> as "list of paths" = "required",
        /// Nothing: a change is seen at the next scrape.
        refresh_interval: Typed as "duration",
    }
}

impl Resolver<'_> {
    pub(super) fn jobs(
        &mut self,
        blocks: Vec<Placed<ScrapeBlock>>,
        interval: Duration,
    ) -> Result<Vec<ScrapeJob>, ConfigError> {
        let (mut all, mut names) = (Vec::new(), BTreeSet::new());
        for Placed { place, value } in blocks {
            let job = self.job(value, &place, interval)?;
            if !names.insert(job.name.clone()) {
                let what = format_args!("a second job is named {:?}; give each a name of its own", job.name);
                return Err(wrong(&place, what));
            }
            all.push(job);
        }
        Ok(all)
    }

    fn job(
        &mut self,
        block: ScrapeBlock,
        place: &Place,
        interval: Duration,
    ) -> Result<ScrapeJob, ConfigError> {
        let name = block.job_name.ok_or_else(|| wrong(place, "has no job_name; add one"))?;
        name.filled()?;
        let every = block.scrape_interval.map_or(Ok(interval), |setting| setting.duration())?;
        let timeout = match block.scrape_timeout {
            None => TIMEOUT.min(every),
            Some(setting) => match setting.duration()? {
                longer if longer > every => {
                    return Err(setting.error(format_args!(
                        "is longer than the job's interval ({every:?}), so that one scrape would run into the next; \
                         make it shorter, or scrape_interval longer"
                    )));
                }
                timeout => timeout,
            },
        };
        self.only_defaults(&[
            (
                &block.track_timestamps_staleness,
                "false",
                "series with times of their own get no stale markers",
            ),
            (&block.scrape_native_histograms, "false", "native histograms are not read"),
            (&block.convert_classic_histograms_to_nhcb, "false", "native histograms are not written"),
            (&block.extra_scrape_metrics, "false", "those further series are not written"),
            (&block.metric_name_validation_scheme, "utf8", "names may be any UTF-8"),
            (&block.metric_name_escaping_scheme, "allow-utf-8", "names are taken as they are"),
        ])?;
        let boolean = |typed: Typed, default| typed.map_or(Ok(default), |setting| setting.boolean());
        let credentials = Credentials {
            basic: block.basic_auth,
            authorization: block.authorization,
            oauth2: block.oauth2,
            bearer: (block.bearer_token, block.bearer_token_file),
        };
        let scheme = block.scheme;
        let schemes = [("http", Scheme::Http), ("https", Scheme::Https)];
        Ok(ScrapeJob {
            name: Text::from(name.text),
            interval: every,
            timeout,
            metrics_path: block.metrics_path.map_or(Ok("/metrics".into()), metrics_path)?,
            scheme: scheme.map_or(Ok(Scheme::Http), |setting| setting.choice(&schemes))?,
            params: params(block.params.0)?,
            protocols: self.protocols(block.scrape_protocols)?,
            fallback: block.fallback_scrape_protocol.map(|setting| fallback(&setting)).transpose()?,
            compression: boolean(block.enable_compression, true)?,
            groups: block.static_configs.into_iter().map(group).collect::<Result<_, _>>()?,
            files: block.file_sd_configs.into_iter().map(files).collect::<Result<_, _>>()?,
            honor_labels: boolean(block.honor_labels, false)?,
            honor_timestamps: boolean(block.honor_timestamps, true)?,
            limits: Limits {
                samples: block.sample_limit.map_or(Ok(None), limit)?,
                labels: block.label_limit.map_or(Ok(None), limit)?,
                name_length: block.label_name_length_limit.map_or(Ok(None), limit)?,
                value_length: block.label_value_length_limit.map_or(Ok(None), limit)?,
                body: block.body_size_limit.map_or(Ok(None), |setting| body_limit(&setting))?,
            },
            relabel: rules(block.relabel_configs)?,
            metric_relabel: rules(block.metric_relabel_configs)?,
            http: HttpSettings {
                auth: self.auth(credentials)?,
                tls: tls(block.tls_config, block.proxy_url.is_some())?,
                proxy: self.proxy(block.proxy_url, block.proxy_from_environment)?,
                headers: Vec::new(),
                timeout,
            },
        })
    }

    /// Keys of which only the default is known here; another value would change data.
    fn only_defaults(&self, all: &[(&Typed, &str, &str)]) -> Result<(), ConfigError> {
        for (typed, default, how) in all {
            if let Some(setting) = typed.as_ref().filter(|setting| setting.text.trim() != *default) {
                return Err(setting.error(format_args!("must be {default}: {how}; leave it out")));
            }
        }
        Ok(())
    }

    fn protocols(&mut self, typed: Vec<Typed>) -> Result<Vec<Protocol>, ConfigError> {
        let mut all = Vec::new();
        let settings: Vec<Setting> = typed.into_iter().flatten().collect();
        for setting in &settings {
            if setting.text == PROTOBUF {
                self.warnings.push(format!(
                    "{}: {PROTOBUF} changes nothing here: pages are asked for as text",
                    setting.place
                ));
                continue;
            }
            let protocol = setting.choice(&Protocol::ALL)?;
            if all.contains(&protocol) {
                return Err(setting.error(format_args!("names {} twice; keep one of them", setting.text)));
            }
            all.push(protocol);
        }
        match settings.first() {
            Some(only) if all.is_empty() => {
                Err(only.error(format_args!("names no form of text; add {}", Protocol::ALL[0].0)))
            }
            None => Ok(Protocol::ALL.map(|(_, protocol)| protocol).into()),
            Some(_) => Ok(all),
        }
    }
}

fn fallback(setting: &Setting) -> Result<Protocol, ConfigError> {
    setting.choice(&Protocol::ALL)
}

/// A path that leads off a host; whatever stands in it is sent.
fn metrics_path(setting: Setting) -> Result<Text, ConfigError> {
    let path = setting.filled()?;
    if path.contains(['?', '#']) {
        return Err(setting.error(format_args!("{path:?} has a query; write that as params")));
    }
    Ok(if path.starts_with('/') { path.into() } else { format!("/{path}").into() })
}

fn params(pairs: Vec<(Setting, Vec<Typed>)>) -> Result<Vec<(String, Vec<String>)>, ConfigError> {
    let pair = |(name, values): (Setting, Vec<Typed>)| {
        name.filled()?;
        // Nothing at all is an empty text in a list of texts.
        let values = values.into_iter().map(|value| value.map_or_else(String::new, |value| value.text));
        Ok((name.text, values.collect()))
    };
    pairs.into_iter().map(pair).collect()
}

/// Targets that share labels, as a file names them.
pub(super) fn group(Placed { value: block, .. }: Placed<GroupBlock>) -> Result<TargetGroup, ConfigError> {
    let target = |setting: Setting| {
        let text = setting.filled()?;
        match misfit(text) {
            Some(what) => Err(setting.error(format_args!("{text:?} {what}"))),
            None => Ok(Text::from(text)),
        }
    };
    let label = |(name, value): (Setting, Setting)| {
        let named = LabelName::relayed(&Text::from(name.text.as_str()));
        let named = named.map_err(|_| name.error("a label has no name; give it one"))?;
        Ok((named, Text::from(value.text)))
    };
    Ok(TargetGroup {
        targets: block.targets.into_iter().flatten().map(target).collect::<Result<_, _>>()?,
        labels: block.labels.0.into_iter().map(label).collect::<Result<_, _>>()?,
    })
}

/// Why an address is none.
pub(super) fn misfit(address: &str) -> Option<&'static str> {
    if address.contains("://") {
        Some("is a URL; write host:port, and the rest as scheme and metrics_path")
    } else if address.contains('/') {
        Some("has a path; write host:port, and the path as metrics_path")
    } else {
        None
    }
}

fn files(Placed { place, value: block }: Placed<FilesBlock>) -> Result<TargetFiles, ConfigError> {
    // How often the files are looked at is not chosen: a change is seen at the next scrape.
    block.refresh_interval.map_or(Ok(Duration::ZERO), |setting| setting.duration())?;
    let patterns: Vec<Setting> = block.files.into_iter().flatten().collect();
    if patterns.is_empty() {
        return Err(wrong(&place, "has no files; name one, such as targets/*.yml"));
    }
    let pattern = |setting: &Setting| {
        let text = setting.filled()?;
        if !is_pattern_of_targets(text) {
            let what = "must end in .json, .yml or .yaml, with * in its last part alone";
            return Err(setting.error(format_args!("{text:?} {what}")));
        }
        let path = folder(&setting.place).join(text);
        glob::Pattern::new(&path.to_string_lossy())
            .map_err(|error| setting.error(format_args!("{text:?} is no pattern ({})", error.msg)))?;
        Ok(path)
    };
    Ok(TargetFiles { patterns: patterns.iter().map(pattern).collect::<Result<_, _>>()? })
}

/// Prometheus' own rule for the names of files with targets.
fn is_pattern_of_targets(text: &str) -> bool {
    let Some((before, ending)) = text.rsplit_once('.') else { return false };
    let behind_a_star = before.split_once('*').map_or("", |(_, behind)| behind);
    matches!(ending, "json" | "yml" | "yaml" | "JSON" | "YML" | "YAML") && !behind_a_star.contains('/')
}

/// Paths begin in the folder of the file that names them.
fn folder(place: &Place) -> PathBuf {
    match place {
        Place::File { path, .. } => Path::new(path).parent().unwrap_or(Path::new("")).to_owned(),
        Place::Variable(_) | Place::Flag(_) => PathBuf::new(),
    }
}

/// A count of which 0 means that there is no limit.
fn limit(setting: Setting) -> Result<Option<usize>, ConfigError> {
    match setting.filled()?.parse::<usize>() {
        Ok(0) => Ok(None),
        Ok(limit) => Ok(Some(limit)),
        Err(_) => {
            let what = format_args!("{:?} is not a whole number; 0 is no limit", setting.text);
            Err(setting.error(what))
        }
    }
}

/// As Prometheus reads it, where every unit is a power of 1024.
fn body_limit(setting: &Setting) -> Result<Option<u64>, ConfigError> {
    let text = setting.filled()?;
    if text == "0" {
        return Ok(None);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let power = match unit {
        "B" => Some(0),
        "KB" | "KiB" => Some(1),
        "MB" | "MiB" => Some(2),
        "GB" | "GiB" => Some(3),
        "TB" | "TiB" => Some(4),
        _ => None,
    };
    let size = power.and_then(|power| number.parse::<u64>().ok()?.checked_mul(1 << (10 * power)));
    match size {
        Some(0) => Ok(None),
        Some(size) => Ok(Some(size)),
        None => Err(setting.error(format_args!("{text:?} is not a size; write it like 10MB"))),
    }
}
