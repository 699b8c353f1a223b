//! What `check` says of the queue: where it is, whether it can be there, how long its size lasts.

use std::fs;
use std::path::Path;
use std::process::Command;

use fleetpush::demo::balena::{self, Device, Fleet, Simulation};
use fleetpush::demo::receiver;
use fleetpush::demo::receiver::{Fault, Times};
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{LIMIT, Program, TOKEN};
use crate::servers::eventually;
use crate::storm::disk::{PATH, namespace};

struct Site {
    api: balena::Server,
    remote: receiver::Server,
    folder: TempDir,
}

impl Site {
    async fn new(fleets: usize, settings: Value) -> Self {
        let simulation = Simulation::new();
        for number in 0..fleets {
            simulation.add(Fleet::new("acme", &format!("fleet-{number}")).devices(2, &Device::operational()));
        }
        let api = balena::Server::start(simulation, balena::Options::default()).await.unwrap();
        let remote = receiver::Server::start(receiver::Options::default()).await.unwrap();
        let site = Site { api, remote, folder: tempfile::tempdir().unwrap() };
        let mut all = json!({
            "interval": "1s",
            "instance": "test",
            "balena": {"token": TOKEN, "url": site.api.base_url()},
            "remote_write": [{"name": "hosted", "url": site.remote.write_url()}],
            "queue": {"dir": site.queue(), "max_size": "256MiB"},
            "web": {"listen_address": "127.0.0.1:0"},
        });
        for (key, value) in settings.as_object().unwrap() {
            all[key] = value.clone();
        }
        fs::write(site.folder.path().join("fleetpush.yml"), all.to_string()).unwrap();
        site
    }

    fn queue(&self) -> String {
        self.folder.path().join("queue").display().to_string()
    }

    fn start(&self, arguments: &[&str]) -> Program {
        let file = self.folder.path().join("fleetpush.yml");
        Program::start(&[&["--config.file", file.to_str().unwrap()], arguments].concat(), &[])
    }

    async fn check(&self) -> (i32, String) {
        let mut program = self.start(&["check"]);
        let code = program.code().await;
        (code, program.stdout())
    }
}

/// The line about the queue's place.
fn place(out: &str) -> &str {
    out.lines().find(|line| line.contains("  queue: ")).unwrap_or_else(|| panic!("{out}"))
}

/// How long the queue's size lasts, as `check` says: `… lasts 17 d 2 h; …`.
fn lasts(out: &str) -> f64 {
    let said = out
        .split(" lasts ")
        .nth(1)
        .and_then(|rest| rest.split(';').next())
        .unwrap_or_else(|| panic!("{out}"));
    seconds(said)
}

/// `1 d 2 h` in seconds.
fn seconds(said: &str) -> f64 {
    let words: Vec<&str> = said.split_whitespace().collect();
    let of = |pair: &[&str]| {
        let unit = match pair[1] {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "min" => 60.0,
            "s" => 1.0,
            other => panic!("{other} in {said}"),
        };
        pair[0].parse::<f64>().unwrap() * unit
    };
    words.chunks(2).map(of).sum()
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[tokio::test]
async fn a_folder_that_can_be_made_or_written_is_good_and_stays_as_it_is() {
    let site = Site::new(2, json!({})).await;
    let (code, out) = site.check().await;
    assert_eq!(code, 0, "{out}");
    assert!(place(&out).ends_with(&format!("in {}, which can be made", site.queue())), "{out}");
    assert!(!Path::new(&site.queue()).exists(), "nothing is made by a question");
    fs::create_dir(site.queue()).unwrap();
    let (code, out) = site.check().await;
    assert_eq!(code, 0, "{out}");
    assert!(place(&out).ends_with(&format!("in {}, which can be written", site.queue())), "{out}");
    assert!(is_empty(Path::new(&site.queue())), "nothing is left by a question");
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_ends_with_5_and_both_ways_out() {
    let site = Site::new(2, json!({"queue": {"dir": "/dev/null/queue"}})).await;
    let (code, out) = site.check().await;
    assert_eq!(code, 5, "{out}");
    let line = place(&out);
    assert!(line.starts_with("FAIL") && line.contains("/dev/null/queue"), "{out}");
    assert!(line.contains("FLEETPUSH_QUEUE_DIR") && line.contains("`memory`"), "{out}");
    // A receiver that fails as well is the greater trouble.
    site.remote.inject(Fault::status(401), Times::Always);
    assert_eq!(site.check().await.0, 4);
}

#[tokio::test]
async fn beside_a_run_the_folder_is_in_use_and_that_is_good() {
    let site = Site::new(2, json!({})).await;
    let program = site.start(&[]);
    program.logged("message=collected").await;
    let socket = Path::new(&site.queue()).join("control.sock");
    eventually("the socket", LIMIT, async || socket.exists().then_some(())).await;
    let (code, out) = site.check().await;
    assert_eq!(code, 0, "{out}");
    assert!(place(&out).ends_with("which a `fleetpush run` has open now"), "{out}");
}

#[tokio::test]
async fn a_queue_in_memory_says_what_that_costs_and_is_bounded_by_what_memory_may_take() {
    let site = Site::new(2, json!({"queue": {"dir": "memory"}})).await;
    let (code, out) = site.check().await;
    assert_eq!(code, 0, "{out}");
    assert!(place(&out).contains("memory: what is not delivered when it ends is lost"), "{out}");
    assert!(out.contains("max_size (64.0 MiB)"), "{out}");
}

/// The folder on a disk of 8 MiB, of which a store has 2 MiB already.
#[rstest]
#[case::that_does_not_fit("64MiB", true)]
#[case::that_fits("4MiB", false)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_size_is_compared_with_the_room_on_the_folders_disk(#[case] max_size: &str, #[case] is_less: bool) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("disk");
    fs::create_dir(&dir).unwrap();
    let site = Site::new(2, json!({"queue": {"dir": dir, "max_size": max_size}})).await;
    let script =
        "mount -t tmpfs -o size=8m tmpfs \"$0\" && head -c 2m /dev/zero > \"$0/queue.redb\" && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(namespace()).args(["sh", "-c", script]).arg(&dir).arg(env!("CARGO_BIN_EXE_fleetpush"));
    command.args(["check", "--config.file"]).arg(site.folder.path().join("fleetpush.yml"));
    command.env_clear().env("PATH", PATH);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().expect("unshare");
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{out}{}", String::from_utf8_lossy(&output.stderr));
    // All of it but the reserve, to a page of the kernel's.
    let said = "; but its disk has room for 7.0 MiB of the 64.0 MiB of queue.max_size: ";
    assert!(place(&out).contains("which can be written"), "{out}");
    assert_eq!(place(&out).contains(said), is_less, "{out}");
    assert_eq!(out.contains("the room on its disk (7.0 MiB) lasts "), is_less, "{out}");
    assert_eq!(out.contains("max_size (4.0 MiB) lasts "), !is_less, "{out}");
    let seconds = lasts(&out);
    assert!(seconds > 0.0 && seconds < 8_640_000.0, "{out}");
}

#[tokio::test]
async fn the_size_lasts_as_long_as_the_queue_itself_then_measures() {
    let site = Site::new(40, json!({})).await;
    let (code, out) = site.check().await;
    assert_eq!(code, 0, "{out}");
    let said = lasts(&out);
    site.remote.inject(Fault::status(503), Times::Always);
    let _program = site.start(&[]);
    let measured = eventually("twelve records in the queue", LIMIT, async || {
        let mut asked = site.start(&["queue", "status", "--json"]);
        if asked.code().await != 0 {
            return None;
        }
        let report: Value = serde_json::from_str(&asked.stdout()).ok()?;
        report["room_seconds"].as_f64().filter(|_| report["records"].as_u64() >= Some(12))
    })
    .await;
    let ratio = said / measured;
    assert!((0.5..2.0).contains(&ratio), "check says {said} s, the queue {measured} s\n{out}");
}

#[tokio::test]
async fn more_fleets_fill_it_sooner_and_the_first_bound_to_be_met_is_named() {
    let few = Site::new(1, json!({"interval": "60s"})).await.check().await.1;
    let many = Site::new(400, json!({"interval": "60s"})).await.check().await.1;
    assert!(lasts(&many) < lasts(&few) / 4.0, "{few}\n{many}");
    assert!(few.contains("; max_age (8 d) comes first"), "{few}");
    let small = json!({"interval": "60s", "queue": {"dir": "memory", "max_size": "1MiB"}});
    let small = Site::new(400, small).await.check().await.1;
    assert!(small.contains("raise queue.max_size to keep more"), "{small}");
}

#[tokio::test]
async fn where_nothing_was_counted_nothing_is_said_of_how_long_it_lasts() {
    let site = Site::new(2, json!({})).await;
    site.api.inject(balena::Fault::status(500), balena::Times::Always);
    let (code, out) = site.check().await;
    assert_eq!(code, 3, "{out}");
    assert!(!out.contains(" lasts ") && place(&out).starts_with("ok"), "{out}");
}
