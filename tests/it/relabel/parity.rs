//! The same rules applied here and by a Prometheus that scrapes the same page.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetpush::relabel::{Fate, Working};
use fleetpush::sample::Text;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::table::{BOTH, NEW, NEW_PAGE, PAGE};
use super::{endpoint, load};
use crate::servers::{Labels, Prometheus, Suite, eventually};

type Case = (&'static str, &'static [&'static str]);

/// Label sets and their values, those of a list apart from those of every other.
type Outcome = BTreeMap<String, Vec<(Labels, f64)>>;

/// The rules of a case; a last one marks what has come of it.
fn rules(number: usize, case: &Case, indent: &str) -> String {
    let mark = format!("{{target_label: case, replacement: '{number}'}}");
    let lines = case.1.iter().copied().chain([&*mark]).map(|rule| format!("{indent}- {rule}\n"));
    lines.collect()
}

/// A page in the text format, as it is scraped: labels without those of the target.
pub fn series(page: &str) -> Vec<(Labels, f64)> {
    let read = |line: &str| {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let mut all = Labels::new();
        if !name.is_empty() {
            all.insert("__name__".to_owned(), name.to_owned());
        }
        for pair in labels.trim_end_matches('}').split("\",").filter(|pair| !pair.is_empty()) {
            match pair.split_once("=\"") {
                Some((name, value)) => {
                    let value = value.trim_end_matches('"').replace("\\n", "\n");
                    all.insert(name.trim_matches('"').to_owned(), value);
                }
                None => drop(all.insert("__name__".to_owned(), pair.trim_matches('"').to_owned())),
            }
        }
        all.retain(|_, value| !value.is_empty());
        (all, value.parse().expect("a number"))
    };
    page.lines().map(read).collect()
}

/// What a list makes of the page here.
fn ours(number: usize, case: &Case, page: &str, instance: &str) -> Vec<(Labels, f64)> {
    let config = load(&endpoint(&rules(number, case, "      ")));
    let config = config.unwrap_or_else(|error| panic!("{}: {error}", case.0));
    let rules = &config.endpoints[0].write_relabel;
    let mut found = Vec::<(Labels, f64)>::new();
    for (mut labels, value) in series(page) {
        for (name, of_target) in [("job", format!("case-{number}")), ("instance", instance.to_owned())] {
            if let Some(said) = labels.insert(name.to_owned(), of_target) {
                labels.insert(format!("exported_{name}"), said);
            }
        }
        let pairs = labels.iter().map(|(name, value)| (Text::from(&**name), Text::from(&**value)));
        let mut working = Working::new(pairs);
        if rules.apply(&mut working) == Fate::Keep {
            let labels: Labels = working.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
            // Of two equal ones Prometheus takes the first.
            if !found.iter().any(|(known, _)| *known == labels) {
                found.push((labels, value));
            }
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

async fn compare(suite: Suite, cases: &[Case], page: &str) {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_raw(page.to_owned(), "text/plain; version=0.0.4");
    Mock::given(method("GET")).respond_with(answer).mount(&server).await;
    let instance = server.address().to_string();

    let mut config = "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n".to_owned();
    for (number, case) in cases.iter().enumerate() {
        let rules = rules(number, case, "      ");
        config += &format!(
            "  - job_name: case-{number}\n    static_configs: [{{targets: ['{instance}']}}]\n    metric_relabel_configs:\n{rules}"
        );
    }
    let prometheus = Prometheus::start(suite, &config).await;
    let jobs = cases.len();
    let expected: Outcome = cases
        .iter()
        .enumerate()
        .map(|(number, case)| (number.to_string(), ours(number, case, page, &instance)))
        .filter(|(_, found)| !found.is_empty())
        .collect();
    assert!(expected.len() > jobs * 9 / 10, "hardly anything is left of the page");
    eventually("every list was applied to the page", Duration::from_secs(30), async || {
        let up = prometheus.query("count(scrape_samples_post_metric_relabeling and on(job) up == 1)").await;
        (up.first().map(|(_, count)| *count) == Some(jobs as f64)).then_some(())
    })
    .await;
    let mut found = Outcome::new();
    for (labels, value) in prometheus.query("{case!=\"\"}").await {
        found.entry(labels["case"].clone()).or_default().push((labels, value));
    }
    let mut wrong = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let key = number.to_string();
        let mut theirs = found.remove(&key).unwrap_or_default();
        theirs.sort_by(|one, other| one.0.cmp(&other.0));
        let ours = expected.get(&key).cloned().unwrap_or_default();
        if ours != theirs {
            let only = |these: &[(Labels, f64)], those: &[(Labels, f64)]| {
                let only = these.iter().filter(|one| !those.contains(one));
                only.map(|one| format!("\n    {one:?}")).collect::<String>()
            };
            let (here, there) = (only(&ours, &theirs), only(&theirs, &ours));
            wrong.push(format!("{}:\n  only here:{here}\n  only there:{there}", case.0));
        }
    }
    assert!(wrong.is_empty(), "{suite:?}\n{}", wrong.join("\n"));
    assert_eq!(found, Outcome::new());
}

#[tokio::test]
async fn every_list_of_rules_means_what_prometheus_3_means_by_it() {
    assert!(BOTH.len() + NEW.len() >= 60);
    let cases = [BOTH, NEW].concat();
    compare(Suite::New, &cases, &format!("{PAGE}{NEW_PAGE}")).await;
}

#[tokio::test]
async fn every_list_of_rules_that_prometheus_2_reads_means_the_same_there() {
    compare(Suite::Stock, BOTH, PAGE).await;
}

#[test]
fn the_page_is_read_as_it_stands() {
    let found = series(&format!("{PAGE}{NEW_PAGE}"));
    assert_eq!(found.len(), 17);
    assert_eq!(found[2].0["word"], "one\ntwo");
    assert_eq!(found[16].0["__name__"], "app.dotted");
    assert_eq!(found[5].0.keys().collect::<Vec<_>>(), ["__name__", "word"]);
}
