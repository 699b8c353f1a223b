//! The real binary as a child process: its environment is given, its output kept, and it is ended by its own
//! process id when it goes out of scope.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use fleetpush::demo::balena;
use tempfile::TempDir;

use crate::servers::eventually;

pub const LIMIT: Duration = Duration::from_secs(30);
pub const TOKEN: &str = "simulated-token";

/// Every command that can be typed; the empty one is `run`.
pub const COMMANDS: [&[&str]; 17] = [
    &[],
    &["run"],
    &["once"],
    &["check"],
    &["fleets"],
    &["healthcheck"],
    &["demo"],
    &["init"],
    &["pushgateway"],
    &["pushgateway", "delete"],
    &["queue"],
    &["queue", "status"],
    &["queue", "verify"],
    &["queue", "drop"],
    &["queue", "retry"],
    &["completions"],
    &["man"],
];

/// A run of the binary.
pub struct Program {
    child: Child,
    folder: TempDir,
}

impl Program {
    /// Starts it with these arguments, and this environment and no other.
    pub fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetpush"));
        command.args(arguments);
        Self::spawn(command, environment)
    }

    /// Starts it by a command that becomes it.
    pub fn spawn(mut command: Command, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| File::create(folder.path().join(name)).expect("a file in our own folder");
        let child = command
            .env_clear()
            // Where a run keeps its queue unless it is told otherwise: never the machine's own folder.
            .env("STATE_DIRECTORY", folder.path().join("state"))
            .envs(environment.iter().copied())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .expect("the binary was built for these tests");
        Self { child, folder }
    }

    /// Collects from a simulated API every second and serves its page on a free port.
    pub fn service(api: &balena::Server, more: &[(&str, &str)]) -> Self {
        Self::command(&[], api, more)
    }

    /// The same surroundings for any command.
    pub fn command(arguments: &[&str], api: &balena::Server, more: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetpush"));
        command.args(arguments);
        Self::spawn_with(command, api, more)
    }

    /// The same surroundings for a command that becomes it.
    pub fn spawn_with(command: Command, api: &balena::Server, more: &[(&str, &str)]) -> Self {
        let url = api.base_url();
        let mut environment = vec![
            ("BALENA_TOKEN", TOKEN),
            ("BALENA_API_URL", url.as_str()),
            ("CRAWL_INTERVAL", "1"),
            ("FLEETPUSH_INSTANCE", "test"),
            ("FLEETPUSH_LISTEN_ADDRESS", "127.0.0.1:0"),
            ("FLEETPUSH_QUEUE_DIR", "memory"),
        ];
        environment.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        environment.extend(more);
        Self::spawn(command, &environment)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The folder that it runs in, with its output in the files `stdout` and `stderr`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn stdout(&self) -> String {
        fs::read_to_string(self.folder.path().join("stdout")).expect("its output is text")
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).expect("its log is text")
    }

    /// Waits until the log has a line with this text.
    pub async fn logged(&self, text: &str) {
        let found = async || self.stderr().contains(text).then_some(());
        let what = format!("a log line with {text:?}");
        let started = Instant::now();
        while found().await.is_none() {
            assert!(started.elapsed() < LIMIT, "{what} is missing:\n{}", self.stderr());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The page's base URL, once it is served.
    pub async fn page(&self) -> String {
        eventually("the page's address in the log", LIMIT, async || {
            let log = self.stderr();
            let address = log.split("address=").nth(1)?.split_whitespace().next()?;
            Some(format!("http://{address}"))
        })
        .await
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &command]).status();
        assert!(sent.is_ok_and(|status| status.success()), "it has ended already:\n{}", self.stderr());
    }

    /// Kills it at once, with `SIGKILL`, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child of ours");
        let _status = self.child.wait().expect("a child of ours");
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("its own child") {
                return status;
            }
            assert!(started.elapsed() < LIMIT, "it does not end:\n{}", self.stderr());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for its exit code.
    pub async fn code(&mut self) -> i32 {
        self.ended().await.code().expect("it was not killed")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // An error means that it has ended by itself: waiting reaps it either way.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// A page or any other GET.
pub async fn get(url: &str) -> String {
    let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().expect("a client");
    client.get(url).send().await.expect("an answer").text().await.expect("text")
}
