//! The worker with every receiver: what they do to 2.0 and to samples that they refuse costs nothing else.

mod play;
mod rows;

use fleetpush::config::ProtobufMessage;
use fleetpush::demo::receiver::{Personality, Version};
use rstest::rstest;

use crate::remote_rig::{LIMIT, Rig, data, now, simulated, stored};
use crate::servers::{Prometheus, Suite, VictoriaMetrics, eventually};

use Personality::{Cortex, Prometheus3, Prometheus242, Thanos, VictoriaMetrics as Victoria};
use Version::{One, Two};

#[rstest]
#[case(Prometheus242, 204)]
#[case(Victoria, 204)]
#[case(Thanos, 200)]
#[tokio::test]
async fn a_receiver_that_swallows_2_0_gets_the_same_samples_as_1_0(
    #[case] personality: Personality,
    #[case] status: u16,
) {
    let server = simulated(personality).await;
    let rig = Rig::new(&server.write_url());
    let at = now();
    for cycle in 0..3 {
        rig.append(at + cycle, &[("a", 1.0), ("b", 2.0)]);
    }
    let drained = rig.drain().await;
    assert_eq!((drained.delivered_samples, drained.waiting_samples, drained.last_error), (6, 0, None));
    assert_eq!(data(&server), [(One, 2, status); 3]);
    assert_eq!(stored(&server, "b"), [(at, 2.0), (at + 1, 2.0), (at + 2, 2.0)]);
    // The question, the samples as 2.0, and three times as 1.0.
    assert_eq!(server.request_count(), 5);
}

#[rstest]
#[case(Prometheus3)]
#[case(Cortex)]
#[tokio::test]
async fn a_receiver_of_2_0_gets_it_and_says_what_it_has_written(#[case] personality: Personality) {
    let server = simulated(personality).await;
    let rig = Rig::new(&server.write_url()).external("site", "north");
    rig.append(now(), &[("a", 1.0), ("b", 2.0)]);
    let drained = rig.drain().await;
    assert_eq!((drained.delivered_samples, drained.last_error), (2, None));
    assert_eq!(data(&server), [(Two, 2, 204)]);
    let delivered = server.deliveries().pop().expect("one");
    assert_eq!(delivered.written, 2);
    let series = &delivered.series[0];
    assert_eq!((series.kind, series.help.as_str()), (2, "Registered devices"));
    let names: Vec<_> = series.sent.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(names, ["__name__=balena_devices", "fleet_name=a", "job=balena", "site=north"]);
    assert_eq!(rig.metric("fleetpush_remote_write_not_written_samples_total", &[]), 0.0);
}

#[rstest]
#[case(Prometheus242, One, &[2, 2, 1, 1, 2], true)]
#[case(Prometheus3, Two, &[2, 2, 2], false)]
#[case(Cortex, Two, &[2, 2, 2], false)]
#[case(Thanos, One, &[2, 2, 2], false)]
#[tokio::test]
async fn older_samples_are_set_aside_and_good_and_later_ones_arrive(
    #[case] personality: Personality,
    #[case] version: Version,
    #[case] sizes: &[usize],
    #[case] found_alone: bool,
) {
    let server = simulated(personality).await;
    let rig = Rig::new(&server.write_url());
    let at = now();
    rig.append(at, &[("a", 1.0), ("other", 1.0)]);
    rig.append(at - 1_000, &[("a", 2.0), ("good", 2.0)]);
    rig.append(at + 1, &[("a", 3.0), ("good", 3.0)]);
    let drained = rig.drain().await;
    assert_eq!(drained.waiting_samples, 0);
    assert_eq!(stored(&server, "a"), [(at, 1.0), (at + 1, 3.0)]);
    assert_eq!(stored(&server, "good"), [(at - 1_000, 2.0), (at + 1, 3.0)]);
    let requests = data(&server);
    assert!(requests.iter().all(|(spoken, ..)| *spoken == version), "{requests:?}");
    let sent: Vec<usize> = requests.iter().map(|(_, samples, _)| *samples).collect();
    assert_eq!(sent, sizes);
    let refused = rig.refused();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].samples, if found_alone { 1 } else { 2 });
    let dropped = rig.metric("fleetpush_sink_dropped_samples_total", &["out_of_order"]);
    // Thanos keeps the good one too, but does not say so.
    assert_eq!(dropped, if personality == Thanos { 2.0 } else { 1.0 });
    assert!(drained.last_error.expect("why").contains("out of order"));
}

#[rstest]
#[case(Prometheus242)]
#[case(Prometheus3)]
#[case(Cortex)]
#[case(Thanos)]
#[tokio::test]
async fn the_same_time_with_another_value_is_a_duplicate(#[case] personality: Personality) {
    let server = simulated(personality).await;
    let rig = Rig::new(&server.write_url());
    let at = now();
    rig.append(at, &[("a", 1.0)]);
    rig.append(at, &[("a", 1.0)]);
    rig.append(at, &[("a", 2.0)]);
    rig.append(at + 1, &[("a", 3.0)]);
    let drained = rig.drain().await;
    assert_eq!((drained.delivered_samples, drained.refused_samples), (3, 1));
    assert_eq!(rig.metric("fleetpush_sink_dropped_samples_total", &["duplicate"]), 1.0);
    assert_eq!(stored(&server, "a"), [(at, 1.0), (at + 1, 3.0)]);
}

#[rstest]
#[case(Prometheus242)]
#[case(Prometheus3)]
#[case(Cortex)]
#[case(Thanos)]
#[tokio::test]
async fn samples_beyond_the_receivers_window_are_too_old(#[case] personality: Personality) {
    let server = simulated(personality).await;
    let rig = Rig::new(&server.write_url());
    let at = now();
    rig.append(at, &[("a", 1.0)]);
    rig.append(at - 3 * 3_600_000, &[("b", 1.0)]);
    rig.append(at + 1, &[("b", 2.0)]);
    let drained = rig.drain().await;
    assert_eq!((drained.delivered_samples, drained.refused_samples), (2, 1));
    assert_eq!(rig.metric("fleetpush_sink_dropped_samples_total", &["too_old"]), 1.0);
    assert!(drained.last_error.expect("why").contains("out_of_order_time_window"));
}

#[tokio::test]
async fn a_receiver_that_takes_anything_refuses_nothing() {
    let server = simulated(Victoria).await;
    let rig = Rig::new(&server.write_url());
    let at = now();
    rig.append(at, &[("a", 1.0)]);
    rig.append(at, &[("a", 2.0)]);
    rig.append(at - 3 * 3_600_000, &[("a", 3.0)]);
    let drained = rig.drain().await;
    assert_eq!((drained.delivered_samples, drained.refused_samples), (3, 0));
}

#[tokio::test]
async fn a_tenant_that_is_missing_parks_with_the_next_step() {
    use fleetpush::demo::receiver::{Options, Server};
    let options = Options { personality: Cortex, needs_tenant: true, ..Options::default() };
    let server = Server::start(options).await.expect("a free port");
    let mut rig = Rig::new(&server.write_url());
    rig.append(now(), &[("a", 1.0)]);
    let drained = rig.drain().await;
    assert!(drained.parked && drained.waiting_samples == 1);
    let error = drained.last_error.expect("why");
    assert!(error.contains("401: no org id") && error.contains("X-Scope-OrgID"), "{error}");

    rig.endpoint.http.headers.push(("X-Scope-OrgID".into(), "tenant-1".into()));
    assert_eq!(rig.drain().await.delivered_samples, 1);
}

mod real {
    use super::*;

    /// Three cycles, a second apart, the last of them now.
    fn three_cycles(rig: &Rig, at: i64) {
        for (age, value) in [(2_000, 1.0), (1_000, 2.0), (0, 3.0)] {
            rig.append(at - age, &[("a", value), ("b", 10.0 * value)]);
        }
    }

    fn expected(at: i64, factor: f64) -> Vec<(i64, f64)> {
        vec![(at - 2_000, factor), (at - 1_000, 2.0 * factor), (at, 3.0 * factor)]
    }

    async fn found(server: &Prometheus, fleet: &str, at: i64) -> Vec<(i64, f64)> {
        let range = format!("balena_devices{{fleet_name={fleet:?},job=\"balena\"}}[5m]");
        server.stored(&range, at + 10_000).await.pop().map(|(_, points)| points).unwrap_or_default()
    }

    #[tokio::test]
    async fn every_prometheus_stores_all_samples_in_the_version_that_it_knows() {
        for suite in Suite::ALL {
            let server = Prometheus::receiver(suite).await;
            let rig = Rig::new(&server.write_url());
            let at = now();
            three_cycles(&rig, at);
            let drained = rig.drain().await;
            assert_eq!((drained.delivered_samples, drained.last_error), (6, None), "{suite:?}");
            assert_eq!(found(&server, "a", at).await, expected(at, 1.0), "{suite:?}");
            assert_eq!(found(&server, "b", at).await, expected(at, 10.0), "{suite:?}");
            assert_eq!(rig.metric("fleetpush_remote_write_not_written_samples_total", &[]), 0.0);
            let status = rig.status().expect("it is at work").protocol;
            let known = if suite == Suite::Stock { "remote write 1.0" } else { "remote write 2.0" };
            assert_eq!(status, Some(known));
        }
    }

    #[tokio::test]
    async fn every_prometheus_takes_1_0_where_it_is_pinned() {
        for suite in Suite::ALL {
            let server = Prometheus::receiver(suite).await;
            let rig = Rig::new(&server.write_url()).message(ProtobufMessage::V1);
            let at = now();
            three_cycles(&rig, at);
            assert_eq!(rig.drain().await.delivered_samples, 6, "{suite:?}");
            assert_eq!(found(&server, "a", at).await, expected(at, 1.0), "{suite:?}");
        }
    }

    #[tokio::test]
    async fn every_victoria_metrics_stores_all_samples_though_it_swallows_2_0() {
        for suite in Suite::ALL {
            let server = VictoriaMetrics::start(suite, &[]).await;
            let rig = Rig::new(&server.write_url());
            let at = now();
            three_cycles(&rig, at);
            assert_eq!(rig.drain().await.delivered_samples, 6, "{suite:?}");
            // What was taken a moment ago may not be searchable yet.
            let stored = eventually("all samples are found", LIMIT, async || {
                let found = server.stored("balena_devices{fleet_name=\"a\"}").await;
                found.into_iter().next().filter(|(_, points)| points.len() >= 3)
            })
            .await;
            assert_eq!(stored.1, expected(at, 1.0), "{suite:?}");
        }
    }

    #[tokio::test]
    async fn what_a_prometheus_refuses_is_set_aside_by_reason_and_the_rest_arrives() {
        for suite in Suite::ALL {
            let server = Prometheus::receiver(suite).await;
            let rig = Rig::new(&server.write_url());
            let at = now();
            rig.append(at, &[("a", 1.0), ("b", 1.0), ("c", 1.0)]);
            rig.append(at - 1_000, &[("a", 2.0), ("good", 2.0), ("better", 2.0)]);
            rig.append(at - 3 * 3_600_000, &[("b", 2.0)]);
            rig.append(at, &[("c", 2.0)]);
            rig.append(at + 1, &[("a", 3.0), ("b", 3.0), ("c", 3.0)]);
            let drained = rig.drain().await;
            assert_eq!(
                (drained.delivered_samples, drained.refused_samples, drained.waiting_samples),
                (8, 3, 0)
            );
            for fleet in ["a", "b", "c"] {
                assert_eq!(found(&server, fleet, at).await, [(at, 1.0), (at + 1, 3.0)], "{suite:?} {fleet}");
            }
            for fleet in ["good", "better"] {
                assert_eq!(found(&server, fleet, at).await, [(at - 1_000, 2.0)], "{suite:?} {fleet}");
            }
            for reason in ["out_of_order", "too_old", "duplicate"] {
                let dropped = rig.metric("fleetpush_sink_dropped_samples_total", &[reason]);
                assert_eq!(dropped, 1.0, "{suite:?} {reason}: {drained:?}");
            }
            assert_eq!(rig.refused().len(), 3, "{suite:?}");
        }
    }
}
