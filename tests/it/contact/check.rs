//! Each failure that `check` can meet, and the next step that it names.

use std::time::Duration;

use fleetpush::demo::balena::{self, Device, Fleet, Simulation};
use fleetpush::demo::receiver;
use fleetpush::demo::receiver::{Fault, Times};
use rstest::rstest;
use tempfile::TempDir;

use crate::program::{Program, TOKEN};
use crate::servers::{Prometheus, Pushgateway, Suite};
use crate::tls::{Authority, Server};

/// How `check` has ended.
struct Said {
    code: i32,
    out: String,
}

impl Said {
    /// The one line about this that is not good.
    fn failed(&self, what: &str) -> &str {
        let failed: Vec<&str> = self.out.lines().filter(|line| line.starts_with("FAIL")).collect();
        let found: Vec<&str> = failed.iter().copied().filter(|line| line.contains(what)).collect();
        assert_eq!(found.len(), 1, "{what} in {}", self.out);
        found[0]
    }
}

async fn api() -> balena::Server {
    let simulation = Simulation::new();
    simulation.add(Fleet::new("acme", "north").devices(3, &Device::operational()));
    balena::Server::start(simulation, balena::Options::default()).await.expect("a free port")
}

async fn receiver() -> receiver::Server {
    receiver::Server::start(receiver::Options::default()).await.expect("a free port")
}

/// `check` with a good account and these variables.
async fn check(api: &balena::Server, more: &[(&str, &str)]) -> Said {
    let mut program = Program::command(&["check"], api, more);
    let code = program.code().await;
    let out = program.stdout();
    assert!(!out.contains(TOKEN) && !out.contains("hunter2"), "{out}");
    Said { code, out }
}

/// Whom a failure is about, and what the line about it must hold.
async fn api_fails(more: &[(&str, &str)], words: &[&str]) {
    let api = api().await;
    let said = check(&api, more).await;
    assert_eq!(said.code, 3, "{}", said.out);
    holds(said.failed("token of account balena"), words);
}

async fn write_fails(more: &[(&str, &str)], words: &[&str]) {
    let api = api().await;
    let said = check(&api, more).await;
    assert_eq!(said.code, 4, "{}", said.out);
    holds(said.failed("remote_write env"), words);
}

async fn gateway_fails(more: &[(&str, &str)], words: &[&str]) {
    let api = api().await;
    let said = check(&api, more).await;
    assert_eq!(said.code, 4, "{}", said.out);
    holds(said.failed("pushgateway env"), words);
}

fn holds(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "{word:?} is missing in {line}");
    }
}

#[tokio::test]
async fn a_wrong_token_leads_to_where_a_new_one_is_made() {
    let words = ["answered 401", "wrong, expired, revoked", "Preferences, Access tokens"];
    api_fails(&[("BALENA_TOKEN", "another")], &words).await;
}

#[tokio::test]
async fn a_file_without_a_token_is_told_before_anyone_is_asked() {
    let api = api().await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "\n").unwrap();
    let more = [("BALENA_TOKEN", ""), ("BALENA_TOKEN_FILE", path.to_str().unwrap())];
    let mut program = Program::command(&["check"], &api, &more);
    assert_eq!(program.code().await, 2);
    holds(&program.stderr(), &["BALENA_TOKEN_FILE", "is empty; put the secret into it"]);
    assert_eq!(api.request_count(), 0);
}

#[rstest]
#[case::forbidden(403, "an API key of a user that sees the fleets")]
#[case::not_found(404, "check url")]
#[case::a_proxys_password(407, "http://user:password@proxy:3128")]
#[case::too_many(429, "too many requests")]
#[case::broken(500, "the status page of balena")]
#[case::away(503, "the status page of balena")]
#[tokio::test]
async fn each_answer_of_the_api_names_the_next_step(#[case] status: u16, #[case] step: &str) {
    let api = api().await;
    api.inject(Fault::status_with(status, "no"), Times::Always);
    let said = check(&api, &[]).await;
    assert_eq!(said.code, 3, "{}", said.out);
    for what in ["token of account balena", "API of account balena"] {
        holds(said.failed(what), &[&format!("answered {status}"), step]);
    }
}

#[tokio::test]
async fn an_api_that_is_elsewhere_is_named() {
    let api = api().await;
    api.inject(Fault::Redirect("https://api.example.test/v7/x".into()), Times::Always);
    let said = check(&api, &[]).await;
    holds(said.failed("API of account"), &["set url to the API's address there", "https://api.example.test"]);
}

#[tokio::test]
async fn an_api_that_does_not_answer_in_time_is_told_and_not_asked_twice() {
    let options = balena::Options { latency: Duration::from_secs(600), ..balena::Options::default() };
    let api = balena::Server::start(Simulation::new(), options).await.unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("fleetpush.yml");
    let (url, token) = (api.base_url(), TOKEN);
    std::fs::write(&path, format!("balena: {{url: '{url}', token: '{token}', timeout: 200ms}}\n")).unwrap();
    let mut program = Program::start(&["check", "--config.file", path.to_str().unwrap()], &[]);
    assert_eq!(program.code().await, 3);
    let said = Said { code: 3, out: program.stdout() };
    holds(said.failed("token of account"), &["no complete answer in time", "raise the time-out"]);
    holds(said.failed("API of account"), &["not asked, as it is not reached"]);
    assert_eq!(api.request_count(), 1);
}

#[rstest]
#[case::nobody_there("https://127.0.0.1:1", "check the port in the URL")]
#[case::no_such_name("https://nowhere.invalid", "check the host name in the URL, and this machine's DNS")]
#[tokio::test]
async fn what_is_not_reached_is_told_apart_by_its_cause(#[case] url: &str, #[case] step: &str) {
    api_fails(&[("BALENA_API_URL", url)], &[step]).await;
    write_fails(&[("REMOTE_WRITE_URL", url)], &[step]).await;
    gateway_fails(&[("PUSHGATEWAY_URL", url)], &[step]).await;
}

#[tokio::test]
async fn an_unknown_authority_an_old_certificate_and_another_name_have_each_their_next_step() {
    let ours = Authority::new();
    let folder = TempDir::new().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, &ours.pem).unwrap();
    let ca_file = ca_file.to_str().unwrap();
    let good = Server::tls(&ours.issue("localhost"), None).await;
    let old = Server::tls(&ours.issue_expired("localhost"), None).await;
    let other = Server::tls(&ours.issue("elsewhere.test"), None).await;
    let url = |server: &Server| format!("https://localhost:{}", server.address.port());
    for (server, known, words) in [
        (&good, false, ["authority that is not known here", "as ca_file, or in the variable …_CA_FILE"]),
        (&old, true, ["past its time", "this machine's clock is wrong"]),
        (&other, true, ["for another host name", "server_name"]),
    ] {
        let url = url(server);
        let ca = if known { ca_file } else { "" };
        api_fails(&[("BALENA_API_URL", &url), ("BALENA_CA_FILE", ca)], &words).await;
        write_fails(&[("REMOTE_WRITE_URL", &url), ("REMOTE_WRITE_CA_FILE", ca)], &words).await;
        gateway_fails(&[("PUSHGATEWAY_URL", &url), ("PUSHGATEWAY_CA_FILE", ca)], &words).await;
    }
    let locked = Server::tls(&ours.issue("localhost"), Some(&ours)).await;
    let url = url(&locked);
    write_fails(
        &[("REMOTE_WRITE_URL", &url), ("REMOTE_WRITE_CA_FILE", ca_file)],
        &["cert_file and key_file"],
    )
    .await;
}

#[tokio::test]
async fn tls_and_plain_http_that_are_mixed_up_are_told() {
    let plain = receiver().await;
    let url = plain.write_url().replace("http://", "https://");
    write_fails(&[("REMOTE_WRITE_URL", &url)], &["should begin with http:// or https://"]).await;
    let ours = Authority::new();
    let secure = Server::tls(&ours.issue("localhost"), None).await;
    let url = format!("http://localhost:{}", secure.address.port());
    write_fails(&[("REMOTE_WRITE_URL", &url)], &["look at the server's log and at proxies on the way"]).await;
}

#[tokio::test]
async fn a_proxy_is_named_where_it_is_the_one_that_fails() {
    let away = [("HTTPS_PROXY", "http://127.0.0.1:1")];
    let api_url = ("BALENA_API_URL", "https://api.example.test");
    api_fails(&[api_url, away[0]], &["the proxy cannot be reached", "HTTPS_PROXY"]).await;
    let cloud = ("REMOTE_WRITE_URL", "https://receiver.example.test/api/v1/push");
    write_fails(&[cloud, away[0]], &["the proxy cannot be reached", "proxy_url"]).await;

    let proxy = receiver().await;
    let through = [("HTTPS_PROXY", proxy.base_url()), ("HTTP_PROXY", proxy.base_url())];
    let through: Vec<(&str, &str)> = through.iter().map(|(name, url)| (*name, url.as_str())).collect();
    for (status, tunnelled, words) in [
        (407, true, "http://user:password@proxy:3128"),
        (403, true, "have this host and port allowed at the proxy"),
        (407, false, "http://user:password@proxy:3128"),
    ] {
        proxy.inject(Fault::status(status), Times::Always);
        let url = if tunnelled { cloud.1 } else { "http://receiver.example.test/api/v1/push" };
        // The account is reached without it.
        let more = [&through[..], &[("REMOTE_WRITE_URL", url), ("NO_PROXY", "127.0.0.1")]].concat();
        write_fails(&more, &[words]).await;
        proxy.clear_faults();
    }
}

#[rstest]
#[case::unauthorized(401, "", "check the credentials: user and password, or the token, and the tenant")]
#[case::no_tenant(401, "no org id", "X-Scope-OrgID (headers:, or the variable REMOTE_WRITE_TENANT)")]
#[case::unpaid(402, "", "the account's plan")]
#[case::forbidden(403, "", "the right to write metrics")]
#[case::mimirs_path(404, "", "/api/v1/push for Mimir")]
#[case::grafanas_path(404, "", "Grafana Cloud: /api/prom/push")]
#[case::prometheus_path(404, "", "Prometheus with --web.enable-remote-write-receiver")]
#[case::thanos_path(404, "", "/api/v1/receive for Thanos")]
#[case::method(405, "", "/api/v1/write for VictoriaMetrics")]
#[case::proxy(407, "", "the credentials of the proxy")]
#[case::gone(410, "", "ask the receiver's operator for the new URL")]
#[case::too_large(413, "", "raise its limit, or lower queue_config.max_samples_per_send")]
#[case::out_of_order(400, "out of order sample", "out_of_order_time_window")]
#[case::too_old(400, "too old sample", "out_of_order_time_window")]
#[case::duplicate(400, "duplicate sample for timestamp", "give each its own labels")]
#[case::a_limit(400, "err-mimir-max-series-per-user", "raise the tenant's limit")]
#[case::plain_to_tls(400, "Client sent an HTTP request to an HTTPS server.", "write https:// in the URL")]
#[case::conflict(409, "", "look at the receiver's log")]
#[case::busy(429, "", "unless it stays so")]
#[case::broken(500, "", "look at its log")]
#[case::switched_off(501, "", "switch it on there")]
#[case::away(503, "", "look at its log")]
#[tokio::test]
async fn each_answer_of_a_receiver_names_the_next_step(
    #[case] status: u16,
    #[case] text: &str,
    #[case] step: &str,
) {
    let remote = receiver().await;
    remote.inject(Fault::status_with(status, text), Times::Always);
    write_fails(&[("REMOTE_WRITE_URL", &remote.write_url())], &[&format!("answered {status}"), text, step])
        .await;
    assert_eq!(remote.samples().len(), 0);
}

#[tokio::test]
async fn a_redirect_names_the_url_to_set() {
    let remote = receiver().await;
    for (location, url) in [
        ("https://other.example.test/api/v1/push", "https://other.example.test/api/v1/push".to_owned()),
        ("/mimir/api/v1/push", format!("{}/mimir/api/v1/push", remote.base_url())),
    ] {
        remote.inject(Fault::status(308).header("location", location), Times::Always);
        let words = format!("set the URL to {url}");
        write_fails(&[("REMOTE_WRITE_URL", &remote.write_url())], &[&words]).await;
        remote.clear_faults();
    }
}

/// The receiver stands for Grafana Cloud, as the proxy through which a host of its name is asked.
#[rstest]
#[case(401, &["the number of the metrics instance", "scope metrics:write"])]
#[case(403, &["scope metrics:write", "among its realms"])]
#[case(404, &["ends with /api/prom/push"])]
#[tokio::test]
async fn grafana_clouds_refusals_say_which_user_and_which_scope(#[case] status: u16, #[case] words: &[&str]) {
    let cloud = receiver().await;
    cloud.inject(Fault::status_with(status, "authentication error: invalid token"), Times::Always);
    let more = [
        ("HTTP_PROXY", cloud.base_url()),
        ("NO_PROXY", "127.0.0.1".to_owned()),
        ("REMOTE_WRITE_URL", "http://prometheus-prod-01-eu-west-0.grafana.net/api/prom/push".to_owned()),
        ("REMOTE_WRITE_USERNAME", "123456".to_owned()),
        ("REMOTE_WRITE_PASSWORD", "hunter2".to_owned()),
    ];
    let more: Vec<(&str, &str)> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
    write_fails(&more, words).await;
    assert!(cloud.request_count() > 0, "somebody else was asked");
}

#[tokio::test]
async fn a_prometheus_that_takes_no_remote_write_is_told_the_flag() {
    for suite in Suite::ALL {
        let prometheus = Prometheus::closed(suite).await;
        let words = ["answered 404", "start Prometheus with --web.enable-remote-write-receiver"];
        write_fails(&[("REMOTE_WRITE_URL", &prometheus.write_url())], &words).await;
    }
}

#[tokio::test]
async fn a_wrong_path_at_real_servers_says_which_are_right() {
    let prometheus = Prometheus::receiver(Suite::New).await;
    let url = format!("{}/api/prom/push", prometheus.url());
    write_fails(&[("REMOTE_WRITE_URL", &url)], &["check the URL's path", "/api/v1/write"]).await;
    let gateway = Pushgateway::start(Suite::New, &[]).await;
    let url = format!("{}/pushgateway", gateway.url());
    gateway_fails(&[("PUSHGATEWAY_URL", &url)], &["answered 404", "give its base URL"]).await;
}

#[rstest]
#[case(401, "set basic_auth, authorization or their variables")]
#[case(403, "these credentials may not push here")]
#[case(404, "no Pushgateway at this path")]
#[case(405, "give a Pushgateway's base URL")]
#[case(407, "check url and proxy_url")]
#[case(429, "look at the gateway's log")]
#[case(502, "look at the gateway's log")]
#[tokio::test]
async fn each_answer_of_a_gateway_names_the_next_step(#[case] status: u16, #[case] step: &str) {
    let gateway = receiver().await;
    gateway.inject(Fault::status(status), Times::Always);
    gateway_fails(&[("PUSHGATEWAY_URL", &gateway.base_url())], &[&format!("answered {status}"), step]).await;
}

#[tokio::test]
async fn without_any_sink_the_page_is_named_and_without_that_too_it_is_a_failure() {
    let api = api().await;
    let said = check(&api, &[]).await;
    assert_eq!(said.code, 0, "{}", said.out);
    assert!(said.out.contains("on the page at 127.0.0.1:0 alone"), "{}", said.out);
    let said = check(&api, &[("FLEETPUSH_LISTEN_ADDRESS", "off")]).await;
    assert_eq!(said.code, 4, "{}", said.out);
    holds(said.failed("sinks"), &["nobody would see the counts", "fleetpush init"]);
}
