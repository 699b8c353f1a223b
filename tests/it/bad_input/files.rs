//! Files that are no configuration at all.

use super::{Case, SECRET, refused};

/// A file between two lines that hold a password.
fn between(middle: &[u8]) -> Case {
    let line = format!("# password: {SECRET}\n");
    Case::raw(&[line.as_bytes(), middle, line.as_bytes()].concat())
}

/// Lists in lists.
fn nested(depth: usize) -> Case {
    Case::file(&format!("scrape_configs: {}{}", "[".repeat(depth), "]".repeat(depth)))
}

/// A few lines that would be millions of values.
fn bomb(leaf: &str) -> Case {
    let mut text = format!("scrape_configs:\n  - &a0 {leaf}\n");
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &format!("  - &a{level} [{aliases}]\n");
    }
    Case::file(&text)
}

refused! {
    a_tab_as_indentation: Case::file("queue:\n\tdir: memory")
        => "fleetpush: config.yml:4:2: a tab stands here; indent by spaces alone";
    a_tab_in_the_indentation: Case::file("queue:\n  dir: memory\n \tmax_age: 8d")
        => "fleetpush: config.yml:6:3: a tab stands here; indent by spaces alone";
    a_wrong_indentation: Case::file("queue:\n  dir: memory\n max_age: 8d")
        => "fleetpush: config.yml:6:2: a line like `key: value` is missing here or just before; look at the indentation and for a blank after each `:`";
    a_missing_colon: Case::file("job: x\ninterval 60s\nstale_after: 5m")
        => "fleetpush: config.yml:4:1: a line like `key: value` is missing here or just before; look at the indentation and for a blank after each `:`";
    a_colon_too_many: Case::file("job: a: b")
        => "fleetpush: config.yml:2:7: a `:` cannot stand here; put the text before or after it into quotes";
    a_missing_blank: Case::file("job:x\ninterval: 60s")
        => "fleetpush: config.yml:4:1: a line like `key: value` is missing here or just before; look at the indentation and for a blank after each `:`";
    an_open_quote: Case::file("job: \"x")
        => "fleetpush: config.yml:2:6: a quote is opened here and never closed";
    an_open_bracket: Case::file("labels: [fleet_name")
        => "fleetpush: config.yml:2:9: [ is opened here and never closed";
    an_open_brace: Case::file("queue: {dir: memory")
        => "fleetpush: config.yml:2:8: { is opened here and never closed";
    a_brace_too_many: Case::file("queue: {dir: memory}}")
        => "fleetpush: config.yml:2:21: not readable as YAML here: misplaced bracket";
    a_template: Case::file("job: {{ job }}")
        => "fleetpush: config.yml:2:7: a key must be one plain word; a text with { or [ needs quotes";
    a_reserved_character: Case::file("job: @home")
        => "fleetpush: config.yml:2:6: @ cannot stand here; put the text into quotes";
    a_percent_sign: Case::file("job: %x")
        => "fleetpush: config.yml:2:6: % cannot stand here; put the text into quotes";
    an_unknown_alias: Case::file("job: *name")
        => "fleetpush: config.yml:2:6: this alias has no anchor (&name) above it";
    an_alias_of_itself: Case::file("labels: &a [*a]")
        => "fleetpush: config.yml:2:13: this alias stands inside the value that it names; write it out";
    a_tag: Case::file("job: !secret x")
        => "fleetpush: config.yml:2:14: the tag !secret means nothing here; remove it";
    a_binary_tag: Case::file("job: !!binary aHVudGVyMg==")
        => "fleetpush: config.yml:2:15: the tag !!binary means nothing here; remove it";
    a_second_document: Case::file("job: x\n---\njob: y")
        => "fleetpush: config.yml:4:1: a second document begins here (---); keep one";
    a_merge_of_a_value: Case::file("queue:\n  <<: memory")
        => "fleetpush: config.yml:4:7: << takes a map, or a list of maps";
    not_utf_8: between(b"job: caf\xe9\n")
        => "fleetpush: config.yml:2:9: not UTF-8 text; is this the file, and saved as UTF-8?";
    utf_16: between(b"\xff\xfej\x00o\x00b\x00\n")
        => "fleetpush: config.yml:2:1: not UTF-8 text; is this the file, and saved as UTF-8?";
    a_binary: between(b"\x7fELF\x02\x01\x01\x00\x00\n")
        => "fleetpush: config.yml:2:1: a character stands here that no text has; is this the configuration file?";
    an_archive: between(b"\x1f\x8b\x08\x00\x00\n")
        => "fleetpush: config.yml:2:2: not UTF-8 text; is this the file, and saved as UTF-8?";
    json_that_is_cut_off: Case::file("{\"interval\": \"60s\",")
        => "fleetpush: config.yml:2:1: { is opened here and never closed";
    html: Case::file("<html><body>404</body></html>")
        => "fleetpush: config.yml:2:1: the file must be a map (lines like `key: value`), not a single value";
    too_long: Case::raw("# nothing but remarks\n".repeat(60_000).as_bytes())
        => "fleetpush: config.yml: over 1 MiB long; is this the configuration file?";
    deep_nesting: nested(40)
        => "fleetpush: config.yml:2:49: blocks stand in each other over 32 deep; no setting is that deep";
    very_deep_nesting: nested(100_000)
        => "fleetpush: config.yml:2:49: blocks stand in each other over 32 deep; no setting is that deep";
    deep_blocks: Case::file(&(0..60).map(|depth| format!("{}a:\n", "  ".repeat(depth))).collect::<String>())
        => "fleetpush: config.yml:66:65: blocks stand in each other over 32 deep; no setting is that deep";
    an_alias_bomb: bomb("x")
        => "fleetpush: config.yml:14:45: the file has over 100000 values, repeated ones counted; make it smaller";
    an_alias_bomb_of_long_texts: bomb(&"x".repeat(100_000))
        => "fleetpush: config.yml:8:20: the file has over 100000 values, repeated ones counted; make it smaller";
    a_missing_file: Case::good().arguments(&["--config.file", "{folder}/nowhere.yml"])
        => "fleetpush: nowhere.yml: the configuration file cannot be read (no such file or directory); look at its path and permissions";
    a_folder: Case::good().arguments(&["--config.file", "/"])
        => "fleetpush: /: the configuration file cannot be read (is a directory); look at its path and permissions";
    no_name: Case::good().arguments(&["--config.file", ""])
        => "fleetpush: --config.file: is empty; give it a value or leave it out";
}
