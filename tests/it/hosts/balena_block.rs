//! The balena block: its contract, the part of compose that balena's supervisor knows, and a run with its environment.

use super::compose::environment;
use super::dockerfile::image;
use super::image::{Container, address};
use super::yaml::{entries, file, texts};
use super::{Environment, api, checked, pairs, read, receiver};
use crate::program::{LIMIT, TOKEN};
use crate::servers::eventually;

const COMPOSE: &str = "deploy/balena/docker-compose.yml";
const BLOCK: &str = "deploy/balena/balena.yml";

/// The fields of a service that balena's supervisor takes, as its reference lists them.
const FIELDS: &[&str] = &[
    "build",
    "cap_add",
    "cap_drop",
    "cgroup_parent",
    "command",
    "cpu_shares",
    "cpu_quota",
    "cpuset",
    "devices",
    "depends_on",
    "dns",
    "dns_opt",
    "dns_search",
    "domainname",
    "entrypoint",
    "environment",
    "expose",
    "extra_hosts",
    "group_add",
    "healthcheck",
    "hostname",
    "image",
    "ipc",
    "labels",
    "mac_address",
    "mem_limit",
    "mem_reservation",
    "network_mode",
    "networks",
    "oom_kill_disable",
    "oom_score_adj",
    "pid",
    "pids_limit",
    "ports",
    "privileged",
    "read_only",
    "restart",
    "security_opt",
    "shm_size",
    "stop_grace_period",
    "stop_signal",
    "sysctls",
    "tmpfs",
    "ulimits",
    "user",
    "userns_mode",
    "volumes",
    "working_dir",
];

/// What balena puts into every container by itself, as far as it could be mistaken for ours.
const INJECTED: [(&str, &str); 8] = [
    ("BALENA", "1"),
    ("BALENA_APP_ID", "1000000"),
    ("BALENA_APP_NAME", "gateways"),
    ("BALENA_DEVICE_TYPE", "raspberrypi4-64"),
    ("BALENA_DEVICE_UUID", "00000000000000000000000000000001"),
    ("BALENA_HOST_OS_VERSION", "balenaOS 6.0.0"),
    ("BALENA_SERVICE_NAME", "fleetpush"),
    ("RESIN", "1"),
];

#[test]
fn the_contract_is_a_blocks_and_of_this_version() {
    let block = file(BLOCK);
    assert_eq!(block["type"], "sw.block");
    assert_eq!(
        (block["name"].as_str(), block["version"].as_str()),
        (Some("fleetpush"), Some(env!("CARGO_PKG_VERSION")))
    );
    assert!(block["description"].as_str().is_some_and(|text| text.len() > 40));
    let known = ["name", "type", "version", "description", "data"];
    assert_eq!(entries(&block).into_iter().find(|(name, _)| !known.contains(name)), None);
    let types = texts(&block["data"]["supportedDeviceTypes"]);
    assert!(types.contains(&block["data"]["defaultDeviceType"].as_str().expect("a type")));
    // The image is for 64 bits alone: these types are armv6 and armv7.
    for small in ["raspberry-pi", "raspberry-pi2", "raspberrypi3", "beaglebone-black"] {
        assert!(!types.contains(&small), "{small}");
    }
}

#[test]
fn the_compose_file_keeps_to_what_balena_knows() {
    let compose = file(COMPOSE);
    assert!(["2", "2.1", "2.2", "2.3", "2.4"].contains(&compose["version"].as_str().expect("a version")));
    for (name, _) in entries(&compose) {
        assert!(["version", "services", "volumes"].contains(&name), "{name}");
    }
    assert!(!read(COMPOSE).contains("${"), "balena fills in no variables");
    let services = entries(&compose["services"]);
    assert_eq!(services.len(), 1);
    let (_, service) = services[0];
    for (field, _) in entries(service) {
        assert!(FIELDS.contains(&field), "balena does not know {field}");
    }
    for field in ["labels", "privileged", "network_mode", "cap_add", "devices", "pid"] {
        assert!(service[field].is_null(), "{field}: nothing here needs the device or balena's own keys");
    }
    assert_eq!(service["restart"], "always");
    let named: Vec<&str> = entries(&compose["volumes"]).into_iter().map(|(name, _)| name).collect();
    let mounted: Vec<(&str, &str)> =
        texts(&service["volumes"]).into_iter().filter_map(|one| one.split_once(':')).collect();
    assert_eq!(mounted, [(named[0], image().volumes[0].as_str())], "a named volume for the queue");
    let image = image();
    let check = texts(&service["healthcheck"]["test"]);
    assert_eq!(
        (check[0], &check[1..]),
        ("CMD", &image.healthcheck.iter().map(String::as_str).collect::<Vec<_>>()[..])
    );
}

#[test]
fn no_variable_that_balena_would_refuse_is_asked_for() {
    let refused = |name: &str| name.starts_with("BALENA") || name.starts_with("RESIN");
    for path in [COMPOSE, BLOCK, "deploy/balena/README.md", "docs/balena.md"] {
        let text = read(path);
        let words = text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
        // `BALENA_` alone speaks of the prefix itself.
        let wrong: Vec<&str> =
            words.filter(|word| refused(word) && !["BALENA_", "RESIN_"].contains(word)).collect();
        assert_eq!(wrong, Vec::<&str>::new(), "{path}");
        assert!(path == BLOCK || text.contains("FLEETPUSH_BALENA_TOKEN"), "{path}");
    }
}

/// The file's environment, balena's own, and the fleet variables that the docs ask for.
fn on_a_device(more: &[(&str, &str)]) -> Environment {
    let mut all = environment(entries(&file(COMPOSE)["services"])[0].1);
    let others = INJECTED.iter().chain(&[("FLEETPUSH_BALENA_TOKEN", TOKEN)]).chain(more);
    all.extend(others.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    all
}

#[tokio::test]
async fn its_environment_is_a_good_configuration() {
    let remote = [("REMOTE_WRITE_URL", "https://prometheus.example.org/api/v1/write")];
    let (code, said) = checked(&on_a_device(&remote)).await;
    assert_eq!((code, said.as_str()), (0, "the configuration is good\n"), "and nothing to warn of");
}

#[tokio::test]
async fn it_counts_and_pushes_in_the_image_with_the_queue_in_its_volume() {
    let container = Container::new();
    let (api, remote) = (api().await, receiver().await);
    let (url, write) = (api.base_url(), remote.write_url());
    let more = [
        ("FLEETPUSH_BALENA_API_URL", url.as_str()),
        ("REMOTE_WRITE_URL", &write),
        ("FLEETPUSH_INSTANCE", "site-7"),
        ("FLEETPUSH_LISTEN_ADDRESS", "127.0.0.1:0"),
    ];
    let environment = on_a_device(&more);
    let compose = file(COMPOSE);
    let command = texts(&entries(&compose["services"])[0].1["command"]);
    let mut program = container.run(&command, &pairs(&environment));
    let address = address(&program).await;
    eventually("samples of this site", LIMIT, async || {
        let all = remote.samples();
        all.keys()
            .any(|labels| labels.get("instance").is_some_and(|instance| instance == "site-7"))
            .then_some(())
    })
    .await;
    assert!(container.volume().join("queue.redb").is_file());
    assert_eq!(container.health(&[("FLEETPUSH_LISTEN_ADDRESS", &address)]).await.0, 0);
    // balena restarts whatever ends: it must go on by itself until it is told to stop.
    program.signal("TERM");
    assert_eq!(program.code().await, 0, "{}", program.stderr());
}
