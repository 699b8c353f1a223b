//! Gateways with users, with TLS under a private CA, and with client certificates.

use std::path::PathBuf;

use fleetpush::demo::balena::{self, Simulation};
use reqwest::{Certificate, Client, ClientBuilder};
use rstest::rstest;
use tempfile::TempDir;

use super::*;
use crate::program::{Program, get};
use crate::servers::Suite;
use crate::tls::Authority;

const PASSWORD: &str = "open-sesame";
/// bcrypt of it, at the lowest cost.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuXcjcm5avyCiJoD2uS24xa2lb6fjMB3G";

/// A folder for the gateway's and our own files.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Files(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn https(gateway: &Pushgateway) -> String {
    gateway.url().replace("http://", "https://")
}

async fn api() -> balena::Server {
    balena::Server::start(Simulation::new(), balena::Options::default()).await.unwrap()
}

/// How many groups a gateway lists to a client that it lets in.
async fn listed(client: ClientBuilder, url: &str, password: Option<&str>) -> usize {
    let client: Client = client.no_proxy().build().unwrap();
    let request = client.get(format!("{url}/api/v1/metrics"));
    let request = match password {
        Some(password) => request.basic_auth("ops", Some(password)),
        None => request,
    };
    let text = request.send().await.unwrap().text().await.unwrap();
    let list: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    list["data"].as_array().map_or(0, Vec::len)
}

#[rstest]
#[tokio::test]
async fn a_user_and_password_are_sent_and_a_wrong_one_parks_with_the_next_step(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let files = Files::new();
    let config = files.write("web.yml", &format!("basic_auth_users: {{ops: '{HASH}'}}\n"));
    let flag = format!("--web.config.file={config}");
    let gateway = Pushgateway::start_answering(suite, &[&flag], 401).await;
    let secret = files.write("password", &format!("{PASSWORD}\n"));
    let api = api().await;
    let user = [("PUSHGATEWAY_URL", gateway.url()), ("PUSHGATEWAY_USERNAME", "ops")];
    let program = Program::service(&api, &[&user[..], &[("PUSHGATEWAY_PASSWORD_FILE", &secret)]].concat());
    program.logged("first delivery").await;
    let both = async || (listed(Client::builder(), gateway.url(), Some(PASSWORD)).await == 2).then_some(());
    eventually("both groups", LIMIT, both).await;

    let wrong = "not-the-password-xyz";
    let lost = Program::service(&api, &[&user[..], &[("PUSHGATEWAY_PASSWORD", wrong)]].concat());
    lost.logged("answered 401").await;
    let line = lost.stderr().lines().find(|line| line.contains("answered 401")).unwrap().to_owned();
    assert!(line.contains("parked") && line.contains("basic_auth"), "{line}");
    assert!(!lost.stderr().contains(wrong), "{}", lost.stderr());
    let page = get(&format!("{}/metrics", lost.page().await)).await;
    assert!(page.contains("fleetpush_sink_up{kind=\"pushgateway\",sink=\"env\"} 0"), "{page}");
}

#[rstest]
#[tokio::test]
async fn a_private_ca_is_believed_where_it_is_named_and_otherwise_asked_for(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let files = Files::new();
    let authority = Authority::new();
    let leaf = authority.issue("127.0.0.1");
    let (cert, key) = (files.write("cert.pem", &leaf.cert_pem), files.write("key.pem", &leaf.key_pem));
    let config =
        files.write("web.yml", &format!("tls_server_config: {{cert_file: '{cert}', key_file: '{key}'}}\n"));
    let flag = format!("--web.config.file={config}");
    let gateway = Pushgateway::start_answering(suite, &[&flag], 400).await;
    let url = https(&gateway);
    let ca = files.write("ca.pem", &authority.pem);
    let api = api().await;
    let program = Program::service(&api, &[("PUSHGATEWAY_URL", &url), ("PUSHGATEWAY_CA_FILE", &ca)]);
    program.logged("first delivery").await;
    let root = Certificate::from_pem(authority.pem.as_bytes()).unwrap();
    let client = || Client::builder().add_root_certificate(root.clone());
    eventually("both groups", LIMIT, async || (listed(client(), &url, None).await == 2).then_some(())).await;

    let stranger = files.write("stranger.pem", &Authority::new().pem);
    let doubtful = Program::service(&api, &[("PUSHGATEWAY_URL", &url), ("PUSHGATEWAY_CA_FILE", &stranger)]);
    doubtful.logged("(PEM) as ca_file").await;
    let plain = Program::service(&api, &[("PUSHGATEWAY_URL", gateway.url())]);
    plain.logged("write https:// in url").await;
}

#[rstest]
#[tokio::test]
async fn a_client_certificate_is_shown_and_without_one_nothing_is_stored(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let files = Files::new();
    let (authority, clients) = (Authority::new(), Authority::new());
    let (leaf, ours) = (authority.issue("127.0.0.1"), clients.issue("fleetpush"));
    let (cert, key) = (files.write("cert.pem", &leaf.cert_pem), files.write("key.pem", &leaf.key_pem));
    let known = files.write("clients.pem", &clients.pem);
    let config = files.write(
        "web.yml",
        &format!(
            "tls_server_config: {{cert_file: '{cert}', key_file: '{key}', \
             client_auth_type: RequireAndVerifyClientCert, client_ca_file: '{known}'}}\n"
        ),
    );
    let flag = format!("--web.config.file={config}");
    let gateway = Pushgateway::start_answering(suite, &[&flag], 400).await;
    let mut rig = Rig::new(&https(&gateway));
    rig.gateway.http.tls.ca_file = Some(files.write("ca.pem", &authority.pem).into());
    let error = rig.push_within(counted(&[("a", 1.0)]), Duration::from_secs(1)).await;
    let error = error.expect_err("no certificate was shown").explained();
    assert!(error.contains("was not reached"), "{error}");
    let pair = (files.write("our.pem", &ours.cert_pem), files.write("our.key", &ours.key_pem));
    rig.gateway.http.tls.client_cert = Some((pair.0.into(), pair.1.into()));
    rig.push(counted(&[("a", 1.0)])).await.expect("taken");

    let root = Certificate::from_pem(authority.pem.as_bytes()).unwrap();
    let identity = format!("{}\n{}", ours.cert_pem, ours.key_pem);
    let identity = reqwest::Identity::from_pem(identity.as_bytes()).unwrap();
    let client = Client::builder().add_root_certificate(root).identity(identity);
    assert_eq!(listed(client, &https(&gateway), None).await, 1);
}
