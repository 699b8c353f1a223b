//! The process' signals: SIGTERM and SIGINT stop (twice: at once), SIGHUP reloads.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tracing::info;

use super::Control;

/// Lets the process' signals act on `control` from here on.
///
/// # Errors
/// Where the system gives no handler.
pub fn signals(control: &Control) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (stop, abort, reload) = (control.stop.clone(), control.abort.clone(), control.reload_sender.clone());
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {
                    let (answer, _) = oneshot::channel();
                    // A reload that is already asked for reads what there is now.
                    reload.try_send(answer).ok();
                    continue;
                }
            }
            if stop.is_cancelled() {
                abort.cancel();
                return;
            }
            info!("stopping: finishing what is in flight; a second signal ends at once");
            stop.cancel();
        }
    });
    Ok(())
}
