//! The program: arguments to logs to run to exit code.
fn main() {}
