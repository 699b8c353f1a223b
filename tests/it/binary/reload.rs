//! A configuration that changes under a running service.

use std::fs;
use std::path::PathBuf;

use fleetpush::demo::balena;
use reqwest::StatusCode;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{api, receiver, samples_of, value};
use crate::program::{LIMIT, Program, TOKEN, get};
use crate::servers::eventually;

const LIFECYCLE: &str = "--web.enable-lifecycle";

/// A running service and the file that it was given.
struct Service {
    program: Program,
    page: String,
    file: PathBuf,
    _folder: TempDir,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Hangup,
    Post,
}

impl Service {
    async fn start(api: &balena::Server, arguments: &[&str], settings: Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("fleetpush.yml");
        write(&file, &settings);
        let path = file.to_str().expect("a plain path");
        let arguments = [&["--config.file", path], arguments].concat();
        let program = Program::command(&arguments, api, &[("CRAWL_INTERVAL", ""), ("BALENA_TOKEN", "")]);
        let page = program.page().await;
        Service { program, page, file, _folder: folder }
    }

    async fn post(&self) -> (StatusCode, String) {
        let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
        let answer = client.post(format!("{}/-/reload", self.page)).send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("text"))
    }

    async fn reload(&self, by: By) {
        match by {
            By::Hangup => self.program.signal("HUP"),
            By::Post => assert_eq!(self.post().await, (StatusCode::OK, "reloaded\n".to_owned())),
        }
    }

    async fn metric(&self, series: &str) -> Option<f64> {
        value(&get(&format!("{}/metrics", self.page)).await, series)
    }

    async fn reload_shows(&self, expected: f64) {
        let shown = async || {
            (self.metric("fleetpush_config_last_reload_successful").await == Some(expected)).then_some(())
        };
        eventually(&format!("the reload's outcome {expected}"), LIMIT, shown).await;
    }
}

/// YAML takes JSON; each key stands on a line of its own.
fn write(file: &PathBuf, settings: &Value) {
    fs::write(file, serde_json::to_string_pretty(settings).unwrap()).expect("our own file");
}

fn endpoint(name: &str, remote: &receiver::Server) -> Value {
    json!({"name": name, "url": remote.write_url()})
}

fn settings(interval: &str, job: &str, endpoints: &[Value]) -> Value {
    json!({"interval": interval, "job": job, "balena": [{"token": TOKEN}], "remote_write": endpoints})
}

/// Of one job's fleet series, how many there are and how many of them end with a stale marker.
fn ended(remote: &receiver::Server, job: &str) -> (usize, usize) {
    let all = remote.samples();
    let ours =
        all.iter().filter(|(labels, _)| labels["__name__"] == "balena_devices" && labels["job"] == job);
    let last: Vec<bool> =
        ours.map(|(_, samples)| samples.last().is_some_and(|last| last.is_stale_marker())).collect();
    (last.len(), last.iter().filter(|stale| **stale).count())
}

#[rstest]
#[tokio::test]
async fn a_good_file_takes_effect(#[values(By::Hangup, By::Post)] by: By) {
    let api = api().await;
    let (kept, removed, added) = (receiver().await, receiver().await, receiver().await);
    let before = settings("1h", "old", &[endpoint("kept", &kept), endpoint("removed", &removed)]);
    let arguments: &[&str] = if by == By::Post { &[LIFECYCLE] } else { &[] };
    let service = Service::start(&api, arguments, before).await;
    let both = async || (ended(&kept, "old") == (3, 0) && ended(&removed, "old") == (3, 0)).then_some(());
    eventually("the first cycle at both endpoints", LIMIT, both).await;
    assert_eq!(api.request_count(), 1, "the interval is an hour");
    let first = "message=\"first delivery\"";
    let lines = |count| {
        let program = &service.program;
        let logged = async move || (program.stderr().matches(first).count() == count).then_some(());
        eventually("a line for each first delivery", LIMIT, logged)
    };
    lines(2).await;

    write(&service.file, &settings("1s", "new", &[endpoint("kept", &kept), endpoint("added", &added)]));
    service.reload(by).await;
    eventually("the new job at the new endpoint", LIMIT, async || {
        (ended(&added, "new") == (3, 0)).then_some(())
    })
    .await;
    let left = removed.request_count();
    let came = api.request_count() + 2;
    tokio::time::timeout(LIMIT, api.received(came)).await.expect("the new interval");
    eventually("the old job's end where it was known", LIMIT, async || {
        (ended(&kept, "old") == (3, 3) && ended(&kept, "new") == (3, 0)).then_some(())
    })
    .await;
    assert_eq!(removed.request_count(), left, "a removed endpoint is still sent to");
    let page = get(&format!("{}/metrics", service.page)).await;
    assert!(!page.contains("\"removed\""), "{page}");
    assert!(page.contains("remote_name=\"added\""), "{page}");
    service.reload_shows(1.0).await;
    // The endpoint that stayed as it was has delivered before.
    lines(3).await;
}

#[rstest]
#[case::an_unknown_key(json!({"remote_writ": []}), "remote_writ")]
#[case::a_bad_value(json!({"interval": "soon"}), "\"soon\"")]
#[case::a_bad_url(json!({"remote_write": [{"url": "localhost:9"}]}), "remote_write.url")]
#[case::a_missing_file(json!({"balena": [{"token_file": "/nowhere/token"}]}), "/nowhere/token")]
#[case::no_token(json!({"balena": [{"name": "x"}]}), "BALENA_TOKEN")]
#[tokio::test]
async fn a_bad_file_is_refused_with_one_line_and_the_old_one_goes_on(
    #[case] wrong: Value,
    #[case] what: &str,
) {
    let (api, remote) = (api().await, receiver().await);
    let good = settings("1s", "balena", &[endpoint("a", &remote)]);
    let service = Service::start(&api, &[LIFECYCLE], good.clone()).await;
    service.reload_shows(1.0).await;
    let mut bad = good.clone();
    for (key, value) in wrong.as_object().expect("a map") {
        bad[key] = value.clone();
    }
    write(&service.file, &bad);
    service.program.signal("HUP");
    service.reload_shows(0.0).await;
    let log = service.program.stderr();
    let refused: Vec<&str> = log.lines().filter(|line| line.contains("level=error")).collect();
    let [line] = refused[..] else { panic!("one line is due:\n{log}") };
    let said = line.replace("\\\"", "\"");
    assert!(said.contains("going on with the old one") && said.contains(what), "{line}");
    if what != "BALENA_TOKEN" {
        assert!(said.contains("fleetpush.yml:"), "no line and column: {line}");
    }
    let (status, text) = service.post().await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(text.contains(what), "{text}");

    let before = samples_of(&remote, "balena_up");
    let going_on = async || (samples_of(&remote, "balena_up") >= before + 2).then_some(());
    eventually("the old configuration's deliveries", LIMIT, going_on).await;
    service.reload_shows(0.0).await;
    write(&service.file, &good);
    service.program.signal("HUP");
    service.reload_shows(1.0).await;
}

#[tokio::test]
async fn a_broken_file_is_refused_where_it_breaks() {
    let api = api().await;
    let service = Service::start(&api, &[], settings("1s", "balena", &[])).await;
    fs::write(&service.file, "interval: 1s\nbalena:\n  token: [hunter2\n").unwrap();
    service.program.signal("HUP");
    service.program.logged("fleetpush.yml:").await;
    service.reload_shows(0.0).await;
    assert!(!service.program.stderr().contains("hunter2"), "a neighbour of the fault may be a secret");
}

#[tokio::test]
async fn reload_over_http_is_off_unless_it_was_switched_on() {
    let api = api().await;
    let service = Service::start(&api, &[], settings("1s", "balena", &[])).await;
    fs::write(&service.file, "nonsense: true").unwrap();
    let (status, text) = service.post().await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(text.contains(LIFECYCLE), "{text}");
    assert_eq!(service.metric("fleetpush_config_last_reload_successful").await, Some(1.0));
}

#[tokio::test]
async fn what_only_a_start_can_change_is_said() {
    let api = api().await;
    let mut new = settings("1s", "balena", &[]);
    let service = Service::start(&api, &[], new.clone()).await;
    new["log"] = json!({"level": "debug"});
    write(&service.file, &new);
    service.program.signal("HUP");
    service.program.logged("take effect at the next start").await;
}
