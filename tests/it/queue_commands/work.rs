//! `queue drop` and `queue verify`.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};

use fleetpush::demo::receiver::Server;
use rstest::rstest;

use super::{Site, arrived, collected, cycles, kill, receiver, stop};
use crate::program::{LIMIT, get};
use crate::servers::eventually;

#[tokio::test]
async fn what_a_running_program_drops_never_arrives_and_is_counted() {
    let (site, remote, other) = (Site::new().await, receiver().await, receiver().await);
    site.endpoints(&[("main", &remote.write_url()), ("other", &other.write_url())]);
    remote.set_outage(true);
    let program = site.start(&[]);
    arrived(&other, 3).await;
    let said = site.ask(&["drop", "--endpoint", "main"]).await;
    assert!(said.starts_with("main: ") && said.contains(" samples that waited and 0 refused"), "{said}");
    assert!(!said.starts_with("main: 0 "), "{said}");
    let dropped = *cycles(&other).last().unwrap();
    remote.set_outage(false);
    arrived(&remote, 2).await;
    let first = cycles(&remote)[0];
    assert!(first >= dropped, "a cycle of {first} was dropped at {dropped}");
    let page = get(&format!("{}/metrics", program.page().await)).await;
    let counted =
        "fleetpush_sink_dropped_samples_total{kind=\"remote_write\",reason=\"queue_drop\",sink=\"main\"}";
    assert!(page.contains(counted), "{page}");
    // The other one misses nothing.
    let all = cycles(&other);
    assert!(all.len() > cycles(&remote).len() && all.is_sorted(), "{all:?}");
    stop(program).await;
}

#[tokio::test]
async fn where_nothing_runs_the_store_itself_is_changed_and_a_wrong_name_lists_the_right_ones() {
    let (site, remote) = (Site::new().await, receiver().await);
    site.endpoints(&[("main", &remote.write_url())]);
    remote.set_outage(true);
    let program = site.start(&[]);
    collected(&program, 2).await;
    for command in ["drop", "retry"] {
        let wrong = site.command(&["queue", command, "--endpoint", "mine"]).await;
        assert_eq!(wrong.code, 2, "{}", wrong.err);
        assert!(wrong.err.contains("there is no endpoint \"mine\"; there are: main"), "{}", wrong.err);
    }
    kill(program).await;
    for command in ["drop", "retry"] {
        assert_eq!(site.command(&["queue", command, "--endpoint", "mine"]).await.code, 2);
    }
    assert_ne!(site.endpoint("main").await["waiting_samples"], 0);
    site.ask(&["drop", "--endpoint", "main"]).await;
    assert_eq!(site.endpoint("main").await["waiting_samples"], 0);
    assert!(site.ask(&["retry", "--endpoint", "main"]).await.contains("no refused samples are kept"));
}

#[rstest]
#[case::with_nothing_running(false)]
#[case::through_a_running_program(true)]
#[tokio::test]
async fn the_backlog_of_a_removed_endpoint_stays_until_it_is_dropped(#[case] running: bool) {
    let (site, remote, other) = (Site::new().await, receiver().await, receiver().await);
    let both = [("main", remote.write_url()), ("other", other.write_url())];
    let both = both.each_ref().map(|(name, url)| (*name, url.as_str()));
    site.endpoints(&both);
    remote.set_outage(true);
    let program = site.start(&[]);
    arrived(&other, 2).await;
    stop(program).await;
    let left = site.endpoint("main").await["waiting_samples"].as_u64().unwrap();
    assert!(left > 0);

    site.endpoints(&both[1..]);
    let program = running.then(|| site.start(&[]));
    if running {
        arrived(&other, 4).await;
    }
    let endpoint = site.endpoint("main").await;
    assert_eq!(endpoint["state"], "removed");
    assert!(endpoint["waiting_samples"].as_u64().unwrap() >= left);
    let said = site.ask(&["drop", "--endpoint", "main"]).await;
    assert!(said.contains("the endpoint is gone from the queue"), "{said}");
    assert!(!site.ask(&["status"]).await.contains("main"), "it is forgotten");
    if let Some(program) = program {
        arrived(&other, cycles(&other).len() + 1).await;
        stop(program).await;
    }
}

/// A store with some cycles that nobody has taken, and nothing that runs.
async fn filled(site: &Site, remote: &Server) {
    site.endpoints(&[("main", &remote.write_url())]);
    remote.set_outage(true);
    let program = site.start(&[]);
    collected(&program, 3).await;
    stop(program).await;
}

#[tokio::test]
async fn a_good_store_verifies_while_it_is_in_use_and_while_it_is_not() {
    let (site, remote) = (Site::new().await, receiver().await);
    filled(&site, &remote).await;
    let whole =
        |said: &str| said.contains(" are whole, and 0 refused ones") && !said.starts_with("0 records");
    let said = site.ask(&["verify"]).await;
    assert!(whole(&said), "{said}");
    let program = site.start(&[]);
    collected(&program, 1).await;
    let said = site.ask(&["verify"]).await;
    assert!(whole(&said), "{said}");
    stop(program).await;
}

#[tokio::test]
async fn a_damaged_store_is_5_and_stays_as_it_is_until_a_run_saves_what_can_be_read() {
    let (site, remote) = (Site::new().await, receiver().await);
    filled(&site, &remote).await;
    let path = site.queue().join("queue.redb");
    // Texts that the records of these cycles share: each of them is lost with it, and no other.
    let bytes = fs::read(&path).unwrap();
    let at = bytes.windows(9).position(|window| window == b"balena_up").expect("a record") as u64;
    let mut file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[byte[0] ^ 1]).unwrap();
    drop(file);
    let mut lost = BTreeSet::new();
    for _ in 0..2 {
        let said = site.command(&["queue", "verify"]).await;
        assert_eq!(said.code, 5, "{}", said.out);
        let right = ["is damaged", " can be read, ", "queue.redb.damaged"];
        assert!(right.iter().all(|part| said.err.contains(part)), "{}", said.err);
        let number = |before: &str| {
            let (head, _) = said.err.split_once(before).unwrap();
            head.rsplit([' ', '(']).next().unwrap().parse::<usize>().unwrap()
        };
        let (whole, damaged) = (number(" records can be read"), number(" cannot"));
        assert!(whole >= 3 && damaged >= 3, "our own and the account's, a record each cycle: {}", said.err);
        lost.insert(damaged);
        assert!(!site.queue().join("queue.redb.damaged").exists(), "a question mends nothing");
    }
    remote.set_outage(false);
    let program = site.start(&[]);
    arrived(&remote, 2).await;
    assert!(site.queue().join("queue.redb.damaged").exists());
    assert_eq!(lost.len(), 1, "{lost:?}");
    program.logged(&format!("records were saved, {} were not", lost.first().unwrap())).await;
    eventually("a store that verifies again", LIMIT, async || {
        let said = site.command(&["queue", "verify"]).await;
        (said.code == 0).then_some(())
    })
    .await;
}
