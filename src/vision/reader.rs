//! The flat plate in, a probability for each slot and character out.

use super::model::Model;
use super::network::Network;
use super::warp::{Homography, Planes};
use super::{SlotProbabilities, VisionError};
use crate::config;
use crate::picture::{Picture, Quad};
use crate::plate::{ALPHABET, SLOTS};

/// The upper row's share of a double-row plate's height.
const SPLIT: f32 = 5.0 / 12.0;

/// How a plate is laid flat for a reader.
struct Layout {
    width: usize,
    height: usize,
    /// Left, top, right and bottom of a single-row plate.
    plate: [f32; 4],
    /// Where a double-row plate's lower row begins, right of the upper one.
    beside: usize,
}

const FIRST: Layout = Layout { width: 144, height: 40, plate: [6.0, 4.0, 138.0, 36.0], beside: 50 };
const SECOND: Layout = Layout { width: 192, height: 48, plate: [8.0, 5.0, 184.0, 43.0], beside: 67 };

impl Layout {
    fn rect(&self, left: f32, right: f32) -> Quad {
        let [_, top, _, bottom] = self.plate;
        Quad([[left, top], [right, top], [right, bottom], [left, bottom]])
    }
}

/// What was read off one flat plate.
pub struct Read {
    /// Per slot and character.
    pub slots: SlotProbabilities,
    /// Per ground colour, 0..1.
    pub colours: [f32; 6],
    /// See [`super::Reading::sharpness`].
    pub sharpness: f32,
}

/// A reader.
pub struct Reader {
    network: Network,
    layout: &'static Layout,
}

impl Reader {
    /// Reads `reader.onnx`.
    pub fn load(settings: &config::Vision) -> Result<Reader, VisionError> {
        Reader::of(settings, "reader", &FIRST)
    }

    /// Reads `second_reader.onnx`: larger, of a finer picture of the plate whose brightness and contrast it evens out, for
    /// what the first one doubts.
    pub fn load_second(settings: &config::Vision) -> Result<Reader, VisionError> {
        Reader::of(settings, "second_reader", &SECOND)
    }

    fn of(settings: &config::Vision, role: &'static str, layout: &'static Layout) -> Result<Reader, VisionError> {
        let session = Model::read(settings, role)?.session(settings, &[])?;
        let answers: [(&str, &[usize]); 2] = [("slots", &[1, SLOTS, ALPHABET.len()]), ("colour", &[1, 6])];
        Ok(Reader { network: Network::new(session, "plate", [layout.width, layout.height], &answers)?, layout })
    }

    /// How long the network has run since this was last asked.
    pub fn take_spent(&mut self) -> std::time::Duration {
        self.network.take_spent()
    }

    /// When and how the model was trained.
    pub fn trained(&self) -> String {
        Model::trained(self.network.session())
    }

    /// Lays the plate flat and reads it; none if its corners make no quadrilateral.
    pub fn read(&mut self, picture: &Picture, quad: &Quad, two_rows: bool) -> Result<Option<Read>, VisionError> {
        if !self.flatten(picture, quad, two_rows) {
            return Ok(None);
        }
        let sharpness = sharpness(self.network.planes());
        self.network.run()?;
        let (logits, colours) = (self.network.answer(0), self.network.answer(1));
        Ok(Some(Read { slots: SlotProbabilities::from_logits(logits), colours: softmax(colours), sharpness }))
    }

    fn flatten(&mut self, picture: &Picture, quad: &Quad, two_rows: bool) -> bool {
        let (plate, layout) = (self.network.planes(), self.layout);
        let [left, _, right, _] = layout.plate;
        if !two_rows {
            return plate.warp(picture, quad, &layout.rect(left, right), 0..layout.width);
        }
        let unit = Quad([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]);
        let Some(inner) = Homography::between(&unit, quad) else { return false };
        let part = |a: f32, b: f32| inner.apply_quad(&Quad([[0.0, a], [1.0, a], [1.0, b], [0.0, b]]));
        let (beside, between) = (layout.beside, layout.beside as f32);
        plate.warp(picture, &part(0.0, SPLIT), &layout.rect(left, between), 0..beside)
            && plate.warp(picture, &part(SPLIT, 1.0), &layout.rect(between, right), beside..layout.width)
    }
}

/// The mean absolute difference of neighbouring pixels' brightness along the rows, 0..1.
fn sharpness(plate: &Planes) -> f32 {
    let size = plate.width * plate.height;
    let green = &plate.values[size..2 * size];
    let differences: f32 =
        green.chunks_exact(plate.width).flat_map(|row| row.windows(2)).map(|p| (p[0] - p[1]).abs()).sum();
    differences / ((plate.height * (plate.width - 1)) as f32 * plate.span)
}

fn softmax(logits: &[f32]) -> [f32; 6] {
    let top = logits.iter().copied().fold(f32::MIN, f32::max);
    let sum: f32 = logits.iter().map(|l| (l - top).exp()).sum();
    std::array::from_fn(|i| (logits[i] - top).exp() / sum)
}
