//! `[data]`: Where things are kept, and for how long.

use std::path::PathBuf;

use serde::Deserialize;

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
}

impl Default for Data {
    fn default() -> Data {
        Data { folder: PathBuf::from("data"), keep_strangers_days: 30, keep_events_days: 365 }
    }
}
