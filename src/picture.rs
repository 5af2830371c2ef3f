//! A picture in memory and a quadrilateral on it: what the camera hands to the corridor.

use serde::{Deserialize, Serialize};

/// An 8-bit colour picture, rows top to bottom without padding, three bytes a pixel in the order blue, green, red (as
/// video decoders and OpenCV give them).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Picture {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height * 3` bytes.
    pub bgr: Vec<u8>,
}

impl Picture {
    /// A picture of one colour, given as blue, green, red.
    pub fn filled(width: usize, height: usize, bgr: [u8; 3]) -> Picture {
        Picture { width, height, bgr: bgr.repeat(width * height) }
    }

    /// Decodes a JPEG, PNG, WebP or BMP; the type is told by its content. Pictures over 100 million pixels are refused,
    /// so that a hostile header cannot take the box's memory.
    pub fn decode(bytes: &[u8]) -> Result<Picture, PictureError> {
        let mut reader = image::ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format()?;
        let mut limits = image::Limits::default();
        limits.max_alloc = Some(400 << 20);
        limits.max_image_width = Some(20_000);
        limits.max_image_height = Some(20_000);
        reader.limits(limits);
        let mut rgb = reader.decode()?.into_rgb8();
        let (width, height) = (rgb.width() as usize, rgb.height() as usize);
        if width == 0 || height == 0 {
            return Err(PictureError::Empty);
        }
        for pixel in rgb.chunks_exact_mut(3) {
            pixel.swap(0, 2);
        }
        Ok(Picture { width, height, bgr: rgb.into_raw() })
    }

    /// Encodes as JPEG; `quality` 1..=100.
    pub fn to_jpeg(&self, quality: u8) -> Result<Vec<u8>, PictureError> {
        let mut rgb = self.bgr.clone();
        for pixel in rgb.chunks_exact_mut(3) {
            pixel.swap(0, 2);
        }
        let mut out = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, quality);
        image::ImageEncoder::write_image(
            encoder,
            &rgb,
            self.width as u32,
            self.height as u32,
            image::ExtendedColorType::Rgb8,
        )?;
        Ok(out)
    }

    /// The part from `x`, `y`, `width` by `height` pixels, cut at the picture's edges.
    pub fn crop(&self, x: usize, y: usize, width: usize, height: usize) -> Picture {
        let (x, y) = (x.min(self.width), y.min(self.height));
        let (width, height) = (width.min(self.width - x), height.min(self.height - y));
        let mut bgr = Vec::with_capacity(width * height * 3);
        for row in y..y + height {
            let at = (row * self.width + x) * 3;
            bgr.extend_from_slice(&self.bgr[at..at + width * 3]);
        }
        Picture { width, height, bgr }
    }

    /// The picture shrunk to at most `longest` pixels a side (each new pixel the mean of those it covers); unchanged if
    /// it is smaller.
    pub fn shrunk_to(&self, longest: usize) -> Picture {
        let side = self.width.max(self.height);
        if side <= longest {
            return self.clone();
        }
        let (width, height) = ((self.width * longest / side).max(1), (self.height * longest / side).max(1));
        let Some(buffer) = image::RgbImage::from_raw(self.width as u32, self.height as u32, self.bgr.clone()) else {
            return self.clone();
        };
        // The order of the channels does not matter to a resize.
        let small = image::imageops::thumbnail(&buffer, width as u32, height as u32);
        Picture { width, height, bgr: small.into_raw() }
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}

/// Why bytes are not a picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// No pixels.
    #[error("the picture has no pixels")]
    Empty,
    /// Could not be read.
    #[error("{0}")]
    Read(#[from] std::io::Error),
    /// Not a picture of a known type, broken, or too large.
    #[error("{0}")]
    Decode(#[from] image::ImageError),
}

/// Four corners in pixels of a picture, clockwise from the top left as the plate's reader sees it: top left, top right,
/// bottom right, bottom left. A pixel's centre lies on whole numbers, as in OpenCV.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quad(pub [[f32; 2]; 4]);

impl Quad {
    /// The mean of the corners.
    pub fn centre(&self) -> [f32; 2] {
        let sum = self.0.iter().fold([0.0, 0.0], |a, p| [a[0] + p[0], a[1] + p[1]]);
        [sum[0] / 4.0, sum[1] / 4.0]
    }

    /// The mean of the upper and the lower edge's length, pixels.
    pub fn width(&self) -> f32 {
        (distance(self.0[0], self.0[1]) + distance(self.0[3], self.0[2])) / 2.0
    }

    /// The same with the plate's length and height multiplied by these factors about its centre.
    pub fn grown(&self, along: f32, across: f32) -> Quad {
        let [a, b, c, d] = self.0;
        let half = |i: usize| [(b[i] - a[i] + c[i] - d[i]) / 4.0, (d[i] - a[i] + c[i] - b[i]) / 4.0];
        let ([ux, vx], [uy, vy]) = (half(0), half(1));
        let signs = [[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]];
        Quad(std::array::from_fn(|i| {
            let [s, t] = [signs[i][0] * (along - 1.0), signs[i][1] * (across - 1.0)];
            [self.0[i][0] + s * ux + t * vx, self.0[i][1] + s * uy + t * vy]
        }))
    }

    /// The smallest upright rectangle around it: left, top, right, bottom.
    pub fn bounds(&self) -> [f32; 4] {
        let mut b = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
        for p in &self.0 {
            b = [b[0].min(p[0]), b[1].min(p[1]), b[2].max(p[0]), b[3].max(p[1])];
        }
        b
    }

    /// Does the other's centre lie within the bounds of this one?
    pub fn covers(&self, other: &Quad) -> bool {
        let ([x, y], [x0, y0, x1, y1]) = (other.centre(), self.bounds());
        (x0..=x1).contains(&x) && (y0..=y1).contains(&y)
    }
}

/// Of items in the order of their worth, drops those that a better one [`covers`](Quad::covers).
pub fn drop_covered<T>(items: &mut Vec<T>, quad: impl Fn(&T) -> &Quad) {
    let mut kept = 0;
    for i in 0..items.len() {
        if !items[..kept].iter().any(|better| quad(better).covers(quad(&items[i]))) {
            items.swap(kept, i);
            kept += 1;
        }
    }
    items.truncate(kept);
}

fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_jpeg_comes_back_in_its_colours() {
        let picture = Picture::filled(64, 32, [200, 80, 20]);
        let back = Picture::decode(&picture.to_jpeg(95).unwrap()).unwrap();
        assert_eq!((back.width, back.height), (64, 32));
        for (got, want) in back.bgr[..3].iter().zip([200u8, 80, 20]) {
            assert!(got.abs_diff(want) < 6, "{:?}", &back.bgr[..3]);
        }
    }

    #[test]
    fn growing_keeps_the_centre_and_the_lean() {
        let quad = Quad([[10.0, 10.0], [50.0, 20.0], [48.0, 32.0], [8.0, 22.0]]);
        let grown = quad.grown(1.5, 1.0);
        assert_eq!(grown.centre(), quad.centre());
        assert_eq!(grown.0, [[0.0, 7.5], [60.0, 22.5], [58.0, 34.5], [-2.0, 19.5]]);
        assert_eq!(quad.grown(1.0, 1.0).0, quad.0);
        assert_eq!(quad.grown(1.0, 2.0).0[0], [11.0, 4.0]);
    }

    #[test]
    fn a_crop_is_cut_at_the_edges() {
        let crop = Picture::filled(10, 8, [1, 2, 3]).crop(6, 6, 100, 100);
        assert_eq!((crop.width, crop.height, crop.bgr.len()), (4, 2, 24));
    }

    #[test]
    fn shrinking_keeps_the_proportions() {
        let small = Picture::filled(1920, 1080, [9, 9, 9]).shrunk_to(480);
        assert_eq!((small.width, small.height, small.bgr[0]), (480, 270, 9));
    }

    proptest! {
        #[test]
        fn decoding_any_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Picture::decode(&bytes);
        }

        #[test]
        fn decoding_a_damaged_jpeg_never_panics(at in 0usize..600, value: u8, cut in 0usize..700) {
            let mut jpeg = Picture::filled(40, 30, [10, 200, 90]).to_jpeg(80).unwrap();
            let n = jpeg.len();
            jpeg[at % n] = value;
            jpeg.truncate(cut.max(1));
            let _ = Picture::decode(&jpeg);
        }
    }
}
