//! Clients that are slow on purpose, or many: the page stays there for the others.

use std::sync::Arc;
use std::time::Duration;

use fleetpush::clock::Clock;
use fleetpush::page::{Bounds, Guard, PageState, serve_guarded};
use fleetpush::sample::Latest;
use fleetpush::telemetry::Telemetry;
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Files, client};
use crate::program::LIMIT;
use crate::tls::Authority;

const SHORT: Duration = Duration::from_millis(300);

struct Served {
    address: String,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
    _latest: watch::Sender<Latest>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(guard: Option<Guard>, bounds: Bounds) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (latest, seen) = watch::channel(Arc::default());
    let state = PageState {
        latest: seen,
        telemetry: Telemetry::new(),
        clock: Clock::SYSTEM,
        telemetry_path: "/metrics".into(),
        lifecycle: None,
    };
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve_guarded(listener, state, guard, bounds, stop.clone()));
    Served { address, stop, task, _latest: latest }
}

/// Everything that comes until the other side ends the connection.
async fn to_its_end(mut socket: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    // A reset is an end too.
    let _ended = timeout(LIMIT, socket.read_to_end(&mut all)).await.expect("the connection stands for ever");
    all
}

fn tls(files: &Files, authority: &Authority) -> Guard {
    files.pair("tls", &authority.issue("127.0.0.1"));
    files.write("web.yml", "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n");
    Guard::open(&files.path("web.yml"), Telemetry::new()).unwrap()
}

#[rstest]
#[case::nothing_at_all("")]
#[case::half_a_head("GET /-/healthy HTTP/1.1\r\nhost: x\r\nx-slow: ")]
#[case::a_request_and_half_of_the_next("GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\nGET /")]
#[tokio::test]
async fn a_client_that_does_not_go_on_is_cut_off(#[case] sent: &str) {
    let served = serve(None, Bounds { head: SHORT, ..Bounds::default() }).await;
    let mut socket = TcpStream::connect(&served.address).await.unwrap();
    socket.write_all(sent.as_bytes()).await.unwrap();
    let heard = String::from_utf8(to_its_end(socket).await).unwrap();
    assert_eq!(heard.contains("200 OK"), sent.contains("\r\n\r\n"), "{heard}");
}

#[rstest]
#[case::nothing_at_all(b"")]
#[case::a_record_that_is_cut_off(b"\x16\x03\x01\x02\x00\x01")]
#[case::plain_http_without_end(b"GET /")]
#[tokio::test]
async fn a_handshake_that_does_not_end_is_cut_off(#[case] sent: &[u8]) {
    let (files, authority) = (Files::new(), Authority::new());
    let bounds = Bounds { handshake: SHORT, ..Bounds::default() };
    let served = serve(Some(tls(&files, &authority)), bounds).await;
    let mut socket = TcpStream::connect(&served.address).await.unwrap();
    socket.write_all(sent).await.unwrap();
    to_its_end(socket).await;
    let answer = client(&authority, None).get(format!("https://{}/-/healthy", served.address)).send().await;
    assert_eq!(answer.unwrap().status(), 200);
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answers_is_cut_off() {
    let served = serve(None, Bounds { answer: SHORT, ..Bounds::default() }).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut socket = socket.connect(served.address.parse().unwrap()).await.unwrap();
    let asking = async {
        let requests = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
        // Ends once the other side has: nothing is ever read here.
        while socket.write_all(requests.as_bytes()).await.is_ok() {}
    };
    timeout(LIMIT, asking).await.expect("the connection stands for ever");
}

#[tokio::test]
async fn more_connections_than_there_is_room_for_wait_for_their_turn() {
    let served = serve(None, Bounds { connections: 2, ..Bounds::default() }).await;
    let first = TcpStream::connect(&served.address).await.unwrap();
    let _second = TcpStream::connect(&served.address).await.unwrap();
    let mut third = TcpStream::connect(&served.address).await.unwrap();
    third.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut byte = [0];
    let early = timeout(SHORT, third.read_exact(&mut byte)).await;
    assert!(early.is_err(), "three were served at once");
    drop(first);
    timeout(LIMIT, third.read_exact(&mut byte)).await.expect("an answer in its turn").unwrap();
}

#[tokio::test]
async fn a_stop_does_not_wait_for_those_who_do_not_end() {
    let mut served = serve(None, Bounds::default()).await;
    let mut idle = TcpStream::connect(&served.address).await.unwrap();
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    idle.read_u8().await.unwrap();
    let mut stuck = TcpStream::connect(&served.address).await.unwrap();
    stuck.write_all(b"GET /").await.unwrap();
    served.stop.cancel();
    timeout(LIMIT, &mut served.task).await.expect("it ends").unwrap().unwrap();
    assert!(TcpStream::connect(&served.address).await.is_err());
}
