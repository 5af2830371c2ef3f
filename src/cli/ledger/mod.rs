//! `plategate ledger`: the crowdfunding and fee book on the command line.
//!
//! While the gate runs it has the data folder for itself: then the book is on its page.

mod args;
mod look;
mod write;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;

use super::Usage;
use crate::config::Config;
use crate::ledger::Period;
use crate::register::Register;
use crate::store::Store;

/// The book: contributions, fees, spending, cash and the bank; look, enter, check.
#[derive(clap::Args)]
pub struct Args {
    /// The data folder (default: the configured one).
    #[arg(long, value_name = "FOLDER", global = true)]
    data: Option<PathBuf>,
    /// JSON instead of lines.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// The entries, a line each: number, day, who, kind, what about, what came in or went out.
    List {
        /// Only those of a month (2026-11), a year (2026) or days (2026-11-01..2026-11-15).
        #[arg(long, value_name = "PERIOD", value_parser = period)]
        period: Option<Period>,
        /// Only those of a car.
        #[arg(long, value_name = "PLATE")]
        car: Option<String>,
    },
    /// One entry with everything that is known of it.
    Show {
        /// Its number.
        number: u64,
    },
    /// Where the money is, and the campaigns' progress.
    Balance,
    /// A month, a year or any days: what was there, came in, went out, is there.
    Statement {
        /// 2026-11, 2026, or 2026-11-01..2026-11-15 (default: this month).
        #[arg(value_parser = period)]
        period: Option<Period>,
        /// Write it into an Excel workbook.
        #[arg(long, value_name = "FILE")]
        xlsx: Option<PathBuf>,
    },
    /// Check every entry and every receipt; names the first altered one (exit status 1).
    Verify {
        /// An export (.jsonl) instead of the data folder.
        file: Option<PathBuf>,
        /// Also: entry NUMBER must have this hash, as a printed statement or the board says.
        #[arg(long, value_name = "NUMBER:HASH")]
        head: Option<String>,
    },
    /// Write the book into a file: .jsonl (can be verified), .csv, .xlsx; - for lines of JSON on standard output.
    Export {
        /// The file.
        file: PathBuf,
    },
    /// Whose fee, days of grace or exemption ends soon.
    Reminders {
        /// Within so many days (default: ledger.remind_days).
        #[arg(long, value_name = "N")]
        days: Option<u16>,
    },
    /// The neighbours' board (阳光账本): no names, plates or flats.
    Board,
    /// Enter something.
    #[command(flatten)]
    Write(args::Write),
}

fn period(text: &str) -> Result<Period, &'static str> {
    text.parse()
}

/// Runs the command.
pub fn run(args: Args, config: Config) -> anyhow::Result<ExitCode> {
    let folder = args.data.unwrap_or(config.data.folder);
    let json = args.json;
    if let Action::Verify { file, head } = args.action {
        return look::verify(file.as_deref(), head.as_deref(), &folder, json);
    }
    // What can be refused without the book is refused before it is opened.
    let action = match args.action {
        Action::Write(write) => {
            let order = write.order()?;
            let register = open(&folder)?;
            return write::run(order, &register, json);
        }
        action => action,
    };
    if !folder.is_dir() {
        return Err(Usage(format!("{}: no data folder there (--data or data.folder)", folder.display())).into());
    }
    let register = open(&folder)?;
    match action {
        Action::List { period, car } => look::list(&register, period, car.as_deref(), json),
        Action::Show { number } => look::show(&register, number, json),
        Action::Balance => look::balance(&register, json),
        Action::Statement { period, xlsx } => look::statement(&register, period, xlsx.as_deref(), json),
        Action::Export { file } => look::export(&register, &file),
        Action::Reminders { days } => look::reminders(&register, days.unwrap_or(config.ledger.remind_days), json),
        Action::Board => look::board(&register, json),
        Action::Verify { .. } | Action::Write(_) => Ok(ExitCode::SUCCESS),
    }
}

fn open(folder: &std::path::Path) -> anyhow::Result<Register> {
    Ok(Register::open(Arc::new(Store::open(folder)?))?)
}
