//! Sets up the log: logfmt or JSON, a line for each write.

use std::io::Write;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// A log's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `key=value` lines.
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Starts logging for the whole process, to what `writer` gives; a second call changes nothing.
///
/// Other crates log from `warn` on: at `trace` an HTTP client writes out headers, secrets among them.
pub fn start<W: Write + 'static>(level: Level, form: Form, writer: fn() -> W) {
    let filter = Targets::new().with_default(Level::WARN.min(level)).with_target("fleetpush", level);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match form {
        Form::Logfmt => {
            let layer = tracing_logfmt::builder().with_target(false).layer().with_writer(writer);
            registry.with(layer).try_init()
        }
        Form::Json => registry
            .with(tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(writer))
            .try_init(),
    };
    if started.is_err() {
        tracing::debug!("the log was started before");
    }
}
