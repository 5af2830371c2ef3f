//! Parses the command line, starts tracing, hands over to one command.

fn main() {}
