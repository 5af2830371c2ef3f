//! Which field of a record was written when, by whom and on which box: what lets boxes that were cut off from each other end
//! with the same register.
//!
//! In: what a steward changes on this box, and the states of other boxes. Out: one state for each record, the same on every
//! box that has heard the same, in whatever order and however often. Each field is won by its latest writing; a removal wins
//! over all that was written before it. What two people wrote without knowing of each other is told, so that the loser is on
//! record.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A moment that all boxes order alike: wall clock, a counter within its millisecond, the box. A clock that goes back never
/// takes it back, and one that has heard a later moment goes on from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(u64, u32, u16)", into = "(u64, u32, u16)")]
pub struct Stamp {
    /// Milliseconds since 1970.
    pub ms: u64,
    /// Counts within the millisecond.
    pub n: u32,
    /// The number of the box; 0 for one that belongs to no fleet.
    pub station: u16,
}

impl From<(u64, u32, u16)> for Stamp {
    fn from((ms, n, station): (u64, u32, u16)) -> Stamp {
        Stamp { ms, n, station }
    }
}

impl From<Stamp> for (u64, u32, u16) {
    fn from(stamp: Stamp) -> (u64, u32, u16) {
        (stamp.ms, stamp.n, stamp.station)
    }
}

impl Stamp {
    /// The wall-clock part.
    pub fn time(self) -> Timestamp {
        i64::try_from(self.ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX)
    }
}

/// What gives the stamps of one box.
#[derive(Clone, Copy, Debug, Default)]
pub struct HybridClock {
    last: Stamp,
    station: u16,
}

impl HybridClock {
    /// The clock of this box, which goes on after everything that is on record.
    pub fn after(last: Stamp, station: u16) -> HybridClock {
        HybridClock { last, station }
    }

    /// Later than everything that was given or heard.
    pub fn tick(&mut self, wall: Timestamp) -> Stamp {
        let wall = u64::try_from(wall.as_millisecond()).unwrap_or(0);
        let (ms, n) = match wall > self.last.ms {
            true => (wall, 0),
            // A counter that is full moves the clock on.
            false => self.last.n.checked_add(1).map_or((self.last.ms + 1, 0), |n| (self.last.ms, n)),
        };
        self.last = Stamp { ms, n, station: self.station };
        self.last
    }

    /// Another box was this far.
    pub fn hear(&mut self, stamp: Stamp) {
        self.last = self.last.max(Stamp { station: self.last.station, ..stamp });
    }

    /// The box got its number.
    pub fn set_station(&mut self, station: u16) {
        self.station = station;
    }
}

/// One writing of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// When and where it was written.
    pub at: Stamp,
    /// The writing that its author saw there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Stamp>,
    /// Who wrote.
    pub by: String,
    /// What.
    pub value: Value,
}

impl Part {
    /// Of two writings the winner is the later one; text decides between two of one moment, which no honest clock gives.
    fn beats(&self, other: &Part) -> bool {
        let key = |part: &Part| (part.at, part.by.clone(), part.value.to_string());
        key(self) > key(other)
    }

    /// Did its author know of the other one, or of something later?
    fn knew(&self, other: &Part) -> bool {
        self.seen.is_some_and(|seen| seen >= other.at)
    }
}

/// A removal: everything written before is gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gone {
    /// When and where.
    pub at: Stamp,
    /// The latest writing that was there to be seen.
    pub seen: Stamp,
    /// Who.
    pub by: String,
}

/// Everything that is known of one record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Its last removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Gone>,
    /// Its fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, Part>,
}

/// A writing that another one has beaten, by somebody who did not know of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lost {
    /// The field; empty where a removal won.
    pub field: String,
    /// Who wrote it, and when.
    pub by: String,
    /// When it was written.
    pub at: Stamp,
    /// What was written.
    pub value: String,
    /// Who won.
    pub to: String,
}

impl State {
    /// A field's value.
    pub fn value(&self, field: &str) -> Option<&Value> {
        self.parts.get(field).map(|part| &part.value)
    }

    /// The latest moment in it.
    pub fn newest(&self) -> Stamp {
        let gone = self.gone.as_ref().map(|gone| gone.at);
        self.parts.values().map(|part| part.at).chain(gone).max().unwrap_or_default()
    }

    /// Who wrote last.
    pub fn author(&self) -> &str {
        let part = self.parts.values().max_by_key(|part| part.at).map(|part| (part.at, part.by.as_str()));
        let gone = self.gone.as_ref().map(|gone| (gone.at, gone.by.as_str()));
        part.max(gone).map_or("", |(_, by)| by)
    }

    /// Writes the fields whose values differ. Gives whether there were any.
    pub fn write<'a>(&mut self, fields: impl IntoIterator<Item = (&'a str, Value)>, at: Stamp, by: &str) -> bool {
        let mut wrote = false;
        for (field, value) in fields {
            let before = self.parts.get(field);
            if before.is_some_and(|part| part.value == value) {
                continue;
            }
            let part = Part { at, seen: before.map(|part| part.at), by: by.to_owned(), value };
            self.parts.insert(field.to_owned(), part);
            wrote = true;
        }
        wrote
    }

    /// Takes the record out.
    pub fn remove(&mut self, at: Stamp, by: &str) {
        let seen = self.newest();
        self.parts.clear();
        self.gone = Some(Gone { at, seen, by: by.to_owned() });
    }

    /// Takes over what another box knows. Gives what was beaten by somebody who did not know of it.
    pub fn merge(&mut self, other: &State) -> Vec<Lost> {
        let mut lost = Vec::new();
        for (field, theirs) in &other.parts {
            match self.parts.get_mut(field) {
                Some(ours) if ours == theirs => {}
                Some(ours) => {
                    let they_win = theirs.beats(ours);
                    let (winner, loser) = if they_win { (theirs, &*ours) } else { (&*ours, theirs) };
                    // What was read off a pass code, or is from before there were stamps, is nobody's writing.
                    if loser.at.ms > 0 && !winner.knew(loser) && winner.value != loser.value {
                        lost.push(Lost::of(field, loser, &winner.by));
                    }
                    if they_win {
                        *ours = theirs.clone();
                    }
                }
                None => {
                    self.parts.insert(field.clone(), theirs.clone());
                }
            }
        }
        self.gone = self.gone.take().max(other.gone.clone());
        if let Some(gone) = &self.gone {
            self.parts.retain(|field, part| {
                let stays = part.at > gone.at;
                // What the remover saw was meant to go.
                if !stays && part.at > gone.seen && part.at.ms > 0 {
                    lost.push(Lost::of(field, part, &gone.by));
                }
                stays
            });
        }
        lost
    }
}

impl Lost {
    fn of(field: &str, part: &Part, to: &str) -> Lost {
        let value: String = part.value.to_string().chars().take(80).collect();
        Lost { field: field.to_owned(), by: part.by.clone(), at: part.at, value, to: to.to_owned() }
    }
}

/// A record's state on this box, and how far the other boxes were told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Versioned {
    /// What is known.
    pub state: State,
    /// The number under which the broker has it last, as far as is known here; 0: never.
    #[serde(default)]
    pub seq: u64,
}

/// What a message did to a record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taken {
    /// The record is another one now.
    pub changed: bool,
    /// This box knows more than the message: the others are to be told.
    pub unsent: bool,
    /// What was beaten.
    pub lost: Vec<Lost>,
}

impl Versioned {
    /// Takes over a state that the broker has under this number.
    pub fn take(&mut self, state: &State, seq: u64) -> Taken {
        let before = self.state.clone();
        let lost = self.state.merge(state);
        self.seq = self.seq.max(seq);
        Taken { changed: self.state != before, unsent: self.state != *state, lost }
    }
}

#[cfg(test)]
#[path = "version_tests.rs"]
mod tests;
