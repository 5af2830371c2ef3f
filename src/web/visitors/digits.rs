//! The six digits of each pass, which are told at the gate when the camera cannot read.

use std::sync::Arc;

use serde::Deserialize;

use crate::accounts::code;
use crate::register::Pass;
use crate::store::{Batch, Store, StoreError, Tree};

/// The six digits of each pass, by its number.
pub struct Digits {
    store: Arc<Store>,
    tree: Tree,
}

#[derive(Deserialize)]
struct Kept {
    id: u64,
    digits: String,
}

impl Digits {
    /// Opens them.
    pub fn open(store: Arc<Store>) -> Result<Digits, StoreError> {
        Ok(Digits { tree: store.tree("pass_codes")?, store })
    }

    /// The digits of a pass.
    pub fn of(&self, id: u64) -> Result<Option<String>, StoreError> {
        Ok(self.tree.get::<Kept>(&id.to_be_bytes())?.map(|k| k.digits))
    }

    /// The pass of these digits.
    pub fn find(&self, digits: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.tree.all::<Kept>()?.into_iter().rev().find(|k| k.digits == digits).map(|k| k.id))
    }

    /// New ones, which no pass has; they are kept with their pass ([`crate::register::Change::Digits`]).
    pub(super) fn free(&self) -> Result<String, StoreError> {
        let taken: Vec<Kept> = self.tree.all()?;
        let free = |digits: &String| !taken.iter().any(|k| k.digits == *digits);
        Ok(std::iter::repeat_with(code::six_digits).find(free).unwrap_or_default())
    }

    /// Forgets the digits of passes that are not among these.
    pub fn keep_only(&self, passes: &[Pass]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for kept in self.tree.all::<Kept>()? {
            if !passes.iter().any(|p| p.id == kept.id) {
                batch.remove(&self.tree, kept.id.to_be_bytes());
            }
        }
        self.store.write(batch)
    }
}
