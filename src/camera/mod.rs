//! Frames in.
//!
//! In: the name of a camera ([`Source`]). Out: the newest [`Frame`], and the camera's [`CameraState`].
//! A grabber thread per camera overwrites a one-place mailbox; nothing queues up. This room must not know what a plate
//! is; the rendered lane (`rendered/`) paints plates it is given as text.

mod source;

use std::time::Instant;

use jiff::Timestamp;

use crate::picture::Picture;
pub use source::{Source, SourceError};

/// One frame with the time it was taken.
#[derive(Debug)]
pub struct Frame {
    /// The picture.
    pub picture: Picture,
    /// When it came out of the camera, on the clock that never jumps.
    pub captured: Instant,
    /// The same moment on the wall clock, for the records.
    pub taken_at: Timestamp,
    /// Counts the frames of this camera since the start, from 1.
    pub sequence: u64,
}

/// How a camera is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CameraState {
    /// Being opened for the first time.
    Opening,
    /// Frames come.
    Live {
        /// Pixels a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// No frames; it is opened anew again and again.
    Lost {
        /// What is wrong, in one line for a steward.
        reason: String,
        /// Since when.
        since: Timestamp,
        /// Attempts to open it since then.
        attempts: u32,
    },
    /// The file is at its end.
    Ended,
}
