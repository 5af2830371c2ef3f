//! OpenCV's video capture: V4L2, RTSP, GStreamer and video files. The only place that knows OpenCV.

use std::path::Path;
use std::time::{Duration, Instant};

use opencv::core::{Mat, MatTraitConst, MatTraitConstManual, Vector};
use opencv::videoio::{self, VideoCapture, VideoCaptureTrait, VideoCaptureTraitConst, VideoWriter};

use super::{CameraError, FrameSource, Got, Source, reduced, rtsp};
use crate::config;
use crate::picture::Picture;

/// An open camera or file.
pub(super) struct Capture {
    capture: VideoCapture,
    mat: Mat,
    /// Where JPEG frames come as they are, and are decoded at 1/this of their size.
    scale: Option<u32>,
    /// A file ends; a camera that gives nothing is lost.
    pace: Option<Pace>,
}

/// Plays a file at its own speed, so that it behaves like a camera.
struct Pace {
    due: Instant,
    every: Duration,
}

impl Capture {
    pub(super) fn open(settings: &config::Camera) -> Result<Capture, CameraError> {
        let settings = &signed_in(settings)?;
        let source = &settings.source;
        check_reachable(source, Duration::from_millis(settings.open_timeout_ms))?;
        let timeout = Duration::from_millis(settings.open_timeout_ms);
        let mut capture = open(settings).map_err(|e| CameraError(format!("{source}: {}", e.message)))?;
        if !capture.is_opened().unwrap_or(false) {
            let why = match source {
                Source::Rtsp(url) => rtsp::why(url, timeout),
                other => advice(other).to_owned(),
            };
            return Err(CameraError(format!("{source}: {why}")));
        }
        let scale = Some(settings.decode_scale).filter(|scale| *scale > 1);
        if scale.is_some() {
            take_undecoded(&mut capture, source)?;
        }
        let pace = matches!(source, Source::File(_)).then(|| {
            let fps = capture.get(videoio::CAP_PROP_FPS).unwrap_or(25.0);
            let fps = if fps.is_finite() { fps.clamp(1.0, 240.0) } else { 25.0 };
            Pace { due: Instant::now(), every: Duration::from_secs_f64(1.0 / fps) }
        });
        Ok(Capture { capture, mat: Mat::default(), scale, pace })
    }
}

/// Asks for the frames as the camera sends them, which must be JPEG: a picture of another kind can only be decoded whole.
fn take_undecoded(capture: &mut VideoCapture, source: &Source) -> Result<(), CameraError> {
    let wrong = |what: String| {
        CameraError(format!("{source}: camera.decode_scale needs JPEG frames (MJPG), {what}: set it to 1"))
    };
    let code = capture.get(videoio::CAP_PROP_FOURCC).unwrap_or(0.0) as i32;
    let kind: String = code.to_le_bytes().iter().map(|b| char::from(*b)).filter(char::is_ascii_graphic).collect();
    if !["MJPG", "JPEG", "jpeg", "mjpg"].contains(&kind.as_str()) {
        return Err(wrong(if kind.is_empty() { "which this is not".into() } else { format!("not '{kind}'") }));
    }
    let taken = match source {
        Source::V4l2(_) => capture.set(videoio::CAP_PROP_CONVERT_RGB, 0.0),
        _ => capture.set(videoio::CAP_PROP_FORMAT, -1.0),
    };
    if taken.unwrap_or(false) { Ok(()) } else { Err(wrong("and they cannot be had as they are".into())) }
}

/// With the password from its file, read anew each time: it may have been put right meanwhile.
fn signed_in(settings: &config::Camera) -> Result<config::Camera, CameraError> {
    match (&settings.source, &settings.password_file) {
        (Source::Rtsp(url), Some(file)) => {
            let source = Source::Rtsp(rtsp::with_password(url, file).map_err(CameraError)?);
            Ok(config::Camera { source, ..settings.clone() })
        }
        _ => Ok(settings.clone()),
    }
}

fn open(settings: &config::Camera) -> opencv::Result<VideoCapture> {
    let timeouts = Vector::from_slice(&[
        videoio::CAP_PROP_OPEN_TIMEOUT_MSEC,
        settings.open_timeout_ms as i32,
        videoio::CAP_PROP_READ_TIMEOUT_MSEC,
        settings.read_timeout_ms as i32,
    ]);
    match &settings.source {
        Source::V4l2(path) => {
            let mjpg = VideoWriter::fourcc('M', 'J', 'P', 'G')?;
            let wanted = [
                [videoio::CAP_PROP_FOURCC, mjpg],
                [videoio::CAP_PROP_FRAME_WIDTH, settings.width as i32],
                [videoio::CAP_PROP_FRAME_HEIGHT, settings.height as i32],
                [videoio::CAP_PROP_FPS, settings.fps as i32],
            ];
            let mut capture = VideoCapture::from_file(path, videoio::CAP_V4L2)?;
            for [key, value] in wanted {
                // A camera gives the nearest it has; what it gives is checked frame by frame.
                let _ = capture.set(key, f64::from(value));
            }
            Ok(capture)
        }
        Source::Rtsp(url) => VideoCapture::from_file_with_params(url, videoio::CAP_FFMPEG, &timeouts),
        Source::GStreamer(pipeline) => VideoCapture::from_file(pipeline, videoio::CAP_GSTREAMER),
        Source::File(path) => VideoCapture::from_file_with_params(path, videoio::CAP_FFMPEG, &timeouts),
        Source::Folder(_) | Source::Rendered => VideoCapture::default(),
    }
}

/// Finds the plain reasons that OpenCV does not tell: no such file, no permission, no connection.
fn check_reachable(source: &Source, timeout: Duration) -> Result<(), CameraError> {
    let wrong = |what: String| Err(CameraError(format!("{source}: {what}")));
    match source {
        Source::V4l2(path) => match std::fs::OpenOptions::new().read(true).write(true).open(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => wrong("no such camera: is it plugged in?".into()),
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                wrong("no permission: add the user to the group 'video'".into())
            }
            Err(e) => wrong(e.to_string()),
            Ok(_) => Ok(()),
        },
        Source::File(path) => match std::fs::metadata(path) {
            Err(e) => wrong(e.to_string()),
            Ok(m) if m.len() == 0 => wrong("the file is empty".into()),
            Ok(_) => Ok(()),
        },
        Source::Rtsp(url) => {
            let Some((host, port)) = rtsp::host(url) else { return wrong("no host in this address".into()) };
            rtsp::connect(&host, port, timeout).map(drop).or_else(wrong)
        }
        _ => Ok(()),
    }
}

fn advice(source: &Source) -> &'static str {
    match source {
        Source::V4l2(_) => "the camera gives no pictures: is another program using it?",
        Source::GStreamer(_) => "the pipeline does not start: try it with gst-launch-1.0; it must end in appsink",
        _ => "not a video that can be read",
    }
}

impl FrameSource for Capture {
    fn read(&mut self, into: &mut Picture) -> Result<Got, CameraError> {
        if let Some(pace) = &mut self.pace {
            std::thread::sleep(pace.due.saturating_duration_since(Instant::now()));
            pace.due += pace.every;
        }
        if !self.capture.read(&mut self.mat).map_err(|e| CameraError(e.message))? {
            return if self.pace.is_some() {
                Ok(Got::End)
            } else {
                Err(CameraError("the camera gives no more frames".into()))
            };
        }
        match self.scale {
            Some(scale) => {
                let bytes = self.mat.data_bytes().map_err(|e| CameraError(e.message))?;
                reduced::decode_jpeg(bytes, scale, into)?;
            }
            None => copy(&self.mat, into)?,
        }
        Ok(Got::Frame)
    }
}

/// Copies OpenCV's frame, which the next read overwrites.
pub(super) fn copy(mat: &Mat, into: &mut Picture) -> Result<(), CameraError> {
    let (width, height) = (mat.cols().max(0) as usize, mat.rows().max(0) as usize);
    if width == 0 || height == 0 {
        return Err(CameraError("the camera sends empty frames".into()));
    }
    let bytes = mat.data_bytes().map_err(|e| CameraError(e.message))?;
    let channels = mat.channels() as usize;
    if bytes.len() != width * height * channels {
        return Err(CameraError("the camera's frames have more than 8 bits a colour".into()));
    }
    (into.width, into.height) = (width, height);
    into.bgr.clear();
    match channels {
        3 => into.bgr.extend_from_slice(bytes),
        1 => into.bgr.extend(bytes.iter().flat_map(|&b| [b; 3])),
        4 => into.bgr.extend(bytes.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]])),
        n => return Err(CameraError(format!("frames with {n} colours are not known"))),
    }
    Ok(())
}

/// The frames of a video file, as fast as they can be decoded.
pub fn video_frames(path: &Path) -> Result<impl Iterator<Item = Result<Picture, CameraError>>, CameraError> {
    let settings = config::Camera { source: Source::File(path.to_path_buf()), ..Default::default() };
    let mut capture = Capture::open(&settings)?;
    if let Some(pace) = &mut capture.pace {
        pace.every = Duration::ZERO;
    }
    let mut over = false;
    Ok(std::iter::from_fn(move || {
        if over {
            return None;
        }
        let mut picture = Picture::default();
        match capture.read(&mut picture) {
            Ok(Got::Frame) => Some(Ok(picture)),
            Ok(Got::End) => None,
            Err(error) => {
                over = true;
                Some(Err(error))
            }
        }
    }))
}
