//! `fleetpush init`: flags, and questions where a terminal can be asked, become a configuration file with
//! comments. A secret never stands in it: the file names the files that hold them.

mod ask;
mod document;
mod next;
mod place;
mod target;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::args::{InitOptions, Target};
use super::say::{Look, answer, complain, fail};
use super::{Exit, chain};
use crate::config::{self, Overrides};

/// Everything that the file is made from.
#[derive(Clone, Debug)]
struct Answers {
    target: Target,
    /// The receiver; none for the page alone.
    url: Option<String>,
    username: Option<String>,
    token_file: Option<PathBuf>,
    tenant: Option<String>,
    ca_file: Option<PathBuf>,
    balena_token_file: PathBuf,
    balena_url: Option<String>,
    interval: Option<String>,
    instance: Option<String>,
    /// The queue's folder, or `memory`; none: the default.
    queue_dir: Option<PathBuf>,
}

/// Writes the file.
pub(super) fn init(options: &InitOptions, look: Look) -> Exit {
    let to_terminal = options.output == Path::new("-");
    if !to_terminal && let Err(error) = place::may_write(&options.output, options.force) {
        return fail(Exit::Usage, error);
    }
    let answers = match answers(options) {
        Ok(answers) => answers,
        Err(error) => return fail(Exit::Usage, error),
    };
    let text = document::of(&answers);
    if let Err(error) = examine(&answers, &options.output) {
        return fail(Exit::Usage, error);
    }
    if to_terminal {
        let exit = answer(text.trim_end(), Exit::Delivered);
        complain(next::in_short(&answers));
        return exit;
    }
    match place::write(&options.output, &text, options.force) {
        Ok(mode) => answer(next::steps(&answers, &options.output, mode, look), Exit::Delivered),
        Err(error) => fail(Exit::Usage, error),
    }
}

/// From flags, and where they are not enough from a terminal.
fn answers(options: &InitOptions) -> Result<Answers, String> {
    let folder = options.output.parent().filter(|_| options.output != Path::new("-"));
    let beside = |name: &str| place::absolute(&folder.unwrap_or(Path::new("")).join(name));
    let missing = missing(options);
    let mut asked = options.clone();
    if !missing.is_empty() {
        ask::everything(&mut asked, &missing, &beside)?;
    }
    let target = asked.target.ok_or("no target")?;
    let foreign = |flag: &str| format!("{flag} has no meaning for --target {}; leave it out", target.word());
    for (given, flag, taken) in [
        (asked.url.is_some(), "--url", target != Target::Page),
        (asked.username.is_some(), "--username", target != Target::Page),
        (asked.token_file.is_some(), "--token-file", target != Target::Page),
        (asked.ca_file.is_some(), "--ca-file", target != Target::Page),
        (asked.tenant.is_some(), "--tenant", target.tenant_header().is_some()),
        (asked.queue_dir.is_some(), "--queue-dir", target.has_queue()),
    ] {
        if given && !taken {
            return Err(foreign(flag));
        }
    }
    let url = asked.url.as_deref().map(|typed| target.url(typed).map_err(|why| format!("--url: {why}")));
    let needs_token = target == Target::GrafanaCloud || asked.username.is_some();
    let token_file = match asked.token_file {
        None if needs_token => Some(beside(target.token_name())),
        given => given.map(|path| place::absolute(&path)),
    };
    Ok(Answers {
        target,
        url: url.transpose()?,
        username: asked.username,
        token_file,
        tenant: asked.tenant,
        ca_file: asked.ca_file.map(|path| place::absolute(&path)),
        balena_token_file: asked
            .balena_token_file
            .map_or_else(|| beside("balena-token"), |path| place::absolute(&path)),
        balena_url: asked.balena_url,
        interval: asked.interval,
        instance: asked.instance,
        queue_dir: asked.queue_dir.map(|path| place::queue(&path)),
    })
}

/// The flags without which nothing can be written.
fn missing(options: &InitOptions) -> Vec<&'static str> {
    let Some(target) = options.target else { return vec!["--target"] };
    let mut missing = Vec::new();
    if target != Target::Page && options.url.is_none() {
        missing.push("--url");
    }
    if target == Target::GrafanaCloud && options.username.is_none() {
        missing.push("--username");
    }
    missing
}

/// Reads what is about to be written as `run` would. The files of the secrets need not be there yet, so that
/// another file stands for each.
fn examine(answers: &Answers, output: &Path) -> Result<(), String> {
    let scratch = place::Scratch::new().map_err(|error| format!("no temporary folder: {error}"))?;
    let stand_in = scratch.file("secret", "x\n")?;
    let token_file = answers.token_file.as_ref().map(|_| stand_in.clone());
    let stand_ins = Answers { token_file, balena_token_file: stand_in, ..answers.clone() };
    let path = scratch.file("fleetpush.yml", &document::of(&stand_ins))?.display().to_string();
    let flags = Overrides { config_file: Some(path.clone()), ..Overrides::default() };
    match config::load(&BTreeMap::new(), &flags, "host") {
        Ok(_) => Ok(()),
        Err(error) => {
            let said = chain(error).replace(&path, &output.display().to_string());
            Err(format!("nothing was written, since it would not be good: {said}"))
        }
    }
}
