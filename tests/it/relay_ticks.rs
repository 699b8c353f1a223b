//! The targets of a tick share records, each keeps its own series, and what a receiver would refuse is left out: a
//! cutter against a model of it in plain words, tick after tick.

use std::collections::{BTreeMap, BTreeSet};

use fleetpush::encode::record::{self, Cut, Cutter, Identity, LeftOut, Record};
use fleetpush::sample::{
    Batch, Exemplar, Kind, MetricName, Millis, Own, Role, Series, SeriesId, Source, Value,
};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;
use proptest::{prop_assert, prop_assert_eq};

use crate::relay_batch::{batch, exemplar, family, gone, labels, part, series, target, with};

const AT: i64 = 1_790_000_000_000;

fn identity() -> Identity {
    Identity { job: "balena".into(), instance: "site".into() }
}

type Pairs = BTreeMap<String, String>;

/// An exemplar as its trace, the value's bits and the time.
type Seen = (String, u64, i64);

/// A sample as labels, bits, time, start and exemplars.
type Told = (Pairs, u64, i64, i64, Vec<Seen>);

fn read(records: &[Record]) -> Vec<Told> {
    let mut all = Vec::new();
    for record in records {
        let read = record::decode(record.bytes()).unwrap();
        assert_eq!(read.series.len(), record.samples);
        let text = |at: u32| read.symbols[at as usize].clone();
        for one in &read.series {
            let pairs = one.label_refs.chunks(2).map(|two| (text(two[0]), text(two[1]))).collect();
            let seen = one.exemplars.iter().map(|one| {
                let trace = one.labels.get(1).cloned().unwrap_or_default();
                (trace, one.value_bits, one.timestamp)
            });
            all.push((pairs, one.value_bits, one.timestamp, one.start_timestamp, seen.collect()));
        }
    }
    all
}

/// One target's scrape, from a handful of choices.
#[derive(Clone, Debug)]
enum Scrape {
    Said(Vec<One>),
    Gone,
    /// At another interval, or not asked.
    Absent,
}

/// A series: which, whether it carries another target's labels, and its own.
#[derive(Clone, Debug)]
struct One {
    number: usize,
    honoured: Option<&'static str>,
    value: u64,
    at: Option<i64>,
    start: Option<i64>,
    exemplars: Vec<(&'static str, Option<i64>)>,
}

const INSTANCES: [&str; 3] = ["a", "b", "c"];

fn one() -> impl Strategy<Value = One> {
    let honoured = prop_oneof![6 => Just(None), 1 => select(&["a", "b", "elsewhere"][..]).prop_map(Some)];
    let at = prop_oneof![
        5 => Just(None),
        3 => (0_i64..12).prop_map(|late| Some(AT + 1000 * late)),
        1 => Just(Some(AT + 400_000)),
        1 => any::<i64>().prop_map(Some),
    ];
    let start = prop_oneof![3 => Just(None), 1 => Just(Some(AT - 9)), 1 => Just(Some(i64::MAX))];
    let traces = (select(&["x", "y"][..]), prop_oneof![Just(None), Just(Some(AT - 7))]);
    let value = prop_oneof![Just(0), Just(1.0_f64.to_bits()), any::<u64>()];
    (0..4_usize, honoured, value, at, start, vec(traces, 0..2)).prop_map(
        |(number, honoured, value, at, start, exemplars)| One {
            number,
            honoured,
            value,
            at,
            start,
            exemplars,
        },
    )
}

/// Mostly plain scrapes, so that the same series come again.
fn scrape() -> impl Strategy<Value = Scrape> {
    let plain =
        |number| One { number, honoured: None, value: 5, at: None, start: None, exemplars: Vec::new() };
    prop_oneof![
        4 => Just(Scrape::Said([0, 1, 2].map(plain).into())),
        2 => Just(Scrape::Said([0, 2].map(plain).into())),
        // As a page does that tells its times and exemplars: the same series, others each time.
        3 => (vec(one(), 3)).prop_map(|all| {
            let same = |(number, one): (usize, One)| One { number, honoured: None, ..one };
            Scrape::Said(all.into_iter().enumerate().map(same).collect())
        }),
        3 => vec(one(), 0..5).prop_map(Scrape::Said),
        1 => Just(Scrape::Gone),
        1 => Just(Scrape::Absent),
    ]
}

impl Scrape {
    fn batch(&self, source: &Source, at: i64) -> Option<Batch> {
        let all = match self {
            Scrape::Said(all) => all,
            Scrape::Gone => return Some(gone(source, at)),
            Scrape::Absent => return None,
        };
        let mut seen = BTreeSet::new();
        let Source::Target { instance, .. } = source else { panic!("{source} is no target") };
        let all = all.iter().filter(|one| seen.insert((one.number, one.honoured.unwrap_or(instance))));
        let mut families =
            [part("requests", "_total", Kind::Counter, Vec::new()), family("größe", Kind::Gauge, Vec::new())];
        for one in all {
            let place = one.number.to_string();
            let mut pairs = vec![("x", &*place)];
            pairs.extend(one.honoured.map(|instance| ("instance", instance)));
            let plain = Series { value: Value::from_bits(one.value), ..series(&pairs, 0.0) };
            let exemplars =
                one.exemplars.iter().map(|(trace, at)| exemplar(&[("trace_id", trace)], 2.5, *at));
            let own =
                Own { at: one.at.map(Millis), start: one.start.map(Millis), exemplars: exemplars.collect() };
            let says_nothing = own == Own::default();
            families[one.number % 2].series.push(if says_nothing { plain } else { with(plain, own) });
        }
        Some(batch(source, at, families.into()))
    }
}

/// What a source has said, and when each series that tells its own time has last told it.
#[derive(Default)]
struct Model {
    said: BTreeMap<SeriesId, Series>,
    at: i64,
    times: BTreeMap<SeriesId, i64>,
}

fn all_of(batch: &Batch) -> Vec<(SeriesId, Kind, Series)> {
    let all = batch.families().iter().flat_map(|family| {
        let id = |one: &Series| SeriesId { name: family.name.clone(), labels: one.labels.clone() };
        family.series.iter().map(move |one| (id(one), family.kind, one.clone()))
    });
    all.collect()
}

fn pairs(id: &SeriesId) -> Pairs {
    let name = ("__name__".to_owned(), id.name.to_string());
    let labels = id.labels.iter().map(|label| (label.name.to_string(), label.value.to_string()));
    labels.chain([name]).collect()
}

fn own_time(series: &Series) -> Option<i64> {
    series.own.as_ref().and_then(|own| own.at).map(|at| at.0)
}

/// What a tick must say, and what it must leave out.
fn expected(models: &mut BTreeMap<Source, Model>, at: i64, batches: &[&Batch]) -> (Vec<Told>, LeftOut) {
    let (mut told, mut left, mut ended) = (Vec::new(), LeftOut::default(), Vec::new());
    let mut said_now: BTreeSet<SeriesId> = BTreeSet::new();
    for batch in batches {
        let model = models.entry(batch.source().clone()).or_default();
        let all = all_of(batch);
        let now: BTreeSet<&SeriesId> = all.iter().map(|(id, ..)| id).collect();
        for (id, old) in &model.said {
            if !now.contains(id) && own_time(old).is_none() {
                ended.push(id.clone());
            }
        }
        for (id, kind, series) in &all {
            let own = own_time(series);
            let time = own.unwrap_or(at);
            let without = model.said.get(id).filter(|old| own_time(old).is_none()).map(|_| model.at);
            let last = model.times.get(id).copied().or(without.filter(|_| own.is_some()));
            if time > at + 300_000 {
                left.future += 1;
                continue;
            }
            if time.checked_sub(at).is_none() || last.is_some_and(|last| time < last) {
                left.older += 1;
                continue;
            }
            if last == Some(time) {
                left.repeated += 1;
                continue;
            }
            match own {
                Some(time) => drop(model.times.insert(id.clone(), time)),
                None => drop(model.times.remove(id)),
            }
            if !said_now.insert(id.clone()) {
                left.twice += 1;
                continue;
            }
            let own = series.own.as_deref().cloned().unwrap_or_default();
            let old: Vec<Exemplar> = match model.said.get(id).and_then(|old| old.own.as_deref()) {
                Some(old) => old.exemplars.clone(),
                None => Vec::new(),
            };
            let new = own.exemplars.iter().filter(|one| !old.contains(one));
            let new = new.filter(|one| one.at.is_none_or(|own| own.0.checked_sub(time).is_some()));
            let seen = new.map(|one| {
                let trace = one.labels.get("trace_id").map(ToString::to_string).unwrap_or_default();
                (trace, one.value.bits(), one.at.map_or(time, |at| at.0))
            });
            let start = own.start.map_or(0, |start| start.0);
            let start = if *kind == Kind::Counter && (1..time).contains(&start) { start } else { 0 };
            told.push((pairs(id), series.value.bits(), time, start, seen.collect()));
        }
        if all.is_empty() {
            models.remove(batch.source());
        } else {
            model.said = all.into_iter().map(|(id, _, series)| (id, series)).collect();
            model.at = at;
        }
    }
    let ended: BTreeSet<SeriesId> = ended.into_iter().filter(|id| !said_now.contains(id)).collect();
    told.extend(ended.iter().map(|id| (pairs(id), Value::STALE.bits(), at, 0, Vec::new())));
    (told, left)
}

proptest! {
    #[test]
    fn the_targets_of_a_tick_share_records_and_each_keeps_its_own_series(
        ticks in vec(proptest::array::uniform3(scrape()), 1..10),
        max_samples in prop_oneof![Just(4_usize), 1_usize..12],
    ) {
        let sources = INSTANCES.map(|instance| target("node", instance));
        let (mut cutter, mut slow, mut models) = (Cutter::default(), Cutter::default(), BTreeMap::new());
        for (number, tick) in (0..).zip(&ticks) {
            let at = AT + 1000 * number;
            let batches: Vec<Batch> =
                tick.iter().zip(&sources).filter_map(|(scrape, source)| scrape.batch(source, at)).collect();
            let mut batches: Vec<&Batch> = batches.iter().collect();
            let (told, left) = expected(&mut models, at, &batches);
            batches.reverse();
            let cut = cutter.cut_all(Millis(at), &batches, &identity(), max_samples);
            slow.forget_layouts();
            prop_assert_eq!(&slow.cut_all(Millis(at), &batches, &identity(), max_samples), &cut);
            let mut read = read(&cut.records);
            prop_assert_eq!(cut.records.len(), read.len().div_ceil(max_samples));
            prop_assert!(cut.records.iter().all(|record| record.at_ms == at));
            read.sort();
            let mut told = told;
            told.sort();
            prop_assert_eq!(read, told, "tick {}", number);
            let left_of = |left: &LeftOut| (left.repeated, left.older, left.future, left.twice);
            prop_assert_eq!(left_of(&cut.left_out), left_of(&left));
            let named = left.older + left.future + left.twice > 0;
            prop_assert_eq!(cut.left_out.example.is_some(), named);
            prop_assert!(cut.left_out.example.is_none_or(|example| example.contains("x=")));
        }
    }
}

fn plain(source: &Source, at: i64, count: usize) -> Batch {
    let one = |number: usize| series(&[("x", &number.to_string())], number as f64);
    batch(source, at, vec![family("load", Kind::Gauge, (0..count).map(one).collect())])
}

#[test]
fn a_hundred_targets_of_fifty_series_make_three_records_also_when_one_of_them_changes() {
    let sources: Vec<Source> = (0..100).map(|number| target("node", &number.to_string())).collect();
    let mut cutter = Cutter::default();
    for (tick, counts) in
        (0..).zip([[50; 100], [50; 100], std::array::from_fn(|at| if at == 7 { 49 } else { 50 })])
    {
        let at = AT + 1000 * tick;
        let batches: Vec<Batch> =
            sources.iter().zip(counts).map(|(source, count)| plain(source, at, count)).collect();
        let batches: Vec<&Batch> = batches.iter().collect();
        let Cut { records, left_out } = cutter.cut_all(Millis(at), &batches, &identity(), 2_000);
        // What is no longer said has its stale marker.
        assert_eq!(records.iter().map(|record| record.samples).collect::<Vec<_>>(), [2_000, 2_000, 1_000]);
        assert_eq!(left_out, LeftOut::default());
        let stale = read(&records).into_iter().filter(|(_, bits, ..)| *bits == Value::STALE.bits()).count();
        assert_eq!(stale, usize::from(tick == 2));
    }
}

#[test]
fn after_a_restart_what_no_target_says_any_more_ends_but_what_told_its_own_time() {
    let id = |number: &str, instance: &str| SeriesId {
        name: MetricName::new("load").unwrap(),
        labels: labels(&[("x", number), ("job", "node"), ("instance", instance)]),
    };
    let told = [
        (id("0", "a"), Role::Relayed, None),
        (id("7", "a"), Role::Relayed, None),
        (id("0", "b"), Role::Relayed, Some(Millis(AT - 5))),
        (id("8", "b"), Role::Relayed, Some(Millis(AT - 5))),
        (id("0", "gone"), Role::Relayed, None),
    ];
    let mut cutter = Cutter::of_told(told);
    let at = |time: i64| Own { at: Some(Millis(time)), ..Own::default() };
    let again = |time: i64| with(series(&[("x", "0")], 0.0), at(time));
    let (one, other) = (target("node", "a"), target("node", "b"));
    let batches =
        [plain(&one, AT, 1), batch(&other, AT, vec![family("load", Kind::Gauge, vec![again(AT - 5)])])];
    let Cut { records, left_out } = cutter.cut_all(Millis(AT), &batches.each_ref(), &identity(), 2_000);
    let said = read(&records).into_iter().map(|(labels, bits, ..)| {
        (labels["x"].clone(), labels["instance"].clone(), bits == Value::STALE.bits())
    });
    let expected = [("0", "a", false), ("7", "a", true), ("0", "gone", true)];
    let expected = expected.map(|(x, instance, stale)| (x.to_owned(), instance.to_owned(), stale));
    let mut said: Vec<_> = said.collect();
    said.sort_by_key(|(x, instance, _)| (instance.clone(), x.clone()));
    assert_eq!(said, expected);
    assert_eq!(left_out.repeated, 1, "it was told before the restart");
}

#[test]
fn families_of_two_targets_with_one_name_and_other_words_are_told_apart() {
    let mut cutter = Cutter::default();
    let said = |instance: &str, kind| {
        batch(&target("node", instance), AT, vec![family("load", kind, vec![series(&[], 1.0)])])
    };
    let batches = [said("a", Kind::Gauge), said("b", Kind::Counter), said("c", Kind::Gauge)];
    let cut = cutter.cut_all(Millis(AT), &batches.each_ref(), &identity(), 2_000);
    let read = record::decode(cut.records[0].bytes()).unwrap();
    let kinds: Vec<u32> = read.series.iter().map(|one| read.families[one.family as usize].kind).collect();
    assert_eq!((kinds, read.families.len()), (vec![2, 1, 2], 2));
}

#[test]
fn a_stale_marker_of_a_scrape_that_failed_still_tells_the_type() {
    let mut cutter = Cutter::default();
    let source = target("node", "a");
    let bucket = part("h", "_bucket", Kind::Histogram, vec![series(&[("le", "+Inf")], 1.0)]);
    cutter.cut(&batch(&source, AT, vec![bucket]), &identity(), 10);
    let up = batch(&source, AT + 1, vec![family("up", Kind::Gauge, vec![series(&[], 0.0)])]);
    let records = cutter.cut(&up, &identity(), 10);
    let read = record::decode(records[0].bytes()).unwrap();
    let family = &read.families[read.series[1].family as usize];
    let text = |at: u32| read.symbols[at as usize].as_str();
    assert_eq!((read.series[1].value_bits, family.kind), (Value::STALE.bits(), Kind::Histogram as u32));
    assert_eq!((text(family.name_ref), text(family.help_ref)), ("h", "What h means"));
}
