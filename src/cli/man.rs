//! The manual page, made from the grammar that also parses, the table of variables and the exit codes: nothing
//! is said here that is not said there.

use clap::{Arg, Command};

use super::Exit;
use super::args::{EXAMPLES, MORE, grammar, wrapped};
use super::say::answer;
use crate::config::VARIABLES;

/// Prints the manual page.
pub(super) fn print() -> Exit {
    answer(page().trim_end(), Exit::Delivered)
}

fn page() -> String {
    let mut grammar = grammar();
    grammar.build();
    let mut page = Page::default();
    let version = grammar.get_version().unwrap_or_default();
    page.raw(&format!(".TH FLEETPUSH 1 \"\" \"fleetpush {version}\" \"User Commands\""));
    page.section("NAME");
    let about = grammar.get_about().map(ToString::to_string).unwrap_or_default();
    page.raw("fleetpush \\-");
    page.text(&about);
    page.section("SYNOPSIS");
    page.raw("\\fBfleetpush\\fR [\\fIsettings\\fR] [\\fIcommand\\fR] [\\fIoptions\\fR]");
    page.section("DESCRIPTION");
    page.paragraphs(MORE);
    page.section("COMMANDS");
    for command in grammar.get_subcommands() {
        page.command(command, "fleetpush");
    }
    page.section("SETTINGS");
    page.paragraphs("Every command takes them; they win over variables and file.");
    for flag in grammar.get_arguments() {
        page.argument(flag);
    }
    page.section("ENVIRONMENT");
    page.paragraphs(
        "Variables win over the file. One that is empty counts as not set. Each `BALENA_…` is also read as \
         `FLEETPUSH_BALENA_…`.",
    );
    for variable in VARIABLES {
        page.item(&format!("\\fB{}\\fR", escaped(variable.name)));
        let default = match variable.default {
            "" | "none" => String::new(),
            default => format!(" (default: {default})"),
        };
        page.text(&format!("{}{default}", variable.meaning));
    }
    page.section("EXIT STATUS");
    for exit in Exit::ALL {
        page.item(&format!("\\fB{}\\fR", exit as u8));
        page.text(exit.meaning());
    }
    page.section("EXAMPLES");
    page.after(EXAMPLES.trim_start_matches("Examples:\n"));
    page.0
}

/// Text in the macros of man(7).
#[derive(Default)]
struct Page(String);

impl Page {
    fn raw(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn section(&mut self, name: &str) {
        self.raw(&format!(".SH \"{name}\""));
    }

    /// A line of running text.
    fn text(&mut self, text: &str) {
        // Lines of a source are short; one that begins with a point would be a request.
        for line in wrapped(&inline(text), 78, "\n").lines() {
            self.raw(&guarded(line));
        }
    }

    /// Begins a paragraph; the first one below a heading has begun with it.
    fn paragraph(&mut self) {
        let last = self.0.trim_end().rsplit('\n').next().unwrap_or_default();
        if !last.starts_with(".S") {
            self.raw(".PP");
        }
    }

    fn paragraphs(&mut self, text: &str) {
        for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
            self.paragraph();
            self.text(&paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }

    /// The term of a list, which is marked up already.
    fn item(&mut self, term: &str) {
        self.raw(".TP");
        self.raw(term);
    }

    /// A command with its flags, its examples, and what stands below it.
    fn command(&mut self, command: &Command, above: &str) {
        if command.get_name() == "help" {
            return;
        }
        let name = format!("{above} {}", command.get_name());
        self.raw(&format!(".SS \"{}\"", escaped(&name)));
        let about = command.get_long_about().or(command.get_about());
        self.paragraphs(&about.map(ToString::to_string).unwrap_or_default());
        let own = |flag: &&Arg| !flag.is_global_set() && flag.get_id() != "help";
        for flag in command.get_arguments().filter(own) {
            self.argument(flag);
        }
        if let Some(after) = command.get_after_help() {
            self.after(&after.to_string());
        }
        for below in command.get_subcommands() {
            self.command(below, &name);
        }
    }

    fn argument(&mut self, flag: &Arg) {
        let bold = |text: String| format!("\\fB{}\\fR", escaped(&text));
        let mut term: Vec<String> =
            flag.get_short().map(|short| bold(format!("-{short}"))).into_iter().collect();
        term.extend(flag.get_long().map(|long| bold(format!("--{long}"))));
        let mut term = term.join(", ");
        let takes_value = flag.get_action().takes_values();
        for value in flag.get_value_names().unwrap_or_default().iter().filter(|_| takes_value) {
            term.push_str(&format!(" \\fI{}\\fR", escaped(value)));
        }
        self.item(term.trim());
        let help = flag.get_long_help().or(flag.get_help()).map(ToString::to_string).unwrap_or_default();
        let defaults: Vec<_> =
            flag.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let default = match defaults.as_slice() {
            [] => String::new(),
            _ if !takes_value => String::new(),
            all => format!(" (default: {})", all.join(", ")),
        };
        self.text(&format!("{help}{default}"));
        let values = flag.get_possible_values();
        for value in values.iter().filter(|_| takes_value) {
            self.raw(".RS");
            self.item(&bold(value.get_name().to_owned()));
            self.text(&value.get_help().map(ToString::to_string).unwrap_or_default());
            self.raw(".RE");
        }
    }

    /// What stands behind a command's help: lines that begin with a blank are typed as they stand.
    fn after(&mut self, text: &str) {
        let mut typed = false;
        for line in text.lines() {
            match (line.starts_with(' '), typed) {
                (true, false) => {
                    self.raw(".RS 4");
                    self.raw(".nf");
                    typed = true;
                }
                (false, true) => {
                    self.raw(".fi");
                    self.raw(".RE");
                    typed = false;
                }
                _ => {}
            }
            match line.strip_prefix("  ").unwrap_or(line) {
                "" => {}
                "Examples:" => {
                    self.paragraph();
                    self.raw("Examples:");
                }
                line if typed => self.raw(&guarded(&escaped(line))),
                line => {
                    self.paragraph();
                    self.text(line);
                }
            }
        }
        if typed {
            self.raw(".fi");
            self.raw(".RE");
        }
    }
}

/// Text with what stands between backticks in bold.
fn inline(text: &str) -> String {
    let parts = text.split('`').enumerate().map(|(place, part)| match place % 2 {
        0 => escaped(part),
        _ => format!("\\fB{}\\fR", escaped(part)),
    });
    parts.collect()
}

/// No character of the text is a command of roff's.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('…', "...")
        .replace('\'', "\\(aq")
        .replace('"', "\\(dq")
}

/// A line whose first character does not make it a request.
fn guarded(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_roff_would_read_as_its_own_is_told_apart() {
        assert_eq!(inline("a `b-c` d\\e"), "a \\fBb\\-c\\fR d\\ee");
        assert_eq!(guarded(".hidden"), "\\&.hidden");
        assert_eq!(inline("'quoted'"), "\\(aqquoted\\(aq");
    }

    #[test]
    fn every_command_is_a_heading_and_no_helper_of_the_parser_is() {
        let page = page();
        for command in ["fleetpush run", "fleetpush queue drop", "fleetpush init"] {
            assert!(page.contains(&format!(".SS \"{command}\"\n")), "{command}");
        }
        assert!(!page.contains(".SS \"fleetpush help\""));
    }
}
