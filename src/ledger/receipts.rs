//! Photographs of receipts, in files beside the book.
//!
//! In: what a telephone took. Out: a smaller JPEG without anything but the picture (no place, no time, no device), named by
//! its SHA-256, which the entry carries.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use super::book::Book;
use super::entry::What;
use super::hash::Hash;
use super::verify::Fault;
use crate::store::{Store, StoreError, write_whole};

/// The folder of receipts.
pub struct Receipts {
    folder: PathBuf,
}

/// The longest side of a kept receipt, pixels, and its JPEG quality: small print stays legible.
const LONGEST: u32 = 1800;
const QUALITY: u8 = 80;
/// Memory that a picture may unfold to, bytes: 50 megapixels.
const MOST: u64 = 200 << 20;

/// Why a receipt was not kept.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// It is no picture.
    #[error("that is no picture that can be read (JPEG, PNG or WebP): {0}")]
    Picture(String),
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Receipts {
    pub(super) fn of(store: &Store) -> Receipts {
        Receipts { folder: store.folder().join("receipts") }
    }

    /// Keeps a photograph; on the disk when this returns. The same one again is kept once.
    pub fn keep(&self, bytes: &[u8]) -> Result<Hash, ReceiptError> {
        let jpeg = reduce(bytes).map_err(|e| ReceiptError::Picture(crate::text::one_line(&e.to_string())))?;
        let hash = Hash::of(&jpeg);
        write_whole(&self.path(&hash), &jpeg)?;
        Ok(hash)
    }

    /// Where a receipt is.
    pub fn path(&self, hash: &Hash) -> PathBuf {
        self.folder.join(format!("{hash}.jpg"))
    }

    /// Keeps what another box has of a receipt, if it is that one; on the disk when this returns `true`.
    pub fn keep_copy(&self, hash: &Hash, jpeg: &[u8]) -> Result<bool, StoreError> {
        if Hash::of(jpeg) != *hash {
            return Ok(false);
        }
        write_whole(&self.path(hash), jpeg)?;
        Ok(true)
    }

    /// Receipts of the book that are not here, the oldest first.
    pub fn missing(&self, book: &Book) -> Vec<Hash> {
        of_book(book).map(|(_, hash)| *hash).filter(|hash| !self.path(hash).is_file()).collect()
    }

    /// Is every receipt of the book there and unaltered?
    pub fn check(&self, book: &Book) -> Result<usize, Fault> {
        let mut found = 0;
        for (number, hash) in of_book(book) {
            let fault = |problem: &str| Fault { number, problem: problem.to_owned() };
            let bytes = std::fs::read(self.path(hash)).map_err(|_| fault("has lost the photograph of its receipt"))?;
            if Hash::of(&bytes) != *hash {
                return Err(fault("has an altered photograph of its receipt"));
            }
            found += 1;
        }
        Ok(found)
    }
}

/// Each receipt, with the number of its entry.
fn of_book(book: &Book) -> impl Iterator<Item = (u64, &Hash)> {
    book.entries().iter().filter_map(|sealed| match &sealed.entry.what {
        What::Spending { receipt: Some(hash), .. } | What::Transfer { receipt: Some(hash), .. } => {
            Some((sealed.entry.number, hash))
        }
        _ => None,
    })
}

/// The file name of a receipt in a backup, if it is one.
pub(crate) fn is_receipt(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    path.extension().is_some_and(|e| e == "jpg") && stem.parse::<Hash>().is_ok()
}

fn reduce(bytes: &[u8]) -> image::ImageResult<Vec<u8>> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST);
    (limits.max_image_width, limits.max_image_height) = (Some(20_000), Some(20_000));
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    // Telephones write which way up they were held beside the picture; that note is not kept.
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    if picture.width().max(picture.height()) > LONGEST {
        picture = picture.resize(LONGEST, LONGEST, FilterType::Triangle);
    }
    let mut jpeg = Vec::new();
    picture.into_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, QUALITY))?;
    Ok(jpeg)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn photograph(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let picture = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 90]));
        picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_photograph_is_kept_small_and_found_by_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let receipts = Receipts { folder: folder.path().join("receipts") };
        let hash = receipts.keep(&photograph(2400, 1200)).unwrap();
        let kept = std::fs::read(receipts.path(&hash)).unwrap();
        let picture = image::load_from_memory(&kept).unwrap();
        assert_eq!((picture.width(), picture.height()), (1800, 900));
        assert_eq!(Hash::of(&kept), hash);
        assert!(is_receipt(&receipts.path(&hash)) && !is_receipt(Path::new("receipts/x.jpg")));
    }

    #[test]
    fn what_is_no_picture_is_refused_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let receipts = Receipts { folder: folder.path().join("receipts") };
        let cut = photograph(40, 30)[..60].to_vec();
        for bytes in [&b""[..], b"<svg onload=alert(1)>", b"%PDF-1.7", &cut] {
            let error = receipts.keep(bytes).unwrap_err().to_string();
            assert!(error.contains("no picture") && !error.contains('\n'), "{error}");
        }
        assert!(!folder.path().join("receipts").exists());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_picture_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), png: bool) {
            if png {
                let mut picture = photograph(8, 8);
                picture.truncate(60);
                picture.append(&mut bytes);
                bytes = picture;
            }
            let _ = reduce(&bytes);
        }
    }
}
