//! Exact corners at full resolution: a rough quadrilateral in, a refined one out.

use super::VisionError;
use super::model::Model;
use super::network::Network;
use super::warp::Homography;
use crate::config;
use crate::picture::{Picture, Quad};

/// Where the found quadrilateral is laid in the 48 x 144 patch.
const PLACE: Quad = Quad([[22.0, 11.0], [122.0, 11.0], [122.0, 37.0], [22.0, 37.0]]);
/// If the corners moved by more than this share of the plate's width, the patch was badly placed: look once more. Of the full frames
/// kept back one in fourteen is looked at twice; with 0.10 one in five was, and none was read better for it.
const MOVED: f32 = 0.15;

/// What the refiner says of one find.
#[derive(Clone, Copy, Debug)]
pub struct Refined {
    /// Corners in pixels of the frame.
    pub quad: Quad,
    /// The probability that this is a plate, 0..1.
    pub is_plate: f32,
    /// The probability that it has two rows, 0..1.
    pub two_rows: f32,
}

/// The corner refiner.
pub struct Rectifier {
    network: Network,
}

impl Rectifier {
    /// Reads `corners.onnx`.
    pub fn load(settings: &config::Vision) -> Result<Rectifier, VisionError> {
        let session = Model::read(settings, "corners")?.session(settings, &[])?;
        let network = Network::new(session, "patch", [144, 48], &[("corners", &[1, 8]), ("flags", &[1, 2])])?;
        Ok(Rectifier { network })
    }

    /// How long the network has run since this was last asked.
    pub fn take_spent(&mut self) -> std::time::Duration {
        self.network.take_spent()
    }

    /// When and how the model was trained.
    pub fn trained(&self) -> String {
        Model::trained(self.network.session())
    }

    /// Refines a find; none if its corners make no quadrilateral.
    pub fn refine(&mut self, picture: &Picture, rough: &Quad) -> Result<Option<Refined>, VisionError> {
        let Some(first) = self.look(picture, rough)? else { return Ok(None) };
        let far = rough.0.iter().zip(&first.quad.0).map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1])).fold(0.0, f32::max);
        if far > MOVED * rough.width() {
            return self.look(picture, &first.quad);
        }
        Ok(Some(first))
    }

    fn look(&mut self, picture: &Picture, quad: &Quad) -> Result<Option<Refined>, VisionError> {
        let Some(back) = Homography::between(&PLACE, quad) else { return Ok(None) };
        if !self.network.planes().warp(picture, quad, &PLACE, 0..144) {
            return Ok(None);
        }
        self.network.run()?;
        let (corners, flags) = (self.network.answer(0), self.network.answer(1));
        let (&[a, b, c, d, e, f, g, h], &[is_plate, two_rows]) = (corners, flags) else {
            return Err(VisionError::Answer("the refiner's answer has another shape"));
        };
        let quad = back.apply_quad(&Quad([[a, b], [c, d], [e, f], [g, h]]));
        Ok(Some(Refined { quad, is_plate, two_rows }))
    }
}
