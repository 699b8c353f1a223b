//! What goes on, on a terminal, while a command works: a line with what is done now, and a bar while `once`
//! sends what waits. It comes only where that takes a while, and goes without a trace; where nobody watches
//! nothing is shown.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::say::Look;
use crate::telemetry::SinkKind;
use crate::telemetry::status::Status;

/// What takes less needs no progress.
const PATIENCE: Duration = Duration::from_secs(1);
const REDRAW: Duration = Duration::from_millis(100);
const BAR: &str = "{bar:30} {pos}/{len} samples sent, {elapsed}";
const LINE: &str = "{spinner} {msg}, {elapsed}";

/// What is on the terminal now, so that a line of the log does not run into it.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Writes to standard error while nothing is drawn there.
pub(super) fn aside<T>(write: impl FnOnce() -> T) -> T {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match shown {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// What is shown, while there is something to show.
pub(super) struct Progress(Option<JoinHandle<()>>);

impl Progress {
    /// Says what is done now: the last text that was sent.
    pub(super) fn of_work(look: Look, doing: watch::Receiver<String>) -> Self {
        Progress(look.drawing.then(|| tokio::spawn(work(doing))))
    }

    /// Says that `once` collects, and then how far it has sent what waits.
    pub(super) fn of_once(look: Look, status: watch::Receiver<Status>) -> Self {
        Progress(look.drawing.then(|| tokio::spawn(once(status))))
    }

    /// Takes it away.
    pub(super) async fn end(self) {
        if let Some(task) = self.0 {
            task.abort();
            // What it has drawn is cleared when it is dropped; that it was cut off is what was wanted.
            task.await.unwrap_or_default();
        }
    }
}

/// Something that is drawn; it is cleared however it ends.
struct Drawing {
    bar: ProgressBar,
    template: &'static str,
}

impl Drawing {
    fn new(template: &'static str, began: Instant) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let bar = bar.with_elapsed(began.elapsed());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
        Drawing { bar, template }
    }

    /// The drawing of this kind, in place of another.
    fn of<'a>(now: &'a mut Option<Drawing>, template: &'static str, began: Instant) -> &'a ProgressBar {
        if now.as_ref().is_none_or(|drawing| drawing.template != template) {
            // The old one is cleared before the new one is drawn.
            drop(now.take());
        }
        &now.get_or_insert_with(|| Drawing::new(template, began)).bar
    }
}

impl Drop for Drawing {
    fn drop(&mut self) {
        *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.bar.finish_and_clear();
    }
}

async fn work(mut doing: watch::Receiver<String>) {
    let began = Instant::now();
    let mut drawing = None;
    loop {
        // Time goes on also where nothing changes; an error says that nothing will any more.
        if matches!(timeout(REDRAW, doing.changed()).await, Ok(Err(_))) {
            return;
        }
        if began.elapsed() >= PATIENCE {
            let bar = Drawing::of(&mut drawing, LINE, began);
            bar.set_message(doing.borrow_and_update().clone());
            bar.tick();
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

async fn once(mut status: watch::Receiver<Status>) {
    let began = Instant::now();
    let (mut sending, mut drawing) = (Sending::default(), None);
    loop {
        if matches!(timeout(REDRAW, status.changed()).await, Ok(Err(_))) {
            return;
        }
        let (collected, waiting) = {
            let seen = status.borrow_and_update();
            let remote = seen.sinks.values().filter(|sink| sink.kind == SinkKind::RemoteWrite);
            (seen.is_ready(), remote.map(|sink| sink.waiting_samples).sum())
        };
        match sending.seen(waiting, Instant::now()) {
            Some((all, sent)) if collected => {
                let bar = Drawing::of(&mut drawing, BAR, sending.began.unwrap_or(began));
                bar.set_length(all);
                bar.set_position(sent);
                bar.tick();
            }
            _ if began.elapsed() >= PATIENCE => {
                let line = Drawing::of(&mut drawing, LINE, began);
                line.set_message(if collected { "delivering" } else { "counting the fleets" });
                line.tick();
            }
            _ => {}
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
