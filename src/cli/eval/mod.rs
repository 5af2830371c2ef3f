//! `plategate eval`: how well are plates read?

mod page;
mod tally;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;

use super::read::{self, Eyes, PlateLine};
use super::{Usage, VisionArgs};
use crate::config::Config;
use crate::picture::Quad;
use tally::Report;

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
    /// Also write a page with tables, the confusion matrix and the pictures that were read wrong, worst first.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Decode the pictures at 1/N of their size, as camera.decode_scale does: what does that cost?
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = super::decode_scale)]
    decode_scale: u32,
    #[command(flatten)]
    vision: VisionArgs,
}

/// One picture of the manifest.
#[derive(Deserialize)]
pub(super) struct Row {
    /// Relative to the manifest.
    pub path: String,
    /// What stands on the plate; empty where there is none.
    pub text: String,
    /// Of the plate; see [`corners`].
    #[serde(default)]
    pub corners: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    set: String,
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
    let (mut report, mut misses) = (Report::default(), Vec::new());
    for row in &rows {
        bar.inc(1);
        let path = folder.join(&row.path);
        let (picture, decode) = match read::open(&path, args.decode_scale) {
            Ok(opened) => opened,
            Err(error) => {
                report.unreadable_files += 1;
                bar.println(format!("{}: {error}", row.path));
                continue;
            }
        };
        let line = eyes.read_picture(&path, 0, &picture, decode);
        if let Some(error) = line.error() {
            anyhow::bail!("{}: {error}", row.path);
        }
        let truth = corners(&row.corners)?.map(|quad| reduced(&quad, args.decode_scale));
        let plate = chosen(&line.plates, truth);
        let wanted = (!row.text.is_empty()).then_some(row.text.as_str());
        if plate.map(|p| p.text.as_str()) != wanted {
            if args.misses {
                let (text, sure) = plate.map_or(("-", 0.0), |p| (p.text.as_str(), p.min_slot));
                bar.suspend(|| println!("{}\t{}\t{text}\t{sure:.3}", row.path, wanted.unwrap_or("-")));
            }
            if args.html.is_some() {
                misses.push(page::Miss::new(row, plate, &picture)?);
            }
        }
        report.count(row, plate, line.plates.len(), line.total_ms());
    }
    bar.finish_and_clear();
    let report = report.finish();
    if let Some(file) = &args.html {
        let text = page::render(&args.manifest.display().to_string(), &report, misses)?;
        std::fs::write(file, text).with_context(|| format!("{}", file.display()))?;
    }
    if args.json {
        println!("{}", serde_json::to_string(&report)?)
    } else {
        report.print()
    }
    Ok(ExitCode::from(u8::from(report.unreadable_files > 0)))
}

/// Where these corners lie on the picture at 1/`scale` of its size: a pixel's centre lies on whole numbers.
fn reduced(quad: &Quad, scale: u32) -> Quad {
    let by = scale as f32;
    Quad(quad.0.map(|corner| corner.map(|v| (v + 0.5) / by - 0.5)))
}

/// The manifest's pictures.
pub(super) fn rows(manifest: &Path) -> anyhow::Result<Vec<Row>> {
    table(manifest, &["path", "text"])
}

/// The rows of a TSV whose header has these columns.
pub(super) fn table<T: serde::de::DeserializeOwned>(list: &Path, columns: &[&str]) -> anyhow::Result<Vec<T>> {
    let name = list.display();
    let file = std::fs::File::open(list).with_context(|| format!("{name}"))?;
    let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').quoting(false).flexible(true).from_reader(file);
    let headers = reader.headers().with_context(|| format!("{name}"))?.clone();
    for wanted in columns {
        if !headers.iter().any(|h| h == *wanted) {
            let columns = columns.join(" and ");
            return Err(Usage(format!("{name}: no column '{wanted}': a header with {columns} is expected")).into());
        }
    }
    reader.deserialize().collect::<Result<_, _>>().with_context(|| format!("{name}"))
}

/// `x,y` of four corners, or nothing.
pub(super) fn corners(text: &str) -> anyhow::Result<Option<Quad>> {
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
pub(super) fn chosen(plates: &[PlateLine], truth: Option<Quad>) -> Option<&PlateLine> {
    let Some(truth) = truth else { return plates.first() };
    let distance = |p: &&PlateLine| {
        let ([ax, ay], [bx, by]) = (Quad(p.corners).centre(), truth.centre());
        (ax - bx).hypot(ay - by)
    };
    plates.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).filter(|p| distance(p) < truth.width() / 2.0)
}
