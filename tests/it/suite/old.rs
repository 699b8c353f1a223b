//! The suite for remote write 1.0: 19 cases, which can be run with another sender too, since the harness is tried
//! with those whose scores are known.

mod cases;

use super::sender::Sender;

type Body = Box<dyn FnOnce() + Send>;

/// Runs a case to its end, on a thread of its own.
fn alone(case: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(case);
}

/// Each case by its name: a test with our sender, and in [`all`] with any.
macro_rules! cases {
    ($($name:ident),+ $(,)?) => {
        $(#[tokio::test] async fn $name() { cases::$name(Sender::Ours).await; })+

        pub fn all(by: Sender) -> Vec<(&'static str, Body)> {
            vec![$((stringify!($name), Box::new(move || alone(cases::$name(by)))),)+]
        }
    };
}

cases!(
    counter,
    gauge,
    histogram,
    summary,
    up,
    invalid,
    job_label,
    instance_label,
    sorted_labels,
    repeated_labels,
    empty_labels,
    name_label,
    honor_labels,
    staleness,
    timestamp,
    headers,
    ordering,
    retries500,
    retries400,
);
