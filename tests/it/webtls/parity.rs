//! The same file before our page, a Pushgateway and a Prometheus: the same requests have the same outcome.

use std::collections::BTreeMap;

use reqwest::ClientBuilder;
use reqwest::tls::Version;
use rstest::rstest;

use super::page::Page;
use super::{Files, HASH, PASSWORD, builder};
use crate::servers::{Prometheus, Pushgateway, Suite};
use crate::tls::{Authority, Leaf};

/// A server behind the file; which one it is is only kept.
#[allow(dead_code, reason = "a server ends when it goes out of scope")]
enum Server {
    Ours(Page),
    Gateway(Pushgateway),
    Prometheus(Prometheus),
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Gateway,
    Prometheus,
}

const OLD_GATEWAY: (Kind, Suite) = (Kind::Gateway, Suite::Stock);
const NEW_GATEWAY: (Kind, Suite) = (Kind::Gateway, Suite::New);
const EVERY: [(Kind, Suite); 4] =
    [OLD_GATEWAY, NEW_GATEWAY, (Kind::Prometheus, Suite::Stock), (Kind::Prometheus, Suite::New)];
const SETTINGS: &str = "global: {scrape_interval: 1h}";

/// Every server behind the same file, by name with its address: a plain GET of `/-/ready` is answered with `ready`.
/// All servers of Prometheus' have one and the same front: where there are many files, a Pushgateway stands for them.
async fn servers(
    files: &Files,
    web: &str,
    peers: &[(Kind, Suite)],
    ready: u16,
) -> BTreeMap<String, (String, Server)> {
    let path = files.write("web.yml", web);
    let flag = format!("--web.config.file={path}");
    let page = Page::start(&files.path("web.yml")).await;
    let mut all = BTreeMap::from([("ours".to_owned(), (page.address.clone(), Server::Ours(page)))]);
    for (kind, suite) in peers {
        let (url, server) = match kind {
            Kind::Gateway => {
                let gateway = Pushgateway::start_answering(*suite, &[&flag], ready).await;
                (gateway.url().to_owned(), Server::Gateway(gateway))
            }
            Kind::Prometheus => {
                let prometheus = Prometheus::start_answering(*suite, SETTINGS, &[&flag], ready).await;
                (prometheus.url().to_owned(), Server::Prometheus(prometheus))
            }
        };
        all.insert(format!("{kind:?} {suite:?}"), (url.trim_start_matches("http://").to_owned(), server));
    }
    all
}

/// What a client meets: a status, or that no answer comes.
async fn outcome(client: ClientBuilder, url: &str, authorization: Option<&str>) -> String {
    let request = client.build().unwrap().get(url);
    let request = match authorization {
        Some(value) => request.header("authorization", value),
        None => request,
    };
    match request.send().await {
        Ok(answer) => {
            let challenge = answer.headers().get("www-authenticate").is_some();
            format!("{}{}", answer.status().as_u16(), if challenge { " with a challenge" } else { "" })
        }
        Err(_) => "no answer".to_owned(),
    }
}

/// All servers agree, and not on one outcome for everything.
fn agree(outcomes: &BTreeMap<String, Vec<String>>) {
    let ours = &outcomes["ours"];
    for (name, theirs) in outcomes {
        assert_eq!(ours, theirs, "{name}");
    }
    let different: std::collections::BTreeSet<_> = ours.iter().collect();
    assert!(different.len() > 1, "{ours:?}");
}

fn coded(pair: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(pair)
}

#[tokio::test]
async fn users_are_let_in_and_kept_out_alike() {
    let files = Files::new();
    let web = format!("basic_auth_users:\n  ops: {HASH}\n  '': {HASH}\n  \"ä b\": {HASH}\n");
    let all = servers(&files, &web, &EVERY, 401).await;
    let right = coded(&format!("ops:{PASSWORD}"));
    let credentials = [
        None,
        Some(format!("Basic {right}")),
        Some(format!("bAsIc {right}")),
        Some(format!("Basic  {right}")),
        Some(format!("Basic {}", right.trim_end_matches('='))),
        Some(format!("Bearer {right}")),
        Some("Basic".to_owned()),
        Some("Basic %%%".to_owned()),
        Some(format!("Basic {}", coded("ops"))),
        Some(format!("Basic {}", coded("ops:"))),
        Some(format!("Basic {}", coded("ops:wrong"))),
        // Remembered now, and still wrong.
        Some(format!("Basic {}", coded("ops:wrong"))),
        Some(format!("Basic {}", coded(&format!("Ops:{PASSWORD}")))),
        Some(format!("Basic {}", coded(&format!("nobody:{PASSWORD}")))),
        Some(format!("Basic {}", coded(&format!("ops:{PASSWORD}\0")))),
        Some(format!("Basic {}", coded(&format!("ops:{PASSWORD} ")))),
        Some(format!("Basic {}", coded(&format!(":{PASSWORD}")))),
        Some(format!("Basic {}", coded(&format!("ä b:{PASSWORD}")))),
        Some(format!("Basic {}", coded("ops:a:b"))),
    ];
    let mut outcomes = BTreeMap::new();
    for (name, (address, _)) in &all {
        let mut of_server = Vec::new();
        for path in ["/-/healthy", "/-/ready", "/metrics"] {
            for credentials in &credentials {
                let client = reqwest::Client::builder().no_proxy();
                let url = format!("http://{address}{path}");
                of_server.push(outcome(client, &url, credentials.as_deref()).await);
            }
        }
        outcomes.insert(name.clone(), of_server);
    }
    agree(&outcomes);
    assert!(outcomes["ours"].iter().filter(|outcome| *outcome == "200").count() >= 12, "{outcomes:?}");
}

/// Who asks: a builder for each.
fn clients(authority: &Authority, known: &Leaf, stranger: &Leaf) -> Vec<ClientBuilder> {
    vec![
        builder(authority, None),
        builder(authority, Some(known)),
        builder(authority, Some(stranger)),
        builder(authority, None).tls_version_max(Version::TLS_1_2),
        builder(authority, Some(known)).tls_version_max(Version::TLS_1_2),
        builder(authority, Some(stranger)).tls_version_max(Version::TLS_1_2),
        builder(&Authority::new(), None),
    ]
}

#[rstest]
#[case::none("client_auth_type: NoClientCert", &[OLD_GATEWAY, NEW_GATEWAY])]
#[case::request("client_auth_type: RequestClientCert", &[OLD_GATEWAY, NEW_GATEWAY])]
#[case::request_with_an_authority("client_auth_type: RequestClientCert, client_ca_file: clients.crt", &[OLD_GATEWAY, NEW_GATEWAY])]
#[case::any("client_auth_type: RequireAnyClientCert", &[OLD_GATEWAY, NEW_GATEWAY])]
#[case::any_by_its_old_name("client_auth_type: RequireClientCert", &[OLD_GATEWAY])]
#[case::verify_if_given("client_auth_type: VerifyClientCertIfGiven, client_ca_file: clients.crt", &[OLD_GATEWAY, NEW_GATEWAY])]
#[case::verify("client_auth_type: RequireAndVerifyClientCert, client_ca_file: clients.crt", &EVERY)]
#[case::the_known_name(
    "client_auth_type: RequireAndVerifyClientCert, client_ca_file: clients.crt, client_allowed_sans: [x, scraper]",
    &[NEW_GATEWAY]
)]
#[case::another_name(
    "client_auth_type: RequireAndVerifyClientCert, client_ca_file: clients.crt, client_allowed_sans: [other]",
    &[NEW_GATEWAY]
)]
#[case::any_of_a_name("client_auth_type: RequireAnyClientCert, client_allowed_sans: [scraper]", &[NEW_GATEWAY])]
#[case::new_tls_alone("min_version: TLS13", &[NEW_GATEWAY])]
#[case::old_tls_alone("max_version: TLS12", &[NEW_GATEWAY])]
#[tokio::test]
async fn clients_with_and_without_certificates_are_met_alike(
    #[case] keys: &str,
    #[case] peers: &[(Kind, Suite)],
) {
    let (files, authority, known) = (Files::new(), Authority::new(), Authority::new());
    files.pair("tls", &authority.issue("127.0.0.1"));
    files.write("clients.crt", &known.pem);
    let (scraper, stranger) = (known.issue("scraper"), Authority::new().issue("stranger"));
    let web = format!("tls_server_config: {{cert_file: tls.crt, key_file: tls.key, {keys}}}\n");
    let all = servers(&files, &web, peers, 400).await;
    let mut outcomes = BTreeMap::new();
    for (name, (address, _)) in &all {
        let mut of_server = Vec::new();
        for client in clients(&authority, &scraper, &stranger) {
            of_server.push(outcome(client, &format!("https://{address}/-/healthy"), None).await);
        }
        let plain = reqwest::Client::builder().no_proxy();
        of_server.push(outcome(plain, &format!("http://{address}/-/healthy"), None).await);
        outcomes.insert(name.clone(), of_server);
    }
    agree(&outcomes);
}

#[tokio::test]
async fn headers_are_set_alike_with_and_without_a_password() {
    let files = Files::new();
    let headers = [
        ("Strict-Transport-Security", "max-age=31536000"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "deny"),
        ("X-XSS-Protection", "0"),
        ("Content-Security-Policy", "default-src 'self'"),
    ];
    let lines: String = headers.iter().map(|(name, value)| format!("    {name}: {value}\n")).collect();
    let web = format!("http_server_config:\n  headers:\n{lines}basic_auth_users: {{ops: {HASH}}}\n");
    for (name, (address, _)) in servers(&files, &web, &[NEW_GATEWAY], 401).await {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for password in [PASSWORD, "wrong"] {
            let request = client.get(format!("http://{address}/-/healthy")).basic_auth("ops", Some(password));
            let answer = request.send().await.unwrap();
            for (header, value) in headers {
                let has = answer.headers().get(header).map(|has| has.to_str().unwrap());
                assert_eq!(has, Some(value), "{name} {password} {header}");
            }
        }
    }
}
