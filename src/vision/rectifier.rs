//! Exact corners at full resolution: a rough quadrilateral in, a refined one out.

use ort::session::Session;
use ort::value::TensorRef;

use super::VisionError;
use super::runtime::Model;
use super::warp::{Homography, Planes};
use crate::config;
use crate::picture::{Picture, Quad};

/// Where the found quadrilateral is laid in the 48 x 144 patch.
const PLACE: Quad = Quad([[22.0, 11.0], [122.0, 11.0], [122.0, 37.0], [22.0, 37.0]]);
/// If the corners moved by more than this share of the plate's width, the patch was badly placed: look once more.
const MOVED: f32 = 0.10;

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
    session: Session,
    patch: Planes,
}

impl Rectifier {
    /// Reads `corners.onnx`.
    pub fn load(settings: &config::Vision) -> Result<Rectifier, VisionError> {
        let session = Model::read(settings, "corners")?.session(settings, &[])?;
        Ok(Rectifier { session, patch: Planes::new(144, 48) })
    }

    /// When and how the model was trained.
    pub fn trained(&self) -> String {
        Model::trained(&self.session)
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
        if !self.patch.warp(picture, quad, &PLACE, 0..144) {
            return Ok(None);
        }
        let input = TensorRef::from_array_view(([1usize, 3, 48, 144], self.patch.values.as_slice()))?;
        let outputs = self.session.run(ort::inputs![input])?;
        let (_, c) = outputs["corners"].try_extract_tensor::<f32>()?;
        let (_, flags) = outputs["flags"].try_extract_tensor::<f32>()?;
        let (&[a, b, c, d, e, f, g, h], &[is_plate, two_rows]) = (c, flags) else {
            return Err(VisionError::Answer("the refiner's answer has another shape"));
        };
        let quad = back.apply_quad(&Quad([[a, b], [c, d], [e, f], [g, h]]));
        Ok(Some(Refined { quad, is_plate, two_rows }))
    }
}
