//! Forgetting one plate at its owner's wish, in every room that may; with a line of the audit log that does not repeat it.
//!
//! In: the plate, who asks and who does it. Out: what went, and where the plate is still named because such records are
//! never altered (accounts, the register's history, the audit log).

use std::net::IpAddr;

use serde::Serialize;

use crate::accounts::Accounts;
use crate::plate::Plate;
use crate::register::{Change, Register};
use crate::store::StoreError;
use crate::store::events::Events;
use crate::web::Corrections;

/// Where a plate may be.
pub struct Rooms<'a> {
    /// Passes, the history and the book.
    pub register: &'a Register,
    /// Arrivals.
    pub events: &'a Events,
    /// The audit log.
    pub accounts: &'a Accounts,
    /// Pictures kept as test data.
    pub corrections: &'a Corrections,
}

/// Records that name the plate and are never altered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Entries of the book.
    pub book: usize,
    /// Entries of the register's history.
    pub history: usize,
    /// Lines of the audit log.
    pub audit: usize,
}

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Arrivals that carried or named it.
    pub arrivals: usize,
    /// Pictures of them.
    pub pictures: usize,
    /// Visitors' passes that were over.
    pub passes: usize,
    /// Readings that were put right.
    pub corrections: usize,
    /// What stays.
    pub kept: Kept,
}

/// Why a plate is not forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// The register needs it.
    #[error("{0} is registered: take it out of the register first (plategate plates remove, or on the page)")]
    Registered(Plate),
    /// A visitor is expected.
    #[error("{0} has a visitor's pass that is still good: take it back first")]
    Expected(Plate),
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Forgets the plate.
pub fn forget(rooms: &Rooms, plate: Plate, by: &str, from: Option<IpAddr>) -> Result<Done, ForgetError> {
    if rooms.register.snapshot().get(&plate).is_some() {
        return Err(ForgetError::Registered(plate));
    }
    let now = jiff::Timestamp::now();
    let passes: Vec<_> = rooms.register.passes()?.into_iter().filter(|pass| pass.plate == plate).collect();
    if passes.iter().any(|pass| pass.to > now) {
        return Err(ForgetError::Expected(plate));
    }
    let text = plate.to_string();
    // First, so that nobody forgets unseen. The number itself is what is to be forgotten.
    rooms.accounts.audit.add(by, "遗忘车牌", "", from)?;
    let back: Vec<Change> = passes.iter().map(|pass| Change::TakeBack(pass.id)).collect();
    rooms.register.apply(by, &back)?;
    rooms.register.forget_visitors(|pass| pass.plate == plate)?;
    let forgotten = rooms.events.forget(&plate)?;
    let corrections = rooms.corrections.forget(plate)?;
    let kept = Kept {
        book: naming(rooms.register.ledger().book().entries().iter().map(|sealed| &sealed.entry), &text),
        history: naming(rooms.register.changes()?.iter(), &text),
        audit: rooms.accounts.audit.newest(usize::MAX, None)?.iter().filter(|line| line.about.contains(&text)).count(),
    };
    Ok(Done { arrivals: forgotten.arrivals, pictures: forgotten.pictures, passes: passes.len(), corrections, kept })
}

/// How many of these records name it.
fn naming<T: Serialize>(records: impl Iterator<Item = T>, text: &str) -> usize {
    records.filter(|record| serde_json::to_string(record).is_ok_and(|json| json.contains(text))).count()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::gate::event::Rule;
    use crate::register::{Pass, Vehicle};
    use crate::store::Store;
    use crate::store::events::tests::arrival;

    #[test]
    fn a_plate_is_forgotten_once_nothing_hangs_on_it_and_the_audit_log_does_not_repeat_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let (register, events) = (Register::open(store.clone()).unwrap(), Events::open(store.clone()).unwrap());
        let (accounts, corrections) = (Accounts::open(store.clone()).unwrap(), Corrections::open(store).unwrap());
        let rooms = Rooms { register: &register, events: &events, accounts: &accounts, corrections: &corrections };
        let plate: Plate = "苏F12345".parse().unwrap();
        let event = events.append(arrival(Timestamp::now(), Rule::Stranger)).unwrap();
        corrections.keep(&events, &event, plate, "王伟").unwrap();

        register.apply("王伟", &[Change::Vehicle(Vehicle::new(plate, "2-301"))]).unwrap();
        assert!(matches!(forget(&rooms, plate, "王伟", None), Err(ForgetError::Registered(_))));
        register.apply("王伟", &[Change::Remove(plate)]).unwrap();
        let hour = SignedDuration::from_hours(1);
        let pass = |to: Timestamp| Pass {
            id: 1,
            plate,
            from: to - hour * 2,
            to,
            entries: None,
            used: 0,
            household: "2-301".into(),
            note: String::new(),
            given_by: "王伟".into(),
        };
        register.apply("王伟", &[Change::Pass(pass(Timestamp::now() + hour))]).unwrap();
        assert!(matches!(forget(&rooms, plate, "王伟", None), Err(ForgetError::Expected(_))));
        register.apply("王伟", &[Change::Pass(pass(Timestamp::now() - hour))]).unwrap();

        let done = forget(&rooms, plate, "王伟", None).unwrap();
        assert_eq!((done.arrivals, done.pictures, done.passes, done.corrections), (1, 1, 1, 1));
        // That it was registered and taken out; what was said of a visitor is gone.
        assert_eq!(done.kept.history, 2, "{done:?}");
        let line = &accounts.audit.newest(1, None).unwrap()[0];
        assert!(line.what == "遗忘车牌" && line.who == "王伟" && !line.about.contains("12345"), "{line:?}");
        assert!(events.get(event.id).unwrap().unwrap().is_anonymous());
        assert_eq!(corrections.count(), 0);
        let left = register.passes().unwrap();
        assert!(left.is_empty(), "{left:?}");
    }
}
