//! Pictures decoded at a half, a quarter or an eighth of their size.
//!
//! A JPEG's decoder can leave out what would be averaged away: decoding takes less time, and everything after it sees a
//! smaller frame. OpenCV's does that (libjpeg's scaling); other formats are decoded whole and shrunk.

use opencv::core::Mat;
use opencv::core::MatTraitConst;
use opencv::imgcodecs;

use super::{CameraError, capture};
use crate::picture::Picture;

/// What a picture's sides may be divided by.
pub const SCALES: [u32; 4] = [1, 2, 4, 8];
/// Larger pictures are refused, as [`Picture::decode`] does.
const MOST_PIXELS: u64 = 100_000_000;

/// Decodes a picture at 1/`scale` of its size; `scale` is one of [`SCALES`].
pub fn decode(bytes: &[u8], scale: u32) -> Result<Picture, CameraError> {
    if scale == 1 || !is_jpeg(bytes) {
        let picture = Picture::decode(bytes).map_err(|e| CameraError(e.to_string()))?;
        let longest = picture.width.max(picture.height) / scale as usize;
        return Ok(if scale == 1 { picture } else { picture.shrunk_to(longest.max(1)) });
    }
    let mut picture = Picture::default();
    decode_jpeg(bytes, scale, &mut picture)?;
    Ok(picture)
}

/// Does it begin as a JPEG does?
pub fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8, 0xff])
}

/// Decodes a JPEG at 1/`scale` of its size, into a picture whose memory is used again.
pub(super) fn decode_jpeg(bytes: &[u8], scale: u32, into: &mut Picture) -> Result<(), CameraError> {
    let wrong = |what: &str| CameraError(format!("a JPEG that cannot be decoded: {what}"));
    let size = image::ImageReader::with_format(std::io::Cursor::new(bytes), image::ImageFormat::Jpeg).into_dimensions();
    let (width, height) = size.map_err(|e| wrong(&e.to_string()))?;
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(wrong("it is too large"));
    }
    let reduced = match scale {
        2 => imgcodecs::IMREAD_REDUCED_COLOR_2,
        4 => imgcodecs::IMREAD_REDUCED_COLOR_4,
        8 => imgcodecs::IMREAD_REDUCED_COLOR_8,
        _ => imgcodecs::IMREAD_COLOR,
    };
    let flags = reduced | imgcodecs::IMREAD_IGNORE_ORIENTATION;
    let encoded = Mat::from_slice(bytes).map_err(|e| wrong(&e.message))?;
    let mat = imgcodecs::imdecode(&encoded, flags).map_err(|e| wrong(&e.message))?;
    if mat.empty() {
        return Err(wrong("it is damaged"));
    }
    capture::copy(&mat, into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Left half black, right half white.
    fn halves(width: usize, height: usize) -> Picture {
        let row: Vec<u8> = (0..width).flat_map(|x| [if x < width / 2 { 0 } else { 255 }; 3]).collect();
        Picture { width, height, bgr: row.repeat(height) }
    }

    #[test]
    fn a_picture_comes_out_at_its_fraction() {
        let jpeg = halves(640, 352).to_jpeg(95).unwrap();
        for scale in SCALES {
            let picture = decode(&jpeg, scale).unwrap();
            let (w, h) = (640 / scale as usize, 352 / scale as usize);
            assert_eq!((picture.width, picture.height, picture.bgr.len()), (w, h, w * h * 3));
            let at = |x: usize| picture.bgr[(h / 2 * w + x) * 3];
            assert!(at(w / 4) < 8 && at(w * 3 / 4) > 247, "1/{scale}: {} {}", at(w / 4), at(w * 3 / 4));
        }
        let mut png = std::io::Cursor::new(Vec::new());
        image::DynamicImage::new_rgb8(64, 32).write_to(&mut png, image::ImageFormat::Png).unwrap();
        let picture = decode(png.get_ref(), 4).unwrap();
        assert_eq!((picture.width, picture.height), (16, 8));
    }

    #[test]
    fn what_cannot_be_decoded_is_an_error() {
        let jpeg = halves(64, 32).to_jpeg(90).unwrap();
        assert!(decode(&jpeg[..20], 2).is_err());
        assert!(decode(b"", 2).is_err());
        assert!(decode(b"\xff\xd8\xff", 4).is_err());
    }

    proptest! {
        #[test]
        fn a_damaged_jpeg_never_panics(at in 0usize..600, value: u8, cut in 0usize..700) {
            let mut jpeg = halves(40, 30).to_jpeg(80).unwrap();
            let n = jpeg.len();
            jpeg[at % n] = value;
            jpeg.truncate(cut.max(1));
            let _ = decode(&jpeg, 2);
        }
    }
}
