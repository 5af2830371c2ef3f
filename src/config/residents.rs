//! `[residents]`: What residents may do by themselves, each for their own household.

use serde::Deserialize;

use super::{Problem, within};

/// `[residents]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Residents {
    /// Visitors' passes that a household may have at a time; 0: residents give none.
    pub passes: u32,
    /// Passes that the residents of a household may give in 30 days.
    pub passes_a_month: u32,
    /// The longest that such a pass may last, days.
    pub pass_days: u32,
    /// The most entries that such a pass may have.
    pub pass_entries: u32,
    /// How long an invitation serves, days.
    pub invitation_days: u32,
}

impl Default for Residents {
    fn default() -> Residents {
        Residents { passes: 5, passes_a_month: 20, pass_days: 7, pass_entries: 10, invitation_days: 7 }
    }
}

impl Residents {
    pub(super) fn check(&self) -> Result<(), Problem> {
        within("residents.passes", self.passes, 0..=50, "0..50 passes")?;
        within("residents.passes_a_month", self.passes_a_month, 0..=200, "0..200 passes")?;
        within("residents.pass_days", self.pass_days, 1..=92, "1..92 days")?;
        within("residents.pass_entries", self.pass_entries, 1..=999, "1..999 entries")?;
        within("residents.invitation_days", self.invitation_days, 1..=90, "1..90 days")
    }
}
