//! The register on the disk, and its newest snapshot in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::shared::{Digits, Keeper, Member, Trees};
use super::version::{HybridClock, Versioned};
use super::{Household, Pass, Snapshot, Vehicle, migration};
use crate::ledger::board::Compound;
use crate::ledger::journal::Page;
use crate::ledger::{BookError, Draft, Ledger, Sealed};
use crate::plate::Plate;
use crate::store::{Batch, Store, StoreError, Tree};

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
    /// Gives a visitor's pass or writes it anew. Its count of entries is kept by the register.
    Pass(Pass),
    /// Takes a visitor's pass back, by its number.
    TakeBack(u64),
    /// Gives a pass its six digits.
    Digits(Digits),
    /// Forgets the digits of a pass.
    ForgetDigits(u64),
    /// Lets a box into the fleet, or shuts it out.
    Member(Member),
    /// Says which box keeps the book.
    Keeper(Keeper),
}

/// The register.
pub struct Register {
    pub(super) store: Arc<Store>,
    pub(super) trees: Trees,
    /// How often each pass has let in, shared by all snapshots.
    pub(super) counts: Mutex<HashMap<u64, Arc<AtomicU32>>>,
    /// The history ([`super::history`]).
    pub(super) changes: Tree,
    pub(super) ledger: Ledger,
    pub(super) current: ArcSwap<Snapshot>,
    /// In the order of their keys.
    pub(super) households: ArcSwap<Vec<Household>>,
    /// Changes are numbered one after the other.
    pub(super) writing: Mutex<()>,
    /// Each record as its fields with their authors, by its key.
    pub(super) versions: Tree,
    /// The keys of the records that other boxes have not been told of.
    pub(super) unsent: Tree,
    /// How often each box has let in on each pass.
    pub(super) uses: Tree,
    pub(super) clock: Mutex<HybridClock>,
    /// This box's number in its fleet; 0 where there is none.
    pub(super) station: AtomicU16,
    /// Counts up with every change, so that whoever passes them on knows of a new one.
    pub(super) generation: AtomicU64,
}

impl Register {
    /// Opens the register and its book; brings what an older plategate kept into today's form.
    pub fn open(store: Arc<Store>) -> Result<Register, StoreError> {
        let trees = Trees {
            households: store.tree("households")?,
            vehicles: store.tree("vehicles")?,
            passes: store.tree("passes")?,
            digits: store.tree("pass_codes")?,
            members: store.tree("members")?,
            fleet: store.tree("fleet")?,
        };
        let versions = store.tree("versions")?;
        let station = trees.fleet.get(super::share::STATION)?.unwrap_or(0);
        let last = versions.all::<Versioned>()?.iter().map(|v| v.state.newest()).max().unwrap_or_default();
        let register = Register {
            ledger: Ledger::open(&store)?,
            writing: Mutex::new(()),
            trees,
            counts: Mutex::default(),
            changes: store.tree("changes")?,
            current: ArcSwap::default(),
            households: ArcSwap::default(),
            unsent: store.tree("unsent")?,
            uses: store.tree("pass_uses")?,
            clock: Mutex::new(HybridClock::after(last, station)),
            station: AtomicU16::new(station),
            generation: AtomicU64::new(0),
            versions,
            store,
        };
        register.refresh()?;
        migration::run(&register, &register.store)?;
        Ok(register)
    }

    /// The book: to read, and for its receipts. Entries are made through [`Register::enter`], so that the gate sees them.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The newest snapshot; costs no more than a pointer.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// All households, in the order of their keys.
    pub fn households(&self) -> Arc<Vec<Household>> {
        self.households.load_full()
    }

    /// The household of this key, such as `2-301`.
    pub fn household(&self, key: &str) -> Result<Option<Household>, StoreError> {
        self.trees.households.get(key.as_bytes())
    }

    /// The visitor's pass of this number, with its count of this moment.
    pub fn pass(&self, id: u64) -> Result<Option<Pass>, StoreError> {
        let count = |pass: &Pass| self.counts.lock().get(&id).map_or(pass.used, |used| used.load(Ordering::Acquire));
        Ok(self.trees.passes.get::<Pass>(&id.to_be_bytes())?.map(|pass| Pass { used: count(&pass), ..pass }))
    }

    /// All visitors' passes, also those that are over, in the order of their numbers, with their counts of this moment.
    pub fn passes(&self) -> Result<Vec<Pass>, StoreError> {
        let counts = self.counts.lock();
        let count = |pass: &Pass| counts.get(&pass.id).map_or(pass.used, |used| used.load(Ordering::Acquire));
        Ok(self.trees.passes.all::<Pass>()?.into_iter().map(|pass| Pass { used: count(&pass), ..pass }).collect())
    }

    /// Takes out the passes that were over before this moment; gives how many. A visitor's plate is kept no longer than it is
    /// needed.
    pub fn forget_passes(&self, over_before: Timestamp) -> Result<usize, StoreError> {
        let passes = self.trees.passes.all::<Pass>()?.into_iter();
        let over: Vec<Change> = passes.filter(|p| p.to < over_before).map(|p| Change::TakeBack(p.id)).collect();
        if !over.is_empty() {
            self.apply("retention", &over)?;
        }
        Ok(over.len())
    }

    /// The number for the next pass. Each box of a fleet has numbers of its own, so that two that are cut off from each
    /// other never give one twice.
    pub fn next_pass(&self) -> Result<u64, StoreError> {
        let first = u64::from(self.station()) << 32;
        let mine = first..first + (1 << 32);
        let last = self.trees.passes.before::<Pass>(&mine.end.to_be_bytes()).next().transpose()?;
        Ok(last.map(|pass| pass.id).filter(|id| mine.contains(id)).unwrap_or(first) + 1)
    }

    /// Writes down what the lane counted in memory. The recorder calls it after an entry; a power cut before it gives the
    /// visitor one entry back.
    pub fn keep_counts(&self) -> Result<(), StoreError> {
        let _writing = self.writing.lock();
        let mut batch = Batch::default();
        for pass in self.trees.passes.all::<Pass>()? {
            let used = self.counts.lock().get(&pass.id).map_or(0, |used| used.load(Ordering::Acquire));
            if used > pass.used {
                self.count_own_use(&mut batch, pass.id, used)?;
                batch.put(&self.trees.passes, pass.id.to_be_bytes(), &Pass { used, ..pass });
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.generation.fetch_add(1, Ordering::Release);
        self.store.write(batch)
    }

    /// What the neighbours' board needs to know of the compound.
    pub fn compound(&self) -> Compound {
        let households = self.households();
        let book = self.ledger.book();
        let stewards = book.balances().filter_map(|(account, _)| account.holder().map(str::to_owned));
        Compound {
            names: stewards.chain(households.iter().map(|h| h.name.clone())).collect(),
            cars: self.snapshot().vehicles().iter().map(|v| v.dues.paid).collect(),
            households: households.iter().map(Household::key).collect(),
        }
    }

    /// Makes all of these changes or, if something fails, none. When this returns they are on the disk, and the lane sees
    /// them.
    pub fn apply(&self, by: &str, changes: &[Change]) -> Result<(), StoreError> {
        match self.apply_and_enter(by, changes, &[]) {
            Ok(_) => Ok(()),
            Err(BookError::Store(error) | BookError::Unsure { error, .. }) => Err(error),
            // Nothing was to be entered, so nothing was refused.
            Err(BookError::Refused(_) | BookError::Damaged(_) | BookError::Elsewhere { .. }) => Ok(()),
        }
    }

    /// Enters all of this into the book or, if one of them is refused, nothing. Gives an entry for each. When this returns
    /// they are on the disk, and the lane sees what follows from them.
    pub fn enter(&self, drafts: &[Draft]) -> Result<Vec<Arc<Sealed>>, BookError> {
        self.apply_and_enter("", &[], drafts)
    }

    /// Changes and entries, all or nothing.
    pub fn apply_and_enter(
        &self,
        by: &str,
        changes: &[Change],
        drafts: &[Draft],
    ) -> Result<Vec<Arc<Sealed>>, BookError> {
        let _writing = self.writing.lock();
        if !drafts.is_empty() {
            self.keeps_the_book()?;
        }
        let page = if drafts.is_empty() { None } else { Some(self.ledger.prepare(drafts)?) };
        let mut batch = Batch::default();
        self.note_changes_from(&mut batch, by, Timestamp::now(), 0, changes)?;
        self.put_versions(&mut batch, by, changes)?;
        changes.iter().for_each(|change| self.trees.put(&mut batch, change));
        if let Some(page) = &page {
            page.write(&mut batch);
        }
        let entered = match (self.store.write(batch), page) {
            (Ok(()), page) => page.map(Page::turn).unwrap_or_default(),
            (Err(error @ StoreError::Unsure { .. }), Some(page)) => {
                return Err(BookError::Unsure { number: page.doubt(), error });
            }
            (Err(error), _) => return Err(error.into()),
        };
        self.refresh_after(changes, &entered)?;
        self.generation.fetch_add(1, Ordering::Release);
        Ok(entered)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

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

    #[test]
    fn a_used_entry_counts_in_every_snapshot_and_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::now();
        let pass = |id, entries| Pass {
            id,
            plate: "皖A6P42Z".parse().unwrap(),
            from: now - SignedDuration::from_hours(1),
            to: now + SignedDuration::from_hours(1),
            entries,
            used: 0,
            household: "2-301".into(),
            note: String::new(),
            given_by: "test".into(),
        };
        {
            let register = Register::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
            assert_eq!(register.next_pass().unwrap(), 1);
            register.apply("test", &[Change::Pass(pass(1, Some(2)))]).unwrap();
            let before = register.snapshot();
            assert!(before.passes()[0].take());
            // Written anew by a steward who saw no entry used: the count stays.
            register.apply("test", &[Change::Pass(pass(1, Some(3)))]).unwrap();
            assert_eq!(register.snapshot().passes()[0].now().used, 1);
            assert!(before.passes()[0].take());
            register.keep_counts().unwrap();
        }
        let register = Register::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
        assert_eq!((register.passes().unwrap()[0].used, register.next_pass().unwrap()), (2, 2));
        assert!(register.snapshot().passes()[0].take() && !register.snapshot().passes()[0].take());
        let pass = register.passes().unwrap().remove(0);
        assert_eq!(register.forget_passes(pass.to).unwrap(), 0, "not before it is over");
        let second = SignedDuration::from_secs(1);
        assert_eq!(register.forget_passes(pass.to + second).unwrap(), 1);
        assert!(register.passes().unwrap().is_empty() && register.snapshot().passes().is_empty());
        register.apply("test", &[Change::Pass(pass)]).unwrap();
        register.apply("test", &[Change::TakeBack(1)]).unwrap();
        assert!(register.snapshot().passes().is_empty());
    }
}
