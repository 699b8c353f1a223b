//! The page in Debian's Chromium: each test runs a script of `tests/browser/`, which says what it found wrong.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fleetpush::demo::balena::{Device, Fault, Fleet, Simulation, Times};
use serde_json::{Value, json};

use super::form::strange;
use super::relay;
use super::scene::{Scene, Weather};
use super::{Site, until};
use crate::program::LIMIT;
use crate::servers::eventually;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a script with what it is to know.
async fn browse(script: &str, known: Value) {
    let tools = root().join("target/test-tools/browser");
    assert!(tools.join(".stamp").exists(), "the browser's tools are missing: run make test-tools");
    let script = root().join("tests/browser").join(script);
    let mut command = Command::new("node");
    command.arg(&script).arg(&tools).arg(known.to_string());
    let run = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let Output { status, stdout, stderr } = run.expect("node is missing: run make test-tools");
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{} says:\n{out}{err}", script.display());
    assert!(out.trim_end().ends_with("done"), "it did not come to its end:\n{out}{err}");
}

fn simulation() -> Simulation {
    let simulation = Simulation::new();
    for number in 0..60_usize {
        let fleet = Fleet::new("acme", &format!("fleet-{number:02}"));
        simulation.add(
            fleet.devices(number % 7, &Device::operational()).devices(number % 3, &Device::disconnected()),
        );
    }
    simulation
}

#[tokio::test]
async fn no_state_of_the_page_has_an_error_a_violation_or_a_barrier() {
    let (fair, foul) = (Scene::start(Weather::Fair).await, Scene::start(Weather::Foul).await);
    let mut broken = Site::new(&simulation()).await;
    broken.receiver().await.inject(Fault::status(401), Times::Always);
    broken.receiver().await.inject(Fault::status(503), Times::Always);
    let broken_program = broken.start(&["parked"], json!({"stale_after": "1s"}));
    let broken_page = broken_program.page().await;
    until(&broken_page, "a count", |status| status["totals"]["fleets"] == 60).await;
    broken.api.inject(Fault::status(503), Times::Always);
    let waiting = Site::new(&simulation()).await;
    waiting.api.inject(Fault::Hang(LIMIT * 4), Times::Always);
    let waiting_program = waiting.start(&[], json!({}));
    let empty = Site::new(&Simulation::new()).await;
    let empty_program = empty.start(&[], json!({}));
    let (waiting_page, empty_page) = (waiting_program.page().await, empty_program.page().await);
    until(&empty_page, "the first cycle", |status| status["state"] == "ok").await;
    until(&broken_page, "the outage", |status| status["sources"][0]["counts"] == "withdrawn").await;
    let (many, down) = (relay::Scene::of_many(0).await, relay::Scene::of_many(100).await);
    let found_none = format!("{}/?q=nobody", fair.url);
    browse(
        "barriers.mjs",
        json!({"pages": [fair.url, foul.url, found_none, broken_page, waiting_page, empty_page, many.url, down.url]}),
    )
    .await;
}

#[tokio::test]
async fn names_with_markup_stay_text_in_a_browser() {
    let (simulation, names) = strange();
    let site = Site::new(&simulation).await;
    let program = site.start(&[], json!({}));
    let page = program.page().await;
    until(&page, "all fleets", |status| status["totals"]["fleets"] == names.len()).await;
    browse("names.mjs", json!({"page": page, "names": names})).await;
}

#[tokio::test]
async fn without_javascript_the_page_searches_orders_and_turns_pages() {
    let simulation = simulation();
    for number in 60..260_usize {
        simulation.add(Fleet::new("acme", &format!("fleet-{number}")));
    }
    let site = Site::new(&simulation).await;
    let program = site.start(&[], json!({}));
    let page = program.page().await;
    until(&page, "all fleets", |status| status["totals"]["fleets"] == 260).await;
    browse("plain.mjs", json!({"page": page})).await;
}

#[tokio::test]
async fn everything_is_done_by_keyboard_and_told_to_a_screen_reader() {
    let scene = Scene::start(Weather::Fair).await;
    browse("keyboard.mjs", json!({"page": scene.url})).await;
}

#[tokio::test]
async fn the_page_refreshes_itself_and_leaves_its_reader_alone() {
    let simulation = simulation();
    let site = Site::new(&simulation).await;
    let mut program = site.start(&[], json!({}));
    let page = program.page().await;
    until(&page, "all fleets", |status| status["totals"]["fleets"] == 60).await;
    let step = |name: &str| site.folder.path().join(name);
    let (looking, again, seen): (PathBuf, PathBuf, PathBuf) = (step("looking"), step("again"), step("seen"));
    let known = json!({"page": page, "looking": looking, "again": again, "seen": seen});
    let reader = browse("refresh.mjs", known);
    let world = async {
        let fleet = simulation.fleet("acme/fleet-13").unwrap();
        for (file, devices) in [(&looking, 77), (&again, 55)] {
            eventually("the browser looks", LIMIT * 2, async || file.exists().then_some(())).await;
            simulation.set_devices(fleet.id, vec![Device::operational(); devices]);
        }
        eventually("the browser has seen it", LIMIT * 2, async || seen.exists().then_some(())).await;
        program.kill();
    };
    tokio::join!(reader, world);
}

/// Into `docs/` by `make screenshots`; else where nobody keeps them.
#[tokio::test]
async fn the_page_is_pictured_for_its_documentation() {
    let folder =
        std::env::var_os("SCREENSHOTS").map_or_else(|| root().join("target/screenshots"), PathBuf::from);
    std::fs::create_dir_all(&folder).unwrap();
    let (fair, foul) = (Scene::start(Weather::Fair).await, Scene::start(Weather::Foul).await);
    browse("pictures.mjs", json!({"fair": fair.url, "foul": foul.url, "folder": folder})).await;
}
