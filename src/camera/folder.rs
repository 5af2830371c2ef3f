//! A folder of pictures, played over and over.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{CameraError, FrameSource, Got, reduced};
use crate::picture::Picture;

/// The pictures of a folder in the order of their names; those that cannot be read are passed over.
pub(super) struct Folder {
    files: Vec<PathBuf>,
    at: usize,
    /// The pictures' sides are divided by this.
    scale: u32,
    due: Instant,
    every: Duration,
}

impl Folder {
    pub(super) fn open(path: &Path, fps: u32, scale: u32) -> Result<Folder, CameraError> {
        let wrong = |what: String| CameraError(format!("{}: {what}", path.display()));
        let entries = std::fs::read_dir(path).map_err(|e| wrong(e.to_string()))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(|p| p.is_file()).collect();
        files.sort();
        if files.is_empty() {
            return Err(wrong("no pictures in this folder".into()));
        }
        Ok(Folder { files, at: 0, scale, due: Instant::now(), every: Duration::from_secs(1) / fps.max(1) })
    }
}

impl FrameSource for Folder {
    fn read(&mut self, into: &mut Picture) -> Result<Got, CameraError> {
        std::thread::sleep(self.due.saturating_duration_since(Instant::now()));
        self.due = Instant::now() + self.every;
        for _ in 0..self.files.len() {
            let path = &self.files[self.at % self.files.len()];
            self.at += 1;
            let read = std::fs::read(path).map_err(|e| e.to_string());
            match read.and_then(|bytes| reduced::decode(&bytes, self.scale).map_err(|e| e.to_string())) {
                Ok(picture) => {
                    *into = picture;
                    return Ok(Got::Frame);
                }
                Err(error) => tracing::warn!(path = %path.display(), error, "a picture could not be read"),
            }
        }
        Err(CameraError("none of the folder's files is a readable picture".into()))
    }
}
