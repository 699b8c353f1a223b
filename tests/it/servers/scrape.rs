//! What a Prometheus is told to scrape. In: jobs and pages. Out: the `scrape_configs` of its configuration.

use reqwest::Url;
use serde_json::{Value, json};

/// Each `(job, url of a page)` every 200 ms; `settings` are more keys of each.
pub fn scrapes(pages: &[(&str, &str)], settings: &Value) -> Vec<Value> {
    let scrape = |(job, page): &(&str, &str)| {
        let page = Url::parse(page).expect("a page's URL");
        let host = page.host_str().expect("a host in a page's URL");
        let port = page.port_or_known_default().expect("a port in a page's URL");
        let mut scrape = json!({
            "job_name": job,
            "scheme": page.scheme(),
            "metrics_path": page.path(),
            "scrape_interval": "200ms",
            "scrape_timeout": "200ms",
            "static_configs": [{"targets": [format!("{host}:{port}")]}],
        });
        let keys = scrape.as_object_mut().expect("made as an object above");
        keys.extend(settings.as_object().cloned().unwrap_or_default());
        scrape
    };
    pages.iter().map(scrape).collect()
}
