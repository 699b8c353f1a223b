//! The generated parts of docs/configuration.md, from what stands beside each key, variable and flag in the code. With
//! `WRITE_DOCS` set (`make docs`) they are written, without it they are compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use fleetpush::config::reference::{FILE, FOREIGN, Key, Section, WEB_FILE};
use fleetpush::config::{Foreign, VARIABLES};

use super::root;

const PAGE: &str = "docs/configuration.md";

/// A key with its place: the keys that lead to it, without those of lists.
pub(crate) struct Leaf {
    pub(crate) path: Vec<(&'static Section, &'static Key)>,
}

impl Leaf {
    pub(crate) fn key(&self) -> &'static Key {
        self.path.last().expect("a path leads somewhere").1
    }

    pub(crate) fn dotted(&self) -> String {
        self.path.iter().map(|(_, key)| key.name).collect::<Vec<_>>().join(".")
    }
}

/// Every key of a file, those of blocks that stand in several places once for each.
pub(crate) fn leaves(section: &'static Section) -> Vec<Leaf> {
    let mut all = Vec::new();
    let mut open: Vec<Vec<(&'static Section, &'static Key)>> =
        section.keys.iter().rev().map(|key| vec![(section, key)]).collect();
    while let Some(path) = open.pop() {
        let inside = path.last().expect("a path leads somewhere").1.inside;
        let below = inside.map(|inside| inside.keys.iter().rev().map(move |key| (inside, key)));
        open.extend(below.into_iter().flatten().map(|step| [path.as_slice(), &[step]].concat()));
        all.push(Leaf { path });
    }
    all
}

/// The places of each block: the keys that hold it, with dots.
fn places(section: &'static Section) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut all = BTreeMap::<_, BTreeSet<String>>::new();
    for leaf in leaves(section) {
        if let Some(inside) = leaf.key().inside {
            all.entry(inside.name).or_default().insert(leaf.dotted());
        }
    }
    all
}

fn cell(text: &str) -> String {
    text.trim().replace('|', "\\|")
}

fn takes(key: &Key) -> String {
    match (key.takes, key.inside, key.list) {
        ("", Some(_), true) => "list of maps".to_owned(),
        ("", Some(_), false) => "map".to_owned(),
        (takes, ..) => takes.to_owned(),
    }
}

/// The tables of a file's keys: one of its root, one of each block of it, one of each block that stands in several places.
struct Tables {
    /// Blocks that stand in several places.
    shared: BTreeMap<&'static str, BTreeSet<String>>,
    text: String,
}

impl Tables {
    fn of(file: &'static Section) -> String {
        let mut shared = places(file);
        shared.retain(|_, places| places.len() > 1);
        let mut tables = Tables { shared, text: String::new() };
        tables.table(file, "", false);
        let mut done = BTreeSet::new();
        // Those that stand in several places come behind those that name them.
        for several in [false, true] {
            for leaf in leaves(file) {
                let Some(inside) = leaf.key().inside else { continue };
                let is_shared = tables.shared.contains_key(inside.name);
                if is_shared == several && (leaf.path.len() == 1 || is_shared) && done.insert(inside.name) {
                    let heading = if is_shared { tables.names(inside) } else { leaf.dotted() };
                    tables.section(inside, &heading, is_shared);
                }
            }
        }
        tables.text
    }

    /// The names of the keys that hold a block in several places, as they stand in its heading.
    fn names(&self, section: &Section) -> String {
        let last = |place: &String| place.rsplit('.').next().expect("a word").to_owned();
        let names: BTreeSet<String> = self.shared[section.name].iter().map(last).collect();
        names.into_iter().collect::<Vec<_>>().join("`, `")
    }

    fn section(&mut self, section: &'static Section, heading: &str, is_shared: bool) {
        let about = section.about.trim();
        writeln!(self.text, "\n### Keys of `{heading}`\n\n{about}").expect("a text takes everything");
        if is_shared {
            let above = |place: &String| place.rsplit_once('.').map(|(above, _)| above.to_owned());
            let parents: BTreeSet<String> = self.shared[section.name].iter().filter_map(above).collect();
            let parents: Vec<String> = parents.iter().map(|parent| format!("`{parent}`")).collect();
            writeln!(self.text, "\nStands in {}.", listed(&parents)).expect("a text takes everything");
        }
        let prefix = if heading.contains('`') { String::new() } else { format!("{heading}.") };
        self.text.push('\n');
        self.table(section, &prefix, true);
    }

    fn table(&mut self, section: &'static Section, prefix: &str, deep: bool) {
        self.text.push_str("| key | takes | default | meaning |\n|---|---|---|---|\n");
        self.rows(section, prefix, deep);
    }

    fn rows(&mut self, section: &'static Section, prefix: &str, deep: bool) {
        for key in section.keys {
            let shared = key.inside.filter(|inside| self.shared.contains_key(inside.name));
            // Where its keys stand, unless they follow.
            let link = match (key.inside, shared) {
                (_, Some(inside)) => Some(self.names(inside)),
                (Some(_), None) if !deep => Some(key.name.to_owned()),
                _ => None,
            };
            let link = link.map(|name| format!(" [Its keys](#keys-of-{})", name.replace("`, `", "-")));
            let default = match (key.default, key.inside) {
                ("", Some(_)) => "",
                ("", None) => "none",
                (default, _) => default,
            };
            let meaning = format!("{}{}", key.meaning.trim(), link.as_deref().unwrap_or_default());
            let cells = [takes(key), default.to_owned(), meaning].map(|text| cell(&text)).join(" | ");
            let row = format!("| `{prefix}{}` | {cells} |\n", key.name);
            self.text.push_str(&row.replace("|  |", "| |"));
            if let (Some(inside), true, None) = (key.inside, deep, shared) {
                self.rows(inside, &format!("{prefix}{}.", key.name), deep);
            }
        }
    }
}

/// `a, b and c`.
fn listed(all: &[String]) -> String {
    match all {
        [most @ .., last] if !most.is_empty() => format!("{} and {last}", most.join(", ")),
        _ => all.join(", "),
    }
}

fn variables() -> String {
    let mut text = "| variable | takes | default | meaning |\n|---|---|---|---|\n".to_owned();
    for one in VARIABLES {
        let row = [one.takes, one.default, one.meaning].map(cell).join(" | ");
        text += &format!("| `{}` | {row} |\n", one.name).replace("|  |", "| |");
    }
    text
}

/// The program's flags as its help shows them: name, value, default and help.
pub(crate) fn flags() -> Vec<[String; 4]> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_fleetpush")).arg("--help").output().expect("the program starts");
    let help = String::from_utf8(output.stdout).expect("text");
    let options = help.split_once("\nOptions:\n").expect("its flags").1;
    let flag = |line: &str| {
        let (name, about) = line.trim().split_once("  ")?;
        let name = name.split(", ").last()?;
        let (name, value) = name.split_once(' ').unwrap_or((name, ""));
        let (about, default) = match about.split_once(" [default: ") {
            Some((before, rest)) => {
                let (default, after) = rest.split_once(']').expect("its end");
                (format!("{before}{after}"), default)
            }
            None => (about.to_owned(), ""),
        };
        let (about, value) = match about.split_once(" [possible values: ") {
            Some((before, words)) => (before.to_owned(), words.trim_end_matches(']').to_owned()),
            None => (about, value.trim_matches(['<', '>']).to_lowercase()),
        };
        Some([name.to_owned(), value, default.to_owned(), about.trim().to_owned()])
    };
    options.lines().filter(|line| line.trim_start().starts_with('-')).filter_map(flag).collect()
}

fn table_of_flags() -> String {
    let mut text = "| flag | value | default | meaning |\n|---|---|---|---|\n".to_owned();
    for [name, value, default, about] in flags() {
        let default = if default.is_empty() { default } else { format!("`{default}`") };
        let row = [value, default, about].map(|text| cell(&text)).join(" | ");
        text += &format!("| `{name}` | {row} |\n").replace("|  |", "| |").replace("|  |", "| |");
    }
    text
}

/// Keys of one fate stand in one row.
fn foreign(ignored: bool) -> String {
    let mut rows: Vec<(&str, Vec<&str>)> = Vec::new();
    for (key, fate) in FOREIGN {
        let why = match fate {
            Foreign::Ignored(why) if ignored => why,
            Foreign::Refused(why) if !ignored => why,
            _ => continue,
        };
        match rows.iter_mut().find(|(known, _)| known == why) {
            Some((_, keys)) => keys.push(key),
            None => rows.push((why, vec![key])),
        }
    }
    let mut text =
        format!("| key | {} |\n|---|---|\n", if ignored { "why" } else { "what the program says" });
    for (why, keys) in rows {
        text += &format!("| `{}` | {} |\n", keys.join("`, `"), cell(why));
    }
    text
}

/// What stands between the markers, by their names.
fn parts() -> Vec<(&'static str, String)> {
    vec![
        ("keys of the file", Tables::of(FILE)),
        ("keys of the page's file", Tables::of(WEB_FILE)),
        ("variables", variables()),
        ("flags", table_of_flags()),
        ("keys that change nothing", foreign(true)),
        ("keys that are refused", foreign(false)),
    ]
}

/// The page with each part in its place.
fn generated(page: &str, parts: &[(&str, String)]) -> String {
    let mut page = page.to_owned();
    for (name, text) in parts {
        let begin = format!("<!-- make docs: {name} -->\n");
        const END: &str = "<!-- end -->\n";
        let (before, rest) =
            page.split_once(&begin).unwrap_or_else(|| panic!("{PAGE} has no line {}", begin.trim()));
        let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("{name} has no end"));
        page = format!("{before}{begin}\n{}\n\n{END}{after}", text.trim());
    }
    page
}

#[test]
fn the_reference_of_the_configuration_is_what_the_code_says() {
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).expect("a page is text");
    let due = generated(&page, &parts());
    assert_eq!(generated(&due, &parts()), due, "written twice it is the same");
    if std::env::var_os("WRITE_DOCS").is_some() {
        fs::write(&path, due).expect("our own page");
        return;
    }
    let differs = page.lines().zip(due.lines()).find(|(is, due)| is != due);
    assert!(
        page == due,
        "{PAGE} is not what the code says: run `make docs`. The first line that differs: {differs:#?}"
    );
}

#[test]
fn a_part_that_differs_from_the_code_is_seen() {
    let page = fs::read_to_string(root().join(PAGE)).expect("a page is text");
    for (name, text) in parts() {
        let row = text.lines().last().expect("a row");
        let cut = page.replacen(row, "", 1);
        assert!(cut != page, "{name} is not in {PAGE}: run `make docs`");
        assert!(generated(&cut, &parts()) != cut, "{name}");
    }
}

#[test]
fn every_key_variable_and_flag_says_what_it_is() {
    let mut missing = Vec::new();
    for leaf in leaves(FILE).iter().chain(&leaves(WEB_FILE)) {
        let (key, name) = (leaf.key(), leaf.dotted());
        let block = leaf.path.last().expect("a path leads somewhere").0.name;
        let mut say = |what: &str| {
            missing.push(format!("{name} (in {block}): {what}; see \"A new key\" in CONTRIBUTING.md"))
        };
        if !key.meaning.trim().ends_with(['.', ')']) {
            say("its doc comment must say what it is, in sentences");
        }
        if key.takes.is_empty() && key.inside.is_none() {
            say("add what it takes, such as `as \"duration\"`");
        }
        if key.inside.is_some_and(|inside| !inside.about.trim().ends_with('.')) {
            say("the doc comment of its block must say what it is, in sentences");
        }
    }
    for one in VARIABLES.iter().filter(|one| one.takes.is_empty() || one.meaning.len() < 10) {
        missing.push(format!("{}: say what it takes and what it is in src/config/env.rs", one.name));
    }
    let flags = flags();
    assert!(flags.len() > 10, "{flags:?}");
    missing.extend(
        flags.iter().filter(|flag| flag[3].len() < 10).map(|flag| format!("{}: say what it is", flag[0])),
    );
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn none_of_the_reference_is_part_of_the_program() {
    let program = fs::read(env!("CARGO_BIN_EXE_fleetpush")).expect("the program");
    let holds = |text: &str| program.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds(VARIABLES[0].meaning), "what it has is found");
    let key = FILE.keys.iter().find(|key| key.name == "stale_after").expect("it is there");
    assert!(
        key.meaning.len() > 80 && !holds(key.meaning.trim().split_at(60).0),
        "it has no use for it, and would be larger"
    );
}
