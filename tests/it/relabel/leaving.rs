//! What leaves for an endpoint with rules: records as requests, and what the worker does with what does not leave.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetpush::config::ProtobufMessage;
use fleetpush::demo::receiver::Personality;
use fleetpush::encode::record::{Identity, cut};
use fleetpush::encode::rw1::Metadata;
use fleetpush::encode::{Encoder, Labelling, Outgoing, Unsent};
use fleetpush::pb::{remote_write_v1 as v1, remote_write_v2 as v2};
use fleetpush::queue::{Appended, Entry, Scope as Told, Turn};
use fleetpush::relabel::Rules;
use fleetpush::sample::{
    Batch, Exemplar, Family, Kind, LabelName, Labels as Set, MetricName, Millis, Own, Role, Scope, Series,
    Source, Text, Value,
};
use prost::Message;
use rstest::rstest;

use super::parity::series;
use super::table::{BOTH, NEW, NEW_PAGE, PAGE};
use super::{endpoint, load};
use crate::remote_rig::{Rig, blocked, data, labels, simulated, stored};
use crate::servers::Labels;

const AT: i64 = 1_790_000_000_000;
const MINUTE: i64 = 60_000;

fn rules(lines: &[&str]) -> Rules {
    let text: String = lines.iter().map(|rule| format!("      - {rule}\n")).collect();
    let config = load(&endpoint(&text)).unwrap_or_else(|error| panic!("{error}"));
    config.endpoints[0].write_relabel.clone()
}

fn labelling(lines: &[&str]) -> Labelling {
    Labelling::By { external: labels(&[("site", "north")]), rules: rules(lines) }
}

fn encoder(lines: &[&str]) -> Encoder {
    Encoder::labelling(labelling(lines))
}

fn text(text: &str) -> Text {
    text.into()
}

/// A family for each name, of series with all their labels.
fn families(said: &[(Labels, f64)]) -> Vec<Family> {
    let mut all = BTreeMap::<String, Vec<Series>>::new();
    for (labels, value) in said {
        let mut labels = labels.clone();
        let name = labels.remove("__name__").expect("a name");
        let pairs = labels.iter().map(|(n, v)| (LabelName::relayed(&text(n)).unwrap(), text(v)));
        let labels = Set::new(pairs).unwrap();
        all.entry(name).or_default().push(Series { labels, value: Value::from(*value), own: None });
    }
    let family = |(name, series): (String, Vec<Series>)| Family {
        name: MetricName::relayed(&text(&name)).unwrap(),
        of: None,
        kind: Kind::Gauge,
        help: "Said by a page".into(),
        unit: "".into(),
        role: Role::Relayed,
        series,
    };
    all.into_iter().map(family).collect()
}

fn record(at: i64, families: Vec<Family>) -> Arc<[u8]> {
    let source = Source::Target { job: "a".into(), instance: "b".into() };
    let batch = Batch::new(source, Millis(at), Scope::Whole, families).unwrap();
    let identity = Identity { job: "balena".into(), instance: "site".into() };
    let [record] = &cut(&batch, &[], &identity, 10_000)[..] else { panic!("one record") };
    record.bytes()
}

fn outgoing(encoder: &mut Encoder, record: Arc<[u8]>) -> Outgoing {
    let read = encoder.read(record).unwrap();
    encoder.outgoing(Arc::new(read)).unwrap()
}

/// The whole of a record in 1.0 and in 2.0.
fn requests(encoder: &mut Encoder, outgoing: &Outgoing) -> [Vec<u8>; 2] {
    let range = 0..outgoing.record().series_count();
    let one = encoder.one(outgoing.record(), range.clone(), Metadata::With).unwrap();
    [one, encoder.two(outgoing.record(), range).unwrap()]
}

fn unpacked(body: &[u8]) -> Vec<u8> {
    snap::raw::Decoder::new().decompress_vec(body).unwrap()
}

fn read_one(body: &[u8]) -> v1::WriteRequest {
    v1::WriteRequest::decode(&*unpacked(body)).unwrap()
}

fn read_two(body: &[u8]) -> Vec<(Labels, v2::TimeSeries)> {
    let request = v2::Request::decode(&*unpacked(body)).unwrap();
    let symbol = |number: &u32| request.symbols[*number as usize].clone();
    let named = |one: v2::TimeSeries| {
        let pairs = one.labels_refs.chunks(2).map(|pair| (symbol(&pair[0]), symbol(&pair[1])));
        (pairs.collect(), one)
    };
    request.timeseries.into_iter().map(named).collect()
}

#[test]
fn every_list_of_rules_does_to_records_what_it_does_to_labels() {
    let said = series(&format!("{PAGE}{NEW_PAGE}"));
    for (what, list) in [BOTH, NEW].concat() {
        let labelling = labelling(list);
        let mut expected = Vec::<(Labels, f64)>::new();
        let families = families(&said);
        let of_family = |family: &Family| {
            let name = family.name.text().clone();
            let one = |series: &Series| {
                let labels = series.labels.iter().map(|l| (text(l.name), text(l.value)));
                let all: Vec<_> = labels.chain([(text("__name__"), name.clone())]).collect();
                (all, series.value.get())
            };
            family.series.iter().map(one).collect::<Vec<_>>()
        };
        for (all, value) in families.iter().flat_map(of_family) {
            let Some(left) = labelling.apply(all) else { continue };
            let left: Labels = left.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
            if left.contains_key("__name__") && !expected.iter().any(|(known, _)| *known == left) {
                expected.push((left, value));
            }
        }
        let mut encoder = Encoder::labelling(labelling.clone());
        for tick in 0..3 {
            let bytes = record(AT + tick * MINUTE, families.clone());
            let leaves = outgoing(&mut encoder, bytes.clone());
            let [one, two] = requests(&mut encoder, &leaves);
            let mut fresh = Encoder::labelling(labelling.clone());
            let again = outgoing(&mut fresh, bytes);
            let fresh = requests(&mut fresh, &again).map(|body| unpacked(&body));
            assert_eq!(fresh, [&one, &two].map(|body| unpacked(body)), "{what}");

            let found = read_one(&one).timeseries.into_iter().map(|series| {
                let pairs: Vec<_> = series.labels.iter().map(|l| (l.name.clone(), l.value.clone())).collect();
                assert!(pairs.is_sorted(), "{what}: {pairs:?}");
                (pairs.into_iter().collect(), series.samples[0].value)
            });
            assert_eq!(found.collect::<Vec<(Labels, f64)>>(), expected, "{what}");
            let found = read_two(&two).into_iter().map(|(labels, series)| {
                assert_eq!(series.samples[0].timestamp, AT + tick * MINUTE);
                (labels, series.samples[0].value)
            });
            assert_eq!(found.collect::<Vec<_>>(), expected, "{what}");
        }
    }
}

/// Which of these leave at this time, and what is held back.
fn leave(encoder: &mut Encoder, at: i64, said: &[(&str, Value)]) -> (Vec<u64>, Vec<Unsent>) {
    let series =
        said.iter().map(|(pod, value)| Series { labels: labels(&[("pod", pod)]), value: *value, own: None });
    let family = Family {
        name: MetricName::new("up").unwrap(),
        of: None,
        kind: Kind::Gauge,
        help: "x".into(),
        unit: "".into(),
        role: Role::Relayed,
        series: series.collect(),
    };
    let leaves = outgoing(encoder, record(at, vec![family]));
    let [one, _] = requests(encoder, &leaves);
    let held = leaves.held(&(0..said.len())).iter().map(|held| {
        assert_eq!(held.series, r#"up{site="north"}"#);
        held.why
    });
    let held = held.collect();
    let bits = |series: v1::TimeSeries| series.samples[0].value.to_bits();
    (read_one(&one).timeseries.into_iter().map(bits).collect(), held)
}

#[test]
fn of_series_that_become_equal_the_first_leaves_until_it_ends() {
    let mut encoder = encoder(&["{regex: pod, action: labeldrop}"]);
    let [one, two] = [1.0, 2.0].map(Value::from);
    let (first, second) = ((vec![one.bits()], vec![]), (vec![two.bits()], vec![]));
    let nothing = (vec![], vec![Unsent::Equal]);
    for tick in 0..2 {
        assert_eq!(leave(&mut encoder, AT + tick, &[("a", one)]), first);
        assert_eq!(leave(&mut encoder, AT + tick, &[("b", two)]), nothing);
    }
    let both = (vec![one.bits()], vec![Unsent::Equal]);
    assert_eq!(leave(&mut encoder, AT + 2, &[("a", one), ("b", two)]), both);
    // The end of the one and the other's sample would have one time.
    let end = (vec![Value::STALE.bits()], vec![]);
    assert_eq!(leave(&mut encoder, AT + 3, &[("a", Value::STALE)]), end);
    assert_eq!(leave(&mut encoder, AT + 3, &[("b", two)]), nothing);
    assert_eq!(leave(&mut encoder, AT + 4, &[("b", two)]), second);
    assert_eq!(leave(&mut encoder, AT + 4, &[("a", one)]), nothing);
    assert_eq!(leave(&mut encoder, AT + 5, &[("b", two)]), second);
}

#[test]
fn a_series_that_has_become_silent_gives_up_its_labels() {
    let mut encoder = encoder(&["{regex: pod, action: labeldrop}"]);
    let [one, two] = [1.0, 2.0].map(Value::from);
    let nothing = (vec![], vec![Unsent::Equal]);
    // As long as it speaks it has them, however long that is.
    for minute in 0..30 {
        assert_eq!(leave(&mut encoder, AT + minute * MINUTE, &[("a", one)]), (vec![one.bits()], vec![]));
        assert_eq!(leave(&mut encoder, AT + minute * MINUTE, &[("b", two)]), nothing);
    }
    let silent = (30..45).map(|minute| leave(&mut encoder, AT + minute * MINUTE, &[("b", two)]));
    let silent: Vec<bool> = silent.map(|found| found == nothing).collect();
    assert!(silent[..4].iter().all(|held| *held) && silent[11..].iter().all(|held| !*held), "{silent:?}");
}

#[test]
fn type_and_help_follow_the_name_that_is_sent() {
    let part = |name: &str, of: &str| Family {
        name: MetricName::new(name).unwrap(),
        of: Some(MetricName::new(of).unwrap()),
        kind: Kind::Histogram,
        help: "How long".into(),
        unit: "seconds".into(),
        role: Role::Relayed,
        series: vec![Series { labels: Set::default(), value: Value::from(1.0), own: None }],
    };
    let all = ["app_seconds_bucket", "app_seconds_sum", "app_seconds_count"].map(|n| part(n, "app_seconds"));
    let told = |lines: &[&str]| {
        let mut encoder = encoder(lines);
        let leaves = outgoing(&mut encoder, record(AT, all.clone().into()));
        let [one, two] = requests(&mut encoder, &leaves);
        let metadata = read_one(&one).metadata.into_iter();
        let told: BTreeSet<_> = metadata.map(|m| (m.metric_family_name, m.help, m.unit)).collect();
        let types: Vec<_> = read_two(&two).iter().map(|(_, one)| one.metadata.unwrap().r#type).collect();
        assert_eq!(types, vec![Kind::Histogram as i32; types.len()]);
        told.into_iter().map(|(name, ..)| name).collect::<Vec<_>>()
    };
    assert_eq!(told(&["{target_label: x, replacement: y}"]), ["app_seconds"]);
    let renamed =
        "{source_labels: [__name__], regex: 'app_(.*)', target_label: __name__, replacement: 'site_$1'}";
    assert_eq!(told(&[renamed]), ["site_seconds"]);
    let one_alone =
        "{source_labels: [__name__], regex: app_seconds_sum, target_label: __name__, replacement: total}";
    assert_eq!(told(&[one_alone]), ["app_seconds", "total"]);
    assert_eq!(told(&["{action: drop}"]), [""; 0]);
}

#[test]
fn times_starts_and_exemplars_stay_with_their_series() {
    let own = |number: i64| {
        let observed = Exemplar {
            labels: labels(&[("trace", &format!("t{number}"))]),
            value: Value::from(number as f64),
            at: Some(Millis(AT - number)),
        };
        let (at, start) = (Some(Millis(AT - 10 - number)), Some(Millis(1_000 + number)));
        Some(Box::new(Own { at, start, exemplars: vec![observed] }))
    };
    let series = (0..6).map(|number| Series {
        labels: labels(&[("number", &number.to_string())]),
        value: Value::from(number as f64),
        own: own(number),
    });
    let family = Family {
        name: MetricName::new("app_total").unwrap(),
        of: None,
        kind: Kind::Counter,
        help: "x".into(),
        unit: "".into(),
        role: Role::Relayed,
        series: series.collect(),
    };
    let mut encoder = encoder(&["{source_labels: [number], regex: '[024]', action: drop}"]);
    let leaves = outgoing(&mut encoder, record(AT, vec![family]));
    assert_eq!([leaves.range(&(0..6)), leaves.range(&(0..3)), leaves.range(&(2..3))], [0..3, 0..1, 1..1]);
    let [_, two] = requests(&mut encoder, &leaves);
    let request = v2::Request::decode(&*unpacked(&two)).unwrap();
    let found: Vec<_> = read_two(&two)
        .into_iter()
        .map(|(labels, one)| {
            let [sample] = &one.samples[..] else { panic!("one sample") };
            let [observed] = &one.exemplars[..] else { panic!("one exemplar") };
            let trace = request.symbols[observed.labels_refs[1] as usize].clone();
            (labels["number"].clone(), sample.timestamp, sample.start_timestamp, trace, observed.timestamp)
        })
        .collect();
    let expected = [1, 3, 5].map(|number| {
        (number.to_string(), AT - 10 - number, 1_000 + number, format!("t{number}"), AT - number)
    });
    assert_eq!(found, expected);
}

fn rig(url: &str, lines: &[&str]) -> Rig {
    let mut rig = Rig::new(url);
    rig.endpoint.write_relabel = rules(lines);
    rig
}

#[rstest]
#[tokio::test]
async fn what_no_rule_lets_leave_is_acknowledged_without_a_request(
    #[values(ProtobufMessage::V1, ProtobufMessage::V2)] message: ProtobufMessage,
) {
    let server = simulated(Personality::Prometheus3).await;
    let rig = rig(&server.write_url(), &["{source_labels: [fleet_name], regex: 'a.*', action: drop}"]);
    let rig = rig.message(message);
    for tick in 0..3 {
        rig.append(AT + tick, &[("a1", 1.0), ("a2", 2.0)]);
    }
    let drained = rig.drain().await;
    assert_eq!((drained.delivered_samples, drained.refused_samples, drained.waiting_samples), (0, 0, 0));
    assert_eq!(data(&server), []);
    rig.append(AT + 3, &[("a1", 1.0), ("b", 2.0), ("a2", 1.0)]);
    assert_eq!(rig.drain().await.delivered_samples, 1);
    assert_eq!(stored(&server, "b"), [(AT + 3, 2.0)]);
    assert_eq!(rig.metric("prometheus_remote_storage_samples_total", &["test"]), 1.0);
    assert_eq!(rig.metric("fleetpush_sink_dropped_samples_total", &["test"]), 0.0);
}

#[tokio::test]
async fn series_that_become_equal_or_nameless_are_counted_and_named_once() {
    let server = simulated(Personality::Prometheus3).await;
    let rig = rig(
        &server.write_url(),
        &[
            "{source_labels: [fleet_name], regex: 'n', target_label: __name__, replacement: ''}",
            "{regex: fleet_name, action: labeldrop}",
        ],
    );
    for tick in 0..3 {
        rig.append(AT + tick, &[("a", 1.0), ("b", 2.0), ("c", 3.0), ("n", 4.0)]);
    }
    let drained = rig.drain().await;
    assert_eq!((drained.delivered_samples, drained.waiting_samples), (3, 0));
    let held = |reason| rig.metric("fleetpush_sink_dropped_samples_total", &[reason]);
    assert_eq!((held("equal_series"), held("no_name")), (6.0, 3.0));
    assert_eq!(rig.metric("prometheus_remote_storage_samples_failed_total", &["test"]), 9.0);
    let all = server.samples();
    let [(found, samples)] = &all.iter().collect::<Vec<_>>()[..] else { panic!("{all:?}") };
    assert_eq!(found.get("job").map(String::as_str), Some("balena"));
    assert_eq!(
        samples.iter().map(|s| (s.timestamp, s.value())).collect::<Vec<_>>(),
        [(AT, 1.0), (AT + 1, 1.0), (AT + 2, 1.0)]
    );
    assert_eq!(rig.status().map(|status| status.dropped), Some(9));
}

#[rstest]
#[case::one_at_a_time(1)]
#[case::several_at_once(4)]
#[tokio::test]
async fn requests_are_cut_where_they_would_be_and_nothing_comes_twice(#[case] shards: usize) {
    let server = simulated(Personality::Prometheus3).await;
    let mut rig =
        rig(&server.write_url(), &["{source_labels: [fleet_name], regex: 'f00[01349]', action: drop}"]);
    (rig.endpoint.max_samples_per_send, rig.endpoint.max_shards, rig.max_samples) = (2, shards, 7);
    for tick in 0..4 {
        rig.append_many(AT + tick, 12);
    }
    let drained = rig.drain().await;
    assert_eq!((drained.delivered_samples, drained.waiting_samples), (4 * 7, 0));
    let mut requests: Vec<usize> = data(&server).iter().map(|(_, samples, _)| *samples).collect();
    requests.sort_unstable();
    // By samples of the record: {0,1} {2,3} {4,5} {6} and {7,8} {9,10} {11}.
    assert_eq!(requests, [[1; 20].as_slice(), &[2; 4]].concat());
    for fleet in ["f002", "f005", "f006", "f007", "f008", "f010", "f011"] {
        assert_eq!(stored(&server, fleet).len(), 4, "{fleet}");
    }
}

#[tokio::test]
async fn records_leave_under_the_labels_that_were_in_force_when_they_were_made() {
    let server = simulated(Personality::Prometheus3).await;
    let rig = rig(&server.write_url(), &["{target_label: now, replacement: configured}"]);
    let terms = |labelling: Labelling| labelling.to_bytes().into();
    let turn = |after, terms| vec![Turn { endpoint: "test".into(), after, terms }];
    let nothing = || Entry { source: String::new(), scope: Told::None, records: Vec::new() };
    let turns = [
        turn(0, terms(Labelling::By { external: labels(&[("old", "external")]), rules: Rules::default() })),
        turn(
            0,
            terms(Labelling::By {
                external: Set::default(),
                rules: rules(&["{regex: job, action: labeldrop}"]),
            }),
        ),
        turn(0, terms(Labelling::Nothing)),
        turn(0, Arc::new([])),
        turn(0, Arc::from(&b"of another version"[..])),
    ];
    rig.append(AT, &[("f0", 1.0)]);
    for (number, turns) in (1..).zip(turns) {
        assert_eq!(blocked(rig.queue.append_turning(nothing(), turns)), Appended::default());
        rig.append(AT + number, &[(&format!("f{number}"), 1.0)]);
    }
    let drained = rig.drain().await;
    assert_eq!((drained.delivered_samples, drained.waiting_samples), (5, 0));
    let found: Vec<_> = server.samples().into_keys().collect();
    let of = |fleet: &str, more: &[(&str, &str)]| {
        let all = [("__name__", "balena_devices"), ("fleet_name", fleet)];
        let all = all.iter().chain(more).map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        all.collect::<Labels>()
    };
    let configured = [("job", "balena"), ("now", "configured")];
    let mut expected = vec![
        of("f0", &configured),
        of("f1", &[("job", "balena"), ("old", "external")]),
        of("f2", &[]),
        of("f4", &configured),
        of("f5", &configured),
    ];
    expected.sort();
    let found: BTreeSet<Labels> = found.into_iter().collect();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
}
