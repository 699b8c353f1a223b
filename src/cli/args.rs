//! What was typed.

use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::config::Overrides;

/// Brings the state of balena fleets into Prometheus: a metrics page, a Pushgateway, remote write.
///
/// Without a command it runs as a service. It needs BALENA_TOKEN and nothing else; the other settings
/// stand in the README. `fleetpush demo` needs nothing at all.
#[derive(Debug, Parser)]
#[command(name = "fleetpush", version)]
pub struct Args {
    #[command(flatten)]
    pub settings: Settings,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Settings that win over environment and file.
#[derive(Debug, ClapArgs)]
pub struct Settings {
    /// The configuration file (YAML)
    #[arg(long = "config.file", value_name = "FILE", global = true)]
    pub config_file: Option<String>,
    /// Check the configuration and exit
    #[arg(long = "config.check", global = true)]
    pub config_check: bool,
    /// Where the page listens: `:8000`, `host:port` or `off`
    #[arg(long = "web.listen-address", value_name = "ADDRESS", global = true)]
    pub listen_address: Option<String>,
    /// The path of the metrics
    #[arg(long = "web.telemetry-path", value_name = "PATH", global = true)]
    pub telemetry_path: Option<String>,
    /// Let `POST /-/reload` read the configuration again
    #[arg(long = "web.enable-lifecycle", global = true)]
    pub enable_lifecycle: bool,
    /// The least level that is logged: trace, debug, info, warn, error
    #[arg(long = "log.level", value_name = "LEVEL", global = true)]
    pub log_level: Option<String>,
    /// The log's form: logfmt or json
    #[arg(long = "log.format", value_name = "FORMAT", global = true)]
    pub log_format: Option<String>,
    /// How long `once` may deliver, such as 50s
    #[arg(long = "once.deadline", value_name = "DURATION", global = true)]
    pub once_deadline: Option<String>,
    /// How long a stop waits for requests in flight, such as 10s
    #[arg(long = "shutdown.grace", value_name = "DURATION", global = true)]
    pub shutdown_grace: Option<String>,
}

impl Settings {
    /// The settings that the configuration takes over.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            config_file: self.config_file.clone(),
            listen_address: self.listen_address.clone(),
            telemetry_path: self.telemetry_path.clone(),
            enable_lifecycle: self.enable_lifecycle.then_some(true),
            log_level: self.log_level.clone(),
            log_format: self.log_format.clone(),
            once_deadline: self.once_deadline.clone(),
            shutdown_grace: self.shutdown_grace.clone(),
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Collect on a schedule, serve the page, push (the default)
    Run,
    /// Collect once, deliver, exit: for CronJobs
    Once,
    /// Try the token, the API and every sink; nothing is stored anywhere
    Check,
    /// Print the fleets with their counts
    Fleets,
    /// Ask the page of a running service whether it is healthy: for containers
    Healthcheck,
    /// Show everything with a simulated balena API and embedded receivers; needs no setting
    Demo(DemoOptions),
    /// Work on the Pushgateways
    #[command(subcommand)]
    Pushgateway(Pushgateway),
    /// Look at the queue before remote write, and work on it, also while `run` has it
    #[command(subcommand)]
    Queue(Queue),
}

impl Command {
    /// Whether the command asks the balena API.
    pub fn needs_token(&self) -> bool {
        !matches!(self, Command::Demo(_) | Command::Healthcheck | Command::Pushgateway(_) | Command::Queue(_))
    }
}

/// Work on the Pushgateways.
#[derive(Debug, Subcommand)]
pub enum Pushgateway {
    /// Delete the groups that this configuration pushes
    Delete,
}

/// Work on the queue.
#[derive(Clone, Debug, Subcommand)]
pub enum Queue {
    /// Say for each endpoint what it does, what waits, and how long there is room
    Status {
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Read every record and say how many are whole
    Verify,
    /// Throw away what waits for an endpoint and what it has refused
    Drop {
        /// The endpoint's name
        #[arg(long, value_name = "NAME")]
        endpoint: String,
    },
    /// Send again what an endpoint has refused, after everything else
    Retry {
        /// The endpoint's name
        #[arg(long, value_name = "NAME")]
        endpoint: String,
    },
}

/// The demo's size and faults.
#[derive(Clone, Debug, ClapArgs)]
pub struct DemoOptions {
    /// How long it runs, such as 10s; without it until it is stopped
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub run_for: Option<Duration>,
    /// How long the receivers refuse, beginning after three cycles, such as 20s
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub outage: Option<Duration>,
    /// How many fleets there are
    #[arg(long, default_value_t = 36, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub fleets: u32,
    /// How many devices each fleet has
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub devices: u32,
    /// How long the simulated API takes to answer
    #[arg(long, value_name = "DURATION", default_value = "50ms", value_parser = duration)]
    pub latency: Duration,
    /// How often it collects
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub interval: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    crate::config::parse_duration(text).map_err(|error| error.to_string())
}
