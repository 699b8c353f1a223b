//! Who we say we are, whom we trust, and through whom we go: against servers of ours.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use fleetpush::config::{Auth, HttpSettings, Proxy, Secret, TlsSettings};
use fleetpush::http::{Answer, Client, HttpError, Request};
use tempfile::TempDir;
use url::Url;

use crate::tls::{Authority, Server};

const CHILD: &str = "FLEETPUSH_TEST_CHILD_ASKS";

fn settings() -> HttpSettings {
    HttpSettings {
        auth: Auth::None,
        tls: TlsSettings::default(),
        proxy: Proxy::Direct,
        headers: Vec::new(),
        timeout: Duration::from_secs(10),
    }
}

fn plain(server: &Server) -> Url {
    Url::parse(&format!("http://{}/path?key=hunter2", server.address)).unwrap()
}

fn secure(server: &Server, host: &str) -> Url {
    Url::parse(&format!("https://{host}:{}/path?key=hunter2", server.address.port())).unwrap()
}

async fn ask(client: &Client, url: &Url) -> Result<Answer, HttpError> {
    let answer = client.send(Request::get(url.clone(), 100)).await;
    if let Err(error) = &answer {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    answer
}

async fn ask_once(settings: &HttpSettings, url: &Url) -> Result<Answer, HttpError> {
    ask(&Client::new(settings, url)?, url).await
}

fn file(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn basic_credentials_are_sent() {
    let server = Server::plain().await;
    let auth = Auth::Basic { username: "me".into(), password: Secret::Value("pass wörd\n".into()) };
    ask_once(&HttpSettings { auth, ..settings() }, &plain(&server)).await.unwrap();
    assert_eq!(server.header("authorization").unwrap(), "Basic bWU6cGFzcyB3w7ZyZA==");
}

#[tokio::test]
async fn a_bearer_token_is_sent_without_the_white_space_at_its_end() {
    let server = Server::plain().await;
    let credentials = Secret::Value("token\r\n".into());
    let auth = Auth::Header { scheme: "Bearer".into(), credentials };
    ask_once(&HttpSettings { auth, ..settings() }, &plain(&server)).await.unwrap();
    assert_eq!(server.header("authorization").unwrap(), "Bearer token");
}

#[tokio::test]
async fn a_secret_file_is_read_again_and_a_broken_one_is_named() {
    let server = Server::plain().await;
    let dir = TempDir::new().unwrap();
    let path = file(&dir, "token", "first\n");
    let auth = Auth::Header { scheme: "Bearer".into(), credentials: Secret::File(path.clone()) };
    let client = Client::new(&HttpSettings { auth, ..settings() }, &plain(&server)).unwrap();
    ask(&client, &plain(&server)).await.unwrap();
    assert_eq!(server.header("authorization").unwrap(), "Bearer first");
    fs::write(&path, "other").unwrap();
    ask(&client, &plain(&server)).await.unwrap();
    assert_eq!(server.header("authorization").unwrap(), "Bearer other");
    fs::write(&path, " \n").unwrap();
    let error = ask(&client, &plain(&server)).await.unwrap_err();
    assert!(matches!(&error, HttpError::SecretEmpty { path: named } if *named == path), "{error}");
    fs::remove_file(&path).unwrap();
    let error = ask(&client, &plain(&server)).await.unwrap_err();
    assert!(matches!(error, HttpError::Secret { .. }) && error.is_transient(), "{error}");
    fs::write(&path, "third").unwrap();
    ask(&client, &plain(&server)).await.unwrap();
    assert_eq!(server.heads().len(), 3, "nothing was sent without the secret");
}

#[tokio::test]
async fn a_secret_that_no_header_can_hold_is_refused_unseen() {
    let server = Server::plain().await;
    let credentials = Secret::Value("hunter2\nx: y".into());
    let auth = Auth::Header { scheme: "Bearer".into(), credentials };
    let error = ask_once(&HttpSettings { auth, ..settings() }, &plain(&server)).await.unwrap_err();
    assert!(matches!(error, HttpError::Unsendable { .. }), "{error}");
}

#[tokio::test]
async fn further_headers_are_sent_and_a_requests_own_win() {
    let server = Server::plain().await;
    let headers = vec![("X-Scope-OrgID".into(), "tenant".into()), ("x-kind".into(), "configured".into())];
    let client = Client::new(&HttpSettings { headers, ..settings() }, &plain(&server)).unwrap();
    let mut request = Request::get(plain(&server), 1);
    request.headers.insert("x-kind", "own".parse().unwrap());
    let answer = client.send(request).await.unwrap();
    assert_eq!((&answer.body[..], answer.truncated), (&b"o"[..], true));
    assert_eq!(server.header("x-scope-orgid").unwrap(), "tenant");
    assert_eq!(server.header("x-kind").unwrap(), "own");
}

#[tokio::test]
async fn an_unknown_authority_is_refused_unless_its_file_is_named() {
    let (ours, other) = (Authority::new(), Authority::new());
    let server = Server::tls(&ours.issue("localhost"), None).await;
    let dir = TempDir::new().unwrap();
    let path = file(&dir, "ca.pem", &other.pem);
    let tls = TlsSettings { ca_file: Some(path.clone()), ..TlsSettings::default() };
    let url = secure(&server, "localhost");
    let client = Client::new(&HttpSettings { tls, ..settings() }, &url).unwrap();
    let error = ask(&client, &url).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect(_)), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
    // The file changes while we run; two authorities may stand in it.
    fs::write(&path, format!("{}{}", other.pem, ours.pem)).unwrap();
    assert_eq!(&ask(&client, &url).await.unwrap().body[..], b"ok");
    fs::write(&path, "no certificate").unwrap();
    let error = ask(&client, &url).await.unwrap_err();
    assert!(matches!(error, HttpError::TlsContent { .. }) && error.to_string().contains("ca.pem"), "{error}");
    fs::remove_file(&path).unwrap();
    assert!(matches!(ask(&client, &url).await, Err(HttpError::TlsFile { .. })));
}

#[tokio::test]
async fn a_ca_file_that_is_missing_at_the_start_is_named_there() {
    let tls = TlsSettings { ca_file: Some("/nowhere/ca.pem".into()), ..TlsSettings::default() };
    let url = Url::parse("https://localhost/").unwrap();
    let error = Client::new(&HttpSettings { tls, ..settings() }, &url).unwrap_err();
    assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
}

#[tokio::test]
async fn a_server_of_another_name_is_refused_unless_the_name_is_set() {
    let ours = Authority::new();
    let server = Server::tls(&ours.issue("api.example.test"), None).await;
    let dir = TempDir::new().unwrap();
    let ca_file = Some(file(&dir, "ca.pem", &ours.pem));
    let tls = TlsSettings { ca_file, ..TlsSettings::default() };
    for host in ["localhost", "127.0.0.1"] {
        let url = secure(&server, host);
        assert!(ask_once(&HttpSettings { tls: tls.clone(), ..settings() }, &url).await.is_err());
        let named = TlsSettings { server_name: Some("api.example.test".into()), ..tls.clone() };
        ask_once(&HttpSettings { tls: named, ..settings() }, &url).await.unwrap();
        assert_eq!(server.header("host").unwrap(), format!("{host}:{}", server.address.port()));
    }
}

#[tokio::test]
async fn a_server_name_through_a_proxy_is_refused_at_the_start() {
    let tls = TlsSettings { server_name: Some("api.example.test".into()), ..TlsSettings::default() };
    let proxy = Proxy::Url(Url::parse("http://127.0.0.1:1").unwrap());
    let url = Url::parse("https://localhost/").unwrap();
    assert!(matches!(
        Client::new(&HttpSettings { tls, proxy, ..settings() }, &url),
        Err(HttpError::Settings(_))
    ));
}

#[tokio::test]
async fn any_certificate_is_taken_where_that_is_asked_for() {
    let server = Server::tls(&Authority::new().issue("elsewhere.test"), None).await;
    let tls = TlsSettings { insecure_skip_verify: true, ..TlsSettings::default() };
    ask_once(&HttpSettings { tls, ..settings() }, &secure(&server, "localhost")).await.unwrap();
}

#[tokio::test]
async fn a_client_certificate_opens_a_server_that_asks_for_one() {
    let (ours, clients) = (Authority::new(), Authority::new());
    let server = Server::tls(&ours.issue("localhost"), Some(&clients)).await;
    let url = secure(&server, "localhost");
    let dir = TempDir::new().unwrap();
    let tls = TlsSettings { ca_file: Some(file(&dir, "ca.pem", &ours.pem)), ..TlsSettings::default() };
    assert!(ask_once(&HttpSettings { tls: tls.clone(), ..settings() }, &url).await.is_err());
    let leaf = clients.issue("client");
    let pair = (file(&dir, "cert.pem", &leaf.cert_pem), file(&dir, "key.pem", &leaf.key_pem));
    let tls = TlsSettings { client_cert: Some(pair.clone()), ..tls };
    let client = Client::new(&HttpSettings { tls, ..settings() }, &url).unwrap();
    ask(&client, &url).await.unwrap();
    fs::write(&pair.1, "no key").unwrap();
    let error = ask(&client, &url).await.unwrap_err();
    assert!(error.to_string().contains("key.pem"), "{error}");
}

#[tokio::test]
async fn a_proxy_of_the_settings_is_used_for_plain_http() {
    let proxy = Server::plain().await;
    let through = Proxy::Url(Url::parse(&format!("http://me:word@{}", proxy.address)).unwrap());
    let url = Url::parse("http://api.example.test/path").unwrap();
    ask_once(&HttpSettings { proxy: through, ..settings() }, &url).await.unwrap();
    assert!(proxy.heads()[0].starts_with("GET http://api.example.test/path HTTP/1.1"), "{:?}", proxy.heads());
    assert_eq!(proxy.header("proxy-authorization").unwrap(), "Basic bWU6d29yZA==");
}

#[tokio::test]
async fn a_proxy_of_the_settings_carries_tls_and_never_sees_the_token() {
    let ours = Authority::new();
    let server = Server::tls(&ours.issue("api.example.test"), None).await;
    let proxy = Server::tunnel_to(server.address, None).await;
    let dir = TempDir::new().unwrap();
    let settings = HttpSettings {
        auth: Auth::Header { scheme: "Bearer".into(), credentials: Secret::Value("token".into()) },
        tls: TlsSettings { ca_file: Some(file(&dir, "ca.pem", &ours.pem)), ..TlsSettings::default() },
        proxy: Proxy::Url(Url::parse(&format!("http://{}", proxy.address)).unwrap()),
        ..settings()
    };
    ask_once(&settings, &Url::parse("https://api.example.test/path").unwrap()).await.unwrap();
    assert!(proxy.heads()[0].starts_with("CONNECT api.example.test:443 HTTP/1.1"), "{:?}", proxy.heads());
    assert_eq!(proxy.header("authorization"), None);
    assert_eq!(server.header("authorization").unwrap(), "Bearer token");
}

/// This test runs itself again as a child, since a process' environment is read once.
#[tokio::test]
async fn the_environments_proxy_is_used_unless_the_settings_say_direct() {
    let url = Url::parse("http://api.example.test/path").unwrap();
    if std::env::var_os(CHILD).is_some() {
        ask_once(&HttpSettings { proxy: Proxy::default(), ..settings() }, &url).await.unwrap();
        let direct = HttpSettings { timeout: Duration::from_secs(2), ..settings() };
        assert!(ask_once(&direct, &url).await.is_err(), "there is no such host");
        return;
    }
    let proxy = Server::plain().await;
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "auth::the_environments_proxy_is_used_unless_the_settings_say_direct"])
        .env(CHILD, "1")
        .env("HTTP_PROXY", format!("http://{}", proxy.address))
        .env("http_proxy", format!("http://{}", proxy.address))
        .env_remove("NO_PROXY")
        .env_remove("no_proxy");
    let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(proxy.heads().len(), 1);
    assert!(proxy.heads()[0].starts_with("GET http://api.example.test/path"), "{:?}", proxy.heads());
}

/// This test runs itself again as a child that finds no CA certificate on its machine.
#[tokio::test]
async fn plain_http_works_on_a_machine_without_any_ca_certificate() {
    if let Some(url) = std::env::var_os(CHILD) {
        let url = Url::parse(url.to_str().unwrap()).unwrap();
        ask_once(&settings(), &url).await.unwrap();
        let secure = Url::parse("https://localhost/").unwrap();
        let error = Client::new(&settings(), &secure).unwrap_err();
        assert!(error.to_string().contains("ca_file"), "{error}");
        return;
    }
    let server = Server::plain().await;
    let dir = TempDir::new().unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "auth::plain_http_works_on_a_machine_without_any_ca_certificate"])
        .env(CHILD, plain(&server).as_str())
        .env("SSL_CERT_DIR", dir.path())
        .env_remove("SSL_CERT_FILE");
    let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(server.heads().len(), 1);
}
