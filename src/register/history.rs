//! Who changed what in the register, and when: what holds stewards to account.
//!
//! Lines are only added. What a line says of a visitor is kept no longer than the pass itself is: then the plate and the
//! remark go, and that somebody gave a pass to visitors of that household stays.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Pass;
use super::book::{Change, Register};
use crate::store::{Batch, StoreError};

/// A change with its author and time; never deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Who: `command line`, a steward's name.
    pub by: String,
    /// What.
    pub change: Noted,
}

/// A change as the history keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Noted {
    /// As it was made.
    Whole(Change),
    /// A visitor's pass, without the visitor.
    Forgotten(Forgotten),
}

/// What stays of a visitor's pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forgotten {
    /// The pass's number.
    pub forgotten_pass: u64,
    /// The household that was visited.
    pub household: String,
}

impl Noted {
    fn pass(&self) -> Option<&Pass> {
        if let Noted::Whole(Change::Pass(pass)) = self { Some(pass) } else { None }
    }
}

impl Register {
    /// The history of changes, oldest first.
    pub fn changes(&self) -> Result<Vec<Entry>, StoreError> {
        self.changes.all()
    }

    /// Adds lines to the history, after as many as the batch has already.
    pub(super) fn note_changes_from(
        &self,
        batch: &mut Batch,
        by: &str,
        at: Timestamp,
        before: u64,
        changes: &[Change],
    ) -> Result<(), StoreError> {
        let last = self.changes.last_number()? + before;
        for (n, change) in (last + 1..).zip(changes) {
            let entry = Entry { at, by: by.to_owned(), change: Noted::Whole(change.clone()) };
            batch.put(&self.changes, n.to_be_bytes(), &entry);
        }
        Ok(())
    }

    /// Takes the visitor out of the lines about passes that are due, unless the pass is still kept; gives of how many.
    pub fn forget_visitors(&self, due: impl Fn(&Pass) -> bool) -> Result<usize, StoreError> {
        let _writing = self.writing.lock();
        let kept: HashSet<u64> = self.trees.passes.all::<Pass>()?.iter().map(|pass| pass.id).collect();
        let (mut batch, mut forgotten) = (Batch::default(), 0);
        for item in self.changes.checked::<Entry>() {
            let (key, Ok(entry)) = item? else { continue };
            let Some(pass) = entry.change.pass().filter(|pass| !kept.contains(&pass.id) && due(pass)) else { continue };
            let left = Forgotten { forgotten_pass: pass.id, household: pass.household.clone() };
            batch.put(&self.changes, key, &Entry { change: Noted::Forgotten(left), ..entry });
            forgotten += 1;
        }
        if forgotten > 0 {
            self.store.write(batch)?;
        }
        Ok(forgotten)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::SignedDuration;

    use super::*;
    use crate::register::Vehicle;
    use crate::store::Store;

    const VISITOR: &str = "皖A6P42Z";

    fn pass(id: u64, to: Timestamp) -> Pass {
        Pass {
            id,
            plate: VISITOR.parse().unwrap(),
            from: to - SignedDuration::from_hours(2),
            to,
            entries: None,
            used: 0,
            household: "2-301".into(),
            note: "外婆".into(),
            given_by: "王伟".into(),
        }
    }

    #[test]
    fn a_visitor_goes_from_the_history_when_the_pass_has_been_over_for_long_enough() {
        let folder = tempfile::tempdir().unwrap();
        let register = Register::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
        let (now, day) = (Timestamp::now(), SignedDuration::from_hours(24));
        let car = Vehicle::new("苏F12345".parse().unwrap(), "1-101");
        let (old, taken_back, new) = (pass(1, now - day * 40), pass(2, now - day * 35), pass(3, now - day * 20));
        let changes = [old, taken_back, new].map(Change::Pass);
        register.apply("王伟", &[Change::Vehicle(car.clone())]).unwrap();
        register.apply("王伟", &changes).unwrap();
        register.apply("王伟", &[Change::TakeBack(2)]).unwrap();

        let before = now - day * 31;
        let due = |pass: &Pass| pass.to < before;
        assert_eq!(register.forget_visitors(due).unwrap(), 1, "the first pass is kept yet");
        register.forget_passes(before).unwrap();
        assert_eq!(register.forget_visitors(due).unwrap(), 1);
        assert_eq!(register.forget_visitors(due).unwrap(), 0);

        let history = register.changes().unwrap();
        let text = serde_json::to_string(&history).unwrap();
        assert_eq!(text.matches(VISITOR).count(), 1, "{text}");
        assert_eq!(text.matches("外婆").count(), 1, "{text}");
        let left = |id| Noted::Forgotten(Forgotten { forgotten_pass: id, household: "2-301".into() });
        assert_eq!((&history[1].change, history[1].by.as_str()), (&left(1), "王伟"));
        assert_eq!(history[0].change, Noted::Whole(Change::Vehicle(car)));
        assert_eq!(history.len(), 6, "a line for each change: {text}");
    }
}
