//! How a target is reached: through a job's proxy, and over TLS with what a job brings.

use serde_json::{Value, json};

use super::Relay;
use super::site::{Answer, Site};
use crate::tls::Authority;
use crate::webtls::Files;
use crate::webtls::front::Front;

/// The values of `up` and of the page's `a`, after one scrape of the one target of a job.
async fn scraped(job: Value) -> (f64, Option<f64>) {
    let batch = Relay::new(&json!([job])).await.scrape_one().await;
    let value = |name: &str| {
        let family = batch.families().iter().find(|family| family.name.as_str() == name)?;
        Some(family.series[0].value.get())
    };
    (value("up").unwrap(), value("a"))
}

#[tokio::test]
async fn a_job_is_scraped_through_its_proxy() {
    let site = Site::start();
    // A proxy is asked with the whole URL.
    site.set("http://app.example.test:9100/metrics", Answer::text("a 7\n"));
    let job = |more: Value| {
        let mut job = json!({
            "job_name": "far",
            "scrape_timeout": "2s",
            "static_configs": [{"targets": ["app.example.test:9100"]}],
        });
        job["proxy_url"] = more;
        job
    };
    assert_eq!(scraped(job(json!(format!("http://{}", site.address())))).await, (1.0, Some(7.0)));
    assert_eq!(site.heads().len(), 1);
    // Nobody listens there, and a name of `.test` is nobody's: without the proxy it cannot be reached.
    assert_eq!(scraped(job(json!("http://127.0.0.1:1"))).await, (0.0, None));
}

#[tokio::test]
async fn a_job_is_scraped_over_tls_with_its_certificate() {
    let site = Site::start();
    site.set("/metrics", Answer::text("a 7\n"));
    let (authority, clients, files) = (Authority::new(), Authority::new(), Files::new());
    let inner = format!("http://{}", site.address());
    let front = Front::start(&authority.issue("localhost"), Some(&clients), &inner, |_| None).await;
    let (cert, key) = files.pair("client", &clients.issue("site"));
    let job = |tls: Value| {
        json!({
            "job_name": "near",
            "scheme": "https",
            "scrape_timeout": "5s",
            "tls_config": tls,
            "static_configs": [{"targets": [format!("localhost:{}", front.address().port())]}],
        })
    };
    let ca = files.write("ca.crt", &authority.pem);
    let whole = json!({"ca_file": ca, "cert_file": cert, "key_file": key});
    assert_eq!(scraped(job(whole)).await, (1.0, Some(7.0)));
    assert_eq!(scraped(job(json!({"ca_file": ca}))).await, (0.0, None), "without its own certificate");
    let of_another =
        json!({"cert_file": cert, "key_file": key, "ca_file": files.write("other.crt", &clients.pem)});
    assert_eq!(scraped(job(of_another)).await, (0.0, None), "the server's is of nobody whom the job trusts");
    assert_eq!(site.heads().len(), 1);
}
