//! The whole way: a simulated account, the real binary, real receivers. What each receiver holds is compared
//! with the account itself, value for value and label for label.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetpush::demo::balena::{self, Device, Fleet, Simulation};
use fleetpush::demo::receiver::{self, Personality, Version};
use rstest::rstest;
use serde_json::json;

use crate::program::{LIMIT, Program, get};
use crate::servers::{
    Labels, Prometheus, Pushgateway, Suite, VictoriaMetrics, eventually, promtool_check_metrics,
};

/// Names that break whoever builds text by hand.
pub const HOSTILE: [&str; 8] = [
    "quo\"te",
    "back\\slash",
    "new\nline",
    "com,ma{bra=ce}",
    "emoji 🦊 ünïcödé",
    "# HELP fake",
    " lead and trail ",
    "percent%2Fslash/dot..",
];

/// An account of 50 fleets: hostile names, one of 300 characters, empty ones, and every kind of device.
fn account() -> Simulation {
    let simulation = Simulation::new();
    let long = "x".repeat(300);
    let names = HOSTILE.iter().map(|name| (*name).to_owned()).chain([long]);
    let names: Vec<String> = names.chain((0..41).map(|number| format!("fleet-{number}"))).collect();
    for (number, name) in names.iter().enumerate() {
        let fleet = Fleet::new("acme", name)
            .devices(number, &Device::operational())
            .devices(number % 3, &Device::disconnected())
            .devices(number % 2, &Device::updating())
            .devices(number % 5, &Device::without_vpn());
        simulation.add(fleet);
    }
    assert_eq!(simulation.fleets().len(), 50);
    simulation
}

/// What every receiver must hold: online devices by (name, slug), and all devices likewise.
fn expected(simulation: &Simulation) -> BTreeMap<(String, String, String), f64> {
    let mut all = BTreeMap::new();
    for fleet in simulation.fleets() {
        let key = |metric: &str| (metric.to_owned(), fleet.app_name.clone(), fleet.slug.clone());
        all.insert(key("balena_devices_online"), fleet.online() as f64);
        all.insert(key("balena_devices"), fleet.count(|_| true) as f64);
    }
    all
}

const QUERY: &str = r#"{__name__=~"balena_devices|balena_devices_online"}"#;

/// What a receiver holds, in the same form; other labels must be exactly `more`.
fn held(found: Vec<(Labels, f64)>, more: &[(&str, &str)]) -> BTreeMap<(String, String, String), f64> {
    let mut all = BTreeMap::new();
    for (mut labels, value) in found {
        let mut take = |name: &str| labels.remove(name).unwrap_or_default();
        let key = (take("__name__"), take("fleet_name"), take("fleet_slug"));
        let rest: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(rest, more, "{key:?}");
        assert_eq!(all.insert(key.clone(), value), None, "{key:?} stands twice");
    }
    all
}

async fn simulated(simulation: &Simulation) -> balena::Server {
    balena::Server::start(simulation.clone(), balena::Options::default()).await.expect("a free port")
}

/// Waits until a receiver holds just what the account has.
async fn arrives(
    what: &str,
    simulation: &Simulation,
    more: &[(&str, &str)],
    query: impl AsyncFn() -> Vec<(Labels, f64)>,
) {
    let wanted = expected(simulation);
    let started = std::time::Instant::now();
    loop {
        let have = held(query().await, more);
        if have == wanted {
            return;
        }
        let missing: Vec<_> = wanted.iter().filter(|(key, value)| have.get(*key) != Some(value)).collect();
        let surplus: Vec<_> = have.keys().filter(|key| !wanted.contains_key(*key)).collect();
        assert!(started.elapsed() < LIMIT, "{what}: missing {missing:?}, too many {surplus:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// One fleet goes, another gets a new name.
fn change(simulation: &Simulation) {
    let fleets = simulation.fleets();
    assert!(simulation.remove(fleets[3].id));
    assert!(simulation.rename(fleets[20].id, "a new name"));
}

#[rstest]
#[case::text_by_an_old_prometheus(Suite::Stock, json!({}))]
#[case::text_by_a_new_prometheus(Suite::New, json!({"scrape_protocols": ["PrometheusText0.0.4"]}))]
#[case::openmetrics(Suite::New, json!({"scrape_protocols": ["OpenMetricsText1.0.0"]}))]
#[tokio::test]
async fn a_scraped_page_arrives_and_what_is_gone_is_gone(
    #[case] suite: Suite,
    #[case] settings: serde_json::Value,
) {
    let simulation = account();
    let api = simulated(&simulation).await;
    let program = Program::service(&api, &[]);
    let page = format!("{}/metrics", program.page().await);
    let prometheus = Prometheus::scraping(suite, &[("balena", &page)], settings).await;
    let target = page.trim_start_matches("http://").trim_end_matches("/metrics");
    let more = [("instance", target), ("job", "balena")];
    let query = async || prometheus.query(QUERY).await;
    arrives("before the change", &simulation, &more, query).await;
    change(&simulation);
    arrives("after the change", &simulation, &more, query).await;
    let text = get(&page).await;
    promtool_check_metrics(suite, &text).unwrap_or_else(|said| panic!("promtool says:\n{said}"));
}

#[rstest]
#[case::an_old_prometheus_by_1_0(Suite::Stock, "remote write 1.0")]
#[case::a_new_prometheus_by_2_0(Suite::New, "remote write 2.0")]
#[tokio::test]
async fn remote_write_arrives_in_prometheus(#[case] suite: Suite, #[case] protocol: &str) {
    let simulation = account();
    let api = simulated(&simulation).await;
    let prometheus = Prometheus::receiver(suite).await;
    let url = prometheus.write_url();
    let program =
        Program::service(&api, &[("REMOTE_WRITE_URL", &url), ("FLEETPUSH_EXTERNAL_LABELS", "site=north")]);
    let more = [("job", "balena"), ("site", "north")];
    let query = async || prometheus.query(QUERY).await;
    arrives("before the change", &simulation, &more, query).await;
    program.logged(&format!("protocol=\"{protocol}\"")).await;
    change(&simulation);
    arrives("after the change", &simulation, &more, query).await;
    let page = format!("{}/metrics", program.page().await);
    let refused = get(&page).await;
    let lost = refused.lines().filter(|line| {
        line.starts_with("fleetpush_sink_dropped_samples_total")
            || line.starts_with("fleetpush_remote_write_not_written_samples_total")
            || (line.starts_with("prometheus_remote_storage_samples_failed_total") && !line.ends_with(" 0"))
    });
    assert_eq!(lost.collect::<Vec<_>>(), Vec::<&str>::new());
    let up = prometheus.query("balena_up").await;
    let labels = [("__name__", "balena_up"), ("instance", "test"), ("job", "balena"), ("site", "north")];
    assert_eq!(up, [(Labels::from(labels.map(|(n, v)| (n.to_owned(), v.to_owned()))), 1.0)]);
}

#[rstest]
#[case::old(Suite::Stock, &[])]
#[case::new(Suite::New, &["-enableMetadata"])]
#[tokio::test]
async fn remote_write_arrives_in_victoriametrics(#[case] suite: Suite, #[case] flags: &[&str]) {
    let simulation = account();
    let api = simulated(&simulation).await;
    let victoria = VictoriaMetrics::start(suite, flags).await;
    let program = Program::service(&api, &[("REMOTE_WRITE_URL", &victoria.write_url())]);
    let query = async || victoria.query(QUERY).await;
    arrives("before the change", &simulation, &[("job", "balena")], query).await;
    // It answers 204 to 2.0 as well, and stores nothing of it.
    program.logged("protocol=\"remote write 1.0\"").await;
    change(&simulation);
    arrives("after the change", &simulation, &[("job", "balena")], query).await;
    if suite == Suite::New {
        let metadata = eventually("type and help", LIMIT, async || {
            let text = get(&format!("{}/api/v1/metadata?metric=balena_devices_online", victoria.url())).await;
            text.contains("gauge").then_some(text)
        })
        .await;
        assert!(metadata.contains("VPN"), "{metadata}");
    }
}

#[rstest]
#[case::old(Suite::Stock)]
#[case::new(Suite::New)]
#[tokio::test]
async fn a_push_arrives_in_prometheus_through_a_pushgateway(#[case] suite: Suite) {
    let simulation = account();
    let api = simulated(&simulation).await;
    let gateway = Pushgateway::start(suite, &[]).await;
    let _program =
        Program::service(&api, &[("PUSHGATEWAY_URL", gateway.url()), ("PUSHGATEWAY_GROUPING", "site=a b")]);
    let page = format!("{}/metrics", gateway.url());
    let settings = json!({"honor_labels": true});
    let prometheus = Prometheus::scraping(suite, &[("gateway", &page)], settings).await;
    let more = [("instance", "test"), ("job", "balena"), ("site", "a b")];
    let query = async || prometheus.query(QUERY).await;
    arrives("before the change", &simulation, &more, query).await;
    change(&simulation);
    arrives("after the change", &simulation, &more, query).await;
    for group in gateway.groups().await {
        assert_eq!(group["last_push_successful"], true, "{group}");
    }
}

#[tokio::test]
async fn a_request_of_2_0_has_type_and_help_on_each_series() {
    let simulation = account();
    let api = simulated(&simulation).await;
    let options = receiver::Options { personality: Personality::Prometheus3, ..receiver::Options::default() };
    let remote = receiver::Server::start(options).await.expect("a free port");
    let _program = Program::service(&api, &[("REMOTE_WRITE_URL", &remote.write_url())]);
    let deliveries = eventually("a delivery with series", LIMIT, async || {
        Some(remote.deliveries()).filter(|all| all.iter().filter(|one| !one.series.is_empty()).count() >= 2)
    })
    .await;
    let series: Vec<_> = deliveries.iter().flat_map(|delivery| &delivery.series).collect();
    assert!(deliveries.iter().all(|delivery| delivery.version == Version::Two));
    assert!(series.len() > 500);
    for one in series {
        // Counter, gauge, info: numbers of the wire format.
        let kind = match one.name() {
            name if name.ends_with("_total") => 1,
            "balena_fleet_info" => 6,
            _ => 2,
        };
        assert_eq!(one.kind, kind, "{}", one.name());
        assert!(!one.help.is_empty(), "{}", one.name());
    }
}

#[tokio::test]
async fn two_instances_share_a_prometheus_and_a_pushgateway_and_nothing_is_refused() {
    let (one, two) = (Simulation::generate(20, 3, 1), Simulation::generate(20, 3, 2));
    // One account has other fleets than the other: equal ones would be counted by one of the processes only.
    for fleet in two.fleets() {
        two.rename(fleet.id, &format!("second-{}", fleet.app_name));
    }
    let (first, second) = (simulated(&one).await, simulated(&two).await);
    let prometheus = Prometheus::receiver(Suite::Stock).await;
    let gateway = Pushgateway::start(Suite::Stock, &[]).await;
    let sinks = |instance: &'static str| {
        [
            ("REMOTE_WRITE_URL", prometheus.write_url()),
            ("PUSHGATEWAY_URL", gateway.url().to_owned()),
            ("FLEETPUSH_INSTANCE", instance.to_owned()),
        ]
    };
    let start = |api: &balena::Server, sinks: [(&str, String); 3]| {
        let sinks: Vec<(&str, &str)> = sinks.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Program::service(api, &sinks)
    };
    let programs = [start(&first, sinks("one")), start(&second, sinks("two"))];
    let count = r#"count(balena_devices_online) by (job)"#;
    eventually("40 fleets and both states", LIMIT, async || {
        let fleets = prometheus.query(count).await.first().is_some_and(|(_, value)| *value == 40.0);
        let states = prometheus.query("count(balena_up)").await.first().is_some_and(|(_, v)| *v == 2.0);
        (fleets && states).then_some(())
    })
    .await;
    eventually("two groups of each", LIMIT, async || (gateway.groups().await.len() == 4).then_some(())).await;
    // A few cycles more, in which both write.
    for program in &programs {
        let cycles = program.stderr().matches("message=collected").count();
        eventually("three cycles more", LIMIT, async || {
            (program.stderr().matches("message=collected").count() >= cycles + 3).then_some(())
        })
        .await;
        let page = get(&format!("{}/metrics", program.page().await)).await;
        assert!(!page.contains("fleetpush_sink_dropped_samples_total{"), "{page}");
        assert!(!program.stderr().contains("level=error"), "{}", program.stderr());
    }
    assert!(gateway.groups().await.iter().all(|group| group["last_push_successful"] == true));
}
