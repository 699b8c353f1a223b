//! Words for the terminal. A reader that has gone away (`| head`) is no failure, and nothing here panics
//! where nobody reads.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use super::args::Colour;
use super::{Environment, Exit, progress};

/// Writes a line to standard output; the error says that nobody reads it.
pub(super) fn line(what: impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{what}")?;
    out.flush()
}

/// Writes a command's whole answer, and gives the exit code back that is due then.
pub(super) fn answer(text: impl Display, exit: Exit) -> Exit {
    match line(text) {
        Ok(()) => exit,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit,
        Err(error) => fail(Exit::Failed, format_args!("the answer cannot be written: {error}")),
    }
}

/// Says on one line of standard error what went wrong, and gives the exit code back.
pub(super) fn fail(exit: Exit, what: impl Display) -> Exit {
    complain(what);
    exit
}

/// Says on one line of standard error what went wrong.
pub(super) fn complain(what: impl Display) {
    // Where standard error is closed there is no place left to say so.
    writeln!(io::stderr().lock(), "fleetpush: {what}").ok();
}

/// Standard error for the log, which stays off the lines of what is drawn there.
pub(super) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        progress::aside(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// How standard output may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    colours: bool,
    /// Whether standard error is a terminal on which something may be drawn and taken away again.
    pub(super) drawing: bool,
}

impl Look {
    /// As the flag and the environment say, and as what is written to is a terminal.
    pub(super) fn of(colour: Colour, environment: &Environment) -> Self {
        let plain = environment.get("TERM").is_some_and(|term| term == "dumb");
        let unwanted = environment.get("NO_COLOR").is_some_and(|set| !set.is_empty());
        Look {
            colours: match colour {
                Colour::Always => true,
                Colour::Never => false,
                Colour::Auto => io::stdout().is_terminal() && !plain && !unwanted,
            },
            drawing: io::stderr().is_terminal() && !plain,
        }
    }

    /// Without colours and drawings.
    #[cfg(test)]
    pub(super) const PLAIN: Look = Look { colours: false, drawing: false };

    pub(super) fn good(self, text: &str) -> String {
        self.painted("32", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.painted("1;31", text)
    }

    pub(super) fn doubtful(self, text: &str) -> String {
        self.painted("33", text)
    }

    pub(super) fn strong(self, text: &str) -> String {
        self.painted("1", text)
    }

    fn painted(self, code: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
