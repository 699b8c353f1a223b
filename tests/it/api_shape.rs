//! Bodies that answer 200 and are not what the API documents: each fails the cycle, none reads as zero.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use fleetpush::collect::CycleResult;
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::ResponseTemplate;

use crate::collect::{Stage, TWO_FLEETS, account, assert_failed, error_of, good, json, status};

const FLEET: &str = r#"{"owns__device":DEVICES,"organization":[{"handle":"acme"}],"is_for__device_type":[{"slug":"pi"}],"id":1,"app_name":"lobby","slug":"acme/lobby"}"#;
const DEVICE: &str = r#"{"is_online":true,"overall_status":"operational","api_heartbeat_state":"online"}"#;

fn fleets(fleet: &str) -> String {
    format!(r#"{{"d":[{fleet}]}}"#)
}

fn with_devices(devices: &str) -> String {
    fleets(&FLEET.replace("DEVICES", devices))
}

async fn is_refused(body: &str) -> String {
    let stage = Stage::answering(vec![json(body)]).await;
    let (batch, report) = stage.collector().cycle().await;
    assert_failed(&batch, &report, CycleResult::BadAnswer);
    assert_eq!(stage.requests().await.len(), 1, "another try would not help");
    error_of(&report)
}

#[rstest]
#[case::a_count_instead_of_rows("7")]
#[case::null("null")]
#[case::an_object("{}")]
#[case::numbers("[1,2]")]
#[case::lists("[[true,\"operational\",\"online\"]]")]
#[case::other_objects("[{\"id\":1}]")]
#[case::online_as_text(
    "[{\"is_online\":\"true\",\"overall_status\":\"operational\",\"api_heartbeat_state\":\"online\"}]"
)]
#[case::online_as_null(
    "[{\"is_online\":null,\"overall_status\":\"operational\",\"api_heartbeat_state\":\"online\"}]"
)]
#[case::status_as_number("[{\"is_online\":true,\"overall_status\":1,\"api_heartbeat_state\":\"online\"}]")]
#[case::no_status("[{\"is_online\":true,\"api_heartbeat_state\":\"online\"}]")]
#[case::no_heartbeat("[{\"is_online\":true,\"overall_status\":\"operational\"}]")]
#[tokio::test]
async fn devices_of_another_shape_fail_the_cycle(#[case] devices: &str) {
    is_refused(&with_devices(devices)).await;
}

#[rstest]
#[case::no_d("{}")]
#[case::a_bare_list("[]")]
#[case::a_list_in_place_of_the_object("[[]]")]
#[case::a_count("{\"d\":14}")]
#[case::null("{\"d\":null}")]
#[case::an_object("{\"d\":{}}")]
#[case::d_twice("{\"d\":[],\"d\":[]}")]
#[case::a_string("\"Too Many Requests\"")]
#[case::nothing("")]
#[case::two_documents("{\"d\":[]}{\"d\":[]}")]
#[case::rubbish_behind("{\"d\":[]} x")]
#[case::ids_alone("{\"d\":[{\"id\":5},{\"id\":6}]}")]
#[case::html("<!doctype html><title>balenaCloud</title>")]
#[case::not_a_number("{\"d\":NaN}")]
#[tokio::test]
async fn a_body_of_another_shape_fails_the_cycle(#[case] body: &str) {
    let text = is_refused(body).await;
    assert!(text.contains("check that url names one"), "{text}");
}

#[rstest]
#[case::null_name("\"app_name\":\"lobby\"", "\"app_name\":null")]
#[case::empty_name("\"app_name\":\"lobby\"", "\"app_name\":\"\"")]
#[case::no_name("\"app_name\":\"lobby\"", "\"x\":\"lobby\"")]
#[case::number_as_name("\"app_name\":\"lobby\"", "\"app_name\":5")]
#[case::null_slug("\"slug\":\"acme/lobby\"", "\"slug\":null")]
#[case::negative_id("\"id\":1", "\"id\":-1")]
#[case::fractional_id("\"id\":1", "\"id\":1.5")]
#[case::huge_id("\"id\":1", "\"id\":99999999999999999999")]
#[case::unexpanded_organization("[{\"handle\":\"acme\"}]", "{\"__id\":1}")]
#[case::null_device_type("[{\"slug\":\"pi\"}]", "null")]
#[tokio::test]
async fn a_fleet_of_another_shape_fails_the_cycle(#[case] part: &str, #[case] instead: &str) {
    let body = with_devices("[]");
    assert!(body.contains(part));
    is_refused(&body.replace(part, instead)).await;
}

#[tokio::test]
async fn a_fleet_that_stands_twice_fails_the_cycle() {
    let fleet = FLEET.replace("DEVICES", "[]");
    let text = is_refused(&fleets(&format!("{fleet},{fleet}"))).await;
    assert!(text.contains("acme/lobby"), "{text}");
}

#[tokio::test]
async fn a_body_cut_at_any_place_fails_the_cycle() {
    for length in (0..TWO_FLEETS.len()).step_by(97) {
        is_refused(TWO_FLEETS.get(..length).unwrap()).await;
    }
}

#[tokio::test]
async fn unknown_fields_and_many_devices_are_no_trouble() {
    let devices =
        vec![DEVICE.replacen('{', r#"{"api_secret":null,"deep":[[{"a":{}}]],"#, 1); 20_000].join(",");
    let stage = Stage::answering(vec![json(&with_devices(&format!("[{devices}]")))]).await;
    let mut account = account(&stage.server.uri());
    account.max_body_size = 1 << 30;
    let fleets = stage.collector_of(&account).fleets().await.unwrap();
    assert_eq!((fleets[0].total, fleets[0].online), (20_000, 20_000));
}

#[tokio::test]
async fn words_without_end_do_not_make_series_without_end() {
    let device = |n: usize| DEVICE.replace("operational", &format!("word-{n}"));
    let devices = (0..1000).map(device).collect::<Vec<_>>().join(",");
    let stage = Stage::answering(vec![json(&with_devices(&format!("[{devices}]")))]).await;
    let fleets = stage.collector().fleets().await.unwrap();
    assert!(fleets[0].statuses.len() < 50);
    assert_eq!(fleets[0].statuses.values().sum::<u64>(), 1000);
    assert!(fleets[0].statuses["other"] > 900);
}

#[tokio::test]
async fn an_account_without_fleets_is_a_success() {
    let stage = Stage::answering(vec![json(r#"{"d":[]}"#)]).await;
    let (_, report) = stage.collector().cycle().await;
    assert_eq!((report.result, report.fleets), (CycleResult::Ok, Some(0)));
}

#[tokio::test]
async fn a_body_above_the_bound_fails_the_cycle() {
    let stage = Stage::answering(vec![good()]).await;
    let mut account = account(&stage.server.uri());
    account.max_body_size = TWO_FLEETS.len() as u64 - 1;
    let (batch, report) = stage.collector_of(&account).cycle().await;
    assert_failed(&batch, &report, CycleResult::BadAnswer);
    assert!(error_of(&report).contains("larger than"), "{}", error_of(&report));
    account.max_body_size += 1;
    assert_eq!(stage.collector_of(&account).cycle().await.1.result, CycleResult::Ok);
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut coder = GzEncoder::new(Vec::new(), Compression::best());
    coder.write_all(plain).unwrap();
    coder.finish().unwrap()
}

fn gzipped(body: Vec<u8>) -> ResponseTemplate {
    status(200).insert_header("content-encoding", "gzip").set_body_raw(body, "application/json")
}

#[tokio::test]
async fn a_compressed_answer_is_read() {
    let stage = Stage::answering(vec![gzipped(gzip(TWO_FLEETS.as_bytes()))]).await;
    assert_eq!(stage.collector().cycle().await.1.fleets, Some(2));
    let accepted = stage.requests().await[0].headers.get("accept-encoding").cloned().unwrap();
    assert!(accepted.to_str().unwrap().contains("gzip"));
}

#[tokio::test]
async fn a_bomb_is_stopped_at_the_bound_of_the_decompressed_body() {
    let mut plain = br#"{"d":["#.to_vec();
    plain.resize(64 << 20, b' ');
    let stage = Stage::answering(vec![gzipped(gzip(&plain))]).await;
    let (batch, report) = stage.collector().cycle().await;
    assert_failed(&batch, &report, CycleResult::BadAnswer);
    assert!(error_of(&report).contains("larger than 1048576 bytes"), "{}", error_of(&report));
}

#[tokio::test]
async fn damaged_compression_fails_the_cycle() {
    let mut body = gzip(TWO_FLEETS.as_bytes());
    let middle = body.len() / 2;
    body.truncate(middle);
    let stage = Stage::answering(vec![gzipped(body)]).await;
    let (batch, report) = stage.collector().cycle().await;
    assert_failed(&batch, &report, CycleResult::BadAnswer);
}

#[tokio::test]
async fn a_connection_lost_inside_the_body_is_no_short_body() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert_ne!(socket.read(&mut request).await.unwrap(), 0);
            // A complete document, of a body that has not ended.
            let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n{\"d\":[]}\r\n";
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let stage = Stage::answering(vec![good()]).await;
    let (batch, report) = stage.collector_of(&account(&url)).cycle().await;
    assert_failed(&batch, &report, report.result);
    assert!(matches!(report.result, CycleResult::Network | CycleResult::BadAnswer), "{:?}", report.result);
    server.abort();
}
