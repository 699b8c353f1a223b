//! No secret leaves the process but to the server that it is for: whatever fails, and however that server
//! repeats what it was sent.

mod echo;
mod search;

use std::path::PathBuf;

use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::echo::{Echo, Ill};
use self::search::{Places, find, forms};
use crate::program::{COMMANDS, LIMIT, Program};
use crate::servers::eventually;
use crate::tls::Authority;

/// Characters that each spelling writes in its own way; every secret begins and ends with the same ones, so
/// that a part of one is found too.
const BEGIN: &str = "Zq7\"k/+&";
const END: &str = "\\'<9%X~v";

fn secret(kind: &str) -> String {
    format!("{BEGIN}{kind}{END}")
}

fn needles() -> Vec<String> {
    let kinds = [
        "balena",
        "pw",
        "bearer",
        "authz",
        "header",
        "tenant",
        "proxy",
        "query",
        "gateway-pw",
        "gateway-bearer",
        "client",
        "parameter",
    ];
    kinds.iter().map(|kind| secret(kind)).chain([BEGIN.to_owned(), END.to_owned()]).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    ByValue,
    InFiles,
}

/// Everything that has a secret, against one server.
struct Setting {
    folder: TempDir,
    held: Held,
    /// The client's key is a secret as well.
    key_lines: Vec<String>,
}

impl Setting {
    fn new(held: Held) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let leaf = Authority::new().issue("client");
        let file =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("our folder");
        file("cert.pem", &leaf.cert_pem);
        file("key.pem", &leaf.key_pem);
        let key_lines =
            leaf.key_pem.lines().filter(|line| !line.starts_with("---")).map(str::to_owned).collect();
        Setting { folder, held, key_lines }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `{key: secret}`, or `{key_file: path}`.
    fn secret(&self, key: &str, kind: &str) -> Value {
        match self.held {
            Held::ByValue => json!({key: secret(kind)}),
            Held::InFiles => {
                let path = self.path(kind);
                std::fs::write(&path, secret(kind) + "\n").expect("our folder");
                json!({format!("{key}_file"): path})
            }
        }
    }

    /// The sinks' names are those in [`SINKS`].
    fn config(&self, base: &str, proxy: &str) -> Value {
        let merged = |mut one: Value, more: Value| {
            for (key, value) in more.as_object().expect("a map") {
                one[key] = value.clone();
            }
            one
        };
        let encoded = forms::percent(&secret("query"));
        let userinfo = format!("me:{}", forms::percent(&secret("proxy")));
        let endpoint = |name: &str, more: Value| {
            let fast = json!({"min_backoff": "100ms", "max_backoff": "200ms"});
            let pinned = "prometheus.WriteRequest";
            let url = format!("{base}/write");
            merged(
                json!({"name": name, "url": url, "queue_config": fast, "protobuf_message": pinned, "remote_timeout": "5s"}),
                more,
            )
        };
        let basic = |kind| merged(json!({"username": "me"}), self.secret("password", kind));
        let (cert, key) = (self.path("cert.pem"), self.path("key.pem"));
        json!({
            "interval": "1s",
            "instance": "test",
            "balena": [merged(json!({"url": base, "timeout": "5s"}), self.secret("token", "balena"))],
            "remote_write": [
                endpoint("w-basic", json!({"basic_auth": basic("pw")})),
                endpoint("w-bearer", self.secret("bearer_token", "bearer")),
                endpoint("w-authz", json!({"authorization": merged(json!({"type": "Token"}), self.secret("credentials", "authz"))})),
                endpoint("w-header", json!({"headers": {"X-Api-Key": secret("header")}})),
                endpoint("w-tenant", json!({"headers": {"X-Scope-OrgID": secret("tenant")}})),
                endpoint("w-query", json!({"url": format!("{base}/write?v=1&apikey={encoded}")})),
                endpoint("w-mtls", json!({"tls_config": {"cert_file": cert, "key_file": key}})),
                endpoint("w-oauth2", json!({"oauth2": merged(self.secret("client_secret", "client"), json!({
                    "client_id": "me",
                    "token_url": format!("{base}/token?apikey={encoded}"),
                    "endpoint_params": {"password": secret("parameter")},
                }))})),
                endpoint("w-proxy", json!({"proxy_url": format!("http://{userinfo}@{proxy}")})),
            ],
            "pushgateways": [
                {"name": "g-basic", "url": base, "basic_auth": basic("gateway-pw")},
                {"name": "g-bearer", "url": base, "authorization": self.secret("credentials", "gateway-bearer")},
            ],
        })
    }

    fn write(&self, config: &Value) -> String {
        let path = self.path("fleetpush.yml");
        std::fs::write(&path, serde_json::to_string_pretty(config).unwrap()).expect("our folder");
        path.to_str().expect("a plain path").to_owned()
    }

    fn needles(&self) -> Vec<String> {
        needles().into_iter().chain(self.key_lines.iter().cloned()).collect()
    }
}

const SINKS: [&str; 11] = [
    "w-basic", "w-bearer", "w-authz", "w-header", "w-tenant", "w-query", "w-mtls", "w-proxy", "w-oauth2",
    "g-basic", "g-bearer",
];

#[rstest]
#[tokio::test]
async fn no_failure_shows_a_secret(
    #[values(
        Ill::Refused,
        Ill::Echo(400),
        Ill::Echo(401),
        Ill::Echo(407),
        Ill::Echo(422),
        Ill::Echo(500),
        Ill::Echo(200),
        Ill::Redirect,
        Ill::Tls
    )]
    ill: Ill,
    #[values("logfmt", "json")] format: &str,
    #[values(Held::ByValue, Held::InFiles)] held: Held,
) {
    let setting = Setting::new(held);
    let echo = Echo::start(ill).await;
    let path = setting.write(&setting.config(&echo.base_url(), &echo.authority()));
    let arguments = ["--config.file", &path, "--web.enable-lifecycle"];
    let program = start(&arguments, format, &[]);
    let page = eventually("the page's address in the log", LIMIT, async || {
        let log = program.stderr();
        let (_, after) = log.split_once("127.0.0.1:")?;
        let port: String = after.chars().take_while(char::is_ascii_digit).collect();
        Some(format!("http://127.0.0.1:{port}"))
    })
    .await;
    let ready = async || {
        let log = program.stderr();
        let failed = SINKS
            .iter()
            .all(|sink| log.lines().any(|line| line.contains(sink) && is_failure(line, sink, ill)));
        (failed && log.contains("collecting failed")).then_some(())
    };
    let started = std::time::Instant::now();
    while ready().await.is_none() {
        assert!(started.elapsed() < LIMIT, "a sink has not failed:\n{}", program.stderr());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    if matches!(ill, Ill::Echo(_) | Ill::Redirect) {
        let sent = echo.heads().join("\n");
        for kind in ["balena", "bearer", "authz", "header", "tenant", "gateway-bearer"] {
            assert!(sent.contains(&secret(kind)), "{kind} was not sent, so it could not be repeated");
        }
        assert!(!find(&sent, &[secret("pw"), secret("proxy"), secret("query")]).is_empty());
    }

    let mut places = Places::default();
    places.visit(&page).await;
    places.of_program(status(&path, &program).await);
    // A configuration that is refused in the running process.
    setting.write(&json!({"balena": [{"token": secret("balena"), "tokn": secret("balena")}]}));
    places.reload(&page).await;
    places.of_program(program);
    places.hold_none_of(&setting.needles());
}

/// A log line that tells of a sink's failure; with 200 only the API and the token endpoint fail.
fn is_failure(line: &str, sink: &str, ill: Ill) -> bool {
    match ill {
        Ill::Echo(200) if sink != "w-oauth2" => line.contains("first delivery"),
        _ => {
            line.contains("delivery failed") || line.contains("parked") || line.contains("refused or dropped")
        }
    }
}

/// All that it writes is written into its own folder, and it says as much as it can.
fn start(arguments: &[&str], format: &str, more: &[(&str, &str)]) -> Program {
    let environment = [
        ("FLEETPUSH_LISTEN_ADDRESS", "127.0.0.1:0"),
        ("FLEETPUSH_LOG_LEVEL", "trace"),
        ("FLEETPUSH_LOG_FORMAT", format),
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "full"),
        ("HOME", "."),
        ("TMPDIR", "."),
        ("XDG_STATE_HOME", "."),
    ];
    Program::start(arguments, &[&environment, more].concat())
}

/// What `queue status` hears over the socket of one that runs.
async fn status(config: &str, of: &Program) -> Program {
    let store = of.folder().join("state");
    let store = [("FLEETPUSH_QUEUE_DIR", store.to_str().expect("a plain path"))];
    let arguments = ["--config.file", config, "queue", "status", "--json"];
    let mut asked = start(&arguments, "logfmt", &store);
    assert_eq!(asked.code().await, 0, "{}", asked.stderr());
    assert!(asked.stdout().contains(&format!("pid {}", of.id())), "{}", asked.stdout());
    asked
}

#[rstest]
#[tokio::test]
async fn a_proxy_of_the_environment_and_variables_are_not_shown_either(
    #[values(Ill::Refused, Ill::Echo(407), Ill::Echo(500))] ill: Ill,
    #[values("run", "once", "check", "fleets", "pushgateway")] command: &str,
) {
    let echo = Echo::start(ill).await;
    let proxy = format!("http://me:{}@{}", forms::percent(&secret("proxy")), echo.authority());
    let write = format!("{}/write?apikey={}", echo.base_url(), forms::percent(&secret("query")));
    let headers = format!("X-Api-Key={}", secret("header"));
    let (balena, base) = (secret("balena"), echo.base_url());
    let (bearer, password, tenant) = (secret("bearer"), secret("gateway-pw"), secret("tenant"));
    let environment = [
        ("BALENA_TOKEN", balena.as_str()),
        ("BALENA_API_URL", &base),
        ("PUSHGATEWAY_URL", &base),
        ("PUSHGATEWAY_USERNAME", "me"),
        ("PUSHGATEWAY_PASSWORD", &password),
        ("REMOTE_WRITE_URL", &write),
        ("REMOTE_WRITE_BEARER_TOKEN", &bearer),
        ("REMOTE_WRITE_HEADERS", &headers),
        ("REMOTE_WRITE_TENANT", &tenant),
        ("HTTP_PROXY", &proxy),
        ("http_proxy", &proxy),
        ("CRAWL_INTERVAL", "1"),
    ];
    let arguments: &[&str] = match command {
        "pushgateway" => &["pushgateway", "delete"],
        other => &[other, "--once.deadline", "2s"],
    };
    let mut program = start(arguments, "logfmt", &environment);
    let mut places = Places::default();
    if command == "run" {
        program.logged("collecting failed").await;
        let refused = if ill == Ill::Echo(407) { "parked" } else { "delivery failed" };
        program.logged(refused).await;
        let page = program.page().await;
        places.visit(&page).await;
    } else {
        assert_ne!(program.code().await, 0, "{}", program.stdout());
    }
    places.of_program(program);
    places.hold_none_of(&needles());
}

#[tokio::test]
async fn help_shows_nothing_of_the_environment() {
    let variables: Vec<(String, String)> = fleetpush::config::VARIABLES
        .iter()
        .flat_map(|one| [one.name.to_owned(), format!("FLEETPUSH_{}", one.name)])
        .map(|name| (name, secret("balena")))
        .collect();
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for command in COMMANDS {
        for help in ["--help", "-h"] {
            let arguments = [command, &[help]].concat();
            let mut said = Vec::new();
            for environment in [&variables[..], &[]] {
                let mut program = Program::start(&arguments, environment);
                assert_eq!(program.code().await, 0, "{arguments:?}");
                said.push((program.stdout(), program.stderr()));
            }
            assert_eq!(said[0], said[1], "{arguments:?} depends on the environment");
            assert!(said[0].0.contains("Usage"), "{arguments:?}");
        }
    }
}

#[rstest]
#[case::an_unknown_neighbour(format!("balena:\n- token: {0}\n  tokn: {0}\n", quoted()))]
#[case::a_list(format!("balena:\n- token: [{0}, {0}]\n", quoted()))]
#[case::a_map(format!("balena:\n- token: {{{0}: {0}}}\n", quoted()))]
#[case::a_secret_in_place_of_a_block(format!("balena: {0}\n", quoted()))]
#[case::a_quote_that_does_not_end(format!("balena:\n- token: \"{}\n", secret("balena").replace('\\', "")))]
#[case::a_quote_that_ends_early(format!("balena:\n- token: \"x\"{}\n", secret("balena").replace('\\', "")))]
#[case::twice(format!("balena:\n- token: {0}\n  token: {0}\n", quoted()))]
#[case::an_alias(format!("x: &a {0}\nbalena:\n- token: *b\n", quoted()))]
#[case::userinfo(format!("remote_write:\n- url: http://me:{}@h/\n", forms::percent(&secret("pw"))))]
#[case::a_query_of_the_api(format!("balena:\n- {{token: x, url: 'https://h/?k={}'}}\n", forms::percent(&secret("query"))))]
#[case::a_proxys_scheme(format!("remote_write:\n- {{url: 'http://h/', proxy_url: 'socks5://me:{}@h'}}\n", forms::percent(&secret("proxy"))))]
#[case::a_proxys_port(format!("remote_write:\n- {{url: 'http://h/', proxy_url: 'http://me:{}@h:x'}}\n", forms::percent(&secret("proxy"))))]
#[case::no_user(format!("remote_write:\n- url: http://h/\n  basic_auth: {{password: {}}}\n", quoted()))]
#[case::two_kinds(format!("remote_write:\n- url: http://h/\n  bearer_token: {0}\n  authorization: {{credentials: {0}}}\n", quoted()))]
#[case::a_headers_name(format!("remote_write:\n- url: http://h/\n  headers: {{'a b': {}}}\n", quoted()))]
#[case::a_reserved_header(format!("remote_write:\n- url: http://h/\n  headers: {{Authorization: {}}}\n", quoted()))]
#[case::an_unsupported_block(format!("remote_write:\n- url: http://h/\n  oauth2: {{client_secret: {}}}\n", quoted()))]
#[case::a_secret_as_a_url(format!("remote_write:\n- url: {}\n", quoted()))]
#[tokio::test]
async fn a_file_that_is_refused_is_not_quoted(#[case] text: String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleetpush.yml");
    std::fs::write(&path, &text).unwrap();
    let mut program = start(&["--config.check", "--config.file", path.to_str().unwrap()], "logfmt", &[]);
    assert_eq!(program.code().await, 2, "{text} is taken: {}", program.stdout());
    assert!(program.stderr().contains("fleetpush.yml:"), "no place: {}", program.stderr());
    let mut places = Places::default();
    places.of_program(program);
    places.hold_none_of(&shown_parts());
}

/// The secret as YAML takes it.
fn quoted() -> String {
    Value::from(secret("balena")).to_string()
}

/// Some of these files cannot hold a secret as it is, but all of them hold its middle.
fn shown_parts() -> Vec<String> {
    needles().into_iter().chain(["k/+&balena".to_owned(), "k/+&".to_owned()]).collect()
}

#[rstest]
#[case::a_twin_that_differs(&[("BALENA_TOKEN", "x"), ("FLEETPUSH_BALENA_TOKEN", "S")])]
#[case::value_and_file(&[("BALENA_TOKEN", "S"), ("BALENA_TOKEN_FILE", "/dev/null")])]
#[case::a_secret_for_a_files_name(&[("REMOTE_WRITE_URL", "http://h/"), ("REMOTE_WRITE_HEADERS", "S")])]
#[case::half_of_the_headers(&[("REMOTE_WRITE_URL", "http://h/"), ("REMOTE_WRITE_HEADERS", "X-Key=x,S")])]
#[case::no_url(&[("REMOTE_WRITE_PASSWORD", "S"), ("REMOTE_WRITE_USERNAME", "me")])]
#[case::no_user(&[("REMOTE_WRITE_URL", "http://h/"), ("REMOTE_WRITE_PASSWORD", "S")])]
#[case::two_kinds(&[
    ("PUSHGATEWAY_URL", "http://h/"), ("PUSHGATEWAY_BEARER_TOKEN", "S"), ("PUSHGATEWAY_USERNAME", "me"),
    ("PUSHGATEWAY_PASSWORD", "S"),
])]
#[case::a_secret_as_a_url(&[("PUSHGATEWAY_URL", "S")])]
#[case::a_secret_as_the_apis_url(&[("BALENA_TOKEN", "x"), ("BALENA_API_URL", "S")])]
#[tokio::test]
async fn variables_that_are_refused_are_not_quoted(#[case] environment: &[(&str, &str)]) {
    let text = secret("balena");
    let put = |value: &str| value.replace('S', &text);
    let pairs: Vec<(&str, String)> = environment.iter().map(|(name, value)| (*name, put(value))).collect();
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert!(pairs.iter().any(|(_, value)| value.contains(&text)));
    let mut program = start(&["once"], "logfmt", &pairs);
    assert_eq!(program.code().await, 2, "{}", program.stderr());
    let mut places = Places::default();
    places.of_program(program);
    places.hold_none_of(&needles());
}

#[tokio::test]
async fn a_key_file_that_is_no_key_is_named_and_not_shown() {
    let setting = Setting::new(Held::ByValue);
    let key = std::fs::read_to_string(setting.path("key.pem")).unwrap();
    for broken in [
        key.replace("-----BEGIN", "----BEGIN"),
        key.replace("PRIVATE KEY", "NONSENSE"),
        key.replace('M', "*"),
    ] {
        std::fs::write(setting.path("key.pem"), broken).unwrap();
        let path = setting.write(&setting.config("https://127.0.0.1:1", "127.0.0.1:1"));
        let mut program = start(&["--config.file", &path], "logfmt", &[]);
        assert_eq!(program.code().await, 2);
        assert!(program.stderr().contains("key.pem"), "{}", program.stderr());
        let mut places = Places::default();
        places.of_program(program);
        places.hold_none_of(&setting.needles());
    }
}
