//! What is asked for by hand: help, versions, the table of fleets; and a token that is missing.

use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use fleetpush::demo::balena::{self, Device, Fleet, Simulation};
use rstest::rstest;

use super::{account, api, api_of, receiver, value};
use crate::program::{COMMANDS, LIMIT, Program, TOKEN, get};
use crate::servers::eventually;

#[rstest]
#[case::run(&[], 1)]
#[case::run_by_name(&["run"], 1)]
#[case::once(&["once"], 2)]
#[case::check(&["check"], 2)]
#[case::fleets(&["fleets"], 2)]
#[tokio::test]
async fn without_a_token_one_line_says_what_to_set(#[case] arguments: &[&str], #[case] code: i32) {
    let mut program = Program::start(arguments, &[("FLEETPUSH_LISTEN_ADDRESS", "127.0.0.1:0")]);
    assert_eq!(program.code().await, code);
    let said = program.stderr();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("set BALENA_TOKEN, BALENA_TOKEN_FILE"), "{said}");
    assert_eq!(program.stdout(), "");
}

#[tokio::test]
async fn fleets_are_a_table_by_slug_and_foreign_names_steer_no_terminal() {
    let simulation = Simulation::new();
    simulation.add(Fleet::new("zeta", "last").devices(1, &Device::operational()));
    simulation.add(
        Fleet::new("acme", "b\u{1b}[31mred\r\n\u{7}\u{9b}2J\u{202e}x").devices(2, &Device::disconnected()),
    );
    simulation
        .add(Fleet::new("acme", "a").devices(12, &Device::operational()).devices(1, &Device::updating()));
    let api = api_of(simulation.clone()).await;
    let mut program = Program::command(&["fleets"], &api, &[]);
    assert_eq!(program.code().await, 0, "{}", program.stderr());
    let out = program.stdout();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 5, "{out}");
    let words: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(words, ["SLUG", "NAME", "ONLINE", "TOTAL", "STATUS"]);
    let mut slugs: Vec<String> = simulation.fleets().iter().map(|fleet| fleet.slug.clone()).collect();
    slugs.sort();
    for (line, slug) in lines[1..4].iter().zip(&slugs) {
        let first = line.split_whitespace().next().unwrap();
        assert!(slug.starts_with(first.split('\u{fffd}').next().unwrap()), "{line:?} {slug:?}");
    }
    let first: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(first, ["acme/a", "a", "13", "13", "12", "operational,", "1", "updating"]);
    assert!(lines[4].starts_with("3 fleets, "), "{out}");
    let steering = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!out.contains(steering), "{out:?}");
}

#[tokio::test]
async fn fleets_that_cannot_be_counted_end_with_3_and_the_next_step() {
    let api = api().await;
    let mut program = Program::command(&["fleets"], &api, &[("BALENA_API_URL", "http://127.0.0.1:1")]);
    assert_eq!(program.code().await, 3);
    let said = program.stderr();
    assert!(said.contains("account balena: ") && said.contains("check the port"), "{said}");
}

#[rstest]
#[case(&["fleets"], 0)]
#[case(&["check"], 0)]
#[case(&["once"], 0)]
#[case(&["--config.check"], 0)]
#[case(&["demo", "--interval", "200ms"], 0)]
#[case(&["--help"], 0)]
#[case(&["--version"], 0)]
#[tokio::test]
async fn a_reader_that_has_gone_away_is_no_failure(#[case] arguments: &[&str], #[case] code: i32) {
    let (status, said) = to(Stdio::piped(), arguments).await;
    assert_eq!((status, said.as_str()), (code, ""), "{arguments:?}");
}

#[rstest]
#[case(&["fleets"])]
#[case(&["check"])]
#[case(&["once"])]
#[tokio::test]
async fn an_answer_that_cannot_be_written_is_a_failure_in_words(#[case] arguments: &[&str]) {
    let full = File::options().write(true).open("/dev/full").expect("this system has one");
    let (status, said) = to(full.into(), arguments).await;
    assert_eq!(status, 1, "{said}");
    assert!(said.starts_with("fleetpush: the answer cannot be written: "), "{said}");
}

/// Runs a command whose output goes there; a pipe's other end is closed before anything is written.
async fn to(out: Stdio, arguments: &[&str]) -> (i32, String) {
    let options = balena::Options { latency: Duration::from_millis(200), ..balena::Options::default() };
    let api = balena::Server::start(account(), options).await.expect("a free port");
    let gateway = receiver().await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_fleetpush"))
        .args(arguments)
        .env_clear()
        .envs([("BALENA_TOKEN", TOKEN), ("BALENA_API_URL", &api.base_url())])
        .env("PUSHGATEWAY_URL", gateway.base_url())
        .envs([("FLEETPUSH_LISTEN_ADDRESS", "127.0.0.1:0"), ("FLEETPUSH_QUEUE_DIR", "memory")])
        .envs([("FLEETPUSH_LOG_LEVEL", "error")])
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output());
    let output = tokio::time::timeout(LIMIT, ended).await.expect("its end").unwrap().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap_or_else(|| panic!("killed: {said}")), said)
}

#[tokio::test]
async fn a_log_that_nobody_takes_ends_nothing() {
    let (api, remote) = (api().await, receiver().await);
    let full = || File::options().write(true).open("/dev/full").expect("this system has one");
    let mut child = Command::new(env!("CARGO_BIN_EXE_fleetpush"))
        .env_clear()
        .envs([("BALENA_TOKEN", TOKEN), ("BALENA_API_URL", &api.base_url()), ("CRAWL_INTERVAL", "1")])
        .envs([("FLEETPUSH_LISTEN_ADDRESS", "off"), ("REMOTE_WRITE_URL", &remote.write_url())])
        .envs([("FLEETPUSH_QUEUE_DIR", "memory")])
        .stdin(Stdio::null())
        .stdout(full())
        .stderr(full())
        .spawn()
        .unwrap();
    let delivered = tokio::time::timeout(LIMIT, remote.received(4)).await;
    let alive = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(delivered.is_ok() && alive);
}

#[tokio::test]
async fn every_command_has_its_help_and_there_is_a_version() {
    for command in COMMANDS {
        let mut program = Program::start(&[command, &["--help"]].concat(), &[]);
        assert_eq!(program.code().await, 0, "{command:?}");
        let out = program.stdout();
        assert!(out.contains("Usage: fleetpush") && out.contains("--config.file"), "{command:?}: {out}");
        for name in command {
            assert!(out.contains(name), "{command:?}: {out}");
        }
        assert_eq!(program.stderr(), "");
    }
    let mut program = Program::start(&["--version"], &[]);
    assert_eq!(program.code().await, 0);
    assert_eq!(program.stdout(), concat!("fleetpush ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[rstest]
#[case(&["--nonsense"])]
#[case(&["frobnicate"])]
#[case(&["pushgateway"])]
#[case(&["pushgateway", "delete"])]
#[case(&["--config.file", "/nowhere/fleetpush.yml"])]
#[case(&["demo", "--for", "soon"])]
#[case(&["demo", "--interval", "0s"])]
#[tokio::test]
async fn what_is_typed_wrong_ends_with_2_and_says_so(#[case] arguments: &[&str]) {
    let mut program = Program::start(arguments, &[("BALENA_TOKEN", TOKEN)]);
    assert_eq!(program.code().await, 2, "{arguments:?}");
    assert_ne!(program.stderr(), "");
    assert!(!program.stderr().contains("panicked"), "{}", program.stderr());
}

#[tokio::test]
async fn a_good_file_is_told_apart_from_a_bad_one_without_running() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleetpush.yml");
    for (text, code) in [("interval: 5m\n", 0), ("intervall: 5m\n", 2)] {
        File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        let arguments = ["--config.check", "--config.file", path.to_str().unwrap()];
        let mut program = Program::start(&arguments, &[]);
        assert_eq!(program.code().await, code, "{}", program.stderr());
        assert_eq!(program.stdout() == "the configuration is good\n", code == 0);
        assert_eq!(program.stderr().contains("fleetpush.yml:1:1: "), code == 2, "{}", program.stderr());
    }
}

#[tokio::test]
async fn five_thousand_fleets_arrive_everywhere() {
    let simulation = Simulation::generate(5_000, 2, 1);
    let online: usize = simulation.fleets().iter().map(Fleet::online).sum();
    let api = api_of(simulation).await;
    let (remote, gateway) = (receiver().await, receiver().await);
    let program = Program::service(
        &api,
        &[
            ("CRAWL_INTERVAL", "1h"),
            ("REMOTE_WRITE_URL", &remote.write_url()),
            ("PUSHGATEWAY_URL", &gateway.base_url()),
        ],
    );
    let limit = LIMIT * 4;
    let page = format!("{}/metrics", program.page().await);
    let shown = eventually("all fleets on the page", limit, async || {
        Some(get(&page).await).filter(|page| value(page, "balena_fleets") == Some(5_000.0))
    })
    .await;
    let lines = shown.lines().filter(|line| line.starts_with("balena_devices_online{"));
    let values: Vec<f64> = lines.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!((values.len(), values.iter().sum::<f64>()), (5_000, online as f64));

    let written = eventually("all fleets by remote write", limit, async || {
        let all = remote.samples();
        let ours = all.iter().filter(|(labels, _)| labels["__name__"] == "balena_devices_online");
        let values: Vec<f64> = ours.flat_map(|(_, samples)| samples).map(|sample| sample.value()).collect();
        (values.len() >= 5_000).then_some(values)
    })
    .await;
    assert_eq!((written.len(), written.iter().sum::<f64>()), (5_000, online as f64));

    let pushed = eventually("all fleets at the gateway", limit, async || {
        gateway.groups().into_values().find_map(|mut group| group.families.remove("balena_devices_online"))
    })
    .await;
    let sum: f64 = pushed.points.iter().map(|point| point.value).sum();
    assert_eq!((pushed.points.len(), sum), (5_000, online as f64));
}
