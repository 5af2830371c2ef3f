//! Residents: people of a household, let in by a steward's invitation, who give passes to their own visitors.

use super::{AccountError, Accounts, Role, User, code, password};
use crate::store::{Batch, StoreError};

impl Accounts {
    /// Lets a resident in with an invitation's code, which is used up by it. The work of hashing takes some tens of
    /// milliseconds and 19 MiB.
    pub fn join(&self, code: &str, name: &str, password: &str) -> Result<User, AccountError> {
        // One at a time: a code lets one person in.
        let _joining = self.joining.lock();
        let invitation = self.invitations.find(code)?.ok_or(AccountError::Invitation)?;
        let user = self.new_user(name, password, &[Role::Resident], Some(invitation.household))?;
        let mut batch = Batch::default();
        batch.put(&self.users, &user.name, &user);
        batch.remove(&self.invitations.tree, &invitation.id);
        self.store.write(batch)?;
        Ok(user)
    }

    /// The residents of a household, by name, also those who may not sign in any more.
    pub fn residents(&self, household: &str) -> Result<Vec<User>, StoreError> {
        let mut users = self.users()?;
        users.retain(|u| u.is_resident() && u.household.as_deref() == Some(household));
        Ok(users)
    }

    /// Keeps a resident of this household out, or lets them in again; their sessions end.
    pub fn set_resident(&self, household: &str, name: &str, disabled: bool) -> Result<User, AccountError> {
        let user = self.resident(household, name)?;
        self.keep(User { disabled, stamp: code::secret(), ..user })
    }

    /// A new password for a resident of this household who forgot theirs or lost their telephone: the second factor goes
    /// with the old one, and their sessions end.
    pub fn readmit(&self, household: &str, name: &str, password: &str) -> Result<User, AccountError> {
        let user = self.resident(household, name)?;
        let password = password::hash(name, password)?;
        self.keep(User { password, second: None, stamp: code::secret(), ..user })
    }

    fn resident(&self, household: &str, name: &str) -> Result<User, AccountError> {
        let found = self.user(name)?.filter(|u| u.is_resident() && u.household.as_deref() == Some(household));
        found.ok_or(AccountError::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::Store;

    fn open(folder: &tempfile::TempDir) -> Accounts {
        Accounts::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap()
    }

    #[test]
    fn a_code_lets_one_person_in_to_one_household() {
        let folder = tempfile::tempdir().unwrap();
        let code = {
            let accounts = open(&folder);
            accounts.add("王芳", "long enough", &[Role::Steward]).unwrap();
            let (_, code) = accounts.invitations.make("2-301", "王芳", 7).unwrap();
            assert!(matches!(accounts.join(&code, "王芳", "long enough"), Err(AccountError::Taken)));
            assert!(matches!(accounts.join(&code, "孙丽", "short"), Err(AccountError::Password)));
            code
        };
        // What was refused used nothing up, and a restart does not either.
        let accounts = open(&folder);
        let sun = accounts.join(&code.to_uppercase(), "孙丽", "long enough").unwrap();
        assert_eq!((sun.is_resident(), sun.household.as_deref()), (true, Some("2-301")));
        assert!(matches!(accounts.join(&code, "another", "long enough"), Err(AccountError::Invitation)));
        assert!(accounts.sign_in("孙丽", "long enough", "").unwrap().is_some());
        let names = |key: &str| accounts.residents(key).unwrap().into_iter().map(|u| u.name).collect::<Vec<_>>();
        assert_eq!((names("2-301"), names("2-302")), (vec!["孙丽".to_owned()], vec![]));
    }

    #[test]
    fn a_resident_stays_one_and_nobody_becomes_one_without_an_invitation() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = open(&folder);
        accounts.add("a", "long enough", &[Role::Maintainer]).unwrap();
        let (_, code) = accounts.invitations.make("2-301", "a", 7).unwrap();
        accounts.join(&code, "sun", "long enough").unwrap();
        for (name, roles) in [
            ("sun", &[Role::Steward][..]),
            ("sun", &[Role::Resident, Role::Steward][..]),
            ("a", &[Role::Resident][..]),
            ("a", &[Role::Maintainer, Role::Resident][..]),
        ] {
            let refused = accounts.set_roles(name, roles, false);
            assert!(matches!(refused, Err(AccountError::Resident | AccountError::LastMaintainer)), "{name} {roles:?}");
        }
        assert!(matches!(accounts.add("x", "long enough", &[Role::Resident]), Err(AccountError::Resident)));
        // A steward has no hold on anybody but residents of that household.
        for (household, name) in [("2-302", "sun"), ("2-301", "a"), ("", "a")] {
            let refused = accounts.readmit(household, name, "quite long enough");
            assert!(matches!(refused, Err(AccountError::Unknown)), "{household} {name}");
            assert!(matches!(accounts.set_resident(household, name, true), Err(AccountError::Unknown)));
        }
        let before = accounts.user("sun").unwrap().unwrap();
        let after = accounts.readmit("2-301", "sun", "quite long enough").unwrap();
        assert_ne!(before.stamp(), after.stamp());
        accounts.set_resident("2-301", "sun", true).unwrap();
        assert!(accounts.sign_in("sun", "quite long enough", "").unwrap().is_none());
        accounts.set_resident("2-301", "sun", false).unwrap();
        assert!(accounts.sign_in("sun", "quite long enough", "").unwrap().is_some());
    }
}
