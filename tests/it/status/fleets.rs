//! Finding fleets, and putting them in order, by the address alone.

use fleetpush::demo::balena::{Device, Fleet, Simulation};
use rstest::rstest;
use serde_json::Value;

use super::{Site, html, json_of, until};

/// Online and offline devices.
const FLEETS: [(&str, usize, usize); 6] =
    [("Zoo", 2, 2), ("alpha", 9, 1), ("beta", 0, 3), ("bete", 0, 5), ("empty", 0, 0), ("whole", 4, 0)];

fn simulation() -> Simulation {
    let simulation = Simulation::new();
    for (name, online, offline) in FLEETS {
        let fleet = Fleet::new("acme", name);
        simulation
            .add(fleet.devices(online, &Device::operational()).devices(offline, &Device::disconnected()));
    }
    simulation
}

fn names(status: &Value) -> String {
    let fleets = status["fleets"].as_array().unwrap().iter();
    fleets.map(|fleet| fleet["name"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[rstest]
#[tokio::test]
async fn an_address_finds_and_orders_the_fleets() {
    let site = Site::new(&simulation()).await;
    let program = site.start(&[], serde_json::json!({}));
    let page = program.page().await;
    let all = until(&page, "all fleets", |status| status["totals"]["fleets"] == FLEETS.len()).await;
    assert_eq!(all["totals"], serde_json::json!({"fleets": 6, "online": 15, "devices": 26, "dark": 2}));
    for (query, expected) in [
        ("", "bete beta Zoo alpha whole empty"),
        ("sort=share&", "bete beta Zoo alpha whole empty"),
        ("sort=-share&", "whole alpha Zoo bete beta empty"),
        ("sort=name&", "alpha beta bete empty whole Zoo"),
        ("sort=-name&", "Zoo whole empty bete beta alpha"),
        ("sort=-online&", "alpha whole Zoo beta bete empty"),
        ("sort=-devices&", "alpha bete whole Zoo beta empty"),
        ("sort=-offline&", "bete beta Zoo alpha empty whole"),
        ("sort=nonsense&", "bete beta Zoo alpha whole empty"),
        ("q=BET&sort=name&", "beta bete"),
        ("q=acme+z&", "Zoo"),
        ("q=++&sort=name&", "alpha beta bete empty whole Zoo"),
        ("q=%20acme/w%20&", "whole"),
        ("q=nobody&", ""),
    ] {
        let found = json_of(&page, query).await;
        assert_eq!(names(&found), expected, "{query}");
        // The page has the same fleets in the same order.
        let text = html(&format!("{page}/?{query}")).await;
        let rows = text.split("<th scope=\"row\" class=\"fleet\"><bdi>").skip(1);
        let shown: Vec<&str> = rows.map(|row| row.split_once("</bdi>").unwrap().0).collect();
        assert_eq!(shown.join(" "), expected, "{query}");
    }
    let none = html(&format!("{page}/?q=nobody&sort=name")).await;
    assert!(
        none.contains("No fleet matches") && none.contains("href=\"?sort=name\">Show all 6</a>"),
        "{none}"
    );
}

#[tokio::test]
async fn thousands_of_fleets_come_in_pages_that_stay_small() {
    const MANY: usize = 5_000;
    let simulation = Simulation::new();
    for number in 0..MANY {
        simulation.add(Fleet::new("acme", &format!("fleet-{number:04}")).devices(1, &Device::operational()));
    }
    let site = Site::new(&simulation).await;
    let program = site.start(&[], serde_json::json!({"interval": "5m"}));
    let page = program.page().await;
    let status = until(&page, "all fleets", |status| status["totals"]["fleets"] == MANY).await;
    assert_eq!(status["fleets"].as_array().unwrap().len(), MANY, "JSON has no pages");
    let mut seen = std::collections::BTreeSet::new();
    for number in 1..=25 {
        let text = html(&format!("{page}/?sort=name&page={number}")).await;
        assert!(text.len() < 200 * 1_024, "{} bytes", text.len());
        assert!(text.contains(&format!("page {number} of 25")), "{text}");
        let names = text.split("<bdi>fleet-").skip(1).map(|rest| rest.split_once('<').unwrap().0.to_owned());
        seen.extend(names);
    }
    assert_eq!(seen.len(), MANY, "every fleet is on some page");
    let beyond = html(&format!("{page}/?page=999")).await;
    assert!(beyond.contains("page 25 of 25"), "a page that is not there is the last one");
}
