//! What is shown and pushed at this moment: the latest batch of each source.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::sample::{Batch, Latest, Role, Scope};

/// `new` as it is shown: a batch about the state alone leaves the fleets' last counts standing. Its scope
/// still says that these counts are not its own.
pub(super) fn shown(old: Option<&Batch>, new: &Batch) -> Batch {
    let (Scope::StateOnly, Some(old)) = (new.scope(), old) else { return new.clone() };
    let fleets = old.families().iter().filter(|family| family.role == Role::Fleet);
    let families = fleets.chain(new.families()).cloned().collect();
    // Fleet and state families never share a name, so this cannot be refused.
    Batch::new(new.source().clone(), new.at(), new.scope(), families).unwrap_or_else(|_| new.clone())
}

/// `latest` with one source's batch replaced.
pub(super) fn replace(latest: &Latest, batch: Batch) -> Latest {
    let mut all = BTreeMap::clone(latest);
    all.insert(batch.source().clone(), Arc::new(batch));
    Arc::new(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Family, Kind, Labels, MetricName, Millis, Series, Source, Value};

    fn family(name: &str, role: Role, value: f64) -> Family {
        Family {
            name: MetricName::new(name).unwrap(),
            kind: Kind::Gauge,
            help: "x".into(),
            role,
            series: vec![Series { labels: Labels::default(), value: Value::from(value), own: None }],
            of: None,
            unit: "".into(),
        }
    }

    fn batch(scope: Scope, families: Vec<Family>) -> Batch {
        Batch::new(Source::Account("a".into()), Millis(1), scope, families).unwrap()
    }

    #[test]
    fn a_failed_collect_leaves_the_last_counts_and_replaces_the_state() {
        let good = batch(
            Scope::Whole,
            vec![family("balena_devices", Role::Fleet, 3.0), family("balena_up", Role::State, 1.0)],
        );
        let failed = batch(Scope::StateOnly, vec![family("balena_up", Role::State, 0.0)]);
        let shown = shown(Some(&good), &failed);
        assert_eq!(shown.scope(), Scope::StateOnly);
        let values: Vec<_> =
            shown.families().iter().map(|f| (f.name.as_str(), f.series[0].value.get())).collect();
        assert_eq!(values, [("balena_devices", 3.0), ("balena_up", 0.0)]);
    }

    #[test]
    fn a_withdrawal_leaves_the_state_alone() {
        let good = batch(Scope::Whole, vec![family("balena_devices", Role::Fleet, 3.0)]);
        let withdrawn = batch(Scope::Whole, vec![family("balena_up", Role::State, 0.0)]);
        assert_eq!(shown(Some(&good), &withdrawn), withdrawn);
    }
}
