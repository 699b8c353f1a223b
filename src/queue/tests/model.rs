//! The store against a plain model: whatever is asked in whatever order, both say the same.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::disk::{Disk, Survives};
use crate::queue::keeper::Keeper;
use crate::queue::place::Place;
use crate::queue::{Done, Entry, Position, Record, Scope, Start};

#[derive(Clone, Debug)]
enum Step {
    Append { source: u8, whole: bool, sizes: Vec<u16> },
    Acknowledge { endpoint: u8, samples: usize },
    Register(u8),
    Remove(u8),
    Skip(u8),
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let sizes = prop::collection::vec(1_u16..12_000, 0..4);
    let step = prop_oneof![
        4 => (0_u8..2, any::<bool>(), sizes)
            .prop_map(|(source, whole, sizes)| Step::Append { source, whole, sizes }),
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
                }
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
                Step::Append { source, whole, sizes } => {
                    let first = model.records.len();
                    let records: Vec<Record> = (first..).zip(sizes).map(|(number, size)| Record {
                        own: vec![u8::try_from(number % 251).unwrap(); usize::from(size)].into(),
                        shared: super::shared(u64::from(size)),
                        samples: usize::from(size % 5 + 1),
                        oldest_ms: i64::try_from(number).unwrap(),
                    }).collect();
                    model.records.extend(records.clone());
                    let scope = if whole { Scope::Whole } else { Scope::Part };
                    let entry = Entry { source: source.to_string(), scope, records };
                    let mut lost = BTreeMap::new();
                    let appended = keeper.append(entry);
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
