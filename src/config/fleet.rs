//! `[fleet]`: The other gates of the compound.

use serde::Deserialize;

use super::{Problem, within};

/// `[fleet]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fleet {
    /// The brokers, where they have moved since this box joined; those it was told when it joined where none is named.
    pub servers: Vec<String>,
    /// How long the broker keeps the gates' arrivals, days; counts where the first box makes the stream.
    pub keep_events_days: u32,
}

impl Default for Fleet {
    fn default() -> Fleet {
        Fleet { servers: Vec::new(), keep_events_days: 30 }
    }
}

impl Fleet {
    pub(super) fn check(&self) -> Result<(), Problem> {
        if let Err(error) = crate::fleet::identity::check_servers(&self.servers) {
            return Err(Problem::new("fleet.servers", error, "tls://HOST:4222, or a broker on this machine"));
        }
        within("fleet.keep_events_days", self.keep_events_days, 1..=3650, "1..3650 days")
    }
}
