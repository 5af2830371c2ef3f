//! A visitor's pass: a plate that may come in from then to then, so many times.
//!
//! The lane decides from memory and counts there at once ([`LivePass::take`]); the recorder writes the count down
//! afterwards ([`super::Register::keep_counts`]), so that the lane never waits for the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::plate::Plate;

/// A visitor's pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// Its number, from 1; [`super::Register::next_pass`] gives the next one.
    pub id: u64,
    /// The visitor's plate.
    pub plate: Plate,
    /// Good from this moment on.
    pub from: Timestamp,
    /// Good until this moment.
    pub to: Timestamp,
    /// How often it lets in; without end where none is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u32>,
    /// How often it has let in.
    #[serde(default)]
    pub used: u32,
    /// The household that is visited, by its key.
    pub household: String,
    /// A remark, such as the visitor's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Who gave it.
    pub given_by: String,
}

/// What a pass is worth at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It lets in.
    Good,
    /// Its time has not come.
    TooEarly,
    /// Its time is over.
    Over,
    /// It has let in as often as it may.
    UsedUp,
}

impl Pass {
    /// What it is worth at this moment.
    pub fn validity(&self, at: Timestamp) -> Validity {
        self.worth(at, self.used)
    }

    fn worth(&self, at: Timestamp, used: u32) -> Validity {
        if at < self.from {
            Validity::TooEarly
        } else if at > self.to {
            Validity::Over
        } else if self.entries.is_some_and(|most| used >= most) {
            Validity::UsedUp
        } else {
            Validity::Good
        }
    }
}

/// A pass as the lane sees it: all of it fixed but the count, which every snapshot shares.
#[derive(Clone, Debug)]
pub struct LivePass {
    pass: Pass,
    used: Arc<AtomicU32>,
}

impl LivePass {
    /// A pass with the count that is shared by all snapshots.
    pub(super) fn new(pass: Pass, used: Arc<AtomicU32>) -> LivePass {
        LivePass { pass, used }
    }

    /// The visitor's plate.
    pub fn plate(&self) -> Plate {
        self.pass.plate
    }

    /// The pass with its count of this moment.
    pub fn now(&self) -> Pass {
        Pass { used: self.used.load(Ordering::Acquire), ..self.pass.clone() }
    }

    /// What it is worth at this moment.
    pub fn validity(&self, at: Timestamp) -> Validity {
        // Not by `now()`, which copies the texts: this is asked for every frame.
        self.pass.worth(at, self.used.load(Ordering::Acquire))
    }

    /// Until when it is good.
    pub fn until(&self) -> Timestamp {
        self.pass.to
    }

    /// The household that is visited.
    pub fn household(&self) -> &str {
        &self.pass.household
    }

    /// Its number.
    pub fn id(&self) -> u64 {
        self.pass.id
    }

    /// Counts one entry, if one is left.
    pub fn take(&self) -> bool {
        let most = self.pass.entries.unwrap_or(u32::MAX);
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| (used < most).then(|| used.saturating_add(1)))
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(entries: Option<u32>) -> Pass {
        Pass {
            id: 1,
            plate: "皖A6P42Z".parse().unwrap(),
            from: "2026-11-25T00:00:00Z".parse().unwrap(),
            to: "2026-11-26T00:00:00Z".parse().unwrap(),
            entries,
            used: 0,
            household: "2-301".into(),
            note: String::new(),
            given_by: "test".into(),
        }
    }

    #[test]
    fn a_pass_is_good_in_its_time_only() {
        let live = LivePass::new(pass(None), Arc::default());
        for (at, want) in [
            ("2026-11-24T23:59:59Z", Validity::TooEarly),
            ("2026-11-25T00:00:00Z", Validity::Good),
            ("2026-11-26T00:00:00Z", Validity::Good),
            ("2026-11-26T00:00:01Z", Validity::Over),
        ] {
            assert_eq!(live.validity(at.parse().unwrap()), want, "{at}");
        }
    }

    #[test]
    fn entries_are_counted_down_and_never_below_nothing() {
        let live = LivePass::new(pass(Some(2)), Arc::default());
        let same = live.clone();
        let at = "2026-11-25T12:00:00Z".parse().unwrap();
        assert!(live.take() && same.take() && !live.take());
        assert_eq!((live.validity(at), live.now().used), (Validity::UsedUp, 2));
        let endless = LivePass::new(pass(None), Arc::default());
        assert!((0..100).all(|_| endless.take()));
        assert_eq!(endless.validity(at), Validity::Good);
    }
}
