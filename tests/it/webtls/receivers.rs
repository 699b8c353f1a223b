//! Real receivers behind a file of their own: TLS, client certificates and users at once.

use rstest::rstest;
use serde_json::{Value, json};

use super::{PASSWORD, Walled, api, client, start};
use crate::program::LIMIT;
use crate::servers::{Prometheus, Pushgateway, Suite, eventually};

impl Walled {
    fn flag(&self) -> String {
        format!("--web.config.file={}", self.web().display())
    }

    /// A file of one sink.
    fn config(&self, kind: &str, url: &str) -> String {
        let mut sink = self.credentials("fleetpush", PASSWORD);
        sink["url"] = url.into();
        self.files.write("fleetpush.yml", &json!({kind: [sink]}).to_string())
    }

    async fn ask(&self, url: &str) -> Value {
        let client = client(&self.authority, Some(&self.clients.issue("reader")));
        let answer = client.get(url).basic_auth("ops", Some(PASSWORD)).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }
}

fn https(url: &str) -> String {
    url.replace("http://", "https://")
}

#[rstest]
#[case::old(Suite::Stock, "remote write 1.0")]
#[case::new(Suite::New, "remote write 2.0")]
#[tokio::test]
async fn a_prometheus_with_tls_certificates_and_users_takes_remote_write(
    #[case] suite: Suite,
    #[case] spoken: &str,
) {
    let walled = Walled::new();
    let settings = "global: {scrape_interval: 1h}";
    let prometheus = Prometheus::start_answering(suite, settings, &[&walled.flag()], 400).await;
    let base = https(prometheus.url());
    let (api, config) = (api().await, walled.config("remote_write", &format!("{base}/api/v1/write")));
    let program = start(&walled.files, &["--config.file", &config], &api);
    program.logged(&format!("protocol=\"{spoken}\"")).await;
    let url = format!("{base}/api/v1/query?query=balena_devices_online");
    let found = eventually("the fleet", LIMIT, async || {
        let answer = walled.ask(&url).await;
        answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(found, "3");
    assert!(!program.stderr().contains(PASSWORD), "{}", program.stderr());
}

#[rstest]
#[case::old(Suite::Stock)]
#[case::new(Suite::New)]
#[tokio::test]
async fn a_pushgateway_with_tls_certificates_and_users_takes_pushes(#[case] suite: Suite) {
    let walled = Walled::new();
    let gateway = Pushgateway::start_answering(suite, &[&walled.flag()], 400).await;
    let base = https(gateway.url());
    let (api, config) = (api().await, walled.config("pushgateways", &base));
    let program = start(&walled.files, &["--config.file", &config], &api);
    program.logged("first delivery").await;
    eventually("both groups", LIMIT, async || {
        let answer = walled.ask(&format!("{base}/api/v1/metrics")).await;
        let groups = answer["data"].as_array()?;
        (groups.len() == 2 && groups.iter().all(|group| group["last_push_successful"] == true)).then_some(())
    })
    .await;
    assert!(!program.stderr().contains(PASSWORD), "{}", program.stderr());
}
