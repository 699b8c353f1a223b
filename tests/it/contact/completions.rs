//! Completions in the real shells: what a Tab would offer.

use std::path::{Path, PathBuf};
use std::process::Command;

use rstest::rstest;
use tempfile::TempDir;

use crate::program::Program;

/// A program that `make test-tools` has unpacked.
pub fn tools(name: &str) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/shells");
    let program = folder.join("usr/bin").join(name);
    assert!(
        program.is_file(),
        "{} is missing: run `make test-tools`, which fetches it without root",
        program.display()
    );
    let libraries = std::fs::read_dir(folder.join("usr/lib")).expect("its libraries");
    let libraries: Vec<PathBuf> = libraries.map(|entry| entry.unwrap().path()).collect();
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C.UTF-8").env("PATH", "/usr/bin:/bin");
    command.env("LD_LIBRARY_PATH", std::env::join_paths(libraries).unwrap());
    command
}

async fn script(shell: &str, folder: &TempDir) -> PathBuf {
    let mut program = Program::start(&["completions", shell], &[]);
    assert_eq!(program.code().await, 0, "{}", program.stderr());
    let path = folder.path().join(format!("_fleetpush.{shell}"));
    std::fs::write(&path, program.stdout()).unwrap();
    path
}

/// Runs a shell, which is to say nothing on standard error, and gives the lines that it prints.
fn lines(mut shell: Command) -> Vec<String> {
    let output = shell.output().expect("the shell starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{:?}: {said}", output.status);
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The words that are typed, the last one begun; what is offered; what is not.
#[rstest]
#[case::commands(&["fleetpush", ""], &["run", "once", "check", "init", "queue", "completions", "man"], &["status"])]
#[case::a_command(&["fleetpush", "ch"], &["check"], &["run"])]
#[case::a_setting(&["fleetpush", "--config"], &["--config.file", "--config.check"], &["--log.level"])]
#[case::a_setting_behind_a_command(&["fleetpush", "once", "--once"], &["--once.deadline"], &["--for"])]
#[case::a_flag_of_a_command(&["fleetpush", "demo", "--f"], &["--for", "--fleets"], &["--force"])]
#[case::below_a_command(&["fleetpush", "queue", ""], &["status", "verify", "drop", "retry"], &["once"])]
#[case::values(&["fleetpush", "init", "--target", ""], &["grafana-cloud", "pushgateway", "page"], &["bash"])]
#[case::shells(&["fleetpush", "completions", ""], &["bash", "zsh", "fish"], &["page"])]
#[tokio::test]
async fn bash_zsh_and_fish_offer_what_can_be_typed_and_nothing_else(
    #[case] typed: &[&str],
    #[case] offered: &[&str],
    #[case] others: &[&str],
) {
    let folder = tempfile::tempdir().unwrap();
    let path = script("bash", &folder).await;
    let mut bash = Command::new("bash");
    let ask = r#"source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
        compopt() { :; }
        spec=$(complete -p fleetpush); [[ $spec =~ -F\ ([^\ ]+) ]] || exit 9
        "${BASH_REMATCH[1]}" fleetpush "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    bash.args(["--norc", "--noprofile", "-c", ask, "bash"]).arg(path).args(typed).current_dir(folder.path());
    agree("bash", &lines(bash), offered, others);

    let path = script("zsh", &folder).await;
    // What it hands to zsh's own functions.
    let mut zsh = zsh(r#"compdef() { :; }; _files() { print -l *; }; compadd() { shift; print -l -- "$@"; }
        _describe() { [[ $1 != -o ]] || shift; print -l -- "${(@P)2%%:*}"; }
        source "$1"; shift; words=("$@"); CURRENT=$#; _fleetpush"#);
    zsh.arg(path).args(typed).current_dir(folder.path());
    let begun = typed.last().unwrap();
    let candidates: Vec<String> = lines(zsh).into_iter().filter(|word| word.starts_with(begun)).collect();
    agree("zsh", &candidates, offered, others);

    let path = script("fish", &folder).await;
    let mut fish = tools("fish");
    fish.args(["--no-config", "-c", "source $argv[1]; complete -C \"$argv[2]\""])
        .arg(path)
        .arg(typed.join(" "));
    fish.env("HOME", folder.path()).current_dir(folder.path());
    // A candidate, a tab, and what it is.
    let candidates: Vec<String> =
        lines(fish).iter().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect();
    agree("fish", &candidates, offered, others);
}

fn agree(shell: &str, candidates: &[String], offered: &[&str], others: &[&str]) {
    for word in offered {
        assert!(candidates.iter().any(|candidate| candidate == word), "{shell}: {word} in {candidates:?}");
    }
    for word in others {
        assert!(!candidates.iter().any(|candidate| candidate == word), "{shell}: {word} in {candidates:?}");
    }
}

/// zsh with the modules and functions that lie where it was unpacked.
fn zsh(script: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/shells");
    let libraries = std::fs::read_dir(root.join("usr/lib")).unwrap();
    let modules = libraries.map(|entry| entry.unwrap().path().join("zsh")).filter(|path| path.is_dir());
    let modules = modules.flat_map(|path| std::fs::read_dir(path).unwrap()).next().expect("zsh's modules");
    let mut zsh = tools("zsh");
    let paths = "module_path=($1); fpath=($2/usr/share/zsh/functions/**/*(/N)); shift 2\n";
    zsh.args(["-f", "-c", &format!("{paths}{script}"), "zsh"]).arg(modules.unwrap().path()).arg(root);
    zsh
}

#[tokio::test]
async fn zsh_finds_its_completions_by_the_programs_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = script("zsh", &folder).await;
    std::fs::rename(&path, folder.path().join("_fleetpush")).unwrap();
    let mut zsh = zsh("fpath=($1 $fpath); autoload -Uz compinit && compinit -u -D
        print -r -- \"${_comps[fleetpush]}\"; autoload +X _fleetpush && whence -w _fleetpush");
    zsh.arg(folder.path()).env("HOME", folder.path()).current_dir(folder.path());
    assert_eq!(lines(zsh), ["_fleetpush", "_fleetpush: function"]);
}

#[tokio::test]
async fn another_shell_is_refused_with_those_that_there_are() {
    let mut program = Program::start(&["completions", "csh"], &[]);
    assert_eq!(program.code().await, 2);
    assert!(program.stderr().contains("bash, zsh, fish"), "{}", program.stderr());
}
