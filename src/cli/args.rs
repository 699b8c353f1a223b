//! What was typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint};

use super::Exit;
use crate::config::Overrides;

/// What stands below the flags in the help, and in the manual page.
pub const MORE: &str =
    "Without a command it runs as a service. It needs BALENA_TOKEN and nothing else, and then serves
the page at :8000. Every setting has a key in the file, the important ones a variable too:
`fleetpush man` lists the variables, `fleetpush init` writes a file with comments.";

/// Copied from here, they work.
pub const EXAMPLES: &str = "Examples:
  fleetpush demo                                  see it work; needs no account and no setting
  fleetpush init                                  write a configuration file by a few questions
  fleetpush check --config.file fleetpush.yml     try token, API and every sink
  fleetpush --config.file fleetpush.yml           run as a service
  fleetpush once --config.file fleetpush.yml      collect and deliver once, for a CronJob
  BALENA_TOKEN_FILE=token fleetpush               serve http://localhost:8000/metrics, without a file";

/// Brings the state of balena fleets into Prometheus: a metrics page, a Pushgateway, remote write
#[derive(Debug, Parser)]
#[command(name = "fleetpush", version)]
pub struct Args {
    #[command(flatten)]
    pub settings: Settings,
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Args {
    /// What was typed. Ends the process with help, or with what is wrong with it.
    pub fn typed() -> Self {
        Args::from_arg_matches(&grammar().get_matches()).unwrap_or_else(|error| error.exit())
    }
}

/// All commands and flags: what is parsed, and what completions and the manual page are made from.
pub fn grammar() -> clap::Command {
    let code = |exit: &Exit| format!("\n  {}  {}", *exit as u8, wrapped(exit.meaning(), 95, "\n     "));
    let codes: String = Exit::ALL.iter().map(code).collect();
    Args::command().after_help(format!("{MORE}\n\n{EXAMPLES}\n\nExit codes:{codes}"))
}

/// A text in lines of a width.
pub fn wrapped(text: &str, width: usize, between: &str) -> String {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split(' ') {
        if !line.is_empty() && line.len() + word.len() >= width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.join(between)
}

/// When output has colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Colour {
    #[default]
    Auto,
    Always,
    Never,
}

/// Settings that win over environment and file.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Settings (they win over variables and file)")]
pub struct Settings {
    /// The configuration file (YAML)
    #[arg(long = "config.file", value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    pub config_file: Option<String>,
    /// Check the configuration and exit
    #[arg(long = "config.check", global = true)]
    pub config_check: bool,
    /// Where the page listens: `:port`, `host:port` or `off` [default: :8000]
    #[arg(long = "web.listen-address", value_name = "ADDRESS", global = true)]
    pub listen_address: Option<String>,
    /// The file that says how the page is protected: TLS, users (as the exporters have it)
    #[arg(long = "web.config.file", value_name = "FILE", global = true)]
    pub web_config_file: Option<String>,
    /// The path of the metrics [default: /metrics]
    #[arg(long = "web.telemetry-path", value_name = "PATH", global = true)]
    pub telemetry_path: Option<String>,
    /// Let `POST /-/reload` read the configuration again
    #[arg(long = "web.enable-lifecycle", global = true)]
    pub enable_lifecycle: bool,
    /// The least level that is logged: trace, debug, info, warn, error [default: info]
    #[arg(long = "log.level", value_name = "LEVEL", global = true)]
    pub log_level: Option<String>,
    /// The log's form: logfmt or json [default: logfmt]
    #[arg(long = "log.format", value_name = "FORMAT", global = true)]
    pub log_format: Option<String>,
    /// How long `once` may collect and deliver [default: 50s]
    #[arg(long = "once.deadline", value_name = "DURATION", global = true)]
    pub once_deadline: Option<String>,
    /// How long the end of `run` waits for requests in flight [default: 10s]
    #[arg(long = "shutdown.grace", value_name = "DURATION", global = true)]
    pub shutdown_grace: Option<String>,
    /// When output has colours: auto is on a terminal, unless NO_COLOR is set or TERM is dumb
    #[arg(long = "color", value_name = "WHEN", default_value = "auto", global = true)]
    pub color: Colour,
}

impl Settings {
    /// The settings that the configuration takes over.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            config_file: self.config_file.clone(),
            listen_address: self.listen_address.clone(),
            web_config_file: self.web_config_file.clone(),
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
    #[command(
        after_help = "SIGHUP reads the configuration again; the first SIGTERM or SIGINT lets requests in flight end, the second \
        ends at once."
    )]
    Run,
    /// Collect once, deliver, exit: for CronJobs
    #[command(
        after_help = "What is not delivered when --once.deadline has passed stays in the queue for the next `once`. Run it at \
        least every four minutes: Prometheus looks back five.

Examples:
  fleetpush once --from backup.prom                      a page that a script has written
  ./measure.sh | fleetpush once --from - --job measure   the same through a pipe"
    )]
    Once(OnceOptions),
    /// Try the token, the API, the queue's folder and every sink; nothing is stored anywhere
    #[command(after_help = "Each line says what was tried and how it went; a FAIL says what to do next.")]
    Check,
    /// Print the fleets with their counts
    Fleets,
    /// Ask the page of a running service whether it is healthy: for containers
    Healthcheck,
    /// Show everything with a simulated balena API and embedded receivers; needs no setting
    #[command(after_help = "Examples:
  fleetpush demo --for 10s          ends by itself
  fleetpush demo --outage 20s       the receivers refuse for a while; see it retry and catch up")]
    Demo(DemoOptions),
    /// Write a configuration file with comments, by a few questions or by flags
    Init(InitOptions),
    /// Work on the Pushgateways
    #[command(subcommand)]
    Pushgateway(Pushgateway),
    /// Look at the queue before remote write, and work on it, also while `run` has it
    #[command(subcommand)]
    Queue(Queue),
    /// Print the completions for a shell
    #[command(after_help = "Examples:
  source <(fleetpush completions bash)
  fleetpush completions bash > /etc/bash_completion.d/fleetpush
  fleetpush completions zsh > /usr/local/share/zsh/site-functions/_fleetpush
  fleetpush completions fish > ~/.config/fish/completions/fleetpush.fish")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page: every command, flag, variable and exit code
    #[command(after_help = "Examples:
  fleetpush man | man -l -
  fleetpush man > /usr/local/share/man/man1/fleetpush.1")]
    Man,
}

impl Command {
    /// Whether the command asks the balena API.
    pub fn needs_token(&self) -> bool {
        match self {
            Command::Once(options) => options.from.is_none(),
            Command::Run | Command::Check | Command::Fleets => true,
            _ => false,
        }
    }
}

/// What `once` delivers instead of what it would collect.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct OnceOptions {
    /// Deliver this page (text 0.0.4, or OpenMetrics with its `# EOF`) and collect nothing; `-` is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub from: Option<PathBuf>,
    /// The label `job` of the page's series that have none [default: the file's name without its end]
    #[arg(long, value_name = "NAME", requires = "from")]
    pub job: Option<String>,
    /// The label `instance` of the page's series that have none [default: the configured instance]
    #[arg(long, value_name = "NAME", requires = "from")]
    pub instance: Option<String>,
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

/// What `init` is to write; what is missing is asked for on a terminal.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "Examples:
  fleetpush init
  fleetpush init --target grafana-cloud --username 123456 \\
      --url https://prometheus-prod-01-eu-west-0.grafana.net/api/prom/push
  fleetpush init --target pushgateway --url http://pushgateway:9091 --instance site-7
  fleetpush init --target page --output -

A secret never stands in the file: it names the files that hold them, and says how to make them.")]
pub struct InitOptions {
    /// Where the counts go
    #[arg(long, value_name = "TARGET")]
    pub target: Option<Target>,
    /// The receiver's URL; without a path the product's usual one is added
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub url: Option<String>,
    /// The user name at the receiver; at Grafana Cloud the instance's number
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,
    /// The file that holds the receiver's token or password: with --username as its password, without as a
    /// bearer token
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub token_file: Option<PathBuf>,
    /// The tenant at Mimir or Thanos
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// Certificates (PEM) of a private authority that the receiver's is signed by
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<PathBuf>,
    /// The file that holds the balena API key
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub balena_token_file: Option<PathBuf>,
    /// An openBalena server's API
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub balena_url: Option<String>,
    /// How often the fleets are counted
    #[arg(long, value_name = "DURATION")]
    pub interval: Option<String>,
    /// The label `instance` of what is pushed, such as the site's name
    #[arg(long, value_name = "NAME")]
    pub instance: Option<String>,
    /// The folder of the queue before remote write, or `memory`
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::FilePath)]
    pub queue_dir: Option<PathBuf>,
    /// The file to write; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "fleetpush.yml", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// Write over a file that is there
    #[arg(long)]
    pub force: bool,
}

/// Where the counts go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// Grafana Cloud, by remote write
    GrafanaCloud,
    /// A Prometheus of your own, by remote write
    Prometheus,
    /// Grafana Mimir, by remote write
    Mimir,
    /// Thanos Receive, by remote write
    Thanos,
    /// VictoriaMetrics, by remote write
    Victoriametrics,
    /// A Pushgateway
    Pushgateway,
    /// The page alone, which a Prometheus scrapes
    Page,
}

/// A shell with completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

fn duration(text: &str) -> Result<Duration, String> {
    crate::config::parse_duration(text).map_err(|error| error.to_string())
}
