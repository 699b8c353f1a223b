//! A bar on a terminal while `once` sends what waits. It comes only where that takes a while, and goes without
//! a trace; where nobody watches nothing is shown.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::telemetry::SinkKind;
use crate::telemetry::status::Status;

/// What takes less needs no bar.
const PATIENCE: Duration = Duration::from_secs(1);
const REDRAW: Duration = Duration::from_millis(100);
const STYLE: &str = "{bar:30} {pos}/{len} samples sent, {elapsed}";

/// The bar, while there is something to show.
pub(super) struct Progress(Option<JoinHandle<()>>);

impl Progress {
    /// Watches what waits, where standard error is a terminal.
    pub(super) fn watch(status: watch::Receiver<Status>) -> Self {
        Progress(stderr().is_terminal().then(|| tokio::spawn(show(status))))
    }

    /// Takes the bar away.
    pub(super) async fn end(self) {
        if let Some(task) = self.0 {
            task.abort();
            // What it has drawn is cleared when it is dropped; that it was cut off is what was wanted.
            task.await.unwrap_or_default();
        }
    }
}

/// How far the sending is.
#[derive(Debug, Default)]
struct Sending {
    began: Option<Instant>,
    all: u64,
}

impl Sending {
    /// Samples to send and samples sent, once that has taken a while.
    fn seen(&mut self, waiting: u64, now: Instant) -> Option<(u64, u64)> {
        if waiting > 0 {
            self.began.get_or_insert(now);
        }
        self.all = self.all.max(waiting);
        let long = self.began.is_some_and(|began| now.duration_since(began) >= PATIENCE);
        long.then_some((self.all, self.all - waiting))
    }
}

/// Clears what it has drawn, however it ends.
struct Bar(ProgressBar);

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

async fn show(mut status: watch::Receiver<Status>) {
    let bar = Bar(ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()));
    if let Ok(style) = ProgressStyle::with_template(STYLE) {
        bar.0.set_style(style);
    }
    let (mut sending, mut shown) = (Sending::default(), false);
    loop {
        // Time goes on also where nothing changes; an error says that nothing will any more.
        if matches!(timeout(REDRAW, status.changed()).await, Ok(Err(_))) {
            return;
        }
        let sinks = status.borrow_and_update();
        let remote = sinks.sinks.values().filter(|sink| sink.kind == SinkKind::RemoteWrite);
        let waiting = remote.map(|sink| sink.waiting_samples).sum();
        drop(sinks);
        if let Some((all, sent)) = sending.seen(waiting, Instant::now()) {
            if !shown {
                bar.0.set_draw_target(ProgressDrawTarget::stderr());
                shown = true;
            }
            bar.0.set_length(all);
            bar.0.set_position(sent);
            bar.0.tick();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_sending_shows_nothing_and_a_long_one_how_far_it_is() {
        let (mut sending, start) = (Sending::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(sending.seen(0, at(0)), None);
        assert_eq!(sending.seen(100, at(5_000)), None, "it begins when something waits");
        assert_eq!(sending.seen(120, at(5_999)), None);
        assert_eq!(sending.seen(90, at(6_000)), Some((120, 30)));
        assert_eq!(sending.seen(0, at(7_000)), Some((120, 120)));
    }
}
