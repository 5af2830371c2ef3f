//! Households, their vehicles and what they put in, as far as the gate needs it.
//!
//! In: what stewards register. Out: an immutable [`Snapshot`] that the lane reads without waiting. This room knows nothing
//! of frames, pulses and pages.

mod alike;
pub mod book;
pub mod demo;
pub mod exchange;
mod pass;
mod table;

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::plate::Plate;
pub use alike::{are_alike, confusable, lookalikes};
pub use book::{Change, Register};
pub use pass::{LivePass, Pass, Validity};

/// One flat of the compound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Household {
    /// The building's number, from 1.
    pub building: u16,
    /// The flat, such as `301`.
    pub unit: String,
    /// The contact's name as the stewards write it.
    pub name: String,
    /// A telephone number, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

impl Household {
    /// The key: `2-301`.
    pub fn key(&self) -> String {
        format!("{}-{}", self.building, self.unit)
    }
}

/// One registered car.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vehicle {
    /// Its plate, the key.
    pub plate: Plate,
    /// Its household's key.
    pub household: String,
    /// What its household put in for it, whole fen.
    pub paid_fen: u64,
    /// Need not pay (a doctor's car, a helper's).
    #[serde(default)]
    pub exempt: bool,
    /// Not to be let in until this is lifted.
    #[serde(default)]
    pub blocked: bool,
    /// Let in without payment up to and including this day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<Date>,
    /// A steward's remark.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// How a car stands with the compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The share is paid.
    Paid,
    /// Need not pay.
    Exempt,
    /// Not paid, but within its days of grace.
    Grace,
    /// Not paid.
    Unpaid,
    /// Blocked by the stewards.
    Blocked,
}

/// The share of one car: 100 yuan.
pub const SHARE_FEN: u64 = 10_000;

/// The day it is at the gate: grace ends with it.
pub fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::system()).date()
}

impl Vehicle {
    /// A car that nothing is known of but its plate and its household's key.
    pub fn new(plate: Plate, household: &str) -> Vehicle {
        let (household, note) = (household.to_owned(), String::new());
        Vehicle { plate, household, paid_fen: 0, exempt: false, blocked: false, grace_until: None, note }
    }

    /// How it stands on that day.
    pub fn standing(&self, today: Date) -> Standing {
        if self.blocked {
            Standing::Blocked
        } else if self.exempt {
            Standing::Exempt
        } else if self.paid_fen >= SHARE_FEN {
            Standing::Paid
        } else if self.grace_until.is_some_and(|last| today <= last) {
            Standing::Grace
        } else {
            Standing::Unpaid
        }
    }
}

/// The register as the lane sees it; never changed, only replaced.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    vehicles: Vec<Vehicle>,
    passes: Vec<LivePass>,
    by_plate: HashMap<Plate, usize>,
}

impl Snapshot {
    /// Of these vehicles; of two with one plate the last counts.
    pub fn new(vehicles: Vec<Vehicle>) -> Snapshot {
        let by_plate = vehicles.iter().enumerate().map(|(i, v)| (v.plate, i)).collect();
        Snapshot { vehicles, passes: Vec::new(), by_plate }
    }

    /// The same with these visitors' passes.
    pub fn with_passes(self, passes: Vec<LivePass>) -> Snapshot {
        Snapshot { passes, ..self }
    }

    /// The visitors' passes that are good or were a short while ago.
    pub fn passes(&self) -> &[LivePass] {
        &self.passes
    }

    /// All cars.
    pub fn vehicles(&self) -> &[Vehicle] {
        &self.vehicles
    }

    /// The car with exactly this plate.
    pub fn get(&self, plate: &Plate) -> Option<&Vehicle> {
        self.by_plate.get(plate).map(|&i| &self.vehicles[i])
    }
}
