//! What is kept from tick to tick changes no byte: a cutter cuts and an encoder writes whatever comes as if it
//! had met nothing before.

use std::sync::Arc;

use fleetpush::encode::record::{self, Cutter, Flat, Identity};
use fleetpush::encode::rw1::Metadata;
use fleetpush::encode::{Encoder, Exemplars, rw1, rw2};
use fleetpush::pb::record as pb;
use fleetpush::sample::{
    Batch, Family, Kind, LabelName, Labels, MetricName, Millis, Own, Role, Scope, Series, SeriesSet, Source,
    Text, Value,
};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::sample::{Index, select};
use proptest::{prop_assert, prop_assert_eq};
use prost::Message;

use crate::relay_batch::{batch, exemplar, part, series, target, with};

const AT: i64 = 1_790_000_000_123;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::new(pairs.iter().map(|(name, value)| (LabelName::new(name).unwrap(), Text::from(*value))))
        .unwrap()
}

fn identity(instance: &str) -> Identity {
    Identity { job: "balena".into(), instance: instance.into() }
}

/// One tick of a source, from a handful of choices, so that the same often comes again.
#[derive(Clone, Debug)]
struct Tick {
    fleets: &'static [&'static str],
    help: &'static str,
    kind: Kind,
    role: Role,
    scope: Scope,
    instance: &'static str,
    max_samples: usize,
    values: Vec<u64>,
}

fn tick() -> impl Strategy<Value = Tick> {
    // The first choice of each is the usual one.
    let fleets: [&'static [&'static str]; 5] =
        [&["a", "b", "c"], &["a", "b"], &["b", "a", "c"], &["a", "b", "x"], &[]];
    let fleets = prop_oneof![6 => Just(fleets[0]), 2 => select(fleets.to_vec())];
    let words = (
        prop_oneof![6 => Just("online"), 1 => Just("on line")],
        prop_oneof![6 => Just(Kind::Gauge), 1 => Just(Kind::Unknown)],
        prop_oneof![6 => Just(Role::Fleet), 1 => Just(Role::State)],
    );
    let scope = prop_oneof![5 => Just(Scope::Whole), 1 => Just(Scope::StateOnly)];
    let settings =
        (prop_oneof![6 => Just("x"), 1 => Just("y")], prop_oneof![6 => Just(2_usize), 1 => 1_usize..5]);
    (fleets, words, scope, settings, vec(bits(), 4)).prop_map(
        |(fleets, (help, kind, role), scope, (instance, max_samples), values)| Tick {
            fleets,
            help,
            kind,
            role,
            scope,
            instance,
            max_samples,
            values,
        },
    )
}

fn bits() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1 << 63), Just(Value::STALE.bits()), Just(1.0_f64.to_bits()), any::<u64>()]
}

impl Tick {
    fn batch(&self, at: i64) -> Batch {
        let mut values = self.values.iter().map(|bits| Value::from_bits(*bits));
        let mut value = || values.next().unwrap();
        let up = Family {
            name: MetricName::new("balena_up").unwrap(),
            kind: Kind::Gauge,
            help: "up".into(),
            role: Role::State,
            series: vec![Series { labels: Labels::default(), value: value(), own: None }],
            of: None,
            unit: "".into(),
        };
        let fleets = Family {
            name: MetricName::new("balena_devices").unwrap(),
            kind: self.kind,
            help: self.help.into(),
            role: self.role,
            series: self
                .fleets
                .iter()
                .map(|name| Series { labels: labels(&[("fleet_name", name)]), value: value(), own: None })
                .collect(),
            of: None,
            unit: "".into(),
        };
        let families = if self.scope == Scope::Whole { vec![up, fleets] } else { vec![up] };
        Batch::new(Source::Own, Millis(at), self.scope, families).unwrap()
    }
}

/// A record of one of three layouts, with values and a time.
#[derive(Clone, Debug)]
struct Sent {
    layout: Index,
    values: Vec<u64>,
    at: i64,
    range: (Index, Index),
    is_whole: bool,
    is_two: bool,
    metadata: Metadata,
    /// Whether what is said beside the values is left out, which leaves the layout as it was.
    is_bare: bool,
    /// Which endpoint's.
    endpoint: Index,
    by_plain_read: bool,
}

fn sent() -> impl Strategy<Value = Sent> {
    let at = prop_oneof![
        6 => AT..AT + 100_000,
        1 => select(vec![0, 1, -1, i64::MIN, i64::MAX, (1 << 35) - 1, 1 << 35, (1 << 42) - 1, 1 << 42]),
    ];
    let metadata = select(vec![Metadata::With, Metadata::Without]);
    let how = (any::<bool>(), any::<bool>(), metadata, any::<bool>(), any::<bool>());
    (any::<(Index, Index, Index, Index)>(), vec(bits(), 8), at, how).prop_map(
        |((layout, from, to, endpoint), values, at, (is_whole, is_two, metadata, by_plain_read, is_bare))| {
            Sent {
                layout,
                values,
                at,
                range: (from, to),
                is_whole,
                is_two,
                metadata,
                is_bare,
                endpoint,
                by_plain_read,
            }
        },
    )
}

/// Records of different series, of which some share a number of them, and of the same ones with other words.
fn records() -> Vec<pb::Record> {
    let tick = |fleets, help| Tick {
        fleets,
        help,
        kind: Kind::Gauge,
        role: Role::Fleet,
        scope: Scope::Whole,
        instance: "x",
        max_samples: 8,
        values: vec![0; 8],
    };
    let ticks = [
        tick(&["a", "b", "c"], "online"),
        tick(&["a", "b", "c"], "on line"),
        tick(&["a", "b", "d"], "online"),
        tick(&["a", "zone", "north", "x", "lobby"], ""),
    ];
    let cut = ticks.iter().flat_map(|tick| record::cut(&tick.batch(AT), &[], &identity("x"), 8));
    // Exemplars without times of their own, since the records get others.
    let own = |trace: &str, start| Own {
        start: Some(Millis(start)),
        exemplars: vec![exemplar(&[("trace_id", trace), ("site", "north")], 1.5, None)],
        at: None,
    };
    let counted = |name: &str, start| {
        let series = |fleet, own| with(series(&[("fleet_name", fleet)], 1.0), own);
        let all =
            vec![series("a", own("lobby", start)), series("b", Own::default()), series("c", own("x", 7))];
        part(name, "_total", Kind::Counter, all)
    };
    let relayed = batch(&target("node", "north"), AT, vec![counted("one", AT - 5), counted("other", 9)]);
    let cut = cut.chain(record::cut(&relayed, &[], &identity("x"), 8));
    cut.map(|record| pb::Record::decode(&*record.bytes()).unwrap()).collect()
}

impl Sent {
    fn record(&self, all: &[pb::Record]) -> Arc<[u8]> {
        let mut record = self.layout.get(all).clone();
        record.timestamp = self.at;
        if self.is_bare {
            record.start_timestamps.clear();
            record.exemplars.clear();
        }
        record.value_bits.iter_mut().zip(&self.values).for_each(|(old, new)| *old = *new);
        record.encode_to_vec().into()
    }
}

fn unpacked(body: &[u8]) -> Vec<u8> {
    snap::raw::Decoder::new().decompress_vec(body).unwrap()
}

proptest! {
    #[test]
    fn a_cutter_cuts_each_tick_as_if_it_had_cut_none_before(ticks in vec(tick(), 1..12)) {
        let (mut cutter, mut set) = (Cutter::default(), SeriesSet::default());
        for (number, tick) in (0..).zip(&ticks) {
            let batch = tick.batch(AT + number);
            let ended = set.advance(&batch).ended;
            let identity = identity(tick.instance);
            let expected = record::cut(&batch, &ended, &identity, tick.max_samples);
            prop_assert_eq!(cutter.cut(&batch, &identity, tick.max_samples), expected, "tick {}", number);
        }
    }

    #[test]
    fn an_encoder_writes_each_request_as_if_it_had_written_none_before(
        all in vec(sent(), 1..24),
        cache in prop_oneof![Just(0), 1_000_usize..4_000, Just(1 << 20)],
    ) {
        let records = records();
        let external = [
            labels(&[]),
            labels(&[("zone", "north"), ("A", "a"), ("instance", "site")]),
            labels(&[("zone", "south"), ("A", "a"), ("instance", "site")]),
        ];
        let exemplars = [
            [Exemplars::Without, Exemplars::With],
            [Exemplars::With, Exemplars::With],
            [Exemplars::With, Exemplars::Without],
        ];
        let mut encoders = [0, 1, 2].map(|at| {
            let [one, two] = exemplars[at];
            Encoder::with_cache(external[at].clone(), cache).with_exemplars(one, two)
        });
        for sent in &all {
            let bytes = sent.record(&records);
            let endpoint = sent.endpoint.index(external.len());
            let (encoder, external, [one, two]) =
                (&mut encoders[endpoint], &external[endpoint], exemplars[endpoint]);
            let fresh = Flat::read(bytes.clone()).unwrap();
            let flat = if sent.by_plain_read { fresh.clone() } else { encoder.read(bytes.clone()).unwrap() };
            let count = fresh.series_count();
            prop_assert_eq!(flat.series_count(), count);
            prop_assert_eq!(flat.common_timestamp(), sent.at);
            prop_assert_eq!(flat.described(0..count), fresh.described(0..count));
            let ends = [sent.range.0.index(count + 1), sent.range.1.index(count + 1)];
            let range = if sent.is_whole { 0..count } else { ends[0].min(ends[1])..ends[0].max(ends[1]) };
            let (written, expected) = if sent.is_two {
                (encoder.two(&flat, range.clone()), rw2::plain(&fresh, range, external, two))
            } else {
                let expected = rw1::plain(&fresh, range.clone(), external, sent.metadata, one);
                (encoder.one(&flat, range, sent.metadata), expected)
            };
            prop_assert!(unpacked(&written.unwrap()) == expected, "{:?}", sent);
        }
    }
}

#[test]
fn an_encoder_refuses_what_a_plain_read_refuses_also_behind_a_layout_that_it_knows() {
    let good = records()[0].encode_to_vec();
    let mut encoder = Encoder::new(Labels::default());
    encoder.read(good.as_slice()).unwrap();
    let mut refused = 0;
    for at in 0..good.len() {
        for with in [1, 0x80, 0xff] {
            let mut bytes = good.clone();
            bytes[at] ^= with;
            for bytes in [&bytes[..], &good[..at]] {
                let (known, fresh) = (encoder.read(bytes), Flat::read(bytes));
                refused += usize::from(fresh.is_err());
                let said = |read: Result<Flat, _>| match read {
                    Ok(flat) => {
                        let all = 0..flat.series_count();
                        Ok(rw1::plain(&flat, all, &Labels::default(), Metadata::With, Exemplars::With))
                    }
                    Err(error) => Err(format!("{error}")),
                };
                assert_eq!(said(known), said(fresh), "byte {at} ^ {with}");
            }
        }
    }
    assert!(refused > good.len(), "only {refused} were refused");
}
