//! Reading plates: a picture in, [`Reading`]s out.
//!
//! [`lookout`] (did anything change?) → [`detector`] (where are plates, from a small copy) → [`rectifier`] (exact corners at full resolution) → [`reader`] (the
//! plate laid flat, a probability per slot and character); [`track`] joins the readings of one car. This room knows
//! nothing of registers and barriers.

pub mod detector;
pub mod empty_lane;
mod legibility;
pub mod lookout;
pub mod model;
mod network;
pub mod profile;
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

pub(crate) use model::try_model;
pub use reading::{Reading, SlotProbabilities};

use crate::config::{self, Provider};
use crate::picture::{Picture, Quad, drop_covered};
use detector::{Detector, Found};
use legibility::legibility;
use reader::Reader;
use rectifier::{Rectifier, Refined};

/// Why plates cannot be read. Each names the file and the fix.
#[derive(Debug, thiserror::Error)]
pub enum VisionError {
    /// ONNX Runtime is nowhere.
    #[error("ONNX Runtime ({name}) was not found: run `make build`, or set vision.onnxruntime to the file")]
    LibraryNotFound {
        /// The file looked for.
        name: String,
    },
    /// ONNX Runtime with OpenVINO is nowhere.
    #[error("ONNX Runtime with OpenVINO was not found: run `scripts/openvino`, or set vision.onnxruntime to the file")]
    OpenvinoNotFound,
    /// The library there is will not do.
    #[error("{path}: {problem}: run `make build`, or set vision.onnxruntime to ONNX Runtime 1.24 or newer")]
    Library {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The library there does not compute on what is wanted.
    #[error("{path}: {problem}: set vision.onnxruntime to an ONNX Runtime with {provider} (docs/accelerators.md)")]
    Provider {
        /// The library's file.
        path: PathBuf,
        /// What is wanted.
        provider: Provider,
        /// What the library says.
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
    /// Of all that, inside of the networks.
    pub networks: Duration,
    /// How often a plate was read.
    pub reads: u32,
}

/// A find that the refiner believes less is none.
const PLATE: f32 = 0.5;
/// A find that the refiner believes to have two rows with more than this probability may have two, or one.
const MAYBE_TWO_ROWS: f32 = 0.1;
/// A reading whose weakest slot is below this is tried again from corners placed a little otherwise.
const UNSURE: f32 = 0.95;
/// Where a frame's second look begins: the corners with a little of the surroundings; growth along and across.
const SECOND_START: [f32; 2] = [1.06, 1.1];
/// Where those tries begin: the corners as they are, with the surroundings, and a little inside; growth along and across.
const OTHER_STARTS: [[f32; 2]; 3] = [[1.0, 1.0], [1.1, 1.15], [0.95, 0.9]];
/// The longer side of the copies that a photograph is looked at in once more, as shares of `vision.search_px`.
const CLOSER: f32 = 1.5;
const FARTHER: f32 = 0.5;
/// The detector's corners of a plate that is wide enough are not narrower than this share of that.
const SURELY_NARROWER: f32 = 0.7;
/// A reading is dropped if the characters of the likeliest plate are less likely than this on (geometric) average: lamps, grilles,
/// lettering. Of 2,649 plates that are read right one is below 0.9.
const BELIEVABLE: f32 = 0.7;

/// How hard a picture is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    /// A frame, after which comes another: every plate is read once, what is in doubt twice. What may be one row or two is
    /// first read as `two_rows` says, which is the other way round in the next frame.
    Frame { two_rows: bool },
    /// A photograph: what is in doubt is read again.
    Photograph,
}

/// The three networks with their buffers, for one thread.
pub struct Vision {
    detector: Detector,
    rectifier: Rectifier,
    reader: Reader,
    narrowest: f32,
    readings: Vec<Reading>,
    timings: Timings,
    /// Is this frame's turn to read two rows where there may be one or two?
    two_rows: bool,
    provider: Provider,
    instead_of: Option<String>,
}

impl Vision {
    /// Loads ONNX Runtime and the models, on the configured provider or else on the first of `vision.fallback` that can be
    /// had. Fails with the wanted provider's error if none can.
    pub fn load(settings: &config::Vision) -> Result<Vision, VisionError> {
        let mut refused: Option<VisionError> = None;
        for provider in settings.order() {
            match Vision::load_on(&config::Vision { provider, ..settings.clone() }) {
                Ok(vision) => {
                    let instead_of = refused.map(|error| format!("{}: {error}", settings.provider));
                    if let Some(wanted) = &instead_of {
                        tracing::warn!(%provider, wanted, "what was wanted cannot be had: another provider computes");
                    }
                    return Ok(Vision { instead_of, ..vision });
                }
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or(VisionError::Answer("no provider is configured")))
    }

    /// On this very provider.
    fn load_on(settings: &config::Vision) -> Result<Vision, VisionError> {
        Ok(Vision {
            rectifier: Rectifier::load(settings)?,
            reader: Reader::load(settings)?,
            detector: Detector::load(settings)?,
            narrowest: settings.narrowest_plate_px,
            readings: Vec::new(),
            timings: Timings::default(),
            two_rows: false,
            provider: settings.provider,
            instead_of: None,
        })
    }

    /// Reads all plates of a frame, best first: each once, or twice where in doubt, and none that are too small.
    pub fn read(&mut self, picture: &Picture) -> Result<&[Reading], VisionError> {
        self.readings.clear();
        self.timings = Timings::default();
        self.two_rows = !self.two_rows;
        self.look(picture, 1.0, Effort::Frame { two_rows: self.two_rows })?;
        let networks = [self.detector.take_spent(), self.rectifier.take_spent(), self.reader.take_spent()];
        self.timings.networks = networks.iter().sum();
        Ok(&self.readings)
    }

    /// As if no frame had been read yet: the next one's turn is the first one's.
    pub fn begin_anew(&mut self) {
        self.two_rows = false;
    }

    /// Reads a photograph, which has no next frame: what is in doubt is read again, and where that is not sure of what it
    /// read, in a larger copy too and then in a smaller one, for plates that fill the picture; a small picture also as a plate
    /// without surroundings.
    pub fn read_photograph(&mut self, picture: &Picture) -> Result<&[Reading], VisionError> {
        self.readings.clear();
        self.timings = Timings::default();
        self.look(picture, 1.0, Effort::Photograph)?;
        if !self.is_sure() {
            self.look(picture, CLOSER, Effort::Photograph)?;
        }
        if !self.is_sure() {
            self.look(picture, FARTHER, Effort::Photograph)?;
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
    fn look(&mut self, picture: &Picture, share: f32, effort: Effort) -> Result<(), VisionError> {
        if picture.width == 0 || picture.height == 0 {
            return Ok(());
        }
        let begun = Instant::now();
        let found = self.detector.find(picture, share)?;
        self.timings.detect += begun.elapsed();
        let (reader, rectifier, timings) = (&mut self.reader, &mut self.rectifier, &mut self.timings);
        let narrowest = self.narrowest;
        Judges { rectifier, reader, picture, timings, narrowest, effort }.judge(found, &mut self.readings)
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
        let (narrowest, effort) = (self.narrowest, Effort::Photograph);
        let mut judges = Judges { rectifier, reader, picture, timings, narrowest, effort };
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

    /// What computes.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Where that is not what was wanted: what was, and why it cannot be had.
    pub fn instead_of(&self) -> Option<&str> {
        self.instead_of.as_deref()
    }

    /// The library and the models in use, for `doctor`.
    pub fn describe(&self, settings: &config::Vision) -> String {
        let library = runtime::library(settings).map(|l| format!("{} ({})", l.version, l.path.display()));
        format!(
            "ONNX Runtime {}, {}; detector {}; corners {}; reader {}",
            library.unwrap_or_default(),
            self.provider,
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
    /// Narrower plates are not read, pixels.
    narrowest: f32,
    effort: Effort,
}

impl Judges<'_> {
    /// Reads all finds into `readings`, best first; of those that cover one another only the best stays.
    fn judge(&mut self, found: &[Found], readings: &mut Vec<Reading>) -> Result<(), VisionError> {
        for find in found {
            // The detector's corners are off by a few per cent; what is much too small need not be refined either.
            if find.quad.width() < SURELY_NARROWER * self.narrowest {
                continue;
            }
            let reading = self.read(&find.quad, find.score)?;
            if let Some(reading) = reading.filter(is_believable) {
                readings.push(if self.effort == Effort::Photograph { self.read_again(reading)? } else { reading });
            }
        }
        readings.sort_unstable_by(|a, b| (b.score * b.confidence()).total_cmp(&(a.score * a.confidence())));
        drop_covered(readings, |r| &r.quad);
        Ok(())
    }

    /// Refines rough corners and reads what stands there; none if it is no plate.
    fn read(&mut self, rough: &Quad, score: f32) -> Result<Option<Reading>, VisionError> {
        let refined = self.refine(rough)?;
        let is_one = |r: &Refined| r.is_plate >= PLATE && r.quad.width() >= self.narrowest;
        let Some(refined) = refined.filter(is_one) else { return Ok(None) };
        if let Effort::Frame { two_rows } = self.effort {
            let may_be_either = (MAYBE_TWO_ROWS..1.0 - MAYBE_TWO_ROWS).contains(&refined.two_rows);
            let two_rows = if may_be_either { two_rows } else { refined.two_rows > 0.5 };
            let read = self.read_at(&refined.quad, two_rows, score, refined.is_plate)?;
            // Single rows seen askew are taken for two, surely even: what is not legible so is read the other way.
            if refined.two_rows > MAYBE_TWO_ROWS && !read.as_ref().is_some_and(is_believable) {
                return self.read_at(&refined.quad, !two_rows, score, refined.is_plate);
            }
            return read.map(|first| self.look_twice(first, two_rows)).transpose();
        }
        let mut best = self.read_at(&refined.quad, false, score, refined.is_plate)?;
        // Seen askew, one row is as high for its width as two are: where it may be either, the reader judges.
        if refined.two_rows > MAYBE_TWO_ROWS
            && let Some(two) = self.read_at(&refined.quad, true, score, refined.is_plate)?
            && best.as_ref().is_none_or(|one| legibility(&two.slots) > legibility(&one.slots))
        {
            best = Some(two);
        }
        Ok(best)
    }

    /// Exact corners for rough ones, and the time it took.
    fn refine(&mut self, rough: &Quad) -> Result<Option<Refined>, VisionError> {
        let begun = Instant::now();
        let refined = self.rectifier.refine(self.picture, rough);
        self.timings.rectify += begun.elapsed();
        refined
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
        self.timings.reads += 1;
        Ok(read.map(|r| {
            let (slots, colours, sharpness) = (r.slots, r.colours, r.sharpness);
            Reading { quad: *quad, score, is_plate, slots, colours, sharpness }
        }))
    }

    /// What is not sure of every slot is refined and read once more from another start, and both readings count: how the
    /// corners happened to fall weighs less then. Costs one more refinement and reading.
    fn look_twice(&mut self, first: Reading, two_rows: bool) -> Result<Reading, VisionError> {
        if !is_in_doubt(&first) {
            return Ok(first);
        }
        let [along, across] = SECOND_START;
        let refined = self.refine(&first.quad.grown(along, across))?;
        let Some(refined) = refined.filter(|r| r.is_plate >= PLATE) else { return Ok(first) };
        let second = self.read_at(&refined.quad, two_rows, first.score, refined.is_plate)?;
        Ok(match second.filter(is_believable) {
            Some(second) => Reading { slots: first.slots.and(&second.slots), ..first },
            None => first,
        })
    }

    /// A reading that is not sure of every slot may have its corners a little wrong: it is read again from other starts,
    /// and the clearest reading counts. Costs three more refinements and readings, for one plate in thirty.
    fn read_again(&mut self, first: Reading) -> Result<Reading, VisionError> {
        if !is_in_doubt(&first) {
            return Ok(first);
        }
        let (start, score) = (first.quad, first.score);
        let mut best = first;
        for [along, across] in OTHER_STARTS {
            let again = self.read(&start.grown(along, across), score)?;
            best = again.filter(|r| legibility(&r.slots) > legibility(&best.slots)).unwrap_or(best);
        }
        Ok(best)
    }
}

/// Is it a plate, and some slot of it unsure?
fn is_in_doubt(reading: &Reading) -> bool {
    reading.slots.weakest() < UNSURE && is_believable(reading)
}

/// Is there a plate's worth of characters, and are they more than guesses?
fn is_believable(reading: &Reading) -> bool {
    let written = reading.slots.best().iter().filter(|(i, _)| *i != 0).count();
    written >= 6 && legibility(&reading.slots) >= BELIEVABLE.ln()
}
