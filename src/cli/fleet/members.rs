//! Founding a fleet, letting boxes in, shutting them out.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use jiff::SignedDuration;

use super::{identity, name};
use crate::cli::Usage;
use crate::fleet::identity::{Identity, check_servers, path};
use crate::fleet::join::{self, Roster, roster_path};
use crate::fleet::server::Reloaded;
use crate::register::Register;
use crate::store::Store;

/// Found a fleet: this box is its first, and lets the others in.
#[derive(clap::Args)]
pub struct Found {
    /// The compound's name: letters a-z, digits and -.
    #[arg(long, value_name = "NAME")]
    compound: String,
    /// This gate's name.
    #[arg(long, value_name = "NAME")]
    gate: String,
    /// The broker, such as tls://broker.example:4222; may be given several times.
    #[arg(long = "server", value_name = "URL", required = true)]
    servers: Vec<String>,
    /// The certificate of the authority that signed the broker's, PEM; the system's authorities if it is not given.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Print a one-time token, with which a box joins as one gate.
#[derive(clap::Args)]
pub struct Invite {
    /// The gate's name.
    gate: String,
    /// How long the token is good, hours.
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=168))]
    hours: u32,
}

/// Founds a fleet.
pub fn found(args: &Found, data: &Path) -> anyhow::Result<ExitCode> {
    let (compound, gate) = (name("compound", &args.compound)?, name("gate", &args.gate)?);
    check_servers(&args.servers).map_err(|error| Usage(error.to_string()))?;
    if let Some(already) = Identity::load(data)? {
        anyhow::bail!("this box belongs to the fleet of {} already: plategate fleet leave", already.compound);
    }
    let authority = match &args.ca {
        Some(file) => Some(std::fs::read_to_string(file).map_err(|e| Usage(format!("{}: {e}", file.display())))?),
        None => None,
    };
    let identity = Identity::found(&compound, &gate, args.servers.clone(), authority).map_err(anyhow::Error::msg)?;
    let roster = Roster { members: vec![identity.member()], ..Roster::default() };
    identity.save(data)?;
    roster.save(data)?;
    println!("The fleet of {compound} is founded; this box is the gate {gate}, number 1, and keeps the book.");
    println!("Keep a copy of {} in a safe place: it holds the compound's key.", path(data).display());
    println!(
        "Next: plategate fleet server-config --file FILE, start the broker with it, plategate run; then plategate fleet invite GATE."
    );
    Ok(ExitCode::SUCCESS)
}

/// Makes a token.
pub fn invite(args: &Invite, data: &Path) -> anyhow::Result<ExitCode> {
    let (identity, mut roster) = (identity(data)?, Roster::load(data)?);
    let gate = name("gate", &args.gate)?;
    let token = join::invite(&identity, &mut roster, &gate, SignedDuration::from_hours(i64::from(args.hours)))?;
    roster.save(data)?;
    tell_broker(&identity, &roster)?;
    eprintln!("For the gate {gate}, once, within {} hours. On the new box:", args.hours);
    eprintln!("plategate fleet join TOKEN");
    println!("{token}");
    Ok(ExitCode::SUCCESS)
}

/// Says how the broker was told, where anybody has to know.
pub(super) fn tell_broker(identity: &Identity, roster: &Roster) -> anyhow::Result<()> {
    match roster.tell_broker(&identity.compound)? {
        Some(Reloaded::Signalled(process)) => eprintln!("The broker (process {process}) was told."),
        Some(Reloaded::ByHand(what)) => eprintln!("{what}"),
        None => eprintln!("The broker's configuration is not written here: plategate fleet server-config"),
    }
    Ok(())
}

/// Joins with a token.
pub fn join(token: &str, data: &Path) -> anyhow::Result<ExitCode> {
    if let Some(already) = Identity::load(data)? {
        anyhow::bail!("this box belongs to the fleet of {} already: plategate fleet leave", already.compound);
    }
    let token = match token {
        "-" => std::io::read_to_string(std::io::stdin())?,
        text => text.to_owned(),
    };
    // A book of its own would be another one than the compound's.
    let register = Register::open(Arc::new(Store::open(data)?))?;
    let entries = register.ledger().book().head().0;
    anyhow::ensure!(
        entries == 0,
        "this box has a book of its own with {entries} entries, and a compound has one book: join with a new data folder"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let identity = runtime.block_on(join::join(data, &token))?;
    identity.save(data)?;
    join::forget_pending(data);
    register.set_station(identity.number)?;
    println!("This box is the gate {} of {} now, number {}.", identity.gate, identity.compound, identity.number);
    Ok(ExitCode::SUCCESS)
}

/// Leaves the fleet.
pub fn leave(yes: bool, data: &Path) -> anyhow::Result<ExitCode> {
    let identity = identity(data)?;
    if !yes {
        let what = match identity.is_founder() {
            true => {
                "this box founded the fleet and holds the compound's key: without it nobody can be let in or shut out any more. --yes leaves all the same"
            }
            false => "this box forgets its keys; to come back it needs a new token. --yes leaves",
        };
        return Err(Usage(what.to_owned()).into());
    }
    let register = Register::open(Arc::new(Store::open(data)?))?;
    register.set_station(0)?;
    for file in [path(data), roster_path(data)] {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                anyhow::bail!("{}: {error}", file.display());
            }
            _ => {}
        }
    }
    println!(
        "This box has left the fleet of {}. At the founder's box: plategate fleet shut-out {}",
        identity.compound, identity.gate
    );
    Ok(ExitCode::SUCCESS)
}

/// Shuts a box out.
pub fn shut_out(gate: &str, data: &Path) -> anyhow::Result<ExitCode> {
    let (identity, mut roster) = (identity(data)?, Roster::load(data)?);
    anyhow::ensure!(identity.is_founder(), "only the box that founded the fleet shuts boxes out: do it there");
    anyhow::ensure!(gate != identity.gate, "this is the founder's own box: it can only leave");
    let member = roster.members.iter_mut().find(|m| m.gate == gate && !m.out);
    let member =
        member.ok_or_else(|| Usage(format!("there is no gate '{gate}' in the fleet: plategate fleet status")))?;
    *member = identity.vouch(member.number, &member.gate, &member.key, true).map_err(anyhow::Error::msg)?;
    // Open invitations for that gate might be in the same hands.
    roster.invitations.retain(|invitation| invitation.used || invitation.gate != gate);
    roster.save(data)?;
    println!(
        "The box of the gate {gate} is shut out: its commands and passes count no more once the other gates have heard it."
    );
    tell_broker(&identity, &roster)?;
    Ok(ExitCode::SUCCESS)
}
