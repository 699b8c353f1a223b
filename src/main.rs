//! The program: arguments to logs to run to exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    fleetpush::cli::main()
}
