//! The socket in the queue's folder over which `queue …` asks the `run` that has the store open: one line of
//! JSON in, one out. And the other end of it. Only the user of the process may connect.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::desk::{Answer, Ask, Desk};
use super::shared::Shared;
use super::store;
use crate::clock::Clock;
use crate::config::{Config, QueueDir};
use crate::queue::OpenError;
use crate::sink::worker;
use crate::telemetry::Telemetry;

/// The socket in the queue's folder.
pub(super) const SOCKET: &str = "control.sock";
/// What the system has room for in a socket's path.
const LONGEST_PATH: usize = 107;
const LONGEST_LINE: u64 = 1 << 20;
/// How long a line may take to come in or go out.
const LINE_TIME: Duration = Duration::from_secs(5);
/// How long an answer may take. A verification reads everything.
const ANSWER_TIME: Duration = Duration::from_secs(600);
/// Why the queue cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It is in the memory of a process.
    #[error(
        "the queue is in memory, where nobody else can ask it: set FLEETPUSH_QUEUE_DIR or `queue: {{dir: …}}` \
         to the folder of the queue that is meant"
    )]
    Memory,
    /// Its store is in use by someone who does not answer.
    #[error("{locked}; it does not answer at {}: {why}", socket.display())]
    Silent {
        /// Who has it.
        locked: OpenError,
        /// Where it was asked.
        socket: PathBuf,
        /// What came of it.
        why: io::Error,
    },
    /// Its store cannot be opened.
    #[error(transparent)]
    Queue(OpenError),
}

/// Answers at the socket until `stop`; then the socket is gone. Does nothing for a queue in memory.
pub(super) async fn serve(shared: Arc<Shared>, stop: CancellationToken) {
    let Some(folder) = shared.queue().and_then(|queue| queue.folder()) else { return };
    let path = folder.join(SOCKET);
    let listener = match listen(&path) {
        Ok(listener) => listener,
        Err(error) => {
            warn!(path = %path.display(), %error, "`queue status` and its like cannot ask this process");
            return;
        }
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Ok((stream, _)) = listener.accept() => {
                tokio::spawn(one(stream, Arc::clone(&shared)));
            }
        }
    }
    fs::remove_file(&path).unwrap_or_default();
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    if path.as_os_str().len() > LONGEST_PATH {
        let why = format!("the path is longer than the {LONGEST_PATH} bytes that a socket's may have");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    // The store is ours, so what lies here is of a process that was killed.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    // Before it listens nobody can connect.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    socket.listen(16)
}

/// One question. Who does not ask, or does not listen, only loses the answer.
async fn one(stream: UnixStream, shared: Arc<Shared>) {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(LONGEST_LINE));
    if !matches!(timeout(LINE_TIME, reader.read_line(&mut line)).await, Ok(Ok(_))) {
        return;
    }
    let answer = match (serde_json::from_str::<Ask>(&line), shared.desk()) {
        (Ok(ask), Some(desk)) => desk.answer(ask).await,
        (Ok(_), None) => Answer::Failed { why: "there is no queue".to_owned() },
        (Err(error), _) => Answer::Failed { why: format!("not understood: {error}") },
    };
    let Ok(mut text) = serde_json::to_string(&answer) else { return };
    text.push('\n');
    if !matches!(timeout(LINE_TIME, writer.write_all(text.as_bytes())).await, Ok(Ok(()))) {
        debug!("who has asked about the queue does not read the answer");
    }
}

/// Asks whoever has the queue of a configuration: the `run` that is there, or else the store itself.
///
/// # Errors
/// [`AskError`].
pub async fn ask_queue(config: &Config, ask: Ask) -> Result<Answer, AskError> {
    let (QueueDir::Folder(folder) | QueueDir::Default(folder)) = &config.queue.dir else {
        return Err(AskError::Memory);
    };
    let (clock, socket) = (Clock::SYSTEM, folder.join(SOCKET));
    let deadline = Instant::now() + store::PATIENCE;
    loop {
        let locked = match store::inspect(folder.clone(), &config.queue, clock.now()).await {
            Ok(None) => return Ok(Answer::Nothing { folder: folder.display().to_string() }),
            Ok(Some(queue)) => {
                let endpoints = config.endpoints.iter().map(worker::sink_name).collect();
                let telemetry = Telemetry::new();
                let desk = Desk { queue, clock, telemetry, endpoints, holder: None };
                let answer = desk.answer(ask).await;
                desk.queue.close().await;
                return Ok(answer);
            }
            Err(locked @ OpenError::Locked { .. }) => locked,
            Err(error) => return Err(AskError::Queue(error)),
        };
        match over(&socket, &ask).await {
            Ok(answer) => return Ok(answer),
            Err(why) if Instant::now() >= deadline => return Err(AskError::Silent { locked, socket, why }),
            Err(_) => sleep(store::AGAIN).await,
        }
    }
}

async fn over(socket: &Path, ask: &Ask) -> io::Result<Answer> {
    let mut stream = timeout(LINE_TIME, UnixStream::connect(socket)).await??;
    let mut line = serde_json::to_string(ask)?;
    line.push('\n');
    timeout(LINE_TIME, stream.write_all(line.as_bytes())).await??;
    let mut answer = String::new();
    timeout(ANSWER_TIME, stream.take(LONGEST_LINE).read_to_string(&mut answer)).await??;
    if answer.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has ended without an answer"));
    }
    Ok(serde_json::from_str(&answer)?)
}
