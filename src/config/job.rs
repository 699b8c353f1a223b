//! What `scrape_configs:` asks for, checked.

use std::path::PathBuf;
use std::time::Duration;

use super::types::HttpSettings;
use crate::relabel::Rules;
use crate::sample::{LabelName, Text};

/// A job: targets that are scraped in one way.
#[derive(Clone, Debug)]
pub struct ScrapeJob {
    /// Its name, the label `job` of its series; no two jobs have one name.
    pub name: Text,
    /// How often its targets are scraped (default: the interval of everything).
    pub interval: Duration,
    /// How long a scrape may take (default 10 s); never longer than the interval.
    pub timeout: Duration,
    /// The path of the page (default `/metrics`).
    pub metrics_path: Text,
    /// `http` or `https`.
    pub scheme: Scheme,
    /// What stands in the URL's query, each name once.
    pub params: Vec<(String, Vec<String>)>,
    /// Which forms of a page are asked for, best first; never empty.
    pub protocols: Vec<Protocol>,
    /// How a page is read that does not say what it is; none: it is not.
    pub fallback: Option<Protocol>,
    /// Whether pages may come compressed.
    pub compression: bool,
    /// Targets by name.
    pub groups: Vec<TargetGroup>,
    /// Targets in files.
    pub files: Vec<TargetFiles>,
    /// Whether a page's labels win over the target's.
    pub honor_labels: bool,
    /// Whether a page's times count.
    pub honor_timestamps: bool,
    /// What refuses a scrape.
    pub limits: Limits,
    /// What makes a target of what is found.
    pub relabel: Rules,
    /// What becomes of a page's series.
    pub metric_relabel: Rules,
    /// Credentials, TLS, proxy, the job's time-out.
    pub http: HttpSettings,
}

/// How a target is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// As it stands in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// A form of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OpenMetrics 1.0.
    OpenMetrics1,
    /// OpenMetrics 0.0.1.
    OpenMetrics0,
    /// The text format with quoted names.
    Text1,
    /// The text format.
    Text0,
}

impl Protocol {
    /// All of them by Prometheus' names, as they are asked for by default.
    pub const ALL: [(&str, Protocol); 4] = [
        ("OpenMetricsText1.0.0", Protocol::OpenMetrics1),
        ("OpenMetricsText0.0.1", Protocol::OpenMetrics0),
        ("PrometheusText1.0.0", Protocol::Text1),
        ("PrometheusText0.0.4", Protocol::Text0),
    ];
}

/// Targets that share labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetGroup {
    /// Their addresses, `host:port`.
    pub targets: Vec<Text>,
    /// Their labels.
    pub labels: Vec<(LabelName, Text)>,
}

/// Files with targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetFiles {
    /// Their paths, each of which may be a pattern in its last part.
    pub patterns: Vec<PathBuf>,
}

/// What refuses a scrape; none of them: nothing does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Samples of a page, those that rules drop not counted.
    pub samples: Option<usize>,
    /// Labels of a series, its name counted.
    pub labels: Option<usize>,
    /// Bytes of a label's name.
    pub name_length: Option<usize>,
    /// Bytes of a label's value.
    pub value_length: Option<usize>,
    /// Bytes of a page, after decompression.
    pub body: Option<u64>,
}
