//! A real terminal in front of the real binary: questions, progress, colours; and that none of it is anywhere else.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use fleetpush::demo::balena::{self, Device, Fleet, Simulation};
use fleetpush::demo::receiver;
use pty_process::Size;
use pty_process::blocking::{self, Pty};
use rstest::rstest;
use serde_json::json;
use tempfile::TempDir;

use super::screen::shown;
use crate::program::{LIMIT, Program, TOKEN};
use crate::servers::eventually;

/// The binary on a terminal of its own, 24 lines of 120 characters.
pub struct Terminal {
    child: Child,
    pty: Arc<Pty>,
    bytes: Receiver<Vec<u8>>,
    written: Vec<u8>,
    /// What was awaited so far ends here.
    seen: usize,
}

impl Terminal {
    pub fn start(folder: &TempDir, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let (pty, pts) = blocking::open().expect("this system has terminals");
        pty.resize(Size::new(24, 120)).expect("a terminal of our own");
        let child = blocking::Command::new(env!("CARGO_BIN_EXE_fleetpush"))
            .args(arguments)
            .env_clear()
            .envs([("TERM", "xterm")])
            .envs(environment.iter().copied())
            .current_dir(folder.path())
            .spawn(pts)
            .expect("the binary was built for these tests");
        let (pty, (sender, bytes)) = (Arc::new(pty), channel());
        let reader = Arc::clone(&pty);
        thread::spawn(move || {
            let mut some = [0; 4096];
            // A terminal that nobody has open any more ends with an error.
            while let Ok(length @ 1..) = (&*reader).read(&mut some) {
                if sender.send(some[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal { child, pty, bytes, written: Vec::new(), seen: 0 }
    }

    /// Everything that was written so far.
    fn written(&self) -> String {
        String::from_utf8_lossy(&self.written).into_owned()
    }

    /// Waits until this text is written behind what was awaited before.
    pub fn awaits(&mut self, text: &str) -> &mut Self {
        let until = Instant::now() + LIMIT;
        loop {
            let found =
                self.written[self.seen..].windows(text.len()).position(|part| part == text.as_bytes());
            if let Some(place) = found {
                self.seen += place + text.len();
                return self;
            }
            match self.bytes.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(more) => self.written.extend(more),
                Err(_) => panic!("{text:?} does not come; this did:\n{}", self.written()),
            }
        }
    }

    /// Types a line.
    pub fn types(&mut self, line: &str) -> &mut Self {
        self.sends(format!("{line}\n").as_bytes())
    }

    /// Types a letter with the control key.
    pub fn control(&mut self, letter: u8) -> &mut Self {
        self.sends(&[letter & 0x1f])
    }

    fn sends(&mut self, bytes: &[u8]) -> &mut Self {
        (&*self.pty).write_all(bytes).expect("the terminal takes it");
        self
    }

    /// Reads on to the end: the exit code, or the signal as a number below 0, and all that was written.
    pub fn ended(mut self) -> (i32, String) {
        let until = Instant::now() + LIMIT;
        loop {
            match self.bytes.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(more) => self.written.extend(more),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{}", self.written()),
            }
        }
        let status = self.child.wait().expect("a child of ours");
        let code = status.code().or(status.signal().map(|signal| -signal)).expect("one of them");
        (code, self.written())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // An error means that it has ended by itself: waiting reaps it either way.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// An account of two fleets, of which one is dark, and a receiver, both slow.
struct Site {
    api: balena::Server,
    remote: receiver::Server,
    folder: TempDir,
}

impl Site {
    async fn new(api_latency: Duration, remote_latency: Duration) -> Self {
        let simulation = Simulation::new();
        simulation.add(Fleet::new("acme", "north").devices(3, &Device::operational()));
        simulation.add(Fleet::new("acme", "dark").devices(2, &Device::disconnected()));
        let api = balena::Options { latency: api_latency, ..balena::Options::default() };
        let remote = receiver::Options { latency: remote_latency, ..receiver::Options::default() };
        let site = Site {
            api: balena::Server::start(simulation, api).await.unwrap(),
            remote: receiver::Server::start(remote).await.unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        let settings = json!({
            "balena": {"token": TOKEN, "url": site.api.base_url()},
            "remote_write": [{"name": "hosted", "url": site.remote.write_url(), "protobuf_message": "1.0"}],
            // Many requests, so that a slow receiver takes a while.
            "queue": {"dir": "queue", "max_samples_per_send": 10},
            "web": {"listen_address": "127.0.0.1:0"},
        });
        std::fs::write(site.folder.path().join("fleetpush.yml"), settings.to_string()).unwrap();
        site
    }

    fn terminal(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Terminal {
        Terminal::start(&self.folder, &[&["--config.file", "fleetpush.yml"], arguments].concat(), environment)
    }

    /// Without a terminal.
    fn piped(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Program {
        let mut command = Command::new("sh");
        // Where a run starts its folder is another one.
        command.args(["-c", "cd \"$1\" && shift && exec \"$@\"", "sh"]);
        command.arg(self.folder.path()).arg(env!("CARGO_BIN_EXE_fleetpush"));
        command.args(["--config.file", "fleetpush.yml"]).args(arguments);
        Program::spawn(command, &[&[("PATH", "/usr/bin:/bin")], environment].concat())
    }
}

const SLOW: Duration = Duration::from_millis(1_500);
const QUICK: Duration = Duration::ZERO;

#[tokio::test(flavor = "multi_thread")]
async fn while_once_sends_a_bar_shows_how_far_it_is_and_is_gone_at_the_end() {
    let site = Site::new(QUICK, Duration::from_millis(300)).await;
    let mut terminal = site.terminal(&["once"], &[]);
    terminal.awaits(" samples sent, ");
    let (code, written) = terminal.ended();
    assert_eq!(code, 0, "{written}");
    let bar = written.split('\r').find(|part| part.contains(" samples sent, ")).unwrap();
    let counts = bar.split_whitespace().find_map(|word| {
        let (sent, all) = word.split_once('/')?;
        Some((sent.parse::<u64>().ok()?, all.parse::<u64>().ok()?))
    });
    assert!(counts.is_some_and(|(sent, all)| sent <= all && all > 20), "{bar:?}");
    let lines = shown(&written);
    assert!(!lines.iter().any(|line| line.contains("samples sent")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("2 fleets, ")), "{lines:#?}");
    // The log goes by above the bar, and neither runs into the other.
    let logged: Vec<&String> = lines.iter().filter(|line| line.contains("level=")).collect();
    assert!(!logged.is_empty() && logged.iter().all(|line| line.starts_with("ts=")), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_line_that_comes_while_the_bar_is_there_stands_on_a_line_of_its_own() {
    let site = Site::new(QUICK, Duration::from_millis(200)).await;
    let mut terminal = site.terminal(&["once"], &[]);
    terminal.awaits(" samples sent, ");
    site.remote.inject(receiver::Fault::status_with(503, "not now"), receiver::Times::Next(2));
    terminal.awaits("not now");
    let (code, written) = terminal.ended();
    assert_eq!(code, 0, "{written}");
    let lines = shown(&written);
    let about: Vec<&String> = lines.iter().filter(|line| line.contains("not now")).collect();
    assert!(!about.is_empty() && about.iter().all(|line| line.starts_with("ts=")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("samples sent")), "{lines:#?}");
}

#[rstest]
#[case::fleets(&["fleets"], "counting the fleets of account balena, ")]
#[case::check(&["check"], "asking the API whose the token of account balena is, ")]
#[case::once(&["once"], "counting the fleets, ")]
#[tokio::test(flavor = "multi_thread")]
async fn what_takes_over_a_second_says_what_it_does(#[case] arguments: &[&str], #[case] said: &str) {
    let site = Site::new(SLOW, QUICK).await;
    let mut terminal = site.terminal(arguments, &[]);
    terminal.awaits(said);
    let (code, written) = terminal.ended();
    assert_eq!(code, 0, "{written}");
    assert!(!shown(&written).iter().any(|line| line.contains(said)), "{:#?}", shown(&written));
    assert!(shown(&written).iter().any(|line| line.starts_with("2 fleets, ")), "{written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_names_the_receiver_that_it_waits_for() {
    let site = Site::new(QUICK, SLOW).await;
    let mut terminal = site.terminal(&["check"], &[]);
    terminal.awaits("trying remote_write hosted, ");
    assert_eq!(terminal.ended().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_verification_of_the_queue_says_that_it_reads() {
    let site = Site::new(QUICK, QUICK).await;
    let mut service = site.piped(&[], &[]);
    service.logged("message=collected").await;
    let socket = site.folder.path().join("queue/control.sock");
    eventually("the socket", LIMIT, async || socket.exists().then_some(())).await;
    // It answers once it is let go on.
    service.signal("STOP");
    let mut terminal = site.terminal(&["queue", "verify"], &[]);
    terminal.awaits("reading every record, ");
    service.signal("CONT");
    let (code, written) = terminal.ended();
    assert_eq!(code, 0, "{written}");
    let lines = shown(&written);
    assert!(lines.iter().any(|line| line.contains(" are whole")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("reading every record")), "{lines:#?}");
    service.signal("TERM");
    assert_eq!(service.code().await, 0);
}

#[rstest]
#[case(&["fleets"])]
#[case(&["check"])]
#[case(&["once"])]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_quick_draws_nothing(#[case] arguments: &[&str]) {
    let site = Site::new(QUICK, QUICK).await;
    let (code, written) = site.terminal(arguments, &[("NO_COLOR", "1")]).ended();
    assert_eq!(code, 0, "{written}");
    assert!(!written.contains('\u{1b}'), "{written:?}");
}

#[rstest]
#[case(&["fleets"])]
#[case(&["check"])]
#[case(&["once"])]
#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_watches_nothing_is_drawn(#[case] arguments: &[&str]) {
    let site = Site::new(SLOW, Duration::from_millis(300)).await;
    let mut piped = site.piped(arguments, &[("TERM", "xterm")]);
    assert_eq!(piped.code().await, 0, "{}", piped.stderr());
    let all = piped.stdout() + &piped.stderr();
    assert!(!all.contains(['\u{1b}', '\r']) && !all.contains("samples sent"), "{all:?}");
    let (code, written) = site.terminal(arguments, &[("TERM", "dumb")]).ended();
    assert_eq!(code, 0, "{written}");
    assert!(!written.contains('\u{1b}'), "{written:?}");
}

const GREEN: &str = "\u{1b}[32mok";
const RED: &str = "\u{1b}[1;31m";

#[rstest]
#[case::by_itself(&[], &[], true)]
#[case::no_color(&[], &[("NO_COLOR", "1")], false)]
#[case::no_color_that_is_empty(&[], &[("NO_COLOR", "")], true)]
#[case::a_dumb_terminal(&[], &[("TERM", "dumb")], false)]
#[case::never(&["--color", "never"], &[], false)]
#[case::always_wins(&["--color", "always"], &[("NO_COLOR", "1")], true)]
#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_has_colours_unless_they_are_unwanted(
    #[case] flags: &[&str],
    #[case] environment: &[(&str, &str)],
    #[case] coloured: bool,
) {
    let site = Site::new(QUICK, QUICK).await;
    site.remote.inject(receiver::Fault::status(401), receiver::Times::Always);
    for (command, bad) in [("check", format!("{RED}FAIL")), ("fleets", format!("{RED}acme/dark"))] {
        let (_, written) = site.terminal(&[&[command], flags].concat(), environment).ended();
        assert_eq!(written.contains(&bad), coloured, "{written:?}");
        assert_eq!(written.contains(GREEN), coloured && command == "check", "{written:?}");
        assert_eq!(written.contains('\u{1b}'), coloured, "{written:?}");
    }
}

#[rstest]
#[case::by_itself(&[], false)]
#[case::auto(&["--color", "auto"], false)]
#[case::always(&["--color", "always"], true)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_terminal_has_colours_only_where_they_are_asked_for(
    #[case] flags: &[&str],
    #[case] coloured: bool,
) {
    let site = Site::new(QUICK, QUICK).await;
    for command in ["check", "fleets"] {
        let mut piped = site.piped(&[&[command], flags].concat(), &[("TERM", "xterm")]);
        assert_eq!(piped.code().await, 0, "{}", piped.stderr());
        assert_eq!(piped.stdout().contains('\u{1b}'), coloured, "{:?}", piped.stdout());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_an_endpoint_that_is_refused_is_seen_at_a_glance() {
    let site = Site::new(QUICK, QUICK).await;
    site.remote.inject(receiver::Fault::status(401), receiver::Times::Always);
    let mut service = site.piped(&[], &[]);
    service.logged("parked").await;
    let (code, written) = site.terminal(&["queue", "status"], &[]).ended();
    assert_eq!(code, 0, "{written}");
    assert!(written.contains(&format!("{RED}parked")), "{written:?}");
    service.signal("TERM");
    service.code().await;
}
