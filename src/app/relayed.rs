//! The targets of one interval: at each tick all of them are asked at once, and what has come within a moment goes
//! on together. Never: how a page is fetched or read.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::line::{Line, Share};
use super::shared::{Shared, lock};
use crate::relay::{Group, Jobs};
use crate::sample::{Batch, Latest, Millis, Source};
use crate::schedule::Ticker;
use crate::schedule::tick::offset_for;

/// A tick waits so long for targets that are slower than the others; what comes later goes on by itself.
const PATIENCE: Duration = Duration::from_secs(1);

/// What runs a group needs beside it.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) shared: Arc<Shared>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
    /// Whose ticks are aligned: see [`offset_for`].
    pub(super) instance: Arc<str>,
    /// Nobody else tells the program's own metrics.
    pub(super) tells_own: bool,
}

impl Running {
    /// Runs each of these groups until the stop.
    pub(super) fn start(&self, groups: Vec<Group>) {
        for (number, group) in groups.into_iter().enumerate() {
            // Of several groups one is enough.
            let tells_own = self.tells_own && number == 0;
            self.tasks.spawn(Running { tells_own, ..self.clone() }.run(group));
        }
    }

    // Boxed, since a group may bring others.
    fn run(self, group: Group) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.ticks(group))
    }

    async fn ticks(self, mut group: Group) {
        let (shared, every) = (&self.shared, group.every());
        let line = Line::relay(every);
        let mut ticker = Ticker::new(shared.clock.clone(), every, offset_for(&self.instance, every));
        let mut tick = Tick::default();
        shared.telemetry.group_registered(every);
        loop {
            let due = tick.due;
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    // What was scraped counts; what is being scraped does not.
                    self.take(&line, &mut tick, &group).await;
                    return;
                }
                () = async { sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {
                    self.take(&line, &mut tick, &group).await;
                }
                now = ticker.tick() => {
                    if now.missed > 0 {
                        shared.telemetry.ticks_missed("relay", now.missed);
                    }
                    self.take(&line, &mut tick, &group).await;
                    let round = group.begin(now.at).await;
                    round.gone.iter().for_each(|source| shared.telemetry.target_ended(source));
                    round.missed.iter().for_each(|source| shared.telemetry.target_missed(source));
                    Running { tells_own: false, ..self.clone() }.start(round.groups);
                    tick = Tick::begun(now.at, tick.is_first.then_some(every));
                    if group.asked() == 0 {
                        self.take(&line, &mut tick, &group).await;
                    }
                }
                Some(batch) = group.next(), if group.asked() > 0 => {
                    tick.came.push(batch);
                    tick.due.get_or_insert_with(|| Instant::now() + PATIENCE);
                    if group.asked() == 0 {
                        self.take(&line, &mut tick, &group).await;
                    }
                }
            }
        }
    }

    /// What has come goes on.
    async fn take(&self, line: &Line, tick: &mut Tick, group: &Group) {
        tick.due = None;
        let Some(at) = tick.at else { return };
        let (came, share) = (std::mem::take(&mut tick.came), tick.share);
        if came.is_empty() && share == Share::Late {
            return;
        }
        self.shared.relayed(line, share, came, &group.sources(), at).await;
        if share == Share::Most {
            if self.tells_own {
                self.shared.take_own(at).await;
            }
            self.shared.telemetry.group_asked(group.every());
        }
        (tick.share, tick.is_first) = (Share::Late, false);
    }
}

/// What has come of one tick.
#[derive(Debug)]
struct Tick {
    at: Option<Millis>,
    came: Vec<Batch>,
    share: Share,
    /// When what has come goes on, whoever is still being waited for.
    due: Option<Instant>,
    /// After a start it is not known yet who has ended meanwhile: everybody is waited for.
    is_first: bool,
}

impl Default for Tick {
    fn default() -> Self {
        Tick { at: None, came: Vec::new(), share: Share::Late, due: None, is_first: true }
    }
}

impl Tick {
    fn begun(at: Millis, first: Option<Duration>) -> Self {
        let due = Some(Instant::now() + first.unwrap_or(PATIENCE));
        Tick { at: Some(at), came: Vec::new(), share: Share::Most, due, is_first: first.is_some() }
    }
}

impl Shared {
    /// What targets said goes out everywhere but to the page. With the most of a tick those end that are no more.
    pub(super) async fn relayed(
        &self,
        line: &Line,
        share: Share,
        mut batches: Vec<Batch>,
        stay: &BTreeSet<Source>,
        at: Millis,
    ) {
        if share == Share::Most {
            batches.extend(lock(&self.door).ends(line, stay, at));
        }
        if batches.is_empty() {
            return;
        }
        self.enqueue_tick(line, share, &batches).await;
        if lock(&self.current).gateways.is_empty() {
            return;
        }
        self.latest.send_modify(|all| {
            let mut new = Latest::unwrap_or_clone(std::mem::take(all));
            for batch in batches {
                match batch.series_count() {
                    0 => new.remove(batch.source()),
                    _ => new.insert(batch.source().clone(), Arc::new(batch)),
                };
            }
            *all = Arc::new(new);
        });
    }

    /// Ends what the new jobs do not ask for any more.
    pub(super) async fn configure_relay(&self, jobs: &Jobs) {
        let now = self.clock.now();
        let by_interval = jobs.by_interval().await;
        let intervals: BTreeSet<Duration> = by_interval.keys().copied().collect();
        let stay: BTreeSet<Source> = by_interval.values().flatten().cloned().collect();
        self.telemetry.targets_are(&stay, &intervals);
        let lines = by_interval.into_iter().map(|(every, sources)| (Line::relay(every), sources)).collect();
        let closing = lock(&self.door).closing(&lines, now);
        for (line, ends, is_over) in closing {
            self.enqueue_tick(&line, Share::Most, &ends).await;
            if is_over {
                self.forget_line(&line).await;
                lock(&self.door).close(&line);
            }
        }
        self.latest.send_if_modified(|all| {
            let is_gone = |source: &Source| matches!(source, Source::Target { .. }) && !stay.contains(source);
            if !all.keys().any(is_gone) {
                return false;
            }
            let mut new = Latest::unwrap_or_clone(std::mem::take(all));
            // Who was shown as gone at the last reload is known to nobody any more.
            new.retain(|source, batch| !is_gone(source) || batch.series_count() > 0);
            for (source, batch) in new.iter_mut().filter(|(source, _)| is_gone(source)) {
                *batch = Arc::new(Batch::nothing(source.clone(), now));
            }
            *all = Arc::new(new);
            true
        });
    }
}
