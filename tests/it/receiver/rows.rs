//! What each product answers, row by row of what was measured: the simulated receivers and the real servers are
//! sent the same bytes, must answer and store the same, and are judged by our own table.

use fleetpush::demo::receiver::{Options, Personality, Server};
use fleetpush::sink::remote_write::{Protocol, Reason, Verdict};
use rstest::{Context, rstest};

use super::play::{Real, Row, Sent, relative, text};
use crate::remote_rig::now;

use Protocol::{One, Two};
use Reason::{BadData, Conflict, Duplicate, Limit, OutOfOrder, TooFarInFuture, TooOld};
use Verdict::{Bisect, Delivered, Fallback, Park, Refuse};

/// A 429 or a 5xx that names no time.
const RETRY: Verdict = Verdict::Retry { after: None };
const HOUR: i64 = 3_600_000;

/// Status and Written headers (samples, histograms, exemplars); what is stored afterwards, as fleet and
/// value@milliseconds from now; what we make of it.
type Expected = (&'static str, &'static str, Verdict);

/// What stands in a case's columns, in their order.
const PRODUCTS: [Personality; 5] = [
    Personality::Prometheus242,
    Personality::Prometheus3,
    Personality::VictoriaMetrics,
    Personality::Cortex,
    Personality::Thanos,
];

fn labels<const N: usize>(labels: [(&'static str, &'static str); N]) -> Sent {
    Sent { labels: labels.to_vec(), samples: vec![(0, 1.0)] }
}

fn fleet<const N: usize>(fleet: &'static str, samples: [(i64, f64); N]) -> Sent {
    Sent { samples: samples.to_vec(), ..labels([("__name__", "devices"), ("fleet", fleet)]) }
}

/// A series with two values of one label.
fn twice() -> Sent {
    labels([("__name__", "devices"), ("fleet", "x"), ("fleet", "b")])
}

#[rstest]
#[case::remote_write_1_ok(
    Row::of(One, [fleet("a", [(0, 1.0)])]),
    [
        ("204", "a 1@0", Delivered),
        ("204", "a 1@0", Delivered),
        ("204", "a 1@0", Delivered),
        ("200", "a 1@0", Delivered),
        ("200", "a 1@0", Delivered),
    ]
)]
#[case::remote_write_2_body(
    Row::of(Two, [fleet("a", [(0, 1.0)]), fleet("b", [(0, 2.0)])]),
    [
        ("204", "", Fallback),
        ("204 2 0 0", "a 1@0, b 2@0", Delivered),
        ("204", "", Fallback),
        ("204 2 0 0", "a 1@0, b 2@0", Delivered),
        ("200", "", Fallback),
    ]
)]
#[case::same_time_and_same_value(
    Row::of(One, [fleet("a", [(0, 1.0)])]).after(fleet("a", [(0, 1.0)])),
    [
        ("204", "a 1@0", Delivered),
        ("204", "a 1@0", Delivered),
        ("204", "a 1@0 1@0", Delivered),
        ("200", "a 1@0", Delivered),
        ("200", "a 1@0", Delivered),
    ]
)]
#[case::same_time_and_another_value(
    Row::of(One, [fleet("a", [(0, 2.0)])]).after(fleet("a", [(0, 1.0)])),
    [
        ("400", "a 1@0", Refuse(Duplicate)),
        ("400", "a 1@0", Refuse(Duplicate)),
        ("204", "a 1@0 2@0", Delivered),
        ("400", "a 1@0", Refuse(Duplicate)),
        ("409", "a 1@0", Refuse(Duplicate)),
    ]
)]
#[case::older_than_the_last_sample(
    Row::of(One, [fleet("a", [(-1_000, 2.0)])]).after(fleet("a", [(0, 1.0)])),
    [
        ("400", "a 1@0", Refuse(OutOfOrder)),
        ("400", "a 1@0", Refuse(OutOfOrder)),
        ("204", "a 2@-1000 1@0", Delivered),
        ("400", "a 1@0", Refuse(OutOfOrder)),
        ("409", "a 1@0", Refuse(OutOfOrder)),
    ]
)]
#[case::three_hours_old(
    Row::of(One, [fleet("a", [(-3 * HOUR, 2.0)])]).after(fleet("a", [(0, 1.0)])),
    [
        ("400", "a 1@0", Refuse(TooOld)),
        ("400", "a 1@0", Refuse(TooOld)),
        ("204", "a 2@-10800000 1@0", Delivered),
        ("400", "a 1@0", Refuse(TooOld)),
        ("409", "a 1@0", Refuse(TooOld)),
    ]
)]
#[case::a_quarter_of_an_hour_ahead(
    Row::of(One, [fleet("a", [(HOUR / 4, 1.0)])]),
    [
        ("204", "a 1@900000", Delivered),
        ("400", "", Refuse(TooFarInFuture)),
        ("204", "a 1@900000", Delivered),
        ("400", "", Refuse(TooFarInFuture)),
        ("200", "a 1@900000", Delivered),
    ]
)]
#[case::labels_unsorted(
    Row::of(One, [labels([("fleet", "a"), ("__name__", "devices")])]),
    [
        ("204", "a 1@0", Delivered),
        ("204", "a 1@0", Delivered),
        ("204", "a 1@0", Delivered),
        ("200", "a 1@0", Delivered),
        ("409", "", Refuse(Conflict)),
    ]
)]
#[case::duplicate_label_name(
    Row::of(One, [twice()]),
    [
        ("500", "", RETRY),
        ("204", "", Delivered),
        ("204", "b 1@0", Delivered),
        ("400", "", Refuse(BadData)),
        ("409", "", Refuse(Conflict)),
    ]
)]
#[case::duplicate_label_name_in_2(
    Row::of(Two, [twice()]),
    [
        ("204", "", Fallback),
        ("400 0 0 0", "", Refuse(BadData)),
        ("204", "", Fallback),
        ("400 0 0 0", "", Refuse(BadData)),
        ("200", "", Fallback),
    ]
)]
#[case::no_name(
    Row::of(One, [labels([("fleet", "a")])]),
    [
        ("204", "a 1@0", Delivered),
        ("204", "", Delivered),
        ("204", "a 1@0", Delivered),
        ("400", "", Refuse(BadData)),
        ("200", "a 1@0", Delivered),
    ]
)]
#[case::no_name_in_2(
    Row::of(Two, [labels([("fleet", "a")])]),
    [
        ("204", "", Fallback),
        ("400 0 0 0", "", Refuse(BadData)),
        ("204", "", Fallback),
        ("400 0 0 0", "", Refuse(BadData)),
        ("200", "", Fallback),
    ]
)]
#[case::empty_label_value(
    Row::of(One, [labels([("__name__", "devices"), ("empty", ""), ("fleet", "a")])]),
    [
        ("204", "a 1@0", Delivered),
        ("204", "a 1@0", Delivered),
        ("204", "a 1@0", Delivered),
        ("200", "a 1@0", Delivered),
        ("409", "", Refuse(Conflict)),
    ]
)]
#[case::newer_before_older_in_one_series(
    Row::of(One, [fleet("a", [(0, 2.0), (-1_000, 1.0)])]),
    [
        ("204", "a 2@0", Delivered),
        ("204", "a 2@0", Delivered),
        ("204", "a 1@-1000 2@0", Delivered),
        ("200", "a 2@0", Delivered),
        ("200", "a 2@0", Delivered),
    ]
)]
#[case::one_bad_of_three_in_1(
    Row::of(One, [fleet("a", [(0, 1.0)]), twice(), fleet("c", [(0, 3.0)])]),
    [
        ("500", "", RETRY),
        ("204", "a 1@0, c 3@0", Delivered),
        ("204", "a 1@0, b 1@0, c 3@0", Delivered),
        ("400", "a 1@0, c 3@0", Bisect),
        ("409", "a 1@0, c 3@0", Refuse(Conflict)),
    ]
)]
#[case::one_bad_of_three_in_2(
    Row::of(Two, [fleet("a", [(0, 1.0)]), twice(), fleet("c", [(0, 3.0)])]),
    [
        ("204", "", Fallback),
        ("400 2 0 0", "a 1@0, c 3@0", Refuse(BadData)),
        ("204", "", Fallback),
        ("400 2 0 0", "a 1@0, c 3@0", Refuse(BadData)),
        ("200", "", Fallback),
    ]
)]
#[case::body_not_snappy(
    Row { packed: <[u8]>::to_vec, ..Row::of(One, [fleet("a", [(0, 1.0)])]) },
    [("400", "", Refuse(BadData)); 5]
)]
#[case::content_type_of_a_text(
    Row { content_type: "text/plain", ..Row::of(One, [fleet("a", [(0, 1.0)])]) },
    [
        ("204", "a 1@0", Delivered),
        ("415", "", Refuse(BadData)),
        ("204", "a 1@0", Delivered),
        ("415", "", Refuse(BadData)),
        ("200", "a 1@0", Delivered),
    ]
)]
#[case::content_encoding_zstd(
    Row {
        packed: zstd,
        encoding: "zstd",
        later_victoria: Some(("204", "a 1@0", Delivered)),
        ..Row::of(One, [fleet("a", [(0, 1.0)])])
    },
    [
        ("400", "", Refuse(BadData)),
        ("415", "", Refuse(BadData)),
        ("400", "", Refuse(BadData)),
        ("415", "", Refuse(BadData)),
        ("400", "", Refuse(BadData)),
    ]
)]
#[case::no_version_header(
    Row { version: None, ..Row::of(One, [fleet("a", [(0, 1.0)])]) },
    [
        ("204", "a 1@0", Delivered),
        ("204", "a 1@0", Delivered),
        ("204", "a 1@0", Delivered),
        ("200", "a 1@0", Delivered),
        ("200", "a 1@0", Delivered),
    ]
)]
#[case::no_tenant_header(
    Row {
        limits: Options { needs_tenant: true, ..Options::default() },
        ..Row::of(One, [fleet("a", [(0, 1.0)])])
    },
    [
        ("204", "a 1@0", Delivered),
        ("204", "a 1@0", Delivered),
        ("204", "a 1@0", Delivered),
        ("401", "", Park),
        ("200", "a 1@0", Delivered),
    ]
)]
#[case::over_the_rate_limit(
    Row {
        limits: Options { max_samples: Some(1), ..Options::default() },
        ..Row::of(One, [fleet("a", [(0, 1.0)]), fleet("b", [(0, 2.0)])])
    },
    [
        ("204", "a 1@0, b 2@0", Delivered),
        ("204", "a 1@0, b 2@0", Delivered),
        ("204", "a 1@0, b 2@0", Delivered),
        ("429", "", RETRY),
        ("200", "a 1@0, b 2@0", Delivered),
    ]
)]
#[case::over_the_rate_limit_in_2(
    Row {
        limits: Options { max_samples: Some(1), ..Options::default() },
        ..Row::of(Two, [fleet("a", [(0, 1.0)]), fleet("b", [(0, 2.0)])])
    },
    [
        ("204", "", Fallback),
        ("204 2 0 0", "a 1@0, b 2@0", Delivered),
        ("204", "", Fallback),
        ("429 0 0 0", "", RETRY),
        ("200", "", Fallback),
    ]
)]
#[case::over_the_series_limit(
    Row {
        limits: Options { max_series: Some(2), ..Options::default() },
        ..Row::of(One, [fleet("b", [(0, 2.0)]), fleet("c", [(0, 3.0)])]).after(fleet("a", [(0, 1.0)]))
    },
    [
        ("204", "a 1@0, b 2@0, c 3@0", Delivered),
        ("204", "a 1@0, b 2@0, c 3@0", Delivered),
        ("204", "a 1@0, b 2@0, c 3@0", Delivered),
        ("400", "a 1@0, b 2@0", Bisect),
        ("200", "a 1@0, b 2@0, c 3@0", Delivered),
    ]
)]
#[case::over_the_label_limit(
    Row {
        limits: Options { max_labels: Some(3), ..Options::default() },
        ..Row::of(One, [labels([("__name__", "devices"), ("extra", "1"), ("fleet", "a")])])
    },
    [
        ("204", "a 1@0", Delivered),
        ("204", "a 1@0", Delivered),
        ("204", "a 1@0", Delivered),
        ("400", "", Refuse(Limit)),
        ("200", "a 1@0", Delivered),
    ]
)]
#[tokio::test]
async fn each_product_answers(
    #[context] context: Context,
    #[case] row: Row,
    #[case] expected: [Expected; 5],
) {
    let name = context.description.expect("each case has a name");
    let at = now();
    let mut imitated = Vec::new();
    for (personality, expected) in PRODUCTS.into_iter().zip(expected) {
        let server = Server::start(Options { personality, ..row.limits.clone() }).await.expect("a free port");
        let answer = row.play(name, at, &server.write_url()).await;
        let samples = server.samples().into_iter().map(|(labels, samples)| {
            (labels, samples.iter().map(|sample| (sample.timestamp, sample.value())).collect())
        });
        let stored = relative(samples.collect(), at);
        let got = (&*answer.said, &*text(&stored), answer.verdict(&row, speaks_two(personality)));
        assert_eq!(got, expected, "{personality:?}: {}", answer.text);
        imitated.push(stored);
    }

    let real = Real::shared().await;
    for (column, is_imitated, server) in real.all() {
        let who = format!("the real {:?}, of this suite: {is_imitated}", PRODUCTS[column]);
        let expected = match row.later_victoria {
            Some(later) if !is_imitated => later,
            _ => expected[column],
        };
        let answer = row.play(name, at, &server.write_url()).await;
        let stored = server.settled(name, at, expected.1).await;
        let got = (&*answer.said, &*text(&stored), answer.verdict(&row, speaks_two(PRODUCTS[column])));
        assert_eq!(got, expected, "{who}: {}", answer.text);
        if is_imitated || row.later_victoria.is_none() {
            assert_eq!(stored, imitated[column], "{who}");
        }
    }
}

#[tokio::test]
async fn a_series_of_2_0_without_a_sample_is_taken_by_prometheus_3() {
    let row = Row::of(Two, [fleet("a", [])]);
    let server = Server::start(Options::default()).await.expect("a free port");
    let real = Real::shared().await;
    for url in [server.write_url(), real.prometheus_3().write_url()] {
        assert_eq!(row.play("no_sample", now(), &url).await.said, "204 0 0 0", "{url}");
    }
    assert!(server.samples().is_empty());
}

fn speaks_two(personality: Personality) -> bool {
    matches!(personality, Personality::Prometheus3 | Personality::Cortex)
}

/// A frame of Zstandard around one block that is not compressed.
fn zstd(bytes: &[u8]) -> Vec<u8> {
    let block = u32::try_from(bytes.len()).expect("short") << 3 | 1;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x58];
    frame.extend_from_slice(&block.to_le_bytes()[..3]);
    frame.extend_from_slice(bytes);
    frame
}
