//! The disk of the queue's folder can only be read from the start, as after an error that made the kernel
//! mount it so.

use std::path::{Path, PathBuf};
use std::process::Command;

use fleetpush::demo::balena;
use fleetpush::demo::receiver;
use rstest::rstest;

use super::disk::{PATH, namespace};
use super::odometer::Odometer;
use crate::program::Program;

struct Stage {
    api: balena::Server,
    remote: receiver::Server,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        let simulation = Odometer::start().simulation.clone();
        let api = balena::Server::start(simulation, balena::Options::default()).await;
        let remote = receiver::Server::start(receiver::Options::default()).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        Stage { api: api.expect("a free port"), remote: remote.expect("a free port"), folder }
    }

    /// A command whose folder for the queue is on a file system that can only be read; `seed` lies in it.
    fn start(&self, command: &str, variable: &str, seed: Option<&Path>) -> Program {
        let script = "mount -t tmpfs -o size=12m tmpfs \"$DISK\" && \
                      { [ -z \"$SEED\" ] || cp \"$SEED\" \"$DISK/queue.redb\"; } && \
                      mount -o remount,ro tmpfs \"$DISK\" && exec \"$0\" \"$COMMAND\"";
        let mut unshare = Command::new("unshare");
        unshare.args(namespace()).args(["sh", "-c", script, env!("CARGO_BIN_EXE_fleetpush")]);
        let path = self.folder.path().to_str().expect("a path of ours");
        let seed = seed.map_or("", |seed| seed.to_str().expect("a path of ours"));
        let url = self.remote.write_url();
        let mut environment = vec![
            ("PATH", PATH),
            ("DISK", path),
            ("SEED", seed),
            ("COMMAND", command),
            ("REMOTE_WRITE_URL", &url),
        ];
        environment.push((variable, path));
        // Given empty it is as if it were not given.
        if variable != "FLEETPUSH_QUEUE_DIR" {
            environment.push(("FLEETPUSH_QUEUE_DIR", ""));
        }
        Program::spawn_with(unshare, &self.api, &environment)
    }
}

/// A queue with a backlog, as it is left on the disk.
async fn backlog(stage: &Stage, folder: &Path) -> PathBuf {
    let dir = folder.to_str().expect("a path of ours");
    let environment = [("FLEETPUSH_QUEUE_DIR", dir), ("REMOTE_WRITE_URL", "http://127.0.0.1:9/write")];
    let mut once = Program::command(&["once", "--once.deadline", "1s"], &stage.api, &environment);
    assert_eq!(once.code().await, 4, "{}", once.stderr());
    folder.join("queue.redb")
}

#[rstest]
#[case::run("run", "FLEETPUSH_QUEUE_DIR")]
#[case::run_by_default("run", "STATE_DIRECTORY")]
#[case::once("once", "FLEETPUSH_QUEUE_DIR")]
#[tokio::test]
async fn what_would_lose_its_backlog_does_not_start_and_names_the_ways_out(
    #[case] command: &str,
    #[case] variable: &str,
    #[values(false, true)] with_backlog: bool,
) {
    let stage = Stage::new().await;
    let other = tempfile::tempdir().expect("a temporary folder");
    let seed = if with_backlog { Some(backlog(&stage, other.path()).await) } else { None };
    let mut program = stage.start(command, variable, seed.as_deref());
    assert_eq!(program.code().await, 2, "{}", program.stderr());
    let log = program.stderr();
    for words in ["Read-only file system", "set FLEETPUSH_QUEUE_DIR or `queue: {dir: …}`", "to `memory`"] {
        assert!(log.contains(words), "{words:?} is missing:\n{log}");
    }
    assert!(!log.contains("damaged"), "{log}");
    assert_eq!(stage.remote.request_count(), 0, "nothing was sent that was not committed");
}

#[rstest]
#[tokio::test]
async fn a_job_whose_default_folder_it_is_delivers_from_memory_and_says_so(
    #[values(false, true)] with_backlog: bool,
) {
    let stage = Stage::new().await;
    let other = tempfile::tempdir().expect("a temporary folder");
    let seed = if with_backlog { Some(backlog(&stage, other.path()).await) } else { None };
    let mut program = stage.start("once", "STATE_DIRECTORY", seed.as_deref());
    assert_eq!(program.code().await, 0, "{}", program.stderr());
    let log = program.stderr();
    assert_eq!(log.matches("level=warn").count(), 1, "{log}");
    let warning = "the queue is in memory: what is not delivered at the end is lost";
    assert!(log.contains(warning) && log.contains("Read-only file system"), "{log}");
    assert!(!stage.remote.samples().is_empty());
}
