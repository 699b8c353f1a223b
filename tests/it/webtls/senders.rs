//! The real binary delivers remote write 1.0, remote write 2.0 and a push over TLS to a receiver of ours that wants
//! something of it; without that, nothing arrives, and both `check` and the log name the next step and no secret.

use std::time::{Duration, Instant};

use fleetpush::demo::receiver::{self, Version};
use rstest::rstest;
use serde_json::{Value, json};

use super::front::{Answer, Front, Seen, basic};
use super::{Files, api, start};
use crate::program::{LIMIT, Program};
use crate::tls::{Authority, Server};

/// Stands in every credential.
const SECRET: &str = "hunter2";

/// A receiver behind a front, with all that a sender may need.
pub struct Rig {
    pub files: Files,
    pub inner: receiver::Server,
    pub front: Front,
    /// `tls_config` with the front's authority.
    pub tls: Value,
}

impl Rig {
    pub async fn new(door: impl Fn(&Seen) -> Option<Answer> + Send + Sync + 'static) -> Self {
        Self::with_clients(None, door).await
    }

    pub async fn with_clients(
        clients: Option<&Authority>,
        door: impl Fn(&Seen) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let authority = Authority::new();
        // Two endpoints write the same series here, each at its own pace.
        let options = receiver::Options { out_of_order: true, ..Default::default() };
        let inner = receiver::Server::start(options).await.unwrap();
        let front = Front::start(&authority.issue("localhost"), clients, &inner.base_url(), door).await;
        let files = Files::new();
        let tls = json!({"ca_file": files.write("ca.crt", &authority.pem)});
        Rig { files, inner, front, tls }
    }

    /// A file of three sinks, which differ in what is spoken alone.
    pub fn config(&self, more: &Value) -> String {
        self.config_at(&self.front.url(), more)
    }

    pub fn config_at(&self, base: &str, more: &Value) -> String {
        let with = |mut sink: Value| {
            for (key, value) in more.as_object().unwrap() {
                sink[key] = value.clone();
            }
            sink
        };
        let endpoint = |name: &str, version: &str| {
            with(json!({
                "name": name,
                "url": format!("{base}/api/v1/write"),
                "protobuf_message": version,
                "remote_timeout": "5s",
                "queue_config": {"min_backoff": "50ms", "max_backoff": "100ms"},
            }))
        };
        let config = json!({
            "remote_write": [endpoint("one", "1.0"), endpoint("two", "2.0")],
            "pushgateways": [with(json!({"name": "gate", "url": base, "timeout": "5s"}))],
        });
        self.files.write("fleetpush.yml", &config.to_string())
    }

    /// What arrived: 1.0, 2.0, groups.
    pub fn arrived(&self) -> (bool, bool, usize) {
        let deliveries = self.inner.deliveries();
        let of = |version| deliveries.iter().any(|one| one.version == version && !one.series.is_empty());
        (of(Version::One), of(Version::Two), self.inner.groups().len())
    }
}

/// Everything is taken by a collect and a delivery, and `check` has nothing to complain about.
pub async fn delivers(rig: &Rig, more: &Value) {
    let (api, config) = (api().await, rig.config(more));
    let mut check = start(&rig.files, &["check", "--config.file", &config], &api);
    assert_eq!(check.code().await, 0, "{}{}", check.stdout(), check.stderr());
    let mut once = start(&rig.files, &["once", "--config.file", &config], &api);
    assert_eq!(once.code().await, 0, "{}", once.stderr());
    assert_eq!(rig.arrived(), (true, true, 2));
    hold_no_secret(&check);
    hold_no_secret(&once);
}

/// Nothing arrives; each of the three says this.
pub async fn refused(rig: &Rig, more: &Value, says: &str) {
    let config = rig.config(more);
    refused_by(rig, &config, says).await;
}

pub async fn refused_by(rig: &Rig, config: &str, says: &str) {
    let api = api().await;
    let mut check = start(&rig.files, &["check", "--config.file", config], &api);
    assert_eq!(check.code().await, 4, "{}{}", check.stdout(), check.stderr());
    for sink in ["remote_write one", "remote_write two", "pushgateway gate"] {
        let said = check.stdout();
        let line = said.lines().find(|line| line.starts_with(&format!("FAIL  {sink}: ")));
        let line = line.unwrap_or_else(|| panic!("{sink} is good:\n{said}"));
        assert!(line.contains(says), "{says:?} is missing in\n{line}");
    }
    let service = start(&rig.files, &["--config.file", config], &api);
    let begun = Instant::now();
    for sink in ["one", "two", "gate"] {
        let of_sink = |line: &str| line.contains(&format!("sink={sink} ")) && line.contains(says);
        while !service.stderr().lines().any(of_sink) {
            assert!(begun.elapsed() < LIMIT, "{sink} does not say {says:?}:\n{}", service.stderr());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(rig.arrived(), (false, false, 0));
    hold_no_secret(&check);
    hold_no_secret(&service);
}

fn hold_no_secret(program: &Program) {
    for text in [program.stdout(), program.stderr()] {
        assert!(!text.contains(SECRET), "a secret is shown:\n{text}");
    }
}

fn merged(one: &Value, other: Value) -> Value {
    let mut all = one.clone();
    for (key, value) in other.as_object().unwrap() {
        all[key] = value.clone();
    }
    all
}

#[tokio::test]
async fn a_private_authority_is_believed_where_it_is_named() {
    let rig = Rig::new(|_| None).await;
    delivers(&rig, &json!({"tls_config": rig.tls})).await;
}

#[tokio::test]
async fn a_private_authority_that_is_not_named_is_refused() {
    let rig = Rig::new(|_| None).await;
    let stranger = rig.files.write("stranger.crt", &Authority::new().pem);
    refused(
        &rig,
        &json!({"tls_config": {"ca_file": stranger}}),
        "name the certificate of that authority (PEM) as ca_file",
    )
    .await;
    assert_eq!(rig.front.seen().len(), 0, "nothing was said to somebody unknown");
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let clients = Authority::new();
    let rig = Rig::with_clients(Some(&clients), |_| None).await;
    let (cert, key) = rig.files.pair("client", &clients.issue("fleetpush"));
    let tls = merged(&rig.tls, json!({"cert_file": cert, "key_file": key}));
    delivers(&rig, &json!({"tls_config": tls})).await;
}

#[rstest]
#[case::none(false)]
#[case::of_another_authority(true)]
#[tokio::test]
async fn without_the_right_client_certificate_nothing_is_taken(#[case] shows_one: bool) {
    let clients = Authority::new();
    let rig = Rig::with_clients(Some(&clients), |_| None).await;
    let mut tls = rig.tls.clone();
    if shows_one {
        let (cert, key) = rig.files.pair("stranger", &Authority::new().issue("fleetpush"));
        tls = merged(&tls, json!({"cert_file": cert, "key_file": key}));
    }
    refused(&rig, &json!({"tls_config": tls}), "cert_file and key_file").await;
}

/// Lets in who sends this header.
fn wants(name: &'static str, value: String) -> impl Fn(&Seen) -> Option<Answer> {
    move |seen| (seen.header(name) != Some(&value)).then(|| (401, "no entry".to_owned()))
}

#[rstest]
#[case::inline(false)]
#[case::in_a_file(true)]
#[tokio::test]
async fn a_user_and_password_are_sent(#[case] in_file: bool) {
    let rig = Rig::new(wants("authorization", basic("me", "hunter2-right"))).await;
    let with = |password: &str| match in_file {
        true => json!({"username": "me", "password_file": rig.files.write("password", password)}),
        false => json!({"username": "me", "password": password}),
    };
    let wrong = json!({"tls_config": rig.tls, "basic_auth": with("hunter2-wrong")});
    refused(&rig, &wrong, "credentials").await;
    delivers(&rig, &json!({"tls_config": rig.tls, "basic_auth": with("hunter2-right")})).await;
}

#[rstest]
#[case::bearer("Bearer")]
#[case::another_scheme("Token")]
#[tokio::test]
async fn a_token_is_sent(#[case] scheme: &str) {
    let rig = Rig::new(wants("authorization", format!("{scheme} hunter2-right"))).await;
    let with =
        |token: &str| json!({"tls_config": rig.tls, "authorization": {"type": scheme, "credentials": token}});
    refused(&rig, &with("hunter2-wrong"), "credentials").await;
    delivers(&rig, &with("hunter2-right")).await;
}

#[tokio::test]
async fn a_tenant_is_named() {
    let rig = Rig::new(wants("x-scope-orgid", "hunter2-tenant".to_owned())).await;
    refused(&rig, &json!({"tls_config": rig.tls}), "credentials").await;
    delivers(&rig, &json!({"tls_config": rig.tls, "headers": {"X-Scope-OrgID": "hunter2-tenant"}})).await;
}

#[rstest]
#[case::open(None)]
#[case::with_credentials(Some("hunter2-proxy"))]
#[tokio::test]
async fn a_proxy_carries_tls_and_sees_no_token(#[case] password: Option<&str>) {
    let rig = Rig::new(wants("authorization", "Bearer hunter2-right".to_owned())).await;
    let proxy = Server::tunnel_to(rig.front.address(), password.map(|password| basic("me", password))).await;
    let userinfo = password.map(|password| format!("me:{password}@")).unwrap_or_default();
    let url = format!("http://{userinfo}{}", proxy.address);
    let more = json!({
        "tls_config": rig.tls,
        "proxy_url": url,
        "authorization": {"credentials": "hunter2-right"},
    });
    delivers(&rig, &more).await;
    assert!(proxy.heads().len() >= 3, "{:?}", proxy.heads());
    for head in proxy.heads() {
        assert!(head.starts_with("CONNECT localhost:"), "{head}");
        assert!(!head.contains("hunter2-right"), "{head}");
    }
}

#[rstest]
#[case::none("")]
#[case::wrong("me:hunter2-wrong@")]
#[tokio::test]
async fn a_proxy_that_refuses_is_named(#[case] userinfo: &str) {
    let rig = Rig::new(|_| None).await;
    let proxy = Server::tunnel_to(rig.front.address(), Some(basic("me", "hunter2-proxy"))).await;
    let url = format!("http://{userinfo}{}", proxy.address);
    refused(
        &rig,
        &json!({"tls_config": rig.tls, "proxy_url": url}),
        "give the URL of the proxy its credentials",
    )
    .await;
    assert_eq!(rig.front.seen().len(), 0);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let rig = Rig::new(|_| None).await;
    let gone = Server::tunnel_to(rig.front.address(), None).await.address;
    let url = format!("http://me:hunter2-proxy@{gone}");
    refused(&rig, &json!({"tls_config": rig.tls, "proxy_url": url}), "proxy").await;
}
