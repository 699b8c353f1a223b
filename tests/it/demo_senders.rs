//! The simulated receivers take what real senders send: a Prometheus scrapes a page that is known here and sends it
//! on, and what was decoded must be that page. Their Pushgateway stands beside the real ones in `gateway`.

mod gateway;
mod push;
mod pusher;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fleetpush::demo::receiver::{Delivered, Personality, Sample, Series, Server, Version};
use rstest::rstest;
use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::remote_rig::{now, simulated};
use crate::servers::{Labels, Prometheus, Suite, eventually, scrapes};

use Version::{One, Two};

/// A Prometheus finds its targets after five seconds.
const LIMIT: Duration = Duration::from_secs(60);

const PAGE: &str = r#"# HELP fleet_devices Devices \\ of a "fleet",\nin two lines.
# TYPE fleet_devices gauge
fleet_devices{fleet="plain"} 3
fleet_devices{fleet="a \"quote\", a \\ and\na second line"} -2.5
fleet_devices{fleet="{ } # , = ' ünïcode 漢字 🚀"} 1e+300
fleet_devices{fleet=""} 5e-324
fleet_devices{fleet="nan"} NaN
fleet_devices{fleet="+inf"} +Inf
fleet_devices{fleet="-inf"} -Inf
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200"} 12
# HELP wait_seconds Waiting.
# TYPE wait_seconds histogram
wait_seconds_bucket{le="0.25"} 1
wait_seconds_bucket{le="+Inf"} 3
wait_seconds_sum 1.5
wait_seconds_count 3
# HELP size_bytes Sizes.
# TYPE size_bytes summary
size_bytes{quantile="0.5"} 10
size_bytes_sum 40
size_bytes_count 4
# HELP odd_thing Odd.
# TYPE odd_thing untyped
odd_thing 1
bare 2
"#;

/// A family's name, the protocol's number of its type, its help.
type Described = (&'static str, i32, &'static str);

const DEVICES: Described = ("fleet_devices", 2, "Devices \\ of a \"fleet\",\nin two lines.");
const REQUESTS: Described = ("requests_total", 1, "Requests.");
const WAIT: Described = ("wait_seconds", 3, "Waiting.");
const SIZE: Described = ("size_bytes", 5, "Sizes.");
const ODD: Described = ("odd_thing", 0, "Odd.");
const BARE: Described = ("bare", 0, "");

/// The page once more: name, a label, value, family.
const SERIES: [(&str, &str, &str, f64, Described); 17] = [
    ("fleet_devices", "fleet", "plain", 3.0, DEVICES),
    ("fleet_devices", "fleet", "a \"quote\", a \\ and\na second line", -2.5, DEVICES),
    ("fleet_devices", "fleet", "{ } # , = ' ünïcode 漢字 🚀", 1e300, DEVICES),
    ("fleet_devices", "fleet", "", 5e-324, DEVICES),
    ("fleet_devices", "fleet", "nan", f64::from_bits(0x7ff8_0000_0000_0001), DEVICES),
    ("fleet_devices", "fleet", "+inf", f64::INFINITY, DEVICES),
    ("fleet_devices", "fleet", "-inf", f64::NEG_INFINITY, DEVICES),
    ("requests_total", "code", "200", 12.0, REQUESTS),
    ("wait_seconds_bucket", "le", "0.25", 1.0, WAIT),
    ("wait_seconds_bucket", "le", "+Inf", 3.0, WAIT),
    ("wait_seconds_sum", "", "", 1.5, WAIT),
    ("wait_seconds_count", "", "", 3.0, WAIT),
    ("size_bytes", "quantile", "0.5", 10.0, SIZE),
    ("size_bytes_sum", "", "", 40.0, SIZE),
    ("size_bytes_count", "", "", 4.0, SIZE),
    ("odd_thing", "", "", 1.0, ODD),
    ("bare", "", "", 2.0, BARE),
];

/// What a Prometheus adds to each scrape.
const OF_THE_SCRAPE: [&str; 5] = [
    "scrape_duration_seconds",
    "scrape_samples_post_metric_relabeling",
    "scrape_samples_scraped",
    "scrape_series_added",
    "up",
];

/// A page, a Prometheus that scrapes it, and the simulated receiver that it writes to.
struct Chain {
    page: MockServer,
    text: Arc<Mutex<String>>,
    receiver: Server,
    _sender: Prometheus,
}

impl Chain {
    async fn start(suite: Suite, version: Version) -> Self {
        Self::of(suite, version, PAGE, "text/plain; version=0.0.4; charset=utf-8").await
    }

    async fn of(suite: Suite, version: Version, text: &str, content_type: &'static str) -> Self {
        let page = MockServer::start().await;
        let text = Arc::new(Mutex::new(text.to_owned()));
        let served = text.clone();
        let answer = move |_: &Request| {
            let text = served.lock().unwrap_or_else(PoisonError::into_inner).clone();
            ResponseTemplate::new(200).set_body_raw(text, content_type)
        };
        Mock::given(any()).respond_with(answer).mount(&page).await;

        let personality = match suite {
            Suite::Stock => Personality::Prometheus242,
            Suite::New => Personality::Prometheus3,
        };
        let receiver = simulated(personality).await;
        let mut endpoint = json!({
            "url": receiver.write_url(),
            "metadata_config": {"send_interval": "200ms"},
            "send_exemplars": true,
            "queue_config": {"batch_send_deadline": "100ms"},
        });
        let mut features = "--enable-feature=exemplar-storage".to_owned();
        if version == Two {
            endpoint["protobuf_message"] = "io.prometheus.write.v2.Request".into();
            // Without it 2.0 goes out with the types of the scrape's own series only.
            features += ",metadata-wal-records";
        }
        let url = format!("{}/metrics", page.uri());
        let config = json!({
            // Long enough that no scrape of a busy machine fails, as that would end every series.
            "scrape_configs": scrapes(&[("page", &url)], &json!({"scrape_interval": "1s", "scrape_timeout": "1s"})),
            "remote_write": [endpoint],
        });
        let sender = Prometheus::start_with(suite, &config.to_string(), &[&*features]).await;
        Self { page, text, receiver, _sender: sender }
    }

    fn serve(&self, text: &str) {
        text.clone_into(&mut self.text.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// With what a scrape adds; an empty value is no label.
    fn labels(&self, name: &str, label: &str, value: &str) -> Labels {
        let instance = self.page.address().to_string();
        let all = [("__name__", name), (label, value), ("job", "page"), ("instance", &instance)];
        let all = all.into_iter().filter(|(_, value)| !value.is_empty());
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The samples of a series that is stored.
    fn stored(&self, name: &str, label: &str, value: &str) -> Vec<Sample> {
        self.receiver.samples().remove(&self.labels(name, label, value)).unwrap_or_default()
    }

    /// Waits until the receiver has every series of the page.
    async fn whole_page(&self) -> Vec<Arc<Delivered>> {
        eventually("every series of the page has come", LIMIT, async || {
            let all =
                SERIES.iter().all(|(name, label, value, ..)| !self.stored(name, label, value).is_empty());
            all.then(|| self.receiver.deliveries())
        })
        .await
    }
}

#[rstest]
#[case::prometheus_2_in_1_0(Suite::Stock, One)]
#[case::prometheus_3_in_1_0(Suite::New, One)]
#[case::prometheus_3_in_2_0(Suite::New, Two)]
#[tokio::test]
async fn what_is_decoded_of_a_real_sender_is_its_page(#[case] suite: Suite, #[case] version: Version) {
    let started = now();
    let chain = Chain::start(suite, version).await;
    let deliveries = chain.whole_page().await;

    let mut expected = BTreeMap::new();
    for (name, label, value, number, (_, kind, help)) in SERIES {
        let described = if version == Two { (kind, help) } else { (0, "") };
        expected.insert(chain.labels(name, label, value), (number.to_bits(), described));
    }
    let (mut seen, mut others) = (BTreeSet::new(), BTreeSet::new());
    for delivered in &deliveries {
        assert_eq!((delivered.version, delivered.status), (version, 204));
        for series in &delivered.series {
            assert!(series.sent.is_sorted(), "{series:?}");
            assert_eq!(series.sent.len(), series.labels.len());
            let [sample] = series.samples.as_slice() else { panic!("one sample a series: {series:?}") };
            assert!((started..=now()).contains(&sample.timestamp), "{series:?}");
            let Some((bits, described)) = expected.get(&series.labels) else {
                others.insert(series.name());
                continue;
            };
            assert_eq!((sample.bits, (series.kind, &*series.help)), (*bits, *described), "{series:?}");
            seen.insert(series.labels.clone());
        }
    }
    assert_eq!(seen, expected.into_keys().collect());
    assert_eq!(others, BTreeSet::from(OF_THE_SCRAPE));
    assert_eq!(chain.stored("up", "", "")[0].value(), 1.0);
}

#[rstest]
#[case::prometheus_2(Suite::Stock)]
#[case::prometheus_3(Suite::New)]
#[tokio::test]
async fn metadata_messages_of_1_0_are_the_families_of_the_page(#[case] suite: Suite) {
    let chain = Chain::start(suite, One).await;
    let expected = BTreeSet::from([DEVICES, REQUESTS, WAIT, SIZE, ODD]);
    // The first may have been sent while the page was still being read.
    let described = eventually("metadata has come", LIMIT, async || {
        let mut all = chain.receiver.deliveries().into_iter();
        all.find(|delivered| delivered.metadata.len() >= expected.len())
    })
    .await;
    let families: Vec<_> = described.metadata.iter().map(|m| (&*m.family, m.kind, &*m.help)).collect();
    assert_eq!(families.len(), expected.len(), "each once: {families:?}");
    assert_eq!(BTreeSet::from_iter(families), expected);
    assert!(described.metadata.iter().all(|metadata| metadata.unit.is_empty()));
    assert_eq!((described.series.len(), described.written, described.status), (0, 0, 204));
}

#[rstest]
#[case::prometheus_2_in_1_0(Suite::Stock, One)]
#[case::prometheus_3_in_1_0(Suite::New, One)]
#[case::prometheus_3_in_2_0(Suite::New, Two)]
#[tokio::test]
async fn a_series_that_leaves_the_page_ends_with_one_stale_marker(
    #[case] suite: Suite,
    #[case] version: Version,
) {
    let chain = Chain::start(suite, version).await;
    chain.whole_page().await;
    let gone = || chain.stored("requests_total", "code", "200");
    let markers = |samples: &[Sample]| samples.iter().filter(|sample| sample.is_stale_marker()).count();
    assert_eq!(markers(&gone()), 0);

    let line = "requests_total{code=\"200\"} 12\n";
    assert!(PAGE.contains(line));
    chain.serve(&PAGE.replace(line, ""));
    let marker =
        eventually("a stale marker comes", LIMIT, async || gone().into_iter().find(Sample::is_stale_marker))
            .await;
    eventually("another series goes on", LIMIT, async || {
        (chain.stored("bare", "", "").last()?.timestamp > marker.timestamp).then_some(())
    })
    .await;
    let samples = gone();
    assert_eq!((samples.last(), markers(&samples)), (Some(&marker), 1));
    assert!(samples.is_sorted_by(|one, next| one.timestamp < next.timestamp));
    assert_eq!(markers(&chain.stored("bare", "", "")), 0);

    chain.serve(PAGE);
    eventually("it comes back", LIMIT, async || {
        let last = *gone().last()?;
        (last.timestamp > marker.timestamp && last.value() == 12.0).then_some(())
    })
    .await;
}

/// A Prometheus sends an exemplar as a series of its own, without a sample.
#[tokio::test]
async fn units_and_exemplars_of_an_openmetrics_page_come_through_in_2_0() {
    let page = "# TYPE wait_seconds gauge\n# UNIT wait_seconds seconds\n# HELP wait_seconds Waiting.\n\
        wait_seconds 3\n# TYPE requests counter\nrequests_total 5 # {trace=\"abc\"} 1.5\n# EOF\n";
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let chain = Chain::of(Suite::New, Two, page, content_type).await;
    let requests = chain.labels("requests_total", "", "");
    let wait = chain.labels("wait_seconds", "", "");
    let deliveries = eventually("an exemplar has come", LIMIT, async || {
        let deliveries = chain.receiver.deliveries();
        let mut series = deliveries.iter().flat_map(|delivered| &delivered.series);
        series.any(|series| series.exemplars > 0).then_some(deliveries)
    })
    .await;
    assert!(deliveries.iter().all(|delivered| delivered.status == 204));
    let of = |labels: &Labels, exemplars: usize| -> Series {
        let mut all = deliveries.iter().flat_map(|delivered| &delivered.series);
        let one = all.find(|series| series.labels == *labels && series.exemplars == exemplars);
        one.cloned().expect("it has come")
    };
    let exemplar = of(&requests, 1);
    assert_eq!((exemplar.exemplars, exemplar.samples.len(), exemplar.kind), (1, 0, 1));
    let counter = of(&requests, 0);
    assert_eq!((counter.samples[0].value(), counter.kind, &*counter.unit), (5.0, 1, ""));
    let gauge = of(&wait, 0);
    assert_eq!((gauge.samples[0].value(), gauge.kind), (3.0, 2));
    assert_eq!((&*gauge.help, &*gauge.unit), ("Waiting.", "seconds"));
}
