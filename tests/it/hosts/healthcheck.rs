//! `fleetpush healthcheck`: the command that a container's health check runs.

use std::time::{Duration, Instant};

use rstest::rstest;
use tokio::net::TcpListener;

use crate::hosts::api;
use crate::program::{Program, get};
use crate::tls::Authority;
use crate::webtls::{Files, HASH};

async fn asked(address: &str) -> (i32, String, String) {
    // No token, and a proxy that must not be used for one's own page.
    let environment = [("FLEETPUSH_LISTEN_ADDRESS", address), ("HTTP_PROXY", "http://127.0.0.1:9")];
    let mut program = Program::start(&["healthcheck"], &environment);
    (program.code().await, program.stdout(), program.stderr())
}

/// An address with a port that was free a moment ago.
async fn free(host: &str) -> String {
    let listener = TcpListener::bind(format!("{host}:0")).await.expect("an address of this machine");
    format!("{host}:{}", listener.local_addr().expect("it is bound").port())
}

#[rstest]
#[case::this_machine_alone("127.0.0.1", "", "127.0.0.1")]
#[case::everywhere("0.0.0.0", "", "127.0.0.1")]
#[case::everywhere_in_short("0.0.0.0", "short", "127.0.0.1")]
#[case::everywhere_with_ipv6("[::]", "", "[::1]")]
#[case::ipv6("[::1]", "", "[::1]")]
#[tokio::test]
async fn a_page_that_answers_is_healthy(#[case] host: &str, #[case] form: &str, #[case] asked_at: &str) {
    let address = free(host).await;
    let (_, port) = address.rsplit_once(':').expect("host and port");
    let address = if form.is_empty() { address.clone() } else { format!(":{port}") };
    let api = api().await;
    let program = Program::service(&api, &[("FLEETPUSH_LISTEN_ADDRESS", &address)]);
    program.logged("serving the page").await;
    let (code, out, err) = asked(&address).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_eq!(out, format!("healthy: http://{asked_at}:{port}/-/healthy\n"));
}

#[tokio::test]
async fn a_first_cycle_that_fails_is_not_ill_health() {
    let address = free("127.0.0.1").await;
    let environment = [
        ("BALENA_TOKEN", "a-token"),
        ("BALENA_API_URL", "http://127.0.0.1:9"),
        ("FLEETPUSH_LISTEN_ADDRESS", address.as_str()),
    ];
    let program = Program::start(&[], &environment);
    program.logged("collecting failed").await;
    assert!(get(&format!("http://{address}/metrics")).await.contains("\nbalena_up 0\n"));
    assert_eq!(asked(&address).await.0, 0);
}

#[tokio::test]
async fn nobody_there_is_ill_health() {
    let address = free("127.0.0.1").await;
    let (code, out, err) = asked(&address).await;
    assert_eq!((code, out.as_str(), err.lines().count()), (1, "", 1), "{err}");
    assert!(err.starts_with(&format!("fleetpush: no answer from http://{address}/-/healthy: ")), "{err}");
    assert!(err.contains("Connection refused"), "{err}");
    assert!(err.ends_with("; look whether the service runs, with this listen address\n"), "{err}");
}

#[tokio::test]
async fn somebody_else_there_is_ill_health() {
    let server = wiremock::MockServer::start().await;
    let answer = wiremock::ResponseTemplate::new(503).set_body_string("on\nfire");
    wiremock::Mock::given(wiremock::matchers::path("/-/healthy")).respond_with(answer).mount(&server).await;
    let address = server.address().to_string();
    let (code, _, err) = asked(&address).await;
    assert_eq!(code, 1);
    assert_eq!(
        err,
        format!(
            "fleetpush: http://{address}/-/healthy answered 503: on fire; look what else listens there, and at the log of the service\n"
        )
    );
}

#[tokio::test]
async fn a_page_that_hangs_is_given_up_before_an_engine_gives_the_check_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let began = Instant::now();
    let (code, _, err) = asked(&address).await;
    assert_eq!(code, 1);
    assert!(err.contains("no answer from"), "{err}");
    // It did wait; how long beyond that is the machine's own affair.
    assert!(began.elapsed() >= Duration::from_secs(2));
}

#[rstest]
#[case::no_page(
    "off",
    "it is off; to have a health check and nothing open to others, let it listen at 127.0.0.1:8000"
)]
#[case::any_port("127.0.0.1:0", "127.0.0.1:0 has no port that is known beforehand")]
#[tokio::test]
async fn a_page_that_cannot_be_asked_says_so(#[case] address: &str, #[case] said: &str) {
    let (code, out, err) = asked(address).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains(said), "{err}");
}

/// A protected page is asked with neither password nor certificate: that it wants them is the sign of life.
#[rstest]
#[case::tls("tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n")]
#[case::users("basic_auth_users: {ops: HASH}\n")]
#[case::tls_and_users(
    "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\nbasic_auth_users: {ops: HASH}\n"
)]
#[case::certificates(
    "tls_server_config: {cert_file: tls.crt, key_file: tls.key, client_ca_file: tls.crt, client_auth_type: \
     RequireAndVerifyClientCert}\nbasic_auth_users: {ops: HASH}\n"
)]
#[tokio::test]
async fn a_protected_page_is_healthy_and_nobody_else_is(#[case] web: &str) {
    let files = Files::new();
    files.pair("tls", &Authority::new().issue("page.example"));
    let web = files.write("web.yml", &web.replace("HASH", HASH));
    let address = free("127.0.0.1").await;
    let environment =
        [("FLEETPUSH_LISTEN_ADDRESS", address.as_str()), ("FLEETPUSH_WEB_CONFIG_FILE", web.as_str())];
    let ask = async || {
        let mut program = Program::start(&["healthcheck"], &environment);
        (program.code().await, program.stdout(), program.stderr())
    };
    assert_eq!(ask().await.0, 1, "nobody is there yet");
    let api = api().await;
    let program = Program::service(&api, &environment);
    program.logged("serving the page").await;
    let (code, out, err) = ask().await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    drop(program);
    assert_eq!(ask().await.0, 1, "it has ended");
}
