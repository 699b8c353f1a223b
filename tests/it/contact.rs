//! What someone meets first: the questions of `init` and the file that it writes, what `check` says to do next,
//! completions, the manual page, colours and progress on a real terminal and on none.

mod check;
pub mod completions;
mod init;
mod man;
mod queue;
mod relay;
mod screen;
mod terminal;
