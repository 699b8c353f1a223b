//! What README and docs show can be used as it stands: every block of configuration is read by the program or
//! by the program that it is for, every command line is one of ours, every link leads somewhere.

mod crates;
mod held;
pub(crate) mod reference;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::servers::Suite;

/// A block of code in a page.
struct Block {
    page: PathBuf,
    line: usize,
    language: String,
    text: String,
}

impl Block {
    fn place(&self) -> String {
        format!("{}:{}", self.page.display(), self.line)
    }

    /// The file that its first line names.
    fn file(&self) -> Option<&str> {
        self.text.lines().next()?.strip_prefix("# ")?.split_whitespace().next()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page for people, but for those that a command writes.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut folders = vec![root().to_owned(), root().join("docs"), root().join("deploy")];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() && folder != root() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    assert!(pages.len() > 12, "{pages:?}");
    pages
}

fn blocks() -> Vec<Block> {
    let mut all = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page is text");
        let page = page.strip_prefix(root()).expect("it is below").to_owned();
        let mut open: Option<Block> = None;
        for (number, line) in text.lines().enumerate() {
            match (&mut open, line.trim_start().strip_prefix("```")) {
                (None, Some(language)) => {
                    let (language, line) = (language.trim().to_owned(), number + 1);
                    open = Some(Block { page: page.clone(), line, language, text: String::new() });
                }
                (Some(_), Some(_)) => all.extend(open.take()),
                (Some(block), None) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block has no end", page.display());
    }
    all
}

/// A folder with every file that the pages name under the folders of secrets and certificates.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("queue")).expect("a folder of ours");
        Files { folder }
    }

    /// The text with paths of this folder in the place of those of a real machine, made as they are met.
    fn with_paths(&self, text: &str) -> String {
        let text =
            text.replace("/var/lib/fleetpush", &self.folder.path().join("queue").display().to_string());
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some((start, prefix)) =
            ["/run/secrets/", "/etc/fleetpush/"].iter().filter_map(|p| Some((rest.find(p)?, p))).min()
        {
            let (before, path) = rest.split_at(start);
            let after = path.split_at(prefix.len()).1;
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && !"-_./".contains(c));
            let (name, tail) = after.split_at(end.unwrap_or(after.len()));
            let file = self.folder.path().join(name.replace('/', "-"));
            fs::write(&file, if name.ends_with(".pem") { self.certificate() } else { "secret".to_owned() })
                .expect("a file of ours");
            out.push_str(before);
            out.push_str(&file.display().to_string());
            rest = tail;
        }
        out + rest
    }

    fn certificate(&self) -> String {
        let key = rcgen::generate_simple_self_signed(vec!["example.com".to_owned()]).expect("a certificate");
        key.cert.pem()
    }

    fn fleetpush(&self, arguments: &[&str], environment: &BTreeMap<String, String>) -> Output {
        Command::new(env!("CARGO_BIN_EXE_fleetpush"))
            .args(arguments)
            .env_clear()
            .env("STATE_DIRECTORY", self.folder.path().join("queue"))
            .envs(environment)
            .current_dir(self.folder.path())
            .output()
            .expect("the program starts")
    }
}

#[test]
fn every_block_of_yaml_is_taken_by_the_program_that_it_is_for() {
    // Those of others that no test has at hand: looked at, not run.
    const OTHERS: &[&str] = &[
        "kustomization.yaml",
        "values.yaml",
        "compose.yaml",
        "docker-compose.yml",
        "provisioning/dashboards/fleetpush.yml",
        "alertmanager.yml",
    ];
    let mut count = BTreeMap::<String, usize>::new();
    for block in blocks().iter().filter(|block| matches!(&*block.language, "yaml" | "yml")) {
        let place = block.place();
        let file =
            block.file().unwrap_or_else(|| panic!("{place}: its first line names no file, as `# name.yml`"));
        *count.entry(file.to_owned()).or_default() += 1;
        let files = Files::new();
        let path = files.folder.path().join(file);
        match file {
            "fleetpush.yml" => {
                fs::write(&path, files.with_paths(&block.text)).expect("a file of ours");
                let arguments = ["--config.check", "--config.file", file];
                let out = files.fleetpush(&arguments, &BTreeMap::new());
                let said = String::from_utf8_lossy(&out.stderr);
                assert!(out.status.success(), "{place}: {said}");
                assert!(!said.contains("level=warn"), "{place}: {said}");
            }
            "prometheus.yml" => {
                // The rules lie beside it in the folder that the pages name.
                let rules = files.folder.path().join("fleetpush");
                fs::create_dir(&rules).expect("a folder of ours");
                for name in ["recording.yaml", "alerts.yaml"] {
                    fs::copy(root().join("deploy/prometheus").join(name), rules.join(name)).expect(name);
                }
                fs::write(&path, &block.text).expect("a file of ours");
                for suite in Suite::ALL {
                    let out = Command::new(suite.program("promtool"))
                        .args(["check", "config"])
                        .arg(&path)
                        .output()
                        .expect("promtool");
                    assert!(out.status.success(), "{place}: {}", String::from_utf8_lossy(&out.stderr));
                }
            }
            other => assert!(OTHERS.contains(&other), "{place}: nothing here reads {other}"),
        }
    }
    assert!(count.get("fleetpush.yml").is_some_and(|count| *count >= 10), "{count:?}");
    assert!(count.get("prometheus.yml").is_some_and(|count| *count >= 3), "{count:?}");
}

/// The variables and arguments of a command line of ours; nothing for another program's.
fn ours(line: &str) -> Option<(BTreeMap<String, String>, Vec<String>)> {
    let mut words = line.split_whitespace().take_while(|word| *word != "#").peekable();
    let mut environment = BTreeMap::new();
    while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
        let is_name = name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        if !is_name || name.is_empty() {
            break;
        }
        environment.insert(name.to_owned(), value.replace('…', "secret"));
        words.next();
    }
    match words.next()? {
        "fleetpush" => {}
        "cargo" if words.next() == Some("run") => {
            words.next_if_eq(&"--release");
            words.next_if_eq(&"--");
        }
        _ => return None,
    }
    // Redirections and what comes behind a pipe are the shell's.
    let arguments = words.take_while(|word| !word.starts_with(['|', '>', '<', ';', '&']));
    Some((environment, arguments.map(str::to_owned).collect()))
}

#[test]
fn every_command_line_of_ours_is_understood() {
    let mut count = 0;
    for block in blocks().iter().filter(|block| block.language == "sh") {
        for line in block.text.replace("\\\n", " ").lines() {
            let Some((environment, arguments)) = ours(line) else { continue };
            let place = format!("{}: {line}", block.place());
            let files = Files::new();
            // The file that a page shows is tried by itself.
            fs::write(files.folder.path().join("fleetpush.yml"), "interval: 60s\n").expect("a file of ours");
            let environment =
                environment.into_iter().map(|(name, value)| (name, files.with_paths(&value))).collect();
            let arguments: Vec<String> = arguments.iter().map(|word| files.with_paths(word)).collect();
            let mut all: Vec<&str> = arguments.iter().map(String::as_str).collect();
            // These two read no configuration.
            let reads_none = arguments.first().is_some_and(|first| matches!(first.as_str(), "demo" | "init"));
            all.push(if reads_none { "--help" } else { "--config.check" });
            let out = files.fleetpush(&all, &environment);
            let said = String::from_utf8_lossy(&out.stderr);
            assert!(out.status.success(), "{place}: {said}");
            assert!(!said.contains("level=warn"), "{place}: {said}");
            count += 1;
        }
    }
    assert!(count > 12, "only {count} were found");
}

/// A heading as links name it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
}

#[test]
fn every_link_leads_to_a_page_and_a_heading_that_are_there() {
    let mut count = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page is text");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let folder = page.parent().expect("a page is in a folder");
            let path = if file.is_empty() { page.clone() } else { folder.join(file) };
            assert!(path.exists(), "{}: {target} is not there", page.display());
            if !heading.is_empty() {
                let there = fs::read_to_string(&path).expect("a page is text");
                let headings =
                    there.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
                assert!(
                    headings.map(anchor).any(|anchor| anchor == heading),
                    "{}: {target} has no such heading",
                    page.display()
                );
            }
            count += 1;
        }
    }
    assert!(count > 20, "only {count} links were found");
}
