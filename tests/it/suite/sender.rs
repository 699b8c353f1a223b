//! Who scrapes and sends: our binary through the wrapper that an official suite starts, or a real Prometheus, by
//! which the harness itself is tried.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use super::case::Version;
use crate::servers::Suite;

/// Within this a sender ends after its signal.
const END: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Ours,
    Prometheus(Suite),
}

/// A sender at work; ended when it goes out of scope, and also when this process ends in its midst, as it does where
/// only some of the cases that began together are asked for.
pub struct Running {
    child: Child,
    /// Ends the sender when the pipe from us breaks.
    watch: Child,
    folder: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // The wrapper ends the program with itself; a kill would leave it alone.
            signal(&self.child, "TERM");
            let started = Instant::now();
            while started.elapsed() < Duration::from_secs(5) && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ended = self.child.kill();
        let _status = self.child.wait();
        let _ended = self.watch.kill();
        let _status = self.watch.wait();
    }
}

fn watch(child: &Child) -> Child {
    let command = format!("cat; kill -TERM {}", child.id());
    let quiet = || Stdio::null();
    let mut watch = Command::new("sh");
    watch.args(["-c", &command]).stdin(Stdio::piped()).stdout(quiet()).stderr(quiet());
    watch.spawn().expect("a shell")
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status();
    assert!(sent.is_ok_and(|status| status.success()), "the sender has ended by itself");
}

impl Sender {
    /// Starts it to scrape `target` (host and port) and to write to `url`.
    pub fn start(self, target: &str, url: &str, version: Version) -> Running {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = match self {
            Sender::Ours => wrapper(folder.path(), target, url, version),
            Sender::Prometheus(suite) => prometheus(suite, folder.path(), target, url, version),
        };
        let log = File::create(folder.path().join("log")).expect("a file in our own folder");
        let twin = log.try_clone().expect("one more handle of the log");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(twin).spawn().expect("it can be started");
        let watch = watch(&child);
        Running { child, watch, folder }
    }
}

fn wrapper(folder: &Path, target: &str, url: &str, version: Version) -> Command {
    let temporary = folder.join("temporary");
    fs::create_dir(&temporary).expect("our own folder is writable");
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sender.sh"));
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("TMPDIR", temporary)
        .env("FLEETPUSH", env!("CARGO_BIN_EXE_fleetpush"))
        .env("RW_SCRAPE_TARGET", target)
        .env("RW_URL", url)
        .env(
            "RW_PROTO",
            match version {
                Version::One => "1",
                Version::Two => "2",
                Version::Auto => "auto",
            },
        )
        // Whatever it is told, it does not listen to the tests' surroundings.
        .env("REMOTE_WRITE_USERNAME", "nobody")
        .current_dir(folder);
    command
}

fn prometheus(suite: Suite, folder: &Path, target: &str, url: &str, version: Version) -> Command {
    let mut endpoint = json!({
        "url": url,
        "send_exemplars": true,
        "queue_config": {"batch_send_deadline": "100ms", "retry_on_http_429": true},
        "metadata_config": {"send": true, "send_interval": "1s"},
    });
    if version == Version::Two {
        endpoint["protobuf_message"] = "io.prometheus.write.v2.Request".into();
    }
    let config = json!({
        "global": {"scrape_interval": "1s"},
        "remote_write": [endpoint],
        "scrape_configs": [{"job_name": "test", "static_configs": [{"targets": [target]}]}],
    });
    let file = folder.join("prometheus.yml");
    fs::write(&file, config.to_string()).expect("our own folder is writable");
    let features = match suite {
        Suite::Stock => "exemplar-storage",
        Suite::New => "exemplar-storage,metadata-wal-records",
    };
    let mut command = Command::new(suite.program("prometheus"));
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg("--web.listen-address=127.0.0.1:0")
        .arg(format!("--enable-feature={features}"))
        .current_dir(folder);
    command
}

impl Running {
    /// What it has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("its log is text")
    }

    /// Whether it still lives.
    pub fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it as a suite does, with a SIGINT; gives its exit code.
    pub async fn interrupted(&mut self) -> i32 {
        signal(&self.child, "INT");
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status.code().expect("it ends by itself");
            }
            assert!(started.elapsed() < END, "it does not end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What its wrapper has left behind.
    pub fn rest(&self) -> usize {
        fs::read_dir(self.folder.path().join("temporary")).map_or(0, Iterator::count)
    }
}
