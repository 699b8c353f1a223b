//! Rules that are refused, with what is said of them, and what promtool makes of the same.

use std::fmt::Write;

use super::{endpoint, load};
use crate::servers::{Suite, promtool};

/// Whether a rule is taken: by us, by the old promtool, by the new one.
type Verdict = (bool, bool, bool);

const TAKEN: Verdict = (true, true, true);
const REFUSED: Verdict = (false, false, false);
/// The old one knows no names but those of letters, digits and underscores.
const NEWER: Verdict = (true, false, true);
/// What was typed can hardly be meant, or is written in a way that we do not read.
const STRICTER: Verdict = (false, true, true);
const STRICTER_AND_NEWER: Verdict = (false, false, true);
/// A number in quotes is a number here, as everywhere in our file.
const LENIENT: Verdict = (true, false, false);

/// A rule, and what is said of it; `~` is the key of the list.
const RULES: &[(Verdict, &str, &str)] = &[
    (
        REFUSED,
        "{action: relabel, target_label: a}",
        r#"4:18: ~.action: "relabel" is no action; the actions are replace, keep, drop, keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep, lowercase, uppercase"#,
    ),
    (
        REFUSED,
        "{action: '', target_label: a}",
        r#"4:18: ~.action: "" is no action; the actions are replace, keep, drop, keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep, lowercase, uppercase"#,
    ),
    (
        REFUSED,
        "{action: , target_label: a}",
        r#"4:16: ~.action: "" is no action; the actions are replace, keep, drop, keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep, lowercase, uppercase"#,
    ),
    (REFUSED, "{action: keeps}", r#"4:18: ~.action: "keeps" is no action; did you mean keep?"#),
    (REFUSED, "{}", "4:9: ~: the action replace needs target_label; add it"),
    (REFUSED, "{source_labels: [a]}", "4:9: ~: the action replace needs target_label; add it"),
    (
        REFUSED,
        "{source_labels: [a], target_label: ''}",
        "4:9: ~: the action replace needs target_label; add it",
    ),
    (
        REFUSED,
        "{source_labels: [a], target_label: }",
        "4:9: ~: the action replace needs target_label; add it",
    ),
    (
        REFUSED,
        "{source_labels: [a], action: hashmod, modulus: 4}",
        "4:9: ~: the action hashmod needs target_label; add it",
    ),
    (
        REFUSED,
        "{source_labels: [a], action: hashmod, target_label: b}",
        "4:9: ~: the action hashmod needs modulus; add it",
    ),
    (
        REFUSED,
        "{source_labels: [a], action: hashmod, target_label: b, modulus: 0}",
        "4:73: ~.modulus: must be above 0",
    ),
    (
        REFUSED,
        "{source_labels: [a], action: hashmod, target_label: b, modulus: -1}",
        r#"4:73: ~.modulus: "-1" is not a whole number from 1 to 18446744073709551615"#,
    ),
    (
        STRICTER,
        "{source_labels: [a], action: hashmod, target_label: b, modulus: 1.5}",
        r#"4:73: ~.modulus: "1.5" is not a whole number from 1 to 18446744073709551615"#,
    ),
    (
        REFUSED,
        "{source_labels: [a], action: hashmod, target_label: b, modulus: many}",
        r#"4:73: ~.modulus: "many" is not a whole number from 1 to 18446744073709551615"#,
    ),
    (
        STRICTER,
        "{source_labels: [a], action: hashmod, target_label: b, modulus: 18446744073709551616}",
        r#"4:73: ~.modulus: "18446744073709551616" is not a whole number from 1 to 18446744073709551615"#,
    ),
    (
        STRICTER,
        "{source_labels: [a], action: hashmod, target_label: b, modulus: 0x10}",
        r#"4:73: ~.modulus: "0x10" is not a whole number from 1 to 18446744073709551615"#,
    ),
    (LENIENT, "{source_labels: [a], action: hashmod, target_label: b, modulus: '8'}", ""),
    (
        REFUSED,
        "{source_labels: [a], action: lowercase}",
        "4:9: ~: the action lowercase needs target_label; add it",
    ),
    (
        REFUSED,
        "{source_labels: [a], action: uppercase, target_label: b, replacement: x}",
        "4:79: ~.replacement: the action uppercase takes no replacement; remove it",
    ),
    (
        REFUSED,
        "{source_labels: [a], action: lowercase, target_label: b, replacement: ''}",
        "4:79: ~.replacement: the action lowercase takes no replacement; remove it",
    ),
    (TAKEN, "{source_labels: [a], action: lowercase, target_label: b, replacement: $1}", ""),
    (
        REFUSED,
        "{source_labels: [a], action: keepequal}",
        "4:9: ~: the action keepequal needs target_label; add it",
    ),
    (
        REFUSED,
        "{source_labels: [a], action: keepequal, target_label: b, regex: x}",
        "4:73: ~.regex: the action keepequal takes no regex; remove it",
    ),
    (
        REFUSED,
        "{source_labels: [a], action: keepequal, target_label: b, regex: (.*)}",
        "4:73: ~.regex: the action keepequal takes no regex; remove it",
    ),
    (
        REFUSED,
        "{source_labels: [a], action: dropequal, target_label: b, modulus: 2}",
        "4:75: ~.modulus: the action dropequal takes no modulus; remove it",
    ),
    (
        REFUSED,
        "{source_labels: [a], action: dropequal, target_label: b, separator: ','}",
        "4:77: ~.separator: the action dropequal takes no separator; remove it",
    ),
    (TAKEN, "{source_labels: [a], action: dropequal, target_label: b, separator: ;}", ""),
    (
        REFUSED,
        "{source_labels: [a], action: dropequal, target_label: b, replacement: x}",
        "4:79: ~.replacement: the action dropequal takes no replacement; remove it",
    ),
    (
        REFUSED,
        "{action: labeldrop, regex: x, source_labels: [a]}",
        "4:54: ~.source_labels: the action labeldrop takes no source_labels; remove it",
    ),
    (
        REFUSED,
        "{action: labeldrop, regex: x, source_labels: []}",
        "4:54: ~.source_labels: the action labeldrop takes no source_labels; remove it",
    ),
    (TAKEN, "{action: labeldrop, regex: x, source_labels: }", ""),
    (
        REFUSED,
        "{action: labeldrop, regex: x, target_label: a}",
        "4:53: ~.target_label: the action labeldrop takes no target_label; remove it",
    ),
    (
        REFUSED,
        "{action: labeldrop, regex: x, modulus: 2}",
        "4:48: ~.modulus: the action labeldrop takes no modulus; remove it",
    ),
    (
        REFUSED,
        "{action: labelkeep, regex: x, separator: ','}",
        "4:50: ~.separator: the action labelkeep takes no separator; remove it",
    ),
    (
        REFUSED,
        "{action: labelkeep, regex: x, replacement: y}",
        "4:52: ~.replacement: the action labelkeep takes no replacement; remove it",
    ),
    (TAKEN, "{action: labelkeep, regex: x, replacement: $1}", ""),
    (
        REFUSED,
        "{action: labelmap, regex: x, replacement: ''}",
        "4:51: ~.replacement: a label's name is empty; name one, or leave it out",
    ),
    (
        REFUSED,
        "{action: labelmap, regex: x, replacement: }",
        "4:49: ~.replacement: a label's name is empty; name one, or leave it out",
    ),
    (NEWER, "{action: labelmap, regex: x, replacement: 'a b'}", ""),
    (
        REFUSED,
        "{source_labels: [''], target_label: a}",
        "4:26: ~.source_labels: a label's name is empty; name one, or leave it out",
    ),
    (
        STRICTER,
        "{source_labels: [null], target_label: a}",
        "4:26: ~.source_labels: a label's name is empty; name one, or leave it out",
    ),
    (
        REFUSED,
        "{source_labels: a, target_label: b}",
        "4:25: ~.source_labels: must be a list (lines that begin with `- `), not a single value",
    ),
    (
        REFUSED,
        "{source_labels: [[a]], target_label: b}",
        "4:26: ~.source_labels: each entry must be a single value, not a list",
    ),
    (NEWER, "{source_labels: [a-b], target_label: b}", ""),
    (NEWER, "{source_labels: [a], target_label: a-b}", ""),
    (NEWER, "{source_labels: [a], target_label: 'a-$1'}", ""),
    (
        REFUSED,
        "{source_labels: [a], target_label: [b]}",
        "4:44: ~.target_label: must be a single value, not a list",
    ),
    (REFUSED, "{target_labels: a}", "4:10: ~.target_labels: no such key; did you mean target_label?"),
    (
        REFUSED,
        "{source_label: [a], target_label: b}",
        "4:10: ~.source_label: no such key; did you mean source_labels?",
    ),
    (
        REFUSED,
        "{action: drop, source: a}",
        "4:24: ~.source: no such key; the keys here are source_labels, separator, regex, modulus, target_label, replacement, action",
    ),
    (REFUSED, "{action: drop, action: keep}", "4:24: the key action stands in line 4 too; keep one of them"),
    (REFUSED, "[a]", "4:9: ~: each entry must be a map (lines like `key: value`), not a list"),
    (REFUSED, "keep", "4:9: ~: each entry must be a map (lines like `key: value`), not a single value"),
    (REFUSED, "{action: drop, regex: [a]}", "4:31: ~.regex: must be a single value, not a list"),
];

/// Expressions of a rule that drops, and what is said of them.
const EXPRESSIONS: &[(Verdict, &str, &str)] = &[
    (REFUSED, "(", "a ( is never closed"),
    (REFUSED, ")", "a ) closes nothing"),
    (REFUSED, "[a", "a [ is never closed"),
    (REFUSED, "[b-a]", "the range b-a ends before it begins"),
    (REFUSED, "a**", "a repetition (*, +, ?, {}) stands behind another one; put it into (?:)"),
    (REFUSED, "a{2}{3}", "a repetition (*, +, ?, {}) stands behind another one; put it into (?:)"),
    (REFUSED, "*a", "a repetition (*, +, ?, {}) has nothing before it to repeat"),
    (REFUSED, "(|*a)", "a repetition (*, +, ?, {}) has nothing before it to repeat"),
    (REFUSED, "a{1001}", "a repetition is over 1000, or ends before it begins"),
    (REFUSED, "(a{100}){11}", "a repetition is over 1000, or ends before it begins"),
    (TAKEN, "(a{100}){10}", ""),
    (REFUSED, "a{3,2}", "a repetition is over 1000, or ends before it begins"),
    (REFUSED, r#"\q"#, r#"\q means nothing in RE2"#),
    (REFUSED, r#"\8"#, r#"\8 means nothing in RE2"#),
    (REFUSED, r#"\1"#, r#"\1 means nothing in RE2"#),
    (REFUSED, r#"\Z"#, r#"\Z means nothing in RE2"#),
    (REFUSED, r#"\C"#, r#"\C means nothing in RE2"#),
    (REFUSED, r#"a\"#, r#"it ends with a \"#),
    (REFUSED, r#"\x1"#, r#"\x means nothing in RE2"#),
    (REFUSED, r#"\x{110000}"#, r#"\x means nothing in RE2"#),
    (REFUSED, r#"[\b]"#, r#"\b means nothing in RE2"#),
    (REFUSED, "[[:letters:]]", "[:letters:] names no class"),
    (REFUSED, r#"[a-\d]"#, r#"\d means nothing in RE2"#),
    (
        REFUSED,
        r#"\p{Klingon}"#,
        r#"classes of Unicode (\p) are not supported here; list the characters, like [A-Za-z]"#,
    ),
    (
        REFUSED,
        r#"\p{Alphabetic}"#,
        r#"classes of Unicode (\p) are not supported here; list the characters, like [A-Za-z]"#,
    ),
    (
        REFUSED,
        r#"\p{script=Greek}"#,
        r#"classes of Unicode (\p) are not supported here; list the characters, like [A-Za-z]"#,
    ),
    (
        REFUSED,
        r#"\p{"#,
        r#"classes of Unicode (\p) are not supported here; list the characters, like [A-Za-z]"#,
    ),
    (
        STRICTER_AND_NEWER,
        r#"\p{Letter}"#,
        r#"classes of Unicode (\p) are not supported here; list the characters, like [A-Za-z]"#,
    ),
    (
        STRICTER,
        r#"[\p{^Greek}\PN]\pL\p{Lu}\P{Any}"#,
        r#"classes of Unicode (\p) are not supported here; list the characters, like [A-Za-z]"#,
    ),
    (REFUSED, "(?=a)b", "it looks ahead or behind ((?=, (?!, (?<=, (?<!), which RE2 cannot"),
    (REFUSED, "(?!a)b", "it looks ahead or behind ((?=, (?!, (?<=, (?<!), which RE2 cannot"),
    (REFUSED, "(?<=a)b", "it looks ahead or behind ((?=, (?!, (?<=, (?<!), which RE2 cannot"),
    (REFUSED, "(?<!a)b", "it looks ahead or behind ((?=, (?!, (?<=, (?<!), which RE2 cannot"),
    (REFUSED, "(?>a)b", "a group begins with (? and no flag that RE2 knows (i, m, s, U)"),
    (REFUSED, "(?x)a", "a group begins with (? and no flag that RE2 knows (i, m, s, U)"),
    (REFUSED, "(?R)a", "a group begins with (? and no flag that RE2 knows (i, m, s, U)"),
    (REFUSED, "(?u)a", "a group begins with (? and no flag that RE2 knows (i, m, s, U)"),
    (REFUSED, "(?i", "a group begins with (? and no flag that RE2 knows (i, m, s, U)"),
    (REFUSED, "(?-)a", "a group begins with (? and no flag that RE2 knows (i, m, s, U)"),
    (REFUSED, "(?ii-s-m)a", "a group begins with (? and no flag that RE2 knows (i, m, s, U)"),
    (REFUSED, "(?P=a)", "a group begins with (? and no flag that RE2 knows (i, m, s, U)"),
    (REFUSED, "(?#x)", "a group begins with (? and no flag that RE2 knows (i, m, s, U)"),
    (TAKEN, "(?)a", ""),
    (TAKEN, "(?ii-is)a", ""),
    (STRICTER, "a(?i)*", "a repetition (*, +, ?, {}) has nothing before it to repeat"),
    (REFUSED, "(?P<a-b>x)", "a group's name is not made of letters, digits and _"),
    (REFUSED, "(?P<>x)", "a group's name is not made of letters, digits and _"),
    (REFUSED, "(?P<a", "a group's name is not made of letters, digits and _"),
    (TAKEN, "(?P<a>x)(?P<a>y)", ""),
    (TAKEN, "(?P<1>x)", ""),
    (REFUSED, r#"\Qa\E+b\Q"#, r#"a \Q is never ended; add \E"#),
    (TAKEN, r#"\Qa\E+b\Q\E"#, ""),
    (TAKEN, r#"^*$+\b{2}"#, ""),
    (TAKEN, r#"[^\x00-\x{10FFFF}]"#, ""),
    (TAKEN, "a)|(b", ""),
];

/// Every rule with its verdict, as a line of the file, and all that is said of it.
fn rows() -> Vec<(Verdict, String, String)> {
    let rule =
        |(verdict, rule, said): &(Verdict, &str, &str)| (*verdict, (*rule).to_owned(), (*said).to_owned());
    let expression = |(verdict, expression, said): &(Verdict, &str, &str)| {
        let rule = format!("{{action: drop, regex: '{expression}'}}");
        let said = match said.is_empty() {
            true => String::new(),
            false => format!("4:31: ~.regex: is no regular expression (RE2): {said}"),
        };
        (*verdict, rule, said)
    };
    RULES.iter().map(rule).chain(EXPRESSIONS.iter().map(expression)).collect()
}

fn file(rule: &str) -> String {
    endpoint(&format!("      - {rule}"))
}

#[test]
fn every_rule_that_is_refused_says_where_and_why() {
    let rows = rows();
    assert!(rows.iter().filter(|(verdict, ..)| *verdict == REFUSED).count() >= 25);
    let mut wrong = String::new();
    for ((ours, ..), rule, expected) in &rows {
        let said = load(&file(rule)).err().unwrap_or_default();
        let said = said.replace("config.yml:", "").replace("remote_write.write_relabel_configs", "~");
        if said != *expected || said.is_empty() != *ours {
            writeln!(wrong, "{rule}\n  {said}\n  {expected}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "said and expected:\n{wrong}");
}

#[test]
fn what_promtool_refuses_we_refuse() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut wrong = String::new();
    for ((_, stock, new), rule, _) in rows() {
        let path = folder.path().join("config.yml");
        std::fs::write(&path, file(&rule)).expect("a file in our own folder");
        let path = path.to_str().expect("a temporary path is text");
        for (suite, expected) in [(Suite::Stock, stock), (Suite::New, new)] {
            let found = promtool(suite, &["check", "config", "--syntax-only", path]);
            if found.is_ok() != expected {
                writeln!(wrong, "{suite:?}: {rule}: {found:?}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
