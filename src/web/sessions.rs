//! Sessions in memory, which can be listed and ended from the page.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use tower_sessions::cookie::time::{Duration, OffsetDateTime};
use tower_sessions::session::{Id, Record};
use tower_sessions::{Expiry, SessionStore, session_store};

use crate::accounts::code;

/// All sessions. Only sign-ins make one, so that strangers cannot fill the memory.
#[derive(Clone, Debug)]
pub struct Sessions {
    records: Arc<Mutex<HashMap<Id, Record>>>,
    hours: u32,
}

/// A session, as the page lists it.
#[derive(Clone, Debug)]
pub struct Open {
    /// Names it without letting anybody use it.
    pub label: String,
    /// Whose it is.
    pub user: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// From where.
    pub from: Option<IpAddr>,
}

impl Sessions {
    pub(super) fn new(hours: u32) -> Sessions {
        Sessions { records: Arc::default(), hours }
    }

    /// How long one lasts, from the sign-in on.
    pub(super) fn expiry(&self) -> Expiry {
        Expiry::OnInactivity(Duration::hours(i64::from(self.hours)))
    }

    /// Those that have not ended, the newest first.
    pub fn open(&self) -> Vec<Open> {
        let records = self.records.lock();
        let now = OffsetDateTime::now_utc();
        let mut open: Vec<Open> = records
            .values()
            .filter(|r| r.expiry_date > now)
            .filter_map(|r| {
                let user = r.data.get("axum-login.data")?.get("user_id")?.as_str()?.to_owned();
                let value = |key: &str| r.data.get(key).cloned();
                Some(Open {
                    label: label(&r.id),
                    user,
                    since: value("since").and_then(|v| serde_json::from_value(v).ok()),
                    from: value("from").and_then(|v| serde_json::from_value(v).ok()),
                })
            })
            .collect();
        open.sort_by_key(|s| std::cmp::Reverse(s.since));
        open
    }

    /// Ends the session of this label; `false` if there is none.
    pub fn end(&self, wanted: &str) -> bool {
        let mut records = self.records.lock();
        let before = records.len();
        records.retain(|id, _| label(id) != wanted);
        records.len() < before
    }
}

/// A session's identifier opens it; its fingerprint does not.
fn label(id: &Id) -> String {
    code::fingerprint(&id.to_string())[..16].to_owned()
}

#[async_trait]
impl SessionStore for Sessions {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        let mut records = self.records.lock();
        let now = OffsetDateTime::now_utc();
        records.retain(|_, r| r.expiry_date > now);
        while records.contains_key(&record.id) {
            record.id = Id::default();
        }
        records.insert(record.id, record.clone());
        Ok(())
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        // One that was ended meanwhile stays ended.
        if let Some(kept) = self.records.lock().get_mut(&record.id) {
            *kept = record.clone();
        }
        Ok(())
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let records = self.records.lock();
        Ok(records.get(id).filter(|r| r.expiry_date > OffsetDateTime::now_utc()).cloned())
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        self.records.lock().remove(id);
        Ok(())
    }
}
