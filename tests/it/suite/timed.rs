//! Cases that take seconds of real time: what a suite counts within a time, and tries that wait for one another. The
//! first that is asked for begins all of them, each on a thread of its own, so that they wait at once.

use std::any::Any;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::case::{Case, Seen, Version};
use super::site::{Got, Page, Reply};

/// So long the newer suite lets a sender run before it counts what has come.
const COUNTED: Duration = Duration::from_secs(8);
const PAGE: &str = "test_metric 42\n";

enum Run {
    Going(JoinHandle<Seen>),
    Done(Arc<Seen>),
    Failed(String),
}

static RUNS: LazyLock<BTreeMap<&'static str, Mutex<Run>>> = LazyLock::new(|| {
    let run = |(name, case): (&'static str, Work)| (name, Mutex::new(Run::Going(std::thread::spawn(case))));
    all().into_iter().map(run).collect()
});

/// What has come of a case.
pub fn seen(name: &str) -> Arc<Seen> {
    let run = RUNS.get(name).unwrap_or_else(|| panic!("no case {name}"));
    // A lock that a failure has spoiled only says that there was one.
    let mut run = run.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let now = std::mem::replace(&mut *run, Run::Failed("it is looked at".to_owned()));
    *run = match now {
        Run::Going(thread) => match thread.join() {
            Ok(seen) => Run::Done(Arc::new(seen)),
            // Its thread has printed it where another test's output goes.
            Err(panic) => Run::Failed(said(&*panic)),
        },
        other => other,
    };
    match &*run {
        Run::Done(seen) => seen.clone(),
        Run::Failed(why) => panic!("{name}: {why}"),
        Run::Going(_) => unreachable!("it was waited for"),
    }
}

/// What a panic has said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

type Work = Box<dyn FnOnce() -> Seen + Send>;

fn work(run: impl Future<Output = Seen> + Send + 'static) -> Work {
    Box::new(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(run)
    })
}

/// Each scrape with its number, so that one is told from another.
fn numbered() -> Case {
    Case::pages(|n| Page::of(format!("test_metric {n}\n")))
}

/// Counted for eight seconds before a receiver that always answers this.
fn counted(status: u16, version: Version) -> Work {
    work(Case::page(PAGE).version(version).status(status).run_for(COUNTED))
}

/// Refused so often, then taken, until more has been taken.
fn refused(times: usize, reply: fn(&Got) -> Reply) -> Work {
    let answers = move |number, got: &Got| if number < times { reply(got) } else { Reply::of(204, got) };
    let enough = move |got: &[Got]| got.iter().filter(|got| got.status == 204).count() >= 2;
    work(numbered().answers(answers).run_until(enough))
}

/// A receiver that never takes anything, until it was asked three times.
fn three_tries(status: u16) -> Work {
    work(Case::page(PAGE).status(status).run_until(|got| got.len() >= 3))
}

/// Until the page was scraped three times, wherever remote write goes.
fn scraped(case: Case) -> Work {
    work(case.run_until_all(|site, _| site.scrapes() >= 3))
}

/// A port that nobody listens on.
fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}/push", listener.local_addr().expect("a bound listener has an address"))
}

fn all() -> Vec<(&'static str, Work)> {
    let hanging = |_: usize, got: &Got| Reply::of(204, got).after(Duration::from_secs(30));
    vec![
        ("no_retry_on_400", counted(400, Version::Two)),
        ("no_retry_on_401", counted(401, Version::Two)),
        ("no_retry_on_404", counted(404, Version::Two)),
        ("no_retry_on_413", counted(413, Version::Two)),
        ("no_retry_on_400_in_1_0", counted(400, Version::One)),
        (
            "may_retry_on_429",
            refused(1, |_| Reply::bare(429, "Too many requests").header("retry-after", "1")),
        ),
        ("retry_on_500", refused(1, |got| Reply::of(500, got))),
        ("retry_on_502", refused(1, |got| Reply::of(502, got))),
        ("retry_on_503", refused(1, |got| Reply::of(503, got))),
        ("retry_on_504", refused(1, |got| Reply::of(504, got))),
        ("invalid_status_code", refused(1, |got| Reply::of(999, got))),
        ("tries_of_502", three_tries(502)),
        ("tries_of_503", three_tries(503)),
        ("connection_refused", scraped(Case::page(PAGE).url(&closed()))),
        ("timeout", scraped(Case::page(PAGE).answers(hanging))),
        ("dns_resolution_failure", scraped(Case::page(PAGE).url("http://nonexistent.invalid:9999/push"))),
    ]
}
