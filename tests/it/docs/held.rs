//! What the reference says of a key is true: a default that is typed changes nothing, a word that is named is taken and
//! no other, a value of another type is refused in the words for that type, and what is required is missed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use fleetpush::config::reference::{FILE, Key, Section, WEB_FILE};
use fleetpush::config::{self, Overrides, VARIABLES, WebFile};
use rstest::rstest;
use tempfile::TempDir;

use super::reference::{Leaf, flags, leaves};

/// What a block must have beside the key that is tried.
const NEEDED: &[(&str, &[(&str, &str)])] = &[
    ("AccountBlock", &[("token", "x")]),
    ("GatewayBlock", &[("url", "http://gateway")]),
    ("EndpointBlock", &[("url", "http://receiver/write")]),
    ("ScrapeBlock", &[("job_name", "x")]),
    ("FilesBlock", &[("files", "[x.yml]")]),
    ("RuleBlock", &[("target_label", "x")]),
    ("BasicBlock", &[("username", "x"), ("password", "x")]),
    ("AuthorizationBlock", &[("credentials", "x")]),
    ("OAuth2Block", &[("client_id", "x"), ("client_secret", "x"), ("token_url", "http://login/token")]),
    ("TlsBlock", &[("cert_file", "{folder}/cert.pem"), ("key_file", "{folder}/key.pem")]),
    ("TlsServerBlock", &[("cert_file", "{folder}/cert.pem"), ("key_file", "{folder}/key.pem")]),
    ("RateBlock", &[("interval", "1s"), ("burst", "5")]),
];

/// What keys take: a value of another kind, and how it is refused. Without the latter the value is good, or refused in
/// words of no other kind.
const KINDS: &[(&str, &str, &[&str])] = &[
    ("duration", "nonsense", &["is not a duration"]),
    ("duration or seconds", "nonsense", &["is not a duration"]),
    ("size", "nonsense", &["is not a size"]),
    ("boolean", "nonsense", &["is neither true nor false"]),
    (
        "whole number above 0",
        "nonsense",
        &["is not a whole number above 0", "is not a whole number from 1 to"],
    ),
    ("URL", "nonsense", &["does not begin with http://", "is not the URL of an HTTP proxy"]),
    ("path", "/nowhere/file", &["cannot read", "cannot be read"]),
    ("path of a URL", "nonsense", &["is not a path for metrics"]),
    ("address, or `off`", "nonsense", &["is not an address"]),
    ("PEM", "nonsense", &["in PEM form"]),
    ("word", "two words", &["is not one word", "is not one of"]),
    ("map of labels", "{bad-name: x}", &["is not a label name"]),
    ("list of patterns", "['[']", &["is no pattern"]),
    ("patterns with commas", "[", &["is no pattern"]),
    ("`name=value,…`", "nonsense", &["has a part without `=`"]),
    ("words with commas", "nonsense", &[]),
    ("list of words", "[nonsense]", &["is not one of"]),
    ("text", "nonsense", &[]),
    ("secret", "nonsense", &[]),
    ("path, or `memory`", "nonsense", &[]),
    ("whole number", "nonsense", &["is not a whole number; 0 is no limit"]),
    ("path on a target", "/a?b", &["has a query"]),
    ("map of lists of texts", "{a: b}", &["must be a list"]),
    ("list of addresses", "['http://a']", &["is a URL"]),
    ("list of paths", "[nonsense]", &["must end in .json, .yml or .yaml"]),
    ("list of label names", "", &[]),
    ("label name", "", &[]),
    ("expression", "'('", &["regex: "]),
    ("list", "", &[]),
    ("list of texts", "[nonsense]", &[]),
    ("map of texts", "{Nonsense: x}", &[]),
    ("map, or a list of one", "", &[]),
];

/// A file, and how it is read.
#[derive(Clone, Copy)]
struct Form {
    root: &'static Section,
    load: fn(&str) -> Result<String, String>,
}

const MAIN: Form = Form {
    root: FILE,
    load: |path| {
        let flags = Overrides { config_file: Some(path.to_owned()), ..Overrides::default() };
        loaded(&BTreeMap::new(), &flags)
    },
};
const WEB: Form = Form {
    root: WEB_FILE,
    load: |path| {
        let file = WebFile::read(path.as_ref()).map_err(|error| error.to_string())?;
        Ok(format!("{file:?}"))
    },
};

fn loaded(variables: &BTreeMap<String, String>, flags: &Overrides) -> Result<String, String> {
    let config = config::load(variables, flags, "host").map_err(|error| error.to_string())?;
    Ok(format!("{config:?}"))
}

/// What a key and the key of its file have in common: they exclude each other.
fn stem(name: &str) -> &str {
    name.trim_end_matches("_file").trim_end_matches("_FILE")
}

/// A folder with a certificate and its key.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let own = rcgen::generate_simple_self_signed(vec!["example.com".to_owned()]).expect("a certificate");
        fs::write(folder.path().join("cert.pem"), own.cert.pem()).expect("a file of ours");
        fs::write(folder.path().join("key.pem"), own.signing_key.serialize_pem()).expect("a file of ours");
        Bench { folder }
    }

    /// What comes of a file that has this key with this value, and of its block what is needed.
    fn with(&self, form: Form, leaf: &Leaf, value: Option<&str>) -> Result<String, String> {
        let mut text = None;
        for (section, key) in leaf.path.iter().rev() {
            let value = match (&text, key.list) {
                (None, _) => value.map(str::to_owned),
                (Some(inner), true) => Some(format!("[{inner}]")),
                (Some(inner), false) => Some(String::clone(inner)),
            };
            let needed =
                NEEDED.iter().find(|(name, _)| *name == section.name).map_or(&[][..], |(_, all)| *all);
            let mut all: Vec<String> = needed
                .iter()
                .filter(|(name, _)| stem(name) != stem(key.name))
                .map(|(name, value)| match value.strip_prefix('[') {
                    Some(_) => format!("{name}: {value}"),
                    None => format!("{name}: \"{value}\""),
                })
                .collect();
            all.extend(value.map(|value| format!("{}: {value}", key.name)));
            text = Some(format!("{{{}}}", all.join(", ")));
        }
        let text =
            text.expect("a path has a key").replace("{folder}", &self.folder.path().display().to_string());
        let path: PathBuf = self.folder.path().join("file.yml");
        fs::write(&path, text).expect("a file of ours");
        (form.load)(&path.display().to_string())
    }

    /// The same without the key, which must be good.
    fn without(&self, form: Form, leaf: &Leaf) -> String {
        self.with(form, leaf, None).unwrap_or_else(|error| {
            panic!(
                "{}: its block needs more; add that to NEEDED in tests/it/docs/held.rs: {error}",
                leaf.dotted()
            )
        })
    }
}

/// A value that a default or a list of words shows in backticks, and nothing else.
fn literal(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('`')?.strip_suffix('`')?;
    (!inner.contains('`')).then_some(inner)
}

/// The words of `a`, `b` or `c`.
fn words(takes: &str) -> Option<BTreeSet<&str>> {
    let takes = takes.strip_prefix("list of ").unwrap_or(takes);
    let known = KINDS.iter().any(|(kind, ..)| *kind == takes);
    (takes.starts_with('`') && !known).then(|| takes.split('`').skip(1).step_by(2).collect())
}

/// A text as the value of a key: plain, unless it is a list already.
fn typed(value: &str, key: &Key) -> String {
    match value {
        list if list.starts_with(['[', '{']) => list.to_owned(),
        one if key.list && key.takes.starts_with("list of ") => format!("[\"{one}\"]"),
        one => format!("\"{one}\""),
    }
}

#[rstest]
#[case::the_file(MAIN, 25)]
#[case::the_pages_file(WEB, 4)]
fn a_default_that_is_typed_changes_nothing(#[case] form: Form, #[case] least: usize) {
    let (bench, mut count) = (Bench::new(), 0);
    for leaf in leaves(form.root) {
        let Some(default) = literal(leaf.key().default) else { continue };
        let found = bench.with(form, &leaf, Some(&typed(default, leaf.key())));
        assert_eq!(found.as_deref(), Ok(&*bench.without(form, &leaf)), "{}: {default}", leaf.dotted());
        count += 1;
    }
    assert!(count >= least, "{count}");
}

#[test]
fn another_default_would_be_seen() {
    let bench = Bench::new();
    for (key, other) in [("interval", "61s"), ("queue.max_size", "1GB"), ("remote_write.start", "oldest")] {
        let all = leaves(FILE);
        let leaf = all.iter().find(|leaf| leaf.dotted() == key).expect("it is there");
        assert_ne!(bench.with(MAIN, leaf, Some(other)).as_deref(), Ok(&*bench.without(MAIN, leaf)), "{key}");
    }
}

/// Whether what comes of nonsense is what this kind of value makes of it.
fn held(name: &str, takes: &str, found: &Result<String, String>) {
    let said = found.as_ref().err().map_or("it is good", String::as_str);
    if let Some(words) = words(takes) {
        match said.split_once(" is not one of ") {
            Some((_, list)) => assert_eq!(list.split(", ").collect::<BTreeSet<_>>(), words, "{name}: {said}"),
            None if words.len() == 1 => assert!(found.is_err(), "{name} takes {takes}, and any other"),
            None => assert!(words.iter().all(|word| said.contains(word)), "{name} takes {takes}: {said}"),
        }
        return;
    }
    let (_, _, due) = KINDS.iter().find(|(kind, ..)| *kind == takes).expect("looked up before");
    let mut others = KINDS.iter().flat_map(|(.., due)| *due);
    let fits = match due {
        [] => !others.any(|text| said.contains(text)),
        due => due.iter().any(|text| said.contains(text)),
    };
    assert!(fits, "{name} takes {takes}: {said}");
}

/// What is no value of this kind, or of no other.
fn nonsense(name: &str, takes: &str) -> Option<&'static str> {
    match (words(takes), KINDS.iter().find(|(kind, ..)| *kind == takes)) {
        (Some(words), _) if words.iter().all(|word| word.starts_with('[')) => Some("[nonsense]"),
        (Some(_), _) => Some("nonsense"),
        (None, Some((_, value, _))) => (!value.is_empty()).then_some(value),
        (None, None) => panic!(
            "{name} takes {takes:?}, which no other does: take a kind of KINDS in tests/it/docs/held.rs, or add it there"
        ),
    }
}

#[rstest]
#[case::the_file(MAIN, 60)]
#[case::the_pages_file(WEB, 12)]
fn a_key_takes_what_the_reference_says_and_nothing_else(#[case] form: Form, #[case] least: usize) {
    let (bench, mut count) = (Bench::new(), 0);
    for leaf in leaves(form.root).iter().filter(|leaf| !leaf.key().takes.is_empty()) {
        let (key, name) = (leaf.key(), leaf.dotted());
        for word in words(key.takes).into_iter().flatten() {
            // What else it may lack is not its word's fault.
            if let Err(error) = bench.with(form, leaf, Some(&typed(word, key))) {
                assert!(
                    !error.contains("is not one of") && !error.contains("no such"),
                    "{name}: {word}: {error}"
                );
            }
        }
        if let Some(value) = nonsense(&name, key.takes) {
            held(&name, key.takes, &bench.with(form, leaf, Some(&typed(value, key))));
            count += 1;
        }
    }
    assert!(count >= least, "{count}");
}

#[rstest]
#[case::the_file(MAIN, 6)]
#[case::the_pages_file(WEB, 2)]
fn what_is_required_is_missed(#[case] form: Form, #[case] least: usize) {
    let (bench, mut count) = (Bench::new(), 0);
    for leaf in leaves(form.root) {
        let found = bench.with(form, &leaf, None);
        match leaf.key().default {
            "required" => {
                let said = found.expect_err(&leaf.dotted());
                let name = leaf.key().name;
                assert!(said.contains(&format!("has no {name}")), "{}: {said}", leaf.dotted());
                count += 1;
            }
            _ if NEEDED.iter().any(|(block, _)| *block == leaf.path.last().expect("a key").0.name) => {}
            _ => drop(bench.without(form, &leaf)),
        }
    }
    assert!(count >= least, "{count}");
}

/// The environment that a variable needs to mean anything, and the variable.
fn environment(name: &str, value: Option<&str>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([("BALENA_TOKEN".to_owned(), "x".to_owned())]);
    for (prefix, url) in [("PUSHGATEWAY_", "PUSHGATEWAY_URL"), ("REMOTE_WRITE_", "REMOTE_WRITE_URL")] {
        if name.starts_with(prefix) {
            all.insert(url.to_owned(), "http://receiver/write".to_owned());
        }
    }
    if name.contains("_OAUTH2_") {
        for (part, value) in [("CLIENT_ID", "x"), ("CLIENT_SECRET", "x"), ("TOKEN_URL", "http://login/token")]
        {
            all.insert(format!("REMOTE_WRITE_OAUTH2_{part}"), value.to_owned());
        }
    }
    if let Some(value) = value {
        all.retain(|other, _| stem(other) != stem(name));
        all.insert(name.to_owned(), value.to_owned());
    }
    if let Some(prefix) = name.strip_suffix("_PASSWORD_FILE") {
        all.insert(format!("{prefix}_USERNAME"), "x".to_owned());
    }
    all
}

#[test]
fn a_variable_takes_what_the_reference_says_and_its_default_changes_nothing() {
    let (keys, none) = (leaves(FILE), Overrides::default());
    let (mut defaults, mut kinds, mut named) = (0, 0, 0);
    for one in VARIABLES {
        let load = |value: Option<&str>| loaded(&environment(one.name, value), &none);
        if let Some(default) = literal(one.default) {
            assert_eq!(load(Some(default)), load(None), "{}", one.name);
            defaults += 1;
        }
        if let Some(value) = nonsense(one.name, one.takes) {
            held(one.name, one.takes, &load(Some(value)));
            kinds += 1;
        }
        // The key in brackets says the same of it.
        let key = one.meaning.split("(`").nth(1).and_then(|rest| rest.split("`)").next());
        if let Some(key) = key.filter(|key| !key.starts_with("--")) {
            let key = keys
                .iter()
                .find(|leaf| leaf.dotted() == key)
                .unwrap_or_else(|| panic!("{key} is no key"))
                .key();
            let default = if key.default.is_empty() { "none" } else { key.default };
            let same = default.starts_with(one.default)
                || default == format!("{}s`", one.default.trim_end_matches('`'));
            assert!(same, "{}: {} is not {default}", one.name, one.default);
            named += 1;
        }
    }
    assert!(defaults > 10 && kinds > 20 && named > 15, "{defaults} {kinds} {named}");
}

#[test]
fn a_flag_s_default_changes_nothing() {
    let mut count = 0;
    for [name, _, default, _] in flags() {
        let mut flags = Overrides::default();
        let field = match name.as_str() {
            "--web.listen-address" => &mut flags.listen_address,
            "--web.telemetry-path" => &mut flags.telemetry_path,
            "--log.level" => &mut flags.log_level,
            "--log.format" => &mut flags.log_format,
            "--once.deadline" => &mut flags.once_deadline,
            "--shutdown.grace" => &mut flags.shutdown_grace,
            // The parser's own, and tested with it.
            "--color" => continue,
            _ => {
                assert_eq!(default, "", "{name}");
                continue;
            }
        };
        *field = Some(default);
        let none = BTreeMap::new();
        assert_eq!(loaded(&none, &flags), loaded(&none, &Overrides::default()), "{name}");
        count += 1;
    }
    assert_eq!(count, 6);
}
