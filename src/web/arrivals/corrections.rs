//! Readings that a steward put right: the picture and the true plate, kept as test data of this very gate.
//!
//! `corrections/manifest.tsv` in the data folder is what `plategate eval --manifest` reads. The pictures go when the
//! arrivals' own would: a stranger's sooner than a registered car's.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::gate::event::Event;
use crate::plate::Plate;
use crate::store::events::{Events, write_whole};
use crate::store::{Batch, Store, StoreError, Tree};

/// A reading that was put right.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Correction {
    /// The arrival's number.
    pub id: u64,
    /// What stands on the plate.
    pub plate: Plate,
    /// What was read.
    pub read: String,
    /// Who put it right.
    pub by: String,
    /// When it was.
    pub at: Timestamp,
    /// Is its picture kept?
    pub picture: bool,
}

/// All of them.
pub struct Corrections {
    store: Arc<Store>,
    tree: Tree,
    writing: Mutex<()>,
}

impl Corrections {
    /// Opens them.
    pub fn open(store: Arc<Store>) -> Result<Corrections, StoreError> {
        Ok(Corrections { tree: store.tree("corrections")?, store, writing: Mutex::default() })
    }

    /// The correction of an arrival.
    pub fn get(&self, id: u64) -> Result<Option<Correction>, StoreError> {
        self.tree.get(&id.to_be_bytes())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.tree.len()
    }

    /// Keeps the true plate and a copy of the picture; a second correction of the same arrival takes the first one's place.
    pub fn keep(&self, events: &Events, event: &Event, plate: Plate, by: &str) -> Result<(), StoreError> {
        let _writing = self.writing.lock();
        let jpeg = events.picture_path(event).and_then(|p| std::fs::read(p).ok());
        if let Some(jpeg) = &jpeg {
            write_whole(&self.picture(event.id), jpeg)?;
        }
        let picture = jpeg.is_some();
        let (id, by, at) = (event.id, by.to_owned(), event.at);
        let correction = Correction { id, plate, read: event.text.clone(), by, at, picture };
        let mut batch = Batch::default();
        batch.put(&self.tree, id.to_be_bytes(), &correction);
        self.store.write(batch)?;
        self.write_manifest()
    }

    /// Deletes those whose arrival was before the moment from which it is kept.
    pub fn prune(&self, kept_from: impl Fn(&Correction) -> Timestamp) -> Result<usize, StoreError> {
        self.delete(|c| c.at < kept_from(c))
    }

    /// Deletes those of a plate; gives how many there were.
    pub fn forget(&self, plate: Plate) -> Result<usize, StoreError> {
        let text = plate.to_string();
        self.delete(|c| c.plate == plate || c.read == text)
    }

    fn delete(&self, due: impl Fn(&Correction) -> bool) -> Result<usize, StoreError> {
        let _writing = self.writing.lock();
        let old: Vec<Correction> = self.tree.all::<Correction>()?.into_iter().filter(due).collect();
        let mut batch = Batch::default();
        for correction in &old {
            // Already gone is as good.
            let _ = std::fs::remove_file(self.picture(correction.id));
            batch.remove(&self.tree, correction.id.to_be_bytes());
        }
        if !old.is_empty() {
            self.store.write(batch)?;
            self.write_manifest()?;
        }
        Ok(old.len())
    }

    fn folder(&self) -> PathBuf {
        self.store.folder().join("corrections")
    }

    fn picture(&self, id: u64) -> PathBuf {
        self.folder().join(format!("{id:08}.jpg"))
    }

    fn write_manifest(&self) -> Result<(), StoreError> {
        let mut text = String::from("path\ttext\tset\n");
        for c in self.tree.all::<Correction>()?.iter().filter(|c| c.picture) {
            text += &format!("{:08}.jpg\t{}\tcorrected\n", c.id, c.plate);
        }
        write_whole(&self.folder().join("manifest.tsv"), text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::gate::event::Rule;
    use crate::store::events::tests::arrival;

    #[test]
    fn a_corrected_pair_is_kept_as_test_data_and_goes_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let events = Events::open(store.clone()).unwrap();
        let corrections = Corrections::open(store).unwrap();
        let at = Timestamp::now() - SignedDuration::from_hours(48);
        let event = events.append(arrival(at, Rule::Stranger)).unwrap();
        for plate in ["苏F12346", "苏F12347"] {
            corrections.keep(&events, &event, plate.parse().unwrap(), "王阿姨").unwrap();
        }
        let manifest = || std::fs::read_to_string(folder.path().join("corrections/manifest.tsv")).unwrap();
        assert_eq!(manifest(), "path\ttext\tset\n00000001.jpg\t苏F12347\tcorrected\n");
        assert!(folder.path().join("corrections/00000001.jpg").exists());
        assert_eq!(corrections.prune(|_| at).unwrap(), 0);
        assert_eq!(corrections.prune(|_| Timestamp::now()).unwrap(), 1);
        assert!(!folder.path().join("corrections/00000001.jpg").exists() && manifest().lines().count() == 1);
    }
}
