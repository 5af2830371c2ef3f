//! `[data]`: Where things are kept, and for how long.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Problem, within};

/// `[data]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// The folder with the register, the journal and the pictures.
    pub folder: PathBuf,
    /// Days that a stranger's plate and picture are kept.
    pub keep_strangers_days: u32,
    /// Days that other events are kept (GA/T 1742-2020 asks for 365).
    pub keep_events_days: u32,
    /// Megabytes that pictures of arrivals may take; beyond, the oldest go first.
    pub pictures_mb: u64,
    /// Megabytes of the disk that pictures leave free; below, the oldest go first.
    pub keep_free_mb: u64,
}

impl Default for Data {
    fn default() -> Data {
        Data {
            folder: PathBuf::from("data"),
            keep_strangers_days: 30,
            keep_events_days: 365,
            pictures_mb: 20_000,
            keep_free_mb: 1000,
        }
    }
}

impl Data {
    pub(super) fn check(&self) -> Result<(), Problem> {
        within("data.keep_strangers_days", self.keep_strangers_days, 1..=3650, "1..3650 days")?;
        within("data.keep_events_days", self.keep_events_days, 1..=3650, "1..3650 days")?;
        within("data.pictures_mb", self.pictures_mb, 10..=100_000_000, "10..100000000 megabytes")?;
        within("data.keep_free_mb", self.keep_free_mb, 0..=1_000_000, "0..1000000 megabytes")
    }
}
