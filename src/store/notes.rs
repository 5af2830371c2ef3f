//! What happened at the barrier, beside the arrivals: who pressed by hand, what did not open, who came in on another's press.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, Tree, encode};
use crate::barrier::Noted;

/// One note on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts up from 1.
    pub id: u64,
    /// What and when.
    #[serde(flatten)]
    pub noted: Noted,
}

/// Which notes are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Of this kind ([`crate::barrier::Note::kind`]).
    pub kind: Option<String>,
    /// Only those that somebody should look at.
    pub alerts: bool,
    /// Of this day.
    pub day: Option<Date>,
    /// Older than this number.
    pub before: Option<u64>,
}

impl Query {
    fn fits(&self, entry: &Entry) -> bool {
        let note = entry.noted.note;
        self.kind.as_ref().is_none_or(|kind| kind == note.kind())
            && (!self.alerts || note.is_alert())
            && self.day.is_none_or(|day| day == day_of(entry))
    }
}

/// The day at the gate.
fn day_of(entry: &Entry) -> Date {
    entry.noted.at.to_zoned(TimeZone::system()).date()
}

/// The barrier's notes.
pub struct Notes {
    store: Arc<Store>,
    tree: Tree,
    next: AtomicU64,
}

impl Notes {
    /// Opens them.
    pub fn open(store: Arc<Store>) -> Result<Notes, StoreError> {
        let tree = store.tree("notes")?;
        let next = AtomicU64::new(tree.last_number()? + 1);
        Ok(Notes { store, tree, next })
    }

    /// Puts a note on record. When this returns it is on the disk.
    pub fn append(&self, noted: Noted) -> Result<Entry, StoreError> {
        let entry = Entry { id: self.next.fetch_add(1, Ordering::Relaxed), noted };
        self.store.guarded(|| {
            self.tree.inner.insert(entry.id.to_be_bytes(), encode(&entry))?;
            self.store.commit()
        })?;
        Ok(entry)
    }

    /// The newest notes before the number `before` (or all), newest first. Damaged ones are passed over.
    pub fn newest(&self, count: usize, before: Option<u64>) -> Result<Vec<Entry>, StoreError> {
        self.tree.before(&before.unwrap_or(u64::MAX).to_be_bytes()).take(count).collect()
    }

    /// The newest notes that answer to the query, newest first.
    pub fn find(&self, query: &Query, count: usize) -> Result<Vec<Entry>, StoreError> {
        let before = query.before.unwrap_or(u64::MAX).to_be_bytes();
        let newest = self.tree.before::<Entry>(&before);
        // They are in the order of their time: before the day there is no more of it.
        let until = newest.take_while(|entry| match (entry, query.day) {
            (Ok(entry), Some(day)) => day_of(entry) >= day,
            _ => true,
        });
        until.filter(|entry| entry.as_ref().map_or(true, |entry| query.fits(entry))).take(count).collect()
    }

    /// The oldest notes after the number `after`, oldest first.
    pub fn since(&self, after: u64, count: usize) -> Result<Vec<Entry>, StoreError> {
        self.tree.since(after).take(count).collect()
    }

    /// One note.
    pub fn get(&self, id: u64) -> Result<Option<Entry>, StoreError> {
        self.tree.get(&id.to_be_bytes())
    }

    /// The number of the newest; 0 if there was none.
    pub fn newest_number(&self) -> u64 {
        self.next.load(Ordering::Relaxed) - 1
    }

    /// Deletes those older than `days`. Gives how many went.
    pub fn prune(&self, now: Timestamp, days: u32) -> Result<usize, StoreError> {
        let before = now - SignedDuration::from_hours(24 * i64::from(days));
        self.tree.forget_oldest(&self.store, |entry: &Entry| entry.noted.at < before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::barrier::{Direction, Hold, Note, Reason};

    fn noted(note: Note, at: Timestamp) -> Noted {
        let reason = (note == Note::Pressed).then(|| Reason::person("王伟", "the doctor"));
        Noted { at, note, reason }
    }

    #[test]
    fn notes_are_numbered_found_again_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::now();
        let old = now - SignedDuration::from_hours(24 * 400);
        let all = [
            noted(Note::Tailgated, old),
            noted(Note::Pressed, now),
            noted(Note::Passed { direction: Some(Direction::In) }, now),
            noted(Note::HoldBegan { hold: Hold::Fire }, now),
        ];
        let notes = Notes::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
        for note in &all {
            notes.append(note.clone()).unwrap();
        }
        drop(notes);
        let notes = Notes::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
        let newest = notes.newest(10, None).unwrap();
        assert_eq!(newest.iter().map(|e| e.id).collect::<Vec<_>>(), [4, 3, 2, 1]);
        assert!(newest.iter().rev().map(|e| &e.noted).eq(&all));
        let json = serde_json::to_value(&newest[1]).unwrap();
        assert_eq!((json["what"].as_str(), json["direction"].as_str()), (Some("passed"), Some("in")));
        assert_eq!(notes.newest(1, Some(3)).unwrap()[0].noted.reason, all[1].reason);
        let ids =
            |query: Query, count| -> Vec<u64> { notes.find(&query, count).unwrap().iter().map(|e| e.id).collect() };
        assert_eq!(ids(Query { alerts: true, ..Query::default() }, 9), [4, 1]);
        assert_eq!(ids(Query { kind: Some("passed".into()), ..Query::default() }, 9), [3]);
        let day = now.to_zoned(TimeZone::system()).date();
        assert_eq!(ids(Query { day: Some(day), before: Some(4), ..Query::default() }, 9), [3, 2]);
        assert_eq!(ids(Query { day: Some(day), ..Query::default() }, 1), [4]);
        assert_eq!(notes.since(2, 1).unwrap()[0].id, 3);
        assert_eq!((notes.newest_number(), notes.get(9).unwrap()), (4, None));
        assert_eq!(notes.prune(now, 365).unwrap(), 1);
        assert_eq!(notes.newest(10, None).unwrap().len(), 3);
    }
}
