//! What is put on record about an arrival.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::picture::{Picture, Quad};
use crate::plate::{Kind, Plate};
use crate::register::Standing;

/// What happened to the car.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// "Open" was pressed for it.
    Opened,
    /// It was not let in.
    Refused,
    /// It should have been let in, and "open" could not be pressed.
    Failed,
}

/// The rule that decided, one name each; the page explains it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A registered car whose share is paid.
    Paid,
    /// A registered car that need not pay.
    Exempt,
    /// A registered car, not paid yet, within its days of grace.
    Grace,
    /// A registered car, not paid; the compound lets it in all the same.
    UnpaidOpen,
    /// A registered car, not paid; the compound keeps it out.
    Unpaid,
    /// A registered car that the stewards blocked.
    Blocked,
    /// Fire, rescue or police: a kind of plate that always comes in.
    Service,
    /// Read clearly, in nobody's name.
    Stranger,
    /// Nearly a registered plate, but some stranger's plate explains the pictures as well.
    NearMiss,
    /// Could not be read well enough.
    Unreadable,
    /// The frames came too late.
    Stale,
}

/// One slot of the fused reading: the likeliest characters, best first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlotRead {
    /// The likeliest character; `_` where there is none.
    pub char: char,
    /// Its probability, 0..1.
    pub p: f32,
    /// The next likeliest ones above 1 %, with their probabilities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub or: Vec<(char, f32)>,
}

/// What became of the pulse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PulseReport {
    /// The relay moved so many milliseconds after the deciding frame was captured.
    Pressed {
        /// Capture to the relay's edge, milliseconds.
        after_ms: f64,
    },
    /// "Open" had been pressed a moment ago, for this or another car.
    JustPressed,
    /// The output failed.
    Failed {
        /// What the output said.
        reason: String,
    },
}

/// The record of one arrival.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Counts up from 1; given by the store.
    #[serde(default)]
    pub id: u64,
    /// When the deciding frame was captured.
    pub at: Timestamp,
    /// The gate's name.
    pub gate: String,
    /// What happened.
    pub outcome: Outcome,
    /// Why.
    pub rule: Rule,
    /// What was read, if it makes a well-formed plate.
    pub plate: Option<Plate>,
    /// The raw text, well-formed or not.
    pub text: String,
    /// The plate's kind, if it is well-formed.
    pub kind: Option<Kind>,
    /// The slots of the fused reading.
    pub slots: Vec<SlotRead>,
    /// The registered car it was taken for, or that it nearly is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vehicle: Option<VehicleRef>,
    /// The probability that this is that car and not a stranger's, 0..1.
    pub posterior: f64,
    /// Frames that were fused.
    pub frames: u32,
    /// The plate's corners in the deciding frame.
    pub quad: Quad,
    /// What became of the pulse; none where none was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulse: Option<PulseReport>,
    /// The stored picture, relative to the pictures' folder; given by the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
}

/// A registered car, as the record names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VehicleRef {
    /// Its plate.
    pub plate: Plate,
    /// Where it belongs, such as `2-301`.
    pub household: String,
    /// How it stood at that moment.
    pub standing: Standing,
}

/// An event on its way to the record, with the deciding frame.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The record.
    pub event: Event,
    /// The deciding frame.
    pub picture: Picture,
}
