//! The page: metrics for scrapers, a status page for browsers, health, readiness, reload.
//!
//! In go the batches that the app lets be seen, the telemetry, and the file that says how it is protected; out
//! comes HTTP, with TLS and for known users where that file says so. Never: a request to the API, however
//! often it is scraped.

mod bcrypt;
mod chart;
mod guard;
pub mod history;
pub mod html;
mod listener;
mod look;
pub mod negotiate;
pub mod query;
mod san;
mod script;
mod server;
mod tls;
mod users;
pub mod view;

pub use guard::{Guard, GuardError};
pub use listener::{Bounds, serve, serve_guarded};

use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Clock;
pub use crate::sample::Latest;
use crate::telemetry::Telemetry;

/// A wish to reload, with the way back for its outcome.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// What the page is made from.
#[derive(Clone, Debug)]
pub struct PageState {
    /// The visible batches ([`crate::sample::Source::Own`] is not taken from here but made at each scrape): after a failed cycle the app puts the older fleets under the new state.
    pub latest: watch::Receiver<Latest>,
    /// The program's own metrics and state.
    pub telemetry: Telemetry,
    /// The time of the own metrics.
    pub clock: Clock,
    /// Where metrics are (`/metrics`).
    pub telemetry_path: String,
    /// Where `POST /-/reload` goes; none: it is refused.
    pub lifecycle: Option<mpsc::Sender<ReloadRequest>>,
}
