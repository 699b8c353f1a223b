//! Whatever goes into an encoding comes out of it again, read by the strict readers of [`crate::strict`], and
//! the formats' rules hold for it.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use fleetpush::encode::record::Flat;
use fleetpush::encode::rw1::Metadata;
use fleetpush::encode::{EncodeError, Encoder, Exemplars, family, openmetrics, record, rw1, rw2, text};
use fleetpush::sample::Value;
use fleetpush::sample::{
    Batch, Family, Kind, LabelName, Labels, MetricName, Millis, Role, Scope, Series, Source,
};
use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};

use crate::strict::exposition::{self, Form};
use crate::strict::{Pairs, delimited, queue_record, remote_write};
use world::{Beside, One, Said, World, cases, of_ours, pairs, world};

/// A value that a text can carry: it knows one NaN.
fn in_text(bits: u64) -> u64 {
    if f64::from_bits(bits).is_nan() { f64::NAN.to_bits() } else { bits }
}

/// Labels and bits of a family's living series on a page, batch by batch.
fn on_page(world: &World, position: usize) -> Vec<(Pairs, u64)> {
    let all = world.told.iter().flat_map(|told| &told.series);
    let mine = all.filter(|one| one.family == position && one.bits != Value::STALE.bits());
    mine.map(|one| (pairs(&one.labels), in_text(one.bits))).collect()
}

/// The families that the batches have, with their positions.
fn told(world: &World) -> impl Iterator<Item = (usize, &Said)> {
    world.families.iter().enumerate().filter(|(_, said)| said.is_told)
}

fn by_name(world: &World) -> BTreeMap<&str, (usize, &Said)> {
    told(world).map(|(position, said)| (said.name.as_str(), (position, said))).collect()
}

fn read_back(family: &exposition::Family) -> Vec<(Pairs, u64)> {
    family.samples.iter().map(|one| (one.labels.clone(), in_text(one.value.to_bits()))).collect()
}

fn kind_in_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge | Kind::Info => "gauge",
        Kind::Unknown => "untyped",
        other => panic!("{other:?} is never on our page"),
    }
}

fn kind_in_openmetrics(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Counter => ("counter", "_total"),
        Kind::Info => ("info", "_info"),
        Kind::Gauge => ("gauge", ""),
        Kind::Unknown => ("unknown", ""),
        other => panic!("{other:?} is never on our page"),
    }
}

/// Every record of a world, with the batch that it was cut from.
fn records(world: &World) -> Vec<(usize, record::Record)> {
    let cut = world.told.iter().enumerate().flat_map(|(number, told)| {
        let all = record::cut(&told.batch, &told.ended, &world.identity, world.max_samples);
        all.into_iter().map(move |record| (number, record))
    });
    cut.collect()
}

/// Some ways to send a record: whole, and in two parts.
fn halves(record: &Flat) -> [std::ops::Range<usize>; 3] {
    let (all, half) = (record.series_count(), record.series_count() / 3);
    [0..all, 0..half, half..all]
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_text_page_says_what_the_batches_say(world in of_ours()) {
        let page = text::page(&world.batches());
        let families = exposition::read(&page, Form::Text);
        prop_assert!(families.is_ok(), "{:?}\n{}", families, page);
        let families = families.unwrap();
        let expected = by_name(&world);
        prop_assert_eq!(families.len(), expected.len());
        for (family, (name, (position, said))) in families.iter().zip(expected) {
            prop_assert_eq!(&family.name, name);
            prop_assert_eq!(&family.kind, kind_in_text(said.kind));
            prop_assert_eq!(&family.help, &said.help);
            prop_assert_eq!(read_back(family), on_page(&world, position));
        }
    }

    #[test]
    fn an_openmetrics_page_says_what_the_batches_say(world in of_ours()) {
        let page = openmetrics::page(&world.batches());
        let families = exposition::read(&page, Form::OpenMetrics);
        prop_assert!(families.is_ok(), "{:?}\n{}", families, page);
        let families = families.unwrap();
        let expected = by_name(&world);
        prop_assert_eq!(families.len(), expected.len());
        for (family, (name, (position, said))) in families.iter().zip(expected) {
            let (kind, suffix) = kind_in_openmetrics(said.kind);
            prop_assert_eq!(format!("{}{suffix}", family.name), name);
            prop_assert_eq!(&family.kind, kind);
            prop_assert_eq!(&family.help, &said.help);
            prop_assert_eq!(read_back(family), on_page(&world, position));
        }
    }

    #[test]
    fn delimited_families_say_what_a_batch_says(world in of_ours()) {
        for one in &world.told {
            let families = delimited::read(&family::body(one.batch.families()));
            prop_assert!(families.is_ok(), "{:?}", families);
            let families = families.unwrap();
            prop_assert_eq!(families.len(), told(&world).count());
            for (family, (position, said)) in families.iter().zip(told(&world)) {
                let kind = match said.kind { Kind::Counter => 0, Kind::Gauge | Kind::Info => 1, _ => 3 };
                prop_assert_eq!((&family.name, &family.help, family.kind), (&said.name, &said.help, kind));
                let alive = |one: &&One| one.family == position && one.bits != Value::STALE.bits();
                let alive = one.series.iter().filter(alive);
                let expected: Vec<_> = alive.map(|one| (pairs(&one.labels), one.bits)).collect();
                prop_assert_eq!(&family.metrics, &expected);
            }
        }
    }

    #[test]
    fn a_batch_cut_into_records_is_whole_again_when_they_are_read(world in world()) {
        let mut read: Vec<Vec<(Pairs, usize, u64, Beside)>> = vec![Vec::new(); world.told.len()];
        for (number, record) in records(&world) {
            let strict = queue_record::read(&record.bytes());
            prop_assert!(strict.is_ok(), "{:?}", strict);
            let strict = strict.unwrap();
            prop_assert_eq!(strict.series.len(), record.samples);
            prop_assert!((1..=world.max_samples).contains(&record.samples));
            let position = |name: &str| world.families.iter().position(|said| said.name == name);
            prop_assert_eq!(record.at_ms, record::decode(record.bytes()).unwrap().timestamp);
            for series in strict.series {
                let name = series.labels.iter().find(|(name, _)| name == "__name__").unwrap();
                let place = position(&name.1).unwrap();
                let (family, said) = (&strict.families[series.family], &world.families[place]);
                let told_as = said.of.as_ref().unwrap_or(&said.name);
                prop_assert_eq!((&family.name, family.kind), (told_as, said.kind as u64));
                prop_assert_eq!((&family.help, &family.unit), (&said.help, &said.unit));
                let beside = (series.timestamp, series.start, series.exemplars);
                read[number].push((series.labels, place, series.value, beside));
            }
        }
        for (told, read) in world.told.iter().zip(read) {
            let expected = world.recorded(told).into_iter().zip(world.beside(told));
            let expected = expected.map(|((labels, family, bits), beside)| (labels, family, bits, beside));
            prop_assert_eq!(read, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_record_is_decoded_to_what_the_strict_reader_reads(world in world()) {
        for (_, record) in records(&world) {
            let strict = queue_record::read(&record.bytes()).unwrap();
            let decoded = record::decode(record.bytes()).unwrap();
            let symbol = |at: u32| decoded.symbols[at as usize].clone();
            let series = decoded.series.iter().map(|one| queue_record::Series {
                labels: one.label_refs.chunks(2).map(|pair| (symbol(pair[0]), symbol(pair[1]))).collect(),
                family: one.family as usize,
                value: one.value_bits,
                timestamp: one.timestamp,
                start: one.start_timestamp,
                exemplars: one.exemplars.iter().map(|one| {
                    let pairs = one.labels.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone()));
                    (pairs.collect(), one.value_bits, one.timestamp)
                }).collect(),
            });
            prop_assert_eq!(series.collect::<Vec<_>>(), strict.series);
            let families = decoded.families.iter().map(|one| queue_record::Family {
                name: symbol(one.name_ref),
                kind: u64::from(one.kind),
                help: symbol(one.help_ref),
                unit: symbol(one.unit_ref),
            });
            prop_assert_eq!(families.collect::<Vec<_>>(), strict.families);
        }
    }

    #[test]
    fn a_request_of_1_0_says_what_its_record_says(world in world()) {
        let external = world.external();
        let mut encoder = Encoder::new(external.clone());
        let mut encoder_with = Encoder::new(external.clone()).with_exemplars(Exemplars::With, Exemplars::With);
        for sent in sent_by_record(&world) {
            for range in halves(&sent.decoded) {
                for metadata in [Metadata::With, Metadata::Without] {
                    let plain = rw1::plain(&sent.decoded, range.clone(), &external, metadata, Exemplars::With);
                    let packed = encoder_with.one(&sent.decoded, range.clone(), metadata).unwrap();
                    prop_assert_eq!(&snap::raw::Decoder::new().decompress_vec(&packed).unwrap(), &plain);
                    let bare = rw1::plain(&sent.decoded, range.clone(), &external, metadata, Exemplars::Without);
                    let packed = encoder.one(&sent.decoded, range.clone(), metadata).unwrap();
                    prop_assert_eq!(&snap::raw::Decoder::new().decompress_vec(&packed).unwrap(), &bare);
                    prop_assert!(remote_write::one(&bare).unwrap().series.iter().all(|one| one.exemplars.is_empty()));
                    let request = remote_write::one(&plain);
                    prop_assert!(request.is_ok(), "{:?}", request);
                    let request = request.unwrap();
                    let read = request.series.iter().map(|one| {
                        (one.labels.clone(), one.value, (one.timestamp, 0, one.exemplars.clone()))
                    });
                    let expected = sent.series[range.clone()].iter().zip(&sent.beside[range.clone()]);
                    // 1.0 knows no starts.
                    let expected = expected.map(|((labels, _, bits), (time, _, seen))| {
                        (labels.clone(), *bits, (*time, 0, seen.clone()))
                    });
                    prop_assert_eq!(read.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
                    let described: BTreeMap<_, _> = match metadata {
                        Metadata::Without => BTreeMap::new(),
                        Metadata::With => {
                            let mine = sent.series[range.clone()].iter().map(|(_, at, _)| &world.families[*at]);
                            let known = mine.filter(|said| {
                                said.kind != Kind::Unknown || !said.help.is_empty() || !said.unit.is_empty()
                            });
                            known.map(|said| {
                                let name = said.of.as_ref().unwrap_or(&said.name).clone();
                                (name, (said.kind as u64, said.help.clone(), said.unit.clone()))
                            }).collect()
                        }
                    };
                    let read = request.metadata.iter();
                    let read = read.map(|(name, m)| (name.clone(), (m.kind, m.help.clone(), m.unit.clone())));
                    prop_assert_eq!(read.collect::<BTreeMap<_, _>>(), described);
                }
            }
        }
    }

    #[test]
    fn a_request_of_2_0_says_what_its_record_says(world in world()) {
        let external = world.external();
        let mut encoder = Encoder::new(external.clone());
        for sent in sent_by_record(&world) {
            for range in halves(&sent.decoded) {
                let plain = rw2::plain(&sent.decoded, range.clone(), &external, Exemplars::With);
                let packed = encoder.two(&sent.decoded, range.clone()).unwrap();
                prop_assert_eq!(&snap::raw::Decoder::new().decompress_vec(&packed).unwrap(), &plain);
                let request = remote_write::two(&plain);
                prop_assert!(request.is_ok(), "{:?}", request);
                let series = request.unwrap().series;
                prop_assert_eq!(series.len(), range.len());
                let expected = sent.series[range.clone()].iter().zip(&sent.beside[range]);
                for (one, ((labels, family, bits), beside)) in series.iter().zip(expected) {
                    prop_assert_eq!((&one.labels, one.value), (labels, *bits));
                    prop_assert_eq!(&(one.timestamp, one.start, one.exemplars.clone()), beside);
                    let said = &world.families[*family];
                    let metadata = (one.metadata.kind, &one.metadata.help, &one.metadata.unit);
                    prop_assert_eq!(metadata, (said.kind as u64, &said.help, &said.unit));
                }
            }
        }
    }

    #[test]
    fn the_bytes_depend_on_what_is_encoded_alone(world in world(), other in world::world()) {
        let first = all_bytes(&world);
        let of_other = all_bytes(&other);
        prop_assert_eq!(all_bytes(&world), first);
        prop_assert_eq!(all_bytes(&other.clone()), of_other);
    }

    #[test]
    fn a_record_that_was_damaged_is_refused_or_read_but_never_a_panic(
        world in world(), at in 0..10_000_usize, with in 1..=255_u8,
    ) {
        for (_, record) in records(&world) {
            let mut bytes = record.bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] ^= with;
            for damaged in [&bytes[..], &record.bytes()[..at]] {
                if let Ok(decoded) = Flat::read(damaged) {
                    let all = 0..decoded.series_count();
                    rw1::plain(&decoded, all.clone(), &world.external(), Metadata::With, Exemplars::With);
                    rw2::plain(&decoded, all, &world.external(), Exemplars::With);
                }
            }
        }
    }

    #[test]
    fn a_second_reader_agrees_on_a_page_of_simple_gauges(
        fleets in proptest::collection::btree_map("[a-z][a-z0-9-]{0,12}", 0..1_000_000_u32, 1..20),
    ) {
        let batch = gauges(&fleets);
        let page = text::page(&[&batch]);
        let lines = page.lines().map(|line| Ok(line.to_owned()));
        let scrape = prometheus_parse::Scrape::parse(lines).unwrap();
        prop_assert_eq!(&scrape.docs["balena_devices_online"], "Devices");
        let read = scrape.samples.iter().map(|one| match one.value {
            prometheus_parse::Value::Gauge(value) if one.metric == "balena_devices_online" => {
                (one.labels.get("fleet_name").unwrap().to_owned(), value)
            }
            ref other => panic!("{} is {other:?}", one.metric),
        });
        let expected: BTreeMap<String, f64> =
            fleets.iter().map(|(name, value)| (name.clone(), f64::from(*value))).collect();
        prop_assert_eq!(scrape.samples.len(), fleets.len());
        prop_assert_eq!(read.collect::<BTreeMap<_, _>>(), expected);
    }
}

/// A record as the encoders are given it, and what must come out of it.
struct Sent {
    decoded: Flat,
    series: Vec<(Pairs, usize, u64)>,
    beside: Vec<Beside>,
}

fn flat(record: &record::Record) -> Flat {
    Flat::read(record.bytes()).unwrap()
}

fn sent_by_record(world: &World) -> Vec<Sent> {
    let mut rest: Vec<_> =
        world.told.iter().map(|told| world.sent(told).into_iter().zip(world.beside(told))).collect();
    let all = records(world).into_iter().map(|(number, record)| {
        let (series, beside) = rest[number].by_ref().take(record.samples).unzip();
        Sent { decoded: flat(&record), series, beside }
    });
    all.collect()
}

fn all_bytes(world: &World) -> Vec<Vec<u8>> {
    let batches = world.batches();
    let mut all = vec![text::page(&batches).into_bytes(), openmetrics::page(&batches).into_bytes()];
    all.extend(batches.iter().map(|batch| family::body(batch.families())));
    let mut encoder = Encoder::new(world.external());
    for (_, record) in records(world) {
        let decoded = flat(&record);
        let range = 0..decoded.series_count();
        all.push(encoder.one(&decoded, range.clone(), Metadata::With).unwrap());
        all.push(encoder.one(&decoded, range.clone(), Metadata::Without).unwrap());
        all.push(encoder.two(&decoded, range).unwrap());
        all.push(record.bytes().to_vec());
    }
    all
}

fn gauges(fleets: &BTreeMap<String, u32>) -> Batch {
    let series = fleets.iter().map(|(name, value)| Series {
        labels: Labels::new([(LabelName::new("fleet_name").unwrap(), name.as_str().into())]).unwrap(),
        value: Value::from(f64::from(*value)),
        own: None,
    });
    let family = Family {
        name: MetricName::new("balena_devices_online").unwrap(),
        kind: Kind::Gauge,
        help: "Devices".into(),
        role: Role::Fleet,
        series: series.collect(),
        of: None,
        unit: "".into(),
    };
    Batch::new(Source::Own, Millis(1), Scope::Whole, vec![family]).unwrap()
}

#[test]
fn the_worlds_hold_what_they_are_made_for() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let worlds: Vec<World> = (0..256).map(|_| world().new_tree(&mut runner).unwrap().current()).collect();
    let all: Vec<&One> = worlds.iter().flat_map(|world| &world.told).flat_map(|told| &told.series).collect();
    let has = |what: &str, found: bool| assert!(found, "no world has {what}");
    has("a stale marker", all.iter().any(|one| one.bits == Value::STALE.bits()));
    has("another NaN", all.iter().any(|one| one.bits == 0x7ff8_0000_0000_0002));
    has("a signalling NaN", all.iter().any(|one| one.bits == 0x7ff0_0000_0000_0001));
    has("-0", all.iter().any(|one| one.bits == 1 << 63));
    has("a subnormal number", all.iter().any(|one| f64::from_bits(one.bits).is_subnormal()));
    for (what, such) in [
        ("a long value", (|value| value.chars().count() >= 300) as fn(&str) -> bool),
        ("a newline", |value| value.contains('\n')),
        ("a quote", |value| value.contains('"')),
        ("a backslash at the end", |value| value.ends_with('\\')),
        ("a brace", |value| value.contains('}')),
        ("a symbol above 16 bits", |value| value.chars().any(|c| c > '\u{ffff}')),
    ] {
        has(what, all.iter().any(|one| one.labels.values().any(|value| such(value))));
    }
    let around = |name: &str| all.iter().any(|one| one.labels.keys().any(|other| other.as_str() == name));
    has("a label before the name", around("A") && around("___") && around("__NAME__"));
    has("a label behind the name", around("__name___") && around("a"));
    has("its own job", around("job"));
    has(
        "50 series",
        worlds.iter().any(|world| world.told.iter().map(|told| told.series.len()).sum::<usize>() > 50),
    );
    has("several records", worlds.iter().any(|world| records(world).len() > 10));
    has(
        "a family of which only ends are told",
        worlds.iter().any(|world| world.families.iter().any(|said| !said.is_told)),
    );
    has("ended series", worlds.iter().any(|world| world.told.iter().any(|told| told.ended.len() > 3)));
    let sources: BTreeSet<usize> = worlds.iter().map(|world| world.told.len()).collect();
    assert_eq!(sources, BTreeSet::from([1, 2, 3]));
    let kinds: BTreeSet<u32> =
        worlds.iter().flat_map(|world| &world.families).map(|said| said.kind as u32).collect();
    assert_eq!(kinds, BTreeSet::from_iter(0..8));
    has("a unit", worlds.iter().any(|world| world.families.iter().any(|said| !said.unit.is_empty())));
    has("a time of its own", all.iter().any(|one| one.mine.at.is_some()));
    let whole: Vec<_> =
        worlds.iter().flat_map(|world| world.told.iter().flat_map(|told| world.beside(told))).collect();
    has("a start", whole.iter().any(|(_, start, _)| *start != 0));
    has("two exemplars", whole.iter().any(|(_, _, seen)| seen.len() == 2));
}

#[test]
fn a_probe_of_2_0_is_a_request_without_series() {
    let plain = snap::raw::Decoder::new().decompress_vec(&rw2::probe().unwrap()).unwrap();
    let request = remote_write::two(&plain).unwrap();
    assert_eq!((request.symbols, request.series.len()), (vec![String::new()], 0));
}

#[test]
fn a_record_of_another_version_is_refused_by_its_number() {
    // The first version, which no release wrote, held its symbols where the layout is now.
    for number in [1, 3] {
        let said = record::decode(&[0x08, number, 0x12, 0x00][..]);
        assert!(matches!(said, Err(EncodeError::Version(known)) if known == u32::from(number)), "{said:?}");
    }
}
