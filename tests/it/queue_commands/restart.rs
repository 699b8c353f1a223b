//! What a restart leaves as it was: cursors, series, what is known of a receiver.

use fleetpush::demo::receiver::{Options, Personality, Request, Server, Version};
use rstest::rstest;
use serde_json::json;

use super::{Site, arrived, collected, cycles, kill, receiver, stop};
use crate::program::LIMIT;
use crate::servers::{Prometheus, Suite, eventually};

#[tokio::test]
async fn a_changed_url_under_the_same_name_keeps_the_cursor() {
    let (site, before, after) = (Site::new().await, receiver().await, receiver().await);
    site.endpoints(&[("main", &before.write_url())]);
    let program = site.start(&[]);
    arrived(&before, 2).await;
    before.set_outage(true);
    collected(&program, 2).await;
    kill(program).await;
    let waiting = site.endpoint("main").await;
    assert_ne!(waiting["waiting_samples"], 0, "{waiting}");
    site.endpoints(&[("main", &after.write_url())]);
    let program = site.start(&[]);
    collected(&program, 2).await;
    arrived(&after, 3).await;
    stop(program).await;
    let (old, new) = (cycles(&before), cycles(&after));
    assert!(old.last().unwrap() < new.first().unwrap(), "{old:?} {new:?}");
    assert!(new.is_sorted());
    // Each cycle went to one of them; an end may come between the API's answer and the queue.
    let (asked, came) = (site.api.request_count(), (old.len() + new.len()) as u64);
    assert!(came <= asked && asked - came <= 2, "{asked} cycles: {old:?} {new:?}");
}

#[rstest]
#[tokio::test]
async fn a_fleet_that_goes_while_the_program_is_down_has_ended_in_the_next_cycle(
    #[values(Suite::Stock, Suite::New)] suite: Suite,
    #[values(true, false)] killed: bool,
) {
    let site = Site::new().await;
    let prometheus = Prometheus::receiver(suite).await;
    site.endpoints(&[("main", &prometheus.write_url())]);
    let fleets = async || {
        let found = prometheus.query("balena_devices").await;
        found.into_iter().map(|(labels, _)| labels["fleet_name"].clone()).collect::<Vec<_>>()
    };
    let shows = async |wanted: &[&str]| {
        eventually(&format!("{wanted:?}"), LIMIT, async || (fleets().await == wanted).then_some(())).await;
    };
    let program = site.start(&[]);
    shows(&["north", "south"]).await;
    if killed {
        kill(program).await
    } else {
        drop(stop(program).await)
    }
    let north = site.simulation.fleet("acme/north").unwrap();
    assert!(site.simulation.remove(north.id));
    assert_eq!(fleets().await, ["north", "south"], "nobody has said that it ended");
    let program = site.start(&[]);
    shows(&["south"]).await;
    let log = stop(program).await;
    assert!(!log.contains("level=error"), "{log}");
}

#[rstest]
#[case::two(Personality::Prometheus3, Version::Two)]
#[case::one(Personality::Prometheus242, Version::One)]
#[tokio::test]
async fn a_receiver_is_asked_once_which_version_it_speaks_however_often_we_start(
    #[case] personality: Personality,
    #[case] version: Version,
) {
    let site = Site::new().await;
    let options = Options { personality, ..Options::default() };
    let remote = Server::start(options).await.unwrap();
    site.endpoints(&[("main", &remote.write_url())]);
    for round in 1..=3 {
        let program = site.start(&[]);
        arrived(&remote, round * 2).await;
        if round == 2 {
            kill(program).await
        } else {
            drop(stop(program).await)
        }
        let said = site.command(&["once"]).await;
        assert_eq!(said.code, 0, "{}", said.err);
    }
    let with_series = remote.deliveries().into_iter().filter(|one| !one.series.is_empty());
    let versions: Vec<Version> = with_series.map(|one| one.version).collect();
    assert!(versions.iter().all(|spoken| *spoken == version), "{versions:?}");
    let of_two = |request: &&Request| {
        request.header("content-type").is_some_and(|it| it.contains("io.prometheus.write.v2"))
    };
    // An empty request has no series to compress.
    let questions = remote.requests().iter().filter(of_two).filter(|request| request.body_len < 16).count();
    assert_eq!(questions, 1);
}

#[rstest]
#[case::now("now", false)]
#[case::oldest("oldest", true)]
#[tokio::test]
async fn a_new_endpoint_begins_where_it_is_told_to(#[case] start: &str, #[case] gets_the_old: bool) {
    let (site, first, new) = (Site::new().await, receiver().await, receiver().await);
    site.endpoints(&[("first", &first.write_url())]);
    first.set_outage(true);
    let program = site.start(&[]);
    collected(&program, 3).await;
    stop(program).await;
    site.write(json!([
        {"name": "first", "url": first.write_url()},
        {"name": "new", "url": new.write_url(), "start": start},
    ]));
    let program = site.start(&[]);
    first.set_outage(false);
    arrived(&new, 2).await;
    arrived(&first, 5).await;
    stop(program).await;
    let (first, new) = (cycles(&first), cycles(&new));
    assert_eq!(new[0] == first[0], gets_the_old, "{first:?} {new:?}");
    assert!(new.is_sorted() && first.is_sorted());
}
