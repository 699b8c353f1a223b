//! A server that asks to be left alone is left alone.

use std::time::Duration;

use fleetpush::clock::Clock;
use fleetpush::demo::balena::{Fault, Request, Times};
use rstest::rstest;

use super::{api, receiver};
use crate::program::{LIMIT, Program};

/// How long the server wants to be left alone, longer than any delay of our own.
const WAIT_MS: i64 = 3_000;

enum Asked {
    Seconds,
    Date,
}

impl Asked {
    /// The header, and the time before which no request may come; for seconds they count from the answer.
    fn header(&self) -> (String, Option<i64>) {
        match self {
            Asked::Seconds => ((WAIT_MS / 1_000).to_string(), None),
            Asked::Date => {
                // A whole second, and later than the start of a process takes.
                let at = (Clock::SYSTEM.now().0 + 2 * WAIT_MS) / 1_000;
                let date = jiff::Timestamp::from_second(at).unwrap().strftime("%a, %d %b %Y %H:%M:%S GMT");
                (date.to_string(), Some(at * 1_000))
            }
        }
    }
}

fn obeyed(requests: &[Request], not_before: Option<i64>) {
    let [first, second, ..] = requests else { panic!("two requests are missing") };
    let earliest = not_before.unwrap_or(first.at_ms + WAIT_MS);
    assert!(first.at_ms < earliest, "the first request came too late for this test to say anything");
    assert!(second.at_ms >= earliest, "{} ms too early", earliest - second.at_ms);
}

#[rstest]
#[tokio::test]
async fn remote_write_obeys_retry_after(
    #[values(Asked::Seconds, Asked::Date)] asked: Asked,
    #[values(429, 503)] status: u16,
) {
    let (api, remote) = (api().await, receiver().await);
    let (header, not_before) = asked.header();
    remote.inject(Fault::status(status).header("retry-after", &header), Times::Next(1));
    let url = remote.write_url();
    let _program = Program::service(&api, &[("REMOTE_WRITE_URL", &url)]);
    tokio::time::timeout(LIMIT, remote.received(2)).await.expect("two requests");
    obeyed(&remote.requests(), not_before);
}

#[rstest]
#[tokio::test]
async fn a_gateway_is_left_alone_until_there_is_something_newer(
    #[values(Asked::Seconds, Asked::Date)] asked: Asked,
) {
    let (api, gateway) = (api().await, receiver().await);
    let (header, not_before) = asked.header();
    gateway.inject(Fault::status(503).header("retry-after", &header), Times::Next(2));
    let url = gateway.base_url();
    let _program = Program::service(&api, &[("PUSHGATEWAY_URL", &url), ("CRAWL_INTERVAL", "1h")]);
    tokio::time::timeout(LIMIT, gateway.received(4)).await.expect("two tries of two groups");
    let mut requests = gateway.requests();
    let group = requests[0].target.clone();
    requests.retain(|request| request.target == group);
    obeyed(&requests, not_before);
}

#[rstest]
#[tokio::test]
async fn the_api_is_left_alone_as_long_as_it_asks(#[values(Asked::Seconds, Asked::Date)] asked: Asked) {
    let api = api().await;
    let (header, not_before) = asked.header();
    api.inject(Fault::RateLimit(header), Times::Next(1));
    let program = Program::service(&api, &[]);
    tokio::time::timeout(LIMIT, api.received(2)).await.expect("two requests");
    obeyed(&api.requests(), not_before);
    // A second went by between, with its tick: no cycle was left out silently.
    program.logged("result=rate_limited").await;
    let pauses = async || (program.stderr().matches("result=rate_limited").count() >= 2).then_some(());
    crate::servers::eventually("the pause in the log", Duration::from_secs(10), pauses).await;
}
