//! What goes over the wire: subjects, streams, messages.
//!
//! `pg.<compound>.register.<kind>.<hash>` the last state of each record; `.passes.used.<pass>.<gate>` uses; `.events.<gate>`
//! arrivals, upwards; `.book` the book's entries; `.health.<gate>` now and then, not kept; `.commands.<gate>` and
//! `.pictures.<gate>` are asked and answered, not kept. Subjects hold no plates: a broker shows them in its logs.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::gate::event::{Event, Outcome, Rule};
use crate::plate::Plate;
use crate::register::Key;

/// No message is larger; a longer one is refused unread.
pub const LARGEST: usize = 64 << 10;

/// The three streams of a compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The register's records and the passes' uses: the last of each subject.
    Register,
    /// Arrivals, for so many days.
    Events,
    /// The book.
    Book,
}

impl Stream {
    /// All of them.
    pub const ALL: [Stream; 3] = [Stream::Register, Stream::Events, Stream::Book];

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Stream::Register => "register",
            Stream::Events => "events",
            Stream::Book => "book",
        }
    }

    /// Its name at the broker.
    pub fn name(self, compound: &str) -> String {
        format!("pg_{compound}_{}", self.word())
    }

    /// As it is made where it is missing. `keep_days`: how long the broker keeps events.
    pub fn config(self, compound: &str, keep_days: u32) -> Config {
        let subjects: &[&str] = match self {
            Stream::Register => &["register.>", "passes.>"],
            Stream::Events => &["events.*"],
            Stream::Book => &["book"],
        };
        let days = u64::from(keep_days) * 24 * 3600;
        Config {
            name: self.name(compound),
            subjects: subjects.iter().map(|s| format!("pg.{compound}.{s}")).collect(),
            max_messages_per_subject: if self == Stream::Register { 1 } else { -1 },
            max_age: if self == Stream::Events { Duration::from_secs(days) } else { Duration::ZERO },
            max_message_size: LARGEST as i32,
            storage: StorageType::File,
            // Old events may go to make room; of the register and the book nothing may.
            discard: if self == Stream::Events { DiscardPolicy::Old } else { DiscardPolicy::New },
            duplicate_window: Duration::from_secs(120),
            ..Config::default()
        }
    }
}

/// May this be a compound's or a gate's name in a subject?
pub fn is_name(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Where a record's state goes.
pub fn record(compound: &str, key: &Key) -> String {
    let kind = key.kind().map_or("other", |kind| kind.word());
    let hash = Sha256::digest(key.as_str().as_bytes());
    let hash: String = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("pg.{compound}.register.{kind}.{hash}")
}

/// Where a gate's use of a pass goes.
pub fn used(compound: &str, pass: u64, gate: &str) -> String {
    format!("pg.{compound}.passes.used.{pass}.{gate}")
}

/// Do uses of passes go there, and no records?
pub fn is_use(compound: &str, subject: &str) -> bool {
    subject.strip_prefix("pg.").and_then(|s| s.strip_prefix(compound)).is_some_and(|s| s.starts_with(".passes."))
}

/// Where a gate's arrivals go.
pub fn events(compound: &str, gate: &str) -> String {
    format!("pg.{compound}.events.{gate}")
}

/// Where the book goes.
pub fn book(compound: &str) -> String {
    format!("pg.{compound}.book")
}

/// Where a gate says how it is; `*` for all.
pub fn health(compound: &str, gate: &str) -> String {
    format!("pg.{compound}.health.{gate}")
}

/// Where a gate is told to do something.
pub fn commands(compound: &str, gate: &str) -> String {
    format!("pg.{compound}.commands.{gate}")
}

/// Where a gate is asked for pictures.
pub fn pictures(compound: &str, gate: &str) -> String {
    format!("pg.{compound}.pictures.{gate}")
}

/// Where a new box introduces itself with its token.
pub fn join(compound: &str, gate: &str) -> String {
    format!("pg.{compound}.join.{gate}")
}

/// An arrival, as other gates are told it. Strangers' plates stay at their gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upward {
    /// The box.
    pub station: u16,
    /// Changes when a box's record of arrivals begins anew, so that its numbers do.
    pub epoch: u32,
    /// The number at that gate.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// Which gate.
    pub gate: String,
    /// What happened.
    pub outcome: Outcome,
    /// Why.
    pub rule: Rule,
    /// The plate of a registered car or of a visitor with a pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate: Option<Plate>,
    /// Where it belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub household: Option<String>,
    /// `true`: it came in; `false`: it left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inwards: Option<bool>,
}

impl Upward {
    /// Of an event of this box.
    pub fn of(event: &Event, station: u16, epoch: u32, gate: &str, inwards: Option<bool>) -> Upward {
        let car = event.vehicle.as_ref();
        let guest = event.plate.filter(|_| event.pass.is_some());
        Upward {
            station,
            epoch,
            id: event.id,
            at: event.at,
            gate: gate.to_owned(),
            outcome: event.outcome,
            rule: event.rule,
            // A near miss names the car that it is not: that is nobody else's business.
            plate: car.filter(|_| event.rule != Rule::NearMiss).map(|car| car.plate).or(guest),
            household: car.filter(|_| event.rule != Rule::NearMiss).map(|car| car.household.clone()),
            inwards,
        }
    }

    /// The same for ever, also when it is sent again.
    pub fn message_id(&self) -> String {
        format!("{}-{:08x}-{}", self.station, self.epoch, self.id)
    }
}

/// How a gate is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Which gate.
    pub gate: String,
    /// The box.
    pub station: u16,
    /// What its clock shows.
    pub at: Timestamp,
    /// Its version of plategate.
    pub version: String,
    /// Do frames come, and are they read?
    pub ready: bool,
    /// How the barrier is run: `normal`, `held_open`, `closed`.
    pub mode: String,
    /// What is amiss, in a word; empty: nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trouble: String,
    /// Registered cars.
    pub cars: usize,
    /// The number of its newest arrival.
    pub events: u64,
    /// The book's last entry there.
    pub book: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_hold_no_plates_and_differ() {
        let key = |plate: &str| Key::new(crate::register::shared::Kind::Vehicle, plate);
        let (a, b) = (record("garden", &key("苏F12345")), record("garden", &key("苏F12346")));
        assert!(a.starts_with("pg.garden.register.vehicle.") && a != b && a.is_ascii() && !a.contains("12345"), "{a}");
        for (name, good) in [("north", true), ("gate-2", true), ("", false), ("a.b", false), ("A", false), ("*", false)]
        {
            assert_eq!(is_name(name), good, "{name}");
        }
    }

    #[test]
    fn a_stranger_s_plate_stays_at_its_gate() {
        let plate: Plate = "苏F12345".parse().unwrap();
        let event =
            Event { id: 7, plate: Some(plate), text: plate.to_string(), ..Event::blank("x", Timestamp::UNIX_EPOCH) };
        let told = serde_json::to_string(&Upward::of(&event, 2, 5, "north", None)).unwrap();
        assert!(!told.contains("12345"), "{told}");
        let guest = Event { pass: Some(1), rule: Rule::Pass, ..event };
        let told = Upward::of(&guest, 2, 5, "north", Some(true));
        assert_eq!((told.plate, told.message_id().as_str()), (Some(plate), "2-00000005-7"));
    }
}
