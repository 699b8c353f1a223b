//! The store against faults: a disk that fails, loses power, flips bits; and against a plain model.

mod disk;
mod model;
mod operator;
mod terms;

use std::fs;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::keeper::Keeper;
use super::place::Place;
use super::store::Store;
use super::{Appended, Done, Entry, Position, QueueError, Record, Scope, Shared, Start};
use disk::{Disk, Fault, Survives};

const SIZE: u64 = 64 << 20;
const AGE: Duration = Duration::from_secs(8 * 86_400);

fn record(number: u64) -> Record {
    // Long enough for pages of its own, and different from every other one.
    let text = format!("record {number} ").repeat(400);
    let own = text.as_bytes().into();
    Record { own, shared: shared(number), samples: 10, at_ms: i64::try_from(number).unwrap() * 1000 }
}

/// What every third record has for itself; the others share one of two texts.
fn shared(number: u64) -> Option<Shared> {
    static TEXTS: LazyLock<[Arc<[u8]>; 2]> =
        LazyLock::new(|| ["a part ", "another "].map(|text| text.repeat(300).as_bytes().into()));
    let which = usize::try_from(number % 3).ok()?.checked_sub(1)?;
    Some(Shared { at: 5, bytes: TEXTS[which].clone() })
}

fn entry(number: u64) -> Entry {
    Entry { source: "balena".into(), scope: Scope::Whole, records: vec![record(number)] }
}

fn keeper(disk: &Disk) -> Keeper {
    let disk = disk.clone();
    let place = Place::Test(Box::new(move || Ok(Box::new(disk.clone()))));
    let mut keeper = Keeper::open(place, SIZE, AGE).unwrap();
    keeper.register("a", Start::Now).unwrap();
    keeper
}

/// Which records wait for an endpoint, in order, each intact.
fn waiting(store: &Store, endpoint: &str) -> Vec<Record> {
    let from = store.index().cursor(endpoint).unwrap().record;
    (from..store.index().end()).map(|number| store.record(number).unwrap().expect("it is intact")).collect()
}

fn acknowledge(keeper: &mut Keeper) -> Result<(), QueueError> {
    keeper.with(|store| {
        let at = store.index().cursor("a").unwrap();
        let to = Position { sample: at.sample + 10, ..at };
        store.acknowledge("a", at, &Done { to, ..Done::default() })
    })
}

/// The keeper as soon as it answers again.
fn again<T>(mut what: impl FnMut() -> Result<T, QueueError>) -> T {
    for _ in 0..5_000 {
        match what() {
            Ok(done) => return done,
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    panic!("the store does not open again");
}

#[test]
fn an_entry_and_an_acknowledgement_cost_one_durable_commit_each() {
    let disk = Disk::default();
    let mut keeper = keeper(&disk);
    for number in 0..20 {
        let before = disk.syncs();
        assert_eq!(keeper.append(entry(number)), Appended::default());
        let grown = disk.syncs() - before;
        // A file that grows is synced once more, before its new length is relied upon.
        assert!((1..=2).contains(&grown), "{grown} syncs");
    }
    for _ in 0..20 {
        let before = disk.syncs();
        acknowledge(&mut keeper).unwrap();
        assert_eq!(disk.syncs() - before, 1);
    }
}

#[test]
fn after_every_kind_of_error_everything_is_there_again_and_in_order() {
    let faults = [
        Fault::Write(ErrorKind::StorageFull),
        Fault::Write(ErrorKind::ReadOnlyFilesystem),
        Fault::ShortWrite,
        Fault::Gone,
    ];
    let quiet = Disk::default();
    let mut all = keeper(&quiet);
    let begin = quiet.operations();
    for number in 0..4 {
        all.append(entry(number));
    }
    let end = quiet.operations();
    for fault in faults {
        for operation in begin + 1..=end {
            let disk = Disk::default();
            let mut keeper = keeper(&disk);
            disk.break_at(operation, fault);
            let troubled = (0..4).filter(|number| keeper.append(entry(*number)).trouble.is_some()).count();
            assert!(troubled > 0, "{fault:?} at {operation} was not met");
            disk.heal();
            let found = again(|| keeper.with(|store| Ok(waiting(store, "a"))));
            assert_eq!(found, (0..4).map(record).collect::<Vec<_>>(), "{fault:?} at {operation}");
        }
    }
}

#[test]
fn a_store_that_opens_but_takes_nothing_is_not_open_again() {
    let disk = Disk::default();
    let mut keeper = keeper(&disk);
    disk.break_at(0, Fault::Full);
    let mut number = 0;
    let mut append = |keeper: &mut Keeper| {
        number += 1;
        keeper.append(entry(number - 1)).trouble
    };
    while append(&mut keeper).is_none() {}
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(2));
        assert!(append(&mut keeper).is_some(), "there is no room");
    }
    assert_eq!(keeper.take_notes(), Vec::<String>::new());
    disk.heal();
    while append(&mut keeper).is_some() {
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(keeper.take_notes(), ["store is open again"]);
    let found = keeper.with(|store| Ok(waiting(store, "a"))).unwrap();
    assert_eq!(found, (0..number).map(record).collect::<Vec<_>>());
}

#[test]
fn an_acknowledgement_that_failed_moved_nothing_and_can_be_made_again() {
    let disk = Disk::default();
    let mut keeper = keeper(&disk);
    keeper.append(entry(0));
    keeper.append(entry(1));
    disk.break_at(disk.operations() + 1, Fault::Write(ErrorKind::Other));
    assert!(acknowledge(&mut keeper).is_err());
    disk.heal();
    let found = again(|| keeper.with(|store| Ok(waiting(store, "a"))));
    assert_eq!(found.len(), 2);
    acknowledge(&mut keeper).unwrap();
    assert_eq!(keeper.with(|store| Ok(waiting(store, "a"))).unwrap(), [record(1)]);
}

#[test]
fn what_does_not_fit_into_memory_while_the_disk_is_gone_is_counted() {
    let disk = Disk::default();
    let mut keeper = keeper(&disk);
    disk.break_at(0, Fault::Gone);
    let large = |number: i64| Entry {
        source: "balena".into(),
        scope: Scope::Whole,
        records: vec![Record::new(vec![7; 20 << 20].into(), 5, number)],
    };
    let dropped: Vec<_> = (0..5).flat_map(|number| keeper.append(large(number)).dropped).collect();
    assert_eq!(dropped.iter().map(|lost| lost.samples).sum::<usize>(), 10, "{dropped:?}");
}

#[test]
fn a_power_loss_at_any_point_loses_nothing_that_was_committed() {
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let mut roll = move || {
        // xorshift: the same faults in every run.
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice
    };
    for round in 0..60 {
        let disk = Disk::default();
        let mut keeper = keeper(&disk);
        // In every round the power goes at another operation: writes after it reach nobody.
        disk.break_at(disk.operations() + 1 + round * 3, Fault::Gone);
        let (mut committed, mut acknowledged) = (0, 0);
        for number in 0..12 {
            if keeper.append(entry(number)).trouble.is_some() {
                break;
            }
            committed += 1;
            if number % 3 == 2 && acknowledge(&mut keeper).is_ok() {
                acknowledged += 1;
            }
        }
        drop(keeper);
        disk.heal();
        disk.lose_power(|| match roll() % 3 {
            0 => Survives::Not,
            1 => Survives::Half,
            _ => Survives::Whole,
        });
        let mut keeper = self::keeper(&disk);
        let found = keeper.with(|store| Ok(waiting(store, "a"))).unwrap();
        let numbers: Vec<i64> = found.iter().map(|record| record.at_ms / 1000).collect();
        let whole: Vec<i64> = (acknowledged..committed).collect();
        // One more of each may have reached the disk without our having heard of it.
        let possible =
            [whole.clone(), (acknowledged..committed + 1).collect(), (acknowledged + 1..committed).collect()];
        assert!(possible.contains(&numbers), "round {round}: {numbers:?}, committed {whole:?}");
    }
}

#[test]
fn flipped_bits_never_bring_it_down_and_never_make_a_record_of_what_is_none() {
    let original = tempfile::tempdir().unwrap();
    let place = |folder: &std::path::Path| Place::Folder(folder.to_owned());
    let mut keeper = Keeper::open(place(original.path()), SIZE, AGE).unwrap();
    keeper.register("a", Start::Now).unwrap();
    for number in 0..20 {
        keeper.append(entry(number));
    }
    drop(keeper);
    let bytes = fs::read(original.path().join("queue.redb")).unwrap();
    let (mut intact, mut saved, mut aside) = (0, 0, 0);
    for step in 0..60 {
        let folder = tempfile::tempdir().unwrap();
        let mut damaged = bytes.clone();
        let at = step * (bytes.len() / 60) + step % 97;
        damaged[at] ^= 1 << (step % 8);
        fs::write(folder.path().join("queue.redb"), &damaged).unwrap();
        let opened = catch_unwind(AssertUnwindSafe(|| Keeper::open(place(folder.path()), SIZE, AGE)));
        let mut keeper = opened.expect("it does not panic").expect("it opens");
        keeper.register("a", Start::Now).unwrap();
        let found: Vec<Option<Record>> = keeper
            .with(|store| {
                let from = store.index().cursor("a").unwrap().record;
                (from..store.index().end()).map(|number| store.record(number)).collect()
            })
            .unwrap();
        let whole: Vec<_> = (0..20).map(record).map(Some).collect();
        let notes = keeper.take_notes();
        if notes.is_empty() {
            assert_eq!(found, whole, "flipped at {at}");
            intact += 1;
        } else {
            assert!(folder.path().join("queue.redb.damaged").exists(), "{notes:?}");
            let lost = found.iter().zip(&whole).filter(|(found, whole)| found != whole).count();
            assert!(found.iter().zip(&whole).all(|(found, whole)| found.is_none() || found == whole));
            if found.len() == 20 && lost <= 1 { saved += 1 } else { aside += 1 }
        }
        assert_eq!(keeper.append(entry(20)), Appended::default());
    }
    // A flip in a tree's own pages may cost more than one record; most of the file is records.
    assert!(intact > 0 && saved > 2 * aside, "{intact} intact, {saved} saved, {aside} lost more");
}

#[test]
fn two_damaged_stores_are_kept_and_garbage_is_one() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let garbage = format!("garbage {round}").repeat(10_000);
        fs::write(folder.path().join("queue.redb"), &garbage).unwrap();
        let mut keeper = Keeper::open(Place::Folder(folder.path().to_owned()), SIZE, AGE).unwrap();
        assert_eq!(keeper.take_notes().len(), 1);
        let kept = fs::read_to_string(folder.path().join("queue.redb.damaged")).unwrap();
        assert_eq!(kept, garbage);
    }
    assert!(folder.path().join("queue.redb.damaged.old").exists());
}

#[test]
fn a_store_that_another_one_has_open_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Keeper::open(Place::Folder(folder.path().to_owned()), SIZE, AGE);
    let mut first = open().unwrap();
    first.register("a", Start::Now).unwrap();
    first.append(entry(0));
    assert!(open().unwrap_err().is_locked());
    first.append(entry(1));
    assert_eq!(first.with(|store| Ok(waiting(store, "a"))).unwrap().len(), 2);
    drop(first);
    open().unwrap();
}

#[test]
fn the_file_stays_below_its_bound_however_long_an_outage_lasts() {
    let folder = tempfile::tempdir().unwrap();
    let size = 2 << 20;
    let mut keeper = Keeper::open(Place::Folder(folder.path().to_owned()), size, AGE).unwrap();
    keeper.register("a", Start::Now).unwrap();
    let mut dropped = 0;
    for number in 0..600 {
        let appended = keeper.append(entry(number));
        assert_eq!(appended.trouble, None);
        dropped += appended.dropped.iter().map(|lost| lost.samples).sum::<usize>();
    }
    let bytes = keeper.view(super::View::default()).bytes;
    assert!(bytes <= size, "{bytes} bytes on the disk");
    assert!(bytes >= size / 2, "{bytes} bytes: the room is not used");
    let found = keeper.with(|store| Ok(waiting(store, "a"))).unwrap();
    assert_eq!(found.len() * 10 + dropped, 6_000);
    assert_eq!(found.last(), Some(&record(599)));
}

#[test]
fn what_a_source_last_said_outlives_its_delivery_and_goes_with_the_next() {
    let disk = Disk::default();
    let mut keeper = keeper(&disk);
    let part = |number: u64| Entry { scope: Scope::Part, ..entry(number) };
    let said = |keeper: &mut Keeper| {
        keeper
            .with(|store| {
                let kept = store.index().kept()["balena"].clone();
                kept.numbers().map(|number| store.record(number)).collect::<Result<Vec<_>, _>>()
            })
            .unwrap()
            .into_iter()
            .map(|record| record.map(|record| record.at_ms / 1000))
            .collect::<Vec<_>>()
    };
    keeper.append(entry(0));
    keeper.append(part(1));
    keeper.append(part(2));
    for _ in 0..3 {
        acknowledge(&mut keeper).unwrap();
    }
    assert_eq!(said(&mut keeper), [Some(0), Some(2)]);
    drop(keeper);
    let mut keeper = self::keeper(&disk);
    assert_eq!(said(&mut keeper), [Some(0), Some(2)]);
    keeper.append(entry(3));
    acknowledge(&mut keeper).unwrap();
    assert_eq!(said(&mut keeper), [Some(3)]);
    let held = keeper.with(|store| Ok((0..4).filter(|n| store.index().head(*n).is_some()).count()));
    assert_eq!(held.unwrap(), 1);
    assert_eq!(Position::default(), Position { record: 0, sample: 0 });
}
