//! `fleetpush init`: each file that it can write is good for the real binary, with every optional key taken in;
//! its questions on a real terminal; and what it never does.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use fleetpush::config::{self, Auth, Config, Overrides, QueueDir, Secret};
use rstest::rstest;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::terminal::Terminal;
use crate::program::Program;
use crate::tls::Authority;

const CLOUD: &str = "https://prometheus-prod-01-eu-west-0.grafana.net";
const TARGETS: [(&str, &str); 7] = [
    ("grafana-cloud", CLOUD),
    ("prometheus", "http://localhost:9090"),
    ("mimir", "http://localhost:9009"),
    ("thanos", "http://localhost:19291"),
    ("victoriametrics", "http://localhost:8428"),
    ("pushgateway", "http://localhost:9091"),
    ("page", ""),
];

/// A folder with the files that options can name.
struct Site {
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let site = Site { folder: tempfile::tempdir().unwrap() };
        site.write("ca.pem", &Authority::new().pem);
        for name in ["balena-token", "grafana-token", "pushgateway-token", "receiver-token", "own token"] {
            site.write(name, "hunter2\n");
            fs::set_permissions(site.path(name), Permissions::from_mode(0o600)).unwrap();
        }
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path("fleetpush.yml")).unwrap()
    }

    /// `init` with these flags; `{}` is the folder.
    async fn init(&self, flags: &[&str]) -> (i32, String, String) {
        let path = self.path("fleetpush.yml").display().to_string();
        let output = if flags.contains(&"--output") { vec![] } else { vec!["--output".to_owned(), path] };
        let folder = self.folder.path().display().to_string();
        let arguments = ["init".to_owned()].into_iter().chain(output);
        let arguments: Vec<String> =
            arguments.chain(flags.iter().map(|flag| flag.replace("{}", &folder))).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut program =
            Program::start(&arguments, &[("BALENA_TOKEN", "hunter2"), ("REMOTE_WRITE_PASSWORD", "hunter2")]);
        let code = program.code().await;
        let (out, err) = (program.stdout(), program.stderr());
        assert!(!out.contains("hunter2") && !err.contains("hunter2"), "{out}{err}");
        (code, out, err)
    }

    /// What `--config.check` says of a file's text.
    async fn checked(&self, text: &str) -> (i32, String) {
        self.write("checked.yml", text);
        let path = self.path("checked.yml");
        let mut program = Program::start(&["--config.check", "--config.file", path.to_str().unwrap()], &[]);
        (program.code().await, program.stdout() + &program.stderr())
    }

    fn load(&self, text: &str) -> Config {
        self.write("loaded.yml", text);
        let path = self.path("loaded.yml").display().to_string();
        let flags = Overrides { config_file: Some(path), ..Overrides::default() };
        config::load(&BTreeMap::new(), &flags, "host").unwrap_or_else(|error| panic!("{error}\n{text}"))
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The flags of a target that it cannot do without.
fn needed<'a>(target: &'a str, url: &'a str) -> Vec<&'a str> {
    let mut flags = vec!["--target", target];
    if !url.is_empty() {
        flags.extend(["--url", url]);
    }
    if target == "grafana-cloud" {
        flags.extend(["--username", "123456"]);
    }
    flags
}

#[tokio::test]
async fn every_target_with_and_without_its_options_is_a_good_file() {
    let credentials: [&[&str]; 4] = [
        &[],
        &["--token-file", "{}/own token"],
        &["--username", "7"],
        &["--username", "me: \"it's\" #1", "--token-file", "{}/own token"],
    ];
    let beside: [&[&str]; 2] = [&[], &["--ca-file", "{}/ca.pem"]];
    let tenants: [&[&str]; 2] = [&[], &["--tenant", "fleets: all"]];
    let common: [&[&str]; 2] = [
        &[],
        &[
            "--interval",
            "2m",
            "--instance",
            "site \"7\"",
            "--balena-url",
            "https://api.example.test",
            "--balena-token-file",
            "{}/own token",
        ],
    ];
    let mut seen = 0;
    for (target, url) in TARGETS {
        let site = Site::new();
        for (number, credential) in credentials.iter().enumerate() {
            let cloud = target == "grafana-cloud";
            if (target == "page" && number > 0) || (cloud && number == 2) {
                continue;
            }
            let tenant = if matches!(target, "mimir" | "thanos") { tenants[number % 2] } else { tenants[0] };
            let ca = if target == "page" { beside[0] } else { beside[number / 2] };
            let mut flags = needed(target, url);
            let own_name = credential.contains(&"--username");
            if cloud && own_name {
                flags.truncate(flags.len() - 2);
            }
            let flags = [&flags, *credential, tenant, ca, common[number % 2], &["--force"]].concat();
            let (code, out, err) = site.init(&flags).await;
            assert_eq!((code, err.as_str()), (0, ""), "{flags:?}");
            assert!(out.contains("fleetpush check --config.file"), "{out}");
            assert_eq!(
                site.checked(&site.text()).await,
                (0, "the configuration is good\n".into()),
                "{}",
                site.text()
            );
            assert!(!site.text().contains("hunter2"), "{}", site.text());
            seen += 1;
        }
    }
    assert_eq!(seen, 24);
}

/// A key that is optional stands behind a bare `#`, prose behind `# `.
fn optional(text: &str) -> Vec<usize> {
    let is_key = |line: &str| line.trim_start().strip_prefix('#').is_some_and(|rest| !rest.starts_with(' '));
    text.lines().enumerate().filter(|(_, line)| is_key(line)).map(|(number, _)| number).collect()
}

#[tokio::test]
async fn every_optional_key_is_good_once_its_sign_is_taken_away_alone_and_all_together() {
    for (target, url) in TARGETS {
        let site = Site::new();
        let (code, _, err) = site.init(&needed(target, url)).await;
        assert_eq!(code, 0, "{err}");
        let text = site.text().replace("/path/to/ca.pem", site.path("ca.pem").to_str().unwrap());
        let text = text.replace("/path/to/password", site.path("own token").to_str().unwrap());
        let keys = optional(&text);
        assert!(keys.len() >= 10, "{target}: {text}");
        let with = |taken: &[usize]| {
            let line = |(number, line): (usize, &str)| match taken.contains(&number) {
                true => line.replacen('#', "", 1),
                false => line.to_owned(),
            };
            text.lines().enumerate().map(line).collect::<Vec<_>>().join("\n")
        };
        let plain = format!("{:?}", site.load(&text));
        for key in &keys {
            site.load(&with(&[*key]));
        }
        let all = with(&keys);
        assert_eq!(site.checked(&all).await.0, 0, "{all}");
        assert_ne!(format!("{:?}", site.load(&all)), plain, "they mean something");
    }
}

#[tokio::test]
async fn a_key_that_shows_its_default_changes_nothing() {
    let examples = [
        "instance",
        "external_labels",
        "fleets",
        "ca_file",
        "tls_config",
        "proxy_url",
        "name",
        "basic_auth",
        "headers",
        "grouping",
    ];
    for (target, url) in TARGETS {
        let site = Site::new();
        site.init(&needed(target, url)).await;
        let text = site.text();
        let plain = site.load(&text);
        let mut defaults = 0;
        for number in optional(&text) {
            let line = text.lines().nth(number).unwrap();
            let key = line.trim_start().trim_start_matches('#').split(':').next().unwrap();
            if examples.contains(&key) {
                continue;
            }
            let all: Vec<String> = text
                .lines()
                .enumerate()
                .map(|(at, line)| if at == number { line.replacen('#', "", 1) } else { line.to_owned() })
                .collect();
            let mut with = site.load(&all.join("\n"));
            // That it was asked for is the one difference.
            if key == "dir" {
                with.queue.dir = plain.queue.dir.clone();
            }
            assert_eq!(format!("{with:?}"), format!("{plain:?}"), "{line}");
            defaults += 1;
        }
        assert!(defaults >= 6, "{target}: only {defaults}");
    }
}

#[tokio::test]
async fn what_was_asked_for_is_what_the_file_says() {
    let site = Site::new();
    let flags = [
        "--target",
        "mimir",
        "--url",
        "https://mimir.example.test",
        "--username",
        "007",
        "--token-file",
        "{}/own token",
    ];
    let more = ["--tenant", "fleets", "--ca-file", "{}/ca.pem", "--interval", "90s", "--instance", "site-7"];
    let more = [&more[..], &["--queue-dir", "{}/the queue"]].concat();
    assert_eq!(site.init(&[&flags[..], &more].concat()).await.0, 0);
    let config = site.load(&site.text());
    let [endpoint] = &config.endpoints[..] else { panic!("{config:?}") };
    assert_eq!(endpoint.url.as_str(), "https://mimir.example.test/api/v1/push");
    let Auth::Basic { username, password: Secret::File(path) } = &endpoint.http.auth else {
        panic!("{endpoint:?}")
    };
    assert_eq!((username.as_str(), path), ("007", &site.path("own token")));
    let headers: Vec<_> =
        endpoint.http.headers.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
    assert_eq!(headers, [("X-Scope-OrgID", "fleets")]);
    assert_eq!(endpoint.http.tls.ca_file, Some(site.path("ca.pem")));
    assert_eq!((config.interval.as_secs(), &*config.instance), (90, "site-7"));
    assert_eq!(config.queue.dir, QueueDir::Folder(site.path("the queue")));
    let Auth::Header { credentials: Secret::File(path), .. } = &config.accounts[0].http.auth else {
        panic!("{config:?}")
    };
    assert_eq!(path, &site.path("balena-token"));
}

/// What each product's user trips over stands in the file.
#[rstest]
#[case("grafana-cloud", CLOUD, &["number of the metrics instance", "scope metrics:write", "username: \"123456\"", "/api/prom/push"])]
#[case("prometheus", "http://p:9090", &["--web.enable-remote-write-receiver", "out_of_order_time_window", "/api/v1/write"])]
#[case("mimir", "http://m", &["X-Scope-OrgID", "no org id", "out_of_order_time_window", "/api/v1/push"])]
#[case("thanos", "http://t", &["THANOS-TENANT", "/api/v1/receive", "409"])]
#[case("victoriametrics", "http://v", &["-dedup.minScrapeInterval=1ms", "/insert/0/prometheus/api/v1/write", "any age"])]
#[case("pushgateway", "http://g:9091", &["honor_labels: true", "push_time_seconds", "without /metrics"])]
#[case("page", "", &["scrape_configs:", "never asks the API"])]
#[tokio::test]
async fn each_file_warns_of_its_receivers_traps(
    #[case] target: &str,
    #[case] url: &str,
    #[case] traps: &[&str],
) {
    let site = Site::new();
    assert_eq!(site.init(&needed(target, url)).await.0, 0);
    let text = site.text();
    for trap in traps {
        assert!(text.contains(trap), "{trap} in\n{text}");
    }
    let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(widest <= 120, "{widest} characters on a line of\n{text}");
}

#[tokio::test]
async fn the_steps_at_the_end_work_as_they_are_printed() {
    let site = Site::new();
    for name in ["balena-token", "receiver-token"] {
        fs::remove_file(site.path(name)).unwrap();
    }
    let (_, out, _) =
        site.init(&["--target", "prometheus", "--url", "http://p:9090", "--username", "me"]).await;
    let commands: Vec<&str> = out.lines().filter(|line| line.contains("umask")).map(str::trim).collect();
    assert_eq!(commands.len(), 2, "{out}");
    for command in commands {
        let status =
            std::process::Command::new("sh").args(["-c", &format!("echo hunter2 | {command}")]).status();
        assert!(status.unwrap().success(), "{command}");
    }
    assert_eq!([mode(&site.path("balena-token")), mode(&site.path("receiver-token"))], [0o600; 2]);
    assert_eq!(site.checked(&site.text()).await.0, 0);
    // What is there needs no step, and one that others can read is told.
    fs::set_permissions(site.path("balena-token"), Permissions::from_mode(0o644)).unwrap();
    let flags = ["--target", "prometheus", "--url", "http://p:9090", "--username", "me", "--force"];
    let (_, out, _) = site.init(&flags).await;
    assert!(!out.contains("umask") && out.contains("chmod 600") && out.contains("nothing to do"), "{out}");
}

#[tokio::test]
async fn a_file_that_is_there_stays_unless_that_is_forced_and_then_it_is_changed_as_a_whole() {
    let site = Site::new();
    site.write("fleetpush.yml", "mine\n");
    fs::set_permissions(site.path("fleetpush.yml"), Permissions::from_mode(0o664)).unwrap();
    let (code, out, err) = site.init(&["--target", "page"]).await;
    assert_eq!((code, out.as_str(), site.text().as_str()), (2, "", "mine\n"));
    assert!(err.contains("--force") && err.contains("--output"), "{err}");
    assert_eq!(site.init(&["--target", "page", "--force"]).await.0, 0);
    assert!(site.text().contains("balena:"), "{}", site.text());
    assert_eq!(mode(&site.path("fleetpush.yml")), 0o640, "its group may go on reading it, and nobody else");
    // A link is not replaced, what it leads to is.
    fs::rename(site.path("fleetpush.yml"), site.path("real.yml")).unwrap();
    symlink(site.path("real.yml"), site.path("fleetpush.yml")).unwrap();
    assert_eq!(site.init(&["--target", "page"]).await.0, 2);
    assert_eq!(site.init(&["--target", "page", "--force", "--interval", "3m"]).await.0, 0);
    assert!(fs::symlink_metadata(site.path("fleetpush.yml")).unwrap().is_symlink());
    assert!(fs::read_to_string(site.path("real.yml")).unwrap().contains("\"3m\""));
    nothing_else(&site, &["fleetpush.yml", "real.yml"]);
}

/// Nothing is left beside what was there and these.
fn nothing_else(site: &Site, names: &[&str]) {
    let known =
        ["ca.pem", "balena-token", "grafana-token", "pushgateway-token", "receiver-token", "own token"];
    let entries = fs::read_dir(site.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> =
        entries.filter(|name| !known.iter().chain(names).any(|known| **known == **name)).collect();
    assert_eq!(left, Vec::<std::ffi::OsString>::new());
}

#[tokio::test]
async fn a_new_file_is_for_its_owner_alone() {
    let site = Site::new();
    assert_eq!(site.init(&["--target", "page"]).await.0, 0);
    assert_eq!(mode(&site.path("fleetpush.yml")), 0o600);
    nothing_else(&site, &["fleetpush.yml"]);
}

#[rstest]
#[case::nothing(&[], &["give --target", "grafana-cloud, prometheus, mimir, thanos, victoriametrics, pushgateway, page"])]
#[case::no_url(&["--target", "prometheus"], &["give --url"])]
#[case::cloud(&["--target", "grafana-cloud"], &["give --url and --username"])]
#[case::no_such_target(&["--target", "influx"], &["grafana-cloud"])]
#[case::no_url_at_all(&["--target", "mimir", "--url", "mimir:9009"], &["--url: ", "http:// or https://"])]
#[case::a_password_in_the_url(&["--target", "mimir", "--url", "http://me:hunter2@h/"], &["take them out"])]
#[case::a_url_for_the_page(&["--target", "page", "--url", "http://h"], &["--url has no meaning for --target page"])]
#[case::a_tenant_for_prometheus(&["--target", "prometheus", "--url", "http://h", "--tenant", "x"], &["--tenant has no meaning"])]
#[case::a_queue_for_a_gateway(&["--target", "pushgateway", "--url", "http://h", "--queue-dir", "q"], &["--queue-dir has no meaning"])]
#[case::a_queue_nowhere(&["--target", "mimir", "--url", "http://h", "--queue-dir="], &["--queue-dir", "none was supplied"])]
#[case::an_interval(&["--target", "page", "--interval", "often"], &["nothing was written", "interval", "60s, 5m"])]
#[case::a_ca_file(&["--target", "mimir", "--url", "https://h", "--ca-file", "{}/nowhere.pem"], &["nothing was written", "ca_file"])]
#[case::an_api(&["--target", "page", "--balena-url", "http://api.example.test"], &["plain http", "https://"])]
#[case::a_gateways_path(&["--target", "pushgateway", "--url", "http://g/metrics/job/x"], &["base URL"])]
#[case::a_folder(&["--target", "page", "--output", "{}"], &["is a folder"])]
#[case::no_folder(&["--target", "page", "--output", "{}/deep/er/f.yml"], &["mkdir -p"])]
#[tokio::test]
async fn what_cannot_be_meant_ends_with_2_and_writes_nothing(#[case] flags: &[&str], #[case] words: &[&str]) {
    let site = Site::new();
    let (code, out, err) = site.init(flags).await;
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    for word in words {
        assert!(err.contains(word), "{word} in {err}");
    }
    assert!(!err.contains("/tmp/fleetpush-init"), "{err}");
    nothing_else(&site, &[]);
}

#[tokio::test]
async fn to_standard_output_goes_the_file_alone() {
    let site = Site::new();
    let flags = ["--target", "page", "--output", "-", "--balena-token-file", "{}/balena-token"];
    let (code, out, err) = site.init(&flags).await;
    assert_eq!(code, 0, "{err}");
    assert_eq!(site.checked(&out).await.0, 0, "{out}");
    assert!(err.contains("balena-token") && err.lines().count() == 1, "{err}");
}

#[tokio::test]
async fn a_configuration_that_is_bad_does_not_keep_init_from_writing_another() {
    let site = Site::new();
    site.write("bad.yml", "nonsense: [\n");
    let (code, _, err) = site.init(&["--target", "page", "--config.file", "{}/bad.yml"]).await;
    assert_eq!(code, 0, "{err}");
}

#[test]
fn on_a_terminal_it_asks_for_everything_that_grafana_cloud_needs() {
    let site = Site::new();
    let mut terminal = Terminal::start(&site.folder, &["init"], &[]);
    terminal.awaits("Where do the counts go?").awaits("grafana-cloud").awaits("Number or name [page]: ");
    terminal.types("9").awaits("a number from 1 to 7").awaits("Number or name [page]: ");
    terminal.types("1").awaits("URL, from the stack's Prometheus page");
    terminal.types("prometheus-prod-01").awaits("Not this one: ").awaits("URL, from the stack");
    terminal.types(&format!("{CLOUD}/api/prom")).awaits(&format!("Taken as {CLOUD}/api/prom/push"));
    terminal
        .awaits("instance's number on the same page")
        .types("")
        .awaits("instance's number on the same page");
    terminal.types("123456").awaits("scope metrics:write [").types("");
    terminal.awaits("the balena API key [").types("own token").awaits("Name of this site").types("site-7");
    terminal.awaits("Folder for what waits").types("my queue");
    terminal.awaits("is written (mode 600)").awaits("fleetpush check --config.file fleetpush.yml");
    assert_eq!(terminal.ended().0, 0);
    let config = site.load(&site.text());
    let [endpoint] = &config.endpoints[..] else { panic!("{config:?}") };
    assert_eq!(endpoint.url.as_str(), format!("{CLOUD}/api/prom/push"));
    let Auth::Basic { username, password: Secret::File(path) } = &endpoint.http.auth else {
        panic!("{endpoint:?}")
    };
    let folder = site.folder.path().canonicalize().unwrap();
    assert_eq!((username.as_str(), path), ("123456", &folder.join("grafana-token")));
    assert_eq!(&*config.instance, "site-7");
    let Auth::Header { credentials: Secret::File(path), .. } = &config.accounts[0].http.auth else {
        panic!()
    };
    assert_eq!(path, &folder.join("own token"));
    assert_eq!(config.queue.dir, QueueDir::Folder(folder.join("my queue")));
}

/// Enter alone, everywhere.
#[rstest]
#[case("2", "http://localhost:9090/api/v1/write")]
#[case("mimir", "http://localhost:9009/api/v1/push")]
#[case("thanos", "http://localhost:19291/api/v1/receive")]
#[case("victoriametrics", "http://localhost:8428/api/v1/write")]
#[test]
fn on_a_terminal_enter_takes_what_stands_in_brackets(#[case] target: &str, #[case] url: &str) {
    let site = Site::new();
    let mut terminal = Terminal::start(&site.folder, &["init"], &[]);
    terminal.awaits("[page]: ").types(target).awaits(&format!("[{url}]: ")).types("");
    terminal.awaits("User name").types("");
    if matches!(target, "mimir" | "thanos") {
        terminal.awaits("Tenant").types("");
    }
    terminal
        .awaits("a bearer token")
        .types("")
        .awaits("balena API key")
        .types("")
        .awaits("Name of this site")
        .types("");
    terminal.awaits("Folder for what waits").awaits("/var/lib/fleetpush").types("");
    terminal.awaits("is written");
    assert_eq!(terminal.ended().0, 0);
    let config = site.load(&site.text());
    assert_eq!(config.endpoints[0].url.as_str(), url);
    assert!(matches!(config.endpoints[0].http.auth, Auth::None), "{config:?}");
    assert!(matches!(config.queue.dir, QueueDir::Default(_)), "{config:?}");
}

#[tokio::test]
async fn a_queue_in_memory_is_no_folder_of_that_name() {
    let site = Site::new();
    let flags = ["--target", "prometheus", "--url", "http://p:9090", "--queue-dir", "memory"];
    assert_eq!(site.init(&flags).await.0, 0);
    assert_eq!(site.load(&site.text()).queue.dir, QueueDir::Memory);
}

#[test]
fn on_a_terminal_only_what_flags_leave_open_is_asked() {
    let site = Site::new();
    let flags = [
        "init",
        "--target",
        "pushgateway",
        "--username",
        "me",
        "--instance",
        "site-7",
        "--balena-token-file",
        "balena-token",
    ];
    let mut terminal = Terminal::start(&site.folder, &flags, &[]);
    terminal.awaits("URL of the Pushgateway [http://localhost:9091]: ").types("http://g:9091/metrics/");
    terminal.awaits("Taken as http://g:9091").awaits("the password [").types("");
    terminal.awaits("honor_labels: true");
    let (code, written) = terminal.ended();
    assert_eq!(code, 0, "{written}");
    assert!(
        !["Where do the counts go?", "Name of this site", "Folder for"]
            .iter()
            .any(|asked| written.contains(asked)),
        "{written}"
    );
    assert_eq!(site.load(&site.text()).gateways[0].url.as_str(), "http://g:9091/");
    // With all of them nothing is asked.
    let terminal = Terminal::start(&site.folder, &["init", "--target", "page", "--force"], &[]);
    let (code, written) = terminal.ended();
    assert!(code == 0 && !written.contains("Enter takes"), "{written}");
}

#[test]
fn questions_that_are_broken_off_write_nothing() {
    let site = Site::new();
    let mut terminal = Terminal::start(&site.folder, &["init"], &[]);
    terminal.awaits("[page]: ").control(b'd').awaits("nothing was written");
    assert_eq!(terminal.ended().0, 2);
    let mut terminal = Terminal::start(&site.folder, &["init"], &[]);
    terminal.awaits("[page]: ").types("").awaits("balena API key").control(b'c');
    let (code, written) = terminal.ended();
    assert_eq!(code, -2, "the signal of Ctrl-C ends it: {written}");
    nothing_else(&site, &[]);
}
