//! A push that breaks off on its way.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use fleetpush::encode::family as wire;
use rstest::rstest;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::servers::Suite;

/// A relay to a gateway that carries only the first `limit` bytes of each connection; it tells how many there were.
struct Cutter {
    address: SocketAddr,
    limit: Arc<AtomicUsize>,
    carried: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cutter {
    async fn start(gateway: &Pushgateway) -> Self {
        let target = gateway.url().trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (limit, carried) = (Arc::new(AtomicUsize::new(usize::MAX)), Arc::new(AtomicUsize::new(0)));
        let (bound, count) = (limit.clone(), carried.clone());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (target, bound, count) = (target.clone(), bound.load(Ordering::SeqCst), count.clone());
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(target).await.unwrap();
                    let ((from_client, mut to_client), (mut from_server, mut to_server)) =
                        (client.into_split(), server.split());
                    let upward = async {
                        let mut first = from_client.take(bound as u64);
                        let mut piece = [0; 4096];
                        while let Ok(n @ 1..) = first.read(&mut piece).await {
                            count.fetch_add(n, Ordering::SeqCst);
                            to_server.write_all(&piece[..n]).await.ok();
                        }
                        to_server.shutdown().await.ok();
                        copy(&mut first.into_inner(), &mut sink()).await.ok();
                    };
                    let downward = async {
                        copy(&mut from_server, &mut to_client).await.ok();
                        to_client.shutdown().await.ok();
                    };
                    tokio::join!(upward, downward);
                });
            }
        });
        Cutter { address, limit, carried, task }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

#[rstest]
#[tokio::test]
async fn a_body_that_is_cut_off_anywhere_changes_nothing(#[values(Suite::Stock, Suite::New)] suite: Suite) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let cutter = Cutter::start(&gateway).await;
    let rig = Rig::new(&cutter.url());
    let names: Vec<String> = (0..50).map(|number| format!("f{number:02}")).collect();
    let batch = |value: f64| {
        let fleets: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), value)).collect();
        counted(&fleets)
    };
    rig.push(batch(1.0)).await.expect("nothing is cut");
    let whole = cutter.carried.load(Ordering::SeqCst);
    let key = json!({"job": "balena", "instance": "site"});
    let before = group(&gateway, &key).await.unwrap();

    let second = batch(2.0);
    let last_family = wire::body([&second.families()[1]]).len();
    let body = wire::body(second.families()).len();
    for missing in [1, 2, 9, last_family - 1, last_family, last_family + 1, body / 2, body - 1, body] {
        cutter.limit.store(whole - missing, Ordering::SeqCst);
        let pushed = rig.push_within(second.clone(), Duration::from_millis(400)).await;
        pushed.expect_err("a part is no push");
        let after = group(&gateway, &key).await.unwrap();
        // A family keeps the time of the push that brought it: not even equal values were written again.
        assert_eq!(after["balena_devices"], before["balena_devices"], "{missing} bytes are missing");
        assert_eq!(after["balena_up"], before["balena_up"], "{missing} bytes are missing");
    }
    cutter.limit.store(usize::MAX, Ordering::SeqCst);
    rig.push(second).await.expect("nothing is cut");
    let after = group(&gateway, &key).await.unwrap();
    assert!(fleets_of(&after, "balena_devices").values().all(|value| *value == 2.0));
}

#[rstest]
#[case::half_is_committed(Suite::Stock, 200, 1)]
#[case::all_is_refused(Suite::New, 400, 0)]
#[tokio::test]
async fn text_that_is_cut_between_lines_is_committed_half_by_an_old_gateway(
    #[case] suite: Suite,
    #[case] expected: u16,
    #[case] groups: usize,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let address = gateway.url().trim_start_matches("http://");
    let cut = |kind: &str, body: &[u8], said: usize| {
        let head = format!(
            "PUT /metrics/job/{kind} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {said}\r\n"
        );
        let content = if kind == "text" { "text/plain" } else { wire::CONTENT_TYPE };
        [format!("{head}Content-Type: {content}\r\n\r\n").as_bytes(), body].concat()
    };
    let families = [state(1.0), family("balena_fleets", Role::State, vec![series(&[], 1.0)])];
    let delimited = wire::body(&families[..1]);
    let whole = wire::body(&families).len();
    for (request, expected) in
        [(cut("text", b"a 1\n", 8), expected), (cut("protobuf", &delimited, whole), 400)]
    {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(&request).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{answer}");
    }
    assert_eq!(gateway.groups().await.len(), groups);
}
