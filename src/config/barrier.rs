//! `[barrier]`: What the gate presses, and when it may.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};

use super::{Problem, within};

/// `[barrier]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Barrier {
    /// What the "open" button hangs on.
    pub output: Output,
    /// The GPIO character device: its path, its label, or its name.
    pub chip: String,
    /// The line on the chip: its offset, or its name.
    pub line: Line,
    /// The relay is on when the line is low.
    pub active_low: bool,
    /// How the line drives.
    pub drive: Drive,
    /// The coil on the Modbus relay board (`[modbus]`), counted from 0.
    pub coil: u16,
    /// The serial port of a USB relay.
    pub port: String,
    /// The relay on that board, counted from 1.
    pub relay: u8,
    /// A "close" button on the same chip or board: line, coil or relay. Not set: plategate never closes.
    pub close: Option<Line>,
    /// Every presence input must have been clear for so long before "close" is pressed, milliseconds.
    pub close_after_ms: u64,
    /// How long a button is pressed, milliseconds.
    pub pulse_ms: u64,
    /// The shortest time between two presses, milliseconds.
    pub min_gap_ms: u64,
    /// The most presses within a minute.
    pub most_per_minute: u32,
    /// The arm is up so long after "open" was pressed, or it did not open, milliseconds.
    pub opens_within_ms: u64,
    /// Without end switches: how long the arm counts as up after a press, seconds.
    pub stays_open_s: u64,
    /// An arm that is up for longer is reported, seconds.
    pub held_too_long_s: u64,
    /// How the arm is held up.
    pub hold: Hold,
    /// With `hold = "pulses"`: how often "open" is pressed anew, seconds.
    pub hold_every_s: u64,
    /// The residents voted that the fire alarm opens the gate and holds it open.
    pub fire_opens: bool,
    /// The residents voted that failing power opens the gate and holds it open.
    pub power_opens: bool,
}

impl Default for Barrier {
    fn default() -> Barrier {
        Barrier {
            output: Output::Simulated,
            chip: "/dev/gpiochip0".into(),
            line: Line::Offset(17),
            active_low: false,
            drive: Drive::PushPull,
            coil: 0,
            port: "/dev/ttyUSB0".into(),
            relay: 1,
            close: None,
            close_after_ms: 3000,
            pulse_ms: 500,
            min_gap_ms: 3000,
            most_per_minute: 15,
            opens_within_ms: 8000,
            stays_open_s: 10,
            held_too_long_s: 120,
            hold: Hold::Pulses,
            hold_every_s: 10,
            fire_opens: false,
            power_opens: false,
        }
    }
}

impl Barrier {
    pub(super) fn check(&self) -> Result<(), Problem> {
        within("barrier.pulse_ms", self.pulse_ms, 50..=10_000, "50..10000 milliseconds")?;
        let expected = "at least pulse_ms, at most 600000 milliseconds";
        within("barrier.min_gap_ms", self.min_gap_ms, self.pulse_ms..=600_000, expected)?;
        within("barrier.most_per_minute", self.most_per_minute, 1..=60, "1..60 presses")?;
        within("barrier.opens_within_ms", self.opens_within_ms, 500..=60_000, "500..60000 milliseconds")?;
        within("barrier.stays_open_s", self.stays_open_s, 1..=600, "1..600 seconds")?;
        within("barrier.held_too_long_s", self.held_too_long_s, 5..=86_400, "5..86400 seconds")?;
        within("barrier.hold_every_s", self.hold_every_s, 2..=600, "2..600 seconds")?;
        within("barrier.close_after_ms", self.close_after_ms, 1000..=600_000, "1000..600000 milliseconds")?;
        within("barrier.relay", self.relay, 1..=16, "1..16")?;
        let needs_number = matches!(self.output, Output::Modbus | Output::Serial);
        match &self.close {
            Some(Line::Name(name)) if needs_number => {
                Err(Problem::new("barrier.close", name, "the number of a coil or relay"))
            }
            Some(Line::Offset(number)) if self.output == Output::Serial => {
                within("barrier.close", *number, 1..=16, "the number of a relay, 1..16")
            }
            Some(Line::Offset(number)) if self.output == Output::Modbus => {
                within("barrier.close", *number, 0..=65_535, "the number of a coil, 0..65535")
            }
            _ => Ok(()),
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
    /// A coil of a Modbus relay board.
    Modbus,
    /// A USB relay that speaks the LCUS-1 protocol on a serial port.
    Serial,
}

/// How an output line drives; the kernel's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drive {
    /// Both levels are driven.
    PushPull,
    /// Only low is driven.
    OpenDrain,
    /// Only high is driven.
    OpenSource,
}

/// How the arm is held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hold {
    /// "Open" is pressed anew again and again.
    Pulses,
    /// "Open" stays pressed.
    Press,
}

/// A line of a GPIO chip: its offset or its name. Of a relay board: a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Line {
    /// Counted from 0 on the chip.
    Offset(u32),
    /// As the board's device tree calls it, such as `GPIO17`.
    Name(String),
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Offset(offset) => write!(f, "{offset}"),
            Line::Name(name) => f.write_str(name),
        }
    }
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Line, D::Error> {
        struct OffsetOrName;
        impl Visitor<'_> for OffsetOrName {
            type Value = Line;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a line's offset (a number from 0) or its name (a text)")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Line, E> {
                u32::try_from(number).map(Line::Offset).map_err(|_| E::custom(format!("{number}: expected 0 or more")))
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Line, E> {
                match name.trim() {
                    "" => Err(E::custom("expected a line's offset or name")),
                    name => Ok(Line::Name(name.to_owned())),
                }
            }
        }
        deserializer.deserialize_any(OffsetOrName)
    }
}
