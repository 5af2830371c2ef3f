//! The command line, one file a command.
//!
//! Exit status: 0 done, 1 it ran and found a fault, 2 bad usage or bad configuration. Errors are one clear line on
//! standard error; results alone go to standard output.

pub mod backup;
pub mod bench;
pub mod demo;
pub mod doctor;
pub mod drill;
pub mod eval;
pub mod forget;
pub mod ledger;
pub mod mqtt;
pub mod plates;
pub mod read;
mod recorder;
pub mod run;
pub mod simulate;
pub mod users;
pub mod webhook;
pub mod why;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{Config, Precision, Provider};

/// A licence-plate gate controller: reads plates, looks them up among the crowdfunded cars, presses "open".
#[derive(Parser)]
#[command(name = "plategate", version, about, long_about = LONG_ABOUT, arg_required_else_help = true)]
pub struct Cli {
    /// The configuration file (default: /etc/plategate.toml if it is there, otherwise every default).
    #[arg(long, short, global = true, env = "PLATEGATE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

const LONG_ABOUT: &str = "A licence-plate gate controller for a residential barrier.\n\n\
    It watches the lane through a camera, reads the plate of every car that comes up, looks it up among the cars whose \
    owners crowdfunded the gate, and presses the barrier's \"open\" button.\n\n\
    First steps:\n  \
    plategate run --demo              the whole gate on a painted lane, the page on http://127.0.0.1:8460\n  \
    plategate read photo.jpg          what plates are on a photograph\n  \
    plategate plates import cars.xlsx the stewards' list of cars\n  \
    plategate doctor                  what is missing before the real gate can run\n  \
    plategate run --config FILE       the real gate";

#[derive(Subcommand)]
enum Command {
    /// Run the gate: camera, reading, register, barrier and the stewards' page.
    Run(run::Args),
    /// Read the plates on pictures, folders of pictures or videos.
    Read(read::Args),
    /// Measure how well plates are read, against a list of pictures with their texts.
    Eval(eval::Args),
    /// Measure how fast this box reads and opens.
    Bench(bench::Args),
    /// Simulate thousands of arrivals: how many strangers get in, how many neighbours are left standing?
    Simulate(simulate::Args),
    /// Why did it (not) open? The account of one arrival.
    Why(why::Args),
    /// The register: add, remove, list, import and export cars.
    Plates(plates::Args),
    /// The crowdfunding and fee book: look, enter, check.
    Ledger(ledger::Args),
    /// Who may sign in to the page, and tokens for programs.
    Users(users::Args),
    /// The receivers that are told what happens: try one.
    Webhook(webhook::Args),
    /// The house's broker: sign a command.
    Mqtt(mqtt::Args),
    /// Check everything the gate needs, one line each.
    Doctor(doctor::Args),
    /// Write the register, the records and the pictures into one file.
    Backup(backup::BackupArgs),
    /// Bring a backup back into an empty data folder.
    Restore(backup::RestoreArgs),
    /// Forget a plate at its owner's wish.
    Forget(forget::Args),
    /// Cut the power of a working gate again and again, and prove that nothing is lost.
    Drill(drill::Args),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// How the networks are run; shared by the commands that read pictures.
#[derive(clap::Args, Clone, Debug)]
pub struct VisionArgs {
    /// Threads a network may use.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: Option<u16>,
    /// What computes.
    #[arg(long, value_name = "P")]
    provider: Option<Provider>,
    /// How the networks compute.
    #[arg(long, value_name = "P")]
    precision: Option<Precision>,
}

impl VisionArgs {
    fn apply(&self, config: &mut Config) {
        if let Some(threads) = self.threads {
            config.vision.threads = usize::from(threads);
        }
        if let Some(provider) = self.provider {
            config.vision.provider = provider;
        }
        if let Some(precision) = self.precision {
            config.vision.precision = precision;
        }
    }
}

/// Bad usage: printed as one line, exit status 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Parses the command line, runs one command, turns its error into one line and an exit status.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = load(cli.config.as_deref()).and_then(|config| match cli.command {
        Command::Run(args) => run::run(args, config),
        Command::Users(args) => users::run(args, config),
        Command::Webhook(args) => webhook::run(args, config),
        Command::Mqtt(args) => mqtt::run(args, config),
        Command::Doctor(args) => doctor::run(args, config),
        Command::Read(args) => read::run(args, config),
        Command::Eval(args) => eval::run(args, config),
        Command::Bench(args) => bench::run(args, config),
        Command::Simulate(args) => simulate::run(args, config),
        Command::Why(args) => why::run(args, config),
        Command::Plates(args) => plates::run(args, config),
        Command::Ledger(args) => ledger::run(args, config),
        Command::Backup(args) => backup::backup(args, config),
        Command::Restore(args) => backup::restore(args, config),
        Command::Forget(args) => forget::run(args, config),
        Command::Drill(args) => drill::run(args),
        Command::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "plategate", &mut out);
            print_bytes(&out)
        }
    });
    result.unwrap_or_else(|error| {
        let chain: Vec<String> = error.chain().map(|e| e.to_string()).collect();
        eprintln!("plategate: {}", chain.join(": ").replace('\n', " "));
        let usage = error.is::<crate::config::ConfigError>() || error.is::<Usage>();
        ExitCode::from(if usage { 2 } else { 1 })
    })
}

fn load(path: Option<&Path>) -> anyhow::Result<Config> {
    let system = Path::new("/etc/plategate.toml");
    match path {
        Some(path) => Ok(Config::load(path)?),
        None if system.exists() => Ok(Config::load(system)?),
        None => Ok(Config::default()),
    }
}

/// Writes to standard output; a reader that has gone away (`| head`) is no error.
fn print_bytes(bytes: &[u8]) -> anyhow::Result<ExitCode> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
