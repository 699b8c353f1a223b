//! What is pushed for a batch: everything by PUT, which takes away what is gone, or the state alone by POST,
//! which leaves the last counts standing; for a target that is gone a DELETE. Pure.

use reqwest::Method;

use crate::sample::{Batch, Family, Role, Scope, Source};

/// How a group is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// PUT: the group is replaced.
    Replace,
    /// POST: families of the same names are replaced.
    Add,
    /// DELETE: the group goes.
    Delete,
}

impl How {
    pub(super) fn http(self) -> Method {
        match self {
            How::Replace => Method::PUT,
            How::Add => Method::POST,
            How::Delete => Method::DELETE,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            How::Replace => "pushgateway PUT",
            How::Add => "pushgateway POST",
            How::Delete => "pushgateway DELETE",
        }
    }
}

/// Whether a batch says that its target is no more: an account without a series has only failed.
pub(super) fn is_gone(batch: &Batch) -> bool {
    matches!(batch.source(), Source::Target { .. })
        && batch.scope() == Scope::Whole
        && batch.series_count() == 0
}

/// One push.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) method: How,
    pub(super) families: Vec<&'a Family>,
}

impl<'a> Plan<'a> {
    /// What brings a group from what was last delivered (nothing: unknown, perhaps by an earlier process) to
    /// `new`, whose counts are those that may be shown.
    pub(super) fn of(delivered: Option<&Batch>, new: &'a Batch) -> Plan<'a> {
        if is_gone(new) {
            return Plan { method: How::Delete, families: Vec::new() };
        }
        let counts = |batch: &'a Batch| batch.families().iter().filter(|family| family.role == Role::Fleet);
        let same = match delivered {
            Some(old) => old.families().iter().filter(|family| family.role == Role::Fleet).eq(counts(new)),
            None => counts(new).next().is_none(),
        };
        if new.scope() == Scope::StateOnly && same {
            let state = new.families().iter().filter(|family| family.role == Role::State).collect();
            return Plan { method: How::Add, families: state };
        }
        Plan { method: How::Replace, families: new.families().iter().collect() }
    }

    /// How many samples it has.
    pub(super) fn samples(&self) -> usize {
        self.families.iter().map(|family| family.series.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Kind, Labels, MetricName, Millis, Series, Source, Value};

    fn batch(scope: Scope, online: Option<f64>, up: f64) -> Batch {
        let family = |name: &str, role, value: f64| Family {
            name: MetricName::new(name).unwrap(),
            kind: Kind::Gauge,
            help: "x".into(),
            role,
            series: vec![Series { labels: Labels::default(), value: Value::from(value), own: None }],
            of: None,
            unit: "".into(),
        };
        let mut families = vec![family("balena_up", Role::State, up)];
        families.extend(online.map(|n| family("balena_devices_online", Role::Fleet, n)));
        Batch::new(Source::Account("a".into()), Millis(1), scope, families).unwrap()
    }

    fn plan(delivered: Option<&Batch>, new: &Batch) -> (How, usize) {
        let plan = Plan::of(delivered, new);
        (plan.method, plan.families.len())
    }

    #[test]
    fn a_good_cycle_replaces_the_group() {
        let good = batch(Scope::Whole, Some(3.0), 1.0);
        assert_eq!(plan(None, &good), (How::Replace, 2));
        assert_eq!(plan(Some(&good), &good), (How::Replace, 2));
    }

    #[test]
    fn a_failed_cycle_adds_the_state_and_leaves_the_counts() {
        let good = batch(Scope::Whole, Some(3.0), 1.0);
        assert_eq!(plan(Some(&good), &batch(Scope::StateOnly, Some(3.0), 0.0)), (How::Add, 1));
    }

    #[test]
    fn counts_that_never_arrived_go_with_the_state_of_a_failed_cycle() {
        let older = batch(Scope::Whole, Some(2.0), 1.0);
        let failed = batch(Scope::StateOnly, Some(3.0), 0.0);
        assert_eq!(plan(Some(&older), &failed), (How::Replace, 2));
        assert_eq!(plan(None, &failed), (How::Replace, 2));
    }

    #[test]
    fn a_process_that_has_not_counted_yet_leaves_what_an_earlier_one_pushed() {
        assert_eq!(plan(None, &batch(Scope::StateOnly, None, 0.0)), (How::Add, 1));
    }

    #[test]
    fn a_target_is_replaced_as_a_whole_and_deleted_when_it_says_nothing_any_more() {
        let target = Source::Target { job: "node".into(), instance: "a:1".into() };
        let families = batch(Scope::Whole, Some(3.0), 1.0).families().to_vec();
        let said = Batch::new(target.clone(), Millis(1), Scope::Whole, families).unwrap();
        assert_eq!(plan(Some(&said), &said), (How::Replace, 2));
        let gone = Batch::new(target, Millis(1), Scope::Whole, Vec::new()).unwrap();
        assert_eq!(plan(Some(&said), &gone), (How::Delete, 0));
        let account = Batch::new(Source::Own, Millis(1), Scope::Whole, Vec::new()).unwrap();
        assert_eq!(plan(None, &account), (How::Replace, 0));
    }

    #[test]
    fn a_withdrawal_replaces_the_group_by_the_state() {
        let good = batch(Scope::Whole, Some(3.0), 1.0);
        assert_eq!(plan(Some(&good), &batch(Scope::Whole, None, 0.0)), (How::Replace, 1));
    }
}
