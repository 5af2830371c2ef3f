//! What an older plategate kept, brought into today's form, once.
//!
//! Form 1 kept with each car what was paid for it and whether it need not pay. Form 2 has that in the book: each becomes an
//! opening entry. A form newer than this program's is refused before anything is written.

use std::sync::Arc;

use serde::Deserialize;

use super::Register;
use super::exchange::Told;
use super::opening;
use crate::ledger::{BookError, Fen};
use crate::store::{Batch, Store, StoreError};

/// The form of this program.
const FORM: u32 = 2;
const KEY: &[u8] = b"form";

/// The part of a car's record of form 1 that went into the book.
#[derive(Deserialize)]
struct Old {
    plate: crate::plate::Plate,
    household: String,
    #[serde(default)]
    paid_fen: u64,
    #[serde(default)]
    exempt: bool,
}

pub(super) fn run(register: &Register, store: &Arc<Store>) -> Result<(), StoreError> {
    let meta = store.tree("meta")?;
    let form = meta.get::<u32>(KEY)?.unwrap_or(1);
    if form == FORM {
        return Ok(());
    }
    if form > FORM {
        return Err(StoreError::Newer { folder: store.folder().to_path_buf(), form, ours: FORM });
    }
    let old = store.tree("vehicles")?.all::<Old>()?;
    let told: Vec<Told> = old.iter().filter(|o| o.paid_fen > 0 || o.exempt).map(told).collect();
    let (drafts, _) = opening::drafts("plategate", &told, &register.ledger().book());
    // A car whose entry exists already is left out by `drafts`: a migration that was cut short goes on.
    match register.enter(&drafts) {
        Ok(entered) if !entered.is_empty() => {
            tracing::info!(entries = entered.len(), "what was paid so far was taken over into the book");
        }
        Ok(_) => {}
        Err(BookError::Store(error) | BookError::Unsure { error, .. }) => return Err(error),
        // The gate goes on; the next start tries again.
        Err(error) => {
            tracing::error!(%error, "what was paid so far could not be taken over into the book");
            return Ok(());
        }
    }
    let mut batch = Batch::default();
    batch.put(&meta, KEY, &FORM);
    store.write(batch)
}

fn told(old: &Old) -> Told {
    let paid = i64::try_from(old.paid_fen).map(Fen::of).ok().filter(|f| f.is_payable());
    Told { row: 0, plate: old.plate, household: old.household.clone(), paid, exempt: Some(old.exempt).filter(|e| *e) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::register::{Standing, today};

    fn written_by_form_1(folder: &std::path::Path) {
        let store = Store::open(folder).unwrap();
        let vehicles = store.tree("vehicles").unwrap();
        let mut batch = Batch::default();
        for (plate, paid, exempt) in [("苏F12345", 10_000, false), ("苏F23456", 5_000, false), ("苏F34567", 0, true)]
        {
            let car = serde_json::json!({"plate": plate, "household": "1-101", "paid_fen": paid, "exempt": exempt,
                "blocked": false});
            batch.put(&vehicles, plate, &car);
        }
        store.write(batch).unwrap();
    }

    #[test]
    fn what_was_paid_before_the_book_becomes_opening_entries_once() {
        let folder = tempfile::tempdir().unwrap();
        written_by_form_1(folder.path());
        for _ in 0..2 {
            let register = Register::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
            let standing = |plate: &str| register.snapshot().get(&plate.parse().unwrap()).unwrap().standing(today());
            assert_eq!(standing("苏F12345"), Standing::Paid);
            assert_eq!(standing("苏F23456"), Standing::Unpaid);
            assert_eq!(standing("苏F34567"), Standing::Exempt);
            assert_eq!(register.ledger().book().entries().len(), 3);
        }
    }

    #[test]
    fn a_newer_form_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        {
            let store = Store::open(folder.path()).unwrap();
            let mut batch = Batch::default();
            batch.put(&store.tree("meta").unwrap(), KEY, &(FORM + 1));
            store.write(batch).unwrap();
        }
        let error = Register::open(Arc::new(Store::open(folder.path()).unwrap())).err().unwrap().to_string();
        assert!(error.contains("newer"), "{error}");
    }
}
