//! What the sync keeps for itself on the gate's disk: how far the broker was told of arrivals, and which commands were obeyed.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::fleet::command::{Judge, Obeyed};
use crate::fleet::home::EventsTold;
use crate::store::events::Events;
use crate::store::{Batch, Store, StoreError, Tree};

/// How far the broker was told of arrivals, on the disk.
pub(super) struct Cursor {
    store: Arc<Store>,
    tree: Tree,
    now: Mutex<Kept>,
}

/// As it is kept: with the time of that arrival, by which a record that begins anew is noticed.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    told: EventsTold,
    #[serde(default)]
    at: Option<Timestamp>,
}

const TOLD: &[u8] = b"events told";
const OBEYED: &[u8] = b"commands obeyed";

impl Cursor {
    /// Opens it. Where the arrivals' numbers have begun anew (their record was lost), so does the count, in a new epoch.
    pub(super) fn open(store: Arc<Store>, events: &Events) -> Result<Cursor, StoreError> {
        let tree = store.tree("fleet")?;
        let mut kept: Kept = tree.get(TOLD)?.unwrap_or_default();
        let there = events.get(kept.told.id)?.map(|event| event.at);
        let is_another = there.is_some() && kept.at.is_some() && there != kept.at;
        if kept.told.epoch == 0 || kept.told.id > events.newest_number() || is_another {
            kept = Kept { told: EventsTold { epoch: rand::random_range(1..u32::MAX), id: 0 }, at: None };
            let mut batch = Batch::default();
            batch.put(&tree, TOLD, &kept);
            store.write(batch)?;
        }
        Ok(Cursor { store, tree, now: Mutex::new(kept) })
    }

    /// Judges commands, with those on record that were obeyed before this start.
    pub(super) fn judge(&self, gate: &str) -> Result<Judge, StoreError> {
        let seen: Obeyed = self.tree.get(OBEYED)?.unwrap_or_default();
        let (store, tree) = (self.store.clone(), self.tree.clone());
        Ok(Judge::new(gate, Timestamp::now(), seen, move |seen| {
            let mut batch = Batch::default();
            batch.put(&tree, OBEYED, seen);
            store.write(batch).map_err(|error| error.to_string())
        }))
    }

    pub(super) fn keep(&self, told: EventsTold, at: Option<Timestamp>) -> Result<(), StoreError> {
        let kept = Kept { told, at };
        let mut batch = Batch::default();
        batch.put(&self.tree, TOLD, &kept);
        self.store.write(batch)?;
        *self.now.lock() = kept;
        Ok(())
    }

    /// How far the broker was told of arrivals.
    pub(super) fn told(&self) -> EventsTold {
        self.now.lock().told
    }

    /// The data folder.
    pub(super) fn folder(&self) -> &Path {
        self.store.folder()
    }
}
