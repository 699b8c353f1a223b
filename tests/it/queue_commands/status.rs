//! `queue status`: what it says of a program that runs, and where none does.

use std::os::unix::fs::PermissionsExt;

use fleetpush::demo::balena::{Fault, Times};
use rstest::rstest;

use super::{Site, arrived, collected, kill, receiver, stop};
use crate::program::LIMIT;
use crate::servers::eventually;

#[rstest]
#[case::sending(None, "sending", "sending (remote write 2.0), the last request was taken")]
#[case::trying_again(Some(Fault::status_with(503, "tired")), "waiting", "the receiver answered 503: tired")]
#[case::parked(
    Some(Fault::status_with(401, "who are you")),
    "parked",
    "the receiver answered 401: who are you: check the credentials"
)]
#[tokio::test]
async fn while_it_runs_the_status_says_what_each_endpoint_does(
    #[case] fault: Option<Fault>,
    #[case] state: &str,
    #[case] words: &str,
) {
    let (site, remote, other) = (Site::new().await, receiver().await, receiver().await);
    if let Some(fault) = &fault {
        remote.inject(fault.clone(), Times::Always);
    }
    site.endpoints(&[("main", &remote.write_url()), ("other", &other.write_url())]);
    let program = site.start(&[]);
    arrived(&other, 2).await;
    let reached = async || (site.endpoint("main").await["state"] == state).then_some(());
    eventually(&format!("the state {state}"), LIMIT, reached).await;
    // A cycle may wait at the very moment that is looked at.
    let (said, endpoint) = eventually("words and numbers of one state", LIMIT, async || {
        let (said, endpoint) = (site.ask(&["status"]).await, site.endpoint("main").await);
        let waits = !said.contains("nothing waits") && endpoint["waiting_samples"] != 0;
        (waits == fault.is_some()).then_some((said, endpoint))
    })
    .await;
    let main = said.split("\n\n").find(|part| part.starts_with("main (")).expect("a part of its own");
    assert!(main.contains(words), "{said}");
    assert!(said.contains(&format!("in use by pid {} on ", program.id())), "{said}");
    match fault {
        None => assert_eq!(endpoint["lag_seconds"], 0, "{endpoint}"),
        Some(_) => {
            assert!(endpoint["until"].as_str().is_some_and(|until| until.ends_with('Z')), "{endpoint}");
            assert!(main.contains(" samples in ") && main.contains("lag "), "{said}");
            assert!(said.contains("at the present rate max_size lasts "), "{said}");
        }
    }
    let socket = site.queue().join("control.sock").metadata().unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    stop(program).await;
    assert!(!site.queue().join("control.sock").exists(), "a clean end leaves no socket");
    assert!(!site.queue().join("lock").exists(), "nor a lock file");
}

#[tokio::test]
async fn where_nothing_runs_the_status_is_read_from_the_store() {
    let (site, remote) = (Site::new().await, receiver().await);
    site.endpoints(&[("main", &remote.write_url())]);
    let nothing = site.ask(&["status"]).await;
    assert!(nothing.starts_with("there is no queue in "), "{nothing}");
    assert!(!site.queue().exists(), "a question makes no folder");

    remote.set_outage(true);
    let program = site.start(&[]);
    collected(&program, 2).await;
    kill(program).await;
    assert!(site.queue().join("lock").exists(), "it was killed");
    let said = site.ask(&["status"]).await;
    assert!(said.contains("; nothing runs") && said.contains("not sending: nothing runs"), "{said}");
    let waiting = site.endpoint("main").await["waiting_samples"].clone();
    assert!(waiting.as_u64().is_some_and(|samples| samples > 0), "{waiting}");
    assert_eq!(site.endpoint("main").await["waiting_samples"], waiting, "a question changes nothing");

    // The socket of the one that was killed is in nobody's way.
    assert!(site.queue().join("control.sock").exists());
    remote.set_outage(false);
    let program = site.start(&[]);
    eventually("an answer over the new socket", LIMIT, async || {
        site.ask(&["status"]).await.contains(&format!("in use by pid {} on ", program.id())).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_queue_that_is_locked_by_one_that_does_not_answer_is_5_and_names_it() {
    let (site, remote) = (Site::new().await, receiver().await);
    site.endpoints(&[("main", &remote.write_url())]);
    site.api.inject(Fault::Hang(LIMIT), Times::Always);
    let once = site.start(&["once"]);
    eventually("its lock", LIMIT, async || site.queue().join("lock").exists().then_some(())).await;
    for command in [&["status"][..], &["verify"], &["drop", "--endpoint", "main"]] {
        let said = site.command(&[&["queue"], command].concat()).await;
        assert_eq!(said.code, 5, "{}", said.err);
        assert!(said.err.contains(&format!("is in use by pid {} on ", once.id())), "{}", said.err);
        assert!(said.err.contains("control.sock"), "{}", said.err);
    }
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_is_a_warning_and_the_run_goes_on() {
    let (site, remote) = (Site::new().await, receiver().await);
    site.endpoints(&[("main", &remote.write_url())]);
    let long = site.folder.path().join("x".repeat(120));
    let file = site.folder.path().join("fleetpush.yml");
    let program = crate::program::Program::start(
        &["--config.file", file.to_str().unwrap()],
        &[("FLEETPUSH_QUEUE_DIR", long.to_str().unwrap())],
    );
    arrived(&remote, 2).await;
    program.logged("107 bytes").await;
    assert!(long.join("queue.redb").exists() && !long.join("control.sock").exists());
}

#[tokio::test]
async fn a_queue_in_memory_cannot_be_asked() {
    let (site, remote) = (Site::new().await, receiver().await);
    site.endpoints(&[("main", &remote.write_url())]);
    let file = site.folder.path().join("fleetpush.yml");
    let mut program = crate::program::Program::start(
        &["--config.file", file.to_str().unwrap(), "queue", "status"],
        &[("FLEETPUSH_QUEUE_DIR", "memory")],
    );
    assert_eq!(program.code().await, 2);
    assert!(program.stderr().contains("the queue is in memory"), "{}", program.stderr());
}
