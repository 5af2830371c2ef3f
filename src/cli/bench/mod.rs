//! `plategate bench`: how fast is this box, stage by stage and from frame to pulse?

mod harness;
mod machine;
mod stages;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use super::VisionArgs;
use crate::camera::rendered::{Arrival, Scene};
use crate::config::Config;
use crate::gate::matching::Roster;
use crate::gate::strangers::Strangers;
use crate::picture::Picture;
use crate::plate::Colour;
use crate::register::{Dues, Snapshot, Vehicle, demo};
use crate::vision::Vision;
use harness::Harness;
use machine::Machine;
use stages::{Samples, Stages};

/// Measure how fast this box reads and opens.
#[derive(clap::Args)]
pub struct Args {
    /// Pictures to measure on, with a plate each (default: painted 1080p frames).
    #[arg(long, value_name = "PATH")]
    frames: Vec<PathBuf>,
    /// How often each picture is measured.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// An earlier result (of --json): say what became slower or faster; exit status 1 if a median grew by over 15 %.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    #[command(flatten)]
    vision: VisionArgs,
}

/// A stage whose median grew by more than this has become slower; machines are noisier than less.
const SLOWER: f64 = 1.15;

/// The whole result.
#[derive(Serialize, Deserialize)]
struct Report {
    machine: Machine,
    /// What computes, and how.
    setup: String,
    frames: usize,
    width: usize,
    height: usize,
    stages: Stages,
    /// Frames a second that one thread reads.
    frames_per_second: f64,
    /// The most memory the process had, megabytes.
    rss_mb: f64,
    /// From nothing to ready to read: the library and the three networks, milliseconds.
    cold_start_ms: f64,
    /// The first frame after that, milliseconds.
    first_frame_ms: f64,
}

/// Runs the command.
pub fn run(args: Args, mut config: Config) -> anyhow::Result<ExitCode> {
    args.vision.apply(&mut config);
    let old = args.compare.as_deref().map(earlier).transpose()?;
    let pictures = pictures(&args)?;
    let begun = Instant::now();
    let mut vision = Vision::load(&config.vision)?;
    let cold_start = begun.elapsed();
    let begun = Instant::now();
    vision.read(&pictures[0].picture)?;
    let first_frame = begun.elapsed();
    let setup = vision.describe(&config.vision);
    let report = measure(&args, &config, vision, &pictures, setup, [cold_start, first_frame])?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(ExitCode::from(u8::from(old.is_some_and(|old| became_slower(&old, &report)))))
}

fn earlier(path: &std::path::Path) -> anyhow::Result<Report> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{}: not a result of bench --json", path.display()))
}

/// A picture, and the file it came from as JPEG or whatever it was.
struct Subject {
    picture: Picture,
    file: Vec<u8>,
}

fn pictures(args: &Args) -> anyhow::Result<Vec<Subject>> {
    if args.frames.is_empty() {
        let painted = [(demo::PAID, Colour::Blue, false), (demo::PAID_GREEN, Colour::Green, true)];
        return painted.into_iter().map(|(plate, colour, night)| paint(plate, colour, night)).collect();
    }
    let load = |path: &PathBuf| {
        let file = std::fs::read(path).with_context(|| format!("{}", path.display()))?;
        let picture = Picture::decode(&file).with_context(|| format!("{}", path.display()))?;
        Ok(Subject { picture, file })
    };
    args.frames.iter().map(load).collect()
}

/// A painted 1080p frame with a car at the stop line.
fn paint(plate: &str, colour: Colour, night: bool) -> anyhow::Result<Subject> {
    let plate = plate.parse().expect("the demo's plates are well-formed");
    let car = Arrival { plate, colour, night, hold: Duration::ZERO };
    let mut picture = Picture::default();
    Scene::new(1).paint(Some((&car, 4.4)), night, false, &mut picture);
    let file = picture.to_jpeg(90)?;
    Ok(Subject { picture, file })
}

fn measure(
    args: &Args,
    config: &Config,
    mut vision: Vision,
    subjects: &[Subject],
    setup: String,
    [cold_start, first_frame]: [Duration; 2],
) -> anyhow::Result<Report> {
    let strangers = Strangers::new(config.gate.home_province, config.gate.home_city);
    let mut register = demo::compound().1;
    let mut samples = Samples::default();
    let bar = ProgressBar::new(u64::from(args.rounds) * subjects.len() as u64)
        .with_style(ProgressStyle::with_template("{bar:40} {eta} left").unwrap_or(ProgressStyle::default_bar()));
    // Every plate that is seen is let in, so that there is a pulse to time.
    for subject in subjects {
        for reading in vision.read(&subject.picture)? {
            let (plate, _) = strangers.likeliest(&reading.slots.probabilities());
            if register.iter().all(|v| v.plate != plate) {
                register.push(Vehicle::new(plate, "bench").with(Dues::settled()));
            }
        }
    }
    let snapshot = Snapshot::new(register);
    let roster = Roster::new(&snapshot, &strangers);
    for subject in subjects {
        let empty = Picture::filled(subject.picture.width, subject.picture.height, [110, 110, 110]);
        for _ in 0..args.rounds {
            samples.decode.time(|| Picture::decode(&subject.file))?;
            samples.empty.time(|| vision.read(&empty).map(<[_]>::len))?;
            let slots = vision.read(&subject.picture)?.first().map(|reading| reading.slots.clone());
            samples.vision(vision.timings());
            if let Some(slots) = slots {
                samples.weigh.time(|| Ok::<_, anyhow::Error>(roster.weigh(&slots, &snapshot, &strangers).ratio))?;
            }
        }
    }
    let mut harness = Harness::new(config, vision, snapshot);
    for subject in subjects {
        for _ in 0..args.rounds {
            harness.arrival(&subject.picture, &mut samples);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let stages = samples.summary();
    let Subject { picture, .. } = &subjects[0];
    Ok(Report {
        machine: Machine::here(),
        setup,
        frames: subjects.len(),
        width: picture.width,
        height: picture.height,
        frames_per_second: stages.decision.map_or(0.0, |s| (1e4 / s.p50_ms).round() / 10.0),
        stages,
        rss_mb: machine::most_memory_mb(),
        cold_start_ms: stages::ms(cold_start),
        first_frame_ms: stages::ms(first_frame),
    })
}

fn print(report: &Report) {
    println!("{}", report.machine);
    println!("{}", report.setup);
    println!("{} pictures of {} x {}, one lane, milliseconds", report.frames, report.width, report.height);
    println!("{:10} {:>9} {:>9} {:>9} {:>9} {:>7}", "", "p50", "p95", "p99", "max", "n");
    for (name, stage) in report.stages.named() {
        let Some(s) = stage else { continue };
        println!("{name:10} {:>9.3} {:>9.3} {:>9.3} {:>9.3} {:>7}", s.p50_ms, s.p95_ms, s.p99_ms, s.max_ms, s.n);
    }
    println!(
        "{} frames a second; {:.0} MB; ready {:.0} ms after the start, the first frame {:.1} ms",
        report.frames_per_second, report.rss_mb, report.cold_start_ms, report.first_frame_ms
    );
}

/// Says what changed between two results; did a median grow?
fn became_slower(old: &Report, new: &Report) -> bool {
    let mut slower = false;
    for ((name, before), (_, after)) in old.stages.named().into_iter().zip(new.stages.named()) {
        let (Some(before), Some(after)) = (before, after) else { continue };
        let ratio = after.p50_ms / before.p50_ms.max(1e-6);
        let word = match ratio {
            r if r > SLOWER => "slower",
            r if r < 1.0 / SLOWER => "faster",
            _ => "as before",
        };
        eprintln!("{name:10} {:.3} -> {:.3} ms, x{ratio:.2}: {word}", before.p50_ms, after.p50_ms);
        slower |= ratio > SLOWER;
    }
    slower
}
