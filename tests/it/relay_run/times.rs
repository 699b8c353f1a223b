//! Pages that tell times of their own, far from the tick's.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{World, in_order};
use crate::relay_scrape::site::Answer;
use crate::remote_rig::now;

const DAY_MS: i64 = 86_400_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_time_of_a_page_far_from_now_costs_and_moves_no_other_sample() {
    let world = Arc::new(World::new().await);
    let said = world.clone();
    let clocks = tokio::spawn(async move {
        loop {
            let (old, ahead) = (now() - 10 * DAY_MS, now() + 240_000);
            let page = format!("old 1 {old}\nahead 1 {ahead}\nfuture 1 {}\nhere 1\n", now() + DAY_MS);
            said.site.set("/a", Answer::text(&page));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let config = world.config(&json!([world.job("site", &["a"])]));
    let mut program = world.start(&config);
    world.arrives("here", "a", |samples| samples.len() >= 3).await;
    let log = program.stderr();
    assert!(!log.contains("max_age"), "{log}");
    // Each tick of the target has one, none of the program's own.
    let told = ["samples of relayed series are left out", "left out any more"];
    assert_eq!(told.map(|line| log.matches(line).count()), [1, 0], "{log}");
    program.signal("KILL");
    program.ended().await;
    let before = world.samples("here", "a").len();
    let program = world.start(&config);
    world.arrives("here", "a", |samples| samples.len() >= before + 3).await;
    let (here, now) = (world.samples("here", "a"), now());
    assert!(in_order(&here) && here.iter().all(|sample| sample.timestamp <= now), "{here:?} at {now}");
    drop(program);
    clocks.abort();
}
