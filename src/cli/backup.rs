//! `plategate backup` and `plategate restore`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::Config;
use crate::store::Store;
use crate::store::archive::{self, Summary};

/// Write the register, the records and the pictures into one file.
#[derive(clap::Args)]
pub struct BackupArgs {
    /// The file, such as gate-2026-11-24.tar.zst.
    file: PathBuf,
    /// The data folder (default: the configured one).
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

/// Bring a backup back into an empty data folder.
#[derive(clap::Args)]
pub struct RestoreArgs {
    /// The file.
    file: PathBuf,
    /// The folder (default: the configured one); it must be empty or not be there.
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

/// Runs `backup`.
pub fn backup(args: BackupArgs, config: Config) -> anyhow::Result<ExitCode> {
    let folder = args.data.unwrap_or(config.data.folder);
    if !folder.is_dir() {
        anyhow::bail!("{}: no data folder there", folder.display());
    }
    let summary = archive::backup(&Store::open(&folder)?, &args.file)?;
    println!("{}: {}", args.file.display(), told(&summary));
    Ok(ExitCode::SUCCESS)
}

/// Runs `restore`.
pub fn restore(args: RestoreArgs, config: Config) -> anyhow::Result<ExitCode> {
    let folder = args.to.unwrap_or(config.data.folder);
    let summary = archive::restore(&args.file, &folder)?;
    println!("{}: {}", folder.display(), told(&summary));
    Ok(ExitCode::SUCCESS)
}

fn told(summary: &Summary) -> String {
    let records: Vec<String> = summary.records.iter().map(|(tree, n)| format!("{n} {tree}")).collect();
    format!("{}, {} pictures", records.join(", "), summary.pictures)
}
