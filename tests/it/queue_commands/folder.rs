//! A folder that cannot be used. Tests may run as root, so a file stands where the folder should be.

use std::fs;

use super::{Site, arrived, last, receiver};
use crate::program::Program;

#[tokio::test]
async fn a_run_without_its_folder_is_2_and_names_both_ways_out() {
    let (site, remote) = (Site::new().await, receiver().await);
    site.endpoints(&[("main", &remote.write_url())]);
    fs::write(site.queue(), "no folder").unwrap();
    for command in [&[][..], &["once"]] {
        let said = site.command(command).await;
        assert_eq!(said.code, 2, "{}", said.err);
        for part in ["FLEETPUSH_QUEUE_DIR", "`memory`", site.queue().to_str().unwrap()] {
            assert!(said.err.contains(part), "{part} is missing: {}", said.err);
        }
    }
    assert_eq!(site.api.request_count(), 0, "nothing was collected");
    assert_eq!(fs::read_to_string(site.queue()).unwrap(), "no folder");
    let asked = site.command(&["queue", "status"]).await;
    assert_eq!(asked.code, 5, "{}", asked.err);
}

#[tokio::test]
async fn once_without_the_default_folder_goes_on_in_memory_and_says_so_once() {
    let (site, remote) = (Site::new().await, receiver().await);
    let file = site.folder.path().join("file");
    fs::write(&file, "no folder").unwrap();
    let (token, api, url) = (crate::program::TOKEN, site.api.base_url(), remote.write_url());
    let state = file.join("state");
    let environment = [
        ("BALENA_TOKEN", token),
        ("BALENA_API_URL", api.as_str()),
        ("REMOTE_WRITE_URL", url.as_str()),
        ("FLEETPUSH_LISTEN_ADDRESS", "off"),
        ("STATE_DIRECTORY", state.to_str().unwrap()),
    ];
    let mut once = Program::start(&["once"], &environment);
    assert_eq!(once.code().await, 0, "{}", once.stderr());
    arrived(&remote, 1).await;
    assert_eq!(last(&remote, "balena_devices").len(), 2);
    let log = once.stderr();
    assert_eq!(log.matches("level=warn").count(), 1, "{log}");
    assert!(log.contains("the queue is in memory"), "{log}");

    let mut run = Program::start(&[], &environment);
    assert_eq!(run.code().await, 2, "a service would lose its backlog: {}", run.stderr());
}
