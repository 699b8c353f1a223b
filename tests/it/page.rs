//! The page over a real socket.
#![allow(clippy::unwrap_used, reason = "the lint's own exception for tests does not reach their helpers")]

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use fleetpush::clock::Clock;
use fleetpush::page::{Latest, PageState, ReloadRequest, serve};
use fleetpush::sample::{
    Batch, Family, Kind, LabelName, Labels, MetricName, Millis, Role, Scope, Series, Source, Value,
};
use fleetpush::telemetry::status::Delivery;
use fleetpush::telemetry::{Collected, SinkKind, SinkName, Telemetry};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::relay_batch;

const HOSTILE: &str = "<script>alert('x')</script>\"&\n";
const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";
const WAIT: Duration = Duration::from_secs(10);

struct Page {
    url: String,
    client: Client,
    latest: watch::Sender<Latest>,
    telemetry: Telemetry,
    stop: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
}

impl Page {
    async fn start(lifecycle: Option<mpsc::Sender<ReloadRequest>>) -> Page {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (latest, seen) = watch::channel(Latest::default());
        let (telemetry, stop) = (Telemetry::new(), CancellationToken::new());
        let state = PageState {
            latest: seen,
            telemetry: telemetry.clone(),
            clock: Clock::manual(Millis(1_700_000_000_000)),
            telemetry_path: "/metrics".into(),
            lifecycle,
        };
        let server = tokio::spawn(serve(listener, state, stop.clone()));
        // No decoding, so that gzip is seen as it is sent.
        let client = Client::builder().no_gzip().no_proxy().timeout(WAIT).build().unwrap();
        Page { url, client, latest, telemetry, stop, server }
    }

    async fn with_fleet(name: &str) -> Page {
        let page = Page::start(None).await;
        page.show(name);
        page
    }

    fn show(&self, fleet: &str) {
        let source = Source::Account("acme".into());
        let batch = Batch::new(
            source.clone(),
            Millis(1_699_999_990_000),
            Scope::Whole,
            vec![family("balena_devices_online", fleet, 3.0), family("balena_devices", fleet, 7.0)],
        );
        self.latest.send_replace(Arc::new(BTreeMap::from([(source, Arc::new(batch.unwrap()))])));
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    async fn get(&self, path: &str, accept: &str) -> Response {
        self.ask(Method::GET, path).header("accept", accept).send().await.unwrap()
    }
}

fn family(name: &str, fleet: &str, value: f64) -> Family {
    let labels = Labels::new([(LabelName::new("fleet_name").unwrap(), fleet.into())]).unwrap();
    Family {
        name: MetricName::new(name).unwrap(),
        kind: Kind::Gauge,
        help: "Devices".into(),
        role: Role::Fleet,
        series: vec![Series { labels, value: Value::from(value), own: None }],
        of: None,
        unit: "".into(),
    }
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn cycle<'a>(error: Option<&'a (dyn std::fmt::Display + Sync)>) -> Collected<'a> {
    Collected {
        source: "acme",
        result: "ok",
        error,
        codes: &[200],
        took: Duration::from_millis(5),
        fleets: 1,
        series: 2,
        at: Millis(1_699_999_990_000),
        skew_seconds: None,
    }
}

#[tokio::test]
async fn relayed_series_are_on_no_page_of_ours() {
    let page = Page::with_fleet("north").await;
    let source = relay_batch::target("node", "a:9100");
    let load = relay_batch::family(
        "node_load1",
        Kind::Gauge,
        vec![relay_batch::series(&[("fleet_name", "no")], 0.5)],
    );
    let online = relay_batch::family(
        "balena_devices_online",
        Kind::Gauge,
        vec![relay_batch::series(&[("fleet_name", "no")], 5.0)],
    );
    let batch = relay_batch::batch(&source, 1_699_999_990_000, vec![load, online]);
    page.telemetry.collected(&cycle(None));
    page.latest.send_modify(|all| {
        let mut new = BTreeMap::clone(all);
        new.insert(source, Arc::new(batch));
        *all = Arc::new(new);
    });
    for (path, accept) in [
        ("/metrics", "*/*"),
        ("/metrics", "application/openmetrics-text;version=1.0.0"),
        ("/", BROWSER),
        ("/?format=json", BROWSER),
    ] {
        let body = page.get(path, accept).await.text().await.unwrap();
        assert!(body.contains("north"), "{path}: {body}");
        for relayed in ["node_load1", "a:9100", "node/a", "\"no\"", ">no<"] {
            assert!(!body.contains(relayed), "{path} shows {relayed}: {body}");
        }
    }
}

#[tokio::test]
async fn a_scraper_gets_the_form_that_it_asks_for() {
    let page = Page::with_fleet("north").await;
    for (accept, expected, open) in [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", false),
        (
            "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            true,
        ),
    ] {
        let response = page.get("/metrics", accept).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, "content-type"), expected);
        assert_eq!(header(&response, "vary"), "Accept, Accept-Encoding");
        let body = response.text().await.unwrap();
        assert!(body.contains("balena_devices_online{fleet_name=\"north\"} 3"), "{body}");
        assert!(body.contains("fleetpush_build_info"), "{body}");
        assert_eq!(body.ends_with("# EOF\n"), open, "{body}");
    }
}

#[tokio::test]
async fn before_the_first_cycle_the_page_has_the_own_metrics() {
    let page = Page::start(None).await;
    let response = page.get("/metrics", "*/*").await;
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.text().await.unwrap();
    assert!(body.contains("fleetpush_build_info") && !body.contains("balena_devices"), "{body}");
}

#[tokio::test]
async fn own_metrics_are_as_new_as_the_scrape() {
    let page = Page::with_fleet("north").await;
    page.telemetry.collected(&cycle(None));
    let body = page.get("/metrics", "*/*").await.text().await.unwrap();
    assert!(
        body.contains("fleetpush_collects_total{source=\"acme\",result=\"ok\"} 1")
            || body.contains("fleetpush_collects_total{result=\"ok\",source=\"acme\"} 1"),
        "{body}"
    );
}

#[tokio::test]
async fn every_other_path_has_metrics_for_a_scraper_but_not_for_a_browser() {
    let page = Page::with_fleet("north").await;
    for path in ["/", "/anything", "/metrics/"] {
        let response = page.get(path, "*/*").await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(response.text().await.unwrap().contains("balena_devices_online"), "{path}");
    }
    assert_eq!(page.get("/favicon.ico", "*/*").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(page.get("/-/heathly", "*/*").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(page.get("/anything", BROWSER).await.status(), StatusCode::NOT_FOUND);
    let at_metrics = page.get("/metrics", BROWSER).await;
    assert_eq!(header(&at_metrics, "content-type"), "text/plain; version=0.0.4; charset=utf-8");
}

#[tokio::test]
async fn gzip_unpacks_to_the_plain_bytes() {
    let page = Page::with_fleet(&"north".repeat(100)).await;
    let plain = page.get("/metrics", "*/*").await;
    assert_eq!(header(&plain, "content-encoding"), "");
    let plain = plain.bytes().await.unwrap();
    let zipped = page.ask(Method::GET, "/metrics").header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(header(&zipped, "content-encoding"), "gzip");
    let zipped = zipped.bytes().await.unwrap();
    assert!(zipped.len() < plain.len());
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&*zipped).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain);
    let refused =
        page.ask(Method::GET, "/metrics").header("accept-encoding", "gzip;q=0").send().await.unwrap();
    assert_eq!(header(&refused, "content-encoding"), "");
}

#[tokio::test]
async fn a_page_of_many_series_comes_whole() {
    let page = Page::start(None).await;
    let source = Source::Account("acme".into());
    let mut many = family("balena_devices_online", "fleet-0", 1.0);
    many.series = (0..20_000)
        .flat_map(|n| family("balena_devices_online", &format!("fleet-{n}"), 1.0).series)
        .collect();
    let batch = Batch::new(source.clone(), Millis(1), Scope::Whole, vec![many]).unwrap();
    page.latest.send_replace(Arc::new(BTreeMap::from([(source, Arc::new(batch))])));
    let body = page.get("/metrics", "*/*").await.text().await.unwrap();
    assert_eq!(body.lines().filter(|line| line.starts_with("balena_devices_online{")).count(), 20_000);
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let page = Page::with_fleet("north").await;
    for (path, accept) in [("/metrics", "*/*"), ("/", BROWSER), ("/-/healthy", "*/*"), ("/-/ready", "*/*")] {
        let get = page.get(path, accept).await;
        let head = page.ask(Method::HEAD, path).header("accept", accept).send().await.unwrap();
        assert_eq!(get.status(), head.status(), "{path}");
        for name in ["content-type", "content-length", "vary", "content-security-policy", "referrer-policy"] {
            assert_eq!(header(&get, name), header(&head, name), "{path} {name}");
        }
        assert_ne!(header(&head, "content-length"), "0", "{path}");
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn ready_once_the_first_cycle_of_every_source_has_ended_well_or_badly() {
    let page = Page::start(None).await;
    page.telemetry.source_registered("acme");
    page.telemetry.source_registered("other");
    assert_eq!(page.get("/-/healthy", "*/*").await.status(), StatusCode::OK);
    assert_eq!(page.get("/-/ready", "*/*").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    page.telemetry.collected(&cycle(Some(&"the API is away")));
    assert_eq!(page.get("/-/ready", "*/*").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    page.telemetry.collected(&Collected { source: "other", ..cycle(None) });
    assert_eq!(page.get("/-/ready", "*/*").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_browser_sees_sources_sinks_and_fleets_and_hostile_names_as_text() {
    let page = Page::with_fleet(HOSTILE).await;
    page.telemetry.collected(&cycle(Some(&"<img src=x>")));
    let sink = SinkName { name: "env".into(), kind: SinkKind::RemoteWrite, url: "http://r/<b>".into() };
    page.telemetry.sink_registered(&sink);
    let delivery = Delivery {
        samples: 2,
        bytes: 9,
        protocol: "remote write 2.0",
        code: 204,
        at: Millis(1_699_999_995_000),
        newest: None,
        written: None,
    };
    page.telemetry.delivered(&sink, &delivery);
    let response = page.get("/", BROWSER).await;
    assert_eq!(header(&response, "content-type"), "text/html; charset=utf-8");
    assert!(header(&response, "content-security-policy").starts_with("default-src 'none'"));
    let body = response.text().await.unwrap();
    // What is ours may hold anything: the policy names it by its hash.
    let (head, rest) = body.split_once("<style>").unwrap();
    let (body, script) = rest.split_once("</style>").unwrap().1.split_once("<script>").unwrap();
    let body = format!("{head}{body}{}", script.split_once("</script>").unwrap().1);
    assert!(body.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;␊"), "{body}");
    for foreign in ["<script", "<img", "r/<b>", "src=\"", "//"] {
        assert!(!body.replace("http://r/", "").contains(foreign), "{foreign}: {body}");
    }
    for shown in [
        "acme",
        "3<span class=\"of\"> / 7</span>",
        "sending (remote write 2.0)",
        ">5 s</time> ago",
        "href=\"./metrics\"",
    ] {
        assert!(body.contains(shown), "{shown}: {body}");
    }
}

#[tokio::test]
async fn other_methods_are_refused_with_what_is_allowed() {
    let page = Page::with_fleet("north").await;
    for (method, path, allowed) in [
        (Method::POST, "/metrics", "GET, HEAD"),
        (Method::DELETE, "/", "GET, HEAD"),
        (Method::PUT, "/-/healthy", "GET, HEAD"),
        (Method::GET, "/-/reload", "POST"),
    ] {
        let response = page.ask(method, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(header(&response, "allow"), allowed, "{path}");
    }
}

#[tokio::test]
async fn reload_is_off_unless_it_was_switched_on() {
    let page = Page::start(None).await;
    let response = page.ask(Method::POST, "/-/reload").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(response.text().await.unwrap().contains("--web.enable-lifecycle"));
}

#[tokio::test]
async fn reload_tells_how_it_went() {
    let (wishes, mut reloads) = mpsc::channel::<ReloadRequest>(1);
    let page = Page::start(Some(wishes)).await;
    let app = tokio::spawn(async move {
        for outcome in [Ok(()), Err("line 3: unknown key".to_owned())] {
            reloads.recv().await.unwrap().send(outcome).unwrap();
        }
    });
    let good = page.ask(Method::POST, "/-/reload").send().await.unwrap();
    assert_eq!(good.status(), StatusCode::OK);
    let bad = page.ask(Method::POST, "/-/reload").send().await.unwrap();
    assert_eq!(bad.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(bad.text().await.unwrap().contains("line 3: unknown key"));
    app.await.unwrap();
    let gone = page.ask(Method::POST, "/-/reload").send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_stop_ends_the_server() {
    let page = Page::with_fleet("north").await;
    page.get("/metrics", "*/*").await.text().await.unwrap();
    page.stop.cancel();
    tokio::time::timeout(WAIT, page.server).await.expect("it ends").unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_never_finishes_asking_does_not_hold_up_a_stop() {
    let page = Page::with_fleet("north").await;
    let address = page.url.trim_start_matches("http://").to_owned();
    let mut slow = tokio::net::TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost:").await.unwrap();
    // Answered only after the slow connection was accepted.
    page.get("/-/healthy", "*/*").await.text().await.unwrap();
    page.stop.cancel();
    tokio::time::timeout(WAIT, page.server).await.expect("it ends").unwrap().unwrap();
}
