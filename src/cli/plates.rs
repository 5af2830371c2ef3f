//! `plategate plates`: the register on the command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;

use super::{Usage, print_bytes};
use crate::config::Config;
use crate::plate::Plate;
use crate::register::exchange::{self, parse_fen, yuan};
use crate::register::{self, Change, Household, Register, Vehicle};
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
        /// What was paid for it, yuan.
        #[arg(long, default_value = "0")]
        paid: String,
        /// It need not pay.
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

/// Runs the command.
pub fn run(args: Args, config: Config) -> anyhow::Result<ExitCode> {
    let folder = args.data.unwrap_or(config.data.folder);
    // What can be refused without the register is refused before it is opened.
    let plate = |text: &str| text.parse::<Plate>().map_err(|e| Usage(e.to_string()));
    let open = || -> anyhow::Result<Register> { Ok(Register::open(Arc::new(Store::open(&folder)?))?) };
    match args.action {
        Action::Add { plate: text, household, name, paid, exempt, blocked } => {
            let plate = plate(&text)?;
            let paid_fen = parse_fen(&paid).map_err(Usage)?;
            let household = household_of(&household, name)?;
            let register = open()?;
            let key = household.key();
            let known = register.households()?.into_iter().find(|h| h.key() == key);
            let household = match known {
                Some(known) if household.name.is_empty() => known,
                _ => household,
            };
            let vehicle = Vehicle { paid_fen, exempt, blocked, ..Vehicle::new(plate, &key) };
            register.apply("command line", &[Change::Household(household), Change::Vehicle(vehicle)])?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Remove { plate: text } => {
            let plate = plate(&text)?;
            let register = open()?;
            if register.snapshot().get(&plate).is_none() {
                anyhow::bail!("{plate} is not registered");
            }
            register.apply("command line", &[Change::Remove(plate)])?;
            Ok(ExitCode::SUCCESS)
        }
        Action::List { json } => list(&open()?, json),
        Action::Import { file, partial, dry_run } => {
            let bytes = std::fs::read(&file).map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))?;
            let import = exchange::import(&bytes).map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))?;
            for error in &import.errors {
                eprintln!("{}: {error}", file.display());
            }
            let bad = import.errors.len();
            if bad > 0 && !partial {
                anyhow::bail!("{bad} bad rows: nothing was changed (--partial takes the good ones)");
            }
            let done = if dry_run { "would be taken" } else { "taken" };
            if !dry_run {
                open()?.apply("import", &import.changes)?;
            }
            println!("{} cars {done}, {bad} bad rows", import.vehicles);
            Ok(ExitCode::from(u8::from(bad > 0)))
        }
        Action::Export { file } => {
            let register = open()?;
            let rows = exchange::export(&register.households()?, register.snapshot().vehicles());
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
        let standing = serde_json::to_value(vehicle.standing(today))?;
        if json {
            let mut value = serde_json::to_value(vehicle)?;
            value["standing"] = standing;
            out += &format!("{value}\n");
        } else {
            let standing = standing.as_str().unwrap_or_default();
            let (plate, household) = (vehicle.plate, &vehicle.household);
            out += &format!("{plate}\t{household}\t{standing}\t{}\n", yuan(vehicle.paid_fen));
        }
    }
    print_bytes(out.as_bytes())
}
