//! Questions on a terminal, a line each. Asked on standard error, so that standard output is the answer's.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::place::absolute;
use crate::cli::args::{InitOptions, Target};

/// Asks for what the flags do not say.
pub(super) fn everything(
    options: &mut InitOptions,
    missing: &[&str],
    beside: &dyn Fn(&str) -> PathBuf,
) -> Result<(), String> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let words: Vec<String> = Target::value_variants().iter().map(|target| target.word()).collect();
        let targets = match missing {
            ["--target"] => format!(" ({}), and --url for all but page", words.join(", ")),
            _ => String::new(),
        };
        return Err(format!(
            "there is no terminal to ask on: give {}{targets}; `fleetpush init --help` shows them all",
            missing.join(" and ")
        ));
    }
    say("Enter takes what stands in brackets; Ctrl-C ends it, and nothing is written.\n\n");
    let target = match options.target {
        Some(target) => target,
        None => choose()?,
    };
    options.target = Some(target);
    if target != Target::Page {
        receiver(options, target, beside)?;
    }
    if options.balena_token_file.is_none() {
        let default = beside("balena-token");
        options.balena_token_file = Some(
            path("File that holds, or will hold, the balena API key", Some(&default))?.unwrap_or(default),
        );
    }
    if options.instance.is_none() && target != Target::Page {
        options.instance = optional("Name of this site, for the label `instance` (Enter: the host name)")?;
    }
    if options.queue_dir.is_none() && target.has_queue() {
        let question = "Folder for what waits while the receiver is away, or `memory` (Enter: what systemd sets, else \
                        /var/lib/fleetpush)";
        options.queue_dir = optional(question)?.map(PathBuf::from);
    }
    Ok(())
}

fn choose() -> Result<Target, String> {
    say("Where do the counts go?\n");
    let all = Target::value_variants();
    for (number, target) in all.iter().enumerate() {
        let value = target.to_possible_value();
        let help = value.as_ref().and_then(|value| value.get_help()).map(ToString::to_string);
        say(&format!("  {}  {:<16} {}\n", number + 1, target.word(), help.unwrap_or_default()));
    }
    loop {
        let typed = line(&format!("Number or name [{}]: ", Target::Page.word()))?;
        if typed.is_empty() {
            return Ok(Target::Page);
        }
        let by_number = typed.parse::<usize>().ok().and_then(|number| all.get(number.checked_sub(1)?));
        if let Some(target) = by_number.copied().or_else(|| Target::from_str(&typed, true).ok()) {
            return Ok(target);
        }
        say(&format!("  That is none of them: type a number from 1 to {}, or a name.\n", all.len()));
    }
}

fn receiver(
    options: &mut InitOptions,
    target: Target,
    beside: &dyn Fn(&str) -> PathBuf,
) -> Result<(), String> {
    let (usual, is_default) = target.usual_url();
    while options.url.is_none() {
        let typed = match is_default {
            true => line(&format!("URL of {} [{usual}]: ", target.name()))?,
            false => line(&format!("URL, from the stack's Prometheus page (like {usual}): "))?,
        };
        let typed = if typed.is_empty() && is_default { usual.to_owned() } else { typed };
        match target.url(&typed) {
            Ok(url) => {
                if url != typed {
                    say(&format!("  Taken as {url}\n"));
                }
                options.url = Some(url);
            }
            Err(why) => say(&format!("  Not this one: {why}.\n")),
        }
    }
    if target == Target::GrafanaCloud {
        while options.username.is_none() {
            options.username = optional("Username: the instance's number on the same page, like 123456")?;
        }
    } else if options.username.is_none() {
        options.username = optional("User name, where it asks for one (Enter: none)")?;
    }
    if let (Some(header), None) = (target.tenant_header(), &options.tenant) {
        options.tenant = optional(&format!("Tenant, sent as {header} (Enter: none)"))?;
    }
    if options.token_file.is_none() {
        let secret = match (target, &options.username) {
            (Target::GrafanaCloud, _) => "the token with the scope metrics:write",
            (_, Some(_)) => "the password",
            (_, None) => "a bearer token",
        };
        let default = options.username.as_ref().map(|_| beside(target.token_name()));
        let none = if default.is_none() { " (Enter: none)" } else { "" };
        let question = format!("File that holds, or will hold, {secret}{none}");
        options.token_file = path(&question, default.as_deref())?;
    }
    Ok(())
}

fn path(question: &str, default: Option<&Path>) -> Result<Option<PathBuf>, String> {
    let typed = match default {
        Some(default) => line(&format!("{question} [{}]: ", default.display()))?,
        None => line(&format!("{question}: "))?,
    };
    Ok(if typed.is_empty() { default.map(Path::to_owned) } else { Some(absolute(Path::new(&typed))) })
}

fn optional(question: &str) -> Result<Option<String>, String> {
    line(&format!("{question}: ")).map(|typed| Some(typed).filter(|typed| !typed.is_empty()))
}

/// Asks, and gives back what was typed without white space around it.
fn line(question: &str) -> Result<String, String> {
    say(question);
    let mut typed = String::new();
    match io::stdin().lock().read_line(&mut typed) {
        Ok(0) => {
            say("\n");
            Err("the input has ended before everything was answered; nothing was written".into())
        }
        Ok(_) => Ok(typed.trim().to_owned()),
        Err(error) => Err(format!("the answer cannot be read ({error}); nothing was written")),
    }
}

fn say(text: &str) {
    let mut terminal = io::stderr().lock();
    // Who does not see the question does not answer it, and that is told.
    terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush()).ok();
}
