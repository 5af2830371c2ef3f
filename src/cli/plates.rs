//! `plategate plates`: the register on the command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;

use super::{Usage, print_bytes};
use crate::config::Config;
use crate::ledger::Fen;
use crate::plate::Plate;
use crate::register::exchange::{self, RowError, Told};
use crate::register::{self, Change, Household, Register, Vehicle, opening};
use crate::store::Store;

/// The register: add, remove, list, import and export cars.
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
    /// Add a car, or write it anew.
    Add {
        /// Its plate, such as 苏F12345.
        plate: String,
        /// Its household as building-unit, such as 2-301.
        #[arg(long)]
        household: String,
        /// The contact's name.
        #[arg(long)]
        name: Option<String>,
        /// What was paid for it before it is registered here, yuan: becomes an opening entry of the book. What is paid later
        /// is taken with `plategate ledger take`.
        #[arg(long, value_name = "YUAN")]
        paid: Option<String>,
        /// It need not pay, without a vote on record (with one: `plategate ledger exempt`).
        #[arg(long)]
        exempt: bool,
        /// Keep it out.
        #[arg(long)]
        blocked: bool,
    },
    /// Take a car out.
    Remove {
        /// Its plate.
        plate: String,
    },
    /// All cars.
    List {
        /// One JSON object per car.
        #[arg(long)]
        json: bool,
    },
    /// Read cars from a CSV file or an Excel workbook. Nothing is changed unless every row is good.
    Import {
        /// The file: columns 车牌/plate, 楼栋/building, 房号/unit, and if wanted 户主/name, 电话/phone, 已缴(元)/paid_yuan,
        /// 免缴/exempt, 停用/blocked, 宽限至/grace_until, 备注/note.
        file: PathBuf,
        /// Take the good rows although there are bad ones.
        #[arg(long)]
        partial: bool,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Write all cars into a CSV file, an Excel workbook (.xlsx), or - for CSV on standard output.
    Export {
        /// The file.
        file: PathBuf,
    },
}

/// Who changes the register here, for its history.
const BY: &str = "command line";

/// Runs the command.
pub fn run(args: Args, config: Config) -> anyhow::Result<ExitCode> {
    let folder = args.data.unwrap_or(config.data.folder);
    // What can be refused without the register is refused before it is opened.
    let plate = |text: &str| text.parse::<Plate>().map_err(|e| Usage(e.to_string()));
    let open = || -> anyhow::Result<Register> { Ok(Register::open(Arc::new(Store::open(&folder)?))?) };
    match args.action {
        Action::Add { plate: text, household, name, paid, exempt, blocked } => {
            let plate = plate(&text)?;
            let paid = paid.map(|p| p.parse::<Fen>()).transpose().map_err(|e| Usage(e.to_string()))?;
            let household = household_of(&household, name)?;
            let register = open()?;
            let key = household.key();
            let known = register.household(&key)?;
            let household = match known {
                Some(known) if household.name.is_empty() => known,
                _ => household,
            };
            let told = Told { row: 1, plate, household: key.clone(), paid, exempt: exempt.then_some(true) };
            let (drafts, contradictions) = opening::drafts(BY, &[told], &register.ledger().book());
            if let Some(contradiction) = contradictions.first() {
                anyhow::bail!("{}", contradiction.reason);
            }
            let vehicle = Vehicle { blocked, ..Vehicle::new(plate, &key) };
            register.apply_and_enter(BY, &[Change::Household(household), Change::Vehicle(vehicle)], &drafts)?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Remove { plate: text } => {
            let plate = plate(&text)?;
            let register = open()?;
            if register.snapshot().get(&plate).is_none() {
                anyhow::bail!("{plate} is not registered");
            }
            register.apply(BY, &[Change::Remove(plate)])?;
            Ok(ExitCode::SUCCESS)
        }
        Action::List { json } => list(&open()?, json),
        Action::Import { file, partial, dry_run } => import(&file, partial, dry_run, &folder),
        Action::Export { file } => {
            let register = open()?;
            let rows = exchange::export(&register.households(), register.snapshot().vehicles());
            if file.as_os_str() == "-" {
                return print_bytes(&exchange::to_csv(&rows));
            }
            let excel = file.extension().is_some_and(|e| e.eq_ignore_ascii_case("xlsx"));
            let bytes =
                if excel { exchange::to_xlsx(&rows).map_err(anyhow::Error::msg)? } else { exchange::to_csv(&rows) };
            std::fs::write(&file, bytes).map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))?;
            println!("{} cars written", rows.len() - 1);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn import(file: &Path, partial: bool, dry_run: bool, folder: &Path) -> anyhow::Result<ExitCode> {
    let bytes = std::fs::read(file).map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))?;
    let import = exchange::import(&bytes).map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))?;
    let refuse = |errors: &[RowError]| {
        errors.iter().for_each(|error| eprintln!("{}: {error}", file.display()));
        let bad = errors.len();
        if bad > 0 && !partial {
            anyhow::bail!("{bad} bad rows: nothing was changed (--partial takes the good ones)");
        }
        Ok(bad)
    };
    let mut bad = refuse(&import.errors)?;
    // To say what would be done, nothing is made that was not there.
    if !dry_run || folder.is_dir() {
        let register = Register::open(Arc::new(Store::open(folder)?))?;
        let (drafts, contradictions) = opening::drafts(BY, &import.told, &register.ledger().book());
        bad += refuse(&contradictions)?;
        if !dry_run {
            register.apply_and_enter("import", &import.changes, &drafts)?;
        }
    }
    let done = if dry_run { "would be taken" } else { "taken" };
    println!("{} cars {done}, {bad} bad rows", import.vehicles);
    Ok(ExitCode::from(u8::from(bad > 0)))
}

fn household_of(text: &str, name: Option<String>) -> anyhow::Result<Household> {
    let wrong = || Usage(format!("household '{text}': building-unit is expected, such as 2-301"));
    let (building, unit) = text.split_once('-').ok_or_else(wrong)?;
    let building: u16 = building.trim().parse().map_err(|_| wrong())?;
    let unit = unit.trim();
    if building == 0 || unit.is_empty() || unit.chars().count() > 16 {
        return Err(wrong().into());
    }
    Ok(Household { building, unit: unit.to_owned(), name: name.unwrap_or_default(), phone: None })
}

fn list(register: &Register, json: bool) -> anyhow::Result<ExitCode> {
    let today = register::today();
    let mut out = String::new();
    for vehicle in register.snapshot().vehicles() {
        let stand = vehicle.stand(today);
        let standing = serde_json::to_value(stand.standing)?;
        if json {
            let mut value = serde_json::to_value(vehicle)?;
            value["standing"] = standing;
            value["paid_fen"] = vehicle.dues.paid.fen().into();
            value["since"] = serde_json::to_value(stand.since)?;
            value["until"] = serde_json::to_value(stand.until)?;
            out += &format!("{value}\n");
        } else {
            let standing = standing.as_str().unwrap_or_default();
            let (plate, household) = (vehicle.plate, &vehicle.household);
            let until = stand.until.map(|day| format!("\t{day}")).unwrap_or_default();
            out += &format!("{plate}\t{household}\t{standing}\t{}{until}\n", vehicle.dues.paid);
        }
    }
    print_bytes(out.as_bytes())
}
