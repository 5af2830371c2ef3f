//! `[camera]`: Where frames come from.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Problem, within};
use crate::camera::{SCALES, Source};

/// `[camera]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Camera {
    /// Where frames come from; see [`Source`] for the ways to write it.
    pub source: Source,
    /// The file with an RTSP camera's password, whose source then has the user name only. A name without a folder is looked
    /// for among systemd's credentials first.
    pub password_file: Option<PathBuf>,
    /// Width asked of a V4L2 device, pixels.
    pub width: u32,
    /// Height asked of a V4L2 device, pixels.
    pub height: u32,
    /// Frames a second asked of a V4L2 device, and played from a folder.
    pub fps: u32,
    /// JPEG frames are decoded at 1/this of their size: 1, 2, 4 or 8. Less work, smaller plates.
    pub decode_scale: u32,
    /// How long opening may take, milliseconds.
    pub open_timeout_ms: u64,
    /// How long the next frame may take, milliseconds.
    pub read_timeout_ms: u64,
    /// The longest pause between two attempts to open a lost camera, seconds.
    pub retry_at_most_s: u64,
}

impl Default for Camera {
    fn default() -> Camera {
        Camera {
            source: Source::Rendered,
            password_file: None,
            width: 1920,
            height: 1080,
            fps: 25,
            decode_scale: 1,
            open_timeout_ms: 3000,
            read_timeout_ms: 3000,
            retry_at_most_s: 2,
        }
    }
}

impl Camera {
    pub(super) fn check(&self) -> Result<(), Problem> {
        if !(16..=8192).contains(&self.width) || !(16..=8192).contains(&self.height) {
            let found = format!("{}x{}", self.width, self.height);
            return Err(Problem::new("camera.width/height", found, "16..8192 pixels a side"));
        }
        within("camera.fps", self.fps, 1..=240, "1..240 frames a second")?;
        if !SCALES.contains(&self.decode_scale) {
            return Err(Problem::new("camera.decode_scale", self.decode_scale, "1, 2, 4 or 8"));
        }
        within("camera.open_timeout_ms", self.open_timeout_ms, 100..=60_000, "100..60000 milliseconds")?;
        within("camera.read_timeout_ms", self.read_timeout_ms, 100..=60_000, "100..60000 milliseconds")?;
        within("camera.retry_at_most_s", self.retry_at_most_s, 1..=3600, "1..3600 seconds")
    }
}
