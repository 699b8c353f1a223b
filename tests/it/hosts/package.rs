//! The Debian package, made by cargo-deb from the binary that these tests have built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use super::{api, output, repository, tool};
use crate::contact::completions::tools;
use crate::program::Program;

/// The package and its unpacked content: `package.deb`, `root/`, `control/`.
pub(super) fn package() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        // Kept for all tests of this process, and made anew by the next.
        let folder = repository("target/test-tools/package");
        fs::remove_dir_all(&folder)
            .or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })
            .expect("our own folder");
        fs::create_dir_all(&folder).expect("our own folder");
        let deb = folder.join("package.deb");
        // The target folder is the one that holds the binary under test: target/<profile>/fleetpush.
        let program = Path::new(env!("CARGO_BIN_EXE_fleetpush"));
        let target = program.ancestors().nth(2).expect("a target folder");
        let tools = tool("cargo-deb/bin/cargo-deb").parent().expect("a folder").to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(tools).chain(std::env::split_paths(&path));
        let mut build = Command::new(repository("deploy/debian/build.sh"));
        build.env("CARGO", env!("CARGO")).env("CARGO_TARGET_DIR", target).env("PROGRAM", program);
        build.env("PATH", std::env::join_paths(paths).expect("paths without a colon"));
        build.args(["--offline", "--fast", "--profile", "dev", "--output"]).arg(&deb);
        output(&mut build);
        output(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(folder.join("root")));
        output(Command::new("dpkg-deb").arg("-e").arg(&deb).arg(folder.join("control")));
        folder
    })
}

/// Every file of it, with its mode.
fn content() -> Vec<(String, String)> {
    let list = output(Command::new("dpkg-deb").arg("-c").arg(package().join("package.deb")));
    let files = list.lines().filter(|line| !line.starts_with('d'));
    files
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words[1], "0/0", "{line}: root owns everything");
            (words[5].trim_start_matches('.').to_owned(), words[0].to_owned())
        })
        .collect()
}

#[test]
fn it_holds_program_units_settings_docs_and_licence() {
    let content = content();
    let mode = |path: &str| {
        content
            .iter()
            .find(|(name, _)| name == path)
            .unwrap_or_else(|| panic!("{path} is missing: {content:#?}"))
            .1
            .as_str()
    };
    assert_eq!(mode("/usr/bin/fleetpush"), "-rwxr-xr-x");
    for unit in ["fleetpush.service", "fleetpush-once.service", "fleetpush-once.timer"] {
        assert_eq!(mode(&format!("/usr/lib/systemd/system/{unit}")), "-rw-r--r--");
        let installed = fs::read_to_string(package().join("root/usr/lib/systemd/system").join(unit))
            .expect("it is there");
        assert_eq!(installed, super::read(&format!("deploy/systemd/{unit}")));
    }
    // A password may be put into it.
    assert_eq!(mode("/etc/default/fleetpush"), "-rw-r-----");
    for page in ["README.md", "CHANGELOG.md", "configuration.md", "metrics.md", "systemd.md", "copyright"] {
        assert_eq!(mode(&format!("/usr/share/doc/fleetpush/{page}")), "-rw-r--r--");
    }
    let copyright =
        fs::read_to_string(package().join("root/usr/share/doc/fleetpush/copyright")).expect("it is there");
    let squeezed =
        |text: &str| text.split_whitespace().filter(|word| *word != ".").collect::<Vec<_>>().join(" ");
    assert!(
        squeezed(&copyright).contains(&squeezed(&super::read("LICENSE"))),
        "the licence stands in it as it is"
    );
    assert_eq!(content.len(), 15, "and nothing else: {content:#?}");
}

#[test]
fn its_manual_page_and_completions_are_the_programs_own() {
    let said = |arguments: &[&str]| output(Command::new(env!("CARGO_BIN_EXE_fleetpush")).args(arguments));
    let root = package().join("root");
    let page = root.join("usr/share/man/man1/fleetpush.1.gz");
    let page = output(Command::new("gzip").arg("-dc").arg(page));
    assert_eq!(page, said(&["man"]));
    assert!(page.starts_with(".TH FLEETPUSH 1 "), "{page}");
    let folder = tempfile::tempdir().expect("a folder");
    let plain = folder.path().join("fleetpush.1");
    fs::write(&plain, &page).expect("our folder");
    let rendered = output(tools("mandoc").args(["-man", "-Tutf8"]).arg(&plain));
    assert!(rendered.contains("remote write") && rendered.lines().count() > 200, "{rendered}");
    // The places where the shells look for what packages bring.
    for (shell, path) in [
        ("bash", "usr/share/bash-completion/completions/fleetpush"),
        ("zsh", "usr/share/zsh/vendor-completions/_fleetpush"),
        ("fish", "usr/share/fish/vendor_completions.d/fleetpush.fish"),
    ] {
        let script = fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(script, said(&["completions", shell]), "{path}");
    }
}

#[test]
fn its_control_file_says_what_it_is_and_needs() {
    let field =
        |name: &str| output(Command::new("dpkg-deb").arg("-f").arg(package().join("package.deb")).arg(name));
    assert_eq!(field("Package"), "fleetpush\n");
    assert_eq!(field("Version"), format!("{}-1\n", env!("CARGO_PKG_VERSION")));
    let depends = field("Depends");
    for wanted in ["libc6 (>= ", "ca-certificates", "procps"] {
        assert!(depends.contains(wanted), "{depends}");
    }
    // Debian's lists show one line of it.
    let synopsis = field("Description").lines().next().unwrap_or_default().to_owned();
    assert!(synopsis.len() < 80 && synopsis.ends_with("remote write"), "{synopsis}");
    let conffiles = fs::read_to_string(package().join("control/conffiles")).expect("it is there");
    assert_eq!(conffiles, "/etc/default/fleetpush\n");
    for script in ["postinst", "prerm", "postrm"] {
        let path = package().join("control").join(script);
        output(Command::new("sh").arg("-n").arg(&path));
        assert!(!fs::read_to_string(path).expect("it is there").contains("#DEBHELPER#"), "{script}");
    }
}

#[tokio::test]
async fn its_program_starts_where_it_was_unpacked() {
    let api = api().await;
    let unpacked: PathBuf = package().join("root/usr/bin/fleetpush");
    let mut command = Command::new(&unpacked);
    command.arg("fleets");
    let mut program = Program::spawn_with(command, &api, &[]);
    assert_eq!(program.code().await, 0, "{}", program.stderr());
    assert!(program.stdout().contains("3 fleets, "), "{}", program.stdout());
    let version = output(Command::new(&unpacked).arg("--version"));
    assert_eq!(version, format!("fleetpush {}\n", env!("CARGO_PKG_VERSION")));
    let folder: TempDir = tempfile::tempdir().expect("a folder");
    let mut other = Command::new(&unpacked);
    other.current_dir(folder.path()).arg("healthcheck").env_clear().env("FLEETPUSH_LISTEN_ADDRESS", "off");
    assert_eq!(other.output().expect("it starts").status.code(), Some(1));
}
