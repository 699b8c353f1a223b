//! What `check` and `once` say of the targets of `scrape_configs`.

use fleetpush::demo::balena::{self, Device, Fleet, Simulation};
use fleetpush::demo::receiver;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Program, TOKEN};
use crate::relay_scrape::site::{Answer, Site};

struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    /// The line that begins so.
    fn line(&self, begin: &str) -> &str {
        let found: Vec<&str> = self.out.lines().filter(|line| line.starts_with(begin)).collect();
        assert_eq!(found.len(), 1, "{begin:?} in\n{}{}", self.out, self.err);
        found[0]
    }
}

/// Ends a command with a configuration of these jobs and a receiver.
async fn said(arguments: &[&str], jobs: &Value, remote: &receiver::Server, more: &Value) -> Said {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("fleetpush.yml");
    let mut settings = json!({
        "scrape_configs": jobs,
        "remote_write": [{"url": remote.write_url()}],
        "queue": {"dir": folder.path().join("queue")},
    });
    for (key, value) in more.as_object().expect("a map") {
        settings[key] = value.clone();
    }
    std::fs::write(&path, settings.to_string()).unwrap();
    let mut program = Program::start(&[arguments, &["--config.file", path.to_str().unwrap()]].concat(), &[]);
    let code = program.code().await;
    Said { code, out: program.stdout(), err: program.stderr() }
}

async fn receiver() -> receiver::Server {
    receiver::Server::start(receiver::Options::default()).await.expect("a free port")
}

/// A site with two pages of one and of two samples.
fn site() -> Site {
    let site = Site::start();
    site.set("/metrics", Answer::text("load 1\n"));
    site.set("/open", Answer::open_metrics("# TYPE a gauge\na{x=\"1\"} 1\na{x=\"2\"} 2\n# EOF\n"));
    site
}

fn jobs(site: &Site) -> Value {
    json!([
        {"job_name": "node", "static_configs": [{"targets": [site.address()]}]},
        {"job_name": "app", "metrics_path": "/open", "static_configs": [{"targets": [site.address()]}]},
    ])
}

#[tokio::test]
async fn a_check_says_of_each_target_what_its_page_is_and_counts_it() {
    let (site, remote) = (site(), receiver().await);
    let said = said(&["check"], &jobs(&site), &remote, &json!({})).await;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let node = said.line(&format!("ok    target node/{}: ", site.address()));
    assert!(node.contains(": 1 samples, text, took ") && node.ends_with(" ms"), "{node}");
    let app = said.line(&format!("ok    target app/{}: ", site.address()));
    assert!(app.contains(": 2 samples, OpenMetrics, took "), "{app}");
    // What Prometheus says of a scrape is five series more for each.
    said.line("13 series of 2 targets");
    assert!(
        said.line("while a receiver is away the queue takes ").contains(" every 1 min: "),
        "{}",
        said.out
    );
    assert!(!said.out.contains("fleets"), "{}", said.out);
    assert_eq!(remote.samples().len(), 0, "a check sends nothing");
}

#[tokio::test]
async fn a_check_of_a_target_that_fails_names_why_and_the_next_step_once_and_ends_with_3() {
    let (site, remote) = (site(), receiver().await);
    site.set("/metrics", Answer::text("load one\n"));
    site.set("/locked", Answer::text("").with_status(401));
    let gone = [
        ("locked", "/locked", "answered 401; check the job's basic_auth"),
        ("none", "/none", "check metrics_path"),
    ];
    let mut jobs = jobs(&site);
    for (name, path, _) in gone {
        let job = json!({"job_name": name, "metrics_path": path, "static_configs": [{"targets": [site.address(), "127.0.0.1:1"]}]});
        jobs.as_array_mut().unwrap().push(job);
    }
    let said = said(&["check"], &jobs, &remote, &json!({})).await;
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    let at = |job: &str| format!("FAIL  target {job}/{}: ", site.address());
    assert!(said.line(&at("node")).contains("the page cannot be read: line 1"), "{}", said.out);
    for (name, _, step) in gone {
        assert!(said.line(&at(name)).contains(step), "{}", said.out);
        let nobody = said.line(&format!("FAIL  target {name}/127.0.0.1:1: "));
        assert!(nobody.contains("refused") && nobody.contains("check the port"), "{nobody}");
    }
    said.line(&format!("ok    target app/{}: ", site.address()));
    said.line("32 series of 6 targets, without those of the 5 pages that could not be read");
    assert!(!said.err.contains("scraping failed"), "it is said twice: {}", said.err);
}

#[tokio::test]
async fn a_check_of_many_targets_sums_up_the_good_ones_of_a_job_and_names_every_bad_one() {
    let (site, remote) = (site(), receiver().await);
    let target = |number: usize| match number {
        0..30 => json!({"targets": [site.address()], "labels": {"instance": format!("good-{number}")}}),
        _ => json!({"targets": ["127.0.0.1:1"], "labels": {"instance": format!("bad-{number}")}}),
    };
    let few = json!({"targets": [site.address()]});
    let jobs = json!([
        {"job_name": "node", "static_configs": (0..45).map(target).collect::<Vec<_>>()},
        {"job_name": "few", "static_configs": [few]},
    ]);
    let said = said(&["check"], &jobs, &remote, &json!({})).await;
    assert_eq!(said.code, 3);
    assert_eq!(said.out.matches("FAIL  target node/bad-").count(), 15, "{}", said.out);
    assert!(said.line("ok    job node: ").contains("30 targets answer: 30 samples, the slowest took "));
    assert!(!said.out.contains("good-"), "{}", said.out);
    said.line("ok    target few/");
}

#[tokio::test]
async fn a_check_tells_what_is_not_scraped_at_all_and_where_there_is_no_target() {
    let (site, remote) = (site(), receiver().await);
    let folder = TempDir::new().unwrap();
    let (broken, none) = (folder.path().join("broken.yml"), folder.path().join("none-*.yml"));
    std::fs::write(&broken, "- targets: 5\n").unwrap();
    let twice = |n: usize| json!({"targets": [site.address()], "labels": {"instance": "same", "__param_n": n.to_string()}});
    let jobs = json!([
        {"job_name": "twice", "static_configs": [twice(1), twice(2)]},
        {"job_name": "file", "file_sd_configs": [{"files": [broken]}]},
    ]);
    let of = said(&["check"], &jobs, &remote, &json!({})).await;
    assert_eq!(of.code, 3, "{}{}", of.out, of.err);
    assert!(of.line("FAIL  target twice/same: not scraped: ").contains("give one of them another label"));
    assert!(of.line(&format!("FAIL  file {}: not scraped: ", broken.display())).contains("targets"));
    let jobs = json!([{"job_name": "file", "file_sd_configs": [{"files": [none]}]}]);
    let of = said(&["check"], &jobs, &remote, &json!({})).await;
    assert_eq!(of.code, 0, "{}{}", of.out, of.err);
    of.line("ok    scrape_configs: there is no target now");
    of.line("0 series of 0 targets");
}

#[tokio::test]
async fn an_account_and_targets_are_counted_together() {
    let (site, remote) = (site(), receiver().await);
    let simulation = Simulation::new();
    simulation.add(Fleet::new("acme", "north").devices(3, &Device::operational()));
    let api = balena::Server::start(simulation, balena::Options::default()).await.unwrap();
    let account = json!({"balena": {"url": api.base_url(), "token": TOKEN}});
    for command in ["check", "once"] {
        let said = said(&[command], &jobs(&site), &remote, &account).await;
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        assert!(said.line("1 fleets, 2 targets, ").ends_with(" series a cycle"), "{}", said.out);
    }
}

#[tokio::test]
async fn once_without_an_account_says_what_it_took_and_delivers_a_failed_target_as_down() {
    let (site, remote) = (site(), receiver().await);
    let mut jobs = jobs(&site);
    jobs[0]["static_configs"][0]["targets"] = json!(["127.0.0.1:1"]);
    let said = said(&["once"], &jobs, &remote, &json!({})).await;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(said.out, "12 series of 2 targets\n");
    assert!(said.err.contains("scraping failed") && said.err.contains("127.0.0.1:1"), "{}", said.err);
    let samples = remote.samples();
    let up = samples.iter().filter(|(labels, _)| labels["__name__"] == "up");
    let mut up: Vec<(String, f64)> =
        up.map(|(labels, all)| (labels["job"].clone(), all[0].value())).collect();
    up.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(up, [("app".to_owned(), 1.0), ("node".to_owned(), 0.0)]);
}
