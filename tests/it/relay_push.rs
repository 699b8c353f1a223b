//! Relayed pages at the real Pushgateways, old and new: a group for each target, whole histograms and summaries, what
//! a gateway cannot hold left out, and targets that come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fleetpush::clock::Clock;
use fleetpush::config::Gateway;
use fleetpush::sample::{Batch, Family, Kind, LabelName, Latest, Millis, Own, Scope, Source, Text};
use fleetpush::sink::pushgateway::{PushError, Pusher};
use fleetpush::telemetry::Telemetry;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::program::LIMIT;
use crate::pushgateway::gateway;
use crate::relay_batch::{batch, family, gone, part, series, target, with};
use crate::servers::{Pushgateway, Suite, eventually};

struct Rig {
    gateway: Gateway,
    telemetry: Telemetry,
}

impl Rig {
    fn new(url: &str) -> Rig {
        Rig { gateway: gateway(url), telemetry: Telemetry::new() }
    }

    fn grouping(mut self, name: &str, value: &str) -> Rig {
        self.gateway.grouping = vec![(LabelName::new(name).expect("a name"), Text::from(value))];
        self
    }

    fn pusher(&self) -> Pusher {
        let (gateway, telemetry) = (self.gateway.clone(), self.telemetry.clone());
        Pusher::new(gateway, "balena".into(), "site".into(), Clock::SYSTEM, telemetry).expect("usable")
    }

    /// One push of each of these.
    async fn push(&self, batches: Vec<Batch>) -> Vec<(Source, Result<(), PushError>)> {
        let latest = batches.into_iter().map(|batch| (batch.source().clone(), Arc::new(batch))).collect();
        self.pusher().push_all(&Arc::new(latest), Instant::now() + LIMIT).await
    }

    async fn push_one(&self, batch: Batch) -> Result<(), PushError> {
        self.push(vec![batch]).await.pop().expect("an outcome").1
    }

    fn keep(&self) -> Keeping {
        let (batches, seen) = watch::channel(Latest::default());
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let task = tokio::spawn(self.pusher().run(seen, stop, abort.clone()));
        Keeping { batches, abort, _task: task }
    }

    /// What was left out, by reason.
    fn left_out(&self) -> BTreeMap<String, f64> {
        let families = self.telemetry.families();
        let found = families
            .into_iter()
            .filter(|family| family.name.as_str() == "fleetpush_sink_left_out_samples_total");
        let all = found.flat_map(|family| family.series);
        all.map(|one| (one.labels.get("reason").expect("a reason").to_string(), one.value.get())).collect()
    }
}

struct Keeping {
    batches: watch::Sender<Latest>,
    abort: CancellationToken,
    _task: JoinHandle<()>,
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.abort.cancel();
    }
}

impl Keeping {
    fn change(&self, how: impl FnOnce(&mut BTreeMap<Source, Arc<Batch>>)) {
        self.batches.send_modify(|all| {
            let mut new = BTreeMap::clone(all);
            how(&mut new);
            *all = Arc::new(new);
        });
    }

    fn show(&self, batch: Batch) {
        self.change(|all| drop(all.insert(batch.source().clone(), Arc::new(batch))));
    }

    fn vanish(&self, source: &Source) {
        self.change(|all| drop(all.remove(source)));
    }
}

fn up(source: &Source, at: i64, value: f64) -> Batch {
    batch(source, at, vec![family("up", Kind::Gauge, vec![series(&[], value)])])
}

async fn group(gateway: &Pushgateway, labels: &Value) -> Option<Value> {
    gateway.groups().await.into_iter().find(|group| group["labels"] == *labels)
}

async fn arrives(gateway: &Pushgateway, labels: &Value, value: &str) {
    eventually(&format!("up {value} in {labels}"), LIMIT, async || {
        let group = group(gateway, labels).await?;
        (group["up"]["metrics"][0]["value"] == value).then_some(())
    })
    .await;
}

async fn goes(gateway: &Pushgateway, labels: &Value) {
    eventually(&format!("{labels} is gone"), LIMIT, async || {
        group(gateway, labels).await.is_none().then_some(())
    })
    .await;
}

type Shown = BTreeMap<(String, BTreeMap<String, String>), f64>;

/// The series of a job on a gateway's page, without the gateway's own.
async fn shown(gateway: &Pushgateway, job: &str) -> Shown {
    let page = gateway.metrics().await;
    let all = page.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (id, value) = line.rsplit_once(' ').expect("a value");
        let (name, inner) = id.split_once('{').unwrap_or((id, "}"));
        let pairs = inner.trim_end_matches('}').split("\",").filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.trim_end_matches('"').split_once("=\"").expect("a label"));
        let labels = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        ((name.to_owned(), labels), value.parse().expect("a number"))
    });
    let all: Shown = all.collect();
    let of_job = |(name, labels): &(String, BTreeMap<String, String>)| {
        labels.get("job").is_some_and(|own| own == job) && !name.starts_with("push_")
    };
    all.into_iter().filter(|(id, _)| of_job(id)).collect()
}

/// What a batch says, in the same form.
fn said(batch: &Batch) -> Shown {
    let all = batch.families().iter().flat_map(|family| family.series.iter().map(move |one| (family, one)));
    let labels = |series: &fleetpush::sample::Series| {
        series.labels.iter().map(|label| (label.name.to_string(), label.value.to_string())).collect()
    };
    all.map(|(family, one)| ((family.name.to_string(), labels(one)), one.value.get())).collect()
}

/// A histogram with the labels given and its sum: buckets 0.25, 1 and +Inf.
fn histogram(base: &str, with: &[(&str, &str)], counts: [f64; 3], sum: f64) -> Vec<Family> {
    let bucket = |(bound, count): (&str, f64)| series(&[with, &[("le", bound)]].concat(), count);
    vec![
        part(
            base,
            "_bucket",
            Kind::Histogram,
            ["0.25", "1", "+Inf"].into_iter().zip(counts).map(bucket).collect(),
        ),
        part(base, "_sum", Kind::Histogram, vec![series(with, sum)]),
        part(base, "_count", Kind::Histogram, vec![series(with, counts[2])]),
    ]
}

fn summary(base: &str, quantiles: &[(&str, f64)], sum: f64, count: f64) -> Vec<Family> {
    let quantile = |(quantile, value): &(&str, f64)| series(&[("quantile", quantile)], *value);
    vec![
        family(base, Kind::Summary, quantiles.iter().map(quantile).collect()),
        part(base, "_sum", Kind::Summary, vec![series(&[], sum)]),
        part(base, "_count", Kind::Summary, vec![series(&[], count)]),
    ]
}

/// Two of the same families together.
fn merged(mut all: Vec<Family>, more: Vec<Family>) -> Vec<Family> {
    all.iter_mut().zip(more).for_each(|(one, other)| one.series.extend(other.series));
    all
}

#[rstest]
#[tokio::test]
async fn each_target_has_a_group_that_is_replaced_with_each_batch_and_deleted_when_it_goes(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let rig = Rig::new(gateway.url()).grouping("site", "north/1");
    let keeping = rig.keep();
    let (one, other) = (target("node", "a:9100"), target("app", "[::1]:80/x"));
    let keys = [("node", "a:9100"), ("app", "[::1]:80/x")]
        .map(|(job, instance)| json!({"job": job, "instance": instance, "site": "north/1"}));
    keeping.show(batch(
        &one,
        1,
        vec![
            family("up", Kind::Gauge, vec![series(&[], 1.0)]),
            family("node_load1", Kind::Gauge, vec![series(&[], 0.5)]),
        ],
    ));
    keeping.show(up(&other, 1, 1.0));
    for key in &keys {
        arrives(&gateway, key, "1").await;
    }
    assert_eq!(shown(&gateway, "node").await.len(), 2);
    let page = gateway.metrics().await;
    assert!(page.contains(r#"node_load1{instance="a:9100",job="node",site="north/1"} 0.5"#), "{page}");

    // What a scrape that failed leaves is all there is.
    keeping.show(up(&one, 2, 0.0));
    arrives(&gateway, &keys[0], "0").await;
    assert_eq!(shown(&gateway, "node").await.len(), 1);

    keeping.show(gone(&one, 3));
    goes(&gateway, &keys[0]).await;
    keeping.show(up(&one, 4, 1.0));
    arrives(&gateway, &keys[0], "1").await;

    keeping.vanish(&one);
    keeping.vanish(&other);
    for key in &keys {
        goes(&gateway, key).await;
    }
    keeping.show(up(&other, 5, 1.0));
    arrives(&gateway, &keys[1], "1").await;
    assert_eq!(gateway.groups().await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn an_account_that_says_nothing_keeps_its_group(#[values(Suite::Stock, Suite::New)] suite: Suite) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let empty = Batch::new(Source::Account("a".into()), Millis(1), Scope::Whole, Vec::new()).unwrap();
    Rig::new(gateway.url()).push_one(empty).await.expect("taken");
    assert!(group(&gateway, &json!({"job": "balena", "instance": "site"})).await.is_some());
}

#[rstest]
#[tokio::test]
async fn a_gateway_shows_the_series_and_values_of_the_page_with_their_types(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let source = target("app", "b:80");
    let at = Own { at: Some(Millis(1_700_000_000_000)), ..Own::default() };
    let large = 9_007_199_254_740_992.0;
    let families = [
        histogram("http_seconds", &[("code", "200")], [1.0, 2.0, 4.0], 3.5),
        summary("gc_seconds", &[("0", 0.1), ("0.5", f64::NAN), ("0.99", 7.0)], 9.0, 12.0),
        summary("empty_seconds", &[], 0.0, 0.0),
        histogram("large_seconds", &[], [0.0, large, large], -1e300),
        vec![
            part("requests", "_total", Kind::Counter, vec![with(series(&[("code", "200")], 5.0), at)]),
            family(
                "temperature",
                Kind::Gauge,
                vec![series(&[("room", "a b/c")], -3.5), series(&[], f64::INFINITY)],
            ),
            family("anything", Kind::Unknown, vec![series(&[("le", "1")], 2.0)]),
            family("build_info", Kind::Info, vec![series(&[("version", "1")], 1.0)]),
            family("state", Kind::StateSet, vec![series(&[("state", "on")], 1.0)]),
            part("sizes", "_bucket", Kind::GaugeHistogram, vec![series(&[("le", "+Inf")], 3.0)]),
            part("sizes", "_gcount", Kind::GaugeHistogram, vec![series(&[], 3.0)]),
            part("sizes", "_gsum", Kind::GaugeHistogram, vec![series(&[], 6.0)]),
        ],
    ];
    let mut families = families.concat();
    let more = histogram("http_seconds", &[("code", "500")], [0.0, 0.0, 1.0], 30.0);
    families.splice(0..3, merged(families[..3].to_vec(), more));
    let batch = batch(&source, 1, families);
    let rig = Rig::new(gateway.url());
    rig.push_one(batch.clone()).await.expect("taken");
    let (shown, said) = (shown(&gateway, "app").await, said(&batch));
    let keys = |all: &Shown| all.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys(&shown), keys(&said));
    for (id, value) in &said {
        assert!(
            shown[id] == *value || value.is_nan() && shown[id].is_nan(),
            "{id:?}: {value} is {}",
            shown[id]
        );
    }
    assert_eq!(rig.left_out(), BTreeMap::new());
    let page = gateway.metrics().await;
    for kind in [
        "http_seconds histogram",
        "gc_seconds summary",
        "empty_seconds summary",
        "requests_total counter",
        "temperature gauge",
        "anything untyped",
        "build_info gauge",
        "sizes_bucket untyped",
    ] {
        assert!(page.contains(&format!("# TYPE {kind}\n")), "{kind}: {page}");
    }
    assert!(page.contains("# HELP http_seconds What http_seconds means\n"), "{page}");
}

#[rstest]
#[tokio::test]
async fn histograms_of_which_none_is_whole_are_shown_in_parts_and_beside_whole_ones_left_out(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let rig = Rig::new(gateway.url());
    let without = |end: &str, base: &str| {
        let all = histogram(base, &[], [1.0, 2.0, 4.0], 3.5);
        all.into_iter().filter(|part| part.name.as_str() != format!("{base}{end}")).collect::<Vec<_>>()
    };
    let mut no_infinity = histogram("c_seconds", &[], [1.0, 2.0, 4.0], 3.5);
    no_infinity[0].series.pop();
    let halves = histogram("d_seconds", &[], [0.5, 1.0, 1.5], 3.5);
    let mut twice = histogram("e_seconds", &[], [1.0, 2.0, 4.0], 3.5);
    twice[0].series.push(series(&[("le", "1.0")], 2.0));
    let mut no_number = summary("f_seconds", &[("much", 1.0)], 2.0, 3.0);
    no_number.push(family("other", Kind::Gauge, vec![series(&[], 1.0)]));
    let in_parts = [
        without("_sum", "a_seconds"),
        without("_count", "b_seconds"),
        no_infinity,
        halves,
        twice,
        no_number,
        vec![family("g_seconds", Kind::Summary, vec![series(&[("quantile", "0.5")], 1.0)])],
    ];
    let in_parts = batch(&target("app", "parts"), 1, in_parts.concat());
    rig.push_one(in_parts.clone()).await.expect("taken");
    assert_eq!(shown(&gateway, "app").await, said(&in_parts));
    assert_eq!(rig.left_out(), BTreeMap::new());

    let whole = histogram("h_seconds", &[("code", "200")], [1.0, 2.0, 4.0], 3.5);
    let mut half = histogram("h_seconds", &[("code", "500")], [1.0, 2.0, 4.0], 3.5);
    half[2].series.clear();
    let mixed = batch(&target("mixed", "c"), 1, merged(whole.clone(), half));
    rig.push_one(mixed).await.expect("taken");
    assert_eq!(shown(&gateway, "mixed").await, said(&batch(&target("mixed", "c"), 1, whole)));
    // Three buckets and a sum.
    assert_eq!(rig.left_out(), BTreeMap::from([("incomplete".to_owned(), 4.0)]));
}

#[rstest]
#[tokio::test]
async fn what_a_gateway_does_not_take_is_left_out_and_counted_and_the_rest_arrives(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let rig = Rig::new(gateway.url());
    let page = |value: f64| {
        let mut all = summary("go_gc_duration_seconds", &[("0.5", 1.0)], 1.0, 1.0);
        for name in ["go_goroutines", "process_open_fds", "promhttp_x", "push_time_seconds", "pushgateway_x"]
        {
            all.push(family(name, Kind::Gauge, vec![series(&[], 1.0)]));
        }
        all.push(family("my.metric", Kind::Gauge, vec![series(&[], 1.0)]));
        all.push(family("größe", Kind::Counter, vec![series(&[], 1.0)]));
        let odd = [("__meta", "x"), ("a.b", "x"), ("é", "x")].map(|pair| series(&[pair], 1.0));
        all.push(family("node_load1", Kind::Gauge, [odd.to_vec(), vec![series(&[], value)]].concat()));
        batch(&target("node", "a:9100"), 1, all)
    };
    for (round, value) in [(1.0, 0.5), (2.0, 0.75)] {
        rig.push_one(page(value)).await.expect("taken");
        let all = shown(&gateway, "node").await;
        assert_eq!(all.into_values().collect::<Vec<_>>(), [value]);
        let counted = [("name".to_owned(), 5.0 * round), ("reserved_name".to_owned(), 8.0 * round)];
        assert_eq!(rig.left_out(), BTreeMap::from(counted));
    }
    // Old gateways take such names and are then scraped by nobody, so this is worth its test.
    assert!(!gateway.metrics().await.contains("my"));
}

#[tokio::test]
async fn what_is_left_out_makes_one_line_for_each_reason_with_an_example() {
    let gateway = Pushgateway::start(Suite::New, &[]).await;
    let log: Arc<std::sync::Mutex<Vec<u8>>> = Arc::default();
    let rig = Rig::new(gateway.url());
    let page = |instance: &str| {
        let go = family("go_goroutines", Kind::Gauge, vec![series(&[], 1.0)]);
        let named = family("my.metric", Kind::Gauge, vec![series(&[], 1.0)]);
        batch(&target("node", instance), 1, vec![go, named])
    };
    let pusher = rig.pusher();
    {
        let writer = Lines(Arc::clone(&log));
        // With one subscriber alone, what another thread logs first is off everywhere.
        let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
        let subscriber =
            tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        for instance in ["a", "b", "a"] {
            let page = page(instance);
            let latest = BTreeMap::from([(page.source().clone(), Arc::new(page))]);
            let outcomes = pusher.push_all(&Arc::new(latest), Instant::now() + LIMIT).await;
            assert!(outcomes[0].1.is_ok());
        }
    }
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("left out")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains("node/a: go_goroutines{") && lines[1].contains("node/a: my.metric{"), "{log}");
    assert_eq!(rig.left_out().into_values().collect::<Vec<_>>(), [3.0, 3.0]);
}

#[derive(Clone)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[rstest]
#[tokio::test]
async fn labels_of_a_page_that_differ_from_the_groups_stand_beside_them_and_are_not_overwritten(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let rig = Rig::new(gateway.url()).grouping("site", "north");
    let honoured = [
        series(&[("job", "inner"), ("instance", "x:1")], 1.0),
        series(&[("job", "inner"), ("instance", "x:2"), ("exported_job", "deep"), ("site", "south")], 2.0),
        series(&[("site", "north")], 3.0),
        // Without a site it is the one before, once the group's is added.
        series(&[], 4.0),
    ];
    let page = batch(&target("fed", "gw:9091"), 1, vec![family("federated", Kind::Gauge, honoured.to_vec())]);
    rig.push_one(page).await.expect("taken");
    let of = |pairs: &[(&str, &str)]| {
        let group = [("job", "fed"), ("instance", "gw:9091"), ("site", "north")];
        let all = group.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        ("federated".to_owned(), all.collect::<BTreeMap<_, _>>())
    };
    let expected = [
        (of(&[("exported_job", "inner"), ("exported_instance", "x:1")]), 1.0),
        (
            of(&[
                ("exported_exported_job", "inner"),
                ("exported_job", "deep"),
                ("exported_instance", "x:2"),
                ("exported_site", "south"),
            ]),
            2.0,
        ),
        (of(&[]), 3.0),
    ];
    assert_eq!(shown(&gateway, "fed").await, BTreeMap::from(expected));
    assert_eq!(rig.left_out(), BTreeMap::from([("twice".to_owned(), 1.0)]));
}

#[rstest]
#[tokio::test]
async fn a_group_that_is_refused_touches_no_other(#[values(Suite::Stock, Suite::New)] suite: Suite) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let rig = Rig::new(gateway.url());
    let page = |instance: &str, kind| {
        let mixed = family("mixed", kind, vec![series(&[], 1.0)]);
        batch(&target("app", instance), 1, vec![family("up", Kind::Gauge, vec![series(&[], 1.0)]), mixed])
    };
    rig.push_one(page("a", Kind::Gauge)).await.expect("taken");
    let taken = up(&target("balena", "site"), 1, 1.0);
    let outcomes = rig
        .push(vec![page("b", Kind::Counter), page("c", Kind::Gauge), up(&target("node", "d"), 1, 1.0), taken])
        .await;
    let of = |wanted: &Source| &outcomes.iter().find(|(source, _)| source == wanted).expect("an outcome").1;
    assert!(of(&target("app", "c")).is_ok() && of(&target("node", "d")).is_ok());
    let refused = of(&target("app", "b")).as_ref().expect_err("another type").explained();
    assert!(
        refused.contains("/metrics/job/app/instance/b answered 400") && refused.contains("another type"),
        "{refused}"
    );
    let own = of(&target("balena", "site")).as_ref().expect_err("the accounts' group").explained();
    assert!(own.contains("target balena/site") && own.contains("job_name"), "{own}");
    assert_eq!(shown(&gateway, "app").await.len(), 4);
    assert_eq!(group(&gateway, &json!({"job": "balena", "instance": "site"})).await, None);
}

#[rstest]
#[tokio::test]
async fn a_target_that_goes_while_the_gateway_is_away_is_deleted_when_it_is_back(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let mut gateway = Pushgateway::start(suite, &[]).await;
    let rig = Rig::new(gateway.url());
    let keeping = rig.keep();
    let (one, other) = (target("node", "a"), target("node", "b"));
    let key = |instance: &str| json!({"job": "node", "instance": instance});
    keeping.show(up(&one, 1, 1.0));
    arrives(&gateway, &key("a"), "1").await;
    gateway.stop().await;
    keeping.vanish(&one);
    keeping.show(up(&other, 2, 1.0));
    eventually("it was tried in vain", LIMIT, async || {
        let status = rig.telemetry.status();
        let status = status.borrow();
        status.sinks.values().any(|sink| sink.last_error.is_some()).then_some(())
    })
    .await;
    gateway.restart().await;
    arrives(&gateway, &key("b"), "1").await;
    goes(&gateway, &key("a")).await;
}

#[tokio::test]
async fn a_hundred_targets_are_pushed_eight_at_a_time() {
    const TARGETS: usize = 100;
    const AT_ONCE: usize = 8;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (now, most, answered) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    // Answers once so many wait that no more can come.
    let gate = Arc::new(Semaphore::new(0));
    let counters = (now.clone(), most.clone(), answered.clone(), gate.clone());
    let server = tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let (now, most, answered, gate) = counters.clone();
            tokio::spawn(async move {
                let mut seen = Vec::new();
                let mut part = [0; 4096];
                loop {
                    match stream.read(&mut part).await {
                        Ok(0) | Err(_) => return,
                        Ok(length) => seen.extend_from_slice(&part[..length]),
                    }
                    let text = String::from_utf8_lossy(&seen).to_lowercase();
                    let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                    let length: usize = length.map_or(0, |length| length.parse().unwrap());
                    if seen.len() < head.len() + 4 + length {
                        continue;
                    }
                    seen.clear();
                    let waiting = now.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(waiting, Ordering::SeqCst);
                    let left = TARGETS - answered.load(Ordering::SeqCst);
                    if waiting == AT_ONCE.min(left) {
                        gate.add_permits(waiting);
                    }
                    gate.acquire().await.unwrap().forget();
                    now.fetch_sub(1, Ordering::SeqCst);
                    answered.fetch_add(1, Ordering::SeqCst);
                    let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                }
            });
        }
    });
    let batches = (0..TARGETS).map(|number| up(&target("node", &number.to_string()), 1, 1.0)).collect();
    let outcomes = tokio::time::timeout(LIMIT, Rig::new(&url).push(batches)).await.expect("eight go at once");
    assert_eq!(outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).count(), TARGETS);
    assert_eq!(most.load(Ordering::SeqCst), AT_ONCE);
    server.abort();
}
