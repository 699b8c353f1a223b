//! What the page says of sources, sinks and queue, in each state.

use fleetpush::demo::balena::{Device, Fault, Fleet, Simulation, Times};
use rstest::rstest;
use serde_json::{Value, json};

use super::{Site, html, texts, until};
use crate::program::{LIMIT, get};
use crate::servers::eventually;

fn simulation() -> Simulation {
    Simulation::new()
        .with(Fleet::new("acme", "lobby").devices(3, &Device::operational()).device(&Device::disconnected()))
}

/// The same sentence at another time.
fn timeless(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }) {
        if !(c == '#' && out.ends_with('#')) {
            out.push(c);
        }
    }
    out
}

#[rstest]
#[case::sends(None, "sending", "sending (remote write 2.0), the last request was taken")]
#[case::waits(Some(Fault::status_with(503, "tired")), "waiting", "the receiver answered 503: tired")]
#[case::is_parked(Some(Fault::status_with(401, "who are you")), "parked", "check the credentials")]
#[tokio::test]
async fn a_sink_and_the_queue_are_told_in_the_words_of_queue_status(
    #[case] fault: Option<Fault>,
    #[case] state: &str,
    #[case] words: &str,
) {
    let mut site = Site::new(&simulation()).await;
    if let Some(fault) = fault {
        site.receiver().await.inject(fault, Times::Always);
    } else {
        site.receiver().await;
    }
    let program = site.start(&["main"], json!({}));
    let page = program.page().await;
    let is_so = |status: &Value| status["sinks"][0]["state"] == state;
    until(&page, state, is_so).await;
    // Between two questions a span may have become longer by a unit.
    let said = eventually("the same words at both places", LIMIT, async || {
        let status = until(&page, state, is_so).await;
        let mut ask = site.command(&["queue", "status"]);
        assert_eq!(ask.code().await, 0, "{}", ask.stderr());
        let all = ask.stdout();
        let mut lines: Vec<String> = all.lines().map(|line| timeless(line.trim())).collect();
        lines.sort();
        let mut ours = texts(&status["sinks"][0]["words"]);
        ours.extend(texts(&status["queue"]["words"]));
        let ours: Vec<String> = ours.iter().map(|line| timeless(line)).collect();
        let heads = |line: &String| {
            !line.starts_with("the queue in ") && !line.starts_with("main (") && !line.is_empty()
        };
        let theirs: Vec<String> = lines.into_iter().filter(heads).collect();
        let mut sorted = ours.clone();
        sorted.sort();
        (theirs == sorted).then_some(ours)
    })
    .await;
    assert!(said[0].contains(&timeless(words)), "{said:?}");
    let text = html(&page).await;
    assert!(text.contains("<bdi>main</bdi> <span class=\"note\">remote write</span> <b>"), "{text}");
}

#[tokio::test]
async fn a_gateway_is_told_with_what_waits_and_why() {
    let mut site = Site::new(&simulation()).await;
    site.receiver().await.inject(Fault::status_with(503, "closed"), Times::Always);
    let program = site.start(&[], json!({}));
    let page = program.page().await;
    let status = until(&page, "a refused push", |status| status["sinks"][0]["state"] == "waiting").await;
    assert_eq!((&status["sinks"][0]["kind"], &status["queue"]), (&json!("pushgateway"), &Value::Null));
    assert_eq!(status["state"], "trouble");
    assert_eq!(status["headline"], "Pushgateway gate fails and is tried again");
    let words = texts(&status["sinks"][0]["words"]);
    assert!(
        words[0].contains("answered 503: closed") && words[0].contains("no request was taken"),
        "{words:?}"
    );
    assert_eq!(words[1], "the newest cycle waits: a gateway holds no older ones");
}

#[tokio::test]
async fn a_failed_collect_is_told_with_since_when_why_and_the_next_try_while_the_counts_stand() {
    let site = Site::new(&simulation()).await;
    let program = site.start(&[], json!({}));
    let page = program.page().await;
    // With an interval of a second, one may be looked at while it runs.
    let says = |words: &'static str| {
        move |status: &Value| {
            status["sources"][0]["words"][1].as_str().is_some_and(|said| said.starts_with(words))
        }
    };
    let well = until(&page, "a count", says("next collect in ")).await;
    assert_eq!((&well["state"], &well["headline"]), (&json!("ok"), &json!("collecting works")));
    let words = texts(&well["sources"][0]["words"]);
    assert!(words[0].starts_with("collected 1 fleet in "), "{words:?}");

    site.api.inject(Fault::status(401), Times::Always);
    let first = until(&page, "a failure", |status| status["state"] == "trouble").await;
    let since = &first["sources"][0]["failing_since"];
    assert!(since.is_string(), "{first}");
    let again = |status: &Value| status["sources"][0]["last_end"] != first["sources"][0]["last_end"];
    let failing = until(&page, "another failure", again).await;
    assert_eq!(&failing["sources"][0]["failing_since"], since, "it is the first failure's time");
    assert_eq!((&failing["headline"], &failing["totals"]["online"]), (&json!("collecting fails"), &json!(3)));
    assert_eq!(failing["sources"][0]["counts"], "standing");
    let words = texts(&failing["sources"][0]["words"]);
    assert!(
        words[0].starts_with("collecting has failed for ") && words[0].contains("the token is wrong"),
        "{words:?}"
    );
    assert!(
        words[1] == "a collect is running" || words[1].starts_with("meanwhile balena_up is 0; next try in "),
        "{words:?}"
    );
    assert!(words[2].starts_with("the last counts, from ") && words[2].contains("still stand"), "{words:?}");
    let text = html(&page).await;
    for part in ["<title>▲ Trouble", "the token is wrong", "<tr class=\"old\">", "Last counted at <time"] {
        assert!(text.contains(part), "{part}: {text}");
    }

    site.api.clear_faults();
    let back = until(&page, "the end of it", |status| status["state"] == "ok").await;
    assert_eq!(back["sources"][0]["failing_since"], Value::Null);
}

#[tokio::test]
async fn withdrawn_counts_are_shown_as_what_they_are() {
    let site = Site::new(&simulation()).await;
    let program = site.start(&[], json!({"stale_after": "1s"}));
    let page = program.page().await;
    until(&page, "a count", |status| status["sources"][0]["counts"] == "current").await;
    site.api.inject(Fault::status(503), Times::Always);
    let status = until(&page, "the withdrawal", |status| status["sources"][0]["counts"] == "withdrawn").await;
    assert!(!get(&format!("{page}/metrics")).await.contains("balena_devices"), "gone from the metrics");
    let words = texts(&status["sources"][0]["words"]);
    assert!(words[2].contains("are withdrawn from metrics and sinks"), "{words:?}");
    assert_eq!((&status["fleets"][0]["name"], &status["fleets"][0]["online"]), (&json!("lobby"), &json!(3)));
    assert!(html(&page).await.contains("<tr class=\"old\">"));
}

#[tokio::test]
async fn before_the_first_count_the_page_says_what_is_waited_for() {
    let site = Site::new(&simulation()).await;
    site.api.inject(Fault::Hang(LIMIT), Times::Always);
    let program = site.start(&[], json!({}));
    let page = program.page().await;
    let status = until(&page, "the source", |status| status["sources"][0]["state"] == "starting").await;
    assert_eq!((&status["state"], &status["next_collect"]), (&json!("starting"), &Value::Null));
    assert!(html(&page).await.contains("No fleet was counted yet: the first collect is running."));
}

#[tokio::test]
async fn a_first_collect_that_fails_says_that_nothing_was_ever_counted() {
    let site = Site::new(&simulation()).await;
    site.api.inject(Fault::status(503), Times::Always);
    let program = site.start(&[], json!({}));
    let page = program.page().await;
    let status = until(&page, "the failure", |status| status["state"] == "trouble").await;
    assert_eq!(status["sources"][0]["counts"], "none");
    assert_eq!(texts(&status["sources"][0]["words"])[2], "nothing was counted since the start");
    assert!(html(&page).await.contains("There are no counts to be shown."));
}

#[tokio::test]
async fn an_account_without_fleets_is_told_where_to_look() {
    let site = Site::new(&Simulation::new()).await;
    let program = site.start(&[], json!({}));
    let page = program.page().await;
    until(&page, "the first cycle", |status| status["state"] == "ok").await;
    let text = html(&page).await;
    assert!(
        text.contains("The account has no fleet that is counted.") && text.contains("BALENA_FLEETS_INCLUDE"),
        "{text}"
    );
}
