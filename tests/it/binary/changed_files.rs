//! Secrets in files that change under a running service, which is told nothing of it.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use serde_json::json;

use super::{api, receiver, samples_of, value};
use crate::program::{LIMIT, Program, TOKEN, get};
use crate::servers::eventually;
use crate::tls::{Authority, Server};

/// Replaces a file in one step, as everything that rotates secrets does.
fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).expect("our own folder");
    fs::rename(&new, file).expect("our own folder");
}

async fn comes_with(remote: &receiver::Server, authorization: &str) {
    let came = async || {
        let requests = remote.requests();
        requests.iter().any(|one| one.header("authorization") == Some(authorization)).then_some(())
    };
    eventually(&format!("a request with {authorization:?}"), LIMIT, came).await;
}

#[rstest]
#[case::bearer(&[], "REMOTE_WRITE_BEARER_TOKEN_FILE", |secret: &str| format!("Bearer {secret}"))]
#[case::password(
    &[("REMOTE_WRITE_USERNAME", "user")],
    "REMOTE_WRITE_PASSWORD_FILE",
    |secret: &str| format!("Basic {}", STANDARD.encode(format!("user:{secret}")))
)]
#[tokio::test]
async fn a_receivers_secret_is_read_again_and_an_emptied_one_loses_nothing(
    #[case] more: &[(&str, &str)],
    #[case] variable: &str,
    #[case] header: fn(&str) -> String,
) {
    let (api, remote) = (api().await, receiver().await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    replace(&file, "first\n");
    let (url, path) = (remote.write_url(), file.to_str().unwrap());
    let environment = [&[("REMOTE_WRITE_URL", url.as_str()), (variable, path)], more].concat();
    let program = Program::service(&api, &environment);
    comes_with(&remote, &header("first")).await;
    replace(&file, "second");
    comes_with(&remote, &header("second")).await;

    replace(&file, "");
    program.logged("is empty").await;
    let log = program.stderr();
    let line = log.lines().find(|line| line.contains("is empty")).unwrap();
    assert!(line.contains(path) && line.contains("put the secret into the file"), "{line}");
    let cycles = api.request_count() + 2;
    tokio::time::timeout(LIMIT, api.received(cycles)).await.expect("cycles while it is empty");
    replace(&file, "third");
    comes_with(&remote, &header("third")).await;
    nothing_is_lost(&program, &remote).await;
    let anonymous = remote.requests().iter().filter(|one| one.header("authorization").is_none()).count();
    assert_eq!(anonymous, 0, "a request without its credentials");
}

/// Each cycle's sample is there at last.
async fn nothing_is_lost(program: &Program, remote: &receiver::Server) {
    let all = async || {
        let cycles = program.stderr().matches("message=collected").count();
        (cycles >= 5 && samples_of(remote, "balena_up") == cycles).then_some(())
    };
    eventually("a sample of each cycle", LIMIT, all).await;
}

#[tokio::test]
async fn the_accounts_token_is_read_again_and_an_emptied_one_says_so() {
    let api = api().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    replace(&file, "a wrong one");
    let path = file.to_str().unwrap();
    let program = Program::service(&api, &[("BALENA_TOKEN", ""), ("BALENA_TOKEN_FILE", path)]);
    let metrics = format!("{}/metrics", program.page().await);
    let up = async |expected: f64| {
        let shown = async || (value(&get(&metrics).await, "balena_up") == Some(expected)).then_some(());
        eventually(&format!("balena_up {expected}"), LIMIT, shown).await;
    };
    program.logged("result=unauthorized").await;
    up(0.0).await;
    replace(&file, TOKEN);
    up(1.0).await;
    replace(&file, "\n");
    program.logged("is empty").await;
    up(0.0).await;
    let log = program.stderr();
    let line = log.lines().find(|line| line.contains("is empty")).unwrap();
    for part in [path, "result=settings", "put the secret into the file"] {
        assert!(line.contains(part), "{part} is missing: {line}");
    }
    let series = r#"balena_devices{fleet_name="north",fleet_slug="acme/north"}"#;
    assert_eq!(value(&get(&metrics).await, series), Some(3.0), "the last counts stand for a while");
    replace(&file, TOKEN);
    up(1.0).await;
}

#[tokio::test]
async fn a_changed_client_certificate_is_used_at_the_next_request() {
    let api = api().await;
    let (ours, others) = (Authority::new(), Authority::new());
    let server = Server::tls(&ours.issue("localhost"), Some(&ours)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let install = |leaf: crate::tls::Leaf| {
        replace(&file("cert.pem"), &leaf.cert_pem);
        replace(&file("key.pem"), &leaf.key_pem);
    };
    replace(&file("ca.pem"), &ours.pem);
    install(others.issue("client"));
    let settings = json!({"remote_write": [{
        "url": format!("https://localhost:{}/api/v1/write", server.address.port()),
        "protobuf_message": "prometheus.WriteRequest",
        "queue_config": {"min_backoff": "100ms", "max_backoff": "200ms"},
        "tls_config": {"ca_file": file("ca.pem"), "cert_file": file("cert.pem"), "key_file": file("key.pem")},
    }]});
    replace(&file("fleetpush.yml"), &settings.to_string());
    let path = file("fleetpush.yml");
    let arguments = ["--config.file", path.to_str().unwrap()];
    let program = Program::command(&arguments, &api, &[]);
    program.logged("delivery failed").await;
    assert_eq!(server.heads().len(), 0, "a stranger was let in");
    install(ours.issue("client"));
    eventually("a request of a known client", LIMIT, async || (!server.heads().is_empty()).then_some(()))
        .await;
    program.logged("delivering again").await;
}
