//! How it ends.

use std::collections::BTreeSet;
use std::time::Duration;

use fleetpush::demo::receiver::{Fault, Times};
use rstest::rstest;
use tokio::net::TcpListener;

use super::{api, receiver};
use crate::program::{LIMIT, Program};
use crate::servers::eventually;

/// Longer than any test waits.
const NEVER: Duration = Duration::from_secs(600);
const LONG_GRACE: [&str; 2] = ["--shutdown.grace", "10m"];
const ONE: (&str, &str) = ("REMOTE_WRITE_PROTOBUF_MESSAGE", "prometheus.WriteRequest");

#[rstest]
#[tokio::test]
async fn a_signal_lets_the_request_in_flight_end_and_its_samples_arrive_once(
    #[values("TERM", "INT")] signal: &str,
) {
    let api = api().await;
    let options = receiver::Options { latency: Duration::from_millis(700), ..receiver::Options::default() };
    let remote = receiver::Server::start(options).await.expect("a free port");
    let mut program = Program::command(&LONG_GRACE, &api, &[("REMOTE_WRITE_URL", &remote.write_url()), ONE]);
    tokio::time::timeout(LIMIT, remote.received(1)).await.expect("a request");
    assert_eq!(remote.deliveries().len(), 0, "the answer is still to come");
    program.signal(signal);
    assert_eq!(program.code().await, 0, "{}", program.stderr());
    let deliveries = remote.deliveries();
    assert!(deliveries.iter().any(|delivery| !delivery.series.is_empty()));
    assert_eq!(deliveries.len() as u64, remote.request_count(), "a request was given up");
    let mut seen = BTreeSet::new();
    for series in deliveries.iter().flat_map(|delivery| &delivery.series) {
        for sample in &series.samples {
            assert!(seen.insert((series.labels.clone(), sample.timestamp)), "{:?} twice", series.labels);
        }
    }
}

#[rstest]
#[case::a_push(&[], "PUSHGATEWAY_URL")]
#[case::remote_write(&[], "REMOTE_WRITE_URL")]
#[case::a_push_of_once(&["once", "--once.deadline", "10m"], "PUSHGATEWAY_URL")]
#[case::remote_write_of_once(&["once", "--once.deadline", "10m"], "REMOTE_WRITE_URL")]
#[tokio::test]
async fn a_second_signal_ends_at_once_with_exit_code_4(#[case] command: &[&str], #[case] sink: &str) {
    let (api, remote) = (api().await, receiver().await);
    remote.inject(Fault::Hang(NEVER), Times::Always);
    let arguments = [command, &LONG_GRACE].concat();
    let mut program = Program::command(&arguments, &api, &[(sink, &remote.base_url())]);
    tokio::time::timeout(LIMIT, remote.received(1)).await.expect("a request");
    program.signal("TERM");
    program.logged("a second signal ends at once").await;
    if program.stdout().is_empty() {
        program.signal("INT");
    }
    assert_eq!(program.code().await, 4, "{}", program.stderr());
}

#[tokio::test]
async fn a_second_signal_also_ends_the_deletion_of_our_groups() {
    let (api, gateway) = (api().await, receiver().await);
    let environment = [
        ("PUSHGATEWAY_URL", gateway.base_url()),
        ("PUSHGATEWAY_DELETE_ON_EXIT", "true".into()),
        ("CRAWL_INTERVAL", "1h".into()),
    ];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut program = Program::command(&LONG_GRACE, &api, &environment);
    eventually("both groups", LIMIT, async || (gateway.groups().len() == 2).then_some(())).await;
    gateway.inject(Fault::Hang(NEVER), Times::Always);
    program.signal("TERM");
    let deleting = async || gateway.requests().iter().any(|one| one.method == "DELETE").then_some(());
    eventually("a deletion", LIMIT, deleting).await;
    program.signal("TERM");
    assert_eq!(program.code().await, 4, "{}", program.stderr());
}

#[rstest]
#[case::a_push("PUSHGATEWAY_URL")]
#[case::remote_write("REMOTE_WRITE_URL")]
#[tokio::test]
async fn when_the_grace_has_passed_it_ends_and_says_so(#[case] sink: &str) {
    let (api, remote) = (api().await, receiver().await);
    remote.inject(Fault::Hang(NEVER), Times::Always);
    let mut program = Program::command(&["--shutdown.grace", "300ms"], &api, &[(sink, &remote.base_url())]);
    tokio::time::timeout(LIMIT, remote.received(1)).await.expect("a request");
    program.signal("TERM");
    assert_eq!(program.code().await, 0, "{}", program.stderr());
    let log = program.stderr();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("after the grace")).collect();
    assert!(
        matches!(warnings[..], [line] if line.contains("level=warn") && line.contains("grace_ms=300")),
        "{log}"
    );
}

#[tokio::test]
async fn a_port_in_use_is_said_with_both_ways_out() {
    let api = api().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut program = Program::service(&api, &[("FLEETPUSH_LISTEN_ADDRESS", &address)]);
    assert_eq!(program.code().await, 2);
    let said = program.stderr();
    assert_eq!(said.lines().count(), 1, "{said}");
    for part in [address.as_str(), "FLEETPUSH_LISTEN_ADDRESS", "--web.listen-address", "`off`"] {
        assert!(said.contains(part), "{part} is missing: {said}");
    }
}

#[tokio::test]
async fn without_a_page_nothing_listens() {
    let (api, remote) = (api().await, receiver().await);
    let with = Program::service(&api, &[]);
    with.page().await;
    assert_eq!(listening(with.id()), 1, "the way of counting is wrong");
    let url = remote.write_url();
    let without = Program::service(&api, &[("FLEETPUSH_LISTEN_ADDRESS", "off"), ("REMOTE_WRITE_URL", &url)]);
    eventually("a delivery", LIMIT, async || (!remote.samples().is_empty()).then_some(())).await;
    assert_eq!(listening(without.id()), 0);
    assert!(!without.stderr().contains("serving the page"), "{}", without.stderr());
}

/// How many TCP sockets of a process listen.
fn listening(id: u32) -> usize {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let table = text("/proc/net/tcp") + &text("/proc/net/tcp6");
    let listening: BTreeSet<String> = table
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            (*fields.get(3)? == "0A").then(|| format!("socket:[{}]", fields.get(9).copied().unwrap_or("")))
        })
        .collect();
    let files = std::fs::read_dir(format!("/proc/{id}/fd")).expect("its open files");
    let targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    targets.filter(|target| listening.contains(&*target.to_string_lossy())).count()
}
