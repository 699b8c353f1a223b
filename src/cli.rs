//! Commands and flags. In go arguments and the environment, once; out comes an exit code. The only room
//! besides the demo that writes to a terminal. The environment is not read through clap, whose `--help`
//! would print the values of secrets.

mod args;
mod commands;
mod completions;
mod demo;
mod init;
mod man;
mod progress;
mod queue;
mod say;

use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::app;
use crate::config::{self, Config, LogFormat, LogLevel};
use crate::telemetry::logs;
use args::{Args, Command};
use say::{Look, answer, fail};

/// How the process ends (the README's table).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was delivered, or the stop was asked for, however long its grace was.
    Delivered = 0,
    /// `run` without a token, or a failure at run time.
    Failed = 1,
    /// Usage or configuration.
    Usage = 2,
    /// Collecting failed.
    Collect = 3,
    /// A sink failed, the deadline passed, or it was interrupted: `once` by a signal, `run` by a second one,
    /// which cuts off what is in flight.
    Sink = 4,
    /// The queue is locked or cannot be used.
    Queue = 5,
}

impl Exit {
    /// All of them, by their codes.
    pub const ALL: [Exit; 6] =
        [Exit::Delivered, Exit::Failed, Exit::Usage, Exit::Collect, Exit::Sink, Exit::Queue];

    /// What it says, for help, manual page and README.
    pub const fn meaning(self) -> &'static str {
        match self {
            Exit::Delivered => {
                "delivered, or stopped as asked, also where the grace passed with a request in flight"
            }
            Exit::Failed => "`run` without a token (as the reference exporter), or a failure at run time",
            Exit::Usage => {
                "usage or configuration; in every other command also a missing token; `once` without a sink; a port in use"
            }
            Exit::Collect => "collecting failed, or in `check` a target of `scrape_configs`",
            Exit::Sink => {
                "a sink failed, the deadline passed, or it was interrupted (`run` by a second signal); with a queue on \
                 the disk nothing is lost"
            }
            Exit::Queue => {
                "the queue is in use by another process, or cannot be used; `queue verify` found damage"
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// The environment as it was at the start.
pub(crate) type Environment = BTreeMap<String, String>;

/// The whole program.
pub fn main() -> ExitCode {
    let args = Args::typed();
    let environment = match environment() {
        Ok(environment) => environment,
        Err(error) => return fail(Exit::Usage, error).into(),
    };
    // One thread for every task: nothing here computes for long, disk and large pages have threads of their own, and
    // an allocator's arena for each further one would keep what a cycle of many fleets has used.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(Exit::Failed, format_args!("the runtime does not start: {error}")).into(),
    };
    let exit = runtime.block_on(dispatch(args, environment));
    // A request that outlives the grace must not hold the process.
    runtime.shutdown_background();
    exit.into()
}

/// The environment, without what is no text and none of ours.
fn environment() -> Result<Environment, String> {
    let mut all = Environment::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => {
                all.insert(name, value);
            }
            Err(_) if config::is_variable(&name) => {
                return Err(format!("{name}: is not UTF-8 text; set it anew, or remove it"));
            }
            Err(_) => {}
        }
    }
    Ok(all)
}

async fn dispatch(args: Args, environment: Environment) -> Exit {
    let look = Look::of(args.settings.color, &environment);
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    // What asks for no configuration is not kept from its work by a bad one.
    match &args.command {
        Some(Command::Demo(options)) => return demo::demo(options, &args.settings, &environment).await,
        Some(Command::Init(options)) => return init::init(options, look),
        Some(Command::Completions { shell }) => return completions::print(*shell),
        Some(Command::Man) => return man::print(),
        _ => {}
    }
    let settings = args.settings.overrides();
    let load = move || config::load(&environment, &settings, &host);
    let config = match load() {
        Ok(config) => config,
        Err(error) => return fail(Exit::Usage, chain(error)),
    };
    start_log(&config);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if let Err(error) = app::try_guard(&config) {
        return fail(Exit::Usage, chain(error));
    }
    if args.settings.config_check {
        return answer("the configuration is good", Exit::Delivered);
    }
    let command = args.command.unwrap_or(Command::Run);
    if lacks_token(&config, &command) {
        let exit = if matches!(command, Command::Run) { Exit::Failed } else { Exit::Usage };
        return fail(exit, config::missing_token_message());
    }
    if config.accounts.is_empty() && command.needs_token() {
        tracing::info!("no balena account is set: only the targets of scrape_configs are asked");
    }
    match command {
        Command::Run => {
            let mut reread = move || load().map_err(chain).and_then(with_token);
            commands::run(config, &mut reread).await
        }
        Command::Once(options) => commands::once(config, &options, look).await,
        Command::Check => commands::check(&config, look).await,
        Command::Fleets => commands::fleets(&config, look).await,
        Command::Healthcheck => commands::healthcheck(&config).await,
        Command::Pushgateway(args::Pushgateway::Delete) => commands::delete(&config).await,
        Command::Queue(what) => queue::queue(&config, what, look).await,
        // Dispatched above.
        Command::Demo(_) | Command::Init(_) | Command::Completions { .. } | Command::Man => Exit::Usage,
    }
}

/// Whether the command cannot do its work without a token. Who only relays needs none.
fn lacks_token(config: &Config, command: &Command) -> bool {
    let only_account = matches!(command, Command::Fleets);
    config.accounts.is_empty() && command.needs_token() && (config.token_missing || only_account)
}

fn with_token(config: Config) -> Result<Config, String> {
    if config.token_missing { Err(config::missing_token_message().to_string()) } else { Ok(config) }
}

/// An error with all its causes.
fn chain(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

fn start_log(config: &Config) {
    let level = match config.log.level {
        LogLevel::Trace => tracing::Level::TRACE,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Error => tracing::Level::ERROR,
    };
    let form = match config.log.format {
        LogFormat::Logfmt => logs::Form::Logfmt,
        LogFormat::Json => logs::Form::Json,
    };
    logs::start(level, form, || say::LogWriter);
}
