//! The register as one of several: what other boxes are told of it, and what is taken over from them. How often they have let in
//! on passes is in [`super::uses`], the book in [`super::keeping`].
//!
//! In: states of records that other boxes made. Out: the same of this box, until it was
//! told. Everything that comes in is written in one batch with how far was heard, so that a power cut in the middle of it
//! costs nothing. Who is asked over what wire is none of this file's business.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::book::{Change, Register};
use super::shared::{self, Key, Member};
use super::version::{Lost, State, Taken, Versioned};
use super::{Household, Pass, Vehicle};
use crate::store::{Batch, StoreError};
use crate::text::one_line;

pub use super::uses::Use;

/// Where this box's number is kept.
pub(super) const STATION: &[u8] = b"station";
const HEARD: &[u8] = b"heard";
const BOOK_TOLD: &[u8] = b"book told";

/// A clock that is further ahead than this is no clock: what it wrote would win over everybody for as long.
const MOST_AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// A record as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Its name.
    pub key: Key,
    /// Everything that the sender knows of it.
    pub state: State,
    /// The number under which the broker has it last; 0: never, as far as is known here.
    #[serde(skip)]
    pub seq: u64,
}

/// How far the broker's stream of changes was heard, and which stream that was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// When the stream was made: another one begins anew.
    pub stream: String,
    /// The number of the last message.
    pub seq: u64,
}

/// What came of messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Records that are others now.
    pub changed: usize,
    /// What one steward wrote and another beat without knowing of it, with the record's name.
    pub lost: Vec<(Key, Lost)>,
    /// What was refused, in one sentence each.
    pub refused: Vec<String>,
}

/// The name of the record that a change is about.
pub fn key(change: &Change) -> Key {
    shared::fields_of(change).0
}

/// Writes a change's fields into a record's state.
pub fn write(state: &mut State, change: &Change, at: super::version::Stamp, by: &str) {
    shared::write(state, change, at, by);
}

/// The change that brings a record into this state. `Err` says what is wrong with it.
pub fn change(key: &Key, state: &State) -> Result<Option<Change>, String> {
    shared::change_of(key, state)
}

/// May a state be taken over at this moment? `Err` says why not.
pub fn check(told: &Told, now: Timestamp) -> Result<(), String> {
    let newest = told.state.newest().time();
    if newest > now + MOST_AHEAD {
        let key = one_line(&told.key.to_string());
        return Err(format!("{key}: written at {newest}, which is to come: the clock of that box is wrong"));
    }
    shared::change_of(&told.key, &told.state).map(drop).map_err(|why| one_line(&why))
}

impl Register {
    /// This box's number in its fleet; 0 where there is none.
    pub fn station(&self) -> u16 {
        self.station.load(Ordering::Acquire)
    }

    /// Counts up whenever something changed.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Gives this box its number; 0 takes it away. Everything is to be told anew.
    pub fn set_station(&self, station: u16) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        batch.put(&self.trees.fleet, STATION, &station);
        for key in [HEARD, BOOK_TOLD] {
            batch.remove(&self.trees.fleet, key);
        }
        self.store.write(batch)?;
        self.station.store(station, Ordering::Release);
        self.clock.lock().set_station(station);
        self.tell_everything()
    }

    /// The boxes of the fleet, in the order of their numbers.
    pub fn members(&self) -> Result<Vec<Member>, StoreError> {
        self.trees.members.all()
    }

    /// Writes the fields of changes with their author and time, and that others are to be told.
    pub(super) fn put_versions(&self, batch: &mut Batch, by: &str, changes: &[Change]) -> Result<(), StoreError> {
        let mut clock = self.clock.lock();
        let mut states: HashMap<Key, Versioned> = HashMap::new();
        for change in changes {
            let key = shared::fields_of(change).0;
            let mut versioned = match states.remove(&key) {
                Some(versioned) => versioned,
                None => self.versions.get(key.as_str().as_bytes())?.unwrap_or_default(),
            };
            let at = clock.tick(Timestamp::now());
            shared::write(&mut versioned.state, change, at, by);
            batch.put(&self.versions, key.as_str(), &versioned);
            batch.put(&self.unsent, key.as_str(), &key);
            states.insert(key, versioned);
        }
        Ok(())
    }

    /// Records that others have not been told of, at most so many.
    pub fn unsent(&self, most: usize) -> Result<Vec<Told>, StoreError> {
        let keys = self.unsent.first::<Key>(most)?;
        let told = |key: Key| {
            let versioned: Option<Versioned> = self.versions.get(key.as_str().as_bytes())?;
            let Versioned { state, seq } = versioned.unwrap_or_default();
            Ok(Told { key, state, seq })
        };
        keys.into_iter().map(told).collect()
    }

    /// How many records others have not been told of.
    pub fn unsent_count(&self) -> usize {
        self.unsent.len()
    }

    /// The broker has these, under these numbers.
    pub fn sent(&self, told: &[(Told, u64)]) -> Result<(), StoreError> {
        let _writing = self.writing.lock();
        let mut batch = Batch::default();
        for (told, seq) in told {
            let key = told.key.as_str();
            let Some(mut now) = self.versions.get::<Versioned>(key.as_bytes())? else { continue };
            // What has changed meanwhile is still to be told.
            if now.state == told.state {
                batch.remove(&self.unsent, key);
            }
            now.seq = now.seq.max(*seq);
            batch.put(&self.versions, key, &now);
        }
        self.store.write(batch)
    }

    /// What the broker has last of the record that this is true of, under this number, is no state of it: this box's own takes its
    /// place. `false` where there is no such record here.
    pub fn supersede(&self, is_it: &dyn Fn(&Key) -> bool, seq: u64) -> Result<bool, StoreError> {
        let _writing = self.writing.lock();
        let mut batch = Batch::default();
        for item in self.versions.checked::<Versioned>() {
            let (key, Ok(versioned)) = item? else { continue };
            let key = Key::of_text(&String::from_utf8_lossy(&key));
            if is_it(&key) && versioned.seq < seq {
                batch.put(&self.versions, key.as_str(), &Versioned { seq, ..versioned });
                batch.put(&self.unsent, key.as_str(), &key);
            }
        }
        if batch.is_empty() {
            return Ok(false);
        }
        self.store.write(batch)?;
        self.generation.fetch_add(1, Ordering::Release);
        Ok(true)
    }

    /// How far was heard.
    pub fn heard(&self) -> Result<Heard, StoreError> {
        Ok(self.trees.fleet.get(HEARD)?.unwrap_or_default())
    }

    /// Another stream: nothing was heard of it, and nothing told.
    pub fn begin_stream(&self, heard: &Heard) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        batch.put(&self.trees.fleet, HEARD, heard);
        self.store.write(batch)?;
        self.tell_everything()
    }

    /// Every record is to be told. Records from before there were versions get one, as old as can be.
    fn tell_everything(&self) -> Result<(), StoreError> {
        let _writing = self.writing.lock();
        let mut batch = Batch::default();
        let all = (self.trees.households.all::<Household>()?.into_iter().map(Change::Household))
            .chain(self.trees.vehicles.all::<Vehicle>()?.into_iter().map(Change::Vehicle))
            .chain(self.trees.passes.all::<Pass>()?.into_iter().map(Change::Pass));
        for change in all {
            let key = shared::fields_of(&change).0;
            if self.versions.get::<Versioned>(key.as_str().as_bytes())?.is_none() {
                let mut versioned = Versioned::default();
                shared::write(&mut versioned.state, &change, super::version::Stamp::default(), "plategate");
                batch.put(&self.versions, key.as_str(), &versioned);
                batch.put(&self.unsent, key.as_str(), &key);
            }
        }
        for item in self.versions.checked::<Versioned>() {
            let (key, Ok(versioned)) = item? else { continue };
            let key = String::from_utf8_lossy(&key).into_owned();
            batch.put(&self.unsent, &key, &key);
            if versioned.seq != 0 {
                batch.put(&self.versions, &key, &Versioned { seq: 0, ..versioned });
            }
        }
        self.store.write(batch)?;
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Takes over what other boxes know, all of it or nothing, and that it was heard. When this returns it is on the disk and
    /// the lane sees it.
    pub fn hear(&self, told: &[Told], heard: &Heard) -> Result<Outcome, StoreError> {
        let _writing = self.writing.lock();
        let (mut outcome, mut batch) = (Outcome::default(), Batch::default());
        let mut states: BTreeMap<&Key, Versioned> = BTreeMap::new();
        let mut changes: BTreeMap<&Key, Change> = BTreeMap::new();
        for told in told {
            if let Err(problem) = check(told, Timestamp::now()) {
                outcome.refused.push(problem);
                continue;
            }
            self.clock.lock().hear(told.state.newest());
            let mut versioned = match states.remove(&told.key) {
                Some(versioned) => versioned,
                None => self.versions.get::<Versioned>(told.key.as_str().as_bytes())?.unwrap_or_default(),
            };
            // Its own words, or older ones: only who knew of a state could tell one after it.
            if told.seq != 0 && versioned.seq >= told.seq {
                states.insert(&told.key, versioned);
                continue;
            }
            let Taken { changed, unsent, lost } = versioned.take(&told.state, told.seq);
            outcome.lost.extend(lost.into_iter().map(|lost| (told.key.clone(), lost)));
            if unsent {
                batch.put(&self.unsent, told.key.as_str(), &told.key);
            } else {
                batch.remove(&self.unsent, told.key.as_str());
            }
            if changed {
                match shared::change_of(&told.key, &versioned.state) {
                    Ok(Some(change)) => drop(changes.insert(&told.key, change)),
                    Ok(None) => {}
                    Err(problem) => outcome.refused.push(problem),
                }
            }
            states.insert(&told.key, versioned);
        }
        for (key, versioned) in &states {
            batch.put(&self.versions, key.as_str(), versioned);
        }
        for (key, change) in changes {
            let author = states[key].state.author();
            let change = self.with_count(change)?;
            self.trees.put(&mut batch, &change);
            self.note_changes_after(&mut batch, author, outcome.changed, &change)?;
            outcome.changed += 1;
        }
        batch.put(&self.trees.fleet, HEARD, heard);
        self.store.write(batch)?;
        if outcome.changed > 0 {
            self.refresh()?;
        }
        self.generation.fetch_add(1, Ordering::Release);
        Ok(outcome)
    }

    /// Takes over a pass that a visitor showed ([`crate::fleet::pass_code`]) and that this box has not heard of. Whatever the box
    /// that gave it says of it wins. `false` if it was taken back.
    pub fn present(&self, pass: &Pass, by: &str) -> Result<bool, StoreError> {
        let _writing = self.writing.lock();
        let change = Change::Pass(pass.clone());
        let key = shared::fields_of(&change).0;
        if let Some(known) = self.versions.get::<Versioned>(key.as_str().as_bytes())? {
            let is_there = matches!(shared::change_of(&key, &known.state), Ok(Some(Change::Pass(_))));
            return Ok(is_there);
        }
        let mut versioned = Versioned::default();
        let oldest = super::version::Stamp { ms: 0, n: 1, station: self.station() };
        shared::write(&mut versioned.state, &change, oldest, by);
        let mut batch = Batch::default();
        batch.put(&self.versions, key.as_str(), &versioned);
        batch.put(&self.unsent, key.as_str(), &key);
        let change = self.with_count(change)?;
        self.note_changes_from(&mut batch, by, Timestamp::now(), 0, std::slice::from_ref(&change))?;
        self.trees.put(&mut batch, &change);
        self.store.write(batch)?;
        self.refresh()?;
        self.generation.fetch_add(1, Ordering::Release);
        Ok(true)
    }

    /// Adds a line to the history, after as many as this batch has already.
    fn note_changes_after(
        &self,
        batch: &mut Batch,
        by: &str,
        before: usize,
        change: &Change,
    ) -> Result<(), StoreError> {
        self.note_changes_from(batch, by, Timestamp::now(), before as u64, std::slice::from_ref(change))
    }
}

#[cfg(test)]
#[path = "share_tests.rs"]
mod tests;
