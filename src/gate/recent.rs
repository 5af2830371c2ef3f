//! Plates that were decided about a moment ago: a car that stays at the gate is one arrival and gets one pulse, however
//! often its track breaks.

use std::time::{Duration, Instant};

use super::event::Outcome;
use crate::plate::Plate;

/// Plates and what was decided, for as long as it may still be the same arrival.
#[derive(Default)]
pub(super) struct Recent(Vec<Entry>);

struct Entry {
    plate: Plate,
    outcome: Outcome,
    seen: Instant,
}

impl Recent {
    /// It was decided about, or is still there.
    pub fn remember(&mut self, plate: Plate, outcome: Outcome, now: Instant) {
        match self.0.iter_mut().find(|entry| entry.plate == plate) {
            Some(known) => (known.outcome, known.seen) = (outcome, now),
            None => self.0.push(Entry { plate, outcome, seen: now }),
        }
    }

    /// Had this plate this outcome within the time that an arrival is kept, counted from when it was last seen?
    pub fn is_repeat(&mut self, plate: Plate, outcome: Outcome, now: Instant, keep: Duration) -> bool {
        self.0.retain(|entry| now.saturating_duration_since(entry.seen) < keep);
        // One that was let in and is then read less well is no refusal, and none that leaves.
        let same = |o: Outcome| o == outcome || (outcome == Outcome::Refused && o == Outcome::Opened);
        self.0.iter().any(|entry| entry.plate == plate && same(entry.outcome))
    }
}
