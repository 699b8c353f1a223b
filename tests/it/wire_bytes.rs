//! The bytes that are written by hand, held against the generated types: whatever a batch holds, a record
//! and both requests are what those types would write, and say what the batch says.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetpush::encode::record::{self, Flat, Identity};
use fleetpush::encode::rw1::Metadata;
use fleetpush::encode::{Encoder, Exemplars, family, rw1, rw2};
use fleetpush::pb::metric_family::MetricFamily;
use fleetpush::pb::{record as pb, remote_write_v1 as v1, remote_write_v2 as v2};
use fleetpush::sample::{
    Batch, Ended, Exemplar, Family, Kind, LabelName, Labels, Meaning, MetricName, Millis, Own, Role, Scope,
    Series, SeriesId, Source, Text, Value,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::{prop_assert, prop_assert_eq};
use prost::Message;

type Pairs = BTreeMap<String, String>;

/// A sample as labels, the value's bits, the time and the start.
type Said = (Pairs, u64, i64, i64, Vec<Seen>);

/// An exemplar as labels, the value's bits and the time.
type Seen = (Pairs, u64, i64);

const AT: i64 = 1_790_000_000_123;

#[derive(Clone, Debug)]
struct Case {
    batch: Batch,
    ended: Vec<Ended>,
    identity: Identity,
    external: Labels,
    max_samples: usize,
}

/// Names before and after `__name__`, and those that are added to every series.
fn label_name() -> impl Strategy<Value = String> {
    let names = [
        "A",
        "_a",
        "__name",
        "__name_",
        "fleet_name",
        "job",
        "instance",
        "site",
        "zone",
        "0",
        "a.b c",
        "größe",
    ];
    proptest::sample::select(names.to_vec()).prop_map(str::to_owned)
}

fn label_value() -> impl Strategy<Value = String> {
    prop_oneof![Just("lobby".to_owned()), Just("job".to_owned()), "\\PC{0,12}", "[a-z]{120,140}"]
}

fn label_set(size: std::ops::Range<usize>) -> impl Strategy<Value = Pairs> {
    btree_map(label_name(), label_value(), size)
}

fn labels(pairs: &Pairs) -> Labels {
    let name = |name: &String| LabelName::relayed(&Text::from(name.as_str())).unwrap();
    Labels::new(pairs.iter().map(|(own, value)| (name(own), Text::from(value.as_str())))).unwrap()
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::from(0.0)),
        Just(Value::STALE),
        any::<u8>().prop_map(|n| Value::from(f64::from(n))),
        any::<u64>().prop_map(Value::from_bits),
    ]
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Fleet), Just(Role::State), Just(Role::Relayed)]
}

fn kind() -> impl Strategy<Value = Kind> {
    (0_u32..8).prop_map(Kind::from_number)
}

/// Up to six minutes ahead, of which the last is too far.
fn time() -> impl Strategy<Value = i64> {
    prop_oneof![Just(AT), AT - 100_000..AT + 360_000, any::<i64>()]
}

fn own() -> impl Strategy<Value = Option<Box<Own>>> {
    let exemplar = (label_set(0..3), value(), proptest::option::of(time()))
        .prop_map(|(pairs, value, at)| Exemplar { labels: labels(&pairs), value, at: at.map(Millis) });
    let start = proptest::option::of(prop_oneof![4 => time(), 1 => Just(0)]);
    let own =
        (proptest::option::of(time()), start, vec(exemplar, 0..3)).prop_map(|(at, start, exemplars)| {
            Box::new(Own { at: at.map(Millis), start: start.map(Millis), exemplars })
        });
    proptest::option::of(own)
}

fn a_family(name: &'static str) -> impl Strategy<Value = Family> {
    let sets = btree_set(label_set(0..4).prop_map(|pairs| labels(&pairs)), 0..6);
    let series = sets.prop_flat_map(|sets| {
        let count = sets.len();
        (Just(sets), vec((value(), own()), count))
    });
    let words = ("[a-z ]{0,10}", prop_oneof![Just(""), Just("seconds"), Just("lobby")]);
    let of = prop_oneof![2 => Just(None), 1 => Just(Some("base")), 1 => Just(Some("balena_up"))];
    (kind(), words, of, role(), series).prop_map(move |(kind, (help, unit), of, role, (sets, told))| {
        let series = sets.into_iter().zip(told);
        let own = |own: Option<Box<Own>>| own.filter(|_| role == Role::Relayed);
        let series = series.map(|(labels, (value, mine))| Series { labels, value, own: own(mine) });
        Family {
            name: MetricName::relayed(&Text::from(name)).unwrap(),
            kind,
            help: help.as_str().into(),
            role,
            series: series.collect(),
            of: of.map(|of| MetricName::new(of).unwrap()),
            unit: unit.into(),
        }
    })
}

fn ended() -> impl Strategy<Value = Vec<Ended>> {
    let meaning = (kind(), "[a-z]{0,4}").prop_map(|(kind, help)| {
        let name = MetricName::new("base").unwrap();
        Arc::new(Meaning { name, kind, help: help.as_str().into(), unit: "".into() })
    });
    let one = (label_set(0..3), role(), proptest::option::of(meaning)).prop_map(|(pairs, role, meaning)| {
        let name = MetricName::new("gone").unwrap();
        Ended { id: SeriesId { name, labels: labels(&pairs) }, role, meaning }
    });
    vec(one, 0..3)
}

fn case() -> impl Strategy<Value = Case> {
    let families = (a_family("balena_devices"), a_family("balena_up"), a_family("métrique à"));
    let identity = (label_value(), label_value()).prop_map(|(job, instance)| Identity {
        job: job.as_str().into(),
        instance: instance.as_str().into(),
    });
    let external = label_set(0..4).prop_map(|pairs| labels(&pairs));
    (families, ended(), identity, external, 1_usize..8).prop_map(
        |((a, b, c), ended, identity, external, max_samples)| {
            let source = Source::Account("balena".into());
            let batch = Batch::new(source, Millis(AT), Scope::Whole, vec![a, b, c]).unwrap();
            Case { batch, ended, identity, external, max_samples }
        },
    )
}

impl Case {
    /// What must be said, in order.
    fn said<'a>(&'a self) -> Vec<Said> {
        let live = self.batch.families().iter().flat_map(|family| {
            let one = move |s: &'a Series| {
                (&family.name, &s.labels, family.role, s.value, family.kind, s.own.as_deref())
            };
            family.series.iter().map(one)
        });
        let gone =
            self.ended.iter().map(|e| (&e.id.name, &e.id.labels, e.role, Value::STALE, Kind::Unknown, None));
        let all = live.chain(gone).filter_map(|(name, labels, role, value, kind, own)| {
            let mut pairs: Pairs = self.external.iter().map(pair).collect();
            let mut add = |name: &str, value: &str| {
                if !value.is_empty() {
                    pairs.insert(name.to_owned(), value.to_owned());
                }
            };
            if role != Role::Relayed {
                add("job", &self.identity.job);
            }
            if role == Role::State {
                add("instance", &self.identity.instance);
            }
            pairs.extend(labels.iter().map(pair));
            pairs.insert("__name__".to_owned(), name.to_string());
            let own = own.cloned().unwrap_or_default();
            let time = own.at.map_or(AT, |at| at.0);
            if time > AT + 300_000 || time.checked_sub(AT).is_none() {
                return None;
            }
            let counts = matches!(kind, Kind::Counter | Kind::Histogram | Kind::Summary);
            let start = own.start.map(|start| start.0).filter(|start| counts && *start > 0 && *start < time);
            let exemplars =
                own.exemplars.iter().filter(|one| one.at.is_none_or(|at| at.0.checked_sub(time).is_some()));
            let seen = |one: &Exemplar| {
                (one.labels.iter().map(pair).collect(), one.value.bits(), one.at.map_or(time, |at| at.0))
            };
            Some((pairs, value.bits(), time, start.unwrap_or(0), exemplars.map(seen).collect()))
        });
        all.collect()
    }

    fn records(&self) -> Vec<record::Record> {
        record::cut(&self.batch, &self.ended, &self.identity, self.max_samples)
    }
}

fn pair(label: fleetpush::sample::Label<'_>) -> (String, String) {
    (label.name.to_string(), label.value.to_string())
}

/// Labels as they came: in the order of their names, none twice.
fn in_order(pairs: Vec<(String, String)>) -> Pairs {
    assert!(pairs.windows(2).all(|two| two[0].0 < two[1].0), "{pairs:?}");
    pairs.into_iter().collect()
}

/// What the generated types read in a record, and the rules that they do not know.
fn decoded(record: pb::Record) -> Result<record::Decoded, String> {
    let pb::Record { version, layout, value_bits, timestamp, timestamp_offsets, start_timestamps, exemplars } =
        record;
    if version != record::VERSION {
        return Err(format!("version {version}"));
    }
    let layout = pb::Layout::decode(&*layout).map_err(|error| error.to_string())?;
    let samples = layout.series.len();
    let fits = |length: usize| length == 0 || length == samples;
    if value_bits.len() != samples || !fits(timestamp_offsets.len()) || !fits(start_timestamps.len()) {
        return Err("lists of different lengths".into());
    }
    let series = layout.series.into_iter().zip(value_bits).enumerate().map(|(at, (one, value_bits))| {
        let timestamp = timestamp.checked_add(timestamp_offsets.get(at).copied().unwrap_or(0));
        Ok(record::Sample {
            label_refs: one.label_refs,
            family: one.family,
            value_bits,
            timestamp: timestamp.ok_or("a time out of bounds")?,
            start_timestamp: start_timestamps.get(at).copied().unwrap_or(0),
            exemplars: Vec::new(),
        })
    });
    let mut series = series.collect::<Result<Vec<_>, String>>()?;
    let mut before = 0;
    for one in exemplars {
        let sample = series.get_mut(one.series as usize).ok_or("an exemplar of nothing")?;
        if one.series < before || one.labels.len() % 2 == 1 {
            return Err("exemplars out of order, or half a label".into());
        }
        before = one.series;
        let timestamp = sample.timestamp.checked_add(one.timestamp_offset).ok_or("a time out of bounds")?;
        sample.exemplars.push(record::Exemplar { labels: one.labels, value_bits: one.value_bits, timestamp });
    }
    Ok(record::Decoded { symbols: layout.symbols, families: layout.families, series, timestamp })
}

/// A number that the generated types do not leave out, in place of those that they do.
const MARK: u64 = 0x7ff7_dead_beef_cafe;

fn mark(value: &mut f64) {
    if *value == 0.0 {
        *value = f64::from_bits(MARK + (value.to_bits() >> 63));
    }
}

/// Of a request of 1.0 with every zero marked.
fn marked_one(mut request: v1::WriteRequest) -> Vec<u8> {
    for one in &mut request.timeseries {
        one.samples.iter_mut().for_each(|sample| mark(&mut sample.value));
        one.exemplars.iter_mut().for_each(|exemplar| mark(&mut exemplar.value));
    }
    unmarked(request.encode_to_vec())
}

/// Of a request of 2.0.
fn marked_two(mut request: v2::Request) -> Vec<u8> {
    for one in &mut request.timeseries {
        one.samples.iter_mut().for_each(|sample| mark(&mut sample.value));
        one.exemplars.iter_mut().for_each(|exemplar| mark(&mut exemplar.value));
    }
    unmarked(request.encode_to_vec())
}

/// With the zeros again, which we write.
fn unmarked(mut bytes: Vec<u8>) -> Vec<u8> {
    for sign in [0, 1] {
        let mark = (MARK + sign).to_le_bytes();
        while let Some(at) = bytes.windows(8).position(|eight| eight == mark) {
            bytes[at..at + 8].copy_from_slice(&(sign << 63).to_le_bytes());
        }
    }
    bytes
}

fn unpacked<M: Message + Default>(body: &[u8]) -> M {
    M::decode(&*snap::raw::Decoder::new().decompress_vec(body).unwrap()).unwrap()
}

proptest! {
    #[test]
    fn a_record_is_what_the_generated_types_write(case in case()) {
        let records = case.records();
        for record in &records {
            let read = pb::Record::decode(&*record.bytes()).unwrap();
            prop_assert_eq!(&read.encode_to_vec()[..], &record.bytes()[..]);
            let layout = pb::Layout::decode(&*read.layout).unwrap();
            prop_assert_eq!(&layout.encode_to_vec(), &read.layout);
            prop_assert_eq!(&record::decode(record.bytes()).unwrap(), &decoded(read).unwrap());
            prop_assert_eq!(record::decode(record.pieces.clone()).unwrap(), record::decode(record.bytes()).unwrap());
            prop_assert_eq!(layout.series.len(), record.samples);
            prop_assert_eq!((record.at_ms, record::decode(record.bytes()).unwrap().timestamp), (AT, AT));
            prop_assert!(record.samples <= case.max_samples);
            let unique: std::collections::BTreeSet<&String> = layout.symbols.iter().collect();
            prop_assert_eq!(unique.len(), layout.symbols.len());
        }
        prop_assert_eq!(records.iter().map(|r| r.samples).sum::<usize>(), case.said().len());
    }

    #[test]
    fn damaged_and_foreign_records_are_read_as_the_generated_types_read_them(
        case in case(),
        changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        more in vec(any::<u8>(), 0..4),
        length in any::<proptest::sample::Index>(),
    ) {
        for record in case.records() {
            let mut bytes = record.bytes().to_vec();
            for (place, byte) in &changes {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            bytes.extend(&more);
            for bytes in [&bytes[..], &record.bytes()[..length.index(record.bytes().len())]] {
                match (record::decode(bytes), pb::Record::decode(bytes)) {
                    (Ok(ours), Ok(theirs)) => prop_assert_eq!(Ok(ours), decoded(theirs)),
                    (Ok(_), Err(error)) => panic!("the generated types refuse it: {error}"),
                    // What contradicts itself is refused by us alone.
                    (Err(_), _) => {}
                }
            }
        }
    }

    #[test]
    fn samples_with_times_and_starts_of_their_own_are_read_and_sent(
        case in case(),
        times in vec((any::<i32>(), prop_oneof![Just(0), 1_i64..i64::from(i32::MAX)]), 24),
        at in prop_oneof![Just(AT), -5_i64..5],
    ) {
        for record in case.records() {
            let mut whole = pb::Record::decode(&*record.bytes()).unwrap();
            whole.timestamp = at;
            whole.timestamp_offsets = times.iter().take(record.samples).map(|time| i64::from(time.0)).collect();
            whole.start_timestamps = times.iter().take(record.samples).map(|time| time.1).collect();
            let bytes = whole.encode_to_vec();
            let ours = record::decode(&*bytes).unwrap();
            prop_assert_eq!(&ours, &decoded(whole).unwrap());
            let mut encoder = Encoder::new(case.external.clone());
            let flat = encoder.read(&*bytes).unwrap();
            let range = 0..record.samples;
            prop_assert_eq!(flat.common_timestamp(), ours.timestamp);
            for _ in 0..2 {
                let one: v1::WriteRequest = unpacked(&encoder.one(&flat, range.clone(), Metadata::Without).unwrap());
                let two: v2::Request = unpacked(&encoder.two(&flat, range.clone()).unwrap());
                for ((one, two), kept) in one.timeseries.iter().zip(&two.timeseries).zip(&ours.series) {
                    prop_assert_eq!(one.samples[0].timestamp, kept.timestamp);
                    prop_assert_eq!(two.samples[0].timestamp, kept.timestamp);
                    prop_assert_eq!(two.samples[0].start_timestamp, kept.start_timestamp);
                    prop_assert_eq!(one.samples[0].value.to_bits(), kept.value_bits);
                    prop_assert_eq!(two.samples[0].value.to_bits(), kept.value_bits);
                }
            }
        }
    }

    #[test]
    fn a_request_of_1_0_is_what_the_generated_types_write_and_says_the_batch(case in case()) {
        let mut said = Vec::new();
        for record in case.records() {
            let flat = Flat::read(record.bytes()).unwrap();
            let record = record::decode(record.bytes()).unwrap();
            let bytes = rw1::plain(&flat, 0..record.series.len(), &case.external, Metadata::With, Exemplars::With);
            let read = v1::WriteRequest::decode(&*bytes).unwrap();
            prop_assert_eq!(&marked_one(read.clone()), &bytes);
            // Of several families that are told under one name the first.
            let mut told = BTreeMap::new();
            for family in record.families.iter().filter(|family| record::is_described(family)) {
                told.entry(&record.symbols[family.name_ref as usize]).or_insert(family);
            }
            prop_assert_eq!(read.metadata.len(), told.len());
            for one in &read.metadata {
                let family = told[&one.metric_family_name];
                let text = |at: u32| &record.symbols[at as usize];
                prop_assert_eq!(u32::try_from(one.r#type).unwrap(), family.kind);
                prop_assert_eq!((&one.help, &one.unit), (text(family.help_ref), text(family.unit_ref)));
            }
            let without = rw1::plain(&flat, 0..record.series.len(), &case.external, Metadata::With, Exemplars::Without);
            let mut bare = read.clone();
            bare.timeseries.iter_mut().for_each(|series| series.exemplars.clear());
            prop_assert_eq!(&marked_one(bare), &without);
            let pairs = |labels: Vec<v1::Label>| labels.into_iter().map(|label| (label.name, label.value)).collect();
            for series in read.timeseries {
                let [sample] = &series.samples[..] else { panic!("{:?}", series.samples) };
                let seen = series.exemplars.into_iter().map(|one| {
                    (in_order(pairs(one.labels)), one.value.to_bits(), one.timestamp)
                });
                let labels = in_order(pairs(series.labels));
                said.push((labels, sample.value.to_bits(), sample.timestamp, 0, seen.collect()));
            }
        }
        // 1.0 knows no starts.
        let expected = case.said().into_iter().map(|(labels, bits, time, _, seen)| (labels, bits, time, 0, seen));
        prop_assert_eq!(said, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_request_of_2_0_is_what_the_generated_types_write_and_says_the_batch(case in case()) {
        let mut said = Vec::new();
        for record in case.records() {
            let flat = Flat::read(record.bytes()).unwrap();
            let record = record::decode(record.bytes()).unwrap();
            let bytes = rw2::plain(&flat, 0..record.series.len(), &case.external, Exemplars::With);
            let read = v2::Request::decode(&*bytes).unwrap();
            prop_assert_eq!(&marked_two(read.clone()), &bytes);
            let text = |at: u32| read.symbols[at as usize].clone();
            prop_assert_eq!(text(0), "");
            let unique: std::collections::BTreeSet<&String> = read.symbols.iter().collect();
            prop_assert_eq!(unique.len(), read.symbols.len());
            for (series, kept) in read.timeseries.iter().zip(&record.series) {
                let pairs = |refs: &[u32]| refs.chunks(2).map(|two| (text(two[0]), text(two[1]))).collect();
                let [sample] = &series.samples[..] else { panic!("{:?}", series.samples) };
                let seen = series.exemplars.iter().map(|one| {
                    (in_order(pairs(&one.labels_refs)), one.value.to_bits(), one.timestamp)
                });
                let labels = in_order(pairs(&series.labels_refs));
                let (time, start) = (sample.timestamp, sample.start_timestamp);
                said.push((labels, sample.value.to_bits(), time, start, seen.collect()));
                let family = &record.families[kept.family as usize];
                let metadata = series.metadata.unwrap_or_default();
                prop_assert_eq!(u32::try_from(metadata.r#type).unwrap(), family.kind);
                prop_assert_eq!(&text(metadata.help_ref), &record.symbols[family.help_ref as usize]);
                prop_assert_eq!(&text(metadata.unit_ref), &record.symbols[family.unit_ref as usize]);
            }
        }
        prop_assert_eq!(said, case.said());
    }

    #[test]
    fn a_part_of_a_record_makes_the_request_of_its_series_alone(case in case(), from in 0_usize..8) {
        for record in case.records() {
            let flat = Flat::read(record.bytes()).unwrap();
            let record = record::decode(record.bytes()).unwrap();
            let range = from.min(record.series.len())..record.series.len();
            let one = rw1::plain(&flat, range.clone(), &case.external, Metadata::Without, Exemplars::With);
            let two = rw2::plain(&flat, range.clone(), &case.external, Exemplars::With);
            let one = v1::WriteRequest::decode(&*one).unwrap();
            let two = v2::Request::decode(&*two).unwrap();
            prop_assert_eq!(one.timeseries.len(), range.len());
            prop_assert_eq!(two.timeseries.len(), range.len());
            for ((one, two), kept) in one.timeseries.iter().zip(&two.timeseries).zip(&record.series[range]) {
                prop_assert_eq!(one.samples[0].value.to_bits(), kept.value_bits);
                prop_assert_eq!(two.samples[0].value.to_bits(), kept.value_bits);
            }
        }
    }

    #[test]
    fn a_body_of_relayed_families_is_what_the_generated_types_write(
        case in case(),
        histogram in a_family("h_bucket"), sum in a_family("h_sum"), count in a_family("h_count"),
        bounds in vec(proptest::sample::select(vec!["1", "2.5", "+Inf", "x", "1.0"]), 6),
        counts in vec(prop_oneof![Just(0.0), Just(7.0), Just(0.5)], 8),
    ) {
        let part = |family: Family, label: &str| {
            let series = family.series.into_iter().enumerate().map(|(at, one)| {
                let step = (LabelName::new(label).unwrap(), Text::from(bounds[at]));
                let own = one.labels.iter().map(|own| (LabelName::relayed(&own.name.into()).unwrap(), Text::from(own.value)));
                let labels = Labels::new(own.chain((!label.starts_with("no")).then_some(step))).unwrap();
                Series { labels, value: Value::from(counts[at]), own: None }
            });
            let mut seen = std::collections::BTreeSet::new();
            let series = series.filter(|one| seen.insert(one.labels.clone())).collect();
            let of = Some(MetricName::new("h").unwrap());
            Family { kind: Kind::Histogram, of, role: Role::Relayed, series, ..family }
        };
        let mut families = case.batch.families().to_vec();
        families.extend([part(histogram, "le"), part(sum, "none"), part(count, "none")]);
        let group = [("job", &*case.identity.job), ("site", "lobby")];
        let relayed = family::relayed(&families, &group, |name| name == "balena_up");
        let (mut rest, mut again, mut samples) = (&relayed.body[..], Vec::new(), 0);
        let mut names = std::collections::BTreeSet::new();
        while !rest.is_empty() {
            let read = MetricFamily::decode_length_delimited(&mut rest).unwrap();
            prop_assert!(names.insert(read.name().to_owned()));
            let mut seen = std::collections::BTreeSet::new();
            for metric in &read.metric {
                let labels = metric.label.iter().map(|one| (one.name().to_owned(), one.value().to_owned()));
                let labels: Vec<_> = labels.collect();
                prop_assert!(labels.windows(2).all(|two| two[0].0 < two[1].0), "{:?}", labels);
                prop_assert!(labels.iter().all(|(name, _)| name != "job" && name != "site"));
                prop_assert!(seen.insert(labels));
                samples += metric.histogram.as_ref().map_or(1, |whole| whole.bucket.len() + 2);
            }
            again.extend(read.encode_length_delimited_to_vec());
        }
        prop_assert_eq!(&again, &relayed.body);
        prop_assert_eq!(samples, relayed.samples);
        let alive = families.iter().flat_map(|family| &family.series).filter(|one| !one.value.is_stale());
        let left: usize = relayed.left_out.values().map(|left| left.samples).sum();
        prop_assert_eq!(samples + left, alive.count());
    }
}
