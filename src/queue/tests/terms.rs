//! Terms: found again with the records that were made under them, for as long as anybody may send one of these.

use super::{Disk, Done, Keeper, Position, entry, keeper, record};
use crate::queue::{Refused, Turn};

fn turn(endpoint: &str, after: usize, terms: &str) -> Turn {
    Turn { endpoint: endpoint.into(), after, terms: terms.as_bytes().into() }
}

/// The terms of what comes next.
fn next(keeper: &mut Keeper) -> Option<String> {
    let peeked = keeper.look(|store| store.peek("a", 1)).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    peeked.first().and_then(|peeked| peeked.terms.as_deref().map(text))
}

fn acknowledge(keeper: &mut Keeper, refused: bool) {
    keeper
        .with(|store| {
            let from = store.index().cursor("a").unwrap();
            let to = Position { sample: 10, ..from };
            let refused = refused.then(|| Refused {
                endpoint: "a".into(),
                position: from,
                samples: 10,
                record: record(from.record),
            });
            store.acknowledge("a", from, &Done { to, refused, state: None })
        })
        .unwrap();
}

#[test]
fn records_are_found_with_the_terms_that_were_in_force_also_after_a_crash() {
    let disk = Disk::default();
    let mut all = keeper(&disk);
    all.append(entry(0));
    all.append_turning(entry(1), vec![turn("a", 0, "one"), turn("b", 0, "of others")]);
    all.append_turning(entry(2), vec![turn("a", 1, "two")]);
    all.append(entry(3));
    std::mem::forget(all);
    disk.lose_power(|| super::Survives::Not);
    let mut all = keeper(&disk);
    let mut found = Vec::new();
    for _ in 0..4 {
        found.push(next(&mut all));
        acknowledge(&mut all, false);
    }
    assert_eq!(found, [None, Some("one".into()), Some("one".into()), Some("two".into())]);
    let last = all.look(|store| Ok(store.index().last_terms())).unwrap();
    assert_eq!((&*last["a"], &*last["b"]), (&b"two"[..], &b"of others"[..]));
}

#[test]
fn terms_go_once_no_record_is_left_that_was_made_under_them() {
    let disk = Disk::default();
    let mut all = keeper(&disk);
    for number in 0..4 {
        all.append_turning(entry(number), vec![turn("a", 0, &format!("{number}"))]);
    }
    let rows = |keeper: &mut Keeper| {
        let terms = |number: u64| keeper.look(|store| Ok(store.index().terms("a", number))).unwrap();
        (0..4).map(terms).filter(Option::is_some).count()
    };
    let mut left = vec![rows(&mut all)];
    for number in 0..4 {
        // What was refused may be sent again, under the terms that it was made under.
        acknowledge(&mut all, number == 1);
        left.push(rows(&mut all));
    }
    assert_eq!(left, [4, 3, 3, 3, 3]);
    all.with(|store| store.retry("a")).unwrap();
    let again = all.look(|store| store.next_again("a")).unwrap().unwrap();
    assert_eq!(again.terms.as_deref(), Some(&b"1"[..]));
    let from = again.refused.position;
    let done = Done { to: Position { sample: 10, ..from }, ..Done::default() };
    all.with(|store| store.settle(again.shelf, from, &done)).unwrap();
    all.append(entry(4));
    acknowledge(&mut all, false);
    assert_eq!(rows(&mut all), 1);
}

#[test]
fn a_store_that_is_closed_takes_the_turn_with_its_entry_when_it_opens() {
    let disk = Disk::default();
    let mut all = keeper(&disk);
    all.append(entry(0));
    disk.break_at(disk.operations() + 1, super::Fault::Gone);
    assert!(all.append_turning(entry(1), vec![turn("a", 0, "one")]).trouble.is_some());
    assert!(all.append(entry(2)).trouble.is_some());
    disk.heal();
    super::again(|| all.with(|_| Ok(())));
    let mut found = Vec::new();
    for _ in 0..3 {
        found.push(next(&mut all));
        acknowledge(&mut all, false);
    }
    assert_eq!(found, [None, Some("one".into()), Some("one".into())]);
}
