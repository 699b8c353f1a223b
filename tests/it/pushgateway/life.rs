//! How groups come and change: what PUT and POST do to them, and what a gateway does that is not well.

use fleetpush::demo::http::{Fault, Times};
use fleetpush::demo::receiver;
use rstest::rstest;
use serde_json::json;

use super::site::{Site, both_groups, until, up};
use super::*;
use crate::servers::Suite;

#[rstest]
#[tokio::test]
async fn a_put_takes_away_what_a_post_has_added_to_the_group(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let rig = Rig::new(gateway.url());
    let key = json!({"job": "balena", "instance": "site"});
    let path = format!("{}/metrics/job/balena/instance/site", gateway.url());
    rig.push(counted(&[("a", 1.0), ("b", 2.0)])).await.expect("taken");
    let text = "balena_devices{fleet_name=\"c\"} 3\nforeign 1\n";
    let typed = format!("# TYPE balena_devices gauge\n{text}");
    assert_eq!(raw(Method::POST, &path, typed).await.0, 200);
    let added = group(&gateway, &key).await.unwrap();
    assert_eq!(fleets_of(&added, "balena_devices"), one("c", 3.0), "a POST replaces families of its names");
    assert!(!added["foreign"].is_null() && !added["balena_up"].is_null(), "and leaves the others");
    rig.push(counted(&[("a", 4.0)])).await.expect("taken");
    let replaced = group(&gateway, &key).await.unwrap();
    assert_eq!(fleets_of(&replaced, "balena_devices"), one("a", 4.0));
    assert!(replaced["foreign"].is_null(), "{replaced}");
}

#[rstest]
#[tokio::test]
async fn a_push_of_nothing_leaves_only_the_times_of_the_push(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let rig = Rig::new(gateway.url());
    let key = json!({"job": "balena", "instance": "site"});
    rig.push(counted(&[("a", 1.0)])).await.expect("taken");
    rig.push(counted(&[])).await.expect("an account without fleets");
    let left = group(&gateway, &key).await.unwrap();
    assert_eq!((up(&left), fleets_of(&left, "balena_devices").len()), (Some(1.0), 0));
    assert!(!gateway.metrics().await.contains("fleet_name"));
    rig.push(account(Vec::new())).await.expect("a source that is no more");
    let left = group(&gateway, &key).await.unwrap();
    let names: Vec<&str> = left.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["labels", "last_push_successful", "push_failure_time_seconds", "push_time_seconds"]);
    is_sound(&gateway).await;
}

#[rstest]
#[tokio::test]
async fn a_fleet_that_is_gone_vanishes_with_the_next_push(#[values(Suite::Stock, Suite::New)] suite: Suite) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let site = Site::new().await;
    let _program = site.service(&[("PUSHGATEWAY_URL", gateway.url())]);
    let names = |group: &Value| fleets_of(group, "balena_devices").into_keys().collect::<Vec<_>>();
    until("two fleets", &gateway, |group| names(group) == ["a", "b"]).await;
    let id = site.simulation.fleets()[0].id;
    assert!(site.simulation.remove(id));
    let left = until("one fleet", &gateway, |group| names(group) == ["b"]).await;
    for (name, _) in left.as_object().unwrap().iter().filter(|(name, _)| name.starts_with("balena_")) {
        assert!(!fleets_of(&left, name).contains_key("a"), "{name}");
    }
    is_sound(&gateway).await;
}

#[rstest]
#[tokio::test]
async fn a_failed_collect_posts_the_state_alone_and_the_counts_stay_untouched(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let site = Site::new().await;
    let program = site.service(&[("PUSHGATEWAY_URL", gateway.url())]);
    until("counts", &gateway, |group| up(group) == Some(1.0)).await;
    site.refuse();
    let first = until("a failed cycle", &gateway, |group| up(group) == Some(0.0)).await;
    let second = until("another one", &gateway, |group| {
        group["balena_up"]["time_stamp"] != first["balena_up"]["time_stamp"]
    })
    .await;
    let success = fleets_of(&second, "balena_collect_last_success_timestamp_seconds")[""];
    assert!(success > 1e9, "freshness is a value, where no sample may have a time: {success}");
    for name in ["balena_devices", "balena_devices_online", "balena_fleet_info"] {
        assert!(!fleets_of(&first, name).is_empty(), "{name}");
        assert_eq!(second[name], first[name], "{name}: neither its values nor the time of its push changed");
    }
    // The program's own group goes on by PUT.
    program.logged("collecting failed").await;
    eventually("failed cycles are counted", LIMIT, async || {
        let own = group(&gateway, &our_keys()[0]).await?;
        own["fleetpush_collects_total"].to_string().contains("unauthorized").then_some(())
    })
    .await;
    is_sound(&gateway).await;
}

#[rstest]
#[tokio::test]
async fn counts_that_have_become_too_old_are_taken_away(#[values(Suite::Stock, Suite::New)] suite: Suite) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let site = Site::new().await;
    let url = gateway.url();
    let _program =
        site.service_with(&format!("stale_after: 1s\npushgateways: [{{name: site, url: '{url}'}}]\n"));
    until("counts", &gateway, |group| !group["balena_devices"].is_null()).await;
    site.refuse();
    let left = until("no counts", &gateway, |group| group["balena_devices"].is_null()).await;
    assert_eq!(up(&left), Some(0.0));
    assert!(left["balena_fleet_info"].is_null(), "{left}");
    site.api.clear_faults();
    until("counts again", &gateway, |group| up(group) == Some(1.0) && !group["balena_devices"].is_null())
        .await;
}

#[rstest]
#[tokio::test]
async fn a_new_process_that_cannot_count_leaves_the_counts_of_the_one_before(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let site = Site::new().await;
    let mut program = site.service(&[("PUSHGATEWAY_URL", gateway.url())]);
    until("counts", &gateway, |group| up(group) == Some(1.0)).await;
    program.signal("TERM");
    assert_eq!(program.code().await, 0);
    site.refuse();
    let _successor = site.service(&[("PUSHGATEWAY_URL", gateway.url())]);
    let group = until("its first cycle", &gateway, |group| up(group) == Some(0.0)).await;
    assert_eq!(fleets_of(&group, "balena_devices").len(), 2);
}

#[rstest]
#[tokio::test]
async fn a_gateway_that_lost_everything_has_it_again_although_nothing_has_changed(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let mut gateway = Pushgateway::start(suite, &[]).await;
    let site = Site::new().await;
    site.set_devices("a", 3);
    let _program = site.service(&[("PUSHGATEWAY_URL", gateway.url())]);
    both_groups(&gateway).await;
    gateway.kill();
    gateway.restart().await;
    both_groups(&gateway).await;
    until("the same counts", &gateway, |group| fleets_of(group, "balena_devices").get("a") == Some(&3.0))
        .await;
    is_sound(&gateway).await;
}

#[rstest]
#[tokio::test]
async fn a_gateway_that_lost_everything_while_nothing_can_be_counted_has_the_last_counts_again(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let mut gateway = Pushgateway::start(suite, &[]).await;
    let site = Site::new().await;
    site.set_devices("a", 3);
    let program = site.service(&[("PUSHGATEWAY_URL", gateway.url())]);
    both_groups(&gateway).await;
    site.refuse();
    until("a failed cycle", &gateway, |group| up(group) == Some(0.0)).await;
    gateway.kill();
    program.logged("/instance/test was not reached").await;
    gateway.restart().await;
    let group = until("the state and the counts", &gateway, |group| !group["balena_devices"].is_null()).await;
    assert_eq!((up(&group), fleets_of(&group, "balena_devices")["a"]), (Some(0.0), 3.0));
}

#[rstest]
#[tokio::test]
async fn a_gateway_that_hangs_and_one_that_is_dead_do_not_hold_up_the_third(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let (hanging, mut dead) = (Pushgateway::start(suite, &[]).await, Pushgateway::start(suite, &[]).await);
    let live = Pushgateway::start(suite, &[]).await;
    dead.stop().await;
    let site = Site::new().await;
    let entry = |name: &str, gateway: &Pushgateway| format!("- {{name: {name}, url: '{}'}}\n", gateway.url());
    let entries = [entry("hanging", &hanging), entry("dead", &dead), entry("live", &live)].concat();
    hanging.signal("STOP");
    let program = site.service_with(&format!("pushgateways:\n{entries}"));
    for devices in 1..=5 {
        site.set_devices("a", devices);
        let follows = |group: &Value| fleets_of(group, "balena_devices").get("a") == Some(&(devices as f64));
        until("the live one follows", &live, follows).await;
    }
    let page = crate::program::get(&format!("{}/metrics", program.page().await)).await;
    for (name, value) in [("hanging", 0), ("dead", 0), ("live", 1)] {
        let line = format!("fleetpush_sink_up{{kind=\"pushgateway\",sink=\"{name}\"}} {value}");
        assert!(page.contains(&line), "{line} is missing:\n{page}");
    }
    hanging.signal("CONT");
    dead.restart().await;
    for gateway in [&hanging, &dead] {
        until("the newest count", gateway, |group| fleets_of(group, "balena_devices").get("a") == Some(&5.0))
            .await;
        is_sound(gateway).await;
    }
}

#[rstest]
#[tokio::test]
async fn a_push_without_an_answer_is_sent_again_and_does_no_harm(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let site = Site::new().await;
    let url = gateway.url();
    let program =
        site.service_with(&format!("pushgateways: [{{name: site, url: '{url}', timeout: 300ms}}]\n"));
    until("counts", &gateway, |group| up(group) == Some(1.0)).await;
    gateway.signal("STOP");
    site.set_devices("b", 7);
    program.logged("no complete answer in time").await;
    gateway.signal("CONT");
    until("the newest count", &gateway, |group| fleets_of(group, "balena_devices").get("b") == Some(&7.0))
        .await;
    program.logged("delivering again").await;
    assert_eq!(keys_of(&gateway).await, our_keys());
    is_sound(&gateway).await;
}

#[tokio::test]
async fn a_group_that_is_refused_leaves_the_other_source_its_own() {
    let server = receiver::Server::start(receiver::Options::default()).await.unwrap();
    let site = Site::new().await;
    server.inject_on("/component/fleetpush", Fault::status_with(400, "no"), Times::Always);
    let program = site.service(&[("PUSHGATEWAY_URL", &server.base_url())]);
    for devices in 1..=3 {
        site.set_devices("a", devices);
        eventually("the account's group follows", LIMIT, async || {
            let group = server.groups().into_values().next()?;
            let points = &group.families.get("balena_devices")?.points;
            let point =
                points.iter().find(|point| point.labels.get("fleet_name").is_some_and(|n| n == "a"))?;
            (point.value == devices as f64).then_some(())
        })
        .await;
    }
    program.logged("samples refused or dropped").await;
    assert!(server.groups().keys().all(|key| !key.contains_key("component")));
    server.clear_faults();
    eventually("both groups", LIMIT, async || (server.groups().len() == 2).then_some(())).await;
}
