//! The Dockerfile, read as far as ours goes; and what can be said of it without an engine.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{output, read, repository};

const FILE: &str = "deploy/docker/Dockerfile";

/// An instruction with its text, continued lines joined.
struct Instruction {
    name: String,
    text: String,
}

/// A `COPY` line.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) from_stage: bool,
    pub(super) chown: Option<String>,
    pub(super) sources: Vec<String>,
    pub(super) to: String,
}

/// The stage that becomes the image.
pub(super) struct Image {
    pub(super) from: String,
    pub(super) copies: Vec<Copy>,
    pub(super) user: String,
    pub(super) volumes: Vec<String>,
    pub(super) entrypoint: Vec<String>,
    pub(super) healthcheck: Vec<String>,
    pub(super) labels: String,
    pub(super) ports: Vec<String>,
}

fn instructions() -> Vec<Instruction> {
    let text = read(FILE);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let all = joined.lines().filter_map(|line| line.trim().split_once(' '));
    all.map(|(name, text)| Instruction { name: name.to_owned(), text: text.trim().to_owned() }).collect()
}

fn copy(text: &str) -> Copy {
    let (flags, mut paths): (Vec<&str>, Vec<&str>) =
        text.split_whitespace().partition(|word| word.starts_with("--"));
    let to = paths.pop().expect("a target").to_owned();
    let flag = |name: &str| flags.iter().find_map(|flag| flag.strip_prefix(name)).map(str::to_owned);
    Copy {
        from_stage: flag("--from=").is_some(),
        chown: flag("--chown="),
        sources: paths.into_iter().map(str::to_owned).collect(),
        to,
    }
}

fn list(text: &str) -> Vec<String> {
    serde_json::from_str(text)
        .unwrap_or_else(|error| panic!("{text} is no list, so a shell would be needed: {error}"))
}

pub(super) fn image() -> Image {
    let all = instructions();
    let last = all.iter().rposition(|one| one.name == "FROM").expect("a stage");
    let of = |name: &str| -> Vec<&str> {
        all[last..].iter().filter(|one| one.name == name).map(|one| one.text.as_str()).collect()
    };
    let only = |name: &str| match of(name)[..] {
        [one] => one.to_owned(),
        ref other => panic!("{} times {name}", other.len()),
    };
    let check = only("HEALTHCHECK");
    Image {
        from: all[last].text.clone(),
        copies: of("COPY").into_iter().map(copy).collect(),
        user: only("USER"),
        volumes: of("VOLUME").into_iter().map(str::to_owned).collect(),
        entrypoint: list(&only("ENTRYPOINT")),
        healthcheck: list(check.split_once("CMD ").expect("a command").1),
        labels: only("LABEL"),
        ports: of("EXPOSE").into_iter().map(str::to_owned).collect(),
    }
}

/// Every path that is copied out of the repository.
fn copied() -> BTreeSet<String> {
    let copies: Vec<Copy> =
        instructions().iter().filter(|one| one.name == "COPY").map(|one| copy(&one.text)).collect();
    let plain = copies.into_iter().filter(|copy| !copy.from_stage);
    plain.flat_map(|copy| copy.sources).collect()
}

#[test]
fn every_copied_path_is_there_and_goes_to_the_builder_and_nothing_else_does() {
    let copied = copied();
    assert!(copied.contains("Cargo.toml") && copied.contains("LICENSE"), "{copied:?}");
    for path in &copied {
        assert!(repository(path).exists(), "{path} is not there");
    }
    let ignored = read("deploy/docker/Dockerfile.dockerignore");
    let rules: Vec<&str> = ignored.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(rules[0], "*", "everything is left out but for what follows");
    let let_in: BTreeSet<String> =
        rules[1..].iter().map(|rule| rule.strip_prefix('!').expect(rule).to_owned()).collect();
    assert_eq!(let_in, copied);
}

#[test]
fn what_is_copied_is_a_package_that_cargo_takes() {
    let folder = tempfile::tempdir().expect("a folder");
    for path in copied() {
        output(Command::new("cp").arg("-r").arg(repository(&path)).arg(folder.path()));
    }
    let cargo = || {
        let mut cargo = Command::new(env!("CARGO"));
        // What only other machines and fuzzers need was never fetched.
        let here = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        cargo.current_dir(folder.path()).args(["metadata", "--locked", "--offline", "--format-version=1"]);
        cargo.args(["--filter-platform", &here]);
        cargo
    };
    assert!(output(&mut cargo()).contains("\"fleetpush\""));
    fs::remove_file(folder.path().join("Cargo.lock")).expect("it was copied");
    assert!(
        !cargo().output().expect("cargo").status.success(),
        "without the lock file the build would be another"
    );
}

#[test]
fn no_source_takes_in_a_file_that_is_not_copied() {
    let mut folders = vec![repository("src")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let text = fs::read_to_string(&entry).expect("text");
            for macro_name in ["include_str!(\"", "include_bytes!(\"", "include!(\""] {
                for rest in text.split(macro_name).skip(1) {
                    let path = rest.split('"').next().expect("a path");
                    let full = entry.parent().expect("a folder").join(path).canonicalize().expect(path);
                    let inside = full
                        .strip_prefix(env!("CARGO_MANIFEST_DIR"))
                        .expect("in the repository")
                        .to_path_buf();
                    assert!(
                        copied().iter().any(|from| inside.starts_with(from)),
                        "{} takes in {path}",
                        entry.display()
                    );
                }
            }
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn arm64_is_built_from_the_same_crates_as_amd64() {
    let crates = |target: &str| -> BTreeSet<String> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.args([
            "tree",
            "--locked",
            "--offline",
            "--edges=normal,build",
            "--prefix=none",
            "--format={p} {f}",
        ]);
        let text = output(cargo.args(["--target", target]));
        text.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
    };
    let amd64 = crates("x86_64-unknown-linux-gnu");
    assert!(amd64.len() > 100);
    assert_eq!(crates("aarch64-unknown-linux-gnu"), amd64);
}

#[test]
fn the_image_is_distroless_nobodys_and_tells_what_it_is() {
    let image = image();
    assert!(
        image.from.starts_with("gcr.io/distroless/") && image.from.ends_with(":nonroot"),
        "{}",
        image.from
    );
    let ids: Vec<u32> =
        image.user.split(':').map(|id| id.parse().expect("numbers, as Kubernetes asks for")).collect();
    assert!(ids.len() == 2 && ids.iter().all(|id| *id > 1_000));
    assert_eq!(image.entrypoint.len(), 1);
    assert_eq!(image.healthcheck, [image.entrypoint[0].as_str(), "healthcheck"]);
    assert_eq!(image.ports, ["8000"]);
    for name in ["title", "description", "version", "revision", "licenses", "base.name"] {
        assert!(image.labels.contains(&format!("org.opencontainers.image.{name}=\"")), "{name}");
    }
    assert!(image.labels.contains(&format!("base.name=\"{}\"", image.from)));
    let version = format!("ARG VERSION={}\n", env!("CARGO_PKG_VERSION"));
    assert!(read(FILE).contains(&version), "{version}");
    let license = image.copies.iter().find(|copy| copy.sources == ["LICENSE"]).expect("the licence");
    assert!(Path::new(&license.to).starts_with("/usr/share/doc/fleetpush"));
    // What a named volume is made from must belong to the user, or the queue could not be written.
    for volume in &image.volumes {
        let copy = image.copies.iter().find(|copy| copy.to == *volume).expect("the volume's folder");
        assert_eq!(copy.chown.as_deref(), Some(image.user.as_str()));
    }
}
