//! The snapshot that the lane reads, made anew when something changed.
//!
//! At the start, and where everybody is concerned, from the disk; after one steward's change or one payment only for the
//! cars that it is about, so that taking money stays quick with thousands of cars and a book of years.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::{SignedDuration, Timestamp};

use super::book::{Change, Register};
use super::{Household, LivePass, Pass, Snapshot, Vehicle};
use crate::ledger::{Sealed, What};
use crate::plate::Plate;
use crate::store::StoreError;

/// More cars than this are quicker read from the disk.
const MOST_ONE_BY_ONE: usize = 100;

/// The cars that changes and entries are about, each with what was written of it, if anything was: none for a car that was
/// taken out.
type Touched = BTreeMap<Plate, Option<Option<Vehicle>>>;

impl Register {
    /// Makes a new snapshot: every car with what the book says of it.
    pub(super) fn refresh(&self) -> Result<(), StoreError> {
        let book = self.ledger.book();
        let mut vehicles: Vec<Vehicle> = self.trees.vehicles.all()?;
        let dues = book.all_dues(vehicles.iter().map(|v| (&v.plate, v.household.as_str())));
        for (vehicle, dues) in vehicles.iter_mut().zip(dues) {
            vehicle.dues = dues;
        }
        self.current.store(Arc::new(Snapshot::new(vehicles).with_passes(self.live_passes()?)));
        self.households.store(Arc::new(self.trees.households.all()?));
        Ok(())
    }

    /// The same, when nothing else has changed since the last one. To be called while `writing` is held.
    pub(super) fn refresh_after(&self, changes: &[Change], entered: &[Arc<Sealed>]) -> Result<(), StoreError> {
        let touched = touched(changes, entered).filter(|touched| touched.len() <= MOST_ONE_BY_ONE);
        let Some(touched) = touched else { return self.refresh() };
        let (before, book) = (self.snapshot(), self.ledger.book());
        let mut vehicles = before.vehicles().to_vec();
        for (plate, written) in touched {
            // In the order of the disk, which is that of their names.
            let name = plate.to_string();
            let at = vehicles.binary_search_by_key(&name, |vehicle| vehicle.plate.to_string());
            let vehicle = written.unwrap_or_else(|| at.ok().map(|at| vehicles[at].clone()));
            let vehicle = vehicle.map(|v| {
                let dues = book.dues(&v.plate, &v.household);
                v.with(dues)
            });
            match (at, vehicle) {
                (Ok(at), Some(vehicle)) => vehicles[at] = vehicle,
                (Ok(at), None) => drop(vehicles.remove(at)),
                (Err(at), Some(vehicle)) => vehicles.insert(at, vehicle),
                (Err(_), None) => {}
            }
        }
        let passes = self.passes_after(before.passes(), changes);
        self.current.store(Arc::new(Snapshot::new(vehicles).with_passes(passes)));
        if changes.iter().any(|change| matches!(change, Change::Household(_))) {
            self.households.store(Arc::new(households_after(&self.households.load(), changes)));
        }
        Ok(())
    }

    /// The passes that the lane knows, after these changes.
    fn passes_after(&self, before: &[LivePass], changes: &[Change]) -> Vec<LivePass> {
        let (mut passes, mut counts) = (before.to_vec(), self.counts.lock());
        for change in changes {
            let (Change::Pass(Pass { id, .. }) | Change::TakeBack(id)) = change else { continue };
            let at = passes.binary_search_by_key(id, LivePass::id);
            match (change, at) {
                (Change::Pass(pass), at) => {
                    let live = live(pass.clone(), &mut counts);
                    match at {
                        Ok(at) => passes[at] = live,
                        Err(at) => passes.insert(at, live),
                    }
                }
                // A number that is given again starts from nothing.
                (_, at) => {
                    counts.remove(id);
                    at.into_iter().for_each(|at| drop(passes.remove(at)));
                }
            }
        }
        let yesterday = yesterday();
        passes.retain(|pass| pass.until() > yesterday);
        passes
    }

    /// The passes that are good, are to be, or were until a day ago (so that their visitor is told why), with their counts.
    fn live_passes(&self) -> Result<Vec<LivePass>, StoreError> {
        let yesterday = yesterday();
        let (all, mut counts) = (self.trees.passes.all::<Pass>()?, self.counts.lock());
        // A number that is given again starts from nothing.
        let there: HashSet<u64> = all.iter().map(|pass| pass.id).collect();
        counts.retain(|id, _| there.contains(id));
        Ok(all.into_iter().filter(|p| p.to > yesterday).map(|pass| live(pass, &mut counts)).collect())
    }
}

/// Passes that were over before this are not even told of any more.
fn yesterday() -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(24)
}

/// A pass with the count that all snapshots share.
fn live(pass: Pass, counts: &mut HashMap<u64, Arc<AtomicU32>>) -> LivePass {
    let used = counts.entry(pass.id).or_default();
    used.fetch_max(pass.used, Ordering::AcqRel);
    LivePass::new(pass, used.clone())
}

/// The households after these changes, in the order of the disk.
fn households_after(before: &[Household], changes: &[Change]) -> Vec<Household> {
    let mut households = before.to_vec();
    for change in changes {
        let Change::Household(household) = change else { continue };
        match households.binary_search_by_key(&household.key(), Household::key) {
            Ok(at) => households[at] = household.clone(),
            Err(at) => households.insert(at, household.clone()),
        }
    }
    households
}

/// Which cars are concerned; none where it may be all of them.
fn touched(changes: &[Change], entered: &[Arc<Sealed>]) -> Option<Touched> {
    let mut touched = Touched::new();
    for sealed in entered {
        match &sealed.entry.what {
            What::Contribution { plate, .. } => touched.extend(plate.map(|plate| (plate, None))),
            What::Fee { plate, .. } => drop(touched.insert(*plate, None)),
            What::Spending { .. }
            | What::Transfer { .. }
            | What::Offer { .. }
            | What::Confirm { .. }
            | What::Withdrawal { .. }
            | What::Count { .. } => {}
            // What is given back or undone may by now count for another plate; the rest is about everybody.
            What::Refund { .. }
            | What::Correction { .. }
            | What::NewPlate { .. }
            | What::Opening { .. }
            | What::Campaign(_)
            | What::Tariff(_)
            | What::Vote(_)
            | What::Exemption(_) => return None,
        }
    }
    for change in changes {
        match change {
            Change::Vehicle(vehicle) => drop(touched.insert(vehicle.plate, Some(Some(vehicle.clone())))),
            Change::Remove(plate) => drop(touched.insert(*plate, Some(None))),
            _ => {}
        }
    }
    Some(touched)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Account, Campaign, Draft, Fen, Tariff};
    use crate::register::today;
    use crate::store::Store;

    /// The snapshot must be the one that a new start would make.
    fn is_whole(register: &Register) {
        let (after, households) = (register.snapshot(), register.households());
        register.refresh().unwrap();
        let anew = register.snapshot();
        assert_eq!(after.vehicles(), anew.vehicles());
        let passes = |s: &Snapshot| s.passes().iter().map(LivePass::now).collect::<Vec<_>>();
        assert_eq!(passes(&after), passes(&anew));
        assert_eq!(*households, *register.households());
    }

    #[test]
    fn after_any_change_the_snapshot_is_the_one_of_a_new_start() {
        let folder = tempfile::tempdir().unwrap();
        let register = Register::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
        let plate = |text: &str| text.parse::<Plate>().unwrap();
        let (a, b, c) = (plate("苏F12345"), plate("苏FD12345"), plate("京A12345"));
        let enter = |what: What| drop(register.enter(&[Draft::now("王芳", what)]).unwrap());
        for car in [a, b, c] {
            register.apply("王芳", &[Change::Vehicle(Vehicle::new(car, "1-101"))]).unwrap();
            is_whole(&register);
        }
        let (name, into) = ("barrier".to_owned(), Account::Cash("王芳".into()));
        let (goal, share) = (Fen::ZERO, Fen::yuan(100));
        enter(What::Campaign(Campaign { name: name.clone(), title: "道闸".into(), goal, share }));
        enter(What::Tariff(Tariff { from: today(), yearly: Fen::yuan(60), grace_days: 30, vote: None }));
        is_whole(&register);
        let gift = |plate, yuan| What::Contribution {
            campaign: name.clone(),
            plate: Some(plate),
            household: "1-101".into(),
            amount: Fen::yuan(yuan),
            into: into.clone(),
        };
        enter(gift(a, 100));
        assert_eq!(register.snapshot().get(&a).unwrap().dues.paid, Fen::yuan(100));
        is_whole(&register);
        let (household, amount) = ("1-101".to_owned(), Fen::yuan(60));
        let until = today().checked_add(jiff::Span::new().days(300)).unwrap();
        enter(What::Fee { plate: a, household, from: today(), until, amount, into: into.clone() });
        is_whole(&register);
        // A household drives another car, and what was given for the old one is given back.
        enter(What::NewPlate { old: a, new: c });
        register.apply("王芳", &[Change::Remove(a), Change::Remove(plate("苏F99999"))]).unwrap();
        is_whole(&register);
        let (of, amount, reason) = (3, Fen::yuan(30), "多交".to_owned());
        enter(What::Refund { of, amount, out_of: into.clone(), reason });
        assert_eq!(register.snapshot().get(&c).unwrap().dues.paid, Fen::yuan(70));
        is_whole(&register);
        // A car and its money at once.
        let drafts = [Draft::now("王芳", gift(a, 100))];
        register.apply_and_enter("王芳", &[Change::Vehicle(Vehicle::new(a, "2-201"))], &drafts).unwrap();
        is_whole(&register);
        register.apply("王芳", &[Change::Vehicle(Vehicle { blocked: true, ..Vehicle::new(b, "1-101") })]).unwrap();
        is_whole(&register);
        for (building, unit, name) in [(2, "201", "李强"), (10, "101", "王芳"), (1, "101", "赵敏"), (2, "201", "李刚")]
        {
            let household = Household { building, unit: unit.into(), name: name.into(), phone: None };
            register.apply("王芳", &[Change::Household(household)]).unwrap();
            is_whole(&register);
        }
        let now = Timestamp::now();
        let pass = |id, hours| Pass {
            id,
            plate: b,
            from: now - SignedDuration::from_hours(50),
            to: now + SignedDuration::from_hours(hours),
            entries: Some(30),
            used: 0,
            household: "1-101".into(),
            note: String::new(),
            given_by: "王芳".into(),
        };
        for change in [
            Change::Pass(pass(3, 2)),
            Change::Pass(pass(1, 2)),
            Change::Pass(pass(2, -30)),
            Change::Pass(pass(1, -1)),
            Change::TakeBack(3),
            Change::TakeBack(2),
            Change::TakeBack(9),
        ] {
            register.apply("王芳", &[change]).unwrap();
            register.snapshot().passes().iter().for_each(|pass| assert!(pass.take()));
            register.keep_counts().unwrap();
            is_whole(&register);
        }
    }
}
