//! Reading plates: a picture in, [`Reading`]s out.
//!
//! [`lookout`] (did anything change?) → [`detector`] (where are plates, from a small copy) → [`rectifier`] (exact corners at full resolution) → [`reader`] (the
//! plate laid flat, a probability per slot and character), and once more where they doubt ([`judges`]); [`track`] joins the readings of one car. This
//! room knows nothing of registers and barriers.

pub mod detector;
pub mod empty_lane;
mod judges;
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

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(crate) use model::try_model;
pub use reading::{Reading, SlotProbabilities};

use crate::config::{self, Provider};
use crate::picture::{Picture, Quad};
use crate::text::one_line;
use detector::Detector;
use judges::{Effort, Judges, is_believable};

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

impl VisionError {
    /// A model will not do. What the file tells of itself, and what ONNX Runtime says of it, may be of several lines.
    fn model(path: &Path, problem: &str) -> VisionError {
        VisionError::Model { path: path.into(), problem: one_line(problem) }
    }
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

/// A reading of a photograph whose weakest slot is below this is tried again from corners placed a little otherwise.
const UNSURE: f32 = 0.95;
/// The longer side of the copies that a photograph is looked at in once more, as shares of `vision.search_px`.
const CLOSER: f32 = 1.5;
const FARTHER: f32 = 0.5;
/// The networks with their buffers, for one thread.
pub struct Vision {
    detector: Detector,
    judges: Judges,
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
            judges: Judges::load(settings)?,
            detector: Detector::load(settings)?,
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
        self.timings.networks = self.detector.take_spent() + self.judges.take_spent();
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
        self.judges.on(picture, effort, &mut self.timings).judge(found, &mut self.readings)
    }

    /// Reads a picture that may show a plate alone, as such too: edge to edge, or with its corners refined. That reading
    /// takes the place of what was found before, unless it is less likely.
    fn read_as_crop(&mut self, picture: &Picture) -> Result<(), VisionError> {
        if picture.width < 2 || picture.height < 2 {
            return Ok(());
        }
        let (w, h) = (picture.width as f32, picture.height as f32);
        let whole = Quad([[0.0, 0.0], [w, 0.0], [w, h], [0.0, h]]);
        let mut judging = self.judges.on(picture, Effort::Photograph, &mut self.timings);
        let refined = judging.read(&whole, 0.0)?;
        let edge = judging.read_at(&whole, h > 0.42 * w, 0.0, 0.0)?;
        let crop = refined.into_iter().chain(edge).filter(is_believable);
        let crop = crop.max_by(|a, b| a.confidence().total_cmp(&b.confidence()));
        let crop = crop.map(|best| judging.read_again(best)).transpose()?;
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
            "ONNX Runtime {}, {}; detector {}; {}",
            library.unwrap_or_default(),
            self.provider,
            self.detector.trained(),
            self.judges.trained()
        )
    }
}
