//! How groups go: DELETE, the command, a clean stop.

use rstest::rstest;
use serde_json::json;

use super::site::{Site, up};
use super::*;
use crate::program::{Program, TOKEN};
use crate::servers::Suite;

#[rstest]
#[tokio::test]
async fn a_delete_takes_the_exact_group_and_answers_alike_for_one_that_is_not_there(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let rig = Rig::new(gateway.url());
    rig.push(counted(&[("a", 1.0)])).await.expect("taken");
    rig.push(own(1.0)).await.expect("taken");
    assert_eq!(raw_delete(&gateway, "/metrics/job/balena").await, 202, "a job alone is another group");
    assert_eq!(raw_delete(&gateway, "/metrics/job/nobody").await, 202);
    let coded = reqwest::Client::builder().no_proxy().build().unwrap();
    let coded = coded.delete(format!("{}/metrics/job/balena/instance/site", gateway.url()));
    let answer = coded.header("content-encoding", "gzip").send().await.unwrap();
    assert_eq!(answer.status(), 400, "a DELETE with a Content-Encoding");
    // Deletions are done in the order of their coming, so those above are behind us.
    assert_eq!(raw_put(&gateway, "/metrics/job/marker", "x 1\n").await.0, 200);
    assert_eq!(gateway.groups().await.len(), 3);

    let pusher = rig.pusher().unwrap();
    let account = [Source::Account("balena".into())];
    assert_eq!(pusher.delete(&account).await.expect("accepted"), 1);
    assert_eq!(pusher.delete(&account).await.expect("accepted again"), 1);
    let own = json!({"component": "fleetpush", "instance": "site", "job": "balena"});
    let left = [own, json!({"job": "marker"})];
    eventually("the account's group is gone and no other", LIMIT, async || {
        (keys_of(&gateway).await == left).then_some(())
    })
    .await;
}

#[rstest]
#[tokio::test]
async fn the_command_deletes_our_groups_and_only_ours(#[values(Suite::Stock, Suite::New)] suite: Suite) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let others = [
        "/metrics/job/balena",
        "/metrics/job/balena/instance/other",
        "/metrics/job/balena/instance/test",
        "/metrics/job/other/instance/test/site/a",
    ];
    for path in others {
        assert_eq!(raw_put(&gateway, path, "x{y=\"1\"} 1\n").await.0, 200);
    }
    let site = Site::new().await;
    let url = site.api.base_url();
    let grouping = [("PUSHGATEWAY_GROUPING", "site=a/b"), ("PUSHGATEWAY_URL", gateway.url())];
    let environment = [("FLEETPUSH_INSTANCE", "test"), ("FLEETPUSH_QUEUE_DIR", "memory")];
    let environment = [&grouping[..], &environment].concat();
    let account = [("BALENA_TOKEN", TOKEN), ("BALENA_API_URL", url.as_str())];
    let mut once = Program::start(&["once"], &[&environment[..], &account].concat());
    assert_eq!(once.code().await, 0, "{}", once.stderr());
    assert_eq!(gateway.groups().await.len(), others.len() + 2);

    // Without a token: what is deleted does not depend on the account.
    let mut command = Program::start(&["pushgateway", "delete"], &environment);
    assert_eq!(command.code().await, 0, "{}", command.stderr());
    assert_eq!(command.stdout(), "2 groups deleted\n");
    eventually("only the others are left", LIMIT, async || {
        (gateway.groups().await.len() == others.len()).then_some(())
    })
    .await;
    assert!(gateway.groups().await.iter().all(|group| !group["x"].is_null()));
}

#[tokio::test]
async fn a_gateway_that_deletes_nothing_is_named_and_the_command_fails() {
    let mut gateway = Pushgateway::start(Suite::New, &[]).await;
    gateway.stop().await;
    let mut command = Program::start(&["pushgateway", "delete"], &[("PUSHGATEWAY_URL", gateway.url())]);
    assert_eq!(command.code().await, 4);
    assert!(command.stderr().contains(gateway.url()), "{}", command.stderr());
    let mut command = Program::start(&["pushgateway", "delete"], &[]);
    assert_eq!(command.code().await, 2);
    assert!(command.stderr().contains("PUSHGATEWAY_URL"), "{}", command.stderr());
}

#[rstest]
#[tokio::test]
async fn a_clean_stop_deletes_our_groups_only_where_it_is_set_so(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
    #[values("true", "false")] set: &str,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    assert_eq!(raw_put(&gateway, "/metrics/job/z", "x 1\n").await.0, 200);
    let site = Site::new().await;
    let environment = [("PUSHGATEWAY_URL", gateway.url()), ("PUSHGATEWAY_DELETE_ON_EXIT", set)];
    let mut program = site.service(&environment);
    eventually("our groups", LIMIT, async || (gateway.groups().await.len() == 3).then_some(())).await;
    program.signal("TERM");
    assert_eq!(program.code().await, 0);
    // A PUT is done after the deletions that came before it.
    assert_eq!(raw_put(&gateway, "/metrics/job/z", "x 1\n").await.0, 200);
    let left = if set == "true" { 1 } else { 3 };
    assert_eq!(gateway.groups().await.len(), left, "{}", program.stderr());
}

#[rstest]
#[tokio::test]
async fn a_run_of_once_leaves_its_groups_whatever_delete_on_exit_says(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let site = Site::new().await;
    let url = site.api.base_url();
    let mut once = Program::start(
        &["once"],
        &[
            ("BALENA_TOKEN", TOKEN),
            ("BALENA_API_URL", &url),
            ("FLEETPUSH_INSTANCE", "test"),
            ("FLEETPUSH_QUEUE_DIR", "memory"),
            ("PUSHGATEWAY_URL", gateway.url()),
            ("PUSHGATEWAY_DELETE_ON_EXIT", "true"),
        ],
    );
    assert_eq!(once.code().await, 0, "{}", once.stderr());
    assert_eq!(raw_put(&gateway, "/metrics/job/z", "x 1\n").await.0, 200);
    assert_eq!(keys_of(&gateway).await[..2], our_keys());
    let account = group(&gateway, &our_keys()[1]).await.unwrap();
    assert_eq!((up(&account), fleets_of(&account, "balena_devices").len()), (Some(1.0), 2));
}
