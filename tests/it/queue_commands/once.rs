//! `once` with a queue in a folder: what is kept, what goes on, and beside a `run`.

use fleetpush::demo::balena::{Fault, Times};

use super::{Site, arrived, cycles, last, receiver, stop};

#[tokio::test]
async fn beside_a_running_program_once_is_5_and_harms_nothing() {
    let (site, remote) = (Site::new().await, receiver().await);
    site.endpoints(&[("main", &remote.write_url())]);
    let program = site.start(&[]);
    arrived(&remote, 1).await;
    let asked = site.api.request_count();
    let said = site.command(&["once"]).await;
    assert_eq!(said.code, 5, "{}", said.err);
    let named = format!("is in use by pid {} on ", program.id());
    assert!(said.err.contains(&named) && said.out.is_empty(), "{}", said.err);
    arrived(&remote, cycles(&remote).len() + 2).await;
    let between = site.api.request_count() - asked;
    assert_eq!(site.endpoint("main").await["state"], "sending");
    let all = cycles(&remote);
    assert!(all.is_sorted() && all.len() as u64 <= asked + between, "only one has collected: {all:?}");
    let log = stop(program).await;
    assert!(!log.contains("level=error") && !log.contains("level=warn"), "{log}");
}

#[tokio::test]
async fn what_once_could_not_deliver_the_next_one_delivers_first() {
    let (site, remote) = (Site::new().await, receiver().await);
    site.endpoints(&[("main", &remote.write_url())]);
    remote.inject(Fault::status_with(401, "who are you"), Times::Always);
    for round in 1..=2 {
        let said = site.command(&["once"]).await;
        assert_eq!(said.code, 4, "{}", said.err);
        assert!(said.err.contains("stay in the queue for the next run"), "{}", said.err);
        assert!(!site.queue().join("lock").exists(), "nobody holds it now");
        let waiting = &site.endpoint("main").await;
        // One record of the account and one of the program itself.
        assert_eq!(waiting["waiting_records"], 2 * round, "{waiting}");
    }
    remote.clear_faults();
    let said = site.command(&["once"]).await;
    assert_eq!(said.code, 0, "{}", said.err);
    let all = cycles(&remote);
    assert_eq!(all.len(), 3);
    assert!(all.is_sorted());
    assert_eq!(site.endpoint("main").await["waiting_samples"], 0);
}

#[tokio::test]
async fn the_counters_of_once_go_on() {
    let (site, remote, other) = (Site::new().await, receiver().await, receiver().await);
    site.endpoints(&[("main", &remote.write_url()), ("gone", &other.write_url())]);
    let value = |metric: &str, label: (&str, &str)| {
        let all = last(&remote, metric);
        let found = all.into_iter().find(|(labels, _)| labels.get(label.0).is_some_and(|v| v == label.1));
        found.map(|(_, value)| value)
    };
    let mut totals = Vec::new();
    for round in 1..=3 {
        if round == 3 {
            site.endpoints(&[("main", &remote.write_url())]);
        }
        let said = site.command(&["once"]).await;
        assert_eq!(said.code, 0, "{}", said.err);
        assert_eq!(value("fleetpush_collects_total", ("result", "ok")), Some(f64::from(round)));
        totals.extend(value("prometheus_remote_storage_samples_total", ("remote_name", "main")));
    }
    // What is sent is counted after it, so the first one has nothing to say yet.
    assert_eq!(totals.len(), 2, "{totals:?}");
    assert!(totals[0] > 0.0 && totals[1] > totals[0], "{totals:?}");
    let gone = last(&remote, "prometheus_remote_storage_samples_total");
    let gone = gone.iter().find(|(labels, _)| labels["remote_name"] == "gone");
    assert!(gone.is_some_and(|(_, value)| value.is_nan()), "a sink that is gone has ended: {gone:?}");
}

#[tokio::test]
async fn the_next_once_says_at_one_sink_how_the_last_request_to_another_has_ended() {
    let (site, remote, other) = (Site::new().await, receiver().await, receiver().await);
    site.endpoints(&[("main", &remote.write_url()), ("other", &other.write_url())]);
    other.inject(Fault::status_with(401, "who are you"), Times::Always);
    let told = |metric: &str, label: &str, name: &str| {
        let all = last(&remote, metric);
        all.into_iter().find(|(labels, _)| labels[label] == name).map(|(_, value)| value)
    };
    let parked = |name: &str| told("fleetpush_sink_parked", "sink", name);
    let sent = |name: &str| {
        told("prometheus_remote_storage_queue_highest_sent_timestamp_seconds", "remote_name", name)
    };
    assert_eq!(site.command(&["once"]).await.code, 4);
    assert_eq!((parked("main"), parked("other")), (None, None), "nothing was asked before");
    assert_eq!(site.command(&["once"]).await.code, 4);
    assert_eq!((parked("main"), parked("other")), (Some(0.0), Some(1.0)));
    assert_eq!(told("fleetpush_sink_up", "sink", "other"), Some(0.0));
    assert!(sent("main").is_some_and(|at| at > 0.0) && sent("other").is_none());
    other.clear_faults();
    assert_eq!(site.command(&["once"]).await.code, 0);
    assert_eq!(parked("other"), Some(1.0), "as it was when that once began");
    assert_eq!(site.command(&["once"]).await.code, 0);
    assert_eq!((parked("other"), told("fleetpush_sink_up", "sink", "other")), (Some(0.0), Some(1.0)));
}
