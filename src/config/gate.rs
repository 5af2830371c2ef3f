//! `[gate]`: When the gate opens.

use serde::Deserialize;

use super::{Problem, within};
use crate::plate::{Kind, PROVINCES};

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
    /// Which way cars go that come towards this camera.
    pub direction: Direction,
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
            direction: Direction::In,
            always_open: vec![Kind::Emergency, Kind::Police],
            refuse_after_ms: 1500,
            repeat_after_s: 20,
        }
    }
}

impl Gate {
    pub(super) fn check(&self) -> Result<(), Problem> {
        within("gate.max_frame_age_ms", self.max_frame_age_ms, 50..=10_000, "50..10000 milliseconds")?;
        within("gate.frames_to_open", self.frames_to_open, 1..=100, "1..100 frames")?;
        within("gate.refuse_after_ms", self.refuse_after_ms, 200..=60_000, "200..60000 milliseconds")?;
        within("gate.false_open_one_in", self.false_open_one_in, 10.0..=1e12, "10..1000000000000 strangers")?;
        if !PROVINCES.contains(&self.home_province) {
            let expected = "a province's abbreviation, such as 苏";
            return Err(Problem::new("gate.home_province", self.home_province, expected));
        }
        if !self.home_city.is_ascii_uppercase() || matches!(self.home_city, 'I' | 'O') {
            return Err(Problem::new("gate.home_city", self.home_city, "a letter A..Z without I and O"));
        }
        Ok(())
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

/// Which way cars go that come towards the camera; those that drive away from it go the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Into the compound.
    In,
    /// Out of it.
    Out,
}
