//! The completions of shells, made from the grammar that also parses. Each script finds out below which command
//! the cursor stands, and offers what can follow there. (Crates that generate such scripts take a flag with a
//! point in its name for none in fish.)

use std::fmt::Write;

use clap::{Arg, Command, ValueHint};

use super::Exit;
use super::args::{Shell, grammar};
use super::say::answer;

/// Prints a shell's completions.
pub(super) fn print(shell: Shell) -> Exit {
    let places = places();
    let script = match shell {
        Shell::Bash => bash(&places),
        Shell::Zsh => zsh(&places),
        Shell::Fish => fish(&places),
    };
    answer(script.trim_end(), Exit::Delivered)
}

/// A command, and what can follow it.
struct Place {
    /// Its words behind the program's name, with blanks.
    path: String,
    commands: Vec<(String, String)>,
    flags: Vec<Flag>,
    /// The words that an argument without a flag may be.
    words: Vec<String>,
}

struct Flag {
    name: String,
    help: String,
    value: Value,
}

/// What follows a flag.
#[derive(PartialEq)]
enum Value {
    None,
    File,
    OneOf(Vec<String>),
    Anything,
}

fn places() -> Vec<Place> {
    let mut grammar = grammar();
    grammar.build();
    let mut places = Vec::new();
    walk(&grammar, String::new(), &mut places);
    places
}

fn walk(command: &Command, path: String, places: &mut Vec<Place>) {
    let below = || command.get_subcommands().filter(|one| one.get_name() != "help");
    let named = |one: &Command| (one.get_name().to_owned(), text(one.get_about()));
    places.push(Place {
        path: path.clone(),
        commands: below().map(named).collect(),
        flags: command.get_arguments().filter_map(flag).collect(),
        words: command.get_positionals().flat_map(values).collect(),
    });
    for one in below() {
        walk(one, format!("{path} {}", one.get_name()).trim_start().to_owned(), places);
    }
}

fn flag(arg: &Arg) -> Option<Flag> {
    let value = match (arg.get_action().takes_values(), values(arg)) {
        (false, _) => Value::None,
        (true, words) if !words.is_empty() => Value::OneOf(words),
        (true, _) if arg.get_value_hint() == ValueHint::FilePath => Value::File,
        (true, _) => Value::Anything,
    };
    Some(Flag { name: format!("--{}", arg.get_long()?), help: text(arg.get_help()), value })
}

fn values(arg: &Arg) -> Vec<String> {
    arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect()
}

/// The first line of a text.
fn text(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

/// The names of all flags with such a value, once each.
fn with(places: &[Place], wanted: impl Fn(&Value) -> bool) -> Vec<&str> {
    let flags = places.iter().flat_map(|place| &place.flags).filter(|flag| wanted(&flag.value));
    let mut names: Vec<&str> = flags.map(|flag| flag.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Lists of words that can follow a flag, with the flag.
fn choices(places: &[Place]) -> Vec<(&str, &[String])> {
    let mut all = Vec::new();
    for flag in places.iter().flat_map(|place| &place.flags) {
        if let Value::OneOf(words) = &flag.value
            && !all.iter().any(|(name, _)| *name == flag.name)
        {
            all.push((flag.name.as_str(), words.as_slice()));
        }
    }
    all
}

/// The loop that finds the place, as bash and zsh both read it.
fn finding(places: &[Place], first: u8, end: &str, words: &str) -> String {
    let mut script = format!("    local at='' i\n    for ((i = {first}; i < {end}; i++)); do\n");
    let valued = with(places, |value| *value != Value::None).join("|");
    writeln!(script, "        case \"${{{words}[i-1]}}\" in {valued}) continue ;; esac").ok();
    writeln!(script, "        case \"$at,${{{words}[i]}}\" in").ok();
    for place in places.iter().filter(|place| !place.path.is_empty()) {
        let (above, name) = place.path.rsplit_once(' ').unwrap_or(("", &place.path));
        writeln!(script, "            '{above},{name}') at='{}' ;;", place.path).ok();
    }
    script + "        esac\n    done\n"
}

// Writing to a text cannot fail.

fn bash(places: &[Place]) -> String {
    let mut script = String::from("_fleetpush() {\n    local offered=''\n");
    script += &finding(places, 1, "COMP_CWORD", "COMP_WORDS");
    script += "    case \"$3\" in\n";
    let files = with(places, |value| *value == Value::File).join("|");
    writeln!(script, "        {files}) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$2\"); return ;;").ok();
    for (flag, words) in choices(places) {
        writeln!(script, "        {flag}) offered='{}' ;;", words.join(" ")).ok();
    }
    let rest = with(places, |value| *value == Value::Anything).join("|");
    writeln!(script, "        {rest}) COMPREPLY=(); return ;;\n        *) case \"$at\" in").ok();
    for place in places {
        let names = place.commands.iter().map(|(name, _)| name.as_str());
        let flags = place.flags.iter().map(|flag| flag.name.as_str());
        let all: Vec<&str> = names.chain(place.words.iter().map(String::as_str)).chain(flags).collect();
        writeln!(script, "            '{}') offered='{}' ;;", place.path, all.join(" ")).ok();
    }
    script
        + "        esac ;;\n    esac\n    mapfile -t COMPREPLY < <(compgen -W \"$offered\" -- \"$2\")\n}\n\
           complete -F _fleetpush fleetpush\n"
}

fn zsh(places: &[Place]) -> String {
    let mut script = String::from("#compdef fleetpush\n\n_fleetpush() {\n    local -a commands flags\n");
    script += &finding(places, 2, "CURRENT", "words");
    script += "    case \"${words[CURRENT-1]}\" in\n";
    let files = with(places, |value| *value == Value::File).join("|");
    writeln!(script, "        {files}) _files; return ;;").ok();
    for (flag, words) in choices(places) {
        writeln!(script, "        {flag}) compadd -- {}; return ;;", words.join(" ")).ok();
    }
    let rest = with(places, |value| *value == Value::Anything).join("|");
    writeln!(script, "        {rest}) return ;;\n    esac\n    case \"$at\" in").ok();
    let described = |name: &str, help: &str| format!("'{name}:{}'", help.replace('\'', "'\\''"));
    for place in places {
        writeln!(script, "        '{}')", place.path).ok();
        let words = place.words.iter().map(|word| described(word, ""));
        let commands: Vec<String> =
            place.commands.iter().map(|(name, help)| described(name, help)).chain(words).collect();
        let flags: Vec<String> = place.flags.iter().map(|flag| described(&flag.name, &flag.help)).collect();
        writeln!(
            script,
            "            commands=({})\n            flags=({}) ;;",
            commands.join(" "),
            flags.join(" ")
        )
        .ok();
    }
    script
        + "    esac\n    _describe command commands\n    _describe -o option flags\n}\n\n\
           if [ \"$funcstack[1]\" = _fleetpush ]; then _fleetpush \"$@\"; else compdef _fleetpush fleetpush; fi\n"
}

fn fish(places: &[Place]) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    let mut script = String::from(
        "# Whether the cursor stands below this command.\nfunction __fleetpush_at\n    set -l at ''\n    set -l before ''\n    \
         for word in (commandline -opc)[2..-1]\n        switch \"$before\"\n            case ",
    );
    script += &with(places, |value| *value != Value::None).join(" ");
    script += "\n                set before ''\n                continue\n        end\n        set before $word\n        switch \"$at,$word\"\n";
    for place in places.iter().filter(|place| !place.path.is_empty()) {
        let (above, name) = place.path.rsplit_once(' ').unwrap_or(("", &place.path));
        writeln!(script, "            case '{above},{name}'\n                set at '{}'", place.path).ok();
    }
    script += "        end\n    end\n    test \"$at\" = \"$argv\"\nend\n\ncomplete -c fleetpush -f\n";
    for place in places {
        let at = format!("complete -c fleetpush -n \"__fleetpush_at {}\"", place.path);
        for (name, help) in &place.commands {
            writeln!(script, "{at} -a {name} -d {}", quoted(help)).ok();
        }
        for word in &place.words {
            writeln!(script, "{at} -a {word}").ok();
        }
        for Flag { name, help, value } in &place.flags {
            let value = match value {
                Value::None => String::new(),
                Value::File => " -r -F".to_owned(),
                Value::OneOf(words) => format!(" -x -a '{}'", words.join(" ")),
                Value::Anything => " -x".to_owned(),
            };
            writeln!(script, "{at} -l {}{value} -d {}", name.trim_start_matches('-'), quoted(help)).ok();
        }
    }
    script
}
