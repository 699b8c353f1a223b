//! `queue retry` against the real thing: samples that a Prometheus refuses as too old, until it has a window.

use std::time::Duration;

use fleetpush::queue::Queue;
use rstest::rstest;

use super::{Site, collected, stop};
use crate::program::LIMIT;
use crate::remote_rig::{Rig, now};
use crate::servers::{Prometheus, Suite, eventually};
use crate::wire::{one, post_1};

const HOUR: i64 = 3_600_000;
const WINDOW: &str = "{global: {scrape_interval: 1h}, storage: {tsdb: {out_of_order_time_window: 12h}}}";

/// Puts cycles of some hours ago into the site's queue, as an outage leaves them.
async fn outage(site: &Site, url: &str, times: &[i64]) {
    let mut rig = Rig::new(url);
    rig.queue = Queue::open(site.queue(), 64 << 20, Duration::from_secs(8 * 86_400)).unwrap();
    rig.queue.register("main").await.unwrap();
    for (number, at) in times.iter().enumerate() {
        rig.append(*at, &[("late", number as f64), ("later", 7.0)]);
    }
    rig.queue.close().await;
}

#[rstest]
#[tokio::test]
async fn samples_that_were_too_old_arrive_once_the_receiver_has_a_window(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
    #[values(true, false)] running: bool,
) {
    let site = Site::new().await;
    let mut prometheus = Prometheus::receiver(suite).await;
    site.endpoints(&[("main", &prometheus.write_url())]);
    let at = now();
    let times = [at - 4 * HOUR, at - 4 * HOUR + 1_000, at - 3 * HOUR, at - 3 * HOUR + 1_000];
    outage(&site, &prometheus.write_url(), &times).await;
    // Somebody else has written meanwhile.
    let other = vec![one(&[("__name__", "other")], &[(at, 1.0)])];
    assert!(post_1(&prometheus.write_url(), other).await.status().is_success());

    let said = site.command(&["once"]).await;
    assert_eq!(said.code, 4, "{}", said.err);
    assert!(said.err.contains("8 samples were refused"), "{}", said.err);
    assert_eq!(said.err.matches("reason=too_old").count(), 1, "a run of them is one line: {}", said.err);
    assert_eq!(said.err.matches("storage.tsdb.out_of_order_time_window").count(), 2, "and the complaint");
    let endpoint = site.endpoint("main").await;
    assert_eq!((&endpoint["refused_samples"], &endpoint["waiting_samples"]), (&8.into(), &0.into()));
    let text = site.ask(&["status"]).await;
    assert!(text.contains("`fleetpush queue retry --endpoint main` sends them again"), "{text}");

    // Too early: refused once more, and still kept.
    let said = site.ask(&["retry", "--endpoint", "main"]).await;
    assert!(said.contains("8 samples of 4 refused requests are sent again by the next"), "{said}");
    let said = site.command(&["once"]).await;
    assert_eq!(said.code, 4, "{}", said.err);
    let endpoint = site.endpoint("main").await;
    assert_eq!((&endpoint["refused_samples"], &endpoint["again_samples"]), (&8.into(), &0.into()));

    prometheus.restart_with(WINDOW).await;
    if running {
        let program = site.start(&[]);
        collected(&program, 1).await;
        let said = site.ask(&["retry", "--endpoint", "main"]).await;
        assert!(said.contains("are sent again once nothing else waits"), "{said}");
        eventually("nothing is kept any more", LIMIT, async || {
            (site.endpoint("main").await["refused_samples"] == 0).then_some(())
        })
        .await;
        let log = stop(program).await;
        assert!(!log.contains("level=error"), "{log}");
    } else {
        site.ask(&["retry", "--endpoint", "main"]).await;
        let said = site.command(&["once"]).await;
        assert_eq!(said.code, 0, "{}", said.err);
        assert_eq!(site.endpoint("main").await["refused_samples"], 0);
    }
    let late = prometheus.stored(r#"balena_devices{fleet_name="late"}[6h]"#, now()).await;
    let expected: Vec<(i64, f64)> = times.iter().zip(0_i32..).map(|(at, n)| (*at, f64::from(n))).collect();
    assert_eq!(late.len(), 1, "{late:?}");
    assert_eq!(late[0].1, expected);
    assert!(!prometheus.query("balena_up").await.is_empty(), "the new ones were never held up");
}
