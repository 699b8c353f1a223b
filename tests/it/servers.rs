//! The real servers that tests write to and read from: Prometheus, Pushgateway, VictoriaMetrics, node_exporter, promtool, each as
//! an old release and as a recent one. In: a configuration or extra arguments. Out: a running server on 127.0.0.1
//! with an empty folder of its own, ended when it goes out of scope. Never skips: a missing program fails the test.

mod api;
mod exporter;
mod process;
mod scrape;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use api::Api;
pub use api::{Found, Labels};
pub use exporter::NodeExporter;
use process::{Process, Ready};
pub use scrape::scrapes;

/// Which release of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Prometheus 2.42 (remote write 1.0 only), Pushgateway 1.5, VictoriaMetrics 1.79.
    Stock,
    /// Prometheus 3.5 or later (remote write 2.0), Pushgateway 1.11, VictoriaMetrics 1.145 or later.
    New,
}

impl Suite {
    /// Both, for tests that must hold at either.
    pub const ALL: [Self; 2] = [Self::Stock, Self::New];

    pub fn program(self, name: &str) -> PathBuf {
        let folder = match self {
            Self::Stock => "stock",
            Self::New => "new",
        };
        let path: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "target/test-servers", folder, "usr/bin", name].iter().collect();
        assert!(
            path.is_file(),
            "{} is missing: run `make test-servers`, which fetches it without root",
            path.display()
        );
        path
    }
}

/// A Prometheus that takes remote write and scrapes what its configuration names.
pub struct Prometheus {
    process: Process,
    api: Api,
}

impl Prometheus {
    /// Starts one with this configuration (YAML, or JSON, which is YAML too).
    pub async fn start(suite: Suite, config: &str) -> Self {
        Self::start_with(suite, config, &[]).await
    }

    /// As `start`, with more arguments, such as `--enable-feature=...`.
    pub async fn start_with(suite: Suite, config: &str, extra: &[&str]) -> Self {
        Self::start_answering(suite, config, extra, 200).await
    }

    /// As `start_with`, where a plain GET of `/-/ready` is answered with this status once it serves: 401 where users
    /// are configured, 400 where it speaks TLS.
    pub async fn start_answering(suite: Suite, config: &str, extra: &[&str], status: u16) -> Self {
        let open = [&["--web.enable-remote-write-receiver"], extra].concat();
        Self::launch(suite, config, &open, status, |_| {}).await
    }

    /// Starts one as it is by itself: it takes no remote write.
    pub async fn closed(suite: Suite) -> Self {
        Self::launch(suite, "global: {scrape_interval: 1h}", &[], 200, |_| {}).await
    }

    /// `prepare` is given the folder of the data, which is not there yet.
    async fn launch(
        suite: Suite,
        config: &str,
        extra: &[&str],
        status: u16,
        prepare: impl Fn(&Path),
    ) -> Self {
        let program = suite.program("prometheus");
        let ready = Ready { path: "/-/ready", status };
        let process = Process::start_until(program, ready, |port, folder| {
            let file = folder.join("prometheus.yml");
            std::fs::write(&file, config).expect("the server's folder is writable");
            let data = folder.join("data");
            prepare(&data);
            let mut arguments = vec![
                format!("--config.file={}", file.display()),
                format!("--storage.tsdb.path={}", data.display()),
                format!("--web.listen-address=127.0.0.1:{port}"),
            ];
            arguments.extend(extra.iter().map(|argument| (*argument).to_owned()));
            arguments
        })
        .await;
        let api = Api::new(process.url(), &[]);
        Self { process, api }
    }

    /// Starts one that scrapes nothing and holds what a text in the OpenMetrics format, with times, says.
    pub async fn holding(suite: Suite, page: &str) -> Self {
        Self::launch(suite, "global: {scrape_interval: 1h}", &[], 200, |data| {
            let file = data.with_extension("openmetrics");
            std::fs::write(&file, page).expect("the server's folder is writable");
            let [file, data] = [&file, data].map(|path| path.to_str().expect("a temporary path is text"));
            promtool(suite, &["tsdb", "create-blocks-from", "openmetrics", file, data])
                .unwrap_or_else(|said| panic!("no blocks: {said}"));
        })
        .await
    }

    /// Starts one that scrapes nothing.
    pub async fn receiver(suite: Suite) -> Self {
        Self::start(suite, "global: {scrape_interval: 1h}").await
    }

    /// Starts one that scrapes each `(job, url of a page)` every 200 ms; `settings` are more keys of each scrape
    /// configuration, such as `{"honor_labels": true}` or `{"scrape_protocols": ["OpenMetricsText1.0.0"]}`.
    pub async fn scraping(suite: Suite, pages: &[(&str, &str)], settings: Value) -> Self {
        Self::start(suite, &json!({ "scrape_configs": scrapes(pages, &settings) }).to_string()).await
    }

    /// `http://127.0.0.1:port`, without a slash at its end.
    pub fn url(&self) -> &str {
        self.process.url()
    }

    /// Where remote write goes.
    pub fn write_url(&self) -> String {
        format!("{}/api/v1/write", self.url())
    }

    /// Instant query at the server's present.
    pub async fn query(&self, promql: &str) -> Vec<(Labels, f64)> {
        self.api.query(promql, None).await
    }

    /// Instant query at a time in milliseconds.
    pub async fn query_at(&self, promql: &str, at_ms: i64) -> Vec<(Labels, f64)> {
        self.api.query(promql, Some(at_ms)).await
    }

    /// The stored samples themselves, with their own times: a selector with a range, such as `up[1h]`, that ends at
    /// the time given.
    pub async fn stored(&self, range_selector: &str, at_ms: i64) -> Vec<Found> {
        self.api.stored(range_selector, at_ms).await
    }

    /// Range query; times and step in milliseconds.
    pub async fn query_range(&self, promql: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Vec<Found> {
        self.api.query_range(promql, start_ms, end_ms, step_ms).await
    }

    /// The label sets that match a selector.
    pub async fn series(&self, selector: &str) -> Vec<Labels> {
        self.api.series(selector).await
    }

    /// What the pages that it scrapes say of their metrics: `{"target": {...}, "metric", "type", "help", "unit"}`.
    pub async fn metadata(&self) -> Vec<Value> {
        let answer = self.api.json("/api/v1/targets/metadata", &[]).await;
        answer["data"].as_array().cloned().unwrap_or_default()
    }

    /// Ends the server at once: what it has not yet written is lost, its port refuses from now on.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Stops the server in good order: its port refuses from now on, its data stays.
    pub async fn stop(&mut self) {
        self.process.stop().await;
    }

    /// Starts it again on the same port with the same data.
    pub async fn restart(&mut self) {
        self.process.restart().await;
    }

    /// As [`Self::restart`], with another configuration.
    pub async fn restart_with(&mut self, config: &str) {
        let file = self.process.folder().join("prometheus.yml");
        std::fs::write(file, config).expect("the server's folder is writable");
        self.process.restart().await;
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// A single-node VictoriaMetrics.
pub struct VictoriaMetrics {
    process: Process,
    api: Api,
}

impl VictoriaMetrics {
    /// Starts one, with more arguments, such as `-dedup.minScrapeInterval=1ms`.
    pub async fn start(suite: Suite, extra: &[&str]) -> Self {
        let program = suite.program("victoria-metrics");
        let process = Process::start(program, "/health", |port, folder| {
            let mut arguments = vec![
                format!("-storageDataPath={}", folder.join("data").display()),
                format!("-httpListenAddr=127.0.0.1:{port}"),
                "-retentionPeriod=1".to_owned(),
            ];
            arguments.extend(extra.iter().map(|argument| (*argument).to_owned()));
            arguments
        })
        .await;
        let api = Api::new(process.url(), &[("nocache", "1"), ("latency_offset", "1ms")]);
        Self { process, api }
    }

    /// `http://127.0.0.1:port`, without a slash at its end.
    pub fn url(&self) -> &str {
        self.process.url()
    }

    /// Where remote write goes.
    pub fn write_url(&self) -> String {
        format!("{}/api/v1/write", self.url())
    }

    /// Instant query of everything that was taken so far, at the server's present.
    pub async fn query(&self, promql: &str) -> Vec<(Labels, f64)> {
        self.flush().await;
        self.api.query(promql, None).await
    }

    /// Instant query of everything that was taken so far, at a time in milliseconds.
    pub async fn query_at(&self, promql: &str, at_ms: i64) -> Vec<(Labels, f64)> {
        self.flush().await;
        self.api.query(promql, Some(at_ms)).await
    }

    /// The stored samples of a selector with their own times, in the order of time.
    pub async fn stored(&self, selector: &str) -> Vec<Found> {
        self.flush().await;
        self.api.export(selector).await
    }

    /// Stops the server in good order: its port refuses from now on, its data stays.
    pub async fn stop(&mut self) {
        self.process.stop().await;
    }

    /// Starts it again on the same port with the same data.
    pub async fn restart(&mut self) {
        self.process.restart().await;
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    // A sample that was taken is only found by queries after a flush.
    async fn flush(&self) {
        self.api.text("/internal/force_flush", &[]).await;
    }
}

/// A Pushgateway.
pub struct Pushgateway {
    process: Process,
    api: Api,
}

impl Pushgateway {
    /// Starts one, with more arguments, such as `--web.enable-admin-api`.
    pub async fn start(suite: Suite, extra: &[&str]) -> Self {
        Self::start_answering(suite, extra, 200).await
    }

    /// As `start`, where a plain GET of `/-/ready` is answered with this status once it serves: 401 where users are
    /// configured, 400 where it speaks TLS, 404 behind a route prefix.
    pub async fn start_answering(suite: Suite, extra: &[&str], status: u16) -> Self {
        let program = suite.program("prometheus-pushgateway");
        let ready = Ready { path: "/-/ready", status };
        let process = Process::start_until(program, ready, |port, folder| {
            let mut arguments = vec![
                format!("--web.listen-address=127.0.0.1:{port}"),
                format!("--persistence.file={}", folder.join("pushgateway.data").display()),
            ];
            arguments.extend(extra.iter().map(|argument| (*argument).to_owned()));
            arguments
        })
        .await;
        let api = Api::new(process.url(), &[]);
        Self { process, api }
    }

    /// `http://127.0.0.1:port`, without a slash at its end.
    pub fn url(&self) -> &str {
        self.process.url()
    }

    /// Every group as the gateway tells it: `[{"labels": {...}, "last_push_successful": true, "name": {...}}, ...]`.
    pub async fn groups(&self) -> Vec<Value> {
        let answer = self.api.json("/api/v1/metrics", &[]).await;
        answer["data"].as_array().cloned().unwrap_or_default()
    }

    /// The page that a Prometheus scrapes.
    pub async fn metrics(&self) -> String {
        self.api.text("/metrics", &[]).await
    }

    /// Ends the gateway at once: what it has not yet written is lost, its port refuses from now on.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Sends it a signal by its name: after `STOP` it takes connections and never answers, until `CONT`.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Stops the gateway in good order: its port refuses from now on, its data stays.
    pub async fn stop(&mut self) {
        self.process.stop().await;
    }

    /// Starts it again on the same port with the same data.
    pub async fn restart(&mut self) {
        self.process.restart().await;
    }

    /// What the gateway has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// `promtool check metrics` on a page in the text format: the error is all that promtool said.
pub fn promtool_check_metrics(suite: Suite, page: &str) -> Result<(), String> {
    let mut child = Command::new(suite.program("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts: `make test-servers` has tried it");
    // promtool may stop reading at an error; what it says then is the result.
    if let Some(mut input) = child.stdin.take() {
        let _unread = input.write_all(page.as_bytes());
    }
    let output = child.wait_with_output().expect("promtool's output is readable");
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

/// promtool with these arguments, to its end: all that it said, where that was not a success an error.
pub fn promtool(suite: Suite, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(suite.program("promtool"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("promtool starts: `make test-servers` has tried it");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(said) }
}

/// `promtool check web-config` on these files: for each whether it is taken, and what was said of it.
pub fn promtool_check_web_config(suite: Suite, files: &[PathBuf]) -> Vec<(bool, String)> {
    let output = Command::new(suite.program("promtool"))
        .args(["check", "web-config"])
        .args(files)
        .output()
        .expect("promtool starts: `make test-servers` has tried it");
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    let of = |file: &PathBuf| {
        let (name, mut lines) = (format!("{} ", file.display()), said.lines());
        let line = lines.find_map(|line| line.strip_prefix(&name));
        let line = line.unwrap_or_else(|| panic!("nothing is said of {}:\n{said}", file.display()));
        (line == "SUCCESS", line.to_owned())
    };
    files.iter().map(of).collect()
}

/// Asks again every 20 ms until there is an answer; fails the test with `what` when `limit` has passed.
pub async fn eventually<T>(what: &str, limit: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(started.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn every_prometheus_scrapes_and_every_pushgateway_keeps_a_push() {
        for suite in Suite::ALL {
            let mut gateway = Pushgateway::start(suite, &["--web.enable-lifecycle"]).await;
            let group = format!("{}/metrics/job/smoke", gateway.url());
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let answer = client.put(&group).body("smoke{a=\"b\"} 4.5\n").send().await.unwrap();
            assert_eq!(answer.status(), 200);
            assert_eq!(gateway.groups().await[0]["labels"], json!({"job": "smoke"}));
            assert!(gateway.metrics().await.contains("smoke{a=\"b\",instance=\"\",job=\"smoke\"} 4.5"));

            let page = format!("{}/metrics", gateway.url());
            let settings = json!({"honor_labels": true});
            let mut prometheus = Prometheus::scraping(suite, &[("gateway", &page)], settings).await;
            let found = eventually("the pushed sample is scraped", LIMIT, async || {
                Some(prometheus.query("smoke").await).filter(|found| !found.is_empty())
            })
            .await;
            assert_eq!(found.len(), 1);
            assert_eq!((found[0].0["job"].as_str(), found[0].0["a"].as_str()), ("smoke", "b"));
            assert_eq!(found[0].1, 4.5);
            assert_eq!(prometheus.series("smoke").await, [found[0].0.clone()]);

            let now = prometheus.query("time() * 1000").await[0].1 as i64;
            let stored = prometheus.stored("smoke[1h]", now).await;
            let (at, value) = stored[0].1[0];
            assert!((now - 60_000..=now).contains(&at) && value == 4.5, "{stored:?}");
            assert_eq!(prometheus.query_at("smoke", at).await.len(), 1);
            assert_eq!(prometheus.query_at("smoke", at - 600_000).await, []);
            assert!(!prometheus.query_range("smoke", at, at + 1_000, 500).await.is_empty());
            assert!(prometheus.write_url().ends_with("/api/v1/write"));

            gateway.stop().await;
            assert!(client.get(&page).send().await.is_err(), "a stopped gateway refuses");
            gateway.restart().await;
            assert_eq!(gateway.groups().await.len(), 1, "the push outlives a restart");
            prometheus.stop().await;
            prometheus.restart().await;
            assert!(!prometheus.stored("smoke[1h]", now).await.is_empty(), "the data outlives a restart");
            assert!(prometheus.log().contains("ready to receive") && !gateway.log().is_empty());
        }
    }

    #[tokio::test]
    async fn every_victoria_metrics_stores_and_finds_a_sample() {
        for suite in Suite::ALL {
            let mut server = VictoriaMetrics::start(suite, &["-loggerLevel=INFO"]).await;
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let import = format!("{}/api/v1/import/prometheus", server.url());
            let answer = client.post(&import).body("smoke{a=\"b\"} 4.5\n").send().await.unwrap();
            assert!(answer.status().is_success());
            let stored = eventually("the sample is stored", LIMIT, async || {
                Some(server.stored("smoke").await).filter(|found| !found.is_empty())
            })
            .await;
            let (at, value) = stored[0].1[0];
            assert_eq!(value, 4.5);
            assert_eq!(server.query_at("smoke", at + 1).await[0].1, 4.5);
            assert_eq!(server.query("vector(1)").await[0].1, 1.0);
            assert!(server.write_url().ends_with("/api/v1/write"));

            server.stop().await;
            assert!(client.get(server.url()).send().await.is_err(), "a stopped server refuses");
            server.restart().await;
            assert_eq!(server.stored("smoke").await.len(), 1, "the data outlives a restart");
            assert!(!server.log().is_empty());
        }
    }

    #[tokio::test]
    async fn every_receiver_starts_without_a_target() {
        for suite in Suite::ALL {
            assert_eq!(Prometheus::receiver(suite).await.query("up").await, []);
        }
    }

    #[test]
    fn every_promtool_accepts_a_good_page_and_refuses_a_bad_one() {
        for suite in Suite::ALL {
            let good = "# HELP things Things.\n# TYPE things gauge\nthings 1\n";
            assert_eq!(promtool_check_metrics(suite, good), Ok(()));
            let without_help = promtool_check_metrics(suite, "# TYPE things gauge\nthings 1\n");
            assert!(without_help.unwrap_err().contains("no help text"));
            assert!(promtool_check_metrics(suite, "things{ 1\n").is_err());
        }
    }

    #[tokio::test]
    async fn a_server_that_refuses_to_start_shows_its_log() {
        let failure = tokio::spawn(Prometheus::start(Suite::Stock, "nonsense: [")).await;
        let panic = failure.err().map(tokio::task::JoinError::into_panic).unwrap();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains("prometheus.yml"), "{text}");
    }
}
