//! The command line, one file a command.
//!
//! Exit status: 0 done, 1 it ran and found a fault, 2 bad usage or bad configuration. Errors are one clear line on
//! standard error; results alone go to standard output.

mod again;
pub mod backup;
pub mod bench;
pub mod demo;
pub mod doctor;
pub mod drill;
pub mod eval;
mod eyes;
pub mod fleet;
pub mod forget;
mod house;
pub mod ledger;
pub mod mqtt;
pub mod pass;
pub mod plates;
mod plot;
pub mod read;
mod recorder;
pub mod run;
pub mod simulate;
pub mod tune;
pub mod users;
pub mod webhook;
pub mod why;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{Config, Precision, Provider, Vision};

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
    /// Find the best way of reading for this box and a budget, and write it into the configuration.
    Tune(tune::Args),
    /// Simulate thousands of arrivals: how many strangers get in, how many neighbours are left standing?
    Simulate(simulate::Args),
    /// Why did it (not) open? The account of one arrival.
    Why(why::Args),
    /// The register: add, remove, list, import and export cars.
    Plates(plates::Args),
    /// Visitors' passes: is this code one?
    Pass(pass::Args),
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
    /// The other gates of the compound: join them, see how they are, try out hundreds of them.
    Fleet(fleet::Args),
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
    /// The lane in the picture, as vision.lane: left,top,width,height as shares 0..1 of the frame.
    #[arg(long, value_name = "L,T,W,H", value_parser = lane)]
    lane: Option<[f32; 4]>,
    /// The copy that plates are looked for in, as vision.search_px.
    #[arg(long, value_name = "PIXELS", value_parser = search_px)]
    search_px: Option<usize>,
}

/// `0.25,0.4,0.5,0.5`
fn lane(text: &str) -> Result<[f32; 4], String> {
    let shares: Vec<f32> = text.split(',').filter_map(|share| share.trim().parse().ok()).collect();
    let lane = <[f32; 4]>::try_from(shares).map_err(|_| "expected four shares, such as 0.25,0.4,0.5,0.5".to_owned())?;
    check(Vision { lane: Some(lane), ..Vision::default() }).map(|_| lane)
}

fn search_px(text: &str) -> Result<usize, String> {
    let search_px = text.parse().map_err(|_| "expected pixels".to_owned())?;
    check(Vision { search_px, ..Vision::default() }).map(|_| search_px)
}

fn decode_scale(text: &str) -> Result<u32, String> {
    let scale = text.parse().ok().filter(|scale| crate::camera::SCALES.contains(scale));
    scale.ok_or_else(|| "expected 1, 2, 4 or 8".to_owned())
}

/// What the configuration would not accept is not accepted here either.
fn check(vision: Vision) -> Result<(), String> {
    Config { vision, ..Config::default() }.check_vision()
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
        if let Some(lane) = self.lane {
            config.vision.lane = Some(lane);
        }
        if let Some(search_px) = self.search_px {
            config.vision.search_px = search_px;
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
    let file = cli.config.clone().or_else(|| Some(PathBuf::from(SYSTEM)).filter(|path| path.exists()));
    let result = load(cli.config.as_deref()).and_then(|config| match cli.command {
        Command::Run(args) => run::run(args, config),
        Command::Users(args) => users::run(args, config),
        Command::Webhook(args) => webhook::run(args, config),
        Command::Mqtt(args) => mqtt::run(args, config),
        Command::Doctor(args) => doctor::run(args, config),
        Command::Read(args) => read::run(args, config),
        Command::Eval(args) => eval::run(args, config),
        Command::Bench(args) => bench::run(args, config),
        Command::Tune(args) => tune::run(args, config, file),
        Command::Simulate(args) => simulate::run(args, config),
        Command::Why(args) => why::run(args, config),
        Command::Plates(args) => plates::run(args, config),
        Command::Pass(args) => pass::run(args, config),
        Command::Ledger(args) => ledger::run(args, config),
        Command::Backup(args) => backup::backup(args, config),
        Command::Restore(args) => backup::restore(args, config),
        Command::Forget(args) => forget::run(args, config),
        Command::Fleet(args) => fleet::run(args, config),
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

/// The configuration of an installed gate.
const SYSTEM: &str = "/etc/plategate.toml";

fn load(path: Option<&Path>) -> anyhow::Result<Config> {
    let system = Path::new(SYSTEM);
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
