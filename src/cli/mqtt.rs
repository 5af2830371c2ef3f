//! `plategate mqtt`: sign a command for the house's broker.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use super::{Usage, print_bytes};
use crate::config::Config;
use crate::fleet::mqtt::command::{self, Command};
use crate::fleet::mqtt::id_of;
use crate::fleet::secret::Secrets;
use crate::gate::mode::Mode;

/// The house's broker (`[mqtt]`).
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print a signed message, good for a minute and for once. Send it to PREFIX/ID/command/USER.
    Sign {
        /// What is asked.
        what: What,
        /// The user of the broker that sends it.
        #[arg(long)]
        user: String,
        /// Why, for the record; with open.
        #[arg(long, default_value = "")]
        why: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Press "open".
    Open,
    /// Run the gate by its rules.
    Normal,
    /// Let every car in.
    HeldOpen,
    /// Let nobody in but emergency vehicles.
    Closed,
}

/// Runs the command.
pub fn run(args: Args, config: Config) -> anyhow::Result<ExitCode> {
    let Action::Sign { what, user, why } = args.action;
    let missing = || Usage("mqtt.command_key_file is not set: commands need no signature".into());
    let secrets = Secrets::of_file(config.mqtt.command_key_file.as_deref().ok_or_else(missing)?)?;
    let command = match what {
        What::Open => Command::Open { why },
        _ if !why.is_empty() => return Err(Usage("--why belongs to open".into()).into()),
        What::Normal => Command::Mode(Mode::Normal),
        What::HeldOpen => Command::Mode(Mode::HeldOpen),
        What::Closed => Command::Mode(Mode::Closed),
    };
    let gate = id_of(&config.mqtt, &config.gate.name);
    let message = command::sign(&secrets, &gate, &user, &command, jiff::Timestamp::now());
    print_bytes(format!("{message}\n").as_bytes())
}
