//! An hour of an account on a clock that is moved, for pictures and for what an hour looks like: the page over a
//! real socket, its batches and its status given.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fleetpush::clock::Clock;
use fleetpush::page::{Latest, PageState, serve};
use fleetpush::sample::{
    Batch, Family, Kind, LabelName, Labels, MetricName, Millis, Role, Scope, Series, Source, Value,
};
use fleetpush::telemetry::status::{Delivery, QueueStatus};
use fleetpush::telemetry::{Backlog, Collected, SinkKind, SinkName, Telemetry};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{html, json_of};

/// 2026-01-15T02:17:30Z: at night, since that is when it is looked at.
const NOW: Millis = Millis(1_768_443_450_000);
const MINUTE: Duration = Duration::from_secs(60);
const SOURCE: &str = "balena";

/// Organization, name, devices, and how many are offline in a minute of the hour.
type Story = (&'static str, &'static str, u32, fn(u32) -> u32);

const STORIES: [Story; 22] = [
    ("northwind", "cold-store", 48, |minute| if minute < 41 { 1 } else { 48 }),
    ("northwind", "loading-dock", 24, |minute| (minute / 4).min(13)),
    ("northwind", "truck-tracker", 310, |minute| 22 + (minute * 7) % 11),
    ("northwind", "warehouse-gateway", 12, |_| 0),
    ("northwind", "yard-camera", 36, |minute| if (18..26).contains(&minute) { 19 } else { 2 }),
    ("northwind", "forklift-terminal", 64, |minute| 3 + minute % 3),
    ("contoso", "lobby-signage", 120, |minute| if minute < 30 { 4 } else { 5 }),
    ("contoso", "meeting-room", 86, |_| 2),
    ("contoso", "visitor-kiosk", 18, |minute| if minute < 12 { 9 } else { 0 }),
    ("contoso", "elevator-panel", 40, |_| 0),
    ("contoso", "parking-counter", 16, |minute| minute % 2),
    ("contoso", "roof-weather", 4, |_| 1),
    ("fabrikam", "line-1-vision", 22, |_| 0),
    ("fabrikam", "line-2-vision", 22, |minute| if minute > 54 { 3 } else { 0 }),
    ("fabrikam", "press-monitor", 8, |_| 0),
    ("fabrikam", "air-quality", 75, |minute| 6 + (minute * 5) % 7),
    ("fabrikam", "water-meter", 260, |minute| 40 - minute / 3),
    ("fabrikam", "energy-meter", 410, |minute| 12 + (minute * 3) % 5),
    ("fabrikam", "safety-gate", 30, |_| 0),
    ("tailspin", "pilot", 3, |minute| if minute < 50 { 3 } else { 1 }),
    ("tailspin", "retired", 5, |_| 5),
    ("tailspin", "lab", 0, |_| 0),
];

/// The account with a page that shows it.
pub struct Scene {
    pub url: String,
    stop: CancellationToken,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Whether everything works, or the API, one endpoint and the token of another do not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    Fair,
    Foul,
}

impl Scene {
    /// The last minute of the hour.
    pub async fn start(weather: Weather) -> Scene {
        let clock = Clock::manual(Millis(NOW.0 - 3_540_000));
        let (latest, seen) = watch::channel(Latest::default());
        let (telemetry, stop) = (Telemetry::new(), CancellationToken::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = PageState {
            latest: seen,
            telemetry: telemetry.clone(),
            clock: clock.clone(),
            telemetry_path: "/metrics".into(),
            lifecycle: None,
        };
        tokio::spawn(serve(listener, state, stop.clone()));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let failing = if weather == Weather::Foul { 57 } else { 60 };
        for minute in 0..60 {
            // A minute's counts are there a moment before it is looked at.
            let at = Millis(clock.now().0 - 12_000);
            let (scope, counted) =
                if minute < failing { (Scope::Whole, minute) } else { (Scope::StateOnly, failing - 1) };
            let batch = batch(at, scope, counted);
            let error: Option<&'static str> = (minute >= failing).then_some(
                "https://api.balena-cloud.com/v7/application answered 503: the API or a server before it has \
                 failed; if it stays so, look at its log, or at the status page of balena",
            );
            telemetry.collected(&Collected {
                source: SOURCE,
                result: "x",
                error: error.as_ref().map(|error| error as _),
                codes: &[],
                took: Duration::from_millis(420),
                fleets: STORIES.len(),
                series: batch.series_count(),
                at,
                skew_seconds: None,
            });
            latest.send_replace(Arc::new(BTreeMap::from([(batch.source().clone(), Arc::new(batch))])));
            // Remembered, whatever the page's own task has seen meanwhile.
            let answer = client.get(format!("{url}/?format=json")).send().await.unwrap();
            assert!(answer.status().is_success());
            if minute < 59 {
                clock.advance(MINUTE);
            }
        }
        telemetry.next_cycle(clock.now() + Duration::from_secs(48));
        deliver(&telemetry, weather);
        Scene { url, stop }
    }
}

fn batch(at: Millis, scope: Scope, minute: u32) -> Batch {
    let labels = |organization: &str, name: &str| {
        let pair = |label: &str, value: String| (LabelName::new(label).unwrap(), value.into());
        Labels::new([
            pair("fleet_name", name.to_owned()),
            pair("fleet_slug", format!("{organization}/{name}")),
        ])
        .unwrap()
    };
    let family = |name: &str, role, series: Vec<(Labels, u32)>| Family {
        name: MetricName::new(name).unwrap(),
        kind: Kind::Gauge,
        help: "x".into(),
        role,
        series: series
            .into_iter()
            .map(|(labels, value)| Series { labels, value: Value::from(f64::from(value)), own: None })
            .collect(),
        of: None,
        unit: "".into(),
    };
    let all = |number: fn(u32, u32) -> u32| {
        let one = |(organization, name, devices, offline): &Story| {
            (labels(organization, name), number(*devices, offline(minute).min(*devices)))
        };
        STORIES.iter().map(one).collect()
    };
    let up = u32::from(scope == Scope::Whole);
    let families = vec![
        family("balena_devices_online", Role::Fleet, all(|devices, offline| devices - offline)),
        family("balena_devices", Role::Fleet, all(|devices, _| devices)),
        family("balena_up", Role::State, vec![(Labels::default(), up)]),
    ];
    Batch::new(Source::Account(SOURCE.into()), at, scope, families).unwrap()
}

fn deliver(telemetry: &Telemetry, weather: Weather) {
    let sink = |name: &str, kind, url: &str| SinkName { name: name.into(), kind, url: url.into() };
    let site = sink("site", SinkKind::Pushgateway, "http://pushgateway:9091/");
    let cloud = sink("cloud", SinkKind::RemoteWrite, "https://metrics.example/api/prom/push");
    let mimir = sink("mimir", SinkKind::RemoteWrite, "https://mimir.example/api/v1/push");
    let before = |seconds: u64| Millis(NOW.0 - i64::try_from(seconds).unwrap() * 1_000);
    let taken = |sink: &SinkName, protocol, seconds| {
        telemetry.sink_registered(sink);
        let delivery = Delivery {
            samples: 370,
            bytes: 4_100,
            protocol,
            code: 200,
            at: before(seconds),
            newest: None,
            written: None,
        };
        telemetry.delivered(sink, &delivery);
    };
    taken(&site, "pushgateway PUT", 11);
    let mut queue = QueueStatus {
        bytes: 1_613_824,
        full_in: Some(Duration::from_secs(691_200)),
        ..QueueStatus::default()
    };
    if weather == Weather::Fair {
        taken(&cloud, "remote write 2.0", 11);
        taken(&mimir, "remote write 2.0", 11);
    } else {
        taken(&cloud, "remote write 2.0", 2_405);
        taken(&mimir, "remote write 2.0", 671);
        let minute = Duration::from_secs(191);
        telemetry.parked(
            &cloud,
            &"the receiver answered 401: invalid token",
            "check the credentials: user and password, or the token, and the tenant (X-Scope-OrgID)",
            minute,
        );
        telemetry.retrying(
            &mimir,
            370,
            &"no connection: refused; look whether the receiver runs",
            Duration::from_secs(25),
        );
        for (sink, seconds, records) in [(&cloud, 2_405, 41), (&mimir, 671, 12)] {
            telemetry.backlog(
                sink,
                Backlog {
                    records,
                    samples: records as u64 * 370,
                    oldest: Some(before(seconds)),
                    ..Backlog::default()
                },
            );
        }
        queue.records = 41;
        queue.bytes = 4_194_304;
    }
    telemetry.queue(queue);
}

#[tokio::test]
async fn an_hour_is_told_by_its_points_and_drawn_as_a_line() {
    let scene = Scene::start(Weather::Fair).await;
    let status = json_of(&scene.url, "q=cold-store&").await;
    let points = status["fleets"][0]["last_hour"].as_array().unwrap();
    assert_eq!((points.len(), status["sources"][0]["last_hour_at"].as_array().unwrap().len()), (60, 60));
    assert_eq!((&points[40], &points[41]), (&serde_json::json!(47), &serde_json::json!(0)));
    assert_eq!(status["fleets"][0]["change"], -47);
    let text = html(&format!("{}/?q=cold-store", scene.url)).await;
    assert!(text.contains("<b class=\"dark\">dark</b>"), "{text}");
    assert!(
        text.contains("<span class=\"change\">−47</span><span class=\"hidden\">, between 0 and 47</span>"),
        "{text}"
    );
    assert_eq!(text.matches("<polyline").count(), 1);
    let foul = Scene::start(Weather::Foul).await;
    let points = json_of(&foul.url, "q=cold-store&").await["fleets"][0]["last_hour"].clone();
    assert_eq!(
        points.as_array().unwrap()[56..],
        [serde_json::json!(0), serde_json::Value::Null, serde_json::Value::Null, serde_json::Value::Null]
    );
}
