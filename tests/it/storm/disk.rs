//! The disk of the queue's folder is full for a while, or can only be read: a small tmpfs in a mount
//! namespace of the process.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fleetpush::demo::balena;
use fleetpush::demo::receiver;
use rstest::rstest;

use super::door::Door;
use super::log::Life;
use super::odometer::Odometer;
use super::strictly_rising;
use crate::binary::value;
use crate::program::{LIMIT, Program, get};
use crate::servers::eventually;

pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const WAITS: &str = "what is collected waits in memory";
const AGAIN: &str = "what is collected is on the disk again";

/// How a mount namespace is made on this machine.
pub fn namespace() -> &'static [&'static str] {
    let ways: [&[&str]; 2] = [&["--mount"], &["--map-root-user", "--mount"]];
    let works = |way: &&&[&str]| {
        let probe = ["sh", "-c", "mount -t tmpfs -o size=64k tmpfs /mnt"];
        let tried = Command::new("unshare").args(**way).args(probe).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    let way = ways.iter().find(works);
    way.copied().unwrap_or_else(|| {
        panic!(
            "no tmpfs can be mounted here: run this test as root, or allow user namespaces \
             (sysctl kernel.unprivileged_userns_clone=1), with `unshare` of util-linux in the PATH"
        )
    })
}

/// The program with its queue on a tmpfs of its own.
struct OnTmpfs {
    program: Program,
    /// The mount point, as the program sees it.
    mounted: PathBuf,
    way: &'static [&'static str],
}

impl OnTmpfs {
    fn start(api: &balena::Server, folder: &Path, size: &str, more: &[(&str, &str)]) -> Self {
        let way = namespace();
        let path = folder.to_str().expect("a path of ours");
        let mut command = Command::new("unshare");
        let script = format!("mount -t tmpfs -o size={size} tmpfs \"$FLEETPUSH_QUEUE_DIR\" && exec \"$0\"");
        command.args(way).args(["sh", "-c", &script, env!("CARGO_BIN_EXE_fleetpush")]);
        let mut environment = vec![("FLEETPUSH_QUEUE_DIR", path), ("PATH", PATH)];
        environment.extend(more);
        let program = Program::spawn_with(command, api, &environment);
        Self { program, mounted: folder.to_owned(), way }
    }

    /// The folder as it is seen from outside.
    fn folder(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.program.id()));
        root.join(self.mounted.strip_prefix("/").expect("an absolute path"))
    }

    /// Takes all the room that there is.
    fn fill(&self) {
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(self.folder().join("filler"))
            .expect("a file in the tmpfs");
        for block in [64 << 10, 4 << 10, 1] {
            loop {
                match file.write(&vec![7; block]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.folder().join("filler")).expect("our own file");
    }

    /// Mounts it again, `ro` or `rw`; a file system that is being written to refuses. With its source said,
    /// `mount` does not repeat the old options, which a user namespace would refuse.
    fn remount(&self, how: &str) -> bool {
        let user = self.way.len() > 1;
        let more: &[&str] = if user { &["--user", "--preserve-credentials"] } else { &[] };
        let done = Command::new("nsenter")
            .args(["--target", &self.program.id().to_string(), "--mount"])
            .args(more)
            .args(["mount", "-o", &format!("remount,{how}"), "tmpfs"])
            .arg(&self.mounted)
            .stderr(Stdio::null())
            .status();
        done.is_ok_and(|status| status.success())
    }

    fn life(&self) -> Life {
        Life::of(&self.program.stderr())
    }

    async fn more_cycles(&self, more: usize) {
        let before = self.life().cycles();
        let enough = async || (self.life().cycles() >= before + more).then_some(());
        eventually("more cycles", LIMIT, enough).await;
    }
}

#[rstest]
#[case::full(false)]
#[case::full_and_then_read_only(true)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_without_room_stops_nothing_and_costs_nothing(#[case] read_only: bool) {
    let odometer = Odometer::start();
    let api = balena::Server::start(odometer.simulation.clone(), balena::Options::default()).await;
    let (api, remote) = (api.expect("a free port"), receiver().await);
    let (door, gateway) = (Door::before(remote.address()).await, receiver().await);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let more = [
        ("REMOTE_WRITE_URL", door.write_url()),
        ("PUSHGATEWAY_URL", gateway.base_url()),
        ("CRAWL_INTERVAL", "200ms".to_owned()),
        ("FLEETPUSH_LOG_LEVEL", "trace".to_owned()),
    ];
    let more = more.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut rig = OnTmpfs::start(&api, folder.path(), "12m", &more);
    let page = format!("{}/metrics", rig.program.page().await);
    rig.program.logged("first delivery").await;

    // The backlog grows, and then there is no room for it.
    door.set_open(false);
    rig.more_cycles(5).await;
    rig.fill();
    rig.program.logged("disk is full: the room that was kept back").await;
    rig.fill();
    rig.program.logged(WAITS).await;
    if read_only {
        eventually("the file system to be read-only", LIMIT, async || rig.remount("ro").then_some(())).await;
    }
    let pushes = gateway.request_count();
    let success = value(&get(&page).await, "balena_collect_last_success_timestamp_seconds").expect("one");
    rig.more_cycles(8).await;
    let now = get(&page).await;
    assert!(value(&now, "balena_collect_last_success_timestamp_seconds").expect("one") > success);
    assert_eq!(value(&now, "fleetpush_queue_up"), Some(0.0), "{now}");
    assert!(gateway.request_count() >= pushes + 8, "the gateway waits for the disk");
    let said = rig.program.stderr().matches(WAITS).count();

    if read_only {
        assert!(rig.remount("rw"));
    }
    rig.make_room();
    rig.program.logged(AGAIN).await;
    rig.more_cycles(2).await;
    door.set_open(true);
    let started = Instant::now();
    loop {
        let arrived: usize = remote.samples().values().map(Vec::len).sum();
        let said = rig.life().samples();
        if arrived >= said {
            break;
        }
        let log = rig.program.stderr();
        assert!(started.elapsed() < LIMIT, "{arrived} of {said} samples have arrived:\n{log}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rig.program.signal("TERM");
    assert_eq!(rig.program.code().await, 0, "{}", rig.program.stderr());
    strictly_rising(&remote);
    odometer.compare(&remote.samples());
    let log = rig.program.stderr();
    assert_eq!(said, 1, "{log}");
    assert_eq!(log.matches(AGAIN).count(), 1, "{log}");
    for once in ["the queue\\'s disk is full", "the queue\\'s store is open again"] {
        assert_eq!(log.matches(once).count(), 1, "{once}:\n{log}");
    }
    assert!(!log.contains("refused or dropped"), "{log}");
    assert!(!log.contains("panicked") && !log.contains("damaged"), "{log}");
}

async fn receiver() -> receiver::Server {
    receiver::Server::start(receiver::Options::default()).await.expect("a free port")
}
