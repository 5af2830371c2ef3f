//! Households and their vehicles, and how each stands with the book, as far as the gate needs it.
//!
//! In: what stewards register, and the book ([`crate::ledger`]). Out: an immutable [`Snapshot`] that the lane reads without
//! waiting. This room knows nothing of frames, pulses and pages.

mod alike;
pub mod book;
pub mod demo;
mod demo_book;
pub mod exchange;
mod history;
mod keeping;
mod migration;
pub mod opening;
mod pass;
mod reason;
mod refresh;
pub mod reminders;
pub mod share;
pub mod shared;
mod table;
mod uses;
pub mod version;

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

pub use crate::ledger::dues::{Dues, Stand, Standing};
use crate::plate::Plate;
pub use alike::{are_alike, confusable, lookalikes};
pub use book::{Change, Register};
pub use history::{Entry, Forgotten, Noted};
pub use pass::{LivePass, Pass, Validity};
pub use reason::Reason;
pub use shared::{Digits, Keeper, Key, Member};

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
    /// Not to be let in until this is lifted.
    #[serde(default)]
    pub blocked: bool,
    /// Let in without payment up to and including this day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<Date>,
    /// A steward's remark.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// What the book says of it. Never stored with it: it is put in whenever a snapshot is made.
    #[serde(skip)]
    pub dues: Dues,
}

/// The day it is at the gate: grace ends with it.
pub fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::system()).date()
}

impl Vehicle {
    /// A car that nothing is known of but its plate and its household's key.
    pub fn new(plate: Plate, household: &str) -> Vehicle {
        let (household, note) = (household.to_owned(), String::new());
        Vehicle { plate, household, blocked: false, grace_until: None, note, dues: Dues::default() }
    }

    /// The same, with this said of it by the book.
    pub fn with(self, dues: Dues) -> Vehicle {
        Vehicle { dues, ..self }
    }

    /// How it stands on that day, in one word: what the gate's rules read.
    pub fn standing(&self, today: Date) -> Standing {
        self.stand(today).standing
    }

    /// How it stands on that day, with the dates that a neighbour would ask for.
    pub fn stand(&self, today: Date) -> Stand {
        if self.blocked {
            return Stand::plain(Standing::Blocked);
        }
        let stand = self.dues.on(today);
        match self.grace_until.filter(|last| today <= *last) {
            // The stewards' grace reaches further than the book's, or stands in where there is none.
            Some(last) if matches!(stand.standing, Standing::Unpaid | Standing::Grace) => {
                Stand { standing: Standing::Grace, until: stand.until.max(Some(last)), ..stand }
            }
            _ => stand,
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
