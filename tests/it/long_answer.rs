//! An answer that is too long to be parsed as a whole is counted while it comes, as strictly as a short one.

use fleetpush::collect::CycleResult;
use fleetpush::config::Account;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::collect::{Stage, TWO_FLEETS, account, assert_failed, error_of, good, json, values};

const DEVICES: usize = 60_000;

/// Two fleets, of which the second has so many devices that the answer takes over four megabytes.
fn long_answer() -> String {
    let device = r#"{"is_online":true,"overall_status":"operational","api_heartbeat_state":"online"}"#;
    let devices = vec![device; DEVICES].join(",");
    let body = TWO_FLEETS.replace(r#""owns__device":[]"#, &format!(r#""owns__device":[{devices}]"#));
    assert!(body.len() > 4 << 20);
    body
}

fn roomy(url: &str) -> Account {
    Account { max_body_size: 64 << 20, ..account(url) }
}

#[tokio::test]
async fn a_long_answer_is_counted_to_its_last_device() {
    let stage = Stage::answering(vec![json(&long_answer())]).await;
    let (batch, report) = stage.collector_of(&roomy(&stage.server.uri())).cycle().await;
    assert_eq!((report.result, report.fleets), (CycleResult::Ok, Some(2)));
    let values = values(&batch);
    let of = |name: &str, labels: &str| values[&format!("{name}{{{labels}}}")];
    let (lobby, empty) =
        (r#"fleet_name="lobby",fleet_slug="acme/lobby""#, r#"fleet_name="empty",fleet_slug="admin/empty""#);
    assert_eq!(of("balena_devices", lobby), 4.0);
    assert_eq!(of("balena_devices", empty), DEVICES as f64);
    assert_eq!(of("balena_devices_online", empty), DEVICES as f64);
}

#[tokio::test]
async fn a_long_answer_that_is_no_json_at_its_end_counts_nothing() {
    let whole = long_answer();
    let cut = whole.get(..whole.len() - 1).unwrap().to_owned();
    for body in [cut, format!("{whole}x"), whole.replace(r#""id":2"#, r#""id":1"#)] {
        let stage = Stage::answering(vec![json(&body), good()]).await;
        let mut collector = stage.collector_of(&roomy(&stage.server.uri()));
        let (batch, report) = collector.cycle().await;
        assert_failed(&batch, &report, CycleResult::BadAnswer);
        assert_eq!(collector.cycle().await.1.fleets, Some(2), "the next cycle is none the worse");
    }
}

#[tokio::test]
async fn a_long_answer_beyond_the_bound_is_refused() {
    let stage = Stage::answering(vec![json(&long_answer())]).await;
    let bound = (4 << 20) + (64 << 10);
    let account = Account { max_body_size: bound, ..account(&stage.server.uri()) };
    let (batch, report) = stage.collector_of(&account).cycle().await;
    assert_failed(&batch, &report, CycleResult::BadAnswer);
}

#[tokio::test]
async fn a_long_answer_that_breaks_off_counts_nothing() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let whole = long_answer();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            if socket.read(&mut request).await.is_err() {
                continue;
            }
            // All of it is there, but one more byte was promised.
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                whole.len() + 1
            );
            for part in [head.as_bytes(), whole.as_bytes()] {
                // A client that has hung up is one that has noticed.
                if socket.write_all(part).await.is_err() {
                    break;
                }
            }
        }
    });
    let stage = Stage::answering(vec![good()]).await;
    let (batch, report) = stage.collector_of(&roomy(&url)).cycle().await;
    assert_failed(&batch, &report, CycleResult::BadAnswer);
    assert!(error_of(&report).contains("broke off"), "{}", error_of(&report));
}
