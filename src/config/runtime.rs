//! `[runtime]`: On which cores the lane runs, and how urgently.

use serde::Deserialize;

use super::{Problem, within};

/// `[runtime]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Runtime {
    /// The cores that the lane's thread may run on, counted from 0; all if empty.
    pub cores: Vec<usize>,
    /// The lane's real-time priority (SCHED_FIFO), 1..99; 0 for none.
    pub realtime_priority: u8,
}

/// The kernel's own most.
const MOST_CORES: usize = 1023;

impl Runtime {
    pub(super) fn check(&self) -> Result<(), Problem> {
        for core in &self.cores {
            within("runtime.cores", *core, 0..=MOST_CORES, "numbers of cores, counted from 0")?;
        }
        within("runtime.realtime_priority", self.realtime_priority, 0..=99, "0..99")
    }
}
