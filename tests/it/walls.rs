//! The walls between the rooms of `src/`: who may import whom, and which crate is used where. Tests inside
//! `src/` count like everything else.

mod paths;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use rstest::rstest;

use paths::{Target, paths, room_of};

/// A room and the rooms that it may import.
const ROOMS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("cli", &["app", "config", "demo", "telemetry"]),
    (
        "app",
        &[
            "clock",
            "collect",
            "config",
            "encode",
            "http",
            "page",
            "pb",
            "queue",
            "relabel",
            "relay",
            "retry",
            "sample",
            "schedule",
            "sink",
            "telemetry",
        ],
    ),
    ("schedule", &["clock"]),
    ("collect", &["config", "http", "retry", "sample", "clock", "telemetry"]),
    ("relay", &["config", "http", "relabel", "sample", "clock", "telemetry"]),
    ("relabel", &["sample"]),
    ("sample", &[]),
    ("encode", &["sample", "pb"]),
    ("pb", &[]),
    ("queue", &[]),
    ("sink", &["config", "encode", "queue", "http", "retry", "relabel", "sample", "clock", "telemetry"]),
    ("page", &["config", "encode", "sample", "clock", "telemetry"]),
    ("http", &["config"]),
    ("retry", &[]),
    ("clock", &[]),
    ("telemetry", &["config", "sample", "clock"]),
    ("config", &["sample", "relabel"]),
    ("demo", &["pb"]),
    ("lib", &[]),
];

/// What the code needs beyond that, each with its reason; an entry that is no longer used must go.
const MORE: &[(&str, &str, &str)] = &[
    ("clock", "sample", "tells the time in the one word for it, Millis"),
    ("schedule", "sample", "next_tick is given and gives Millis"),
    ("encode", "relabel", "records leave relabelled, and what becomes of a layout is kept with it"),
    ("retry", "sample", "Retry-After as a date is measured from a Millis that it is given"),
];

/// Crates that stay in a few rooms, each with its reason.
const CRATES: &[(&str, &[&str], &str)] = &[
    ("reqwest", &["http", "collect", "relay", "sink"], "http builds the client, the others speak through it"),
    ("axum", &["page"], "the one that serves beside the demo"),
    ("prost", &["pb", "encode", "demo"], "the wire formats end at the encoders"),
    ("clap", &["cli"], "arguments become Overrides there"),
    ("anyhow", &["cli"], "rooms have typed errors; only who prints them may forget the type"),
    ("hyper", &["page", "demo"], "bounded connections; a simulated server closes them as the real one does"),
    ("hyper_util", &["page", "demo"], "as hyper"),
    ("tokio_rustls", &["page"], "the client's TLS is reqwest's"),
    ("blowfish", &["page"], "the users of the page"),
    ("http_body_util", &["demo"], "as hyper"),
    ("regex", &["relabel"], "expressions mean what Prometheus means by them, which is said in one place"),
    ("md5", &["relabel"], "a hash that nothing else may rely on"),
];

/// Files of over [`LINES`] lines, each with its reason; an entry that is no longer needed must go.
const LONG: &[(&str, &str)] = &[];
const LINES: usize = 400;

type Sources = BTreeMap<String, String>;

/// Every file of `src/` by its path in the repository.
fn sources() -> Sources {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut all, mut folders) = (Sources::new(), vec![root.join("src")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                assert!(name.ends_with(".rs"), "{name} is no Rust file");
                all.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert!(all.len() > 50, "only {} files were found", all.len());
    all
}

/// What is forbidden, as `file:line: what`.
fn forbidden(sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    for (file, source) in sources {
        let room = room_of(file);
        let Some((_, may)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            found.push(format!("{file}:1: the room {room} is not in the table"));
            continue;
        };
        for (line, target) in paths(file, source) {
            let what = match target {
                Target::Root => "imports the crate's root as a whole".to_owned(),
                Target::Room(to) => {
                    let more = MORE.iter().any(|(from, more, _)| *from == room && *more == to);
                    if to == room || may.contains(&to.as_str()) || more {
                        continue;
                    }
                    format!("{room} imports {to}")
                }
                Target::Foreign(name) => match CRATES.iter().find(|(known, ..)| *known == name) {
                    Some((_, rooms, _)) if !rooms.contains(&room.as_str()) => format!("{room} uses {name}"),
                    _ => continue,
                },
            };
            found.push(format!("{file}:{line}: {what}"));
        }
    }
    found
}

/// Which room imports which.
fn edges(sources: &Sources) -> BTreeSet<(String, String)> {
    let all = sources.iter().flat_map(|(file, source)| {
        let from = room_of(file);
        paths(file, source).into_iter().filter_map(move |(_, target)| match target {
            Target::Room(to) if to != from => Some((from.clone(), to)),
            _ => None,
        })
    });
    all.collect()
}

#[test]
fn no_room_imports_what_its_row_does_not_name() {
    assert_eq!(forbidden(&sources()), Vec::<String>::new());
}

#[test]
fn the_walk_sees_the_paths_of_the_real_rooms() {
    let edges = edges(&sources());
    for (from, to) in [
        ("app", "sink"),
        ("main", "cli"),
        ("encode", "pb"),
        ("demo", "pb"),
        ("page", "encode"),
        ("sink", "http"),
    ] {
        assert!(edges.contains(&(from.to_owned(), to.to_owned())), "{from} imports {to}");
    }
    let sources = sources();
    let uses = |room: &str, name: &str| {
        let mine = sources.iter().filter(|(file, _)| room_of(file) == room);
        let mut targets = mine.flat_map(|(file, source)| paths(file, source));
        targets.any(|(_, target)| target == Target::Foreign(name.to_owned()))
    };
    for (name, rooms, _) in CRATES {
        assert!(rooms.iter().any(|room| uses(room, name)), "{name} is in the table and used by none");
    }
}

#[test]
fn every_room_is_in_the_table_and_every_exception_is_needed() {
    let sources = sources();
    let edges = edges(&sources);
    for room in sources.keys().map(|file| room_of(file)) {
        assert!(ROOMS.iter().any(|(name, _)| *name == room), "{room}");
    }
    for (from, to, _) in MORE {
        assert!(edges.contains(&((*from).to_owned(), (*to).to_owned())), "{from} no longer imports {to}");
        let row = ROOMS.iter().find(|(name, _)| name == from).unwrap();
        assert!(!row.1.contains(to), "{from} may import {to} anyway");
    }
}

#[test]
fn the_tables_keep_the_invariants_of_the_house() {
    let may = |from: &str, to: &str| {
        ROOMS.iter().any(|(room, may)| *room == from && may.contains(&to))
            || MORE.iter().any(|(room, more, _)| *room == from && *more == to)
    };
    let apart = ["collect", "relay", "sink"];
    for (from, to) in apart.iter().flat_map(|from| apart.iter().map(move |to| (*from, *to))) {
        assert!(!may(from, to), "{from} and {to} stay apart");
    }
    let of_demo: Vec<_> = ROOMS.iter().map(|(room, _)| *room).filter(|to| may("demo", to)).collect();
    assert_eq!(of_demo, ["pb"]);
    // No circles: a room all of whose imports are settled is settled.
    let mut settled = BTreeSet::new();
    loop {
        let free = |room: &str| ROOMS.iter().all(|(to, _)| settled.contains(to) || !may(room, to));
        let new: Vec<_> = ROOMS
            .iter()
            .map(|(room, _)| *room)
            .filter(|room| !settled.contains(room) && free(room))
            .collect();
        if new.is_empty() {
            break;
        }
        settled.extend(new);
    }
    let circle: Vec<_> = ROOMS.iter().map(|(room, _)| *room).filter(|room| !settled.contains(room)).collect();
    assert_eq!(circle, Vec::<&str>::new(), "these import each other");
}

#[rstest]
#[case::a_plain_use("src/collect/wire.rs", "use crate::sink::Worker;", "collect imports sink")]
#[case::a_nested_list(
    "src/sink.rs",
    "use crate::{sample::{Text, Kind}, collect::{count}};",
    "sink imports collect"
)]
#[case::a_room_itself("src/sink.rs", "use crate::{collect::{self}};", "sink imports collect")]
#[case::a_list_over_lines(
    "src/sink.rs",
    "use crate::{\n    sample::Text,\n    collect,\n};",
    "sink imports collect"
)]
#[case::another_name("src/relay.rs", "use crate::collect as c;", "relay imports collect")]
#[case::supers("src/sink/worker/cut.rs", "use super::super::super::collect::X;", "sink imports collect")]
#[case::super_of_a_room("src/queue.rs", "use super::sample::Text;", "queue imports sample")]
#[case::super_out_of_a_module(
    "src/queue.rs",
    "mod tests { use super::super::http::get; }",
    "queue imports http"
)]
#[case::an_expression(
    "src/page/server.rs",
    "fn f() { let x = 0..crate::queue::len(); }",
    "page imports queue"
)]
#[case::a_type("src/page.rs", "struct A(Vec<Option<crate::queue::Q>>);", "page imports queue")]
#[case::a_public_import("src/page.rs", "pub use crate::queue::Queue;", "page imports queue")]
#[case::a_macro("src/page.rs", "fn f() { println!(\"{}\", crate::queue::len()); }", "page imports queue")]
#[case::a_macro_of_ours(
    "src/page.rs",
    "macro_rules! m { () => { $crate::queue::len() } }",
    "page imports queue"
)]
#[case::a_test(
    "src/demo.rs",
    "#[cfg(test)]\nmod tests {\n    use crate::encode::text;\n}",
    "demo imports encode"
)]
#[case::demo_and_collect("src/demo/balena/api.rs", "use crate::collect::wire;", "demo imports collect")]
#[case::a_path_in_an_attribute(
    "src/page.rs",
    "#[serde(with = \"crate::queue::form\")]\nstruct A;",
    "page imports queue"
)]
#[case::the_library_by_its_name("src/main.rs", "fn main() { fleetpush::app::run() }", "main imports app")]
#[case::a_crate("src/page.rs", "use reqwest::Client;", "page uses reqwest")]
#[case::a_crate_alone("src/page.rs", "use reqwest;", "page uses reqwest")]
#[case::a_crate_from_the_top("src/app.rs", "fn f() { ::axum::Router::new(); }", "app uses axum")]
#[case::a_crate_as_a_trait("src/queue.rs", "fn f() { <R as prost::Message>::decode(b) }", "queue uses prost")]
#[case::a_derive("src/config.rs", "#[derive(Debug, clap::Parser)]\nstruct A;", "config uses clap")]
#[case::an_attribute("src/config.rs", "#[clap::value(long)]\nstruct A;", "config uses clap")]
#[case::an_error_without_a_type("src/sink.rs", "fn f() { anyhow::bail!(\"x\") }", "sink uses anyhow")]
#[case::an_old_import("src/sink.rs", "extern crate hyper;", "sink uses hyper")]
#[case::behind_a_character("src/sink.rs", "const Q: char = '\"'; use hyper::body;", "sink uses hyper")]
#[case::behind_a_raw_string("src/sink.rs", "const Q: &str = r#\"\"\"#; use hyper::body;", "sink uses hyper")]
#[case::the_whole_root("src/sink.rs", "use crate::*;", "imports the crate's root as a whole")]
#[case::the_root_renamed("src/sink.rs", "use crate as root;", "imports the crate's root as a whole")]
#[case::a_new_room("src/cellar.rs", "", "the room cellar is not in the table")]
fn a_forbidden_import_is_found(#[case] file: &str, #[case] source: &str, #[case] expected: &str) {
    let found = forbidden(&Sources::from([(file.to_owned(), source.to_owned())]));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with(file) && found[0].ends_with(expected), "{found:?}");
}

#[rstest]
#[case::a_comment("src/sink.rs", "// use crate::collect;\n/* crate::collect::x /* nested */ crate::relay */")]
#[case::a_doc_comment("src/sink.rs", "/// See [`crate::collect::x`] and reqwest::Client.\nstruct A;")]
#[case::a_string("src/sink.rs", "const A: &str = \"use crate::collect::x; \\\" crate::relay::y\";")]
#[case::a_raw_string("src/sink.rs", "const A: &str = r##\"crate::collect::x \"# crate::relay::y\"##;")]
#[case::a_text_in_an_attribute("src/sink.rs", "#[error(\"see crate::collect::x\")]\nstruct A;")]
#[case::its_own_room(
    "src/sink/worker/cut.rs",
    "use crate::sink::verdict; use super::super::Verdict; use self::a::b;"
)]
#[case::visibility("src/sink.rs", "pub(crate) fn a() {} pub(super) fn b() {} pub(in crate::sink) fn c() {}")]
#[case::what_the_row_names("src/sink.rs", "use crate::{queue::{Queue, Record}, http, sample::*};")]
#[case::a_module_within("src/queue.rs", "mod tests { use super::*; mod more { use super::super::Queue; } }")]
#[case::a_lifetime_and_a_field("src/sink.rs", "fn f<'prost>(x: &'prost A) { x.clap.axum; x.hyper::<u8>(); }")]
#[case::a_namesake("src/page.rs", "use axum::http::{HeaderMap, Method}; fn f(http: u8) { http + 1; }")]
fn what_is_allowed_is_left_alone(#[case] file: &str, #[case] source: &str) {
    let found = forbidden(&Sources::from([(file.to_owned(), source.to_owned())]));
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_finding_names_its_line() {
    let source = "//! A\n\nuse crate::{\n    sample::Text,\n    collect,\n};\n\"a\nb\";\ncrate::relay::x";
    let found = forbidden(&Sources::from([("src/sink.rs".to_owned(), source.to_owned())]));
    assert_eq!(found, ["src/sink.rs:5: sink imports collect", "src/sink.rs:9: sink imports relay"]);
}

/// Files that are too long, and exceptions that are not needed.
fn wrong_lengths(sources: &Sources) -> Vec<String> {
    let long = |source: &str| source.lines().count() > LINES;
    let excepted = |file: &str| LONG.iter().any(|(name, _)| *name == file);
    let too_long = sources.iter().filter(|(file, source)| long(source) && !excepted(file));
    let idle = LONG.iter().filter(|(file, _)| sources.get(*file).is_none_or(|source| !long(source)));
    let too_long = too_long.map(|(file, source)| format!("{file} has {} lines", source.lines().count()));
    too_long.chain(idle.map(|(file, _)| format!("{file} needs no exception"))).collect()
}

#[test]
fn no_file_is_longer_than_can_be_read_at_once() {
    assert_eq!(wrong_lengths(&sources()), Vec::<String>::new());
}

#[test]
fn a_file_that_grows_too_long_is_found() {
    let mut all = sources();
    all.insert("src/cellar.rs".to_owned(), "\n".repeat(LINES + 1));
    assert_eq!(wrong_lengths(&all), [format!("src/cellar.rs has {} lines", LINES + 1)]);
}

/// Dependencies that take a crate's default features without saying why.
fn unreasoned(manifest: &str) -> Vec<String> {
    let (mut found, mut inside, mut reasoned) = (Vec::new(), false, false);
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line.trim_matches(['[', ']']).ends_with("dependencies");
        } else if let Some((name, entry)) = line.split_once('=').filter(|_| inside && !line.starts_with('#'))
            && !reasoned
            && !entry.replace(' ', "").contains("default-features=false")
        {
            found.push(name.trim().to_owned());
        }
        reasoned = line.starts_with('#');
    }
    found
}

#[test]
fn every_dependency_leaves_default_features_out_or_says_why_not() {
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    assert!(manifest.matches("default-features = false").count() > 25);
    assert_eq!(unreasoned(&manifest), Vec::<String>::new());
}

#[test]
fn a_dependency_with_default_features_and_no_reason_is_found() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\na = \"1\"\n# Why.\nb = \"1\"\n\
                    c = { version = \"1\", default-features = false }\n[dev-dependencies]\nd = { version = \"1\" }\n";
    assert_eq!(unreasoned(manifest), ["a", "d"]);
}
