//! Prepares the process, then hands over to the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    plategate::camera::prepare_environment();
    plategate::cli::main()
}
