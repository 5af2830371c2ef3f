//! What happened to the box itself, for those who are told of it: the camera gone and back, a start, a receiver that lost
//! events, a command that was refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, Tree, encode};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum Signal {
    /// plategate was started.
    Started {
        /// Its version.
        version: String,
    },
    /// The camera sends no more frames.
    CameraLost,
    /// It sends frames again.
    CameraBack,
    /// A receiver was away for so long that events were given up.
    EventsDropped {
        /// Its name.
        receiver: String,
        /// How many, since the last time that this was told.
        count: u64,
    },
    /// A command over MQTT was not obeyed.
    CommandRefused {
        /// Whose topic it came by.
        user: String,
        /// Why, in a few English words.
        why: String,
    },
}

/// One on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts up from 1.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub signal: Signal,
}

/// All that are kept.
pub struct Signals {
    store: Arc<Store>,
    tree: Tree,
    next: AtomicU64,
}

impl Signals {
    /// Opens them.
    pub fn open(store: Arc<Store>) -> Result<Signals, StoreError> {
        let tree = store.tree("signals")?;
        let next = AtomicU64::new(tree.last_number()? + 1);
        Ok(Signals { store, tree, next })
    }

    /// Puts one on record. When this returns it is on the disk.
    pub fn append(&self, signal: Signal) -> Result<Entry, StoreError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let entry = Entry { id, at: Timestamp::now(), signal };
        self.store.guarded(|| {
            self.tree.inner.insert(id.to_be_bytes(), encode(&entry))?;
            self.store.commit()
        })?;
        Ok(entry)
    }

    /// The oldest after the number `after`, oldest first.
    pub fn since(&self, after: u64, count: usize) -> Result<Vec<Entry>, StoreError> {
        self.tree.since(after).take(count).collect()
    }

    /// One of them.
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
        self.tree.forget_oldest(&self.store, |entry: &Entry| entry.at < before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_numbered_found_again_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Signals::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
        open().append(Signal::CameraLost).unwrap();
        let signals = open();
        let dropped = Signal::EventsDropped { receiver: "house".into(), count: 3 };
        assert_eq!(signals.append(dropped.clone()).unwrap().id, 2);
        assert_eq!(signals.since(0, 9).unwrap().iter().map(|e| e.id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(signals.since(1, 9).unwrap()[0].signal, dropped);
        assert!(signals.since(2, 9).unwrap().is_empty() && signals.newest_number() == 2);
        assert_eq!(signals.prune(Timestamp::now(), 1).unwrap(), 0);
        assert_eq!(signals.prune(Timestamp::now() + SignedDuration::from_hours(49), 1).unwrap(), 2);
        assert!(signals.get(1).unwrap().is_none());
    }
}
