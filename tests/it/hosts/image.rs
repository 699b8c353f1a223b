//! The image's content as its Dockerfile says it, run as an engine would: read-only, as another user, in a root that
//! holds nothing else.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use fleetpush::demo::balena;
use rstest::rstest;
use tempfile::TempDir;

use super::dockerfile::{Image, image};
use super::{api, as_root, output, receiver, repository, tool};
use crate::program::{LIMIT, Program, TOKEN, get};
use crate::servers::eventually;
use crate::tls::{Authority, Server};

/// The root of one container, with a volume of its own.
pub(super) struct Container {
    folder: TempDir,
    image: Image,
    mounts: Vec<String>,
}

impl Container {
    pub(super) fn new() -> Self {
        as_root();
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("our folder");
        let mut container = Container { folder, image: image(), mounts: Vec::new() };
        let root = container.root();
        output(Command::new("cp").arg("-a").arg(tool("image-base/root")).arg(&root));
        for copy in &container.image.copies {
            let to = root.join(copy.to.trim_start_matches('/'));
            fs::create_dir_all(to.parent().expect("a folder")).expect("our folder");
            match copy.sources.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                // The build stage makes these two; the tests' own build is the binary's stand-in.
                ["/image/fleetpush"] => {
                    fs::copy(env!("CARGO_BIN_EXE_fleetpush"), &to).expect("the binary");
                }
                ["/image/state"] => fs::create_dir(&to).expect("our folder"),
                [source] => {
                    fs::copy(repository(source), &to).expect("a file of the repository");
                }
                ref other => panic!("what are {other:?}?"),
            }
        }
        for volume in container.image.volumes.clone() {
            let outside = container.folder.path().join("volume");
            fs::create_dir(&outside).expect("our folder");
            chown(&outside, Some(65532), Some(65532)).expect("root may do so");
            container.mounts.push(format!("{volume}={}", outside.display()));
        }
        container
    }

    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// The queue's folder as the host sees it.
    pub(super) fn volume(&self) -> PathBuf {
        self.folder.path().join("volume")
    }

    /// Binds a file of the host's into the container, as a secret is.
    pub(super) fn secret(&mut self, inside: &str, text: &str) {
        let outside = self.folder.path().join("secret");
        fs::write(&outside, text).expect("our folder");
        let place = self.root().join(inside.trim_start_matches('/'));
        fs::create_dir_all(place.parent().expect("a folder")).expect("our folder");
        fs::write(place, "").expect("our folder");
        self.mounts.push(format!("{inside}={}", outside.display()));
    }

    fn command(&self, program: &[String], arguments: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.arg("--mount").arg(repository("tests/hosts/image.sh")).arg(self.root()).arg(&self.image.user);
        command.args(&self.mounts).arg("--").args(program).args(arguments);
        command
    }

    /// Its entry point with these arguments, and this environment and no other.
    pub(super) fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Program {
        // Only systemd sets a folder for the state.
        let mut all = vec![("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("STATE_DIRECTORY", "")];
        all.extend(environment);
        Program::spawn(self.command(&self.image.entrypoint, arguments), &all)
    }

    /// Its health check.
    pub(super) async fn health(&self, environment: &[(&str, &str)]) -> (i32, String) {
        let mut all = vec![("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")];
        all.extend(environment);
        let mut program = Program::spawn(self.command(&self.image.healthcheck, &[]), &all);
        (program.code().await, program.stdout() + &program.stderr())
    }
}

/// The address of a page that is being served.
pub(super) async fn address(program: &Program) -> String {
    program.page().await.trim_start_matches("http://").to_owned()
}

fn settings<'a>(api: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![
        ("BALENA_TOKEN", TOKEN),
        ("BALENA_API_URL", api),
        ("CRAWL_INTERVAL", "1"),
        ("FLEETPUSH_LISTEN_ADDRESS", "127.0.0.1:0"),
    ];
    all.extend(more);
    all
}

#[tokio::test]
async fn it_serves_and_sends_on_a_read_only_root_as_a_user_without_rights() {
    let container = Container::new();
    let (api, remote) = (api().await, receiver().await);
    let (url, write) = (api.base_url(), remote.write_url());
    let settings = settings(&url, &[("REMOTE_WRITE_URL", &write)]);
    let mut program = container.run(&[], &settings);
    let address = address(&program).await;
    eventually("a page with fleets", LIMIT, async || {
        get(&format!("http://{address}/metrics")).await.contains("balena_devices_online{").then_some(())
    })
    .await;
    eventually("samples by remote write", LIMIT, async || (!remote.samples().is_empty()).then_some(())).await;

    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).expect("it runs");
    let line =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).expect(name).trim().to_owned();
    assert_eq!(line("Uid:"), "65532\t65532\t65532\t65532");
    assert_eq!(line("Gid:"), "65532\t65532\t65532\t65532");
    assert_eq!((line("CapEff:"), line("NoNewPrivs:")), ("0000000000000000".to_owned(), "1".to_owned()));
    let mounts = fs::read_to_string(format!("/proc/{}/mounts", program.id())).expect("it runs");
    let root = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).expect("a root");
    assert!(
        root.split(' ').nth(3).is_some_and(|options| options.split(',').any(|one| one == "ro")),
        "{root}"
    );
    assert!(container.volume().join("queue.redb").is_file(), "the queue is in the volume");

    let asked = [("FLEETPUSH_LISTEN_ADDRESS", address.as_str())];
    let (code, said) = container.health(&asked).await;
    assert_eq!((code, said), (0, format!("healthy: http://{address}/-/healthy\n")));
    program.signal("TERM");
    assert_eq!(program.code().await, 0, "{}", program.stderr());
    let (code, said) = container.health(&asked).await;
    assert_eq!(code, 1, "{said}");
}

#[tokio::test]
async fn outside_its_volume_it_can_write_nothing() {
    let container = Container::new();
    let (api, remote) = (api().await, receiver().await);
    let (url, write) = (api.base_url(), remote.write_url());
    let elsewhere = [("REMOTE_WRITE_URL", write.as_str()), ("FLEETPUSH_QUEUE_DIR", "/home/nonroot/queue")];
    let mut program = container.run(&[], &settings(&url, &elsewhere));
    assert_eq!(program.code().await, 2);
    assert!(program.stderr().to_lowercase().contains("read-only file system"), "{}", program.stderr());
}

/// Adds an authority to the bundle of the image, or does not.
#[rstest]
#[case::its_bundle(true)]
#[case::nothing_else(false)]
#[tokio::test]
async fn it_trusts_the_authorities_of_the_images_bundle_and_no_others(#[case] added: bool) {
    let container = Container::new();
    let authority = Authority::new();
    let server = Server::tls(&authority.issue("localhost"), None).await;
    let bundle = container.root().join("etc/ssl/certs/ca-certificates.crt");
    let public = fs::read_to_string(&bundle).expect("the image's bundle");
    assert!(public.matches("BEGIN CERTIFICATE").count() > 100, "the public authorities are there");
    if added {
        fs::write(&bundle, public + &authority.pem).expect("our copy");
    }
    let api = api().await;
    let (url, write) = (api.base_url(), format!("https://localhost:{}/", server.address.port()));
    let mut program = container.run(&["check"], &settings(&url, &[("REMOTE_WRITE_URL", &write)]));
    let code = program.code().await;
    let said = program.stdout() + &program.stderr();
    assert_eq!(!server.heads().is_empty(), added, "{code}: {said}");
    assert_eq!(said.contains("certificate"), !added, "{said}");
}

#[tokio::test]
async fn the_demo_runs_in_it() {
    let container = Container::new();
    let mut program = container.run(&["demo", "--for", "3s"], &[("FLEETPUSH_LISTEN_ADDRESS", "127.0.0.1:0")]);
    assert_eq!(program.code().await, 0, "{}", program.stderr());
    assert!(program.stdout().contains("answered 204"), "{}", program.stdout());
}

#[tokio::test]
async fn a_single_run_keeps_in_the_volume_what_it_could_not_deliver() {
    let container = Container::new();
    let api: balena::Server = api().await;
    let url = api.base_url();
    let settings = settings(&url, &[("REMOTE_WRITE_URL", &url)]);
    // That server is no receiver.
    let mut program = container.run(&["once", "--once.deadline", "5s"], &settings);
    assert_eq!(program.code().await, 4, "{}", program.stderr());
    let remote = receiver().await;
    let write = remote.write_url();
    let mut later = container.run(&["once"], &self::settings(&url, &[("REMOTE_WRITE_URL", &write)]));
    assert_eq!(later.code().await, 0, "{}", later.stderr());
    let online =
        remote.samples().into_iter().filter(|(labels, _)| labels["__name__"] == "balena_devices_online");
    let times: Vec<usize> = online.map(|(_, samples)| samples.len()).collect();
    assert_eq!(times, [2, 2, 2], "of both runs");
    assert!(Path::new(&container.volume()).join("queue.redb").is_file());
}
