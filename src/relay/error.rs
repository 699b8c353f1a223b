//! Why a scrape failed.

use super::parse::ParseError;
use crate::http::HttpError;

/// Why a scrape failed.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    /// The target has no address that can be asked.
    #[error("{0}")]
    Address(String),
    /// There was no complete answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The answer was no page.
    #[error("answered {code}{}", redirected(.code))]
    Status {
        /// Its status.
        code: u16,
    },
    /// The page does not say what it is, or says that it is something else.
    #[error(
        "{}; set fallback_scrape_protocol, such as PrometheusText0.0.4, if it is a page for Prometheus all the same",
        what_it_says(.said)
    )]
    ContentType {
        /// What it says; none: nothing.
        said: Option<String>,
    },
    /// The page is larger than is read.
    #[error("the page is not smaller than body_size_limit ({limit} bytes)")]
    TooLarge {
        /// The bound.
        limit: u64,
    },
    /// The page cannot be read.
    #[error("the page cannot be read: {0}")]
    Page(#[from] ParseError),
    /// A series has no name, or rules have taken it.
    #[error("a series has no name (rules may have removed the label __name__): {series}")]
    NoName {
        /// Which one.
        series: String,
    },
    /// There are too many samples.
    #[error("the page has more than sample_limit ({limit}) samples")]
    TooManySamples {
        /// The bound.
        limit: usize,
    },
    /// A series has too many or too long labels.
    #[error("a series is beyond {key} ({limit}): {series}")]
    Labels {
        /// The bound's name.
        key: &'static str,
        /// The bound.
        limit: usize,
        /// Which series.
        series: String,
    },
}

impl ScrapeError {
    /// What failed, in one word for a label.
    pub fn result(&self) -> &'static str {
        match self {
            ScrapeError::Address(_) => "address",
            ScrapeError::Http(HttpError::Timeout) => "timeout",
            ScrapeError::Http(error) if error.is_transient() => "network",
            ScrapeError::Http(_) => "settings",
            ScrapeError::Status { .. } => "status",
            ScrapeError::ContentType { .. } => "content_type",
            ScrapeError::TooLarge { .. }
            | ScrapeError::TooManySamples { .. }
            | ScrapeError::Labels { .. } => "limit",
            ScrapeError::Page(_) | ScrapeError::NoName { .. } => "page",
        }
    }

    /// What an operator can do, where the text does not say it.
    pub fn next_step(&self) -> Option<&'static str> {
        match self {
            ScrapeError::Http(error) => Some(error.next_step()),
            ScrapeError::Status { code: 401 | 403 } => {
                Some("check the job's basic_auth, authorization or oauth2")
            }
            ScrapeError::Status { code: 404 } => Some("check metrics_path"),
            _ => None,
        }
    }
}

fn redirected(code: &u16) -> &'static str {
    match code {
        300..=399 => ", and redirects are not followed: give the final address, scheme and metrics_path",
        _ => "",
    }
}

fn what_it_says(said: &Option<String>) -> String {
    match said {
        None => "the page has no Content-Type".to_owned(),
        Some(said) => format!("the page's Content-Type is {said:?}, which is none of a page for Prometheus"),
    }
}
