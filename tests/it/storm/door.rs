//! A door before a receiver: closed, it refuses connections and cuts those that are open. It can be a trap
//! that kills a process behind an answer that the process has not seen yet.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Door {
    address: SocketAddr,
    open: watch::Sender<bool>,
    trap: Arc<Mutex<Option<Trap>>>,
}

/// Kills `process` at the answer behind `answers` others.
#[derive(Clone, Copy)]
struct Trap {
    process: u32,
    answers: usize,
}

impl Door {
    /// An open door on a free port of 127.0.0.1.
    pub async fn before(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (open, seen) = watch::channel(true);
        let trap = Arc::new(Mutex::new(None));
        tokio::spawn(keep(listener, address, upstream, seen, trap.clone()));
        Self { address, open, trap }
    }

    pub fn write_url(&self) -> String {
        format!("http://{}/api/v1/write", self.address)
    }

    pub fn set_open(&self, open: bool) {
        self.open.send_replace(open);
    }

    /// From here on: `answers` answers pass; the process is stopped before the next one is sent to it, and
    /// killed once it is sent.
    pub fn set_trap(&self, process: u32, answers: usize) {
        *self.trap.lock().expect("no panic") = Some(Trap { process, answers });
    }

    /// Whether the trap has killed.
    pub fn has_sprung(&self) -> bool {
        self.trap.lock().expect("no panic").is_none()
    }
}

async fn keep(
    mut listener: TcpListener,
    address: SocketAddr,
    upstream: SocketAddr,
    mut open: watch::Receiver<bool>,
    trap: Arc<Mutex<Option<Trap>>>,
) {
    loop {
        let accepting = async {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let mut closed = open.clone();
                let trap = trap.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = closed.wait_for(|open| !open) => {}
                        // A connection that breaks is what doors are for.
                        _ = pass(stream, upstream, trap) => {}
                    }
                });
            }
        };
        let mut closed = open.clone();
        let gone = tokio::select! {
            () = accepting => false,
            closed = closed.wait_for(|open| !open) => closed.is_err(),
        };
        drop(listener);
        if gone || open.wait_for(|open| *open).await.is_err() {
            return;
        }
        listener = TcpListener::bind(address).await.expect("our own port is still free");
    }
}

async fn pass(
    client: TcpStream,
    upstream: SocketAddr,
    trap: Arc<Mutex<Option<Trap>>>,
) -> std::io::Result<()> {
    let server = TcpStream::connect(upstream).await?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = tokio::io::copy(&mut from_client, &mut to_server);
    let back = async {
        let mut bytes = vec![0; 64 << 10];
        loop {
            let length = from_server.read(&mut bytes).await?;
            let caught = caught(&trap);
            if let Some(process) = caught {
                stop(process);
            }
            if length == 0 {
                to_client.shutdown().await?;
            } else {
                to_client.write_all(&bytes[..length]).await?;
            }
            if let Some(process) = caught {
                signal("KILL", process);
                *trap.lock().expect("no panic") = None;
            }
            if length == 0 {
                return Ok::<(), std::io::Error>(());
            }
        }
    };
    tokio::select! {
        done = there => done.map(drop),
        done = back => done,
    }
}

/// The process that is to be killed at this answer, or at this end of a connection. The receivers' answers are
/// small: each comes in one piece.
fn caught(trap: &Mutex<Option<Trap>>) -> Option<u32> {
    let mut trap = trap.lock().expect("no panic");
    let set = trap.as_mut()?;
    match set.answers.checked_sub(1) {
        Some(left) => {
            set.answers = left;
            None
        }
        None => Some(set.process),
    }
}

/// Returns once every thread of it stands still.
fn stop(process: u32) {
    signal("STOP", process);
    let stands = |thread: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    };
    let threads = || std::fs::read_dir(format!("/proc/{process}/task")).expect("it is there");
    while !threads().all(|thread| stands(thread.expect("a thread"))) {
        std::thread::sleep(std::time::Duration::from_micros(100));
    }
}

fn signal(name: &str, process: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status();
    assert!(sent.is_ok_and(|status| status.success()), "process {process} has ended by itself");
}
