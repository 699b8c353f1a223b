//! The real binary's page behind its file, as scrapers and attackers meet it.

use std::path::Path;

use fleetpush::demo::balena;
use rstest::rstest;

use super::front::basic;
use super::{Files, HASH, PASSWORD, Walled, api, builder, client};
use crate::program::{LIMIT, Program};
use crate::servers::{Prometheus, Suite, eventually};
use crate::tls::Authority;

/// A running service with a page behind `web.yml`.
pub struct Page {
    pub program: Program,
    /// `127.0.0.1:port`.
    pub address: String,
    _api: balena::Server,
}

impl Page {
    pub async fn start(web: &Path) -> Self {
        let api = api().await;
        let arguments = ["--web.config.file", web.to_str().unwrap()];
        // As quiet as it is by default: its lines are counted.
        let program = Program::command(&arguments, &api, &[]);
        let address = program.page().await.trim_start_matches("http://").to_owned();
        Page { program, address, _api: api }
    }
}

#[rstest]
#[case::old(Suite::Stock)]
#[case::new(Suite::New)]
#[tokio::test]
async fn a_prometheus_scrapes_with_a_certificate_and_a_password(#[case] suite: Suite) {
    let walled = Walled::new();
    let page = Page::start(&walled.web()).await;
    let url = format!("https://{}/metrics", page.address);
    let prometheus =
        Prometheus::scraping(suite, &[("balena", &url)], walled.credentials("scraper", PASSWORD)).await;
    let online = eventually("the fleet", LIMIT, async || {
        prometheus.query("balena_devices_online").await.first().map(|(_, value)| *value)
    })
    .await;
    assert_eq!(online, 3.0);
    assert!(prometheus.query("up == 0").await.is_empty());

    let stranger =
        Prometheus::scraping(suite, &[("balena", &url)], walled.credentials("scraper", "wrong")).await;
    let down = async || stranger.query("up").await.first().map(|(_, value)| *value);
    assert_eq!(eventually("a scrape", LIMIT, down).await, 0.0);
    assert!(stranger.query("balena_devices_online").await.is_empty());
}

#[tokio::test]
async fn wrong_passwords_hold_up_nobody_who_is_known() {
    let files = Files::new();
    // Of the cost 12: each check takes long, and no password is the right one.
    let slow = HASH.replacen("$04", "$12", 1);
    files.write("web.yml", &format!("basic_auth_users:\n  ops: {HASH}\n  slow: {slow}\n"));
    let page = Page::start(&files.path("web.yml")).await;
    let url = format!("http://{}/-/healthy", page.address);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = |user: &str, password: &str| {
        let request = client.get(&url).header("authorization", basic(user, password));
        async { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(ask("ops", PASSWORD).await, 200);
    let guessing: Vec<_> =
        (0..6).map(|number| tokio::spawn(ask(["slow", "nobody"][number % 2], &number.to_string()))).collect();
    for _ in 0..20 {
        assert_eq!(ask("ops", PASSWORD).await, 200);
    }
    let ended = guessing.iter().filter(|guess| guess.is_finished()).count();
    assert!(ended < guessing.len(), "the known one has waited for every check");
    guessing.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn above_its_rate_the_page_answers_429_whoever_asks() {
    let files = Files::new();
    files.write(
        "web.yml",
        &format!("rate_limit: {{interval: 1h, burst: 3}}\nbasic_auth_users: {{ops: {HASH}}}\n"),
    );
    let page = Page::start(&files.path("web.yml")).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut statuses = Vec::new();
    for user in ["ops", "nobody", "ops", "ops", "nobody"] {
        let request = client.get(format!("http://{}/metrics", page.address)).basic_auth(user, Some(PASSWORD));
        statuses.push(request.send().await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 401, 200, 429, 429]);
}

#[tokio::test]
async fn a_page_with_tls_says_so_to_those_who_speak_plain_http() {
    let (files, authority) = (Files::new(), Authority::new());
    files.pair("tls", &authority.issue("127.0.0.1"));
    files.write("web.yml", "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n");
    let page = Page::start(&files.path("web.yml")).await;
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    for request in [
        plain.get(format!("http://{}/metrics", page.address)),
        plain.post(format!("http://{}/-/reload", page.address)).body("x".repeat(10_000)),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 400);
        assert_eq!(answer.text().await.unwrap(), "Client sent an HTTP request to an HTTPS server.\n");
    }
    let secure = client(&authority, None).get(format!("https://{}/-/healthy", page.address));
    assert_eq!(secure.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn only_the_chosen_ciphers_of_tls_1_2_are_spoken() {
    let (files, authority) = (Files::new(), Authority::new());
    files.pair("tls", &authority.issue("127.0.0.1"));
    let ask = async |suites: &str| {
        let web = format!(
            "tls_server_config: {{cert_file: tls.crt, key_file: tls.key, cipher_suites: [{suites}], \
             curve_preferences: [CurveP256]}}\n"
        );
        files.write("web.yml", &web);
        let page = Page::start(&files.path("web.yml")).await;
        let url = format!("https://{}/-/healthy", page.address);
        let old = builder(&authority, None).tls_version_max(reqwest::tls::Version::TLS_1_2).build().unwrap();
        let new = client(&authority, None).get(&url).send().await.is_ok();
        (old.get(&url).send().await.is_ok(), new)
    };
    // The key is one of elliptic curves.
    assert_eq!(ask("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256").await, (true, true));
    assert_eq!(ask("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256").await, (false, true));
    assert_eq!(ask("TLS_AES_128_GCM_SHA256").await, (false, true));
}

#[tokio::test]
async fn what_is_not_honoured_and_protects_no_less_is_a_warning() {
    let (files, authority) = (Files::new(), Authority::new());
    files.pair("tls", &authority.issue("127.0.0.1"));
    let web = format!(
        "tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n  min_version: TLS10\n  cipher_suites: \
         [TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n  curve_preferences: \
         [CurveP521, X25519]\nhttp_server_config: {{http2: true}}\nbasic_auth_users:\n  ops: {}\n",
        HASH.replacen("$04", "$15", 1)
    );
    let web = files.write("web.yml", &web);
    let arguments = ["--config.check", "--web.config.file", &web];
    let mut program = Program::command(&arguments, &api().await, &[]);
    assert_eq!(program.code().await, 0, "{}", program.stderr());
    let said = program.stderr();
    for (place, what) in [
        ("web.yml:4:16: tls_server_config.min_version", "TLS 1.2 is the oldest version that is spoken"),
        ("web.yml:5:19: tls_server_config.cipher_suites", "is weak and not spoken here"),
        ("web.yml:6:23: tls_server_config.curve_preferences", "CurveP521 is not spoken here"),
        ("web.yml:7:29: http_server_config.http2", "HTTP/1.1 is spoken"),
        ("web.yml:9:8: basic_auth_users.ops", "take seconds"),
    ] {
        let line = said.lines().find(|line| line.contains(place));
        assert!(
            line.is_some_and(|line| line.contains(what) && line.contains("level=warn")),
            "{place}: {said}"
        );
    }
    assert_eq!(said.lines().count(), 5, "{said}");
}
