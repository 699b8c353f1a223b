//! Time: a clock that is wrong, an API that is slow, intervals as they are typed.

use std::time::Duration;

use fleetpush::demo::balena::{self, Fault, Times};
use rstest::rstest;

use super::{account, api, receiver, samples_of, value};
use crate::program::{LIMIT, Program, get};
use crate::servers::eventually;

const HOURS: i64 = 2 * 3600;

#[rstest]
#[case::the_api_is_ahead(HOURS)]
#[case::the_api_is_behind(-HOURS)]
#[tokio::test]
async fn a_clock_that_is_two_hours_off_queues_nothing_until_it_is_right(#[case] offset: i64) {
    let (api, remote) = (api().await, receiver().await);
    api.inject(Fault::DateOffset(offset), Times::Always);
    let url = remote.write_url();
    let program = Program::service(&api, &[("REMOTE_WRITE_URL", &url)]);
    let metrics = format!("{}/metrics", program.page().await);
    tokio::time::timeout(LIMIT, api.received(4)).await.expect("four cycles");
    let page = get(&metrics).await;
    assert_eq!(value(&page, "balena_up"), Some(0.0), "{page}");
    let skew = value(&page, "fleetpush_clock_skew_seconds").expect("the skew");
    assert!((skew + offset as f64).abs() < 60.0, "{skew}");
    assert_eq!(value(&page, "fleetpush_queue_records"), Some(0.0));
    assert_eq!(remote.samples().len(), 0, "nothing may be sent with a wrong time");
    let log = program.stderr();
    let loud: Vec<&str> = log.lines().filter(|line| line.contains("level=error")).collect();
    assert!(matches!(loud[..], [line] if line.contains("the clock is wrong")), "{log}");

    api.clear_faults();
    let counted = async || (samples_of(&remote, "balena_devices_online") >= 6).then_some(());
    eventually("two cycles of three fleets", LIMIT, counted).await;
    program.logged("the clock is right again").await;
    let page = get(&metrics).await;
    assert_eq!(value(&page, "balena_up"), Some(1.0));
    assert!(value(&page, "fleetpush_clock_skew_seconds").is_some_and(|skew| skew.abs() < 60.0));
    assert_eq!(program.stderr().matches("level=error").count(), 1);
}

#[tokio::test]
async fn an_api_slower_than_the_interval_is_counted_and_so_are_the_missed_ticks() {
    let options = balena::Options { latency: Duration::from_millis(1_500), ..balena::Options::default() };
    let api = balena::Server::start(account(), options).await.expect("a free port");
    let program = Program::service(&api, &[]);
    let metrics = format!("{}/metrics", program.page().await);
    let page = eventually("missed ticks", LIMIT, async || {
        let page = get(&metrics).await;
        let missed = value(&page, r#"fleetpush_ticks_missed_total{source="balena"}"#);
        missed.is_some_and(|ticks| ticks >= 2.0).then_some(page)
    })
    .await;
    assert_eq!(value(&page, "balena_up"), Some(1.0), "{page}");
    assert_eq!(value(&page, "balena_fleets"), Some(3.0));
    program.logged("ticks were missed").await;
}

#[rstest]
#[tokio::test]
async fn an_interval_is_whole_seconds_or_has_a_unit(#[values("1", "1s", "1000ms")] interval: &str) {
    let api = api().await;
    let _program = Program::service(&api, &[("CRAWL_INTERVAL", interval)]);
    tokio::time::timeout(LIMIT, api.received(3)).await.expect("three cycles");
}

#[rstest]
#[case::the_default("60", 60)]
#[case::minutes("5m", 300)]
#[tokio::test]
async fn the_next_cycle_comes_within_the_interval(#[case] interval: &str, #[case] seconds: u64) {
    let api = api().await;
    let program = Program::service(&api, &[("CRAWL_INTERVAL", interval)]);
    let page = program.page().await;
    program.logged("message=collected").await;
    let left = eventually("the next cycle on the status page", LIMIT, async || {
        let text = get(&format!("{page}/?format=json")).await;
        serde_json::from_str::<serde_json::Value>(&text).ok()?["next_collect_seconds"].as_u64()
    })
    .await;
    assert!(left <= seconds, "{left}");
    assert_eq!(api.request_count(), 1);
}

#[tokio::test]
async fn an_interval_that_is_none_is_refused_with_its_name() {
    let mut program = Program::start(&[], &[("BALENA_TOKEN", "x"), ("CRAWL_INTERVAL", "5 min")]);
    assert_eq!(program.code().await, 2);
    let said = program.stderr();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("CRAWL_INTERVAL") && said.contains("\"5 min\""), "{said}");
}
