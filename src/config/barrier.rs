//! `[barrier]`: What the gate presses.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Problem, within};

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

impl Barrier {
    pub(super) fn check(&self) -> Result<(), Problem> {
        within("barrier.pulse_ms", self.pulse_ms, 50..=10_000, "50..10000 milliseconds")?;
        let expected = "at least pulse_ms, at most 600000 milliseconds";
        within("barrier.min_gap_ms", self.min_gap_ms, self.pulse_ms..=600_000, expected)
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
