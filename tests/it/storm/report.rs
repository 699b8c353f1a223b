//! What a long run is told and what it tells: settings from the environment, figures for whoever asked.

use std::fs::OpenOptions;
use std::io::Write;

#[allow(clippy::disallowed_methods, reason = "a test has no arguments of its own")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A number from the environment, for longer runs and for playing one again.
pub fn setting(name: &str, default: u64) -> u64 {
    let Some(text) = variable(name) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}"))
}

/// A line that is shown where the test fails.
#[allow(clippy::print_stdout, reason = "the harness keeps it for a test that fails")]
pub fn say(line: &str) {
    println!("{line}");
}

/// Says a section, and adds it to the file that `SOAK_REPORT` names.
pub fn section(title: &str, lines: &[String]) {
    let text = format!("## {title}\n\n{}\n\n", lines.join("\n"));
    say(&text);
    if let Some(path) = variable("SOAK_REPORT") {
        let file = OpenOptions::new().append(true).open(&path);
        let mut file = file.unwrap_or_else(|error| panic!("SOAK_REPORT={path}: {error}"));
        file.write_all(text.as_bytes()).expect("the report can be written");
    }
}
