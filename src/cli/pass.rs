//! `plategate pass check`: is this a visitor's pass? On a box that may be cut off from all others.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;

use super::Usage;
use crate::config::Config;
use crate::fleet::identity::Identity;
use crate::fleet::join::Roster;
use crate::fleet::pass_code;
use crate::register::Validity;

/// Visitors' passes.
#[derive(clap::Args)]
pub struct Args {
    /// The data folder (default: the configured one).
    #[arg(long, value_name = "FOLDER", global = true)]
    data: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Is this code a pass of this compound, and is its time now? Works while the gate runs, and cut off from everybody.
    Check {
        /// What the visitor's square code says: PG1.…, or an address that ends with it.
        code: String,
        /// JSON on standard output.
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command: exit status 1 if it is no good pass.
pub fn run(args: Args, config: Config) -> anyhow::Result<ExitCode> {
    let data = args.data.unwrap_or(config.data.folder);
    let Action::Check { code, json } = args.action;
    let identity = Identity::load(&data)?.ok_or_else(|| {
        Usage(format!("{}: this box belongs to no fleet: its passes are on its page", data.display()))
    })?;
    // The boxes that were shut out are known here at the founder's; a running gate knows them everywhere.
    let members = Roster::load(&data)?.members;
    let code = code.rsplit_once("code=").map_or(code.as_str(), |(_, code)| code);
    let pass = pass_code::check(&identity, &members, code)?;
    let validity = pass.validity(Timestamp::now());
    if json {
        let mut value = serde_json::to_value(&pass)?;
        value["validity"] = format!("{validity:?}").to_lowercase().into();
        println!("{value}");
    } else {
        let word = match validity {
            Validity::Good => "good",
            Validity::TooEarly => "not good yet",
            Validity::Over => "over",
            Validity::UsedUp => "used up",
        };
        let entries = pass.entries.map_or_else(|| "any number of entries".to_owned(), |n| format!("{n} entries"));
        println!("{} to {}, {} to {}, {entries}: {word}", pass.plate, pass.household, pass.from, pass.to);
    }
    Ok(ExitCode::from(u8::from(validity != Validity::Good)))
}
