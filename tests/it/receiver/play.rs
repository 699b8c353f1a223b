//! One row of the table: its requests, what came back, and the real servers that are asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use fleetpush::demo::receiver::Options;
use fleetpush::pb::remote_write_v1::TimeSeries;
use fleetpush::sink::remote_write::{Asked, Protocol, Reply, Verdict, Written, judge};
use reqwest::Response;
use tokio::sync::Mutex;

use crate::remote_rig::LIMIT;
use crate::servers::{Found, Labels, Prometheus, Suite, VictoriaMetrics, eventually};
use crate::wire::{TYPE_1, TYPE_2, body_1, body_2, one, pack, post, post_1};

use Protocol::{One, Two};

/// A series as a case writes it: times count from now.
pub(super) struct Sent {
    pub(super) labels: Vec<(&'static str, &'static str)>,
    pub(super) samples: Vec<(i64, f64)>,
}

/// What was sent before, and the request in question.
pub(super) struct Row {
    pub(super) before: Option<Sent>,
    pub(super) protocol: Protocol,
    pub(super) series: Vec<Sent>,
    pub(super) packed: fn(&[u8]) -> Vec<u8>,
    pub(super) content_type: &'static str,
    pub(super) encoding: &'static str,
    pub(super) version: Option<&'static str>,
    pub(super) limits: Options,
    /// Where a later VictoriaMetrics answers otherwise than the one that is imitated.
    pub(super) later_victoria: Option<(&'static str, &'static str, Verdict)>,
}

impl Row {
    pub(super) fn of<const N: usize>(protocol: Protocol, series: [Sent; N]) -> Self {
        let (content_type, version) = match protocol {
            One => (TYPE_1, "0.1.0"),
            Two => (TYPE_2, "2.0.0"),
        };
        Self {
            before: None,
            protocol,
            series: series.into(),
            packed: pack,
            content_type,
            encoding: "snappy",
            version: Some(version),
            limits: Options::default(),
            later_victoria: None,
        }
    }

    pub(super) fn after(self, before: Sent) -> Self {
        Self { before: Some(before), ..self }
    }

    fn samples(&self) -> usize {
        self.series.iter().map(|series| series.samples.len()).sum()
    }

    /// Sends both to a receiver and reads what it said of the second.
    pub(super) async fn play(&self, name: &str, at: i64, url: &str) -> Answer {
        let named = |series: &Sent| -> TimeSeries {
            let labels = [series.labels.as_slice(), &[("row", name)]].concat();
            let samples: Vec<_> = series.samples.iter().map(|(ms, value)| (at + ms, *value)).collect();
            one(&labels, &samples)
        };
        if let Some(before) = &self.before {
            let status = post_1(url, vec![named(before)]).await.status();
            assert!(status.is_success(), "{url}: {status}");
        }
        let series = self.series.iter().map(named).collect();
        let body = match self.protocol {
            One => body_1(series),
            Two => body_2(series),
        };
        let mut headers = vec![("content-type", self.content_type), ("content-encoding", self.encoding)];
        headers.extend(self.version.map(|version| ("x-prometheus-remote-write-version", version)));
        Answer::of(post(url, &headers, (self.packed)(&body)).await).await
    }
}

/// An answer as a case writes it, and the parts that our verdict is made of.
pub(super) struct Answer {
    pub(super) said: String,
    status: u16,
    written: Option<Written>,
    pub(super) text: String,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut said = status.to_string();
        for what in ["samples", "histograms", "exemplars"] {
            if let Some(count) = headers.get(format!("x-prometheus-remote-write-{what}-written")) {
                said += &format!(" {}", count.to_str().expect("a number"));
            }
        }
        assert_eq!(headers.get("retry-after"), None);
        let text = response.text().await.expect("a text");
        Self { said, status, written: Written::of(&headers), text }
    }

    /// For a worker at work: it knows by now which version is taken.
    pub(super) fn verdict(&self, row: &Row, speaks_two: bool) -> Verdict {
        let asked = Asked {
            protocol: row.protocol,
            samples: row.samples(),
            two_confirmed: speaks_two,
            one_taken: true,
        };
        let Self { status, written, text, .. } = self;
        judge(&asked, &Reply { status: *status, written: *written, retry_after: None, text })
    }
}

/// Samples by series; times count from that of the row.
pub(super) type Stored = BTreeMap<Labels, Vec<(i64, f64)>>;

pub(super) fn relative(found: Vec<Found>, at: i64) -> Stored {
    let series = found.into_iter().map(|(labels, mut points)| {
        points.sort_by(|left, right| left.partial_cmp(right).expect("no NaN is sent"));
        (labels, points.into_iter().map(|(time, value)| (time - at, value)).collect())
    });
    series.collect()
}

/// As the cases write it, in the order of the fleets.
pub(super) fn text(stored: &Stored) -> String {
    let mut series: Vec<_> = stored.iter().collect();
    series.sort_by_key(|(labels, _)| &labels["fleet"]);
    let series = series.into_iter().map(|(labels, points)| {
        let points = points.iter().map(|(time, value)| format!(" {value}@{time}"));
        labels["fleet"].clone() + &points.collect::<String>()
    });
    series.collect::<Vec<_>>().join(", ")
}

/// The real servers, shared by the rows that run at the same time: each row has series of its own.
pub(super) struct Real {
    prometheus: [Prometheus; 2],
    victoria: [VictoriaMetrics; 2],
}

impl Real {
    pub(super) async fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Real>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(real) = shared.upgrade() {
            return real;
        }
        let (old, new, old_victoria, new_victoria) = tokio::join!(
            Prometheus::receiver(Suite::Stock),
            Prometheus::receiver(Suite::New),
            VictoriaMetrics::start(Suite::Stock, &[]),
            VictoriaMetrics::start(Suite::New, &[]),
        );
        let real = Arc::new(Self { prometheus: [old, new], victoria: [old_victoria, new_victoria] });
        *shared = Arc::downgrade(&real);
        real
    }

    pub(super) fn prometheus_3(&self) -> &Prometheus {
        let [_, new] = &self.prometheus;
        new
    }

    /// Each with its column, and whether it is the release that the simulated one imitates.
    pub(super) fn all(&self) -> [(usize, bool, RealServer<'_>); 4] {
        let ([old, new], [old_victoria, new_victoria]) = (&self.prometheus, &self.victoria);
        [
            (0, true, RealServer::Prometheus(old)),
            (1, true, RealServer::Prometheus(new)),
            (2, true, RealServer::Victoria(old_victoria)),
            (2, false, RealServer::Victoria(new_victoria)),
        ]
    }
}

/// One of them.
pub(super) enum RealServer<'a> {
    Prometheus(&'a Prometheus),
    Victoria(&'a VictoriaMetrics),
}

impl RealServer<'_> {
    pub(super) fn write_url(&self) -> String {
        match self {
            Self::Prometheus(server) => server.write_url(),
            Self::Victoria(server) => server.write_url(),
        }
    }

    async fn stored(&self, selector: &str, at: i64) -> Stored {
        let found = match self {
            Self::Prometheus(server) => server.stored(&format!("{selector}[5h]"), at + 3_600_000).await,
            Self::Victoria(server) => server.stored(selector).await,
        };
        relative(found, at)
    }

    /// What is stored of a row once it can be searched: as expected, or what there is when time is over.
    pub(super) async fn settled(&self, row: &str, at: i64, expected: &str) -> Stored {
        // Where nothing is to be found, something that was sent later must be.
        let later = one(&[("__name__", "later"), ("after", row)], &[(at, 1.0)]);
        let status = post_1(&self.write_url(), vec![later]).await.status();
        assert!(status.is_success(), "{status}");
        eventually("what was sent later is found", LIMIT, async || {
            let found = self.stored(&format!("later{{after={row:?}}}"), at).await;
            (!found.is_empty()).then_some(())
        })
        .await;
        let started = Instant::now();
        eventually("the row is settled", LIMIT, async || {
            let stored = self.stored(&format!("{{row={row:?}}}"), at).await;
            (text(&stored) == expected || started.elapsed() > LIMIT / 2).then_some(stored)
        })
        .await
    }
}
