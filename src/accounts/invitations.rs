//! Invitations for households: a code that lets one resident in, once, within some days. Kept is only its fingerprint.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::code;
use crate::store::{Batch, Store, StoreError, Tree};

/// An invitation, without its code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Invitation {
    /// The code's fingerprint, the key.
    pub id: String,
    /// For whom: a household's key, such as `2-301`.
    pub household: String,
    /// Who invited.
    pub by: String,
    /// Made when.
    pub since: Timestamp,
    /// Serves until.
    pub until: Timestamp,
}

/// All invitations that were not used.
pub struct Invitations {
    store: Arc<Store>,
    pub(super) tree: Tree,
}

impl Invitations {
    pub(super) fn open(store: Arc<Store>) -> Result<Invitations, StoreError> {
        Ok(Invitations { tree: store.tree("invitations")?, store })
    }

    /// Makes one for a household that serves for `days`; gives it with its code, which cannot be had again. Those that are
    /// over are forgotten.
    pub fn make(&self, household: &str, by: &str, days: u32) -> Result<(Invitation, String), StoreError> {
        let code = code::for_people();
        let since = Timestamp::now();
        let invitation = Invitation {
            id: fingerprint(&code),
            household: household.to_owned(),
            by: by.to_owned(),
            since,
            until: since + SignedDuration::from_hours(24 * i64::from(days)),
        };
        let mut batch = Batch::default();
        for old in self.tree.all::<Invitation>()?.iter().filter(|i| i.until <= since) {
            batch.remove(&self.tree, &old.id);
        }
        batch.put(&self.tree, &invitation.id, &invitation);
        self.store.write(batch)?;
        Ok((invitation, code))
    }

    /// The invitation of this code, if it still serves.
    pub fn find(&self, code: &str) -> Result<Option<Invitation>, StoreError> {
        let found: Option<Invitation> = self.tree.get(fingerprint(code).as_bytes())?;
        Ok(found.filter(|i| Timestamp::now() < i.until))
    }

    /// Those of a household that still serve, the newest first.
    pub fn of(&self, household: &str) -> Result<Vec<Invitation>, StoreError> {
        let now = Timestamp::now();
        let mut all: Vec<Invitation> = self.tree.all()?;
        all.retain(|i| i.household == household && now < i.until);
        all.sort_by_key(|i| std::cmp::Reverse(i.since));
        Ok(all)
    }

    /// Takes one of this household back; `false` if there is none.
    pub fn revoke(&self, household: &str, id: &str) -> Result<bool, StoreError> {
        let there = self.tree.get::<Invitation>(id.as_bytes())?.is_some_and(|i| i.household == household);
        if there {
            let mut batch = Batch::default();
            batch.remove(&self.tree, id);
            self.store.write(batch)?;
        }
        Ok(there)
    }
}

/// A code is typed with or without its hyphens, and telephones like to begin with a capital letter.
fn fingerprint(code: &str) -> String {
    let plain: String =
        code.chars().map(crate::text::narrow).filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    code::fingerprint(&plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_however_it_is_typed_until_it_is_over_or_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let invitations = Invitations::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
        let (first, code) = invitations.make("2-301", "王芳", 7).unwrap();
        let (_, over) = invitations.make("2-301", "王芳", 0).unwrap();
        for typed in [code.clone(), code.replace('-', ""), format!(" {} ", code.to_uppercase())] {
            assert_eq!(invitations.find(&typed).unwrap(), Some(first.clone()), "{typed}");
        }
        for wrong in ["", "-", &over, &code[1..]] {
            assert!(invitations.find(wrong).unwrap().is_none(), "{wrong}");
        }
        assert!(!serde_json::to_string(&invitations.of("2-301").unwrap()).unwrap().contains(&code));
        assert!(invitations.of("2-302").unwrap().is_empty());
        assert!(!invitations.revoke("2-302", &first.id).unwrap(), "another household's");
        assert!(invitations.revoke("2-301", &first.id).unwrap() && !invitations.revoke("2-301", &first.id).unwrap());
        assert!(invitations.find(&code).unwrap().is_none());
    }
}
