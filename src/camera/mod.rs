//! Frames in.
//!
//! In: the name of a camera ([`Source`]). Out: the newest [`Frame`], and the camera's [`CameraState`].
//! A grabber thread per camera overwrites a one-place mailbox; nothing queues up, and frames that nobody takes are
//! overwritten. A supervisor gives up on a grabber that is stuck in a driver and opens the camera anew. This room must
//! not know what a plate is for; the rendered lane ([`rendered`]) paints plates it is given.

mod capture;
mod folder;
mod mailbox;
mod reduced;
pub mod rendered;
mod rtsp;
mod source;
mod supervisor;

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::config;
use crate::picture::Picture;
pub use capture::video_frames;
use mailbox::Mailbox;
pub use reduced::{SCALES, decode};
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
    /// The file or script is at its end.
    Ended,
}

/// Why there is no frame, in one line that says what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct CameraError(pub String);

impl CameraError {
    /// Does the camera refuse name and password? To try them again and again would lock it up.
    pub fn is_refusal(&self) -> bool {
        self.0.contains(rtsp::REFUSED)
    }
}

/// What a source gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    /// The next frame is in the picture.
    Frame,
    /// There will be no more.
    End,
}

/// Something that gives one frame after the other, waiting for each.
pub(crate) trait FrameSource {
    /// The next frame, into a picture whose memory is used again.
    fn read(&mut self, into: &mut Picture) -> Result<Got, CameraError>;
}

/// Opens a source; called on the grabber's thread, again after each loss.
pub(crate) type Opener = Box<dyn Fn() -> Result<Box<dyn FrameSource>, CameraError> + Send + Sync>;

/// A camera that is being read.
pub struct Camera {
    mailbox: Mailbox,
    supervisor: Option<std::thread::JoinHandle<()>>,
    description: String,
}

impl Camera {
    /// Starts reading the configured camera; `lane` is what the rendered one shows.
    pub fn start(settings: &config::Camera, lane: rendered::Script) -> Camera {
        let limits = supervisor::Limits {
            open: Duration::from_millis(settings.open_timeout_ms) + Duration::from_secs(2),
            read: Duration::from_millis(settings.read_timeout_ms) + Duration::from_secs(1),
            longest_pause: Duration::from_secs(settings.retry_at_most_s),
        };
        Camera::with(opener(settings, lane), limits, settings.source.to_string())
    }

    fn with(open: Opener, limits: supervisor::Limits, description: String) -> Camera {
        let mailbox = Mailbox::default();
        let supervisor = supervisor::start(mailbox.clone(), open, limits);
        Camera { mailbox, supervisor: Some(supervisor), description }
    }

    /// Waits for a frame newer than any taken before and puts it into `frame`, whose old picture's memory goes back to
    /// the grabber. `false` if none came in time.
    pub fn next(&self, frame: &mut Option<Frame>, timeout: Duration) -> bool {
        self.mailbox.take(frame, timeout)
    }

    /// How it is doing.
    pub fn state(&self) -> CameraState {
        self.mailbox.state()
    }

    /// A handle to ask how it is doing, for other threads.
    pub fn watcher(&self) -> Watcher {
        Watcher { mailbox: self.mailbox.clone(), description: self.description.clone() }
    }

    /// Stops reading. A grabber that is stuck in a driver is left behind; this returns at once all the same.
    pub fn stop(&mut self) {
        self.mailbox.stop();
        if let Some(thread) = self.supervisor.take() {
            // A supervisor that panicked has already been reported by the panic itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Asks how a camera is doing, without taking its frames.
#[derive(Clone)]
pub struct Watcher {
    mailbox: Mailbox,
    description: String,
}

impl Watcher {
    /// How it is doing.
    pub fn state(&self) -> CameraState {
        self.mailbox.state()
    }

    /// Is it looked after: do frames come, or is it opened again and again? `false` when only a new process helps.
    pub fn is_tended(&self) -> bool {
        self.mailbox.is_tended()
    }

    /// Frames a second, as they came lately; nothing while none come.
    pub fn fps(&self) -> Option<f64> {
        self.mailbox.fps()
    }

    /// How often frames stayed away since the start.
    pub fn losses(&self) -> u64 {
        self.mailbox.losses()
    }

    /// Which camera it is, without its password.
    pub fn describe(&self) -> &str {
        &self.description
    }
}

fn opener(settings: &config::Camera, lane: rendered::Script) -> Opener {
    let settings = settings.clone();
    Box::new(move || match &settings.source {
        Source::Rendered => Ok(Box::new(rendered::RenderedLane::new(lane.clone(), settings.fps))),
        Source::Folder(path) => Ok(Box::new(folder::Folder::open(path, settings.fps, settings.decode_scale)?)),
        _ => Ok(Box::new(capture::Capture::open(&settings)?)),
    })
}

/// What a network camera may answer, and be called; for [`crate::fuzzing`].
pub(crate) fn fuzz_answer(bytes: &[u8]) {
    rtsp::fuzz(bytes);
}

/// Tells OpenCV how to behave. Must be called before any thread is started.
pub fn prepare_environment() {
    let set = |key: &str, value: &str| {
        if std::env::var_os(key).is_none() {
            // SAFETY: called first thing in `main`, when there is one thread only.
            unsafe { std::env::set_var(key, value) };
        }
    };
    set("OPENCV_LOG_LEVEL", "SILENT");
    set("OPENCV_FFMPEG_LOGLEVEL", "-8");
    // Half a second of a stream is enough to know what it is, and its frame rate is nothing to us: without these two, opening
    // a camera takes as long as twenty of its frames.
    let quick = "analyzeduration;500000|fpsprobesize;1";
    set("OPENCV_FFMPEG_CAPTURE_OPTIONS", &format!("rtsp_transport;tcp|fflags;nobuffer|flags;low_delay|{quick}"));
}

#[cfg(test)]
mod tests;
