//! `plategate bench`: how fast is this box, stage by stage and from frame to pulse, and how far from its limit?

mod beside;
mod compare;
mod empty;
mod harness;
mod limit;
mod load;
pub mod machine;
mod page;
mod stages;
mod sweep;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::VisionArgs;
use crate::camera;
use crate::camera::rendered::{Arrival, Scene};
use crate::config::Config;
use crate::gate::matching::Roster;
use crate::gate::strangers::Strangers;
use crate::picture::Picture;
use crate::plate::Colour;
use crate::register::{Dues, Snapshot, Vehicle, demo};
use crate::vision::Vision;
use beside::Beside;
use empty::Empty;
use harness::{Harness, Kit};
use limit::Limit;
use load::{Cameras, Soak};
use machine::Machine;
use stages::{Samples, Stages};
pub use sweep::{name, thread_counts};

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
    /// Also write a page with tables and plots.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// An earlier result (of --json): say what became slower or faster; exit status 1 if a median grew by over 15 %.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Every provider, precision and number of threads that this box offers, instead of the configured ones.
    #[arg(long, conflicts_with_all = ["compare", "cameras", "soak", "broker"])]
    sweep: bool,
    /// Also run so many cameras beside one another for twenty seconds, each with its own lane.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    cameras: Option<u8>,
    /// Also send so many frames through one lane as fast as it takes them, and say whether the memory stayed where it was
    /// (exit status 1 if not). A day at 15 frames a second is 1296000.
    #[arg(long, value_name = "FRAMES", value_parser = clap::value_parser!(u64).range(1000..))]
    soak: Option<u64>,
    /// Also let cars come with a broker there, gone, and flooding with another gate's arrivals, so many a second; by turns, in this
    /// one run. Needs nats-server.
    #[arg(long, value_name = "PER_SECOND", num_args = 0..=1, default_missing_value = "1000",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    broker: Option<u32>,
    /// Decode the pictures at 1/N of their size (default: as camera.decode_scale).
    #[arg(long, value_name = "N", value_parser = super::decode_scale)]
    decode_scale: Option<u32>,
    #[command(flatten)]
    vision: VisionArgs,
}

/// Frames a second of each of several cameras, and how long they run, seconds.
const CAMERA_FPS: u32 = 25;
const CAMERA_SECONDS: u32 = 20;

/// The whole result.
#[derive(Serialize, Deserialize)]
pub struct Report {
    machine: Machine,
    /// What computes, and how.
    setup: String,
    frames: usize,
    width: usize,
    height: usize,
    stages: Stages,
    /// Frames a second that one thread reads.
    frames_per_second: f64,
    /// The most memory the process had with one camera's lane, megabytes.
    rss_mb: f64,
    /// From nothing to ready to read: the library and the networks, milliseconds.
    cold_start_ms: f64,
    /// The first frame after that, milliseconds.
    first_frame_ms: f64,
    #[serde(default)]
    empty_lane: Option<Empty>,
    #[serde(default)]
    limit: Limit,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cameras: Option<Cameras>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    soak: Option<Soak>,
    /// From the frame to the relay beside a broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    broker: Option<Beside>,
}

/// Runs the command.
pub fn run(args: Args, mut config: Config) -> anyhow::Result<ExitCode> {
    args.vision.apply(&mut config);
    config.camera.decode_scale = args.decode_scale.unwrap_or(config.camera.decode_scale);
    if args.sweep {
        return sweep_all(&args);
    }
    let old = args.compare.as_deref().map(compare::earlier).transpose()?;
    let pictures = pictures(&args.frames, config.camera.decode_scale)?;
    let begun = Instant::now();
    let mut vision = Vision::load(&config.vision)?;
    let cold_start = begun.elapsed();
    let begun = Instant::now();
    vision.read(&pictures[0].picture)?;
    let first_frame = begun.elapsed();
    let report = measure(&args, &config, vision, &pictures, [cold_start, first_frame])?;
    if let Some(file) = &args.html {
        write(file, &page::report(&report)?)?;
    }
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    let grew = report.soak.as_ref().is_some_and(|soak| !soak.is_flat());
    let slower = old.is_some_and(|old| compare::became_slower(&old, &report));
    Ok(ExitCode::from(u8::from(slower || grew)))
}

fn sweep_all(args: &Args) -> anyhow::Result<ExitCode> {
    let VisionArgs { provider, precision, threads, lane, search_px } = args.vision;
    let mut besides = Vec::new();
    let mut also = |name: &str, value: Option<String>| besides.extend(value.map(|value| format!("--{name}={value}")));
    also("lane", lane.map(|shares| shares.map(|share| share.to_string()).join(",")));
    also("search-px", search_px.map(|px| px.to_string()));
    also("decode-scale", args.decode_scale.map(|scale| scale.to_string()));
    let wanted = sweep::Wanted { frames: &args.frames, rounds: args.rounds, provider, precision, threads, besides };
    let bar = ProgressBar::new_spinner();
    let swept = sweep::run(&wanted, |what| {
        bar.set_message(what.to_owned());
        bar.tick();
    })?;
    bar.finish_and_clear();
    if let Some(file) = &args.html {
        write(file, &page::sweep(&swept)?)?;
    }
    if args.json {
        println!("{}", serde_json::to_string(&swept)?);
    } else {
        swept.print();
    }
    Ok(ExitCode::from(u8::from(swept.rows.is_empty())))
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("{}", file.display()))
}

/// A picture, and the file it came from as JPEG or whatever it was.
struct Subject {
    picture: Picture,
    file: Vec<u8>,
}

fn pictures(files: &[PathBuf], scale: u32) -> anyhow::Result<Vec<Subject>> {
    if files.is_empty() {
        let painted = [(demo::PAID, Colour::Blue, false), (demo::PAID_GREEN, Colour::Green, true)];
        return painted.into_iter().map(|(plate, colour, night)| paint(plate, colour, night, scale)).collect();
    }
    let load = |path: &PathBuf| {
        let file = std::fs::read(path).with_context(|| format!("{}", path.display()))?;
        let picture = camera::decode(&file, scale).with_context(|| format!("{}", path.display()))?;
        Ok(Subject { picture, file })
    };
    files.iter().map(load).collect()
}

/// A painted 1080p frame with a car at the stop line, at 1/`scale` of that size.
fn paint(plate: &str, colour: Colour, night: bool, scale: u32) -> anyhow::Result<Subject> {
    let plate = plate.parse().expect("the demo's plates are well-formed");
    let car = Arrival { plate, colour, night, hold: Duration::ZERO };
    let mut picture = Picture::default();
    Scene::new(1).paint(Some((&car, 4.4)), night, false, &mut picture);
    let file = picture.to_jpeg(90)?;
    if scale > 1 {
        picture = camera::decode(&file, scale)?;
    }
    Ok(Subject { picture, file })
}

/// A register in which every plate that is seen is let in, so that there is a pulse to time.
fn register(config: &Config, vision: &mut Vision, subjects: &[Subject]) -> anyhow::Result<Snapshot> {
    let strangers = Strangers::new(config.gate.home_province, config.gate.home_city);
    let mut register = demo::compound().1;
    for subject in subjects {
        for reading in vision.read(&subject.picture)? {
            let (plate, _) = strangers.likeliest(&reading.slots.probabilities());
            if register.iter().all(|v| v.plate != plate) {
                register.push(Vehicle::new(plate, "bench").with(Dues::settled()));
            }
        }
    }
    Ok(Snapshot::new(register))
}

/// Times the stages one by one.
fn stages(
    config: &Config,
    vision: &mut Vision,
    subjects: &[Subject],
    rounds: u32,
    snapshot: &Snapshot,
    samples: &mut Samples,
) -> anyhow::Result<()> {
    let strangers = Strangers::new(config.gate.home_province, config.gate.home_city);
    let roster = Roster::new(snapshot, &strangers);
    for subject in subjects {
        let empty = Picture::filled(subject.picture.width, subject.picture.height, [110, 110, 110]);
        for _ in 0..rounds {
            samples.decode.time(|| camera::decode(&subject.file, config.camera.decode_scale))?;
            samples.empty.time(|| vision.read(&empty).map(<[_]>::len))?;
            let slots = vision.read(&subject.picture)?.first().map(|reading| reading.slots.clone());
            samples.vision(vision.timings());
            if let Some(slots) = slots {
                samples.weigh.time(|| Ok::<_, anyhow::Error>(roster.weigh(&slots, snapshot, &strangers).ratio))?;
            }
        }
    }
    Ok(())
}

fn measure(
    args: &Args,
    config: &Config,
    mut vision: Vision,
    subjects: &[Subject],
    [cold_start, first_frame]: [Duration; 2],
) -> anyhow::Result<Report> {
    let setup = vision.describe(&config.vision);
    let mut samples = Samples::default();
    let bar = ProgressBar::new(u64::from(args.rounds) * subjects.len() as u64)
        .with_style(ProgressStyle::with_template("{bar:40} {eta} left").unwrap_or(ProgressStyle::default_bar()));
    let snapshot = register(config, &mut vision, subjects)?;
    stages(config, &mut vision, subjects, args.rounds, &snapshot, &mut samples)?;
    let kit = Kit { config: config.clone(), snapshot: Arc::new(snapshot) };
    let vision = Arc::new(Mutex::new(vision));
    let mut harness = Harness::new(kit.clone(), vision.clone());
    for subject in subjects {
        for _ in 0..args.rounds {
            harness.arrival(&subject.picture, &mut samples);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let beside = |flood| beside::measure(&mut harness, &subjects[0].picture, args.rounds, flood);
    let broker = args.broker.map(beside).transpose()?;
    // What follows needs more memory than a camera's lane does.
    let rss_mb = machine::most_memory_mb();
    let limit = limit::measure(&config.vision, samples.networks_share())?;
    let empty_lane = Some(empty::measure(&kit, vision));
    let stages = samples.summary();
    let cameras = |n: u8| load::cameras(&kit, usize::from(n), CAMERA_FPS, CAMERA_SECONDS);
    let soak = |n: u64| Vision::load(&config.vision).map(|vision| load::soak(&kit, vision, n));
    let Subject { picture, .. } = &subjects[0];
    Ok(Report {
        machine: Machine::here(),
        setup,
        frames: subjects.len(),
        width: picture.width,
        height: picture.height,
        frames_per_second: stages.decision.as_ref().map_or(0.0, |s| (1e4 / s.p50_ms).round() / 10.0),
        stages,
        rss_mb,
        cold_start_ms: stages::ms(cold_start),
        first_frame_ms: stages::ms(first_frame),
        empty_lane,
        limit,
        cameras: args.cameras.map(cameras).transpose()?,
        soak: args.soak.map(soak).transpose()?,
        broker,
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
    report.lines().iter().for_each(|line| println!("{line}"));
}

impl Report {
    /// What is told beside the stages, a line each.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(empty) = &self.empty_lane {
            lines.push(format!(
                "empty lane at {} frames a second: {:.2} % of one core, {:.1} % of the frames read",
                empty.fps,
                100.0 * empty.share_of_core,
                100.0 * empty.read_share
            ));
        }
        let limit = &self.limit;
        let within =
            limit.arithmetic_share.map(|share| format!(", {:.1} % in their convolutions and products", 100.0 * share));
        lines.push(format!(
            "{:.1} % of a frame's time in the networks{}",
            100.0 * limit.networks_share,
            within.unwrap_or_default()
        ));
        lines.push(format!(
            "{:.1} million multiply-adds a frame; at this core's peak ({:.1} thousand million a second) {:.2} ms",
            limit.frame_mmacs, limit.peak_gmacs, limit.at_peak_ms
        ));
        for n in &limit.networks {
            lines.push(format!(
                "  {:8} {:>6.1} million: {:.3} ms, at the peak {:.3} ms",
                n.name, n.mmacs, n.run_ms, n.at_peak_ms
            ));
        }
        if let Some(c) = &self.cameras {
            let p99 = |stage: &Option<stages::Stage>| stage.as_ref().map_or(0.0, |s| s.p99_ms);
            lines.push(format!(
                "{} cameras at {} frames a second for {} s: {} frames, {} missed, {} cars let in; p99 of a frame {:.1} ms, to \
                 the relay {:.1} ms; {:.2} cores, {:.0} MB",
                c.cameras,
                c.fps,
                c.seconds,
                c.frames,
                c.missed,
                c.opened,
                p99(&c.frame),
                p99(&c.pulse),
                c.cores,
                c.rss_mb
            ));
        }
        if let Some(s) = &self.soak {
            lines.push(format!(
                "{} frames ({} hours at 15 a second) in {} s, {:.1} % read, {} cars let in; memory {:.1} MB early, {:.1} MB at \
                 the end: {}",
                s.frames,
                s.hours_at_15_fps,
                s.seconds,
                100.0 * s.read_share,
                s.opened,
                s.rss_early_mb,
                s.rss_end_mb,
                if s.is_flat() { "flat" } else { "it grew" }
            ));
        }
        lines.extend(self.broker.as_ref().map(Beside::line));
        lines
    }
}
