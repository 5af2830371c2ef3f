//! `plategate eval`: how well are plates read?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use super::read::{Eyes, PlateLine};
use super::{Usage, VisionArgs};
use crate::config::Config;
use crate::picture::Quad;

/// Measure how well plates are read.
#[derive(clap::Args)]
pub struct Args {
    /// A TSV with a header and the columns path and text (optional: corners, kind, set); paths relative to it.
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Also print every picture that was not read exactly: path, truth, reading, confidence.
    #[arg(long)]
    misses: bool,
    #[command(flatten)]
    vision: VisionArgs,
}

#[derive(Deserialize)]
struct Row {
    path: String,
    text: String,
    #[serde(default)]
    corners: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    set: String,
}

/// Counts of one set or kind.
#[derive(Clone, Copy, Default, Serialize)]
struct Tally {
    /// Pictures with a plate.
    pictures: u32,
    /// Pictures without one: rows whose text is empty.
    blanks: u32,
    exact: u32,
    exact_without_province: u32,
    detected: u32,
    /// Wrong texts whose weakest slot claimed at least 0.99.
    wrong_and_sure: u32,
    /// Plates read on pictures that have none.
    false_plates: u32,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.pictures += other.pictures;
        self.blanks += other.blanks;
        self.exact += other.exact;
        self.exact_without_province += other.exact_without_province;
        self.detected += other.detected;
        self.wrong_and_sure += other.wrong_and_sure;
        self.false_plates += other.false_plates;
    }
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    all: Tally,
    exact_rate: f64,
    exact_without_province_rate: f64,
    detection_rate: f64,
    unreadable_files: u32,
    sets: BTreeMap<String, Tally>,
    kinds: BTreeMap<String, Tally>,
    ms: Latency,
}

#[derive(Serialize)]
struct Latency {
    p50: f64,
    p95: f64,
    max: f64,
}

/// Runs the command.
pub fn run(args: Args, mut config: Config) -> anyhow::Result<ExitCode> {
    args.vision.apply(&mut config);
    let rows = rows(&args.manifest)?;
    let folder = args.manifest.parent().unwrap_or(Path::new(".")).to_path_buf();
    let mut eyes = Eyes::load(&config)?;
    let bar = ProgressBar::new(rows.len() as u64).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} pictures, {eta} left")
            .unwrap_or(ProgressStyle::default_bar()),
    );
    let (mut sets, mut kinds) = (BTreeMap::<String, Tally>::new(), BTreeMap::<String, Tally>::new());
    let (mut all, mut times, mut unreadable) = (Tally::default(), Vec::new(), 0);
    for row in &rows {
        let line = eyes.read_file(&folder.join(&row.path));
        bar.inc(1);
        if let Some(error) = line.error() {
            unreadable += 1;
            bar.println(format!("{}: {error}", row.path));
            continue;
        }
        times.push(line.total_ms());
        let plate = chosen(&line.plates, corners(&row.corners)?);
        let tally = judge(row, plate, line.plates.len());
        if args.misses && !row.text.is_empty() && tally.exact == 0 {
            let (text, sure) = plate.map_or(("-", 0.0), |p| (p.text.as_str(), p.min_slot));
            bar.suspend(|| println!("{}\t{}\t{text}\t{sure:.3}", row.path, row.text));
        }
        all.add(tally);
        sets.entry(row.set.clone()).or_default().add(tally);
        kinds.entry(row.kind.clone()).or_default().add(tally);
    }
    bar.finish_and_clear();
    let report = report(all, sets, kinds, times, unreadable);
    if args.json {
        println!("{}", serde_json::to_string(&report)?)
    } else {
        print_table(&report)
    }
    Ok(ExitCode::from(u8::from(unreadable > 0)))
}

fn rows(manifest: &Path) -> anyhow::Result<Vec<Row>> {
    let name = manifest.display();
    let file = std::fs::File::open(manifest).with_context(|| format!("{name}"))?;
    let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').quoting(false).flexible(true).from_reader(file);
    let headers = reader.headers().with_context(|| format!("{name}"))?.clone();
    for wanted in ["path", "text"] {
        if !headers.iter().any(|h| h == wanted) {
            return Err(Usage(format!("{name}: no column '{wanted}': a header with path and text is expected")).into());
        }
    }
    reader.deserialize().collect::<Result<_, _>>().with_context(|| format!("{name}"))
}

/// `x,y` of four corners, or nothing.
fn corners(text: &str) -> anyhow::Result<Option<Quad>> {
    let numbers: Vec<f32> = text
        .split([',', ' ', ';'])
        .filter(|t| !t.is_empty())
        .map(|t| t.trim_matches(['[', ']']).parse())
        .collect::<Result<_, _>>()
        .map_err(|_| Usage(format!("corners '{text}': eight numbers are expected")))?;
    match numbers.as_slice() {
        [] => Ok(None),
        &[a, b, c, d, e, f, g, h] => Ok(Some(Quad([[a, b], [c, d], [e, f], [g, h]]))),
        _ => Err(Usage(format!("corners '{text}': eight numbers are expected")).into()),
    }
}

/// The plate whose centre lies nearest to the true corners, if it lies on them; without corners the best.
fn chosen(plates: &[PlateLine], truth: Option<Quad>) -> Option<&PlateLine> {
    let Some(truth) = truth else { return plates.first() };
    let distance = |p: &&PlateLine| {
        let ([ax, ay], [bx, by]) = (Quad(p.corners).centre(), truth.centre());
        (ax - bx).hypot(ay - by)
    };
    plates.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).filter(|p| distance(p) < truth.width() / 2.0)
}

fn judge(row: &Row, plate: Option<&PlateLine>, read: usize) -> Tally {
    if row.text.is_empty() {
        return Tally { false_plates: read as u32, blanks: 1, ..Tally::default() };
    }
    let without = |text: &str| text.chars().skip(1).collect::<String>();
    let exact = plate.is_some_and(|p| p.text == row.text);
    let wrong_and_sure = plate.is_some_and(|p| p.text != row.text && p.min_slot >= 0.99);
    Tally {
        pictures: 1,
        exact: u32::from(exact),
        exact_without_province: u32::from(plate.is_some_and(|p| without(&p.text) == without(&row.text))),
        detected: u32::from(plate.is_some()),
        wrong_and_sure: u32::from(wrong_and_sure),
        ..Tally::default()
    }
}

fn report(
    all: Tally,
    sets: BTreeMap<String, Tally>,
    kinds: BTreeMap<String, Tally>,
    mut times: Vec<f64>,
    unreadable_files: u32,
) -> Report {
    times.sort_by(f64::total_cmp);
    let at = |q: f64| times.get(((times.len() as f64 - 1.0) * q).round().max(0.0) as usize).copied().unwrap_or(0.0);
    let rate = |n: u32| f64::from(n) / f64::from(all.pictures.max(1));
    Report {
        exact_rate: rate(all.exact),
        exact_without_province_rate: rate(all.exact_without_province),
        detection_rate: rate(all.detected),
        all,
        unreadable_files,
        sets,
        kinds,
        ms: Latency { p50: at(0.5), p95: at(0.95), max: at(1.0) },
    }
}

fn print_table(report: &Report) {
    println!(
        "{:24} {:>8} {:>8} {:>12} {:>9} {:>11}",
        "", "pictures", "exact", "no province", "detected", "wrong, sure"
    );
    let row = |name: &str, t: &Tally| {
        let percent = |n: u32| format!("{:.2} %", 100.0 * f64::from(n) / f64::from(t.pictures.max(1)));
        let (exact, bare, found) = (percent(t.exact), percent(t.exact_without_province), percent(t.detected));
        println!("{name:24} {:>8} {exact:>8} {bare:>12} {found:>9} {:>11}", t.pictures, t.wrong_and_sure);
    };
    row("all", &report.all);
    report.sets.iter().for_each(|(name, t)| row(&format!("set {name}"), t));
    report.kinds.iter().for_each(|(name, t)| row(&format!("kind {name}"), t));
    println!("false plates on {} pictures without one: {}", report.all.blanks, report.all.false_plates);
    println!("milliseconds a picture, decoding apart: p50 {:.2}, p95 {:.2}", report.ms.p50, report.ms.p95);
}
