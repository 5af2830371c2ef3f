//! What of the register all boxes of a compound share, and how a record becomes the fields that are compared
//! ([`super::version`]) and a record again.
//!
//! In: a [`Change`] as a steward makes it, or a [`State`] from another box. Out: the other one. A record's fields are those of
//! its JSON, so that a new field of a car is shared without a word here. What cannot be a record is refused in one sentence.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::book::Change;
use super::version::State;
use super::{Household, Pass, Vehicle};
use crate::plate::Plate;
use crate::store::{Batch, Tree};

/// The kinds of records that are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A flat.
    Household,
    /// A car.
    Vehicle,
    /// A visitor's pass, without how often it was used.
    Pass,
    /// A pass's six digits.
    Digits,
    /// A box of the fleet.
    Member,
    /// Which box keeps the book.
    Keeper,
}

impl Kind {
    const ALL: [Kind; 6] = [Kind::Household, Kind::Vehicle, Kind::Pass, Kind::Digits, Kind::Member, Kind::Keeper];

    /// As keys and subjects write it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Household => "household",
            Kind::Vehicle => "vehicle",
            Kind::Pass => "pass",
            Kind::Digits => "digits",
            Kind::Member => "box",
            Kind::Keeper => "keeper",
        }
    }

    /// The field that is written when a record is made and never again: without it there is no record.
    fn essential(self) -> &'static str {
        match self {
            Kind::Household => "unit",
            Kind::Vehicle => "plate",
            Kind::Pass | Kind::Digits => "id",
            Kind::Member => "number",
            Kind::Keeper => "station",
        }
    }
}

/// The name of a shared record: `vehicle/苏F12345`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(String);

impl Key {
    /// Of a record.
    pub fn new(kind: Kind, id: impl fmt::Display) -> Key {
        Key(format!("{}/{id}", kind.word()))
    }

    /// As it was written.
    pub(super) fn of_text(text: &str) -> Key {
        Key(text.to_owned())
    }

    /// Its kind; none for what a newer plategate shares.
    pub fn kind(&self) -> Option<Kind> {
        let word = self.0.split_once('/')?.0;
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The record's own name: a plate, a flat, a number.
    pub fn id(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, id)| id)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The six digits of a pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digits {
    /// The pass's number.
    pub id: u64,
    /// Six digits.
    pub digits: String,
}

/// A box of the compound's fleet. Who has not the compound's signature under its key is nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its number, from 1; the founder's is 1.
    pub number: u16,
    /// The name of its gate, as subjects write it: `north`.
    pub gate: String,
    /// Its public key.
    pub key: String,
    /// The compound's signature of all this ([`crate::fleet::identity`]), base 64.
    pub voucher: String,
    /// Shut out or left: nothing of it counts any more.
    #[serde(default)]
    pub out: bool,
}

/// Which box keeps the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeper {
    /// Its number.
    pub station: u16,
    /// How many entries there were when it took the book over: it writes once it has them all.
    pub entries: u64,
}

/// Where the records lie.
pub(super) struct Trees {
    pub(super) households: Tree,
    pub(super) vehicles: Tree,
    pub(super) passes: Tree,
    pub(super) digits: Tree,
    pub(super) members: Tree,
    /// What this box knows of its fleet: its number, who keeps the book, how far it has heard.
    pub(super) fleet: Tree,
}

/// Where the keeper of the book is kept.
pub(super) const KEEPER: &[u8] = b"keeper";

impl Trees {
    /// Puts a change into a batch.
    pub(super) fn put(&self, batch: &mut Batch, change: &Change) {
        match change {
            Change::Household(household) => batch.put(&self.households, household.key(), household),
            Change::Vehicle(vehicle) => batch.put(&self.vehicles, vehicle.plate.to_string(), vehicle),
            Change::Remove(plate) => batch.remove(&self.vehicles, plate.to_string()),
            Change::Pass(pass) => batch.put(&self.passes, pass.id.to_be_bytes(), pass),
            Change::TakeBack(id) => batch.remove(&self.passes, id.to_be_bytes()),
            Change::Digits(digits) => batch.put(&self.digits, digits.id.to_be_bytes(), digits),
            Change::ForgetDigits(id) => batch.remove(&self.digits, id.to_be_bytes()),
            Change::Member(member) => batch.put(&self.members, u64::from(member.number).to_be_bytes(), member),
            Change::Keeper(keeper) => batch.put(&self.fleet, KEEPER, keeper),
        }
    }
}

/// The record that a change is about, and its fields; none where it is taken out.
pub(super) fn fields_of(change: &Change) -> (Key, Option<Map<String, Value>>) {
    fn fields<T: Serialize>(record: &T, without: &[&str]) -> Option<Map<String, Value>> {
        match serde_json::to_value(record) {
            Ok(Value::Object(mut fields)) => {
                without.iter().for_each(|field| drop(fields.remove(*field)));
                Some(fields)
            }
            _ => None,
        }
    }
    match change {
        Change::Household(household) => (Key::new(Kind::Household, household.key()), fields(household, &[])),
        Change::Vehicle(vehicle) => (Key::new(Kind::Vehicle, vehicle.plate), fields(vehicle, &[])),
        Change::Remove(plate) => (Key::new(Kind::Vehicle, plate), None),
        // Every box counts for itself.
        Change::Pass(pass) => (Key::new(Kind::Pass, pass.id), fields(pass, &["used"])),
        Change::TakeBack(id) => (Key::new(Kind::Pass, id), None),
        Change::Digits(digits) => (Key::new(Kind::Digits, digits.id), fields(digits, &[])),
        Change::ForgetDigits(id) => (Key::new(Kind::Digits, id), None),
        Change::Member(member) => (Key::new(Kind::Member, member.number), fields(member, &[])),
        Change::Keeper(keeper) => (Key::new(Kind::Keeper, "book"), fields(keeper, &[])),
    }
}

/// Writes a change's fields into a state; a field that is missing now is written as nothing.
pub(super) fn write(state: &mut State, change: &Change, at: super::version::Stamp, by: &str) {
    let Some(fields) = fields_of(change).1 else { return state.remove(at, by) };
    let gone: Vec<String> = state.parts.keys().filter(|field| !fields.contains_key(*field)).cloned().collect();
    state.write(gone.iter().map(|field| (field.as_str(), Value::Null)), at, by);
    state.write(fields.iter().map(|(field, value)| (field.as_str(), value.clone())), at, by);
}

/// No honest record has more fields, or longer ones.
const MOST_FIELDS: usize = 32;
const LONGEST_FIELD: usize = 1000;

/// The change that brings a record into this state. `Err` says what is wrong with it.
pub(super) fn change_of(key: &Key, state: &State) -> Result<Option<Change>, String> {
    let Some(kind) = key.kind() else { return Ok(None) };
    if state.parts.len() > MOST_FIELDS
        || state.parts.iter().any(|(f, p)| f.len() + p.value.to_string().len() > LONGEST_FIELD)
    {
        return Err(format!("{key}: more or longer fields than a record has"));
    }
    let there = state.value(kind.essential()).is_some_and(|value| !value.is_null());
    let change = if there { there_is(key, kind, state)? } else { none_is(key, kind)? };
    // A record under another's name would overwrite that one.
    match &change {
        Some(change) if fields_of(change).0 != *key => Err(format!("{key}: the record has another name")),
        _ => Ok(change),
    }
}

fn there_is(key: &Key, kind: Kind, state: &State) -> Result<Option<Change>, String> {
    let set = state.parts.iter().filter(|(_, part)| !part.value.is_null());
    let object = Value::Object(set.map(|(field, part)| (field.clone(), part.value.clone())).collect());
    fn record<T: serde::de::DeserializeOwned>(key: &Key, object: Value) -> Result<T, String> {
        serde_json::from_value(object).map_err(|error| format!("{key}: {error}"))
    }
    Ok(Some(match kind {
        Kind::Household => Change::Household(record::<Household>(key, object)?),
        Kind::Vehicle => Change::Vehicle(record::<Vehicle>(key, object)?),
        Kind::Pass => Change::Pass(record::<Pass>(key, object)?),
        Kind::Digits => Change::Digits(record::<Digits>(key, object)?),
        Kind::Member => Change::Member(record::<Member>(key, object)?),
        Kind::Keeper => Change::Keeper(record::<Keeper>(key, object)?),
    }))
}

fn none_is(key: &Key, kind: Kind) -> Result<Option<Change>, String> {
    let number = || key.id().parse::<u64>().map_err(|_| format!("{key}: a number is expected"));
    Ok(match kind {
        Kind::Vehicle => Some(Change::Remove(key.id().parse::<Plate>().map_err(|error| format!("{key}: {error}"))?)),
        Kind::Pass => Some(Change::TakeBack(number()?)),
        Kind::Digits => Some(Change::ForgetDigits(number()?)),
        // These are never taken out.
        Kind::Household | Kind::Member | Kind::Keeper => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::version::Stamp;
    use super::*;

    fn state_of(change: &Change) -> (Key, State) {
        let mut state = State::default();
        write(&mut state, change, Stamp { ms: 1, n: 0, station: 1 }, "王芳");
        (fields_of(change).0, state)
    }

    #[test]
    fn a_record_comes_out_as_it_went_in() {
        let car =
            Vehicle { note: "白色".into(), blocked: true, ..Vehicle::new("苏F12345".parse().unwrap(), "1-101") };
        let household = Household { building: 1, unit: "101".into(), name: "王伟".into(), phone: None };
        let member = Member { number: 2, gate: "north".into(), key: "U".into(), voucher: "x".into(), out: false };
        for change in [
            Change::Vehicle(car),
            Change::Household(household),
            Change::Member(member),
            Change::Keeper(Keeper { station: 2, entries: 7 }),
            Change::Digits(Digits { id: 7, digits: "123456".into() }),
            Change::Remove("苏F12345".parse().unwrap()),
            Change::TakeBack(9),
        ] {
            let (key, state) = state_of(&change);
            assert_eq!(change_of(&key, &state).unwrap(), Some(change));
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let (key, state) = state_of(&Change::Vehicle(Vehicle::new("苏F12345".parse().unwrap(), "1-101")));
        let other = Key::new(Kind::Vehicle, "苏F99999");
        assert!(change_of(&other, &state).unwrap_err().contains("another name"));
        let mut long = state.clone();
        let part = super::super::version::Part { value: "x".repeat(2000).into(), ..state.parts["plate"].clone() };
        long.parts.insert("note".into(), part);
        assert!(change_of(&key, &long).is_err());
        let mut odd = state;
        odd.parts.get_mut("blocked").unwrap().value = "perhaps".into();
        assert!(change_of(&key, &odd).is_err());
        assert!(change_of(&Key::new(Kind::Pass, "x"), &State::default()).is_err());
    }

    #[test]
    fn a_field_that_is_taken_away_is_nothing_everywhere() {
        let mut household =
            Household { building: 1, unit: "101".into(), name: "王伟".into(), phone: Some("1".into()) };
        let (key, mut state) = state_of(&Change::Household(household.clone()));
        household.phone = None;
        write(&mut state, &Change::Household(household.clone()), Stamp { ms: 2, n: 0, station: 1 }, "王芳");
        assert_eq!(change_of(&key, &state).unwrap(), Some(Change::Household(household)));
    }
}
