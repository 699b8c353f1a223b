//! The manual page: rendered by the real tools without a word of theirs, and complete.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::Stdio;

use fleetpush::cli::Exit;
use fleetpush::config::VARIABLES;

use super::completions::tools;
use crate::program::{COMMANDS, Program};

async fn page() -> String {
    let mut program = Program::start(&["man"], &[]);
    assert_eq!(program.code().await, 0, "{}", program.stderr());
    program.stdout()
}

fn mandoc(arguments: &[&str], input: &str) -> String {
    let mut child = tools("mandoc")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr)
}

/// The page as it is read, on lines that are not broken, bold and underlined text as plain text.
fn rendered(page: &str) -> String {
    let text = mandoc(&["-man", "-Tutf8", "-O", "width=1000"], page);
    let mut plain = String::new();
    for c in text.chars() {
        match c {
            '\u{8}' => drop(plain.pop()),
            c => plain.push(c),
        }
    }
    plain
}

/// The names of flags in a help text.
fn flags(help: &str) -> BTreeSet<String> {
    let lines = help.lines().filter(|line| line.trim_start().starts_with('-'));
    lines
        .filter_map(|line| Some(format!("--{}", line.split_once("--")?.1.split([' ', ',']).next()?)))
        .collect()
}

#[tokio::test]
async fn it_renders_without_a_complaint() {
    let page = page().await;
    // Only that there is no date, which would be another one with each build.
    let said = mandoc(&["-man", "-Tlint", "-W", "all"], &page);
    let said: Vec<&str> = said.lines().filter(|line| !line.contains("missing date")).collect();
    assert_eq!(said, Vec::<&str>::new());
    let broken = mandoc(&["-man", "-Tlint", "-W", "all"], &format!("{page}\n.nonsense\n"));
    assert!(broken.contains("nonsense"), "a complaint would be seen: {broken}");
    let text = rendered(&page);
    for section in ["NAME", "SYNOPSIS", "COMMANDS", "SETTINGS", "ENVIRONMENT", "EXIT STATUS", "EXAMPLES"] {
        assert!(text.lines().any(|line| line == section), "{section} is missing in\n{text}");
    }
    assert!(!text.contains('`') && !text.contains("\\f"), "{text}");
}

#[tokio::test]
async fn it_names_every_command_with_its_flags() {
    let text = rendered(&page().await);
    let (settings, mut seen) = (flags(&help(&["run"]).await), 0);
    for command in COMMANDS.iter().filter(|command| !command.is_empty()) {
        let heading = format!("fleetpush {}", command.join(" "));
        let (_, section) =
            text.split_once(&format!("   {heading}\n")).unwrap_or_else(|| panic!("{heading} in\n{text}"));
        let section = section.split("\n   fleetpush ").next().unwrap();
        for flag in flags(&help(command).await).difference(&settings) {
            assert!(
                section.contains(&format!("{flag} ")) || section.contains(&format!("{flag}\n")),
                "{flag} in {section}"
            );
            seen += 1;
        }
    }
    assert!(seen > 15, "only {seen} flags were looked for");
    let (_, section) = text.split_once("\nSETTINGS\n").unwrap();
    for flag in settings.iter().filter(|flag| *flag != "--help") {
        assert!(section.contains(&format!(" {flag}")), "{flag} in {section}");
    }
}

async fn help(command: &[&str]) -> String {
    let mut program = Program::start(&[command, &["--help"]].concat(), &[]);
    assert_eq!(program.code().await, 0);
    program.stdout()
}

#[tokio::test]
async fn it_names_every_variable_and_every_exit_code() {
    let text = rendered(&page().await);
    let plain = |text: &str| text.replace('`', "").replace('…', "...");
    let (_, section) = text.split_once("\nENVIRONMENT\n").unwrap();
    for variable in VARIABLES {
        let (_, after) = section
            .split_once(&format!(" {}\n", variable.name))
            .unwrap_or_else(|| panic!("{}", variable.name));
        let said = after.lines().next().unwrap().trim();
        assert!(said.starts_with(&plain(variable.meaning)), "{}: {said}", variable.name);
    }
    let (_, section) = text.split_once("\nEXIT STATUS\n").unwrap();
    for exit in Exit::ALL {
        let line = format!(" {}      {}", exit as u8, plain(exit.meaning()));
        assert!(section.contains(&line), "{line:?} in {section}");
    }
}

#[test]
fn the_readme_has_the_same_exit_codes() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, section) = readme.split_once("\n## Exit codes\n").unwrap();
    let rows: Vec<&str> = section.trim_start().split("\n\n").next().unwrap().lines().skip(2).collect();
    let known: Vec<String> =
        Exit::ALL.iter().map(|exit| format!("| {} | {} |", *exit as u8, exit.meaning())).collect();
    assert_eq!(rows, known);
}
