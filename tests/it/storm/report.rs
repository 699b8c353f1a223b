//! Figures of a long run, for whoever asked for them.

use std::fs::OpenOptions;
use std::io::Write;

/// Prints a section, and adds it to the file that `SOAK_REPORT` names.
pub fn section(title: &str, lines: &[String]) {
    let text = format!("## {title}\n\n{}\n\n", lines.join("\n"));
    println!("{text}");
    if let Ok(path) = std::env::var("SOAK_REPORT") {
        let file = OpenOptions::new().append(true).open(&path);
        let mut file = file.unwrap_or_else(|error| panic!("SOAK_REPORT={path}: {error}"));
        file.write_all(text.as_bytes()).expect("the report can be written");
    }
}
