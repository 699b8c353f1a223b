//! `docs/configuration.md` and the code name the same keys, variables and flags, and its complete file is good.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use fleetpush::config::VARIABLES;

use super::Case;

fn source(path: &str) -> String {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn document() -> String {
    source("docs/configuration.md")
}

/// The rows of the one table under a heading: the name in the first cell, and the last cell.
fn table(heading: &str) -> BTreeMap<String, String> {
    let document = document();
    let (_, after) = document.split_once(&format!("\n## {heading}\n")).expect("the heading");
    let section = after.split("\n## ").next().expect("the section");
    let mut rows = BTreeMap::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let name = cells[0].trim_matches('`').to_owned();
        let last = cells.last().expect("a cell").replace('`', "");
        assert!(!last.is_empty(), "{row}");
        assert_eq!(rows.insert(name, last), None, "{row} stands twice");
    }
    rows
}

fn names(rows: &BTreeMap<String, String>) -> BTreeSet<String> {
    rows.keys().cloned().collect()
}

/// The blocks of the file as the code declares them: each one's keys and what they take.
fn blocks(files: &[&str]) -> BTreeMap<String, Vec<(String, String)>> {
    files.iter().flat_map(|file| blocks_of(file)).collect()
}

fn blocks_of(file: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let source = source(file);
    let (_, body) = source.split_once("blocks! {\n").expect("the declaration");
    let mut blocks = BTreeMap::new();
    for block in body.split_once("\n}\n").expect("its end").0.split("\n    }") {
        let Some((name, fields)) = block.trim().split_once(" {") else { continue };
        let field = |line: &str| {
            let (name, kind) = line.trim().trim_end_matches(',').split_once(": ").expect("a field");
            let name = name.split_once(" = ").map_or(name, |(_, literal)| literal.trim_matches('"'));
            (name.to_owned(), kind.to_owned())
        };
        let fields = fields.lines().filter(|line| !line.trim().is_empty()).map(field);
        blocks.insert(name.to_owned(), fields.collect());
    }
    blocks
}

/// All keys below a block. What both kinds of sink have is named without the sink.
fn keys(
    blocks: &BTreeMap<String, Vec<(String, String)>>,
    block: &str,
    within: &str,
    all: &mut BTreeSet<String>,
) {
    for (name, kind) in &blocks[block] {
        let key = if within.is_empty() { name.clone() } else { format!("{within}.{name}") };
        let inner = kind.split(['<', '>']).find(|part| blocks.contains_key(*part));
        let shared = matches!(name.as_str(), "basic_auth" | "authorization" | "oauth2" | "tls_config");
        if let Some(inner) = inner {
            keys(blocks, inner, if shared { name } else { &key }, all);
        }
        all.insert(key);
    }
}

#[test]
fn every_key_of_the_file_is_documented_and_no_other() {
    let mut all = BTreeSet::new();
    keys(&blocks(&["src/config/file.rs"]), "File", "", &mut all);
    for known in ["interval", "balena.fleets.include", "tls_config.ca_file", "authorization.type"] {
        assert!(all.contains(known), "{known} is missing in {all:?}");
    }
    assert_eq!(names(&table("Keys of the file")), all);
}

#[test]
fn every_key_of_the_pages_file_is_documented_and_no_other() {
    let mut all = BTreeSet::new();
    let files = ["src/config/web_file.rs", "src/config/web_tls.rs"];
    keys(&blocks(&files), "WebFileBlock", "", &mut all);
    assert!(
        all.contains("tls_server_config.client_allowed_sans") && all.contains("rate_limit.burst"),
        "{all:?}"
    );
    assert_eq!(names(&table("The page's file")), all);
}

#[test]
fn every_variable_is_documented_and_no_other() {
    let all = VARIABLES.iter().map(|one| one.name.to_owned()).collect();
    assert_eq!(names(&table("Variables")), all);
    // What the manual page says of each is what stands there.
    let document = document();
    for one in VARIABLES {
        let row = document.lines().find(|line| line.starts_with(&format!("| `{}` |", one.name)));
        let said = format!(" | {} | {} |", one.default, one.meaning).replace("|  |", "| |");
        assert!(row.is_some_and(|row| row.ends_with(&said)), "{row:?} does not end with {said:?}");
    }
}

#[tokio::test]
async fn every_flag_is_documented_and_no_other() {
    let help = Case::good().arguments(&["--help"]).run().await;
    assert_eq!(help.code, 0, "{}", help.stderr);
    let flag = |line: &str| Some(format!("--{}", line.split_once("--")?.1.split(' ').next()?));
    let options = help.stdout.split_once("\nCommands:\n").expect("the commands").1;
    let all: BTreeSet<String> =
        options.lines().filter(|line| line.trim_start().starts_with('-')).filter_map(flag).collect();
    assert!(all.contains("--config.file"), "{all:?}");
    assert_eq!(names(&table("Flags")), all);
}

#[test]
fn every_key_of_prometheus_that_is_ignored_or_refused_is_documented_and_no_other() {
    let source = source("src/config/foreign.rs");
    let list = source.split_once("const KEYS:").expect("the list").1.split("];").next().expect("its end");
    let (mut ignored, mut refused) = (BTreeMap::new(), BTreeSet::new());
    for entry in list.replace("(\n        \"", "(\"").split("\n    (\"").skip(1) {
        let (key, rest) = entry.split_once("\",").expect("a key and what becomes of it");
        match rest.trim().strip_prefix("Ignored(\"") {
            Some(why) => {
                ignored.insert(key.to_owned(), why.split('"').next().expect("a text").to_owned());
            }
            None => assert!(refused.insert(key.to_owned()), "{key} stands twice"),
        }
    }
    assert!(ignored.len() >= 10 && refused.len() >= 20, "{ignored:?} {refused:?}");
    assert_eq!(table("Keys of Prometheus that change nothing here"), ignored);
    assert_eq!(names(&table("Keys of Prometheus that are refused")), refused);
}

#[tokio::test]
async fn the_complete_file_is_good_and_has_every_key() {
    let document = document();
    let example = document.split_once("```yaml\n").expect("the file").1.split("```").next().expect("its end");
    let secrets = "/run/secrets/";
    assert!(example.contains(secrets), "{example}");
    let mut case = Case::raw(example.replace(secrets, "{folder}/").as_bytes())
        .account_in_file()
        // A variable would win over the file.
        .without(&["PUSHGATEWAY_URL", "REMOTE_WRITE_URL", "FLEETPUSH_INSTANCE"])
        .without(&["FLEETPUSH_LOG_LEVEL", "FLEETPUSH_LISTEN_ADDRESS"])
        .arguments(&["--config.check"]);
    for name in example.split(secrets).skip(1) {
        case = case.beside(name.lines().next().expect("a name"), "hunter2\n");
    }
    let said = case.run().await;
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (0, "the configuration is good", ""));
    let last = |key: &str| key.rsplit('.').next().expect("a word").to_owned();
    let shown: BTreeSet<&str> = example
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    let files = [
        "token",
        "ca_file",
        "password",
        "cert_file",
        "key_file",
        "credentials",
        "bearer_token",
        "client_secret",
        "config_file",
    ];
    let missing: Vec<String> = names(&table("Keys of the file"))
        .iter()
        .map(|key| last(key))
        .filter(|word| !shown.contains(word.as_str()) && !files.contains(&word.as_str()))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}
