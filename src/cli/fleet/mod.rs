//! `plategate fleet`: the other gates of the compound.

mod members;
mod server_config;
mod simulate;
mod status;
mod street;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::Usage;
use crate::accounts::Accounts;
use crate::config::Config;
use crate::fleet::identity::Identity;
use crate::fleet::wire;
use crate::register::{Change, Keeper, Register};
use crate::store::Store;

/// The other gates of the compound: join them, see how they are, try out hundreds of them.
#[derive(clap::Args)]
pub struct Args {
    /// The data folder (default: the configured one).
    #[arg(long, value_name = "FOLDER", global = true)]
    data: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Found a fleet: this box is its first, and lets the others in.
    Found(members::Found),
    /// Print a one-time token, with which a box joins as one gate. At the founder's box, running or not.
    Invite(members::Invite),
    /// Join with a token. The gate of the founder's box has to run.
    Join {
        /// What `plategate fleet invite` printed there; - reads it from standard input.
        token: String,
    },
    /// How the gates are, as they tell it themselves.
    Status(status::Args),
    /// Leave the fleet: this box forgets its keys and goes on alone. The gate must be stopped for it.
    Leave {
        /// Yes, leave.
        #[arg(long)]
        yes: bool,
    },
    /// Shut a box out: lost, stolen, replaced. At the founder's box, running or not.
    ShutOut {
        /// Its gate.
        gate: String,
    },
    /// Write the broker's configuration; it is written anew when a box joins or is shut out.
    ServerConfig(server_config::ServerConfig),
    /// The book: which box keeps it.
    #[command(subcommand)]
    Book(Book),
    /// The office of a street: hear the arrivals of its compounds, ask one of their gates to open.
    #[command(subcommand)]
    Street(street::Action),
    /// Let hundreds of gates talk through a real broker, cut it off in the middle, and count what is lost.
    Simulate(simulate::Args),
}

#[derive(clap::Subcommand)]
enum Book {
    /// Hand the book over to another gate's box. The gate must be stopped for it; the page of a running one can do it, too.
    HandOver {
        /// To which gate.
        gate: String,
    },
}

/// Runs the command.
pub fn run(args: Args, config: Config) -> anyhow::Result<ExitCode> {
    let data = args.data.unwrap_or(config.data.folder);
    match args.action {
        Action::Found(found) => members::found(&found, &data),
        Action::Invite(invite) => members::invite(&invite, &data),
        Action::Join { token } => members::join(&token, &data),
        Action::Status(status) => status::run(&status, &data),
        Action::Leave { yes } => members::leave(yes, &data),
        Action::ShutOut { gate } => members::shut_out(&gate, &data),
        Action::ServerConfig(server) => server_config::run(&server, &data),
        Action::Book(Book::HandOver { gate }) => hand_over(&gate, &data),
        Action::Street(action) => street::run(action, &data),
        Action::Simulate(args) => simulate::run(&args),
    }
}

/// Who this box is, where it must be somebody.
fn identity(data: &Path) -> anyhow::Result<Identity> {
    Identity::load(data)?.ok_or_else(|| {
        anyhow::anyhow!("{}: this box belongs to no fleet: plategate fleet found, or join", data.display())
    })
}

/// A compound's or gate's name, if it can be one.
fn name(what: &str, text: &str) -> Result<String, Usage> {
    match wire::is_name(text) {
        true => Ok(text.to_owned()),
        false => {
            Err(Usage(format!("{what} '{text}': 1 to 32 letters a-z, digits and - are expected, such as north-gate")))
        }
    }
}

fn hand_over(gate: &str, data: &Path) -> anyhow::Result<ExitCode> {
    identity(data)?;
    let store = Arc::new(Store::open(data)?);
    let (register, accounts) = (Register::open(store.clone())?, Accounts::open(store)?);
    let member = register.members()?.into_iter().find(|m| m.gate == gate && !m.out);
    let member =
        member.ok_or_else(|| Usage(format!("there is no gate '{gate}' in the fleet: plategate fleet status")))?;
    anyhow::ensure!(register.is_keeper()?, "the book is not kept by this box: hand it over where it is");
    let entries = register.ledger().book().head().0;
    register.apply("command line", &[Change::Keeper(Keeper { station: member.number, entries })])?;
    accounts.audit.add_of("command line", "移交账本", gate, "", None)?;
    println!("The book goes to {gate} with {entries} entries; nothing is entered here any more.");
    Ok(ExitCode::SUCCESS)
}
