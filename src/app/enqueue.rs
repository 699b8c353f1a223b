//! From the door into the queue.

use std::fmt::Display;

use tracing::warn;

use super::door::{Door, Entry};
use super::line::{Line, Share};
use super::shared::{Current, Shared, lock};
use crate::encode::record::LeftOut;
use crate::queue::{self, Queue};
use crate::sample::{Batch, Millis};
use crate::sink::worker;
use crate::telemetry::SinkName;

impl Shared {
    /// Puts a batch into the queue, where there is somebody to take it out.
    pub(super) async fn enqueue(&self, batch: &Batch) {
        self.admit(|door, now, current| door.enter(batch, now, &current.identity, current.max_samples)).await;
    }

    /// Puts what targets said at one tick into the queue, in records that they share.
    pub(super) async fn enqueue_tick(&self, line: &Line, share: Share, batches: &[Batch]) {
        self.admit(|door, now, current| {
            door.enter_tick((line, share), batches, now, &current.identity, current.max_samples)
        })
        .await;
    }

    async fn admit(&self, enter: impl FnOnce(&mut Door, Millis, &Current) -> Entry) {
        let current = lock(&self.current).clone();
        let Some(queue) = self.queue().filter(|_| !current.endpoints.is_empty()) else { return };
        let now = self.clock.now();
        let entry = enter(&mut lock(&self.door), now, &current);
        self.commit(&queue, entry, &current.endpoints).await;
    }

    async fn commit(&self, queue: &Queue, entry: Entry, endpoints: &[SinkName]) {
        match entry {
            Entry::Queued(entry, left_out) => {
                let LeftOut { older, future, twice, example, .. } = &left_out;
                self.telemetry.relay_left_out([*older, *future, *twice], example.as_deref());
                self.append(queue, entry, endpoints).await;
            }
            Entry::ClockSkewed(seconds) => self.telemetry.clock_distrusted(seconds),
            Entry::Distrusted => {}
        }
        for sink in endpoints {
            worker::show_backlog(queue, sink, &self.telemetry);
        }
        for note in queue.take_notes().await {
            warn!("the queue's {note}");
        }
    }

    async fn append(&self, queue: &Queue, entry: queue::Entry, endpoints: &[SinkName]) {
        let source = entry.source.clone();
        let samples = entry.records.iter().map(|record| record.samples).sum();
        let at_ms = entry.records.first().map(|record| record.at_ms);
        self.telemetry.committing(&source, samples, at_ms);
        let appended = queue.append(entry).await;
        if appended.trouble.is_none() {
            self.telemetry.committed(&source, samples, at_ms);
        }
        self.telemetry.queue_trouble(appended.trouble.as_ref().map(|trouble| trouble as &dyn Display));
        for lost in appended.dropped {
            if let Some(sink) = endpoints.iter().find(|sink| *sink.name == *lost.endpoint) {
                self.telemetry.dropped(sink, lost.samples, lost.bound.as_str(), &lost.bound);
            }
        }
    }

    /// What a source that has become silent leaves in the queue's lists is taken out of them.
    pub(super) async fn forget_line(&self, line: &Line) {
        let endpoints = lock(&self.current).endpoints.clone();
        let Some(queue) = self.queue().filter(|_| !endpoints.is_empty()) else { return };
        for share in [Share::Most, Share::Late] {
            let nothing =
                queue::Entry { source: line.key(share), scope: queue::Scope::Whole, records: Vec::new() };
            self.append(&queue, nothing, &endpoints).await;
        }
    }
}
