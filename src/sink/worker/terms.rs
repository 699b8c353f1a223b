//! The terms under which records are sent: the labels of the configuration that was in force when they were made,
//! which may be another one than now. The queue keeps them as bytes.

use std::sync::Arc;

use tracing::warn;

use super::Worker;
use super::lane::Lane;
use crate::config::Endpoint;
use crate::encode::record::Flat;
use crate::encode::{Labelling, Outgoing, Unsent};
use crate::sample::Labels;

/// So many series are told once only.
const MOST_NAMED: usize = 1_000;
/// So many of them in one line.
const MOST_SHOWN: usize = 10;

/// How series leave for an endpoint.
pub fn labelling(endpoint: &Endpoint, external: &Labels) -> Labelling {
    Labelling::By { external: external.clone(), rules: endpoint.write_relabel.clone() }
}

/// What is in force.
#[derive(Debug)]
pub(super) struct Terms {
    /// As it is configured now.
    configured: Labelling,
    /// None: as it is configured now.
    bytes: Option<Arc<[u8]>>,
    lane: Lane,
}

impl Terms {
    pub(super) fn new(configured: Labelling) -> Terms {
        Terms { configured, bytes: None, lane: Lane::Queue }
    }
}

impl Worker {
    /// Turns to the terms of the record that is next.
    pub(super) fn turn_to(&mut self, terms: Option<Arc<[u8]>>) {
        let is_queue = |lane: Lane| lane == Lane::Queue;
        if self.terms.bytes == terms && is_queue(self.terms.lane) == is_queue(self.lane) {
            return;
        }
        let known = terms.as_deref().filter(|bytes| !bytes.is_empty()).map(Labelling::from_bytes);
        let labelling = match known {
            Some(Some(labelling)) => labelling,
            Some(None) => {
                warn!(
                    sink = &*self.sink.name,
                    "the queue's note on older labels cannot be read, so what waits is sent with the present ones"
                );
                self.terms.configured.clone()
            }
            None => self.terms.configured.clone(),
        };
        (self.terms.bytes, self.terms.lane) = (terms, self.lane);
        // A new one: what series have become equal to before counts for nothing, least of all among those that
        // were set aside long ago.
        self.encoder = super::encoder(self.endpoint.exemplars, labelling);
    }

    /// Whether a record is sent under the terms that are in force.
    pub(super) fn is_in_force(&self, terms: &Option<Arc<[u8]>>) -> bool {
        self.terms.bytes == *terms
    }

    /// A record as it leaves; the error says what is wrong with it.
    pub(super) fn outgoing(&mut self, record: Flat) -> Result<Outgoing, String> {
        self.encoder.outgoing(Arc::new(record)).map_err(|error| error.to_string())
    }

    /// Counts what no rule drops and yet does not leave, and names each of these series once.
    pub(super) fn held(&mut self, outgoing: &Outgoing, range: &std::ops::Range<usize>) {
        let held = outgoing.held(range);
        for why in [Unsent::Equal, Unsent::Nameless] {
            let these = held.iter().filter(|one| one.why == why);
            let samples = these.clone().count();
            if samples == 0 {
                continue;
            }
            let new: Vec<&str> =
                these.map(|one| &*one.series).filter(|series| !self.named.contains(*series)).collect();
            let (reason, what) = match why {
                Unsent::Equal => {
                    ("equal_series", "other series have the same labels after write_relabel_configs")
                }
                Unsent::Nameless => ("no_name", "series have no name after write_relabel_configs"),
            };
            let more = new.len().saturating_sub(MOST_SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let shown = new.iter().take(MOST_SHOWN).copied().collect::<Vec<_>>().join(", ");
            let named = (!new.is_empty()).then(|| format!("{what}: {shown}{more}"));
            self.telemetry.held(&self.sink, samples, reason, named.as_deref());
            let room = MOST_NAMED.saturating_sub(self.named.len());
            self.named.extend(new.into_iter().take(room).map(str::to_owned));
        }
    }
}
