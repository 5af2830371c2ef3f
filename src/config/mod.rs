//! The one configuration file: typed, in TOML, every key with a default, unknown keys refused.
//!
//! One file a section, each with its defaults and what it accepts. Every error names the file, the key and what was
//! expected, and ends the program with exit status 2.

mod backup;
mod barrier;
mod camera;
mod data;
mod display;
mod fleet;
mod gate;
mod inputs;
mod ledger;
mod log;
mod modbus;
mod mqtt;
mod named;
mod photo_check;
mod residents;
mod runtime;
mod schedule;
mod vision;
mod watchdog;
mod web;
mod webhook;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use backup::{Backup, is_recipient};
pub use barrier::{Barrier, Drive, Hold, Line, Output};
pub use camera::Camera;
pub use data::Data;
pub use display::{Display, QuietHours, Sign};
pub use fleet::Fleet;
pub use gate::{Direction, Gate, Unpaid};
pub use inputs::{Bias, Inputs, Wire};
pub use ledger::Ledger;
pub use log::{Log, LogFormat};
pub use modbus::{Board, Modbus, Parity};
pub use mqtt::{Broker, Mqtt};
pub use named::{NamedFile, place};
pub use photo_check::{PhotoCheck, Strength};
pub use residents::Residents;
pub use runtime::Runtime;
pub use schedule::{Hours, Schedule};
pub use vision::{Precision, Provider, Vision};
pub use watchdog::Watchdog;
pub use web::Web;
pub use webhook::{Topic, Url, Webhook};

use crate::text::one_line;

/// Everything that can be set. `deploy/plategate.example.toml` explains each key to the operator.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The file that this was read from; none where everything is the default.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// Where things are kept.
    pub data: Data,
    /// What is kept elsewhere.
    pub backup: Backup,
    /// Where frames come from.
    pub camera: Camera,
    /// How they are read.
    pub vision: Vision,
    /// On which cores, and how urgently.
    pub runtime: Runtime,
    /// When it opens.
    pub gate: Gate,
    /// When it is held open or closed.
    pub schedule: Schedule,
    /// Photographs of plates.
    pub photo_check: PhotoCheck,
    /// What it presses.
    pub barrier: Barrier,
    /// The book.
    pub ledger: Ledger,
    /// What tells it how the barrier stands.
    pub inputs: Inputs,
    /// The relay board on a network or a serial bus.
    pub modbus: Modbus,
    /// The sign beside the barrier.
    pub display: Display,
    /// What starts the box anew when the gate hangs.
    pub watchdog: Watchdog,
    /// The other gates of the compound.
    pub fleet: Fleet,
    /// The stewards' page.
    pub web: Web,
    /// What residents may do by themselves.
    pub residents: Residents,
    /// What the program says of itself.
    pub log: Log,
    /// The house's broker.
    pub mqtt: Mqtt,
    /// Receivers that are told what happens.
    pub webhook: Vec<Webhook>,
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
        // Also for whoever reads it again from another folder.
        let file = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        Ok(Config { file: Some(file), ..Config::parse(&text, path)? })
    }

    /// Reads and checks the text of a file; `path` is only named in errors.
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        let parse = |place: String, problem: String| ConfigError::Parse { path: path.to_path_buf(), place, problem };
        let document =
            toml::Deserializer::parse(text).map_err(|e| parse(line_of(text, e.span()), one_line(e.message())))?;
        let config: Config = serde_path_to_error::deserialize(document).map_err(|e| {
            let key = one_line(&e.path().to_string());
            let line = line_of(text, e.inner().span());
            let place = if key == "." { line } else { format!("{key} {line}") };
            parse(place, one_line(e.inner().message()))
        })?;
        config.check().map_err(|p| ConfigError::Value {
            path: path.to_path_buf(),
            key: p.key,
            found: p.found,
            expected: p.expected,
        })?;
        Ok(config)
    }

    /// Checks `[vision]` alone, for values that came another way than through a file; the error is one line.
    pub fn check_vision(&self) -> Result<(), String> {
        self.vision.check().map_err(|p| format!("expected {}", p.expected))
    }

    fn check(&self) -> Result<(), Problem> {
        self.data.check()?;
        self.backup.check()?;
        self.camera.check()?;
        self.vision.check()?;
        self.runtime.check()?;
        self.gate.check()?;
        self.photo_check.check()?;
        self.ledger.check()?;
        self.barrier.check()?;
        self.inputs.check()?;
        self.modbus.check()?;
        self.display.check()?;
        self.fleet.check()?;
        self.web.check()?;
        self.residents.check()?;
        self.log.check()?;
        self.mqtt.check()?;
        webhook::check(&self.webhook)
    }
}

/// A value that cannot be, before it is known which file it stands in.
#[derive(Debug)]
struct Problem {
    key: &'static str,
    found: String,
    expected: &'static str,
}

impl Problem {
    fn new(key: &'static str, found: impl std::fmt::Display, expected: &'static str) -> Problem {
        Problem { key, found: one_line(&found.to_string()), expected }
    }
}

/// Is the value in this range? `expected` says the range in words, with its unit.
fn within<T: PartialOrd + std::fmt::Display>(
    key: &'static str,
    found: T,
    range: RangeInclusive<T>,
    expected: &'static str,
) -> Result<(), Problem> {
    if range.contains(&found) { Ok(()) } else { Err(Problem::new(key, found, expected)) }
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
        let example = Config { file: None, ..Config::load(&path).unwrap() };
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
            ("[web]\nkey = \"key.pem\"\n", vec!["web.certificate", "neither"]),
            ("[barrier\n", vec!["gate.toml", "line 1"]),
            ("[backup]\nrecipients = [\"age1x\"]\n", vec!["backup.recipients", "plategate backup key"]),
            ("[vision]\nprovider = \"tpu\"\n", vec!["vision.provider", "tensorrt"]),
            ("[vision]\nprovider = \"cpu\"\nfallback = [\"cpu\"]\n", vec!["vision.fallback", "once"]),
            ("[runtime]\nrealtime_priority = 100\n", vec!["runtime.realtime_priority", "= 100", "0..99"]),
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
