//! `[display]`: The sign beside the barrier.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Time;
use serde::{Deserialize, Deserializer};

use super::{Problem, within};

/// `[display]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Display {
    /// What shows.
    pub sign: Sign,
    /// The serial port of the board.
    pub port: String,
    /// Its speed, bits a second.
    pub baud: u32,
    /// Half-width characters that fit into a line; longer texts run.
    pub columns: u8,
    /// What it shows while nobody is there.
    pub idle: String,
    /// How long a greeting stays, seconds.
    pub stays_s: u64,
    /// Does it speak?
    pub voice: bool,
    /// The hours at which it does not speak; an empty text for none.
    #[serde(deserialize_with = "hours_or_none")]
    pub quiet: Option<QuietHours>,
}

impl Default for Display {
    fn default() -> Display {
        Display {
            sign: Sign::None,
            port: "/dev/ttyUSB1".into(),
            baud: 9600,
            columns: 8,
            idle: "车牌识别".into(),
            stays_s: 8,
            voice: true,
            quiet: Some(QuietHours { from: jiff::civil::time(21, 0, 0, 0), to: jiff::civil::time(7, 0, 0, 0) }),
        }
    }
}

impl Display {
    pub(super) fn check(&self) -> Result<(), Problem> {
        within("display.baud", self.baud, 1200..=1_000_000, "1200..1000000 bits a second")?;
        within("display.columns", self.columns, 2..=64, "2..64 half-width characters")?;
        within("display.stays_s", self.stays_s, 1..=600, "1..600 seconds")?;
        if self.idle.chars().count() > 60 || self.idle.chars().any(char::is_control) {
            return Err(Problem::new("display.idle", &self.idle, "one line of at most 60 characters"));
        }
        Ok(())
    }
}

fn hours_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<QuietHours>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.trim().is_empty() { Ok(None) } else { text.parse().map(Some).map_err(serde::de::Error::custom) }
}

/// What shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sign {
    /// Nothing.
    None,
    /// Lines on standard output: to try things out.
    Terminal,
    /// An LED board over RS-485.
    Board,
}

/// From one time of the day to another, also over midnight: `21:00-07:00`. The last minute is not one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// From then on.
    pub from: Time,
    /// Until then.
    pub to: Time,
}

impl QuietHours {
    /// Is this time of the day one of them?
    pub fn contains(&self, time: Time) -> bool {
        if self.from <= self.to { self.from <= time && time < self.to } else { time >= self.from || time < self.to }
    }
}

/// A text that names no hours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' names no hours: expected two different times such as 21:00-07:00")]
pub struct QuietHoursError(String);

impl FromStr for QuietHours {
    type Err = QuietHoursError;

    fn from_str(text: &str) -> Result<QuietHours, QuietHoursError> {
        let refused = || QuietHoursError(text.chars().take(40).collect());
        let (from, to) = text.split_once('-').ok_or_else(refused)?;
        let time = |text: &str| Time::strptime("%H:%M", text.trim()).map_err(|_| refused());
        let (from, to) = (time(from)?, time(to)?);
        if from == to { Err(refused()) } else { Ok(QuietHours { from, to }) }
    }
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from, self.to);
        write!(f, "{:02}:{:02}-{:02}:{:02}", from.hour(), from.minute(), to.hour(), to.minute())
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::time;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hours_go_over_midnight() {
        let night: QuietHours = "21:30 - 07:00".parse().unwrap();
        for (h, m, quiet) in
            [(21, 29, false), (21, 30, true), (0, 0, true), (6, 59, true), (7, 0, false), (12, 0, false)]
        {
            assert_eq!(night.contains(time(h, m, 0, 0)), quiet, "{h}:{m}");
        }
        let noon: QuietHours = "12:00-14:00".parse().unwrap();
        assert!(
            noon.contains(time(13, 59, 59, 0)) && !noon.contains(time(14, 0, 0, 0)) && !noon.contains(time(1, 0, 0, 0))
        );
        for text in ["-", "21:00", "21:00-21:00", "25:00-07:00", "21-7", "21:00-07:00-08:00"] {
            assert!(text.parse::<QuietHours>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_hours_or_one_line(text in "[0-9:\\- ]{0,14}|\\PC{0,20}") {
            match text.parse::<QuietHours>() {
                Ok(hours) => prop_assert_eq!(hours.to_string().parse::<QuietHours>(), Ok(hours)),
                Err(error) => prop_assert!(!error.to_string().contains('\n')),
            }
        }
    }
}
