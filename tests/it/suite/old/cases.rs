//! What the 19 cases of the suite for remote write 1.0 do and assert, whoever sends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::case::{Case, Seen, Version, has, times};
use super::super::decode::STALE;
use super::super::sender::Sender;
use super::super::site::{Got, Page, Reply};
use crate::remote_rig::now;

const ALL_FROM: i64 = 1_000_000_000_000;

fn old(by: Sender, body: &str) -> Case {
    Case::page(body).version(Version::One).sender(by)
}

fn pages(by: Sender, pages: impl Fn(usize) -> Page + Send + Sync + 'static) -> Case {
    Case::pages(pages).version(Version::One).sender(by)
}

/// A page with the time of the scrape.
fn clock_page(_: usize) -> Page {
    Page::of(format!("# HELP now The time\n# TYPE now gauge\nnow {}\n", now()))
}

/// The labels of the series of this name, each once.
fn labels_of(seen: &Seen, name: &str) -> Vec<String> {
    let all = seen.requests.iter().flat_map(|got| got.request().all(name));
    let mut found: Vec<String> = all.map(|series| format!("{:?}", series.own_labels())).collect();
    found.sort();
    found.dedup();
    found
}

pub async fn counter(by: Sender) {
    let page = |n| Page::of(format!("# HELP requests Requests\n# TYPE requests counter\nrequests {n}\n"));
    let seen = pages(by, page).run_until(times(3, "requests")).await;
    let values = seen.values("requests");
    assert!(values.len() >= 3);
    for (number, value) in values.into_iter().enumerate() {
        assert_eq!(value, number as f64);
    }
}

pub async fn gauge(by: Sender) {
    let seen = pages(by, clock_page).run_until(times(2, "now")).await;
    for (labels, at, bits) in seen.samples("now") {
        let difference = (f64::from_bits(bits) - at as f64).abs();
        assert!(difference < 5_000.0, "{labels:?} is {difference} ms from its time");
    }
}

pub async fn histogram(by: Sender) {
    let page = |n| {
        let all = n + 3;
        Page::of(format!(
            "# HELP took Seconds\n# TYPE took histogram\ntook_bucket{{le=\"1\"}} {n}\ntook_bucket{{le=\"2\"}} {all}\n\
             took_bucket{{le=\"+Inf\"}} {all}\ntook_sum {all}.5\ntook_count {all}\n"
        ))
    };
    let seen = pages(by, page).run_until(times(2, "took_count")).await;
    let bounds: Vec<String> = ["+Inf", "1", "2"].map(|le| format!("[(\"le\", {le:?})]")).to_vec();
    assert_eq!(labels_of(&seen, "took_bucket"), bounds);
    let (sums, counts) = (seen.values("took_sum"), seen.values("took_count"));
    assert_eq!((sums.len() * 3, sums.len()), (seen.values("took_bucket").len(), counts.len()));
    let buckets = |le: &str| -> Vec<f64> {
        let label = ("le".to_owned(), le.to_owned());
        let of = seen.samples("took_bucket").into_iter().filter(|(labels, ..)| labels.contains(&label));
        of.map(|(_, _, bits)| f64::from_bits(bits)).collect()
    };
    for (number, count) in counts.iter().enumerate() {
        assert_eq!(*count, number as f64 + 3.0);
        assert_eq!(sums[number], count + 0.5);
        assert_eq!([buckets("1")[number], buckets("2")[number]], [number as f64, *count]);
        assert_eq!(buckets("+Inf")[number], *count);
    }
}

pub async fn summary(by: Sender) {
    let page = |n| {
        Page::of(format!(
            "# HELP took Seconds\n# TYPE took summary\ntook{{quantile=\"0.5\"}} {n}\ntook{{quantile=\"0.9\"}} {n}.5\n\
             took{{quantile=\"0.99\"}} NaN\ntook_sum {n}.25\ntook_count {n}\n"
        ))
    };
    let seen = pages(by, page).run_until(times(2, "took_count")).await;
    let quantiles: Vec<String> = ["0.5", "0.9", "0.99"].map(|q| format!("[(\"quantile\", {q:?})]")).to_vec();
    assert_eq!(labels_of(&seen, "took"), quantiles);
    let (sums, counts) = (seen.values("took_sum"), seen.values("took_count"));
    assert_eq!((sums.len() * 3, sums.len()), (seen.values("took").len(), counts.len()));
    for (number, sum) in sums.into_iter().enumerate() {
        assert_eq!(sum, number as f64 + 0.25);
    }
    assert!(
        seen.samples("took").iter().all(|(_, _, bits)| *bits != STALE),
        "a quantile of NaN has not ended"
    );
}

pub async fn up(by: Sender) {
    let seen = old(by, "test 1\n").run_until(times(2, "up")).await;
    assert!(seen.values("up").iter().all(|value| *value == 1.0));
    let of_test = ("job".to_owned(), "test".to_owned());
    assert!(seen.samples("up").iter().all(|(labels, ..)| labels.contains(&of_test)));
}

pub async fn invalid(by: Sender) {
    let seen = old(by, "\n# this is not valid\n1234notvalid}{ 444\n").run_until(times(2, "up")).await;
    assert!(seen.values("up").iter().all(|value| *value == 0.0), "{:?}", seen.values("up"));
}

pub async fn job_label(by: Sender) {
    let seen = old(by, "test 1\n").run_until(times(1, "test")).await;
    assert!(
        seen.requests.iter().flat_map(|got| &got.request().series).all(|s| s.label("job") == Some("test"))
    );
}

pub async fn instance_label(by: Sender) {
    let seen = old(by, "test 1\n").run_until(times(1, "test")).await;
    let all = seen.requests.iter().flat_map(|got| &got.request().series);
    let instances: Vec<_> = all.map(|series| series.label("instance")).collect();
    assert!(instances.iter().all(|instance| *instance == Some(&seen.target)), "{instances:?}");
    assert!(seen.target.starts_with("127.0.0.1:"));
}

pub async fn sorted_labels(by: Sender) {
    let page = "\n# HELP test A gauge\n# TYPE test gauge\ntest{b=\"2\",a=\"1\",C=\"3\"} 1.0\n";
    let seen = old(by, page).run_until(times(1, "test")).await;
    for series in seen.requests.iter().flat_map(|got| &got.request().series) {
        assert!(
            series.labels.is_sorted_by(|one, two| one.0.as_bytes() < two.0.as_bytes()),
            "{:?}",
            series.labels
        );
    }
    assert_eq!(labels_of(&seen, "test"), [r#"[("C", "3"), ("a", "1"), ("b", "2")]"#]);
}

pub async fn repeated_labels(by: Sender) {
    let seen = old(by, "# TYPE test gauge\ntest{a=\"1\",a=\"1\"} 1.0\n").run_until(times(2, "up")).await;
    assert_eq!(seen.samples("test"), []);
    assert!(seen.values("up").iter().all(|value| *value == 0.0), "such a scrape is refused as a whole");
}

pub async fn empty_labels(by: Sender) {
    let seen = old(by, "# TYPE test gauge\ntest{a=\"\"} 1.0\n").run_until(times(1, "test")).await;
    assert_eq!(labels_of(&seen, "test"), ["[]"]);
    assert!(seen.values("test").iter().all(|value| *value == 1.0));
}

pub async fn name_label(by: Sender) {
    let seen = old(by, "# TYPE test gauge\n{label=\"value\"} 1.0\n").run_until(times(2, "up")).await;
    let all = seen.requests.iter().flat_map(|got| &got.request().series);
    assert!(all.clone().all(|series| !series.name().is_empty() && series.label("label").is_none()));
}

pub async fn honor_labels(by: Sender) {
    let page = "test{job=\"original\"} 1.0\nother{instance=\"theirs\"} 2\n";
    let seen = old(by, page).run_until(times(1, "test")).await;
    assert_eq!(labels_of(&seen, "test"), [r#"[("exported_job", "original")]"#]);
    assert_eq!(labels_of(&seen, "other"), [r#"[("exported_instance", "theirs")]"#]);
}

pub async fn staleness(by: Sender) {
    let page = |n| Page::of(if n == 0 { "gone 1\nstays 1\n" } else { "stays 1\n" });
    let ended = |got: &[Got]| {
        let all = got.iter().filter_map(|got| got.request.as_ref().ok()).flat_map(|r| r.all("gone"));
        all.flat_map(|series| &series.samples).any(|sample| sample.bits == STALE)
    };
    let seen = pages(by, page).series_end().run_until(ended).await;
    let bits: Vec<u64> = seen.samples("gone").into_iter().map(|(_, _, bits)| bits).collect();
    assert_eq!(bits, [1.0_f64.to_bits(), STALE], "the series is said once, and that it has ended once");
    assert!(seen.samples("stays").iter().all(|(_, _, bits)| *bits != STALE));
}

pub async fn timestamp(by: Sender) {
    let start = now();
    let seen = old(by, "# TYPE gauge gauge\ngauge 42\n").run_until(times(3, "gauge")).await;
    let end = now();
    let times: Vec<i64> = seen.samples("gauge").into_iter().map(|(_, at, _)| at).collect();
    assert!(times.iter().all(|at| (start..=end).contains(at)), "{start} {times:?} {end}");
    assert!(times.is_sorted_by(|one, two| one < two), "{times:?}");
    assert!(start > ALL_FROM);
    assert!(seen.values("gauge").iter().all(|value| *value == 42.0));
}

pub async fn headers(by: Sender) {
    let seen = old(by, "test 1\n").run_until(times(1, "test")).await;
    for got in &seen.requests {
        assert_eq!(got.header("content-encoding"), "snappy");
        assert_eq!(got.header("content-type"), "application/x-protobuf");
        assert_eq!(got.header("x-prometheus-remote-write-version"), "0.1.0");
    }
}

pub async fn ordering(by: Sender) {
    let series: Vec<String> = (0..1000).map(|n| format!("test{{i=\"{n}\"}} 1\n")).collect();
    // Now long, now short: whoever sends at once what must wait for its turn is overtaken.
    let late = |number: usize| Duration::from_millis([2_000, 0, 700, 100, 1_500][number % 5]);
    let seen = old(by, &format!("# TYPE test gauge\n{}", series.concat()))
        .answers(move |number, got| Reply::of(204, got).after(late(number)))
        .run_until(|got| got.iter().filter(|got| has(got, "test")).count() >= 4)
        .await;
    let mut last = std::collections::BTreeMap::new();
    for (labels, at, bits) in seen.samples("test") {
        assert!(last.insert(labels.clone(), at).is_none_or(|before| before < at), "{labels:?}: {at}");
        assert_eq!(f64::from_bits(bits), 1.0);
    }
    assert!(last.len() >= 1000, "{} series", last.len());
}

/// A receiver that refuses the first request with the time, and that time.
async fn refused_once(by: Sender, status: u16) -> (Seen, i64) {
    let is_refused = AtomicBool::new(false);
    let seen = pages(by, clock_page)
        .answers(move |_, got| {
            // Metadata may come before it, in a request of their own.
            let is_first = has(got, "now") && !is_refused.swap(true, Ordering::SeqCst);
            Reply::of(if is_first { status } else { 204 }, got)
        })
        .run_until(times(3, "now"))
        .await;
    let refused: Vec<_> = seen.requests.iter().filter(|got| got.status == status).collect();
    assert_eq!(refused.len(), 1);
    let at = refused[0].request().one("now").sample().at;
    (seen, at)
}

/// How often the sample of this time was taken.
fn taken(seen: &Seen, at: i64) -> usize {
    let taken = seen.requests.iter().filter(|got| got.status == 204).flat_map(|got| got.request().all("now"));
    taken.flat_map(|series| &series.samples).filter(|sample| sample.at == at).count()
}

pub async fn retries500(by: Sender) {
    let (seen, at) = refused_once(by, 500).await;
    assert_eq!(taken(&seen, at), 1, "what was not taken comes again, once");
}

pub async fn retries400(by: Sender) {
    let (seen, at) = refused_once(by, 400).await;
    assert_eq!(taken(&seen, at), 0, "what was refused does not come again");
}
