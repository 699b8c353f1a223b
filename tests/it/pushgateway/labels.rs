//! Labels that break a gateway for everyone, or our own series: what becomes of them, and that ours are refused.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use fleetpush::demo::balena::{Fleet, Options, Server, Simulation};
use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::program::{Program, get};
use crate::servers::Suite;

#[rstest]
#[tokio::test]
async fn an_explicit_empty_instance_stops_everybodys_pushes_and_ours_is_left_out(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let ours = Rig::new(gateway.url()).named("j", "");
    for value in [1.0, 2.0] {
        ours.push(counted(&[("a", value)])).await.expect("taken");
    }
    assert_eq!(keys_of(&gateway).await, [json!({"job": "j"})]);
    assert_eq!(raw_put(&gateway, "/metrics/job/other", "x 1\n").await.0, 200);
    is_sound(&gateway).await;

    assert_eq!(raw_put(&gateway, "/metrics/job/j/instance@base64/=", "y 1\n").await.0, 400);
    assert_eq!(raw_put(&gateway, "/metrics/job/other", "x 1\n").await.0, 400, "a push of anyone");
    let page = format!("{}/metrics", gateway.url());
    assert_eq!(raw(Method::GET, &page, "").await.0, 500);
    assert_eq!(raw(Method::GET, &format!("{}/-/ready", gateway.url()), "").await.0, 200);
    let error = ours.push(counted(&[("a", 3.0)])).await.expect_err("it is poisoned").explained();
    assert!(error.contains("a group of another pusher breaks the whole gateway"), "{error}");
    assert_eq!(raw_delete(&gateway, "/metrics/job/j/instance@base64/=").await, 202);
    ours.push(counted(&[("a", 4.0)])).await.expect("cured");
    assert_eq!(raw(Method::GET, &page, "").await.0, 200);
}

#[rstest]
#[tokio::test]
async fn a_key_that_is_no_utf8_stops_everybodys_pushes_and_cannot_be_configured(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let ours = Rig::new(gateway.url());
    assert_eq!(raw_put(&gateway, "/metrics/job/other/site@base64/_w", "x 1\n").await.0, 400);
    let page = format!("{}/metrics", gateway.url());
    assert_eq!(raw(Method::GET, &page, "").await.0, 500);
    let error = ours.push(counted(&[("a", 3.0)])).await.expect_err("it is poisoned").explained();
    assert!(error.contains("a group of another pusher breaks the whole gateway"), "{error}");
    assert_eq!(raw_delete(&gateway, "/metrics/job/other/site@base64/_w").await, 202);
    ours.push(counted(&[("a", 4.0)])).await.expect("cured");

    for name in ["PUSHGATEWAY_GROUPING", "FLEETPUSH_JOB", "FLEETPUSH_INSTANCE"] {
        let check = Command::new(env!("CARGO_BIN_EXE_fleetpush"))
            .arg("--config.check")
            .env_clear()
            .env("PUSHGATEWAY_URL", gateway.url())
            .env(name, OsStr::from_bytes(b"site=\xff"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&check.stderr);
        assert_eq!(check.status.code(), Some(2), "{said}");
        assert!(said.contains(name) && said.contains("UTF-8") && !said.contains("site"), "{said}");
    }
}

#[rstest]
#[tokio::test]
async fn labels_that_break_a_gateway_are_refused_by_the_configuration(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    for name in ["bad-name", "9a", "__name__", "__x"] {
        let (status, text) = raw_put(&gateway, &format!("/metrics/job/j/{name}/v"), "x 1\n").await;
        assert!(status == 400 && text.contains("improper label name"), "{name}: {status} {text}");
    }
    let histogram = "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n";
    assert_eq!(raw_put(&gateway, "/metrics/job/j/le/v", histogram).await.0, 200);
    let page = gateway.metrics().await;
    let bucket = page.lines().find(|line| line.starts_with("h_bucket")).unwrap();
    assert_eq!(bucket.matches("le=").count(), 2, "no Prometheus scrapes this page: {bucket}");

    for name in
        ["bad-name", "9a", "a.b", "ü", "__name__", "__x", "job", "instance", "le", "quantile", "component"]
    {
        let pair = format!("{name}=v");
        let error = configured(&[("PUSHGATEWAY_URL", gateway.url()), ("PUSHGATEWAY_GROUPING", &pair)]);
        let error = error.expect_err(name);
        assert!(error.contains("PUSHGATEWAY_GROUPING") && error.contains(name), "{error}");
        let error = file(&format!("pushgateways: [{{url: 'http://g', grouping: {{'{name}': v}}}}]\n"));
        assert!(error.expect_err(name).contains(name));
    }
    for (grouping, why) in [("site=", "is empty"), ("site=a,site=b", "stands twice")] {
        let error = configured(&[("PUSHGATEWAY_URL", gateway.url()), ("PUSHGATEWAY_GROUPING", grouping)]);
        let error = error.expect_err(grouping);
        assert!(error.contains("site") && error.contains(why), "{error}");
    }
}

#[rstest]
#[tokio::test]
async fn an_empty_label_makes_another_group_whose_series_look_the_same_and_is_refused(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    for path in ["/metrics/job/k", "/metrics/job/k/site/", "/metrics/job/k/"] {
        assert_eq!(raw_put(&gateway, path, "x 1\n").await.0, 200);
    }
    assert_eq!(keys_of(&gateway).await, [json!({"job": "k", "site": ""}), json!({"job": "k"})]);
    for grouping in ["site=", "site=  "] {
        let variables = [("PUSHGATEWAY_URL", gateway.url()), ("PUSHGATEWAY_GROUPING", grouping)];
        assert!(configured(&variables).unwrap_err().contains("is empty"));
    }
}

#[rstest]
#[tokio::test]
async fn a_job_or_instance_in_a_body_is_overwritten_and_no_series_of_ours_has_one(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let body = "x{job=\"body\",instance=\"body\"} 1\ny 1\n";
    assert_eq!(raw_put(&gateway, "/metrics/job/j", body).await.0, 200);
    let page = gateway.metrics().await;
    assert!(
        page.contains("x{instance=\"body\",job=\"j\"} 1") && page.contains("y{instance=\"\",job=\"j\"} 1")
    );

    let simulation = Simulation::new();
    simulation.add(Fleet::new("acme", "a"));
    let api = Server::start(simulation, Options::default()).await.unwrap();
    let program = Program::service(&api, &[("PUSHGATEWAY_URL", gateway.url())]);
    // The page shows the same batches without what a gateway adds.
    let address = format!("{}/metrics", program.page().await);
    let page = eventually("both sources on the page", LIMIT, async || {
        let page = get(&address).await;
        (page.contains("balena_devices{") && page.contains("fleetpush_sink_up{")).then_some(page)
    })
    .await;
    assert!(!page.contains("job=\"") && !page.contains("instance=\""), "{page}");
}

#[rstest]
#[tokio::test]
async fn a_label_twice_in_a_path_is_taken_without_a_word(#[values(Suite::Stock, Suite::New)] suite: Suite) {
    let gateway = Pushgateway::start(suite, &[]).await;
    for path in ["/metrics/job/j/site/a/site/b", "/metrics/job/j/job/k"] {
        assert_eq!(raw_put(&gateway, path, "x 1\n").await.0, 200);
    }
    assert_eq!(keys_of(&gateway).await, [json!({"job": "j", "site": "b"}), json!({"job": "j"})]);
    let twice = [("PUSHGATEWAY_URL", gateway.url()), ("PUSHGATEWAY_GROUPING", "site=a, site =b")];
    assert!(configured(&twice).unwrap_err().contains("stands twice"));
}

#[rstest]
#[tokio::test]
async fn a_grouping_label_that_our_series_carry_would_make_them_equal_and_is_refused(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let body = "d{fleet_name=\"a\"} 1\nd{fleet_name=\"b\"} 2\n";
    let (status, text) = raw_put(&gateway, "/metrics/job/j/fleet_name/x", body).await;
    assert!(status == 400 && text.contains("was collected before with the same name"), "{status} {text}");
    for label in ["fleet_name", "fleet_slug", "status", "sink", "source", "component"] {
        let error = Rig::new(gateway.url()).grouping(&[(label, "x")]).pusher().expect_err(label);
        assert!(matches!(&error, PushError::GroupingClash(name) if name.as_str() == label), "{error}");
    }
    let environment = [("PUSHGATEWAY_URL", gateway.url()), ("PUSHGATEWAY_GROUPING", "fleet_name=x")];
    let api = Server::start(Simulation::new(), Options::default()).await.unwrap();
    let mut program = Program::service(&api, &environment);
    assert_eq!(program.code().await, 2);
    assert!(program.stderr().contains("fleet_name"), "{}", program.stderr());
}

#[rstest]
#[tokio::test]
async fn the_same_series_under_another_groups_key_is_told_with_the_way_out(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
) {
    let gateway = Pushgateway::start(suite, &[]).await;
    let body = "# TYPE balena_devices gauge\nbalena_devices{instance=\"site\",fleet_name=\"a\"} 1\n";
    assert_eq!(raw_put(&gateway, "/metrics/job/balena", body).await.0, 200);
    let error = Rig::new(gateway.url()).push(counted(&[("a", 1.0)])).await.expect_err("it is there already");
    let said = error.explained();
    assert!(matches!(error, PushError::Refused { status: 400, .. }), "{said}");
    assert!(said.contains("balena_devices") && said.contains("its own instance or grouping"), "{said}");
}
