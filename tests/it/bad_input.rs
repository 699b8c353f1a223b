//! Bad settings, as an operator types them, against the real binary: each is told on one line with its place
//! and the way out, the program ends with 2, and nothing was sent anywhere. The exact texts stand here, so
//! that each is read before it is changed.
//!
//! Every line of a configuration file has a neighbour before and after it that holds a password, and the log
//! is as loud as it can be: neither that nor any other secret may be shown.

mod accepted;
mod addresses;
mod document;
mod files;
mod flags;
mod keys;
mod oauth2;
mod reload;
mod scrape;
mod sinks;
mod values;
mod variables;
mod web_file;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tempfile::TempDir;

use crate::program::Program;
use crate::servers::eventually;

/// Stands in every line around a fault, and as every credential.
const SECRET: &str = "hunter2";

/// One run of the program: what is typed, and who is listening.
pub struct Case {
    folder: TempDir,
    listener: TcpListener,
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
}

/// What the program said at its end.
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Case {
    /// Everything is good: an account, a gateway and an endpoint, all of them one listener.
    pub fn good() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket of our own");
        let case = Case {
            folder: tempfile::tempdir().expect("a temporary folder"),
            listener,
            variables: Vec::new(),
            arguments: Vec::new(),
        };
        let [api, gateway, write, proxy] =
            ["api", "gateway", "write", "proxy"].map(|path| format!("http://{}/{path}", case.address()));
        case.with("BALENA_TOKEN", SECRET)
            .with("BALENA_API_URL", &api)
            .with("PUSHGATEWAY_URL", &gateway)
            .with("REMOTE_WRITE_URL", &write)
            // Whatever would leave the machine meets the listener too.
            .with("HTTPS_PROXY", &proxy)
            .with("FLEETPUSH_LOG_LEVEL", "trace")
            .with("FLEETPUSH_LISTEN_ADDRESS", "127.0.0.1:0")
            .with("FLEETPUSH_INSTANCE", "test")
    }

    /// With a file whose every line stands between two lines that hold a password: line n of `text` is line
    /// 2n of the file.
    pub fn file(text: &str) -> Self {
        let secret = format!("# password: {SECRET}");
        let lines = text.lines().flat_map(|line| [secret.as_str(), line]).chain([secret.as_str()]);
        Self::raw(lines.map(|line| format!("{line}\n")).collect::<String>().as_bytes())
    }

    /// With a file of just these bytes; in a text `{folder}` is the test's folder and `{listener}` the
    /// listener's address.
    pub fn raw(bytes: &[u8]) -> Self {
        let case = Self::good().arguments(&["--config.file", "{folder}/config.yml"]);
        let text = str::from_utf8(bytes).map(|text| case.filled(text).into_bytes());
        let bytes = text.unwrap_or_else(|_| bytes.to_vec());
        fs::write(case.folder.path().join("config.yml"), bytes).expect("a file in our own folder");
        case
    }

    /// With these variables.
    pub fn variables(all: &[(&str, &str)]) -> Self {
        all.iter().fold(Self::good(), |case, (name, value)| case.with(name, value))
    }

    /// With one more variable.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        let value = self.filled(value);
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value));
        self
    }

    /// Without some of the variables.
    pub fn without(mut self, names: &[&str]) -> Self {
        self.variables.retain(|(known, _)| !names.contains(&known.as_str()));
        self
    }

    /// With the account in the file alone.
    pub fn account_in_file(self) -> Self {
        self.without(&["BALENA_TOKEN", "BALENA_API_URL"])
    }

    /// With more arguments.
    pub fn arguments(mut self, more: &[&str]) -> Self {
        let more: Vec<String> = more.iter().map(|one| self.filled(one)).collect();
        self.arguments.extend(more);
        self
    }

    /// With a file beside the configuration.
    pub fn beside(self, name: &str, text: &str) -> Self {
        fs::write(self.folder.path().join(name), text).expect("a file in our own folder");
        self
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("it is bound")
    }

    fn filled(&self, text: &str) -> String {
        let folder = self.folder.path().display().to_string();
        text.replace("{folder}", &folder).replace("{listener}", &self.address().to_string())
    }

    /// Starts the program.
    pub fn start(&self) -> Program {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let variables: Vec<_> = self.variables.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        Program::start(&arguments, &variables)
    }

    /// Runs it to its end, and holds what is true of every run.
    pub async fn run(&self) -> Said {
        let mut program = self.start();
        let code = program.code().await;
        let readable = |text: String| {
            assert!(!text.contains(SECRET), "a secret is shown:\n{text}");
            let folder = format!("{}/", self.folder.path().display());
            text.replace(&folder, "").replace(&self.address().to_string(), "LISTENER").trim_end().to_owned()
        };
        Said { code, stdout: readable(program.stdout()), stderr: readable(program.stderr()) }
    }

    /// Runs it and expects that it refuses: gives back what it says.
    pub async fn refused(self) -> String {
        let said = self.run().await;
        assert_eq!(said.code, 2, "{}", said.stderr);
        assert_eq!(said.stdout, "");
        self.nothing_was_sent();
        self.the_fault_stands_between_secrets(&said.stderr);
        said.stderr
    }

    pub fn nothing_was_sent(&self) {
        let got = self.listener.accept().map(|(_, from)| from).map_err(|error| error.kind());
        assert_eq!(got, Err(ErrorKind::WouldBlock), "somebody was spoken to");
    }

    /// Guards the cases themselves: a file whose neighbours hold no secret would show nothing.
    fn the_fault_stands_between_secrets(&self, stderr: &str) {
        let Some(place) = stderr.strip_prefix("fleetpush: config.yml:") else { return };
        let Some(Ok(line)) = place.split(':').next().map(str::parse::<usize>) else { return };
        let bytes = fs::read(self.folder.path().join("config.yml")).expect("it was written");
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let holds = |line: usize| lines.get(line - 1).is_some_and(|line| line.contains(SECRET));
        assert!(holds(line - 1) && holds(line + 1), "line {line} of\n{text}");
    }

    /// Answers every request with an error until one of each path has come; gives back what came.
    pub async fn spoken_to(&self, paths: &[&str]) -> Vec<String> {
        let (mut missing, mut heads) = (paths.to_vec(), Vec::new());
        eventually("a request to each", Duration::from_secs(30), async || {
            while let Ok((mut stream, _)) = self.listener.accept() {
                stream.set_nonblocking(false).expect("a socket of our own");
                stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket of our own");
                let mut head = [0; 4096];
                let length = stream.read(&mut head).unwrap_or_default();
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                missing.retain(|path| !head.split(' ').nth(1).is_some_and(|to| to.starts_with(path)));
                let answer = b"HTTP/1.1 500 Broken\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                heads.push(head);
                // Whoever has gone needs no answer.
                let _sent = stream.write_all(answer);
            }
            missing.is_empty().then_some(())
        })
        .await;
        heads
    }
}

/// A test for each case: `name: case => "what the program says";`.
macro_rules! refused {
    ($($name:ident: $case:expr => $says:literal;)*) => { $(
        #[tokio::test]
        async fn $name() {
            let said = $case.refused().await;
            insta::assert_snapshot!(said, @$says);
        }
    )* };
}
use refused;

#[tokio::test]
async fn without_a_fault_all_of_them_are_spoken_to() {
    let case = Case::file("interval: 1s\nexternal_labels: {site: north}").with("CRAWL_INTERVAL", "");
    let program = case.start();
    let heads = case.spoken_to(&["/api", "/gateway", "/write"]).await;
    assert!(heads.iter().any(|head| head.contains(&format!("Bearer {SECRET}"))), "{heads:?}");
    assert!(!program.stderr().contains(SECRET), "{}", program.stderr());
}
