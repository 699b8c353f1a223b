//! The dashboards against Grafana's own types, by the TypeScript compiler.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::rules::{repository, text};

fn tools() -> PathBuf {
    let folder = repository("target/test-tools/grafana-schema");
    assert!(
        folder.join(".stamp").is_file(),
        "{} is missing: run `make test-tools`, which fetches it from npm",
        folder.display()
    );
    folder
}

/// Compiles dashboards against our model of them.
fn compile(boards: &[(&str, &str)]) -> Output {
    let tools = tools();
    // Below the packages, so that the compiler finds them.
    let folder = tempfile::tempdir_in(&tools).unwrap();
    let model = include_str!("model.ts").replace("SCHEMA", "../node_modules/@grafana/schema/dist/esm");
    fs::write(folder.path().join("model.ts"), model).unwrap();
    let mut command = Command::new("node");
    command.arg(tools.join("node_modules/typescript/bin/tsc")).current_dir(folder.path());
    command.args(["--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "bundler"]);
    command.args(["--module", "esnext", "--target", "esnext", "--pretty", "false"]);
    for (name, json) in boards {
        let file = format!("{name}.ts");
        let head = "import type { Dashboard } from \"./model\";\nexport const board: Dashboard = ";
        fs::write(folder.path().join(&file), format!("{head}{json}")).unwrap();
        command.arg(file);
    }
    command.output().expect("node is missing: install Node.js (Debian, Ubuntu: apt-get install nodejs)")
}

#[test]
fn grafanas_own_types_know_every_key_and_word_and_none_that_is_wrong() {
    let fleets = text("deploy/grafana/fleets.json");
    let wrong = [
        ("a panel of another kind", "\"type\": \"timeseries\"", "\"type\": \"graph\""),
        ("an unknown key", "\"wideLayout\"", "\"wideLayouts\""),
        ("an unknown word", "\"drawStyle\": \"line\"", "\"drawStyle\": \"lines\""),
        ("a datasource that is none", "\"uid\": \"${datasource}\"", "\"uid\": \"prometheus\""),
        ("a text for a number", "\"schemaVersion\": 39", "\"schemaVersion\": \"39\""),
    ];
    let mut boards = vec![("fleets".to_owned(), fleets.clone())];
    boards.push(("sender".to_owned(), text("deploy/grafana/sender.json")));
    for (what, from, to) in wrong {
        assert!(fleets.contains(from), "{from}");
        boards.push((format!("wrong-{}", what.replace(' ', "-")), fleets.replacen(from, to, 1)));
    }
    let boards: Vec<(&str, &str)> =
        boards.iter().map(|(name, json)| (name.as_str(), json.as_str())).collect();
    let output = compile(&boards);
    let said = String::from_utf8_lossy(&output.stdout);
    let about = |name: &str| said.lines().filter(|line| line.starts_with(&format!("{name}.ts("))).count();
    for (name, _) in &boards {
        assert_eq!(
            about(name) > 0,
            name.starts_with("wrong-"),
            "{name}:\n{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
