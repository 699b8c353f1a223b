//! The demo as one sees it.

use std::net::TcpListener;

use super::value;
use crate::program::{LIMIT, Program, get};
use crate::servers::eventually;

const FREE_PORT: (&str, &str) = ("FLEETPUSH_LISTEN_ADDRESS", "127.0.0.1:0");

/// What follows a time at the beginning of a line.
fn told(line: &str) -> Option<&str> {
    let (time, what) = line.split_once("s  ")?;
    time.trim().parse::<f64>().is_ok().then_some(what)
}

async fn page_of(program: &Program) -> String {
    eventually("the page's address", LIMIT, async || {
        let out = program.stdout();
        let url = out.split("the page: ").nth(1)?.split_whitespace().next()?;
        Some(url.to_owned())
    })
    .await
}

#[tokio::test]
async fn it_ends_by_itself_and_tells_each_delivery_on_one_line() {
    let mut program = Program::start(&["demo", "--for", "3s", "--interval", "500ms"], &[FREE_PORT]);
    let page = page_of(&program).await;
    let shown = eventually("the fleets on the page", LIMIT, async || {
        Some(get(&page).await).filter(|page| value(page, "balena_fleets") == Some(36.0))
    })
    .await;
    assert!(shown.contains("balena_devices_online{"), "{shown}");
    assert_eq!(program.code().await, 0, "{}", program.stderr());
    assert_eq!(program.stderr(), "");
    let out = program.stdout();
    let (introduction, story) = out.split_once("\n\n").expect("an empty line after the introduction");
    for part in ["36 fleets of 20 devices", "Pushgateway-like", "remote-write receiver", "for 3s"] {
        assert!(introduction.contains(part), "{part} is missing:\n{introduction}");
    }
    let story = story.strip_suffix("the demo has ended\n").expect("its last line");
    let told: Vec<&str> =
        story.lines().map(|line| told(line).unwrap_or_else(|| panic!("no time: {line:?}"))).collect();
    let count = |begin: &str, end: &str| {
        told.iter().filter(|line| line.starts_with(begin) && line.ends_with(end)).count()
    };
    let cycles = count("collected 36 fleets in one request, ", " series");
    assert!(cycles >= 2, "{out}");
    // Each cycle goes out twice: the counts, and the program's own.
    assert!(count("remote write 2.0: ", "answered 204") >= 2 * (cycles - 1), "{out}");
    assert!(count("pushgateway PUT {", "answered 200") >= cycles, "{out}");
    assert_eq!(count("collecting failed", ""), 0, "{out}");
}

#[tokio::test]
async fn an_outage_is_told_with_its_end_and_loses_nothing() {
    let arguments = ["demo", "--outage", "2s", "--interval", "300ms"];
    let mut program = Program::start(&arguments, &[FREE_PORT]);
    let page = page_of(&program).await;
    for part in [
        "the receivers refuse everything for 2s",
        "remote_write env fails and tries again: ",
        "pushgateway env fails and tries again: ",
        "the receivers are back",
        "remote_write env delivers again",
        "pushgateway env delivers again",
    ] {
        eventually(part, LIMIT, async || program.stdout().contains(part).then_some(())).await;
    }
    // Every cycle that was counted is delivered as it was, those of the outage included.
    eventually("a delivery of each cycle", LIMIT, async || {
        let out = program.stdout();
        let told: Vec<&str> = out.lines().filter_map(told).collect();
        let series = told.iter().find_map(|line| {
            line.strip_prefix("collected 36 fleets in one request, ")?.strip_suffix(" series")
        })?;
        let cycles = told.iter().filter(|line| line.starts_with("collected ")).count();
        let delivery = format!("remote write 2.0: {series} samples");
        let delivered =
            told.iter().filter(|line| line.starts_with(&delivery) && line.ends_with("answered 204"));
        (cycles > 8 && delivered.count() == cycles).then_some(())
    })
    .await;
    assert!(!get(&page).await.contains("fleetpush_sink_dropped_samples_total{"));
    program.signal("INT");
    assert_eq!(program.code().await, 0);
    assert!(program.stdout().ends_with("the demo has ended\n"));
}

#[tokio::test]
async fn a_default_port_that_is_taken_gives_way_and_another_one_does_not() {
    // An error means that somebody else has it: taken is taken.
    let _taken = TcpListener::bind("0.0.0.0:8000");
    let program = Program::start(&["demo"], &[]);
    let page = page_of(&program).await;
    assert!(program.stdout().starts_with("port 8000 is taken"), "{}", program.stdout());
    assert!(!page.contains(":8000/"), "{page}");
    assert!(get(&page).await.contains("fleetpush_build_info"));

    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let mut program = Program::start(&["demo"], &[("FLEETPUSH_LISTEN_ADDRESS", &address)]);
    assert_eq!(program.code().await, 2);
    assert!(program.stderr().contains("FLEETPUSH_LISTEN_ADDRESS"), "{}", program.stderr());
}
