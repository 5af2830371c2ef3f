//! The register on the disk, and its newest snapshot in memory.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sled::Transactional;
use sled::transaction::{ConflictableTransactionError, TransactionError};

use super::{Household, Snapshot, Vehicle};
use crate::plate::Plate;
use crate::store::{Store, StoreError, Tree, encode};

/// One thing that a steward changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Adds a household or writes it anew.
    Household(Household),
    /// Adds a car or writes it anew.
    Vehicle(Vehicle),
    /// Takes a car out.
    Remove(Plate),
}

/// A change with its author and time; never deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Who: `command line`, a steward's name.
    pub by: String,
    /// What.
    pub change: Change,
}

/// The register.
pub struct Register {
    store: Arc<Store>,
    households: Tree,
    vehicles: Tree,
    changes: Tree,
    current: ArcSwap<Snapshot>,
}

impl Register {
    /// Opens the register.
    pub fn open(store: Arc<Store>) -> Result<Register, StoreError> {
        let register = Register {
            households: store.tree("households")?,
            vehicles: store.tree("vehicles")?,
            changes: store.tree("changes")?,
            current: ArcSwap::default(),
            store,
        };
        register.refresh()?;
        Ok(register)
    }

    /// The newest snapshot; costs no more than a pointer.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// All households, in the order of their keys.
    pub fn households(&self) -> Result<Vec<Household>, StoreError> {
        self.households.all()
    }

    /// The history of changes, oldest first.
    pub fn changes(&self) -> Result<Vec<Entry>, StoreError> {
        self.changes.all()
    }

    /// Makes all of these changes or, if something fails, none. When this returns they are on the disk, and the lane sees
    /// them.
    pub fn apply(&self, by: &str, changes: &[Change]) -> Result<(), StoreError> {
        let at = Timestamp::now();
        let last = self.changes.last_number()?;
        let trees = (&self.households.inner, &self.vehicles.inner, &self.changes.inner);
        let result: Result<(), TransactionError<()>> = trees.transaction(|(households, vehicles, journal)| {
            for (n, change) in changes.iter().enumerate() {
                match change {
                    Change::Household(household) => {
                        households.insert(household.key().as_bytes(), encode(household))?;
                    }
                    Change::Vehicle(vehicle) => {
                        vehicles.insert(vehicle.plate.to_string().as_bytes(), encode(vehicle))?;
                    }
                    Change::Remove(plate) => {
                        vehicles.remove(plate.to_string().as_bytes())?;
                    }
                }
                let entry = Entry { at, by: by.to_owned(), change: change.clone() };
                journal.insert(&(last + 1 + n as u64).to_be_bytes(), encode(&entry))?;
            }
            Ok::<(), ConflictableTransactionError<()>>(())
        });
        if let Err(TransactionError::Storage(error)) = result {
            return Err(error.into());
        }
        self.store.commit()?;
        self.refresh()
    }

    fn refresh(&self) -> Result<(), StoreError> {
        self.current.store(Arc::new(Snapshot::new(self.vehicles.all()?)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vehicle(plate: &str) -> Vehicle {
        Vehicle::new(plate.parse().unwrap(), "1-101")
    }

    #[test]
    fn what_was_applied_is_seen_at_once_and_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (vehicle("苏F12345"), vehicle("苏FD12345"));
        {
            let register = Register::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
            let before = register.snapshot();
            register.apply("test", &[Change::Vehicle(a.clone()), Change::Vehicle(b.clone())]).unwrap();
            assert_eq!((before.vehicles().len(), register.snapshot().vehicles().len()), (0, 2));
            register.apply("test", &[Change::Remove(b.plate)]).unwrap();
        }
        let register = Register::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
        assert_eq!(register.snapshot().vehicles(), &[a]);
        assert_eq!(register.changes().unwrap().len(), 3);
    }
}
