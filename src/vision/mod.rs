//! Reading plates: a picture in, [`Reading`]s out.
//!
//! [`detector`] (where are plates, from a small copy) → [`rectifier`] (exact corners at full resolution) → [`reader`] (the
//! plate laid flat, a probability per slot and character); [`track`] joins the readings of one car. This room knows
//! nothing of registers and barriers.

pub mod detector;
pub mod reader;
pub mod reading;
pub mod rectifier;
pub mod runtime;
pub mod shrink;
pub mod track;
pub mod warp;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use reading::{Reading, SlotProbabilities};

use crate::config;
use crate::picture::{Picture, Quad, drop_covered};
use detector::Detector;
use reader::Reader;
use rectifier::Rectifier;

/// Why plates cannot be read. Each names the file and the fix.
#[derive(Debug, thiserror::Error)]
pub enum VisionError {
    /// ONNX Runtime is nowhere.
    #[error("ONNX Runtime ({name}) was not found: run `make build`, or set vision.onnxruntime to the file")]
    LibraryNotFound {
        /// The file looked for.
        name: String,
    },
    /// The library there is will not do.
    #[error("{path}: {problem}: run `make build`, or set vision.onnxruntime to ONNX Runtime 1.24 or newer")]
    Library {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A model is nowhere.
    #[error("models/{name} was not found: set vision.models to the folder with the models")]
    ModelNotFound {
        /// The file looked for.
        name: String,
    },
    /// The model there is will not do.
    #[error("{path}: {problem}: put the model of this plategate's version there")]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A network answered in another shape than agreed.
    #[error("{0}")]
    Answer(&'static str),
    /// A network failed.
    #[error("a network failed: {0}")]
    Run(#[from] ort::Error),
}

/// How long the stages of the last picture took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    /// Shrinking the frame and finding plates.
    pub detect: Duration,
    /// Refining corners, all plates together.
    pub rectify: Duration,
    /// Flattening and reading, all plates together.
    pub read: Duration,
}

/// A find that the refiner believes less is none.
const PLATE: f32 = 0.5;
/// A find that the refiner believes to have two rows with more than this probability is read both ways.
const MAYBE_TWO_ROWS: f32 = 0.1;
/// A reading is dropped if its characters are less likely than this on (geometric) average: lamps, grilles, lettering.
const BELIEVABLE: f32 = 0.6;

/// The three networks with their buffers, for one thread.
pub struct Vision {
    detector: Detector,
    rectifier: Rectifier,
    reader: Reader,
    narrowest: f32,
    readings: Vec<Reading>,
    timings: Timings,
}

impl Vision {
    /// Loads ONNX Runtime and the models.
    pub fn load(settings: &config::Vision) -> Result<Vision, VisionError> {
        Ok(Vision {
            rectifier: Rectifier::load(settings)?,
            reader: Reader::load(settings)?,
            detector: Detector::load(settings)?,
            narrowest: settings.narrowest_plate_px,
            readings: Vec::new(),
            timings: Timings::default(),
        })
    }

    /// Reads all plates of a picture, best first.
    pub fn read(&mut self, picture: &Picture) -> Result<&[Reading], VisionError> {
        self.readings.clear();
        self.timings = Timings::default();
        if picture.width == 0 || picture.height == 0 {
            return Ok(&self.readings);
        }
        let begun = Instant::now();
        let found = self.detector.find(picture)?;
        self.timings.detect = begun.elapsed();
        for find in found {
            let (reader, rectifier) = (&mut self.reader, &mut self.rectifier);
            let reading = read_one(rectifier, reader, picture, &find.quad, find.score, &mut self.timings)?;
            self.readings.extend(reading.filter(|r| r.quad.width() >= self.narrowest && is_believable(r)));
        }
        self.readings.sort_by(|a, b| (b.score * b.confidence()).total_cmp(&(a.score * a.confidence())));
        drop_covered(&mut self.readings, |r| &r.quad);
        Ok(&self.readings)
    }

    /// Reads a picture that may show a plate alone, as such too: edge to edge, or with its corners refined. That reading
    /// takes the place of what [`Vision::read`] found before, unless it is less likely.
    pub fn read_as_crop(&mut self, picture: &Picture) -> Result<(), VisionError> {
        if picture.width < 2 || picture.height < 2 {
            return Ok(());
        }
        let (w, h) = (picture.width as f32, picture.height as f32);
        let whole = Quad([[0.0, 0.0], [w, 0.0], [w, h], [0.0, h]]);
        let (reader, rectifier) = (&mut self.reader, &mut self.rectifier);
        let refined = read_one(rectifier, reader, picture, &whole, 0.0, &mut self.timings)?;
        let two_rows = h > 0.42 * w;
        let edge = reader.read(picture, &whole, two_rows)?.map(|read| into_reading(read, whole, 0.0, 0.0));
        let crop = refined.into_iter().chain(edge).filter(is_believable);
        if let Some(crop) = crop.max_by(|a, b| a.confidence().total_cmp(&b.confidence()))
            && self.readings.first().is_none_or(|found| crop.confidence() >= found.confidence())
        {
            self.readings = vec![crop];
        }
        Ok(())
    }

    /// What was read off the last picture.
    pub fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// How long the last picture took, stage by stage.
    pub fn timings(&self) -> Timings {
        self.timings
    }

    /// The library and the models in use, for `doctor`.
    pub fn describe(&self, settings: &config::Vision) -> String {
        let library = runtime::library(settings).map(|l| format!("{} ({})", l.version, l.path.display()));
        format!(
            "ONNX Runtime {}; detector {}; corners {}; reader {}",
            library.unwrap_or_default(),
            self.detector.trained(),
            self.rectifier.trained(),
            self.reader.trained()
        )
    }
}

fn read_one(
    rectifier: &mut Rectifier,
    reader: &mut Reader,
    picture: &Picture,
    rough: &Quad,
    score: f32,
    timings: &mut Timings,
) -> Result<Option<Reading>, VisionError> {
    let begun = Instant::now();
    let refined = rectifier.refine(picture, rough)?;
    timings.rectify += begun.elapsed();
    let Some(refined) = refined.filter(|r| r.is_plate >= PLATE) else { return Ok(None) };
    let begun = Instant::now();
    let mut best = reader.read(picture, &refined.quad, false)?;
    // Seen askew, one row is as high for its width as two are: where it may be either, the reader judges.
    if refined.two_rows > MAYBE_TWO_ROWS
        && let Some(two) = reader.read(picture, &refined.quad, true)?
        && best.as_ref().is_none_or(|one| two.slots.clarity() > one.slots.clarity())
    {
        best = Some(two);
    }
    timings.read += begun.elapsed();
    Ok(best.map(|read| into_reading(read, refined.quad, score, refined.is_plate)))
}

fn into_reading(read: reader::Read, quad: Quad, score: f32, is_plate: f32) -> Reading {
    Reading { quad, score, is_plate, slots: read.slots, colours: read.colours, sharpness: read.sharpness }
}

/// Is there a plate's worth of characters, and are they more than guesses?
fn is_believable(reading: &Reading) -> bool {
    let written = reading.slots.best().iter().filter(|(i, _)| *i != 0).count();
    written >= 6 && reading.slots.clarity() >= BELIEVABLE.ln()
}
