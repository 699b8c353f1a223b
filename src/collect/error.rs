//! Why a cycle failed, in words that say what to do next.

use std::time::Duration;

use crate::http::{HttpError, chain};

/// Why a cycle failed. `at` is a URL without userinfo and query.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// 401.
    #[error(
        "{at} answered 401: the token is wrong, expired, revoked, or a device's or fleet's key where a user's \
         is needed; make a new API key in the dashboard (Preferences, Access tokens); the API also says so while its \
         database is down, so it is asked again"
    )]
    Unauthorized {
        /// Where.
        at: String,
    },
    /// 404.
    #[error("{at} answered 404: check url: the API's own host, as https://api.example.com")]
    NotFound {
        /// Where.
        at: String,
    },
    /// 429.
    #[error("{at} answered 429: too many requests; {}", waiting(.wait))]
    RateLimited {
        /// Where.
        at: String,
        /// How long it wants not to be asked.
        wait: Option<Duration>,
    },
    /// An earlier 429 asked to wait.
    #[error("rate limited: the API asked for a pause that lasts {} s more", .left.as_secs_f64().ceil())]
    Waiting {
        /// How much longer.
        left: Duration,
    },
    /// 3xx. The token is not sent to another place by itself.
    #[error("{at} answered {status} and points to {host}: set url to the API's address there")]
    Redirect {
        /// The status.
        status: u16,
        /// Where.
        at: String,
        /// The scheme and host it points to.
        host: String,
    },
    /// 5xx.
    #[error(
        "{at} answered {status}: the API or a server before it has failed; if it stays so, look at its log, or at the status page of balena"
    )]
    Server {
        /// The status.
        status: u16,
        /// Where.
        at: String,
    },
    /// Any other status.
    #[error("{at} answered {status}: {words:?}; {}", refused(*.status))]
    Refused {
        /// The status.
        status: u16,
        /// Where.
        at: String,
        /// The beginning of what it said.
        words: String,
    },
    /// The body is not what the API documents.
    #[error("{at} answered in another shape than a balena API: {reason}; check that url names one")]
    Shape {
        /// Where.
        at: String,
        /// What does not fit.
        reason: String,
    },
    /// No answer.
    #[error("{at} could not be asked")]
    Http {
        /// Where.
        at: String,
        /// Why.
        #[source]
        source: HttpError,
    },
    /// The cycle's time was over.
    #[error("the collect took longer than {} s and was given up; look at the network, or raise the account's timeout", .after.as_secs_f64())]
    Deadline {
        /// How long it had.
        after: Duration,
    },
    /// Our clock and the API's differ.
    #[error(
        "this machine's clock is {seconds:+.0} s off the API's: set it (NTP), nothing is sent until then"
    )]
    Skew {
        /// Ours minus the API's.
        seconds: f64,
    },
    /// Our clock was set back.
    #[error(
        "this machine's clock is {seconds:.0} s behind the cycle before: set it (NTP), nothing is sent until then"
    )]
    SetBack {
        /// The last cycle's time minus ours.
        seconds: f64,
    },
}

fn waiting(wait: &Option<Duration>) -> String {
    match wait {
        Some(wait) => format!("it is asked again in {} s", wait.as_secs()),
        None => "it is asked again at the next cycle; a longer interval may be needed".into(),
    }
}

fn refused(status: u16) -> &'static str {
    match status {
        403 => {
            "the token may not do this, or a proxy or firewall on the way refuses: use an API key of a user that sees the \
             fleets, and have the API's host allowed there"
        }
        407 => {
            "give the URL of the proxy its credentials, as http://user:password@proxy:3128 (proxy_url, or the variable HTTPS_PROXY)"
        }
        _ => "check that url names a balena API",
    }
}

/// How a cycle ended, as a label's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CycleResult {
    /// Counted.
    Ok,
    /// 401.
    Unauthorized,
    /// 429, or a pause that one asked for.
    RateLimited,
    /// No complete answer in time.
    Timeout,
    /// Any other status.
    ApiError,
    /// A body of another shape or size.
    BadAnswer,
    /// No connection, or a lost one.
    Network,
    /// Our clock and the API's differ.
    ClockSkew,
    /// A file or setting of ours is not usable.
    Settings,
}

impl CycleResult {
    /// All results.
    pub const ALL: [CycleResult; 9] = [
        CycleResult::Ok,
        CycleResult::Unauthorized,
        CycleResult::RateLimited,
        CycleResult::Timeout,
        CycleResult::ApiError,
        CycleResult::BadAnswer,
        CycleResult::Network,
        CycleResult::ClockSkew,
        CycleResult::Settings,
    ];

    /// The value of the label `result`.
    pub fn as_str(self) -> &'static str {
        match self {
            CycleResult::Ok => "ok",
            CycleResult::Unauthorized => "unauthorized",
            CycleResult::RateLimited => "rate_limited",
            CycleResult::Timeout => "timeout",
            CycleResult::ApiError => "api_error",
            CycleResult::BadAnswer => "bad_answer",
            CycleResult::Network => "network",
            CycleResult::ClockSkew => "clock_skew",
            CycleResult::Settings => "settings",
        }
    }
}

impl CollectError {
    /// With its causes and the next step, in one line.
    pub fn explained(&self) -> String {
        let text = chain(self);
        match self {
            CollectError::Http { source, .. } => format!("{text}; {}", source.next_step()),
            // The others say the next step themselves.
            _ => text,
        }
    }

    /// The kind of failure.
    pub fn result(&self) -> CycleResult {
        match self {
            CollectError::Unauthorized { .. } => CycleResult::Unauthorized,
            CollectError::RateLimited { .. } | CollectError::Waiting { .. } => CycleResult::RateLimited,
            CollectError::NotFound { .. }
            | CollectError::Redirect { .. }
            | CollectError::Server { .. }
            | CollectError::Refused { .. } => CycleResult::ApiError,
            CollectError::Shape { .. } => CycleResult::BadAnswer,
            CollectError::Deadline { .. } => CycleResult::Timeout,
            CollectError::Skew { .. } | CollectError::SetBack { .. } => CycleResult::ClockSkew,
            CollectError::Http { source, .. } => match source {
                HttpError::Connect(_) | HttpError::Lost(_) => CycleResult::Network,
                HttpError::Timeout => CycleResult::Timeout,
                HttpError::Coding(_) | HttpError::TooLarge { .. } => CycleResult::BadAnswer,
                HttpError::Secret { .. }
                | HttpError::SecretEmpty { .. }
                | HttpError::Unsendable { .. }
                | HttpError::TlsFile { .. }
                | HttpError::TlsContent { .. }
                | HttpError::Token { .. }
                | HttpError::TokenBusy { .. }
                | HttpError::TokenRefused { .. }
                | HttpError::Settings(_)
                | HttpError::Setup(_) => CycleResult::Settings,
            },
        }
    }

    /// Whether a second try within the same cycle is worth it.
    pub(super) fn may_pass_at_once(&self) -> bool {
        matches!(
            self,
            CollectError::Server { status: 502..=504, .. }
                | CollectError::Http { source: HttpError::Connect(_) | HttpError::Lost(_), .. }
        )
    }
}
