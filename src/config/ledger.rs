//! `[ledger]`: The book.

use serde::Deserialize;

use super::{Problem, within};

/// `[ledger]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ledger {
    /// Neighbours are to be reminded so many days before a fee, a grace or an exemption ends.
    pub remind_days: u16,
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger { remind_days: 30 }
    }
}

impl Ledger {
    pub(super) fn check(&self) -> Result<(), Problem> {
        within("ledger.remind_days", self.remind_days, 0..=366, "0..366 days")
    }
}
