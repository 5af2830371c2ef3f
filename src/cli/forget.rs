//! `plategate forget`: somebody asks that the gate forget their plate.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::Usage;
use crate::accounts::Accounts;
use crate::config::Config;
use crate::forget::{self, Kept};
use crate::plate::Plate;
use crate::register::Register;
use crate::store::Store;
use crate::store::events::Events;
use crate::web::Corrections;

/// Forget a plate: its number, its pictures and its mark in every arrival, its passes and corrections.
///
/// A registered car must be taken out of the register first. The book of accounts, the history of the register and the audit
/// log are never altered; it is told where they still name the plate. Backups made before hold it until they are deleted.
#[derive(clap::Args)]
pub struct Args {
    /// The plate, such as 苏F12345.
    plate: String,
    /// The data folder (default: the configured one).
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// One JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args, config: Config) -> anyhow::Result<ExitCode> {
    let plate: Plate = args.plate.parse().map_err(|error| Usage(format!("{}: {error}", args.plate)))?;
    let folder = args.data.unwrap_or(config.data.folder);
    if !folder.is_dir() {
        anyhow::bail!("{}: no data folder there", folder.display());
    }
    let store = Arc::new(Store::open(&folder)?);
    let (register, events) = (Register::open(store.clone())?, Events::open(store.clone())?);
    let (accounts, corrections) = (Accounts::open(store.clone())?, Corrections::open(store)?);
    let rooms = forget::Rooms { register: &register, events: &events, accounts: &accounts, corrections: &corrections };
    let done = forget::forget(&rooms, plate, "command line", None)?;
    if args.json {
        println!("{}", serde_json::to_string(&done)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "forgotten: {} arrivals, {} pictures, {} passes, {} corrections",
        done.arrivals, done.pictures, done.passes, done.corrections
    );
    let Kept { book, history, audit } = done.kept;
    if book + history + audit > 0 {
        println!(
            "kept, because they are never altered: {book} entries of the book, {history} of the register's history, {audit} of the audit log"
        );
    }
    println!("backups made before today still hold it: delete them, or let them run out (backup.keep)");
    Ok(ExitCode::SUCCESS)
}
