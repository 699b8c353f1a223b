//! Where people run it: the image, the compose files, the Debian package with its units under a real systemd, the
//! balena block; and the health check that they share.

mod balena_block;
mod compose;
mod dockerfile;
mod healthcheck;
mod image;
mod machine;
mod package;
mod units;
mod yaml;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fleetpush::demo::balena::{self, Simulation};
use fleetpush::demo::receiver;

use crate::program::Program;

/// A file or folder of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What a script of `tests/tools/` has left behind.
fn tool(path: &str) -> PathBuf {
    let path = repository("target/test-tools").join(path);
    assert!(path.exists(), "{} is missing: run `make test-tools`", path.display());
    path
}

/// Mounts, other users and a system manager need the rights for them.
fn as_root() {
    let id = Command::new("id").arg("-u").output().expect("id is there");
    assert_eq!(
        id.stdout, b"0\n",
        "this test mounts and changes users: run the tests as root (in a container, say)"
    );
}

/// What a command prints to its standard output, where it succeeds.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}

async fn api() -> balena::Server {
    let simulation = Simulation::generate(3, 4, 1);
    balena::Server::start(simulation, balena::Options::default()).await.expect("a free port")
}

async fn receiver() -> receiver::Server {
    receiver::Server::start(receiver::Options::default()).await.expect("a free port")
}

type Environment = BTreeMap<String, String>;

fn pairs(environment: &Environment) -> Vec<(&str, &str)> {
    environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// `--config.check` with this environment and no other.
async fn checked(environment: &Environment) -> (i32, String) {
    let mut program = Program::start(&["--config.check"], &pairs(environment));
    (program.code().await, program.stdout() + &program.stderr())
}
