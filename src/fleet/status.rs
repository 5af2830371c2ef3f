//! How the connection to the other gates is: since when, why not, and what was refused.

use std::collections::BTreeMap;
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
    /// It is there, but the broker takes no more: its disk is full, or a limit is reached.
    Full {
        /// Since when.
        since: Timestamp,
        /// What it says.
        reason: String,
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
    /// Of which streams the broker takes no more, since when, and what it says.
    full: Mutex<BTreeMap<&'static str, (Timestamp, String)>>,
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
            full: Mutex::default(),
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
        let connection = self.connection.lock().clone();
        let full = self.full.lock().values().min().cloned();
        match (connection, full) {
            (Connection::Connected { .. }, Some((since, reason))) => Connection::Full { since, reason },
            (connection, _) => connection,
        }
    }

    /// Is it there? A broker that takes no more is there all the same.
    pub fn is_connected(&self) -> bool {
        matches!(*self.connection.lock(), Connection::Connected { .. })
    }

    /// It is there.
    pub fn connected(&self) {
        self.full.lock().clear();
        *self.connection.lock() = Connection::Connected { since: Timestamp::now() };
    }

    /// The broker takes no more of a stream. `true` if that is news.
    pub fn full(&self, stream: &'static str, why: &str) -> bool {
        let mut full = self.full.lock();
        let since = full.get(stream).map(|(since, _)| *since);
        full.insert(stream, (since.unwrap_or_else(Timestamp::now), why.to_owned()));
        since.is_none()
    }

    /// It takes more of it again.
    pub fn taken(&self, stream: &'static str) {
        self.full.lock().remove(stream);
    }

    /// It is gone, or could not be made. `true` if it was there before.
    pub fn failed(&self, why: &str) -> bool {
        let mut connection = self.connection.lock();
        let was = matches!(*connection, Connection::Connected { .. });
        *connection = match &*connection {
            Connection::Connected { .. } => Connection::Lost { since: Timestamp::now(), reason: why.to_owned() },
            Connection::Lost { since, .. } => Connection::Lost { since: *since, reason: why.to_owned() },
            Connection::Connecting { since, .. } => Connection::Connecting { since: *since, reason: why.to_owned() },
            // It is kept apart: a connection that was lost is lost.
            Connection::Full { since, .. } => Connection::Lost { since: *since, reason: why.to_owned() },
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

    #[test]
    fn a_broker_that_is_full_is_told_until_it_takes_that_stream_again() {
        let status = Status::default();
        status.connected();
        assert!(status.full("register", "no room") && !status.full("register", "no room"));
        status.taken("events");
        let Connection::Full { since, .. } = status.connection() else { panic!() };
        assert!(status.is_connected() && !status.full("register", "still none"));
        assert!(
            matches!(status.connection(), Connection::Full { since: s, reason } if s == since && reason == "still none")
        );
        status.taken("register");
        assert!(matches!(status.connection(), Connection::Connected { .. }));
    }
}
