//! A simulated balena API, as strict as the real one.
//! In: fleets and devices that a test or the demo changes while it runs, requests. Out: the answers of
//! open-balena-api 49, byte for byte where the shape matters. Never: leniency that the real one does not have.

use std::time::Duration;

use tokio::net::TcpListener;

pub use self::fleet::{Device, Fleet};
pub use self::state::Simulation;
use super::http::{self, Behaviour};
pub use super::http::{Cut, Fault, Request, Times};

mod api;
mod eval;
mod fleet;
mod json;
mod odata;
mod rows;
mod state;

/// How a simulated API is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The one key that is valid.
    pub token: String,
    /// Waited before each answer.
    pub latency: Duration,
    /// Idle connections are closed after this; the real API's is 5 s.
    pub keep_alive: Duration,
    /// So many requests are kept in the log.
    pub keep: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            token: "simulated-token".to_owned(),
            latency: Duration::ZERO,
            keep_alive: Duration::from_secs(5),
            keep: 10_000,
        }
    }
}

/// A running simulated API.
pub type Server = http::Server<api::Api>;

impl Server {
    /// Serves a simulation on a free port of 127.0.0.1.
    pub async fn start(simulation: Simulation, options: Options) -> std::io::Result<Self> {
        Self::start_on(Self::bind().await?, simulation, options)
    }

    /// Serves a simulation on a listener that is bound already.
    pub fn start_on(
        listener: TcpListener,
        simulation: Simulation,
        options: Options,
    ) -> std::io::Result<Self> {
        let behaviour =
            Behaviour { latency: options.latency, keep_alive: Some(options.keep_alive), keep: options.keep };
        Self::serve(listener, api::Api::new(simulation, options.token), behaviour)
    }

    /// The simulation it serves; changes show in the next answer.
    pub fn simulation(&self) -> &Simulation {
        self.site().simulation()
    }
}
