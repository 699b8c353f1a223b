//! A server as a child process: a free port, an empty folder, a bounded wait until it answers, and a kill of this
//! very child when it goes out of scope.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const STARTS: usize = 5;
const READY_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A running, or stopped, server.
pub(super) struct Process {
    child: Option<Child>,
    program: PathBuf,
    arguments: Vec<String>,
    url: String,
    ready: Ready,
    folder: TempDir,
}

/// What a server answers once it serves.
#[derive(Clone, Copy)]
pub(super) struct Ready {
    pub(super) path: &'static str,
    pub(super) status: u16,
}

impl Process {
    /// Starts `program` with the arguments that are made for a port and a folder; returns once `path` answers 200.
    pub(super) async fn start(
        program: PathBuf,
        path: &'static str,
        arguments: impl Fn(u16, &Path) -> Vec<String>,
    ) -> Self {
        Self::start_until(program, Ready { path, status: 200 }, arguments).await
    }

    /// As `start`, for a server that answers otherwise when it is ready.
    pub(super) async fn start_until(
        program: PathBuf,
        ready: Ready,
        arguments: impl Fn(u16, &Path) -> Vec<String>,
    ) -> Self {
        let mut last_log = String::new();
        for _ in 0..STARTS {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let port = free_port();
            let arguments = arguments(port, folder.path());
            let url = format!("http://127.0.0.1:{port}");
            let mut process = Self { child: None, program: program.clone(), arguments, url, ready, folder };
            match process.spawn().await {
                Ok(()) => return process,
                // Between the choice of a port and the server's own bind somebody else may take it.
                Err(log) if log.contains("address already in use") => last_log = log,
                Err(log) => panic!("{} does not start:\n{log}", program.display()),
            }
        }
        panic!("{} found no free port in {STARTS} starts:\n{last_log}", program.display());
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Sends a signal by its name, such as `STOP`.
    pub(super) fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("a server that runs");
        // The shell's own kill: std can only kill at once, which loses what a server holds in memory.
        let command = format!("kill -{name} {}", child.id());
        let sent = Command::new("sh").args(["-c", &command]).status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "{} has ended by itself:\n{}",
            self.url,
            self.log()
        );
    }

    /// Ends the server at once: what it has not written to disk is lost.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a child of ours");
            child.wait().expect("a child of ours");
        }
    }

    /// Ends the server in good order, so that all that it has answered for is kept.
    pub(super) async fn stop(&mut self) {
        if self.child.is_none() {
            return;
        }
        self.signal("TERM");
        let started = Instant::now();
        while let Some(child) = &mut self.child {
            if let Ok(Some(_status)) = child.try_wait() {
                self.child = None;
            }
            assert!(started.elapsed() < STOP_LIMIT, "{} does not stop:\n{}", self.url, self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) async fn restart(&mut self) {
        self.stop().await;
        if let Err(log) = self.spawn().await {
            panic!("{} does not start again:\n{log}", self.program.display());
        }
    }

    async fn spawn(&mut self) -> Result<(), String> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file())
            .expect("a log in our own folder");
        let twin: File = log.try_clone().expect("one more handle of the log");
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(twin)
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be run: {error}", self.program.display()));
        self.child = Some(child);

        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(5))
            .build()
            .expect("a client without options");
        let ready = format!("{}{}", self.url, self.ready.path);
        let started = Instant::now();
        loop {
            let answered =
                matches!(client.get(&ready).send().await, Ok(answer) if answer.status() == self.ready.status);
            let child = self.child.as_mut().expect("set above");
            if let Ok(Some(status)) = child.try_wait() {
                return Err(format!("{status}\n{}", self.log()));
            }
            if answered {
                return Ok(());
            }
            if started.elapsed() > READY_LIMIT {
                return Err(format!("not ready within {READY_LIMIT:?}\n{}", self.log()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // An error means that the child has ended by itself: waiting reaps it either way.
            let _ended = child.kill();
            let _status = child.wait();
        }
    }
}

// A port is given out once: the kernel may offer it again to a parallel test before our server has bound it.
fn free_port() -> u16 {
    static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return port;
        }
    }
}
