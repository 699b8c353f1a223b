//! The series that are measured: the product's own families of 1,000 fleets, and one series a device with a
//! random uuid, the worst that compression meets.

use std::time::Duration;

use fleetpush::clock::Clock;
use fleetpush::collect::Collector;
use fleetpush::config::{Account, Auth, FleetLabels, HttpSettings, Proxy, Secret, TlsSettings};
use fleetpush::encode::record::{self, Cutter, Identity};
use fleetpush::sample::{
    Batch, Family, Kind, LabelName, Labels, MetricName, Role, Scope, Series, Source, Text, Value,
};

use super::peer::{Peer, TOKEN};

/// `queue.max_samples_per_send`.
pub const REQUEST: usize = 2_000;

/// How many series a cycle has for each fleet.
pub const SERIES_A_FLEET: usize = 14;

/// A collector of a simulated account.
pub fn collector(url: &str) -> Collector {
    let account = Account {
        name: "balena".into(),
        url: url.parse().expect("a URL"),
        api_version: "v7".into(),
        interval: Duration::from_secs(60),
        include: Vec::new(),
        exclude: Vec::new(),
        max_body_size: 512 << 20,
        http: HttpSettings {
            auth: Auth::Header { scheme: "Bearer".into(), credentials: Secret::Value(TOKEN.into()) },
            ..http()
        },
    };
    Collector::new(&account, FleetLabels::NameAndSlug, Duration::from_secs(300), Clock::SYSTEM)
        .expect("usable settings")
}

/// Settings of a client on loopback.
pub fn http() -> HttpSettings {
    HttpSettings {
        auth: Auth::None,
        tls: TlsSettings::default(),
        proxy: Proxy::Direct,
        headers: Vec::new(),
        timeout: Duration::from_secs(30),
    }
}

/// What a cycle says of so many fleets.
pub fn fleets(count: usize) -> Batch {
    let api = Peer::api(count, 20, Duration::ZERO);
    let (batch, report) = super::runtime().block_on(async { collector(&api.url).cycle().await });
    assert_eq!(report.fleets, Some(count), "{:?}", report.error);
    batch
}

/// One gauge for each of so many devices, each with a random uuid: 32 digits that no compression shortens.
pub fn devices(count: usize) -> Batch {
    devices_at(count, 0)
}

/// The same at another tick: other values, and no text is shared with those of before.
pub fn devices_at(count: usize, tick: u64) -> Batch {
    let mut random = fastrand::Rng::with_seed(1);
    devices_with(count, tick, |_| format!("{:032x}", random.u128(..)))
}

/// The same with uuids that count up, which compress. 1.0 leaves an encoder no choice of bytes, so only
/// such uuids explain the fewer bytes that were measured with Prometheus.
pub fn counted_devices(count: usize) -> Batch {
    devices_with(count, 0, |number| format!("{number:032x}"))
}

fn devices_with(count: usize, tick: u64, mut uuid: impl FnMut(usize) -> String) -> Batch {
    let mut random = fastrand::Rng::with_seed(2 + tick);
    let series = (0..count).map(|number| Series {
        labels: labels([
            ("fleet_name", format!("lobby-{}", number / 50)),
            ("device_name", format!("device-{number}")),
            ("device_uuid", uuid(number)),
        ]),
        value: Value::from(f64::from(u8::from(random.u8(..10) > 0))),
        own: None,
    });
    let family = Family {
        name: MetricName::new("balena_device_online").expect("a name"),
        kind: Kind::Gauge,
        help: "Whether the device is online".into(),
        role: Role::Fleet,
        series: series.collect(),
        of: None,
        unit: "".into(),
    };
    Batch::new(Source::Account("balena".into()), Clock::SYSTEM.now(), Scope::Whole, vec![family])
        .expect("no two devices are equal")
}

/// A cycle and those behind it: in each another one of fifty values is not that of the first.
pub fn cycles(first: &Batch) -> [Batch; 4] {
    [0, 1, 2, 3].map(|cycle| {
        let mut random = fastrand::Rng::with_seed(cycle);
        let mut families = first.families().to_vec();
        for series in families.iter_mut().flat_map(|family| &mut family.series) {
            if cycle > 0 && random.u8(..50) == 0 {
                // Offline, or one device more.
                let value = series.value.get();
                series.value = Value::from(if value == 1.0 { 0.0 } else { value + 1.0 });
            }
        }
        Batch::new(first.source().clone(), first.at(), first.scope(), families).expect("the same series")
    })
}

/// The same series as they stand on a page, without their values.
pub fn page_names(count: usize) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(1);
    let name = |number: usize| {
        let uuid = random.u128(..);
        format!(
            "balena_device_online{{fleet_name=\"lobby-{}\",device_name=\"device-{number}\",device_uuid=\"{uuid:032x}\"}}",
            number / 50
        )
    };
    (0..count).map(name).collect()
}

/// The labels of a series.
pub fn labels<const N: usize>(pairs: [(&str, String); N]) -> Labels {
    let named =
        pairs.into_iter().map(|(name, value)| (LabelName::new(name).expect("a name"), Text::from(value)));
    Labels::new(named).expect("no twins")
}

/// With `job` from the record this makes the six labels of the series that the peers were measured with.
pub fn external() -> Labels {
    labels([("instance", "site-7".to_owned())])
}

/// The records of a batch, cut for the first time.
pub fn cut(batch: &Batch) -> Vec<record::Record> {
    record::cut(batch, &[], &identity(), REQUEST)
}

/// The records of a batch, cut as the door cuts it.
pub fn cut_again(batch: &Batch, known: &mut Cutter) -> Vec<record::Record> {
    known.cut(batch, &identity(), REQUEST)
}

/// Who is speaking.
pub fn identity() -> Identity {
    Identity { job: "balena".into(), instance: "site-7".into() }
}
