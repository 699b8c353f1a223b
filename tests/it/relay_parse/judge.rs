//! The real servers as judges: each page of the table is a target of its own, and `up`, every series, every value,
//! every explicit time and, with Prometheus 3, every exemplar must be what the parser says of the page.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleetpush::clock::Clock;
use fleetpush::relay::parse::{Event, Exemplar, Format, ParseError, Parser};
use serde_json::{Value, json};

use super::peer::Peer;
use super::table::{Other, pages};
use crate::servers::{Labels, Prometheus, Suite, eventually};

/// Samples that are further from the present than this are not held against what a server stores.
const NEAR_MS: u64 = 30 * 60_000;

/// A value as text, so that NaN equals itself, and the sample's own time.
type Point = (String, Option<i64>);

type StoredExemplar = (Labels, Labels, String, Option<i64>);

/// What a page gives.
#[derive(Debug, Default, PartialEq)]
struct Taken {
    series: BTreeMap<Labels, BTreeSet<Point>>,
    /// The series, the labels, the value and the own time of each.
    exemplars: BTreeSet<StoredExemplar>,
}

/// What is taken from a page, or why nothing is.
type Verdict = Result<Taken, String>;

/// What a server takes from each page, and its version.
struct Theirs {
    version: String,
    verdicts: Vec<Verdict>,
}

#[tokio::test]
async fn a_real_prometheus_takes_and_refuses_each_page_as_we_do() {
    let now = Clock::SYSTEM.now().0;
    let served: Vec<_> = pages().map(|page| (page.format, page.at(now))).collect();
    let ours: Vec<_> = served.iter().map(|(format, page)| ours(*format, page, now)).collect();
    let peer = Peer::serving(served.clone()).await;
    let (new, old) = tokio::join!(theirs(Suite::New, &peer, &ours), theirs(Suite::Stock, &peer, &ours));

    // The table knows this one; a later one may have been mended.
    let is_known = new.version.starts_with("3.5.");
    let mut wrong = Vec::new();
    for (place, page) in pages().enumerate() {
        let text = String::from_utf8_lossy(&served[place].1);
        let mut compare = |theirs: &Theirs, with_exemplars: bool, is_same: bool| {
            let (version, theirs, ours) = (&theirs.version, &theirs.verdicts[place], &ours[place]);
            if agree(ours, theirs, with_exemplars) != is_same {
                let wanted = if is_same { "as we" } else { "otherwise than we" };
                wrong.push(format!("{text:?}: {version}, {wanted}\n  takes {theirs:?}\n  we    {ours:?}"));
            }
        };
        match page.new {
            Other::Nothing => compare(&new, true, true),
            Other::Takes(_) | Other::Series(_) if is_known => compare(&new, true, false),
            Other::Takes(_) | Other::Series(_) => {}
        }
        if let Other::Takes(_) = page.new {
            assert!(ours[place].is_err() && (!is_known || new.verdicts[place].is_ok()), "{text:?}");
        }
        compare(&old, false, page.old.is_none());
    }
    assert!(wrong.is_empty(), "{} pages:\n{}", wrong.len(), wrong.join("\n"));
}

fn agree(ours: &Verdict, theirs: &Verdict, with_exemplars: bool) -> bool {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => {
            ours.series == theirs.series && (!with_exemplars || ours.exemplars == theirs.exemplars)
        }
        (Err(_), Err(_)) => true,
        _ => false,
    }
}

fn ours(format: Format, page: &[u8], now: i64) -> Verdict {
    let mut taken = Taken::default();
    let near = |at: Option<i64>| at.is_none_or(|at| at.abs_diff(now) < NEAR_MS);
    let mut take = |event: Event<'_>| -> Result<(), ParseError> {
        let Event::Sample(sample) = event else { return Ok(()) };
        let identity = sample.identity()?;
        let mut labels = owned(&identity.labels);
        labels.insert("__name__".to_owned(), identity.name.into_owned());
        let at = sample.at.map(|at| at.0);
        if let Some(Exemplar { labels: own, value, at }) = &sample.exemplar {
            let at = at.map(|at| at.0);
            // A label that stands twice makes an exemplar of no use, the page none the worse.
            if near(at) && owned(own).len() == own.len() {
                taken.exemplars.insert((labels.clone(), owned(own), shown(value.get()), at));
            }
        }
        if near(at) {
            taken.series.entry(labels).or_default().insert((shown(sample.value.get()), at));
        }
        Ok(())
    };
    let mut parser = Parser::new(format);
    let read = parser.feed(page, &mut take).and_then(|()| parser.finish(&mut take));
    read.map(|()| taken).map_err(|error| error.to_string())
}

fn owned(labels: &[(impl AsRef<str>, impl AsRef<str>)]) -> Labels {
    labels.iter().map(|(name, value)| (name.as_ref().to_owned(), value.as_ref().to_owned())).collect()
}

fn shown(value: f64) -> String {
    if value.is_nan() { "NaN".to_owned() } else { format!("{value:e}") }
}

/// Lets one server scrape every page, and asks it for all that it took. A time is the sample's own where the page
/// says it, which only `ours` tells: all others are times of scrapes.
async fn theirs(suite: Suite, peer: &Peer, ours: &[Verdict]) -> Theirs {
    // Long enough for the slowest machine: a page that is late would look like one that is refused.
    let scrape = |place: usize| {
        json!({
            "job_name": place.to_string(),
            "metrics_path": format!("/{place}"),
            "static_configs": [{"targets": [peer.address.to_string()]}],
        })
    };
    let config = json!({
        "global": {"scrape_interval": "4s", "scrape_timeout": "4s"},
        "scrape_configs": (0..ours.len()).map(scrape).collect::<Vec<_>>(),
    });
    let features = ["--enable-feature=exemplar-storage"];
    let server = Prometheus::start_with(suite, &config.to_string(), &features).await;
    let ups = eventually("every page is scraped", Duration::from_secs(60), async || {
        Some(server.query("up").await).filter(|ups| ups.len() == ours.len())
    })
    .await;
    let is_up: BTreeMap<usize, bool> = ups.iter().map(|(labels, up)| (job(labels), *up == 1.0)).collect();
    let why = last_errors(&server).await;

    let end = Clock::SYSTEM.now().0;
    let mut taken: BTreeMap<usize, Taken> = BTreeMap::new();
    for (mut labels, points) in server.stored("{job=~\".+\"}[1h]", end + 60_000).await {
        let name = labels["__name__"].as_str();
        if name == "up" || name.starts_with("scrape_") {
            continue;
        }
        let place = job(&labels);
        let is_explicit = |at: i64| {
            let ours = ours[place].as_ref().ok();
            ours.is_some_and(|ours| ours.series.values().flatten().any(|(_, own)| *own == Some(at)))
        };
        let points =
            points.iter().map(|(at, value)| (shown(*value), Some(*at).filter(|at| is_explicit(*at))));
        let points = points.collect();
        labels.retain(|name, _| name != "job" && name != "instance");
        taken.entry(place).or_default().series.insert(labels, points);
    }
    for (place, exemplar) in exemplars(&server, end).await {
        let (labels, own, value, at) = exemplar;
        let is_explicit = |at: i64| {
            let ours = ours[place].as_ref().ok();
            ours.is_some_and(|ours| ours.exemplars.iter().any(|(.., own)| *own == Some(at)))
        };
        let at = at.filter(|at| is_explicit(*at));
        taken.entry(place).or_default().exemplars.insert((labels, own, value, at));
    }
    let verdict = |place: usize| {
        let taken = taken.remove(&place).unwrap_or_default();
        let why = &why[&place];
        assert!(!why.contains("deadline exceeded"), "the machine is too slow for this test: {why}");
        if is_up[&place] { Ok(taken) } else { Err(why.clone()) }
    };
    let verdicts = (0..ours.len()).map(verdict).collect();
    Theirs { version: version(&server).await, verdicts }
}

fn job(labels: &Labels) -> usize {
    labels["job"].parse().unwrap()
}

async fn asked(server: &Prometheus, path: &str) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let text = client.get(format!("{}{path}", server.url())).send().await.unwrap().text().await.unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    answer["data"].clone()
}

async fn version(server: &Prometheus) -> String {
    asked(server, "/api/v1/status/buildinfo").await["version"].as_str().unwrap().to_owned()
}

/// What the last scrape of each target ended in; empty where it was good.
async fn last_errors(server: &Prometheus) -> BTreeMap<usize, String> {
    let targets = asked(server, "/api/v1/targets").await["activeTargets"].clone();
    let of = |target: &Value| {
        let place = target["labels"]["job"].as_str().unwrap().parse().unwrap();
        (place, target["lastError"].as_str().unwrap().to_owned())
    };
    targets.as_array().unwrap().iter().map(of).collect()
}

async fn exemplars(server: &Prometheus, end: i64) -> Vec<(usize, StoredExemplar)> {
    let (from, to) = (end / 1000 - 3600, end / 1000 + 60);
    let path = format!("/api/v1/query_exemplars?query=%7Bjob%3D~%22.%2B%22%7D&start={from}&end={to}");
    let mut found = Vec::new();
    for series in asked(server, &path).await.as_array().unwrap() {
        let mut labels = text_map(&series["seriesLabels"]);
        let place = job(&labels);
        labels.retain(|name, _| name != "job" && name != "instance");
        for exemplar in series["exemplars"].as_array().unwrap() {
            let value = exemplar["value"].as_str().unwrap().parse().unwrap();
            let at = (exemplar["timestamp"].as_f64().unwrap() * 1000.0).round() as i64;
            let own = text_map(&exemplar["labels"]);
            found.push((place, (labels.clone(), own, shown(value), Some(at))));
        }
    }
    found
}

fn text_map(value: &Value) -> Labels {
    let pairs = value.as_object().unwrap().iter();
    pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}
