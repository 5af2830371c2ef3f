//! The one configuration file: typed, in TOML, every key with a default, unknown keys refused.
//!
//! Every error names the file, the key and what was expected, and ends the program with exit status 2.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::camera::Source;
use crate::plate::{Kind, PROVINCES};
use crate::text::one_line;

/// Everything that can be set. `deploy/plategate.example.toml` explains each key to the operator.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where things are kept.
    pub data: Data,
    /// Where frames come from.
    pub camera: Camera,
    /// How they are read.
    pub vision: Vision,
    /// When it opens.
    pub gate: Gate,
    /// What it presses.
    pub barrier: Barrier,
    /// The stewards' page.
    pub web: Web,
}

/// `[data]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// The folder with the register, the journal and the pictures.
    pub folder: PathBuf,
    /// Days that a stranger's plate and picture are kept.
    pub keep_strangers_days: u32,
    /// Days that other events are kept (GA/T 1742-2020 asks for 365).
    pub keep_events_days: u32,
}

impl Default for Data {
    fn default() -> Data {
        Data { folder: PathBuf::from("data"), keep_strangers_days: 30, keep_events_days: 365 }
    }
}

/// `[camera]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Camera {
    /// Where frames come from; see [`Source`] for the ways to write it.
    pub source: Source,
    /// Width asked of a V4L2 device, pixels.
    pub width: u32,
    /// Height asked of a V4L2 device, pixels.
    pub height: u32,
    /// Frames a second asked of a V4L2 device, and played from a folder.
    pub fps: u32,
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
            width: 1920,
            height: 1080,
            fps: 25,
            open_timeout_ms: 3000,
            read_timeout_ms: 3000,
            retry_at_most_s: 15,
        }
    }
}

/// `[vision]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vision {
    /// The folder with `detector.onnx`, `corners.onnx` and `reader.onnx`; found by itself when not set.
    pub models: Option<PathBuf>,
    /// ONNX Runtime's shared library; found by itself when not set.
    pub onnxruntime: Option<PathBuf>,
    /// What computes.
    pub provider: Provider,
    /// How the networks compute.
    pub precision: Precision,
    /// Threads a network may use.
    pub threads: usize,
    /// The lane in the picture: left, top, width, height as shares 0..1 of the frame. Nothing outside is looked at.
    pub lane: Option<[f32; 4]>,
    /// The narrowest plate worth reading, pixels of the frame.
    pub narrowest_plate_px: f32,
}

impl Default for Vision {
    fn default() -> Vision {
        Vision {
            models: None,
            onnxruntime: None,
            provider: Provider::Cpu,
            precision: Precision::Auto,
            threads: 1,
            lane: None,
            narrowest_plate_px: 40.0,
        }
    }
}

/// How the networks compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Each network in the form that was measured to serve best: on a CPU the reader in 8-bit integers, everything else
    /// in 32-bit floating point.
    #[default]
    Auto,
    /// 32-bit floating point.
    Fp32,
    /// 8-bit integers.
    Int8,
}

/// ONNX Runtime's execution providers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Any CPU.
    #[default]
    Cpu,
    /// NVIDIA, through CUDA.
    Cuda,
    /// NVIDIA, through TensorRT (a Jetson's fastest).
    Tensorrt,
    /// Intel CPUs and GPUs.
    Openvino,
    /// Qualcomm NPUs.
    Qnn,
    /// Rockchip NPUs.
    Rknpu,
    /// Huawei Ascend NPUs.
    Cann,
    /// ARM and x86 CPUs, through XNNPACK.
    Xnnpack,
    /// ARM CPUs, through the Arm Compute Library.
    Acl,
}

/// `[gate]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gate {
    /// What this gate is called in the records.
    pub name: String,
    /// Frames older than this never open anything, milliseconds.
    pub max_frame_age_ms: u64,
    /// The compound's false-open budget: at most one stranger in so many may be let in by mistake.
    pub false_open_one_in: f64,
    /// Frames that must agree before it opens.
    pub frames_to_open: u32,
    /// The province most strangers come from.
    pub home_province: char,
    /// The letter of the city most strangers come from.
    pub home_city: char,
    /// What happens to a registered car whose share is not paid.
    pub unpaid: Unpaid,
    /// Kinds of plate that always come in.
    pub always_open: Vec<Kind>,
    /// A car that stands so long without being let in is put on record as refused, milliseconds.
    pub refuse_after_ms: u64,
    /// The same plate is not put on record again before so many seconds have passed.
    pub repeat_after_s: u64,
}

impl Default for Gate {
    fn default() -> Gate {
        Gate {
            name: "gate".into(),
            max_frame_age_ms: 500,
            false_open_one_in: 10_000.0,
            frames_to_open: 2,
            home_province: '苏',
            home_city: 'F',
            unpaid: Unpaid::Refuse,
            always_open: vec![Kind::Emergency, Kind::Police],
            refuse_after_ms: 1500,
            repeat_after_s: 20,
        }
    }
}

/// What happens to a registered car whose share is not paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unpaid {
    /// It stays out, and the record says why.
    Refuse,
    /// It comes in, and the record reminds the steward.
    Open,
}

/// `[barrier]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Barrier {
    /// What the "open" button hangs on.
    pub output: Output,
    /// The GPIO character device.
    pub chip: PathBuf,
    /// The line's offset on the chip.
    pub line: u32,
    /// The relay is on when the line is low.
    pub active_low: bool,
    /// How long "open" is pressed, milliseconds.
    pub pulse_ms: u64,
    /// The shortest time between two presses, milliseconds.
    pub min_gap_ms: u64,
}

impl Default for Barrier {
    fn default() -> Barrier {
        Barrier {
            output: Output::Simulated,
            chip: PathBuf::from("/dev/gpiochip0"),
            line: 17,
            active_low: false,
            pulse_ms: 500,
            min_gap_ms: 3000,
        }
    }
}

/// What the "open" button hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// Nothing: the arm exists in memory only.
    Simulated,
    /// A relay on a line of the kernel's GPIO character device.
    Gpio,
}

/// `[web]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Web {
    /// Address and port of the page. Only this machine sees it unless it is set otherwise.
    pub listen: SocketAddr,
}

impl Default for Web {
    fn default() -> Web {
        Web { listen: SocketAddr::from(([127, 0, 0, 1], 8460)) }
    }
}

/// Why a configuration was refused. Ends the program with exit status 2.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Not TOML, an unknown key, or a wrong type.
    #[error("{path}: {place}{problem}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The key and line, as far as they are known.
        place: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// A value that cannot be.
    #[error("{path}: {key} = {found}: expected {expected}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, such as `gate.false_open_one_in`.
        key: &'static str,
        /// What was set.
        found: String,
        /// What may be set.
        expected: &'static str,
    },
}

impl Config {
    /// Reads and checks the file.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|error| ConfigError::Read { path: path.to_path_buf(), error })?;
        Config::parse(&text, path)
    }

    /// Reads and checks the text of a file; `path` is only named in errors.
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        let parse = |place: String, problem: String| ConfigError::Parse { path: path.to_path_buf(), place, problem };
        let document =
            toml::Deserializer::parse(text).map_err(|e| parse(line_of(text, e.span()), one_line(e.message())))?;
        let config: Config = serde_path_to_error::deserialize(document).map_err(|e| {
            let key = e.path().to_string();
            let line = line_of(text, e.inner().span());
            let place = if key == "." { line } else { format!("{key} {line}") };
            parse(place, one_line(e.inner().message()))
        })?;
        config.check(path)?;
        Ok(config)
    }

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let wrong = |key, found: &dyn std::fmt::Display, expected| {
            Err(ConfigError::Value { path: path.to_path_buf(), key, found: found.to_string(), expected })
        };
        let (c, v, g, b) = (&self.camera, &self.vision, &self.gate, &self.barrier);
        if !(16..=8192).contains(&c.width) || !(16..=8192).contains(&c.height) {
            return wrong("camera.width/height", &format!("{}x{}", c.width, c.height), "16..8192 pixels a side");
        }
        for (key, found, range, expected) in [
            ("camera.fps", c.fps.into(), 1..=240, "1..240 frames a second"),
            ("camera.open_timeout_ms", c.open_timeout_ms, 100..=60_000, "100..60000 milliseconds"),
            ("camera.read_timeout_ms", c.read_timeout_ms, 100..=60_000, "100..60000 milliseconds"),
            ("camera.retry_at_most_s", c.retry_at_most_s, 1..=3600, "1..3600 seconds"),
            ("vision.threads", v.threads as u64, 1..=64, "1..64 threads"),
            ("gate.max_frame_age_ms", g.max_frame_age_ms, 50..=10_000, "50..10000 milliseconds"),
            ("gate.frames_to_open", g.frames_to_open.into(), 1..=100, "1..100 frames"),
            ("gate.refuse_after_ms", g.refuse_after_ms, 200..=60_000, "200..60000 milliseconds"),
            ("barrier.pulse_ms", b.pulse_ms, 50..=10_000, "50..10000 milliseconds"),
        ] {
            if !range.contains(&found) {
                return wrong(key, &found, expected);
            }
        }
        if let Some([x, y, w, h]) = v.lane {
            let fits = |from: f32, size: f32| (0.0..1.0).contains(&from) && size > 0.0 && from + size <= 1.001;
            if !fits(x, w) || !fits(y, h) {
                return wrong(
                    "vision.lane",
                    &format!("[{x}, {y}, {w}, {h}]"),
                    "left, top, width, height as shares 0..1 of the frame",
                );
            }
        }
        if !(8.0..=4000.0).contains(&v.narrowest_plate_px) {
            return wrong("vision.narrowest_plate_px", &v.narrowest_plate_px, "8..4000 pixels");
        }
        if !(10.0..=1e12).contains(&g.false_open_one_in) {
            return wrong("gate.false_open_one_in", &g.false_open_one_in, "10..1000000000000 strangers");
        }
        if !PROVINCES.contains(&g.home_province) {
            return wrong("gate.home_province", &g.home_province, "a province's abbreviation, such as 苏");
        }
        if !g.home_city.is_ascii_uppercase() || matches!(g.home_city, 'I' | 'O') {
            return wrong("gate.home_city", &g.home_city, "a letter A..Z without I and O");
        }
        if b.min_gap_ms < b.pulse_ms || b.min_gap_ms > 600_000 {
            return wrong("barrier.min_gap_ms", &b.min_gap_ms, "at least pulse_ms, at most 600000 milliseconds");
        }
        Ok(())
    }
}

/// "(line N): " for a place in the text.
fn line_of(text: &str, span: Option<std::ops::Range<usize>>) -> String {
    span.and_then(|s| text.get(..s.start))
        .map(|before| format!("(line {}): ", before.matches('\n').count() + 1))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(text: &str) -> String {
        Config::parse(text, Path::new("gate.toml")).expect_err(text).to_string()
    }

    #[test]
    fn the_example_is_whole_and_is_the_default() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/plategate.example.toml");
        let example = Config::load(&path).unwrap();
        assert_eq!(format!("{example:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn errors_name_file_key_and_what_was_expected() {
        for (text, parts) in [
            ("[gate]\nfalse_open = 3\n", vec!["gate.toml", "gate.false_open", "line 2", "unknown field"]),
            ("[camera]\nfps = \"fast\"\n", vec!["camera.fps", "line 2", "fast"]),
            ("[camera]\nfps = 0\n", vec!["camera.fps", "= 0", "1..240"]),
            ("[camera]\nsource = \"tcp://x\"\n", vec!["camera.source", "rtsp://"]),
            ("[gate]\nhome_city = \"I\"\n", vec!["gate.home_city", "without I and O"]),
            ("[barrier]\npulse_ms = 5000\n", vec!["barrier.min_gap_ms", "at least pulse_ms"]),
            ("[barrier\n", vec!["gate.toml", "line 1"]),
            ("[vision]\nprovider = \"tpu\"\n", vec!["vision.provider", "tensorrt"]),
        ] {
            let message = error(text);
            for part in parts {
                assert!(message.contains(part), "{message:?} should contain {part:?}");
            }
            assert!(!message.contains('\n'), "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_gives_one_line(text in "\\PC{0,60}") {
            if let Err(e) = Config::parse(&text, Path::new("x")) {
                prop_assert!(!e.to_string().contains('\n'));
            }
        }
    }
}
