//! `plategate backup` and `plategate restore`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use crate::config::{self, Config};
use crate::store::Store;
use crate::store::archive::{self, How, Keys};

/// Write the register, the records and the pictures into one file.
///
/// It is encrypted if keys are given, here or with backup.recipients in the configuration. A running gate makes backups
/// itself ([backup] in the configuration), and its page gives one to download.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct BackupArgs {
    #[command(subcommand)]
    action: Option<Action>,
    /// The file, such as gate-2026-11-24.tar.zst.age.
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// Encrypt it for this key (age1…), besides those of the configuration.
    #[arg(long = "recipient", value_name = "KEY")]
    recipients: Vec<String>,
    /// Do not encrypt it, whatever the configuration says.
    #[arg(long, conflicts_with = "recipients")]
    plain: bool,
    /// Leave the pictures of arrivals out.
    #[arg(long)]
    without_pictures: bool,
    /// The data folder (default: the configured one).
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Make a key: the secret one into a new file, the public one, for backup.recipients, on standard output.
    Key {
        /// The new file. Keep it away from the box, twice: without it no backup can be read.
        file: PathBuf,
    },
    /// Read all of a backup and compare every checksum.
    Check {
        /// The backup.
        file: PathBuf,
        /// The file with the key, if it is encrypted.
        #[arg(long, value_name = "FILE")]
        identity: Option<PathBuf>,
    },
}

/// Bring a backup back into an empty data folder.
#[derive(clap::Args)]
pub struct RestoreArgs {
    /// The file.
    file: PathBuf,
    /// The file with the key, if it is encrypted.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// The folder (default: the configured one); it must be empty or not be there.
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

/// Runs `backup`.
pub fn backup(args: BackupArgs, config: Config) -> anyhow::Result<ExitCode> {
    match (args.action, args.file) {
        (Some(Action::Key { file }), _) => {
            println!("{}", archive::make_key(&file)?);
            eprintln!("plategate: put this into backup.recipients; the secret key is in {}", file.display());
        }
        (Some(Action::Check { file, identity }), _) => {
            let summary = archive::check(&file, &keys(identity.as_deref())?)?;
            println!("{}: whole: {summary}", file.display());
        }
        (None, file) => {
            let file = file.context("clap asks for it")?;
            let folder = args.data.unwrap_or(config.data.folder);
            if !folder.is_dir() {
                anyhow::bail!("{}: no data folder there", folder.display());
            }
            let mut recipients = if args.plain { Vec::new() } else { config.backup.recipients };
            recipients.extend(args.recipients);
            check_recipients(&recipients)?;
            let how = How { recipients, pictures: config.backup.pictures && !args.without_pictures };
            let made = archive::backup(&Store::open(&folder)?, &file, &how)?;
            archive::verify(&file, &made)?;
            let sealed = if how.recipients.is_empty() { "not encrypted" } else { "encrypted" };
            println!("{}: {}, {sealed}", file.display(), made.summary);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn check_recipients(recipients: &[String]) -> anyhow::Result<()> {
    match recipients.iter().find(|r| !config::is_recipient(r)) {
        Some(wrong) => {
            Err(super::Usage(format!("--recipient {wrong}: expected a key such as `plategate backup key` prints"))
                .into())
        }
        None => Ok(()),
    }
}

fn keys(identity: Option<&Path>) -> anyhow::Result<Keys> {
    Ok(identity.map(Keys::read).transpose()?.unwrap_or_default())
}

/// Runs `restore`.
pub fn restore(args: RestoreArgs, config: Config) -> anyhow::Result<ExitCode> {
    let folder = args.to.unwrap_or(config.data.folder);
    let summary = archive::restore(&args.file, &folder, &keys(args.identity.as_deref())?)?;
    println!("{}: {summary}", folder.display());
    Ok(ExitCode::SUCCESS)
}
