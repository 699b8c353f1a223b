//! A configuration that labels what leaves otherwise than the one before: from here on records leave under the new
//! labels, those that wait under the old ones. Series of which the labels vanish with it are ended under the
//! old ones, for each endpoint by itself.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Display;
use std::sync::Arc;

use super::door;
use super::shared::{Shared, lock};
use crate::config::Config;
use crate::encode::Labelling;
use crate::encode::record::{self, Identity};
use crate::queue::{Entry, Queue, Record, Scope, Turn};
use crate::sample::{Batch, Ended, METRIC_NAME, Millis, Source, Text};
use crate::sink::worker;

type Bytes = Arc<[u8]>;

impl Shared {
    /// Lets the endpoints' records leave as `config` says, from here on.
    pub(super) async fn turn(&self, config: &Config, queue: &Queue) {
        // Where a store does not answer nothing is known, which costs stale markers.
        let known = queue.terms().await.unwrap_or_default();
        let labelled = config.endpoints.iter().map(|endpoint| {
            (endpoint.name.to_string(), worker::labelling(endpoint, &config.external_labels))
        });
        let changed: BTreeMap<String, Labelling> = labelled
            .filter(|(name, new)| known.get(name).is_none_or(|old| **old != *new.to_bytes()))
            .collect();
        if changed.is_empty() {
            return;
        }
        let now = self.clock.now();
        let (at, alive) = lock(&self.door).alive(now);
        let (identity, max_samples) = {
            let current = lock(&self.current);
            (current.identity.clone(), current.max_samples)
        };
        let mut ends = Ends { at, alive, identity, max_samples, records: Vec::new(), of: Vec::new() };
        for (name, new) in &changed {
            if let Some(old) = known.get(name).and_then(|old| Labelling::from_bytes(old)) {
                ends.add(name, &old, new);
            }
        }
        let all: BTreeSet<String> =
            queue.view().endpoints.into_keys().chain(changed.keys().cloned()).collect();
        let turns = ends.turns(&all, &known, &changed);
        let entry = Entry { source: String::new(), scope: Scope::None, records: ends.records };
        let appended = queue.append_turning(entry, turns).await;
        self.telemetry.queue_trouble(appended.trouble.as_ref().map(|trouble| trouble as &dyn Display));
        for lost in appended.dropped {
            let sink = config.endpoints.iter().find(|endpoint| *endpoint.name == *lost.endpoint);
            if let Some(sink) = sink.map(worker::sink_name) {
                self.telemetry.dropped(&sink, lost.samples, lost.bound.as_str(), &lost.bound);
            }
        }
    }
}

/// The stale markers of one turn, in records for one endpoint after the other.
struct Ends {
    at: Millis,
    alive: Vec<Ended>,
    identity: Identity,
    max_samples: usize,
    records: Vec<Record>,
    /// Whose records they are, and how many come before them.
    of: Vec<(String, usize)>,
}

impl Ends {
    /// Ends what leaves under labels by the old labelling under which nothing leaves by the new one.
    fn add(&mut self, endpoint: &str, old: &Labelling, new: &Labelling) {
        let leaves = |labelling: &Labelling, one: &Ended| {
            let labels = labelling.apply(full(one, &self.identity))?;
            labels.iter().any(|(name, _)| **name == *METRIC_NAME).then_some(labels)
        };
        let stay: HashSet<_> = self.alive.iter().filter_map(|one| leaves(new, one)).collect();
        let vanish = |one: &&Ended| leaves(old, one).is_some_and(|labels| !stay.contains(&labels));
        let vanish: Vec<Ended> = self.alive.iter().filter(vanish).cloned().collect();
        if vanish.is_empty() {
            return;
        }
        let nothing = Batch::nothing(Source::Own, self.at);
        let records = record::cut(&nothing, &vanish, &self.identity, self.max_samples);
        self.of.push((endpoint.to_owned(), self.records.len()));
        self.records.extend(records.into_iter().map(door::kept));
    }

    /// Which terms each endpoint has from where on: its own markers leave under the old ones, others' not at all.
    fn turns(
        &self,
        all: &BTreeSet<String>,
        known: &BTreeMap<String, Bytes>,
        changed: &BTreeMap<String, Labelling>,
    ) -> Vec<Turn> {
        let mut turns = Vec::new();
        for endpoint in all {
            // What is not known is as it will be configured.
            let old = || known.get(endpoint).cloned().unwrap_or_else(|| Arc::new([]));
            let mut turn = |after: usize, terms: Bytes| {
                turns.push(Turn { endpoint: endpoint.clone(), after, terms });
            };
            for (whose, after) in &self.of {
                turn(*after, if whose == endpoint { old() } else { Labelling::Nothing.to_bytes().into() });
            }
            match changed.get(endpoint) {
                Some(new) => turn(self.records.len(), new.to_bytes().into()),
                None if self.of.is_empty() => {}
                None => turn(self.records.len(), old()),
            }
        }
        turns
    }
}

/// A series with its name and every label that its records have.
fn full(one: &Ended, identity: &Identity) -> Vec<(Text, Text)> {
    let labels = one.id.labels.with_missing(&identity.added(one.role));
    let labels = labels.iter().map(|label| (label.name.into(), label.value.into()));
    labels.chain([(METRIC_NAME.into(), one.id.name.text().clone())]).collect()
}
