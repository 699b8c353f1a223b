//! What names a group: paths and `@base64`.

use fleetpush::demo::balena::{Fleet, Options, Server, Simulation};
use fleetpush::http::HttpError;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::program::Program;
use crate::servers::Suite;

/// What a path could change on its way, by the name of the label that carries it.
const VALUES: [(&str, &str); 16] = [
    ("slash", "a/b/c"),
    ("dot", "."),
    ("dots", ".."),
    ("hidden_dots", "a/../b//c"),
    ("plus", "a+b"),
    ("space", " a b "),
    ("percent", "100%2F%"),
    ("question", "a?b=c"),
    ("hash", "a#b"),
    ("letters", "ünï 🦊"),
    ("control", "tab\tnew\nline"),
    ("quote", "q\"b\\"),
    ("looks_coded", "x@base64"),
    ("delimiters", ";:@&=,"),
    ("tilde", "A~z_0-9."),
    ("empty", ""),
];

#[rstest]
#[tokio::test]
async fn a_value_of_any_text_is_the_same_in_the_groups_labels(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    Rig::new(gateway.url()).grouping(&VALUES).push(counted(&[("a", 1.0)])).await.expect("taken");
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), json!(value));
    let mut all: Map<String, Value> = VALUES.iter().map(pair).collect();
    all.extend([("job".into(), json!("balena")), ("instance".into(), json!("site"))]);
    assert_eq!(keys_of(&gateway).await, [Value::Object(all)]);
    for (_, value) in VALUES.iter().filter(|(_, value)| !value.is_empty()) {
        let rig = Rig::new(gateway.url()).named(value, value);
        rig.push(counted(&[(value, 2.0)])).await.expect("taken");
        let key = json!({"job": value, "instance": value});
        let group = group(&gateway, &key).await.unwrap_or_else(|| panic!("no group {key}"));
        assert_eq!(fleets_of(&group, "balena_devices"), one(value, 2.0));
        let pusher = rig.pusher().expect("usable settings");
        pusher.delete(&[Source::Account("balena".into())]).await.expect("accepted");
    }
    is_sound(&gateway).await;
    eventually("deletion by the same keys", LIMIT, async || {
        (gateway.groups().await.len() == 1).then_some(())
    })
    .await;
}

#[rstest]
#[tokio::test]
async fn a_slash_as_percent_2f_lands_in_another_group_and_ours_does_not(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    assert_eq!(raw_put(&gateway, "/metrics/job/j/path/a%2Fb%2Fc", "x 1\n").await.0, 200);
    assert_eq!(keys_of(&gateway).await, [json!({"job": "j", "path": "a", "b": "c"})]);
    let (status, text) = raw_put(&gateway, "/metrics/job/j/path/a%2Fb", "x 1\n").await;
    assert!(status == 400 && text.contains("odd number of components"), "{status} {text}");
    let rig = Rig::new(gateway.url()).named("j", "").grouping(&[("path", "a/b/c")]);
    rig.push(counted(&[("a", 1.0)])).await.expect("taken");
    assert!(group(&gateway, &json!({"job": "j", "path": "a/b/c"})).await.is_some());
}

#[rstest]
#[tokio::test]
async fn dots_and_empty_parts_redirect_to_another_group_and_ours_do_not(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    for path in ["/metrics/job/j/a/..", "/metrics/job/j/a/%2E%2E", "/metrics/job/j/a//b/c"] {
        assert_eq!(status_of_path(&gateway, path).await, 301, "{path}");
    }
    assert_eq!(gateway.groups().await.len(), 0);
    let rig = Rig::new(gateway.url()).named("j", "..").grouping(&[("a", ".."), ("b", "a//b")]);
    rig.push(counted(&[("a", 1.0)])).await.expect("taken");
    assert_eq!(keys_of(&gateway).await, [json!({"job": "j", "instance": "..", "a": "..", "b": "a//b"})]);
}

/// A PUT of a path that no client library leaves as it is.
async fn status_of_path(gateway: &Pushgateway, path: &str) -> u16 {
    let address = gateway.url().trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 4\r\n\r\nx 1\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}

#[rstest]
#[tokio::test]
async fn base64_of_the_standard_alphabet_is_refused_and_ours_is_url_safe(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    // `+` of the standard alphabet is no letter of this one.
    let (status, text) = raw_put(&gateway, "/metrics/job/j/path@base64/Pj4+Pz8=", "x 1\n").await;
    assert!(status == 400 && text.contains("illegal base64"), "{status} {text}");
    for value in [">>>??", "~~~~??>>", "ÿþÿþ"] {
        Rig::new(gateway.url()).grouping(&[("x", value)]).push(counted(&[])).await.expect("taken");
        let key = json!({"job": "balena", "instance": "site", "x": value});
        assert!(group(&gateway, &key).await.is_some(), "{value}");
    }
}

#[rstest]
#[case::hangs_for_ever(Suite::Stock)]
#[case::is_mended(Suite::New)]
#[tokio::test]
async fn a_bad_base64_of_somebody_else_locks_an_old_gateway_and_our_time_out_ends_the_wait(
    #[case] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    assert_eq!(raw_put(&gateway, "/metrics/job@base64/!!!", "x 1\n").await.0, 400);
    let rig = Rig::new(gateway.url()).named("my/org", "").timeout(Duration::from_millis(300));
    let pushed = rig.push_within(counted(&[]), Duration::from_secs(2)).await;
    match suite {
        Suite::Stock => {
            let error = pushed.expect_err("no answer");
            assert!(matches!(error, PushError::Http { source: HttpError::Timeout, .. }), "{error:?}");
        }
        Suite::New => pushed.expect("taken"),
    }
    Rig::new(gateway.url()).push(counted(&[])).await.expect("other routes go on");
}

#[rstest]
#[tokio::test]
async fn paths_that_are_no_group_are_refused_and_our_job_is_never_empty(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    for (path, expected) in [
        ("/metrics", 405),
        ("/metrics/job", 404),
        ("/metrics/job/", 307),
        ("/metrics/jobs/x", 404),
        ("/metrics/instance/x/job/y", 404),
        ("/metrics/job/j/instance", 400),
        ("/metrics/job@base64/=", 400),
    ] {
        assert_eq!(raw_put(&gateway, path, "x 1\n").await.0, expected, "{path}");
    }
    for method in [Method::GET, Method::PATCH] {
        assert_eq!(raw(method, &format!("{}/metrics/job/j", gateway.url()), "").await.0, 405);
    }
    assert_eq!(gateway.groups().await.len(), 0);
    for unset in ["", "  "] {
        let config = configured(&[("PUSHGATEWAY_URL", gateway.url()), ("FLEETPUSH_JOB", unset)]).unwrap();
        assert_eq!(&*config.job, "balena");
    }
    let refused = file("job: ''\n").unwrap_err();
    assert!(refused.contains("job") && refused.contains("is empty"), "{refused}");
}

#[rstest]
#[tokio::test]
async fn a_label_of_20_kilobytes_is_taken(#[values(Suite::Stock, Suite::New)] suite: Suite) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let long = "é/".repeat(7_000);
    Rig::new(gateway.url()).grouping(&[("x", &long)]).push(counted(&[])).await.expect("taken");
    assert_eq!(gateway.groups().await[0]["labels"]["x"], json!(long));
}

#[rstest]
#[tokio::test]
async fn a_base_url_with_a_path_is_kept_and_its_slash_is_not(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
    #[values("/pgw", "/pgw/", "/pgw///")] path: &str,
) {
    let gateway = Pushgateway::start_answering(suite, &["--web.route-prefix=/pgw"], 404).await;
    let simulation = Simulation::new();
    simulation.add(Fleet::new("acme", "a"));
    let api = Server::start(simulation, Options::default()).await.unwrap();
    let _program = Program::service(&api, &[("PUSHGATEWAY_URL", &format!("{}{path}", gateway.url()))]);
    let listed = format!("{}/pgw/api/v1/metrics", gateway.url());
    eventually("the account's group", LIMIT, async || {
        let list = raw(Method::GET, &listed, "").await.1;
        (list.contains("balena_devices_online") && list.contains("\"instance\":\"test\"")).then_some(())
    })
    .await;

    let lost = Program::service(&api, &[("PUSHGATEWAY_URL", gateway.url())]);
    lost.logged("--web.route-prefix").await;
    assert!(lost.stderr().contains("parked"), "{}", lost.stderr());
}

#[test]
fn a_url_that_holds_a_group_already_is_refused() {
    for (url, word) in [
        ("http://g:9091/metrics/job/balena", "/metrics/job"),
        ("http://g:9091/pgw/metrics/job/balena/instance/x", "/metrics/job"),
        ("http://g:9091/metrics", "/metrics"),
        ("http://g:9091/metrics/", "/metrics"),
        ("http://g:9091/?job=x", "query"),
        ("http://g:9091/#x", "fragment"),
        ("http://me:secret@g:9091", "credentials"),
        ("g:9091", "http://"),
    ] {
        let error = configured(&[("PUSHGATEWAY_URL", url)]).expect_err(url);
        assert!(error.contains("PUSHGATEWAY_URL") && error.contains(word), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
