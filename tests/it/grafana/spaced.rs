//! The dashboards where a CronJob counts every 5 minutes, not quite regularly, one collect of which fails and one of
//! which does not run: a real Prometheus 3 that holds three hours of it, and each query at every minute of two.

use fleetpush::clock::Clock;

use crate::grafana::board::board;
use crate::grafana::ways::Site;
use crate::program::LIMIT;
use crate::servers::{Prometheus, Suite, eventually};

/// How late each cycle is, in seconds, turn by turn.
const LATE: [i64; 7] = [0, 40, -50, 20, -30, 55, -10];
const CYCLES: i64 = 40;

/// What one page says, said again at each cycle, as the text that promtool makes blocks of.
fn said_again(page: &str, now_ms: i64) -> String {
    let mut all = String::new();
    let mut kind = "";
    let mut series_count = 0;
    for line in page.lines() {
        if line.starts_with('#') {
            kind = line.strip_prefix("# TYPE ").map_or(kind, |rest| rest.rsplit(' ').next().unwrap());
            if line != "# EOF" {
                all.push_str(line);
                all.push('\n');
            }
            continue;
        }
        series_count += 1;
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let value: f64 = value.parse().expect("a number");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').expect("labels end");
        let comma = if labels.is_empty() { "" } else { "," };
        for cycle in 0..CYCLES {
            let back = CYCLES - 1 - cycle;
            // The last one is now.
            let at_ms =
                now_ms - 300_000 * back + if back == 0 { 0 } else { 1000 * LATE[(cycle % 7) as usize] };
            let failed = back == 9;
            if back == 18 || (failed && counts(name)) {
                continue;
            }
            let value = match name {
                "balena_up" if failed => 0.0,
                // Gone dark before the time that is asked about.
                "balena_devices_online" if labels.contains("\"attic\"") && back > 26 => 1.0,
                _ if kind == "counter" => value * (cycle + 1) as f64,
                _ if name.contains("timestamp") && value > 0.0 => value - (now_ms - at_ms) as f64 / 1000.0,
                _ => value,
            };
            let at = at_ms as f64 / 1000.0;
            all.push_str(&format!(
                "{name}{{job=\"balena\",instance=\"test\"{comma}{labels}}} {value} {at:.3}\n"
            ));
        }
    }
    assert!(series_count > 50, "a page with everything on it");
    all + "# EOF\n"
}

/// Whether a failed collect leaves it out.
fn counts(name: &str) -> bool {
    name.starts_with("balena_devices") || name.starts_with("balena_fleet")
}

#[tokio::test]
async fn a_dashboard_has_no_hole_where_cycles_are_five_minutes_apart() {
    let site = Site::start(None, None).await;
    site.darken();
    let url = format!("{}/metrics", site.program.page().await);
    let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
    let page = eventually("everything on the page", LIMIT, async || {
        let request = client.get(&url).header("accept", "application/openmetrics-text;version=1.0.0");
        let page = request.send().await.ok()?.text().await.ok()?;
        let wanted = [
            "balena_up 1",
            "balena_devices_online{fleet_name=\"attic\",fleet_slug=\"acme/attic\"} 0",
            "fleetpush_sink_dropped_samples_total{",
            "fleetpush_remote_write_not_written_samples_total{",
            "fleetpush_remote_write_deduplicated_samples_total{",
            "fleetpush_ticks_missed_total{",
            "fleetpush_queue_full_seconds ",
            "fleetpush_clock_skew_seconds ",
            "fleetpush_sink_parked{kind=\"remote_write\",sink=\"parked\"} 1",
        ];
        wanted.iter().all(|line| page.contains(&format!("\n{line}"))).then_some(page)
    })
    .await;
    drop(site);
    let page = said_again(&page, Clock::SYSTEM.now().0);
    let prometheus = Prometheus::holding(Suite::New, &page).await;
    let now = (prometheus.query("time() * 1000").await[0].1) as i64;
    let (start, minute, steps) = (now - 120 * 60_000, 60_000, 121);
    // What this is about: without a window the holes are there.
    let bare = prometheus.query_range("balena_devices_online", start, now, minute).await;
    assert!(!bare.is_empty() && bare.iter().all(|(_, points)| points.len() < steps), "{bare:?}");
    let mut asked = 0;
    for name in ["fleets", "sender"] {
        for panel in board(name).panels {
            for query in &panel.queries {
                let expr = Site::chosen().fill(&query.expr);
                let found = prometheus.query_range(&expr, start, now, minute).await;
                assert!(!found.is_empty(), "{name}: {}: nothing for {expr}", panel.title);
                for (labels, points) in found {
                    assert_eq!(points.len(), steps, "{name}: {}: {labels:?} by {expr}", panel.title);
                }
                asked += 1;
            }
        }
    }
    assert!(asked > 40, "{asked}");
}
