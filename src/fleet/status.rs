//! How the connection to the other gates is: since when, why not, and what was refused.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;

/// How the connection is.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Connection {
    /// It was never there since the start.
    Connecting {
        /// Since when it is tried.
        since: Timestamp,
        /// Why it failed last, if it did.
        reason: String,
    },
    /// It is there.
    Connected {
        /// Since when.
        since: Timestamp,
    },
    /// It was there.
    Lost {
        /// Since when it is gone.
        since: Timestamp,
        /// Why.
        reason: String,
    },
}

/// What the page, the health check and the metrics tell.
#[derive(Debug)]
pub struct Status {
    connection: Mutex<Connection>,
    /// Arrivals that the broker has.
    pub events_told: AtomicU64,
    /// Arrivals that the broker has not yet.
    pub events_waiting: AtomicU64,
    /// Arrivals that were deleted here before the broker had them.
    pub events_missed: AtomicU64,
    /// Records that other boxes were told, and that were taken over.
    pub records_told: AtomicU64,
    /// Messages with records that were heard.
    pub records_heard: AtomicU64,
    /// Records that others have not been told.
    pub records_waiting: AtomicU64,
    /// Messages that were refused.
    pub refused: AtomicU64,
    /// What was refused last.
    last_refused: Mutex<Option<(Timestamp, String)>>,
}

impl Default for Status {
    fn default() -> Status {
        let connecting = Connection::Connecting { since: Timestamp::now(), reason: String::new() };
        Status {
            connection: Mutex::new(connecting),
            events_told: AtomicU64::default(),
            events_waiting: AtomicU64::default(),
            events_missed: AtomicU64::default(),
            records_told: AtomicU64::default(),
            records_heard: AtomicU64::default(),
            records_waiting: AtomicU64::default(),
            refused: AtomicU64::default(),
            last_refused: Mutex::default(),
        }
    }
}

impl Status {
    /// How the connection is.
    pub fn connection(&self) -> Connection {
        self.connection.lock().clone()
    }

    /// Is it there?
    pub fn is_connected(&self) -> bool {
        matches!(*self.connection.lock(), Connection::Connected { .. })
    }

    /// It is there.
    pub fn connected(&self) {
        *self.connection.lock() = Connection::Connected { since: Timestamp::now() };
    }

    /// It is gone, or could not be made. `true` if it was there before.
    pub fn failed(&self, why: &str) -> bool {
        let mut connection = self.connection.lock();
        let was = matches!(*connection, Connection::Connected { .. });
        *connection = match &*connection {
            Connection::Connected { .. } => Connection::Lost { since: Timestamp::now(), reason: why.to_owned() },
            Connection::Lost { since, .. } => Connection::Lost { since: *since, reason: why.to_owned() },
            Connection::Connecting { since, .. } => Connection::Connecting { since: *since, reason: why.to_owned() },
        };
        was
    }

    /// A message was refused.
    pub fn refuse(&self, why: &str) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        *self.last_refused.lock() = Some((Timestamp::now(), why.to_owned()));
    }

    /// What was refused last.
    pub fn last_refused(&self) -> Option<(Timestamp, String)> {
        self.last_refused.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_since_when_the_connection_is_gone() {
        let status = Status::default();
        assert!(!status.failed("refused"));
        assert!(matches!(status.connection(), Connection::Connecting { reason, .. } if reason == "refused"));
        status.connected();
        assert!(status.is_connected() && status.failed("cut"));
        let Connection::Lost { since, .. } = status.connection() else { panic!() };
        assert!(!status.failed("still"));
        assert!(
            matches!(status.connection(), Connection::Lost { since: s, reason } if s == since && reason == "still")
        );
    }
}
