//! What is put on record about an arrival.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::picture::{Picture, Quad};
use crate::plate::{Kind, Plate};
use crate::register::Standing;
pub use crate::vision::track::Heading;

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
    /// Nothing was asked of the gate: a car that drives away from the camera.
    Seen,
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
    /// A visitor with a pass.
    Pass,
    /// A visitor whose pass is not good yet.
    PassEarly,
    /// A visitor whose pass is over.
    PassOver,
    /// A visitor whose pass has let in as often as it may.
    PassUsed,
    /// The gate is held open for everybody at this hour.
    HeldOpen,
    /// The gate is closed for everybody at this hour.
    Closed,
    /// It looks like a picture of a plate, not like a car.
    Photograph,
    /// No car stands on the presence loop.
    NothingThere,
    /// It drives away from the camera, or the other way than this lane goes.
    Leaving,
    /// A steward pressed "open".
    ByHand,
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

/// One explanation of the pictures: a registered car or a visitor, and how likely it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Whose plate.
    pub plate: Plate,
    /// Its household.
    pub household: String,
    /// The probability that it is this one, if every second car that comes is registered; 0..1. What is missing to one is
    /// shared by the other candidates and by strangers.
    pub posterior: f64,
    /// Does the register hold another that a camera could take for it?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_lookalike: bool,
}

/// One of the frames that counted most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Milliseconds after the car was first seen.
    pub after_ms: u64,
    /// The plate's width, pixels.
    pub width: f32,
    /// See [`crate::vision::Reading::sharpness`].
    pub sharpness: f32,
    /// What was read, well-formed or not.
    pub text: String,
    /// The probability of that text, 0..1.
    pub confidence: f32,
    /// How much it counted, 0..1.
    pub weight: f32,
}

/// How long it took from the deciding frame's capture, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Until the lane took it.
    pub taken_ms: f64,
    /// Until its plates were read.
    pub read_ms: f64,
    /// Until it was decided.
    pub decided_ms: f64,
    /// Until the relay moved; none where it was not asked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay_ms: Option<f64>,
    /// From the first frame of this car until the decision.
    pub since_first_ms: f64,
}

/// What one test for photographs of plates found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// As a car does it.
    Car,
    /// As no car does it.
    Picture,
    /// Too little was seen to tell.
    #[default]
    Unknown,
}

/// Is it a car, or a picture of a plate? One finding a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Liveness {
    /// Did the plate grow as it came?
    pub growth: Finding,
    /// Is it as wide as a plate is at its place of the lane?
    pub size: Finding,
    /// Did what is around it move with it?
    pub body: Finding,
    /// Does it hide the lane to the left and to the right of the plate? None where the lane had not been seen empty yet, or was
    /// too dark: then the other findings stood alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hides: Option<Finding>,
    /// Has it the colour of its kind?
    pub colour: Finding,
    /// Does something stand on the presence loop? Unknown where none is wired.
    pub presence: Finding,
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
    /// A mark of the plate, once its number has been forgotten; see [`crate::store::hashed`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashed: Option<String>,
    /// The plate's kind, if it is well-formed.
    pub kind: Option<Kind>,
    /// The slots of the fused reading.
    pub slots: Vec<SlotRead>,
    /// The registered car it was taken for, or that it nearly is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vehicle: Option<VehicleRef>,
    /// The probability that this is that car and not a stranger's, 0..1.
    pub posterior: f64,
    /// The likeliest registered cars and visitors, best first, at most five.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
    /// P(pictures | a registered plate) / P(pictures | a stranger's).
    #[serde(default)]
    pub ratio: f64,
    /// How many times worse the best plate outside of the register explains the pictures.
    #[serde(default)]
    pub margin: f64,
    /// What the ratio had to reach: the false-open budget, or more for a car with look-alikes.
    #[serde(default)]
    pub needed: f64,
    /// What the margin had to reach; 0 in records from before it was written down.
    #[serde(default)]
    pub margin_needed: f64,
    /// The frames that counted most, best first, at most three.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<Look>,
    /// How long it took.
    #[serde(default)]
    pub times: Times,
    /// A car, or a picture of a plate?
    #[serde(default)]
    pub liveness: Liveness,
    /// Which way it drove.
    #[serde(default)]
    pub heading: Heading,
    /// It came in although it had come in before and had not been seen leaving: perhaps two cars carry this plate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub already_inside: bool,
    /// The visitor's pass that let it in, by its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<u64>,
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

impl Event {
    /// A record in which nothing was read and nothing was done, to be filled in.
    pub fn blank(gate: &str, at: Timestamp) -> Event {
        Event {
            id: 0,
            at,
            gate: gate.to_owned(),
            outcome: Outcome::Refused,
            rule: Rule::Unreadable,
            plate: None,
            text: String::new(),
            hashed: None,
            kind: None,
            slots: Vec::new(),
            vehicle: None,
            posterior: 0.0,
            candidates: Vec::new(),
            ratio: 0.0,
            margin: 0.0,
            needed: 0.0,
            margin_needed: 0.0,
            looks: Vec::new(),
            times: Times::default(),
            liveness: Liveness::default(),
            heading: Heading::default(),
            already_inside: false,
            pass: None,
            frames: 0,
            quad: Quad::default(),
            pulse: None,
            picture: None,
        }
    }

    /// The same without a number by which anybody could be known: that somebody came, and what was decided, stays.
    pub fn anonymous(self, hashed: Option<String>) -> Event {
        let looks = self.looks.into_iter().map(|look| Look { text: String::new(), ..look }).collect();
        Event {
            plate: None,
            text: String::new(),
            hashed,
            slots: Vec::new(),
            vehicle: None,
            candidates: Vec::new(),
            looks,
            picture: None,
            ..self
        }
    }

    /// Has it no number any more?
    pub fn is_anonymous(&self) -> bool {
        self.plate.is_none() && self.text.is_empty() && self.slots.is_empty() && self.picture.is_none()
    }
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
