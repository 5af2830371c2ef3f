//! `plategate simulate`: thousands of arrivals, painted or made of photographs: how many strangers get in, how many
//! neighbours are left standing?
//!
//! The lane is the one of `plategate run`, with its own networks, track, match and policy; only camera, clock and button are
//! played. What comes out depends on the seed alone.

mod cast;
mod curve;
mod paint;
mod photo;
mod record;
mod show;
mod spoof;
mod stage;
mod tally;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;

use super::{Usage, VisionArgs};
use crate::config::Config;
use crate::vision::Vision;
use show::Show;
use tally::{Row, Tally};

/// Simulate thousands of arrivals, and count who got in.
#[derive(clap::Args)]
pub struct Args {
    /// Strangers: half as they come, four of ten chosen to be mistaken for a registered car, one of ten close behind one.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    strangers: usize,
    /// Registered cars.
    #[arg(long, value_name = "N", default_value_t = 500)]
    neighbours: usize,
    /// Photographs of registered plates, held up, pushed, carried, in grey (default: 100; none with --replay).
    #[arg(long, value_name = "N")]
    spoofs: Option<usize>,
    /// Settles everything that is drawn.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Make the approaches of the photographs in this folder instead of painting them.
    #[arg(long, value_name = "DIR", requires = "manifest")]
    photos: Option<PathBuf>,
    /// The photographs' list: a TSV with a header and the columns path, text and corners; paths relative to --photos.
    #[arg(long, value_name = "FILE", requires = "photos")]
    manifest: Option<PathBuf>,
    /// Only photographs whose column split (or set) is this; may be given more than once.
    #[arg(long, value_name = "NAME")]
    split: Vec<String>,
    /// Leave these photographs out: a TSV with a header and the column path, as in the manifest.
    #[arg(long, value_name = "FILE", requires = "photos")]
    leave_out: Option<PathBuf>,
    /// Leave out photographs whose plate is narrower than this, pixels. At the arm the camera sees it 126 pixels wide: by 126
    /// those are left out that are enlarged for it, which no camera's picture is.
    #[arg(long, value_name = "PX", requires = "photos", default_value_t = paint::READABLE_PX as u16,
        value_parser = clap::value_parser!(u16).range(20..=2000))]
    narrowest: u16,
    /// Frames of an approach, one every 80 milliseconds.
    #[arg(long, value_name = "N", default_value_t = 14, value_parser = clap::value_parser!(u16).range(4..=200))]
    frames: u16,
    /// Approaches that are run at the same time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// The lane is not seen empty before an approach: what the check for photographs is worth right after a start.
    #[arg(long)]
    just_started: bool,
    /// Also draw the curve: neighbours missed and strangers let in against the budget, as an SVG.
    #[arg(long, value_name = "FILE")]
    curve: Option<PathBuf>,
    /// Also write what was read in each frame of each approach, one JSON line each: for `calibration/track` and --replay.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Play approaches again that --record wrote, each against another register, without the networks and without the
    /// check for photographs (there is nothing to be seen): thousands a minute, for the odds of the match alone.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["photos", "record"])]
    replay: Option<PathBuf>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    vision: VisionArgs,
}

/// The budgets of the curve.
const BUDGETS: [f64; 6] = [10.0, 100.0, 1e3, 1e4, 1e5, 1e6];

/// Runs the command.
pub fn run(args: Args, mut config: Config) -> anyhow::Result<ExitCode> {
    args.vision.apply(&mut config);
    if config.photo_check.far.is_none() {
        // As whoever installs the gate would set it.
        let (far, near) = paint::ends();
        (config.photo_check.far, config.photo_check.near) = (Some(far), Some(near));
    }
    if args.replay.is_some() && args.spoofs.is_some_and(|n| n > 0) {
        return Err(Usage("--replay has nothing to be seen: leave --spoofs out".into()).into());
    }
    let spoofs = args.spoofs.unwrap_or(if args.replay.is_some() { 0 } else { 100 });
    let show = Show::new(&args, config)?;
    let total = args.strangers + args.neighbours + spoofs;
    let bar = ProgressBar::new(total as u64).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} approaches, {eta} left")
            .unwrap_or(ProgressStyle::default_bar()),
    );
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(vec![None; total]));
    let failed: Mutex<Option<anyhow::Error>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..args.jobs {
            scope.spawn(|| {
                let work = || -> anyhow::Result<()> {
                    let vision = match show.needs_sight() {
                        true => Some(Arc::new(Mutex::new(Vision::load(&show.config.vision)?))),
                        false => None,
                    };
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= total || failed.lock().is_some() {
                            return Ok(());
                        }
                        rows.lock()[n] = Some(show.approach(n, vision.as_ref())?);
                        bar.inc(1);
                    }
                };
                if let Err(error) = work() {
                    failed.lock().get_or_insert(error);
                }
            });
        }
    });
    bar.finish_and_clear();
    if let Some(error) = failed.into_inner() {
        return Err(error);
    }
    let rows: Vec<Row> = rows.into_inner().into_iter().flatten().collect();
    if let Some(file) = &args.record {
        let lines: Vec<String> = rows.iter().filter_map(|row| row.record.clone()).collect();
        std::fs::write(file, lines.join("\n") + "\n").with_context(|| format!("{}", file.display()))?;
    }
    let tally = Tally::of(&rows, args.seed, show.config.gate.false_open_one_in, show.source());
    if let Some(file) = &args.curve {
        let svg = curve::draw(&tally).context("the curve could not be drawn")?;
        std::fs::write(file, svg).with_context(|| format!("{}", file.display()))?;
    }
    if args.json {
        println!("{}", serde_json::to_string(&tally)?)
    } else {
        tally.print()
    }
    Ok(ExitCode::SUCCESS)
}
