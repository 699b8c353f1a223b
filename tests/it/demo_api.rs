//! The simulated balena API answers as the real one was seen to answer.

use std::time::{Duration, Instant};

use fleetpush::demo::balena::{Cut, Device, Fault, Fleet, Options, Server, Simulation, Times};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const MEMBER: &str = "is_directly_accessible_by__user/any(dau:1%20eq%201)";
const BOUND: Duration = Duration::from_secs(20);

struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            line.split_once(": ").filter(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        })
    }
}

/// A client that sends what it is told, byte for byte, and reads until the server closes.
async fn raw(server: &Server, method: &str, target: &str, headers: &[&str]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address()).await.expect("the server listens");
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: api\r\nconnection: close\r\n");
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.expect("the request is taken");
    let mut bytes = Vec::new();
    timeout(BOUND, stream.read_to_end(&mut bytes)).await.expect("an answer in time").ok();
    bytes
}

async fn ask_as(server: &Server, method: &str, target: &str, headers: &[&str]) -> Reply {
    let bytes = raw(server, method, target, headers).await;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(bytes[..end].to_vec()).expect("the head is text");
    let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
    let mut reply = Reply { status, head, body: bytes[end + 4..].to_vec() };
    if reply.header("transfer-encoding") == Some("chunked") {
        reply.body = unchunk(&reply.body);
    }
    reply
}

fn unchunk(mut left: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(end) = left.windows(2).position(|two| two == b"\r\n") {
        let size =
            usize::from_str_radix(std::str::from_utf8(&left[..end]).expect("a size"), 16).expect("hex");
        all.extend_from_slice(&left[end + 2..end + 2 + size]);
        left = &left[end + 2 + size + 2..];
    }
    all
}

async fn ask(server: &Server, target: &str) -> Reply {
    ask_as(server, "GET", target, &["authorization: Bearer simulated-token"]).await
}

async fn start(simulation: Simulation) -> Server {
    Server::start(simulation, Options::default()).await.expect("a free port")
}

/// Fifteen devices, seven online, as in the recorded answers.
fn fifteen(fleet: Fleet) -> Fleet {
    fleet
        .devices(5, &Device::operational())
        .devices(3, &Device::disconnected())
        .device(&Device::reduced())
        .devices(2, &Device::without_vpn())
        .device(&Device::updating())
        .devices(2, &Device::configuring())
        .device(&Device::post_provisioning())
}

fn recorded() -> Simulation {
    Simulation::new()
        .with(fifteen(Fleet::new("admin", "lobby")))
        .with(fifteen(Fleet::new("acme", "lobby")))
        .with(Fleet::new("admin", "empty"))
}

mod golden {
    use super::*;

    #[tokio::test]
    async fn one_count_for_all_fleets() {
        let server = start(recorded()).await;
        let target = format!(
            "/v7/application?$select=id,app_name,slug&$filter={MEMBER}&$orderby=id%20asc\
             &$expand=owns__device/$count($filter=is_online%20eq%20true)"
        );
        let expected = r#"{"d":[{"owns__device":7,"id":1,"app_name":"lobby","slug":"admin/lobby"},{"owns__device":7,"id":2,"app_name":"lobby","slug":"acme/lobby"},{"owns__device":0,"id":3,"app_name":"empty","slug":"admin/empty"}]}"#;
        assert_eq!(ask(&server, &target).await.text(), expected);
        assert_eq!(ask(&server, &target.replace("v7", "v6")).await.text(), expected);
    }

    #[tokio::test]
    async fn rows_of_devices() {
        let mut devices =
            [Device::operational(), Device::disconnected(), Device::reduced(), Device::updating()];
        for (device, id) in devices.iter_mut().zip([1, 6, 9, 12]) {
            device.id = id;
        }
        let fleet = devices.iter().fold(Fleet::new("admin", "lobby"), Fleet::device);
        let server = start(Simulation::new().with(fleet).with(Fleet::new("admin", "empty"))).await;
        let target =
            "/v7/application?$select=slug&$orderby=id%20asc&$expand=owns__device($select=id,overall_status)";
        assert_eq!(
            ask(&server, target).await.text(),
            r#"{"d":[{"owns__device":[{"id":1,"overall_status":"operational"},{"id":6,"overall_status":"disconnected"},{"id":9,"overall_status":"reduced-functionality"},{"id":12,"overall_status":"updating"}],"slug":"admin/lobby"},{"owns__device":[],"slug":"admin/empty"}]}"#
        );
        let old = ask(&server, &target.replace("v7", "v6")).await;
        assert!(
            old.text().contains(r#"{"id":6,"overall_status":"offline"},{"id":9,"overall_status":"idle"}"#)
        );
    }

    #[tokio::test]
    async fn organization_type_and_release() {
        let simulation =
            Simulation::new().with(Fleet::new("admin", "x-one")).with(Fleet::new("acme", "lobby"));
        let server = start(simulation).await;
        let target = "/v7/application(2)?$select=id,slug,is_archived,is_of__class&$expand=organization($select=handle)\
                      ,is_for__device_type($select=slug),owns__device/$count";
        assert_eq!(
            ask(&server, target).await.text(),
            r#"{"d":[{"organization":[{"handle":"acme"}],"is_for__device_type":[{"slug":"raspberrypi4-64"}],"owns__device":0,"id":2,"slug":"acme/lobby","is_archived":false,"is_of__class":"fleet"}]}"#
        );
        let target = "/v7/application(2)?$select=id&$expand=should_be_running__release($select=id)";
        assert_eq!(ask(&server, target).await.text(), r#"{"d":[{"should_be_running__release":[],"id":2}]}"#);
    }

    #[tokio::test]
    async fn flat_devices() {
        let simulation = recorded();
        simulation.add_orphan(Device::operational());
        let server = start(simulation).await;
        let target = "/v7/device?$select=belongs_to__application,overall_status";
        assert_eq!(
            ask(&server, &format!("{target}&$top=1")).await.text(),
            r#"{"d":[{"belongs_to__application":{"__id":1},"overall_status":"operational"}]}"#
        );
        assert_eq!(
            ask(&server, &format!("{target}&$filter=belongs_to__application%20eq%20null")).await.text(),
            r#"{"d":[{"belongs_to__application":null,"overall_status":"operational"}]}"#
        );
        let target = "/v7/device/$count?$filter=is_online%20and%20not(belongs_to__application%20eq%20null)";
        assert_eq!(ask(&server, target).await.text(), r#"{"d":14}"#);
    }

    #[tokio::test]
    async fn nothing_there_and_public_only() {
        let simulation = Simulation::new()
            .with(Fleet::new("acme", "mine"))
            .with(Fleet::new("else", "seen").id(5).public().foreign())
            .with(Fleet::new("else", "seen-too").id(6).public().foreign());
        let server = start(simulation).await;
        assert_eq!(ask(&server, "/v7/application(99)").await.text(), r#"{"d":[]}"#);
        let bad = ["authorization: Bearer revoked"];
        let plain = ask_as(&server, "GET", "/v7/application?$select=id&$orderby=id%20asc", &bad).await;
        assert_eq!((plain.status, plain.text()), (200, r#"{"d":[{"id":5},{"id":6}]}"#));
        let filtered = ask_as(&server, "GET", &format!("/v7/application?$filter={MEMBER}"), &bad).await;
        assert_eq!((filtered.status, filtered.text()), (401, ""));
        let mine = ask(&server, &format!("/v7/application?$select=id&$filter={MEMBER}")).await;
        assert_eq!(mine.text(), r#"{"d":[{"id":1}]}"#);
    }

    #[tokio::test]
    async fn who_am_i() {
        let server = start(recorded()).await;
        assert_eq!(
            ask(&server, "/user/v1/whoami").await.text(),
            r#"{"id":2,"username":"admin","email":"admin@example.test"}"#
        );
        assert_eq!(
            ask(&server, "/actor/v1/whoami").await.text(),
            r#"{"id":2,"actorType":"user","actorTypeId":2,"username":"admin","email":"admin@example.test"}"#
        );
        let anonymous =
            ask_as(&server, "GET", "/user/v1/whoami", &["authorization: Token simulated-token"]).await;
        assert_eq!((anonymous.status, anonymous.text()), (401, ""));
        let lower =
            ask_as(&server, "GET", "/user/v1/whoami", &["authorization: bearer simulated-token"]).await;
        assert_eq!(lower.status, 200);
    }

    #[tokio::test]
    async fn bodies_of_errors() {
        let server = start(recorded()).await;
        let malformed = ask(&server, "/v7/application?$filter=(((").await;
        assert_eq!(
            (malformed.status, malformed.text()),
            (400, r#""Malformed url: '/v7/application?$filter=((('""#)
        );
        server.inject(Fault::RateLimit("7".to_owned()), Times::Next(1));
        let limited = ask(&server, "/v7/application").await;
        assert_eq!((limited.status, limited.text()), (429, r#""Too Many Requests""#));
        assert_eq!(limited.header("retry-after"), Some("7"));
        for (target, status) in
            [("/v7/fleet", 401), ("/v8/application", 404), ("/v7/application?$select=is_active", 500)]
        {
            let reply = ask(&server, target).await;
            assert_eq!((reply.status, reply.text()), (status, ""), "{target}");
            assert_eq!(reply.header("transfer-encoding"), Some("chunked"), "{target}");
        }
    }

    #[tokio::test]
    async fn last_of_two_equal_expands_wins() {
        let server = start(recorded()).await;
        let count = "owns__device/$count($filter=is_online%20eq%20true)";
        let target = format!("/v7/application(1)?$select=slug&$expand={count},owns__device/$count");
        assert_eq!(ask(&server, &target).await.text(), r#"{"d":[{"owns__device":15,"slug":"admin/lobby"}]}"#);
        let target = format!("/v7/application(1)?$select=slug&$expand=owns__device,{count}");
        assert_eq!(ask(&server, &target).await.text(), r#"{"d":[{"owns__device":7,"slug":"admin/lobby"}]}"#);
    }
}

mod api_is_strict {
    use super::*;

    #[tokio::test]
    async fn about_encoded_grammar() {
        let server = start(recorded()).await;
        for target in [
            "/v7/application?$filter=is_directly_accessible_by__user/any%28dau:1%20eq%201%29",
            "/v7/application?$filter=is_directly_accessible_by__user/any(dau%3A1%20eq%201)",
            "/v7/application?$select=id%2Cslug",
            "/v7/application?$filter=is_directly_accessible_by__user%2Fany(dau:1%20eq%201)",
            "/v7/application?$expand=owns__device(%24select=id)",
            "/v7/application?$expand=owns__device($select%3Did)",
            "/v7/application?$expand=owns__device/%24count",
            "/v7/application?$filter=id%20eq%201)",
            "/v7/application?$filter=created_at%20gt%202026-01-01T00:00:00Z",
            "/v7/application?$apply=groupby((slug))",
            "/v7/application/",
        ] {
            let reply = ask(&server, target).await;
            assert_eq!(reply.status, 400, "{target}");
            assert_eq!(reply.text(), format!("\"Malformed url: '{target}'\""), "{target}");
        }
    }

    #[tokio::test]
    async fn but_not_about_encoded_spaces_and_strings() {
        let server = start(recorded()).await;
        for filter in [
            "slug+eq+'acme/lobby'",
            "slug%20eq%20%27acme%2Flobby%27",
            "slug in ('acme/lobby','no/where')".replace(' ', "%20").as_str(),
            "id%20in%20(2)",
            "not(id%20eq%201)%20and%20owns__device/$count%20gt%200",
            "organization/any(o:o/handle%20eq%20'acme')",
            "organization/handle%20eq%20'acme'%20or%20slug%20eq%20'it''s'",
            "slug%20eq%20'acme/lobby'%20and%20created_at%20gt%20datetime'2026-01-01T00:00:00Z'",
            &format!(
                "{MEMBER}%20and%20id%20eq%202%20and%20is_archived%20eq%20false%20and%20is_of__class%20eq%20'fleet'"
            ),
            "is_directly_accessible_by__user/any(dau:true)%20and%20(id%20eq%202)",
        ] {
            let reply = ask(&server, &format!("/v7/application?%24select=id&%24filter={filter}")).await;
            assert_eq!((reply.status, reply.text()), (200, r#"{"d":[{"id":2}]}"#), "{filter}");
        }
    }

    #[tokio::test]
    async fn about_unknown_names_even_without_rows() {
        let server = start(Simulation::new()).await;
        for target in [
            "/v7/application?$select=is_active",
            "/v7/application?$filter=belongs_to__user%20eq%201",
            "/v7/application?$expand=owns__device($select=is_frozen)",
            "/v7/application?$expand=owns__nothing",
            "/v7/application?$orderby=nothing",
        ] {
            let reply = ask(&server, target).await;
            assert_eq!((reply.status, reply.text()), (500, ""), "{target}");
        }
    }

    #[tokio::test]
    async fn about_paths_methods_and_lengths() {
        let server = start(recorded()).await;
        assert_eq!(ask(&server, "//v7/application").await.status, 404);
        assert_eq!(ask(&server, "/v5/application").await.status, 404);
        let key = ["authorization: Bearer simulated-token"];
        assert_eq!(ask_as(&server, "HEAD", "/v7/application", &key).await.status, 500);
        let ids = (0..6_000).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(ask(&server, &format!("/v7/application?$filter=id%20in%20({ids})")).await.status, 431);
        assert_eq!(ask(&server, "/ping").await.text(), "OK");
    }

    #[tokio::test]
    async fn about_order_which_falls_by_default() {
        let simulation = recorded();
        let server = start(simulation.clone()).await;
        assert_eq!(
            ask(&server, "/v7/application?$select=id&$orderby=id").await.text(),
            r#"{"d":[{"id":3},{"id":2},{"id":1}]}"#
        );
        assert!(simulation.rename(1, "hall"));
        assert_eq!(
            ask(&server, "/v7/application?$select=id,slug").await.text(),
            r#"{"d":[{"id":2,"slug":"acme/lobby"},{"id":3,"slug":"admin/empty"},{"id":1,"slug":"admin/hall"}]}"#
        );
        assert_eq!(
            ask(&server, "/v7/application?$select=id&$orderby=id%20asc&$top=1&$skip=1").await.text(),
            r#"{"d":[{"id":2}]}"#
        );
    }

    #[tokio::test]
    async fn about_secrets_of_devices_without_select() {
        let server = start(recorded()).await;
        assert!(ask(&server, "/v7/device?$top=1").await.text().contains("api_secret"));
    }
}

#[tokio::test]
async fn tags_and_gzip_save_bytes() {
    let server = start(Simulation::generate(60, 2, 7)).await;
    let key = "authorization: Bearer simulated-token";
    let plain = ask(&server, "/v7/application").await;
    let tag = format!("if-none-match: {}", plain.header("etag").expect("a tag"));
    let same = ask_as(&server, "GET", "/v7/application", &[key, &tag]).await;
    assert_eq!((same.status, same.text()), (304, ""));
    let packed = ask_as(&server, "GET", "/v7/application", &[key, "accept-encoding: gzip"]).await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed.body.as_slice()), &mut text)
        .expect("gzip");
    assert_eq!(text, plain.text());
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let options = Options { keep_alive: Duration::from_secs(1), ..Options::default() };
    let server = Server::start(recorded(), options).await.expect("a free port");
    let mut stream = TcpStream::connect(server.address()).await.expect("the server listens");
    let request = b"GET /ping HTTP/1.1\r\nhost: api\r\n\r\n";
    stream.write_all(request).await.expect("sent");
    let started = Instant::now();
    let mut bytes = Vec::new();
    timeout(BOUND, stream.read_to_end(&mut bytes)).await.expect("closed in time").expect("closed cleanly");
    let text = String::from_utf8(bytes).expect("text");
    assert!(text.contains("keep-alive: timeout=1") && text.ends_with("OK"), "{text}");
    assert!(started.elapsed() >= Duration::from_millis(900), "closed after {:?}", started.elapsed());
}

#[tokio::test]
async fn faults_are_met_and_used_up() {
    let server = start(recorded()).await;
    let plain = "/v7/application?$select=id";
    let mine = format!("/v7/application?$filter={MEMBER}");

    server.inject(Fault::DatabaseDown, Times::Next(3));
    assert_eq!(ask(&server, &mine).await.status, 401);
    assert_eq!(ask(&server, plain).await.status, 500);
    assert_eq!(ask(&server, "/ping").await.status, 200);

    server.inject(Fault::status_with(502, "bad gateway").header("retry-after", "3"), Times::Next(1));
    let reply = ask(&server, plain).await;
    assert_eq!((reply.status, reply.text(), reply.header("retry-after")), (502, "bad gateway", Some("3")));

    server.inject(Fault::Cut(Cut::BeforeWork), Times::Next(1));
    assert!(raw(&server, "GET", plain, &[]).await.is_empty());

    server.inject(Fault::Cut(Cut::InBody(4)), Times::Next(1));
    let key = "authorization: Bearer simulated-token";
    let cut = String::from_utf8(raw(&server, "GET", plain, &[key]).await).expect("text");
    assert!(cut.starts_with("HTTP/1.1 200") && !cut.contains("]}"), "{cut}");

    server.inject(Fault::DateOffset(-86_400), Times::Next(1));
    let yesterday = ask(&server, plain).await;
    assert_ne!(yesterday.header("date"), ask(&server, plain).await.header("date"));

    server.inject_on("/v6/", Fault::Redirect("https://elsewhere.example/".to_owned()), Times::Always);
    assert_eq!(ask(&server, plain).await.status, 200);
    let moved = ask(&server, "/v6/application").await;
    assert_eq!((moved.status, moved.header("location")), (301, Some("https://elsewhere.example/")));

    server.inject(Fault::Body(b"<html>".to_vec()), Times::Always);
    assert_eq!(ask(&server, plain).await.text(), "<html>");
    server.clear_faults();
    assert_eq!(ask(&server, plain).await.text(), r#"{"d":[{"id":1},{"id":2},{"id":3}]}"#);
}

#[tokio::test]
async fn requests_are_logged_and_awaited() {
    let server = start(recorded()).await;
    let (reply, waited) =
        tokio::join!(ask(&server, "/v7/application?$select=id"), timeout(BOUND, server.received(1)));
    waited.expect("seen");
    assert_eq!(reply.status, 200);
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].path(), "/v7/application");
    assert_eq!(requests[0].query(), Some("$select=id"));
    assert_eq!(requests[0].header("Authorization"), Some("Bearer simulated-token"));
}

#[tokio::test]
async fn stopped_server_refuses_connections() {
    let server = start(recorded()).await;
    let address = server.address();
    timeout(BOUND, server.stop()).await.expect("stops");
    assert!(TcpStream::connect(address).await.is_err());
}

#[test]
fn same_seed_gives_the_same_account() {
    let (one, two) = (Simulation::generate(8, 20, 3), Simulation::generate(8, 20, 3));
    assert_eq!(one.fleets(), two.fleets());
    let before = one.fleets();
    for _ in 0..5 {
        one.tick();
        two.tick();
    }
    assert_eq!(one.fleets(), two.fleets());
    assert_ne!(one.fleets(), before);
    assert_eq!(one.total("acme/lobby").map(|total| total > 0), Some(true));
    assert!(one.online("acme/lobby") <= one.total("acme/lobby"));
}
