//! The store against a plain model: whatever is asked in whatever order, both say the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::disk::{Disk, Survives};
use crate::queue::keeper::Keeper;
use crate::queue::place::Place;
use crate::queue::{Done, Entry, Position, Record, Scope, Start, Turn};

#[derive(Clone, Debug)]
enum Step {
    /// Perhaps with other terms for an endpoint after so many of the records.
    Append {
        source: u8,
        scope: Scope,
        sizes: Vec<u16>,
        turn: Option<(u8, usize)>,
    },
    Acknowledge {
        endpoint: u8,
        samples: usize,
    },
    Register(u8),
    Remove(u8),
    Skip(u8),
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let sizes = prop::collection::vec(1_u16..12_000, 0..4);
    let scope = prop_oneof![Just(Scope::Whole), Just(Scope::Part), Just(Scope::None)];
    let turn = prop::option::weighted(0.3, (0_u8..3, 0_usize..5));
    let step = prop_oneof![
        4 => (0_u8..2, scope, sizes, turn)
            .prop_map(|(source, scope, sizes, turn)| Step::Append { source, scope, sizes, turn }),
        6 => (0_u8..3, 1_usize..6).prop_map(|(endpoint, samples)| Step::Acknowledge { endpoint, samples }),
        1 => (0_u8..3).prop_map(Step::Register),
        1 => (0_u8..3).prop_map(Step::Remove),
        1 => (0_u8..3).prop_map(Step::Skip),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..60)
}

/// Everything that was ever appended, and where each endpoint stands.
#[derive(Default)]
struct Model {
    records: Vec<Record>,
    cursors: BTreeMap<String, Position>,
    /// The oldest record that the bounds have left.
    oldest: u64,
    /// Every turn that was ever taken, by the endpoint and the first record that it is for.
    terms: BTreeMap<(String, u64), Arc<[u8]>>,
}

impl Model {
    fn terms(&self, endpoint: &str, record: u64) -> Option<&Arc<[u8]>> {
        let of = |record| (endpoint.to_owned(), record);
        self.terms.range(of(0)..=of(record)).next_back().map(|(_, terms)| terms)
    }
}

fn name(endpoint: u8) -> String {
    format!("endpoint-{endpoint}")
}

fn open(disk: &Disk, size: u64) -> Keeper {
    let disk = disk.clone();
    let place = Place::Test(Box::new(move || Ok(Box::new(disk.clone()))));
    Keeper::open(place, size, Duration::from_secs(3600)).unwrap()
}

fn agree(keeper: &mut Keeper, model: &Model) {
    keeper
        .with(|store| {
            let index = store.index();
            let names: Vec<_> = index.endpoints().cloned().collect();
            assert_eq!(names, model.cursors.keys().cloned().collect::<Vec<_>>());
            for (endpoint, at) in &model.cursors {
                assert_eq!(index.cursor(endpoint), Some(*at), "{endpoint}");
                let rest = &model.records[usize::try_from(at.record).unwrap()..];
                let samples = rest.iter().map(|record| record.samples).sum::<usize>() - at.sample;
                assert_eq!(index.waiting(endpoint).samples, samples as u64, "{endpoint}");
                assert_eq!(index.waiting(endpoint).records, rest.len(), "{endpoint}");
                for (number, expected) in (at.record..).zip(rest) {
                    assert_eq!(store.record(number)?.as_ref(), Some(expected));
                    assert_eq!(index.terms(endpoint, number).as_ref(), model.terms(endpoint, number));
                }
                let last = index.last_terms().remove(endpoint);
                assert_eq!(last.as_ref(), model.terms(endpoint, u64::MAX), "{endpoint}");
            }
            Ok(())
        })
        .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_asked_the_store_and_a_plain_model_say_the_same(
        steps in steps(),
        small in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let disk = Disk::default();
        let size = if small { 100_000 } else { 16 << 20 };
        let mut keeper = open(&disk, size);
        let mut model = Model::default();
        let mut dice = seed | 1;
        for step in steps {
            match step {
                Step::Append { source, scope, sizes, turn } => {
                    let first = model.records.len();
                    let records: Vec<Record> = (first..).zip(sizes).map(|(number, size)| Record {
                        own: vec![u8::try_from(number % 251).unwrap(); usize::from(size)].into(),
                        shared: super::shared(u64::from(size)),
                        samples: usize::from(size % 5 + 1),
                        at_ms: i64::try_from(number).unwrap(),
                    }).collect();
                    model.records.extend(records.clone());
                    let turns: Vec<Turn> = turn.into_iter().map(|(endpoint, after)| Turn {
                        endpoint: name(endpoint),
                        after: after.min(records.len()),
                        terms: format!("{endpoint} from {} and {after}", first).into_bytes().into(),
                    }).collect();
                    for Turn { endpoint, after, terms } in &turns {
                        model.terms.insert((endpoint.clone(), (first + after) as u64), terms.clone());
                    }
                    let entry = Entry { source: source.to_string(), scope, records };
                    let mut lost = BTreeMap::new();
                    let appended = keeper.append_turning(entry, turns);
                    prop_assert_eq!(appended.trouble, None);
                    for dropped in appended.dropped {
                        *lost.entry(dropped.endpoint).or_insert(0) += dropped.samples;
                    }
                    // The bounds may move cursors: forwards, and by what they say.
                    for (endpoint, at) in &mut model.cursors {
                        let now = keeper.with(|store| Ok(store.index().cursor(endpoint))).unwrap().unwrap();
                        prop_assert!(now >= *at);
                        let between = usize::try_from(at.record).unwrap()..usize::try_from(now.record).unwrap();
                        let samples: usize = model.records[between].iter().map(|r| r.samples).sum();
                        let samples = if now == *at { 0 } else { samples - at.sample };
                        prop_assert_eq!(lost.remove(endpoint).unwrap_or(0), samples);
                        prop_assert!(small || now == *at, "a bound was met far below it");
                        *at = now;
                        model.oldest = model.oldest.max(now.record);
                    }
                    prop_assert!(lost.is_empty());
                }
                Step::Acknowledge { endpoint, samples } => {
                    let endpoint = name(endpoint);
                    let Some(at) = model.cursors.get(&endpoint).copied() else { continue };
                    let Some(record) = model.records.get(usize::try_from(at.record).unwrap()) else { continue };
                    let samples = samples.min(record.samples - at.sample);
                    let to = Position { sample: at.sample + samples, ..at };
                    let done = Done { to, ..Done::default() };
                    keeper.with(|store| store.acknowledge(&endpoint, at, &done)).unwrap();
                    let next = if at.sample + samples == record.samples {
                        Position { record: at.record + 1, sample: 0 }
                    } else {
                        Position { sample: at.sample + samples, ..at }
                    };
                    model.cursors.insert(endpoint.clone(), next);
                    // An answer that comes a second time moves nothing.
                    keeper.with(|store| store.acknowledge(&endpoint, at, &done)).unwrap();
                }
                Step::Register(endpoint) => {
                    keeper.register(&name(endpoint), Start::Now).unwrap();
                    let end = Position { record: model.records.len() as u64, sample: 0 };
                    model.cursors.entry(name(endpoint)).or_insert(end);
                }
                Step::Remove(endpoint) => {
                    keeper.remove(&name(endpoint)).unwrap();
                    model.terms.retain(|(whose, _), _| *whose != name(endpoint));
                    model.cursors.remove(&name(endpoint));
                }
                Step::Skip(endpoint) => {
                    let endpoint = name(endpoint);
                    let Some(at) = model.cursors.get_mut(&endpoint) else { continue };
                    let rest = &model.records[usize::try_from(at.record).unwrap()..];
                    let samples = rest.iter().map(|record| record.samples).sum::<usize>() - at.sample;
                    let discarded = keeper.with(|store| store.skip(&endpoint)).unwrap();
                    prop_assert_eq!(discarded.waiting, samples as u64);
                    *at = Position { record: model.records.len() as u64, sample: 0 };
                }
                Step::Crash => {
                    // Nothing is under way, so all of it was synced.
                    std::mem::forget(keeper);
                    disk.lose_power(|| {
                        dice ^= dice << 13;
                        dice ^= dice >> 7;
                        dice ^= dice << 17;
                        [Survives::Not, Survives::Half, Survives::Whole][usize::try_from(dice % 3).unwrap()]
                    });
                    keeper = open(&disk, size);
                }
            }
            agree(&mut keeper, &model);
        }
    }
}
