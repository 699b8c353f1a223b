//! The log is for machines too: each line is read.

use std::collections::BTreeMap;

use rstest::rstest;

use super::{api, receiver};
use crate::program::{LIMIT, Program};
use crate::servers::eventually;

type Fields = BTreeMap<String, String>;

/// Reads `key=value key="value with spaces"`.
fn logfmt(line: &str) -> Option<Fields> {
    let mut fields = Fields::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            return None;
        }
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let (value, left) = after.split_at(after.find(' ').unwrap_or(after.len()));
                (value.to_owned(), left)
            }
        };
        let is_plain = after.starts_with('"') || !value.contains(['"', '=']);
        if !is_plain || fields.insert(key.to_owned(), value).is_some() {
            return None;
        }
        rest = if left.is_empty() { left } else { left.strip_prefix(' ')? };
    }
    Some(fields)
}

/// The value up to the closing quote, and what follows that; escapes are those that readers of Go's know.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => match characters.next()? {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                same @ ('"' | '\\' | '\'') => value.push(same),
                'u' => {
                    let code: String = characters.by_ref().take(4).collect();
                    value.push(char::from_u32(u32::from_str_radix(&code, 16).ok()?)?);
                }
                _ => return None,
            },
            other => value.push(other),
        }
    }
}

fn json(line: &str) -> Option<Fields> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).ok()?;
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    Some(object.into_iter().map(|(key, value)| (key.to_lowercase(), text(value))).collect())
}

#[rstest]
#[case::logfmt("logfmt", logfmt)]
#[case::json("json", json)]
#[tokio::test]
async fn every_line_is_read_and_a_healthy_cycle_makes_one(
    #[case] format: &str,
    #[case] read: fn(&str) -> Option<Fields>,
    #[values("info", "trace")] level: &str,
) {
    let (api, remote) = (api().await, receiver().await);
    let mut program = Program::service(
        &api,
        &[
            ("FLEETPUSH_LOG_FORMAT", format),
            ("FLEETPUSH_LOG_LEVEL", level),
            ("REMOTE_WRITE_URL", &remote.write_url()),
            ("PUSHGATEWAY_URL", &remote.base_url()),
        ],
    );
    let cycles = async || {
        let log = program.stderr();
        let (_, after) = log.rsplit_once("first delivery")?;
        (after.matches("collected").count() >= 3).then_some(())
    };
    eventually("three cycles after the first deliveries", LIMIT, cycles).await;
    // A failure's line carries foreign text.
    remote.set_outage(true);
    program.logged("delivery failed, trying again").await;
    program.signal("TERM");
    assert_eq!(program.code().await, 0);

    let log = program.stderr();
    let lines: Vec<Fields> =
        log.lines().map(|line| read(line).unwrap_or_else(|| panic!("cannot be read: {line}"))).collect();
    for line in &lines {
        assert!(line.contains_key("level") && line.contains_key("message"), "{line:?}");
    }
    let says = |line: &Fields, message: &str| line["message"] == message;
    let info: Vec<&Fields> = lines.iter().filter(|line| line["level"].eq_ignore_ascii_case("info")).collect();
    let first: Vec<usize> =
        info.iter().enumerate().filter(|(_, line)| says(line, "first delivery")).map(|(at, _)| at).collect();
    let [_, last] = first[..] else { panic!("one line for each of two sinks: {log}") };
    let urls: Vec<&String> = first.iter().map(|at| &info[*at]["url"]).collect();
    assert_ne!(urls[0], urls[1]);
    let after: Vec<&&Fields> = info[last + 1..].iter().collect();
    let end = after.iter().position(|line| line["message"].starts_with("stopping")).expect("the stop's line");
    let other: Vec<_> = after[..end].iter().filter(|line| !says(line, "collected")).collect();
    assert!(other.is_empty(), "{other:?}");
    assert!(end >= 3, "{log}");
}

#[test]
fn a_line_that_is_no_logfmt_is_told_from_one_that_is() {
    let good = logfmt(r#"level=info error="a \"b\" c: d=e" n=1"#).expect("good");
    assert_eq!(good["error"], "a \"b\" c: d=e");
    for bad in ["hello world", "a=b c", r#"a="b"#, "a=b a=c", "a=b=c", r#"a="b"c=d"#] {
        assert_eq!(logfmt(bad), None, "{bad}");
    }
}
