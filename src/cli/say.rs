//! Words for the terminal. A reader that has gone away (`| head`) is no failure, and nothing here panics
//! where nobody reads.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use super::Exit;

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
