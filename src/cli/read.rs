//! `plategate read`: what plates are on these pictures?

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::VisionArgs;
use crate::camera;
use crate::config::Config;
use crate::gate::strangers::Strangers;
use crate::picture::Picture;
use crate::plate::{ALPHABET, SLOTS};
use crate::vision::{Reading, Timings, Vision};

/// Read the plates on pictures, folders of pictures or videos.
#[derive(clap::Args)]
pub struct Args {
    /// Pictures (JPEG, PNG, WebP, BMP), folders of them, or videos.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// One JSON object per picture or video frame.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    vision: VisionArgs,
}

/// One line of output.
#[derive(Serialize)]
pub struct Line {
    path: String,
    frame: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<usize>,
    /// The plates, best first.
    pub plates: Vec<PlateLine>,
    ms: Milliseconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Line {
    /// What went wrong, if something did.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Detecting, rectifying and reading, milliseconds.
    pub fn total_ms(&self) -> f64 {
        self.ms.total
    }
}

/// One plate of a line.
#[derive(Serialize)]
pub struct PlateLine {
    /// The likeliest well-formed plate.
    pub text: String,
    kind: String,
    colour: crate::plate::Colour,
    score: f32,
    /// The probability of the whole text.
    pub confidence: f32,
    /// The weakest slot's probability.
    pub min_slot: f32,
    /// In pixels.
    pub corners: [[f32; 2]; 4],
    /// The text's characters, `_` for an empty slot.
    pub slots: Vec<SlotLine>,
}

/// One character of a reading.
#[derive(Serialize)]
pub struct SlotLine {
    /// The character.
    pub char: char,
    /// Its probability, 0..1.
    pub p: f32,
}

/// Times of one picture, milliseconds.
#[derive(Clone, Copy, Default, Serialize)]
pub struct Milliseconds {
    decode: f64,
    detect: f64,
    rectify: f64,
    read: f64,
    /// Without `decode`.
    pub total: f64,
}

const PICTURES: [&str; 6] = ["jpg", "jpeg", "png", "webp", "bmp", "jfif"];
const VIDEOS: [&str; 7] = ["mp4", "avi", "mkv", "mov", "ts", "m4v", "webm"];

/// Runs the command.
pub fn run(args: Args, mut config: Config) -> anyhow::Result<ExitCode> {
    args.vision.apply(&mut config);
    let mut eyes = Eyes::load(&config)?;
    let mut faults = false;
    for path in expand(&args.paths) {
        let mut print = |line: Line| -> anyhow::Result<bool> {
            faults |= line.error.is_some();
            show(&line, args.json)
        };
        let go_on = if has_extension(&path, &VIDEOS) {
            read_video(&mut eyes, &path, &mut print)?
        } else {
            print(eyes.read_file(&path))?
        };
        if !go_on {
            break;
        }
    }
    Ok(ExitCode::from(u8::from(faults)))
}

/// The networks, and what turns a reading into the likeliest well-formed plate.
pub struct Eyes {
    vision: Vision,
    forms: Strangers,
}

impl Eyes {
    /// Loads the networks. Whatever is wide enough to be seen is read: a photograph is no lane.
    pub fn load(config: &Config) -> anyhow::Result<Eyes> {
        let settings = crate::config::Vision { narrowest_plate_px: 8.0, ..config.vision.clone() };
        Ok(Eyes {
            vision: Vision::load(&settings)?,
            forms: Strangers::new(config.gate.home_province, config.gate.home_city),
        })
    }

    /// Reads one picture file; what goes wrong is in the line.
    pub fn read_file(&mut self, path: &Path) -> Line {
        match open(path, 1) {
            Ok((picture, decode)) => self.read_picture(path, 0, &picture, decode),
            Err(error) => failed(path, 0, error),
        }
    }

    /// Reads one picture that took `decode` to decode; what goes wrong is in the line.
    pub fn read_picture(&mut self, path: &Path, frame: u64, picture: &Picture, decode: Duration) -> Line {
        let begun = Instant::now();
        let result = self.vision.read_photograph(picture).map(|_| ());
        let total = begun.elapsed();
        if let Err(error) = result {
            return failed(path, frame, error.to_string());
        }
        let plates = self.vision.readings().iter().map(|r| plate_line(r, &self.forms)).collect();
        let ms = milliseconds(self.vision.timings(), decode, total);
        let (width, height) = (Some(picture.width), Some(picture.height));
        Line { path: path.display().to_string(), frame, width, height, plates, ms, error: None }
    }
}

/// A picture file, decoded at 1/`scale` of its size, and how long that took; or why not.
pub fn open(path: &Path, scale: u32) -> Result<(Picture, Duration), String> {
    let begun = Instant::now();
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    let picture = camera::decode(&bytes, scale).map_err(|e| e.to_string())?;
    Ok((picture, begun.elapsed()))
}

fn read_video(
    eyes: &mut Eyes,
    path: &Path,
    print: &mut impl FnMut(Line) -> anyhow::Result<bool>,
) -> anyhow::Result<bool> {
    let frames = match camera::video_frames(path) {
        Ok(frames) => frames,
        Err(error) => return print(failed(path, 0, error.to_string())),
    };
    let mut count = 0;
    let mut begun = Instant::now();
    for picture in frames {
        let line = match picture {
            Ok(picture) => eyes.read_picture(path, count, &picture, begun.elapsed()),
            Err(error) => failed(path, count, error.to_string()),
        };
        if !print(line)? {
            return Ok(false);
        }
        count += 1;
        begun = Instant::now();
    }
    if count == 0 {
        return print(failed(path, 0, "the video has no frames".into()));
    }
    Ok(true)
}

fn failed(path: &Path, frame: u64, error: String) -> Line {
    let (path, ms) = (path.display().to_string(), Milliseconds::default());
    Line { path, frame, width: None, height: None, plates: Vec::new(), ms, error: Some(error) }
}

fn milliseconds(t: Timings, decode: Duration, total: Duration) -> Milliseconds {
    let ms = |d: Duration| (d.as_secs_f64() * 1e6).round() / 1e3;
    Milliseconds {
        decode: ms(decode),
        detect: ms(t.detect),
        rectify: ms(t.rectify),
        read: ms(t.read),
        total: ms(total),
    }
}

/// A reading as the likeliest well-formed plate.
pub(super) fn plate_line(reading: &Reading, forms: &Strangers) -> PlateLine {
    let p = reading.slots.probabilities();
    let (plate, _) = forms.likeliest(&p);
    let of = |s: usize| {
        let i = plate.slots()[s] as usize;
        SlotLine { char: ALPHABET[i], p: p[s][i] as f32 }
    };
    let lines: Vec<SlotLine> = (0..SLOTS).map(of).collect();
    PlateLine {
        text: plate.to_string(),
        kind: plate.kind(reading.colour()).to_string(),
        colour: reading.colour(),
        score: reading.score,
        confidence: lines.iter().map(|s| s.p).product(),
        min_slot: lines.iter().map(|s| s.p).fold(1.0, f32::min),
        corners: reading.quad.0,
        slots: lines,
    }
}

/// Prints a line; `false` when nobody reads any more.
fn show(line: &Line, json: bool) -> anyhow::Result<bool> {
    use std::io::Write;
    let text = match (json, &line.error) {
        (true, _) => serde_json::to_string(line)?,
        (false, Some(error)) => format!("{}: {error}", line.path),
        (false, None) if line.plates.is_empty() => format!("{}: no plate", line.path),
        (false, None) => {
            let plates: Vec<String> =
                line.plates.iter().map(|p| format!("{} {} {:.3}", p.text, p.kind, p.confidence)).collect();
            format!("{}: {} ({:.1} ms)", line.path, plates.join(", "), line.ms.total)
        }
    };
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        other => Ok(other.map(|()| true)?),
    }
}

/// Folders become their pictures and videos, in the order of their names.
fn expand(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for path in paths {
        let Ok(entries) = std::fs::read_dir(path) else {
            out.push(path.clone());
            continue;
        };
        let mut inside: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        inside.retain(|p| p.is_file() && (has_extension(p, &PICTURES) || has_extension(p, &VIDEOS)));
        inside.sort();
        out.extend(inside);
    }
    out
}

fn has_extension(path: &Path, of: &[&str]) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| of.contains(&e.to_ascii_lowercase().as_str()))
}
