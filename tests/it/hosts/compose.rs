//! The compose files of `deploy/docker/`: their schema, what they mount, and their services as far as they run
//! without an engine: ours in the image's root, Prometheus for real.

use std::fs;
use std::process::Command;

use rstest::rstest;
use serde_json::Value;

use super::dockerfile::image;
use super::image::{Container, address};
use super::yaml::{entries, file, texts};
use super::{Environment, api, checked, output, pairs, receiver, repository, tool};
use crate::program::{LIMIT, TOKEN};
use crate::servers::{Prometheus, Suite, eventually};

const DEMO: &str = "deploy/docker/compose.yaml";
const ACCOUNT: &str = "deploy/docker/compose.account.yaml";

/// What compose makes of a text with `${NAME:-default}` where NAME is not set.
pub(super) fn interpolated(text: &str) -> String {
    let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
    let (inner, after) = rest.split_once('}').expect("a closing brace");
    let (_, default) = inner.split_once(":-").unwrap_or_else(|| panic!("{inner} has no default"));
    format!("{before}{default}{}", interpolated(after))
}

/// The environment of a service.
pub(super) fn environment(service: &Value) -> Environment {
    let all = entries(&service["environment"]);
    all.into_iter()
        .map(|(name, value)| (name.to_owned(), interpolated(value.as_str().expect("a quoted text"))))
        .collect()
}

/// The parts of a short volume: source, target, mode.
fn volume(text: &str) -> (&str, &str, &str) {
    let mut parts = text.split(':');
    let mut next = || parts.next().unwrap_or_default();
    (next(), next(), next())
}

/// Where a file or folder of the repository lies in a service.
fn mounted(service: &str, source: &str) -> String {
    let compose = file(DEMO);
    let all = texts(&compose["services"][service]["volumes"]);
    let found = all.iter().map(|text| volume(text)).find(|(from, ..)| *from == source);
    found.unwrap_or_else(|| panic!("{source} is not mounted into {service}")).1.to_owned()
}

#[rstest]
#[case::demo(DEMO)]
#[case::account(ACCOUNT)]
#[case::balena("deploy/balena/docker-compose.yml")]
fn the_file_is_as_the_schema_of_compose_wants_it(#[case] path: &str) {
    let check = tool("compose-schema/bin/check-jsonschema");
    let check = || {
        let mut check = Command::new(&check);
        check.args(["--builtin-schema", "vendor.compose-spec"]);
        check
    };
    output(check().arg(repository(path)));
    // The same file with a misspelt key is refused.
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("compose.yaml");
    let text = super::read(path);
    assert!(text.contains("    command:"));
    fs::write(&broken, text.replacen("    command:", "    comand:", 1)).expect("our folder");
    assert!(!check().arg(broken).output().expect("it starts").status.success());
}

#[test]
fn every_mounted_path_is_there_and_cannot_be_written() {
    let compose = file(DEMO);
    let named: Vec<&str> = entries(&compose["volumes"]).into_iter().map(|(name, _)| name).collect();
    let mut seen = Vec::new();
    for (name, service) in entries(&compose["services"]) {
        for text in texts(&service["volumes"]) {
            let (source, target, mode) = volume(text);
            assert!(target.starts_with('/'), "{name}: {text}");
            if source.starts_with('.') {
                assert!(repository("deploy/docker").join(source).exists(), "{name}: {source} is not there");
                assert_eq!(mode, "ro", "{name}: {text}");
                seen.push(source);
            } else {
                assert!(named.contains(&source), "{name}: {source} is no volume");
            }
        }
    }
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            "../grafana",
            "../prometheus",
            "./grafana/dashboards.yaml",
            "./grafana/datasource.yaml",
            "./prometheus.yml"
        ]
    );
}

#[test]
fn no_service_has_rights_or_ports_that_it_does_not_need() {
    let compose = file(DEMO);
    let services = entries(&compose["services"]);
    assert_eq!(services.len(), 3);
    for (name, service) in services {
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port} is open to the network");
        }
        for more in ["privileged", "cap_add", "network_mode", "user", "devices", "pid"] {
            assert!(service[more].is_null(), "{name}: {more}");
        }
        let image = service["image"].as_str().expect("an image");
        assert!(image.starts_with("${") && interpolated(image).contains(':'), "{name}: {image}");
    }
    let ours = &compose["services"]["fleetpush"];
    assert_eq!(ours["read_only"], true);
    let volumes: Vec<String> =
        texts(&ours["volumes"]).into_iter().map(|text| volume(text).1.to_owned()).collect();
    assert_eq!(volumes, image().volumes, "the queue's folder, and no other");
    let build = &ours["build"];
    let context = repository("deploy/docker").join(build["context"].as_str().expect("a folder"));
    assert_eq!(
        context.canonicalize().expect("it is there"),
        repository(".").canonicalize().expect("it is there")
    );
    assert!(context.join(build["dockerfile"].as_str().expect("a file")).is_file());
}

#[test]
fn grafana_finds_the_dashboards_and_the_prometheus() {
    let compose = file(DEMO);
    let dashboards = file("deploy/docker/grafana/dashboards.yaml");
    assert_eq!(dashboards["providers"][0]["options"]["path"], mounted("grafana", "../grafana"));
    assert_eq!(
        mounted("grafana", "./grafana/dashboards.yaml"),
        "/etc/grafana/provisioning/dashboards/fleetpush.yaml"
    );
    assert_eq!(
        mounted("grafana", "./grafana/datasource.yaml"),
        "/etc/grafana/provisioning/datasources/fleetpush.yaml"
    );
    let source = &file("deploy/docker/grafana/datasource.yaml")["datasources"][0];
    let url = source["url"].as_str().and_then(|url| url.strip_prefix("http://")).expect("a URL");
    let (service, port) = url.split_once(':').expect("host and port");
    assert_eq!((source["type"].as_str(), source["isDefault"].as_bool()), (Some("prometheus"), Some(true)));
    let ports = texts(&compose["services"][service]["ports"]);
    assert!(ports.iter().any(|one| one.ends_with(&format!(":{port}"))), "{ports:?}");
}

/// Prometheus' file with the demo's real address in the place of its name in the compose network, and with the rules
/// where they lie in the repository.
fn prometheus_file(target: &str) -> String {
    let rules = mounted("prometheus", "../prometheus");
    let place = mounted("prometheus", "./prometheus.yml");
    // Paths in it are relative to its own folder.
    let folder = rules.strip_prefix("/etc/prometheus/").expect("beside the file");
    assert_eq!(place, "/etc/prometheus/prometheus.yml");
    let text = super::read("deploy/docker/prometheus.yml");
    let ours = repository("deploy/prometheus");
    assert_eq!(text.matches(&format!("- {folder}/")).count(), 2);
    let text = text.replace(&format!("- {folder}/"), &format!("- {}/", ours.display()));
    assert!(text.contains("\"fleetpush:8000\"") && text.contains(": 15s"));
    text.replace("fleetpush:8000", target).replace(": 15s", ": 1s")
}

#[tokio::test]
async fn the_demo_in_the_image_is_scraped_by_a_prometheus_with_the_file_of_compose() {
    let compose = file(DEMO);
    let container = Container::new();
    let command = texts(&compose["services"]["fleetpush"]["command"]);
    let demo = container.run(&command, &[("FLEETPUSH_LISTEN_ADDRESS", "127.0.0.1:0")]);
    let target = eventually("the page in the demo's words", LIMIT, async || {
        let said = demo.stdout();
        let (_, after) = said.split_once("http://localhost:")?;
        let port: String = after.chars().take_while(char::is_ascii_digit).collect();
        Some(format!("127.0.0.1:{port}"))
    })
    .await;
    let prometheus = Prometheus::start(Suite::New, &prometheus_file(&target)).await;
    let found = eventually("the demo's fleets", LIMIT, async || {
        Some(prometheus.query("balena_devices_online").await).filter(|found| found.len() == 36)
    })
    .await;
    assert!(found.iter().all(|(labels, _)| labels["job"] == "balena"), "{found:?}");
}

/// The account's service: both files, the second over the first.
fn account() -> (Vec<String>, Environment, String) {
    let compose = file(ACCOUNT);
    let service = &compose["services"]["fleetpush"];
    let secrets = texts(&service["secrets"]);
    assert_eq!(secrets.len(), 1);
    let source = compose["secrets"][secrets[0]]["file"].as_str().expect("a file");
    // A key must not be committed by accident.
    let ignored = super::read("deploy/docker/.gitignore");
    assert!(ignored.lines().any(|line| Some(line) == source.strip_prefix('.')), "{source}");
    let command = texts(&service["command"]).into_iter().map(str::to_owned).collect();
    (command, environment(service), format!("/run/secrets/{}", secrets[0]))
}

#[tokio::test]
async fn the_accounts_environment_is_a_good_configuration() {
    let (_, mut environment, secret) = account();
    assert_eq!(environment["BALENA_TOKEN_FILE"], secret);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    fs::write(&file, TOKEN).expect("our folder");
    environment.insert("BALENA_TOKEN_FILE".into(), file.to_str().expect("a plain path").into());
    let (code, said) = checked(&environment).await;
    assert_eq!((code, said.as_str()), (0, "the configuration is good\n"), "and nothing to warn of");
}

#[tokio::test]
async fn the_account_runs_in_the_image_with_its_token_as_a_secret() {
    let (command, mut environment, secret) = account();
    let mut container = Container::new();
    container.secret(&secret, &format!("{TOKEN}\n"));
    let (api, remote) = (api().await, receiver().await);
    environment.insert("BALENA_API_URL".into(), api.base_url());
    environment.insert("REMOTE_WRITE_URL".into(), remote.write_url());
    environment.insert("FLEETPUSH_LISTEN_ADDRESS".into(), "127.0.0.1:0".into());
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let program = container.run(&command, &pairs(&environment));
    let address = address(&program).await;
    let samples = eventually("samples by remote write", LIMIT, async || {
        Some(remote.samples()).filter(|all| all.keys().any(|labels| labels["__name__"] == "balena_up"))
    })
    .await;
    let up = samples.keys().find(|labels| labels["__name__"] == "balena_up").expect("it is there");
    assert_eq!(up["instance"], "docker");
    assert_eq!(container.health(&[("FLEETPUSH_LISTEN_ADDRESS", &address)]).await.0, 0);
}
