//! `plategate backup` and `plategate restore`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use crate::config::{self, Config};
use crate::store::Store;
use crate::store::archive::{self, How, Keys};

/// Write the register, the records, the pictures and the configuration into one file.
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

/// Bring a backup back into an empty data folder, the configuration beside it.
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
            let mut how = How::from(&config);
            let folder = args.data.unwrap_or(config.data.folder);
            if !folder.is_dir() {
                anyhow::bail!("{}: no data folder there", folder.display());
            }
            if args.plain {
                how.recipients.clear();
            }
            how.recipients.extend(args.recipients);
            check_recipients(&how.recipients)?;
            how.pictures &= !args.without_pictures;
            let made = archive::backup(&Store::open(&folder)?, &file, &how)?;
            archive::verify(&file, &made)?;
            let sealed = if how.recipients.is_empty() { "not encrypted" } else { "encrypted" };
            println!("{}: {}, {sealed}", file.display(), made.summary);
            if let Some(left_out) = made.left_out {
                let advice = if how.recipients.is_empty() { "; encrypted backups have all of it" } else { "" };
                eprintln!("plategate: not in it: {left_out}{advice}");
            }
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
    let restored = archive::restore(&args.file, &folder, &keys(args.identity.as_deref())?)?;
    println!("{}: {}", folder.display(), restored.summary);
    match restored.config {
        Some(beside) => tell_of_settings(&beside),
        None => eprintln!("plategate: the backup has no configuration"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the configuration lies, and where each file belongs; what is in place stays as it is.
fn tell_of_settings(beside: &Path) {
    println!("{}: the configuration", beside.display());
    let file = beside.join("plategate.toml");
    let config = match Config::load(&file) {
        Ok(config) => config,
        Err(error) => return eprintln!("plategate: look at it before it is used: {error}"),
    };
    let mut moves = vec![(file, PathBuf::from(super::SYSTEM))];
    let there = |name: &str| Some(beside.join(name)).filter(|file| file.exists());
    moves.extend(config.named_files().into_iter().filter_map(|named| Some((there(&named.key)?, named.installed()))));
    for (from, to) in moves {
        let (from, to, there) = (from.display(), to.display(), to.exists());
        match there {
            true => eprintln!("plategate: {to} is there already: compare it with {from}"),
            false => eprintln!("plategate: {to} is not there: install -D -m 640 -g plategate {from} {to}"),
        }
    }
}
