//! One way of reading after the other over the labelled pictures: how long a frame takes, what it costs, how well it reads.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::cli::bench::machine::processor_time;
use crate::cli::bench::name;
use crate::cli::eval::{self, Row};
use crate::cli::read::{PlateLine, plate_line};
use crate::config::{self, Config, Precision};
use crate::gate::strangers::Strangers;
use crate::picture::Picture;
use crate::vision::{Reading, Vision};

/// A way of reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Way {
    /// Such as `cpu`.
    pub provider: String,
    /// Such as `int8`.
    pub precision: String,
    /// Threads a network may use.
    pub threads: usize,
    /// As `vision.search_px`.
    pub search_px: usize,
    /// As `vision.lane`.
    pub lane: Option<[f32; 4]>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The way.
    #[serde(flatten)]
    pub way: Way,
    /// A frame in memory to its readings, milliseconds.
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    /// Processor time of a frame, all threads together, milliseconds.
    pub cpu_ms: f64,
    /// Pictures with a plate.
    pub pictures: u32,
    /// Of them, a plate was read where it is.
    pub detected: u32,
    /// Of them, it was read exactly.
    pub exact: u32,
}

impl Measured {
    /// The share 0..1 that was read exactly.
    pub fn exact_share(&self) -> f64 {
        f64::from(self.exact) / f64::from(self.pictures.max(1))
    }
}

/// The labelled pictures, as files in memory: each way decodes them anew, so that a thousand of them fit a small box.
pub struct Labelled {
    rows: Vec<(Row, Vec<u8>)>,
}

impl Labelled {
    /// Reads the manifest and at most so many of its pictures that have a plate, evenly spread over it.
    pub fn open(manifest: &Path, most: usize) -> anyhow::Result<Labelled> {
        let mut rows = eval::rows(manifest)?;
        rows.retain(|row| !row.text.is_empty());
        anyhow::ensure!(!rows.is_empty(), "{}: no picture with a text in it", manifest.display());
        let folder = manifest.parent().unwrap_or(Path::new(".")).to_path_buf();
        let step = (rows.len() as f64 / most.max(1) as f64).max(1.0);
        let wanted: Vec<usize> =
            (0..).map(|n| (f64::from(n) * step) as usize).take_while(|i| *i < rows.len()).collect();
        let rows = rows.into_iter().enumerate().filter(|(i, _)| wanted.binary_search(i).is_ok()).map(|(_, row)| {
            let path: PathBuf = folder.join(&row.path);
            let file = std::fs::read(&path).with_context(|| format!("{}", path.display()))?;
            anyhow::Ok((row, file))
        });
        Ok(Labelled { rows: rows.collect::<Result<_, _>>()? })
    }

    /// The part of the picture in which all plates lie, with a margin, as shares; none unless all pictures are of one size,
    /// as a gate's own are, and all have corners.
    pub fn lane(&self) -> anyhow::Result<Option<[f32; 4]>> {
        let mut size = None;
        let [mut left, mut top, mut right, mut bottom] = [f32::MAX, f32::MAX, 0.0f32, 0.0f32];
        for (row, file) in &self.rows {
            let Some(quad) = eval::corners(&row.corners)? else { return Ok(None) };
            let picture = Picture::decode(file).with_context(|| row.path.clone())?;
            let here = [picture.width, picture.height];
            if *size.get_or_insert(here) != here {
                return Ok(None);
            }
            let [x0, y0, x1, y1] = quad.bounds();
            let (w, h) = (picture.width as f32, picture.height as f32);
            // A plate's own width to spare on each side.
            let spare = quad.width();
            (left, top) = (left.min((x0 - spare) / w), top.min((y0 - spare) / h));
            (right, bottom) = (right.max((x1 + spare) / w), bottom.max((y1 + spare) / h));
        }
        let (left, top) = (left.clamp(0.0, 0.99), top.clamp(0.0, 0.99));
        let places = |v: f32| (v * 1000.0).round() / 1000.0;
        let lane = [left, top, right.min(1.0) - left, bottom.min(1.0) - top].map(places);
        Ok((lane[2] * lane[3] < 0.9).then_some(lane))
    }

    /// Reads all of them one way, each twice: as a lane does from frame to frame, of which the clearer reading counts.
    pub fn measure(&self, config: &Config, way: &Way) -> anyhow::Result<Measured> {
        let vision = settings(&config.vision, way)?;
        let mut vision = Vision::load(&config::Vision { narrowest_plate_px: 8.0, ..vision })?;
        let forms = Strangers::new(config.gate.home_province, config.gate.home_city);
        let (mut times, mut cpu) = (Vec::new(), Duration::ZERO);
        let mut found = Measured {
            way: way.clone(),
            p50_ms: 0.0,
            p95_ms: 0.0,
            p99_ms: 0.0,
            cpu_ms: 0.0,
            pictures: 0,
            detected: 0,
            exact: 0,
        };
        for (n, (row, file)) in self.rows.iter().enumerate() {
            let picture = Picture::decode(file).with_context(|| row.path.clone())?;
            if n == 0 {
                // The first frames of a network are not what a frame takes.
                (0..3).try_for_each(|_| vision.read(&picture).map(|_| ()))?;
            }
            let mut looks = Vec::new();
            for _ in 0..2 {
                let (begun, before) = (Instant::now(), processor_time());
                let readings = vision.read(&picture)?;
                times.push(begun.elapsed().as_secs_f64() * 1e3);
                cpu += processor_time().saturating_sub(before);
                looks.extend(readings.iter().map(|r| (clarity(r), plate_line(r, &forms))));
            }
            looks.sort_by(|a, b| b.0.total_cmp(&a.0));
            let lines: Vec<PlateLine> = looks.into_iter().map(|(_, line)| line).collect();
            let plate = eval::chosen(&lines, eval::corners(&row.corners)?);
            found.pictures += 1;
            found.detected += u32::from(plate.is_some());
            found.exact += u32::from(plate.is_some_and(|p| p.text == row.text));
        }
        times.sort_by(f64::total_cmp);
        let last = times.len().saturating_sub(1) as f64;
        let at = |q: f64| times.get((last * q).round() as usize).map_or(0.0, |ms| (ms * 1e3).round() / 1e3);
        (found.p50_ms, found.p95_ms, found.p99_ms) = (at(0.5), at(0.95), at(0.99));
        found.cpu_ms = (cpu.as_secs_f64() * 1e6 / times.len().max(1) as f64).round() / 1e3;
        Ok(found)
    }
}

fn clarity(reading: &Reading) -> f32 {
    reading.score * reading.confidence()
}

/// The configuration's settings with what this way changes.
fn settings(from: &config::Vision, way: &Way) -> anyhow::Result<config::Vision> {
    use clap::ValueEnum;
    let provider = config::Provider::from_str(&way.provider, false).map_err(anyhow::Error::msg)?;
    let precision = Precision::from_str(&way.precision, false).map_err(anyhow::Error::msg)?;
    let (threads, search_px, lane) = (way.threads, way.search_px, way.lane);
    Ok(config::Vision { provider, fallback: Vec::new(), precision, threads, search_px, lane, ..from.clone() })
}

/// What is to be tried with one provider.
pub struct Grid {
    /// Precisions.
    pub precisions: Vec<Precision>,
    /// Numbers of threads.
    pub threads: Vec<usize>,
    /// Search sizes, pixels.
    pub search_px: Vec<usize>,
    /// Lanes; none is the whole picture.
    pub lanes: Vec<Option<[f32; 4]>>,
}

/// Measures one provider: every precision and number of threads as the rest is configured, then every size and lane with the
/// most accurate of those and with the fastest.
pub fn provider(
    config: &Config,
    labelled: &Labelled,
    provider: &str,
    grid: &Grid,
    mut tell: impl FnMut(&Measured),
) -> anyhow::Result<Vec<Measured>> {
    let mut all: Vec<Measured> = Vec::new();
    let mut measure = |way: Way, all: &mut Vec<Measured>| -> anyhow::Result<()> {
        if all.iter().any(|m| m.way == way) {
            return Ok(());
        }
        let found = labelled.measure(config, &way)?;
        tell(&found);
        all.push(found);
        Ok(())
    };
    let (search_px, lane) = (config.vision.search_px, config.vision.lane);
    for precision in &grid.precisions {
        for &threads in &grid.threads {
            let (provider, precision) = (provider.to_owned(), name(precision));
            measure(Way { provider, precision, threads, search_px, lane }, &mut all)?;
        }
    }
    let best = all.iter().max_by(|a, b| (a.exact, -a.p99_ms).partial_cmp(&(b.exact, -b.p99_ms)).expect("numbers"));
    let fastest = all.iter().min_by(|a, b| a.p99_ms.total_cmp(&b.p99_ms));
    let chosen: Vec<Way> = best.into_iter().chain(fastest).map(|m| m.way.clone()).collect();
    for way in chosen {
        for &search_px in &grid.search_px {
            for &lane in &grid.lanes {
                measure(Way { search_px, lane, ..way.clone() }, &mut all)?;
            }
        }
    }
    Ok(all)
}
