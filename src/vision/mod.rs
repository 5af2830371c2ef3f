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
pub mod surroundings;
pub mod track;
pub mod warp;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use reading::{Reading, SlotProbabilities};
pub(crate) use runtime::try_model;

use crate::config;
use crate::picture::{Picture, Quad, drop_covered};
use detector::{Detector, Found};
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
/// A reading whose weakest slot is below this is tried again from corners placed a little otherwise.
const UNSURE: f32 = 0.95;
/// Where those tries begin: the corners as they are, with the surroundings, and a little inside; growth along and across.
const OTHER_STARTS: [[f32; 2]; 3] = [[1.0, 1.0], [1.1, 1.15], [0.95, 0.9]];
/// The longer side of the copies that a photograph is looked at in once more, as shares of `vision.search_px`.
const CLOSER: f32 = 1.5;
const FARTHER: f32 = 0.5;
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
        self.look(picture, 1.0)?;
        Ok(&self.readings)
    }

    /// Reads a photograph, which has no next frame: as [`Vision::read`] does, and where that is not sure of what it read,
    /// in a larger copy too; where nothing is found, in a smaller copy, for plates that fill the picture, and as a plate
    /// without surroundings.
    pub fn read_photograph(&mut self, picture: &Picture) -> Result<&[Reading], VisionError> {
        self.read(picture)?;
        if !self.is_sure() {
            self.look(picture, CLOSER)?;
        }
        if self.readings.is_empty() {
            self.look(picture, FARTHER)?;
        }
        // A picture of a plate alone has no surroundings that a detector could know it by.
        let (w, h) = (picture.width as f32, picture.height.max(1) as f32);
        if picture.width < 480 && (1.4..6.5).contains(&(w / h)) {
            self.read_as_crop(picture)?;
        }
        Ok(&self.readings)
    }

    /// Is every slot of the best reading sure?
    fn is_sure(&self) -> bool {
        self.readings.first().is_some_and(|r| r.slots.weakest() >= UNSURE)
    }

    /// Finds and reads, and puts what is read among the readings.
    fn look(&mut self, picture: &Picture, share: f32) -> Result<(), VisionError> {
        if picture.width == 0 || picture.height == 0 {
            return Ok(());
        }
        let begun = Instant::now();
        let found = self.detector.find(picture, share)?;
        self.timings.detect += begun.elapsed();
        let (reader, rectifier, timings) = (&mut self.reader, &mut self.rectifier, &mut self.timings);
        Judges { rectifier, reader, picture, timings }.judge(found, self.narrowest, &mut self.readings)
    }

    /// Reads a picture that may show a plate alone, as such too: edge to edge, or with its corners refined. That reading
    /// takes the place of what was found before, unless it is less likely.
    fn read_as_crop(&mut self, picture: &Picture) -> Result<(), VisionError> {
        if picture.width < 2 || picture.height < 2 {
            return Ok(());
        }
        let (w, h) = (picture.width as f32, picture.height as f32);
        let whole = Quad([[0.0, 0.0], [w, 0.0], [w, h], [0.0, h]]);
        let (reader, rectifier, timings) = (&mut self.reader, &mut self.rectifier, &mut self.timings);
        let mut judges = Judges { rectifier, reader, picture, timings };
        let refined = judges.read(&whole, 0.0)?;
        let edge = judges.read_at(&whole, h > 0.42 * w, 0.0, 0.0)?;
        let crop = refined.into_iter().chain(edge).filter(is_believable);
        let crop = crop.max_by(|a, b| a.confidence().total_cmp(&b.confidence()));
        let crop = crop.map(|best| judges.read_again(best)).transpose()?;
        if let Some(crop) = crop
            && self.readings.first().is_none_or(|found| crop.confidence() >= found.confidence())
        {
            self.readings = vec![crop];
        }
        Ok(())
    }

    /// From the next picture on, looks at this part of it alone: left, top, width, height as shares 0..1 of the frame.
    pub fn look_at(&mut self, lane: Option<[f32; 4]>) {
        self.detector.look_at(lane);
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

/// The networks that judge one find, and the picture it is on.
struct Judges<'a> {
    rectifier: &'a mut Rectifier,
    reader: &'a mut Reader,
    picture: &'a Picture,
    timings: &'a mut Timings,
}

impl Judges<'_> {
    /// Reads all finds into `readings`, best first; of those that cover one another only the best stays.
    fn judge(&mut self, found: &[Found], narrowest: f32, readings: &mut Vec<Reading>) -> Result<(), VisionError> {
        for find in found {
            let reading = self.read(&find.quad, find.score)?;
            if let Some(reading) = reading.filter(|r| r.quad.width() >= narrowest && is_believable(r)) {
                readings.push(self.read_again(reading)?);
            }
        }
        readings.sort_by(|a, b| (b.score * b.confidence()).total_cmp(&(a.score * a.confidence())));
        drop_covered(readings, |r| &r.quad);
        Ok(())
    }

    /// Refines rough corners and reads what stands there; none if it is no plate.
    fn read(&mut self, rough: &Quad, score: f32) -> Result<Option<Reading>, VisionError> {
        let begun = Instant::now();
        let refined = self.rectifier.refine(self.picture, rough)?;
        self.timings.rectify += begun.elapsed();
        let Some(refined) = refined.filter(|r| r.is_plate >= PLATE) else { return Ok(None) };
        let mut best = self.read_at(&refined.quad, false, score, refined.is_plate)?;
        // Seen askew, one row is as high for its width as two are: where it may be either, the reader judges.
        if refined.two_rows > MAYBE_TWO_ROWS
            && let Some(two) = self.read_at(&refined.quad, true, score, refined.is_plate)?
            && best.as_ref().is_none_or(|one| two.slots.clarity() > one.slots.clarity())
        {
            best = Some(two);
        }
        Ok(best)
    }

    /// Reads the plate that has these corners.
    fn read_at(
        &mut self,
        quad: &Quad,
        two_rows: bool,
        score: f32,
        is_plate: f32,
    ) -> Result<Option<Reading>, VisionError> {
        let begun = Instant::now();
        let read = self.reader.read(self.picture, quad, two_rows)?;
        self.timings.read += begun.elapsed();
        Ok(read.map(|r| {
            let (slots, colours, sharpness) = (r.slots, r.colours, r.sharpness);
            Reading { quad: *quad, score, is_plate, slots, colours, sharpness }
        }))
    }

    /// A reading that is not sure of every slot may have its corners a little wrong: it is read again from other starts,
    /// and the clearest reading counts. Costs three more refinements and readings, for one plate in thirty.
    fn read_again(&mut self, first: Reading) -> Result<Reading, VisionError> {
        if first.slots.weakest() >= UNSURE || !is_believable(&first) {
            return Ok(first);
        }
        let (start, score) = (first.quad, first.score);
        let mut best = first;
        for [along, across] in OTHER_STARTS {
            let again = self.read(&start.grown(along, across), score)?;
            best = again.filter(|r| r.slots.clarity() > best.slots.clarity()).unwrap_or(best);
        }
        Ok(best)
    }
}

/// Is there a plate's worth of characters, and are they more than guesses?
fn is_believable(reading: &Reading) -> bool {
    let written = reading.slots.best().iter().filter(|(i, _)| *i != 0).count();
    written >= 6 && reading.slots.clarity() >= BELIEVABLE.ln()
}
