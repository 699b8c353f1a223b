//! One of two replicas, of which the receiver takes the series of the one that speaks.

use super::{api, receiver, samples_of, value};
use crate::program::{LIMIT, Program, get};
use crate::servers::eventually;

#[tokio::test]
async fn a_replica_that_cannot_collect_falls_silent_by_remote_write_alone() {
    let (api, remote, gateway) = (api().await, receiver().await, receiver().await);
    let environment = [
        ("REMOTE_WRITE_URL", remote.write_url()),
        ("PUSHGATEWAY_URL", gateway.base_url()),
        ("FLEETPUSH_EXTERNAL_LABELS", "cluster=north,__replica__=a".to_owned()),
        ("CRAWL_INTERVAL", "200ms".to_owned()),
    ];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let program = Program::service(&api, &environment);
    let page = format!("{}/metrics", program.page().await);
    let spoken = async || (samples_of(&remote, "balena_up") > 2).then_some(());
    eventually("samples", LIMIT, spoken).await;

    api.set_outage(true);
    program.logged("collecting failed").await;
    eventually("balena_up 0 on the page", LIMIT, async || {
        (value(&get(&page).await, "balena_up") == Some(0.0)).then_some(())
    })
    .await;
    eventually("what was counted before has arrived", LIMIT, async || {
        (value(&get(&page).await, "fleetpush_queue_records") == Some(0.0)).then_some(())
    })
    .await;
    let (before, pushes) = (remote.request_count(), gateway.request_count());
    eventually("more failed cycles reach the gateway", LIMIT, async || {
        (gateway.request_count() >= pushes + 5).then_some(())
    })
    .await;
    assert_eq!(remote.request_count(), before, "nothing of a failed cycle is sent");

    api.set_outage(false);
    eventually("it speaks again", LIMIT, async || (remote.request_count() > before).then_some(())).await;
    let ups = remote.samples();
    let ups = ups.iter().filter(|(labels, _)| labels["__name__"] == "balena_up").flat_map(|(_, s)| s);
    assert!(ups.clone().count() > 2 && ups.clone().all(|sample| sample.value() == 1.0), "never a 0");
}
