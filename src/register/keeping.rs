//! Which box keeps the book, and how the others copy it.

use std::sync::atomic::Ordering;

use super::book::Register;
use super::shared::{KEEPER, Keeper};
use crate::ledger::BookError;
use crate::ledger::journal::Page;
use crate::ledger::verify::Record;
use crate::store::{Batch, StoreError};

impl Register {
    /// Which box keeps the book; the founder's where it was never handed over, and nobody else's where there is no fleet.
    pub fn keeper(&self) -> Result<Keeper, StoreError> {
        let first = Keeper { station: self.station().min(1), entries: 0 };
        Ok(self.trees.fleet.get(KEEPER)?.filter(|_| self.station() != 0).unwrap_or(first))
    }

    /// May this box enter anything into the book now?
    pub(super) fn keeps_the_book(&self) -> Result<(), BookError> {
        let keeper = self.keeper()?;
        if keeper.station == self.station() && self.ledger.book().head().0 >= keeper.entries {
            return Ok(());
        }
        let gate = self.members()?.into_iter().find(|m| m.number == keeper.station).map(|m| m.gate);
        Err(BookError::Elsewhere { gate: gate.unwrap_or_else(|| format!("no. {}", keeper.station)) })
    }

    /// Does this box keep the book?
    pub fn is_keeper(&self) -> Result<bool, StoreError> {
        Ok(self.keeper()?.station == self.station())
    }

    /// The entries after this one, as they are told to other boxes.
    pub(crate) fn book_after(&self, number: u64, most: usize) -> Vec<Record> {
        (number + 1..).take(most).map_while(|n| self.ledger.record(n)).collect()
    }

    /// Takes over entries that the box which keeps the book has made.
    pub(crate) fn hear_book(&self, records: &[Record]) -> Result<usize, BookError> {
        let _writing = self.writing.lock();
        let Some(page) = self.ledger.copy(records)? else { return Ok(0) };
        let mut batch = Batch::default();
        page.write(&mut batch);
        let entered = match self.store.write(batch) {
            Ok(()) => Page::turn(page),
            Err(error @ StoreError::Unsure { .. }) => return Err(BookError::Unsure { number: page.doubt(), error }),
            Err(error) => return Err(error.into()),
        };
        self.refresh_after(&[], &entered)?;
        self.generation.fetch_add(1, Ordering::Release);
        Ok(entered.len())
    }
}
