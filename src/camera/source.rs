//! The ways to name a camera, in the configuration and on the command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::text::one_line;

/// Where frames come from. Written as one text:
///
/// | text | what |
/// |---|---|
/// | `v4l2:/dev/video0` or `/dev/video0` | a camera of this machine (USB, MIPI) |
/// | `rtsp://user:password@host:554/path`, `rtsps://…` | a network camera, H.264 or H.265 over TCP |
/// | `gstreamer:nvarguscamerasrc ! … ! appsink` | any GStreamer pipeline that ends in an appsink with BGR frames |
/// | `file:/path/to/video.mp4` | a video file, once through |
/// | `folder:/path/to/pictures` | the pictures of a folder in the order of their names, over and over |
/// | `rendered` | a painted lane with cars of the demo compound |
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// A Video4Linux2 device.
    V4l2(PathBuf),
    /// An RTSP address, possibly with a password in it.
    Rtsp(String),
    /// A GStreamer pipeline.
    GStreamer(String),
    /// A video file.
    File(PathBuf),
    /// A folder of pictures.
    Folder(PathBuf),
    /// The painted lane.
    Rendered,
}

/// A text that names no camera.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' names no camera: expected v4l2:/dev/video0, rtsp://host/path, gstreamer:PIPELINE, file:VIDEO, folder:PICTURES or rendered"
)]
pub struct SourceError(String);

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Source, SourceError> {
        let text = text.trim();
        let refused = || Err(SourceError(one_line(text).chars().take(80).collect()));
        if text == "rendered" {
            return Ok(Source::Rendered);
        }
        if text.starts_with("/dev/") {
            return Ok(Source::V4l2(text.into()));
        }
        let Some((scheme, rest)) = text.split_once(':') else { return refused() };
        let rest = rest.trim();
        if rest.is_empty() || rest == "//" || rest.contains('\0') {
            return refused();
        }
        match scheme {
            "v4l2" => Ok(Source::V4l2(rest.into())),
            "rtsp" | "rtsps" if rest.starts_with("//") => Ok(Source::Rtsp(format!("{scheme}:{rest}"))),
            "gstreamer" => Ok(Source::GStreamer(rest.to_owned())),
            "file" => Ok(Source::File(rest.into())),
            "folder" => Ok(Source::Folder(rest.into())),
            _ => refused(),
        }
    }
}

/// Without the password: this text goes into logs and onto the page.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::V4l2(path) => write!(f, "v4l2:{}", path.display()),
            Source::Rtsp(url) => match (url.split_once("://"), url.rsplit_once('@')) {
                (Some((scheme, _)), Some((_, host))) => write!(f, "{scheme}://…@{host}"),
                _ => f.write_str(url),
            },
            Source::GStreamer(pipeline) => write!(f, "gstreamer:{pipeline}"),
            Source::File(path) => write!(f, "file:{}", path.display()),
            Source::Folder(path) => write!(f, "folder:{}", path.display()),
            Source::Rendered => f.write_str("rendered"),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Source, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_documented_ways_parse() {
        for (text, want) in [
            ("v4l2:/dev/video2", Source::V4l2("/dev/video2".into())),
            ("/dev/video0", Source::V4l2("/dev/video0".into())),
            ("rtsp://u:p@10.0.0.5:554/live", Source::Rtsp("rtsp://u:p@10.0.0.5:554/live".into())),
            ("rtsp: \t//u:p@10.0.0.5/live", Source::Rtsp("rtsp://u:p@10.0.0.5/live".into())),
            ("gstreamer:videotestsrc ! appsink", Source::GStreamer("videotestsrc ! appsink".into())),
            ("file:a b.mp4", Source::File("a b.mp4".into())),
            ("folder:pictures", Source::Folder("pictures".into())),
            ("rendered", Source::Rendered),
        ] {
            assert_eq!(text.parse::<Source>().unwrap(), want);
        }
        for text in ["", "video0", "http://x", "file:", "rtsp:host", "rtsp://"] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let source: Source = "rtsp://admin:s3cret@10.0.0.5/live".parse().unwrap();
        assert_eq!(source.to_string(), "rtsp://…@10.0.0.5/live");
        assert!(!format!("{source:?}").contains("s3cret"));
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused(text in "\\PC{0,40}") {
            if let Ok(source) = text.parse::<Source>() {
                let _ = source.to_string();
            }
        }
    }
}
