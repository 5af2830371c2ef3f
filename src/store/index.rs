//! Where to find which arrivals, and how many there were: by day, plate and outcome, without reading them all.
//!
//! One tree of keys without values, and a tally for each day. Written with every event; what is missing (an older journal, a
//! restored one) is made when the journal is opened. The tallies hold no plates and stay when events go.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, Tree, decode, encode};
use crate::gate::event::{Event, Outcome, PulseReport, Rule};

/// Upper bounds of the latency classes, milliseconds from capture to the relay; one more class is beyond the last.
pub const LATENCY_BOUNDS_MS: [u32; 7] = [50, 100, 150, 200, 300, 500, 1000];

/// What happened on one day, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Arrivals by hour of the day.
    pub hours: [u32; 24],
    /// By outcome.
    pub outcomes: BTreeMap<String, u32>,
    /// By rule.
    pub rules: BTreeMap<String, u32>,
    /// Arrivals by daylight (6 to 18 o'clock) and by night.
    pub arrivals: [u32; 2],
    /// Those of them whose plate was read.
    pub read: [u32; 2],
    /// Presses by [`LATENCY_BOUNDS_MS`].
    pub latency: [u32; LATENCY_BOUNDS_MS.len() + 1],
    /// The strangers of this day have been forgotten.
    pub strangers_gone: bool,
}

impl Tally {
    fn count(&mut self, event: &Event) {
        let name = |value: serde_json::Result<serde_json::Value>| {
            value.ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
        };
        let hour = event.at.to_zoned(TimeZone::system()).hour() as usize;
        self.hours[hour.min(23)] += 1;
        *self.outcomes.entry(name(serde_json::to_value(event.outcome))).or_default() += 1;
        *self.rules.entry(name(serde_json::to_value(event.rule))).or_default() += 1;
        let night = usize::from(!(6..18).contains(&hour));
        // A press by hand has no plate to read.
        if event.rule != Rule::ByHand {
            self.arrivals[night] += 1;
            self.read[night] += u32::from(event.plate.is_some() && event.rule != Rule::Unreadable);
        }
        if let Some(PulseReport::Pressed { after_ms }) = event.pulse {
            let class = LATENCY_BOUNDS_MS.iter().position(|b| after_ms < f64::from(*b));
            self.latency[class.unwrap_or(LATENCY_BOUNDS_MS.len())] += 1;
        }
    }

    /// Adds another day's numbers.
    pub fn add(&mut self, other: &Tally) {
        let sum = |into: &mut [u32], from: &[u32]| into.iter_mut().zip(from).for_each(|(a, b)| *a += b);
        sum(&mut self.hours, &other.hours);
        sum(&mut self.arrivals, &other.arrivals);
        sum(&mut self.read, &other.read);
        sum(&mut self.latency, &other.latency);
        for (into, from) in [(&mut self.outcomes, &other.outcomes), (&mut self.rules, &other.rules)] {
            for (name, n) in from {
                *into.entry(name.clone()).or_default() += n;
            }
        }
    }
}

/// The index.
pub(super) struct Index {
    tree: Tree,
    /// A tally is read, counted up and written.
    counting: Mutex<()>,
}

/// The number up to which events are indexed.
const MARKER: &[u8] = b"m";

impl Index {
    pub(super) fn open(store: &Store) -> Result<Index, StoreError> {
        Ok(Index { tree: store.tree("event_index")?, counting: Mutex::default() })
    }

    /// The number up to which events are indexed.
    pub(super) fn up_to(&self) -> Result<u64, StoreError> {
        let marker = self.tree.inner.get(MARKER)?;
        Ok(marker.and_then(|m| m.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    pub(super) fn add(&self, event: &Event) -> Result<(), StoreError> {
        let _counting = self.counting.lock();
        let day = day_of(event);
        let mut tally = self.tally(day)?.unwrap_or_default();
        tally.count(event);
        let mut batch = sled::Batch::default();
        for key in keys(event) {
            batch.insert(key, &[]);
        }
        batch.insert(tally_key(day), encode(&tally));
        batch.insert(MARKER, &event.id.to_be_bytes());
        Ok(self.tree.inner.apply_batch(batch)?)
    }

    /// Another version of an event that was counted already.
    pub(super) fn replace(&self, old: &Event, new: &Event) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        keys(old).into_iter().for_each(|key| batch.remove(key));
        keys(new).into_iter().for_each(|key| batch.insert(key, &[]));
        Ok(self.tree.inner.apply_batch(batch)?)
    }

    pub(super) fn remove(&self, event: &Event) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        keys(event).into_iter().for_each(|key| batch.remove(key));
        Ok(self.tree.inner.apply_batch(batch)?)
    }

    /// A day's numbers.
    pub(super) fn tally(&self, day: Date) -> Result<Option<Tally>, StoreError> {
        self.tree.get(&tally_key(day))
    }

    pub(super) fn mark_strangers_gone(&self, day: Date) -> Result<(), StoreError> {
        let _counting = self.counting.lock();
        let tally = Tally { strangers_gone: true, ..self.tally(day)?.unwrap_or_default() };
        self.tree.inner.insert(tally_key(day), encode(&tally))?;
        Ok(())
    }

    /// The days that have events, the oldest first.
    pub(super) fn days(&self) -> Result<Vec<Date>, StoreError> {
        let mut days = Vec::new();
        let mut from = vec![b'd'];
        // From each day's first key to the next day's: as many steps as there are days.
        while let Some(item) = self.tree.inner.range(from.clone()..vec![b'e']).next() {
            let key = item?.0;
            let Some(day) = key.get(1..5).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes) else { break };
            days.extend(day_from(day));
            from = [&b"d"[..], &(day + 1).to_be_bytes()].concat();
        }
        Ok(days)
    }

    /// Numbers of the events of a day before the number `before`, the newest first.
    pub(super) fn of_day(&self, day: Date, before: u64) -> impl Iterator<Item = Result<u64, StoreError>> {
        self.below([&b"d"[..], &day_number(day).to_be_bytes()].concat(), before)
    }

    /// Numbers of the events of an outcome before the number `before`, the newest first.
    pub(super) fn of_outcome(&self, outcome: Outcome, before: u64) -> impl Iterator<Item = Result<u64, StoreError>> {
        self.below(vec![b'o', outcome_number(outcome)], before)
    }

    fn below(&self, prefix: Vec<u8>, before: u64) -> impl Iterator<Item = Result<u64, StoreError>> + use<> {
        let upper = [&prefix[..], &before.to_be_bytes()].concat();
        let lower = [&prefix[..], &0u64.to_be_bytes()].concat();
        self.tree.inner.range(lower..upper).rev().map(|item| Ok(number_of(&item?.0)))
    }

    /// Numbers of the events of exactly this plate, at most `most` of the newest.
    pub(super) fn of_exact_plate(&self, text: &str, most: usize) -> Result<Vec<u64>, StoreError> {
        self.of_exact(b'p', text, most)
    }

    /// Numbers of the events whose forgotten plate has this mark, at most `most` of the newest.
    pub(super) fn of_mark(&self, mark: &str, most: usize) -> Result<Vec<u64>, StoreError> {
        self.of_exact(b's', mark, most)
    }

    fn of_exact(&self, kind: u8, text: &str, most: usize) -> Result<Vec<u64>, StoreError> {
        self.below([&[kind], text.as_bytes(), &[0]].concat(), u64::MAX).take(most).collect()
    }

    /// Numbers of the events whose plate begins or ends like this, with or without its province; the newest first, at most
    /// `most`.
    pub(super) fn of_plate(&self, text: &str, most: usize) -> Result<Vec<u64>, StoreError> {
        let reversed: String = text.chars().rev().collect();
        let mut found = std::collections::BTreeSet::new();
        for (kind, text) in [(b'p', text), (b'q', text), (b'r', reversed.as_str())] {
            for key in self.tree.inner.scan_prefix([&[kind], text.as_bytes()].concat()).keys() {
                found.insert(number_of(&key?));
                if found.len() > most {
                    found.pop_first();
                }
            }
        }
        Ok(found.into_iter().rev().collect())
    }
}

/// Everything an event is found by; each key ends with its number.
fn keys(event: &Event) -> Vec<Vec<u8>> {
    let id = event.id.to_be_bytes();
    let key = |kind: u8, value: &[u8]| [&[kind], value, &id].concat();
    let text = event.plate.map_or_else(|| event.text.clone(), |p| p.to_string());
    let reversed: String = text.chars().rev().collect();
    let without_province: String = text.chars().skip(1).collect();
    let mut keys =
        vec![key(b'd', &day_number(day_of(event)).to_be_bytes()), key(b'o', &[outcome_number(event.outcome)])];
    if let Some(mark) = &event.hashed {
        keys.push(key(b's', &[mark.as_bytes(), &[0]].concat()));
    }
    if !text.is_empty() {
        for (kind, text) in [(b'p', &text), (b'q', &without_province), (b'r', &reversed)] {
            keys.push(key(kind, &[text.as_bytes(), &[0]].concat()));
        }
    }
    keys
}

fn number_of(key: &[u8]) -> u64 {
    key.last_chunk::<8>().map_or(0, |n| u64::from_be_bytes(*n))
}

fn outcome_number(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Opened => 0,
        Outcome::Refused => 1,
        Outcome::Failed => 2,
        Outcome::Seen => 3,
    }
}

/// The day at the gate.
fn day_of(event: &Event) -> Date {
    event.at.to_zoned(TimeZone::system()).date()
}

/// Days as `year * 512 + month * 32 + day`, which are in order.
fn day_number(day: Date) -> u32 {
    day.year().max(0) as u32 * 512 + day.month() as u32 * 32 + day.day() as u32
}

fn day_from(number: u32) -> Option<Date> {
    Date::new((number / 512) as i16, (number / 32 % 16) as i8, (number % 32) as i8).ok()
}

fn tally_key(day: Date) -> Vec<u8> {
    [&b"t"[..], &day_number(day).to_be_bytes()].concat()
}

/// What arrivals are looked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Of this day.
    pub day: Option<Date>,
    /// Whose plate begins or ends like this.
    pub plate: Option<String>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
    /// Older than this number.
    pub before: Option<u64>,
}

impl Query {
    pub(super) fn fits(&self, event: &Event) -> bool {
        self.day.is_none_or(|d| d == day_of(event))
            && self.outcome.is_none_or(|o| o == event.outcome)
            && self.before.is_none_or(|b| event.id < b)
    }
}

/// A record of the journal from its bytes; a damaged one is logged and passed over.
pub(super) fn whole(bytes: &[u8]) -> Option<Event> {
    decode(bytes).map_err(|problem| tracing::error!(problem, "an event is damaged")).ok()
}
