//! `[watchdog]`: What starts the box anew when the gate hangs.

use std::path::PathBuf;

use serde::Deserialize;

/// `[watchdog]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Watchdog {
    /// The hardware's watchdog, such as `/dev/watchdog`. Not set: only systemd watches.
    pub device: Option<PathBuf>,
}
