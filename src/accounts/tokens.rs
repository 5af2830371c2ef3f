//! Tokens for programs: a long secret, shown once; kept is only its fingerprint.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::code;
use crate::store::{Batch, Store, StoreError, Tree};

/// A token, without its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Token {
    /// The secret's fingerprint, the key.
    pub id: String,
    /// What it is for, such as `home assistant`.
    pub label: String,
    /// The user it acts for; it may do what they may.
    pub user: String,
    /// Made when.
    pub since: Timestamp,
    /// Serves until.
    pub until: Timestamp,
}

/// All tokens.
pub struct Tokens {
    store: Arc<Store>,
    tree: Tree,
}

/// Every token begins so, that it is known for what it is when it turns up where it should not.
const PREFIX: &str = "plategate_";

impl Tokens {
    pub(super) fn open(store: Arc<Store>) -> Result<Tokens, StoreError> {
        Ok(Tokens { tree: store.tree("tokens")?, store })
    }

    /// Makes one that serves for `days`; gives it with the secret, which cannot be had again.
    pub fn make(&self, user: &str, label: &str, days: u32) -> Result<(Token, String), StoreError> {
        let secret = format!("{PREFIX}{}", code::secret());
        let since = Timestamp::now();
        let token = Token {
            id: code::fingerprint(&secret),
            label: label.trim().chars().take(60).collect(),
            user: user.to_owned(),
            since,
            until: since + SignedDuration::from_hours(24 * i64::from(days)),
        };
        let mut batch = Batch::default();
        batch.put(&self.tree, &token.id, &token);
        self.store.write(batch)?;
        Ok((token, secret))
    }

    /// The token of this secret, if it still serves.
    pub fn find(&self, secret: &str) -> Result<Option<Token>, StoreError> {
        if !secret.starts_with(PREFIX) || secret.len() > 100 {
            return Ok(None);
        }
        let token: Option<Token> = self.tree.get(code::fingerprint(secret).as_bytes())?;
        Ok(token.filter(|t| Timestamp::now() < t.until))
    }

    /// All of them, the newest first.
    pub fn all(&self) -> Result<Vec<Token>, StoreError> {
        let mut all: Vec<Token> = self.tree.all()?;
        all.sort_by_key(|t| std::cmp::Reverse(t.since));
        Ok(all)
    }

    /// Takes one back; `false` if there is none.
    pub fn revoke(&self, id: &str) -> Result<bool, StoreError> {
        let there = self.tree.get::<Token>(id.as_bytes())?.is_some();
        let mut batch = Batch::default();
        batch.remove(&self.tree, id);
        self.store.write(batch)?;
        Ok(there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_serves_until_it_ends_or_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
        let (token, secret) = tokens.make("a", "home assistant", 30).unwrap();
        let (_, ended) = tokens.make("a", "yesterday", 0).unwrap();
        assert_eq!(tokens.find(&secret).unwrap().unwrap().user, "a");
        for wrong in ["", "plategate_", &ended, &secret[..40], &format!("{secret}x")] {
            assert!(tokens.find(wrong).unwrap().is_none(), "{wrong}");
        }
        assert!(!serde_json::to_string(&tokens.all().unwrap()).unwrap().contains(&secret));
        assert!(tokens.revoke(&token.id).unwrap() && !tokens.revoke(&token.id).unwrap());
        assert!(tokens.find(&secret).unwrap().is_none());
    }
}
