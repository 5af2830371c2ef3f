//! What happened at the barrier, beside the arrivals: who pressed by hand, what did not open, who came in on another's press.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, Tree, decode, encode};
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
        self.tree.inner.insert(entry.id.to_be_bytes(), encode(&entry))?;
        self.store.commit()?;
        Ok(entry)
    }

    /// The newest notes before the number `before` (or all), newest first. Damaged ones are passed over.
    pub fn newest(&self, count: usize, before: Option<u64>) -> Result<Vec<Entry>, StoreError> {
        self.tree.before(&before.unwrap_or(u64::MAX).to_be_bytes()).take(count).collect()
    }

    /// Deletes those older than `days`. Gives how many went.
    pub fn prune(&self, now: Timestamp, days: u32) -> Result<usize, StoreError> {
        let before = now - SignedDuration::from_hours(24 * i64::from(days));
        let mut gone = 0;
        for item in self.tree.inner.iter() {
            let (key, value) = item?;
            // They are in the order of their time.
            if decode::<Entry>(&value).is_ok_and(|entry| entry.noted.at >= before) {
                break;
            }
            self.tree.inner.remove(key)?;
            gone += 1;
        }
        if gone > 0 {
            self.store.commit()?;
        }
        Ok(gone)
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
        assert_eq!(notes.prune(now, 365).unwrap(), 1);
        assert_eq!(notes.newest(10, None).unwrap().len(), 3);
    }
}
