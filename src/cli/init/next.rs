//! What to do once the file is written: commands that can be copied as they stand.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Answers;
use crate::cli::args::Target;
use crate::cli::say::Look;

/// The steps, numbered.
pub(super) fn steps(answers: &Answers, output: &Path, mode: u32, look: Look) -> String {
    let mut text =
        format!("{} is written (mode {mode:03o}).\n\nNext:\n", look.strong(&output.display().to_string()));
    let mut number = 0;
    let mut step = |what: String| {
        number += 1;
        // Writing to a text cannot fail.
        writeln!(text, "  {number}. {what}").ok();
    };
    for (what, path) in secrets(answers) {
        step(secret(what, path));
    }
    if let Some(what) = at_the_receiver(answers.target) {
        step(what.to_owned());
    }
    let file = quoted(output);
    step(format!("Try everything; nothing is stored anywhere:\n       fleetpush check --config.file {file}"));
    step(format!("Run it:\n       fleetpush --config.file {file}"));
    text.truncate(text.trim_end().len());
    text
}

/// For who has taken the text itself.
pub(super) fn in_short(answers: &Answers) -> String {
    let paths: Vec<String> = secrets(answers).iter().map(|(_, path)| path.display().to_string()).collect();
    format!(
        "put the secrets into {}, and then try it with `fleetpush check --config.file FILE`",
        paths.join(" and ")
    )
}

fn secrets(answers: &Answers) -> Vec<(&'static str, &Path)> {
    let mut all = vec![(
        "the balena API key (dashboard: Preferences, Access tokens)",
        answers.balena_token_file.as_path(),
    )];
    if let Some(path) = &answers.token_file {
        let what = match (answers.target, &answers.username) {
            (Target::GrafanaCloud, _) => "a token of an access policy with the scope metrics:write",
            (_, Some(_)) => "the receiver's password",
            (_, None) => "the receiver's bearer token",
        };
        all.push((what, path));
    }
    all
}

/// How a secret comes into its file, or what is wrong with the one that is there.
fn secret(what: &str, path: &Path) -> String {
    let file = quoted(path);
    match fs::metadata(path) {
        Ok(found) if found.len() > 0 && found.permissions().mode() & 0o077 != 0 => {
            format!("{file} is there; let nobody else read it:\n       chmod 600 {file}")
        }
        Ok(found) if found.len() > 0 => format!("{file} is there: nothing to do"),
        _ => {
            let folder = path.parent().filter(|folder| !folder.is_dir());
            let make = folder.map(|folder| format!("mkdir -p {} && ", quoted(folder))).unwrap_or_default();
            format!(
                "Put {what} into {file}:\n       {make}(umask 077; cat > {file})     # paste it, then Enter and Ctrl-D"
            )
        }
    }
}

fn at_the_receiver(target: Target) -> Option<&'static str> {
    match target {
        Target::Prometheus => Some(
            "Start Prometheus with --web.enable-remote-write-receiver, and give it an out_of_order_time_window (the\n     \
             file says why)",
        ),
        Target::Victoriametrics => Some("Start VictoriaMetrics with -dedup.minScrapeInterval=1ms"),
        Target::Pushgateway => Some("Let Prometheus scrape the gateway with honor_labels: true"),
        Target::Page => Some("Let Prometheus scrape the page; the file shows how"),
        Target::GrafanaCloud | Target::Mimir | Target::Thanos => None,
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_would_take_them_apart() {
        for (path, typed) in
            [("/a/b-c.yml", "/a/b-c.yml"), ("/a b", "'/a b'"), ("/it's", "'/it'\\''s'"), ("", "''")]
        {
            assert_eq!(quoted(Path::new(path)), typed);
        }
    }
}
