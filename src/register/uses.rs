//! How often each box has let in on each visitor's pass.
//!
//! Every box writes down its own part and adds up the others', so that a pass for one entry does not open two gates once they
//! hear of each other.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::Pass;
use super::book::{Change, Register};
use crate::store::{Batch, StoreError};

/// How often a box has let in on a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// The pass's number.
    pub pass: u64,
    /// The box's number.
    pub station: u16,
    /// So many times.
    pub count: u32,
}

impl Use {
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.pass, self.station)
    }
}

impl Register {
    /// A pass from elsewhere, with how often it was used as far as is known here.
    pub(super) fn with_count(&self, change: Change) -> Result<Change, StoreError> {
        let Change::Pass(pass) = change else { return Ok(change) };
        let known = self.trees.passes.get::<Pass>(&pass.id.to_be_bytes())?.map(|known| known.used);
        let used = match known {
            Some(used) => used,
            None => self.uses_of(pass.id)?.iter().map(|u| u.count).sum(),
        };
        Ok(Change::Pass(Pass { used, ..pass }))
    }

    pub(super) fn uses_of(&self, pass: u64) -> Result<Vec<Use>, StoreError> {
        self.uses.with_prefix(format!("{pass}/").as_bytes())
    }

    /// Writes down this box's own part of a pass's uses.
    pub(super) fn count_own_use(&self, batch: &mut Batch, pass: u64, used: u32) -> Result<(), StoreError> {
        let station = self.station();
        let others: u32 = self.uses_of(pass)?.iter().filter(|u| u.station != station).map(|u| u.count).sum();
        let own = Use { pass, station, count: used.saturating_sub(others) };
        batch.put(&self.uses, own.key(), &own);
        Ok(())
    }

    /// This box's own uses of passes.
    pub fn own_uses(&self) -> Result<Vec<Use>, StoreError> {
        let station = self.station();
        Ok(self.uses.all::<Use>()?.into_iter().filter(|u| u.station == station).collect())
    }

    /// Another box has let in on passes. Gives those that have let in more often than they may.
    pub fn hear_uses(&self, uses: &[Use]) -> Result<Vec<Pass>, StoreError> {
        let _writing = self.writing.lock();
        let (mut batch, mut over, mut seen) = (Batch::default(), Vec::new(), HashMap::<String, u32>::new());
        // What this call has learnt of each pass and is not in the tree yet.
        let mut learnt: HashMap<u64, u32> = HashMap::new();
        for heard in uses.iter().filter(|u| u.station != self.station()) {
            let known = match seen.get(&heard.key()) {
                Some(count) => *count,
                None => self.uses.get::<Use>(heard.key().as_bytes())?.map_or(0, |u| u.count),
            };
            let Some(more) = heard.count.checked_sub(known).filter(|more| *more > 0) else { continue };
            seen.insert(heard.key(), heard.count);
            batch.put(&self.uses, heard.key(), heard);
            let learnt = learnt.entry(heard.pass).or_default();
            *learnt = learnt.saturating_add(more);
            let Some(pass) = self.trees.passes.get::<Pass>(&heard.pass.to_be_bytes())? else { continue };
            let counter = self.counts.lock().entry(pass.id).or_default().clone();
            counter.fetch_max(pass.used, Ordering::AcqRel);
            let used = counter.fetch_add(more, Ordering::AcqRel).saturating_add(more);
            let pass = Pass { used, ..pass };
            batch.put(&self.trees.passes, pass.id.to_be_bytes(), &pass);
            // The own part has to be on the disk with the sum, or it would be taken for the others'.
            let others: u32 =
                self.uses_of(pass.id)?.iter().filter(|u| u.station != self.station()).map(|u| u.count).sum();
            let own = Use {
                pass: pass.id,
                station: self.station(),
                count: used.saturating_sub(others.saturating_add(*learnt)),
            };
            if own.count > 0 {
                batch.put(&self.uses, own.key(), &own);
            }
            if pass.entries.is_some_and(|most| used > most) {
                over.push(pass);
            }
        }
        if !batch.is_empty() {
            self.store.write(batch)?;
            self.generation.fetch_add(1, Ordering::Release);
        }
        Ok(over)
    }
}
