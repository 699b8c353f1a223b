//! OAuth2's client credentials: an authorization server and a receiver of ours, both with TLS, and the real binary.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetpush::config::{Auth, HttpSettings, OAuth2, Proxy, Secret, TlsSettings};
use fleetpush::http::{Client, Request};
use rstest::rstest;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::front::{Answer, Front, Seen};
use super::senders::{Rig, delivers, refused};
use super::{api, start};
use crate::program::{LIMIT, Program};
use crate::servers::eventually;
use crate::tls::Authority;

/// Signs that each coding writes in its own way.
const ID: &str = "me & you: 1";
const SECRET: &str = "hunter2+/ %ä";

/// What the authorization server does.
#[derive(Clone)]
struct Rules {
    secrets: Vec<String>,
    /// Where it wants the client's name and secret.
    in_body: bool,
    lifetime: Option<Duration>,
    /// Answered instead of a token.
    fails: Option<Answer>,
}

/// Gives out tokens, and knows which are good.
struct Issuer {
    rules: Mutex<Rules>,
    good: Mutex<Vec<(String, Option<Instant>)>>,
    issued: AtomicUsize,
    /// The secrets that were shown, in order.
    shown: Mutex<Vec<String>>,
}

impl Issuer {
    fn new(change: impl FnOnce(&mut Rules)) -> Arc<Self> {
        let mut rules =
            Rules { secrets: vec![SECRET.to_owned()], in_body: false, lifetime: None, fails: None };
        change(&mut rules);
        let (good, shown) = (Mutex::default(), Mutex::default());
        Arc::new(Issuer { rules: Mutex::new(rules), good, issued: AtomicUsize::new(0), shown })
    }

    fn change(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.rules.lock().unwrap());
    }

    fn issued(&self) -> usize {
        self.issued.load(Ordering::SeqCst)
    }

    /// What the door of the token endpoint answers.
    fn answer(&self, seen: &Seen) -> Answer {
        let rules = self.rules.lock().unwrap().clone();
        if let Some(failure) = rules.fails {
            return failure;
        }
        let form: Vec<(String, String)> = form_urlencoded::parse(&seen.body).into_owned().collect();
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let client = match seen.header("authorization") {
            Some(_) if rules.in_body => None,
            Some(header) => pair(header),
            None => field("client_id").zip(field("client_secret")),
        };
        let Some((id, secret)) = client else {
            return (401, json!({"error": "invalid_client"}).to_string());
        };
        self.shown.lock().unwrap().push(secret.clone());
        if id != ID || !rules.secrets.contains(&secret) {
            // Some servers repeat what they were sent.
            let said = format!("no {secret} of {:?} {:?}", seen.header("authorization"), seen.body);
            return (401, json!({"error": "invalid_client", "error_description": said}).to_string());
        }
        assert_eq!(field("grant_type").as_deref(), Some("client_credentials"));
        let token = format!("hunter2-token-{}", self.issued.fetch_add(1, Ordering::SeqCst));
        let until = rules.lifetime.map(|life| Instant::now() + life);
        self.good.lock().unwrap().push((token.clone(), until));
        let life = rules.lifetime.map_or(0, |life| life.as_secs());
        (200, json!({"access_token": token, "token_type": "bearer", "expires_in": life}).to_string())
    }

    /// What the receiver's door says to a request.
    fn door(&self, seen: &Seen) -> Option<Answer> {
        let shown = seen.header("authorization").unwrap_or_default();
        let good = self.good.lock().unwrap().iter().any(|(token, until)| {
            shown == format!("Bearer {token}") && until.is_none_or(|until| Instant::now() < until)
        });
        (!good).then(|| (401, format!("not {shown}")))
    }
}

/// Both halves are coded like a form's values before base64.
fn pair(header: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(header.strip_prefix("Basic ")?).ok()?).ok()?;
    let plain = |text: &str| {
        let whole = format!("x={text}");
        form_urlencoded::parse(whole.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    let (id, secret) = text.split_once(':')?;
    Some((plain(id)?, plain(secret)?))
}

struct Login {
    issuer: Arc<Issuer>,
    rig: Rig,
    tokens: Front,
    tls: Value,
}

impl Login {
    async fn new(change: impl FnOnce(&mut Rules)) -> Self {
        let issuer = Issuer::new(change);
        let (door, answer) = (issuer.clone(), issuer.clone());
        let rig = Rig::new(move |seen| door.door(seen)).await;
        let authority = Authority::new();
        let tokens =
            Front::start(&authority.issue("localhost"), None, "", move |seen| Some(answer.answer(seen)))
                .await;
        let tls = json!({"ca_file": rig.files.write("login.crt", &authority.pem)});
        Login { issuer, rig, tokens, tls }
    }

    /// A sink's keys, with these in its block `oauth2`.
    fn more(&self, keys: Value) -> Value {
        let mut block = json!({
            "client_id": ID,
            "token_url": format!("{}/token/", self.tokens.url()),
            "tls_config": self.tls,
        });
        for (key, value) in keys.as_object().unwrap() {
            block[key] = value.clone();
        }
        json!({"tls_config": self.rig.tls, "oauth2": block})
    }

    /// A service that collects each second.
    async fn service(&self, keys: Value) -> (fleetpush::demo::balena::Server, Program) {
        let (api, config) = (api().await, self.rig.config(&self.more(keys)));
        let program = start(&self.rig.files, &["--config.file", &config], &api);
        (api, program)
    }

    async fn all_arrived(&self, program: &Program) {
        eventually("both versions and both groups", LIMIT, async || {
            (self.rig.arrived() == (true, true, 2)).then_some(())
        })
        .await;
        assert!(!program.stderr().contains("hunter2"), "{}", program.stderr());
    }

    /// How often the receiver has answered so.
    fn answered(&self, status: u16) -> usize {
        self.rig.front.seen().iter().filter(|(_, answer)| *answer == status).count()
    }
}

#[rstest]
#[case::inline(false)]
#[case::in_a_file(true)]
#[tokio::test]
async fn a_token_is_fetched_as_prometheus_does_it_and_every_sink_takes_it(#[case] in_file: bool) {
    let login = Login::new(|_| {}).await;
    let secret = match in_file {
        true => json!({"client_secret_file": login.rig.files.write("secret", &format!("{SECRET}\n"))}),
        false => json!({"client_secret": SECRET}),
    };
    let mut keys = secret;
    keys["scopes"] = json!(["metrics.write", "b"]);
    keys["endpoint_params"] = json!({"audience": "the receiver"});
    delivers(&login.rig, &login.more(keys)).await;
    let asked = login.tokens.seen();
    for (request, _) in &asked {
        assert_eq!((request.method.as_str(), request.uri.path()), ("POST", "/token/"));
        assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
        let body = String::from_utf8(request.body.to_vec()).unwrap();
        assert_eq!(body, "grant_type=client_credentials&scope=metrics.write+b&audience=the+receiver");
    }
    // One for each sink of `check` and of `once`, however many requests followed.
    assert_eq!((asked.len(), login.issuer.issued()), (6, 6));
    assert_eq!(login.answered(401), 0);
}

#[tokio::test]
async fn a_server_that_wants_the_secret_in_the_body_gets_it_there_and_is_asked_so_from_then_on() {
    let login =
        Login::new(|rules| (rules.in_body, rules.lifetime) = (true, Some(Duration::from_secs(2)))).await;
    let (_api, program) = login.service(json!({"client_secret": SECRET})).await;
    login.all_arrived(&program).await;
    eventually("further tokens", LIMIT, async || (login.issuer.issued() >= 7).then_some(())).await;
    let asked = login.tokens.seen();
    let by_header = asked.iter().filter(|(request, _)| request.header("authorization").is_some()).count();
    assert_eq!(by_header, 3, "once for each sink");
}

#[tokio::test]
async fn a_token_is_replaced_before_its_end() {
    let login = Login::new(|rules| rules.lifetime = Some(Duration::from_secs(4))).await;
    let (_api, program) = login.service(json!({"client_secret": SECRET})).await;
    login.all_arrived(&program).await;
    eventually("two tokens more for each", LIMIT, async || (login.issuer.issued() >= 9).then_some(())).await;
    assert_eq!(login.answered(401), 0, "a token was used after its end");
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once_and_the_request_sent_again() {
    let login = Login::new(|_| {}).await;
    let (_api, program) = login.service(json!({"client_secret": SECRET})).await;
    login.all_arrived(&program).await;
    assert_eq!(login.issuer.issued(), 3);
    login.issuer.good.lock().unwrap().clear();
    eventually("one more for each", LIMIT, async || (login.issuer.issued() == 6).then_some(())).await;
    let before = login.answered(204) + login.answered(200);
    eventually("further deliveries", LIMIT, async || {
        (login.answered(204) + login.answered(200) >= before + 8).then_some(())
    })
    .await;
    assert_eq!(login.issuer.issued(), 6, "a token that is good is kept");
    let log = program.stderr();
    for trouble in ["parked", "delivery failed", "refused or dropped"] {
        assert!(!log.contains(trouble), "{log}");
    }
}

#[tokio::test]
async fn a_secret_that_changes_in_its_file_is_used_at_once() {
    let new = "hunter2-rotated";
    let login = Login::new(|rules| rules.secrets.push(new.to_owned())).await;
    let file = login.rig.files.write("secret", SECRET);
    let (_api, program) = login.service(json!({"client_secret_file": file})).await;
    login.all_arrived(&program).await;
    login.rig.files.write("secret", new);
    eventually("the new secret of each sink", LIMIT, async || {
        let shown = login.issuer.shown.lock().unwrap();
        (shown.iter().filter(|secret| *secret == new).count() == 3).then_some(())
    })
    .await;
    login.issuer.change(|rules| rules.secrets = vec![new.to_owned()]);
    let delivered = login.answered(204);
    eventually("deliveries", LIMIT, async || (login.answered(204) >= delivered + 4).then_some(())).await;
    assert!(!program.stderr().contains("hunter2"), "{}", program.stderr());
}

#[tokio::test]
async fn a_wrong_secret_parks_with_the_next_step() {
    let login = Login::new(|_| {}).await;
    let more = login.more(json!({"client_secret": "hunter2-wrong"}));
    refused(&login.rig, &more, "check client_id and client_secret under oauth2").await;
    assert_eq!(login.rig.front.seen().len(), 0, "nothing was sent without a token");
    let (_api, program) = login.service(json!({"client_secret": "hunter2-wrong"})).await;
    for sink in ["one", "two", "gate"] {
        eventually("a line of each sink", LIMIT, async || {
            let log = program.stderr();
            let line =
                log.lines().find(|line| line.contains("parked:") && line.contains(&format!("sink={sink} ")));
            line.map(str::to_owned)
        })
        .await;
    }
    assert!(!program.stderr().contains("hunter2"), "{}", program.stderr());
}

#[rstest]
#[case::scope(400, r#"{"error":"invalid_scope"}"#, "check scopes under oauth2")]
#[case::grant(400, r#"{"error":"unauthorized_client"}"#, "allow the grant client_credentials")]
#[case::parameters(400, r#"{"error":"invalid_request"}"#, "check scopes and endpoint_params under oauth2")]
#[case::forbidden(403, "", "allow this client to have tokens")]
#[case::another_path(404, "not found", "check that token_url under oauth2")]
#[case::a_login_page(200, "<html>sign in</html>", "check that token_url under oauth2")]
#[case::moved(307, "", "set token_url under oauth2 to the final address")]
#[case::busy(503, "try later", "answered 503: try later")]
#[tokio::test]
async fn what_the_token_endpoint_refuses_has_a_next_step(
    #[case] status: u16,
    #[case] body: &str,
    #[case] says: &str,
) {
    let login = Login::new(|rules| rules.fails = Some((status, body.to_owned()))).await;
    refused(&login.rig, &login.more(json!({"client_secret": SECRET})), says).await;
}

#[rstest]
#[case::nobody_there(json!({"token_url": "https://localhost:1/token"}), "was not reached: no connection")]
#[case::somebody_unknown(json!({"tls_config": {}}), "name the certificate of that authority (PEM) as ca_file")]
#[tokio::test]
async fn a_token_endpoint_that_is_not_reached_is_named(#[case] keys: Value, #[case] says: &str) {
    let login = Login::new(|_| {}).await;
    let mut more = login.more(json!({"client_secret": SECRET}));
    for (key, value) in keys.as_object().unwrap() {
        more["oauth2"][key] = value.clone();
    }
    refused(&login.rig, &more, says).await;
}

#[tokio::test]
async fn a_token_endpoint_that_is_not_well_is_asked_again_and_nothing_is_lost() {
    let login = Login::new(|rules| rules.fails = Some((503, "try later".to_owned()))).await;
    let (_api, program) = login.service(json!({"client_secret": SECRET})).await;
    program.logged("answered 503: try later").await;
    eventually("a second collect", LIMIT, async || {
        (program.stderr().matches("message=collected").count() >= 2).then_some(())
    })
    .await;
    login.issuer.change(|rules| rules.fails = None);
    login.all_arrived(&program).await;
    program.logged("delivering again").await;
    let log = program.stderr();
    assert!(!log.contains("parked") && !log.contains("refused or dropped"), "{log}");
}

#[rstest]
#[case::not_well(503)]
#[case::too_many_requests(429)]
#[tokio::test]
async fn a_token_endpoint_that_wants_to_be_left_alone_is_asked_no_earlier(#[case] status: u16) {
    let busy = MockServer::start().await;
    let answer = ResponseTemplate::new(status).insert_header("retry-after", "1800");
    Mock::given(any()).respond_with(answer).mount(&busy).await;
    let login = Login::new(|_| {}).await;
    let keys = json!({"client_secret": SECRET, "token_url": busy.uri(), "tls_config": {}});
    let (_api, program) = login.service(keys).await;
    for sink in ["one", "two", "gate"] {
        let told = |line: &str| line.contains(&format!("sink={sink} ")) && line.contains("delay_ms=1800000");
        eventually("the delay of each sink", LIMIT, async || {
            program.stderr().lines().any(told).then_some(())
        })
        .await;
    }
    // Each endpoint asks once, and so does each group of the gateway.
    eventually("a second request of both groups", LIMIT, async || {
        (busy.received_requests().await.unwrap().len() == 4).then_some(())
    })
    .await;
    let collected = program.stderr().matches("message=collected").count();
    eventually("two more collects", LIMIT, async || {
        (program.stderr().matches("message=collected").count() >= collected + 2).then_some(())
    })
    .await;
    assert_eq!(busy.received_requests().await.unwrap().len(), 4, "{}", program.stderr());
}

#[tokio::test]
async fn variables_give_the_one_endpoint_a_client_of_its_own() {
    let login = Login::new(|_| {}).await;
    let authority = login.rig.tls["ca_file"].as_str().unwrap();
    // One file for both: that of the receiver, and that of the token endpoint.
    let both = [authority, login.tls["ca_file"].as_str().unwrap()]
        .map(|path| std::fs::read_to_string(path).unwrap());
    let both = login.rig.files.write("both.crt", &both.concat());
    let secret = login.rig.files.write("secret", SECRET);
    let api = api().await;
    let environment = [
        ("REMOTE_WRITE_URL", &*format!("{}/api/v1/write", login.rig.front.url())),
        ("REMOTE_WRITE_CA_FILE", &both),
        ("REMOTE_WRITE_OAUTH2_CLIENT_ID", ID),
        ("REMOTE_WRITE_OAUTH2_CLIENT_SECRET_FILE", &secret),
        ("REMOTE_WRITE_OAUTH2_TOKEN_URL", &format!("{}/token/", login.tokens.url())),
        ("REMOTE_WRITE_OAUTH2_SCOPES", "metrics.write, a b"),
    ];
    let mut once = Program::command(&["once"], &api, &environment);
    assert_eq!(once.code().await, 0, "{}", once.stderr());
    assert!(login.rig.arrived().1, "by remote write 2.0");
    let (request, _) = &login.tokens.seen()[0];
    assert_eq!(request.body, "grant_type=client_credentials&scope=metrics.write+a+b");
    assert!(!once.stderr().contains("hunter2"), "{}", once.stderr());
}

#[tokio::test]
async fn a_receiver_that_repeats_the_token_shows_it_to_nobody() {
    let login = Login::new(|_| {}).await;
    let more = login.more(json!({"client_secret": SECRET}));
    // Every token is refused there, and repeated.
    let authority = Authority::new();
    let echo = Front::start(&authority.issue("localhost"), None, "", |seen| {
        Some((403, format!("not {:?}", seen.header("authorization"))))
    })
    .await;
    let mut more = more;
    more["tls_config"] = json!({"ca_file": login.rig.files.write("echo.crt", &authority.pem)});
    let config = login.rig.config_at(&echo.url(), &more);
    super::senders::refused_by(&login.rig, &config, "answered 403").await;
    let sent = echo.seen();
    assert!(
        sent.iter()
            .any(|(request, _)| request.header("authorization").is_some_and(|h| h.contains("hunter2")))
    );
}

fn settings(login: &Login) -> HttpSettings {
    let tls = |value: &Value| TlsSettings {
        ca_file: value["ca_file"].as_str().map(Into::into),
        ..TlsSettings::default()
    };
    let oauth2 = OAuth2 {
        client_id: ID.into(),
        client_secret: Secret::Value(SECRET.into()),
        scopes: Vec::new(),
        token_url: Url::parse(&format!("{}/token", login.tokens.url())).unwrap(),
        endpoint_params: Vec::new(),
        tls: tls(&login.tls),
        proxy: Proxy::Direct,
    };
    HttpSettings {
        auth: Auth::OAuth2(Box::new(oauth2)),
        tls: tls(&login.rig.tls),
        proxy: Proxy::Direct,
        headers: Vec::new(),
        timeout: LIMIT,
    }
}

#[tokio::test]
async fn requests_at_once_share_one_token_also_where_it_was_refused() {
    let login = Login::new(|_| {}).await;
    let url = Url::parse(&format!("{}/-/ready", login.rig.front.url())).unwrap();
    let client = Arc::new(Client::new(&settings(&login), &url).unwrap());
    for wanted in [1, 2] {
        let asking = (0..20).map(|_| {
            let (client, url) = (client.clone(), url.clone());
            tokio::spawn(async move { client.send(Request::get(url, 100)).await.unwrap().status })
        });
        for asked in asking.collect::<Vec<_>>() {
            assert_eq!(asked.await.unwrap(), 200);
        }
        assert_eq!(login.issuer.issued(), wanted);
        login.issuer.good.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn a_request_that_is_refused_with_a_new_token_is_not_sent_a_third_time() {
    let login = Login::new(|_| {}).await;
    let url = Url::parse(&format!("{}/-/ready", login.rig.front.url())).unwrap();
    let client = Client::new(&settings(&login), &url).unwrap();
    let ask = async || client.send(Request::get(url.clone(), 100)).await.unwrap().status;
    assert_eq!(ask().await, 200);
    let issuer = login.issuer.clone();
    issuer.good.lock().unwrap().clear();
    // Tokens that are given out are good for no time at all.
    issuer.change(|rules| rules.lifetime = Some(Duration::ZERO));
    assert_eq!(ask().await, 401);
    assert_eq!((login.answered(401), issuer.issued()), (2, 2));
    assert_eq!(ask().await, 401);
    assert_eq!((login.answered(401), issuer.issued()), (4, 3));
}
