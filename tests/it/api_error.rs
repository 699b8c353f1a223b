//! Every refusal that the API is known to give, a test for each, and what a server in between adds.

use std::time::Duration;

use fleetpush::collect::{CollectError, CycleResult};
use fleetpush::sample::Batch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::collect::{Stage, TOKEN, account, assert_failed, error_of, good, json, status, values};

/// One cycle against one answer that fails, and what is said about it.
async fn refused(answer: ResponseTemplate, result: CycleResult, tries: usize) -> String {
    let stage = Stage::answering(vec![answer]).await;
    let (batch, report) = stage.collector().cycle().await;
    assert_failed(&batch, &report, result);
    assert_eq!(stage.requests().await.len(), tries, "{}", error_of(&report));
    error_of(&report)
}

fn is_up(batch: &Batch) -> bool {
    values(batch)["balena_up{}"] == 1.0
}

#[tokio::test]
async fn a_wrong_or_expired_key_is_named_as_such() {
    let text = refused(status(401), CycleResult::Unauthorized, 1).await;
    assert!(text.contains("token") && text.contains("/v7/application answered 401"), "{text}");
}

#[tokio::test]
async fn a_bad_key_is_never_answered_with_other_peoples_fleets() {
    let server = MockServer::start().await;
    // As the API does: guests see the public fleets unless they ask for their own.
    let guests = |request: &Request| {
        let filtered =
            request.url.query().unwrap_or_default().contains("is_directly_accessible_by__user/any(");
        if filtered { status(401) } else { good() }
    };
    Mock::given(wiremock::matchers::any()).respond_with(guests).mount(&server).await;
    let clock = fleetpush::clock::Clock::SYSTEM;
    let labels = fleetpush::config::FleetLabels::NameAndSlug;
    let account = account(&server.uri());
    let mut collector =
        fleetpush::collect::Collector::new(&account, labels, Duration::from_secs(300), clock).unwrap();
    let (batch, report) = collector.cycle().await;
    assert_failed(&batch, &report, CycleResult::Unauthorized);
}

#[tokio::test]
async fn a_resource_that_is_not_allowed_reads_like_a_bad_key() {
    let stage = Stage::answering(vec![status(401)]).await;
    let error = stage.collector().whoami().await.unwrap_err();
    assert!(matches!(error, CollectError::Unauthorized { .. }), "{error}");
}

#[tokio::test]
async fn a_malformed_query_is_shown_without_the_url() {
    let body = r#""Malformed url: '/v7/application?$filter=(((&apikey=x'""#;
    let answer = status(400).set_body_raw(body, "application/json");
    let text = refused(answer, CycleResult::ApiError, 1).await;
    assert!(text.contains("400") && text.contains("Malformed url") && !text.contains("apikey"), "{text}");
}

#[tokio::test]
async fn a_business_rule_is_shown_in_its_own_words() {
    let answer =
        status(400).set_body_raw(r#""It is necessary that\n each \u001b[31mfleet""#, "application/json");
    let text = refused(answer, CycleResult::ApiError, 1).await;
    assert!(text.contains("It is necessary that each [31mfleet"), "{text}");
}

#[tokio::test]
async fn an_unknown_field_is_a_failure_of_the_server_that_is_not_tried_again() {
    let text = refused(status(500), CycleResult::ApiError, 1).await;
    assert!(text.contains("500") && text.contains("status page of balena"), "{text}");
}

#[tokio::test]
async fn an_unknown_version_or_path_points_to_the_settings() {
    let text = refused(status(404), CycleResult::ApiError, 1).await;
    assert!(text.contains("url") && text.contains("own host"), "{text}");
}

#[tokio::test]
async fn an_api_that_hangs_is_left_at_the_time_out() {
    let stage = Stage::answering(vec![good().set_delay(Duration::from_secs(60))]).await;
    let mut account = account(&stage.server.uri());
    account.http.timeout = Duration::from_millis(200);
    let (batch, report) = stage.collector_of(&account).cycle().await;
    assert_failed(&batch, &report, CycleResult::Timeout);
    assert!(report.duration < Duration::from_secs(5));
}

#[tokio::test]
async fn a_cycle_ends_before_the_next_is_due() {
    let stage = Stage::answering(vec![good().set_delay(Duration::from_secs(60))]).await;
    let mut account = account(&stage.server.uri());
    account.interval = Duration::from_millis(200);
    let (batch, report) = stage.collector_of(&account).cycle().await;
    assert_failed(&batch, &report, CycleResult::Timeout);
}

#[tokio::test]
async fn a_database_that_is_down_reads_as_401_and_passes() {
    let stage = Stage::answering(vec![good(), status(401), status(401), good()]).await;
    let mut collector = stage.collector();
    let mut ups = Vec::new();
    for _ in 0..4 {
        ups.push(is_up(&collector.cycle().await.0));
    }
    assert_eq!(ups, [true, false, false, true]);
}

#[tokio::test]
async fn a_database_that_is_down_reads_as_500_and_passes() {
    let stage = Stage::answering(vec![status(500), good()]).await;
    let mut collector = stage.collector();
    assert!(!is_up(&collector.cycle().await.0));
    assert!(is_up(&collector.cycle().await.0));
}

#[tokio::test]
async fn a_rate_limit_says_how_long_it_lasts() {
    let answer =
        status(429).insert_header("retry-after", "17").set_body_raw(r#""Too Many Requests""#, "text/json");
    let text = refused(answer, CycleResult::RateLimited, 1).await;
    assert!(text.contains("17 s"), "{text}");
}

#[tokio::test]
async fn a_rate_limit_without_a_time_is_asked_again_at_the_next_cycle() {
    let stage = Stage::answering(vec![status(429), good()]).await;
    let mut collector = stage.collector();
    assert!(!is_up(&collector.cycle().await.0));
    assert!(is_up(&collector.cycle().await.0));
}

#[tokio::test]
async fn the_limit_of_an_hour_is_kept_in_full() {
    let stage = Stage::answering(vec![status(429).insert_header("retry-after", "3600"), good()]).await;
    let mut collector = stage.collector();
    collector.cycle().await;
    stage.clock.advance(Duration::from_secs(3599));
    assert!(!is_up(&collector.cycle().await.0));
    stage.clock.advance(Duration::from_secs(1));
    assert!(is_up(&collector.cycle().await.0));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_names_the_host_alone() {
    let location = "https://me:hunter2@api.example.test/v7/application?apikey=hunter2";
    let text = refused(status(301).insert_header("location", location), CycleResult::ApiError, 1).await;
    assert!(text.contains("https://api.example.test") && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_server_that_stays_away_is_asked_three_times() {
    for code in [502, 503, 504] {
        refused(status(code), CycleResult::ApiError, 3).await;
    }
}

#[tokio::test]
async fn a_body_that_repeats_the_token_does_not_show_it() {
    let answer = status(418).set_body_string(format!("you sent Bearer {TOKEN} to me"));
    let text = refused(answer, CycleResult::ApiError, 1).await;
    assert!(text.contains("you sent Bearer <secret> to me"), "{text}");
}

#[tokio::test]
async fn a_success_without_a_body_is_no_success() {
    refused(status(204), CycleResult::ApiError, 1).await;
    refused(json(""), CycleResult::BadAnswer, 1).await;
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_a_network_failure() {
    let stage = Stage::answering(vec![good()]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (batch, report) = stage.collector_of(&account(&url)).cycle().await;
    assert_failed(&batch, &report, CycleResult::Network);
    assert!(error_of(&report).contains("refused"), "{}", error_of(&report));
}

#[tokio::test]
async fn a_connection_that_is_closed_before_the_answer_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut asked = 0;
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            if socket.read(&mut request).await.unwrap() == 0 {
                continue;
            }
            asked += 1;
            if asked == 2 {
                let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 8\r\n\r\n{\"d\":[]}";
                socket.write_all(answer.as_bytes()).await.unwrap();
                return asked;
            }
        }
    });
    let stage = Stage::answering(vec![good()]).await;
    let (_, report) = stage.collector_of(&account(&url)).cycle().await;
    assert_eq!(report.result, CycleResult::Ok, "{}", error_of(&report));
    assert_eq!((server.await.unwrap(), report.fleets), (2, Some(0)));
    assert!(report.warnings[0].contains("no fleet was counted"));
}
