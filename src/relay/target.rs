//! What is found of a target → what is scraped: its labels under the job's rules, as Prometheus makes a target of
//! them. Pure.

use std::time::Duration;

use url::Url;

use crate::config::{ScrapeJob, TargetGroup, parse_duration};
use crate::relabel::{Fate, Working};
use crate::sample::{LabelName, Text};

const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAMETER: &str = "__param_";
const FILE: &str = "__meta_filepath";

/// One thing to scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    /// The number of its job.
    pub(super) job: usize,
    /// The labels that its series get, sorted, none of them empty.
    pub(super) labels: Vec<(LabelName, Text)>,
    /// The page, or why there cannot be one.
    pub(super) url: Result<Url, String>,
    pub(super) every: Duration,
    pub(super) timeout: Duration,
}

impl Spec {
    /// A label's value; empty where there is none.
    pub(super) fn label(&self, name: &str) -> Text {
        let found = self.labels.iter().find(|(known, _)| known.as_str() == name);
        found.map_or_else(|| "".into(), |(_, value)| value.clone())
    }

    /// What tells it from every other one.
    pub(super) fn key(&self) -> String {
        let url = self.url.as_ref().map_or_else(String::as_str, Url::as_str);
        format!("{} {url} {:?} {:?} {:?}", self.job, self.every, self.timeout, self.labels)
    }
}

/// The target of an address in a group; nothing where rules drop it.
///
/// # Errors
/// Why there is no target.
pub(super) fn spec(
    number: usize,
    job: &ScrapeJob,
    group: &TargetGroup,
    address: &Text,
    file: Option<&str>,
) -> Result<Option<Spec>, String> {
    let mut labels = Working::new([(Text::from(ADDRESS), address.clone())]);
    for (name, value) in &group.labels {
        labels.set_missing(name.text().clone(), value.clone());
    }
    if let Some(file) = file {
        labels.set_missing(FILE, file);
    }
    labels.set_missing("job", job.name.clone());
    labels.set_missing(INTERVAL, shown(job.interval));
    labels.set_missing(TIMEOUT, shown(job.timeout));
    labels.set_missing(PATH, job.metrics_path.clone());
    labels.set_missing(SCHEME, job.scheme.as_str());
    for (name, values) in &job.params {
        if let Some(first) = values.first() {
            labels.set_missing(format!("{PARAMETER}{name}"), first.as_str());
        }
    }
    // Rules meet them sorted, as a set that begins.
    let mut labels = Working::new(labels.iter().map(|(name, value)| (name.clone(), value.clone())));
    if job.relabel.apply(&mut labels) == Fate::Drop {
        return Ok(None);
    }
    let of = |name: &str| labels.get(name).cloned().unwrap_or_else(|| "".into());
    let address = of(ADDRESS);
    if address.is_empty() {
        return Err("it has no address".into());
    }
    if address.contains('/') {
        return Err(format!("{address:?} is no address: it holds a /"));
    }
    let span = |name: &str| match parse_duration(&of(name)) {
        Ok(Duration::ZERO) => Err(format!("the label {name} is 0")),
        Ok(span) => Ok(span),
        Err(error) => Err(format!("the label {name}: {error}")),
    };
    let (every, timeout) = (span(INTERVAL)?, span(TIMEOUT)?);
    if timeout > every {
        return Err(format!("the label {TIMEOUT} ({timeout:?}) is longer than {INTERVAL} ({every:?})"));
    }
    let url = url(&labels, job, &address);
    if labels.get("instance").is_none() {
        labels.set("instance", address);
    }
    labels.retain(|name, _| !name.starts_with("__"));
    let mut kept: Vec<(LabelName, Text)> = labels
        .iter()
        .filter_map(|(name, value)| Some((LabelName::relayed(name).ok()?, value.clone())))
        .collect();
    kept.sort();
    Ok(Some(Spec { job: number, labels: kept, url, every, timeout }))
}

fn url(labels: &Working, job: &ScrapeJob, address: &str) -> Result<Url, String> {
    let of = |name: &str| labels.get(name).map_or("", |value| &**value);
    let scheme = of(SCHEME);
    if !matches!(scheme, "http" | "https") {
        return Err(format!("the scheme {scheme:?} is neither http nor https"));
    }
    let mut url = Url::parse(&format!("{scheme}://{address}/"))
        .ok()
        .filter(|url| url.username().is_empty() && url.password().is_none() && url.query().is_none())
        .ok_or_else(|| format!("{address:?} is no address, such as host:9100"))?;
    // A path is what it is: a % in it is one.
    url.set_path(&of(PATH).replace('%', "%25"));
    let mut params: Vec<(String, Vec<String>)> = job.params.clone();
    for (name, value) in labels.iter() {
        let Some(name) = name.strip_prefix(PARAMETER) else { continue };
        match params.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => match values.first_mut() {
                Some(first) => *first = value.to_string(),
                None => values.push(value.to_string()),
            },
            None => params.push((name.to_owned(), vec![value.to_string()])),
        }
    }
    params.sort();
    if params.iter().any(|(_, values)| !values.is_empty()) {
        let mut query = url.query_pairs_mut();
        for (name, values) in &params {
            values.iter().for_each(|value| {
                query.append_pair(name, value);
            });
        }
    }
    Ok(url)
}

/// As Prometheus writes a duration.
fn shown(span: Duration) -> String {
    const UNITS: [(&str, u128); 7] = [
        ("y", 31_536_000_000),
        ("w", 604_800_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    let mut left = span.as_millis();
    let mut text = String::new();
    for (unit, size) in UNITS {
        // It writes years, weeks and days only where they are whole.
        let whole = matches!(unit, "y" | "w" | "d");
        if left >= size && (!whole || left.is_multiple_of(size)) {
            text.push_str(&format!("{}{unit}", left / size));
            left %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_prometheus_writes_them() {
        for (ms, text) in [
            (15_000, "15s"),
            (90_000, "1m30s"),
            (3_600_000, "1h"),
            (86_400_000, "1d"),
            (90_000_000, "25h"),
            (1_500, "1s500ms"),
            (200, "200ms"),
            (604_800_000, "1w"),
        ] {
            assert_eq!(shown(Duration::from_millis(ms)), text);
        }
    }
}
