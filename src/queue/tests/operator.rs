//! What an operator asks of the store: drop, retry, verify, a look; each outlives a restart.

use std::fs;

use super::disk::Disk;
use super::{AGE, SIZE, acknowledge, entry, keeper, record, waiting};
use crate::queue::error::StoreError;
use crate::queue::store::Store;
use crate::queue::{Aside, Discarded, Done, OpenError, Position, Queue, Refused, Start, verify};

/// Acknowledges an endpoint's oldest record as refused.
fn refuse(store: &mut Store, endpoint: &str) -> Result<(), StoreError> {
    let position = store.index().cursor(endpoint).unwrap();
    let record = store.record(position.record).unwrap().unwrap();
    let refused = Refused { endpoint: endpoint.into(), position, samples: 10, record };
    let to = Position { sample: position.sample + 10, ..position };
    store.acknowledge(endpoint, position, &Done { to, refused: Some(refused), state: None })
}

#[test]
fn what_is_dropped_is_gone_for_this_endpoint_alone() {
    let disk = Disk::default();
    let mut keeper = keeper(&disk);
    keeper.register("b", Start::Now).unwrap();
    for number in 0..4 {
        keeper.append(entry(number));
    }
    keeper.with(|store| refuse(store, "a")).unwrap();
    let discarded = keeper.with(|store| store.skip("a")).unwrap();
    assert_eq!(discarded, Discarded { waiting: 30, refused: 10 });
    keeper.append(entry(4));
    drop(keeper);
    let mut keeper = self::keeper(&disk);
    assert_eq!(keeper.with(|store| Ok(waiting(store, "a"))).unwrap(), [record(4)]);
    assert_eq!(keeper.with(|store| Ok(waiting(store, "b").len())).unwrap(), 5);
    assert_eq!(keeper.remove("b").unwrap(), Discarded { waiting: 50, refused: 0 });
    let (records, _) = keeper.with(|store| Ok(store.index().needed())).unwrap();
    assert_eq!(records, 1, "what only b needed is freed");
}

#[test]
fn a_new_endpoint_begins_where_it_wants() {
    let disk = Disk::default();
    let mut keeper = keeper(&disk);
    for number in 0..3 {
        keeper.append(entry(number));
    }
    acknowledge(&mut keeper).unwrap();
    keeper.register("oldest", Start::Oldest).unwrap();
    keeper.register("now", Start::Now).unwrap();
    // One that is known keeps its place.
    keeper.register("now", Start::Oldest).unwrap();
    let of = |keeper: &mut super::Keeper, name: &str| keeper.with(|store| Ok(waiting(store, name))).unwrap();
    assert_eq!(of(&mut keeper, "oldest"), [record(1), record(2)]);
    assert_eq!(of(&mut keeper, "now"), []);
}

#[test]
fn what_was_refused_is_sent_again_piece_by_piece_across_a_restart() {
    let disk = Disk::default();
    let mut keeper = keeper(&disk);
    for number in 0..2 {
        keeper.append(entry(number));
        keeper.with(|store| refuse(store, "a")).unwrap();
    }
    assert_eq!(keeper.with(|store| store.next_again("a")).unwrap(), None);
    let aside = keeper.with(|store| store.retry("a")).unwrap();
    assert_eq!(aside, Aside { records: 2, samples: 20, again: 20 });
    drop(keeper);
    let mut keeper = self::keeper(&disk);
    let again = keeper.with(|store| store.next_again("a")).unwrap().unwrap();
    assert_eq!((&again.refused.record, again.refused.samples), (&record(0), 10));
    let from = again.refused.position;
    let some = Done { to: Position { sample: 4, ..from }, ..Done::default() };
    keeper.with(|store| store.settle(again.shelf, from, &some)).unwrap();
    // An answer that comes a second time moves nothing.
    keeper.with(|store| store.settle(again.shelf, from, &some)).unwrap();
    let rest = keeper.with(|store| store.next_again("a")).unwrap().unwrap();
    assert_eq!((rest.refused.position, rest.refused.samples), (Position { record: 0, sample: 4 }, 6));
    let to = Position { sample: 10, ..from };
    let once_more = Done { to, refused: Some(rest.refused.clone()), state: None };
    keeper.with(|store| store.settle(rest.shelf, rest.refused.position, &once_more)).unwrap();
    let next = keeper.with(|store| store.next_again("a")).unwrap().unwrap();
    assert_eq!(next.refused.record, record(1));
    let to = Position { sample: 10, ..next.refused.position };
    let whole = Done { to, ..Done::default() };
    keeper.with(|store| store.settle(next.shelf, next.refused.position, &whole)).unwrap();
    let left = keeper.with(|store| Ok(store.aside()["a"])).unwrap();
    assert_eq!(left, Aside { records: 1, samples: 6, again: 0 }, "what is refused twice waits for a wish");
    assert_eq!(
        keeper.with(|store| Ok(waiting(store, "a").len())).unwrap(),
        0,
        "the queue itself is untouched"
    );
}

#[test]
fn counters_are_kept_until_the_next_start() {
    let disk = Disk::default();
    let mut keeper = keeper(&disk);
    assert_eq!(keeper.with(|store| store.counters()).unwrap(), None);
    keeper.with(|store| store.keep_counters(b"17")).unwrap();
    drop(keeper);
    let mut keeper = self::keeper(&disk);
    assert_eq!(keeper.with(|store| store.counters()).unwrap().as_deref(), Some(&b"17"[..]));
}

#[test]
fn a_verification_counts_what_is_whole_and_what_is_not() {
    let disk = Disk::default();
    let mut keeper = keeper(&disk);
    for number in 0..3 {
        keeper.append(entry(number));
    }
    keeper.with(|store| refuse(store, "a")).unwrap();
    let found = keeper
        .with(|store| {
            let numbers: Vec<u64> = store.index().numbers().collect();
            let shelved: Vec<u64> = store.shelved().collect();
            let records = verify::records(store, &numbers, |record| record.at_ms != 1_000)?;
            Ok(records.and(verify::shelved(store, &shelved, |_| true)?))
        })
        .unwrap();
    assert_eq!((found.records, found.samples, found.refused, found.damaged), (1, 10, 1, 1));
}

#[test]
fn a_look_makes_nothing_and_mends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let look = || Queue::inspect(folder.path().to_owned(), SIZE, AGE);
    assert!(look().unwrap().is_none());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let held = Queue::open(folder.path().to_owned(), SIZE, AGE).unwrap().held_by("pid 1 on a host");
    let locked = look().unwrap_err().to_string();
    assert!(locked.contains("is in use by pid 1 on a host: stop that one"), "{locked}");
    drop(held);
    assert!(look().unwrap().is_some());
    let garbage = "garbage".repeat(10_000);
    fs::write(folder.path().join("queue.redb"), &garbage).unwrap();
    let error = look().unwrap_err();
    assert!(matches!(error, OpenError::Damaged { readable: None, .. }), "{error:?}");
    assert_eq!(fs::read_to_string(folder.path().join("queue.redb")).unwrap(), garbage);
}
