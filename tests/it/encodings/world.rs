//! What goes into the encoders: batches of hostile names and numbers, and the same again in plain words, from
//! which the tests say what must come out.

use std::collections::{BTreeMap, BTreeSet};

use fleetpush::encode::record::Identity;
use fleetpush::sample::{
    Batch, Ended, Exemplar, Family, Kind, LabelName, Labels, MetricName, Millis, Own, Role, Scope, Series,
    SeriesId, Source, Text, Value,
};
use proptest::bool::weighted;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::sample::select;
use proptest::string::string_regex;
use proptest::test_runner::RngAlgorithm;

use crate::strict::Pairs;

/// So many worlds for each rule; nothing is written to disk about a failure, the test prints it.
pub fn cases() -> ProptestConfig {
    // The other one takes half of the time, unoptimized.
    let rng_algorithm = RngAlgorithm::XorShift;
    ProptestConfig { cases: 256, failure_persistence: None, rng_algorithm, ..ProptestConfig::default() }
}

/// A family in plain words.
#[derive(Clone, Debug)]
pub struct Said {
    pub name: String,
    pub kind: Kind,
    pub help: String,
    pub unit: String,
    /// Another name under which type, help and unit are told.
    pub of: Option<String>,
    pub role: Role,
    /// Whether the batches have it; of one that they no longer have, only ends are told.
    pub is_told: bool,
}

/// A series in plain words.
#[derive(Clone, Debug)]
pub struct One {
    /// Position in the world's families.
    pub family: usize,
    /// Sorted by the bytes of the names, without empty values.
    pub labels: BTreeMap<String, String>,
    pub bits: u64,
    pub mine: Mine,
}

/// What is said of one sample alone: times, and exemplars as labels, bits and time.
#[derive(Clone, Debug, Default)]
pub struct Mine {
    pub at: Option<i64>,
    pub start: Option<i64>,
    pub exemplars: Vec<(BTreeMap<String, String>, u64, Option<i64>)>,
}

/// What must come of it: time, start, exemplars.
pub type Beside = (i64, i64, Vec<(Pairs, u64, i64)>);

/// A batch in plain words and as itself.
#[derive(Clone, Debug)]
pub struct Told {
    pub batch: Batch,
    pub at: i64,
    pub series: Vec<One>,
    pub ended: Vec<Ended>,
    pub ended_series: Vec<One>,
}

#[derive(Clone, Debug)]
pub struct World {
    pub families: Vec<Said>,
    /// At least one; the families' series by batch.
    pub told: Vec<Told>,
    pub identity: Identity,
    pub external: BTreeMap<String, String>,
    pub max_samples: usize,
}

impl World {
    pub fn batches(&self) -> Vec<&Batch> {
        self.told.iter().map(|told| &told.batch).collect()
    }

    pub fn external(&self) -> Labels {
        labels(&self.external)
    }

    /// What a series is called in remote write and in a record, external labels apart.
    pub fn full(&self, one: &One) -> BTreeMap<String, String> {
        let said = &self.families[one.family];
        let mut all = one.labels.clone();
        let mut add = |name: &str, value: &str| {
            if !value.is_empty() {
                all.entry(name.to_owned()).or_insert_with(|| value.to_owned());
            }
        };
        if said.role != Role::Relayed {
            add("job", &self.identity.job);
        }
        if said.role == Role::State {
            add("instance", &self.identity.instance);
        }
        all.insert("__name__".to_owned(), said.name.clone());
        all
    }

    /// All series of a batch as a record has them, with their families' positions.
    pub fn recorded(&self, told: &Told) -> Vec<(Pairs, usize, u64)> {
        let all = told.series.iter().chain(&told.ended_series);
        all.map(|one| (pairs(&self.full(one)), one.family, one.bits)).collect()
    }

    /// What is said beside the values of the same series.
    pub fn beside(&self, told: &Told) -> Vec<Beside> {
        let of = |one: &One| {
            let time = one.mine.at.unwrap_or(told.at);
            let counts =
                [Kind::Counter, Kind::Histogram, Kind::Summary].contains(&self.families[one.family].kind);
            let start = one.mine.start.filter(|start| counts && *start > 0 && *start < time).unwrap_or(0);
            let exemplar =
                |(labels, bits, at): &(_, u64, Option<i64>)| (pairs(labels), *bits, at.unwrap_or(time));
            (time, start, one.mine.exemplars.iter().map(exemplar).collect())
        };
        told.series.iter().chain(&told.ended_series).map(of).collect()
    }

    /// The same with external labels where a series lacks them.
    pub fn sent(&self, told: &Told) -> Vec<(Pairs, usize, u64)> {
        let with = |labels: Pairs| {
            let mut all = self.external.clone();
            all.extend(labels);
            pairs(&all)
        };
        self.recorded(told).into_iter().map(|(labels, family, bits)| (with(labels), family, bits)).collect()
    }
}

pub fn pairs(labels: &BTreeMap<String, String>) -> Pairs {
    labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn labels(pairs: &BTreeMap<String, String>) -> Labels {
    let named = pairs.iter().map(|(name, value)| (LabelName::new(name).unwrap(), Text::from(value.as_str())));
    Labels::new(named).unwrap()
}

/// Any UTF-8, and what breaks whoever builds text by hand.
pub fn text() -> impl Strategy<Value = String> {
    const HOSTILE: [&str; 22] = [
        "",
        "\"",
        "\\",
        "\n",
        "\\n",
        "\\\"",
        "a\\",
        "},{=",
        "a,b",
        "{",
        "}",
        " ",
        "\t\r\n\0",
        "# EOF",
        "\n# EOF\n",
        "# HELP a b",
        "emoji 🦊 ünïcödé",
        "\u{2028}",
        "\u{feff}",
        "__name__",
        "job",
        "\u{10ffff}",
    ];
    prop_oneof![
        3 => select(&HOSTILE[..]).prop_map(str::to_owned),
        2 => proptest::collection::vec(any::<char>(), 0..12).prop_map(String::from_iter),
        2 => word("[a-z]{1,4}"),
        1 => any::<char>().prop_map(|c| c.to_string().repeat(300)),
        1 => select(&HOSTILE[..]).prop_map(|piece| piece.repeat(300 / piece.len().max(1))),
    ]
}

/// Parsed once, unlike a pattern that stands alone.
fn word(pattern: &str) -> impl Strategy<Value = String> + use<> {
    string_regex(pattern).unwrap()
}

fn label_name() -> impl Strategy<Value = String> {
    // Those around `__name__` in the order of bytes, which is not always the first.
    const NEAR: [&str; 12] = [
        "A",
        "Z",
        "_",
        "__",
        "___",
        "__NAME__",
        "__nam",
        "__name",
        "__name_",
        "__name___",
        "fleet_name",
        "a",
    ];
    prop_oneof![
        4 => select(&NEAR[..]).prop_map(str::to_owned),
        1 => select(&["job", "instance"][..]).prop_map(str::to_owned),
        3 => word("[a-zA-Z_][a-zA-Z0-9_]{0,6}"),
    ]
    .prop_filter("a series' name stands apart", |name| name != "__name__")
}

fn label_set(most: usize) -> impl Strategy<Value = Vec<(String, String)>> {
    proptest::collection::vec((label_name(), text()), 0..=most)
}

/// Several with one value that no series may have: it must stand among the symbols once.
fn external_labels() -> impl Strategy<Value = Vec<(String, String)>> {
    let value = prop_oneof![text(), select(&["north-7", "__nam"][..]).prop_map(str::to_owned)];
    proptest::collection::vec((label_name(), value), 0..=4)
}

/// The bits of a value.
fn bits() -> impl Strategy<Value = u64> {
    const SPECIAL: [u64; 14] = [
        0x7ff0_0000_0000_0002,
        0x7ff8_0000_0000_0001,
        0x7ff8_0000_0000_0002,
        0x7ff0_0000_0000_0001,
        0xfff0_0000_0000_0002,
        0xffff_ffff_ffff_ffff,
        0x7ff0_0000_0000_0000,
        0xfff0_0000_0000_0000,
        0x8000_0000_0000_0000,
        0x0000_0000_0000_0001,
        0x000f_ffff_ffff_ffff,
        0x7fef_ffff_ffff_ffff,
        0xffef_ffff_ffff_ffff,
        0x3fb9_9999_9999_999a,
    ];
    prop_oneof![
        3 => select(&SPECIAL[..]),
        2 => any::<u64>(),
        3 => (0..5_000_u32).prop_map(|number| f64::from(number).to_bits()),
        1 => Just(0),
    ]
}

type Drawn = (usize, usize, Vec<(String, String)>, u64, bool, DrawnMine);

/// Times by how much they are later than the batch's.
type DrawnMine = (Option<i64>, Option<i64>, Vec<(Vec<(String, String)>, u64, Option<i64>)>);

/// Of ours, or relayed.
pub fn world() -> impl Strategy<Value = World> {
    prop_oneof![of_ours(), relayed()]
}

/// Up to 100 series, mostly under 60 of them alive, of up to six families in up to three batches, some of them ended.
pub fn of_ours() -> impl Strategy<Value = World> {
    let kinds = &[Kind::Gauge, Kind::Counter, Kind::Info, Kind::Unknown];
    drawn(select(&kinds[..]), select(&[Role::Fleet, Role::State][..]), Just((None, None, Vec::new())))
}

/// The same of relayed pages: every type, units, and now and then a time, a start or exemplars.
pub fn relayed() -> impl Strategy<Value = World> {
    let late = || proptest::option::weighted(0.2, -1_000_000..=300_000_i64);
    let exemplar = (label_set(2), bits(), late());
    let exemplars = prop_oneof![4 => Just(Vec::new()), 1 => proptest::collection::vec(exemplar, 1..=2)];
    drawn((0..8_u32).prop_map(Kind::from_number), Just(Role::Relayed), (late(), late(), exemplars))
}

fn drawn(
    kind: impl Strategy<Value = Kind>,
    role: impl Strategy<Value = Role>,
    mine: impl Strategy<Value = DrawnMine>,
) -> impl Strategy<Value = World> {
    let families = proptest::collection::vec(
        (word("[a-zA-Z_:][a-zA-Z0-9_:]{0,6}"), kind, (text(), word("s|bytes|")), role, weighted(0.85)),
        1..=6,
    );
    let series = (0..6_usize, 0..3_usize, label_set(5), bits(), weighted(0.15), mine);
    let series = proptest::collection::vec(series, 0..=90);
    let time = prop_oneof![Just(1_700_000_000_000_i64), Just(0), any::<i64>()];
    let identity = (text(), text());
    (families, series, 1..=3_usize, time, identity, external_labels(), 1..=70_usize).prop_map(
        |(families, drawn, batches, at, (job, instance), external, max_samples)| {
            let families = families.into_iter().enumerate().map(said).collect();
            let identity = Identity { job: job.into(), instance: instance.into() };
            let mut external = set(external);
            external.retain(|_, value| !value.is_empty());
            let mut world = World { families, told: Vec::new(), identity, external, max_samples };
            world.tell(drawn, batches, at);
            world
        },
    )
}

type DrawnFamily = (String, Kind, (String, String), Role, bool);

/// Names end as their kinds want it, and differ also without that end. Of a family that is not told, neither
/// type nor help is known.
fn said((number, (stem, kind, (help, unit), role, is_told)): (usize, DrawnFamily)) -> Said {
    let (kind, help) = if is_told { (kind, help) } else { (Kind::Unknown, String::new()) };
    let base = format!("{stem}_{number}");
    let end = match kind {
        Kind::Counter => "_total",
        Kind::Info => "_info",
        Kind::Histogram => "_bucket",
        Kind::Summary => "_sum",
        Kind::GaugeHistogram => "_gcount",
        Kind::Unknown | Kind::Gauge | Kind::StateSet => "",
    };
    let (name, is_relayed) = (format!("{base}{end}"), role == Role::Relayed && is_told);
    let unit = if is_relayed { unit } else { String::new() };
    Said { name, kind, help, unit, of: is_relayed.then_some(base), role, is_told }
}

/// Of two labels of one name the first.
fn set(drawn: Vec<(String, String)>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, value) in drawn {
        all.entry(name).or_insert(value);
    }
    all
}

/// With times that can be said, and without empty values.
fn mine_at(at: i64, (own, start, exemplars): DrawnMine) -> Mine {
    let late = |late: Option<i64>| late.and_then(|late| at.checked_add(late)).filter(|time| *time != 0);
    let own = late(own);
    let exemplars = exemplars.into_iter().map(|(labels, bits, late)| {
        let mut labels = set(labels);
        labels.retain(|_, value| !value.is_empty());
        let time = late.and_then(|late| own.unwrap_or(at).checked_add(late));
        (labels, bits, time.filter(|time| *time != 0))
    });
    // A receiver takes a zero for none.
    let exemplars = exemplars.filter(|(.., time)| time.or(own).unwrap_or(at) != 0);
    Mine { at: own, start: late(start), exemplars: exemplars.collect() }
}

fn own(mine: &Mine) -> Option<Box<Own>> {
    let exemplars = mine.exemplars.iter().map(|(pairs, bits, at)| Exemplar {
        labels: labels(pairs),
        value: Value::from_bits(*bits),
        at: at.map(Millis),
    });
    let exemplars: Vec<Exemplar> = exemplars.collect();
    let says_something = mine.at.is_some() || mine.start.is_some() || !exemplars.is_empty();
    let own = Own { at: mine.at.map(Millis), start: mine.start.map(Millis), exemplars };
    says_something.then(|| Box::new(own))
}

/// OpenMetrics has no counter below zero and no info but 1.
fn fitting(kind: Kind, bits: u64) -> u64 {
    match kind {
        Kind::Counter if f64::from_bits(bits).is_nan() && bits != Value::STALE.bits() => 0,
        Kind::Counter => bits & !(1 << 63),
        Kind::Info => 1.0_f64.to_bits(),
        _ => bits,
    }
}

impl World {
    fn tell(&mut self, drawn: Vec<Drawn>, batches: usize, at: i64) {
        let mut parts: Vec<(Vec<One>, Vec<One>, Vec<Labels>)> = vec![Default::default(); batches];
        let mut seen = BTreeSet::new();
        for (family, batch, drawn, bits, has_ended, mine) in drawn {
            let family = family % self.families.len();
            let raw = set(drawn);
            let has_ended = has_ended || !self.families[family].is_told;
            let mut full = raw.clone();
            full.retain(|_, value| !value.is_empty());
            let bits =
                if has_ended { Value::STALE.bits() } else { fitting(self.families[family].kind, bits) };
            let mine = if has_ended { Mine::default() } else { mine_at(at, mine) };
            let one = One { family, labels: full, bits, mine };
            // Two series must differ wherever they stand: on one page, and with all labels that are added.
            let mut sent = self.external.clone();
            sent.extend(self.full(&one));
            if !seen.insert(sent) {
                continue;
            }
            let (series, ended, given) = &mut parts[batch % batches];
            if has_ended {
                ended.push(one);
            } else {
                series.push(one);
                // Empty values go in, and must vanish.
                given.push(labels(&raw));
            }
        }
        for (number, (series, ended_series, given)) in parts.into_iter().enumerate() {
            let source = match self.families.iter().all(|said| said.role == Role::Relayed) {
                true => Source::Target { job: "j".into(), instance: number.to_string().as_str().into() },
                false if number == 0 => Source::Own,
                false => Source::Account(number.to_string().into()),
            };
            let told = self.families.iter().enumerate().filter(|(_, said)| said.is_told);
            let families = told.map(|(position, said)| Family {
                name: MetricName::new(&said.name).unwrap(),
                kind: said.kind,
                help: said.help.as_str().into(),
                role: said.role,
                series: series
                    .iter()
                    .zip(&given)
                    .filter(|(one, _)| one.family == position)
                    .map(|(one, labels)| Series {
                        labels: labels.clone(),
                        value: Value::from_bits(one.bits),
                        own: own(&one.mine),
                    })
                    .collect(),
                of: said.of.as_ref().map(|of| MetricName::new(of).unwrap()),
                unit: said.unit.as_str().into(),
            });
            let batch = Batch::new(source, Millis(at), Scope::Whole, families.collect()).unwrap();
            let ended = ended_series.iter().map(|one| Ended {
                id: SeriesId {
                    name: MetricName::new(&self.families[one.family].name).unwrap(),
                    labels: labels(&one.labels),
                },
                role: self.families[one.family].role,
                meaning: None,
            });
            let ended = ended.collect();
            // A batch is told by families; of one family in the order of drawing.
            let mut series = series;
            series.sort_by_key(|one| one.family);
            self.told.push(Told { batch, at, series, ended, ended_series });
        }
    }
}
