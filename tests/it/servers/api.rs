//! Prometheus' query API, as Prometheus and VictoriaMetrics speak it. In: a query. Out: labels, times in
//! milliseconds, values. An answer that is no success fails the test with the server's own words.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

/// The labels of a series, `__name__` among them.
pub type Labels = BTreeMap<String, String>;

/// Time in milliseconds, value.
pub type Points = Vec<(i64, f64)>;

/// A series with its samples.
pub type Found = (Labels, Points);

pub(super) struct Api {
    base: String,
    always: &'static [(&'static str, &'static str)],
    client: reqwest::Client,
}

impl Api {
    /// `always` goes with every query.
    pub(super) fn new(base: &str, always: &'static [(&'static str, &'static str)]) -> Self {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            // A server that was restarted has closed what the pool would keep.
            .pool_max_idle_per_host(0)
            .build()
            .expect("a client without options");
        Self { base: base.to_owned(), always, client }
    }

    pub(super) async fn query(&self, promql: &str, at_ms: Option<i64>) -> Vec<(Labels, f64)> {
        let answer = match at_ms {
            Some(at) => self.json("/api/v1/query", &[("query", promql), ("time", &seconds(at))]).await,
            None => self.json("/api/v1/query", &[("query", promql)]).await,
        };
        if answer["data"]["resultType"] == "scalar" {
            return vec![(Labels::new(), point(&answer["data"]["result"]).1)];
        }
        result(&answer).iter().map(|series| (labels(&series["metric"]), point(&series["value"]).1)).collect()
    }

    pub(super) async fn stored(&self, range_selector: &str, at_ms: i64) -> Vec<Found> {
        let answer =
            self.json("/api/v1/query", &[("query", range_selector), ("time", &seconds(at_ms))]).await;
        matrix(&answer)
    }

    pub(super) async fn query_range(
        &self,
        promql: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Vec<Found> {
        let (start, end, step) = (seconds(start_ms), seconds(end_ms), seconds(step_ms));
        let parameters = [("query", promql), ("start", &*start), ("end", &*end), ("step", &*step)];
        matrix(&self.json("/api/v1/query_range", &parameters).await)
    }

    pub(super) async fn series(&self, selector: &str) -> Vec<Labels> {
        let answer = self.json("/api/v1/series", &[("match[]", selector)]).await;
        answer["data"].as_array().into_iter().flatten().map(labels).collect()
    }

    /// VictoriaMetrics' own way to its stored samples: a line of JSON for each block of a series.
    pub(super) async fn export(&self, selector: &str) -> Vec<Found> {
        let mut found = BTreeMap::<Labels, Points>::new();
        // Without an end it stops at the present, and samples may lie after that.
        let parameters = [("match[]", selector), ("end", "2100-01-01T00:00:00Z")];
        for line in self.text("/api/v1/export", &parameters).await.lines() {
            let block: Value = serde_json::from_str(line).expect("a line of JSON for each block");
            let times = block["timestamps"].as_array().into_iter().flatten();
            let values = block["values"].as_array().into_iter().flatten();
            let points = times.zip(values).map(|(time, value)| {
                // Only what JSON cannot say comes as text or null.
                let value = value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(f64::NAN);
                (time.as_i64().expect("a time in milliseconds"), value)
            });
            found.entry(labels(&block["metric"])).or_default().extend(points);
        }
        found
            .into_iter()
            .map(|(labels, mut points)| {
                points.sort_by_key(|(time, _)| *time);
                (labels, points)
            })
            .collect()
    }

    pub(super) async fn json(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let text = self.text(path, parameters).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path} answers no JSON: {error}: {text}"))
    }

    pub(super) async fn text(&self, path: &str, parameters: &[(&str, &str)]) -> String {
        let parameters = self.always.iter().chain(parameters);
        let mut url =
            reqwest::Url::parse(&format!("{}{path}", self.base)).expect("a path on a server of ours");
        url.query_pairs_mut().extend_pairs(parameters);
        let answer = self.client.get(url.clone()).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        let status = answer.status();
        let text = answer.text().await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        assert!(status.is_success(), "{url}: {status}: {text}");
        text
    }
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

fn result(answer: &Value) -> &[Value] {
    answer["data"]["result"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn matrix(answer: &Value) -> Vec<Found> {
    assert_eq!(answer["data"]["resultType"], "matrix", "{answer}");
    let points = |series: &Value| series["values"].as_array().into_iter().flatten().map(point).collect();
    result(answer).iter().map(|series| (labels(&series["metric"]), points(series))).collect()
}

fn labels(metric: &Value) -> Labels {
    let pairs = metric.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn point(pair: &Value) -> (i64, f64) {
    let time = pair[0].as_f64().unwrap_or_else(|| panic!("no time in {pair}"));
    let value = pair[1].as_str().and_then(|text| text.parse().ok());
    ((time * 1000.0).round() as i64, value.unwrap_or_else(|| panic!("no value in {pair}")))
}
