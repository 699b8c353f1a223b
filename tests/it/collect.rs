//! Collecting against an API of canned answers: what is asked, counted, withdrawn and waited for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleetpush::clock::Clock;
use fleetpush::collect::{CollectError, Collector, CycleReport, CycleResult};
use fleetpush::config::{Account, Auth, FleetLabels, HttpSettings, Proxy, Secret, TlsSettings};
use fleetpush::demo::balena::{Device, Fleet, Options, Server, Simulation};
use fleetpush::sample::{Batch, ClockTrust, Millis, Scope};
use url::Url;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// The name and slug of the sample fleets stand in the API's own form.
pub(crate) const TWO_FLEETS: &str = r#"{"d":[
 {"owns__device":[
   {"is_online":true,"overall_status":"operational","api_heartbeat_state":"online"},
   {"is_online":true,"overall_status":"updating","api_heartbeat_state":"timeout","note":{"a":[1]}},
   {"is_online":false,"overall_status":null,"api_heartbeat_state":"offline"},
   {"is_online":false,"overall_status":"on-fire","api_heartbeat_state":"offline"}],
  "organization":[{"handle":"acme"}],"is_for__device_type":[{"slug":"raspberrypi4-64"}],
  "id":1,"app_name":"lobby","slug":"acme/lobby","is_discoverable":true},
 {"owns__device":[],"organization":[],"is_for__device_type":[],"id":2,"app_name":"empty","slug":"admin/empty"}]}"#;

pub(crate) const TOKEN: &str = "a-token-that-nobody-may-see";
const START: Millis = Millis(1_790_000_000_000);

pub(crate) fn account(url: &str) -> Account {
    Account {
        name: "balena".into(),
        url: Url::parse(url).unwrap(),
        api_version: "v7".into(),
        interval: Duration::from_secs(60),
        include: Vec::new(),
        exclude: Vec::new(),
        max_body_size: 1 << 20,
        http: HttpSettings {
            auth: Auth::Header { scheme: "Bearer".into(), credentials: Secret::Value(TOKEN.into()) },
            tls: TlsSettings::default(),
            proxy: Proxy::Direct,
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
        },
    }
}

/// Answers with the next of its answers, the last one again and again; its clock is the collector's.
struct Script {
    clock: Clock,
    answers: Mutex<Vec<ResponseTemplate>>,
}

impl Respond for Script {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        let date = jiff::Timestamp::from_millisecond(self.clock.now().0).unwrap();
        answer.append_header("date", date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
    }
}

pub(crate) struct Stage {
    pub(crate) server: MockServer,
    pub(crate) clock: Clock,
    script: Arc<Script>,
    labels: FleetLabels,
}

struct Shared(Arc<Script>);

impl Respond for Shared {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        self.0.respond(request)
    }
}

impl Stage {
    pub(crate) async fn answering(answers: Vec<ResponseTemplate>) -> Self {
        let clock = Clock::manual(START);
        let server = MockServer::start().await;
        let script = Arc::new(Script { clock: clock.clone(), answers: Mutex::new(answers) });
        Mock::given(any()).respond_with(Shared(script.clone())).mount(&server).await;
        Stage { server, clock, script, labels: FleetLabels::NameAndSlug }
    }

    pub(crate) fn collector(&self) -> Collector {
        self.collector_of(&account(&self.server.uri()))
    }

    pub(crate) fn collector_of(&self, account: &Account) -> Collector {
        Collector::new(account, self.labels, Duration::from_secs(300), self.clock.clone()).unwrap()
    }

    pub(crate) async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.unwrap()
    }

    fn now_answers(&self, answer: ResponseTemplate) {
        *self.script.answers.lock().unwrap() = vec![answer];
    }
}

pub(crate) fn good() -> ResponseTemplate {
    json(TWO_FLEETS)
}

pub(crate) fn json(body: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body.to_owned(), "application/json")
}

pub(crate) fn status(code: u16) -> ResponseTemplate {
    ResponseTemplate::new(code)
}

/// Every series as text with its value.
pub(crate) fn values(batch: &Batch) -> BTreeMap<String, f64> {
    let all = batch.families().iter().flat_map(|family| {
        family.series.iter().map(|series| {
            let labels: Vec<String> =
                series.labels.iter().map(|label| format!("{}={:?}", label.name, label.value)).collect();
            (format!("{}{{{}}}", family.name, labels.join(",")), series.value.get())
        })
    });
    all.collect()
}

pub(crate) fn error_of(report: &CycleReport) -> String {
    report.error.as_ref().map(CollectError::explained).unwrap_or_default()
}

/// What every failed cycle owes: `balena_up 0`, no fleet, no count.
pub(crate) fn assert_failed(batch: &Batch, report: &CycleReport, result: CycleResult) {
    let values = values(batch);
    assert_eq!(report.result, result, "{}", error_of(report));
    assert_eq!(values["balena_up{}"], 0.0);
    let counted = |name: &&String| name.starts_with("balena_devices") || name.starts_with("balena_fleet");
    assert_eq!(values.keys().find(counted), None);
    assert!(!error_of(report).contains(TOKEN), "{}", error_of(report));
    assert!(!error_of(report).contains("$filter"), "{}", error_of(report));
}

#[tokio::test]
async fn fleets_are_listed() {
    let stage = Stage::answering(vec![good()]).await;
    let fleets = stage.collector().fleets().await.unwrap();
    let slugs: Vec<&str> = fleets.iter().map(|fleet| &*fleet.slug).collect();
    assert_eq!(slugs, ["acme/lobby", "admin/empty"]);
}

#[tokio::test]
async fn one_fleets_online_count_is_read() {
    let stage = Stage::answering(vec![good()]).await;
    let fleets = stage.collector().fleets().await.unwrap();
    assert_eq!((fleets[0].online, fleets[0].total), (2, 4));
    assert_eq!((fleets[1].online, fleets[1].total), (0, 0));
}

#[tokio::test]
async fn collecting_gives_one_sample_for_each_fleet() {
    let stage = Stage { labels: FleetLabels::Name, ..Stage::answering(vec![good()]).await };
    let (batch, _) = stage.collector().cycle().await;
    let values = values(&batch);
    let online: Vec<_> =
        values.iter().filter(|(name, _)| name.starts_with("balena_devices_online")).collect();
    assert_eq!(
        online,
        [
            (&r#"balena_devices_online{fleet_name="empty"}"#.to_owned(), &0.0),
            (&r#"balena_devices_online{fleet_name="lobby"}"#.to_owned(), &2.0)
        ]
    );
}

#[tokio::test]
async fn a_cycle_says_all_families_of_one_snapshot() {
    let stage = Stage::answering(vec![good()]).await;
    let (batch, report) = stage.collector().cycle().await;
    assert_eq!((report.result, report.fleets, report.api_codes), (CycleResult::Ok, Some(2), vec![200]));
    assert_eq!((batch.at(), batch.scope(), batch.clock()), (START, Scope::Whole, ClockTrust::Trusted));
    let values = values(&batch);
    let lobby = |family: &str, more: &str| values[&format!("{family}{{{more}}}")];
    let both = r#"fleet_name="lobby",fleet_slug="acme/lobby""#;
    assert_eq!(lobby("balena_devices", both), 4.0);
    for (word, number) in [("operational", 1.0), ("unknown", 1.0), ("on-fire", 1.0), ("inactive", 0.0)] {
        assert_eq!(lobby("balena_devices_by_status", &format!("{both},status={word:?}")), number, "{word}");
    }
    for (word, number) in [("online", 1.0), ("timeout", 1.0), ("offline", 2.0), ("unknown", 0.0)] {
        assert_eq!(lobby("balena_devices_by_heartbeat", &format!("{both},state={word:?}")), number, "{word}");
    }
    let info = format!(r#"device_type="raspberrypi4-64",fleet_id="1",{both},organization="acme""#);
    assert_eq!(lobby("balena_fleet_info", &info), 1.0);
    assert_eq!(values["balena_up{}"], 1.0);
    assert_eq!(values["balena_fleets{}"], 2.0);
    assert_eq!(values["balena_collect_last_success_timestamp_seconds{}"], START.as_seconds());
    assert!(values.contains_key("balena_collect_duration_seconds{}"));
}

#[tokio::test]
async fn version_six_keeps_its_own_words() {
    let stage = Stage::answering(vec![good()]).await;
    let mut account = account(&stage.server.uri());
    account.api_version = "v6".into();
    let (batch, _) = stage.collector_of(&account).cycle().await;
    let names = values(&batch);
    assert!(names.keys().any(|name| name.contains(r#"status="idle""#)));
    assert!(!names.keys().any(|name| name.contains(r#"status="disconnected""#)));
    assert_eq!(stage.requests().await[0].url.path(), "/v6/application");
}

#[tokio::test]
async fn the_one_request_is_spelled_as_the_api_takes_it() {
    let stage = Stage::answering(vec![good()]).await;
    let mut account = account(&format!("{}/balena", stage.server.uri()));
    account.http.headers.push(("x-tenant".into(), "one".into()));
    stage.collector_of(&account).cycle().await;
    let requests = stage.requests().await;
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].url.path(), "/balena/v7/application");
    let query = requests[0].url.query().unwrap();
    assert!(
        query.contains("$filter=is_directly_accessible_by__user/any(dau:1%20eq%201)%20and%20"),
        "{query}"
    );
    assert!(query.contains("is_of__class%20eq%20%27fleet%27"), "{query}");
    for refused in ["%28", "%29", "%3A", "%2C", "%2F", "%24", "%3D", "+"] {
        assert!(!query.contains(refused), "{refused} in {query}");
    }
    let header = |name: &str| requests[0].headers.get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(header("authorization"), format!("Bearer {TOKEN}"));
    assert_eq!(header("x-tenant"), "one");
    assert!(header("user-agent").starts_with("fleetpush/"));
}

#[tokio::test]
async fn the_last_counts_stand_for_a_while_and_are_then_withdrawn() {
    let stage = Stage::answering(vec![good(), status(500)]).await;
    let mut collector = stage.collector();
    collector.cycle().await;
    stage.clock.advance(Duration::from_secs(299));
    let (batch, report) = collector.cycle().await;
    assert_failed(&batch, &report, CycleResult::ApiError);
    assert_eq!(batch.scope(), Scope::StateOnly);
    assert_eq!(values(&batch)["balena_collect_last_success_timestamp_seconds{}"], START.as_seconds());
    stage.clock.advance(Duration::from_secs(1));
    let (batch, report) = collector.cycle().await;
    assert_failed(&batch, &report, CycleResult::ApiError);
    assert_eq!(batch.scope(), Scope::Whole);
    stage.now_answers(good());
    let (batch, _) = collector.cycle().await;
    assert_eq!((batch.scope(), values(&batch)["balena_up{}"]), (Scope::Whole, 1.0));
}

#[tokio::test]
async fn times_rise_strictly_even_where_the_clock_stands_or_goes_back() {
    let stage = Stage::answering(vec![good()]).await;
    let mut collector = stage.collector().resumed(None, Some(Millis(START.0 + 50)));
    let (first, _) = collector.cycle().await;
    let (second, _) = collector.cycle().await;
    assert_eq!((first.at(), second.at()), (Millis(START.0 + 51), Millis(START.0 + 52)));
}

#[tokio::test]
async fn a_clock_that_is_off_is_not_believed_until_it_is_right() {
    for (minutes, trusted) in [(-6, false), (-4, true), (4, true), (6, false)] {
        let stage = Stage::answering(vec![good()]).await;
        let ours = Clock::manual(Millis(START.0 + minutes * 60_000));
        let account = account(&stage.server.uri());
        let mut collector =
            Collector::new(&account, FleetLabels::NameAndSlug, Duration::from_secs(300), ours.clone())
                .unwrap();
        let (batch, report) = collector.cycle().await;
        assert_eq!(report.skew_seconds, Some((minutes * 60) as f64));
        assert_eq!(batch.clock() == ClockTrust::Trusted, trusted, "{minutes} min");
        if !trusted {
            assert_failed(&batch, &report, CycleResult::ClockSkew);
            assert!(error_of(&report).contains("clock"), "{}", error_of(&report));
        }
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_far_is_not_believed() {
    for (behind_ms, trusted) in [(300_000, true), (300_001, false)] {
        let stage = Stage::answering(vec![good()]).await;
        let mut collector = stage.collector().resumed(None, Some(Millis(START.0 + behind_ms)));
        let (batch, report) = collector.cycle().await;
        assert_eq!(batch.clock() == ClockTrust::Trusted, trusted, "{behind_ms} ms");
        if !trusted {
            assert_failed(&batch, &report, CycleResult::ClockSkew);
            assert!(error_of(&report).contains("behind the cycle before"), "{}", error_of(&report));
        }
    }
}

#[tokio::test]
async fn a_clock_that_was_two_hours_ahead_is_believed_as_soon_as_it_is_right() {
    let stage = Stage::answering(vec![good(), good()]).await;
    let ours = Clock::manual(Millis(START.0 + 2 * 3_600_000));
    let account = account(&stage.server.uri());
    let mut collector =
        Collector::new(&account, FleetLabels::NameAndSlug, Duration::from_secs(300), ours.clone()).unwrap();
    let (batch, report) = collector.cycle().await;
    assert_eq!(batch.clock(), ClockTrust::Skewed);
    assert_failed(&batch, &report, CycleResult::ClockSkew);
    let Clock::Manual(at) = &ours else { panic!("it is held by hand") };
    at.store(START.0, std::sync::atomic::Ordering::SeqCst);
    let (batch, report) = collector.cycle().await;
    assert_eq!((batch.clock(), report.result), (ClockTrust::Trusted, CycleResult::Ok));
    assert_eq!(batch.at(), START);
}

#[tokio::test]
async fn only_wanted_slugs_are_counted() {
    let stage = Stage::answering(vec![good()]).await;
    let mut account = account(&stage.server.uri());
    account.include = vec![glob::Pattern::new("Acme/*").unwrap(), glob::Pattern::new("admin/*").unwrap()];
    account.exclude = vec![glob::Pattern::new("*/empty").unwrap()];
    let fleets = stage.collector_of(&account).fleets().await.unwrap();
    assert_eq!(fleets.iter().map(|fleet| &*fleet.slug).collect::<Vec<_>>(), ["acme/lobby"]);
}

#[tokio::test]
async fn namesakes_are_summed_under_the_name_alone_with_one_warning() {
    let body = TWO_FLEETS.replace(
        "\"app_name\":\"empty\",\"slug\":\"admin/empty\"",
        "\"app_name\":\"lobby\",\"slug\":\"admin/lobby\"",
    );
    let body = body.replacen(
        "\"owns__device\":[],",
        r#""owns__device":[{"is_online":true,"overall_status":"operational","api_heartbeat_state":"online"}],"#,
        1,
    );
    let stage = Stage { labels: FleetLabels::Name, ..Stage::answering(vec![json(&body)]).await };
    let mut collector = stage.collector();
    let (batch, report) = collector.cycle().await;
    let values = values(&batch);
    assert_eq!(values[r#"balena_devices{fleet_name="lobby"}"#], 5.0);
    assert_eq!(values[r#"balena_devices_by_status{fleet_name="lobby",status="operational"}"#], 2.0);
    assert_eq!(values["balena_fleets{}"], 2.0);
    assert_eq!(report.warnings.len(), 1);
    assert!(report.warnings[0].contains("acme/lobby, admin/lobby"), "{:?}", report.warnings);
    let (_, again) = collector.cycle().await;
    assert!(again.warnings.is_empty(), "it is said once");
}

#[tokio::test]
async fn a_pause_that_the_api_asks_for_is_kept_without_a_request() {
    let date = "Mon, 21 Sep 2026 14:15:20 GMT";
    for (header, seconds) in [("120", 120), (date, 120), ("999999", 3600)] {
        let stage =
            Stage::answering(vec![good(), status(429).insert_header("retry-after", header), good()]).await;
        let mut collector = stage.collector();
        collector.cycle().await;
        let (batch, report) = collector.cycle().await;
        assert_failed(&batch, &report, CycleResult::RateLimited);
        stage.clock.advance(Duration::from_secs(seconds - 1));
        let (batch, report) = collector.cycle().await;
        assert_failed(&batch, &report, CycleResult::RateLimited);
        assert!(report.api_codes.is_empty());
        assert_eq!(stage.requests().await.len(), 2, "{header}");
        stage.clock.advance(Duration::from_secs(1));
        assert_eq!(collector.cycle().await.1.result, CycleResult::Ok, "{header}");
    }
}

#[tokio::test]
async fn a_server_that_comes_back_within_the_cycle_costs_no_cycle() {
    let stage = Stage::answering(vec![status(503), good()]).await;
    let (_, report) = stage.collector().cycle().await;
    assert_eq!((report.result, report.api_codes), (CycleResult::Ok, vec![503, 200]));
}

#[tokio::test]
async fn a_token_names_its_owner() {
    let stage = Stage::answering(vec![json(r#"{"id":2,"username":"admin","email":"a@example.test"}"#)]).await;
    assert_eq!(stage.collector().whoami().await.unwrap().username, "admin");
    assert_eq!(stage.requests().await[0].url.path(), "/user/v1/whoami");
}

#[tokio::test]
async fn the_strict_simulation_takes_the_request_in_both_versions() {
    let lobby = Fleet::new("Acme", "Lobby")
        .devices(3, &Device::operational())
        .devices(2, &Device::disconnected())
        .device(&Device::without_vpn())
        .device(&Device::updating());
    let simulation = Simulation::new()
        .with(lobby)
        .with(Fleet::new("acme", "attic").archived())
        .with(Fleet::new("acme", "blocks").class("block"))
        .with(Fleet::new("strangers", "public").foreign().public());
    let server = Server::start(simulation, Options::default()).await.unwrap();
    for (version, down) in [("v7", "disconnected"), ("v6", "offline")] {
        let mut account = account(&server.base_url());
        account.api_version = version.into();
        let credentials = Secret::Value(Options::default().token.into());
        account.http.auth = Auth::Header { scheme: "Bearer".into(), credentials };
        let labels = FleetLabels::NameAndSlug;
        let mut collector =
            Collector::new(&account, labels, Duration::from_secs(300), Clock::SYSTEM).unwrap();
        let (_, report) = collector.cycle().await;
        assert_eq!(report.result, CycleResult::Ok, "{version}: {}", error_of(&report));
        let fleets = collector.fleets().await.unwrap();
        let slugs: Vec<&str> = fleets.iter().map(|fleet| &*fleet.slug).collect();
        assert_eq!(slugs, ["acme/lobby"], "{version}");
        assert_eq!((fleets[0].total, fleets[0].online), (7, 4), "{version}");
        assert_eq!((fleets[0].statuses[down], fleets[0].statuses["updating"]), (2, 1), "{version}");
        assert_eq!(fleets[0].statuses.values().sum::<u64>(), 7);
        assert_eq!(fleets[0].heartbeats.values().sum::<u64>(), 7);
    }
}

#[tokio::test]
async fn idle_connections_that_the_server_closes_cost_no_cycle() {
    let options = Options { keep_alive: Duration::from_millis(1), ..Options::default() };
    let token = options.token.clone();
    let server = Server::start(Simulation::generate(3, 5, 1), options).await.unwrap();
    let mut account = account(&server.base_url());
    account.http.auth = Auth::Header { scheme: "Bearer".into(), credentials: Secret::Value(token.into()) };
    let labels = FleetLabels::NameAndSlug;
    let mut collector = Collector::new(&account, labels, Duration::from_secs(300), Clock::SYSTEM).unwrap();
    for _ in 0..30 {
        let (batch, report) = collector.cycle().await;
        assert_eq!(report.result, CycleResult::Ok, "{}", error_of(&report));
        assert_eq!(batch.scope(), Scope::Whole);
    }
}
