//! `plategate drill soak`: days of a gate's life in minutes, with a clock that is passed in.
//!
//! Cars come and are decided about by the lane itself, everything is put on record by the rooms that a gate has, stewards
//! change the register and the book, retention and backups make their rounds, the gate is stopped and started, the clock is
//! set wrong. Every evening it is measured and counted: nothing may be missing, nothing may grow without end.

mod day;
mod measure;
mod traffic;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::bail;
use serde_json::json;

use super::super::print_bytes;
use day::World;
use measure::Evening;

#[derive(clap::Args)]
pub(super) struct Args {
    /// So many days.
    #[arg(long, default_value = "30", value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Cars a day.
    #[arg(long, default_value = "400", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    arrivals: u32,
    /// Where the random choices begin (default: another one each time).
    #[arg(long)]
    seed: Option<u64>,
    /// A new folder to work in, which is kept (default: one that is thrown away).
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// One JSON object instead of a page.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let own = std::env::temp_dir().join(format!("plategate-soak-{}", std::process::id()));
    let folder = args.data.clone().unwrap_or_else(|| own.clone());
    if std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} is not empty: a drill needs a folder of its own", folder.display());
    }
    let seed = args.seed.unwrap_or_else(rand::random);
    let begun = Instant::now();
    let lived = live(args, &folder, seed);
    let _ = std::fs::remove_dir_all(&own);
    let (world, evenings) = lived?;
    let faults: Vec<String> = world.faults.iter().cloned().chain(measure::growth(&evenings)).collect();
    let tally = &world.tally;
    let report = json!({
        "days": args.days, "arrivals": tally.arrivals, "recorded": tally.recorded, "same_arrival_again": tally.again, "opened": tally.opened,
        "changes": tally.changes, "numbers_forgotten_or_deleted": tally.forgotten, "pictures_made_room": tally.thinned,
        "backups": tally.backups, "backups_that_failed": tally.backups_failed, "restarts": tally.restarts, "clock_jumps": tally.jumps,
        "evenings": evenings, "lost": tally.lost, "faults": faults, "seed": seed, "seconds": begun.elapsed().as_secs(),
    });
    let text = if args.json { format!("{report}\n") } else { page(&report, &evenings) };
    print_bytes(text.as_bytes())?;
    Ok(ExitCode::from(u8::from(!faults.is_empty() || tally.lost > 0)))
}

fn live(args: &Args, folder: &std::path::Path, seed: u64) -> anyhow::Result<(World, Vec<Evening>)> {
    let mut world = World::begin(folder, seed)?;
    let mut evenings = Vec::new();
    for day in 0..args.days {
        world.live_a_day(day, args.arrivals)?;
        evenings.push(world.evening(day)?);
    }
    Ok((world, evenings))
}

fn page(report: &serde_json::Value, evenings: &[Evening]) -> String {
    let mut out = String::from("day   arrivals on record   memory MB   store MB   journal MB   pictures MB\n");
    for e in evenings {
        out += &format!(
            "{:>3} {:>21} {:>11.1} {:>10.1} {:>12.2} {:>13.1}\n",
            e.day + 1,
            e.on_record,
            e.memory_mb,
            e.store_mb,
            e.journal_mb,
            e.pictures_mb
        );
    }
    for name in [
        "arrivals",
        "recorded",
        "same_arrival_again",
        "opened",
        "changes",
        "numbers_forgotten_or_deleted",
        "pictures_made_room",
        "backups",
        "backups_that_failed",
        "restarts",
        "clock_jumps",
        "lost",
        "seconds",
        "seed",
    ] {
        out += &format!("{name}: {}\n", report[name]);
    }
    for fault in report["faults"].as_array().into_iter().flatten() {
        out += &format!("FAULT {}\n", fault.as_str().unwrap_or_default());
    }
    out
}
